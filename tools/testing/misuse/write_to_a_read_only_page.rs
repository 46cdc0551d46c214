// SPDX-License-Identifier: GPL-2.0
// The pages of a mapping are not written to.
// compiler: E0599

use kernel::{
    page::{
        ReadOnlyPage,
        PAGE_SIZE, //
    },
    prelude::*, //
};

fn write_to_a_read_only_page(page: ReadOnlyPage<'_>) -> Result {
    page.fill_zero_raw(0, PAGE_SIZE)
}
