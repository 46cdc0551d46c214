// SPDX-License-Identifier: GPL-2.0

//! The reader page: the sub-buffer that the readers have taken out of the ring.
//!
//! A writer may still be on it, and then appends to it. But the writers do not take it back until a
//! reader swaps it for another one.

use super::{
    bindings::{
        buffer_data_page,
        buffer_page,
        RB_MISSED_EVENTS,
        RB_MISSED_MASK,
        RB_MISSED_STORED,
        RB_WRITE_MASK, //
    },
    raw::{
        fields,
        Locked,
        LookAt,
        ReaderLock, //
    },
    reader_state::MissedEvents, //
};
use core::{
    ffi::c_void,
    mem::offset_of,
    ptr::NonNull,
    slice, //
};
use kernel::{
    cacheflush::flush_kernel_vmap_range,
    page::PAGE_SIZE,
    prelude::*,
    sync::barrier::{
        smp_mb,
        Read,
        Write, //
    }, //
};

/// The size of the header of a sub-buffer, in bytes.
const PAGE_HEADER: usize = offset_of!(buffer_data_page, data);

/// What tells sub-buffers apart, without access to them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageId(usize);

type Subbuf<'a> = Locked<'a, buffer_page, ReaderLock>;

/// The reader page of a buffer.
///
/// # Invariants
///
/// It is the reader page, and its `reader_lock` held, for `'a`.
pub(crate) struct ReaderPage<'a>(LookAt<Subbuf<'a>>);

impl<'a> ReaderPage<'a> {
    pub(crate) fn new(page: LookAt<Subbuf<'a>>) -> Self {
        Self(page)
    }

    pub(crate) fn id(&self) -> PageId {
        PageId(self.0.as_ptr().addr())
    }

    /// How many bytes of it are read.
    pub(crate) fn read(&self) -> usize {
        self.0.load(fields::page::READ) as usize
    }

    /// How many bytes of it are committed. Mirrors `rb_page_size()`.
    pub(crate) fn size(&self) -> usize {
        size(&self.0)
    }

    /// Whether it says that events are missing before it.
    pub(crate) fn is_flagged(&self) -> bool {
        commit(&self.0) & RB_MISSED_EVENTS != 0
    }

    /// The time that its first event is relative to.
    pub(crate) fn time_stamp(&self) -> u64 {
        self.0
            .follow(fields::page::DATA)
            .load(fields::data::TIME_STAMP)
    }

    /// The committed bytes from `start` to `end`, as far as they are on the page.
    pub(crate) fn committed(&self, start: usize, end: usize) -> &[u8] {
        let end = end.min(self.size()).min(capacity(&self.0));
        let start = start.min(end);

        // Orders the load of `commit` before those of the events. Pairs with the smp_wmb() before
        // each store of `commit` in rb_set_commit_to_write().
        smp_mb(Read);

        // SAFETY: The range is within the memory of the page, which has `capacity()` bytes of data.
        // Nobody writes to committed bytes of the reader page for as long as `self` is borrowed:
        // writers append behind them, `CompletePage::mark_missed()` needs the page for itself, and
        // user space maps the page read-only.
        unsafe { slice::from_raw_parts(bytes(&self.0).add(start), end - start) }
    }

    /// Makes the page visible to user space where data caches are not coherent.
    pub(crate) fn flush(&self) {
        let page = self.0.follow(fields::page::DATA);
        let size = subbuf_size(&self.0) as i32;

        // SAFETY: The sub-buffer is kernel memory of this size.
        unsafe {
            flush_kernel_vmap_range(NonNull::<c_void>::new_unchecked(page.as_ptr().cast()), size)
        };
    }

    /// Counts the next `bytes` bytes of the page as read, as far as they are committed.
    pub(crate) fn advance(mut page: Subbuf<'_>, bytes: usize) {
        let read = page.load(fields::page::READ) as usize;

        // Readers in C trust the index.
        let read = read.saturating_add(bytes).min(size(&page));
        page.store(fields::page::READ, read as u32);
    }
}

/// The reader page of a buffer once all its events are committed.
///
/// # Invariants
///
/// The writers have left the page: they do not access it until it is swapped for another one. Their
/// last stores to it are visible.
pub(crate) struct CompletePage<'a>(Subbuf<'a>);

impl<'a> CompletePage<'a> {
    /// The caller must have seen that the writers have left the page.
    pub(crate) fn new(page: Subbuf<'a>) -> Self {
        Self(page)
    }

    /// How many bytes of it are committed.
    pub(crate) fn size(&self) -> usize {
        size(&self.0)
    }

    /// The number of events on it. Mirrors `rb_page_entries()`.
    pub(crate) fn entries(&self) -> usize {
        self.0.load(fields::page::ENTRIES) as usize & RB_WRITE_MASK as usize
    }

    /// Marks on the page that events are missing before it.
    ///
    /// The mark is a flag in `commit`. The number goes behind the last event, if it is known and
    /// there is room.
    pub(crate) fn mark_missed(&mut self, missed: MissedEvents) {
        // Writers fill up a page with padding, which is part of the committed bytes, but from
        // `real_end` on has no event.
        let end = match self.0.load(fields::page::REAL_END) {
            0 => self.size(),
            end => end,
        };
        let mut flags = RB_MISSED_EVENTS;

        if let MissedEvents::Count(count) = missed {
            if capacity(&self.0).saturating_sub(end) >= size_of::<u64>() {
                // SAFETY: By the check the number is within the memory of the page. It overwrites
                // nothing but padding: there is no event from `end` on, and by the type invariants
                // no writer will add one. `&mut self` excludes slices of the page.
                unsafe { bytes(&self.0).add(end).cast::<u64>().write_unaligned(count) };
                flags |= RB_MISSED_STORED;
            }
        }

        // User space that sees the flag must see the number. Pairs with the acquiring load of
        // `commit` there.
        smp_mb(Write);
        // C adds the flags as an int, so that the upper half of the word is set as well.
        self.0
            .follow_mut(fields::page::DATA)
            .store(fields::data::COMMIT, end as i64 | i64::from(flags as i32));
    }
}

/// The lower half of `commit`: the size and the flags.
fn commit(page: &Subbuf<'_>) -> u32 {
    page.follow(fields::page::DATA).load(fields::data::COMMIT) as u32
}

fn size(page: &Subbuf<'_>) -> usize {
    (commit(page) & !RB_MISSED_MASK) as usize
}

/// The size of the sub-buffer's memory, in bytes.
fn subbuf_size(page: &Subbuf<'_>) -> usize {
    PAGE_SIZE << page.load(fields::page::ORDER)
}

/// How many bytes of data it has room for. Mirrors `rb_page_capacity()`.
fn capacity(page: &Subbuf<'_>) -> usize {
    subbuf_size(page) - PAGE_HEADER
}

/// The start of its data.
fn bytes(page: &Subbuf<'_>) -> *mut u8 {
    let data = page.follow(fields::page::DATA).as_ptr();

    data.wrapping_byte_add(PAGE_HEADER).cast()
}
