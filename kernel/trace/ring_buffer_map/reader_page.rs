// SPDX-License-Identifier: GPL-2.0

//! The reader page: the sub-buffer that the readers have taken out of the ring.
//!
//! A writer may still be on it, and then appends to it. But the writers do not take it back until a
//! reader swaps it for another one.

use super::{
    bindings::{
        buffer_data_page,
        buffer_page,
        ring_buffer_per_cpu,
        RB_MISSED_EVENTS,
        RB_MISSED_MASK,
        RB_MISSED_STORED,
        RB_WRITE_MASK, //
    },
    events::Bytes,
    raw::{
        fields,
        CompletePageLock,
        Locked,
        LookAt,
        ReaderLock,
        ReaderLocked,
        Shared, //
    },
    reader_state::MissedEvents, //
};
use core::{
    marker::PhantomData,
    mem::{
        offset_of,
        size_of, //
    },
    ptr::NonNull, //
};
use kernel::{
    page::is_linear_address,
    sync::barrier::{
        smp_mb,
        Read,
        Write, //
    }, //
};

/// The size of the header of a sub-buffer, in bytes.
const PAGE_HEADER: usize = offset_of!(buffer_data_page, data);

type Subbuf<'a> = Locked<'a, buffer_page, ReaderLock>;

/// The reader page of a buffer.
///
/// # Invariants
///
/// It is the reader page, and its `reader_lock` held, for `'a`.
pub(crate) struct ReaderPage<'a>(LookAt<Subbuf<'a>>);

impl<'a> ReaderPage<'a> {
    /// The reader page of `cpu`.
    pub(crate) fn of(cpu: &'a ReaderLocked<'_>) -> Self {
        // INVARIANT: The lock is held by the type invariants of `Locked`.
        Self(cpu.follow(fields::cpu::READER_PAGE))
    }

    /// Its id. `cpu` is the buffer that it is of.
    pub(crate) fn id(&self, cpu: Shared<'_, ring_buffer_per_cpu>) -> u32 {
        cpu.id_of(**self.0)
    }

    /// How many bytes of it are read.
    pub(crate) fn read(&self) -> usize {
        self.0.load(fields::page::READ) as usize
    }

    /// How many bytes of it are committed. Mirrors `rb_page_size()`.
    pub(crate) fn size(&self) -> usize {
        size(&self.0)
    }

    /// How many bytes of it are committed or being written. Mirrors `rb_page_write()`.
    pub(crate) fn write(&self) -> usize {
        self.0.load(fields::page::WRITE) as usize & RB_WRITE_MASK as usize
    }

    /// Whether this is the page that `link` points to.
    pub(crate) fn is(&self, link: *mut buffer_page) -> bool {
        self.0.as_ptr() == link
    }

    /// The time that its first event is relative to.
    pub(crate) fn time_stamp(&self) -> u64 {
        self.0
            .follow(fields::page::DATA)
            .load(fields::data::TIME_STAMP)
    }

    /// Returns the committed bytes from `start` to `end`, limited to those on the page.
    pub(crate) fn committed(&self, start: usize, end: usize) -> Committed<'_> {
        let end = end.min(self.size()).min(capacity(&self.0));
        let start = start.min(end);

        // Orders the load of `commit` before those of the events. Pairs with the smp_wmb() before
        // each store of `commit` in rb_set_commit_to_write().
        smp_mb(Read);

        // INVARIANT: The range is within the memory of the page, which has `capacity()` bytes of
        // data.
        Committed {
            start: bytes(&self.0).wrapping_add(start),
            len: end - start,
            _page: PhantomData,
        }
    }

    /// Whether its memory is in the kernel's linear map.
    pub(crate) fn is_linear(&self) -> bool {
        let data = self.0.follow(fields::page::DATA).as_ptr();

        NonNull::new(data.cast()).is_some_and(is_linear_address)
    }

    /// Makes the page current for user space where data caches are not coherent.
    pub(crate) fn flush(&self) {
        self.0.flush_data();
    }
}

/// Committed bytes of the reader page.
///
/// They do not change, except for the case that `reader_state` names: writers append behind them,
/// `CompletePage::mark_missed()` needs the page for itself, and user space cannot write to it, see
/// `VmaMixedMap::vm_insert_pages()`.
///
/// # Invariants
///
/// The `len` bytes from `start` on are memory of the page for `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Committed<'a> {
    start: *const u8,
    len: usize,
    _page: PhantomData<&'a ReaderPage<'a>>,
}

impl Bytes for Committed<'_> {
    fn len(self) -> usize {
        self.len
    }

    #[inline(always)]
    fn word(self, offset: usize) -> Option<u32> {
        let word = self.start.wrapping_add(offset).cast::<u32>();

        if offset.checked_add(size_of::<u32>())? > self.len || !word.is_aligned() {
            return None;
        }
        // SAFETY: The word is within the bytes, and aligned. If it is changed after all, the load
        // finds some value, as it is volatile and of one word.
        Some(unsafe { word.read_volatile() })
    }

    #[inline(always)]
    fn skip(self, offset: usize) -> Option<Self> {
        // INVARIANT: These are some of the bytes.
        Some(Self {
            start: self.start.wrapping_add(offset),
            len: self.len.checked_sub(offset)?,
            ..self
        })
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
    /// The reader page of `cpu`, if the writers have left it.
    pub(crate) fn of(cpu: &'a mut ReaderLocked<'_>) -> Option<Self> {
        let commit_page = cpu.load(fields::cpu::COMMIT_PAGE);

        // Orders the load of `commit_page` before those of the page. Pairs with the
        // smp_store_release() in rb_set_commit_to_write(), which steps to the next page after the
        // last commit to this one. The stores of `mark_missed()` go where loads behind the barrier
        // say, those of `real_end` and `commit`.
        smp_mb(Read);

        let page = cpu.follow_mut(fields::cpu::READER_PAGE);

        if commit_page == page.as_ptr() {
            return None;
        }
        // INVARIANT: The step was seen, so that the writers have left the page. They do not come
        // back to the reader page.
        Some(Self(page))
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
    /// there is room. Returns by how many bytes the size shrinks: padding that nobody reads now.
    pub(crate) fn mark_missed(&mut self, missed: MissedEvents) -> usize {
        let size = self.size();
        // Writers fill a page up with padding, which counts as committed. There is no event from
        // `real_end` on.
        let end = match self.0.load(fields::page::REAL_END) {
            0 => size,
            end => end.min(size),
        };

        // The size must not become less than what is read.
        if self.0.load(fields::page::READ) as usize > end {
            return 0;
        }

        let room = capacity(&self.0).saturating_sub(end) >= size_of::<u64>();
        let data = self.0.follow(fields::page::DATA);
        let mut flags = RB_MISSED_EVENTS;

        // SAFETY: The number is written only if it is within the page. From `end` on there is only
        // padding, and by the type invariants the writers have left the page. `self` borrows the
        // reader exclusively, so nobody has bytes of it. The lock is held by the type invariants,
        // and the size that is stored is that of the events.
        let mut data = unsafe {
            if let (MissedEvents::Count(count), true) = (missed, room) {
                bytes(&self.0).add(end).cast::<u64>().write_unaligned(count);
                flags |= RB_MISSED_STORED;
            }
            Locked::<_, CompletePageLock>::assume(**data, ())
        };

        // User space that sees the flag must see the number. Pairs with the acquiring load in
        // subbuf_commit() of the kselftests.
        smp_mb(Write);
        // C adds the flags as an int, so that the upper half of the word is set as well.
        data.store(fields::data::COMMIT, end as i64 | i64::from(flags as i32));
        size - end
    }
}

/// The lower half of `commit`: the size and the flags.
fn commit(page: &Subbuf<'_>) -> u32 {
    page.follow(fields::page::DATA).load(fields::data::COMMIT) as u32
}

fn size(page: &Subbuf<'_>) -> usize {
    (commit(page) & !RB_MISSED_MASK) as usize
}

/// How many bytes of data it has room for. Mirrors `rb_page_capacity()`.
fn capacity(page: &Subbuf<'_>) -> usize {
    page.subbuf_size() - PAGE_HEADER
}

/// The start of its data.
fn bytes(page: &Subbuf<'_>) -> *mut u8 {
    let data = page.follow(fields::page::DATA).as_ptr();

    data.wrapping_byte_add(PAGE_HEADER).cast()
}
