// SPDX-License-Identifier: GPL-2.0
// The meta-page is written with reader_lock held only.
// compiler: E0308

use super::{
    meta::{
        MetaWriter,
        Shown, //
    },
    raw::Shared, //
};
use kernel::uapi::trace_buffer_meta;

fn meta_page_without_lock(meta: Shared<'_, trace_buffer_meta>, shown: &Shown) {
    MetaWriter::new(meta).publish(shown);
}
