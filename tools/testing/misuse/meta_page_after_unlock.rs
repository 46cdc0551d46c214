// SPDX-License-Identifier: GPL-2.0
// The meta-page may be freed once mapping_lock is released.
// compiler: E0716

use super::buffer::CpuBuffer;
use kernel::page::BorrowedPage;

fn meta_page_after_unlock(cpu: CpuBuffer<'_>, user: fn(BorrowedPage<'_>)) {
    let page = cpu.lock_mapping().mapped().map(|mapped| mapped.meta_page());

    page.map(user);
}
