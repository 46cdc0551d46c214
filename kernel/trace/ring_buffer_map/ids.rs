// SPDX-License-Identifier: GPL-2.0

//! The table from ids to sub-buffers.
//!
//! The table has 8 bytes for each sub-buffer. It is made of parts of one page each, which can be
//! allocated when memory is fragmented. Only the list of the parts grows with the buffer.

use kernel::{
    alloc::KVVec,
    page::PAGE_SIZE,
    prelude::*, //
};

/// A table with an entry for each id.
pub(crate) struct Ids<T> {
    /// Each part but the last has [`Self::PART`] entries.
    parts: KVVec<KVec<T>>,
}

impl<T: Copy> Ids<T> {
    const PART: usize = {
        assert!(size_of::<T>() <= PAGE_SIZE);
        PAGE_SIZE / size_of::<T>()
    };

    /// Allocates a table of `nr` entries, all of them `empty`. May sleep.
    pub(crate) fn new(nr: usize, empty: T) -> Result<Self> {
        let mut parts = KVVec::with_capacity(nr.div_ceil(Self::PART), GFP_KERNEL)?;

        for start in (0..nr).step_by(Self::PART) {
            let part = KVec::from_elem(empty, Self::PART.min(nr - start), GFP_KERNEL)?;

            parts.push(part, GFP_KERNEL)?;
        }
        Ok(Self { parts })
    }

    /// Up to `max` entries from that of `id` on, to change them. There are fewer at the end of a
    /// part, and none past the end.
    pub(crate) fn slice_mut(&mut self, id: usize, max: usize) -> &mut [T] {
        let Some(part) = self.parts.get_mut(id / Self::PART) else {
            return &mut [];
        };
        let start = id % Self::PART;
        let end = start.saturating_add(max).min(part.len());

        part.get_mut(start..end).unwrap_or_default()
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
