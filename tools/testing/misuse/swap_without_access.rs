// SPDX-License-Identifier: GPL-2.0
// Others may look at an event on a page that is handed back.
// compiler: E0599

use super::buffer::CpuBuffer;

fn swap_without_access(cpu: CpuBuffer<'_>) {
    cpu.lock_reader().next_page();
}
