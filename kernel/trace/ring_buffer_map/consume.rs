// SPDX-License-Identifier: GPL-2.0

//! Handing the next events of a mapped buffer to user space.

use super::{
    buffer::CpuBuffer,
    raw::Access,
    reader_state::{
        MissedEvents,
        PageId,
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
    reader.page().flush();
    reader.publish();
    Ok(true)
}

/// Swaps the reader page for the next one if it has been read, consumes all events on it, and
/// refreshes the meta-page.
///
/// Swaps the page at most once, and consumes only what was committed by then, up to
/// [`MAX_EVENTS_PER_LOCK`] events in a critical section. The function therefore ends even if writers
/// keep adding events, and regardless of the contents of the page.
///
/// `_access` must be for the CPU of the buffer, as other consumers look at events without the
/// `reader_lock`. The `mapping_lock` is not needed: a buffer that is unmapped meanwhile only loses
/// its meta-page.
///
/// Mirrors C's `ring_buffer_map_get_reader()`.
///
/// # Errors
///
/// `ENODEV` if the buffer is not mapped. An empty buffer is not an error.
pub(crate) fn get_reader(cpu: CpuBuffer<'_>, _access: &Access) -> Result {
    let mut unread = None;

    loop {
        let mut reader = cpu.lock_reader();

        if !reader.is_mapped() {
            return Err(ENODEV);
        }
        unread = match unread {
            None => begin(&mut reader),
            Some(unread) => resume(&mut reader, unread),
        };
        if unread.is_none() {
            reader.page().flush();
            reader.publish();
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
/// Returns the unread rest.
fn begin(reader: &mut ReaderGuard<'_>) -> Option<Unread> {
    if reader.is_empty() {
        return None;
    }

    let page = reader.page();

    if page.read() < page.size() {
        // The events that were lost before the page have not been reported if another reader has
        // swapped it in, or if it was not complete.
        if reader.missed() != MissedEvents::NONE && reader.complete_page().is_some() {
            report_missed(reader);
        }
        return consume(reader);
    }

    // The pending loss belongs to the page that was just read. Clear it, so that a loss found after
    // the swap belongs to the new page.
    let id = reader.page_id();
    let reported = reader.replace_missed(MissedEvents::NONE);
    let found = reader.next_page();

    if reader.page_id() == id {
        // The page was not swapped: the writer has committed more to it meanwhile, or is stuck past
        // its end.
        reader.replace_missed(reported);
    } else if found {
        report_missed(reader);
    }
    if !found || reader.is_empty() {
        return None;
    }
    consume(reader)
}

/// Consumes the next part of the reader page.
///
/// Another reader may have taken the lock in between, and swapped the page or reset the buffer.
/// Then nothing is left.
fn resume(reader: &mut ReaderGuard<'_>, unread: Unread) -> Option<Unread> {
    if reader.page_id() != unread.page || reader.page().size() < unread.end {
        return None;
    }
    walk(reader, unread.end)
}

/// Reports the events that were lost before the reader page, if any.
///
/// They are marked on the page. If the page is not complete, that is left for a later call.
fn report_missed(reader: &mut ReaderGuard<'_>) {
    let missed = reader.missed();
    let persistent = reader.is_persistent();

    if missed == MissedEvents::NONE {
        return;
    }

    let Some(mut page) = reader.complete_page() else {
        // The writer has yet to set the size of the page, so the mark has no place. If the number
        // is known, an interrupt has filled the buffer in the middle of a write.
        if let MissedEvents::Count(events) = missed {
            reader.log_commit_overrun(events);
        }
        return;
    };

    // A mark would make the page invalid for the next boot.
    if !persistent {
        page.mark_missed(missed);
    }
    reader.replace_missed(MissedEvents::NONE);
}

/// Consumes what is committed of the reader page, or its first part. Returns the unread rest.
///
/// A complete page is counted as a whole. Otherwise the events are walked.
fn consume(reader: &mut ReaderGuard<'_>) -> Option<Unread> {
    let size = reader.page().size();

    if reader.consume_page(size) {
        return None;
    }
    walk(reader, size)
}

/// Consumes up to [`MAX_EVENTS_PER_LOCK`] events before `end`. Returns the unread rest.
fn walk(reader: &mut ReaderGuard<'_>, end: usize) -> Option<Unread> {
    if reader.consume_events(end, MAX_EVENTS_PER_LOCK) {
        return None;
    }
    Some(Unread {
        page: reader.page_id(),
        end,
    })
}
