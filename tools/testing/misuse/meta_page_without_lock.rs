// SPDX-License-Identifier: GPL-2.0
// The meta-page is written with reader_lock held only.
// compiler: E0308

use super::{
    meta::{
        Counters,
        MetaWriter, //
    },
    raw::Shared, //
};
use kernel::uapi::trace_buffer_meta;

fn meta_page_without_lock(meta: Shared<'_, trace_buffer_meta>, counters: &Counters) {
    MetaWriter::new(meta).publish(0, counters);
}
