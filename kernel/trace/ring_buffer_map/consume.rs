// SPDX-License-Identifier: GPL-2.0

//! Handing the next events of a mapped buffer to user space.

use super::{
    buffer::CpuBuffer,
    reader_state::{
        Consumer,
        MissedEvents,
        Rest, //
    }, //
};
use core::num::NonZeroUsize;
use kernel::prelude::*;

/// How many events are walked in one critical section.
const MAX_EVENTS_PER_LOCK: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// Refreshes the meta-page if there is nothing to consume, and returns whether there is nothing.
///
/// No page goes back to the writers, so that other consumers need not be excluded.
///
/// # Errors
///
/// `ENODEV` if the buffer is empty and not mapped.
pub(crate) fn show_empty(cpu: CpuBuffer<'_>) -> Result<bool> {
    if !cpu.is_empty() {
        return Ok(false);
    }

    cpu.lock_reader().publish_empty()
}

/// Swaps the reader page for the next one if it has been read, consumes all events on it, and
/// refreshes the meta-page. May sleep.
///
/// Swaps the page at most once, but for empty ones, and consumes only what was committed by then,
/// up to [`MAX_EVENTS_PER_LOCK`] events in a critical section. The function therefore ends even if
/// writers keep adding events, and regardless of the contents of the page.
///
/// Holds the access to the CPU, as other consumers look at events without the `reader_lock`. The
/// `mapping_lock` is not needed: a buffer that is unmapped meanwhile only loses its meta-page.
///
/// Mirrors C's `ring_buffer_map_get_reader()`.
///
/// # Errors
///
/// `ENODEV` if the buffer is not mapped. An empty buffer is not an error.
pub(crate) fn get_reader(cpu: CpuBuffer<'_>) -> Result {
    let access = cpu.lock_access();
    let mut rest = None;

    loop {
        let mut reader = Consumer::lock(&access);

        if !reader.is_mapped() {
            return Err(ENODEV);
        }
        rest = match rest {
            None => begin(&mut reader),
            Some(rest) => reader.resume(rest, MAX_EVENTS_PER_LOCK),
        };
        if rest.is_none() {
            reader.page().flush();
            reader.publish();
            return Ok(());
        }
    }
}

/// Consumes the first part of the reader page, after swapping it if it has been read.
///
/// Returns the rest.
fn begin<'a>(reader: &mut Consumer<'a>) -> Option<Rest<'a>> {
    if reader.is_empty() {
        return None;
    }

    let page = reader.page();

    if page.read() >= page.size() && !reader.next_page() {
        return None;
    }
    // Another reader may have swapped the page in without reporting what was lost before it.
    if reader.missed() != MissedEvents::NONE {
        report_missed(reader);
    }
    reader.consume(MAX_EVENTS_PER_LOCK)
}

/// Reports the events that were lost before the reader page, which has not been done yet.
///
/// The meta-page has their number, if it is known. A complete page is marked, too.
fn report_missed(reader: &mut Consumer<'_>) {
    let missed = reader.missed();

    if let Some(mut page) = reader.complete_page() {
        let padding = page.mark_missed(missed);

        reader.count_bytes(padding);
    } else {
        // The writer has yet to set the size of the page, so the mark has no place.
        match missed {
            // An interrupt has filled the buffer in the middle of a write, or another reader has
            // passed over a page without events.
            MissedEvents::Count(events) => reader.log_commit_overrun(events),
            // There is no number to report. A page is marked later.
            MissedEvents::Unknown => return,
        }
    }
    reader.clear_missed();
}
