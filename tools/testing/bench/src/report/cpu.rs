// SPDX-License-Identifier: GPL-2.0

//! What the benchmark within the kernel has measured, on the processor at hand.

use crate::{
    figures::{Figure, Figures, number},
    rows::ratio,
    table::Table,
};
use anyhow::{Result, ensure};

pub const NOTES: &str = "\
Units of the processor's time stamp counter, in the kernel alone: user-mode Linux
runs as a process. Both kernels run in turns. Each figure is of a call and one
reading of the counter (the first row); 99 % of the samples are below the last
one of three. Unlike instructions, these have caches in them: the events of a
large sub-buffer have left the first ones when it is taken, and a call that was
not made for a while is dearer. They differ from run to run, and from machine to
machine.
";

/// The prefix of a figure that is no sample of an operation.
const KHZ: &str = "khz";

/// Rows: id, that of ring_buffer_read_page() for the same events, and name.
type Rows = &'static [(&'static str, Option<&'static str>, &'static str)];

const ROWS: Rows = &[
    ("clock", None, "reading the counter"),
    ("full.4k", Some("take.4k"), "GET_READER, full page, 4 KiB"),
    (
        "full.64k",
        Some("take.64k"),
        "GET_READER, full page, 64 KiB",
    ),
    (
        "full.256k",
        Some("take.256k"),
        "GET_READER, full page, 256 KiB",
    ),
    (
        "take.4k",
        None,
        "ring_buffer_read_page(), 4 KiB, as splice()",
    ),
    (
        "take.64k",
        None,
        "ring_buffer_read_page(), 64 KiB, as splice()",
    ),
    (
        "take.256k",
        None,
        "ring_buffer_read_page(), 256 KiB, as splice()",
    ),
    ("copy.4k", None, "a copy of 4 KiB, as read()"),
    ("copy.64k", None, "a copy of 64 KiB, as read()"),
    ("copy.256k", None, "a copy of 256 KiB, as read()"),
    ("live.empty", None, "GET_READER, empty buffer"),
    ("live.1", None, "GET_READER, 1 new event"),
    ("live.10", None, "GET_READER, 10 new events"),
    ("live.100", None, "GET_READER, 100 new events"),
    ("live.1000", None, "GET_READER, 1,000 new events"),
    ("map.first.8m", None, "first map and unmap, 8 MiB buffer"),
    ("map.again.8m", None, "map again and unmap, 8 MiB buffer"),
    ("map.second.8m", None, "second map and unmap, 8 MiB buffer"),
    ("map.whole.8m", None, "map of all 8 MiB"),
    ("writer.unmapped", None, "writer, per event, not mapped"),
    ("writer.mapped", None, "writer, per event, mapped"),
];

/// Reads lines of the benchmark: one figure has many.
pub fn parse(text: &str) -> Result<Figures> {
    let mut all: Vec<Figure> = Vec::new();

    for figure in Figures::parse(text)?.0 {
        match all.iter_mut().find(|other| other.id == figure.id) {
            Some(other) => {
                ensure!(other.divisor == figure.divisor, "two kinds of {}", other.id);
                other.samples.extend(figure.samples);
            }
            None => all.push(figure),
        }
    }
    Ok(Figures(all))
}

/// The least, the median, and what 99 % of the samples are below.
fn three(figures: &Figures, id: &str) -> [String; 3] {
    figures.get(id).map_or_else(
        || ["-"; 3].map(str::to_owned),
        |figure| {
            let mut sorted = figure.samples.clone();
            sorted.sort_unstable();
            let last = sorted.len() - 1;
            [0, last / 2, last * 99 / 100].map(|at| {
                number(
                    sorted[at] as f64 / figure.divisor as f64,
                    figure.divisor > 1,
                )
            })
        },
    )
}

pub fn table(c: &Figures, rust: &Figures) -> Table {
    let mut table = Table::new(
        "On the processor: least, median, 99 %",
        &["", "C", "", "", "Rust", "", "", "Rust/C", "Rust/read_page"],
    );
    for (id, taken, name) in ROWS {
        let taken = taken.map_or_else(
            || "-".to_owned(),
            |taken| ratio(rust.value(taken), rust.value(id)),
        );
        let mut row = vec![(*name).to_owned()];
        row.extend(three(c, id));
        row.extend(three(rust, id));
        row.push(ratio(c.value(id), rust.value(id)));
        row.push(taken);
        table.rows.push(row);
    }
    table
}

/// How fast the counter is, and whether it is fine enough.
pub fn counter(c: &Figures, rust: &Figures) -> String {
    let khz = rust.value(KHZ).unwrap_or(0.0);
    let mut text = format!(
        "{} units of the counter are a microsecond.",
        number(khz / 1000.0, false)
    );
    let coarse = [c, rust]
        .iter()
        .filter_map(|figures| step(figures.get("clock")?))
        .max();

    if let Some(step) = coarse.filter(|step| *step > 100) {
        text.push_str(&format!(
            " It steps by {step}: figures near that say little."
        ));
    }
    text
}

/// The least difference of two samples.
fn step(figure: &Figure) -> Option<u64> {
    let mut sorted = figure.samples.clone();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.windows(2).map(|pair| pair[1] - pair[0]).min()
}

/// The limit that there is for the processor.
pub fn limit(c: &Figures, rust: &Figures) -> Option<String> {
    let (c, rust) = (c.value("full.4k")?, rust.value("full.4k")?);
    let verdict = if rust * 30.0 <= c { "ok" } else { "missed" };

    Some(format!(
        "on the processor, GET_READER, full page, 4 KiB: 1/{:.0} of C's, limit 1/30: {verdict}",
        c / rust
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Figures {
        parse(text).unwrap()
    }

    #[test]
    fn lines_of_a_figure_are_one() {
        let figures = of("full.4k\t1\t5 1\nclock\t1\t2\nfull.4k\t1\t9 7 3\n");
        assert_eq!(figures.value("full.4k"), Some(5.0));
        assert_eq!(three(&figures, "full.4k"), ["1", "5", "7"]);
        assert!(parse("a\t1\t5\na\t2\t5\n").is_err());
    }

    #[test]
    fn a_coarse_counter_is_said() {
        let fine = of("khz\t1\t2000000\nclock\t1\t20 46 72\n");
        let coarse = of("khz\t1\t2000000\nclock\t1\t0 1000 1000\n");
        assert_eq!(
            counter(&fine, &fine),
            "2,000 units of the counter are a microsecond."
        );
        assert!(
            counter(&fine, &coarse).ends_with("It steps by 1000: figures near that say little.")
        );
    }

    #[test]
    fn one_thirtieth() {
        let c = of("full.4k\t1\t3000\n");
        assert!(
            limit(&c, &of("full.4k\t1\t100\n"))
                .unwrap()
                .ends_with(": ok")
        );
        assert!(
            limit(&c, &of("full.4k\t1\t101\n"))
                .unwrap()
                .ends_with(": missed")
        );
        assert_eq!(limit(&c, &of("clock\t1\t101\n")), None);
    }
}
