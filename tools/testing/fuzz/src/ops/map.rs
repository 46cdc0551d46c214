// SPDX-License-Identifier: GPL-2.0

//! Mapping and unmapping, and what a mapping must refuse.

use crate::{
    random::Random,
    sys::{self, Area, Result},
    worker::{Slot, Worker},
};
use std::{thread, time::Duration};

/// Any part of the buffer.
pub fn map(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let instance = &worker.shared.instance;
    let file = instance.open(Worker::cpu(random), "trace_pipe_raw", false)?;
    let subbuf = if random.one_in(8) {
        sys::page()
    } else {
        instance.subbuf_size()?
    };
    let pages = random.below(4) as usize;
    let (offset, len) = match random.below(8) {
        0..4 => (0, sys::page()),
        4 | 5 => (0, subbuf * (1 + pages)),
        6 => (subbuf, subbuf * (1 + pages)),
        _ => (subbuf * random.below(64) as usize, subbuf),
    };
    let area = match random.below(16) {
        0 => Area::with(&file, len, offset, libc::PROT_WRITE, libc::MAP_SHARED),
        1 => Area::with(&file, len, offset, libc::PROT_READ, libc::MAP_PRIVATE),
        2 => Area::with(
            &file,
            len,
            offset,
            libc::PROT_EXEC | libc::PROT_READ,
            libc::MAP_SHARED,
        ),
        _ => {
            let area = Area::new(&file, len, offset)?;
            let slot = random.below(worker.slots.len() as u64) as usize;
            return match worker.slots[slot].replace(Slot { area, file }) {
                Some(old) => old.area.unmap(),
                None => Ok(()),
            };
        }
    };
    if area.is_ok() {
        worker.allowed("a mapping that is writable, executable or private");
    }
    Ok(())
}

/// The slot that an operation is about, if it is in use.
fn slot<'a>(worker: &'a mut Worker<'_>, random: &mut Random) -> Option<&'a mut Slot> {
    let slots = worker.slots.len() as u64;
    worker.slots[random.below(slots) as usize].as_mut()
}

/// Closes the file before the mapping goes, or after.
fn close(slot: Slot, early: bool) -> Result<()> {
    let Slot { area, file } = slot;
    let late = (!early).then_some(file);
    let result = area.unmap();
    drop(late);
    result
}

/// One mapping, or all of them, for what can be done only then.
pub fn unmap(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let slots = worker.slots.len();
    let one = random.below(slots as u64) as usize;
    let (early, all) = (random.one_in(2), random.one_in(3));
    let range = if all { 0..slots } else { one..one + 1 };
    for slot in &mut worker.slots[range] {
        if let Some(slot) = slot.take() {
            close(slot, early)?;
        }
    }
    if all && worker.shared.plan.wild {
        thread::sleep(Duration::from_micros(random.below(4000)));
    }
    Ok(())
}

/// Half a mapping must not go, or go elsewhere.
pub fn unmap_part(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let moves = random.one_in(2);
    let Some(Slot { area, .. }) = slot(worker, random) else {
        return Ok(());
    };
    if area.len() <= sys::page() {
        return Ok(());
    }
    if moves {
        area.move_part(sys::page())?;
    } else {
        area.unmap_part(sys::page())?;
    }
    worker.allowed("a part of a mapping that goes");
    Ok(())
}

pub fn move_away(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    match slot(worker, random) {
        Some(slot) => slot.area.move_away(),
        None => Ok(()),
    }
}

/// A mapping must not grow, or be doubled, and cannot shrink in part.
pub fn remap(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let way = random.below(3);
    let Some(Slot { area, .. }) = slot(worker, random) else {
        return Ok(());
    };
    let len = area.len();
    match way {
        0 => area.resize(len + sys::page())?,
        1 if len > sys::page() => area.resize(len - sys::page())?,
        1 => return area.resize(len),
        _ => {
            area.duplicate()?;
        }
    }
    worker.allowed("a mapping of another size");
    Ok(())
}

/// A child maps, too, and ends with the mapping.
pub fn fork(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let instance = &worker.shared.instance;
    let file = instance.open(Worker::cpu(random), "trace_pipe_raw", false)?;
    let len = instance.subbuf_size()? * (1 + random.below(3) as usize);
    if let Some(slot) = slot(worker, random) {
        // Refused, or the child has a unit of its own.
        let _ = slot.area.advise(libc::MADV_DOFORK);
    }
    sys::fork_and_map(&file, len, random.one_in(2))
}

/// A mapping stays read-only.
pub fn protect(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let prot = random.pick(&[
        libc::PROT_READ | libc::PROT_WRITE,
        libc::PROT_READ | libc::PROT_EXEC,
    ]);
    let Some(slot) = slot(worker, random) else {
        return Ok(());
    };
    slot.area.protect(prot)?;
    worker.allowed("mprotect() to write or execute");
    Ok(())
}
