// SPDX-License-Identifier: GPL-2.0

//! Writing numbered markers.

use crate::{
    events::TEXT,
    instance,
    random::Random,
    shared::CPUS,
    sys::{self, Result},
    worker::Worker,
};

/// A round writes no more than this for each writer, to keep what is read in memory.
const MOST: u32 = 1 << 20;
/// trace_pipe has no room to print a longer raw marker.
const LONGEST_RAW: u64 = 1500;
const LONGEST_TEXT: u64 = 3000;

fn burst(random: &mut Random) -> u64 {
    random.pick(&[1, 1, 4, 16, 64])
}

fn padding(random: &mut Random, longest: u64) -> usize {
    let short = random.below(64);
    random.pick(&[0, short, short, longest]) as usize
}

/// Text, by trace_marker.
pub fn text(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let longest = random.below(LONGEST_TEXT);
    for _ in 0..burst(random) {
        if worker.written >= MOST {
            return Ok(());
        }
        let rest = "x".repeat(padding(random, longest));
        let text = format!("{TEXT}{:08x}{rest}\n", worker.number());
        instance::write(&worker.marker, text.as_bytes())?;
        worker.written += 1;
    }
    Ok(())
}

/// Bytes, by trace_marker_raw.
pub fn raw(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let longest = random.below(LONGEST_RAW);
    for _ in 0..burst(random) {
        if worker.written >= MOST {
            return Ok(());
        }
        let mut bytes = worker.number().to_ne_bytes().to_vec();
        bytes.resize(4 + padding(random, longest), 0x55);
        instance::write(&worker.raw_marker, &bytes)?;
        worker.written += 1;
    }
    Ok(())
}

pub fn pin(random: &mut Random) -> Result<()> {
    match random.below(4) {
        0 => sys::pin(&[CPUS - 1]),
        1 => sys::pin(&[0, 1]),
        _ => sys::pin(&[0]),
    }
}
