// SPDX-License-Identifier: GPL-2.0
// Readers in C trust the index.
// compiler: E0308

use super::raw::{
    fields,
    RingPage, //
};

fn index_behind_the_page(mut page: RingPage<'_>) {
    page.page().store(fields::page::READ, u32::MAX);
}
