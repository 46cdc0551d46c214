// SPDX-License-Identifier: GPL-2.0

//! Consuming the events of the reader page.

use super::{
    MissedEvents,
    ReaderGuard, //
};
use crate::{
    bindings::ring_buffer_per_cpu,
    events,
    raw::{
        fields,
        AccessGuard,
        Locked,
        ReaderIndex,
        ReaderLock, //
    },
    reader_page::CompletePage, //
};
use core::ops::Deref;

/// Identifies one visit of the reader to a sub-buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Visit {
    addr: usize,
    /// How often the reader page has been swapped.
    swaps: usize,
}

/// A place on the reader page.
///
/// # Invariants
///
/// `index` is that of an event on the page, or of the end of its committed bytes, during `visit`.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    visit: Visit,
    index: usize,
}

/// A [`ReaderGuard`] that may consume events.
///
/// What hands the reader page back to the writers takes `&mut self`. So no page, and no slice of
/// one, can be used after that.
pub(crate) struct Consumer<'a> {
    reader: ReaderGuard<'a>,
    access: &'a AccessGuard<'a>,
}

impl<'a> Deref for Consumer<'a> {
    type Target = ReaderGuard<'a>;

    fn deref(&self) -> &ReaderGuard<'a> {
        &self.reader
    }
}

impl<'a> Consumer<'a> {
    /// Locks the reader, which disables interrupts, of the buffer that `access` is for.
    pub(crate) fn lock(access: &'a AccessGuard<'a>) -> Self {
        Self {
            reader: ReaderGuard::lock(access.cpu_buffer()),
            access,
        }
    }

    fn cpu(&mut self) -> &mut Locked<'a, ring_buffer_per_cpu, ReaderLock> {
        &mut self.reader.cpu
    }

    /// Swaps in the next reader page if the current one is read.
    ///
    /// Returns whether the page was swapped, and whether the reader page has something to read. It
    /// has not if the buffer is empty, or if a writer is stuck past the end of the page. Mirrors
    /// `rb_get_reader_page()`.
    pub(crate) fn next_page(&mut self) -> (bool, bool) {
        let before = self.visit();
        let found = self.access.get_reader_page(&mut self.reader.cpu);

        (self.visit() != before, found)
    }

    /// See [`ReaderGuard::complete_page`].
    pub(crate) fn complete_page(&mut self) -> Option<CompletePage<'_>> {
        self.reader.complete_page()
    }

    /// Replaces [`ReaderGuard::missed`]. Returns what it was.
    pub(crate) fn replace_missed(&mut self, missed: MissedEvents) -> MissedEvents {
        self.reader.replace_missed(missed)
    }

    /// See [`ReaderGuard::publish`].
    pub(crate) fn publish(&mut self) {
        self.reader.publish();
    }

    fn visit(&self) -> Visit {
        Visit {
            addr: self.page().addr(),
            swaps: self.reader.cpu.load(fields::cpu::CNT),
        }
    }

    /// The end of what is committed of the reader page.
    pub(crate) fn end(&self) -> Position {
        // INVARIANT: The page ends with an event.
        Position {
            visit: self.visit(),
            index: self.page().size(),
        }
    }

    /// Whether `position` is on the reader page, and not behind its end.
    ///
    /// Another reader may have taken the lock in between, and swapped the page or reset the buffer.
    pub(crate) fn has(&self, position: &Position) -> bool {
        self.visit() == position.visit && position.index <= self.page().size()
    }

    /// Consumes the reader page as a whole, if it is complete, unread and ends at `end`.
    ///
    /// Returns whether it was consumed.
    pub(crate) fn consume_page(&mut self, end: &Position) -> bool {
        if self.page().read() != 0 {
            return false;
        }

        let Some(page) = self.complete_page() else {
            return false;
        };
        let (entries, size) = (page.entries(), page.size());

        if size != end.index {
            return false;
        }
        self.advance(entries, end);
        true
    }

    /// Consumes up to `max` events of the reader page before `end`. Returns whether all of them were
    /// consumed.
    pub(crate) fn consume_events(&mut self, end: &Position, max: usize) -> bool {
        let page = self.page();
        let start = page.read();

        if start >= end.index {
            return true;
        }

        let events = page.committed(start, end.index);
        // If the page had no event when it was swapped in, it had no time stamp then.
        let stamp = if start == 0 {
            page.time_stamp()
        } else {
            self.reader.cpu.load(fields::cpu::READ_STAMP)
        };
        let walk = events::walk(events, stamp, max);
        // A valid page has no committed bytes beyond its capacity. If a corrupt page claims so,
        // skip them.
        let index = if walk.length == 0 {
            end.index
        } else {
            start + walk.length
        };

        self.cpu().store(fields::cpu::READ_STAMP, walk.stamp);
        // INVARIANT: A walk that does not reach the end of the slice stops before an event.
        self.advance(
            walk.entries,
            &Position {
                visit: end.visit,
                index,
            },
        );
        index >= end.index
    }

    /// Counts the bytes before `to`, with `entries` events, as read. Mirrors what
    /// `rb_advance_reader()` counts. Does nothing if `to` is not on the reader page.
    fn advance(&mut self, entries: usize, to: &Position) {
        if !self.has(to) {
            return;
        }

        let cpu = self.cpu();
        let read = cpu.load(fields::cpu::READ).wrapping_add(entries);
        let bytes = to.index
            - (cpu
                .follow(fields::cpu::READER_PAGE)
                .load(fields::page::READ) as usize)
                .min(to.index);
        let read_bytes = cpu.load(fields::cpu::READ_BYTES).wrapping_add(bytes);

        cpu.store(fields::cpu::READ, read);
        cpu.store(fields::cpu::READ_BYTES, read_bytes);

        let page = cpu.follow_mut(fields::cpu::READER_PAGE);
        // SAFETY: The lock is held by the type invariants of `Locked`. By those of `Position` and
        // the test above, the index is that of an event or of the end.
        let mut page = unsafe { Locked::<_, ReaderIndex>::assume(*page) };

        page.store(fields::page::READ, to.index as u32);
    }
}
