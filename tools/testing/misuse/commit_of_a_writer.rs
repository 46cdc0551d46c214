// SPDX-License-Identifier: GPL-2.0
// Writers store to commit of the pages that they are on.
// compiler: E0308

use super::{
    bindings::buffer_page,
    raw::{
        fields,
        Locked,
        ReaderLock, //
    }, //
};

fn commit_of_a_writer(mut page: Locked<'_, buffer_page, ReaderLock>) {
    page.follow_mut(fields::page::DATA)
        .store(fields::data::COMMIT, i64::MAX);
}
