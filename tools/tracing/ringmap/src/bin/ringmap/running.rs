// SPDX-License-Identifier: LGPL-2.1-or-later

//! A run that takes events, until its end.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::guard::Guard;
use crate::launch::Launched;
use crate::session::{Session, Sinks, source, threads};
use crate::signals::Stop;
use ringmap::account::Books;
use ringmap::control::Control;
use ringmap::format::Formats;
use ringmap::stream::{Progress, Stream, Summary};
use ringmap::tracefs::Instance;

/// How soon a CPU that comes online is noticed.
const CPUS: Duration = Duration::from_millis(200);

/// A run that takes events.
pub struct Running {
    // It goes first: what it reads must be closed when the rest is put back.
    stream: Stream,
    start: Instant,
    looked: Instant,
    read_before: u64,
    sinks: Sinks,
    session: Session,
}

/// What a run has left.
pub struct Outcome {
    pub cpus: Vec<Cpu>,
    pub elapsed: Duration,
}

/// What is known of a CPU at the end.
pub struct Cpu {
    pub summary: Summary,
    pub books: Books,
    /// The size of its buffer.
    pub buffer_kb: u64,
}

impl Running {
    /// One that begins now. `read_before` events were read by others.
    pub fn new(session: Session, stream: Stream, sinks: Sinks, read_before: u64) -> Self {
        let start = Instant::now();
        Running {
            stream,
            start,
            looked: start,
            read_before,
            sinks,
            session,
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn formats(&self) -> &Formats {
        &self.session.formats
    }

    pub fn instance(&self) -> &Instance {
        self.session.instance()
    }

    /// What happened on each CPU so far.
    pub fn progress(&self) -> Vec<(u32, Progress)> {
        self.stream.progress()
    }

    /// Events that the kernel has written and not lost since the start.
    pub fn written(&self) -> u64 {
        let instance = self.instance();
        let cpus = self.progress();
        let stats = cpus.iter().filter_map(|(cpu, _)| instance.stats(*cpu).ok());
        let sum: u64 = stats.map(|stats| stats.read + stats.entries).sum();
        sum.saturating_sub(self.read_before)
    }

    /// Has the command end as with Ctrl-C.
    pub fn interrupt(&self) {
        if let Some(command) = &self.session.command {
            command.signal(rustix::process::Signal::INT);
        }
    }

    /// Looks after the CPUs and the command. Returns whether the run is over: a signal came, the
    /// command has ended, or a thread failed.
    pub fn over(&mut self, stop: &Stop) -> Result<bool> {
        if self.looked.elapsed() >= CPUS {
            self.looked = Instant::now();
            for cpu in self.session.waiting.come() {
                let mut source = source(self.session.instance(), cpu)?;
                source.sink = (self.sinks)(cpu)?;
                self.stream.add(source)?;
                let control = &mut self.session.control;
                control.set_untraced_pids(&threads(std::process::id())?)?;
            }
        }
        let mut over = stop.came() || self.stream.failed();
        if let Some(command) = &mut self.session.command {
            over |= command.ended()?.is_some();
            if let Some(signal) = stop.take_own() {
                command.signal(signal);
            }
        }
        Ok(over)
    }

    /// Ends it. If tracing is `stopped` before, what is left is read.
    pub fn finish(self, stopped: bool) -> Ended {
        let elapsed = self.elapsed();
        let Running {
            stream,
            sinks,
            session,
            ..
        } = self;
        // What makes the sinks may have them open.
        drop(sinks);
        let (mut control, guard) = (session.control, session.guard);
        let outcome = finish(stream, &mut control, stopped);
        Ended {
            outcome: outcome.map(|cpus| Outcome { cpus, elapsed }),
            command: session.command,
            control,
            guard,
        }
    }
}

fn finish(stream: Stream, control: &mut Control, stopped: bool) -> Result<Vec<Cpu>> {
    if stopped {
        control.set_tracing_on(false)?;
    }
    let mut summaries = stream.finish(stopped)?;
    summaries.sort_by_key(|summary| summary.cpu);
    let mut cpus = Vec::new();
    for summary in summaries {
        let instance = control.instance();
        let stats = stopped.then(|| instance.stats(summary.cpu)).transpose()?;
        cpus.push(Cpu {
            books: Books::new(&summary, stats),
            buffer_kb: instance.buffer_size(summary.cpu)? / 1024,
            summary,
        });
    }
    Ok(cpus)
}

/// A run that has ended. The instance is still as it was then.
pub struct Ended {
    outcome: Result<Outcome>,
    command: Option<Launched>,
    // In this order.
    control: Control,
    guard: Guard,
}

impl Ended {
    /// Puts everything back. The command may still run.
    pub fn close(self) -> (Result<Outcome>, Option<Launched>) {
        let undone = self.control.finish();
        drop(self.guard);
        let outcome = self
            .outcome
            .and_then(|outcome| Ok(undone.map(|()| outcome)?));
        (outcome, self.command)
    }
}
