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
        Numbering,
        ReaderLock,
        Shared, //
    }, //
};
use kernel::prelude::*;

type Cpu<'a> = Locked<'a, ring_buffer_per_cpu, ReaderLock>;

/// Numbers the sub-buffers of a buffer that is not persistent, and enters them into `ids`.
///
/// # Errors
///
/// - `EINVAL`: the buffer is persistent.
/// - `EIO`: there are more or fewer sub-buffers than `ids` has entries.
pub(super) fn give_ids(cpu: &mut Cpu<'_>, ids: &mut SubbufIds) -> Result {
    let mut numbering = Numbering::new(cpu)?;

    ids.fill(|| Subbuf::new(numbering.next()));
    if !numbering.is_complete() {
        return Err(EIO);
    }
    Ok(())
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
    if next.page().as_ptr() != head {
        return Err(EIO);
    }
    Ok(())
}
