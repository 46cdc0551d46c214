// SPDX-License-Identifier: GPL-2.0

//! Streaming from several CPUs at once: one thread each, counters that can be read at any time, now
//! and then a decoded event, and for those who want it all of the data.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, gettid, sched_setaffinity};

use crate::account::Tally;
use crate::decode::{Decoded, Value};
use crate::event::Event;
use crate::format::Formats;
use crate::mapping::Meta;
use crate::reader::{CpuBuffer, SubBuffer};
use crate::{Error, Result};

/// How long a thread waits for its buffer to fill. A buffer that fills faster wakes it; one that
/// fills slower is looked at so often.
const WAIT: Duration = Duration::from_millis(100);

/// The pause before a wait when the one before was ended by little. A reader causes events itself (its
/// system calls are traced like others), so that without a pause it would chase its own tail.
const PAUSE: Duration = Duration::from_millis(5);

/// How long to wait, at the end, for writers that are in the middle of an event.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// Pause between two looks at a buffer that is being drained.
const DRAIN_PAUSE: Duration = Duration::from_millis(10);

/// Phases of a stream.
const RUN: u8 = 0;
const DRAIN: u8 = 1;
const QUIT: u8 = 2;

/// When events are taken out of a buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// When the buffer is filled to `buffer_percent`, and ten times per second.
    #[default]
    Batch,
    /// At once: [`CpuBuffer::follow`].
    Live,
    /// A page at a time: [`CpuBuffer::whole_page`].
    Pages,
}

/// How to stream.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Options {
    /// When to take events.
    pub mode: Mode,
    /// Run the thread of each CPU on that CPU.
    pub pin: bool,
    /// Whether the trace clock counts nanoseconds: then samples show seconds.
    pub clock_is_ns: bool,
}

/// Receives all data of a CPU, in order. An error ends the stream; one of the caller's own is wrapped
/// by [`Error::sink`] and comes out of [`Stream::finish`].
pub type Sink = Box<dyn FnMut(&SubBuffer<'_>) -> Result<()> + Send>;

/// A CPU to stream from.
pub struct Source {
    /// The CPU.
    pub cpu: u32,
    /// Its buffer.
    pub buffer: CpuBuffer,
    /// Where the data goes, besides being counted.
    pub sink: Option<Sink>,
}

/// What a thread and the owner of the stream share about one CPU.
#[derive(Debug, Default)]
struct Live {
    events: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    unknown_losses: AtomicU64,
    looks: AtomicU64,
    /// How many samples are wanted, and in which round.
    wanted: AtomicU32,
    round: AtomicU32,
    samples: Mutex<Vec<String>>,
}

/// What happened on one CPU so far.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Events read.
    pub events: u64,
    /// Bytes of event data read.
    pub bytes: u64,
    /// Events lost, as far as their number is known.
    pub lost: u64,
    /// Losses reported without a number.
    pub unknown_losses: u64,
    /// How often there was nothing to read.
    pub looks: u64,
}

/// The result of one CPU.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Summary {
    /// The CPU.
    pub cpu: u32,
    /// What was seen.
    pub tally: Tally,
    /// How often the kernel was asked for a reader page.
    pub calls: u64,
    /// How often it was waited for the writer.
    pub waits: u64,
    /// The kernel's counters at the beginning: see [`CpuBuffer::start`].
    pub start: Meta,
    /// The kernel's counters at the end.
    pub meta: Meta,
    /// Number of events by id.
    pub by_id: Vec<u64>,
}

/// Threads that read mapped buffers. They end when it is dropped.
#[derive(Debug)]
pub struct Stream {
    phase: Arc<AtomicU8>,
    formats: Arc<Formats>,
    options: Options,
    cpus: Vec<(u32, Arc<Live>, JoinHandle<Result<Summary>>)>,
}

impl Stream {
    /// Starts one thread for each buffer.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if a thread cannot be made. Then those that were made have ended.
    pub fn start(sources: Vec<Source>, formats: &Arc<Formats>, options: Options) -> Result<Self> {
        let mut stream = Stream {
            phase: Arc::new(AtomicU8::new(RUN)),
            formats: Arc::clone(formats),
            options,
            cpus: Vec::new(),
        };
        for source in sources {
            stream.add(source)?;
        }
        Ok(stream)
    }

    /// Starts one thread more: for a CPU that has come online.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the thread cannot be made.
    pub fn add(&mut self, source: Source) -> Result<()> {
        let cpu = source.cpu;
        let live = Arc::new(Live::default());
        let phase = Arc::clone(&self.phase);
        let formats = Arc::clone(&self.formats);
        let worker = Worker::new(source, self.options, formats, phase, Arc::clone(&live));
        let name = format!("ringmap/{cpu}");
        let thread = thread::Builder::new().name(name.clone());
        let thread = thread.spawn(move || worker.run());
        let thread = thread.map_err(|e| Error::io("start thread", name.as_ref(), e))?;
        self.cpus.push((cpu, live, thread));
        Ok(())
    }

    /// The progress of each CPU.
    pub fn progress(&self) -> Vec<(u32, Progress)> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // What a sink did before a look is seen by who sees the look.
        let progress = |live: &Live| Progress {
            events: load(&live.events),
            bytes: load(&live.bytes),
            lost: load(&live.lost),
            unknown_losses: load(&live.unknown_losses),
            looks: live.looks.load(Ordering::Acquire),
        };
        let cpus = self.cpus.iter();
        cpus.map(|(cpu, live, _)| (*cpu, progress(live))).collect()
    }

    /// Takes the samples that were collected since the last time and asks for `more` of each CPU, of
    /// different types as far as there are any.
    pub fn samples(&self, more: u32) -> Vec<Vec<String>> {
        let take = |live: &Live| {
            let mut samples = live.samples.lock().unwrap_or_else(PoisonError::into_inner);
            live.wanted.store(more, Ordering::Relaxed);
            live.round.fetch_add(1, Ordering::Relaxed);
            std::mem::take(&mut *samples)
        };
        self.cpus.iter().map(|(_, live, _)| take(live)).collect()
    }

    /// Whether a thread has ended by itself, which means that it failed.
    pub fn failed(&self) -> bool {
        self.cpus.iter().any(|(_, _, thread)| thread.is_finished())
    }

    /// Ends all threads. With `drain` they first read all that is left, which ends only if nothing
    /// writes any more: stop the tracing before.
    ///
    /// # Errors
    ///
    /// The first error of a thread.
    pub fn finish(mut self, drain: bool) -> Result<Vec<Summary>> {
        let ends = self.end(if drain { DRAIN } else { QUIT });
        ends.into_iter()
            .map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    }

    /// Has the threads end, and waits for all of them.
    fn end(&mut self, phase: u8) -> Vec<thread::Result<Result<Summary>>> {
        // Pairs with the load in Worker::phase(): a thread that drains sees that tracing has ended.
        self.phase.store(phase, Ordering::Release);
        self.cpus.drain(..).map(|(_, _, t)| t.join()).collect()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        drop(self.end(QUIT));
    }
}

/// The thread of one CPU.
struct Worker {
    cpu: u32,
    buffer: CpuBuffer,
    sink: Option<Sink>,
    options: Options,
    formats: Arc<Formats>,
    phase: Arc<AtomicU8>,
    live: Arc<Live>,
    tally: Tally,
    last_time: u64,
    by_id: Vec<u64>,
    /// The ids of the samples of this round, and which round it is.
    sampled: Vec<u16>,
    round: u32,
    /// Whether something to read has ended the last wait.
    woken: bool,
    /// This thread's id: what it does itself is no interesting sample.
    thread: i64,
}

impl Worker {
    fn new(
        source: Source,
        options: Options,
        formats: Arc<Formats>,
        phase: Arc<AtomicU8>,
        live: Arc<Live>,
    ) -> Self {
        Worker {
            cpu: source.cpu,
            buffer: source.buffer,
            sink: source.sink,
            options,
            formats,
            phase,
            live,
            tally: Tally::default(),
            last_time: 0,
            by_id: Vec::new(),
            sampled: Vec::new(),
            round: 0,
            woken: false,
            thread: 0,
        }
    }

    fn run(mut self) -> Result<Summary> {
        self.thread = gettid().as_raw_nonzero().get().into();
        if self.options.pin {
            let mut cpus = CpuSet::new();
            if (self.cpu as usize) < CpuSet::MAX_CPU {
                cpus.set(self.cpu as usize);
            }
            let path = format!("cpu{}", self.cpu);
            sched_setaffinity(None, &cpus)
                .map_err(|e| Error::io("run on", path.as_ref(), e.into()))?;
        }
        while self.phase() == RUN {
            self.round()?;
        }
        if self.phase() == DRAIN {
            self.drain()?;
        } else {
            // What was read ahead of the kernel, it does not count as read yet.
            self.take(CpuBuffer::settle)?;
        }
        Ok(Summary {
            cpu: self.cpu,
            tally: self.tally,
            calls: self.buffer.calls(),
            waits: self.buffer.waits(),
            start: self.buffer.start(),
            meta: self.buffer.meta(),
            by_id: self.by_id,
        })
    }

    /// Reads what there is, and waits for more.
    fn round(&mut self) -> Result<()> {
        let behind = match self.options.mode {
            Mode::Batch => self.catch_up()?,
            Mode::Live => return self.take(CpuBuffer::follow).map(drop),
            Mode::Pages => {
                let mut came = false;
                while self.phase() == RUN && self.take(CpuBuffer::whole_page)?.is_some() {
                    came = true;
                }
                came
            }
        };
        // A buffer that is read is filling meanwhile: a pause only if little was worth the wait.
        if self.woken && !behind {
            thread::sleep(PAUSE);
        }
        self.woken = self.buffer.wait(WAIT)?;
        Ok(())
    }

    fn phase(&self) -> u8 {
        // Pairs with the store in Stream::finish().
        self.phase.load(Ordering::Acquire)
    }

    /// Reads until it has caught up with the writer. Returns whether it was at least half a
    /// sub-buffer behind.
    fn catch_up(&mut self) -> Result<bool> {
        let much = self.buffer.geometry().subbuf_size / 2;
        let mut behind = false;
        let mut little = 0;
        // One short piece may be the rest of a page; after two of them the writer is on this page.
        while little < 2 && self.phase() == RUN {
            match self.take(CpuBuffer::get_reader)? {
                None => break,
                Some(bytes) if bytes < much => little += 1,
                Some(_) => {
                    little = 0;
                    behind = true;
                }
            }
        }
        Ok(behind)
    }

    /// Reads everything that is left. The writers have been told to stop, but one may still be in
    /// the middle of an event: the buffer counts as empty when it was so twice.
    fn drain(&mut self) -> Result<()> {
        let limit = Instant::now() + DRAIN_LIMIT;
        let mut empty = 0;
        while empty < 2 && Instant::now() < limit {
            if self.take(CpuBuffer::get_reader)?.is_some() {
                empty = 0;
                continue;
            }
            if self.buffer.meta().unread() == 0 {
                empty += 1;
            }
            thread::sleep(DRAIN_PAUSE);
        }
        if empty >= 2 {
            let loss = self.buffer.unreported();
            loss.into_iter().for_each(|loss| self.tally.add_loss(loss));
        }
        Ok(())
    }

    /// Reads what one call yields. Returns its size in bytes, or nothing if there was nothing.
    fn take(
        &mut self,
        next: impl FnOnce(&mut CpuBuffer) -> Result<Option<SubBuffer<'_>>>,
    ) -> Result<Option<usize>> {
        let Some(page) = next(&mut self.buffer)? else {
            self.live.looks.fetch_add(1, Ordering::Release);
            return Ok(None);
        };
        let round = self.live.round.load(Ordering::Relaxed);
        if self.round != round {
            self.round = round;
            self.sampled.clear();
        }
        if let Some(sink) = &mut self.sink {
            sink(&page)?;
        }
        let mut samples = Samples {
            wanted: self.live.wanted.load(Ordering::Relaxed),
            lines: Vec::new(),
            ids: &mut self.sampled,
        };
        let tally = &mut self.tally;
        tally.bytes += page.bytes().len() as u64;
        tally.subbufs += u64::from(page.is_new_page());
        if let Some(loss) = page.loss() {
            tally.add_loss(loss);
        }
        let mut events = page.events();
        for event in events.by_ref() {
            tally.events += 1;
            tally.backwards += u64::from(event.time < self.last_time);
            self.last_time = event.time;
            let id = event.id().unwrap_or_default();
            let index = usize::from(id);
            if index >= self.by_id.len() {
                self.by_id.resize(index + 1, 0);
            }
            if let Some(count) = self.by_id.get_mut(index) {
                *count += 1;
            }
            if samples.want(id) && pid(&event, &self.formats) != Some(self.thread) {
                samples.add(id, show(self.cpu, &event, &self.formats, self.options));
            }
        }
        tally.malformed += u64::from(events.malformed());

        let live = &self.live;
        live.events.store(tally.events, Ordering::Relaxed);
        live.bytes.store(tally.bytes, Ordering::Relaxed);
        live.lost.store(tally.lost, Ordering::Relaxed);
        live.unknown_losses
            .store(tally.unknown_losses, Ordering::Relaxed);
        if !samples.lines.is_empty() {
            let mut shared = live.samples.lock().unwrap_or_else(PoisonError::into_inner);
            shared.append(&mut samples.lines);
            live.wanted.store(samples.wanted, Ordering::Relaxed);
        }
        Ok(Some(page.bytes().len()))
    }
}

/// The samples taken from one piece of data.
struct Samples<'a> {
    wanted: u32,
    lines: Vec<String>,
    ids: &'a mut Vec<u16>,
}

impl Samples<'_> {
    fn want(&self, id: u16) -> bool {
        self.wanted > 0 && !self.ids.contains(&id)
    }

    fn add(&mut self, id: u16, line: String) {
        self.wanted -= 1;
        self.ids.push(id);
        self.lines.push(line);
    }
}

/// The thread that caused an event.
fn pid(event: &Event<'_>, formats: &Formats) -> Option<i64> {
    let format = formats.get(event.id()?)?;
    match Decoded::new(format, *event).field("common_pid")? {
        Value::Signed(pid) => Some(pid),
        _ => None,
    }
}

/// An event as a line: time, CPU, name, fields.
fn show(cpu: u32, event: &Event<'_>, formats: &Formats, options: Options) -> String {
    let time = match options.clock_is_ns {
        true => {
            let us = event.time / 1000;
            format!("{:5}.{:06}", us / 1_000_000, us % 1_000_000)
        }
        false => format!("{:12}", event.time),
    };
    match event.id().and_then(|id| formats.get(id)) {
        Some(format) => format!("{time} cpu{cpu} {}", Decoded::new(format, *event)),
        None => format!("{time} cpu{cpu} event of unknown type {:?}", event.id()),
    }
}

#[cfg(test)]
mod tests;
