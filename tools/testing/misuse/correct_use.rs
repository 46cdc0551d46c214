// SPDX-License-Identifier: GPL-2.0
// What the others do wrong, done right: the test can tell the two apart.
// compiler: accepted

use super::{
    buffer::CpuBuffer,
    consume,
    events,
    raw::Access, //
};
use kernel::{
    mm::virt::VmaMixedMap,
    prelude::*, //
};

fn correct_use(cpu: CpuBuffer<'_>, area: &VmaMixedMap, access: &Access) -> Result {
    let mut mapping = cpu.lock_mapping();

    if let Some(mapped) = mapping.mapped() {
        mapped.insert_into(area)?;
    }
    mapping.remove_user()?;

    let mut reader = cpu.lock_reader();
    let page = reader.page();

    events::walk(page.committed(0, 64), 0, 1);
    reader.consume_events(64, 1);
    reader.next_page();
    drop(reader);
    consume::get_reader(cpu, access)
}
