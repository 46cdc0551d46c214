// SPDX-License-Identifier: GPL-2.0

//! The command `ringmap`: a thin layer over the library of the same name.

mod cli;
mod report;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};

use cli::{Cli, Command, StreamArgs};
use report::{Interval, Report};
use ringmap::account::Books;
use ringmap::format::Formats;
use ringmap::kernel::Implementation;
use ringmap::reader::CpuBuffer;
use ringmap::stream::{Options, Stream};
use ringmap::tracefs::{Instance, Tracefs};

/// Between two live lines.
const SECOND: Duration = Duration::from_secs(1);

/// How soon the end is noticed: the last event, a signal, a thread that failed.
const LOOK: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let Command::Stream(args) = Cli::parse().command;
    match stream(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("ringmap: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// `ringmap stream`. Returns whether all books agree.
fn stream(args: &StreamArgs) -> Result<bool> {
    let mut out = io::stdout();
    writeln!(out, "implementation: {}", Implementation::detect())?;

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second signal ends the program at once.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot handle signals")?;
    }

    let tracefs = match &args.tracefs {
        Some(path) => Tracefs::at(path)?,
        None => Tracefs::find()?,
    };
    let formats = Arc::new(Formats::load(&tracefs.root().join("events"))?);
    let instance = tracefs.instance(args.instance.as_deref())?;
    let buffers = map(&instance, args)?;
    let options = Options {
        pin: args.pin,
        clock_is_ns: instance.clock_is_ns()?,
    };
    for (cpu, buffer) in &buffers {
        let g = buffer.geometry();
        let kib = g.subbuf_size / 1024;
        writeln!(
            out,
            "cpu{cpu}: {} sub-buffers of {kib} KiB mapped",
            g.nr_subbufs
        )?;
    }

    let stream = Stream::start(buffers, &formats, options)?;
    let start = Instant::now();
    let shown = follow(&stream, args, &stop, start, &mut out);
    let elapsed = start.elapsed();

    let stopped = !args.no_stop;
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
    report.print(&formats, &mut out)?;
    if report.events() == 0 {
        bail!(
            "no event came: enable some, for example with 'echo 1 > {}/events/sched/enable'",
            instance.dir().display()
        );
    }
    Ok(report.good())
}

/// Prepares the buffers and maps them: sizes first, because they cannot change once it is mapped,
/// then the reset, so that all counters begin at 0.
fn map(instance: &Instance, args: &StreamArgs) -> Result<Vec<(u32, CpuBuffer)>> {
    if let Some(kb) = args.subbuf_kb {
        instance.set_subbuf_kb(kb)?;
    }
    if let Some(kb) = args.buffer_kb {
        instance.set_buffer_kb(kb)?;
    }
    let cpus = match &args.cpus {
        Some(list) => ringmap::cpulist::parse(list)?,
        None => instance.cpus()?,
    };
    ensure!(!cpus.is_empty(), "no CPU with a ring buffer is online");
    if !instance.tracing_on()? {
        instance.set_tracing_on(true)?;
    }
    instance.reset()?;
    let open = |cpu| Ok((cpu, CpuBuffer::open(instance, cpu)?));
    cpus.into_iter().map(open).collect()
}

/// Shows what happens until the end is reached.
fn follow(
    stream: &Stream,
    args: &StreamArgs,
    stop: &AtomicBool,
    start: Instant,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut interval = Interval::new(start);
    let end = args.seconds.map(Duration::from_secs_f64);
    let mut next = SECOND;
    stream.samples(args.decode);

    loop {
        let elapsed = start.elapsed();
        let progress = stream.progress();
        let events: u64 = progress.iter().map(|(_, p)| p.events).sum();
        let over = end.is_some_and(|end| elapsed >= end)
            || args.events.is_some_and(|limit| events >= limit)
            || stop.load(Ordering::Relaxed)
            || stream.failed();
        if elapsed >= next {
            next = elapsed + SECOND;
            interval.print(&progress, &stream.samples(args.decode), out)?;
        }
        if over {
            return Ok(());
        }
        let left = end.map_or(LOOK, |end| end.saturating_sub(elapsed));
        thread::sleep(LOOK.min(left).min(next.saturating_sub(elapsed)));
    }
}
