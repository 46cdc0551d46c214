// SPDX-License-Identifier: GPL-2.0
// Readers in C trust the index.
// compiler: E0308

use super::{
    bindings::buffer_page,
    raw::{
        fields,
        Locked,
        ReaderLock, //
    }, //
};

fn index_behind_the_page(mut page: Locked<'_, buffer_page, ReaderLock>) {
    page.store(fields::page::READ, u32::MAX);
}
