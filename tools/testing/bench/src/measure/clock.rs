// SPDX-License-Identifier: GPL-2.0

//! The guest's clock: a nanosecond is an instruction.

use crate::{report, sys};
use anyhow::Result;

/// How long `operation` takes, once. Includes the cost of one reading of the clock.
#[inline(always)]
pub fn time<T>(operation: impl FnOnce() -> Result<T>) -> Result<(u64, T)> {
    let before = sys::now();
    let result = operation();
    let after = sys::now();
    Ok((after - before, result?))
}

/// How long `operation` takes, several times, with `prepare` before each.
pub fn samples(
    count: usize,
    mut prepare: impl FnMut() -> Result<()>,
    mut operation: impl FnMut() -> Result<()>,
) -> Result<Vec<u64>> {
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        prepare()?;
        samples.push(time(&mut operation)?.0);
    }
    Ok(samples)
}

/// No preparation.
pub fn nothing() -> Result<()> {
    Ok(())
}

/// What the clock itself adds to each figure.
pub fn cost() -> Result<()> {
    report("clock", 1, &samples(15, nothing, nothing)?)
}
