// SPDX-License-Identifier: GPL-2.0

//! Raw access to C structs that other contexts change at the same time.
//!
//! Writers change a ring buffer at any time and without a lock. So there is no Rust reference to
//! one of its structs or to a field of one. A [`Shared`] is a pointer to such a struct. Its fields
//! are words, loaded one at a time as by `READ_ONCE()`. A [`Field`] names one, with its type and the
//! lock that protects it. A [`Locked`] is a [`Shared`] with that lock held, and the only way to
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
        size_of,
        ManuallyDrop, //
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
        atomic::{
            Atomic,
            Relaxed, //
        },
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

// The locks of fields. Code that creates a [`Locked`] for one of them must keep to what is said here
// of the values that it stores.

/// The `reader_lock` of a CPU's buffer. Any value may be stored.
pub(crate) enum ReaderLock {}

/// The [`ReaderLock`]. The value is an index into the committed bytes of the page.
pub(crate) enum ReaderIndex {}

/// The [`ReaderLock`], on a page that the writers have left. The value is a size of the page's data
/// and flags.
pub(crate) enum CompletePageLock {}

/// The `mapping_lock` of a CPU's buffer. The number of users is 0 if and only if there is no state.
pub(crate) enum MappingLock {}

/// Both [`MappingLock`] and [`ReaderLock`]. Each of them alone keeps the field from changing. The
/// pointer is to a state, or null.
pub(crate) enum BothLocks {}

/// Fields that Rust only loads.
pub(crate) enum LoadOnly {}

// 64-bit fields are words.
const _: () = assert!(usize::BITS == 64);

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
// SAFETY: It is an integer of the size of a machine word, see above.
unsafe impl Word for u64 {}
// SAFETY: It is an integer of the size of a machine word, see above.
unsafe impl Word for i64 {}
// SAFETY: It is an integer of the size of a machine word.
unsafe impl Word for usize {}
// SAFETY: It is a raw pointer.
unsafe impl<T> Word for *mut T {}

/// A field of type `U` in the C struct `T`, protected by the lock `L`.
///
/// # Invariants
///
/// - A `T` has a field of type `U`, aligned and of the same size, at `offset`.
/// - Nobody stores to the field without `L`. A holder of `L` may store any `U` that `L` allows.
/// - If `L` is a [`Link`], the field is not null, and points to a valid struct that the lock of the
///   [`Link`] protects, for as long as that lock is held.
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
    /// Creates a [`Field`].
    ///
    /// # Safety
    ///
    /// - `offset` must be that of the field that `_type` was made for.
    /// - The field must be protected as the invariants of the type say.
    const unsafe fn new(offset: usize, _type: PhantomData<fn(T) -> (U, L)>) -> Self {
        // INVARIANT: By the safety requirements, and as `typed()` and `storage()` check the type.
        Self { offset, _type }
    }

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
    /// `ptr` must point to a `T` that is valid for `'a`, so that it is not null.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(ptr: *mut T) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            // SAFETY: By the safety requirements of this function.
            ptr: unsafe { NonNull::new_unchecked(ptr) },
            _valid: PhantomData,
        }
    }

    /// The pointer, to compare it or to hand it to C.
    pub(crate) fn as_ptr(self) -> *mut T {
        self.ptr.as_ptr()
    }

    /// The pointer, to keep it.
    pub(crate) fn as_non_null(self) -> NonNull<T> {
        self.ptr
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
    fn atomic(self, field: Field<T, i32, Atomic<i32>>) -> &'a Atomic<i32> {
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
/// For as long as the value lives, this context holds `L`, or has the only pointer to the struct.
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
    /// for as long as the value lives. It must store only values that `L` allows.
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

        // SAFETY: The lock is held for as long as `self` is borrowed, by the type invariants. So
        // the pointer is to a valid struct, by those of `Field`.
        let struct_ = unsafe { Shared::from_raw(ptr) };

        // SAFETY: The same lock protects the struct, by the type invariants of `Field`.
        LookAt(unsafe { Locked::assume(struct_) })
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

            Shared::from_raw(info)
        }
    }

    /// The instance of the file.
    pub(crate) fn array(self) -> Shared<'a, trace_array> {
        // SAFETY: The struct is valid by the type invariants. An open file keeps its instance.
        unsafe {
            let array = bindings::trace_map_array(self.as_ptr());

            Shared::from_raw(array)
        }
    }

    /// The buffer of the instance at this moment.
    pub(crate) fn buffer(self) -> Shared<'a, trace_buffer> {
        // SAFETY: The struct is valid by the type invariants. An instance keeps both of the
        // buffers that a snapshot swaps for as long as it lives.
        unsafe {
            let buffer = bindings::trace_map_buffer(self.as_ptr());

            Shared::from_raw(buffer)
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

    /// Takes the right to consume the CPU's events. May sleep.
    pub(crate) fn lock_access(self) -> AccessGuard<'a> {
        let cpu = self.cpu();

        // SAFETY: The CPU of an open file is a possible one.
        unsafe { bindings::trace_map_access_lock(cpu) };
        // INVARIANT: It was locked just above.
        AccessGuard {
            cpu,
            _file: PhantomData,
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
/// Only this context has the right. Unless the value is in a [`ManuallyDrop`], it has locked it.
#[must_use = "the access unlocks immediately when the guard is unused"]
pub(crate) struct AccessGuard<'a> {
    cpu: i32,
    _file: PhantomData<&'a ()>,
    _not_send: NotThreadSafe,
}

impl AccessGuard<'static> {
    /// The right to consume the events of `cpu`, which the caller has. It is not given back.
    ///
    /// # Safety
    ///
    /// No other context may have the right for as long as the value lives.
    pub(crate) unsafe fn assume_locked(cpu: i32) -> ManuallyDrop<Self> {
        // INVARIANT: By the safety requirements of this function.
        ManuallyDrop::new(Self {
            cpu,
            _file: PhantomData,
            _not_send: NotThreadSafe,
        })
    }
}

impl Drop for AccessGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this context has locked it.
        unsafe { bindings::trace_map_access_unlock(self.cpu) };
    }
}

/// Functions of `trace.c` for snapshots of an instance.
#[cfg(CONFIG_TRACER_SNAPSHOT)]
impl<'a> Shared<'a, trace_array> {
    /// Locks the count of mappings and the count of users that may take a snapshot.
    pub(crate) fn lock_snapshots(self) -> SnapshotGuard<'a> {
        // SAFETY: The instance is valid by the type invariants, and C has initialised its lock.
        let lock = unsafe { SpinLock::from_raw(bindings::trace_map_snapshot_lock(self.as_ptr())) };

        SnapshotGuard {
            array: self,
            _guard: lock.lock(),
        }
    }

    /// Whether the instance ever had a buffer to swap with.
    pub(crate) fn had_snapshot(self) -> bool {
        // SAFETY: The instance is valid by the type invariants.
        unsafe { bindings::trace_map_had_snapshot(self.as_ptr()) }
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

    /// Whether there are users that may take a snapshot.
    pub(crate) fn is_armed(&self) -> bool {
        // SAFETY: The instance is valid by the type invariants of `Shared`.
        unsafe { bindings::trace_map_snapshot_armed(self.array.as_ptr()) }
    }
}
