// SPDX-License-Identifier: GPL-2.0

//! The picture: horizontal bars on a logarithmic scale.

use crate::{
    environment::Environment,
    figures::{Figures, number},
};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 770.0;
const BAR: f64 = 13.0;
const GAP: f64 = 9.0;
const TITLE: f64 = 26.0;

const C: &str = "#7f8c99";
const RUST: &str = "#c8501e";
const READ: &str = "#b9d2e6";
const SPLICE: &str = "#7fb0d3";

struct Bar {
    colour: &'static str,
    value: f64,
    quotient: bool,
}

struct Group {
    name: String,
    bars: Vec<Bar>,
}

struct Panel {
    title: &'static str,
    /// Powers of ten at the left and the right end.
    scale: (i32, i32),
    groups: Vec<Group>,
}

/// What belongs to one name; figures that are missing are left out.
fn group(name: &str, bars: &[(&'static str, &Figures, String)]) -> Group {
    let bars = bars.iter().filter_map(|(colour, figures, id)| {
        let figure = figures.get(id)?;
        Some(Bar {
            colour,
            value: figure.value(),
            quotient: figure.divisor > 1,
        })
    });
    Group {
        name: name.to_owned(),
        bars: bars.collect(),
    }
}

/// The figures of both kernels.
struct Both<'a> {
    c: &'a Figures,
    rust: &'a Figures,
}

impl Both<'_> {
    fn pair(&self, name: &str, id: &str) -> Group {
        group(
            name,
            &[(C, self.c, id.to_owned()), (RUST, self.rust, id.to_owned())],
        )
    }

    /// The mapping in C and in Rust, splice() and read(), by their ids.
    fn ways(&self, name: &str, mapping: String, splice: String, read: String) -> Group {
        group(
            name,
            &[
                (C, self.c, mapping.clone()),
                (RUST, self.rust, mapping),
                (SPLICE, self.rust, splice),
                (READ, self.rust, read),
            ],
        )
    }

    fn live(&self) -> Vec<Group> {
        vec![
            self.pair("nothing new", "live.empty"),
            self.pair("1 new event", "live.1"),
            self.pair("10 new events", "live.10"),
            self.pair("100 new events", "live.100"),
            self.pair("1,000 new events", "live.1000"),
        ]
    }
}

fn panels(c: &Figures, rust: &Figures) -> Vec<Panel> {
    let both = Both { c, rust };
    let page = |kib: u32| {
        let id = |way: &str| format!("page.{way}.{kib}k.8");
        both.ways(
            &format!("{kib} KiB"),
            id("get_reader"),
            id("splice"),
            id("read"),
        )
    };
    let stream = |kib: u32| {
        let id = |way: &str| format!("stream.{way}.{kib}k");
        both.ways(
            &format!("{kib} KiB sub-buffers"),
            id("ringmap"),
            id("splice"),
            id("read"),
        )
    };
    vec![
        Panel {
            title: "Take a full sub-buffer of 8-byte events (GET_READER, splice(), read())",
            scale: (2, 7),
            groups: [4, 16, 64, 256].map(page).into(),
        },
        Panel {
            title: "GET_READER on the sub-buffer being written",
            scale: (2, 7),
            groups: both.live(),
        },
        Panel {
            title: "mmap and munmap of one page, and mmap of all pages",
            scale: (2, 8),
            groups: vec![
                both.pair("16 KiB buffer", "map.first.16k"),
                both.pair("8 MiB buffer", "map.first.8m"),
                both.pair("64 MiB buffer", "map.first.64m"),
                both.pair("256 MiB buffer", "map.first.256m"),
                both.pair("mapped again, 256 MiB", "map.again.256m"),
                both.pair("second mapping, 8 MiB", "map.second.8m"),
                both.pair("all of 8 MiB", "map.whole.8m"),
                both.pair("all of 256 MiB", "map.whole.256m"),
            ],
        },
        Panel {
            title: "End to end: consume one 8-byte event, kernel and user space",
            scale: (1, 3),
            groups: [4, 64].map(stream).into(),
        },
    ]
}

fn cpu_panels(c: &Figures, rust: &Figures) -> Vec<Panel> {
    let both = Both { c, rust };
    let page = |kib: u32| {
        let id = |way: &str| format!("{way}.{kib}k");
        both.ways(&format!("{kib} KiB"), id("full"), id("take"), id("copy"))
    };
    vec![
        Panel {
            title: "Take a full sub-buffer, median",
            scale: (1, 6),
            groups: [4, 64, 256].map(page).into(),
        },
        Panel {
            title: "GET_READER on the sub-buffer being written, median",
            scale: (1, 6),
            groups: both.live(),
        },
        Panel {
            title: "mmap and munmap of one page of 8 MiB, and mmap of all pages, median",
            scale: (2, 7),
            groups: vec![
                both.pair("first mapping", "map.first.8m"),
                both.pair("mapped again", "map.again.8m"),
                both.pair("second mapping", "map.second.8m"),
                both.pair("all of 8 MiB", "map.whole.8m"),
            ],
        },
    ]
}

fn text(x: f64, y: f64, attributes: &str, words: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{words}</text>\n")
}

fn rect(x: f64, y: f64, width: f64, height: f64, colour: &str) -> String {
    format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>\n"
    )
}

/// Draws one panel from `y` down, and returns where it ends.
fn panel(out: &mut String, panel: &Panel, mut y: f64) -> f64 {
    let (low, high) = (f64::from(panel.scale.0), f64::from(panel.scale.1));
    let x = |value: f64| {
        let share = (value.max(1.0).log10() - low) / (high - low);
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    };
    let bars: usize = panel.groups.iter().map(|group| group.bars.len()).sum();
    let height = bars as f64 * BAR + panel.groups.len() as f64 * GAP;

    out.push_str(&text(20.0, y + 15.0, "font-weight=\"bold\"", panel.title));
    y += TITLE;
    for power in panel.scale.0..=panel.scale.1 {
        let at = x(10f64.powi(power));
        out.push_str(&rect(at - 0.5, y, 1.0, height, "#e3e6e9"));
        let label = number(10f64.powi(power), false);
        out.push_str(&text(
            at,
            y + height + 12.0,
            "class=\"s\" text-anchor=\"middle\"",
            &label,
        ));
    }
    for group in &panel.groups {
        y += GAP / 2.0;
        let middle = y + group.bars.len() as f64 * BAR / 2.0 + 4.0;
        out.push_str(&text(
            LEFT - 10.0,
            middle,
            "text-anchor=\"end\"",
            &group.name,
        ));
        for bar in &group.bars {
            let end = x(bar.value);
            out.push_str(&rect(LEFT, y, end - LEFT, BAR - 2.0, bar.colour));
            let label = number(bar.value, bar.quotient);
            out.push_str(&text(end + 5.0, y + BAR - 3.5, "class=\"v\"", &label));
            y += BAR;
        }
        y += GAP / 2.0;
    }
    y + 34.0
}

pub fn draw(environment: &Environment, c: &Figures, rust: &Figures) -> String {
    picture(
        "Mapped trace ring buffers: executed instructions, logarithmic scale",
        [
            "mapping in C",
            "mapping in Rust",
            "splice() to /dev/null",
            "read()",
        ],
        &panels(c, rust),
        &format!("{} make bench draws this picture.", environment.line()),
    )
}

pub fn draw_cpu(counter: &str, c: &Figures, rust: &Figures) -> String {
    picture(
        "Mapped trace ring buffers: units of the time stamp counter, logarithmic scale",
        [
            "mapping in C",
            "mapping in Rust",
            "ring_buffer_read_page()",
            "a copy",
        ],
        &cpu_panels(c, rust),
        &format!("{counter} make bench draws this picture."),
    )
}

/// `names` are those of the colours.
fn picture(title: &str, names: [&str; 4], panels: &[Panel], note: &str) -> String {
    let mut body = String::new();
    body.push_str(&text(
        20.0,
        28.0,
        "font-size=\"16\" font-weight=\"bold\"",
        title,
    ));
    let mut x = 20.0;
    for (colour, name) in [C, RUST, SPLICE, READ].into_iter().zip(names) {
        body.push_str(&rect(x, 42.0, 12.0, 12.0, colour));
        body.push_str(&text(x + 18.0, 52.5, "", name));
        x += 40.0 + name.len() as f64 * 7.0;
    }
    let mut y = 76.0;
    for each in panels {
        y = panel(&mut body, each, y);
    }
    body.push_str(&text(20.0, y, "class=\"s\"", note));
    let height = y + 16.0;

    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!-- SPDX-License-Identifier: GPL-2.0 -->\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"DejaVu Sans, Verdana, sans-serif\" \
         font-size=\"12\" fill=\"#1d2329\">\n\
         <style>.s {{ font-size: 10px; fill: #5b6670; }} .v {{ font-size: 10.5px; }}</style>\n\
         {}{body}</svg>\n",
        rect(0.0, 0.0, WIDTH, height, "#ffffff")
    )
}
