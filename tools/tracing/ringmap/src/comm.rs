// SPDX-License-Identifier: LGPL-2.1-or-later

//! Names of processes (`comm`) for the pids that events have.

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasherDefault, Hasher};

use crate::decode::Value;
use crate::event::Event;
use crate::format::{Field, Format, Kind};

/// The kernel's length of a comm, with its NUL.
const COMM: usize = 16;

/// What is said of a pid whose comm nobody knows.
const UNKNOWN: Comm = Comm::new(b"<...>");

/// The comm of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Comm {
    bytes: [u8; COMM],
    len: u8,
}

impl Comm {
    /// Up to the first NUL.
    const fn new(text: &[u8]) -> Self {
        let mut comm = Comm {
            bytes: [0; COMM],
            len: 0,
        };
        let mut n = 0;
        while n < text.len() && n < COMM - 1 && text[n] != 0 {
            comm.bytes[n] = text[n];
            n += 1;
        }
        comm.len = n as u8;
        comm
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Pids are small numbers that the kernel chose: a multiplication spreads them well enough.
#[derive(Debug, Default, Clone, Copy)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_i32(i32::from(*byte) ^ self.0 as i32);
        }
    }

    fn write_i32(&mut self, pid: i32) {
        self.0 = u64::from(pid as u32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The names of processes, by pid.
///
/// They come from events that were seen ([`learn`](Self::learn)), from the kernel's list
/// ([`add_saved`](Self::add_saved)), and, if that is wanted, from `/proc`. The latest wins: a pid
/// may be used again, and a process may change its name.
#[derive(Debug, Clone, Default)]
pub struct Comms {
    by_pid: HashMap<i32, Comm, BuildHasherDefault<Spread>>,
    proc: bool,
}

impl Comms {
    /// Knows of pid 0 only, which is `<idle>`.
    pub fn new() -> Self {
        let mut comms = Comms::default();
        comms.insert(0, b"<idle>");
        comms
    }

    /// Look into `/proc` for pids of which nothing is known: right only for events of this machine,
    /// and of now. It is done once for each pid.
    pub fn use_proc(&mut self, yes: bool) {
        self.proc = yes;
    }

    /// Adds what stands in `saved_cmdlines`: a pid and a name in each line.
    pub fn add_saved(&mut self, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii_start();
            let space = line.iter().position(|byte| *byte == b' ').unwrap_or(0);
            let (pid, comm) = line.split_at(space);
            let pid = std::str::from_utf8(pid).unwrap_or_default();
            match (pid.parse(), comm) {
                (Ok(_), b" <...>") => {}
                (Ok(pid), [_, comm @ ..]) => self.insert(pid, comm),
                _ => {}
            }
        }
    }

    /// Sets the name of a pid. What is too long is cut, as the kernel does.
    pub fn insert(&mut self, pid: i32, comm: &[u8]) {
        self.by_pid.insert(pid, Comm::new(comm));
    }

    /// The name of a pid; `<...>` if it is not known.
    pub fn get(&mut self, pid: i32) -> &[u8] {
        let proc = self.proc;
        match proc {
            true => self
                .by_pid
                .entry(pid)
                .or_insert_with(|| of_proc(pid).unwrap_or(UNKNOWN))
                .as_bytes(),
            false => self.by_pid.get(&pid).unwrap_or(&UNKNOWN).as_bytes(),
        }
    }

    /// Takes the names that an event has.
    pub fn learn(&mut self, from: &Lessons, event: &Event<'_>) {
        if let Some((pid, path)) = &from.exec {
            let pid = pid.i64(event).and_then(|pid| pid.try_into().ok());
            if let (Some(pid), Value::Text(path)) = (pid, path.value(event.payload)) {
                let name = path.rsplit(|byte| *byte == b'/').next();
                self.insert(pid, name.unwrap_or(path));
            }
        }
        for (pid, comm) in &from.pairs {
            let Some(bytes) = event.payload.get(comm.clone()) else {
                continue;
            };
            let pid = event.payload.get(*pid..).and_then(|p| p.first_chunk());
            let Some(pid) = pid.copied().map(i32::from_ne_bytes).filter(|pid| *pid != 0) else {
                continue;
            };
            let comm = Comm::new(bytes);
            if comm.len > 0 {
                self.by_pid.insert(pid, comm);
            }
        }
    }
}

fn of_proc(pid: i32) -> Option<Comm> {
    let comm = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(Comm::new(comm.trim_ascii_end()))
}

/// Which fields of a type of event name processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lessons {
    /// Where a pid lies, and where its comm.
    pairs: Vec<(usize, std::ops::Range<usize>)>,
    /// The pid of a process that runs another program now, and that program's path, after whose
    /// last part the kernel names it.
    exec: Option<(Field, Field)>,
}

/// Events that name processes: the pid's field and that of the comm. Not those that name one which
/// is about to get another name.
const PAIRS: [(&str, &str, &str); 9] = [
    ("sched_switch", "prev_pid", "prev_comm"),
    ("sched_switch", "next_pid", "next_comm"),
    ("sched_waking", "pid", "comm"),
    ("sched_wakeup", "pid", "comm"),
    ("sched_wakeup_new", "pid", "comm"),
    ("sched_process_fork", "child_pid", "child_comm"),
    ("sched_migrate_task", "pid", "comm"),
    ("task_newtask", "pid", "comm"),
    ("task_rename", "pid", "newcomm"),
];

impl Lessons {
    /// Those of an event; mostly none.
    pub fn of(format: &Format) -> Self {
        let field = |name: &str| format.field(name);
        let pairs = PAIRS.iter().filter(|(event, ..)| *event == format.name);
        let pairs = pairs.filter_map(|(_, pid, comm)| pair(field(pid)?, field(comm)?));
        let exec = match format.name.as_str() {
            "sched_process_exec" => field("pid").cloned().zip(field("filename").cloned()),
            _ => None,
        };
        Lessons {
            pairs: pairs.collect(),
            exec,
        }
    }
}

fn pair(pid: &Field, comm: &Field) -> Option<(usize, std::ops::Range<usize>)> {
    let plain = pid.size == 4 && comm.kind == Kind::Text && comm.size > 0;
    let end = comm.offset.checked_add(comm.size)?;
    plain.then_some((pid.offset, comm.offset..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tests::format;
    use proptest::prelude::*;

    fn switch() -> Format {
        format(
            "sched_switch",
            1,
            "\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
             \tfield:pid_t prev_pid;\toffset:24;\tsize:4;\tsigned:1;\n\
             \tfield:char next_comm[16];\toffset:28;\tsize:16;\tsigned:0;\n\
             \tfield:pid_t next_pid;\toffset:44;\tsize:4;\tsigned:1;\n",
        )
    }

    #[test]
    fn events_name_processes() {
        let mut payload = vec![0; 48];
        payload[8..12].copy_from_slice(b"make");
        payload[24..28].copy_from_slice(&7i32.to_ne_bytes());
        payload[28..37].copy_from_slice(b"swapper/0");
        let event = Event {
            time: 0,
            payload: &payload,
        };
        let mut comms = Comms::new();
        let lessons = Lessons::of(&switch());
        assert_eq!(comms.get(7), b"<...>");
        comms.learn(&lessons, &event);
        assert_eq!(comms.get(7), b"make");
        // The idle tasks are many, with one pid.
        assert_eq!(comms.get(0), b"<idle>");
        assert_eq!(Lessons::of(&format("other", 2, "")), Lessons::default());
    }

    #[test]
    fn a_program_names_its_process() {
        let exec = format(
            "sched_process_exec",
            1,
            "\tfield:__data_loc char[] filename;\toffset:8;\tsize:4;\tsigned:0;\n\
             \tfield:pid_t pid;\toffset:12;\tsize:4;\tsigned:1;\n",
        );
        let mut payload = vec![0; 8];
        payload.extend((16u32 | 9 << 16).to_ne_bytes());
        payload.extend(7i32.to_ne_bytes());
        payload.extend(b"/bin/cat\0");
        let mut comms = Comms::new();
        let event = Event {
            time: 0,
            payload: &payload,
        };
        comms.learn(&Lessons::of(&exec), &event);
        assert_eq!(comms.get(7), b"cat");
    }

    #[test]
    fn the_kernels_list() {
        let mut comms = Comms::new();
        comms.add_saved(b"1 init\n 12 kworker/0:1 x\n13 <...>\nx y\n14\n99999999999 z\n");
        assert_eq!(comms.get(1), b"init");
        assert_eq!(comms.get(12), b"kworker/0:1 x");
        assert_eq!(comms.get(13), b"<...>");
        assert_eq!(comms.get(14), b"<...>");
    }

    #[test]
    fn proc() {
        let mut comms = Comms::new();
        comms.use_proc(true);
        let own = std::process::id() as i32;
        assert_ne!(comms.get(own), b"<...>");
        assert_eq!(comms.get(-1), b"<...>");
    }

    proptest! {
        #[test]
        fn any_event(payload in prop::collection::vec(any::<u8>(), 0..60), text in "\\PC*") {
            let mut comms = Comms::new();
            comms.learn(&Lessons::of(&switch()), &Event { time: 0, payload: &payload });
            comms.add_saved(text.as_bytes());
            comms.insert(3, text.as_bytes());
            prop_assert!(comms.get(3).len() < COMM);
        }
    }
}
