// SPDX-License-Identifier: GPL-2.0

//! One round: threads operate on an instance for a while, then it is looked at.

use crate::{
    check,
    events::Types,
    instance::{self, Instance},
    kind::{Counts, Kind},
    ops::control,
    plan::Plan,
    shared::Shared,
    sys,
    worker::Worker,
};
use std::{
    sync::atomic::Ordering::{Acquire, Relaxed},
    thread,
    time::{Duration, Instant},
};

const KICKS: Duration = Duration::from_millis(10);

const EXPEDITED: &str = "/sys/kernel/rcu_expedited";

pub struct Options {
    /// Kinds of operations that are left out.
    pub skip: Vec<Kind>,
    /// The threads that run; all of them if empty.
    pub workers: Vec<usize>,
    /// Operations of each thread, at most.
    pub limit: u64,
    /// How long a round is, in percent.
    pub percent: u64,
    /// After which a thread that does not end counts as stuck.
    pub patience: Duration,
}

#[derive(Default)]
pub struct Report {
    pub plan: String,
    pub failure: Option<String>,
    pub counts: Counts,
    pub totals: check::Totals,
}

fn set_up(plan: &Plan, instance: &Instance) -> sys::Result<()> {
    let _ = instance::put(EXPEDITED, if plan.expedited { "1" } else { "0" });
    // What a failed round has left goes.
    let _ = instance.remove();
    instance.create()?;
    if plan.counter_clock {
        instance.set("trace_clock", "counter")?;
    }
    instance.set("buffer_subbuf_size_kb", &plan.subbuf_kib.to_string())?;
    instance.set("buffer_size_kb", &plan.buffer_kib.to_string())?;
    instance.set("buffer_percent", &plan.percent.to_string())?;
    if !plan.overwrite {
        instance.set("options/overwrite", "0")?;
    }
    if plan.noise {
        for group in control::EVENTS {
            control::set_events(instance, group, "1")?;
        }
        control::set_functions(instance, true)?;
    }
    Ok(())
}

/// Ends the guest, which a thread that cannot be killed would keep this process from.
fn give_up() -> ! {
    const SYSRQ: &str = "/proc/sysrq-trigger";
    // Where the threads run, in the kernel's log.
    let _ = instance::put(SYSRQ, "l");
    let _ = instance::put(SYSRQ, "w");
    // What was printed comes out.
    thread::sleep(Duration::from_secs(2));
    let _ = instance::put(SYSRQ, "b");
    std::process::exit(1);
}

/// Waits for the end, and makes all of them end then.
fn watch(shared: &Shared, options: &Options) {
    let time = Duration::from_millis(shared.plan.milliseconds * options.percent / 100);
    let start = Instant::now();
    let ended = || shared.states.iter().all(|state| state.ended.load(Acquire));

    while !ended() {
        thread::sleep(KICKS);
        if start.elapsed() > time {
            shared.stop();
        }
        shared.kick();
        if start.elapsed() > time + options.patience {
            let stuck = shared
                .states
                .iter()
                .enumerate()
                .filter(|(_, state)| !state.ended.load(Acquire));
            let stuck: Vec<_> = stuck
                .map(|(index, state)| {
                    let kind = Kind::ALL[state.kind.load(Relaxed)].1;
                    format!("thread {index} in {kind}")
                })
                .collect();
            println!(
                "not ok seed {}: stuck: {}",
                shared.plan.seed,
                stuck.join(", ")
            );
            give_up();
        }
    }
}

fn operate(shared: &Shared, workers: &mut [Worker<'_>], options: &Options) {
    let wanted = |index| options.workers.is_empty() || options.workers.contains(&index);

    thread::scope(|scope| {
        for worker in workers {
            if wanted(worker.index) {
                scope.spawn(|| worker.run(options.limit));
            } else {
                shared.states[worker.index].ended.store(true, Relaxed);
            }
        }
        watch(shared, options);
    });
}

/// The whole round; an error is what was found.
fn round(shared: &Shared, options: &Options, report: &mut Report) -> Result<(), String> {
    set_up(&shared.plan, &shared.instance).map_err(|error| format!("setting up: {error}"))?;
    let workers = (0..shared.plan.roles.len()).map(|index| Worker::new(shared, index));
    let mut workers: Vec<_> = workers
        .collect::<sys::Result<_>>()
        .map_err(|error| format!("markers: {error}"))?;

    // Interrupts, for what traces them.
    let ticks = sys::interval(Duration::from_micros(300));
    operate(shared, &mut workers, options);
    drop(ticks);

    for worker in &workers {
        report.counts.merge(&worker.counts);
    }
    if let Some(failure) = shared.failure() {
        return Err(failure);
    }
    report.totals = check::consistent(shared, &workers)?;
    drop(workers);
    check::free(shared)?;
    check::healthy()
}

pub fn run(seed: u64, options: &Options, types: Types) -> Report {
    let plan = Plan::new(seed);
    let mut report = Report {
        plan: plan.text(),
        ..Report::default()
    };
    let instance = Instance::named("fuzz");
    let shared = Shared::new(plan, types, instance, options.skip.clone());
    report.failure = round(&shared, options, &mut report).err();
    report
}
