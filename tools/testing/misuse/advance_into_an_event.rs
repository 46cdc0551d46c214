// SPDX-License-Identifier: GPL-2.0
// Readers in C take what is at the index for an event.
// compiler: E0451

use super::reader_state::{
    Consumer,
    Rest, //
};
use core::num::NonZeroUsize;

fn advance_into_an_event<'a>(mut reader: Consumer<'a>, rest: Rest<'a>) {
    reader.resume(Rest { end: 3, ..rest }, NonZeroUsize::MIN);
}
