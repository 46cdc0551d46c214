// SPDX-License-Identifier: LGPL-2.1-or-later

//! A run that takes events, until it is started. Whatever it changes is put back, also if it fails on
//! the way.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};

use crate::cli::{Choose, Target};
use crate::guard::Guard;
use crate::launch::{Launched, Output};
use crate::own;
use crate::running::Running;
use ringmap::control::Control;
use ringmap::cpulist;
use ringmap::format::{Format, Formats};
use ringmap::hotplug::Waiting;
use ringmap::reader::CpuBuffer;
use ringmap::select::{Catalog, Selector};
use ringmap::stream::{Options, Sink, Source, Stream};
use ringmap::tracefs::{Instance, Tracefs};

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

/// A run that is prepared. What was opened goes before what was made, and the process that stands by
/// last.
pub struct Session {
    pub tracefs: Tracefs,
    pub formats: Arc<Formats>,
    pub sources: Vec<Source>,
    /// Say what is read when it begins.
    pub says: bool,
    pub(crate) command: Option<Launched>,
    pub(crate) waiting: Waiting,
    pub(crate) control: Control,
    pub(crate) guard: Guard,
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
        own::remove_dead(&tracefs);
        // Fails before anything is changed.
        let borrowed = match &target.instance {
            Some(name) => Some(instance(&tracefs, Some(name))?),
            None => None,
        };
        let (guard, undo) = Guard::start();
        let mut control = match borrowed {
            Some(instance) => Control::borrow(instance, undo),
            None => own::make(&tracefs, undo)?,
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
            says: false,
            command,
            waiting,
            control,
            guard,
        })
    }

    pub fn instance(&self) -> &Instance {
        self.control.instance()
    }

    /// What is read, and how.
    fn buffers(&self) -> String {
        let mut alike: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for Source { cpu, buffer, .. } in &self.sources {
            let g = buffer.geometry();
            let kib = g.subbuf_size / 1024;
            let count = g.nr_subbufs;
            let how = format!("{count} sub-buffers of {kib} KiB each, {}", buffer.access());
            alike.entry(how).or_default().push(*cpu);
        }
        let mut lines = String::new();
        for (how, cpus) in alike {
            lines += &format!("cpu {}: {how}\n", cpulist::format(&cpus));
        }
        let waiting: Vec<_> = self.waiting.cpus().collect();
        if !waiting.is_empty() {
            let cpus = cpulist::format(&waiting);
            lines += &format!("cpu {cpus}: offline, read when it comes\n");
        }
        lines
    }

    /// Starts to read, then to trace, then the command.
    pub fn start(mut self, mut options: Options, mut sinks: Sinks) -> Result<Running> {
        options.clock_is_ns = self.instance().clock_is_ns()?;
        let buffers = self.buffers();
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
        // Who waits for this line may rely on it: events are taken from now on.
        if self.says {
            io::stderr().write_all(buffers.as_bytes())?;
        }
        if let Some(command) = &mut self.command {
            command.resume()?;
        }
        Ok(Running::new(self, stream, sinks, read_before))
    }
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
pub fn threads(pid: u32) -> Result<Vec<u32>> {
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

pub fn source(instance: &Instance, cpu: u32) -> Result<Source> {
    Ok(Source {
        cpu,
        buffer: CpuBuffer::open(instance, cpu)?,
        sink: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_of_a_process() {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        assert!(threads(std::process::id()).unwrap().len() >= 2);
        drop(done);
        let _ = thread.join();
        assert!(threads(1 << 22).is_err());
    }
}
