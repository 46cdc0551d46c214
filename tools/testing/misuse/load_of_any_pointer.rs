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
use core::ptr::NonNull;

fn load_of_any_pointer() -> u32 {
    Shared::<'_, buffer_page>::from_raw(NonNull::dangling()).load(fields::page::READ)
}
