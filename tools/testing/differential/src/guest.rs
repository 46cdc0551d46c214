// SPDX-License-Identifier: GPL-2.0

//! Runs operations on the kernel that this program runs on, and writes the transcript.

use crate::{
    subbuf_ids::Scan,
    sys::{self, Fd},
    transcript::{Field, Scenario, State, hash},
};
use std::io::Write;

const TRACEFS: &str = "/sys/kernel/tracing";
pub const FDS: usize = 3;
pub const VMAS: usize = 4;

/// The header of a sub-buffer: a time stamp and the size of the data, with flags.
const HEADER: usize = 16;
const SIZE_MASK: u64 = (1 << 30) - 1;
const STORED: u64 = 1 << 30;

/// The largest that any call here returns data of.
const BUFFER: usize = 1 << 20;

/// Offsets of fields of `struct trace_buffer_meta`, and their sizes.
const META: [(Field, usize, usize); 13] = [
    (Field::MetaPageSize, 0, 4),
    (Field::MetaStructLen, 4, 4),
    (Field::SubbufSize, 8, 4),
    (Field::NrSubbufs, 12, 4),
    (Field::LostEvents, 16, 8),
    (Field::ReaderId, 24, 4),
    (Field::ReaderRead, 28, 4),
    (Field::Flags, 32, 8),
    (Field::Entries, 40, 8),
    (Field::Overrun, 48, 8),
    (Field::Read, 56, 8),
    (Field::PagesLost, 64, 8),
    (Field::PagesTouched, 72, 8),
];

#[derive(Clone, Copy)]
struct Open {
    fd: Fd,
    blocks: bool,
}

/// The type and the time of an event's header: bit fields, whose order is that of the bytes.
fn header(word: u32) -> (u32, u32) {
    if cfg!(target_endian = "little") {
        (word & 31, word >> 5)
    } else {
        (word >> 27, word & ((1 << 27) - 1))
    }
}

/// Clears what does not repeat in the events of a sub-buffer, or of as much of one as there is: the
/// flag "somebody else wants this CPU", which a timer sets when it likes, and bytes that nobody has
/// written to, in which there may be such a flag of an older event.
fn steady(page: &mut [u8]) {
    // NEED_RESCHED_LAZY, NEED_RESCHED, PREEMPT_RESCHED.
    const WANTED: u8 = 0x02 | 0x04 | 0x20;
    // Types below are fixed; those of events like system calls are above.
    const FIXED: u16 = 30;
    let mut at = HEADER;

    while let Some(word) = page.get(at..at + 4) {
        let (kind, delta) = header(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
        let sized = || {
            let len = page.get(at + 4..at + 8)?;
            Some(4 + u32::from_ne_bytes([len[0], len[1], len[2], len[3]]) as usize)
        };
        let (body, len) = match kind {
            30 | 31 => (None, Some(8)),
            29 if delta == 0 => return,
            29 => (None, sized()),
            0 => (Some(at + 8), sized()),
            words => (Some(at + 4), Some(4 + 4 * words as usize)),
        };
        let Some(len) = len else { return };
        let end = (at + len).min(page.len());

        // What was discarded has no content any more.
        if kind == 29 {
            page[(at + 8).min(end)..end].fill(0);
        }
        if let Some(body) = body.filter(|body| body + 4 <= end) {
            // The flags of an event follow its type.
            page[body + 2] &= !WANTED;
            // sys_enter_getppid has a number of 4 bytes, and as many behind it.
            if u16::from_ne_bytes([page[body], page[body + 1]]) >= FIXED {
                page[(body + 12).min(end)..end].fill(0);
            }
        }
        at += len.max(4);
    }
}

/// A mapping of `len` bytes of the file from `offset` on.
#[derive(Clone, Copy)]
struct Vma {
    addr: usize,
    len: usize,
    offset: usize,
}

/// A part of the mapped file, to look at it.
struct View {
    addr: usize,
    /// The length of a mapping of its own, or 0.
    own: usize,
}

impl Drop for View {
    fn drop(&mut self) {
        if self.own > 0 {
            sys::munmap(self.addr, self.own);
        }
    }
}

struct Guest {
    dir: String,
    /// trace_marker_raw
    marker: Fd,
    stats: Fd,
    fds: [Option<Open>; FDS],
    /// What each of them has read of the current page, of which more may come.
    partly: [Vec<u8>; FDS],
    /// The size of the sub-buffers, and of those pages.
    subbuf: usize,
    sizes: [usize; FDS],
    vmas: [Option<Vma>; VMAS],
    buffer: Vec<u8>,
    payload: Vec<u8>,
    /// The number of the next marker.
    number: u32,
    /// Whether events take snapshots.
    armed: bool,
    /// Whether the size of the sub-buffers has changed.
    ordered: bool,
    /// The time at which the scenario began.
    base: u64,
    now: u64,
}

/// Runs all scenarios.
pub fn run(all: &[Scenario], out: &mut impl Write) -> std::io::Result<()> {
    for (number, scenario) in all.iter().enumerate() {
        writeln!(out, "= {}", scenario.name)?;
        // If this one ends the kernel, it is known which one it was.
        out.flush()?;
        match Guest::new(number) {
            Ok(mut guest) => guest.scenario(scenario, out)?,
            Err(error) => writeln!(out, "begin {error}")?,
        }
    }
    out.flush()
}

/// A result with a hash of the data that came with it.
fn with_data(result: i64, data: &[u8]) -> String {
    if result > 0 {
        format!("{result}:{:x}", hash(&data[..result as usize]))
    } else {
        result.to_string()
    }
}

impl Guest {
    fn new(number: usize) -> Result<Self, i64> {
        let dir = format!("{TRACEFS}/instances/d{number}");
        std::fs::create_dir(&dir).map_err(|err| -i64::from(err.raw_os_error().unwrap_or(0)))?;

        let marker = sys::open(&format!("{dir}/trace_marker_raw"), libc::O_WRONLY);
        let stats = sys::open(&format!("{dir}/per_cpu/cpu0/stats"), libc::O_RDONLY);
        let clock = sys::put(&format!("{dir}/trace_clock"), "counter");
        // In text, too: see steady().
        sys::put(&format!("{dir}/options/irq-info"), "0");
        if marker < 0 || stats < 0 || clock < 0 {
            return Err(marker.min(stats).min(clock));
        }

        let mut guest = Self {
            dir,
            marker: marker as Fd,
            stats: stats as Fd,
            fds: [None; FDS],
            partly: Default::default(),
            subbuf: sys::page(),
            sizes: [sys::page(); FDS],
            vmas: [None; VMAS],
            buffer: vec![0; BUFFER],
            payload: (0..8192u32).map(|i| (i * 7 + (i >> 8)) as u8).collect(),
            number: 0,
            armed: false,
            ordered: false,
            base: 0,
            now: 0,
        };
        guest.base = guest.clock();
        guest.now = guest.base;
        Ok(guest)
    }

    fn put(&self, file: &str, value: &str) -> i64 {
        sys::put(&format!("{}/{file}", self.dir), value)
    }

    fn scenario(&mut self, scenario: &Scenario, out: &mut impl Write) -> std::io::Result<()> {
        let mut before = State::default();

        for (number, op) in scenario.ops.iter().enumerate() {
            let words: Vec<&str> = op.split_whitespace().collect();
            let result = self.op(&words);
            let state = self.state();
            writeln!(out, "{number} {result}{}", state.changes(&before))?;
            before = state;
        }
        let end = self.end(scenario.keeps_instance());
        writeln!(out, "end {end}")
    }

    /// Gives all back. The result is whether there was something that still held the buffer.
    fn end(&mut self, keep: bool) -> String {
        self.put("tracing_on", "0");
        for vma in std::mem::take(&mut self.vmas).into_iter().flatten() {
            sys::munmap(vma.addr, vma.len);
        }
        for open in std::mem::take(&mut self.fds).into_iter().flatten() {
            sys::close(open.fd);
        }
        for op in [
            ["event", "0"],
            ["trig", "0"],
            ["filter", "0"],
            ["hist", "0"],
        ] {
            self.op(&op);
        }
        sys::close(self.marker);
        sys::close(self.stats);
        if keep {
            return "keep".to_owned();
        }
        let resize = self.put("buffer_size_kb", "40");
        let order = self.put("buffer_subbuf_size_kb", "16");
        let snapshot = [self.put("snapshot", "1"), self.put("snapshot", "0")];
        let remove = match std::fs::remove_dir(&self.dir) {
            Ok(()) => 0,
            Err(err) => -i64::from(err.raw_os_error().unwrap_or(0)),
        };
        format!("{resize} {order} {snapshot:?} {remove}")
    }

    /// Executes one operation. One whose descriptor or mapping is not there does nothing, so that
    /// any subset of a list can be run.
    fn op(&mut self, words: &[&str]) -> String {
        self.try_op(words).unwrap_or_else(|| "none".to_owned())
    }

    fn try_op(&mut self, words: &[&str]) -> Option<String> {
        let number = |at: usize| words.get(at)?.parse::<i64>().ok();
        let arg = |at: usize| number(at).map(|n| n as usize);
        let text = words.get(1).copied();
        let ok = |result: i64| Some(result.min(0).to_string());
        // The descriptor or the mapping that the first argument names.
        let open = arg(1).and_then(|slot| *self.fds.get(slot)?);
        let vma = arg(1).and_then(|slot| *self.vmas.get(slot)?);

        match *words.first()? {
            "open" => {
                let slot = arg(1)?;
                if self.fds.get(slot)?.is_some() {
                    return None;
                }
                let blocks = arg(2)? != 0;
                let flags = if blocks { 0 } else { libc::O_NONBLOCK };
                let fd = sys::open(
                    &format!("{}/per_cpu/cpu0/trace_pipe_raw", self.dir),
                    flags | libc::O_RDONLY,
                );
                if fd >= 0 {
                    self.partly[slot].clear();
                    self.fds[slot] = Some(Open {
                        fd: fd as Fd,
                        blocks,
                    });
                }
                ok(fd)
            }
            "close" => {
                self.fds[arg(1)?] = None;
                ok(sys::close(open?.fd))
            }
            "map" => {
                let prot = number(5)? as i32;
                let flags = number(6)? as i32;
                ok(self.map(open?, arg(2)?, arg(3)?, arg(4)?, prot, flags)?)
            }
            "full" => {
                let len = Self::full_len(open?);
                let prot = libc::PROT_READ;
                let len = match len {
                    Ok(len) => len,
                    Err(errno) => return ok(errno),
                };
                ok(self.map(open?, arg(2)?, 0, len, prot, libc::MAP_SHARED)?)
            }
            "unmap" => {
                self.vmas[arg(1)?] = None;
                ok(sys::munmap(vma?.addr, vma?.len))
            }
            // A part of a mapping is unmapped, or mapped over: both would split it.
            "cut" | "over" => {
                let (from, len) = (arg(2)? * sys::page(), arg(3)? * sys::page());
                let vma = vma?;
                if len == 0 || from + len > vma.len {
                    return None;
                }
                let result = if words[0] == "cut" {
                    sys::munmap(vma.addr + from, len)
                } else {
                    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                    sys::mmap(Some(vma.addr + from), len, libc::PROT_READ, flags, -1, 0)
                };
                if result >= 0 {
                    if words[0] == "over" {
                        sys::munmap(vma.addr + from, len);
                    }
                    // It was all of it. Otherwise nobody knows what there is now.
                    self.vmas[arg(1)?] = None;
                    if len != vma.len {
                        return Some("split".to_owned());
                    }
                }
                ok(result)
            }
            "move" => {
                let vma = vma?;
                let to = sys::reserve(vma.len);
                let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
                let result = sys::mremap(vma.addr, vma.len, vma.len, flags, to as usize);
                if result < 0 {
                    sys::munmap(to as usize, vma.len);
                } else {
                    self.vmas[arg(1)?]?.addr = to as usize;
                    self.vmas[arg(1)?] = Some(Vma {
                        addr: to as usize,
                        ..vma
                    });
                }
                ok(result)
            }
            // These must leave the mapping as it is.
            name @ ("shrink" | "grow" | "dup" | "dontunmap" | "movepart" | "stay") => {
                let vma = vma?;
                let pages = arg(2)? * sys::page();
                let may_move = libc::MREMAP_MAYMOVE;
                let (len, addr) = (vma.len, vma.addr);
                let result = match name {
                    "shrink" if pages >= len => return None,
                    "shrink" => sys::mremap(addr, len, len - pages, 0, 0),
                    "grow" => sys::mremap(addr, len, len + pages, may_move, 0),
                    "dup" => sys::mremap(addr, 0, pages.max(sys::page()), may_move, 0),
                    "stay" => sys::mremap(addr, len, len, may_move, 0),
                    "dontunmap" => {
                        sys::mremap(addr, len, len, may_move | libc::MREMAP_DONTUNMAP, 0)
                    }
                    _ if pages >= len => return None,
                    _ => {
                        let to = sys::reserve(pages) as usize;
                        let flags = may_move | libc::MREMAP_FIXED;
                        let result = sys::mremap(addr, pages, pages, flags, to);
                        sys::munmap(to, pages);
                        result
                    }
                };
                if result >= 0 && (result as usize != addr || name != "stay") {
                    return Some("allowed".to_owned());
                }
                ok(result)
            }
            "prot" => {
                let vma = vma?;
                let len = if arg(3)? == 0 { vma.len } else { sys::page() };
                let result = sys::mprotect(vma.addr, len, number(2)? as i32);
                if result >= 0 {
                    sys::mprotect(vma.addr, len, libc::PROT_READ);
                }
                ok(result)
            }
            "advise" => ok(sys::madvise(vma?.addr, vma?.len, number(2)? as i32)),
            "fork" => {
                let kind = arg(2)?;
                Some(
                    sys::fork(|| match (kind, open) {
                        (1, Some(open)) if !open.blocks => -sys::ioctl(open.fd, sys::GET_READER),
                        // Mapped, and ended without unmapping it.
                        (2, Some(open)) => match Self::full_len(open) {
                            Ok(len) => {
                                let flags = libc::MAP_SHARED;
                                let prot = libc::PROT_READ;
                                sys::mmap(None, len, prot, flags, open.fd, 0).min(0).abs()
                            }
                            Err(errno) => -errno,
                        },
                        _ => 0,
                    })
                    .to_string(),
                )
            }
            "get" => ok(Self::interruptible(open?, || {
                sys::ioctl(open.expect("checked").fd, sys::GET_READER)
            })),
            "ioctl" => ok(sys::ioctl(open?.fd, arg(2)? as u64)),
            "read" => {
                let open = open?;
                let len = arg(2)?.min(BUFFER);
                let buffer = &mut self.buffer[..len];
                let result = Self::interruptible(open, || sys::read(open.fd, buffer));
                let slot = arg(1)?;
                if result <= 0 {
                    return Some(result.to_string());
                }
                if self.partly[slot].is_empty() {
                    self.sizes[slot] = self.subbuf;
                }
                let page = &mut self.partly[slot];
                page.extend(&self.buffer[..result as usize]);
                steady(page);
                let hash = hash(page);
                if page.len() >= self.sizes[slot] {
                    page.clear();
                }
                Some(format!("{result}:{hash:x}"))
            }
            "splice" => {
                let result = sys::splice(open?.fd, arg(2)?, &mut self.buffer);
                let result = result.min(BUFFER as i64);
                for page in self.buffer[..result.max(0) as usize].chunks_mut(self.subbuf) {
                    steady(page);
                }
                Some(with_data(result, &self.buffer))
            }
            // On both kernels, events that a change of order threw away still count (D16). Reading
            // trace_pipe then never ends: it sees that there is something, and finds nothing.
            "pipe" if self.ordered => None,
            // The text of events.
            name @ ("pipe" | "trace") => {
                let len = arg(1)?.min(BUFFER);
                let file = if name == "pipe" { "trace_pipe" } else { name };
                let path = format!("{}/per_cpu/cpu0/{file}", self.dir);
                let fd = sys::open(&path, libc::O_RDONLY | libc::O_NONBLOCK);
                if fd < 0 {
                    return ok(fd);
                }
                let result = sys::read(fd as Fd, &mut self.buffer[..len]);
                sys::close(fd as Fd);
                // The bytes are not compared yet: something in the text does not repeat.
                Some(result.to_string())
            }
            "mark" => {
                // No bytes at the end of an event that nobody writes to.
                let len = match arg(1)? {
                    short @ 0..4 => short,
                    len => len & !3,
                };
                let (mut done, mut failed) = (0, 0);
                for _ in 0..arg(2)? {
                    self.payload[..4].copy_from_slice(&self.number.to_le_bytes());
                    self.number += 1;
                    match sys::write(self.marker, &self.payload[..len]) {
                        result if result < 0 => failed = result,
                        _ => done += 1,
                    }
                }
                Some(format!("{done}/{failed}"))
            }
            "ppid" => {
                for _ in 0..arg(1)? {
                    sys::getppid();
                }
                ok(0)
            }
            "event" => ok(self.put("events/syscalls/sys_enter_getppid/enable", text?)),
            "filter" => {
                let filter = match arg(1)? {
                    0 => "0",
                    1 => "common_pid == 0",
                    _ => "common_pid != 0",
                };
                ok(self.put("events/syscalls/sys_enter_getppid/filter", filter))
            }
            // With a histogram of time stamps, filters discard events from the buffer itself.
            "hist" => {
                let hist = "hist:keys=common_pid:ts=common_timestamp:clock=counter";
                let not = if arg(1)? == 0 { "!" } else { "" };
                ok(self.put(
                    "events/sched/sched_process_exec/trigger",
                    &format!("{not}{hist}"),
                ))
            }
            "trig" => {
                let trigger = ["!snapshot", "snapshot"][arg(1)?.min(1)];
                let result = self.put("events/syscalls/sys_enter_getppid/trigger", trigger);
                if result == 0 {
                    self.armed = arg(1)? != 0;
                }
                ok(result)
            }
            "resize" => ok(self.put("buffer_size_kb", text?)),
            "resizecpu" => ok(self.put("per_cpu/cpu0/buffer_size_kb", text?)),
            "order" => {
                let result = self.put("buffer_subbuf_size_kb", text?);
                if result == 0 {
                    self.ordered = true;
                    let path = format!("{}/buffer_subbuf_size_kb", self.dir);
                    let kb = std::fs::read_to_string(path).unwrap_or_default();
                    self.subbuf = kb.trim().parse().map_or(sys::page(), |kb: usize| kb * 1024);
                    // On both, a loss that nobody has reported still counts, too. The page that is
                    // then read is the writer's, which C warns of.
                    let mut state = State::default();
                    self.statistics(&mut state);
                    if state.get(Field::StatOverrun) != Some(0) {
                        self.op(&["reset", "0"]);
                    }
                }
                ok(result)
            }
            "reset" => {
                let file = ["trace", "per_cpu/cpu0/trace"][arg(1)?.min(1)];
                let path = format!("{}/{file}", self.dir);
                let fd = sys::open(&path, libc::O_WRONLY | libc::O_TRUNC);
                if fd >= 0 {
                    sys::close(fd as Fd);
                }
                ok(fd)
            }
            // An event that finds nothing to take a snapshot into writes its complaint, with an
            // address of the kernel's code.
            "snap" if self.armed && arg(1)? == 0 => None,
            "snap" => ok(self.put("snapshot", text?)),
            // No event gets a time from another clock: none but this one repeats.
            "clock" => {
                let result = self.put("trace_clock", text?);
                let back = self.put("trace_clock", "counter");
                Some(format!("{result},{back}"))
            }
            "on" => ok(self.put("tracing_on", text?)),
            "overwrite" => ok(self.put("options/overwrite", text?)),
            "percent" => ok(self.put("buffer_percent", text?)),
            "scan" => Some(self.scan(vma?)),
            name => panic!("unknown operation '{name}'"),
        }
    }

    /// The size of all that can be mapped.
    fn full_len(open: Open) -> Result<usize, i64> {
        let addr = sys::mmap(
            None,
            sys::page(),
            libc::PROT_READ,
            libc::MAP_SHARED,
            open.fd,
            0,
        );
        if addr < 0 {
            return Err(addr);
        }
        let meta = addr as usize;
        // SAFETY: The page was mapped just now.
        let [first, size, subbufs] = [0, 8, 12].map(|at| unsafe { sys::word(meta + at) } as usize);
        sys::munmap(meta, sys::page());
        Ok(first + size * subbufs)
    }

    fn map(
        &mut self,
        open: Open,
        slot: usize,
        offset: usize,
        len: usize,
        prot: i32,
        flags: i32,
    ) -> Option<i64> {
        if self.vmas.get(slot)?.is_some() {
            return None;
        }
        let addr = sys::mmap(None, len, prot, flags, open.fd, offset as i64);
        if addr >= 0 {
            // One that cannot be read is of no use to what follows.
            if prot & libc::PROT_READ == 0 {
                sys::mprotect(addr as usize, len, libc::PROT_READ);
            }
            self.vmas[slot] = Some(Vma {
                addr: addr as usize,
                len: len.next_multiple_of(sys::page()),
                offset,
            });
        }
        Some(addr.min(0))
    }

    /// A call on a descriptor that may wait for events that nobody writes.
    fn interruptible(open: Open, call: impl FnOnce() -> i64) -> i64 {
        if open.blocks {
            sys::alarm(true);
        }
        let result = call();
        if open.blocks {
            sys::alarm(false);
        }
        result
    }

    /// The next number of the instance's clock.
    fn clock(&mut self) -> u64 {
        self.statistics(&mut State::default())
    }

    fn statistics(&mut self, state: &mut State) -> u64 {
        let len = sys::pread(self.stats, &mut self.buffer[..1024]).max(0);
        let text = String::from_utf8_lossy(&self.buffer[..len as usize]);
        let mut now = 0;

        for line in text.lines() {
            let Some((key, value)) = line.split_once(": ") else {
                continue;
            };
            let Ok(value) = value.trim().parse::<u64>() else {
                continue;
            };
            let (field, value) = match key {
                "entries" => (Field::StatEntries, value),
                "overrun" => (Field::StatOverrun, value),
                "commit overrun" => (Field::StatCommitOverrun, value),
                "bytes" => (Field::StatBytes, value),
                "oldest event ts" => (Field::StatOldest, self.relative(value)),
                "now ts" => {
                    now = value;
                    (Field::StatNow, value.wrapping_sub(self.now))
                }
                "dropped events" => (Field::StatDropped, value),
                "read events" => (Field::StatRead, value),
                _ => continue,
            };
            state.set(field, Some(value));
        }
        now
    }

    /// A time stamp, counted from the beginning of the scenario.
    fn relative(&self, stamp: u64) -> u64 {
        if stamp == 0 {
            0
        } else {
            stamp.wrapping_sub(self.base)
        }
    }

    /// `len` bytes of the file from `offset` on: where they are mapped, or in a mapping for the
    /// moment, which changes nothing if it is not the first one.
    fn view(&self, offset: usize, len: usize) -> Option<View> {
        let within = |vma: &&Vma| vma.offset <= offset && offset + len <= vma.offset + vma.len;
        let mut vmas = self.vmas.iter().flatten();

        if let Some(vma) = vmas.clone().find(within) {
            let addr = vma.addr + offset - vma.offset;
            return Some(View { addr, own: 0 });
        }
        vmas.next()?;
        let fd = self.fds.iter().flatten().next()?.fd;
        let (prot, flags) = (libc::PROT_READ, libc::MAP_SHARED);
        let addr = sys::mmap(None, len, prot, flags, fd, offset as i64);
        (addr >= 0).then_some(View {
            addr: addr as usize,
            own: len,
        })
    }

    /// What can be seen of the buffer.
    fn state(&mut self) -> State {
        let mut state = State::default();
        self.now = self.statistics(&mut state);

        let Some(meta) = self.view(0, sys::page()) else {
            return state;
        };
        for (field, offset, size) in META {
            // SAFETY: The fields are in this page.
            let value = unsafe {
                match size {
                    4 => sys::word(meta.addr + offset).into(),
                    _ => sys::long(meta.addr + offset),
                }
            };
            state.set(field, Some(value));
        }

        let get = |field| state.get(field).unwrap_or(0) as usize;
        let size = get(Field::SubbufSize);
        let offset = get(Field::MetaPageSize) + get(Field::ReaderId) * size;
        if let Some(page) = self.view(offset, size) {
            let (commit, stored, hash) = self.page(page.addr, size);
            state.set(Field::Commit, Some(commit));
            state.set(Field::Stored, stored);
            state.set(Field::Page, Some(hash));
        }
        state
    }

    /// The size with flags, the stored number and the hash of the mapped sub-buffer at `addr`.
    fn page(&self, addr: usize, size: usize) -> (u64, Option<u64>, u64) {
        let mut bytes = vec![0; size];
        // SAFETY: Callers checked that the sub-buffer is within a mapping.
        unsafe { sys::copy(addr, &mut bytes) };
        let word = |at: usize| {
            let word = bytes.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_ne_bytes(word))
        };
        let (stamp, commit) = (word(0).unwrap_or(0), word(8).unwrap_or(0));
        let end = HEADER + (commit & SIZE_MASK) as usize;
        let stored = (commit & STORED != 0).then(|| word(end).unwrap_or(u64::MAX));

        let end = (end + if stored.is_some() { 8 } else { 0 }).min(size);
        let stamp = self.relative(stamp).to_le_bytes();
        bytes[..8].copy_from_slice(&stamp);
        steady(&mut bytes[..end]);
        (commit, stored, hash(&bytes[..end]))
    }

    /// The content of a mapping, up to where each sub-buffer is written.
    fn scan(&self, vma: Vma) -> String {
        let Some(meta) = self.view(0, sys::page()) else {
            return "0".to_owned();
        };
        // SAFETY: The sizes are in this page.
        let [first, size] = [0, 8].map(|at| unsafe { sys::word(meta.addr + at) } as usize);
        let mut scan = Scan {
            meta: 0,
            first: 0,
            subbufs: Vec::new(),
        };
        let mut at = vma.offset.next_multiple_of(size.max(sys::page()));

        while at + size <= vma.offset + vma.len {
            let addr = vma.addr + at - vma.offset;
            if at >= first {
                if scan.subbufs.is_empty() {
                    scan.first = (at - first) / size;
                }
                let (commit, stored, content) = self.page(addr, size);
                let all = [commit, stored.unwrap_or(0), content].map(u64::to_le_bytes);
                scan.subbufs.push(hash(all.as_flattened()));
            } else {
                // The meta-page is in the transcript. Behind it, there is nothing.
                let mut padding = vec![0; size - sys::page()];
                // SAFETY: This is within the mapping, by the condition of the loop.
                unsafe { sys::copy(addr + sys::page(), &mut padding) };
                scan.meta = hash(&padding);
            }
            at += size;
        }
        scan.text()
    }
}
