// SPDX-License-Identifier: GPL-2.0
// The meta-page is written with reader_lock held only.
// compiler: E0133

use super::meta::{
    Counters,
    MetaPage, //
};

fn meta_page_without_lock(meta: &MetaPage, counters: &Counters) {
    meta.assume_locked().publish(0, counters);
}
