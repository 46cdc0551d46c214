// SPDX-License-Identifier: GPL-2.0
// The meta-page does not live for ever.
// compiler: E0515

use super::buffer::CpuBuffer;
use kernel::page::BorrowedPage;

fn meta_page_for_ever(cpu: CpuBuffer<'static>) -> Option<BorrowedPage<'static>> {
    let guard = cpu.lock_mapping();
    let mapped = guard.mapped()?;

    Some(mapped.meta_page())
}
