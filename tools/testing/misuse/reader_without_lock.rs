// SPDX-License-Identifier: GPL-2.0
// What reader_lock protects needs the lock.
// compiler: E0133

use super::buffer::CpuBuffer;

fn reader_without_lock(cpu: CpuBuffer<'_>) {
    cpu.assume_reader_locked().next_page();
}
