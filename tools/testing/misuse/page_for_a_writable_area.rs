// SPDX-License-Identifier: GPL-2.0
// A page is inserted only where user space cannot write to it.
// compiler: E0624

use super::map_state::Mapped;
use kernel::mm::virt::VmaMixedMap;

fn page_for_a_writable_area(mapped: &Mapped<'_>, area: &VmaMixedMap) {
    if let Some(page) = mapped.subbuf_page(0, 0) {
        let _ = area.vm_insert_page(area.start(), &page);
    }
}
