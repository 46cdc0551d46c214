// SPDX-License-Identifier: GPL-2.0

//! `ringmap stat`: the counters of all CPUs as a table.

use std::io::{self, IsTerminal, Write};
use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::cli::StatArgs;
use ringmap::tracefs::{Instance, Stats};

/// How soon a signal is noticed.
const LOOK: Duration = Duration::from_millis(50);

/// What the kernel has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    written: u64,
    read: u64,
    lost: u64,
    dropped: u64,
}

impl From<Stats> for Counts {
    fn from(stats: Stats) -> Self {
        Counts {
            written: stats.entries + stats.overrun + stats.read,
            read: stats.read,
            lost: stats.overrun,
            dropped: stats.commit_overrun + stats.dropped,
        }
    }
}

impl Sub for Counts {
    type Output = Counts;

    /// A buffer that was reset in between begins at 0 again.
    fn sub(self, before: Self) -> Self {
        Counts {
            written: self.written.saturating_sub(before.written),
            read: self.read.saturating_sub(before.read),
            lost: self.lost.saturating_sub(before.lost),
            dropped: self.dropped.saturating_sub(before.dropped),
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.read += other.read;
        self.lost += other.lost;
        self.dropped += other.dropped;
    }
}

/// A CPU at one time.
#[derive(Debug, Clone, Copy)]
struct Sample {
    cpu: u32,
    counts: Counts,
    unread: u64,
    /// Bytes: those unread, and the size of the buffer.
    filled: (u64, u64),
}

fn sample(instance: &Instance, cpu: u32) -> ringmap::Result<Sample> {
    let stats = instance.stats(cpu)?;
    Ok(Sample {
        cpu,
        counts: stats.into(),
        unread: stats.entries,
        filled: (stats.bytes, instance.buffer_size(cpu)?),
    })
}

/// A row without its end of line.
fn row(name: &str, counts: Counts, seconds: f64, unread: u64, filled: (u64, u64)) -> String {
    let rate = |count| format!("{:.0}", count as f64 / seconds);
    format!(
        "{name:<6}{:>11}{:>11}{:>11}{:>11}{unread:>11}{:>8.0}%",
        rate(counts.written),
        rate(counts.read),
        rate(counts.lost),
        rate(counts.dropped),
        100.0 * filled.0 as f64 / filled.1.max(1) as f64,
    )
}

/// The table of what happened in so many seconds.
fn table(before: &[Sample], now: &[Sample], seconds: f64) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<6}{:>11}{:>11}{:>11}{:>11}{:>11}{:>9}",
        "", "written/s", "read/s", "lost/s", "dropped/s", "unread", "filled"
    )];
    let (mut sum, mut unread, mut filled) = (Counts::default(), 0, (0, 0));
    for (before, now) in before.iter().zip(now) {
        let counts = now.counts - before.counts;
        let name = format!("cpu{}", now.cpu);
        lines.push(row(&name, counts, seconds, now.unread, now.filled));
        sum += counts;
        unread += now.unread;
        filled = (filled.0 + now.filled.0, filled.1 + now.filled.1);
    }
    lines.push(row("total", sum, seconds, unread, filled));
    lines
}

/// Runs until a signal comes or all tables are shown.
pub fn stat(args: &StatArgs, stop: &AtomicBool) -> Result<()> {
    let instance = crate::tracefs(&args.target)?.instance(args.target.instance.as_deref())?;
    let cpus = crate::cpus(&instance, &args.target)?;
    ensure!(!cpus.is_empty(), "no CPU with a ring buffer is online");
    let look =
        || -> ringmap::Result<Vec<_>> { cpus.iter().map(|cpu| sample(&instance, *cpu)).collect() };

    let mut out = io::stdout().lock();
    let first = look()?;
    let start = Instant::now();
    let (mut before, mut since) = (first.clone(), start);
    let mut shown = 0;
    while args.count.is_none_or(|count| shown < count) {
        while since.elapsed() < args.interval && !stop.load(Ordering::Relaxed) {
            thread::sleep(LOOK.min(args.interval.saturating_sub(since.elapsed())));
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let now = look()?;
        let seconds = since.elapsed().as_secs_f64();
        since = Instant::now();
        let lines = table(&before, &now, seconds);
        if shown > 0 && out.is_terminal() {
            // To the first line of the last table, which is overwritten.
            write!(out, "\x1b[{}F\x1b[J", lines.len())?;
        }
        writeln!(out, "{}", lines.join("\n"))?;
        out.flush()?;
        before = now;
        shown += 1;
    }

    let mut sum = Counts::default();
    for (first, last) in first.iter().zip(look()?) {
        sum += last.counts - first.counts;
    }
    writeln!(
        out,
        "in {:.1} s: {} written, {} read, {} lost, {} dropped",
        start.elapsed().as_secs_f64(),
        sum.written,
        sum.read,
        sum.lost,
        sum.dropped
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(cpu: u32, entries: u64, read: u64) -> Sample {
        let stats = Stats {
            entries,
            read,
            overrun: 10,
            ..Stats::default()
        };
        Sample {
            cpu,
            counts: stats.into(),
            unread: entries,
            filled: (entries, 1000),
        }
    }

    #[test]
    fn rates_and_sums() {
        let before = [sample(0, 0, 0), sample(3, 100, 0)];
        let now = [sample(0, 500, 1500), sample(3, 0, 300)];
        let table = table(&before, &now, 2.0);
        let words = |line: &str| {
            let words = line.split_ascii_whitespace().map(str::to_owned);
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(&table[1]), "cpu0 1000 750 0 0 500 50%");
        assert_eq!(words(&table[2]), "cpu3 100 150 0 0 0 0%");
        assert_eq!(words(&table[3]), "total 1100 900 0 0 500 25%");
        assert!(table.iter().all(|line| line.len() == table[0].len()));
    }

    #[test]
    fn a_reset_is_no_negative_rate() {
        let counts = sample(0, 1, 0).counts - sample(0, 5, 5).counts;
        assert_eq!(counts, Counts::default());
    }
}
