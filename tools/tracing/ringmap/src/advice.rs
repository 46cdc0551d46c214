// SPDX-License-Identifier: LGPL-2.1-or-later

//! What to do about lost events: the buffer of which size would have held them.
//!
//! A buffer overflows while its reader does not run. How long that was nobody knows, but not more
//! can be needed than the buffer there was and all that was lost; and a reader that is away for more
//! than a second does not lack space, but a CPU.

use std::time::Duration;

/// Bytes of an event, where none was read from which to know.
const USUAL_EVENT: f64 = 64.0;

/// Who loses so much of what a buffer for a second holds reads too slowly for any buffer.
const HOPELESS: f64 = 50.0;

/// How a CPU fared.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct CpuFigures {
    /// The CPU.
    pub cpu: u32,
    /// Events read.
    pub events: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Events lost.
    pub lost: u64,
    /// How long that took.
    pub time: Duration,
    /// The size of its buffer, in KiB.
    pub buffer_kb: u64,
}

/// What would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cure {
    /// A buffer of so many KiB for each CPU.
    Buffer {
        /// A power of two.
        kb: u64,
    },
    /// To write less: fewer types of events, or a filter. No buffer that may be had is enough.
    FewerEvents,
}

/// Advice about one CPU.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Advice {
    /// The CPU.
    pub cpu: u32,
    /// How much of what was written was lost: more than 0, at most 100.
    pub percent: f64,
    /// What would help.
    pub cure: Cure,
}

/// Advice for those CPUs that lost events, in the order given. No buffer of more than `most_kb` is
/// proposed.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use ringmap::advice::{CpuFigures, Cure, advise};
///
/// let mut cpu = CpuFigures::default();
/// (cpu.cpu, cpu.events, cpu.bytes, cpu.lost) = (1, 970_000, 66_000_000, 30_000);
/// (cpu.time, cpu.buffer_kb) = (Duration::from_secs(10), 1408);
/// let advice = advise(&[cpu], 1 << 20);
/// assert_eq!(advice[0].percent.round(), 3.0);
/// assert_eq!(advice[0].cure, Cure::Buffer { kb: 4096 });
/// ```
pub fn advise(cpus: &[CpuFigures], most_kb: u64) -> Vec<Advice> {
    let losers = cpus.iter().filter(|cpu| cpu.lost > 0);
    losers.map(|cpu| about(cpu, most_kb)).collect()
}

fn about(cpu: &CpuFigures, most_kb: u64) -> Advice {
    let (events, lost) = (cpu.events as f64, cpu.lost as f64);
    let percent = 100.0 * lost / (events + lost);
    let size = if cpu.events == 0 {
        USUAL_EVENT
    } else {
        cpu.bytes as f64 / events
    };
    let lost_kb = lost * size / 1024.0;
    let second = if cpu.time.is_zero() {
        f64::INFINITY
    } else {
        (cpu.bytes as f64 / 1024.0 + lost_kb) / cpu.time.as_secs_f64()
    };
    let now = cpu.buffer_kb as f64;
    // Never the same again, nor a little more: the next time is not just like this one.
    let wanted = (now + lost_kb).min(second).max(2.0 * now).max(1.0);
    let hopeless = percent >= HOPELESS && now >= second;
    let kb = (wanted.ceil() as u64).checked_next_power_of_two();
    let cure = match kb.filter(|kb| *kb <= most_kb && !hopeless) {
        Some(kb) => Cure::Buffer { kb },
        None => Cure::FewerEvents,
    };
    Advice {
        cpu: cpu.cpu,
        percent,
        cure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: u64 = 1 << 20;

    fn cpu(events: u64, lost: u64, seconds: u64, buffer_kb: u64) -> CpuFigures {
        CpuFigures {
            cpu: 3,
            events,
            bytes: events * 64,
            lost,
            time: Duration::from_secs(seconds),
            buffer_kb,
        }
    }

    fn kb(figures: CpuFigures) -> Option<u64> {
        match advise(&[figures], MOST)[0].cure {
            Cure::Buffer { kb } => Some(kb),
            Cure::FewerEvents => None,
        }
    }

    #[test]
    fn sizes() {
        assert!(advise(&[cpu(1000, 0, 1, 1408)], MOST).is_empty());
        // A little was lost: twice what there was, rounded up.
        assert_eq!(kb(cpu(1_000_000, 1, 1, 1408)), Some(4096));
        // 6250 KiB were lost of 62,500 in a second: those would have fitted besides.
        assert_eq!(kb(cpu(900_000, 100_000, 1, 1408)), Some(8192));
        // The same rate for a long time: what is written in a second is enough.
        assert_eq!(kb(cpu(90_000_000, 10_000_000, 100, 1408)), Some(65536));
        // It held that already, and lost more than half.
        assert_eq!(kb(cpu(40_000_000, 60_000_000, 100, 65536)), None);
        assert_eq!(kb(cpu(60_000_000, 40_000_000, 100, 65536)), Some(131_072));
        // There is not so much memory.
        assert_eq!(kb(cpu(60_000_000, 40_000_000, 100, MOST)), None);
        // Nothing was read at all, or in no time.
        assert_eq!(kb(cpu(0, 16_000, 1, 7)), Some(1024));
        assert_eq!(kb(cpu(0, 16_000, 0, 7)), Some(1024));
        assert_eq!(kb(cpu(0, 1, 0, 0)), Some(1));
    }

    #[test]
    fn percents() {
        let advice = advise(&[cpu(97, 3, 1, 7), cpu(5, 0, 1, 7), cpu(0, 3, 1, 7)], MOST);
        let percents: Vec<_> = advice.iter().map(|advice| advice.percent).collect();
        assert_eq!(percents, [3.0, 100.0]);
        assert_eq!(advice[0].cpu, 3);
    }

    proptest! {
        /// Whatever the figures: a share, and a size that is larger and not too large.
        #[test]
        fn any_figures(
            events: u64,
            bytes: u64,
            lost in 1u64..,
            time: Duration,
            buffer_kb: u64,
            most: u64,
        ) {
            let figures = CpuFigures { cpu: 0, events, bytes, lost, time, buffer_kb };
            let advice = advise(&[figures], most);
            prop_assert_eq!(advice.len(), 1);
            prop_assert!(advice[0].percent > 0.0 && advice[0].percent <= 100.0);
            if let Cure::Buffer { kb } = advice[0].cure {
                prop_assert!(kb > buffer_kb && kb <= most && kb.is_power_of_two());
            }
        }
    }
}
