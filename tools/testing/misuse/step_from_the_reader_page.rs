// SPDX-License-Identifier: GPL-2.0
// The reader page is not in the ring.
// compiler: E0599

use super::{
    bindings::ring_buffer_per_cpu,
    raw::{
        fields,
        Locked,
        ReaderLock, //
    }, //
};

fn step_from_the_reader_page(mut cpu: Locked<'_, ring_buffer_per_cpu, ReaderLock>) {
    cpu.follow_mut(fields::cpu::READER_PAGE).step();
}
