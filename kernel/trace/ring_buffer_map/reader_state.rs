// SPDX-License-Identifier: GPL-2.0

//! The reader's side of a CPU's buffer: the state under `reader_lock`.
//!
//! `reader_lock` is a raw spinlock that is held with interrupts disabled. It excludes all readers,
//! but no writer. The only exception is a reader in an NMI that finds the lock taken: C then goes
//! on without the lock, after it has stopped the buffer for good, see `rb_reader_lock()`.

use super::{
    bindings::ring_buffer_per_cpu,
    buffer::CpuBuffer,
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
        CompletePage,
        ReaderPage, //
    },
    ring, //
};
use kernel::{
    prelude::*,
    sync::{
        barrier::{
            smp_mb,
            Read, //
        },
        RawSpinLockIrqGuard, //
    }, //
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

/// A CPU's buffer with its `reader_lock` held, by this value or by its creator.
///
/// What changes the state or hands the reader page back to the writers takes `&mut self`. So no
/// [`ReaderPage`], and no slice of one, can be used after that.
pub(crate) struct ReaderGuard<'a> {
    buffer: CpuBuffer<'a>,
    cpu: Locked<'a, ring_buffer_per_cpu, ReaderLock>,
    _guard: Option<RawSpinLockIrqGuard<'a, ()>>,
}

impl<'a> ReaderGuard<'a> {
    /// Locks the reader, which disables interrupts.
    pub(crate) fn lock(buffer: CpuBuffer<'a>, cpu: Shared<'a, ring_buffer_per_cpu>) -> Self {
        let guard = cpu.lock(fields::cpu::READER_LOCK).lock();

        Self {
            buffer,
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
    pub(crate) unsafe fn assume_locked(
        buffer: CpuBuffer<'a>,
        cpu: Shared<'a, ring_buffer_per_cpu>,
    ) -> Self {
        Self {
            buffer,
            // SAFETY: By the safety requirements of this function.
            cpu: unsafe { Locked::assume(cpu) },
            _guard: None,
        }
    }

    /// Whether the buffer is mapped.
    pub(crate) fn is_mapped(&self) -> bool {
        self.cpu.load(fields::cpu::USER_MAPPED) != 0
    }

    /// Whether the pages must stay valid for the next boot, and so may not be marked.
    pub(crate) fn is_persistent(&self) -> bool {
        self.buffer.is_persistent()
    }

    /// Whether no event waits to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
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
        let commit_page = self.cpu.load(fields::cpu::COMMIT_PAGE);

        // Orders the load of `commit_page` before those of the page. Pairs with the
        // smp_store_release() in rb_set_commit_to_write(), which steps to the next page after the
        // last commit to this one.
        smp_mb(Read);

        let page = self.cpu.follow_mut(fields::cpu::READER_PAGE);

        // INVARIANT: The step was seen, so that the writers have left the page. They do not come
        // back to the reader page.
        (commit_page != page.as_ptr()).then(|| CompletePage::new(page))
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

    /// The time stamp of the last event that was read.
    pub(crate) fn read_stamp(&self) -> u64 {
        self.cpu.load(fields::cpu::READ_STAMP)
    }

    /// Sets the time stamp of the last event that was read.
    pub(crate) fn set_read_stamp(&mut self, stamp: u64) {
        self.cpu.store(fields::cpu::READ_STAMP, stamp);
    }

    /// Counts the next `bytes` bytes of the reader page, with `entries` events, as read. Mirrors
    /// what `rb_advance_reader()` counts.
    pub(crate) fn advance(&mut self, entries: usize, bytes: usize) {
        let cpu = &mut self.cpu;
        let read = cpu.load(fields::cpu::READ).wrapping_add(entries);
        let read_bytes = cpu.load(fields::cpu::READ_BYTES).wrapping_add(bytes);

        cpu.store(fields::cpu::READ, read);
        cpu.store(fields::cpu::READ_BYTES, read_bytes);
        ReaderPage::advance(cpu.follow_mut(fields::cpu::READER_PAGE), bytes);
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
        // The missed-events flag of a page is cleared when the page goes back to the writers, so
        // it tells whether the number that is shown is that of this page. Pages of persistent
        // buffers are never flagged.
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

    /// Says in the kernel log that events were lost while one was being written.
    pub(crate) fn log_commit_overrun(&self, missed: MissedEvents) {
        raw::log_commit_overrun(self.cpu.load(fields::cpu::CPU), missed.known());
    }

    /// Gives each sub-buffer its id and enters them into `ids`, which has as many entries.
    ///
    /// # Errors
    ///
    /// `EIO` if the list of sub-buffers is corrupt. Ids may have been given by then, which only
    /// mean something once the buffer is mapped.
    pub(crate) fn fill_ids(&mut self, ids: &mut SubbufIds) -> Result {
        if self.is_persistent() {
            ring::find_ids(&mut self.cpu, ids)
        } else {
            ring::give_ids(&mut self.cpu, ids)
        }
    }
}
