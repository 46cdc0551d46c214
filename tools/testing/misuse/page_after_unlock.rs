// SPDX-License-Identifier: GPL-2.0
// Another reader may swap the reader page once reader_lock is released.
// compiler: E0505

use super::buffer::CpuBuffer;

fn page_after_unlock(cpu: CpuBuffer<'_>) -> usize {
    let reader = cpu.lock_reader();
    let page = reader.page();

    drop(reader);
    page.read()
}
