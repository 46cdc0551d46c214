// SPDX-License-Identifier: GPL-2.0
// The state may be freed once the last user is gone.
// compiler: E0502

use super::buffer::CpuBuffer;
use kernel::mm::virt::VmaMixedMap;

fn mapped_after_unmap(cpu: CpuBuffer<'_>, area: &VmaMixedMap) {
    let mut guard = cpu.lock_mapping();

    if let Some(mapped) = guard.mapped() {
        let _ = guard.remove_user();
        let _ = mapped.insert_into(area);
    }
}
