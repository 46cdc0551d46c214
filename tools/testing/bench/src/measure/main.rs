// SPDX-License-Identifier: GPL-2.0

//! Measures what the mapping of trace ring buffers costs, on the running kernel.
//!
//! Meant for one emulated CPU whose time is executed instructions (`ACCEL=icount`), so that the
//! figures repeat to the digit. Nothing is subtracted: each figure has one reading of the clock in
//! it, and [`clock`] reports what that costs.
//!
//! Output: a line for each figure, `ID<tab>DIVISOR<tab>SAMPLE SAMPLE ...`. A sample divided by the
//! divisor is the figure. Which ones there are, in words: `report/rows.rs`.

#![deny(unsafe_code)]

mod alloc;
mod clock;
mod irqsoff;
mod live;
mod map;
mod page;
mod stream;
mod sys;
mod tracing;
mod writer;

use anyhow::{Result, bail};
use std::io::Write;
use tracing::Tracing;

/// Writes one figure.
pub fn report(id: &str, divisor: u64, samples: &[u64]) -> Result<()> {
    let samples: Vec<String> = samples.iter().map(u64::to_string).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{id}\t{divisor}\t{}", samples.join(" "))?;
    Ok(())
}

/// What the gate looks at.
fn short(t: &mut Tracing) -> Result<()> {
    for kib in [4, 64, 256] {
        t.layout(kib, 8192)?;
        page::get_reader(t, 8, 3)?;
    }
    t.layout(4, 8192)?;
    live::all(t)?;
    map::second(t, "8m")?;
    map::whole(t, "8m")?;
    for (name, kib) in [("16k", 16), ("8m", 8192), ("64m", 65536)] {
        t.layout(4, kib)?;
        map::first(t, name)?;
        map::again(t, name)?;
    }
    t.layout(4, 8192)?;
    writer::all(t)?;
    t.layout(64, 8192)?;
    stream::ringmap(t, "64k")
}

/// Everything.
fn all(t: &mut Tracing) -> Result<()> {
    clock::cost()?;
    for kib in [4, 16, 64, 256] {
        t.layout(kib, 8192)?;
        for payload in [8, 64, 1024] {
            page::all(t, payload, if kib < 256 { 5 } else { 3 })?;
        }
    }

    t.layout(4, 8192)?;
    live::all(t)?;
    t.layout(64, 8192)?;
    live::large(t)?;

    map::floor()?;
    for (name, kib) in [("16k", 16), ("8m", 8192), ("64m", 65536), ("256m", 262_144)] {
        t.layout(4, kib)?;
        map::first(t, name)?;
        map::again(t, name)?;
        map::second(t, name)?;
        map::whole(t, name)?;
        alloc::all(t, name)?;
    }

    t.layout(4, 8192)?;
    writer::all(t)?;
    for kib in [4, 64] {
        t.layout(kib, 8192)?;
        stream::all(t, &format!("{kib}k"))?;
    }
    irqsoff::all(t)
}

fn main() -> Result<()> {
    let mut t = Tracing::new()?;
    match std::env::args().nth(1).as_deref() {
        None | Some("all") => all(&mut t),
        Some("short") => short(&mut t),
        Some("irqsoff") => irqsoff::all(&mut t),
        Some(other) => bail!("'{other}' is unknown: say all, short or irqsoff"),
    }
}
