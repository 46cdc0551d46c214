// SPDX-License-Identifier: GPL-2.0
// Writers store to a reader page that was handed back.
// compiler: E0502

use super::{
    events,
    reader_state::Consumer, //
};

fn slice_after_swap(mut reader: Consumer<'_>) {
    let page = reader.page();
    let bytes = page.committed(0, 64);

    reader.next_page();
    events::walk(bytes, 0, 1);
}
