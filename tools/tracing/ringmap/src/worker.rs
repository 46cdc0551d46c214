// SPDX-License-Identifier: LGPL-2.1-or-later

//! The thread that reads the buffer of one CPU.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, gettid, sched_setaffinity};

use crate::account::Tally;
use crate::format::Formats;
use crate::reader::{CpuBuffer, SubBuffer};
use crate::sample::{Samples, pid, show};
use crate::stream::{DRAIN, Live, Mode, Options, RUN, Sink, Source, Summary};
use crate::{Error, Result};

/// How long a thread waits for its buffer to fill. A buffer that fills faster wakes it; one that
/// fills slower is looked at so often.
const WAIT: Duration = Duration::from_millis(100);

/// The pause before a wait when the one before was ended by little. A reader causes events itself (its
/// system calls are traced like others), so that without a pause it would chase its own tail.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// How long to wait, at the end, for writers that are in the middle of an event.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// Pause between two looks at a buffer that is being drained.
const DRAIN_PAUSE: Duration = Duration::from_millis(10);

/// The thread of one CPU.
pub(crate) struct Worker {
    cpu: u32,
    buffer: CpuBuffer,
    sink: Option<Sink>,
    options: Options,
    formats: Arc<Formats>,
    pub(crate) phase: Arc<AtomicU8>,
    pub(crate) live: Arc<Live>,
    pub(crate) tally: Tally,
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
    pub(crate) fn new(
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

    pub(crate) fn run(mut self) -> Result<Summary> {
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
    pub(crate) fn round(&mut self) -> Result<()> {
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
    pub(crate) fn take(
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
