// SPDX-License-Identifier: LGPL-2.1-or-later

//! The tables of `top` and `stat` as lines of text that fit into so much room.

use std::cmp::Reverse;
use std::ops::{AddAssign, Sub};

use ringmap::tracefs::{Instance, Stats};

/// What the kernel has counted on a CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub written: u64,
    pub read: u64,
    pub lost: u64,
    pub dropped: u64,
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

/// A CPU's buffer at one time.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    pub cpu: u32,
    pub counts: Counts,
    pub unread: u64,
    /// Bytes: those unread, and the size of the buffer.
    pub filled: (u64, u64),
}

impl Sample {
    pub fn take(instance: &Instance, cpu: u32) -> ringmap::Result<Self> {
        let stats = instance.stats(cpu)?;
        Ok(Sample {
            cpu,
            counts: stats.into(),
            unread: stats.entries,
            filled: (stats.bytes, instance.buffer_size(cpu)?),
        })
    }
}

/// What a line is, for those who can show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Head,
    Row,
    /// Events were lost or dropped.
    Bad,
    Total,
    /// Something about the table.
    Note,
}

pub type Line = (Kind, String);

/// How much room there is: columns and lines.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub width: usize,
    pub height: usize,
}

impl Room {
    /// For what is no terminal.
    pub const ENDLESS: Room = Room {
        width: usize::MAX,
        height: usize::MAX,
    };
}

/// The columns of a table, and the order in which they go when there is no room.
struct Column {
    name: &'static str,
    width: usize,
    /// The higher, the sooner it goes.
    goes: u8,
}

const fn column(name: &'static str, width: usize, goes: u8) -> Column {
    Column { name, width, goes }
}

const CPU: [Column; 7] = [
    column("cpu", 6, 0),
    column("written/s", 11, 2),
    column("read/s", 11, 4),
    column("lost/s", 11, 1),
    column("dropped/s", 11, 6),
    column("unread", 11, 5),
    column("filled", 9, 3),
];

const EVENT: [Column; 4] = [
    column("event", 8, 0),
    column("events/s", 11, 1),
    column("share", 8, 2),
    column("events", 13, 3),
];

/// Which of the columns fit.
fn fitting(columns: &[Column], width: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..columns.len()).collect();
    order.sort_by_key(|n| columns[*n].goes);
    let mut used = 0;
    let mut fit: Vec<_> = order
        .into_iter()
        .take_while(|n| {
            used += columns[*n].width;
            used <= width
        })
        .collect();
    fit.sort_unstable();
    fit
}

/// The cells of a row below each other's.
fn row(columns: &[Column], shown: &[usize], first: usize, cells: &[String]) -> String {
    let mut line = String::new();
    for n in shown {
        let (cell, width) = (&cells[*n], columns[*n].width);
        line += &match n {
            0 => format!("{:<first$}", cut(cell, first)),
            _ => format!("{cell:>width$}"),
        };
    }
    line
}

/// A text that is not longer than that.
fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text
            .chars()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect(),
        false => text.into(),
    }
}

fn head(columns: &[Column], shown: &[usize], first: usize) -> Line {
    let names: Vec<_> = columns
        .iter()
        .map(|column| column.name.to_owned())
        .collect();
    (Kind::Head, row(columns, shown, first, &names))
}

/// How many of `rows` have room between so many other lines, one of which may say that there are
/// more.
fn room_for(rows: usize, height: usize, others: usize) -> usize {
    match height.saturating_sub(others) {
        room if room >= rows => rows,
        room => room.saturating_sub(1),
    }
}

/// What happened on each CPU in so many seconds. If not all have room it is the busiest that are
/// shown.
pub fn cpus(before: &[Sample], now: &[Sample], seconds: f64, room: Room) -> Vec<Line> {
    let shown = fitting(&CPU, room.width);
    if shown.is_empty() {
        return Vec::new();
    }
    let first = CPU[0].width;
    let line = |name: String, counts: Counts, unread: u64, filled: (u64, u64)| {
        let rate = |count| format!("{:.0}", count as f64 / seconds);
        let cells = [
            name,
            rate(counts.written),
            rate(counts.read),
            rate(counts.lost),
            rate(counts.dropped),
            unread.to_string(),
            format!("{:.0}%", 100.0 * filled.0 as f64 / filled.1.max(1) as f64),
        ];
        row(&CPU, &shown, first, &cells)
    };
    let changes: Vec<_> = now
        .iter()
        .map(|now| {
            // One that has just come began at 0.
            let before = before.iter().find(|before| before.cpu == now.cpu);
            (
                now,
                now.counts - before.map_or(Counts::default(), |b| b.counts),
            )
        })
        .collect();
    let count = room_for(changes.len(), room.height, 2);
    let mut busiest: Vec<_> = (0..changes.len()).collect();
    if count < changes.len() {
        busiest.sort_by_key(|n| Reverse(changes[*n].1.written));
        busiest.truncate(count);
        busiest.sort_unstable();
    }

    let mut lines = vec![head(&CPU, &shown, first)];
    for (now, counts) in busiest.iter().map(|n| changes[*n]) {
        let kind = match counts.lost + counts.dropped {
            0 => Kind::Row,
            _ => Kind::Bad,
        };
        let name = format!("cpu{}", now.cpu);
        lines.push((kind, line(name, counts, now.unread, now.filled)));
    }
    if count < changes.len() {
        let rest = format!("and {} less busy CPUs", changes.len() - count);
        lines.push((Kind::Note, cut(&rest, room.width)));
    }
    let (mut sum, mut unread, mut filled) = (Counts::default(), 0, (0, 0));
    for (now, counts) in changes {
        sum += counts;
        unread += now.unread;
        filled = (filled.0 + now.filled.0, filled.1 + now.filled.1);
    }
    lines.push((Kind::Total, line("total".into(), sum, unread, filled)));
    lines.truncate(room.height);
    lines
}

/// The events of one type: all since the start, and those of the last seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    pub name: String,
    pub total: u64,
    pub new: u64,
}

/// What events there were in so many seconds, the most frequent first.
pub fn events(types: &[Type], seconds: f64, room: Room) -> Vec<Line> {
    let shown = fitting(&EVENT, room.width);
    if shown.is_empty() {
        return Vec::new();
    }
    let mut types: Vec<_> = types.iter().filter(|t| t.total > 0).collect();
    types.sort_by(|a, b| {
        (b.new, b.total)
            .cmp(&(a.new, a.total))
            .then(a.name.cmp(&b.name))
    });
    let sum: u64 = types.iter().map(|t| t.new).sum();
    let count = room_for(types.len(), room.height, 1);

    // The names get what the numbers leave.
    let numbers: usize = shown.iter().skip(1).map(|n| EVENT[*n].width).sum();
    let longest = types.iter().take(count).map(|t| t.name.chars().count());
    let longest = longest.max().unwrap_or(0).max(EVENT[0].width);
    let first = longest.min(room.width.saturating_sub(numbers));

    let mut lines = vec![head(&EVENT, &shown, first)];
    for kind in types.iter().take(count) {
        let cells = [
            kind.name.clone(),
            format!("{:.0}", kind.new as f64 / seconds),
            format!("{:.1}%", 100.0 * kind.new as f64 / sum.max(1) as f64),
            kind.total.to_string(),
        ];
        lines.push((Kind::Row, row(&EVENT, &shown, first, &cells)));
    }
    if count < types.len() {
        let rest = format!("and {} less frequent types", types.len() - count);
        lines.push((Kind::Note, cut(&rest, room.width)));
    }
    lines.truncate(room.height);
    lines
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

    fn words(line: &Line) -> String {
        line.1.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rates_and_sums() {
        let before = [sample(0, 0, 0), sample(3, 100, 0)];
        let now = [sample(0, 500, 1500), sample(3, 0, 300)];
        let table = cpus(&before, &now, 2.0, Room::ENDLESS);
        assert_eq!(words(&table[1]), "cpu0 1000 750 0 0 500 50%");
        assert_eq!(words(&table[2]), "cpu3 100 150 0 0 0 0%");
        assert_eq!(words(&table[3]), "total 1100 900 0 0 500 25%");
        assert!(table.iter().all(|line| line.1.len() == table[0].1.len()));
    }

    #[test]
    fn a_cpu_that_has_come() {
        let mut late = sample(1, 30, 0);
        late.counts.lost = 4;
        let table = cpus(
            &[sample(0, 0, 0)],
            &[sample(0, 0, 0), late],
            1.0,
            Room::ENDLESS,
        );
        assert_eq!(words(&table[2]), "cpu1 40 0 4 0 30 3%");
        assert_eq!((table[1].0, table[2].0), (Kind::Row, Kind::Bad));
    }

    #[test]
    fn a_reset_is_no_negative_rate() {
        let counts = sample(0, 1, 0).counts - sample(0, 5, 5).counts;
        assert_eq!(counts, Counts::default());
    }

    #[test]
    fn the_busiest_if_not_all_have_room() {
        let before: Vec<_> = (0..100).map(|cpu| sample(cpu, 0, 0)).collect();
        let busy = |cpu: u32| u64::from(cpu % 50 == 7) * 100;
        let now: Vec<_> = (0..100).map(|cpu| sample(cpu, busy(cpu), 0)).collect();
        let room = Room {
            width: 80,
            height: 5,
        };
        let table = cpus(&before, &now, 1.0, room);
        let first: Vec<_> = table
            .iter()
            .map(|line| line.1.split(' ').next().unwrap())
            .collect();
        assert_eq!(first, ["cpu", "cpu7", "cpu57", "and", "total"]);
        assert_eq!(table[3].1, "and 98 less busy CPUs");
    }

    fn types() -> Vec<Type> {
        let one = |name: &str, total, new| Type {
            name: name.into(),
            total,
            new,
        };
        vec![
            one("quiet", 0, 0),
            one("sched:sched_switch", 100, 50),
            one("irq:irq_handler_entry_of_some_length", 300, 150),
            one("past", 5, 0),
        ]
    }

    #[test]
    fn the_most_frequent_first() {
        let table = events(&types(), 2.0, Room::ENDLESS);
        let table: Vec<_> = table.iter().map(words).collect();
        assert_eq!(
            table,
            [
                "event events/s share events",
                "irq:irq_handler_entry_of_some_length 75 75.0% 300",
                "sched:sched_switch 25 25.0% 100",
                "past 0 0.0% 5",
            ]
        );
    }

    #[test]
    fn nothing_is_wider_or_higher_than_its_room() {
        let before: Vec<_> = (0..9).map(|cpu| sample(cpu, 0, 0)).collect();
        let now: Vec<_> = (0..9).map(|cpu| sample(cpu, 100, 7)).collect();
        for width in 0..100 {
            for height in 0..15 {
                let room = Room { width, height };
                for lines in [cpus(&before, &now, 1.0, room), events(&types(), 1.0, room)] {
                    assert!(lines.len() <= height);
                    let longest = lines.iter().map(|line| line.1.chars().count()).max();
                    assert!(longest.unwrap_or(0) <= width, "{width} {height} {lines:?}");
                }
            }
        }
    }
}
