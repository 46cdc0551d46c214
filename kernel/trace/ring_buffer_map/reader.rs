// SPDX-License-Identifier: GPL-2.0

//! Handing the next events of a mapped buffer to user space.

use super::{
    cpu_buffer::{
        CpuBuffer,
        Lost,
        PageId,
        Reader,
        ReaderPage, //
    },
    events, //
};
use kernel::prelude::*;

/// How many events are walked with interrupts disabled.
const STEP: usize = 128;

/// Refreshes the meta-page if there is nothing to consume, and returns whether that is so. May
/// sleep.
///
/// It hands no page back to writers: other consumers need not be excluded.
///
/// # Errors
///
/// `ENODEV` if the buffer is not mapped.
pub(crate) fn show_empty(cpu: &CpuBuffer) -> Result<bool> {
    if !cpu.is_empty() {
        return Ok(false);
    }

    let mapping = cpu.lock_mapping();
    let meta = mapping.meta().ok_or(ENODEV)?;
    let reader = cpu.lock_reader();

    if !reader.is_empty() {
        return Ok(false);
    }
    reader.publish(meta, None);
    Ok(true)
}

/// Consumes all events on the reader page, after a step to the next one if it is read, and
/// refreshes the meta-page. May sleep.
///
/// Takes at most one step to another reader page, and walks at most the events that are on it then,
/// some at a time: whatever the writer does, and whatever is on the page, this ends.
///
/// The caller excludes consumers that look at an event without the `reader_lock`.
///
/// Mirrors C's `ring_buffer_map_get_reader()`.
///
/// # Errors
///
/// `ENODEV` if the buffer is not mapped. An empty buffer is not an error.
pub(crate) fn get_reader(cpu: &CpuBuffer) -> Result {
    let mapping = cpu.lock_mapping();
    let meta = mapping.meta().ok_or(ENODEV)?;
    let mut rest = None;
    let mut lost = None;

    loop {
        let reader = cpu.lock_reader();

        rest = match rest {
            None => advance(&reader, &mut lost),
            Some(rest) => resume(&reader, rest),
        };
        if rest.is_none() {
            reader.page().flush();
            reader.publish(meta, lost);
            return Ok(());
        }
    }
}

/// What is left to consume of a page: its bytes before `end`.
struct Rest {
    page: PageId,
    end: usize,
}

/// Begins to consume. Returns what is left to, and in `lost` what a step to another page reports.
fn advance(reader: &Reader<'_>, lost: &mut Option<Lost>) -> Option<Rest> {
    if reader.is_empty() {
        return None;
    }

    let page = reader.page();

    if page.read() < page.size() {
        // What was lost before it is to be reported if another reader brought the page in, or if
        // it was not complete.
        if reader.lost() != Lost::NONE && reader.is_complete(&page) {
            *lost = Some(report_lost(reader, &page));
        }
        return consume(reader, &page, page.size());
    }

    // What is there was shown with this page, and goes with it.
    let shown = reader.replace_lost(Lost::NONE);
    let next = reader.next_page();

    if reader.page().is(page.id()) {
        // It stays, as an interrupt has put more on it, or a writer does not leave its end.
        reader.replace_lost(shown);
    }

    let next = next?;

    if !next.is(page.id()) {
        *lost = Some(report_lost(reader, &next));
    }
    if reader.is_empty() {
        return None;
    }
    consume(reader, &next, next.size())
}

/// Goes on after others could take the lock, and may have consumed the page, or reset the buffer.
fn resume(reader: &Reader<'_>, rest: Rest) -> Option<Rest> {
    let page = reader.page();

    if !page.is(rest.page) {
        return None;
    }
    consume(reader, &page, rest.end.min(page.size()))
}

/// Takes the number of events that are missing before `page`, and marks the page with it. If it is
/// not complete, that is done later. The meta-page is the caller's to refresh with the result.
fn report_lost(reader: &Reader<'_>, page: &ReaderPage<'_>) -> Lost {
    let lost = reader.lost();

    if lost == Lost::NONE {
        return lost;
    }

    if !reader.is_complete(page) {
        // An interrupt in the middle of a write filled the buffer. The writer still sets the size
        // of the page, so there is no place on it for a mark yet.
        reader.log_commit_overrun(lost);
        return lost;
    }
    if !reader.is_persistent() {
        page.mark_lost(lost);
    }
    reader.replace_lost(Lost::NONE)
}

/// Counts what is on `page` before `end` as read: a complete page as a whole, the events of others
/// up to [`STEP`]. Returns what is left.
fn consume(reader: &Reader<'_>, page: &ReaderPage<'_>, end: usize) -> Option<Rest> {
    let start = page.read();

    if start >= end {
        return None;
    }

    let (entries, length) = if start == 0 && reader.is_complete(page) && end == page.size() {
        (page.entries(), end)
    } else {
        // The page may have come in when it had no event, and so no time yet.
        let stamp = match start {
            0 => page.stamp(),
            _ => reader.stamp(),
        };
        let walk = events::walk(page.committed(start, end), stamp, STEP);

        reader.set_stamp(walk.stamp);
        // Bytes that are committed and not on the page are none of a valid one. Pass over them.
        match walk.length {
            0 => (walk.entries, end - start),
            length => (walk.entries, length),
        }
    };
    let read = start + length;

    reader.account(entries, length);
    page.set_read(read);
    (read < end).then(|| Rest {
        page: page.id(),
        end,
    })
}

/// Refreshes the meta-page of a buffer that is being reset, or otherwise changed by C.
pub(crate) fn refresh(reader: &Reader<'_>) {
    if let Some(meta) = reader.meta() {
        reader.publish(meta, Some(reader.lost()));
    }
}
