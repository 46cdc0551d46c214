// SPDX-License-Identifier: GPL-2.0
// What the others do wrong, done right: the test can tell the two apart.
// compiler: accepted

use super::{
    buffer::CpuBuffer,
    events, //
};

fn correct_use(cpu: CpuBuffer<'_>) {
    let mut mapping = cpu.lock_mapping();

    if let Some(mapped) = mapping.mapped() {
        let _ = (mapped.meta_page(), mapped.subbuf_page(0, 0));
    }
    let _ = mapping.remove_user();

    let mut reader = cpu.lock_reader();
    let page = reader.page();
    let walk = events::walk(page.committed(0, 64), 0, 1);

    reader.advance(walk.entries, walk.length);
    reader.next_page();
}
