// SPDX-License-Identifier: GPL-2.0
// A writer that is on the page sets its size.
// compiler: E0599

use super::{
    buffer::CpuBuffer,
    reader_state::MissedEvents, //
};

fn mark_incomplete_page(cpu: CpuBuffer<'_>) {
    cpu.lock_reader().page().mark_missed(MissedEvents::Count(1));
}
