// SPDX-License-Identifier: LGPL-2.1-or-later

//! What an instance traces, and how; and how it was before.
//!
//! A [`Control`] notes in an [`Undo`] how to take back what it changes: an instance that it made is
//! removed, one that was there gets its values back.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::select::{Catalog, Choice, Near, Selector, near};
use crate::tracefs::{Instance, Tracefs};
use crate::undo::{Step, Undo};
use crate::{Error, Result};

/// An instance whose settings are changed for a time.
#[derive(Debug)]
pub struct Control {
    instance: Instance,
    undo: Undo,
    /// It goes away at the end, and with it all its settings.
    own: bool,
    /// Whether the sizes are noted, and the threads that are not traced.
    sized: bool,
    untraced: bool,
}

/// An option of an instance that adds the children of the traced processes to them.
const EVENT_FORK: &str = "options/event-fork";

impl Control {
    /// Makes an instance of that name, which is removed when this is dropped. It traces nothing yet
    /// and is stopped: [`set_tracing_on`](Self::set_tracing_on).
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Permission`].
    pub fn make(tracefs: &Tracefs, name: &str, mut undo: Undo) -> Result<Self> {
        let path = tracefs.instance_path(name);
        undo.note(Step::Remove { path: path.clone() });
        fs::create_dir(&path).map_err(|e| Error::io("make an instance", &path, e))?;
        let mut control = Control {
            instance: tracefs.instance(Some(name))?,
            undo,
            own: true,
            sized: false,
            untraced: false,
        };
        control.set_tracing_on(false)?;
        Ok(control)
    }

    /// Changes an instance that is there. When this is dropped it gets its values back.
    pub fn borrow(instance: Instance, undo: Undo) -> Self {
        Control {
            instance,
            undo,
            own: false,
            sized: false,
            untraced: false,
        }
    }

    /// The instance.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// Whether the instance was made for this, and will be removed.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// Puts everything back. All that was opened in the instance must be closed.
    ///
    /// # Errors
    ///
    /// The first of those that occurred.
    pub fn finish(self) -> Result<()> {
        self.undo.finish()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.instance.dir().join(file)
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.path(file);
        fs::read_to_string(&path).map_err(|e| Error::io("read", &path, e))
    }

    /// Notes the value that a file has.
    fn note(&mut self, file: &str, value: impl Into<String>) {
        if !self.own {
            let path = self.path(file);
            let value = value.into();
            self.undo.note(Step::Write { path, value });
        }
    }

    /// Starts or stops the writing of events.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Permission`].
    pub fn set_tracing_on(&mut self, on: bool) -> Result<()> {
        let before = self.instance.tracing_on()?;
        if before != on {
            self.note("tracing_on", if before { "1" } else { "0" });
            self.instance.set_tracing_on(on)?;
        }
        Ok(())
    }

    /// Sets the sizes of each CPU's buffer and of its sub-buffers, in KiB; nothing for what may stay.
    /// A new size of sub-buffers empties the buffers, a smaller buffer loses what has no room.
    ///
    /// # Errors
    ///
    /// [`Error::SizeBusy`] if one is mapped or being read, [`Error::Io`], or [`Error::Permission`].
    pub fn set_sizes(&mut self, buffer_kb: Option<u32>, subbuf_kb: Option<u32>) -> Result<()> {
        if buffer_kb.or(subbuf_kb).is_none() {
            return Ok(());
        }
        // The size of a buffer depends on that of its sub-buffers, and is to be put back behind it.
        if !self.own && !self.sized {
            for cpu in self.instance.possible_cpus()? {
                let kb = self.instance.buffer_size(cpu)? / 1024;
                self.note(&format!("per_cpu/cpu{cpu}/buffer_size_kb"), kb.to_string());
            }
            if subbuf_kb.is_some() {
                let kb = self.read("buffer_subbuf_size_kb")?;
                self.note("buffer_subbuf_size_kb", kb.trim());
            }
            self.sized = true;
        }
        if let Some(kb) = subbuf_kb {
            self.instance.set_subbuf_kb(kb)?;
        }
        if let Some(kb) = buffer_kb {
            self.instance.set_buffer_kb(kb)?;
        }
        Ok(())
    }

    /// Sets the clock of the events. Another clock than before empties the buffers.
    ///
    /// # Errors
    ///
    /// [`Error::NoClock`] if there is none of that name, [`Error::Io`], or [`Error::Permission`].
    pub fn set_clock(&mut self, clock: &str) -> Result<()> {
        let text = self.read("trace_clock")?;
        let names = text.split_ascii_whitespace();
        let plain = |name: &str| name.trim_matches(['[', ']']).to_owned();
        if !names.clone().any(|name| plain(name) == clock) {
            return Err(Error::NoClock {
                clock: clock.into(),
                near: Near(near(clock, names.clone().map(plain))),
                all: names.map(plain).collect::<Vec<_>>().join(", "),
            });
        }
        let before = self.instance.clock()?;
        if before != clock {
            self.note("trace_clock", before);
            write(&self.path("trace_clock"), clock)?;
        }
        Ok(())
    }

    /// Traces these threads only, and with `children` what they start from now on.
    ///
    /// # Errors
    ///
    /// [`Error::NoProcess`] if one is none, [`Error::Io`], or [`Error::Permission`].
    pub fn set_pids(&mut self, pids: &[u32], children: bool) -> Result<()> {
        // The kernel takes any number.
        for pid in pids {
            let id = i32::try_from(*pid).ok().and_then(Pid::from_raw);
            let there = id.map(test_kill_process);
            if !matches!(there, Some(Ok(()) | Err(Errno::PERM))) {
                return Err(Error::NoProcess(*pid));
            }
        }
        // Before the pids, so that no child is missed.
        let before = self.read(EVENT_FORK)?.trim() == "1";
        if before != children {
            self.note(EVENT_FORK, if before { "1" } else { "0" });
            write(&self.path(EVENT_FORK), if children { "1" } else { "0" })?;
        }
        let before = self.read("set_event_pid")?;
        self.note("set_event_pid", before);
        let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
        write(&self.path("set_event_pid"), &pids.join(" "))
    }

    /// Does not trace these threads, whoever else is traced. A kernel before 5.7 cannot do that.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], or [`Error::Permission`].
    pub fn set_untraced_pids(&mut self, pids: &[u32]) -> Result<()> {
        const FILE: &str = "set_event_notrace_pid";
        if !self.path(FILE).exists() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.untraced, true) {
            let before = self.read(FILE)?;
            self.note(FILE, before);
        }
        let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
        write(&self.path(FILE), &pids.join(" "))
    }

    /// Enables events, those with a filter once it is set. What is enabled already stays so.
    ///
    /// # Errors
    ///
    /// [`Error::NoEvent`] and [`Error::BadFilter`], each with what is near; [`Error::Io`] or
    /// [`Error::Permission`].
    pub fn enable(&mut self, catalog: &Catalog, selectors: &[Selector]) -> Result<()> {
        // All of them are looked up before the first one is enabled.
        let mut choices = Vec::new();
        for selector in selectors {
            let found = catalog.find(selector)?.into_iter();
            choices.extend(found.map(|choice| (choice, selector.filter())));
        }
        for (choice, filter) in choices {
            let (system, events) = match &choice {
                Choice::System { system } => (system, catalog.events(system)),
                Choice::Event { system, event } => (system, std::slice::from_ref(event)),
            };
            for event in events {
                if let Some(filter) = filter {
                    self.set_filter(system, event, filter)?;
                }
                if !self.own {
                    let file = format!("events/{system}/{event}/enable");
                    let before = self.read(&file)?;
                    // «1*» and «0*» are enabled or not, with a trigger.
                    if before.starts_with('0') {
                        self.note(&file, "0");
                    }
                }
            }
            let file = match &choice {
                Choice::System { system } => format!("events/{system}/enable"),
                Choice::Event { system, event } => format!("events/{system}/{event}/enable"),
            };
            write(&self.path(&file), "1")?;
        }
        Ok(())
    }

    fn set_filter(&mut self, system: &str, event: &str, filter: &str) -> Result<()> {
        let file = format!("events/{system}/{event}/filter");
        if !self.own {
            let before = self.read(&file)?;
            let before = match before.trim() {
                "none" => "0",
                before => before,
            };
            self.note(&file, before);
        }
        match write(&self.path(&file), filter) {
            Err(Error::Io { source, .. })
                if Errno::from_io_error(&source) == Some(Errno::INVAL) =>
            {
                let format = self.path(&format!("events/{system}/{event}/format"));
                let format = fs::read_to_string(format).unwrap_or_default();
                Err(Error::BadFilter {
                    event: format!("{system}:{event}"),
                    filter: filter.into(),
                    reason: self
                        .last_error(filter)
                        .unwrap_or("the kernel does not say why".into()),
                    near: Near(near_field(filter, &format)),
                })
            }
            done => done,
        }
    }

    /// What the kernel says about a command that it has just refused.
    fn last_error(&self, command: &str) -> Option<String> {
        let log = self.read("error_log").ok()?;
        let lines: Vec<_> = log.lines().collect();
        let command = format!("  Command: {command}");
        let at = lines
            .iter()
            .rposition(|line| line.trim_end() == command.trim_end())?;
        let said = lines.get(at.checked_sub(1)?)?;
        let (_, said) = said.split_once(": error: ")?;
        Some(said.trim().into())
    }
}

fn write(path: &Path, value: &str) -> Result<()> {
    fs::write(path, value).map_err(|e| Error::io("write to", path, e))
}

/// The fields that were meant by a word of a filter which is none.
fn near_field(filter: &str, format: &str) -> Vec<String> {
    let fields = format.lines().filter_map(|line| {
        let declaration = line.trim().strip_prefix("field:")?.split(';').next()?;
        let name = declaration.split_ascii_whitespace().last()?;
        Some(name.split('[').next()?.trim_start_matches('*').to_owned())
    });
    let fields: Vec<_> = fields.chain(["CPU".into(), "COMM".into()]).collect();
    // What is quoted is a value.
    let outside = filter.split('"').step_by(2);
    let words =
        outside.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let mut wrong = words.filter(|word| {
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && !fields.iter().any(|field| field == word)
    });
    wrong
        .next()
        .map_or(Vec::new(), |word| near(word, fields.iter().cloned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracefs::tests::Fake;

    fn borrow(fake: &Fake) -> Control {
        let instance = fake.tracefs().instance(Some("theirs")).unwrap();
        Control::borrow(instance, Undo::new())
    }

    fn enable(control: &mut Control, text: &str) -> Result<()> {
        let catalog = Catalog::load(control.instance()).unwrap();
        let selectors: Result<Vec<Selector>> = text.split_whitespace().map(str::parse).collect();
        control.enable(&catalog, &selectors?)
    }

    #[test]
    fn what_was_there_is_as_it_was() {
        let fake = Fake::new();
        fake.put("instances/theirs/set_event_pid", "7\n8\n");
        fake.put("instances/theirs/events/sched/sched_waking/enable", "1\n");
        let mut control = borrow(&fake);
        control.set_tracing_on(false).unwrap();
        control.set_sizes(Some(64), Some(8)).unwrap();
        control.set_clock("global").unwrap();
        let me = std::process::id();
        control.set_pids(&[me, 1], true).unwrap();
        enable(
            &mut control,
            "sched:sched_waking sched:sched_switch:prev_pid==1",
        )
        .unwrap();

        let now = |file: &str| fake.get(&format!("instances/theirs/{file}"));
        assert_eq!(now("tracing_on"), "0");
        assert_eq!(now("buffer_size_kb"), "64");
        assert_eq!(now("buffer_subbuf_size_kb"), "8");
        assert_eq!(now("trace_clock"), "global");
        assert_eq!(now("set_event_pid"), format!("{me} 1"));
        assert_eq!(now("options/event-fork"), "1");
        assert_eq!(now("events/sched/sched_switch/enable"), "1");
        assert_eq!(now("events/sched/sched_switch/filter"), "prev_pid==1");

        control.finish().unwrap();
        assert_eq!(now("tracing_on"), "1");
        for cpu in 0..2 {
            assert_eq!(now(&format!("per_cpu/cpu{cpu}/buffer_size_kb")), "1408");
        }
        assert_eq!(now("buffer_subbuf_size_kb"), "4");
        assert_eq!(now("trace_clock"), "local");
        assert_eq!(now("set_event_pid"), "7\n8\n");
        assert_eq!(now("options/event-fork"), "0");
        assert_eq!(now("events/sched/sched_switch/enable"), "0");
        assert_eq!(now("events/sched/sched_switch/filter"), "0");
        assert_eq!(now("events/sched/sched_waking/enable"), "1");
    }

    #[test]
    fn what_is_so_already_is_not_written() {
        let fake = Fake::new();
        let before = fake.tree("instances/theirs");
        let mut control = borrow(&fake);
        control.set_tracing_on(true).unwrap();
        control.set_sizes(None, None).unwrap();
        control.set_clock("local").unwrap();
        assert_eq!(fake.tree("instances/theirs"), before);
        control.finish().unwrap();
        assert_eq!(fake.tree("instances/theirs"), before);
    }

    #[test]
    fn one_wrong_event_enables_none() {
        let fake = Fake::new();
        let mut control = borrow(&fake);
        let e = enable(&mut control, "sched:sched_switch sched:sched_wakin").unwrap_err();
        assert!(e.to_string().contains("'sched:sched_waking'"), "{e}");
        let enabled = fake.get("instances/theirs/events/sched/sched_switch/enable");
        assert_eq!(enabled, "0\n");
    }

    #[test]
    fn a_clock_that_there_is_not() {
        let fake = Fake::new();
        let mut control = borrow(&fake);
        let e = control.set_clock("globl").unwrap_err().to_string();
        assert!(e.contains("did you mean 'global'"), "{e}");
        assert!(e.contains("local, global, counter"), "{e}");
    }

    #[test]
    fn a_process_that_there_is_not() {
        let fake = Fake::new();
        let mut control = borrow(&fake);
        for pid in [0, u32::MAX, 1 << 22] {
            let e = control
                .set_pids(&[std::process::id(), pid], false)
                .unwrap_err();
            assert_eq!(e.to_string(), format!("no such process: {pid}"));
        }
        assert_eq!(fake.get("instances/theirs/set_event_pid"), "");
    }

    #[test]
    fn an_own_instance_goes_at_the_end() {
        let fake = Fake::new();
        let path = fake.tracefs().instance_path("mine");
        // What the kernel would put there is missing.
        let e = Control::make(&fake.tracefs(), "mine", Undo::new()).unwrap_err();
        assert!(e.to_string().contains("tracing_on"), "{e}");
        assert!(!path.exists());
    }

    #[test]
    fn what_the_kernel_says_of_a_filter() {
        let fake = Fake::new();
        fake.put(
            "instances/theirs/error_log",
            "[   10.000000] event filter parse error: error: Too many brackets\n\
             \x20 Command: prev_pid==1\n             ^\n\
             [   12.123456] event filter parse error: error: Field not found\n\
             \x20 Command: prev_pidd==1\n                     ^\n",
        );
        let control = borrow(&fake);
        let said = |filter| control.last_error(filter);
        assert_eq!(said("prev_pidd==1").as_deref(), Some("Field not found"));
        assert_eq!(said("prev_pid==1").as_deref(), Some("Too many brackets"));
        assert_eq!(said("x==1"), None);
    }

    #[test]
    fn the_field_that_was_meant() {
        let format = "name: x\nformat:\n\tfield:int common_pid;\toffset:4;\n\n\
                      \tfield:char prev_comm[16];\toffset:8;\n\tfield:pid_t prev_pid;\toffset:9;\n";
        assert_eq!(near_field("prev_pidd == 1", format), ["prev_pid"]);
        assert_eq!(
            near_field("prev_pid == 1 && pre_comm == \"x y\"", format),
            ["prev_comm"]
        );
        assert_eq!(near_field("prev_comm ~ \"prev_pidd\"", format), [""; 0]);
        assert_eq!(near_field("prev_pid == 0x10", format), [""; 0]);
    }
}
