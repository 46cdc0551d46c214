// SPDX-License-Identifier: GPL-2.0

//! Raw access to C structs that other contexts change at the same time.
//!
//! Writers change a ring buffer at any time and without a lock. So there is no Rust reference to
//! one of its structs, nor to a field but its locks and atomic counters. A [`Shared`] is a pointer
//! to such a struct. Its fields are words, loaded one at a time as by `READ_ONCE()`. A [`Field`]
//! names one, with its type and the lock that protects it. A [`Locked`] is a [`Shared`] with that
//! lock held, and the only way to store to the field.
//!
//! The C functions that the mapping calls are methods of the struct that they work on: those of
//! `ring_buffer.c` in `ring_buffer`, those of `trace.c` in `tracefs`.

use super::bindings::ring_buffer_per_cpu;
use core::{
    marker::PhantomData,
    mem::{
        align_of,
        size_of, //
    },
    ops::Deref, //
};
use kernel::{
    cacheflush::flush_kernel_vmap_range,
    page::PAGE_SIZE,
    sync::{
        atomic::{
            Atomic,
            AtomicType, //
        },
        lock::{
            Backend,
            Lock, //
        },
        RawSpinLockIrqGuard, //
    },
    types::NotThreadSafe, //
};

pub(crate) mod fields;
mod ring_buffer;
mod tracefs;

pub(crate) use {
    ring_buffer::{
        log_commit_overrun,
        ResizeDisabled,
        RingPlace,
        Settled, //
    },
    tracefs::AccessGuard, //
};

// These types name the locks that protect fields. Code that creates a [`Locked`] for one of them
// must store only the values that its comment allows.

/// The `reader_lock` of a CPU's buffer. Any value may be stored.
pub(crate) enum ReaderLock {}

/// The [`ReaderLock`]. The value is the index of an event on the page, or of the end of the
/// committed bytes.
pub(crate) enum ReaderIndex {}

/// The [`ReaderLock`], on a sub-buffer whose bit-fields are 0 except for the id, and which is not
/// of a remote buffer. The value has an id and no other bits.
pub(crate) enum IdLock {}

/// The [`ReaderLock`], on a page that the writers have left. The value is a size of the page's data
/// and flags.
pub(crate) enum CompletePageLock {}

/// The `mapping_lock` of a CPU's buffer. The number of users is 0 if and only if there is no state.
pub(crate) enum MappingLock {}

/// Both [`MappingLock`] and [`ReaderLock`]. Each of them alone keeps the field from changing. The
/// pointer is to a state, or null.
pub(crate) enum BothLocks {}

/// The [`MappingLock`] and a [`ResizeDisabled`] of the buffer; or, in C, the right to resize or to
/// free the buffer. The pointer is to a state of the buffer as it is, or null.
pub(crate) enum KeptLock {}

/// Fields that Rust only loads. C may store to them at any time.
pub(crate) enum LoadOnly {}

// 64-bit fields are words.
const _: () = assert!(usize::BITS == 64);

/// A field of type `U` in the C struct `T`, protected by the lock `L`.
///
/// # Invariants
///
/// - A `T` has a field of type `U`, aligned and of the same size, at `offset`. C stores to it one
///   whole word at a time, as far as it stores to it at all, and each value that it stores is a
///   valid `U`.
/// - Rust stores to the field with `L` only, and then any `U` that `L` allows. While Rust may hold
///   `L`, C does not store to the field without it.
/// - If `L` is a [`Link`], the field is not null, and points to a valid struct that the lock of the
///   [`Link`] protects, for as long as that lock is held.
/// - If `L` is a [`Lock`], the field is initialised for as long as there is a [`Shared`] of the
///   struct. If it is an [`Atomic`], C accesses the field by atomic operations only.
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
    /// `access` does not compile unless the field has the type `U`.
    const fn typed(offset: usize, access: fn(&T) -> *const U) -> PhantomData<fn(T) -> (U, L)> {
        Self::storage(offset, access)
    }

    /// As [`Self::typed`], for a field whose size and alignment are enough for a `U`.
    const fn storage<V>(
        offset: usize,
        _access: fn(&T) -> *const V,
    ) -> PhantomData<fn(T) -> (U, L)> {
        assert!(size_of::<V>() == size_of::<U>());
        assert!(offset % align_of::<U>() == 0 && align_of::<T>() >= align_of::<U>());
        PhantomData
    }
}

/// A C struct that other contexts may change at any time.
///
/// # Invariants
///
/// Points to a `T` that is valid for `'a`. A `struct ring_buffer_per_cpu` is none of a remote
/// buffer.
pub(crate) struct Shared<'a, T> {
    ptr: *mut T,
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
    /// `ptr` must point to a `T` that is valid for `'a`, so that it is not null. A
    /// `struct ring_buffer_per_cpu` must not be one of a remote buffer.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(ptr: *mut T) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            ptr,
            _valid: PhantomData,
        }
    }

    /// The pointer, to compare it or to hand it to C.
    pub(crate) fn as_ptr(self) -> *mut T {
        self.ptr
    }

    /// Makes the struct current for user space where data caches are not coherent.
    #[inline(always)]
    pub(crate) fn flush(self) {
        const { assert!(size_of::<T>() <= PAGE_SIZE) };

        // SAFETY: The struct is valid by the type invariants, and so kernel memory of this size.
        unsafe { flush_kernel_vmap_range(self.ptr.cast(), size_of::<T>()) };
    }

    #[inline(always)]
    fn word<U, L>(self, field: Field<T, U, L>) -> *mut U {
        // By the invariants of `Field`, this is within the struct.
        self.ptr.wrapping_byte_add(field.offset).cast()
    }

    /// Loads a field, as by `READ_ONCE()`.
    #[inline(always)]
    pub(crate) fn load<U: AtomicType, L>(self, field: Field<T, U, L>) -> U {
        // FIXME(read_once): `READ_ONCE()`, once there is one. The load of an `Atomic` is a call of
        // a helper.
        // SAFETY: By the type invariants of `Self` and of `Field`, the pointer is to a valid and
        // aligned `U`. C may store to it meanwhile, also by a plain store. As with `READ_ONCE()` in
        // C, the compilers do not tear either: the load is volatile, and both are of one aligned
        // word, as an `AtomicType` is no larger. So the value is one that was stored, which is a
        // valid `U`.
        unsafe { self.word(field).read_volatile() }
    }

    /// An atomic counter of C.
    fn atomic(self, field: Field<T, i32, Atomic<i32>>) -> &'a Atomic<i32> {
        // SAFETY: By the type invariants the counter is valid for `'a`, and C accesses it by atomic
        // operations only.
        unsafe { Atomic::from_ptr(self.word(field)) }
    }

    /// A lock of C.
    pub(crate) fn lock<B: Backend>(
        self,
        field: Field<T, B::State, Lock<(), B>>,
    ) -> &'a Lock<(), B> {
        // SAFETY: By the type invariants the lock is valid for `'a`, and initialised.
        unsafe { Lock::from_raw(self.word(field)) }
    }
}

/// A C struct with the lock `L` held, which protects some of its fields.
///
/// The value has the guard of the lock, unless something else that is borrowed for `'a` has it.
///
/// # Invariants
///
/// For as long as the value lives, this context holds `L`.
pub(crate) struct Locked<'a, T, L, G = ()> {
    shared: Shared<'a, T>,
    _guard: G,
    _lock: PhantomData<L>,
    _not_send: NotThreadSafe,
}

impl<'a, T, L, G> Deref for Locked<'a, T, L, G> {
    type Target = Shared<'a, T>;

    #[inline(always)]
    fn deref(&self) -> &Shared<'a, T> {
        &self.shared
    }
}

impl<'a, T, L, G> Locked<'a, T, L, G> {
    /// Creates a [`Locked`] for a lock that is held.
    ///
    /// # Safety
    ///
    /// The caller must hold the lock `L` that protects `shared`, for `'a` or for as long as `guard`
    /// lives. It must store only values that `L` allows.
    #[inline(always)]
    pub(crate) unsafe fn assume(shared: Shared<'a, T>, guard: G) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            shared,
            _guard: guard,
            _lock: PhantomData,
            _not_send: NotThreadSafe,
        }
    }

    /// Stores to a field that the lock protects, as by `WRITE_ONCE()`.
    #[inline(always)]
    pub(crate) fn store<U: AtomicType>(&mut self, field: Field<T, U, L>, value: U) {
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

        // SAFETY: The lock is held for as long as `self` is borrowed, by the type invariants. So,
        // by those of `Field`, the pointer is to a valid struct, which the same lock protects.
        LookAt(unsafe { Locked::assume(Shared::from_raw(ptr), ()) })
    }

    /// As [`Self::follow`], to change the struct.
    #[inline(always)]
    pub(crate) fn follow_mut<U>(&mut self, field: Field<T, *mut U, Link<L>>) -> Locked<'_, U, L> {
        self.follow(field).0
    }
}

/// A CPU's buffer with its `reader_lock` held: by the guard, or for `'a` if there is none.
pub(crate) type ReaderLocked<'a> =
    Locked<'a, ring_buffer_per_cpu, ReaderLock, Option<RawSpinLockIrqGuard<'a, ()>>>;

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
