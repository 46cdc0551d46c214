// SPDX-License-Identifier: GPL-2.0

//! The reader's side of a CPU's buffer: the state under `reader_lock`.
//!
//! `reader_lock` is a raw spinlock that is held with interrupts disabled. It excludes all readers,
//! but no writer. The only exception is a reader in an NMI that finds the lock taken: C then goes
//! on without the lock, after it has stopped the buffer for good, see `rb_reader_lock()`.

use super::{
    bindings::ring_buffer_per_cpu,
    buffer::CpuBuffer,
    events,
    map_state::{
        MapState,
        SubbufIds, //
    },
    meta::Counters,
    raw::{
        self,
        fields,
        Locked,
        ReaderLock,
        Shared, //
    },
    reader_page::{
        self,
        CompletePage,
        ReaderPage, //
    },
    ring, //
};
use kernel::{
    prelude::*,
    sync::RawSpinLockIrqGuard, //
};

/// A number of events that were lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MissedEvents {
    /// This many, or none.
    Count(u64),
    /// Some, but the number is not known: a part of a persistent buffer was found corrupt.
    Unknown,
}

impl MissedEvents {
    /// No event was lost.
    pub(crate) const NONE: Self = Self::Count(0);

    /// The number of events; 0 if it is not known.
    pub(crate) fn known(self) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Unknown => 0,
        }
    }

    /// From the number as C has it.
    fn from_c(events: usize) -> Self {
        match events {
            usize::MAX => Self::Unknown,
            count => Self::Count(count as u64),
        }
    }

    fn to_c(self) -> usize {
        match self {
            Self::Unknown => usize::MAX,
            Self::Count(count) => count as usize,
        }
    }
}

/// What tells a visit of the reader to a sub-buffer from others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageId {
    addr: usize,
    /// How often the reader page had been swapped.
    swaps: usize,
}

/// A CPU's buffer with its `reader_lock` held, by this value or by its creator.
///
/// What changes the state or hands the reader page back to the writers takes `&mut self`. So no
/// [`ReaderPage`], and no slice of one, can be used after that.
pub(crate) struct ReaderGuard<'a> {
    cpu: Locked<'a, ring_buffer_per_cpu, ReaderLock>,
    _guard: Option<RawSpinLockIrqGuard<'a, ()>>,
}

impl<'a> ReaderGuard<'a> {
    /// Locks the reader, which disables interrupts.
    pub(crate) fn lock(cpu: Shared<'a, ring_buffer_per_cpu>) -> Self {
        let guard = cpu.lock(fields::cpu::READER_LOCK).lock();

        Self {
            // SAFETY: The lock was taken just above, and is released with the value.
            cpu: unsafe { Locked::assume(cpu) },
            _guard: Some(guard),
        }
    }

    /// The reader, locked by the caller.
    ///
    /// # Safety
    ///
    /// The caller must hold `reader_lock` for as long as the value lives.
    pub(crate) unsafe fn assume_locked(cpu: Shared<'a, ring_buffer_per_cpu>) -> Self {
        Self {
            // SAFETY: By the safety requirements of this function.
            cpu: unsafe { Locked::assume(cpu) },
            _guard: None,
        }
    }

    fn buffer(&self) -> CpuBuffer<'a> {
        CpuBuffer::new(*self.cpu)
    }

    /// Whether the buffer is mapped.
    pub(crate) fn is_mapped(&self) -> bool {
        self.cpu.load(fields::cpu::USER_MAPPED) != 0
    }

    /// Whether the pages must stay valid for the next boot, and so may not be marked.
    pub(crate) fn is_persistent(&self) -> bool {
        self.buffer().is_persistent()
    }

    /// Whether no event waits to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer().is_empty()
    }

    /// The reader page.
    pub(crate) fn page(&self) -> ReaderPage<'_> {
        ReaderPage::new(self.cpu.follow(fields::cpu::READER_PAGE))
    }

    /// Swaps in the next reader page if the current one is read.
    ///
    /// Returns whether the reader page has something to read. It has not if the buffer is empty, or
    /// if a writer is stuck past the end of the page. Mirrors `rb_get_reader_page()`.
    pub(crate) fn next_page(&mut self) -> bool {
        self.cpu.get_reader_page()
    }

    /// The reader page, if the writers have left it for good.
    ///
    /// All its events are committed then, and what is loaded of it is final.
    pub(crate) fn complete_page(&mut self) -> Option<CompletePage<'_>> {
        CompletePage::of(&mut self.cpu)
    }

    /// What tells the reader page, and this visit to it, from others.
    pub(crate) fn page_id(&self) -> PageId {
        PageId {
            addr: self.page().addr(),
            swaps: self.cpu.load(fields::cpu::CNT),
        }
    }

    /// The events that were lost before the reader page and that have not been reported.
    pub(crate) fn missed(&self) -> MissedEvents {
        MissedEvents::from_c(self.cpu.load(fields::cpu::LOST_EVENTS))
    }

    /// Replaces [`Self::missed`]. Returns what it was.
    pub(crate) fn replace_missed(&mut self, missed: MissedEvents) -> MissedEvents {
        let before = self.missed();

        self.cpu.store(fields::cpu::LOST_EVENTS, missed.to_c());
        before
    }

    /// Consumes the reader page as a whole, if it is complete, unread and has `size` bytes.
    ///
    /// Returns whether it was consumed.
    pub(crate) fn consume_page(&mut self, size: usize) -> bool {
        if self.page().read() != 0 {
            return false;
        }

        let Some(page) = self.complete_page() else {
            return false;
        };
        let (entries, page_size) = (page.entries(), page.size());

        if page_size != size {
            return false;
        }
        self.advance(entries, size);
        true
    }

    /// Consumes up to `max` events of the reader page before the byte `end`. Returns whether all of
    /// them were consumed.
    pub(crate) fn consume_events(&mut self, end: usize, max: usize) -> bool {
        let page = self.page();
        let start = page.read();

        if start >= end {
            return true;
        }

        // A page that was swapped in without an event had no time stamp then.
        let stamp = if start == 0 {
            page.time_stamp()
        } else {
            self.cpu.load(fields::cpu::READ_STAMP)
        };
        let walk = events::walk(page.committed(start, end), stamp, max);
        // A valid page has no committed bytes beyond its capacity. If a corrupt page claims so,
        // skip them.
        let length = if walk.length == 0 {
            end - start
        } else {
            walk.length
        };

        self.cpu.store(fields::cpu::READ_STAMP, walk.stamp);
        self.advance(walk.entries, length);
        start + length >= end
    }

    /// Counts the next `bytes` bytes of the reader page, with `entries` events, as read. Mirrors
    /// what `rb_advance_reader()` counts.
    fn advance(&mut self, entries: usize, bytes: usize) {
        let read = self.cpu.load(fields::cpu::READ).wrapping_add(entries);
        let read_bytes = self.cpu.load(fields::cpu::READ_BYTES).wrapping_add(bytes);

        self.cpu.store(fields::cpu::READ, read);
        self.cpu.store(fields::cpu::READ_BYTES, read_bytes);
        reader_page::advance(&mut self.cpu, bytes);
    }

    /// Refreshes the meta-page, if the buffer is mapped. Mirrors `rb_update_meta_page()`.
    ///
    /// If `missed` is given, the meta-page shows that many lost events.
    #[inline]
    pub(crate) fn publish(&mut self, missed: Option<MissedEvents>) {
        let cpu = &self.cpu;
        let reader_id = cpu.reader_id();
        let page = self.page();
        let counters = Counters {
            reader_read: page.read() as u32,
            entries: cpu.load(fields::cpu::ENTRIES) as u64,
            overrun: cpu.load(fields::cpu::OVERRUN) as u64,
            read: cpu.load(fields::cpu::READ) as u64,
            pages_lost: cpu.load(fields::cpu::PAGES_LOST) as u64,
            pages_touched: cpu.load(fields::cpu::PAGES_TOUCHED) as u64,
        };
        let missed = missed.or_else(|| {
            let pending = self.missed();

            (pending != MissedEvents::NONE).then_some(pending)
        });
        // The missed-events flag of a page is cleared when the page goes back to the writers. So it
        // tells whether the number shown is for this page. Rust does not flag the pages of
        // persistent buffers; compare the id instead.
        let flagged = missed.is_none() && !self.is_persistent() && page.is_flagged();
        let persistent = self.is_persistent();

        let Some(mut meta) = MapState::meta_of(&mut self.cpu) else {
            return;
        };

        if let Some(missed) = missed {
            meta.show_missed(missed.known());
        } else if !(flagged || persistent && meta.reader_id() == reader_id) {
            // Another reader has swapped the page.
            meta.show_missed(0);
        }
        meta.publish(reader_id, &counters);
    }

    /// Refreshes the meta-page, which shows the events that are to be reported as lost.
    pub(crate) fn publish_pending(&mut self) {
        let missed = self.missed();

        self.publish(Some(missed));
    }

    /// Says in the kernel log that `events` events were lost while one was being written.
    pub(crate) fn log_commit_overrun(&self, events: u64) {
        raw::log_commit_overrun(self.cpu.load(fields::cpu::CPU), events);
    }

    /// Gives each sub-buffer its id and enters the sub-buffers into `ids`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the buffer is a remote one, whose ids are not the kernel's.
    /// - `ENODEV`: the memory of the buffer is not in the linear map.
    /// - `EIO`: the list of sub-buffers is corrupt. Some ids may have been given already; they mean
    ///   nothing until the buffer is mapped.
    pub(crate) fn fill_ids(&mut self, ids: &mut SubbufIds) -> Result {
        if self.buffer().is_remote() {
            return Err(EINVAL);
        }
        // All sub-buffers are from the page allocator, or from one area.
        if !self.page().is_linear() {
            return Err(ENODEV);
        }
        if self.is_persistent() {
            ring::find_ids(&mut self.cpu, ids)
        } else {
            ring::give_ids(&mut self.cpu, ids)
        }
    }
}
