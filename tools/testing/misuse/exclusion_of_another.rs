// SPDX-License-Identifier: GPL-2.0
// A VMA excludes snapshots until it is closed.
// compiler: E0133

use super::{
    bindings::trace_array,
    raw::Shared,
    snapshot::SnapshotExclusion, //
};

fn exclusion_of_another(array: Shared<'_, trace_array>) {
    drop(SnapshotExclusion::of_vma(array));
}
