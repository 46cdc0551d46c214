// SPDX-License-Identifier: GPL-2.0

//! Handing the next events of a mapped buffer to user space.

use super::{
    cpu_buffer::{
        CpuBuffer,
        Lost,
        Reader,
        ReaderPage, //
    },
    events,
    meta::MetaRef, //
};
use kernel::prelude::*;

/// Consumes all events on the reader page, after a step to the next one if it is read, and
/// refreshes the meta-page. May sleep.
///
/// Mirrors C's `ring_buffer_map_get_reader()`.
///
/// # Errors
///
/// `ENODEV` if the buffer is not mapped. An empty buffer is not an error.
pub(crate) fn get_reader(cpu: &CpuBuffer) -> Result {
    let mapping = cpu.lock_mapping();
    let meta = mapping.meta().ok_or(ENODEV)?;
    let reader = cpu.lock_reader();

    advance(&reader, meta);
    reader.page().flush();
    reader.publish(meta);
    Ok(())
}

/// Takes at most one step to another reader page, and at most one walk over events: whatever the
/// writer does, and whatever is on the page, this ends.
fn advance(reader: &Reader<'_>, meta: MetaRef) {
    if reader.is_empty() {
        return;
    }

    let page = reader.page();

    if page.read() < page.size() {
        consume(reader, &page);
        return;
    }

    let Some(next) = reader.next_page() else {
        return;
    };

    if !next.is(&page) || reader.lost() != Lost::Events(0) {
        report_lost(reader, &next, meta);
    }
    if !reader.is_empty() {
        consume(reader, &next);
    }
}

/// Tells user space how many events are missing before `page`: on the page, if it is complete, and
/// on the meta-page.
fn report_lost(reader: &Reader<'_>, page: &ReaderPage<'_>, meta: MetaRef) {
    let lost = reader.lost();

    meta.set_lost(lost.known());
    if lost == Lost::Events(0) {
        return;
    }

    if !reader.is_complete(page) {
        // An interrupt in the middle of a write filled the buffer. The writer still sets the size
        // of the page, so there is no place on it for a mark.
        reader.log_commit_overrun(lost);
    } else if !reader.is_persistent() {
        page.mark_lost(lost);
    }
    reader.clear_lost();
}

/// Counts what is on `page` as read.
fn consume(reader: &Reader<'_>, page: &ReaderPage<'_>) {
    let complete = reader.is_complete(page);
    let start = page.read();
    let end = page.size();

    if start >= end {
        return;
    }

    let entries = if complete && start == 0 {
        page.entries()
    } else {
        let walk = events::walk(page.committed(start, end), reader.stamp());

        reader.set_stamp(walk.stamp);
        walk.entries
    };

    reader.account(entries, end - start);
    page.set_read(end);
}

/// Refreshes the meta-page of a buffer that is being reset, or otherwise changed by C.
pub(crate) fn refresh(reader: &Reader<'_>) {
    if let Some(meta) = reader.meta() {
        meta.set_lost(reader.lost().known());
        reader.publish(meta);
    }
}
