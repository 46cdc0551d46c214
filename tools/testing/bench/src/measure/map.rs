// SPDX-License-Identifier: GPL-2.0

//! mmap and munmap.

use crate::{
    clock::{nothing, samples, time},
    report,
    sys::Map,
    tracing::Tracing,
};
use anyhow::Result;
use std::fs::File;

/// The same calls on /dev/zero, with and without a first access to the page. (The pages of a ring
/// buffer are there from the beginning.)
pub fn floor() -> Result<()> {
    let zero = File::open("/dev/zero")?;
    let figures = samples(15, nothing, || Map::new(&zero, 4096).map(drop))?;
    report("map.zero", 1, &figures)?;
    let figures = samples(15, nothing, || {
        let map = Map::new(&zero, 4096)?;
        map.word(0);
        Ok(())
    })?;
    report("map.zero.touched", 1, &figures)
}

/// One page of a buffer that was not mapped before with this size.
pub fn first(t: &Tracing, name: &str) -> Result<()> {
    let raw = t.raw()?;
    let figures = samples(7, || t.forget(), || t.map(&raw).map(drop))?;
    report(&format!("map.first.{name}"), 1, &figures)
}

/// One page of a buffer that was mapped before, and is not.
pub fn again(t: &Tracing, name: &str) -> Result<()> {
    let raw = t.raw()?;
    t.map(&raw).map(drop)?;
    let figures = samples(7, nothing, || t.map(&raw).map(drop))?;
    report(&format!("map.again.{name}"), 1, &figures)
}

/// One page of a buffer that is mapped already.
pub fn second(t: &Tracing, name: &str) -> Result<()> {
    let raw = t.raw()?;
    let _meta = t.map(&raw)?;
    let figures = samples(15, nothing, || t.map(&raw).map(drop))?;
    report(&format!("map.second.{name}"), 1, &figures)
}

/// All pages of a buffer whose meta-page is mapped already, as a consumer does it. Without munmap.
pub fn whole(t: &Tracing, name: &str) -> Result<()> {
    let raw = t.raw()?;
    let meta = t.map(&raw)?;
    let len = t.whole(&meta)?;
    let mut figures = Vec::new();
    for _ in 0..5 {
        figures.push(time(|| Map::new(&raw, len))?.0);
    }
    report(&format!("map.whole.{name}"), 1, &figures)
}
