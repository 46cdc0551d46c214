// SPDX-License-Identifier: GPL-2.0

//! What the figures are called, and how they are put together.

use crate::{figures::Figures, table::Table};

pub const NOTES: &str = "\
Executed instructions, kernel and user space together, one CPU, counted by the
emulator. Each figure is the median of its samples and has one reading of the
clock in it. A string instruction counts once for each step: a copy of 4 KiB by
`rep movsb` is 4,096, and weighs more here than on a real processor. Time with
interrupts off is the delay of the latest of timers that are set to moments all
over a call; its floor is the way into an interrupt. `by calls` is Rust without
CONFIG_RUST_INLINE_HELPERS: C's inline functions are called.
";

pub const SUBBUFS: [u32; 4] = [4, 16, 64, 256];
pub const PAYLOADS: [u32; 3] = [8, 64, 1024];

/// Rows of a table of C and Rust: id, and name.
type Rows = &'static [(&'static str, &'static str)];

pub const LIVE: Rows = &[
    ("clock", "reading the clock"),
    ("live.ioctl", "an ioctl that does nothing"),
    ("live.empty", "GET_READER, empty buffer"),
    ("live.1", "GET_READER, 1 new event"),
    ("live.10", "GET_READER, 10 new events"),
    ("live.100", "GET_READER, 100 new events"),
    ("live.1000", "GET_READER, 1,000 new events (64 KiB)"),
];

pub const MAP: Rows = &[
    ("map.zero", "/dev/zero, a page"),
    ("map.zero.touched", "/dev/zero, a page, and one access"),
    ("map.first.16k", "first mapping, a page of 16 KiB"),
    ("map.first.8m", "first mapping, a page of 8 MiB"),
    ("map.first.64m", "first mapping, a page of 64 MiB"),
    ("map.first.256m", "first mapping, a page of 256 MiB"),
    ("map.again.16k", "mapped again, a page of 16 KiB"),
    ("map.again.8m", "mapped again, a page of 8 MiB"),
    ("map.again.64m", "mapped again, a page of 64 MiB"),
    ("map.again.256m", "mapped again, a page of 256 MiB"),
    ("map.second.16k", "another mapping, a page of 16 KiB"),
    ("map.second.8m", "another mapping, a page of 8 MiB"),
    ("map.second.64m", "another mapping, a page of 64 MiB"),
    ("map.second.256m", "another mapping, a page of 256 MiB"),
    (
        "map.whole.16k",
        "mmap alone, another mapping, all of 16 KiB",
    ),
    ("map.whole.8m", "mmap alone, another mapping, all of 8 MiB"),
    (
        "map.whole.64m",
        "mmap alone, another mapping, all of 64 MiB",
    ),
    (
        "map.whole.256m",
        "mmap alone, another mapping, all of 256 MiB",
    ),
];

pub const ALLOC: Rows = &[
    ("alloc.first.8m", "first page of an 8 MiB buffer"),
    ("alloc.first.256m", "first page of a 256 MiB buffer"),
    ("alloc.whole.8m", "all of an 8 MiB buffer"),
    ("alloc.whole.256m", "all of a 256 MiB buffer"),
];

pub const WRITER: Rows = &[
    ("writer.unmapped", "not mapped"),
    ("writer.mapped", "mapped"),
    ("writer.read", "mapped, a reader takes each sub-buffer"),
];

pub const STREAM: Rows = &[
    ("stream.ringmap.4k", "4 KiB: ringmap"),
    ("stream.read.4k", "4 KiB: read() and parse"),
    (
        "stream.splice.4k",
        "4 KiB: splice() to /dev/null, and parse",
    ),
    (
        "stream.parse.4k",
        "4 KiB: parse alone: user space's part of each",
    ),
    ("stream.ringmap.64k", "64 KiB: ringmap"),
    ("stream.read.64k", "64 KiB: read() and parse"),
    (
        "stream.splice.64k",
        "64 KiB: splice() to /dev/null, and parse",
    ),
    (
        "stream.parse.64k",
        "64 KiB: parse alone: user space's part of each",
    ),
];

pub const IRQSOFF: Rows = &[
    ("irqsoff.nothing", "user space (the method's own floor)"),
    ("irqsoff.get_reader.4k", "GET_READER, full page, 4 KiB"),
    ("irqsoff.get_reader.64k", "GET_READER, full page, 64 KiB"),
    ("irqsoff.live.1000", "GET_READER, 1,000 new events (64 KiB)"),
    ("irqsoff.live.3000", "GET_READER, 3,000 new events (64 KiB)"),
    ("irqsoff.read.4k", "read(), full page, 4 KiB"),
    ("irqsoff.splice.4k", "splice(), full page, 4 KiB"),
    ("irqsoff.map.16k", "first mmap, one page of a 16 KiB buffer"),
    ("irqsoff.map.8m", "first mmap, one page of an 8 MiB buffer"),
    (
        "irqsoff.map.256m",
        "first mmap, one page of a 256 MiB buffer",
    ),
    ("irqsoff.again.8m", "mmap again, 8 MiB"),
    ("irqsoff.unmap.8m", "munmap of it"),
];

pub const SIZE: Rows = &[
    ("size.text", "functions, without tests"),
    ("size.data", "data"),
];

/// What the gate looks at.
pub const GATED: Rows = &[
    ("page.get_reader.4k.8", "GET_READER, full page, 4 KiB"),
    ("page.get_reader.64k.8", "GET_READER, full page, 64 KiB"),
    ("page.get_reader.256k.8", "GET_READER, full page, 256 KiB"),
    ("live.empty", "GET_READER, empty buffer"),
    ("live.1", "GET_READER, 1 new event"),
    ("live.10", "GET_READER, 10 new events"),
    ("live.100", "GET_READER, 100 new events"),
    ("map.first.16k", "first map and unmap, 16 KiB buffer"),
    ("map.first.8m", "first map and unmap, 8 MiB buffer"),
    ("map.first.64m", "first map and unmap, 64 MiB buffer"),
    ("map.again.8m", "map again and unmap, 8 MiB buffer"),
    ("map.again.64m", "map again and unmap, 64 MiB buffer"),
    ("map.second.8m", "second map and unmap"),
    ("map.whole.8m", "map of all 8 MiB"),
    ("writer.unmapped", "writer, per event, not mapped"),
    ("writer.mapped", "writer, per event, mapped"),
    ("writer.read", "writer, per event, with a reader"),
    ("stream.ringmap.64k", "end to end, per event, 64 KiB"),
];

pub fn ratio(c: Option<f64>, rust: Option<f64>) -> String {
    match (c, rust) {
        (Some(c), Some(rust)) if c > 0.0 => {
            let ratio = rust / c;
            format!("{ratio:.0$}", if ratio < 0.1 { 4 } else { 2 })
        }
        _ => "-".to_owned(),
    }
}

/// What each kernel has measured.
pub struct Kernels {
    pub c: Figures,
    pub rust: Figures,
    /// Rust without `CONFIG_RUST_INLINE_HELPERS`.
    pub calls: Figures,
}

fn compared(title: &str, rows: Rows, all: &Kernels) -> Table {
    let mut table = Table::new(title, &["", "C", "Rust", "Rust/C", "by calls"]);
    for (id, name) in rows {
        table.rows.push(vec![
            (*name).to_owned(),
            all.c.text(id),
            all.rust.text(id),
            ratio(all.c.value(id), all.rust.value(id)),
            all.calls.text(id),
        ]);
    }
    table
}

fn pages(all: &Kernels) -> Table {
    let Kernels { c, rust, calls } = all;
    let mut table = Table::new(
        "A full sub-buffer",
        &[
            "",
            "C",
            "Rust",
            "Rust/C",
            "by calls",
            "read()",
            "splice()",
            "trace_pipe",
        ],
    );
    for payload in PAYLOADS {
        for subbuf in SUBBUFS {
            let id = |way: &str| format!("page.{way}.{subbuf}k.{payload}");
            let mapped = id("get_reader");
            table.rows.push(vec![
                format!("GET_READER, {subbuf} KiB of {payload}-byte events"),
                c.text(&mapped),
                rust.text(&mapped),
                ratio(c.value(&mapped), rust.value(&mapped)),
                calls.text(&mapped),
                rust.text(&id("read")),
                rust.text(&id("splice")),
                rust.text(&id("trace_pipe")),
            ]);
        }
    }
    table
}

pub fn tables(all: &Kernels) -> Vec<Table> {
    vec![
        pages(all),
        compared("The sub-buffer being written", LIVE, all),
        compared("mmap and munmap of a buffer", MAP, all),
        compared("Largest single allocation of mmap, bytes", ALLOC, all),
        compared("An event's writer, 8-byte events", WRITER, all),
        compared(
            "End to end, per 8-byte event, by size of sub-buffers",
            STREAM,
            all,
        ),
        compared("Longest time with interrupts off, about", IRQSOFF, all),
        compared("Object code, bytes", SIZE, all),
    ]
}
