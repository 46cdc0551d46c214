// SPDX-License-Identifier: GPL-2.0
// Writers store to a reader page that was handed back.
// compiler: E0502

use super::{
    buffer::CpuBuffer,
    events, //
};

fn slice_after_swap(cpu: CpuBuffer<'_>) {
    let mut reader = cpu.lock_reader();
    let page = reader.page();
    let bytes = page.committed(0, 64);

    reader.next_page();
    events::walk(bytes, 0, 1);
}
