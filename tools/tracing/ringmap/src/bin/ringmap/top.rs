// SPDX-License-Identifier: LGPL-2.1-or-later

//! `ringmap top`: which events there are, how many, and on which CPUs.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;

use crate::cli::TopArgs;
use crate::launch::Output;
use crate::report::Report;
use crate::run::end;
use crate::running::Running;
use crate::screen::{Screen, Then, View};
use crate::session::{self, Session};
use crate::signals::Stop;
use crate::status::Status;
use crate::table::{Counts, Sample, Type};
use ringmap::format::Formats;
use ringmap::select::{Catalog, Selector};
use ringmap::stream::Options;

/// What is shown if nothing is chosen, as far as the kernel has it.
const USUAL: [&str; 3] = ["sched", "irq", "raw_syscalls"];

/// The number of events of each id, of all CPUs together.
type Ids = Arc<Mutex<Vec<u64>>>;

/// What was seen so far.
struct Seen {
    ids: Vec<u64>,
    samples: Vec<Sample>,
}

/// `ringmap top`.
pub fn top(args: &TopArgs, stop: &Stop) -> Result<ExitCode> {
    let mut events = args.choose.selectors.clone();
    if events.is_empty() && args.target.instance.is_none() {
        let tracefs = session::tracefs(args.target.tracefs.as_ref())?;
        let catalog = Catalog::load(&tracefs.instance(None)?)?;
        let usual = USUAL.iter().map(|name| name.parse::<Selector>());
        events = usual.collect::<ringmap::Result<_>>()?;
        events.retain(|selector| catalog.find(selector).is_ok());
    }
    // The command must not write where the tables are.
    let output = match Screen::fits() {
        true => Output::None,
        false => Output::Error,
    };
    let session = Session::open(&args.target, &args.choose, &events, output)?;
    let ids = Ids::default();
    let sinks = Arc::clone(&ids);
    let mut running = session.start(
        Options::default(),
        Box::new(move |_| Ok(Some(count(Arc::clone(&sinks))))),
    )?;
    let shown = show(args, &mut running, &ids, stop);
    let elapsed = running.elapsed();
    let (outcome, command) = running.finish(true).close();
    let result = outcome.and_then(|outcome| {
        shown?;
        let report = Report::of(&outcome);
        let (events, lost) = (report.events(), report.lost());
        let seconds = elapsed.as_secs_f64();
        writeln!(
            io::stdout(),
            "in {seconds:.1} s: {events} events, {lost} lost"
        )?;
        let mut err = io::stderr().lock();
        report.print_problems(&mut err)?;
        report.print_verdict(&mut err)?;
        Ok(match report.good() {
            true => Status::Good,
            false => Status::Books,
        })
    });
    end(result, command, stop)
}

/// Counts the events of a CPU.
fn count(ids: Ids) -> ringmap::stream::Sink {
    Box::new(move |page| {
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        for event in page.events() {
            let id = usize::from(event.id().unwrap_or_default());
            if id >= ids.len() {
                ids.resize(id + 1, 0);
            }
            if let Some(count) = ids.get_mut(id) {
                *count += 1;
            }
        }
        Ok(())
    })
}

fn look(running: &Running, ids: &Ids) -> Result<Seen> {
    let cpus = running.progress();
    let samples = cpus
        .iter()
        .map(|(cpu, _)| Sample::take(running.instance(), *cpu));
    Ok(Seen {
        samples: samples.collect::<ringmap::Result<_>>()?,
        ids: ids.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    })
}

/// Shows tables until the end is asked for.
fn show(args: &TopArgs, running: &mut Running, ids: &Ids, stop: &Stop) -> Result<()> {
    let mut screen = Screen::open()?;
    let mut before = look(running, ids)?;
    let (mut since, mut shown) = (Instant::now(), 0);
    while args.tables.count.is_none_or(|count| shown < count) {
        let until = since + args.tables.interval;
        let then = screen.wait(until, stop)?;
        if then == Then::Interrupt {
            running.interrupt();
        }
        let over = running.over(stop)? || then != Then::Go;
        if over && screen.is_terminal() {
            break;
        }
        let now = look(running, ids)?;
        let seconds = since.elapsed().as_secs_f64();
        since = Instant::now();
        screen.show(&View {
            title: title(running, &before, &now, seconds),
            before: &before.samples,
            now: &now.samples,
            types: Some(&types(&before.ids, &now.ids, running.formats())),
            seconds,
        })?;
        if over {
            break;
        }
        before = now;
        shown += 1;
    }
    Ok(())
}

fn title(running: &Running, before: &Seen, now: &Seen, seconds: f64) -> String {
    let sum = |seen: &Seen| seen.ids.iter().sum::<u64>();
    let mut counts = Counts::default();
    now.samples
        .iter()
        .for_each(|sample| counts += sample.counts);
    format!(
        "ringmap top, {:.0} s: {:.0} events/s, {} events, {} lost",
        running.elapsed().as_secs_f64(),
        (sum(now) - sum(before)) as f64 / seconds,
        sum(now),
        counts.lost,
    )
}

/// By name.
fn types(before: &[u64], now: &[u64], formats: &Formats) -> Vec<Type> {
    let name = |id: usize| {
        let format = u16::try_from(id).ok().and_then(|id| formats.get(id));
        format.map_or_else(|| format!("type {id}"), |format| format.name.clone())
    };
    let seen = now.iter().enumerate().filter(|(_, total)| **total > 0);
    seen.map(|(id, total)| Type {
        name: name(id),
        total: *total,
        new: total - before.get(id).unwrap_or(&0),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_and_total() {
        let types = types(&[0, 5], &[0, 7, 0, 2], &Formats::default());
        let numbers: Vec<_> = types
            .iter()
            .map(|t| (t.name.as_str(), t.total, t.new))
            .collect();
        assert_eq!(numbers, [("type 1", 7, 2), ("type 3", 2, 2)]);
    }
}
