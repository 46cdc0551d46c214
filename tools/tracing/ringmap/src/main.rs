// SPDX-License-Identifier: GPL-2.0

//! The command `ringmap`: a thin layer over the library of the same name.

mod cli;
mod report;
mod stat;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};

use cli::{Cli, Command, RecordArgs, Run, StreamArgs, Target};
use report::{Interval, Report};
use ringmap::account::Books;
use ringmap::format::Formats;
use ringmap::kernel::Implementation;
use ringmap::reader::CpuBuffer;
use ringmap::stream::{Mode, Options, Progress, Source, Stream};
use ringmap::tracedat::Recording;
use ringmap::tracefs::{Instance, Tracefs};

/// Between two live lines.
const SECOND: Duration = Duration::from_secs(1);

/// How soon the end is noticed: the last event, a signal, a thread that failed.
const LOOK: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("ringmap: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command. Returns whether all books agree.
fn run(command: &Command) -> Result<bool> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second signal ends the program at once.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot handle signals")?;
    }
    match command {
        Command::Stream(args) => stream(args, &stop),
        Command::Stat(args) => stat::stat(args, &stop).map(|()| true),
        Command::Record(args) => record(args, &stop),
    }
}

fn tracefs(target: &Target) -> ringmap::Result<Tracefs> {
    match &target.tracefs {
        Some(path) => Tracefs::at(path),
        None => Tracefs::find(),
    }
}

fn cpus(instance: &Instance, target: &Target) -> ringmap::Result<Vec<u32>> {
    match &target.cpus {
        Some(list) => ringmap::cpulist::parse(list),
        None => instance.cpus(),
    }
}

/// `ringmap stream`.
fn stream(args: &StreamArgs, stop: &AtomicBool) -> Result<bool> {
    let mode = if args.live { Mode::Live } else { Mode::Batch };
    let session = Session::open(&args.target, &args.run, mode)?;
    session.run(&args.run, Some(args.decode), !args.no_stop, stop)
}

/// `ringmap record`.
fn record(args: &RecordArgs, stop: &AtomicBool) -> Result<bool> {
    let mut session = Session::open(&args.target, &args.run, Mode::Pages)?;
    let recording = session.record(&args.output)?;
    let good = session.run(&args.run, None, true, stop);
    // What was recorded before something went wrong is worth having.
    let size = recording.finish()?;
    writeln!(
        io::stdout(),
        "recorded {:.1} MB: open it with 'trace-cmd report {}' or kernelshark",
        size as f64 / 1e6,
        args.output.display()
    )?;
    good
}

/// Mapped buffers, and what is needed to read them.
struct Session {
    tracefs: Tracefs,
    instance: Instance,
    formats: Arc<Formats>,
    sources: Vec<Source>,
    options: Options,
}

impl Session {
    fn open(target: &Target, run: &Run, mode: Mode) -> Result<Self> {
        let mut out = io::stdout();
        writeln!(out, "implementation: {}", Implementation::detect())?;

        let tracefs = tracefs(target)?;
        let formats = Arc::new(Formats::load(&tracefs.root().join("events"))?);
        let instance = tracefs.instance(target.instance.as_deref())?;
        let sources = map(&instance, target, run)?;
        let options = Options {
            mode,
            pin: run.pin,
            clock_is_ns: instance.clock_is_ns()?,
        };
        for Source { cpu, buffer, .. } in &sources {
            let g = buffer.geometry();
            let kib = g.subbuf_size / 1024;
            let count = g.nr_subbufs;
            writeln!(out, "cpu{cpu}: {count} sub-buffers of {kib} KiB mapped")?;
        }
        Ok(Session {
            tracefs,
            instance,
            formats,
            sources,
            options,
        })
    }

    /// Has all data go to a file, too.
    fn record(&mut self, path: &Path) -> Result<Recording> {
        let first = self.sources.first().context("no CPU")?;
        let size = first.buffer.geometry().subbuf_size;
        let mut recording = Recording::create(path, &self.tracefs, &self.instance, size)?;
        for source in &mut self.sources {
            source.sink = Some(recording.sink(source.cpu)?);
        }
        Ok(recording)
    }

    /// Takes events until the end is reached, with live lines if `decode` is given, and shows the
    /// summary. Returns whether all books agree.
    fn run(self, run: &Run, decode: Option<u32>, stopped: bool, stop: &AtomicBool) -> Result<bool> {
        let mut out = io::stdout();
        let instance = self.instance;
        let stream = Stream::start(self.sources, &self.formats, self.options)?;
        let start = Instant::now();
        // Complete pages are read in steps of many events. The kernel knows what is on the others.
        let pages = self.options.mode == Mode::Pages;
        let events = |(cpu, seen): &(u32, Progress)| match pages {
            true => instance
                .stats(*cpu)
                .map_or(0, |stats| stats.read + stats.entries),
            false => seen.events,
        };
        let over = |progress: &[_]| {
            stop.load(Ordering::Relaxed)
                || (run.events).is_some_and(|n| progress.iter().map(events).sum::<u64>() >= n)
        };
        let shown = follow(&stream, run, decode, over, start, &mut out);
        let elapsed = start.elapsed();

        if stopped {
            instance.set_tracing_on(false)?;
        }
        let summaries = stream.finish(stopped)?;
        shown.context("cannot write the live lines")?;

        let mut report = Report::new(elapsed);
        for summary in summaries {
            let books = Books {
                tally: summary.tally,
                meta: summary.meta,
                stats: stopped.then(|| instance.stats(summary.cpu)).transpose()?,
            };
            report.add(&summary, &books);
        }
        report.print(&self.formats, &mut out)?;
        if self.options.mode == Mode::Live {
            report.print_system_calls(&mut out)?;
        }
        if report.events() == 0 {
            bail!(
                "no event came: enable some, for example with 'echo 1 > {}/events/sched/enable'",
                instance.dir().display()
            );
        }
        Ok(report.good())
    }
}

/// Prepares the buffers and maps them: sizes first, because they cannot change once it is mapped,
/// then the reset, so that all counters begin at 0.
fn map(instance: &Instance, target: &Target, run: &Run) -> Result<Vec<Source>> {
    if let Some(kb) = run.subbuf_kb {
        instance.set_subbuf_kb(kb)?;
    }
    if let Some(kb) = run.buffer_kb {
        instance.set_buffer_kb(kb)?;
    }
    let cpus = cpus(instance, target)?;
    ensure!(!cpus.is_empty(), "no CPU with a ring buffer is online");
    if !instance.tracing_on()? {
        instance.set_tracing_on(true)?;
    }
    instance.reset()?;
    let open = |cpu| {
        let buffer = CpuBuffer::open(instance, cpu)?;
        Ok(Source {
            cpu,
            buffer,
            sink: None,
        })
    };
    cpus.into_iter().map(open).collect()
}

/// Waits until the end is reached, and shows meanwhile what happens.
fn follow(
    stream: &Stream,
    run: &Run,
    decode: Option<u32>,
    over: impl Fn(&[(u32, Progress)]) -> bool,
    start: Instant,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut interval = Interval::new(start);
    let mut next = SECOND;
    stream.samples(decode.unwrap_or(0));

    loop {
        let elapsed = start.elapsed();
        let progress = stream.progress();
        let over =
            run.seconds.is_some_and(|end| elapsed >= end) || over(&progress) || stream.failed();
        if elapsed >= next {
            next = elapsed + SECOND;
            if let Some(decode) = decode {
                interval.print(&progress, &stream.samples(decode), out)?;
            }
        }
        if over {
            return Ok(());
        }
        let left = run.seconds.map_or(LOOK, |end| end.saturating_sub(elapsed));
        thread::sleep(LOOK.min(left).min(next.saturating_sub(elapsed)));
    }
}
