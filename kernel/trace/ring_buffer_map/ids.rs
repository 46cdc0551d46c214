// SPDX-License-Identifier: GPL-2.0

//! The table from ids to sub-buffers.
//!
//! It has 8 bytes for each sub-buffer, and is needed for as long as the buffer is mapped. So it is
//! made of parts of one page each, which can be had when memory is fragmented, and only the list
//! of the parts grows with the buffer.

use core::mem;
use kernel::{
    alloc::KVVec,
    page::PAGE_SIZE,
    prelude::*, //
};

/// A table of as many `T` as it was made for; those that are not filled in yet are missing.
pub(crate) struct Ids<T> {
    parts: KVVec<KVec<T>>,
}

impl<T: Copy> Ids<T> {
    const PART: usize = PAGE_SIZE / size_of::<T>();

    /// Allocates room for `nr` entries. May sleep.
    pub(crate) fn new(nr: usize) -> Result<Self> {
        let mut parts = KVVec::with_capacity(nr.div_ceil(Self::PART), GFP_KERNEL)?;

        for start in (0..nr).step_by(Self::PART) {
            let part = KVec::with_capacity(Self::PART.min(nr - start), GFP_KERNEL)?;

            parts.push_within_capacity(part).map_err(|_| ENOMEM)?;
        }
        Ok(Self { parts })
    }

    /// Fills the table with `entry` and what `next` finds behind it. Returns what would be next.
    pub(crate) fn fill(&mut self, mut entry: T, mut next: impl FnMut(T) -> T) -> T {
        for part in &mut self.parts {
            // The length of a local is in a register.
            let mut filled = mem::take(part);

            while filled.push_within_capacity(entry).is_ok() {
                entry = next(entry);
            }
            *part = filled;
        }
        entry
    }

    /// The entry of `id`.
    pub(crate) fn get(&self, id: usize) -> Option<T> {
        self.parts
            .get(id / Self::PART)?
            .get(id % Self::PART)
            .copied()
    }

    /// The entry of `id`, to change it.
    pub(crate) fn get_mut(&mut self, id: usize) -> Option<&mut T> {
        self.parts
            .get_mut(id / Self::PART)?
            .get_mut(id % Self::PART)
    }
}
