// SPDX-License-Identifier: GPL-2.0

//! Functions of `ring_buffer.c`, and the ways between its structs.

use super::{
    fields,
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
    cpu::CpuId,
    cpumask::CpumaskVar,
    sync::atomic::Relaxed, //
};

impl<'a> Shared<'a, ring_buffer_per_cpu> {
    /// Keeps the size of the buffer and of its sub-buffers from changing. May sleep.
    pub(crate) fn disable_resize(self) -> ResizeDisabled<'a> {
        // A resize in progress holds the mutex.
        let _resizing = self.parent().lock(fields::buffer::MUTEX).lock();

        self.atomic(fields::cpu::RESIZE_DISABLED).add(1, Relaxed);
        // INVARIANT: The unit was added just above.
        ResizeDisabled(self)
    }

    /// The buffer of all CPUs that this one is of.
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

impl<'a> Shared<'a, trace_buffer> {
    /// The buffer of `cpu`, if there is one. CPUs may be added, but are never removed.
    pub(crate) fn cpu_buffer(self, cpu: CpuId) -> Option<Shared<'a, ring_buffer_per_cpu>> {
        // SAFETY: The mask is valid for `'a` by the type invariants, and its bits are atomic.
        let mask = unsafe { CpumaskVar::from_raw(&raw const (*self.as_ptr()).cpumask) };

        if !mask.test(cpu) {
            return None;
        }

        let buffers = self.load(fields::buffer::BUFFERS);
        // SAFETY: The array has an entry for each possible CPU. That of a CPU in the mask is set:
        // trace_rb_cpu_prepare() sets it before the bit and, once the system is running, has each
        // CPU execute a barrier in between, so that none is needed here. A snapshot may swap it for
        // another one.
        let buffer = unsafe { buffers.add(cpu.as_u32() as usize).read_volatile() };

        // SAFETY: It is valid, and lives as long as the buffer of all CPUs.
        Some(unsafe { Shared::from_raw(buffer) })
    }
}

/// One unit of the count that disables resizing of a buffer. Takes it back when it is dropped.
///
/// # Invariants
///
/// The value owns one unit of `resize_disabled`.
#[must_use = "resizing is enabled again immediately when the value is unused"]
pub(crate) struct ResizeDisabled<'a>(Shared<'a, ring_buffer_per_cpu>);

impl<'a> ResizeDisabled<'a> {
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
        self.0.atomic(fields::cpu::RESIZE_DISABLED).add(-1, Relaxed);
    }
}

impl Locked<'_, ring_buffer_per_cpu, ReaderLock> {
    /// Brings in the next reader page if the current one is read. Returns whether the reader page
    /// has something to read. Mirrors `rb_get_reader_page()`.
    pub(crate) fn get_reader_page(&mut self) -> bool {
        // SAFETY: The buffer is valid and its `reader_lock` is held by the type invariants.
        !unsafe { bindings::rb_map_get_reader_page(self.as_ptr()) }.is_null()
    }

    /// The head page: the sub-buffer of the ring with the oldest events. Mirrors
    /// `rb_set_head_page()`.
    pub(crate) fn head_page(&mut self) -> Option<RingPage<'_>> {
        // SAFETY: The buffer is valid and its `reader_lock` is held by the type invariants.
        let head = unsafe { bindings::rb_map_set_head_page(self.as_ptr()) };

        if head.is_null() {
            return None;
        }
        // SAFETY: It is a sub-buffer of the ring, none of which is freed while the lock is held.
        let head = unsafe { Shared::from_raw(head) };

        // INVARIANT: The head page is in the ring.
        // SAFETY: The `reader_lock` protects it.
        Some(RingPage(unsafe { Locked::assume(head) }))
    }

    /// The id of the reader page. Mirrors `rb_page_id()`.
    pub(crate) fn reader_id(&self) -> u32 {
        // SAFETY: The buffer is valid and its `reader_lock` is held by the type invariants.
        unsafe { bindings::rb_map_reader_id(self.as_ptr()) as u32 }
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
    pub(crate) fn page(&mut self) -> &mut Locked<'a, buffer_page, ReaderLock> {
        &mut self.0
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

/// Says in the kernel log that `events` events were lost on `cpu` while one was being written.
pub(crate) fn log_commit_overrun(cpu: i32, events: u64) {
    // SAFETY: It is always safe to call this function.
    unsafe { bindings::rb_map_commit_overrun(cpu, events as usize) };
}
