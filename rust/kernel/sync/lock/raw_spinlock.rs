// SPDX-License-Identifier: GPL-2.0

//! A kernel raw spinlock.
//!
//! This module allows Rust code to use the kernel's `raw_spinlock_t`, the lock that spins even
//! under `PREEMPT_RT`.

use crate::prelude::*;

/// Creates a [`RawSpinLockIrq`] initialiser with the given name and a newly-created lock class.
///
/// It uses the name if one is given, otherwise it generates one based on the file name and line
/// number.
#[macro_export]
macro_rules! new_raw_spinlock_irq {
    ($inner:expr $(, $name:literal)? $(,)?) => {
        $crate::sync::lock::raw_spinlock::RawSpinLockIrq::new(
            $inner, $crate::optional_name!($($name)?), $crate::static_lock_class!())
    };
}
pub use new_raw_spinlock_irq;

/// A raw spinlock that is held with local processor interrupts disabled.
///
/// Exposes the kernel's [`raw_spinlock_t`]. In contrast to [`SpinLockIrq`], whose `spinlock_t`
/// becomes a sleeping lock under `PREEMPT_RT`, this lock always spins. Critical sections must be
/// short. To wait on a [`CondVar`] with the lock is a bug: that takes a `spinlock_t` with the lock
/// held.
///
/// Disabled interrupts are counted, as with [`SpinLockIrq`], rather than saved in the guard. So
/// guards may be dropped in any order, and interrupts are enabled again with the last of them.
///
/// Locking it again in a context that holds it is a bug: a deadlock, or unnoticed on kernels
/// without `CONFIG_SMP`, where the lock only disables interrupts.
///
/// # Examples
///
/// Protecting a counter, and dropping two guards in the order in which they were taken:
///
/// ```
/// use kernel::sync::{new_raw_spinlock_irq, RawSpinLockIrq};
///
/// #[pin_data]
/// struct Example {
///     #[pin]
///     a: RawSpinLockIrq<u32>,
///     #[pin]
///     b: RawSpinLockIrq<u32>,
/// }
///
/// let e = KBox::pin_init(
///     pin_init!(Example {
///         a <- new_raw_spinlock_irq!(1),
///         b <- new_raw_spinlock_irq!(2),
///     }),
///     GFP_KERNEL,
/// )?;
///
/// let mut a = e.a.lock();
/// let b = e.b.lock();
/// *a += *b;
/// assert_eq!(*a, 3);
///
/// drop(a); // Interrupts stay disabled: `b` still needs them so.
/// drop(b);
/// # Ok::<(), Error>(())
/// ```
///
/// Using a lock that is part of a C struct:
///
/// ```
/// use kernel::{bindings, sync::RawSpinLockIrq, types::Opaque};
///
/// /// C's `raw_spinlock_t` and an `int`, which C takes with `raw_spin_lock_irqsave()`.
/// ///
/// /// # Invariants
/// ///
/// /// C has initialised the lock.
/// #[repr(C)]
/// struct Counter {
///     lock: Opaque<bindings::raw_spinlock_t>,
///     count: Opaque<i32>,
/// }
///
/// impl Counter {
///     fn increment(&self) {
///         // SAFETY: The lock is initialised by the type invariants, and lives as long as `self`.
///         let lock = unsafe { RawSpinLockIrq::from_raw(self.lock.get()) };
///         let _guard = lock.lock();
///
///         // SAFETY: The lock excludes all other accesses.
///         unsafe { *self.count.get() += 1 };
///     }
/// }
/// ```
///
/// [`CondVar`]: crate::sync::CondVar
/// [`raw_spinlock_t`]: srctree/include/linux/spinlock_types_raw.h
/// [`SpinLockIrq`]: crate::sync::SpinLockIrq
pub type RawSpinLockIrq<T> = super::Lock<T, RawSpinLockIrqBackend>;

/// A [`Guard`](super::Guard) acquired from locking a [`RawSpinLockIrq`].
///
/// It unlocks the lock and gives back one count of disabled interrupts upon being dropped.
pub type RawSpinLockIrqGuard<'a, T> = super::Guard<'a, T, RawSpinLockIrqBackend>;

/// A kernel `raw_spinlock_t` lock backend that holds the lock with interrupts disabled.
pub struct RawSpinLockIrqBackend;

// SAFETY: The underlying kernel `raw_spinlock_t` object ensures mutual exclusion: between CPUs by
// the lock, and between contexts of one CPU by the disabled interrupts. (As with `SpinLock`, a
// context that locks it twice is not kept from that without `CONFIG_SMP`.) `relock` uses the
// default implementation that always calls the same locking method.
unsafe impl super::Backend for RawSpinLockIrqBackend {
    type State = bindings::raw_spinlock_t;
    type GuardState = ();

    #[inline]
    unsafe fn init(
        ptr: *mut Self::State,
        name: *const crate::ffi::c_char,
        key: *mut bindings::lock_class_key,
    ) {
        // SAFETY: The safety requirements ensure that `ptr` is valid for writes, and `name` and
        // `key` are valid for read indefinitely.
        unsafe { bindings::raw_spin_lock_init_class(ptr, name, key) }
    }

    #[inline]
    unsafe fn lock(ptr: *mut Self::State) -> Self::GuardState {
        // SAFETY: The safety requirements of this function ensure that `ptr` points to valid
        // memory, and that it has been initialised before.
        unsafe { bindings::raw_spin_lock_irq_disable(ptr) }
    }

    #[inline]
    unsafe fn unlock(ptr: *mut Self::State, _guard_state: &Self::GuardState) {
        // SAFETY: The safety requirements of this function ensure that `ptr` is valid and that the
        // caller is the owner of the lock.
        unsafe { bindings::raw_spin_unlock_irq_enable(ptr) }
    }

    #[inline]
    unsafe fn try_lock(ptr: *mut Self::State) -> Option<Self::GuardState> {
        // SAFETY: The `ptr` pointer is guaranteed to be valid and initialized before use.
        (unsafe { bindings::raw_spin_trylock_irq_disable(ptr) } != 0).then_some(())
    }

    #[inline]
    unsafe fn assert_is_held(ptr: *mut Self::State) {
        // SAFETY: The `ptr` pointer is guaranteed to be valid and initialized before use.
        unsafe { bindings::raw_spin_assert_is_held(ptr) }
    }
}

#[kunit_tests(rust_raw_spinlock_irq)]
mod tests {
    use super::*;

    #[test]
    fn guards_drop_in_any_order() -> Result {
        let a = KBox::pin_init(new_raw_spinlock_irq!(1), GFP_KERNEL)?;
        let b = KBox::pin_init(new_raw_spinlock_irq!(2), GFP_KERNEL)?;

        let mut first = a.lock();
        let second = b.lock();
        *first += *second;
        drop(first);
        // SAFETY: It is always safe to call `lockdep_assert_irqs_disabled()`.
        unsafe { bindings::lockdep_assert_irqs_disabled() };
        drop(second);

        assert_eq!(*a.lock(), 3);
        Ok(())
    }

    #[test]
    fn try_lock_fails_while_held() -> Result {
        // On other kernels trying always succeeds.
        if cfg!(not(CONFIG_SMP)) {
            return Ok(());
        }

        let lock = KBox::pin_init(new_raw_spinlock_irq!(()), GFP_KERNEL)?;

        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        drop(guard);
        assert!(lock.try_lock().is_some());
        Ok(())
    }
}
