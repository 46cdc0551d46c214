// SPDX-License-Identifier: GPL-2.0

//! The sub-buffers of a buffer by their ids.
//!
//! The reader page has been taken out of the ring. It comes first; the sub-buffers of the ring
//! follow, from the head page on. A persistent buffer has ids already.

use super::{
    bindings::{
        buffer_page,
        ring_buffer_per_cpu, //
    },
    ids::Ids,
    raw::{
        fields,
        Locked,
        Numbering,
        ReaderLock,
        Shared, //
    }, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::prelude::*;

type Cpu<'a> = Locked<'a, ring_buffer_per_cpu, ReaderLock>;

/// The sub-buffers of a buffer by their ids.
///
/// # Invariants
///
/// If `cpu` is not null, each entry was a sub-buffer of that buffer when the table was filled, and
/// all of its sub-buffers have an entry.
pub(crate) struct SubbufIds {
    ids: Ids<Option<NonNull<buffer_page>>>,
    len: usize,
    cpu: *mut ring_buffer_per_cpu,
}

impl SubbufIds {
    /// Allocates a table for `nr` sub-buffers. May sleep.
    pub(crate) fn new(nr: usize) -> Result<Self> {
        // INVARIANT: The table is of no buffer.
        Ok(Self {
            ids: Ids::new(nr, None)?,
            len: nr,
            cpu: ptr::null_mut(),
        })
    }

    /// Whether the table was filled with the sub-buffers of `cpu`.
    pub(crate) fn are_of(&self, cpu: Shared<'_, ring_buffer_per_cpu>) -> bool {
        self.cpu == cpu.as_ptr()
    }

    /// The sub-buffer with the id `id`, if there is one.
    pub(crate) fn get(&self, id: usize) -> Option<NonNull<buffer_page>> {
        self.ids.get(id)?
    }

    /// Enters the sub-buffers of `cpu`, and gives them their ids unless the buffer is persistent.
    ///
    /// # Errors
    ///
    /// `EIO`: there are more or fewer sub-buffers than the table has entries, or two of a
    /// persistent buffer have the same place.
    pub(crate) fn fill(&mut self, cpu: &mut Cpu<'_>) -> Result {
        self.cpu = ptr::null_mut();
        // One entry is that of the reader page.
        if cpu.load(fields::cpu::NR_PAGES).checked_add(1) != Some(self.len) {
            return Err(EIO);
        }
        if cpu.load(fields::cpu::RING_META).is_null() {
            self.give(cpu)?;
        } else {
            self.find(cpu)?;
        }

        // INVARIANT: All sub-buffers were entered above, and nothing else.
        self.cpu = cpu.as_ptr();
        Ok(())
    }

    /// Numbers the sub-buffers of a buffer that is not persistent.
    fn give(&mut self, cpu: &mut Cpu<'_>) -> Result {
        let mut numbering = Numbering::new(cpu)?;

        self.ids.fill(|| NonNull::new(numbering.next().as_ptr()));
        if !numbering.is_complete() {
            return Err(EIO);
        }
        Ok(())
    }

    /// Enters the sub-buffers of a persistent buffer by their places in its memory.
    fn find(&mut self, cpu: &mut Cpu<'_>) -> Result {
        let buffer = **cpu;

        self.ids.fill(|| None);

        let mut enter = |page: Shared<'_, buffer_page>| {
            let id = buffer.persistent_id(page).ok_or(EIO)?;
            let entry = self.ids.get_mut(id as usize).ok_or(EIO)?;

            if entry.is_some() {
                return Err(EIO);
            }
            *entry = NonNull::new(page.as_ptr());
            Ok(())
        };

        enter(**cpu.follow(fields::cpu::READER_PAGE))?;

        let mut next = cpu.head_page().ok_or(EIO)?;
        let head = next.page().as_ptr();

        for _ in 1..self.len {
            enter(next.page())?;
            next.step();
        }
        if next.page().as_ptr() != head {
            return Err(EIO);
        }
        Ok(())
    }
}
