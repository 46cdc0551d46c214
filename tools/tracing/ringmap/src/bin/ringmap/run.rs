// SPDX-License-Identifier: LGPL-2.1-or-later

//! What `ringmap stream` and `ringmap record` have in common: how a run begins, goes on, and ends.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cli::{Choose, Run, Target};
use crate::hint;
use crate::launch::{Launched, Output};
use crate::report::Report;
use crate::running::{Outcome, Running};
use crate::session::Session;
use crate::signals::Stop;
use crate::status::Status;
use ringmap::advice::{CpuFigures, Cure, advise};
use ringmap::format::Formats;
use ringmap::stream::Progress;

/// Between two lines of figures.
const SECOND: Duration = Duration::from_secs(1);

/// How soon the end is noticed: the last event, a signal, a thread that failed.
const LOOK: Duration = Duration::from_millis(50);

/// Prepares a run of a command that is told what to trace.
pub fn open(target: &Target, choose: &Choose, run: &Run, output: Output) -> Result<Session> {
    if choose.selectors.is_empty() && target.instance.is_none() {
        crate::usage(
            "no events are chosen: name some with --event, like '-e sched' ('ringmap list' shows \
             all), or an instance that has some with --instance",
        );
    }
    let mut session = Session::open(target, choose, &choose.selectors, output)?;
    session.says = !run.quiet;
    Ok(session)
}

/// Waits until the end is reached. `look` is called some times each second, and each second with what
/// happened on each CPU so far; it may end the run, too.
pub fn follow(
    running: &mut Running,
    run: &Run,
    stop: &Stop,
    events: impl Fn(&Running, &[(u32, Progress)]) -> u64,
    mut look: impl FnMut(&Running, Option<&[(u32, Progress)]>) -> Result<bool>,
) -> Result<()> {
    let mut next = SECOND;
    loop {
        let elapsed = running.elapsed();
        let progress = running.progress();
        let full = run
            .events
            .is_some_and(|end| events(running, &progress) >= end);
        let over = full || run.seconds.is_some_and(|end| elapsed >= end);
        let second = elapsed >= next;
        if second {
            next = elapsed + SECOND;
        }
        let over = look(running, second.then_some(&progress))? || over;
        if running.over(stop)? || over {
            return Ok(());
        }
        let left = run.seconds.map_or(LOOK, |end| end.saturating_sub(elapsed));
        thread::sleep(LOOK.min(left).min(next.saturating_sub(elapsed)));
    }
}

/// The summary, the verdict, and what may help. Returns how the run ended.
pub fn tell(outcome: &Outcome, run: &Run, formats: &Formats, live: bool) -> Result<Status> {
    let report = Report::of(outcome);
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
    if !run.quiet {
        advice(outcome, &mut out)?;
    }
    Ok(match report {
        _ if !report.good() => Status::Books,
        _ if run.fail_on_loss && report.lost() > 0 => Status::Lost,
        _ => Status::Good,
    })
}

/// What may help against losses.
fn advice(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let figures = outcome.cpus.iter().map(|cpu| {
        let mut figures = CpuFigures::default();
        figures.cpu = cpu.summary.cpu;
        figures.events = cpu.books.tally.events;
        figures.bytes = cpu.books.tally.bytes;
        figures.lost = cpu.books.tally.lost;
        figures.time = outcome.elapsed;
        figures.buffer_kb = cpu.buffer_kb;
        figures
    });
    let figures: Vec<_> = figures.collect();
    for advice in advise(&figures, most_kb(figures.len() as u64)) {
        let (cpu, percent) = (advice.cpu, advice.percent);
        match advice.cure {
            Cure::Buffer { kb } => {
                writeln!(out, "{percent:.1} % lost on cpu{cpu}: try --buffer-kb {kb}")?;
            }
            _ => writeln!(
                out,
                "{percent:.1} % lost on cpu{cpu}: too much for any buffer, choose fewer events or \
                 a filter"
            )?,
        }
    }
    Ok(())
}

/// The largest buffer for each of so many CPUs that may be proposed: all of them together a quarter
/// of the memory.
fn most_kb(cpus: u64) -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total = total.and_then(|kb| kb.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    total.map_or(1 << 20, |kb| kb / 4 / cpus.max(1))
}

/// Waits for the command, and says how all of it ended.
pub fn end(result: Result<Status>, command: Option<Launched>, stop: &Stop) -> Result<ExitCode> {
    let code = wait(command, stop)?;
    match (result, code) {
        (Ok(status), code) => Ok(status.with(code)),
        (Err(e), Some(code)) if code != 0 => {
            eprintln!("ringmap: {}", hint::message(&e));
            Ok(code.into())
        }
        (Err(e), _) => Err(e),
    }
}

/// Waits for the end of the command. Returns its status.
fn wait(command: Option<Launched>, stop: &Stop) -> Result<Option<u8>> {
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
