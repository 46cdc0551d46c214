// SPDX-License-Identifier: GPL-2.0

//! Walking over the sub-buffers of a buffer, to give them ids.
//!
//! The reader page has been taken out of the ring. It comes first; the sub-buffers of the ring
//! follow, from the head page on.

use super::{
    bindings::{
        buffer_page,
        ring_buffer_per_cpu, //
    },
    map_state::{
        Subbuf,
        SubbufIds, //
    },
    raw::{
        fields,
        Locked,
        ReaderLock,
        RingPage,
        Shared, //
    }, //
};
use kernel::prelude::*;

type Cpu<'a> = Locked<'a, ring_buffer_per_cpu, ReaderLock>;

/// Numbers the sub-buffers of a buffer that is not persistent, and enters them into `ids`.
///
/// # Errors
///
/// `EIO` if there are more or fewer sub-buffers than `ids` has entries.
pub(super) fn give_ids(cpu: &mut Cpu<'_>, ids: &mut SubbufIds) -> Result {
    let mut reader = cpu.follow_mut(fields::cpu::READER_PAGE);

    reader.set_id(0);

    let reader = Subbuf::new(*reader);
    let mut next = cpu.head_page().ok_or(EIO)?;
    let head = next.page().as_ptr();
    let mut id = 0;

    ids.fill(|| {
        let entry = if id == 0 {
            reader
        } else {
            let entry = Subbuf::new(next.page());

            next.set_id(id);
            next.step();
            entry
        };

        id += 1;
        entry
    });
    check_end(next, head)
}

/// Enters the sub-buffers of a persistent buffer into `ids`, by their places in its memory.
///
/// # Errors
///
/// `EIO` as for [`give_ids`], or if the place of a sub-buffer is not one of its own.
pub(super) fn find_ids(cpu: &mut Cpu<'_>, ids: &mut SubbufIds) -> Result {
    let buffer = **cpu;
    let mut enter = |page: Shared<'_, buffer_page>| {
        let id = buffer.persistent_id(page).ok_or(EIO)?;
        let entry = ids.get_mut(id as usize).ok_or(EIO)?;

        if entry.is_some() {
            return Err(EIO);
        }
        *entry = Subbuf::new(page);
        Ok(())
    };

    enter(**cpu.follow(fields::cpu::READER_PAGE))?;

    let mut next = cpu.head_page().ok_or(EIO)?;
    let head = next.page().as_ptr();

    for _ in 0..buffer.load(fields::cpu::NR_PAGES) {
        enter(next.page())?;
        next.step();
    }
    check_end(next, head)
}

/// Fails unless the walk over all sub-buffers has ended at the head page again.
fn check_end(end: RingPage<'_>, head: *mut buffer_page) -> Result {
    if end.page().as_ptr() != head {
        return Err(EIO);
    }
    Ok(())
}
