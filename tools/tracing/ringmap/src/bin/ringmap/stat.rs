// SPDX-License-Identifier: LGPL-2.1-or-later

//! `ringmap stat`: the counters of all CPUs as a table, without taking an event.

use std::io::{self, Write};
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::cli::StatArgs;
use crate::screen::{Screen, Then, View};
use crate::session;
use crate::signals::Stop;
use crate::table::{Counts, Sample};

/// Runs until a signal comes or all tables are shown.
pub fn stat(args: &StatArgs, stop: &Stop) -> Result<()> {
    let target = &args.target;
    let tracefs = session::tracefs(target.tracefs.as_ref())?;
    let instance = session::instance(&tracefs, target.instance.as_deref())?;
    let cpus = match session::cpus(target)? {
        Some(cpus) => cpus,
        None => instance.cpus()?,
    };
    ensure!(!cpus.is_empty(), "no CPU with a ring buffer is online");
    let look = || -> ringmap::Result<Vec<_>> {
        cpus.iter()
            .map(|cpu| Sample::take(&instance, *cpu))
            .collect()
    };

    let mut screen = Screen::open()?;
    let first = look()?;
    let start = Instant::now();
    let (mut before, mut since) = (first.clone(), start);
    let mut shown = 0;
    while args.tables.count.is_none_or(|count| shown < count)
        && screen.wait(since + args.tables.interval, stop)? == Then::Go
    {
        let now = look()?;
        let seconds = since.elapsed().as_secs_f64();
        since = Instant::now();
        screen.show(&View {
            title: format!("ringmap stat, {:.0} s", start.elapsed().as_secs_f64()),
            before: &before,
            now: &now,
            types: None,
            seconds,
        })?;
        before = now;
        shown += 1;
    }
    drop(screen);

    let mut sum = Counts::default();
    for (first, last) in first.iter().zip(look()?) {
        sum += last.counts - first.counts;
    }
    writeln!(
        io::stdout(),
        "in {:.1} s: {} written, {} read, {} lost, {} dropped",
        start.elapsed().as_secs_f64(),
        sum.written,
        sum.read,
        sum.lost,
        sum.dropped
    )?;
    Ok(())
}
