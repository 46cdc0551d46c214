// SPDX-License-Identifier: GPL-2.0
// The number of exclusions is that of the values: no other code sets it.
// compiler: E0603

use super::{
    bindings::trace_array,
    raw::Shared,
    snapshot::CountGuard, //
};

fn count_of_exclusions(array: Shared<'_, trace_array>) {
    let mut guard = CountGuard::lock(array);
    let mut count = guard.get();

    count.mapped = 0;
    guard.set(count);
}
