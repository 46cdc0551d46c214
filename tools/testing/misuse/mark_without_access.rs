// SPDX-License-Identifier: GPL-2.0
// A mark changes the size of a page that another reader may have walked in part.
// compiler: E0624

use super::{
    buffer::CpuBuffer,
    reader_state::MissedEvents, //
};

fn mark_without_access(cpu: CpuBuffer<'_>) {
    let mut reader = cpu.lock_reader();

    if let Some(mut complete) = reader.complete_page() {
        complete.mark_missed(MissedEvents::Count(1));
    }
}
