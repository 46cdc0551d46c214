// SPDX-License-Identifier: GPL-2.0
// The word of the id says whether the page is to be freed.
// compiler: E0308

use super::{
    bindings::buffer_page,
    raw::{
        fields,
        Locked,
        ReaderLock, //
    }, //
};

fn id_of_persistent_memory(mut page: Locked<'_, buffer_page, ReaderLock>) {
    page.store(fields::page::ID, 0);
}
