// SPDX-License-Identifier: LGPL-2.1-or-later

//! Streaming from several CPUs at once: one thread each, counters that can be read at any time, now
//! and then a decoded event, and for those who want it all of the data.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::account::Tally;
use crate::format::Formats;
use crate::mapping::Meta;
use crate::reader::{CpuBuffer, SubBuffer};
use crate::worker::Worker;
use crate::{Error, Result};

/// Phases of a stream.
pub(crate) const RUN: u8 = 0;
pub(crate) const DRAIN: u8 = 1;
pub(crate) const QUIT: u8 = 2;

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
pub(crate) struct Live {
    pub(crate) events: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) unknown_losses: AtomicU64,
    pub(crate) looks: AtomicU64,
    /// How many samples are wanted, and in which round.
    pub(crate) wanted: AtomicU32,
    pub(crate) round: AtomicU32,
    pub(crate) samples: Mutex<Vec<String>>,
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
    /// How often there was nothing to read. What was read before such a look is with the sink.
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
        let progress = |live: &Live| Progress {
            events: load(&live.events),
            bytes: load(&live.bytes),
            lost: load(&live.lost),
            unknown_losses: load(&live.unknown_losses),
            // Pairs with the store behind the sink.
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

#[cfg(test)]
mod tests;
