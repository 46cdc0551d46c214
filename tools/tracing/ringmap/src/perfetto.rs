// SPDX-License-Identifier: LGPL-2.1-or-later

//! Traces for Perfetto: what `ui.perfetto.dev` and `trace_processor` open.
//!
//! Such a file is a list of packets. Here each sub-buffer becomes a packet with the events of one
//! CPU (`FtraceEventBundle`). Events that Perfetto knows (scheduler, interrupts, timers, work queues,
//! frequencies, system calls, marks of user space and some more) have a message of their own, in
//! which a field that Perfetto has no number for is missing; all others are generic events with all
//! fields.
//!
//! Times are those of the trace clock, and Perfetto takes them for nanoseconds since boot: right with
//! the clock `boot`, shifted as a whole with `local`, `global` and `mono`, and no times at all with a
//! clock that counts anything else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{self, Write};

use crate::decode::Value;
use crate::event::{Event, Events};
use crate::format::{Format, Formats};
use crate::mapping::{Commit, PAGE_HEADER};

mod known;
mod proto;
#[cfg(test)]
mod tests;

use proto::Message;

/// Fields of `Trace`, `TracePacket`, and what is in these.
const PACKET: u32 = 1;
const FTRACE_EVENTS: u32 = 1;
const PROCESS_TREE: u32 = 2;
const SEQUENCE: u32 = 10;
const SYSTEM_INFO: u32 = 45;

/// Fields of `FtraceEventBundle`, `FtraceEvent` and `GenericFtraceEvent`.
const BUNDLE_CPU: u32 = 1;
const BUNDLE_EVENT: u32 = 2;
const BUNDLE_LOST: u32 = 3;
const EVENT_TIME: u32 = 1;
const EVENT_PID: u32 = 2;
const EVENT_FLAGS: u32 = 5;
const EVENT_GENERIC: u32 = 327;
const GENERIC_NAME: u32 = 1;
const GENERIC_FIELD: u32 = 2;
const FIELD_NAME: u32 = 1;
const FIELD_TEXT: u32 = 3;
const FIELD_SIGNED: u32 = 4;
const FIELD_UNSIGNED: u32 = 5;

/// A thread, as far as a trace names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The process it belongs to.
    pub tgid: i32,
    /// Its name.
    pub name: String,
}

impl Task {
    /// What `/proc` says of a thread; nothing if there is none of that number any more.
    pub fn of_proc(tid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
        Task::parse(&status)
    }

    fn parse(status: &str) -> Option<Self> {
        let value = |key| {
            let mut lines = status.lines().filter_map(|line| line.split_once(':'));
            Some(lines.find(|(name, _)| *name == key)?.1.trim())
        };
        Some(Task {
            tgid: value("Tgid")?.parse().ok()?,
            name: value("Name")?.into(),
        })
    }
}

/// How to write the events of a type.
#[derive(Debug)]
enum Plan {
    /// The number of the message, and for each of its fields which one of the event it is, its
    /// number, and whether it is a text.
    Known(u32, Vec<(usize, u32, bool)>),
    Generic,
}

impl Plan {
    fn new(format: &Format) -> Self {
        let Some((message, fields)) = known::message(&format.name) else {
            return Plan::Generic;
        };
        let place = |name| format.fields.iter().position(|field| field.name == name);
        let fields = fields.filter_map(|f| Some((place(f.name)?, f.number, f.is_text)));
        Plan::Known(message, fields.collect())
    }
}

/// Writes a trace.
#[derive(Debug)]
pub struct Exporter<'a, W> {
    out: W,
    formats: &'a Formats,
    plans: HashMap<u16, Plan>,
    tids: BTreeSet<i32>,
}

impl<'a, W: Write> Exporter<'a, W> {
    /// Begins a trace of this machine.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn new(out: W, formats: &'a Formats) -> io::Result<Self> {
        let mut exporter = Exporter {
            out,
            formats,
            plans: HashMap::new(),
            tids: BTreeSet::new(),
        };
        // How the state of a task is to be understood depends on the version.
        let mut utsname = Message::default();
        for (field, file) in [(1, "ostype"), (2, "version"), (3, "osrelease")] {
            if let Ok(text) = fs::read(format!("/proc/sys/kernel/{file}")) {
                utsname.text(field, text.trim_ascii());
            }
        }
        utsname.text(4, std::env::consts::ARCH.as_bytes());
        let mut info = Message::default();
        info.bytes(1, &utsname.0);
        exporter.packet(SYSTEM_INFO, &info)?;
        Ok(exporter)
    }

    fn packet(&mut self, field: u32, message: &Message) -> io::Result<()> {
        let mut packet = Message::default();
        packet.bytes(field, &message.0);
        packet.number(SEQUENCE, 1);
        let mut trace = Message::default();
        trace.bytes(PACKET, &packet.0);
        self.out.write_all(&trace.0)
    }

    /// Adds the events of a sub-buffer as a file or `trace_pipe_raw` has it: with its header. Those
    /// of one CPU must come in order.
    ///
    /// # Errors
    ///
    /// Those of the file; [`io::ErrorKind::InvalidData`] if it is no sub-buffer.
    pub fn page(&mut self, cpu: u32, page: &[u8]) -> io::Result<()> {
        let word = |at| {
            let bytes: Option<[u8; 8]> = page.get(at..at + 8).and_then(|b| b.try_into().ok());
            bytes.map(u64::from_ne_bytes)
        };
        let (Some(time), Some(commit)) = (word(0), word(8)) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let commit = Commit::from_word(commit);
        let data = page.get(PAGE_HEADER..PAGE_HEADER + commit.size());
        let data = data.ok_or(io::ErrorKind::InvalidData)?;
        self.events(cpu, Events::new(data, time), commit.missed())
    }

    /// Adds events of a CPU. `lost` says that others were lost before.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn events(&mut self, cpu: u32, events: Events<'_>, lost: bool) -> io::Result<()> {
        let mut bundle = Message::default();
        bundle.number(BUNDLE_CPU, cpu.into());
        for event in events {
            let message = self.event(&event);
            bundle.bytes(BUNDLE_EVENT, &message.0);
        }
        if lost {
            bundle.number(BUNDLE_LOST, 1);
        }
        self.packet(FTRACE_EVENTS, &bundle)
    }

    fn event(&mut self, event: &Event<'_>) -> Message {
        let mut message = Message::default();
        message.number(EVENT_TIME, event.time);
        let formats = self.formats;
        let id = event.id().unwrap_or_default();
        let Some(format) = formats.get(id) else {
            generic(&mut message, format!("event_{id}").as_bytes(), &[]);
            return message;
        };
        for (name, number) in [("common_pid", EVENT_PID), ("common_flags", EVENT_FLAGS)] {
            let mut fields = format.common.iter();
            let field = fields.find(|field| field.name == name);
            if let Some(value) = field.and_then(|field| number_of(&field.value(event.payload))) {
                message.number(number, value);
                if number == EVENT_PID {
                    self.tids.insert(value as i32);
                }
            }
        }

        let plan = self.plans.entry(id).or_insert_with(|| Plan::new(format));
        match plan {
            Plan::Known(number, fields) => {
                let mut inner = Message::default();
                for (at, number, is_text) in fields {
                    let Some(field) = format.fields.get(*at) else {
                        continue;
                    };
                    known_field(&mut inner, *number, *is_text, field.value(event.payload));
                }
                message.bytes(*number, &inner.0);
            }
            Plan::Generic => {
                let values = format.fields.iter();
                let values = values.map(|field| (&field.name[..], field.value(event.payload)));
                let values: Vec<_> = values.collect();
                generic(&mut message, format.name.as_bytes(), &values);
            }
        }
        message
    }

    /// Ends the trace with the names of those threads that `task` still knows, for example
    /// [`Task::of_proc`], and returns the file.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub fn finish(mut self, mut task: impl FnMut(i32) -> Option<Task>) -> io::Result<W> {
        let mut tree = Message::default();
        let mut processes = BTreeMap::new();
        for tid in self.tids.iter().copied().filter(|tid| *tid > 0) {
            let Some(found) = task(tid) else {
                continue;
            };
            let mut thread = Message::default();
            thread.number(1, tid as u64);
            thread.number(3, found.tgid as u64);
            thread.text(2, found.name.as_bytes());
            tree.bytes(2, &thread.0);
            if tid == found.tgid {
                processes.insert(tid, found.name);
            } else if let Some(leader) = task(found.tgid) {
                processes.insert(found.tgid, leader.name);
            }
        }
        for (pid, name) in &processes {
            let mut process = Message::default();
            process.number(1, *pid as u64);
            process.text(3, name.as_bytes());
            process.number(9, 1);
            tree.bytes(1, &process.0);
        }
        if !tree.0.is_empty() {
            self.packet(PROCESS_TREE, &tree)?;
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A value that is a number, as protocol buffers have it.
fn number_of(value: &Value<'_>) -> Option<u64> {
    match *value {
        Value::Signed(n) => Some(n as u64),
        Value::Unsigned(n) | Value::Hex(n) => Some(n),
        _ => None,
    }
}

fn known_field(out: &mut Message, number: u32, is_text: bool, value: Value<'_>) {
    match value {
        Value::Text(text) if is_text => out.text(number, text),
        Value::List(list) if !is_text => {
            for value in list.iter().filter_map(|value| number_of(&value)) {
                out.number(number, value);
            }
        }
        // The field changed its type since: better nothing than something else.
        value => {
            if let Some(value) = number_of(&value).filter(|_| !is_text) {
                out.number(number, value);
            }
        }
    }
}

fn generic(out: &mut Message, name: &[u8], fields: &[(&str, Value<'_>)]) {
    let mut generic = Message::default();
    generic.text(GENERIC_NAME, name);
    for (name, value) in fields {
        let mut field = Message::default();
        field.text(FIELD_NAME, name.as_bytes());
        match value {
            Value::Signed(n) => field.number(FIELD_SIGNED, *n as u64),
            Value::Unsigned(n) | Value::Hex(n) => field.number(FIELD_UNSIGNED, *n),
            Value::Text(text) => field.text(FIELD_TEXT, text),
            Value::Missing => continue,
            value => field.text(FIELD_TEXT, value.to_string().as_bytes()),
        }
        generic.bytes(GENERIC_FIELD, &field.0);
    }
    out.bytes(EVENT_GENERIC, &generic.0);
}
