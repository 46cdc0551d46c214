// SPDX-License-Identifier: GPL-2.0

//! Raw access to C structs that other contexts change at the same time.
//!
//! Writers change a ring buffer at any time and without a lock. So there is no Rust reference to
//! one of its structs or to a field of one. A [`Shared`] is a pointer to such a struct. Its fields
//! are words, loaded one at a time as by `READ_ONCE()`; a [`Field`] names one, with its type and
//! the lock that protects it. A [`Locked`] is a [`Shared`] with that lock held, and the only way to
//! store to the field.
//!
//! The C functions that the mapping calls are here, too, as methods of the struct that they work
//! on.

use super::bindings::{
    self,
    buffer_page,
    ftrace_buffer_info,
    ring_buffer_per_cpu,
    trace_array,
    trace_buffer, //
};
use core::{
    marker::PhantomData,
    mem::{
        align_of,
        offset_of,
        size_of, //
    },
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    cpu::CpuId,
    cpumask::CpumaskVar,
    error::to_result,
    prelude::*,
    sync::{
        atomic::Atomic,
        lock::{
            Backend,
            Lock, //
        },
        SpinLock,
        SpinLockGuard, //
    },
    types::NotThreadSafe, //
};

pub(crate) mod fields;

/// The `reader_lock` of a CPU's buffer.
pub(crate) enum ReaderLock {}

/// The `mapping_lock` of a CPU's buffer.
pub(crate) enum MappingLock {}

/// Both [`MappingLock`] and [`ReaderLock`]. Each of them alone keeps the field from changing.
pub(crate) enum BothLocks {}

/// Fields that Rust only loads.
pub(crate) enum LoadOnly {}

/// Types that are loaded and stored in one access.
///
/// # Safety
///
/// Must be an integer or a raw pointer of at most the size of a machine word.
pub(crate) unsafe trait Word: Copy {}

// SAFETY: It is an integer of at most the size of a machine word.
unsafe impl Word for u32 {}
// SAFETY: It is an integer of at most the size of a machine word.
unsafe impl Word for i32 {}
// SAFETY: It is an integer of the size of a machine word, as the mapping needs 64 bits.
unsafe impl Word for u64 {}
// SAFETY: It is an integer of the size of a machine word, as the mapping needs 64 bits.
unsafe impl Word for i64 {}
// SAFETY: It is an integer of the size of a machine word.
unsafe impl Word for usize {}
// SAFETY: It is a raw pointer.
unsafe impl<T> Word for *mut T {}

/// A field of type `U` in the C struct `T`, protected by the lock `L`.
///
/// # Invariants
///
/// A `T` has a field of type `U`, aligned and of the same size, at `offset`.
pub(crate) struct Field<T, U, L> {
    offset: usize,
    _type: PhantomData<fn(T) -> (U, L)>,
}

impl<T, U, L> Clone for Field<T, U, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, U, L> Copy for Field<T, U, L> {}

impl<T, U, L> Field<T, U, L> {
    /// `_access` does not compile unless the field has the type `U` and is aligned.
    const fn typed(_access: fn(&T) -> &U) -> PhantomData<fn(T) -> (U, L)> {
        PhantomData
    }

    /// As [`Self::typed`], for a field whose size and alignment are enough for a `U`.
    const fn storage<V>(offset: usize, _access: fn(&T) -> &V) -> PhantomData<fn(T) -> (U, L)> {
        assert!(size_of::<V>() == size_of::<U>());
        assert!(offset % align_of::<U>() == 0 && align_of::<T>() >= align_of::<U>());
        PhantomData
    }
}

/// A C struct that other contexts may change at any time.
///
/// # Invariants
///
/// Points to a `T` that is valid for `'a`. C changes those fields that are in [`fields`] by stores
/// of whole words.
pub(crate) struct Shared<'a, T> {
    ptr: NonNull<T>,
    _valid: PhantomData<&'a T>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Creates a [`Shared`] from a pointer that C handed over.
    ///
    /// # Safety
    ///
    /// `ptr` must point to a `T` that is valid for `'a`.
    pub(crate) unsafe fn from_raw(ptr: NonNull<T>) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            ptr,
            _valid: PhantomData,
        }
    }

    /// The pointer, to compare it or to hand it to C.
    pub(crate) fn as_ptr(self) -> *mut T {
        self.ptr.as_ptr()
    }

    #[inline(always)]
    fn word<U, L>(self, field: Field<T, U, L>) -> *mut U {
        // By the invariants of `Field`, this is within the struct.
        self.as_ptr().wrapping_byte_add(field.offset).cast()
    }

    /// Loads a field, as by `READ_ONCE()`.
    #[inline(always)]
    pub(crate) fn load<U: Word, L>(self, field: Field<T, U, L>) -> U {
        // `atomic_load()` is a call of a helper function for each load.
        // SAFETY: By the type invariants of `Self` and of `Field`, the pointer is to a valid and
        // aligned `U`, and any value of a `Word` is valid. A volatile load of a word does not tear.
        unsafe { self.word(field).read_volatile() }
    }

    /// An atomic counter of C.
    pub(crate) fn atomic(self, field: Field<T, i32, Atomic<i32>>) -> &'a Atomic<i32> {
        // SAFETY: By the type invariants the counter is valid for `'a`. C accesses an `atomic_t` by
        // atomic operations only.
        unsafe { Atomic::from_ptr(self.word(field)) }
    }

    /// A lock of C.
    pub(crate) fn lock<B: Backend>(
        self,
        field: Field<T, B::State, Lock<(), B>>,
    ) -> &'a Lock<(), B> {
        // SAFETY: By the type invariants the lock is valid for `'a`, and C initialises the locks of
        // a struct before it hands the struct out.
        unsafe { Lock::from_raw(self.word(field)) }
    }
}

/// A C struct with the lock `L` held, which protects some of its fields.
///
/// # Invariants
///
/// `L` is held for as long as the value lives, by this context.
pub(crate) struct Locked<'a, T, L> {
    shared: Shared<'a, T>,
    _lock: PhantomData<L>,
    _not_send: NotThreadSafe,
}

impl<'a, T, L> Deref for Locked<'a, T, L> {
    type Target = Shared<'a, T>;

    #[inline(always)]
    fn deref(&self) -> &Shared<'a, T> {
        &self.shared
    }
}

impl<'a, T, L> Locked<'a, T, L> {
    /// Creates a [`Locked`] for a lock that is held.
    ///
    /// # Safety
    ///
    /// The caller must hold the lock `L` that protects `shared`, or have the only pointer to it,
    /// for as long as the value lives.
    #[inline(always)]
    pub(crate) unsafe fn assume(shared: Shared<'a, T>) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            shared,
            _lock: PhantomData,
            _not_send: NotThreadSafe,
        }
    }

    /// Stores to a field that the lock protects, as by `WRITE_ONCE()`.
    #[inline(always)]
    pub(crate) fn store<U: Word>(&mut self, field: Field<T, U, L>, value: U) {
        // SAFETY: By the type invariants of `Shared` and of `Field`, the pointer is to a valid and
        // aligned `U`. The lock excludes other stores, and the loads of others are of whole words.
        unsafe { self.shared.word(field).write_volatile(value) }
    }

    /// The struct that a pointer field points to, to look at it.
    ///
    /// C changes these pointers, and frees the structs behind them, only under the lock.
    #[inline(always)]
    pub(crate) fn follow<U>(&self, field: Field<T, *mut U, Link<L>>) -> LookAt<Locked<'_, U, L>> {
        let ptr = self.load(field);

        // SAFETY: The lock is held for as long as `self` is borrowed, by the type invariants. The
        // pointer is to a valid struct that the lock protects by the definition of `Link`.
        LookAt(unsafe { Locked::assume(Shared::from_raw(NonNull::new_unchecked(ptr))) })
    }

    /// As [`Self::follow`], to change the struct.
    #[inline(always)]
    pub(crate) fn follow_mut<U>(&mut self, field: Field<T, *mut U, Link<L>>) -> Locked<'_, U, L> {
        self.follow(field).0
    }
}

/// Pointer fields that are not null, and point to a valid struct for as long as the lock `L` is
/// held, which protects that struct, too.
pub(crate) struct Link<L>(PhantomData<L>);

/// A `T` that is not to be changed through this value.
pub(crate) struct LookAt<T>(T);

impl<T> Deref for LookAt<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'a> Shared<'a, ring_buffer_per_cpu> {
    /// The buffer of all CPUs that this one is of.
    pub(crate) fn parent(self) -> Shared<'a, trace_buffer> {
        let parent = self.load(fields::cpu::BUFFER);

        // SAFETY: It is set before the buffer of a CPU is used, and lives longer.
        unsafe { Shared::from_raw(NonNull::new_unchecked(parent)) }
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
        // SAFETY: The array has an entry for each possible CPU. That of a CPU in the mask is set
        // and stays: trace_rb_cpu_prepare() sets it before the bit, and has each CPU execute a
        // barrier in between, so that none is needed here.
        let buffer = unsafe { buffers.add(cpu.as_u32() as usize).read() };

        // SAFETY: The buffer of a CPU lives as long as the buffer of all CPUs.
        NonNull::new(buffer).map(|buffer| unsafe { Shared::from_raw(buffer) })
    }
}

/// Functions of `ring_buffer.c`.
impl Locked<'_, ring_buffer_per_cpu, ReaderLock> {
    /// Brings in the next reader page if the current one is read. Returns whether the reader page
    /// has something to read. Mirrors `rb_get_reader_page()`.
    pub(crate) fn get_reader_page(&mut self) -> bool {
        // SAFETY: The buffer is valid and its `reader_lock` is held by the type invariants.
        !unsafe { bindings::rb_map_get_reader_page(self.as_ptr()) }.is_null()
    }

    /// The head page: the sub-buffer of the ring with the oldest events. Mirrors
    /// `rb_set_head_page()`.
    pub(crate) fn head_page(&mut self) -> Option<Locked<'_, buffer_page, ReaderLock>> {
        // SAFETY: The buffer is valid and its `reader_lock` is held by the type invariants.
        let head = NonNull::new(unsafe { bindings::rb_map_set_head_page(self.as_ptr()) })?;

        // SAFETY: It is a sub-buffer of the ring, which the lock protects, and none of which is
        // freed while the lock is held.
        Some(unsafe { Locked::assume(Shared::from_raw(head)) })
    }

    /// The id of the reader page. Mirrors `rb_page_id()`.
    pub(crate) fn reader_id(&self) -> u32 {
        // SAFETY: The buffer is valid and its `reader_lock` is held by the type invariants.
        unsafe { bindings::rb_map_reader_id(self.as_ptr()) as u32 }
    }
}

impl Locked<'_, buffer_page, ReaderLock> {
    /// Steps to the sub-buffer behind this one in the ring. Mirrors `rb_inc_page()`.
    #[inline(always)]
    pub(crate) fn step(&mut self) {
        const _: () = assert!(offset_of!(buffer_page, list) == 0);

        // Writers keep flags in the lower bits of the pointer.
        let next = self
            .load(fields::page::NEXT)
            .map_addr(|next| next & !(bindings::RB_FLAG_MASK as usize))
            .cast();

        // SAFETY: A sub-buffer of the ring points to another one, and none of them is freed while
        // the lock is held. C trusts the pointers, too.
        self.shared = unsafe { Shared::from_raw(NonNull::new_unchecked(next)) };
    }
}

/// Says in the kernel log that `events` events were lost on `cpu` while one was being written.
pub(crate) fn log_commit_overrun(cpu: i32, events: u64) {
    // SAFETY: It is always safe to call this function.
    unsafe { bindings::rb_map_commit_overrun(cpu, events as usize) };
}

/// Functions of `trace.c` for an open `trace_pipe_raw`.
impl<'a> Shared<'a, ftrace_buffer_info> {
    /// Creates a [`Shared`] of what is behind an open file.
    ///
    /// # Safety
    ///
    /// `file` must have been opened by `tracing_buffers_open()` and stay open for `'a`.
    pub(crate) unsafe fn from_file(file: *mut kernel::bindings::file) -> Self {
        // SAFETY: By the safety requirements of this function, the file has this struct, which
        // lives until the file is released.
        unsafe {
            let info = bindings::trace_map_info(file);

            Shared::from_raw(NonNull::new_unchecked(info))
        }
    }

    /// The instance of the file.
    pub(crate) fn array(self) -> Shared<'a, trace_array> {
        // SAFETY: The struct is valid by the type invariants. An open file keeps its instance.
        unsafe {
            let array = bindings::trace_map_array(self.as_ptr());

            Shared::from_raw(NonNull::new_unchecked(array))
        }
    }

    /// The buffer of the instance at this moment.
    pub(crate) fn buffer(self) -> Shared<'a, trace_buffer> {
        // SAFETY: The struct is valid by the type invariants. An instance keeps both of the
        // buffers that a snapshot swaps for as long as it lives.
        unsafe {
            let buffer = bindings::trace_map_buffer(self.as_ptr());

            Shared::from_raw(NonNull::new_unchecked(buffer))
        }
    }

    /// The CPU of the file.
    pub(crate) fn cpu(self) -> i32 {
        // SAFETY: The struct is valid by the type invariants.
        unsafe { bindings::trace_map_cpu(self.as_ptr()) }
    }

    /// Whether the memory of the instance's buffer cannot be mapped.
    pub(crate) fn is_unmappable(self) -> bool {
        // SAFETY: The struct is valid by the type invariants.
        unsafe { bindings::trace_map_unmappable(self.as_ptr()) }
    }

    /// Waits until `buffer_percent` of the CPU's buffer is full. May sleep.
    pub(crate) fn wait(self) -> Result {
        // SAFETY: The struct is valid by the type invariants.
        to_result(unsafe { bindings::trace_map_wait(self.as_ptr()) })
    }

    /// Excludes other consumers of the CPU's events. May sleep.
    pub(crate) fn lock_access(self) -> AccessGuard<'a> {
        // SAFETY: The struct is valid by the type invariants.
        unsafe { bindings::trace_map_access_lock(self.as_ptr()) };

        // INVARIANT: It was locked just above.
        AccessGuard {
            info: self,
            _not_send: NotThreadSafe,
        }
    }
}

/// The right to consume the events of a CPU.
///
/// Code that prints an event in place holds it, too, so that the page of the event is not handed
/// back to the writers meanwhile. Mirrors `trace_access_lock()`.
///
/// # Invariants
///
/// This context has locked the access to the CPU of `info`.
#[must_use = "the access unlocks immediately when the guard is unused"]
pub(crate) struct AccessGuard<'a> {
    info: Shared<'a, ftrace_buffer_info>,
    _not_send: NotThreadSafe,
}

impl Drop for AccessGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this context has locked it.
        unsafe { bindings::trace_map_access_unlock(self.info.as_ptr()) };
    }
}

/// Functions of `trace.c` for snapshots of an instance.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
impl<'a> Shared<'a, trace_array> {
    /// Locks what snapshots and mappings of the instance exclude each other by.
    pub(crate) fn lock_snapshots(self) -> SnapshotGuard<'a> {
        // SAFETY: The instance is valid by the type invariants, and C has initialised its lock.
        let lock = unsafe { SpinLock::from_raw(bindings::trace_map_snapshot_lock(self.as_ptr())) };

        SnapshotGuard {
            array: self,
            _guard: lock.lock(),
        }
    }

    /// Whether there is a buffer to swap with.
    pub(crate) fn is_snapshot_allocated(self) -> bool {
        // SAFETY: The instance is valid by the type invariants.
        unsafe { bindings::trace_map_snapshot_allocated(self.as_ptr()) }
    }
}

/// An instance with its `snapshot_trigger_lock` held.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
pub(crate) struct SnapshotGuard<'a> {
    array: Shared<'a, trace_array>,
    _guard: SpinLockGuard<'a, ()>,
}

#[cfg(CONFIG_TRACER_SNAPSHOT)]
impl SnapshotGuard<'_> {
    /// The count of mappings.
    pub(crate) fn map_count(&self) -> u32 {
        // SAFETY: The instance is valid by the type invariants of `Shared`.
        unsafe { bindings::trace_map_count(self.array.as_ptr()) }
    }

    /// Sets the count of mappings.
    pub(crate) fn set_map_count(&mut self, count: u32) {
        // SAFETY: The instance is valid by the type invariants of `Shared`, and the lock is held.
        unsafe { bindings::trace_map_set_count(self.array.as_ptr(), count) };
    }

    /// Whether somebody may take a snapshot.
    pub(crate) fn is_armed(&self) -> bool {
        // SAFETY: The instance is valid by the type invariants of `Shared`.
        unsafe { bindings::trace_map_snapshot_armed(self.array.as_ptr()) }
    }
}
