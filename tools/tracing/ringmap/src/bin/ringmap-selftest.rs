// SPDX-License-Identifier: LGPL-2.1-or-later

//! Proves, on the running kernel, that what is read ahead of the kernel comes exactly once.
//!
//!     ringmap-selftest [EVENTS]
//!
//! One thread writes numbered events of many lengths, another reads them. Each number must come
//! once and in order; where some are missing the sub-buffer must report the loss, with the number of
//! events that are missing if it has one. And the kernel must have counted as many system calls of
//! the reader as the library says it made. Needs root and two CPUs; prints TAP.

use std::fs::{self, File};
use std::hint::spin_loop;
use std::io::Write;
use std::path::PathBuf;
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ringmap::reader::{CpuBuffer, Loss, SubBuffer};
use ringmap::tracefs::{Instance, Tracefs};
use rustix::thread::{CpuSet, gettid, sched_setaffinity};

/// The CPU whose buffer is read.
const CPU: u32 = 0;

/// A stalled reader goes on after so many more events, several times what its buffer holds.
const STALL: u64 = 2000;

/// How long one case may take.
const LIMIT: Duration = Duration::from_secs(150);

struct Case {
    name: &'static str,
    reader_cpu: u32,
    buffer_kb: u32,
    subbuf_kb: u32,
    /// By [`CpuBuffer::whole_page`], not by [`CpuBuffer::follow`].
    pages: bool,
    /// Whether the reader stops now and then until events are lost.
    stalls: bool,
    pace: Pace,
}

/// How the writer goes on after an event.
#[derive(Clone, Copy, PartialEq)]
enum Pace {
    /// At once.
    Free,
    /// When the reader has seen it.
    InStep,
    /// After a while, with large events: so that complete pages and waiting readers often meet.
    Pauses,
}

const LIVE: Case = Case {
    name: "live, in step with the writer",
    reader_cpu: 1,
    buffer_kb: 4096,
    subbuf_kb: 4,
    pages: false,
    stalls: false,
    pace: Pace::InStep,
};

const PAGES: Case = Case {
    name: "pages, the writer on another CPU",
    pages: true,
    pace: Pace::Free,
    ..LIVE
};

const CASES: [Case; 9] = [
    LIVE,
    Case {
        name: "live, in step, sub-buffers of 64 KiB",
        subbuf_kb: 64,
        ..LIVE
    },
    Case {
        name: "live, the writer does not wait",
        pace: Pace::Free,
        ..LIVE
    },
    Case {
        name: "live, the writer pauses",
        pace: Pace::Pauses,
        ..LIVE
    },
    Case {
        name: "live, the writer on the same CPU",
        reader_cpu: CPU,
        pace: Pace::Free,
        ..LIVE
    },
    Case {
        name: "live, with losses",
        buffer_kb: 8,
        stalls: true,
        pace: Pace::Free,
        ..LIVE
    },
    PAGES,
    Case {
        name: "pages, the writer on the same CPU",
        reader_cpu: CPU,
        ..PAGES
    },
    Case {
        name: "pages, with losses",
        buffer_kb: 8,
        stalls: true,
        ..PAGES
    },
];

/// A tracing instance that is removed at the end.
struct Temporary(Instance);

impl Temporary {
    fn new(tracefs: &Tracefs, name: &str) -> Result<Self> {
        fs::create_dir(tracefs.root().join("instances").join(name)).context("mkdir")?;
        Ok(Temporary(tracefs.instance(Some(name))?))
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.dir().join(file)
    }

    fn set(&self, file: &str, value: impl ToString) -> Result<()> {
        fs::write(self.path(file), value.to_string()).with_context(|| file.to_owned())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir(self.0.dir()) {
            eprintln!("{}: {e}", self.0.dir().display());
        }
    }
}

/// Where the threads are.
#[derive(Default)]
struct Shared {
    reader: AtomicU32,
    go: AtomicBool,
    written: AtomicU64,
    seen: AtomicU64,
    over: AtomicBool,
    counted: AtomicBool,
}

fn wait_for(flag: &AtomicBool) {
    while !flag.load(SeqCst) {
        spin_loop();
    }
}

fn run_on(cpu: u32) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu as usize);
    sched_setaffinity(None, &cpus).context("sched_setaffinity")
}

fn writer(marker: &mut File, pace: Pace, events: u64, shared: &Shared) -> Result<()> {
    run_on(CPU)?;
    wait_for(&shared.go);
    for number in 0..events {
        // The first word is trace_marker_raw's.
        let mut bytes = [0; 2048];
        bytes[4..12].copy_from_slice(&number.to_ne_bytes());
        let more = if pace == Pace::Pauses { 1801 } else { 43 };
        let len = 12 + (number * 977 % more) as usize;
        marker.write_all(&bytes[..len])?;
        shared.written.store(number + 1, SeqCst);
        let start = Instant::now();
        let pause = Duration::from_micros(number * 641 % 400);
        match pace {
            Pace::Free => {}
            Pace::InStep => {
                while shared.seen.load(SeqCst) <= number && !shared.over.load(SeqCst) {
                    spin_loop();
                }
            }
            Pace::Pauses => {
                while start.elapsed() < pause {
                    spin_loop();
                }
            }
        }
    }
    Ok(())
}

/// What came so far.
#[derive(Default)]
struct Seen {
    next: u64,
    events: u64,
    lost: u64,
    pages: u64,
    /// Lost by the kernel's counters, and missing there.
    inferred: u64,
    replaced: u64,
    /// Reported, and no event came since.
    loss: Option<Loss>,
}

impl Seen {
    fn add(&mut self, page: &SubBuffer<'_>) -> Result<()> {
        self.loss = page.loss().or(self.loss);
        self.pages += u64::from(page.is_new_page());
        for event in page.events() {
            let number = event.payload.get(12..20).context("a short event")?;
            let number = u64::from_ne_bytes(number.try_into()?);
            let missing = number.checked_sub(self.next);
            let missing = missing.with_context(|| format!("{number} came again"))?;
            match self.loss.take() {
                None => ensure!(missing == 0, "{missing} missing before {number}"),
                Some(Loss::Known(count)) => {
                    ensure!(missing == count, "{missing} missing, {count} reported");
                }
                // One alone may be off by what was overwritten during a swap; the sum is checked.
                Some(Loss::Inferred(count)) => {
                    self.inferred += count;
                    self.replaced += missing;
                    ensure!(missing > 0, "a loss, and none is missing");
                }
                Some(_) => bail!("a loss that nothing has counted"),
            }
            self.lost += missing;
            self.events += 1;
            self.next = number + 1;
        }
        Ok(())
    }
}

fn read(buffer: &mut CpuBuffer, case: &Case, events: u64, shared: &Shared) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut stall = 0;
    loop {
        let over = shared.written.load(SeqCst) == events;
        let page = match case.pages {
            true => buffer.whole_page()?,
            false => buffer.follow()?,
        };
        match page {
            Some(page) => {
                seen.add(&page)?;
                shared.seen.store(seen.next, SeqCst);
            }
            None if over => break,
            None if case.pages => drop(buffer.wait(Duration::from_millis(1))?),
            None => {}
        }
        if case.stalls && seen.events >= stall {
            stall = seen.events + STALL;
            let until = (shared.written.load(SeqCst) + STALL).min(events);
            while shared.written.load(SeqCst) < until {
                spin_loop();
            }
        }
    }
    // The rest of the last page, and what the kernel does not count as read yet.
    loop {
        if let Some(page) = buffer.get_reader()? {
            seen.add(&page)?;
        } else if buffer.meta().unread() == 0 {
            return Ok(seen);
        }
    }
}

/// The reader's thread: without a system call but those of the library, once all may go.
fn reader(buffer: &mut CpuBuffer, case: &Case, events: u64, shared: &Shared) -> Result<Seen> {
    run_on(case.reader_cpu)?;
    let thread = gettid().as_raw_nonzero().get();
    shared.reader.store(thread.unsigned_abs(), SeqCst);
    wait_for(&shared.go);
    let seen = read(buffer, case, events, shared);
    shared.over.store(true, SeqCst);
    wait_for(&shared.counted);
    seen
}

/// Waits for the other threads. Ends the program if it takes too long.
fn expect(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > LIMIT {
            println!("not ok - {what} takes more than {LIMIT:?}");
            exit(1);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn run(case: &Case, events: u64) -> Result<()> {
    let events = if case.pace == Pace::Pauses {
        events / 5
    } else {
        events
    };
    let tracefs = Tracefs::find()?;
    let numbers = Temporary::new(&tracefs, "exactly_once")?;
    numbers.set("buffer_subbuf_size_kb", case.subbuf_kb)?;
    numbers.set("buffer_size_kb", case.buffer_kb)?;
    let mut buffer = CpuBuffer::open(&numbers.0, CPU)?;
    let mut marker = File::options()
        .write(true)
        .open(numbers.path("trace_marker_raw"))?;

    // The kernel counts the system calls of the reader.
    let calls = Temporary::new(&tracefs, "exactly_once_calls")?;
    let shared = Shared::default();
    let (seen, counted) = thread::scope(|threads| -> Result<_> {
        let writer = threads.spawn(|| writer(&mut marker, case.pace, events, &shared));
        let reader = threads.spawn(|| reader(&mut buffer, case, events, &shared));
        expect("the start", || shared.reader.load(SeqCst) != 0);
        let enable = "events/raw_syscalls/sys_enter/enable";
        let prepared = calls
            .set("set_event_pid", shared.reader.load(SeqCst))
            .and_then(|()| calls.set(enable, 1));
        shared.go.store(true, SeqCst);
        expect(case.name, || shared.over.load(SeqCst));
        let counted = prepared
            .and_then(|()| calls.set(enable, 0))
            .and_then(|()| count(&calls.0));
        shared.counted.store(true, SeqCst);
        writer.join().expect("the writer")?;
        Ok((reader.join().expect("the reader")?, counted?))
    })?;

    let made = buffer.calls() + buffer.waits();
    println!(
        "# {}: {} events, {} lost; {} GET_READER + {} waits: {:.0} system calls per million events",
        case.name,
        seen.events,
        seen.lost,
        buffer.calls(),
        buffer.waits(),
        made as f64 * 1e6 / events as f64,
    );
    ensure!(seen.next == events, "the last is {}", seen.next);
    ensure!(seen.events + seen.lost == events, "events are missing");
    let (inferred, replaced) = (seen.inferred, seen.replaced);
    ensure!(
        inferred == replaced,
        "{replaced} missing, {inferred} by the counters"
    );
    ensure!(
        buffer.meta().read == seen.events,
        "the kernel counts {} events as read",
        buffer.meta().read
    );
    ensure!(
        counted == made,
        "the kernel counts {counted} system calls, not {made}"
    );
    // Only losses that the reader causes are certain, and make these cases what they are.
    ensure!(!case.stalls || seen.lost > 0, "none was lost");
    ensure!(
        buffer.calls() <= 2 * (seen.pages + buffer.waits() + 2),
        "more than two GET_READER for a page or a wait"
    );
    if case.pace != Pace::Pauses {
        ensure!(made < events / 2, "a system call for nearly each event");
    }
    Ok(())
}

/// All events of an instance.
fn count(instance: &Instance) -> Result<u64> {
    let mut sum = 0;
    for cpu in instance.cpus()? {
        let stats = instance.stats(cpu)?;
        sum += stats.entries + stats.overrun + stats.commit_overrun + stats.dropped;
    }
    Ok(sum)
}

fn main() -> Result<()> {
    let events = std::env::args().nth(1).map_or(Ok(200_000), |n| n.parse())?;
    println!("1..{}", CASES.len());
    for (n, case) in CASES.iter().enumerate() {
        let result = run(case, events);
        if let Err(e) = &result {
            println!("# {e:#}");
        }
        let ok = if result.is_ok() { "ok" } else { "not ok" };
        println!("{ok} {} - {}", n + 1, case.name);
    }
    Ok(())
}
