// SPDX-License-Identifier: GPL-2.0
// Only an exclusion makes another one without a look at who may take snapshots.
// compiler: E0308

use super::{
    bindings::trace_array,
    raw::Shared,
    snapshot::SnapshotExclusion, //
};

fn exclusion_out_of_nothing(array: Shared<'_, trace_array>) {
    drop(SnapshotExclusion::again(array));
}
