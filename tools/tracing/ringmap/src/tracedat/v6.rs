// SPDX-License-Identifier: LGPL-2.1-or-later

//! Version 6: trace-cmd.dat.v6(5), for programs that do not know the next one.
//!
//! Everything stands in a fixed order, the names of processes and the places of the CPUs' data among
//! it, which are only known at the end. So this part, the tail, is written twice.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::bytes::{Bytes, Scan};
use super::contents::Contents;
use super::pack::{CpuFile, Packer};
use super::{Ending, MAGIC};

/// Sections behind the names, each a string of 10 bytes.
const OPTIONS: &[u8; 10] = b"options  \0";
const FLYRECORD: &[u8; 10] = b"flyrecord\0";

/// Numbers of options; the list of them ends with 0.
const CPUSTAT: u16 = 2;
const TRACECLOCK: u16 = 4;

/// What stands in a file from the start, as far as the end has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// Where the names are, and what is behind them.
    pub tail: u64,
    /// The names.
    pub cmdlines: Vec<u8>,
    /// The file `trace_clock`.
    pub clock: Vec<u8>,
    /// Place and size of each CPU's data, if it was begun to move it there.
    pub places: Option<Vec<(u64, u64)>>,
}

/// What a file has before any data.
pub(super) fn start(contents: &Contents, subbuf: usize) -> (Vec<u8>, Start) {
    let mut out = Bytes(MAGIC.to_vec());
    out.string("6");
    super::machine(&mut out, subbuf);
    for part in [
        &contents.headers,
        &contents.ftrace,
        &contents.events,
        &contents.kallsyms,
        &contents.printk,
    ] {
        out.0.extend(part);
    }
    let start = Start {
        tail: out.0.len() as u64,
        cmdlines: contents.cmdlines.clone(),
        clock: contents.clock.clone(),
        places: None,
    };
    let ending = Ending::default();
    out.0.extend(tail(&start, &ending, &[]));
    (out.0, start)
}

fn tail(start: &Start, ending: &Ending, places: &[(u64, u64)]) -> Vec<u8> {
    let mut out = Bytes::default();
    out.0
        .extend(ending.cmdlines.as_ref().unwrap_or(&start.cmdlines));
    out.len32(places.len());
    out.0.extend(OPTIONS);
    out.text_option(TRACECLOCK, &start.clock);
    for stats in &ending.stats {
        out.text_option(CPUSTAT, stats);
    }
    out.u16(0);
    out.0.extend(FLYRECORD);
    for (at, size) in places {
        out.u64(*at);
        out.u64(*size);
    }
    // It stands among the options, too: there it says only that it stands here.
    out.sized64(&start.clock);
    out.0
}

/// Appends what was recorded. Returns the size of the file.
pub(super) fn finish(
    packer: &mut Packer<'_>,
    start: &Start,
    ending: &Ending,
    cpus: &[CpuFile],
) -> io::Result<u64> {
    let mut sizes = Vec::new();
    for cpu in cpus {
        sizes.push((cpu.cpu, cpu.size(packer.subbuf)?));
    }
    let places = match &start.places {
        Some(places) => places.clone(),
        None => {
            // Those that were not recorded have none. Without any CPU trace-cmd refuses a file.
            let count = cpus.iter().map(|cpu| cpu.cpu + 1).max().unwrap_or(1);
            let mut places = vec![(0, 0); count as usize];
            let tail_len = tail(start, ending, &places).len() as u64;
            let mut end = (start.tail + tail_len).next_multiple_of(packer.subbuf);
            for (cpu, size) in &sizes {
                places[*cpu as usize] = (end, *size);
                end = (end + size).next_multiple_of(packer.subbuf);
            }
            packer.write(&tail(start, ending, &places), start.tail)?;
            places
        }
    };
    // Nothing is moved to a place that is another's.
    for (cpu, size) in &sizes {
        if places
            .get(*cpu as usize)
            .is_none_or(|place| place.1 != *size)
        {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let mut last = packer.out.metadata()?.len();
    for (cpu, (_, size)) in cpus.iter().zip(&sizes) {
        let (at, _) = places[cpu.cpu as usize];
        packer.plain(cpu, at)?;
        last = last.max(at + size);
    }
    Ok(last)
}

/// What a file of version 6 says that was not finished. `at` is the end of its header. A mistake in
/// the file is an error of the kind `InvalidData`.
pub(super) fn find(file: &File, at: u64, subbuf: u64) -> io::Result<Start> {
    // The largest part are the symbols, of some 10 MB; the data begins behind.
    let mut head = vec![0; file.metadata()?.len().min(64 << 20) as usize];
    file.read_exact_at(&mut head, 0)?;
    parse(&head, at as usize, subbuf).ok_or(io::ErrorKind::InvalidData.into())
}

fn parse(head: &[u8], at: usize, subbuf: u64) -> Option<Start> {
    let mut scan = Scan::new(head, at);
    for name in [&b"header_page"[..], b"header_event"] {
        if scan.string()? != name {
            return None;
        }
        scan.sized64()?;
    }
    let formats = |scan: &mut Scan<'_>| {
        for _ in 0..scan.u32()? {
            scan.sized64()?;
        }
        Some(())
    };
    formats(&mut scan)?;
    for _ in 0..scan.u32()? {
        scan.string()?;
        formats(&mut scan)?;
    }
    scan.sized32()?;
    scan.sized32()?;

    let tail = scan.at;
    scan.sized64()?;
    let mut start = Start {
        tail: tail as u64,
        cmdlines: head.get(tail..scan.at)?.to_vec(),
        clock: Vec::new(),
        places: None,
    };
    let cpus = scan.u32()?;
    if scan.take(OPTIONS.len())? != OPTIONS {
        return None;
    }
    loop {
        let id = scan.u16()?;
        if id == 0 {
            break;
        }
        let text = scan.sized32()?;
        if id == TRACECLOCK {
            start.clock = text.strip_suffix(&[0])?.to_vec();
        }
    }
    if scan.take(FLYRECORD.len())? != FLYRECORD {
        return None;
    }
    if cpus > 0 {
        let place = |_| Some((scan.u64()?, scan.u64()?));
        let places: Vec<_> = (0..cpus).map(place).collect::<Option<_>>()?;
        scan.sized64()?;
        // They stand one behind the other, or this file was not made here.
        let mut end = scan.at as u64;
        for (at, size) in places.iter().filter(|place| **place != (0, 0)) {
            if *at != end.next_multiple_of(subbuf) {
                return None;
            }
            end = at.checked_add(*size).filter(|end| *end < i64::MAX as u64)?;
        }
        start.places = Some(places);
    }
    Some(start)
}
