// SPDX-License-Identifier: LGPL-2.1-or-later

//! The books of a run: every event that was written was read, or its loss was reported.
//!
//! The kernel counts, per CPU, the events written (`entries`), overwritten before they were read
//! (`overrun`) and read (`read`). The reader counts what it saw. After the writers have stopped and
//! the buffer is drained, all of it must agree to the last event.

use std::fmt;
use std::ops::AddAssign;

use crate::mapping::Meta;
use crate::reader::Loss;
use crate::stream::Summary;
use crate::tracefs::Stats;

/// What a reader saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Events read.
    pub events: u64,
    /// Bytes of event data read, without page headers.
    pub bytes: u64,
    /// Events that were lost, as far as their number is known.
    pub lost: u64,
    /// Those of them whose number the kernel did not report: see [`Loss::Inferred`].
    pub inferred: u64,
    /// Reports of a loss without a number.
    pub unknown_losses: u64,
    /// Sub-buffers read.
    pub subbufs: u64,
    /// Sub-buffers that ended in something that is no event.
    pub malformed: u64,
    /// Events older than the one before.
    pub backwards: u64,
}

impl Tally {
    /// Adds a reported loss.
    pub fn add_loss(&mut self, loss: Loss) {
        match loss.count() {
            Some(count) => self.lost = self.lost.saturating_add(count),
            None => self.unknown_losses += 1,
        }
        if let Loss::Inferred(count) = loss {
            self.inferred = self.inferred.saturating_add(count);
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
        self.lost = self.lost.saturating_add(other.lost);
        self.inferred = self.inferred.saturating_add(other.inferred);
        self.unknown_losses += other.unknown_losses;
        self.subbufs += other.subbufs;
        self.malformed += other.malformed;
        self.backwards += other.backwards;
    }
}

/// Everything that is known about one CPU at the end of a run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Books {
    /// What the reader saw.
    pub tally: Tally,
    /// What the meta-page said at the beginning: [`CpuBuffer::start`](crate::reader::CpuBuffer::start).
    pub start: Meta,
    /// What the meta-page said last.
    pub meta: Meta,
    /// What the `stats` file said after the end; none if the writers were not stopped.
    pub stats: Option<Stats>,
}

/// Something in the books that does not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Events were lost and not reported, or reported without a number.
    LossUnaccounted {
        /// Events lost without being reported.
        missing: u64,
        /// Events lost in all.
        overrun: u64,
        /// Reports without a number.
        unknown: u64,
    },
    /// More events were reported lost than were lost.
    LossTwice {
        /// Events reported lost.
        reported: u64,
        /// Events lost in all.
        overrun: u64,
    },
    /// The reader saw another number of events than the kernel handed out.
    ReadDiffers {
        /// Events the reader saw.
        seen: u64,
        /// Events the kernel counts as read.
        read: u64,
    },
    /// Events were left in the buffer.
    Undrained {
        /// So many.
        unread: u64,
    },
    /// The `stats` file and the meta-page differ.
    StatsDiffer {
        /// What the file says.
        stats: Stats,
        /// What the meta-page says.
        meta: Meta,
    },
    /// Sub-buffers ended in something that is no event.
    Malformed {
        /// So many.
        subbufs: u64,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::LossUnaccounted {
                missing,
                overrun,
                unknown,
            } => write!(
                f,
                "loss unaccounted: {missing} of {overrun} lost events were never reported with a \
                 number ({unknown} reports without one)"
            ),
            Problem::LossTwice { reported, overrun } => write!(
                f,
                "loss reported more than once: {reported} events reported lost, {overrun} were"
            ),
            Problem::ReadDiffers { seen, read } => write!(
                f,
                "the kernel counts {read} events as read, {seen} were seen (is there another \
                 reader?)"
            ),
            Problem::Undrained { unread } => {
                write!(
                    f,
                    "{unread} events are left in the buffer and cannot be read"
                )
            }
            Problem::StatsDiffer { stats, meta } => write!(
                f,
                "stats and meta-page differ: {stats:?}, {meta:?} (is there another reader?)"
            ),
            Problem::Malformed { subbufs } => {
                write!(f, "{subbufs} sub-buffers end in something that is no event")
            }
        }
    }
}

impl Books {
    /// The books of a run. `stats` are those of after the end; none if the writers were not stopped.
    pub fn new(summary: &Summary, stats: Option<Stats>) -> Self {
        Books {
            tally: summary.tally,
            start: summary.start,
            meta: summary.meta,
            stats,
        }
    }

    /// Events written since the beginning, or in the buffer then.
    pub fn written(&self) -> u64 {
        let before = self.start.overrun.wrapping_add(self.start.read);
        self.meta.entries.saturating_sub(before)
    }

    /// Events overwritten since the beginning.
    pub fn overrun(&self) -> u64 {
        self.meta.overrun.saturating_sub(self.start.overrun)
    }

    /// Everything that does not agree; nothing if all is well.
    pub fn problems(&self) -> Vec<Problem> {
        let Books {
            tally, meta, stats, ..
        } = *self;
        let overrun = self.overrun();
        let read = meta.read.saturating_sub(self.start.read);
        let mut problems = Vec::new();

        // Writers that were not stopped may have overwritten events since the last swap, whose loss
        // the next swap would report: then only a loss without a number is a problem.
        let missing = overrun.saturating_sub(tally.lost);
        if missing > 0 && (stats.is_some() || tally.unknown_losses > 0) {
            problems.push(Problem::LossUnaccounted {
                missing,
                overrun,
                unknown: tally.unknown_losses,
            });
        }
        if tally.lost > overrun {
            problems.push(Problem::LossTwice {
                reported: tally.lost,
                overrun,
            });
        }
        if tally.events != read {
            problems.push(Problem::ReadDiffers {
                seen: tally.events,
                read,
            });
        }
        if let Some(stats) = stats {
            if meta.unread() != 0 {
                problems.push(Problem::Undrained {
                    unread: meta.unread(),
                });
            }
            let of_stats = (stats.entries, stats.overrun, stats.read);
            if of_stats != (meta.unread(), meta.overrun, meta.read) {
                problems.push(Problem::StatsDiffer { stats, meta });
            }
        }
        if tally.malformed != 0 {
            problems.push(Problem::Malformed {
                subbufs: tally.malformed,
            });
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 90 events read, 10 lost.
    fn good() -> Books {
        let tally = Tally {
            events: 90,
            lost: 10,
            ..Tally::default()
        };
        let meta = Meta {
            entries: 100,
            overrun: 10,
            read: 90,
            ..Meta::default()
        };
        let stats = Some(Stats {
            overrun: 10,
            read: 90,
            ..Stats::default()
        });
        Books {
            tally,
            start: Meta::default(),
            meta,
            stats,
        }
    }

    #[test]
    fn tallies_add_up_field_by_field() {
        let other = Tally {
            events: 10,
            bytes: 20,
            lost: 30,
            inferred: 25,
            unknown_losses: 40,
            subbufs: 50,
            malformed: 60,
            backwards: 70,
        };
        let mut tally = Tally {
            events: 3,
            bytes: 4,
            lost: u64::MAX - 5,
            inferred: 1,
            unknown_losses: 6,
            subbufs: 7,
            malformed: 8,
            backwards: 9,
        };

        tally += other;
        let sum = Tally {
            events: 13,
            bytes: 24,
            lost: u64::MAX,
            inferred: 26,
            unknown_losses: 46,
            subbufs: 57,
            malformed: 68,
            backwards: 79,
        };
        assert_eq!(tally, sum);
    }

    #[test]
    fn a_problem_names_its_numbers() {
        let problem = Problem::LossUnaccounted {
            missing: 3,
            overrun: 17,
            unknown: 5,
        };

        assert!(problem.to_string().contains("3 of 17 lost events"));
    }

    #[test]
    fn good_books() {
        assert_eq!(good().problems(), []);
    }

    #[test]
    fn a_loss_without_a_number() {
        let mut books = good();
        books.tally.lost = 4;
        books.tally.add_loss(Loss::Unknown);
        let problem = Problem::LossUnaccounted {
            missing: 6,
            overrun: 10,
            unknown: 1,
        };
        assert_eq!(books.problems(), std::slice::from_ref(&problem));
        books.stats = None;
        assert_eq!(books.problems(), [problem]);
    }

    #[test]
    fn an_inferred_loss_counts_as_reported() {
        let mut books = good();
        books.tally.lost = 4;
        books.tally.add_loss(Loss::Inferred(6));
        assert_eq!(books.problems(), []);
        assert_eq!(books.tally.inferred, 6);
    }

    #[test]
    fn a_buffer_that_was_not_empty() {
        let mut books = good();
        // 30 read and 7 lost before, 5 in the buffer.
        books.start = Meta {
            entries: 42,
            overrun: 7,
            read: 30,
            ..Meta::default()
        };
        books.meta.entries += 37;
        books.meta.overrun += 7;
        books.meta.read += 30;
        if let Some(stats) = &mut books.stats {
            stats.overrun += 7;
            stats.read += 30;
        }
        assert_eq!(books.problems(), []);
        assert_eq!(books.written(), 100);
    }

    #[test]
    fn a_loss_not_reported_yet() {
        let mut books = good();
        books.tally.lost = 4;
        assert_eq!(books.problems().len(), 1);
        books.stats = None;
        assert_eq!(books.problems(), []);
    }

    #[test]
    fn everything_else() {
        let mut books = good();
        books.tally.lost = 11;
        assert!(matches!(books.problems()[..], [Problem::LossTwice { .. }]));

        let mut books = good();
        books.tally.events = 89;
        assert!(matches!(
            books.problems()[..],
            [Problem::ReadDiffers { .. }]
        ));

        let mut books = good();
        books.meta.entries += 1;
        assert!(matches!(
            books.problems()[..],
            [
                Problem::Undrained { unread: 1 },
                Problem::StatsDiffer { .. }
            ]
        ));

        let mut books = good();
        books.tally.malformed = 1;
        assert!(matches!(books.problems()[..], [Problem::Malformed { .. }]));
    }
}
