// SPDX-License-Identifier: GPL-2.0

//! The meta-page, which shows user space the state of a mapped buffer.
//!
//! User space may read the page at any time, on any CPU, without a lock. So each field is written
//! by one store that does not tear, and the id of the reader page is written last.

use super::{
    layout::Layout,
    raw::{
        fields,
        Locked,
        ReaderLock, //
    }, //
};
use core::{
    mem::{
        offset_of,
        size_of, //
    },
    ptr::NonNull, //
};
use kernel::{
    alloc::flags::GFP_USER,
    page::{
        Page,
        ReadOnlyPage,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::barrier::{
        smp_mb,
        Write, //
    },
    uapi::trace_buffer_meta, //
};

// The layout is ABI: that of `include/uapi/linux/trace_mmap.h`.
const _: () = {
    assert!(size_of::<trace_buffer_meta>() >= 80);
    assert!(offset_of!(trace_buffer_meta, meta_page_size) == 0);
    assert!(offset_of!(trace_buffer_meta, meta_struct_len) == 4);
    assert!(offset_of!(trace_buffer_meta, subbuf_size) == 8);
    assert!(offset_of!(trace_buffer_meta, nr_subbufs) == 12);
    assert!(offset_of!(trace_buffer_meta, reader.lost_events) == 16);
    assert!(offset_of!(trace_buffer_meta, reader.id) == 24);
    assert!(offset_of!(trace_buffer_meta, reader.read) == 28);
    assert!(offset_of!(trace_buffer_meta, flags) == 32);
    assert!(offset_of!(trace_buffer_meta, entries) == 40);
    assert!(offset_of!(trace_buffer_meta, overrun) == 48);
    assert!(offset_of!(trace_buffer_meta, read) == 56);
    assert!(offset_of!(trace_buffer_meta, pages_lost) == 64);
    assert!(offset_of!(trace_buffer_meta, pages_touched) == 72);
    assert!(size_of::<trace_buffer_meta>() <= PAGE_SIZE);
};

/// What a refresh of the meta-page shows, see [`struct trace_buffer_meta`].
///
/// [`struct trace_buffer_meta`]: srctree/include/uapi/linux/trace_mmap.h
pub(crate) struct Shown {
    pub(crate) reader_id: u32,
    /// Bytes of the reader page that are read.
    pub(crate) reader_read: u32,
    /// Events lost before the reader page.
    pub(crate) lost_events: u64,
    pub(crate) entries: u64,
    pub(crate) overrun: u64,
    pub(crate) read: u64,
    pub(crate) pages_lost: u64,
    pub(crate) pages_touched: u64,
}

/// The meta-page of a buffer, which owns its memory.
///
/// Dropping it frees the page. A VMA that still maps the page has a reference to it.
///
/// # Invariants
///
/// `meta` is the address of `page`, which begins with a `struct trace_buffer_meta`.
pub(crate) struct MetaPage {
    page: Page,
    meta: NonNull<trace_buffer_meta>,
}

impl MetaPage {
    /// Allocates the meta-page of a buffer. May sleep. Mirrors `rb_alloc_meta_page()`.
    pub(crate) fn new() -> Result<Self> {
        let page = Page::alloc_page(GFP_USER | __GFP_ZERO)?;
        let meta = page.linear_address().ok_or(ENOMEM)?.cast();
        // INVARIANT: A page of zeroes is a valid `struct trace_buffer_meta`.
        Ok(Self { page, meta })
    }

    /// The struct in the page, which is valid for as long as the page is.
    pub(crate) fn as_ptr(&self) -> *mut trace_buffer_meta {
        self.meta.as_ptr()
    }

    /// The page, to map it.
    pub(crate) fn page(&self) -> ReadOnlyPage<'_> {
        ReadOnlyPage::from(&self.page)
    }
}

/// A meta-page with the `reader_lock` of its buffer held.
pub(crate) struct MetaWriter<'a>(Locked<'a, trace_buffer_meta, ReaderLock>);

impl<'a> MetaWriter<'a> {
    pub(crate) fn new(meta: Locked<'a, trace_buffer_meta, ReaderLock>) -> Self {
        Self(meta)
    }

    /// Writes what does not change while the buffer is mapped.
    pub(crate) fn init(&mut self, layout: &Layout) {
        let subbuf_size = (layout.subbuf_pages() * PAGE_SIZE) as u32;
        let struct_len = size_of::<trace_buffer_meta>() as u32;

        self.0.store(fields::meta::META_STRUCT_LEN, struct_len);
        self.0
            .store(fields::meta::NR_SUBBUFS, layout.nr_subbufs() as u32);
        self.0.store(fields::meta::SUBBUF_SIZE, subbuf_size);
        self.0.store(fields::meta::META_PAGE_SIZE, subbuf_size);
    }

    /// Shows `state` and, after all else of it, the id of the reader page. Mirrors
    /// `rb_update_meta_page()`.
    pub(crate) fn publish(mut self, state: &Shown) {
        let meta = &mut self.0;

        meta.store(fields::meta::READER_LOST_EVENTS, state.lost_events);
        meta.store(fields::meta::READER_READ, state.reader_read);
        meta.store(fields::meta::ENTRIES, state.entries);
        meta.store(fields::meta::OVERRUN, state.overrun);
        meta.store(fields::meta::READ, state.read);
        meta.store(fields::meta::PAGES_LOST, state.pages_lost);
        meta.store(fields::meta::PAGES_TOUCHED, state.pages_touched);

        // User space that sees the id of a new reader page must see the fields that were stored
        // with it. Pairs with the acquiring load in reader_id() of the sample and of the
        // kselftests.
        smp_mb(Write);
        meta.store(fields::meta::READER_ID, state.reader_id);
        meta.flush();
    }
}
