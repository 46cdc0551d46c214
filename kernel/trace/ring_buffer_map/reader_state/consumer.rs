// SPDX-License-Identifier: GPL-2.0

//! Consuming the events of the reader page.

use super::ReaderGuard;
use crate::{
    bindings::ring_buffer_per_cpu,
    events::{
        self,
        Bytes, //
    },
    raw::{
        fields,
        AccessGuard,
        Locked,
        ReaderIndex,
        ReaderLocked, //
    },
    reader_page::CompletePage, //
};
use core::{
    marker::PhantomData,
    num::NonZeroUsize,
    ops::Deref, //
};
use kernel::sync::barrier::{
    smp_mb,
    Read, //
};

/// The rest of what was committed to the reader page when [`Consumer::consume`] began.
///
/// # Invariants
///
/// If the reader page of `cpu` has not been swapped since and `read` bytes of it are read, `end` is
/// the index of an event on the page, or of the end of its committed bytes, or behind that end:
/// [`CompletePage::mark_missed`] cuts off the padding. `read` is not 0, so that this is no page
/// that was reset: a reset leaves a reader page that no writer is on, and events come to it only by
/// a swap.
///
/// The access is held for `'a`, so that only ftrace_dump() may have advanced on the page.
pub(crate) struct Rest<'a> {
    cpu: *mut ring_buffer_per_cpu,
    /// How often the reader page has been swapped.
    swaps: usize,
    read: usize,
    end: usize,
    _access: PhantomData<&'a AccessGuard<'a>>,
}

/// An index on the reader page.
///
/// # Invariants
///
/// It is the index of an event on the page, or of the end of its committed bytes.
struct EventIndex(usize);

/// What there is to read of a buffer on which no writer is in the middle of an event.
struct Quiescent {
    /// The number of events that are read once all are.
    read: usize,
    /// The end of the committed bytes.
    end: EventIndex,
    /// The time that the next event is relative to, if it is.
    stamp: u64,
}

/// A [`ReaderGuard`] that may consume events.
///
/// What hands the reader page back to the writers takes `&mut self`. So no page, and no bytes of
/// one, can be used after that.
pub(crate) struct Consumer<'a> {
    reader: ReaderGuard<'a>,
    access: &'a AccessGuard<'a>,
}

impl<'a> Deref for Consumer<'a> {
    type Target = ReaderGuard<'a>;

    #[inline(always)]
    fn deref(&self) -> &ReaderGuard<'a> {
        &self.reader
    }
}

impl<'a> Consumer<'a> {
    /// Locks the reader of the buffer that `access` is for, which disables interrupts.
    pub(crate) fn lock(access: &'a AccessGuard<'a>) -> Self {
        Self {
            reader: ReaderGuard::lock(access.cpu_buffer()),
            access,
        }
    }

    #[inline(always)]
    fn cpu(&mut self) -> &mut ReaderLocked<'a> {
        &mut self.reader.cpu
    }

    fn swaps(&self) -> usize {
        self.reader.cpu.load(fields::cpu::CNT)
    }

    /// Swaps in the next reader page if the current one is read.
    ///
    /// Returns whether the reader page has something to read. It has not if the buffer is empty, or
    /// if a writer is stuck past the end of the page. Mirrors `rb_get_reader_page()`.
    pub(crate) fn next_page(&mut self) -> bool {
        self.access.get_reader_page(&mut self.reader.cpu)
    }

    /// See [`ReaderGuard::complete_page`].
    pub(crate) fn complete_page(&mut self) -> Option<CompletePage<'_>> {
        self.reader.complete_page()
    }

    /// Counts `bytes` of the reader page as read.
    pub(crate) fn count_bytes(&mut self, bytes: usize) {
        let cpu = self.cpu();
        let read_bytes = cpu.load(fields::cpu::READ_BYTES);

        cpu.store(fields::cpu::READ_BYTES, read_bytes.wrapping_add(bytes));
    }

    /// See [`ReaderGuard::clear_missed`].
    pub(crate) fn clear_missed(&mut self) {
        self.reader.clear_missed();
    }

    /// See [`ReaderGuard::publish`].
    pub(crate) fn publish(&mut self) {
        self.reader.publish();
    }

    /// Consumes what is committed of the reader page, up to `max` events. Returns the rest.
    ///
    /// A complete page of which nothing was read is counted as a whole. Otherwise the events are
    /// walked.
    pub(crate) fn consume(&mut self, max: NonZeroUsize) -> Option<Rest<'a>> {
        let size = self.page().size();

        if self.page().read() == 0 {
            if let Some(page) = self.complete_page() {
                let (entries, complete) = (page.entries(), page.size());

                // Otherwise the writer has committed more in the meantime.
                // INVARIANT: It is the end of the committed bytes.
                if complete == size {
                    self.advance(entries, EventIndex(size));
                    return None;
                }
            }
        }
        if let Some(all) = self.quiescent() {
            let read = self.reader.cpu.load(fields::cpu::READ);

            self.cpu().store(fields::cpu::READ_STAMP, all.stamp);
            self.advance(all.read.wrapping_sub(read), all.end);
            return None;
        }
        self.walk(size, max)
    }

    /// What there is to read, if all of it is on the reader page and no writer is in the middle of
    /// an event.
    ///
    /// The counters of the buffer then have the number of events that a walk would find. The time
    /// may be that of an event which was discarded, or an earlier one than that of the last event.
    /// The next event then has an absolute time stamp.
    ///
    /// A writer increments `committing`, advances `write`, and stores `write_stamp`. It may take
    /// `write` back if it discards the event. Otherwise it counts the event and commits it. When it
    /// is done, it decrements `committing`.
    fn quiescent(&self) -> Option<Quiescent> {
        if !cfg!(CONFIG_RING_BUFFER_LOCAL_ORDERED) {
            return None;
        }

        let cpu = &self.reader.cpu;
        let page = self.page();
        let end = page.size();

        // Orders the load of `commit` before those of the counters: they include all that is
        // committed. Pairs with the smp_wmb() before each store of `commit` in
        // rb_set_commit_to_write().
        smp_mb(Read);

        let entries = cpu.load(fields::cpu::ENTRIES);
        let overrun = cpu.load(fields::cpu::OVERRUN);
        let stamp = cpu.load(fields::cpu::WRITE_STAMP);

        // Orders the loads of the counters before those that follow. If a counter or the stamp is
        // of an event that is not in `commit`, its writer has incremented `committing` and advanced
        // `write` or `tail_page` before. Pairs with the local_add_return() in __rb_reserve_next(),
        // which orders its stores where the option says so.
        smp_mb(Read);

        if cpu.load(fields::cpu::COMMITTING) != 0 {
            return None;
        }

        // Orders the load of `committing` before the tests: if it is 0 because the writer is done,
        // they find what has become of the event. Pairs with the same local_add_return(), and with
        // the local_try_cmpxchg() in rb_try_to_discard().
        smp_mb(Read);

        let quiescent = page.write() == end && page.is(cpu.load(fields::cpu::TAIL_PAGE));

        quiescent.then_some(Quiescent {
            read: entries.wrapping_sub(overrun) as usize,
            // INVARIANT: All that is committed ends there.
            end: EventIndex(end),
            stamp: stamp as u64,
        })
    }

    /// Consumes the next up to `max` events of `rest`. Returns the rest of that.
    ///
    /// Others could take the lock meanwhile, and may have reset the buffer. Then nothing is left.
    pub(crate) fn resume(&mut self, rest: Rest<'a>, max: NonZeroUsize) -> Option<Rest<'a>> {
        if self.reader.cpu.as_ptr() != rest.cpu
            || self.swaps() != rest.swaps
            || self.page().read() != rest.read
        {
            return None;
        }
        let end = rest.end.min(self.page().size());

        self.walk(end, max)
    }

    /// Consumes up to `max` events before `end`, which is the index of an event or of the end of
    /// what is committed. Returns the rest.
    fn walk(&mut self, end: usize, max: NonZeroUsize) -> Option<Rest<'a>> {
        let page = self.page();
        let start = page.read();

        if start >= end {
            return None;
        }

        let events = page.committed(start, end);
        // If the page had no event when it was swapped in, it had no time stamp then.
        let stamp = if start == 0 {
            page.time_stamp()
        } else {
            self.reader.cpu.load(fields::cpu::READ_STAMP)
        };
        let walk = events::walk(events, stamp, max.get());
        // A valid page has no committed bytes beyond its capacity. If a corrupt page claims so,
        // skip them.
        let index = if walk.length == events.len() {
            end
        } else {
            start + walk.length
        };

        self.cpu().store(fields::cpu::READ_STAMP, walk.stamp);
        // INVARIANT: The walk has stopped before an event, or at the end.
        self.advance(walk.entries, EventIndex(index));

        // INVARIANT: So much was just read, which is not 0. `end` was the index of an event or of
        // the end.
        (index < end).then(|| Rest {
            cpu: self.reader.cpu.as_ptr(),
            swaps: self.swaps(),
            read: index,
            end,
            _access: PhantomData,
        })
    }

    /// Counts the bytes before `to`, with `entries` events, as read. Mirrors what
    /// `rb_advance_reader()` counts.
    fn advance(&mut self, entries: usize, to: EventIndex) {
        let cpu = self.cpu();
        let read = cpu.load(fields::cpu::READ).wrapping_add(entries);

        cpu.store(fields::cpu::READ, read);

        let page = cpu.follow_mut(fields::cpu::READER_PAGE);
        let bytes = to.0.wrapping_sub(page.load(fields::page::READ) as usize);
        // SAFETY: The lock is held by the type invariants of `Locked`. An `EventIndex` is what may
        // be stored.
        let mut page = unsafe { Locked::<_, ReaderIndex>::assume(*page, ()) };

        page.store(fields::page::READ, to.0 as u32);
        self.count_bytes(bytes);
    }
}
