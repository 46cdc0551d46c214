// SPDX-License-Identifier: LGPL-2.1-or-later

//! A run that takes events: prepared, started, watched, ended. Whatever it changes is put back, also
//! if it fails on the way.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cli::{Choose, Target};
use crate::guard::Guard;
use crate::launch::{Launched, Output};
use crate::signals::Stop;
use ringmap::account::Books;
use ringmap::control::Control;
use ringmap::cpulist;
use ringmap::format::{Format, Formats};
use ringmap::hotplug::Waiting;
use ringmap::reader::CpuBuffer;
use ringmap::select::{Catalog, Selector};
use ringmap::stream::{Options, Progress, Sink, Source, Stream, Summary};
use ringmap::tracefs::{Instance, Tracefs};
use ringmap::undo::Undo;

/// How soon a CPU that comes online is noticed.
const CPUS: Duration = Duration::from_millis(200);

/// What the instances of this program are called, before the number of their process.
const OWN: &str = "ringmap-";

/// Makes a sink for each CPU.
pub type Sinks = Box<dyn FnMut(u32) -> ringmap::Result<Option<Sink>>>;

/// The tracefs that is meant.
pub fn tracefs(path: Option<&std::path::PathBuf>) -> ringmap::Result<Tracefs> {
    match path {
        Some(path) => Tracefs::at(path),
        None => Tracefs::find(),
    }
}

/// The instance of that name, or the top-level one.
pub fn instance(tracefs: &Tracefs, name: Option<&str>) -> ringmap::Result<Instance> {
    tracefs.instance(name.filter(|name| *name != "."))
}

/// The CPUs that are wanted; none means all.
pub fn cpus(target: &Target) -> ringmap::Result<Option<Vec<u32>>> {
    target.cpus.as_deref().map(cpulist::parse).transpose()
}

/// Removes what runs that were killed have left.
fn remove_dead(tracefs: &Tracefs) {
    for name in tracefs.instances().unwrap_or_default() {
        let pid = name
            .strip_prefix(OWN)
            .and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !lives(pid)) {
            // One in use cannot be removed, which is as well.
            let _ = tracefs.remove_instance(&name);
        }
    }
}

/// Whether that process is one of this program.
fn lives(pid: u32) -> bool {
    let name = fs::read_to_string(format!("/proc/{pid}/comm"));
    // Without /proc, nobody is known to be dead.
    match name {
        Ok(name) => name.starts_with("ringmap"),
        Err(_) => !fs::exists("/proc/self").unwrap_or(false),
    }
}

/// A run that is prepared. What was opened goes before what was made, and the process that stands by
/// last.
pub struct Session {
    pub tracefs: Tracefs,
    pub formats: Arc<Formats>,
    pub sources: Vec<Source>,
    command: Option<Launched>,
    waiting: Waiting,
    control: Control,
    guard: Guard,
}

impl Session {
    /// Makes or borrows an instance, sets it up, and opens its buffers. Nothing is traced yet in an
    /// own one.
    pub fn open(
        target: &Target,
        choose: &Choose,
        events: &[Selector],
        output: Output,
    ) -> Result<Self> {
        let tracefs = tracefs(target.tracefs.as_ref())?;
        remove_dead(&tracefs);
        // Fails before anything is changed.
        let borrowed = match &target.instance {
            Some(name) => Some(instance(&tracefs, Some(name))?),
            None => None,
        };
        let (guard, undo) = Guard::start();
        let mut control = match borrowed {
            Some(instance) => Control::borrow(instance, undo),
            None => own(&tracefs, undo)?,
        };
        set_up(&tracefs, &mut control, choose)?;

        let mut command = None;
        if !choose.command.is_empty() {
            command = Some(Launched::start(&choose.command, output)?);
        }
        let mut pids = Vec::new();
        for pid in &choose.pids {
            pids.extend(threads(*pid)?);
        }
        pids.extend(command.as_ref().filter(|_| !choose.all).map(Launched::pid));
        if !pids.is_empty() {
            let children = choose.follow || command.is_some();
            control.set_pids(&pids, children)?;
        }
        if !events.is_empty() {
            control.enable(&Catalog::load(control.instance())?, events)?;
        }

        let formats = Arc::new(formats(&tracefs, &control)?);
        let mut waiting = Waiting::new(control.instance(), cpus(target)?.as_deref())?;
        let mut sources = Vec::new();
        for cpu in waiting.first()? {
            sources.push(source(control.instance(), cpu)?);
        }
        ensure!(!sources.is_empty(), "no CPU with a ring buffer is online");
        Ok(Session {
            tracefs,
            formats,
            sources,
            command,
            waiting,
            control,
            guard,
        })
    }

    pub fn instance(&self) -> &Instance {
        self.control.instance()
    }

    /// Says what is read, and how.
    pub fn tell(&self, out: &mut impl Write) -> io::Result<()> {
        let mut alike: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for Source { cpu, buffer, .. } in &self.sources {
            let g = buffer.geometry();
            let kib = g.subbuf_size / 1024;
            let count = g.nr_subbufs;
            let how = format!("{count} sub-buffers of {kib} KiB each, {}", buffer.access());
            alike.entry(how).or_default().push(*cpu);
        }
        for (how, cpus) in alike {
            writeln!(out, "cpu {}: {how}", cpulist::format(&cpus))?;
        }
        let waiting: Vec<_> = self.waiting.cpus().collect();
        if !waiting.is_empty() {
            let cpus = cpulist::format(&waiting);
            writeln!(out, "cpu {cpus}: offline, read when it comes")?;
        }
        Ok(())
    }

    /// Starts to read, then to trace, then the command.
    pub fn start(mut self, mut options: Options, mut sinks: Sinks) -> Result<Running> {
        options.clock_is_ns = self.instance().clock_is_ns()?;
        for source in &mut self.sources {
            source.sink = sinks(source.cpu)?;
        }
        // Of an instance that was there, a part may be read already.
        let instance = self.instance();
        let read = self
            .sources
            .iter()
            .map(|source| Ok(instance.stats(source.cpu)?.read));
        let read_before = read.sum::<ringmap::Result<u64>>()?;
        let stream = Stream::start(std::mem::take(&mut self.sources), &self.formats, options)?;
        self.control
            .set_untraced_pids(&threads(std::process::id())?)?;
        self.control.set_tracing_on(true)?;
        if let Some(command) = &mut self.command {
            command.resume()?;
        }
        let start = Instant::now();
        Ok(Running {
            stream,
            start,
            looked: start,
            read_before,
            sinks,
            session: self,
        })
    }
}

/// Makes an instance of this process.
pub fn own(tracefs: &Tracefs, undo: Undo) -> ringmap::Result<Control> {
    let name = format!("{OWN}{}", std::process::id());
    // That of a dead process with the same number.
    let _ = tracefs.remove_instance(&name);
    Control::make(tracefs, &name, undo)
}

/// Sizes and clock.
fn set_up(tracefs: &Tracefs, control: &mut Control, choose: &Choose) -> Result<()> {
    let instance = control.instance().clone();
    if control.is_own() {
        // The kernel knows whether its fastest clock is the same on all CPUs, and then has set the
        // top-level one.
        if choose.clock.is_none() && tracefs.instance(None)?.clock()? == "global" {
            control.set_clock("global")?;
        }
    } else if choose.reset {
        control.set_tracing_on(false)?;
        instance.reset()?;
    } else {
        let smaller = |kb: u32| -> ringmap::Result<bool> {
            let mut sizes = instance
                .possible_cpus()?
                .into_iter()
                .map(|cpu| instance.buffer_size(cpu));
            let largest = sizes.try_fold(0, |most, size| Ok(size?.max(most)));
            largest.map(|largest| u64::from(kb) * 1024 < largest)
        };
        let other = |clock: &String| -> ringmap::Result<bool> { Ok(*clock != instance.clock()?) };
        let option = match choose {
            _ if choose.subbuf_kb.is_some() => "--subbuf-kb",
            _ if choose.clock.as_ref().map(other).transpose()? == Some(true) => "--clock",
            _ if choose.buffer_kb.map(smaller).transpose()? == Some(true) => {
                "a smaller --buffer-kb"
            }
            _ => "",
        };
        if !option.is_empty() {
            bail!(
                "{option} throws away what is in the buffers of the instance: add --reset to allow it"
            );
        }
    }
    control.set_sizes(choose.buffer_kb, choose.subbuf_kb)?;
    if let Some(clock) = &choose.clock {
        control.set_clock(clock)?;
    }
    Ok(())
}

/// The threads of a process, or of a thread.
fn threads(pid: u32) -> Result<Vec<u32>> {
    let list = match fs::read_dir(format!("/proc/{pid}/task")) {
        Ok(list) => list,
        Err(e)
            if e.kind() == io::ErrorKind::NotFound && fs::exists("/proc/self").is_ok_and(|y| y) =>
        {
            return Err(ringmap::Error::NoProcess(pid).into());
        }
        Err(_) => return Ok(vec![pid]),
    };
    let names = list.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

/// The formats of the events that may come. In an own instance these are few, and reading those of
/// all would take longer than everything else before the first event.
fn formats(tracefs: &Tracefs, control: &Control) -> Result<Formats> {
    let root = tracefs.root().join("events");
    if !control.is_own() {
        return Ok(Formats::load(&root)?);
    }
    let enabled = fs::read_to_string(control.instance().dir().join("set_event"));
    let enabled = enabled.context("cannot read which events are enabled")?;
    let enabled = enabled
        .lines()
        .filter_map(|line| line.trim().split_once(':'));
    let mut names: Vec<_> = enabled
        .map(|(system, event)| (system, event.to_owned()))
        .collect();
    // What tracers and markers write needs not be enabled.
    for entry in fs::read_dir(root.join("ftrace"))
        .into_iter()
        .flatten()
        .flatten()
    {
        names.extend(
            entry
                .file_name()
                .into_string()
                .ok()
                .map(|event| ("ftrace", event)),
        );
    }
    let mut formats = Formats::default();
    for (system, event) in names {
        let text = fs::read_to_string(root.join(system).join(event).join("format"));
        if let Some(format) = text.ok().and_then(|text| Format::parse(system, &text)) {
            formats.insert(format);
        }
    }
    Ok(formats)
}

fn source(instance: &Instance, cpu: u32) -> Result<Source> {
    Ok(Source {
        cpu,
        buffer: CpuBuffer::open(instance, cpu)?,
        sink: None,
    })
}

/// A run that takes events.
pub struct Running {
    // It goes first: what it reads must be closed when the rest is put back.
    stream: Stream,
    start: Instant,
    looked: Instant,
    read_before: u64,
    sinks: Sinks,
    session: Session,
}

/// What a run has left.
pub struct Outcome {
    pub cpus: Vec<Cpu>,
    pub elapsed: Duration,
}

/// What is known of a CPU at the end.
pub struct Cpu {
    pub summary: Summary,
    pub books: Books,
    /// The size of its buffer.
    pub buffer_kb: u64,
}

impl Running {
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub fn formats(&self) -> &Formats {
        &self.session.formats
    }

    pub fn instance(&self) -> &Instance {
        self.session.instance()
    }

    /// What happened on each CPU so far.
    pub fn progress(&self) -> Vec<(u32, Progress)> {
        self.stream.progress()
    }

    /// Events that the kernel has written and not lost since the start.
    pub fn written(&self) -> u64 {
        let instance = self.instance();
        let cpus = self.progress();
        let stats = cpus.iter().filter_map(|(cpu, _)| instance.stats(*cpu).ok());
        let sum: u64 = stats.map(|stats| stats.read + stats.entries).sum();
        sum.saturating_sub(self.read_before)
    }

    /// Has the command end as with Ctrl-C.
    pub fn interrupt(&self) {
        if let Some(command) = &self.session.command {
            command.signal(rustix::process::Signal::INT);
        }
    }

    /// Looks after the CPUs and the command. Returns whether the run is over: a signal came, the
    /// command has ended, or a thread failed.
    pub fn over(&mut self, stop: &Stop) -> Result<bool> {
        if self.looked.elapsed() >= CPUS {
            self.looked = Instant::now();
            for cpu in self.session.waiting.come() {
                let mut source = source(self.session.instance(), cpu)?;
                source.sink = (self.sinks)(cpu)?;
                self.stream.add(source)?;
                let control = &mut self.session.control;
                control.set_untraced_pids(&threads(std::process::id())?)?;
            }
        }
        let mut over = stop.came() || self.stream.failed();
        if let Some(command) = &mut self.session.command {
            over |= command.ended()?.is_some();
            if let Some(signal) = stop.take_own() {
                command.signal(signal);
            }
        }
        Ok(over)
    }

    /// Ends it. If tracing is `stopped` before, what is left is read.
    pub fn finish(self, stopped: bool) -> Ended {
        let elapsed = self.elapsed();
        let Running {
            stream,
            sinks,
            session,
            ..
        } = self;
        // What makes the sinks may have them open.
        drop(sinks);
        let (mut control, guard) = (session.control, session.guard);
        let outcome = finish(stream, &mut control, stopped);
        Ended {
            outcome: outcome.map(|cpus| Outcome { cpus, elapsed }),
            command: session.command,
            control,
            guard,
        }
    }
}

fn finish(stream: Stream, control: &mut Control, stopped: bool) -> Result<Vec<Cpu>> {
    if stopped {
        control.set_tracing_on(false)?;
    }
    let mut summaries = stream.finish(stopped)?;
    summaries.sort_by_key(|summary| summary.cpu);
    let mut cpus = Vec::new();
    for summary in summaries {
        let instance = control.instance();
        let stats = stopped.then(|| instance.stats(summary.cpu)).transpose()?;
        cpus.push(Cpu {
            books: Books::new(&summary, stats),
            buffer_kb: instance.buffer_size(summary.cpu)? / 1024,
            summary,
        });
    }
    Ok(cpus)
}

/// A run that has ended. The instance is still as it was then.
pub struct Ended {
    outcome: Result<Outcome>,
    command: Option<Launched>,
    // In this order.
    control: Control,
    guard: Guard,
}

impl Ended {
    /// Puts everything back. The command may still run.
    pub fn close(self) -> (Result<Outcome>, Option<Launched>) {
        let undone = self.control.finish();
        drop(self.guard);
        let outcome = self
            .outcome
            .and_then(|outcome| Ok(undone.map(|()| outcome)?));
        (outcome, self.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives() {
        assert!(lives(std::process::id()));
        assert!(!lives(1 << 22));
        // Another program has got the number.
        assert!(!lives(1));
    }

    #[test]
    fn all_threads_of_a_process() {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        assert!(threads(std::process::id()).unwrap().len() >= 2);
        drop(done);
        let _ = thread.join();
        assert!(threads(1 << 22).is_err());
    }

    #[test]
    fn the_dead_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("trace_clock"), "[local]").unwrap();
        let own = format!("{OWN}{}", std::process::id());
        for name in ["ringmap-4194304", "ringmap-x", "ringmap-", "theirs", &own] {
            fs::create_dir_all(dir.path().join("instances").join(name)).unwrap();
        }
        let tracefs = Tracefs::at(dir.path()).unwrap();
        remove_dead(&tracefs);
        let mut left = vec!["ringmap-", "ringmap-x", "theirs", &own];
        left.sort_unstable();
        assert_eq!(tracefs.instances().unwrap(), left);
    }
}
