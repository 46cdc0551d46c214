// SPDX-License-Identifier: GPL-2.0

//! The reader's side of a CPU's buffer: the state under `reader_lock`.
//!
//! `reader_lock` is a raw spinlock that is held with interrupts disabled. It excludes all readers,
//! but no writer.
//!
//! The only exception is a reader in an NMI that finds the lock taken, as the kernel dumps its
//! buffers. C then goes on without the lock, after it has stopped the buffer for good, see
//! `rb_reader_lock()`. A writer that had begun by then still ends. So if the dump consumes the
//! reader page that code here looks at, that writer may write to it. C's own readers share this,
//! and such a dump is of a kernel that is about to die.

use super::{
    bindings::{
        ring_buffer_per_cpu,
        ring_buffer_type_RINGBUF_TYPE_PADDING,
        ring_buffer_type_RINGBUF_TYPE_TIME_EXTEND,
        ring_buffer_type_RINGBUF_TYPE_TIME_STAMP,
        RB_LEN_TIME_EXTEND,
        RB_LEN_TIME_STAMP,
        TS_MSB,
        TS_SHIFT, //
    },
    buffer::{
        none_waits,
        CpuBuffer, //
    },
    events,
    layout::Layout,
    map_state::MapState,
    meta::Shown,
    raw::{
        self,
        fields,
        ReaderLocked,
        Shared, //
    },
    reader_page::{
        CompletePage,
        ReaderPage, //
    },
    ring::Filling, //
};
use kernel::prelude::*;

// What `events` knows of the format of an event is what C has.
const _: () = {
    assert!(events::TYPE_PADDING == ring_buffer_type_RINGBUF_TYPE_PADDING);
    assert!(events::TYPE_TIME_EXTEND == ring_buffer_type_RINGBUF_TYPE_TIME_EXTEND);
    assert!(events::TYPE_TIME_STAMP == ring_buffer_type_RINGBUF_TYPE_TIME_STAMP);
    assert!(events::TIME_SHIFT == TS_SHIFT);
    assert!(events::TIME_STAMP_MSB == TS_MSB as u64);
    assert!(events::TIME_EVENT == RB_LEN_TIME_EXTEND as usize);
    assert!(events::TIME_EVENT == RB_LEN_TIME_STAMP as usize);
};

mod consumer;

pub(crate) use consumer::{
    Consumer,
    Rest, //
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

    /// From the number as C has it.
    fn from_c(events: usize) -> Self {
        match events {
            usize::MAX => Self::Unknown,
            count => Self::Count(count as u64),
        }
    }
}

/// A CPU's buffer with its `reader_lock` held, by this value or by its creator.
///
/// What changes the state of the reader takes `&mut self`.
#[must_use = "the reader unlocks immediately when the guard is unused"]
pub(crate) struct ReaderGuard<'a> {
    cpu: ReaderLocked<'a>,
}

impl<'a> ReaderGuard<'a> {
    /// Locks the reader, which disables interrupts.
    pub(crate) fn lock(cpu: Shared<'a, ring_buffer_per_cpu>) -> Self {
        let guard = cpu.lock(fields::cpu::READER_LOCK).lock();

        // SAFETY: The guard is of the lock of this buffer. Any value may be stored.
        Self::locked(unsafe { ReaderLocked::assume(cpu, Some(guard)) })
    }

    /// The reader, which is locked already.
    pub(crate) fn locked(cpu: ReaderLocked<'a>) -> Self {
        Self { cpu }
    }

    fn buffer(&self) -> CpuBuffer<'a> {
        CpuBuffer::new(*self.cpu)
    }

    /// Whether the buffer is mapped.
    pub(crate) fn is_mapped(&self) -> bool {
        self.cpu.load(fields::cpu::USER_MAPPED) != 0
    }

    /// Whether no event waits to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer().is_empty()
    }

    /// The reader page.
    pub(crate) fn page(&self) -> ReaderPage<'_> {
        ReaderPage::of(&self.cpu)
    }

    /// The reader page, if the writers have left it for good.
    ///
    /// All its events are committed then, and what is loaded of it is final.
    fn complete_page(&mut self) -> Option<CompletePage<'_>> {
        CompletePage::of(&mut self.cpu)
    }

    /// The events that were lost before the reader page and that have not been reported.
    pub(crate) fn missed(&self) -> MissedEvents {
        MissedEvents::from_c(self.cpu.load(fields::cpu::LOST_EVENTS))
    }

    /// All events that were lost have been reported.
    fn clear_missed(&mut self) {
        self.cpu.store(fields::cpu::LOST_EVENTS, 0);
    }

    /// What the meta-page is to show, with `page` as the reader page.
    fn shown(&self, page: &ReaderPage<'_>) -> Shown {
        let cpu = &self.cpu;

        Shown {
            reader_id: page.id(**cpu),
            reader_read: page.read() as u32,
            lost_events: cpu.load(fields::cpu::READER_LOST_EVENTS) as u64,
            entries: cpu.load(fields::cpu::ENTRIES) as u64,
            overrun: cpu.load(fields::cpu::OVERRUN) as u64,
            read: cpu.load(fields::cpu::READ) as u64,
            pages_lost: cpu.load(fields::cpu::PAGES_LOST) as u64,
            pages_touched: cpu.load(fields::cpu::PAGES_TOUCHED) as u64,
        }
    }

    /// Refreshes the meta-page, if the buffer is mapped. Mirrors `rb_update_meta_page()`.
    #[inline]
    pub(crate) fn publish(&mut self) {
        let state = self.shown(&self.page());

        if let Some(meta) = MapState::meta_of(&mut self.cpu) {
            meta.publish(&state);
        }
    }

    /// As [`Self::publish`], if no event waits to be read. Returns whether none does.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the buffer is empty and not mapped.
    pub(crate) fn publish_empty(&mut self) -> Result<bool> {
        let page = self.page();
        let state = self.shown(&page);

        if !none_waits(state.entries, state.overrun, state.read) {
            return Ok(false);
        }
        page.flush();
        MapState::meta_of(&mut self.cpu)
            .ok_or(ENODEV)?
            .publish(&state);
        Ok(true)
    }

    /// Writes the meta-page of a buffer of `layout` that was just mapped.
    pub(crate) fn publish_first(&mut self, layout: &Layout) {
        if let Some(mut meta) = MapState::meta_of(&mut self.cpu) {
            meta.init(layout);
        }
        self.publish();
    }

    /// Logs that `events` events were lost while one was being written.
    pub(crate) fn log_commit_overrun(&self, events: u64) {
        raw::log_commit_overrun(self.cpu.load(fields::cpu::CPU), events);
    }

    /// Gives the next sub-buffers their ids, and enters them into a table. Returns whether all are
    /// entered.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: the buffer is mapped.
    /// - `ENODEV`: the memory of the buffer is not in the linear map.
    /// - Those of [`Filling::step`].
    pub(crate) fn fill(&mut self, filling: &mut Filling<'_>) -> Result<bool> {
        if self.is_mapped() {
            return Err(EBUSY);
        }
        // All sub-buffers are from the page allocator, or from one area.
        if !self.page().is_linear() {
            return Err(ENODEV);
        }
        filling.step(&mut self.cpu)
    }
}
