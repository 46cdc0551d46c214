// SPDX-License-Identifier: LGPL-2.1-or-later

//! Version 7: trace-cmd.dat.v7(5).
//!
//! The file is a list of sections, and lists of options say where they are. It is only ever
//! appended to:
//!
//! | | section | |
//! |---|---|---|
//! | from the start | formats and symbols, names | |
//! | | options | of the sections above but the names |
//! | | options | of the names: for who opens it before the end |
//! | | strings | what the sections are |
//! | at the end | names, as of then | |
//! | | data | of all CPUs |
//! | | options | of the two above |
//!
//! The last step links the first options with those at the end, in place of the second.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::bytes::{Bytes, Scan};
use super::compress::{Compression, Compressor};
use super::contents::{Contents, clock_in_use, uname};
use super::pack::{CpuFile, Packer};
use super::{Ending, MAGIC};

/// Sections. Those that are not about data have an option of the same number.
const OPTIONS: u16 = 0;
const FLYRECORD: u16 = 3;
const STRINGS: u16 = 15;
const HEADERS: u16 = 16;
const FTRACE: u16 = 17;
const EVENTS: u16 = 18;
const KALLSYMS: u16 = 19;
const PRINTK: u16 = 20;
const CMDLINES: u16 = 21;

/// What they are, for people.
const NAMES: [(u16, &str); 9] = [
    (HEADERS, "headers"),
    (FTRACE, "ftrace events"),
    (EVENTS, "events format"),
    (KALLSYMS, "kallsyms"),
    (PRINTK, "printk"),
    (CMDLINES, "command lines"),
    (OPTIONS, "options"),
    (FLYRECORD, "buffer flyrecord"),
    (STRINGS, "strings"),
];

/// Options without a section of the same number.
const DONE: u16 = 0;
const CPUSTAT: u16 = 2;
const BUFFER: u16 = 3;
const TRACECLOCK: u16 = 4;
const UNAME: u16 = 5;
const CPUCOUNT: u16 = 8;
const VERSION: u16 = 9;

/// Bytes of a section's header.
const HEADER: u64 = 16;

/// A flag: the section is compressed.
const IS_COMPRESSED: u16 = 1;

/// What stands in a file from the start, as far as the end has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// Where the place of the next options is written.
    pub link: u64,
    /// The section of names.
    pub cmdlines: u64,
    /// Where the file goes on.
    pub end: u64,
    /// The instance whose events these are.
    pub instance: Vec<u8>,
    /// The file `trace_clock`.
    pub clock: Vec<u8>,
    /// The section of data, if it was begun.
    pub data: Option<u64>,
}

fn name_of(section: u16) -> usize {
    let before = NAMES.iter().take_while(|(id, _)| *id != section);
    before.map(|(_, name)| name.len() + 1).sum()
}

/// Appends the header of a section.
fn header(out: &mut Bytes, id: u16, flags: u16, size: u64) {
    out.u16(id);
    out.u16(flags);
    out.len32(name_of(id));
    out.u64(size);
}

/// Appends a section that is not compressed.
fn plain(out: &mut Bytes, id: u16, data: &[u8]) {
    header(out, id, 0, data.len() as u64);
    out.0.extend(data);
}

/// Appends a section, compressed if that is asked for.
fn section(out: &mut Bytes, id: u16, data: &[u8], zip: &mut Compressor) -> io::Result<()> {
    let Some(small) = zip.compress(data)? else {
        plain(out, id, data);
        return Ok(());
    };
    header(out, id, IS_COMPRESSED, small.len() as u64 + 8);
    out.len32(small.len());
    out.len32(data.len());
    out.0.extend(small);
    Ok(())
}

/// What a file has before any data.
pub(super) fn start(
    contents: &Contents,
    instance: &str,
    subbuf: usize,
    compression: Compression,
) -> io::Result<(Vec<u8>, Start)> {
    let mut zip = compression.start()?;
    let mut out = Bytes(MAGIC.to_vec());
    out.string("7");
    super::machine(&mut out, subbuf);
    out.string(compression.name());
    out.string(compression.version());
    let first = out.0.len();
    out.u64(0);

    let mut options = Bytes::default();
    for (id, data) in [
        (HEADERS, &contents.headers),
        (FTRACE, &contents.ftrace),
        (EVENTS, &contents.events),
        (KALLSYMS, &contents.kallsyms),
        (PRINTK, &contents.printk),
    ] {
        options.option(id, &out.0.len().to_ne_bytes());
        section(&mut out, id, data, &mut zip)?;
    }
    let cmdlines = out.0.len() as u64;
    section(&mut out, CMDLINES, &contents.cmdlines, &mut zip)?;

    let at = out.0.len() as u64;
    out.0[first..first + 8].copy_from_slice(&at.to_ne_bytes());
    options.text_option(TRACECLOCK, &contents.clock);
    options.text_option(UNAME, uname().as_bytes());
    let version = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    options.text_option(VERSION, version.as_bytes());
    let next = at + HEADER + options.0.len() as u64 + 14;
    options.option(DONE, &next.to_ne_bytes());
    plain(&mut out, OPTIONS, &options.0);
    let link = next - 8;

    let mut names = Bytes::default();
    names.option(CMDLINES, &cmdlines.to_ne_bytes());
    names.option(DONE, &0u64.to_ne_bytes());
    plain(&mut out, OPTIONS, &names.0);

    let mut strings = Bytes::default();
    NAMES.iter().for_each(|(_, name)| strings.string(name));
    // No section is called so. It is for who goes on with a file that was left behind.
    strings.string(instance);
    plain(&mut out, STRINGS, &strings.0);

    let start = Start {
        link,
        cmdlines,
        end: out.0.len() as u64,
        instance: instance.as_bytes().to_vec(),
        clock: contents.clock.clone(),
        data: None,
    };
    Ok((out.0, start))
}

/// Appends what was recorded. Returns the size of the file.
pub(super) fn finish(
    packer: &mut Packer<'_>,
    compression: Compression,
    start: &Start,
    ending: &Ending,
    cpus: &[CpuFile],
) -> io::Result<u64> {
    let mut zip = compression.start()?;
    let mut cmdlines = start.cmdlines;
    let data = match start.data {
        Some(data) => data,
        None => {
            let mut names = Bytes::default();
            if let Some(now) = &ending.cmdlines {
                cmdlines = start.end;
                section(&mut names, CMDLINES, now, &mut zip)?;
                packer.write(&names.0, start.end)?;
            }
            start.end + names.0.len() as u64
        }
    };

    let compressed = compression != Compression::None;
    let flags = if compressed { IS_COMPRESSED } else { 0 };
    let head = |size| {
        let mut head = Bytes::default();
        header(&mut head, FLYRECORD, flags, size);
        head.0
    };
    packer.write(&head(0), data)?;
    let mut end = data + HEADER;
    let mut places = Vec::new();
    for cpu in cpus {
        let at = end.next_multiple_of(packer.subbuf);
        let size = match compressed {
            true => packer.compressed(&mut zip, cpu, at)?,
            false => packer.plain(cpu, at)?,
        };
        places.push((cpu.cpu, at, size));
        end = at + size;
    }
    packer.write(&head(end - data - HEADER), data)?;

    let mut buffer = Bytes::default();
    buffer.u64(data);
    buffer.string(&start.instance);
    buffer.string(clock_in_use(&start.clock));
    buffer.len32(packer.subbuf as usize);
    buffer.len32(places.len());
    for (cpu, at, size) in places {
        buffer.len32(cpu as usize);
        buffer.u64(at);
        buffer.u64(size);
    }

    let mut options = Bytes::default();
    options.option(CMDLINES, &cmdlines.to_ne_bytes());
    let count = cpus.iter().map(|cpu| cpu.cpu + 1).max().unwrap_or(0);
    options.option(CPUCOUNT, &count.to_ne_bytes());
    for stats in &ending.stats {
        options.text_option(CPUSTAT, stats);
    }
    options.option(BUFFER, &buffer.0);
    options.option(DONE, &0u64.to_ne_bytes());
    let mut last = Bytes::default();
    plain(&mut last, OPTIONS, &options.0);
    packer.write(&last.0, end)?;
    packer.write(&end.to_ne_bytes(), start.link)?;
    Ok(end + last.0.len() as u64)
}

/// Where a section is, and what.
#[derive(Debug, Clone, Copy)]
struct Section {
    id: u16,
    at: u64,
    size: u64,
}

/// What a file of version 7 says that was not finished, or nothing if it was. `at` is the end of
/// its header. A mistake in the file is an error of the kind `InvalidData`.
pub(super) fn find(file: &File, at: u64) -> io::Result<Option<Start>> {
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let len = file.metadata()?.len();
    let mut sections = Vec::new();
    let mut end = at;
    while let Some(found) = read_header(file, end, len)? {
        // The size of this one is not known before its end.
        if found.id == FLYRECORD {
            sections.push(found);
            break;
        }
        let next = end.saturating_add(HEADER).saturating_add(found.size);
        if next > len {
            break;
        }
        sections.push(found);
        end = next;
    }

    let of = |id| sections.iter().filter(move |section| section.id == id);
    let (Some(first), Some(second)) = (of(OPTIONS).next(), of(OPTIONS).nth(1)) else {
        return Err(bad());
    };
    let strings = of(STRINGS).next().ok_or_else(bad)?;
    let text = read_section(file, strings)?;
    let mut instance = Scan::new(&text, name_of(u16::MAX));
    let mut start = Start {
        link: 0,
        cmdlines: of(CMDLINES).next_back().ok_or_else(bad)?.at,
        end,
        instance: instance.string().ok_or_else(bad)?.to_vec(),
        clock: Vec::new(),
        data: of(FLYRECORD).next().map(|section| section.at),
    };
    let options = read_section(file, first)?;
    let mut scan = Scan::new(&options, 0);
    loop {
        match scan.option().ok_or_else(bad)? {
            (TRACECLOCK, clock) => {
                start.clock = clock.strip_suffix(&[0]).unwrap_or(clock).to_vec();
            }
            (DONE, next) => {
                start.link = first.at + HEADER + (scan.at - next.len()) as u64;
                let next = Scan::new(next, 0).u64().ok_or_else(bad)?;
                return Ok((next == second.at).then_some(start));
            }
            _ => {}
        }
    }
}

fn read_header(file: &File, at: u64, len: u64) -> io::Result<Option<Section>> {
    let mut header = [0; HEADER as usize];
    if at.checked_add(HEADER).is_none_or(|end| end > len) {
        return Ok(None);
    }
    file.read_exact_at(&mut header, at)?;
    let mut scan = Scan::new(&header, 0);
    let id = scan.u16();
    scan.at = 8;
    Ok(id
        .zip(scan.u64())
        .map(|(id, size)| Section { id, at, size }))
}

fn read_section(file: &File, section: &Section) -> io::Result<Vec<u8>> {
    let mut data = vec![0; section.size as usize];
    file.read_exact_at(&mut data, section.at + HEADER)?;
    Ok(data)
}
