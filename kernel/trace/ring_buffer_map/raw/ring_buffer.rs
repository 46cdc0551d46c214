// SPDX-License-Identifier: GPL-2.0

//! Functions of `ring_buffer.c`, and how to get from one of its structs to another.

use super::{
    fields,
    IdLock,
    Locked,
    ReaderLock,
    ReaderLocked,
    Shared, //
};
use crate::bindings::{
    self,
    buffer_page,
    ring_buffer_per_cpu,
    trace_buffer, //
};
use core::{
    mem::offset_of,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    cacheflush::{
        flush_kernel_vmap_range,
        FLUSHES_KERNEL_VMAP_RANGE, //
    },
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::{
        Relaxed,
        Release, //
    }, //
};

/// A CPU's buffer that no snapshot swaps for another one.
///
/// # Invariants
///
/// The `struct trace_buffer` that the buffer belongs to stays the same for `'a`. If the buffer is
/// persistent, its memory is freed only by giving back a reference to each page, or once user space
/// has none.
#[derive(Clone, Copy)]
pub(crate) struct Settled<'a>(Shared<'a, ring_buffer_per_cpu>);

impl<'a> Settled<'a> {
    /// Creates a [`Settled`].
    ///
    /// # Safety
    ///
    /// - For `'a`, there must be no snapshot of the instance that the buffer belongs to.
    /// - If the buffer is persistent, its memory must be freed as the invariants say.
    pub(crate) unsafe fn assume(cpu: Shared<'a, ring_buffer_per_cpu>) -> Self {
        // INVARIANT: Only a snapshot gives a buffer to another `struct trace_buffer`. The memory is
        // freed as it must be by the safety requirements.
        Self(cpu)
    }

    /// The buffer.
    pub(crate) fn cpu_buffer(self) -> Shared<'a, ring_buffer_per_cpu> {
        self.0
    }

    /// Keeps the size of the buffer and of its sub-buffers from changing. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if resizing is disabled too often.
    pub(crate) fn disable_resize(self) -> Result<ResizeDisabled<'a>> {
        /// Below `RESET_BIT`, which C adds for a while, but with the mutex held.
        const MAX: i32 = 1 << 29;

        let parent = self.0.parent();
        // A resize in progress holds the mutex.
        let _resizing = parent.lock(fields::buffer::MUTEX).lock();
        let count = self.0.atomic(fields::cpu::RESIZE_DISABLED);

        // Units that are left are not taken back, so that the count must not wrap.
        if !(0..MAX).contains(&count.load(Relaxed)) {
            return Err(EBUSY);
        }
        count.add(1, Relaxed);

        // INVARIANT: The unit was added just above.
        Ok(ResizeDisabled(self.0))
    }
}

impl<'a> Shared<'a, ring_buffer_per_cpu> {
    /// The `struct trace_buffer` that the buffer belongs to.
    pub(crate) fn parent(self) -> Shared<'a, trace_buffer> {
        let parent = self.load(fields::cpu::BUFFER);

        // SAFETY: A buffer of a CPU always has one. It may change, as taking a snapshot swaps the
        // buffers of a CPU between two of them, but both live for as long as the instance does.
        unsafe { Shared::from_raw(parent) }
    }

    /// Whether the buffer is persistent. Its sub-buffers then have ids by their places in its
    /// memory.
    pub(crate) fn is_persistent(self) -> bool {
        !self.load(fields::cpu::RING_META).is_null()
    }

    /// The id of the sub-buffer `page`. Mirrors `rb_page_id()`.
    #[inline(always)]
    pub(crate) fn id_of(self, page: Shared<'_, buffer_page>) -> u32 {
        if !self.is_persistent() {
            return id_of_word(page.load(fields::page::ID));
        }

        // SAFETY: Both are valid by the type invariants. For a persistent buffer the function only
        // computes: if the page is not of this buffer, the id is meaningless.
        unsafe { bindings::rb_map_page_id(self.as_ptr(), page.as_ptr(), 0) as u32 }
    }
}

/// One unit of the count that disables resizing of a buffer. Takes it back when it is dropped.
///
/// # Invariants
///
/// The value owns one unit of `resize_disabled`. The buffer was [`Settled`] when it was added.
#[must_use = "resizing is enabled again immediately when the value is unused"]
pub(crate) struct ResizeDisabled<'a>(Shared<'a, ring_buffer_per_cpu>);

impl<'a> ResizeDisabled<'a> {
    /// The buffer.
    pub(crate) fn cpu_buffer(&self) -> Shared<'a, ring_buffer_per_cpu> {
        self.0
    }

    /// Whether it is for `cpu`.
    pub(crate) fn is_of(&self, cpu: Shared<'_, ring_buffer_per_cpu>) -> bool {
        self.0.as_ptr() == cpu.as_ptr()
    }

    /// Leaves the unit to the buffer.
    pub(crate) fn leave(self) {
        core::mem::forget(self);
    }

    /// Takes over a unit that was left to the buffer.
    ///
    /// # Safety
    ///
    /// [`Self::leave`] must have left a unit to `cpu`, which was not taken over yet.
    pub(crate) unsafe fn take_over(cpu: Shared<'a, ring_buffer_per_cpu>) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self(cpu)
    }
}

impl Drop for ResizeDisabled<'_> {
    fn drop(&mut self) {
        // Orders what was loaded of the sub-buffers, and the store of what is kept for the next
        // mapping, before the store. Pairs with the tests in ring_buffer_resize() and
        // ring_buffer_subbuf_order_set(), which free sub-buffers only if they find 0, and with the
        // barrier in rb_map_forget().
        self.0
            .atomic(fields::cpu::RESIZE_DISABLED)
            .fetch_add(-1, Release);
    }
}

impl ReaderLocked<'_> {
    /// A sub-buffer of the ring: the head page, if the writer has not moved it since a reader last
    /// looked for it.
    pub(crate) fn ring_page(&mut self) -> RingPage<'_> {
        // INVARIANT: C's `head_page` is in the ring while the lock is held. The reader that takes a
        // sub-buffer out of the ring moves it to the next one.
        RingPage(self.follow_mut(fields::cpu::HEAD_PAGE))
    }

    /// Gives the reader page the id `id`.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the buffer is persistent, so that its sub-buffers have ids; there is no such id.
    pub(crate) fn number_reader(&mut self, id: usize) -> Result {
        let mut page = self.follow_mut(fields::cpu::READER_PAGE).for_id()?;

        for id in Id::range(id, 1)? {
            page.set_id(id);
        }
        Ok(())
    }
}

impl<'a> Locked<'a, buffer_page, ReaderLock> {
    /// The sub-buffer, to give it an id.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it is in the memory of a persistent buffer, so that it has an id.
    #[inline(always)]
    fn for_id(self) -> Result<Locked<'a, buffer_page, IdLock>> {
        if has_other_bits(self.load(fields::page::ID)) {
            return Err(EINVAL);
        }
        // SAFETY: The lock is held by the type invariants. The other bits are 0, and C does not
        // change them after it has made the sub-buffer. Nor is this a sub-buffer of a remote
        // buffer, by the invariants of `Shared`. `set_id()` stores an id only.
        Ok(unsafe { Locked::assume(*self, ()) })
    }

    /// The size of the sub-buffer's memory, in bytes.
    pub(crate) fn subbuf_size(&self) -> usize {
        PAGE_SIZE << self.load(fields::page::ORDER)
    }

    /// Makes the memory of the sub-buffer current for user space where data caches are not
    /// coherent.
    pub(crate) fn flush_data(&self) {
        if !FLUSHES_KERNEL_VMAP_RANGE {
            return;
        }

        let data = self.follow(fields::page::DATA);

        // SAFETY: The sub-buffer is kernel memory of this size, which is at most some MiB.
        unsafe { flush_kernel_vmap_range(data.as_ptr().cast(), self.subbuf_size()) };
    }
}

const UNUSED_ID_BITS: u32 = u32::BITS - bindings::RB_STATIC_BITS;

/// The bit-fields of a sub-buffer with `id` that is not in the memory of a persistent buffer.
fn word_of_id(id: u32) -> u32 {
    if cfg!(target_endian = "little") {
        id
    } else {
        id << UNUSED_ID_BITS
    }
}

/// The id in the bit-fields of a sub-buffer.
fn id_of_word(word: u32) -> u32 {
    if cfg!(target_endian = "little") {
        word & (u32::MAX >> UNUSED_ID_BITS)
    } else {
        word >> UNUSED_ID_BITS
    }
}

/// Whether the bit-fields of a sub-buffer have more than an id: it is in persistent memory.
fn has_other_bits(word: u32) -> bool {
    word != word_of_id(id_of_word(word))
}

/// An id.
///
/// # Invariants
///
/// The bit-field of a sub-buffer has room for it.
#[derive(Clone, Copy)]
struct Id(u32);

impl Id {
    /// The `nr` ids from `first` on.
    ///
    /// # Errors
    ///
    /// `EINVAL`: there are fewer.
    fn range(first: usize, nr: usize) -> Result<impl Iterator<Item = Self>> {
        let end = first.checked_add(nr).ok_or(EINVAL)?;

        if end > 1 << bindings::RB_STATIC_BITS {
            return Err(EINVAL);
        }
        // INVARIANT: It was tested that there is room for the last one.
        Ok((first..end).map(|id| Self(id as u32)))
    }
}

impl Locked<'_, buffer_page, IdLock> {
    /// Gives the sub-buffer its id.
    #[inline(always)]
    fn set_id(&mut self, id: Id) {
        self.store(fields::page::ID, word_of_id(id.0));
    }
}

/// A sub-buffer of the ring, with the lock `L` held: the `reader_lock` of the buffer.
///
/// # Invariants
///
/// The sub-buffer is in the ring, so that it is not the reader page.
pub(crate) struct RingPage<'a, L = ReaderLock>(Locked<'a, buffer_page, L>);

impl<'a> RingPage<'a> {
    /// The sub-buffer, to give it and those that follow ids. As [`Locked::for_id`].
    fn for_ids(self) -> Result<RingPage<'a, IdLock>> {
        // INVARIANT: It is the same one.
        Ok(RingPage(self.0.for_id()?))
    }
}

impl<'a, L> RingPage<'a, L> {
    /// The sub-buffer itself.
    pub(crate) fn page(&self) -> Shared<'a, buffer_page> {
        *self.0
    }

    /// Steps to the next sub-buffer. Mirrors `rb_inc_page()`.
    ///
    /// As in C, the pointers of the ring are trusted.
    #[inline(always)]
    pub(crate) fn step(&mut self) {
        const _: () = assert!(offset_of!(buffer_page, list) == 0);

        // Writers keep flags in the lower bits of the pointer.
        let next = self
            .0
            .load(fields::page::NEXT)
            .map_addr(|next| next & !(bindings::RB_FLAG_MASK as usize))
            .cast();

        // INVARIANT: What a sub-buffer of the ring points to is in the ring. All of them are in
        // persistent memory, or none is, so that `L` is good for each.
        // SAFETY: By the type invariants it points to another one, none of which is freed while the
        // lock is held.
        self.0.shared = unsafe { Shared::from_raw(next) };
    }
}

/// A place in the ring of a buffer, for a walk in several critical sections.
///
/// Readers may swap sub-buffers meanwhile. All but the reader page are in the ring, so a place
/// whose sub-buffer has become the reader page is lost. The walk then goes on elsewhere in the
/// ring, and has to go round it once more.
///
/// # Invariants
///
/// `page` is null, or a sub-buffer of the buffer that `resize` is of. So it is not freed.
pub(crate) struct RingPlace<'a> {
    page: *mut buffer_page,
    resize: ResizeDisabled<'a>,
}

impl<'a> RingPlace<'a> {
    /// Any place in the ring of the buffer that `resize` is of.
    pub(crate) fn new(resize: ResizeDisabled<'a>) -> Self {
        // INVARIANT: It is null.
        Self {
            page: ptr::null_mut(),
            resize,
        }
    }

    /// Whether it is a place of `cpu`.
    pub(crate) fn is_in(&self, cpu: Shared<'_, ring_buffer_per_cpu>) -> bool {
        self.resize.is_of(cpu)
    }

    /// Gives back what disables resizing.
    pub(crate) fn into_resize(self) -> ResizeDisabled<'a> {
        self.resize
    }

    /// Goes to `page`, which is in the ring of the buffer.
    fn go_to<L>(&mut self, page: &RingPage<'_, L>) {
        // INVARIANT: The callers found it in the ring of this buffer.
        self.page = page.page().as_ptr();
    }

    /// The sub-buffer that is at this place of `cpu`.
    ///
    /// # Errors
    ///
    /// `EINVAL`: `cpu` is another buffer.
    pub(crate) fn here<'l>(&mut self, cpu: &'l mut ReaderLocked<'_>) -> Result<RingPage<'l>> {
        if !self.is_in(**cpu) {
            return Err(EINVAL);
        }
        if self.page.is_null() || self.page == cpu.load(fields::cpu::READER_PAGE) {
            let page = cpu.ring_page();

            self.go_to(&page);
            return Ok(page);
        }
        // INVARIANT: It is not the reader page, so it is in the ring.
        // SAFETY: By the type invariants it is a sub-buffer of this buffer, which is not freed. The
        // `reader_lock` of the buffer is held for `'l`.
        Ok(RingPage(unsafe {
            Locked::assume(Shared::from_raw(self.page), ())
        }))
    }

    /// Goes to the next place.
    ///
    /// # Errors
    ///
    /// `EINVAL`: `cpu` is another buffer.
    pub(crate) fn next(&mut self, cpu: &mut ReaderLocked<'_>) -> Result {
        let mut page = self.here(cpu)?;

        page.step();
        self.go_to(&page);
        Ok(())
    }

    /// Gives the sub-buffers from here on the ids from `first` on, enters them into `entries`, and
    /// goes to the next one.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the buffer is persistent, so that its sub-buffers have ids; it is another one;
    /// there are fewer ids.
    #[inline(always)]
    pub(crate) fn number(
        &mut self,
        cpu: &mut ReaderLocked<'_>,
        first: usize,
        entries: &mut [Option<NonNull<buffer_page>>],
    ) -> Result {
        let ids = Id::range(first, entries.len())?;
        let mut page = self.here(cpu)?.for_ids()?;

        for (id, entry) in ids.zip(entries) {
            page.0.set_id(id);
            *entry = NonNull::new(page.page().as_ptr());
            page.step();
        }
        self.go_to(&page);
        Ok(())
    }
}

/// Logs that `events` events were lost on `cpu` while one was being written.
pub(crate) fn log_commit_overrun(cpu: i32, events: u64) {
    // SAFETY: It is always safe to call this function.
    unsafe { bindings::rb_map_commit_overrun(cpu, events as usize) };
}

#[kunit_tests(ring_buffer_map_id)]
mod tests {
    use super::*;
    use crate::bindings::{
        __BindgenBitfieldUnit,
        RB_STATIC_BITS, //
    };

    #[test]
    fn ids_are_where_bindgen_has_them() {
        for id in [0, 1, 0x1234_5678, (1 << RB_STATIC_BITS) - 1] {
            let word = __BindgenBitfieldUnit::new(word_of_id(id).to_ne_bytes());

            assert!(word == buffer_page::new_bitfield_1(id, 0));
        }
    }

    #[test]
    fn ids_are_found_beside_other_bits() {
        let others = !word_of_id(u32::MAX >> UNUSED_ID_BITS);

        for id in [0, 1, 0x1234_5678, (1 << RB_STATIC_BITS) - 1] {
            assert!(id_of_word(word_of_id(id)) == id);
            assert!(!has_other_bits(word_of_id(id)));
            assert!(id_of_word(word_of_id(id) | others) == id);
            assert!(has_other_bits(word_of_id(id) | others));
        }
    }
}
