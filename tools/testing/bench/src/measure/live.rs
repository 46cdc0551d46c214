// SPDX-License-Identifier: GPL-2.0

//! GET_READER on the page that is being written.

use crate::{
    clock::{nothing, samples},
    report, sys,
    tracing::Tracing,
};
use anyhow::Result;

const PAYLOAD: usize = 8;

/// The floor, an empty buffer, and few new events.
pub fn all(t: &Tracing) -> Result<()> {
    t.reset()?;
    let raw = t.raw()?;
    report(
        "live.ioctl",
        1,
        &samples(15, nothing, || sys::bare_ioctl(&raw))?,
    )?;
    let _meta = t.map(&raw)?;
    report(
        "live.empty",
        1,
        &samples(15, nothing, || sys::get_reader(&raw))?,
    )?;
    for new in [1, 10, 100] {
        after(t, new)?;
    }
    Ok(())
}

/// So many that they need larger sub-buffers.
pub fn large(t: &Tracing) -> Result<()> {
    after(t, 1000)
}

fn after(t: &Tracing, new: usize) -> Result<()> {
    let raw = t.raw()?;
    let _meta = t.map(&raw)?;
    let figures = samples(
        15,
        || {
            t.reset()?;
            // With this one the page becomes the reader page.
            t.events(1, PAYLOAD)?;
            sys::get_reader(&raw)?;
            t.events(new, PAYLOAD)
        },
        || sys::get_reader(&raw),
    )?;
    report(&format!("live.{new}"), 1, &figures)
}
