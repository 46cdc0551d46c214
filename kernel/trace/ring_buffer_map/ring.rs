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
    map_state::SubbufIds,
    raw::{
        fields,
        Locked,
        ReaderLock,
        Shared, //
    }, //
};
use kernel::prelude::*;

type Cpu<'a> = Locked<'a, ring_buffer_per_cpu, ReaderLock>;

/// Numbers the sub-buffers of a buffer and enters them into `ids`.
///
/// # Errors
///
/// `EIO` if there are more or fewer sub-buffers than `ids` has entries.
pub(super) fn give_ids(cpu: &mut Cpu<'_>, ids: &mut SubbufIds) -> Result {
    let mut reader = cpu.follow_mut(fields::cpu::READER_PAGE);

    reader.store(fields::page::ID, id_word(0));

    let reader = reader.as_ptr();
    let mut page = cpu.head_page().ok_or(EIO)?;
    let head = page.as_ptr();
    let mut id = 0;

    ids.fill(|| {
        let entry = if id == 0 {
            reader
        } else {
            let entry = page.as_ptr();

            page.store(fields::page::ID, id_word(id));
            page.step();
            entry
        };

        id += 1;
        entry
    });
    check_end(*page, head)
}

/// As [`give_ids`] for a persistent buffer, whose sub-buffers have ids: their places in its memory.
pub(super) fn find_ids(cpu: &mut Cpu<'_>, ids: &mut SubbufIds) -> Result {
    let buffer = **cpu;
    let mut enter = |page: Shared<'_, buffer_page>| {
        let id = buffer.persistent_id(page).ok_or(EIO)?;
        let slot = ids.get_mut(id as usize).ok_or(EIO)?;

        if !slot.is_null() {
            return Err(EIO);
        }
        *slot = page.as_ptr();
        Ok(())
    };

    enter(**cpu.follow(fields::cpu::READER_PAGE))?;

    let mut page = cpu.head_page().ok_or(EIO)?;
    let head = page.as_ptr();

    for _ in 0..buffer.load(fields::cpu::NR_PAGES) {
        enter(*page)?;
        page.step();
    }
    check_end(*page, head)
}

/// Fails unless the walk over all sub-buffers has ended at the head page again.
fn check_end(end: Shared<'_, buffer_page>, head: *mut buffer_page) -> Result {
    if end.as_ptr() != head {
        return Err(EIO);
    }
    Ok(())
}

/// The bit-fields of a sub-buffer with `id` that is not in the memory of a persistent buffer.
fn id_word(id: u32) -> u32 {
    const UNUSED_BITS: u32 = u32::BITS - super::bindings::RB_STATIC_BITS;

    if cfg!(target_endian = "little") {
        id
    } else {
        id << UNUSED_BITS
    }
}

#[kunit_tests(ring_buffer_map_ring)]
mod tests {
    use super::*;
    use crate::bindings::{
        __BindgenBitfieldUnit,
        RB_STATIC_BITS, //
    };

    #[test]
    fn ids_are_where_bindgen_has_them() {
        for id in [0, 1, 0x1234_5678, (1 << RB_STATIC_BITS) - 1] {
            let word = __BindgenBitfieldUnit::new(id_word(id).to_ne_bytes());

            assert!(word == buffer_page::new_bitfield_1(id, 0));
        }
    }
}
