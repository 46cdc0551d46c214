// SPDX-License-Identifier: GPL-2.0

//! The sub-buffers of a buffer by their ids.
//!
//! The reader page, which has been taken out of the ring, comes first. The sub-buffers of the ring
//! follow in their order. A persistent buffer has ids already.
//!
//! The table is filled in steps, so that interrupts are not disabled for long.

use super::{
    bindings::{
        buffer_page,
        ring_buffer_per_cpu, //
    },
    ids::Ids,
    raw::{
        fields,
        ReaderLocked,
        ResizeDisabled,
        RingPlace,
        Shared, //
    }, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::prelude::*;

/// How many sub-buffers to number in one critical section.
const NUMBERED_PER_LOCK: usize = 256;

/// The same, if each may be in the table already.
const ENTERED_PER_LOCK: usize = 32;

/// How often to go round the ring while readers keep moving sub-buffers.
const MAX_ROUNDS: usize = 100;

/// The sub-buffers of a buffer by their ids.
///
/// # Invariants
///
/// Each entry was a sub-buffer of `cpu` when the table was filled. There are as many entries as
/// sub-buffers, and all of these have one, unless their list was corrupt.
pub(crate) struct SubbufIds {
    ids: Ids<Option<NonNull<buffer_page>>>,
    cpu: *mut ring_buffer_per_cpu,
}

impl SubbufIds {
    /// Whether the table is of the sub-buffers of `cpu`.
    pub(crate) fn are_of(&self, cpu: Shared<'_, ring_buffer_per_cpu>) -> bool {
        self.cpu == cpu.as_ptr()
    }

    /// The sub-buffer with the id `id`, if there is one.
    pub(crate) fn get(&self, id: usize) -> Option<NonNull<buffer_page>> {
        self.ids.get(id)?
    }
}

/// A table that is being filled.
///
/// The walk begins at the reader page and goes round the ring once. Between two steps, readers may
/// swap the reader page for a sub-buffer that the walk has yet to reach. The next step enters that
/// one as the reader page. If it went back into the ring in the meantime, behind the walk, entries
/// are missing at the end of the round, and the walk goes round again.
///
/// # Invariants
///
/// Each entry is of a sub-buffer of the buffer that `place` is in, and has the id of that. No two
/// are of the same, unless the list of sub-buffers is corrupt. `entered` is their number. If
/// `complete` is set, there are as many as sub-buffers.
pub(crate) struct Filling<'a> {
    ids: Ids<Option<NonNull<buffer_page>>>,
    len: usize,
    entered: usize,
    place: RingPlace<'a>,
    /// The first sub-buffer of the ring that was entered; null before the first step.
    first: *mut buffer_page,
    /// How many steps are left in this round.
    left: usize,
    /// How often the reader page had been swapped at the last step.
    swaps: usize,
    /// Whether it was swapped since the walk began.
    swapped: bool,
    /// Whether it was swapped since this round began.
    swapped_in_round: bool,
    rounds: usize,
    complete: bool,
}

impl<'a> Filling<'a> {
    /// Allocates a table for the `nr` sub-buffers of the buffer that `resize` is of. May sleep.
    pub(crate) fn new(nr: usize, resize: ResizeDisabled<'a>) -> Result<Self> {
        // INVARIANT: There is no entry.
        Ok(Self {
            ids: Ids::new(nr, None)?,
            len: nr,
            entered: 0,
            place: RingPlace::new(resize),
            first: ptr::null_mut(),
            left: 0,
            swaps: 0,
            swapped: false,
            swapped_in_round: false,
            rounds: 0,
            complete: false,
        })
    }

    /// Begins at the reader page of `cpu`.
    fn begin(&mut self, cpu: &mut ReaderLocked<'_>) -> Result {
        let nr_pages = cpu.load(fields::cpu::NR_PAGES);

        // One entry is that of the reader page.
        if nr_pages.checked_add(1) != Some(self.len) {
            return Err(EIO);
        }
        self.first = self.place.here(cpu)?.page().as_ptr();
        self.left = nr_pages;
        self.swaps = cpu.load(fields::cpu::CNT);
        self.enter_reader(cpu)
    }

    /// Enters the next sub-buffers. Returns whether all are entered.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `cpu` is another buffer.
    /// - `EIO`: there are more or fewer sub-buffers than the table has entries, their list is
    ///   corrupt, or two of a persistent buffer have the same place.
    /// - `EBUSY`: readers kept moving sub-buffers.
    pub(crate) fn step(&mut self, cpu: &mut ReaderLocked<'_>) -> Result<bool> {
        if !self.place.is_in(**cpu) {
            return Err(EINVAL);
        }
        if self.first.is_null() {
            self.begin(cpu)?;
        }

        let swaps = cpu.load(fields::cpu::CNT);

        if swaps != self.swaps {
            self.swaps = swaps;
            self.swapped = true;
            self.swapped_in_round = true;
            self.enter_reader(cpu)?;
        }
        if self.swapped || cpu.is_persistent() {
            for _ in 0..self.left.min(ENTERED_PER_LOCK) {
                self.enter_next(cpu)?;
                self.left -= 1;
            }
        } else {
            self.number_next(cpu)?;
        }

        if self.left > 0 {
            return Ok(false);
        }
        self.end_round(cpu)
    }

    /// Returns the filled table.
    ///
    /// # Errors
    ///
    /// `EINVAL`: it is not filled.
    pub(crate) fn finish(self) -> Result<(SubbufIds, ResizeDisabled<'a>)> {
        if !self.complete {
            return Err(EINVAL);
        }

        let resize = self.place.into_resize();
        // INVARIANT: There are as many entries as sub-buffers, which the unit has kept.
        let ids = SubbufIds {
            ids: self.ids,
            cpu: resize.cpu_buffer().as_ptr(),
        };

        Ok((ids, resize))
    }

    /// Numbers the next sub-buffers, none of which can be in the table yet.
    fn number_next(&mut self, cpu: &mut ReaderLocked<'_>) -> Result {
        let max = self.left.min(NUMBERED_PER_LOCK);
        let entries = self.ids.slice_mut(self.entered, max);
        let nr = entries.len();

        if nr == 0 {
            return Err(EIO);
        }
        // INVARIANT: They have these ids.
        self.place.number(cpu, self.entered, entries)?;
        self.entered += nr;
        self.left -= nr;
        Ok(())
    }

    /// Enters the sub-buffer at this place of the ring, unless it has an entry.
    fn enter_next(&mut self, cpu: &mut ReaderLocked<'_>) -> Result {
        let buffer = **cpu;
        let page = self.place.here(cpu)?.page();
        let (id, page) = (buffer.id_of(page), page.as_ptr());

        if buffer.is_persistent() {
            self.enter(id, page)?;
        } else if !self.has(id, page) {
            let entry = self.ids.slice_mut(self.entered, 1);

            if entry.is_empty() {
                return Err(EIO);
            }
            // INVARIANT: It has this id.
            self.place.number(cpu, self.entered, entry)?;
            self.entered += 1;
            return Ok(());
        }
        self.place.next(cpu)
    }

    /// Enters the reader page, unless it has an entry.
    fn enter_reader(&mut self, cpu: &mut ReaderLocked<'_>) -> Result {
        let page = **cpu.follow(fields::cpu::READER_PAGE);
        let (id, page) = (cpu.id_of(page), page.as_ptr());

        if cpu.is_persistent() {
            return self.enter(id, page);
        }
        if self.has(id, page) {
            return Ok(());
        }

        cpu.number_reader(self.entered)?;
        self.enter(self.entered as u32, page)
    }

    /// Enters `page`, which has the id `id`.
    fn enter(&mut self, id: u32, page: *mut buffer_page) -> Result {
        let entry = self.ids.get_mut(id as usize).ok_or(EIO)?;

        match *entry {
            None => {
                // INVARIANT: It has this id.
                *entry = NonNull::new(page);
                self.entered += 1;
                Ok(())
            }
            Some(entered) if entered.as_ptr() == page => Ok(()),
            Some(_) => Err(EIO),
        }
    }

    fn has(&self, id: u32, page: *mut buffer_page) -> bool {
        self.ids.get(id as usize).flatten() == NonNull::new(page)
    }

    /// Whether all sub-buffers have an entry. Otherwise begins another round.
    fn end_round(&mut self, cpu: &mut ReaderLocked<'_>) -> Result<bool> {
        if self.entered == self.len {
            // INVARIANT: `begin()` has tested that `len` is the number of sub-buffers.
            self.complete = self.swapped || self.is_closed(cpu)?;
            return if self.complete { Ok(true) } else { Err(EIO) };
        }
        if !self.swapped_in_round {
            return Err(EIO);
        }
        self.rounds += 1;
        if self.rounds == MAX_ROUNDS {
            return Err(EBUSY);
        }
        self.swapped_in_round = false;
        self.left = self.len - 1;
        Ok(false)
    }

    /// Whether the walk has ended where it began, and has been there only once: the sub-buffer has
    /// kept its id.
    fn is_closed(&mut self, cpu: &mut ReaderLocked<'_>) -> Result<bool> {
        let buffer = **cpu;
        let page = self.place.here(cpu)?.page();

        Ok(page.as_ptr() == self.first && (buffer.is_persistent() || buffer.id_of(page) == 1))
    }
}
