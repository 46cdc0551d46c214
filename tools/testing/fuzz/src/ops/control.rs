// SPDX-License-Identifier: GPL-2.0

//! Changing the buffer and what writes to it.

use crate::{
    instance::{self, Instance},
    random::Random,
    shared::CPUS,
    stream::View,
    sys::{self, Area, Result},
    worker::Worker,
};
use std::{io::Read, thread, time::Duration};

const ONLINE: &str = "/sys/devices/system/cpu/cpu1/online";
const TRIGGER: &str = "events/sched/sched_switch/trigger";

/// What writes in interrupts and at once, where the kernel has it.
pub const EVENTS: [&str; 5] = ["timer", "irq", "irq_vectors", "sched", "raw_syscalls"];
/// Few functions, called often, in interrupts too.
const FUNCTIONS: &str = "hrtimer_start_range_ns ktime_get tick_nohz_handler hrtimer_interrupt";

pub fn size(instance: &Instance, random: &mut Random) -> Result<()> {
    let value = random.range(1, 400).to_string();
    match random.below(3) {
        0 => instance.set("per_cpu/cpu0/buffer_size_kb", &value),
        _ => instance.set("buffer_size_kb", &value),
    }
}

/// With a reset behind it. Without that, trace_pipe spins in the kernel for ever: the events are gone,
/// the counters still have them, and its reader finds neither an event nor an empty buffer.
pub fn order(instance: &Instance, random: &mut Random) -> Result<()> {
    let value = random.pick(&["4", "4", "8", "16", "32"]);
    instance.set("buffer_subbuf_size_kb", value)?;
    // All at once would leave out those that are offline.
    for cpu in 0..CPUS {
        instance.truncate(&format!("per_cpu/cpu{cpu}/trace"))?;
    }
    Ok(())
}

pub fn snapshot(instance: &Instance, random: &mut Random) -> Result<()> {
    if !instance.has("snapshot") {
        return Ok(());
    }
    instance.set("snapshot", random.pick(&["0", "1", "1", "2"]))
}

pub fn trigger(instance: &Instance, random: &mut Random) -> Result<()> {
    if !instance.has(TRIGGER) {
        return Ok(());
    }
    instance.set(
        TRIGGER,
        random.pick(&["snapshot", "snapshot:1", "!snapshot"]),
    )
}

/// Reads without consuming.
pub fn iterate(instance: &Instance, random: &mut Random) -> Result<()> {
    let mut file = match random.below(2) {
        0 => instance.open(Worker::cpu(random), "trace", false)?,
        _ => instance.open(0, "../../trace", false)?,
    };
    let mut bytes = vec![0; sys::page()];
    for _ in 0..random.range(1, 8) {
        if file.read(&mut bytes)? == 0 {
            break;
        }
    }
    Ok(())
}

/// No writer gets a marker in for a moment.
pub fn toggle(instance: &Instance, random: &mut Random) -> Result<()> {
    instance.set("tracing_on", "0")?;
    thread::sleep(Duration::from_micros(random.below(3000)));
    instance.set("tracing_on", "1")
}

/// Switches the second CPU off and on.
pub fn hotplug(random: &mut Random) -> Result<()> {
    match std::fs::exists(ONLINE) {
        Ok(true) => instance::put(ONLINE, random.pick(&["0", "1"])),
        _ => Ok(()),
    }
}

/// Switches it on.
pub fn all_online() -> Result<()> {
    match std::fs::exists(ONLINE) {
        Ok(true) => instance::put(ONLINE, "1"),
        _ => Ok(()),
    }
}

/// Turns one group of events on or off, in rounds that have no others.
pub fn events(instance: &Instance, random: &mut Random) -> Result<()> {
    set_events(
        instance,
        random.pick(&EVENTS),
        random.pick(&["0", "1", "1"]),
    )
}

pub fn set_events(instance: &Instance, group: &str, value: &str) -> Result<()> {
    let file = format!("events/{group}/enable");
    if !instance.has(&file) {
        return Ok(());
    }
    instance.set(&file, value)
}

/// The function tracer, where there is one.
pub fn set_functions(instance: &Instance, on: bool) -> Result<()> {
    if !instance.has("set_ftrace_filter") {
        return Ok(());
    }
    if on {
        // A kernel may lack some of them.
        for function in FUNCTIONS.split(' ') {
            let _ = instance.set("set_ftrace_filter", function);
        }
    }
    instance.set("current_tracer", if on { "function" } else { "nop" })
}

/// Nothing is armed or enabled after this.
pub fn calm(instance: &Instance) -> Result<()> {
    all_online()?;
    set_functions(instance, false)?;
    for group in EVENTS {
        set_events(instance, group, "0")?;
    }
    if instance.has(TRIGGER) {
        let _ = instance.set(TRIGGER, "!snapshot");
    }
    instance.set("tracing_on", "1")
}

/// A second instance comes, goes and is mapped; the first one is in use and cannot go.
pub fn instance(worker: &mut Worker<'_>, random: &mut Random) -> Result<()> {
    let other = Instance::named("fuzz-other");
    match random.below(6) {
        0 | 1 => other.create(),
        2 | 3 => other.remove(),
        4 => {
            let file = other.open(Worker::cpu(random), "trace_pipe_raw", false)?;
            let area = Area::new(&file, sys::page(), 0)?;
            sys::get_reader(&file)?;
            // It is in use as well.
            if other.remove().is_ok() {
                worker.allowed("removing an instance that is mapped");
            }
            drop(file);
            drop(View::new(&other, 0, false));
            area.unmap()
        }
        _ => {
            if worker.shared.instance.remove().is_ok() {
                worker.allowed("removing an instance that is in use");
            }
            Ok(())
        }
    }
}
