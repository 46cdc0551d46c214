// SPDX-License-Identifier: GPL-2.0
// A sub-buffer may be freed once the last user is gone.
// compiler: E0502

use super::buffer::CpuBuffer;

fn sub_buffer_after_unmap(cpu: CpuBuffer<'_>) {
    let mut guard = cpu.lock_mapping();

    if let Some(page) = guard.mapped().and_then(|mapped| mapped.subbuf_page(0, 0)) {
        let _ = guard.remove_user();
        drop(page);
    }
}
