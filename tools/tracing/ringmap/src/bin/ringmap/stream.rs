// SPDX-License-Identifier: LGPL-2.1-or-later

//! `ringmap stream`.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;

use crate::cli::StreamArgs;
use crate::flow::{Flow, Silence};
use crate::launch::Output;
use crate::report::Interval;
use crate::run::{end, follow, open, tell};
use crate::signals::Stop;
use ringmap::stream::{Mode, Options};
use ringmap::text::Printer;

/// Writes events to standard output until the end is reached.
pub fn stream(args: &StreamArgs, stop: &Stop) -> Result<ExitCode> {
    let mut options = Options::default();
    options.mode = if args.live { Mode::Live } else { Mode::Batch };
    options.pin = args.run.pin;
    let session = open(&args.target, &args.choose, &args.run, Output::Error)?;
    let formats = Arc::clone(&session.formats);
    let clock_is_ns = session.instance().clock_is_ns()?;

    let flow = Flow::new(args.live);
    let printer = {
        let (tracefs, instance) = (session.tracefs.clone(), session.instance().clone());
        let formats = Arc::clone(&formats);
        move || Printer::of_kernel(formats, &tracefs, &instance)
    };
    // Before the run begins, so that the thread is not traced.
    let thread = flow.print(printer, args.json, io::stdout())?;
    let sinks = Arc::clone(&flow);
    let mut running = session.start(options, Box::new(move |cpu| Ok(Some(sinks.sink(cpu)))))?;

    let figures = !args.run.quiet && io::stderr().is_terminal() && !io::stdout().is_terminal();
    let mut interval = Interval::new();
    let mut silence = Silence::new(clock_is_ns);
    let shown = follow(
        &mut running,
        &args.run,
        stop,
        |_, progress| progress.iter().map(|(_, seen)| seen.events).sum(),
        |running, second| {
            silence.look(&flow, running)?;
            if let Some(progress) = second.filter(|_| figures) {
                interval.print(progress, running.elapsed(), &mut io::stderr())?;
            }
            Ok(flow.broken())
        },
    );
    let (outcome, command) = running.finish(!args.no_stop).close();
    flow.end();
    let printed = thread.join();
    let printed = printed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let result = outcome.and_then(|outcome| {
        shown?;
        printed?;
        let status = tell(&outcome, &args.run, &formats, args.live)?;
        if flow.late() > 0 && !args.run.quiet {
            eprintln!("{} events were written behind later ones", flow.late());
        }
        Ok(status)
    });
    end(result, command, stop)
}
