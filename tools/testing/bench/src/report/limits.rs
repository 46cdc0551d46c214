// SPDX-License-Identifier: GPL-2.0

//! What the figures are meant to be at most.

use crate::figures::{Figures, number};

/// Figures of the Rust kernel, and their limits.
const LIMITS: &[(&str, f64, &str)] = &[
    (
        "page.get_reader.4k.8",
        850.0,
        "GET_READER, full page, 4 KiB",
    ),
    (
        "page.get_reader.64k.8",
        850.0,
        "GET_READER, full page, 64 KiB",
    ),
    (
        "page.get_reader.256k.8",
        850.0,
        "GET_READER, full page, 256 KiB",
    ),
    ("live.empty", 460.0, "GET_READER, empty buffer"),
    ("live.1", 650.0, "GET_READER, 1 new event"),
    ("live.10", 900.0, "GET_READER, 10 new events"),
    ("live.100", 900.0, "GET_READER, 100 new events"),
    ("live.1000", 900.0, "GET_READER, 1,000 new events"),
    (
        "map.first.8m",
        40_000.0,
        "first mmap and munmap of a page, 8 MiB buffer",
    ),
    (
        "map.first.64m",
        215_000.0,
        "first mmap and munmap of a page, 64 MiB buffer",
    ),
    (
        "map.first.256m",
        850_000.0,
        "first mmap and munmap of a page, 256 MiB buffer",
    ),
    (
        "map.again.16k",
        11_000.0,
        "mmap again and munmap of a page, 16 KiB buffer",
    ),
    (
        "map.again.8m",
        11_000.0,
        "mmap again and munmap of a page, 8 MiB buffer",
    ),
    (
        "map.again.256m",
        11_000.0,
        "mmap again and munmap of a page, 256 MiB buffer",
    ),
    (
        "map.second.8m",
        10_500.0,
        "second mmap and munmap of a page",
    ),
    (
        "irqsoff.map.16k",
        3000.0,
        "interrupts off, first mmap, 16 KiB buffer",
    ),
    (
        "irqsoff.map.8m",
        3000.0,
        "interrupts off, first mmap, 8 MiB buffer",
    ),
    (
        "irqsoff.map.256m",
        3000.0,
        "interrupts off, first mmap, 256 MiB buffer",
    ),
];

fn line(what: &str, limit: &str, value: f64, most: f64, quotient: bool) -> String {
    let found = number(value, quotient);
    let verdict = if value <= most {
        "ok".to_owned()
    } else {
        format!("missed by {}", number(value - most, quotient))
    };
    format!("{what}: {found}, limit {limit}: {verdict}")
}

/// One line for each limit that there are figures for.
pub fn lines(c: &Figures, rust: &Figures) -> Vec<String> {
    let mut lines = Vec::new();

    for (id, most, what) in LIMITS {
        if let Some(value) = rust.value(id) {
            lines.push(line(what, &number(*most, false), value, *most, false));
        }
    }

    let pages: Option<Vec<f64>> = ["4k", "64k", "256k"]
        .iter()
        .map(|subbuf| rust.value(&format!("page.get_reader.{subbuf}.8")))
        .collect();
    if let Some(pages) = pages {
        let (min, max) = (
            pages.iter().copied().fold(f64::MAX, f64::min),
            pages.iter().copied().fold(0.0, f64::max),
        );
        let what = "GET_READER, full page, the dearest of the three";
        lines.push(line(what, "the cheapest and 5 %", max, min * 1.05, false));
    }

    // The same call differs by some 40 from one run to the next.
    let most = rust.value("irqsoff.live.1000").map(|value| value * 1.2);
    if let (Some(value), Some(most)) = (rust.value("irqsoff.live.3000"), most) {
        let what = "interrupts off, GET_READER, 3,000 new events";
        lines.push(line(what, "that of 1,000 and 20 %", value, most, false));
    }

    let mut against = |what: &str, id: &str, limit: &str, most: Option<f64>, quotient: bool| {
        if let (Some(value), Some(most)) = (rust.value(id), most) {
            let limit = format!("{limit}, {}", number(most, quotient));
            lines.push(line(what, &limit, value, most, quotient));
        }
    };
    for (id, what) in [
        ("map.whole.8m", "mmap of the whole 8 MiB"),
        ("map.whole.64m", "mmap of the whole 64 MiB"),
        ("map.whole.256m", "mmap of the whole 256 MiB"),
    ] {
        against(what, id, "C's", c.value(id), false);
    }
    for (id, what) in [
        ("writer.unmapped", "writer, per event, not mapped"),
        ("writer.mapped", "writer, per event, mapped"),
        ("writer.read", "writer, per event, with a reader"),
    ] {
        against(what, id, "C's", c.value(id), true);
    }
    let (what, id) = ("end to end, per event, 64 KiB", "stream.ringmap.64k");
    against(what, id, "splice's", rust.value("stream.splice.64k"), true);
    against(
        what,
        id,
        "half of read()'s",
        rust.value("stream.read.64k").map(|v| v / 2.0),
        true,
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let figures = Figures::parse(text).unwrap();
        lines(&figures, &figures)
    }

    #[test]
    fn kept_and_missed() {
        let found = of("live.1\t1\t650\nlive.empty\t1\t1700\n");
        assert_eq!(
            found,
            [
                "GET_READER, empty buffer: 1,700, limit 460: missed by 1,240",
                "GET_READER, 1 new event: 650, limit 650: ok",
            ]
        );
    }

    #[test]
    fn quotients() {
        let found = of("stream.ringmap.64k\t10\t300\nstream.read.64k\t10\t500\n");
        assert_eq!(
            found,
            ["end to end, per event, 64 KiB: 30.0, limit half of read()'s, 25.0: missed by 5.0"]
        );
    }
}
