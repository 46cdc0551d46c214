// SPDX-License-Identifier: GPL-2.0
// A buffer is settled for as long as snapshots are excluded.
// compiler: E0505

use super::{
    bindings::ftrace_buffer_info,
    mapping,
    raw::Shared,
    snapshot::SnapshotExclusion, //
};
use kernel::prelude::*;

fn settled_after_exclusion(file: Shared<'_, ftrace_buffer_info>) -> Result {
    let exclusion = SnapshotExclusion::new(file.array())?;
    let cpu = exclusion.buffer_of(file).ok_or(EINVAL)?;

    drop(exclusion);
    mapping::dup(cpu);
    Ok(())
}
