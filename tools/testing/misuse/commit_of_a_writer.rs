// SPDX-License-Identifier: GPL-2.0
// Writers store to commit of the pages that they are on.
// compiler: E0308

use super::raw::{
    fields,
    RingPage, //
};

fn commit_of_a_writer(mut page: RingPage<'_>) {
    page.page()
        .follow_mut(fields::page::DATA)
        .store(fields::data::COMMIT, i64::MAX);
}
