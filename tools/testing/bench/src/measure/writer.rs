// SPDX-License-Identifier: GPL-2.0

//! What an event costs its writer: a write() to trace_marker_raw. A sample is as many as fill a
//! sub-buffer, so that each has one step to the next one in it.

use crate::{
    clock::{nothing, samples},
    report, sys,
    tracing::Tracing,
};
use anyhow::Result;

const PAYLOAD: usize = 8;
const SAMPLES: usize = 15;

fn page_of(t: &Tracing, payload: &[u8]) -> Result<()> {
    for _ in 0..t.capacity(PAYLOAD) {
        t.event(payload)?;
    }
    Ok(())
}

/// Not mapped, mapped, and with a reader that takes each sub-buffer as soon as it is full. (On one
/// CPU a reader runs between two events; what it has done is what the writer finds.)
pub fn all(t: &Tracing) -> Result<()> {
    let events = t.capacity(PAYLOAD) as u64;
    let payload = [0; PAYLOAD];

    t.reset()?;
    page_of(t, &payload)?;
    let figures = samples(SAMPLES, nothing, || page_of(t, &payload))?;
    report("writer.unmapped", events, &figures)?;

    t.reset()?;
    let raw = t.raw()?;
    let _meta = t.map(&raw)?;
    page_of(t, &payload)?;
    let figures = samples(SAMPLES, nothing, || page_of(t, &payload))?;
    report("writer.mapped", events, &figures)?;

    t.reset()?;
    page_of(t, &payload)?;
    let figures = samples(SAMPLES, || sys::get_reader(&raw), || page_of(t, &payload))?;
    report("writer.read", events, &figures)
}
