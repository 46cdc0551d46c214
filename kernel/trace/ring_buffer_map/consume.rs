// SPDX-License-Identifier: GPL-2.0

//! Handing the next events of a mapped buffer to user space.

use super::{
    buffer::CpuBuffer,
    events,
    reader_page::PageId,
    reader_state::{
        MissedEvents,
        ReaderGuard, //
    }, //
};
use kernel::prelude::*;

/// How many events are walked in one critical section.
const MAX_EVENTS_PER_LOCK: usize = 128;

/// Refreshes the meta-page if there is nothing to consume, and returns whether there is nothing.
///
/// No page goes back to the writers, so that other consumers need not be excluded.
///
/// # Errors
///
/// `ENODEV` if the buffer is not mapped.
pub(crate) fn show_empty(cpu: CpuBuffer<'_>) -> Result<bool> {
    if !cpu.is_empty() {
        return Ok(false);
    }

    let mut reader = cpu.lock_reader();

    if !reader.is_mapped() {
        return Err(ENODEV);
    }
    if !reader.is_empty() {
        return Ok(false);
    }
    reader.publish(None);
    Ok(true)
}

/// Consumes all events on the reader page, which is swapped for the next one before if it is read,
/// and refreshes the meta-page.
///
/// Swaps the page at most once, and consumes only what was committed by then, up to
/// [`MAX_EVENTS_PER_LOCK`] events in a critical section. So the function ends even if writers keep
/// adding events, and whatever is on the page.
///
/// The caller must exclude consumers that look at an event without the `reader_lock`. The
/// `mapping_lock` is not needed: a buffer that is unmapped meanwhile only loses its meta-page.
///
/// Mirrors C's `ring_buffer_map_get_reader()`.
///
/// # Errors
///
/// `ENODEV` if the buffer is not mapped. An empty buffer is not an error.
pub(crate) fn get_reader(cpu: CpuBuffer<'_>) -> Result {
    let mut unread = None;
    let mut missed = None;

    loop {
        let mut reader = cpu.lock_reader();

        if !reader.is_mapped() {
            return Err(ENODEV);
        }
        unread = match unread {
            None => begin(&mut reader, &mut missed),
            Some(unread) => resume(&mut reader, unread),
        };
        if unread.is_none() {
            reader.page().flush();
            reader.publish(missed);
            return Ok(());
        }
    }
}

/// What is left to consume of the reader page: its bytes before `end`.
struct Unread {
    page: PageId,
    end: usize,
}

/// Consumes the first part of the reader page, after swapping it if it has been read.
///
/// Returns the unread rest. Sets `missed` if events that were lost before the page were reported.
fn begin(reader: &mut ReaderGuard<'_>, missed: &mut Option<MissedEvents>) -> Option<Unread> {
    if reader.is_empty() {
        return None;
    }

    let page = reader.page();
    let (id, size) = (page.id(), page.size());

    if page.read() < size {
        // Still to be reported if another reader has swapped the page in, or if the page was not
        // complete.
        if reader.missed() != MissedEvents::NONE && reader.complete_page().is_some() {
            *missed = Some(report_missed(reader));
        }
        return consume(reader, size);
    }

    // What is there belongs to the page that was just read. Clear it, so that what is there after
    // the swap belongs to the new page.
    let reported = reader.replace_missed(MissedEvents::NONE);
    let found = reader.next_page();

    if reader.page().id() == id {
        // The page was not swapped: the writer has committed more to it meanwhile, or is stuck past
        // its end.
        reader.replace_missed(reported);
    } else if found {
        *missed = Some(report_missed(reader));
    }
    if !found || reader.is_empty() {
        return None;
    }

    let size = reader.page().size();
    consume(reader, size)
}

/// Consumes the next part of the reader page. Others could take the lock meanwhile, and may have
/// consumed the page or reset the buffer.
fn resume(reader: &mut ReaderGuard<'_>, unread: Unread) -> Option<Unread> {
    let page = reader.page();

    if page.id() != unread.page {
        return None;
    }

    let end = unread.end.min(page.size());
    consume(reader, end)
}

/// Reports the events that were lost before the reader page, and returns their number.
///
/// They are marked on the page. If the page is not complete, that is left for a later call. The
/// caller must refresh the meta-page with the result.
fn report_missed(reader: &mut ReaderGuard<'_>) -> MissedEvents {
    let missed = reader.missed();
    let persistent = reader.is_persistent();

    if missed == MissedEvents::NONE {
        return missed;
    }

    let Some(mut page) = reader.complete_page() else {
        // An interrupt in the middle of a write has filled the buffer. The writer still sets the
        // size of the page, so that there is no place on it for a mark yet.
        reader.log_commit_overrun(missed);
        return missed;
    };

    // A mark would make the page invalid for the next boot.
    if !persistent {
        page.mark_missed(missed);
    }
    reader.replace_missed(MissedEvents::NONE)
}

/// Counts what is on the reader page before `end` as read. Returns what is left of that.
///
/// A complete page is counted as a whole. Otherwise the events are walked, up to
/// [`MAX_EVENTS_PER_LOCK`].
fn consume(reader: &mut ReaderGuard<'_>, end: usize) -> Option<Unread> {
    let page = reader.page();
    let (id, start) = (page.id(), page.read());

    if start >= end {
        return None;
    }

    let all_entries = if start == 0 {
        reader
            .complete_page()
            .filter(|page| page.size() == end)
            .map(|page| page.entries())
    } else {
        None
    };
    let (entries, length) = match all_entries {
        Some(entries) => (entries, end),
        None => walk(reader, start, end),
    };

    reader.advance(entries, length);
    (start + length < end).then_some(Unread { page: id, end })
}

/// Walks the events of the reader page from `start` to `end`. Returns their number and length.
fn walk(reader: &mut ReaderGuard<'_>, start: usize, end: usize) -> (usize, usize) {
    let page = reader.page();
    // A page that was swapped in without an event had no time stamp then.
    let stamp = if start == 0 {
        page.time_stamp()
    } else {
        reader.read_stamp()
    };
    let walk = events::walk(page.committed(start, end), stamp, MAX_EVENTS_PER_LOCK);

    reader.set_read_stamp(walk.stamp);
    // A valid page has no committed bytes beyond its capacity. If a corrupt page claims so, skip
    // them.
    let length = if walk.length == 0 {
        end - start
    } else {
        walk.length
    };
    (walk.entries, length)
}
