// SPDX-License-Identifier: GPL-2.0
// The meta-page and the table of ids may be freed once mapping_lock is released.
// compiler: E0716

use super::buffer::CpuBuffer;
use kernel::mm::virt::VmaMixedMap;

fn mapped_after_unlock(cpu: CpuBuffer<'_>, area: &VmaMixedMap) {
    let mapped = cpu.lock_mapping().mapped();

    mapped.map(|mapped| mapped.insert_into(area));
}
