// SPDX-License-Identifier: GPL-2.0

//! The longest time with interrupts off in each call, without a tracer that would add to it.
//!
//! A timer is set to a moment inside of the call, and the kernel's tracepoints say when it ran: it
//! is late by what was left of a section with interrupts off. The moments are some instructions
//! apart, over the whole call or as far as a section could begin; the latest timer is the figure. It
//! is right to within that step, and has the way into an interrupt in it: see `irqsoff.nothing`.
//! A moment is tried twice, and the better time counts: a tick may fall on one of them.

use crate::{
    clock::time,
    report,
    sys::{self, Map, Timer, now},
    tracing::{Tracing, set},
};
use anyhow::{Context, Result, ensure};
use std::{
    cell::RefCell,
    fs::{self, File},
    path::PathBuf,
};

/// Within so many instructions of its beginning, GET_READER takes its last lock.
const BEGINNING: u64 = 1000;
const CLOSE: Moments = Moments {
    count: BEGINNING / 16,
    step: 16,
};
/// From the setting of a timer to the call: longer than setting one takes.
const LEAD: u64 = 20_000;

/// For the timers of so many moments the trace has room.
const AT_ONCE: usize = 256;

/// Moments of a call, from its beginning on.
#[derive(Clone, Copy)]
struct Moments {
    count: u64,
    /// Instructions between two.
    step: u64,
}

impl Moments {
    /// All over a call of `cost`.
    fn over(cost: u64, step: u64) -> Self {
        Moments {
            count: cost / step,
            step,
        }
    }
}

struct Probe {
    timer: Timer,
    folder: PathBuf,
}

impl Probe {
    fn new(t: &Tracing) -> Result<Probe> {
        let folder = t.instance("irqsoff")?;
        for event in ["hrtimer_start", "hrtimer_expire_entry"] {
            set(&folder, &format!("events/timer/{event}/enable"), "1")?;
        }
        Ok(Probe {
            timer: Timer::new()?,
            folder,
        })
    }

    /// Runs `call` with a timer at each moment.
    fn sweep<T>(
        &self,
        moments: Moments,
        prepare: &mut impl FnMut() -> Result<()>,
        call: &mut impl FnMut() -> Result<T>,
    ) -> Result<Vec<u64>> {
        let mut late = Vec::new();
        for start in (0..moments.count).step_by(AT_ONCE) {
            set(&self.folder, "trace", "")?;
            for moment in (start..moments.count).take(AT_ONCE) {
                prepare()?;
                let begin = now() + LEAD;
                let at = begin + moment * moments.step;
                self.timer.set(at)?;
                ensure!(now() < begin, "setting a timer takes more than {LEAD}");
                while now() < begin {}
                let result = call()?;
                while now() < at + LEAD {}
                drop(result);
            }
            late.extend(self.late()?);
        }
        ensure!(
            late.len() as u64 == moments.count,
            "{} timers of {}",
            late.len(),
            moments.count
        );
        Ok(late)
    }

    /// By how much each timer was late.
    fn late(&self) -> Result<Vec<u64>> {
        let trace = fs::read_to_string(self.folder.join("trace"))?;
        let field = |line: &str, name: &str| -> Option<u64> {
            line.split(name)
                .nth(1)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        };
        let mut late = Vec::new();
        let mut expires = None;
        for line in trace
            .lines()
            .filter(|line| line.contains("timerfd_tmrproc"))
        {
            if let Some(time) = field(line, " expires=") {
                expires = Some(time);
            } else if let Some(now) = field(line, " now=") {
                let expires = expires.take().context("a timer that was not set")?;
                late.push(now.saturating_sub(expires));
            }
        }
        Ok(late)
    }

    fn longest<T>(
        &self,
        id: &str,
        moments: Moments,
        mut prepare: impl FnMut() -> Result<()>,
        mut call: impl FnMut() -> Result<T>,
    ) -> Result<()> {
        let first = self.sweep(moments, &mut prepare, &mut call)?;
        let second = self.sweep(moments, &mut prepare, &mut call)?;
        let best = first.iter().zip(&second).map(|(a, b)| *a.min(b));
        let longest = best.max().unwrap_or(0);
        report(&format!("irqsoff.{id}"), 1, &[longest])
    }
}

pub fn all(t: &mut Tracing) -> Result<()> {
    const PAYLOAD: usize = 8;

    let probe = Probe::new(t)?;
    let calls = CLOSE.count as usize;
    let nothing = || Ok(());

    probe.longest("nothing", CLOSE, nothing, || {
        let begin = now();
        while now() < begin + BEGINNING {}
        Ok(())
    })?;

    for kib in [4, 64] {
        t.layout(kib, 8192)?;
        let raw = t.raw()?;
        let _meta = t.map(&raw)?;
        let mut left = 0;
        let refill = || {
            if left == 0 {
                t.fill(calls, PAYLOAD)?;
                left = calls;
            }
            left -= 1;
            Ok(())
        };
        probe.longest(&format!("get_reader.{kib}k"), CLOSE, refill, || {
            sys::get_reader(&raw)
        })?;
    }
    for new in [1000, 3000] {
        let raw = t.raw()?;
        let _meta = t.map(&raw)?;
        let refill = || {
            t.reset()?;
            t.events(1, PAYLOAD)?;
            sys::get_reader(&raw)?;
            t.events(new, PAYLOAD)
        };
        probe.longest(&format!("live.{new}"), CLOSE, refill, || {
            sys::get_reader(&raw)
        })?;
    }

    t.layout(4, 8192)?;
    t.fill(2 * calls + 2, PAYLOAD)?;
    let raw = t.raw()?;
    let mut copy = vec![0; t.subbuf];
    sys::read(&raw, &mut copy)?;
    let (cost, _) = time(|| sys::read(&raw, &mut copy))?;
    let moments = Moments {
        step: cost / CLOSE.count,
        ..CLOSE
    };
    probe.longest("read.4k", moments, nothing, || sys::read(&raw, &mut copy))?;

    t.fill(2 * calls + 2, PAYLOAD)?;
    let (reading, writing) = sys::pipe(t.subbuf)?;
    let null = File::options().write(true).open("/dev/null")?;
    let size = t.subbuf;
    sys::splice(&raw, &writing, size)?;
    let drain = || sys::splice(&reading, &null, size).map(drop);
    drain()?;
    let (cost, _) = time(|| sys::splice(&raw, &writing, size))?;
    let moments = Moments {
        step: cost / CLOSE.count,
        ..CLOSE
    };
    probe.longest("splice.4k", moments, drain, || {
        sys::splice(&raw, &writing, size)
    })?;

    for (name, kib, step) in [("16k", 16, 256), ("8m", 8192, 256), ("256m", 262_144, 1024)] {
        t.layout(4, kib)?;
        let raw = t.raw()?;
        t.forget()?;
        let (cost, _) = time(|| t.map(&raw))?;
        let moments = Moments::over(cost, step);
        probe.longest(
            &format!("map.{name}"),
            moments,
            || t.forget(),
            || t.map(&raw),
        )?;
    }

    t.layout(4, 8192)?;
    let raw = t.raw()?;
    t.map(&raw).map(drop)?;
    let (cost, _) = time(|| t.map(&raw))?;
    let moments = Moments::over(cost, 64);
    probe.longest("again.8m", moments, nothing, || t.map(&raw))?;
    let map = RefCell::new(None::<Map>);
    let prepare = || {
        *map.borrow_mut() = Some(t.map(&raw)?);
        Ok(())
    };
    // Not longer than mapping it.
    probe.longest("unmap.8m", moments, prepare, || {
        map.borrow_mut().take();
        Ok(())
    })
}
