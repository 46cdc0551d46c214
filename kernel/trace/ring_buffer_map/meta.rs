// SPDX-License-Identifier: GPL-2.0

//! The meta-page: what user space reads of a mapped buffer's state.
//!
//! User space may read the page at any time, on any CPU, with no lock. So each field is written
//! with one store that does not tear, and the id of the reader page is written last.

use super::layout::Layout;
use core::{
    ffi::c_void,
    mem::{
        offset_of,
        size_of,
        ManuallyDrop, //
    },
    ptr::NonNull, //
};
use kernel::{
    alloc::flags::GFP_USER,
    bindings,
    page::{
        flush_kernel_vmap_range,
        BorrowedPage,
        Page,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::barrier::{
        smp_mb,
        Write, //
    },
    uapi::trace_buffer_meta, //
};

// The layout is ABI: it is that of `include/uapi/linux/trace_mmap.h`, for ever.
const _: () = {
    assert!(size_of::<trace_buffer_meta>() == 80);
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
pub(crate) struct Statistics {
    /// The number of events that were lost before the reader page; `None` if it is as it was.
    pub(crate) lost: Option<u64>,
    pub(crate) reader_id: u32,
    /// Bytes consumed of the reader page.
    pub(crate) reader_read: u32,
    pub(crate) entries: u64,
    pub(crate) overrun: u64,
    pub(crate) read: u64,
    pub(crate) pages_lost: u64,
    pub(crate) pages_touched: u64,
}

/// A meta-page that C's per-CPU buffer or a [`MetaPage`] owns.
///
/// # Invariants
///
/// Points to the start of a page that lives as long as the value does. The kernel accesses it only
/// under the `reader_lock` of its buffer, or before the buffer has it; user space cannot write.
#[derive(Clone, Copy)]
pub(crate) struct MetaRef(NonNull<trace_buffer_meta>);

/// Stores to a field of the meta-page, as `WRITE_ONCE()`: user space sees the old value or the new.
macro_rules! store {
    ($meta:expr, $($field:ident).+, $value:expr) => {
        // SAFETY: By the type invariants of `MetaRef` the struct is valid, and no other kernel
        // access to it is concurrent.
        unsafe { (&raw mut (*$meta.0.as_ptr()).$($field).+).write_volatile($value) }
    };
}

impl MetaRef {
    /// # Safety
    ///
    /// `page` must be from [`MetaPage::into_raw`] and not be freed while the value is used.
    pub(crate) unsafe fn from_raw(page: NonNull<trace_buffer_meta>) -> Self {
        // INVARIANT: By the safety requirements, and as `MetaPage` lets nobody else at it.
        Self(page)
    }

    /// Writes what does not change while the buffer is mapped.
    fn init(self, layout: &Layout) {
        let size = layout.subbuf_pages() * PAGE_SIZE;
        let struct_len = size_of::<trace_buffer_meta>();

        store!(self, meta_struct_len, struct_len as u32);
        store!(self, nr_subbufs, layout.nr_subbufs() as u32);
        store!(self, subbuf_size, size as u32);
        store!(self, meta_page_size, size as u32);
    }

    /// The id of the reader page that was shown last.
    pub(crate) fn reader_id(self) -> u32 {
        // SAFETY: By the type invariants the struct is valid, and no write to it is concurrent.
        unsafe { (&raw const (*self.0.as_ptr()).reader.id).read_volatile() }
    }

    /// Shows `stats`, the id of the reader page last. Mirrors `rb_update_meta_page()`.
    pub(crate) fn publish(self, stats: &Statistics) {
        if let Some(lost) = stats.lost {
            store!(self, reader.lost_events, lost);
        }
        store!(self, reader.read, stats.reader_read);
        store!(self, entries, stats.entries);
        store!(self, overrun, stats.overrun);
        store!(self, read, stats.read);
        store!(self, pages_lost, stats.pages_lost);
        store!(self, pages_touched, stats.pages_touched);
        // Who sees the id of a new page sees what belongs to it.
        smp_mb(Write);
        store!(self, reader.id, stats.reader_id);

        // SAFETY: By the type invariants this is a page of kernel memory.
        unsafe { flush_kernel_vmap_range(self.0.cast(), PAGE_SIZE) };
    }

    /// The page itself, to map it.
    pub(crate) fn page<'a>(&'a self) -> BorrowedPage<'a> {
        // SAFETY: The page is in the linear map, as `MetaPage` has it from the page allocator, and
        // lives as long as `self` by the type invariants.
        unsafe { BorrowedPage::from_address(self.0.cast()) }
    }
}

/// An owned meta-page.
///
/// # Invariants
///
/// As those of [`MetaRef`]; the page is of the page allocator, and is freed with the value.
pub(crate) struct MetaPage(NonNull<trace_buffer_meta>);

impl MetaPage {
    /// Allocates the meta-page of a buffer. May sleep. Mirrors `rb_alloc_meta_page()`.
    pub(crate) fn new(layout: &Layout) -> Result<Self> {
        let page = Page::alloc_page(GFP_USER | __GFP_ZERO)?;
        let address = page.address().ok_or(ENOMEM)?;

        // INVARIANT: The page is valid, zeroed, and `Page` does not free it any more.
        let _ = ManuallyDrop::new(page);
        let this = Self(address.cast());

        this.get().init(layout);
        Ok(this)
    }

    /// Borrows the page.
    pub(crate) fn get(&self) -> MetaRef {
        MetaRef(self.0)
    }

    /// Hands the page over to C's per-CPU buffer.
    pub(crate) fn into_raw(self) -> NonNull<trace_buffer_meta> {
        ManuallyDrop::new(self).0
    }

    /// Takes the page back.
    ///
    /// # Safety
    ///
    /// `page` must be from [`Self::into_raw`], and each may be taken back once only.
    pub(crate) unsafe fn from_raw(page: NonNull<trace_buffer_meta>) -> Self {
        // INVARIANT: By the safety requirements.
        Self(page)
    }
}

impl Drop for MetaPage {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the page is of the page allocator and nobody uses it any
        // more; its order is 0.
        unsafe { bindings::free_pages(self.0.cast::<c_void>().as_ptr() as usize, 0) };
    }
}
