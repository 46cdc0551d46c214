// SPDX-License-Identifier: GPL-2.0
// Readers in C take what is at the index for an event.
// compiler: E0624

use super::buffer::CpuBuffer;

fn advance_into_an_event(cpu: CpuBuffer<'_>) {
    cpu.lock_reader().advance(0, 3);
}
