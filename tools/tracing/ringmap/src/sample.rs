// SPDX-License-Identifier: LGPL-2.1-or-later

//! Now and then an event as a line.

use crate::decode::{Decoded, Value};
use crate::event::Event;
use crate::format::Formats;
use crate::stream::Options;

/// The samples taken from one piece of data.
pub(crate) struct Samples<'a> {
    pub(crate) wanted: u32,
    pub(crate) lines: Vec<String>,
    pub(crate) ids: &'a mut Vec<u16>,
}

impl Samples<'_> {
    pub(crate) fn want(&self, id: u16) -> bool {
        self.wanted > 0 && !self.ids.contains(&id)
    }

    pub(crate) fn add(&mut self, id: u16, line: String) {
        self.wanted -= 1;
        self.ids.push(id);
        self.lines.push(line);
    }
}

/// The thread that caused an event.
pub(crate) fn pid(event: &Event<'_>, formats: &Formats) -> Option<i64> {
    let format = formats.get(event.id()?)?;
    match Decoded::new(format, *event).field("common_pid")? {
        Value::Signed(pid) => Some(pid),
        _ => None,
    }
}

/// An event as a line: time, CPU, name, fields.
pub(crate) fn show(cpu: u32, event: &Event<'_>, formats: &Formats, options: Options) -> String {
    let time = match options.clock_is_ns {
        true => {
            let us = event.time / 1000;
            format!("{:5}.{:06}", us / 1_000_000, us % 1_000_000)
        }
        false => format!("{:12}", event.time),
    };
    match event.id().and_then(|id| formats.get(id)) {
        Some(format) => format!("{time} cpu{cpu} {}", Decoded::new(format, *event)),
        None => format!("{time} cpu{cpu} event of unknown type {:?}", event.id()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::format;

    #[test]
    fn an_event_as_a_line() {
        let mut formats = Formats::default();
        formats.insert(format(
            "x",
            3,
            "\tfield:u8 c;\toffset:8;\tsize:1;\tsigned:0;\n",
        ));
        let mut event = Event {
            time: 12_345_678_901,
            payload: &[3, 0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0],
        };
        let mut options = Options {
            clock_is_ns: true,
            ..Options::default()
        };
        let line = show(1, &event, &formats, options);
        assert_eq!(line, "   12.345678 cpu1 x[9] c=5");
        options.clock_is_ns = false;
        event.payload = &[4, 0];
        let line = show(1, &event, &formats, options);
        assert_eq!(line, " 12345678901 cpu1 event of unknown type Some(4)");
    }

    #[test]
    fn samples_differ_in_type() {
        let mut ids = Vec::new();
        let mut samples = Samples {
            wanted: 2,
            lines: Vec::new(),
            ids: &mut ids,
        };
        assert!(samples.want(1));
        samples.add(1, String::new());
        assert!(!samples.want(1));
        assert!(samples.want(2));
        samples.add(2, String::new());
        assert!(!samples.want(3));
    }
}
