// SPDX-License-Identifier: GPL-2.0

//! A full sub-buffer, by each way out of the kernel.

use crate::{
    clock::{nothing, samples, time},
    report, sys,
    tracing::Tracing,
};
use anyhow::{Result, ensure};
use std::fs::File;

fn id(t: &Tracing, way: &str, payload: usize) -> String {
    format!("page.{way}.{}k.{payload}", t.subbuf / 1024)
}

/// GET_READER alone, on sub-buffers full of events with so many bytes.
pub fn get_reader(t: &Tracing, payload: usize, count: usize) -> Result<()> {
    t.fill(count, payload)?;
    mapped(t, payload, count)
}

fn mapped(t: &Tracing, payload: usize, count: usize) -> Result<()> {
    let raw = t.raw()?;
    let _meta = t.map(&raw)?;
    let figures = samples(count, nothing, || sys::get_reader(&raw))?;
    report(&id(t, "get_reader", payload), 1, &figures)
}

/// Each way out, for the same events.
pub fn all(t: &Tracing, payload: usize, count: usize) -> Result<()> {
    const TEXT: usize = 1;

    t.fill(3 * count + TEXT + 2, payload)?;
    mapped(t, payload, count)?;

    let raw = t.raw()?;
    let mut copy = vec![0; t.subbuf];
    let figures = samples(count, nothing, || {
        let len = sys::read(&raw, &mut copy)?;
        ensure!(len == t.subbuf, "read() gave {len} bytes");
        Ok(())
    })?;
    report(&id(t, "read", payload), 1, &figures)?;

    let (reading, writing) = sys::pipe(t.subbuf)?;
    let null = File::options().write(true).open("/dev/null")?;
    let figures = samples(count, nothing, || {
        splice(&raw, &reading, &writing, &null, t.subbuf)
    })?;
    report(&id(t, "splice", payload), 1, &figures)?;

    text(t, payload)
}

/// One sub-buffer to a pipe, and from there to nowhere.
#[inline(always)]
pub fn splice(raw: &File, reading: &File, writing: &File, null: &File, size: usize) -> Result<()> {
    let len = sys::splice(raw, writing, size)?;
    ensure!(len == size, "splice() gave {len} bytes");
    sys::splice(reading, null, size)?;
    Ok(())
}

/// trace_pipe does not stop at the end of a sub-buffer: so many events as are on one, at the price
/// of those that it returned.
fn text(t: &Tracing, payload: usize) -> Result<()> {
    let pipe = t.pipe()?;
    let mut text = vec![0; 65536];
    let capacity = t.capacity(payload);
    let (mut cost, mut lines) = (0, 0);

    while lines < capacity {
        let (instructions, len) = time(|| sys::read(&pipe, &mut text))?;
        ensure!(len > 0, "trace_pipe ended after {lines} events");
        cost += instructions;
        lines += text[..len].iter().filter(|byte| **byte == b'\n').count();
    }
    let figure = cost * capacity as u64 / lines as u64;
    report(&id(t, "trace_pipe", payload), 1, &[figure])
}
