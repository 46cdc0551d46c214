// SPDX-License-Identifier: GPL-2.0

//! End to end: from the kernel's buffer to each event's time and payload in the program, kernel and
//! user space together. The parser is the same for all, that of the library `ringmap`.

use crate::{
    clock::{nothing, samples},
    page::splice,
    report, sys,
    tracing::{Tracing, committed},
};
use anyhow::{Context, Result, ensure};
use ringmap::{event::Events, reader::CpuBuffer, tracefs::Tracefs};
use std::{fs::File, hint::black_box};

const PAYLOAD: usize = 8;
/// A sample is one sub-buffer.
const SAMPLES: usize = 9;

/// What a consumer does with an event, at the least: looks at its time and its payload. Returns how
/// many there were.
#[inline(always)]
fn consume(events: Events<'_>) -> usize {
    let (count, sum) = events.fold((0, 0), |(count, sum), event| {
        let id = event.id().unwrap_or(0);
        (count + 1, sum ^ event.time ^ u64::from(id))
    });
    black_box(sum);
    count
}

/// The consumer of this project.
pub fn ringmap(t: &Tracing, name: &str) -> Result<()> {
    let events = t.capacity(PAYLOAD);
    t.fill(SAMPLES, PAYLOAD)?;
    let instance = Tracefs::find()?.instance(None)?;
    let mut buffer = CpuBuffer::open(&instance, 0)?;
    let figures = samples(SAMPLES, nothing, || {
        let page = buffer.get_reader()?.context("the buffer is empty")?;
        let seen = consume(page.events());
        ensure!(seen == events, "{seen} events on a page of {events}");
        Ok(())
    })?;
    report(&format!("stream.ringmap.{name}"), events as u64, &figures)
}

/// It, read(), and splice to nowhere with a parse of the same sub-buffer, had it been kept; and how
/// much of each is the parser.
pub fn all(t: &Tracing, name: &str) -> Result<()> {
    let events = t.capacity(PAYLOAD);
    ringmap(t, name)?;

    t.fill(2 * SAMPLES, PAYLOAD)?;
    let raw = t.raw()?;
    let mut copy = vec![0; t.subbuf];
    let parse = |page: &[u8]| {
        let seen = consume(Events::new(committed(page), 0));
        ensure!(seen == events, "{seen} events on a page of {events}");
        Ok(())
    };
    let figures = samples(SAMPLES, nothing, || {
        sys::read(&raw, &mut copy)?;
        parse(&copy)
    })?;
    report(&format!("stream.read.{name}"), events as u64, &figures)?;

    let (reading, writing) = sys::pipe(t.subbuf)?;
    let null = File::options().write(true).open("/dev/null")?;
    let figures = samples(SAMPLES, nothing, || {
        splice(&raw, &reading, &writing, &null, t.subbuf)?;
        parse(&copy)
    })?;
    report(&format!("stream.splice.{name}"), events as u64, &figures)?;

    let figures = samples(SAMPLES, nothing, || parse(&copy))?;
    report(&format!("stream.parse.{name}"), events as u64, &figures)
}
