// SPDX-License-Identifier: GPL-2.0
// It is not the reader page any more.
// compiler: E0502

use super::buffer::CpuBuffer;

fn page_after_swap(cpu: CpuBuffer<'_>) -> usize {
    let mut reader = cpu.lock_reader();
    let page = reader.page();

    reader.next_page();
    page.read()
}
