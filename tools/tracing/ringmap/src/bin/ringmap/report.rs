// SPDX-License-Identifier: LGPL-2.1-or-later

//! What the command prints: live lines, the summary, the books.

use std::io::{self, Write};
use std::time::Duration;

use crate::running::Outcome;
use ringmap::account::{Books, Problem, Tally};
use ringmap::format::Formats;
use ringmap::stream::{Progress, Summary};

/// How many types of events the summary names.
const TYPES: usize = 8;

/// A number of lost events, and whether there are more that nobody counted.
fn lost(count: u64, unknown: u64) -> String {
    match unknown {
        0 => count.to_string(),
        _ => format!("{count} + unknown"),
    }
}

/// The live lines: what happened since the last ones.
#[derive(Default)]
pub struct Interval {
    since: Duration,
    last: Vec<(u32, Progress)>,
}

impl Interval {
    pub fn new() -> Self {
        Self::default()
    }

    /// Prints a line for each CPU.
    pub fn print(
        &mut self,
        progress: &[(u32, Progress)],
        elapsed: Duration,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let seconds = (elapsed - self.since).as_secs_f64().max(1e-3);
        self.since = elapsed;
        for (cpu, now) in progress {
            let before = self.last.iter().find(|(last, _)| last == cpu);
            let before = before.map_or(Progress::default(), |before| before.1);
            writeln!(
                out,
                "cpu{cpu:<3} {:>9.0} events/s {:>7.1} MB/s  lost {}",
                now.events.saturating_sub(before.events) as f64 / seconds,
                now.bytes.saturating_sub(before.bytes) as f64 / seconds / 1e6,
                lost(
                    now.lost.saturating_sub(before.lost),
                    now.unknown_losses.saturating_sub(before.unknown_losses),
                ),
            )?;
        }
        self.last = progress.to_vec();
        out.flush()
    }
}

/// The summary of a run.
pub struct Report {
    elapsed: Duration,
    lines: Vec<String>,
    books: Vec<String>,
    problems: Vec<(u32, Problem)>,
    refused: Vec<String>,
    total: Tally,
    calls: u64,
    waits: u64,
    by_id: Vec<u64>,
    written: u64,
}

impl Report {
    fn new(elapsed: Duration) -> Self {
        Report {
            elapsed,
            lines: Vec::new(),
            books: Vec::new(),
            problems: Vec::new(),
            refused: Vec::new(),
            total: Tally::default(),
            calls: 0,
            waits: 0,
            by_id: Vec::new(),
            written: 0,
        }
    }

    /// That of all CPUs.
    pub fn of(outcome: &Outcome) -> Self {
        let mut report = Report::new(outcome.elapsed);
        for cpu in &outcome.cpus {
            report.add(&cpu.summary, &cpu.books);
        }
        report
    }

    /// Adds a CPU.
    fn add(&mut self, summary: &Summary, books: &Books) {
        let cpu = summary.cpu;
        let name = format!("cpu{cpu}");
        self.lines.push(line(&name, &summary.tally, summary.calls));
        self.total += summary.tally;
        self.calls += summary.calls;
        self.waits += summary.waits;
        self.written += books.written();
        for (id, count) in summary.by_id.iter().enumerate() {
            if id >= self.by_id.len() {
                self.by_id.resize(id + 1, 0);
            }
            if let Some(sum) = self.by_id.get_mut(id) {
                *sum += count;
            }
        }

        let problems = books.problems();
        let left = match books.stats {
            Some(_) => String::new(),
            None => format!(" + {} not read yet", books.meta.unread()),
        };
        self.books.push(format!(
            "{name:<6} {} read + {} lost{left} of {} written: {}",
            books.tally.events,
            lost(books.tally.lost, books.tally.unknown_losses),
            books.written(),
            if problems.is_empty() { "ok" } else { "NOT OK" },
        ));
        self.problems
            .extend(problems.into_iter().map(|problem| (cpu, problem)));
        if let Some(stats) = books.stats.filter(|s| s.commit_overrun + s.dropped > 0) {
            self.refused.push(format!(
                "{name:<6} the kernel did not write {} events (commit overrun {}, dropped {})",
                stats.commit_overrun + stats.dropped,
                stats.commit_overrun,
                stats.dropped
            ));
        }
    }

    /// Events of all CPUs.
    pub fn events(&self) -> u64 {
        self.total.events
    }

    /// Events known to be lost, of all CPUs.
    pub fn lost(&self) -> u64 {
        self.total.lost
    }

    /// Whether all books agree.
    pub fn good(&self) -> bool {
        self.problems.is_empty()
    }

    /// Prints all of it.
    pub fn print(&self, formats: &Formats, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "summary of {:.1} s", self.elapsed.as_secs_f64())?;
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "{}", line("total", &self.total, self.calls))?;
        writeln!(out, "types: {}", self.types(formats))?;
        for line in self.books.iter().chain(&self.refused) {
            writeln!(out, "{line}")?;
        }
        if self.total.backwards > 0 {
            let count = self.total.backwards;
            writeln!(out, "{count} events are older than the one before them")?;
        }
        self.print_problems(out)?;
        self.print_verdict(out)?;
        out.flush()
    }

    /// Prints the sums of all CPUs, and whether all agrees.
    pub fn print_verdict(&self, out: &mut impl Write) -> io::Result<()> {
        let verdict = if self.good() { "ok" } else { "NOT OK" };
        writeln!(
            out,
            "accounting: {} read + {} lost, {} written: {verdict}",
            self.total.events,
            lost(self.total.lost, self.total.unknown_losses),
            self.written,
        )
    }

    /// Prints what does not agree.
    pub fn print_problems(&self, out: &mut impl Write) -> io::Result<()> {
        for (cpu, problem) in &self.problems {
            writeln!(out, "cpu{cpu}: {problem}")?;
        }
        Ok(())
    }

    /// Prints how many system calls the readers have made.
    pub fn print_system_calls(&self, out: &mut impl Write) -> io::Result<()> {
        let calls = self.calls + self.waits;
        writeln!(
            out,
            "system calls of the readers: {} GET_READER + {} waits, {:.0} per million events",
            self.calls,
            self.waits,
            calls as f64 * 1e6 / self.total.events.max(1) as f64,
        )
    }

    /// The most frequent types of events.
    fn types(&self, formats: &Formats) -> String {
        let mut types: Vec<_> = self.by_id.iter().enumerate().filter(|t| *t.1 > 0).collect();
        types.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let name = |id: usize| {
            let format = u16::try_from(id).ok().and_then(|id| formats.get(id));
            format.map_or_else(|| format!("type {id}"), |format| format.name.clone())
        };
        let shown = types.iter().take(TYPES);
        let mut list: Vec<_> = shown
            .map(|(id, count)| format!("{} {count}", name(*id)))
            .collect();
        let rest: u64 = types.iter().skip(TYPES).map(|(_, count)| **count).sum();
        if rest > 0 {
            list.push(format!("others {rest}"));
        }
        list.join(", ")
    }
}

/// A line of the summary.
fn line(name: &str, tally: &Tally, calls: u64) -> String {
    format!(
        "{name:<6} {:>10} events {:>9.1} MB  lost {}  sub-buffers {}  GET_READER {calls}",
        tally.events,
        tally.bytes as f64 / 1e6,
        lost(tally.lost, tally.unknown_losses),
        tally.subbufs,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_a_cpu_that_came_later() {
        let progress = |events, bytes| {
            let mut progress = Progress::default();
            (progress.events, progress.bytes) = (events, bytes);
            progress
        };
        let mut interval = Interval::new();
        let mut lines = |cpus: &[(u32, Progress)], seconds| {
            let mut out = Vec::new();
            let elapsed = Duration::from_secs(seconds);
            interval.print(cpus, elapsed, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let first = lines(&[(1, progress(100, 0))], 1);
        assert_eq!(first, "cpu1         100 events/s     0.0 MB/s  lost 0\n");
        let mut late = progress(40, 4_000_000);
        (late.lost, late.unknown_losses) = (7, 1);
        let second = lines(&[(0, late), (1, progress(300, 0))], 3);
        assert_eq!(
            second,
            "cpu0          20 events/s     2.0 MB/s  lost 7 + unknown\n\
             cpu1         100 events/s     0.0 MB/s  lost 0\n"
        );
    }
}
