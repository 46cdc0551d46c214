// SPDX-License-Identifier: GPL-2.0

//! Functions of `ring_buffer.c`, and how to get from one of its structs to another.

use super::{
    fields,
    IdLock,
    Locked,
    ReaderLock,
    Shared, //
};
use crate::bindings::{
    self,
    buffer_page,
    ring_buffer_per_cpu,
    trace_buffer, //
};
use core::mem::offset_of;
use kernel::{
    cacheflush::flush_kernel_vmap_range,
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

    /// The id of the sub-buffer `page` if the buffer is persistent: the place of the page in its
    /// memory. Mirrors `rb_page_id()`.
    pub(crate) fn persistent_id(self, page: Shared<'_, buffer_page>) -> Option<u32> {
        if self.load(fields::cpu::RING_META).is_null() {
            return None;
        }

        // SAFETY: Both are valid by the type invariants. For a persistent buffer the function only
        // computes: if the page is not of this buffer, the id is meaningless.
        Some(unsafe { bindings::rb_map_page_id(self.as_ptr(), page.as_ptr(), 0) as u32 })
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
        // Orders what was loaded of the sub-buffers before the store. Pairs with the tests in
        // ring_buffer_resize() and ring_buffer_subbuf_order_set(), which free sub-buffers only if
        // they find 0.
        self.0
            .atomic(fields::cpu::RESIZE_DISABLED)
            .fetch_add(-1, Release);
    }
}

impl Locked<'_, ring_buffer_per_cpu, ReaderLock> {
    /// The head page: the sub-buffer of the ring with the oldest events. Mirrors
    /// `rb_set_head_page()`.
    pub(crate) fn head_page(&mut self) -> Option<RingPage<'_>> {
        // SAFETY: The buffer is valid and its `reader_lock` is held by the type invariants.
        // The result is null or a sub-buffer of the ring, none of which is freed while the lock is
        // held, which protects it.
        unsafe {
            let head = bindings::rb_map_set_head_page(self.as_ptr());

            // INVARIANT: The head page is in the ring.
            (!head.is_null()).then(|| RingPage(Locked::assume(Shared::from_raw(head))))
        }
    }

    /// The id of the reader page. Mirrors `rb_page_id()`.
    pub(crate) fn reader_id(&self) -> u32 {
        let page = self.follow(fields::cpu::READER_PAGE);

        self.persistent_id(**page)
            .unwrap_or_else(|| id_of_word(page.load(fields::page::ID)))
    }
}

impl Locked<'_, buffer_page, ReaderLock> {
    /// The size of the sub-buffer's memory, in bytes.
    pub(crate) fn subbuf_size(&self) -> usize {
        PAGE_SIZE << self.load(fields::page::ORDER)
    }

    /// Makes the memory of the sub-buffer current for user space where data caches are not
    /// coherent.
    pub(crate) fn flush_data(&self) {
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

/// A sub-buffer of the ring, with the `reader_lock` of the buffer held.
///
/// # Invariants
///
/// The sub-buffer is in the ring, so that it is not the reader page.
pub(crate) struct RingPage<'a>(Locked<'a, buffer_page, ReaderLock>);

impl<'a> RingPage<'a> {
    /// The sub-buffer itself.
    pub(crate) fn page(&self) -> Shared<'a, buffer_page> {
        *self.0
    }

    /// Steps to the sub-buffer behind this one. Mirrors `rb_inc_page()`.
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

        // INVARIANT: What a sub-buffer of the ring points to is in the ring.
        // SAFETY: By the type invariants it points to another one, none of which is freed while the
        // lock is held.
        self.0.shared = unsafe { Shared::from_raw(next) };
    }
}

/// Gives the sub-buffers of a buffer their ids: 0 to the reader page, and the next ones to those of
/// the ring, from the head page on.
///
/// # Invariants
///
/// The buffer is not persistent, and its `reader_lock` is held for `'a`. `page` is the reader page
/// or a page of the ring. `id` fits into its bit-field.
pub(crate) struct Numbering<'a> {
    page: *mut buffer_page,
    /// The one behind `page`.
    next: RingPage<'a>,
    head: Shared<'a, buffer_page>,
    id: u32,
}

impl<'a> Numbering<'a> {
    /// Begins at the reader page.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the buffer is persistent. Its sub-buffers have ids already.
    /// - `EIO`: the list of sub-buffers is corrupt.
    pub(crate) fn new(cpu: &'a mut Locked<'_, ring_buffer_per_cpu, ReaderLock>) -> Result<Self> {
        if !cpu.load(fields::cpu::RING_META).is_null() {
            return Err(EINVAL);
        }

        let page = cpu.load(fields::cpu::READER_PAGE);
        let next = cpu.head_page().ok_or(EIO)?;

        // INVARIANT: It was tested above that the buffer is not persistent. The lock is held for
        // as long as `cpu` is borrowed.
        Ok(Self {
            page,
            head: next.page(),
            next,
            id: 0,
        })
    }

    /// Gives the next sub-buffer its id, and returns it.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Shared<'a, buffer_page> {
        // SAFETY: By the type invariants it is a sub-buffer of the buffer, whose `reader_lock` is
        // held for `'a`, and which is not persistent. Nor is it a remote one, by the invariants of
        // the `Shared` that `new()` was called with. The word has an id only.
        let page = unsafe {
            let page = Shared::from_raw(self.page);

            Locked::<_, IdLock>::assume(page).store(fields::page::ID, word_of_id(self.id));
            page
        };

        self.id = self.id.wrapping_add(1) & (u32::MAX >> UNUSED_ID_BITS);
        // INVARIANT: It is a page of the ring.
        self.page = self.next.page().as_ptr();
        self.next.step();
        page
    }

    /// Whether each sub-buffer of the ring has got one id: the next one is the head page, which has
    /// kept the id that it got as the first.
    pub(crate) fn is_complete(&self) -> bool {
        self.page == self.head.as_ptr() && id_of_word(self.head.load(fields::page::ID)) == 1
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
        for id in [0, 1, 0x1234_5678, (1 << RB_STATIC_BITS) - 1] {
            assert!(id_of_word(word_of_id(id)) == id);
            assert!(id_of_word(word_of_id(id) | !word_of_id(u32::MAX >> UNUSED_ID_BITS)) == id);
        }
    }
}
