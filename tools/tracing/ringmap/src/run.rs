// SPDX-License-Identifier: GPL-2.0

//! `ringmap stream` and `ringmap record`.

use std::cell::RefCell;
use std::io::{self, Write};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cli::{Choose, RecordArgs, Run, StreamArgs, Target};
use crate::launch::Launched;
use crate::report::{Interval, Report};
use crate::session::{Outcome, Running, Session};
use crate::signals::Stop;
use crate::status::Status;
use ringmap::stream::{Mode, Options};
use ringmap::tracedat::{Recording, Settings};

/// Between two live lines.
const SECOND: Duration = Duration::from_secs(1);

/// How soon the end is noticed: the last event, a signal, a thread that failed.
const LOOK: Duration = Duration::from_millis(50);

/// Prepares a run of a command that is told what to trace.
fn open(target: &Target, choose: &Choose, quiet: bool) -> Result<Session> {
    if choose.selectors.is_empty() && target.instance.is_none() {
        crate::usage(
            "no events are chosen: name some with --event, like '-e sched' ('ringmap list' shows \
             all), or an instance that has some with --instance",
        );
    }
    let session = Session::open(target, choose, &choose.selectors, false)?;
    if !quiet {
        for source in &session.sources {
            let g = source.buffer.geometry();
            let kib = g.subbuf_size / 1024;
            let count = g.nr_subbufs;
            eprintln!("cpu{}: {count} sub-buffers of {kib} KiB mapped", source.cpu);
        }
    }
    Ok(session)
}

/// `ringmap stream`.
pub fn stream(args: &StreamArgs, stop: &Stop) -> Result<ExitCode> {
    let mut options = Options::default();
    options.mode = if args.live { Mode::Live } else { Mode::Batch };
    options.pin = args.run.pin;
    let session = open(&args.target, &args.choose, args.run.quiet)?;
    let formats = std::sync::Arc::clone(&session.formats);
    let mut running = session.start(options, Box::new(|_| Ok(None)))?;
    let shown = follow(&mut running, &args.run, Some(args.decode), false, stop);
    let outcome = running.finish(!args.no_stop)?;
    shown?;
    let report = Report::of(&outcome);
    tell(&report, &args.run, &formats, args.live)?;
    end(outcome, &report, &args.run, stop)
}

/// `ringmap record`.
pub fn record(args: &RecordArgs, stop: &Stop) -> Result<ExitCode> {
    let mut options = Options::default();
    options.mode = Mode::Pages;
    options.pin = args.run.pin;
    let session = open(&args.target, &args.choose, args.run.quiet)?;
    let formats = std::sync::Arc::clone(&session.formats);
    let first = session.sources.first().context("no CPU")?;
    let size = first.buffer.geometry().subbuf_size;
    let settings = Settings::default();
    let (tracefs, instance) = (&session.tracefs, session.instance());
    let recording = Recording::create(&args.output, tracefs, instance, size, &settings)?;
    let recording = Rc::new(RefCell::new(recording));
    let sinks = Rc::clone(&recording);
    let mut running = session.start(
        options,
        Box::new(move |cpu| sinks.borrow_mut().sink(cpu).map(Some)),
    )?;
    let shown = follow(&mut running, &args.run, None, true, stop);
    let outcome = running.finish(true);
    // What was recorded before something went wrong is worth having.
    let recording = Rc::into_inner(recording).context("the recording is in use")?;
    let size = recording.into_inner().finish()?;
    if !args.run.quiet {
        eprintln!(
            "recorded {:.1} MB: open it with 'trace-cmd report {}' or kernelshark",
            size as f64 / 1e6,
            args.output.display()
        );
    }
    let outcome = outcome?;
    shown?;
    let report = Report::of(&outcome);
    tell(&report, &args.run, &formats, false)?;
    end(outcome, &report, &args.run, stop)
}

/// Waits until the end is reached, and shows meanwhile what happens.
fn follow(
    running: &mut Running,
    run: &Run,
    decode: Option<u32>,
    pages: bool,
    stop: &Stop,
) -> Result<()> {
    let mut interval = Interval::new();
    let mut next = SECOND;
    running.samples(decode.unwrap_or(0));
    loop {
        let elapsed = running.elapsed();
        let progress = running.progress();
        // Complete pages are read in steps of many events. The kernel knows what is on the others.
        let events = || match pages {
            true => running.written(),
            false => progress.iter().map(|(_, seen)| seen.events).sum(),
        };
        let over = run.seconds.is_some_and(|end| elapsed >= end)
            || run.events.is_some_and(|end| events() >= end);
        if elapsed >= next {
            next = elapsed + SECOND;
            if let Some(decode) = decode {
                let samples = running.samples(decode);
                if !run.quiet {
                    interval.print(&progress, elapsed, &mut io::stderr())?;
                }
                let mut out = io::stdout().lock();
                for line in samples.iter().flatten() {
                    writeln!(out, "{line}")?;
                }
                out.flush()?;
            }
        }
        if running.over(stop)? || over {
            return Ok(());
        }
        let left = run.seconds.map_or(LOOK, |end| end.saturating_sub(elapsed));
        thread::sleep(LOOK.min(left).min(next.saturating_sub(elapsed)));
    }
}

/// The summary and the verdict.
fn tell(report: &Report, run: &Run, formats: &ringmap::format::Formats, live: bool) -> Result<()> {
    let mut out = io::stderr().lock();
    match run.quiet {
        true => report.print_problems(&mut out)?,
        false => report.print(formats, &mut out)?,
    }
    if live && !run.quiet {
        report.print_system_calls(&mut out)?;
    }
    if report.events() == 0 {
        writeln!(
            out,
            "ringmap: no event came: did what you trace run, and does a filter fit?"
        )?;
    }
    Ok(())
}

/// Waits for the command, and says how all of it ended.
fn end(outcome: Outcome, report: &Report, run: &Run, stop: &Stop) -> Result<ExitCode> {
    let status = match report {
        _ if !report.good() => Status::Books,
        _ if run.fail_on_loss && report.lost() > 0 => Status::Lost,
        _ => Status::Good,
    };
    Ok(status.with(wait(outcome.command, stop)?))
}

/// Waits for the end of the command. Returns its status.
pub fn wait(command: Option<Launched>, stop: &Stop) -> Result<Option<u8>> {
    let Some(mut command) = command else {
        return Ok(None);
    };
    let start = Instant::now();
    let mut told = false;
    loop {
        if let Some(status) = command.ended()? {
            return Ok(Some(status));
        }
        if !told && start.elapsed() > SECOND {
            told = true;
            eprintln!("ringmap: tracing has ended, the command goes on: Ctrl-C ends it");
        }
        if let Some(signal) = stop.take_own() {
            command.signal(signal);
        }
        thread::sleep(LOOK);
    }
}
