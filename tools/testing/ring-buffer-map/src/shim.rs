// SPDX-License-Identifier: GPL-2.0

//! What `ids.rs` uses of the kernel crate, under the same names.
//!
//! As in the kernel, a vector has the capacity that it was made with, and no more.

/// The largest allocation so far, and how many may still succeed. Each test has its own thread.
pub(crate) mod heap {
    use std::cell::Cell;

    thread_local! {
        static LARGEST: Cell<usize> = const { Cell::new(0) };
        static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    pub(crate) fn largest() -> usize {
        LARGEST.get()
    }

    pub(crate) fn fail_after(allocations: usize) {
        LEFT.set(allocations);
    }

    pub(super) fn allocate(size: usize) -> bool {
        let left = LEFT.get();

        LARGEST.set(LARGEST.get().max(size));
        LEFT.set(left.saturating_sub(1));
        left != 0
    }
}

pub(crate) mod alloc {
    use super::{
        heap,
        prelude::{
            Error,
            ENOMEM, //
        }, //
    };
    use std::ops::{
        Deref,
        DerefMut, //
    };

    pub(crate) struct Flags;

    pub(crate) struct AllocError;

    impl From<AllocError> for Error {
        fn from(_: AllocError) -> Error {
            ENOMEM
        }
    }

    pub(crate) struct Vector<T> {
        entries: Vec<T>,
        capacity: usize,
    }

    pub(crate) type KVec<T> = Vector<T>;
    pub(crate) type KVVec<T> = Vector<T>;

    impl<T> Vector<T> {
        pub(crate) fn with_capacity(capacity: usize, _flags: Flags) -> Result<Self, AllocError> {
            if !heap::allocate(capacity * size_of::<T>()) {
                return Err(AllocError);
            }
            Ok(Self {
                entries: Vec::new(),
                capacity,
            })
        }

        pub(crate) fn push(&mut self, entry: T, _flags: Flags) -> Result<(), AllocError> {
            if self.entries.len() == self.capacity {
                if !heap::allocate((self.capacity + 1) * size_of::<T>()) {
                    return Err(AllocError);
                }
                self.capacity += 1;
            }
            self.entries.push(entry);
            Ok(())
        }
    }

    impl<T: Clone> Vector<T> {
        pub(crate) fn from_elem(entry: T, nr: usize, flags: Flags) -> Result<Self, AllocError> {
            let mut vector = Self::with_capacity(nr, flags)?;

            vector.entries.resize(nr, entry);
            Ok(vector)
        }
    }

    impl<T> Deref for Vector<T> {
        type Target = [T];

        fn deref(&self) -> &[T] {
            &self.entries
        }
    }

    impl<T> DerefMut for Vector<T> {
        fn deref_mut(&mut self) -> &mut [T] {
            &mut self.entries
        }
    }

    impl<'a, T> IntoIterator for &'a mut Vector<T> {
        type Item = &'a mut T;
        type IntoIter = std::slice::IterMut<'a, T>;

        fn into_iter(self) -> Self::IntoIter {
            self.entries.iter_mut()
        }
    }
}

pub(crate) mod page {
    pub(crate) const PAGE_SIZE: usize = 4096;
}

pub(crate) mod prelude {
    pub(crate) use super::alloc::KVec;

    /// An errno.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Error(i32);

    pub(crate) type Result<T = (), E = Error> = core::result::Result<T, E>;

    pub(crate) const ENOMEM: Error = Error(12);
    pub(crate) const GFP_KERNEL: super::alloc::Flags = super::alloc::Flags;
}
