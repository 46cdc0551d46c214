// SPDX-License-Identifier: GPL-2.0
// A field must be one of the struct.
// compiler: E0451

use super::{
    bindings::buffer_page,
    raw::{
        Field,
        ReaderLock,
        Shared, //
    }, //
};
use core::marker::PhantomData;

fn field_at_any_offset(page: Shared<'_, buffer_page>) -> u32 {
    page.load(Field::<_, _, ReaderLock> {
        offset: 4096,
        _type: PhantomData,
    })
}
