// SPDX-License-Identifier: GPL-2.0
// It is not the reader page any more.
// compiler: E0502

use super::reader_state::Consumer;

fn page_after_swap(mut reader: Consumer<'_>) -> usize {
    let page = reader.page();

    reader.next_page();
    page.read()
}
