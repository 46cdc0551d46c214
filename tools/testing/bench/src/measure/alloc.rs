// SPDX-License-Identifier: GPL-2.0

//! The largest single allocation of a mapping, as the kernel's own tracepoints see it.

use crate::{
    report,
    sys::Map,
    tracing::{Tracing, set},
};
use anyhow::Result;
use std::fs;

const EVENTS: [&str; 2] = ["events/kmem/kmalloc", "events/kmem/mm_page_alloc"];

/// Reports the first mapping, of one page, and that of everything.
pub fn all(t: &Tracing, name: &str) -> Result<()> {
    let raw = t.raw()?;
    let mut meta = None;
    let size = largest(t, || {
        meta = Some(t.map(&raw)?);
        Ok(())
    })?;
    report(&format!("alloc.first.{name}"), 1, &[size])?;

    let mut whole = None;
    if let Some(meta) = &meta {
        let len = t.whole(meta)?;
        let size = largest(t, || {
            whole = Some(Map::new(&raw, len)?);
            Ok(())
        })?;
        report(&format!("alloc.whole.{name}"), 1, &[size])?;
    }
    Ok(())
}

/// Bytes of the largest allocation during `operation`.
fn largest(t: &Tracing, operation: impl FnOnce() -> Result<()>) -> Result<u64> {
    let folder = t.instance("alloc")?;
    set(&folder, "trace", "")?;
    for event in EVENTS {
        let filter = format!("common_pid == {}", std::process::id());
        set(&folder, &format!("{event}/filter"), &filter)?;
        set(&folder, &format!("{event}/enable"), "1")?;
    }
    let result = operation();
    for event in EVENTS {
        set(&folder, &format!("{event}/enable"), "0")?;
    }
    result?;
    let trace = fs::read_to_string(folder.join("trace"))?;
    Ok(trace.lines().filter_map(size).max().unwrap_or(0))
}

/// Bytes that the event in this line allocates.
fn size(line: &str) -> Option<u64> {
    let field = |name: &str| {
        let value = line.split(name).nth(1)?.split_whitespace().next()?;
        value.parse::<u32>().ok()
    };
    field(" bytes_alloc=")
        .map(u64::from)
        .or_else(|| field(" order=").map(|order| 4096 << order))
}
