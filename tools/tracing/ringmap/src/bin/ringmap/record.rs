// SPDX-License-Identifier: LGPL-2.1-or-later

//! `ringmap record` and `ringmap restore`.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::cli::{RecordArgs, RestoreArgs};
use crate::launch::Output;
use crate::run::{end, follow, open, tell};
use crate::signals::Stop;
use ringmap::format::Formats;
use ringmap::stream::{Mode, Options};
use ringmap::tracedat::{Figures, Overwrite, Recording, Settings, Version};

/// Where to, and how.
struct Target {
    /// What the user gets.
    path: PathBuf,
    /// What is recorded to: the same, but for Perfetto.
    recording: PathBuf,
    settings: Settings,
}

impl Target {
    fn of(args: &RecordArgs) -> Self {
        let name = if args.perfetto {
            "trace.pftrace"
        } else {
            "trace.dat"
        };
        let path = args.output.clone().unwrap_or_else(|| name.into());
        let mut recording = path.clone();
        if args.perfetto {
            recording.as_mut_os_string().push(".dat");
        }
        let mut settings = Settings::default();
        if args.force {
            settings.overwrite = Overwrite::Replace;
        }
        if args.dat == 6 || args.perfetto {
            settings.version = Version::V6;
        }
        // An own one has no name that says anything.
        let name = args.target.instance.as_deref().filter(|name| *name != ".");
        settings.instance = name.unwrap_or_default().into();
        Target {
            path,
            recording,
            settings,
        }
    }
}

/// Records until the end is reached.
pub fn record(args: &RecordArgs, stop: &Stop) -> Result<ExitCode> {
    let mut options = Options::default();
    options.mode = Mode::Pages;
    options.pin = args.run.pin;
    let output = Target::of(args);
    // Before anything is set up.
    if !args.force && output.path.exists() {
        return Err(ringmap::Error::Exists(output.path).into());
    }
    let mut choose = args.choose.clone();
    if args.perfetto && args.target.instance.is_none() {
        // Perfetto takes times for those since boot.
        choose.clock.get_or_insert_with(|| "boot".into());
    }
    let session = open(&args.target, &choose, &args.run, Output::Shared)?;
    let formats = Arc::clone(&session.formats);
    let first = session.sources.first().context("no CPU")?;
    let size = first.buffer.geometry().subbuf_size;
    let recording = Recording::create(
        &output.recording,
        &session.tracefs,
        session.instance(),
        size,
        &output.settings,
    )?;
    let recording = Rc::new(RefCell::new(recording));
    let sinks = Rc::clone(&recording);
    let started = session.start(
        options,
        Box::new(move |cpu| sinks.borrow_mut().sink(cpu).map(Some)),
    );
    let mut running = match started {
        Ok(running) => running,
        Err(e) => {
            if let Some(recording) = Rc::into_inner(recording) {
                let _ = recording.into_inner().discard();
            }
            return Err(e);
        }
    };

    let shows = !args.run.quiet && io::stderr().is_terminal();
    let shown = follow(
        &mut running,
        &args.run,
        stop,
        // Complete pages are read in steps of many events. The kernel knows what is on the others.
        |running, _| running.written(),
        |running, second| {
            if let Some(progress) = second.filter(|_| shows) {
                let figures = recording.borrow().figures(progress)?;
                progress_line(running.written(), &figures)?;
            }
            Ok(false)
        },
    );
    if shows {
        // Where the line was.
        eprint!("\r\x1b[K");
    }
    // The file gets what the instance says at the end.
    let ended = running.finish(true);
    let size = finish(recording, &output, &formats);
    let (outcome, command) = ended.close();
    let result = size.and_then(|size| {
        let outcome = outcome?;
        shown?;
        let status = tell(&outcome, &args.run, &formats, false)?;
        if !args.run.quiet {
            told(args.perfetto, &output.path, size)?;
        }
        Ok(status)
    });
    end(result, command, stop)
}

/// What is in the file so far.
fn progress_line(events: u64, figures: &Figures) -> io::Result<()> {
    let lost = match (figures.lost, figures.unknown_losses) {
        (lost, 0) => lost.to_string(),
        (lost, _) => format!("more than {lost}"),
    };
    let mut out = io::stderr().lock();
    write!(
        out,
        "\r{events} events, {:.1} MB, {lost} lost, {:.1} GB free\x1b[K",
        figures.bytes as f64 / 1e6,
        figures.disk_free as f64 / 1e9,
    )?;
    out.flush()
}

/// Completes the file. What was recorded before something went wrong is worth having.
fn finish(recording: Rc<RefCell<Recording>>, output: &Target, formats: &Formats) -> Result<u64> {
    let recording = Rc::into_inner(recording).context("the recording is in use")?;
    let recording = recording.into_inner();
    if output.recording == output.path {
        return Ok(recording.finish()?);
    }
    let size = recording.perfetto(&output.path, formats, output.settings.overwrite)?;
    recording.discard()?;
    Ok(size)
}

fn told(perfetto: bool, path: &std::path::Path, size: u64) -> io::Result<()> {
    let (size, path) = (size as f64 / 1e6, path.display());
    let mut out = io::stderr();
    match perfetto {
        true => writeln!(out, "recorded {size:.1} MB: open {path} in ui.perfetto.dev"),
        false => writeln!(
            out,
            "recorded {size:.1} MB: open it with 'trace-cmd report {path}' or kernelshark"
        ),
    }
}

/// `ringmap restore`.
pub fn restore(args: &RestoreArgs) -> Result<()> {
    let restored = ringmap::tracedat::restore(&args.file)?;
    let cpus = restored.cpus.len();
    eprintln!(
        "{}: {:.1} MB, the data of {cpus} CPUs restored",
        args.file.display(),
        restored.bytes as f64 / 1e6
    );
    Ok(())
}
