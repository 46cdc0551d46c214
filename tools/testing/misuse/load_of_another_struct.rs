// SPDX-License-Identifier: GPL-2.0
// A field is loaded from the struct that it is in.
// compiler: E0308

use super::{
    bindings::buffer_page,
    raw::{
        fields,
        Shared, //
    }, //
};

fn load_of_another_struct(page: Shared<'_, buffer_page>) -> u32 {
    page.load(fields::cpu::USER_MAPPED)
}
