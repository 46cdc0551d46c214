// SPDX-License-Identifier: LGPL-2.1-or-later

//! Events as lines: the text that `trace_pipe` has, or JSON.
//!
//! The text differs from that of `trace_pipe` where the kernel knows more than it says, or says less
//! than it knows:
//!
//! | | here | `trace_pipe` |
//! |---|---|---|
//! | `%p` | the address, `0x0` for none | a hash of it |
//! | enums and variables that the format file has by name | a number, or `?` | a name, or the value |
//! | system calls | as the format file says: `sys_enter_close: fd: 0x00000003` | `sys_close(fd: 3)` |
//! | control characters in text of user space | `\n`, `\x1b` | as they are |
//!
//! ```no_run
//! # use std::io::Write;
//! # use std::sync::Arc;
//! # use ringmap::{format::Formats, reader::CpuBuffer, text::Printer, tracefs::Tracefs};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tracefs = Tracefs::find()?;
//! let instance = tracefs.instance(None)?;
//! let formats = Arc::new(Formats::load(&tracefs.root().join("events"))?);
//! let mut printer = Printer::of_kernel(formats, &tracefs, &instance)?;
//! let mut buffer = CpuBuffer::open(&instance, 0)?;
//! let mut out = Vec::new();
//! while let Some(page) = buffer.get_reader()? {
//!     for event in page.events() {
//!         printer.line(0, &event, &mut out);
//!     }
//!     std::io::stdout().write_all(&out)?;
//!     out.clear();
//! }
//! # Ok(())
//! # }
//! ```

use std::fs;
use std::sync::Arc;

use crate::builtin::Builtin;
use crate::comm::{Comms, Lessons};
use crate::context::Context;
use crate::event::Event;
use crate::format::{Format, Formats};
use crate::print::{PrintFmt, layout};
use crate::reader::Loss;
use crate::symbols::Names;
use crate::tracefs::{Instance, Tracefs};
use crate::{Result, escape, json};

/// What is computed once for each type of event.
#[derive(Debug)]
struct Known {
    print: PrintFmt,
    lessons: Lessons,
    builtin: Option<Builtin>,
    head: String,
    keys: json::Keys,
}

impl Known {
    fn new(format: &Format) -> Self {
        let builtin = Builtin::of(format);
        Known {
            print: PrintFmt::new(format),
            lessons: Lessons::of(format),
            builtin,
            head: match builtin {
                Some(_) => String::new(),
                None => format!("{}: ", format.name),
            },
            keys: json::Keys::new(format),
        }
    }
}

/// Writes events as lines. It takes a type of event apart when it sees the first of it; after that
/// it does not allocate, but for what it learns.
#[derive(Debug)]
pub struct Printer {
    formats: Arc<Formats>,
    names: Names,
    comms: Comms,
    clock_is_ns: bool,
    /// By id.
    known: Vec<Option<Box<Known>>>,
}

impl Printer {
    /// A printer that knows no names but those that events have. `clock_is_ns` says whether times
    /// are nanoseconds: they are printed as seconds then, and else as they are.
    pub fn new(formats: Arc<Formats>, names: Names, comms: Comms, clock_is_ns: bool) -> Self {
        Printer {
            formats,
            names,
            comms,
            clock_is_ns,
            known: Vec::new(),
        }
    }

    /// A printer for events of the running kernel, now: with its names of functions, strings and
    /// processes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) or [`Error::Permission`](crate::Error::Permission) if the
    /// instance's `trace_clock` cannot be read.
    pub fn of_kernel(
        formats: Arc<Formats>,
        tracefs: &Tracefs,
        instance: &Instance,
    ) -> Result<Self> {
        let mut comms = Comms::new();
        comms.use_proc(true);
        // It is a help only: a kernel without it has /proc.
        comms.add_saved(&fs::read(tracefs.root().join("saved_cmdlines")).unwrap_or_default());
        let clock_is_ns = instance.clock_is_ns()?;
        Ok(Printer::new(
            formats,
            Names::of_kernel(tracefs),
            comms,
            clock_is_ns,
        ))
    }

    /// The names of processes.
    pub fn comms(&mut self) -> &mut Comms {
        &mut self.comms
    }

    /// Takes a type of event apart. Nothing if there is no format for it.
    fn know(&mut self, id: u16) {
        let index = usize::from(id);
        if self.known.get(index).is_some_and(Option::is_some) {
            return;
        }
        if self.known.len() <= index {
            self.known.resize_with(index + 1, || None);
        }
        if let (Some(format), Some(known)) = (self.formats.get(id), self.known.get_mut(index)) {
            *known = Some(Box::new(Known::new(format)));
        }
    }

    /// What was not understood of the `print fmt` of this type of event, if anything. See
    /// [`PrintFmt::reason`].
    pub fn reason(&mut self, id: u16) -> Option<&str> {
        self.know(id);
        let known = self.known.get(usize::from(id))?.as_ref()?;
        match known.builtin {
            None | Some(Builtin::Print) => known.print.reason(),
            Some(_) => None,
        }
    }

    /// Adds a line with its line feed to `out`, in UTF-8. The stack of a stack event has further
    /// lines, as in `trace_pipe`.
    pub fn line(&mut self, cpu: u32, event: &Event<'_>, out: &mut Vec<u8>) {
        let id = event.id().unwrap_or(0);
        self.know(id);
        let known = self.known.get(usize::from(id)).and_then(Option::as_ref);
        if let Some(known) = known {
            self.comms.learn(&known.lessons, event);
        }

        let context = Context::of(event);
        let start = out.len();
        escape::clean(self.comms.get(context.pid), out);
        let pad = 16usize.saturating_sub(out.len() - start);
        out.resize(out.len() + pad, b' ');
        out[start..].rotate_right(pad);
        out.push(b'-');
        let start = out.len();
        layout::signed(context.pid.into(), out);
        let pad = 7usize.saturating_sub(out.len() - start);
        out.resize(out.len() + pad, b' ');
        out.extend_from_slice(b" [");
        layout::padded(cpu.into(), 3, b'0', out);
        out.extend_from_slice(b"] ");
        out.extend_from_slice(&context.letters());
        out.push(b' ');
        self.time(event.time, out);
        out.extend_from_slice(b": ");

        match (known, self.formats.get(id)) {
            (Some(known), Some(format)) => {
                out.extend_from_slice(known.head.as_bytes());
                text(known, format, event, &self.names, out);
            }
            _ => {
                out.extend_from_slice(b"unknown event ");
                layout::decimal(id.into(), out);
                out.push(b' ');
                layout::hex_bytes(event.payload.get(8..).unwrap_or_default(), None, out);
            }
        }
        out.push(b'\n');
    }

    /// Seconds with microseconds, rounded as the kernel does it, or what the clock says.
    fn time(&self, time: u64, out: &mut Vec<u8>) {
        if self.clock_is_ns {
            let micros = time.saturating_add(500) / 1000;
            layout::padded(micros / 1_000_000, 5, b' ', out);
            out.push(b'.');
            layout::padded(micros % 1_000_000, 6, b'0', out);
        } else {
            layout::padded(time, 12, b' ', out);
        }
    }

    /// Adds a line that says that events were lost, as `trace_pipe` does.
    pub fn lost(&self, cpu: u32, loss: Loss, out: &mut Vec<u8>) {
        out.extend_from_slice(b"CPU:");
        layout::decimal(cpu.into(), out);
        out.extend_from_slice(b" [LOST ");
        if let Some(count) = loss.count() {
            layout::decimal(count, out);
            out.push(b' ');
        }
        out.extend_from_slice(b"EVENTS]\n");
    }

    /// Adds a line with a JSON object to `out`:
    ///
    /// ```json
    /// {"time":81000123456,"cpu":0,"pid":1,"comm":"init","flags":"d..2.",
    ///  "event":"sched:sched_switch","fields":{"prev_comm":"init","prev_state":1}}
    /// ```
    ///
    /// (in one line). Times are in units of the trace clock. Fields are numbers, strings, arrays of
    /// numbers, strings of hexadecimal digits for what is neither, and `null` if the event is too
    /// short. Bytes of a string that are no UTF-8 become U+FFFD. An event without a format has
    /// `"id"` and `"data"` in place of `"event"` and `"fields"`.
    pub fn json(&mut self, cpu: u32, event: &Event<'_>, out: &mut Vec<u8>) {
        let id = event.id().unwrap_or(0);
        self.know(id);
        let known = self.known.get(usize::from(id)).and_then(Option::as_ref);
        if let Some(known) = known {
            self.comms.learn(&known.lessons, event);
        }

        let context = Context::of(event);
        out.extend_from_slice(b"{\"time\":");
        layout::decimal(event.time, out);
        out.extend_from_slice(b",\"cpu\":");
        layout::decimal(cpu.into(), out);
        out.extend_from_slice(b",\"pid\":");
        layout::signed(context.pid.into(), out);
        out.extend_from_slice(b",\"comm\":");
        json::string(self.comms.get(context.pid), out);
        out.extend_from_slice(b",\"flags\":\"");
        out.extend_from_slice(&context.letters());
        match (known, self.formats.get(id)) {
            (Some(known), Some(format)) => {
                out.extend_from_slice(b"\",");
                known.keys.write(format, event.payload, out);
            }
            _ => {
                out.extend_from_slice(b"\",\"id\":");
                layout::decimal(id.into(), out);
                out.extend_from_slice(b",\"data\":\"");
                layout::hex_bytes(event.payload.get(8..).unwrap_or_default(), None, out);
                out.push(b'"');
            }
        }
        out.extend_from_slice(b"}\n");
    }

    /// Adds a line with a JSON object that says that events were lost: `{"cpu":0,"lost":12}`, or
    /// `null` for an unknown number.
    pub fn json_lost(&self, cpu: u32, loss: Loss, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"cpu\":");
        layout::decimal(cpu.into(), out);
        out.extend_from_slice(b",\"lost\":");
        match loss.count() {
            Some(count) => layout::decimal(count, out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b"}\n");
    }
}

/// The text of an event, behind its name.
fn text(known: &Known, format: &Format, event: &Event<'_>, names: &Names, out: &mut Vec<u8>) {
    let start = out.len();
    let special = match known.builtin {
        None | Some(Builtin::Print) => None,
        Some(builtin) => builtin.write(format, event, names, out),
    };
    if special.is_none() {
        out.truncate(start);
        known.print.write(format, event, names, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::COMMON;
    use crate::symbols::Symbols;
    use proptest::prelude::*;

    const FORMATS: [(&str, &str, &str, &str); 9] = [
        (
            "sched",
            "sched_wakeup",
            "\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
             \tfield:pid_t pid;\toffset:24;\tsize:4;\tsigned:1;\n",
            r#""comm=%s pid=%d", REC->comm, REC->pid"#,
        ),
        (
            "test",
            "odd",
            "\tfield:int x;\toffset:8;\tsize:4;\tsigned:1;\n",
            r#""%d", f(REC->x)"#,
        ),
        (
            "ftrace",
            "print",
            "\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;\n\
             \tfield:char buf[];\toffset:16;\tsize:0;\tsigned:0;\n",
            r#""%ps: %s", (void *)REC->ip, REC->buf"#,
        ),
        (
            "ftrace",
            "bprint",
            "\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;\n\
             \tfield:const char * fmt;\toffset:16;\tsize:8;\tsigned:0;\n\
             \tfield:u32 buf[];\toffset:24;\tsize:0;\tsigned:0;\n",
            r#""%ps: %s", (void *)REC->ip, REC->fmt"#,
        ),
        (
            "ftrace",
            "function",
            "\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;\n\
             \tfield:unsigned long parent_ip;\toffset:16;\tsize:8;\tsigned:0;\n",
            r#"" %ps <-- %ps", (void *)REC->ip, (void *)REC->parent_ip"#,
        ),
        (
            "ftrace",
            "kernel_stack",
            "\tfield:int size;\toffset:8;\tsize:4;\tsigned:1;\n\
             \tfield:unsigned long caller[8];\toffset:16;\tsize:64;\tsigned:0;\n",
            r#""\t=> %ps\n", (void *)REC->caller[0]"#,
        ),
        (
            "ftrace",
            "raw_data",
            "\tfield:unsigned int id;\toffset:8;\tsize:4;\tsigned:0;\n\
             \tfield:char buf[];\toffset:12;\tsize:0;\tsigned:0;\n",
            r#""id:%04x %08x", REC->id, (int)REC->buf[0]"#,
        ),
        (
            "ftrace",
            "bputs",
            "\tfield:unsigned long ip;\toffset:8;\tsize:8;\tsigned:0;\n\
             \tfield:const char * str;\toffset:16;\tsize:8;\tsigned:0;\n",
            r#""%ps: %s", (void *)REC->ip, REC->str"#,
        ),
        (
            "ftrace",
            "user_stack",
            "\tfield:unsigned int tgid;\toffset:8;\tsize:4;\tsigned:0;\n\
             \tfield:unsigned long caller[8];\toffset:16;\tsize:64;\tsigned:0;\n",
            r#""\t=> %ps\n", (void *)REC->caller[0]"#,
        ),
    ];

    const FIRST: u64 = 0xffff_ffff_8100_0010;
    const SECOND: u64 = 0xffff_ffff_8100_0048;

    fn printer(clock_is_ns: bool) -> Printer {
        let mut formats = Formats::default();
        for (id, (system, name, fields, print_fmt)) in (1..).zip(FORMATS) {
            let text = format!(
                "name: {name}\nID: {id}\nformat:\n{COMMON}{fields}\nprint fmt: {print_fmt}\n"
            );
            formats.insert(Format::parse(system, &text).unwrap());
        }
        let mut names = Names::with_symbols(Symbols::parse(
            "ffffffff81000000 T first\nffffffff81000040 T second\nffffffff82000000 T _end\n",
        ));
        names.add_strings("0x10 : \"n=%d %s\\n\"\n0x20 : \"plain\\n\"\n");
        Printer::new(formats.into(), names, Comms::new(), clock_is_ns)
    }

    /// An event of the process 7, with interrupts off.
    fn payload(id: u16, rest: &[&[u8]]) -> Vec<u8> {
        let head = [&id.to_ne_bytes()[..], &[1, 2], &7i32.to_ne_bytes()].concat();
        [head, rest.concat()].concat()
    }

    fn line(printer: &mut Printer, payload: &[u8]) -> String {
        let event = Event {
            time: 81_000_123_500,
            payload,
        };
        let mut out = Vec::new();
        printer.line(2, &event, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn wakeup(pid: i32) -> Vec<u8> {
        payload(1, &[b"kworker/u8:1\0\0\0\0", &pid.to_ne_bytes()])
    }

    #[test]
    fn lines_of_trace_pipe() {
        let mut printer = printer(true);
        assert_eq!(
            line(&mut printer, &wakeup(70)),
            "           <...>-7       [002] d..2.    81.000124: sched_wakeup: \
             comm=kworker/u8:1 pid=70\n"
        );
        // It names itself.
        assert_eq!(
            line(&mut printer, &wakeup(7)),
            "    kworker/u8:1-7       [002] d..2.    81.000124: sched_wakeup: \
             comm=kworker/u8:1 pid=7\n"
        );
        assert_eq!(
            line(&mut printer, &payload(99, &[&[1, 2]])),
            "    kworker/u8:1-7       [002] d..2.    81.000124: unknown event 99 0102\n"
        );
        assert_eq!(
            line(&mut self::printer(false), &[]),
            "          <idle>-0       [002] .....  81000123500: unknown event 0 \n"
        );
    }

    #[test]
    fn a_fallback_says_so() {
        let mut printer = printer(true);
        let odd = payload(2, &[&5i32.to_ne_bytes()]);
        assert!(line(&mut printer, &odd).ends_with(": odd: x=5\n"));
        assert_eq!(printer.reason(2), Some("the function f()"));
        assert_eq!(printer.reason(1), None);
        assert_eq!(printer.reason(99), None);
        assert_eq!(printer.reason(6), None);
    }

    #[test]
    fn events_of_the_kernels_own() {
        let mut printer = printer(true);
        let mut shown = |id, rest: &[&[u8]]| {
            let line = line(&mut printer, &payload(id, rest));
            line.split_once(".000124: ").unwrap().1.to_owned()
        };
        let (first, second) = (FIRST.to_ne_bytes(), SECOND.to_ne_bytes());
        assert_eq!(shown(3, &[&first, b"hello\n\0"]), "first: hello\n");
        let address = 0x10u64.to_ne_bytes();
        let arguments = [&5i32.to_ne_bytes()[..], b"abc\0"].concat();
        assert_eq!(
            shown(4, &[&first, &address, &arguments]),
            "first: n=5 abc\n"
        );
        // Without its arguments.
        assert_eq!(shown(4, &[&first, &address]), "first: n=%d %s\n");
        assert_eq!(shown(5, &[&first, &second]), "first <-second\n");
        let stack = [&2i32.to_ne_bytes()[..], &[0; 4], &first, &second, &[1; 48]].concat();
        assert_eq!(
            shown(6, &[&stack]),
            "<stack trace>\n => first\n => second\n"
        );
        let stack = [
            &7u32.to_ne_bytes()[..],
            &[0; 4],
            &0x4496e0u64.to_ne_bytes(),
            &[0; 56],
        ];
        assert_eq!(
            shown(9, &[&stack.concat()]),
            "<user stack trace>\n =>  <00000000004496e0>\n"
        );
        assert_eq!(
            shown(7, &[&1u32.to_ne_bytes(), &[1, 2, 3, 0]]),
            "# 1 buf: 01 02 03 00\n"
        );
        assert_eq!(
            shown(8, &[&first, &0x20u64.to_ne_bytes()]),
            "first: plain\n"
        );
    }

    #[test]
    fn losses() {
        let mut out = Vec::new();
        let printer = printer(true);
        printer.lost(1, Loss::Known(12), &mut out);
        printer.lost(1, Loss::Unknown, &mut out);
        printer.json_lost(1, Loss::Known(12), &mut out);
        printer.json_lost(1, Loss::Unknown, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "CPU:1 [LOST 12 EVENTS]\nCPU:1 [LOST EVENTS]\n\
             {\"cpu\":1,\"lost\":12}\n{\"cpu\":1,\"lost\":null}\n"
        );
    }

    #[test]
    fn json() {
        let mut out = Vec::new();
        let payload = wakeup(7);
        let event = Event {
            time: 9,
            payload: &payload,
        };
        printer(true).json(2, &event, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"time\":9,\"cpu\":2,\"pid\":7,\"comm\":\"kworker/u8:1\",\"flags\":\"d..2.\",\
             \"event\":\"sched:sched_wakeup\",\
             \"fields\":{\"comm\":\"kworker/u8:1\",\"pid\":7}}\n"
        );
    }

    proptest! {
        #[test]
        fn any_event(id in 0u16..10, bytes in prop::collection::vec(any::<u8>(), 0..100), time: u64) {
            let payload = payload(id, &[&bytes]);
            let event = Event { time, payload: &payload };
            for clock_is_ns in [true, false] {
                let mut printer = printer(clock_is_ns);
                let mut out = Vec::new();
                printer.line(0, &event, &mut out);
                let text = String::from_utf8(out);
                let plain = text.is_ok_and(|t| t.ends_with('\n') && !t.contains(['\x1b', '\0']));
                prop_assert!(plain);

                let mut out = Vec::new();
                printer.json(0, &event, &mut out);
                let object: serde_json::Value = serde_json::from_slice(&out).unwrap();
                prop_assert_eq!(&object["time"], time);
                prop_assert_eq!(&object["pid"], 7);
                prop_assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
            }
        }
    }
}
