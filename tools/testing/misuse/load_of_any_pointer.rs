// SPDX-License-Identifier: GPL-2.0
// A pointer must be to a valid struct.
// compiler: E0133

use super::{
    bindings::buffer_page,
    raw::{
        fields,
        Shared, //
    }, //
};

fn load_of_any_pointer() -> u32 {
    Shared::<'_, buffer_page>::from_raw(core::ptr::null_mut()).load(fields::page::READ)
}
