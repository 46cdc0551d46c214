// SPDX-License-Identifier: GPL-2.0
// What the others do wrong, done right: the test can tell the two apart.
// compiler: accepted

use super::{
    buffer::CpuBuffer,
    consume,
    events,
    reader_state::Consumer, //
};
use core::num::NonZeroUsize;
use kernel::{
    mm::virt::VmaMixedMap,
    prelude::*, //
};

fn correct_use(cpu: CpuBuffer<'_>, area: &VmaMixedMap) -> Result {
    let mut mapping = cpu.lock_mapping();

    if let Some(mapped) = mapping.mapped() {
        mapped.insert_into(area)?;
    }
    mapping.remove_user()?;
    drop(mapping);

    let access = cpu.lock_access();
    let mut reader = Consumer::lock(&access);

    events::walk(reader.page().committed(0, 64), 0, 1);
    if let Some(rest) = reader.consume(NonZeroUsize::MIN) {
        reader.resume(rest, NonZeroUsize::MIN);
    }
    reader.next_page();
    drop(reader);
    drop(access);
    consume::get_reader(cpu)
}
