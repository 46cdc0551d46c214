// SPDX-License-Identifier: LGPL-2.1-or-later

//! Events that were lost, and how many, also where the kernel does not say it.

use std::fmt;

/// Events that were lost: overwritten before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// So many, by the kernel's own count for this place.
    Known(u64),
    /// So many, by the difference of the kernel's counter `overrun`: the kernel says that events were
    /// lost, and has no room to say how many. The sum of all losses is exact. One alone may be too
    /// large by what was overwritten while the kernel swapped the page; then the next is smaller by
    /// as much, down to 0.
    Inferred(u64),
    /// The kernel says that events were lost, and nothing has counted them: they were lost before
    /// the buffer was opened, or before the machine was booted.
    Unknown,
}

impl Loss {
    /// A count as the kernel stores it: all ones if it does not know.
    pub(crate) fn from_count(count: u64) -> Self {
        match count {
            u64::MAX => Loss::Unknown,
            count => Loss::Known(count),
        }
    }

    /// Both together.
    pub(crate) fn sum(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(one), Some(other)) = (one, other) else {
            return one.or(other);
        };
        Some(match (one, other) {
            (Loss::Known(a), Loss::Known(b)) => Loss::Known(a.saturating_add(b)),
            (a, b) => match (a.count(), b.count()) {
                (Some(a), Some(b)) => Loss::Inferred(a.saturating_add(b)),
                _ => Loss::Unknown,
            },
        })
    }

    /// How many events, if that is known.
    pub fn count(self) -> Option<u64> {
        match self {
            Loss::Known(count) | Loss::Inferred(count) => Some(count),
            Loss::Unknown => None,
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Known(count) => write!(f, "{count} events lost"),
            Loss::Inferred(count) => write!(f, "{count} events lost, by the kernel's counters"),
            Loss::Unknown => f.write_str("an unknown number of events lost"),
        }
    }
}

/// The call that has brought a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swap {
    /// The kernel's counter `overrun` before and after it.
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// Whether the page was complete.
    pub(crate) complete: bool,
}

/// What was reported as lost, against the kernel's counter `overrun`.
///
/// At each swap of the reader page the kernel reports how far `overrun` has come since the last one.
/// Where its report has no number, the same difference is taken here. The kernel has looked at the
/// counter somewhere between our looks before and after the call, so an inferred number may include
/// a little of the next; it is taken off that one again. So the sums telescope: when all is read,
/// what was reported is what was overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Up to where on the counter losses were reported.
    reported: u64,
    /// Whether that is where the kernel stood at the last swap; otherwise it stood before.
    exact: bool,
    /// Where this account began, and whether a swap was seen since.
    start: u64,
    began: bool,
}

impl Losses {
    /// Nothing was reported. `overrun` is the counter now.
    pub(crate) fn new(overrun: u64) -> Self {
        Losses {
            reported: overrun,
            exact: overrun == 0,
            start: overrun,
            began: false,
        }
    }

    /// Where on the counter the account begins. Less than at the beginning if the first report
    /// included what was lost before.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// A new page: what the kernel said (`told`), and the call that brought the page. Returns what is
    /// to be reported.
    pub(crate) fn swapped(&mut self, told: Option<Loss>, swap: Swap) -> Option<Loss> {
        let Swap {
            before,
            after,
            complete,
        } = swap;
        if after < self.reported && before < self.reported {
            // The buffer was reset.
            *self = Losses::new(0);
        }
        let before = before.min(after);
        let after = after.max(self.reported);
        let still = before == after;
        let first = !std::mem::replace(&mut self.began, true);
        match told {
            // C has no place to tell it as long as the writer is on the page. Otherwise the kernel must
            // have seen the counter move if it has moved before the call.
            None if before > self.reported || (after > self.reported && !complete) => {
                Some(self.infer(after, still))
            }
            None => {
                self.exact |= before == self.reported;
                None
            }
            Some(Loss::Known(count)) if self.exact && count <= after - self.reported => {
                self.reported += count;
                told
            }
            Some(Loss::Known(count)) if first => {
                let sum = self.reported.saturating_add(count);
                self.reported = if still { after } else { sum.min(after) };
                self.start = self.start.min(self.reported.saturating_sub(count));
                self.exact = still;
                told
            }
            // Some of it was reported already, without having been told.
            Some(Loss::Known(count)) => {
                let sum = self.reported.saturating_add(count);
                match self.infer(if still { after } else { sum.min(after) }, still) {
                    Loss::Inferred(same) if same == count => told,
                    inferred => Some(inferred),
                }
            }
            Some(_) if after == self.reported && (self.exact || first) => Some(Loss::Unknown),
            Some(_) => Some(self.infer(after, still)),
        }
    }

    /// A loss that the kernel reports for a page which was handed out before, and which it had not
    /// reported then.
    pub(crate) fn late(&mut self, told: Loss, overrun: u64) -> Option<Loss> {
        let Loss::Known(count) = told else {
            return Some(told);
        };
        let sum = self.reported.saturating_add(count);
        (sum <= overrun).then(|| {
            self.reported = sum;
            told
        })
    }

    /// All is read: what was overwritten and never told. C tells nothing of a loss before a page on
    /// which a writer was in the middle of an event.
    pub(crate) fn rest(&mut self, overrun: u64) -> Option<Loss> {
        (overrun > self.reported).then(|| self.infer(overrun, true))
    }

    fn infer(&mut self, counter: u64, exact: bool) -> Loss {
        let count = counter.saturating_sub(self.reported);
        self.reported = self.reported.max(counter);
        self.exact = exact;
        Loss::Inferred(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKED: Option<Loss> = Some(Loss::Unknown);

    fn swapped(losses: &mut Losses, told: Option<Loss>, before: u64, after: u64) -> Option<Loss> {
        let swap = Swap {
            before,
            after,
            complete: true,
        };
        losses.swapped(told, swap)
    }

    #[test]
    fn the_kernels_number_is_passed_on() {
        let mut losses = Losses::new(0);
        assert_eq!(
            swapped(&mut losses, Some(Loss::Known(5)), 5, 9),
            Some(Loss::Known(5))
        );
        assert_eq!(swapped(&mut losses, None, 5, 9), None);
        assert_eq!(
            swapped(&mut losses, Some(Loss::Known(4)), 9, 9),
            Some(Loss::Known(4))
        );
        assert_eq!(swapped(&mut losses, MARKED, 9, 11), Some(Loss::Inferred(2)));
        assert_eq!(losses.start(), 0);
    }

    /// The kernel stood at 12 and then at 15; we saw 15 both times.
    #[test]
    fn what_was_inferred_too_early_is_taken_off_again() {
        for (told, expected) in [
            (MARKED, Loss::Inferred(0)),
            (Some(Loss::Known(3)), Loss::Inferred(0)),
        ] {
            let mut losses = Losses::new(0);
            assert_eq!(
                swapped(&mut losses, MARKED, 12, 15),
                Some(Loss::Inferred(15))
            );
            assert_eq!(swapped(&mut losses, told, 15, 15), Some(expected));
            assert_eq!(
                swapped(&mut losses, Some(Loss::Known(2)), 17, 17),
                Some(Loss::Known(2))
            );
        }
    }

    #[test]
    fn a_loss_without_a_mark() {
        let mut losses = Losses::new(0);
        assert_eq!(swapped(&mut losses, None, 7, 7), Some(Loss::Inferred(7)));
        // Only what was there before the call is certain.
        assert_eq!(swapped(&mut losses, None, 7, 9), None);
        assert_eq!(
            swapped(&mut losses, Some(Loss::Known(2)), 9, 9),
            Some(Loss::Known(2))
        );
        // A page on which the writer is has no place to tell it.
        let swap = Swap {
            before: 9,
            after: 12,
            complete: false,
        };
        assert_eq!(losses.swapped(None, swap), Some(Loss::Inferred(3)));
    }

    #[test]
    fn opened_in_the_middle() {
        let mut losses = Losses::new(100);
        assert_eq!(
            swapped(&mut losses, Some(Loss::Known(30)), 110, 110),
            Some(Loss::Known(30))
        );
        assert_eq!(losses.start(), 80);
        let mut losses = Losses::new(100);
        assert_eq!(swapped(&mut losses, MARKED, 100, 100), Some(Loss::Unknown));
        assert_eq!(
            swapped(&mut losses, MARKED, 104, 104),
            Some(Loss::Inferred(4))
        );
        assert_eq!(losses.start(), 100);
    }

    #[test]
    fn a_reset() {
        let mut losses = Losses::new(0);
        assert_eq!(
            swapped(&mut losses, MARKED, 50, 50),
            Some(Loss::Inferred(50))
        );
        assert_eq!(swapped(&mut losses, MARKED, 3, 3), Some(Loss::Inferred(3)));
    }

    #[test]
    fn what_was_reported_untold_is_told_later() {
        let mut losses = Losses::new(0);
        let swap = Swap {
            before: 75,
            after: 75,
            complete: false,
        };
        assert_eq!(losses.swapped(None, swap), Some(Loss::Inferred(75)));
        assert_eq!(
            swapped(&mut losses, Some(Loss::Known(150)), 150, 150),
            Some(Loss::Inferred(75))
        );
    }

    #[test]
    fn what_was_never_told() {
        let mut losses = Losses::new(0);
        assert_eq!(swapped(&mut losses, None, 0, 4), None);
        assert_eq!(losses.rest(4), Some(Loss::Inferred(4)));
        assert_eq!(losses.rest(4), None);
    }

    #[test]
    fn a_late_report_counts_once() {
        let mut losses = Losses::new(0);
        assert_eq!(losses.late(Loss::Known(4), 4), Some(Loss::Known(4)));
        assert_eq!(losses.late(Loss::Known(4), 4), None);
    }
}
