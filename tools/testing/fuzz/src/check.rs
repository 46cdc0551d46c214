// SPDX-License-Identifier: GPL-2.0

//! What must hold when a round is over.

use crate::{
    instance::Instance,
    ops::{LARGEST, control},
    plan::Reading,
    shared::{CPUS, Shared},
    stream::View,
    sys::{self, Area, Errno},
    worker::Worker,
};
use std::{fs, io::Read};

/// The markers of a round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub written: u64,
    pub copied: u64,
    pub mapped: u64,
    /// Lost, or not looked at.
    pub unseen: u64,
}

type Result<T> = std::result::Result<T, String>;

/// Fails with this text.
macro_rules! ensure {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(format!($($text)+));
        }
    };
}

fn within<T>(what: &str, result: sys::Result<T>) -> Result<T> {
    result.map_err(|error| format!("{what}: {error}"))
}

/// Consumes all that is left through a mapping, and compares the counters.
fn drain_mapped(shared: &Shared, cpu: usize) -> Result<()> {
    let view = within("mapping to drain", View::new(&shared.instance, cpu, false))?;
    let mut stream = shared.stream(cpu);
    let (mut idle, mut before) = (0, None);

    while idle < 2 {
        within("GET_READER", stream.advance(&view, shared.types))?;
        let now = Some(view.counters());
        idle = if now == before { idle + 1 } else { 0 };
        before = now;
    }
    Ok(())
}

/// Consumes all that is left by read().
fn drain_copied(shared: &Shared, cpu: usize, copied: &mut Vec<u32>) -> Result<()> {
    loop {
        let file = shared.instance.open(cpu, "trace_pipe_raw", false);
        let mut bytes = vec![0; LARGEST];
        let read = within("trace_pipe_raw", file)?.read(&mut bytes);
        let got = match read.map_err(Errno::from) {
            Ok(0) | Err(Errno(libc::EAGAIN)) => return Ok(()),
            result => within("read() to drain", result)?,
        };
        let walked = shared.types.subbuf(&bytes[..got], copied);
        ensure!(walked.is_ok(), "read() to drain: no events");
    }
}

/// Sorts the markers; each is there once, and was written.
fn once(numbers: &mut [u32], how: &str, workers: &[Worker<'_>]) -> Result<()> {
    numbers.sort_unstable();
    for pair in numbers.windows(2) {
        ensure!(pair[0] != pair[1], "{how}: marker {:x} came twice", pair[0]);
    }
    for &number in numbers.iter() {
        let (worker, index) = ((number >> 24) as usize, number & 0xff_ffff);
        let written = workers.get(worker).map_or(0, |worker| worker.written);
        ensure!(index < written, "{how}: marker {number:x} was not written");
    }
    Ok(())
}

/// The counters of a buffer that nothing writes to agree.
fn counters(shared: &Shared, cpu: usize) -> Result<()> {
    let view = within("mapping to check", View::new(&shared.instance, cpu, false))?;
    within("GET_READER", sys::get_reader(&view.file))?;
    let meta = view.counters();
    let stats = within("stats", shared.instance.stats(cpu))?;
    let same = meta.overrun == stats.overrun
        && meta.read == stats.read
        && meta.entries == stats.entries + stats.overrun + stats.read;
    ensure!(same, "CPU {cpu}: meta-page {meta:?}, stats file {stats:?}");
    Ok(())
}

/// Each event is accounted for.
fn complete(shared: &Shared, totals: &Totals, seen: u64, told: u64) -> Result<()> {
    let (mut lost, mut read) = (0, 0);
    for cpu in 0..CPUS {
        let stats = within("stats", shared.instance.stats(cpu))?;
        ensure!(stats.entries == 0, "CPU {cpu}: drained, but {stats:?}");
        lost += stats.overrun;
        read += stats.read;
    }
    ensure!(
        read + lost == totals.written,
        "{read} events read and {lost} lost of {} written, says the stats file",
        totals.written
    );
    // A copy may take the page away that a mapping is still to be looked at.
    let all_seen = shared.plan.reading != Reading::Both || shared.plan.exclusive;
    ensure!(
        !all_seen || seen + lost == totals.written,
        "{seen} markers came, {lost} were lost of {} written ({totals:?})",
        totals.written
    );
    ensure!(
        shared.plan.reading != Reading::Mapped || told == lost,
        "the meta-page told of {told} lost events, there were {lost}"
    );
    Ok(())
}

/// How many different numbers there are in two sorted lists.
fn union(a: &[u32], b: &[u32]) -> u64 {
    let common = a.iter().filter(|number| b.binary_search(number).is_ok());
    (a.len() + b.len() - common.count()) as u64
}

/// What was consumed, and what the counters say.
pub fn consistent(shared: &Shared, workers: &[Worker<'_>]) -> Result<Totals> {
    within("calming down", control::calm(&shared.instance))?;

    let mut copied: Vec<u32> = Vec::new();
    for worker in workers {
        copied.extend(&worker.copied);
    }
    for cpu in 0..CPUS {
        if shared.plan.reading != Reading::Copied {
            drain_mapped(shared, cpu)?;
        }
        drain_copied(shared, cpu, &mut copied)?;
    }

    let (mut mapped, mut told, mut malformed) = (Vec::new(), 0, 0);
    for cpu in 0..CPUS {
        let mut stream = shared.stream(cpu);
        mapped.append(&mut stream.numbers);
        told += stream.lost;
        malformed += stream.malformed;
    }
    once(&mut mapped, "mapping", workers)?;
    once(&mut copied, "copies", workers)?;

    let written: u64 = workers.iter().map(|worker| u64::from(worker.written)).sum();
    let seen = union(&mapped, &copied);
    let totals = Totals {
        written,
        copied: copied.len() as u64,
        mapped: mapped.len() as u64,
        unseen: written - seen,
    };
    if !shared.plan.wild {
        let copies: u64 = workers.iter().map(|worker| worker.malformed).sum();
        ensure!(malformed == 0, "mapping: {malformed} pages without events");
        ensure!(copies == 0, "copies: {copies} pages without events");
    }
    for cpu in 0..CPUS {
        counters(shared, cpu)?;
    }
    if shared.plan.exact() {
        complete(shared, &totals, seen, told)?;
    }
    Ok(totals)
}

/// Nothing keeps the buffer: all that a mapping excludes is possible again.
pub fn free(shared: &Shared) -> Result<()> {
    let instance = &shared.instance;
    within("size afterwards", instance.set("buffer_size_kb", "64"))?;
    within(
        "order afterwards",
        instance.set("buffer_subbuf_size_kb", "16"),
    )?;
    within(
        "order afterwards",
        instance.set("buffer_subbuf_size_kb", "4"),
    )?;
    if instance.has("snapshot") {
        within("snapshot afterwards", instance.set("snapshot", "1"))?;
        within("snapshot afterwards", instance.set("snapshot", "0"))?;
    }
    for cpu in 0..CPUS {
        let file = within("open", instance.open(cpu, "trace_pipe_raw", false))?;
        let area = within("map afterwards", Area::new(&file, sys::page(), 0))?;
        within("GET_READER afterwards", sys::get_reader(&file))?;
        within("unmap afterwards", area.unmap())?;
        let unmapped = sys::get_reader(&file) == Err(Errno(libc::ENODEV));
        ensure!(unmapped, "CPU {cpu}: still mapped after the last unmap");
    }
    within("removing the instance", instance.remove())?;
    match Instance::named("fuzz-other").remove() {
        Err(Errno(libc::ENOENT)) => Ok(()),
        result => within("removing the other instance", result),
    }
}

/// The kernel has warned of nothing.
pub fn healthy() -> Result<()> {
    let tainted = fs::read_to_string("/proc/sys/kernel/tainted");
    let tainted = tainted.map_err(|error| error.to_string())?;
    ensure!(
        tainted.trim() == "0",
        "the kernel is tainted: {}",
        tainted.trim()
    );
    Ok(())
}
