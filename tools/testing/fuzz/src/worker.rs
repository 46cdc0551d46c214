// SPDX-License-Identifier: GPL-2.0

//! One thread of a round.

use crate::{
    kind::{Counts, Kind},
    ops,
    plan::Role,
    random::Random,
    shared::{CPUS, Shared, State},
    stream::View,
    sys::{self, Area, Errno},
};
use std::{
    fs::File,
    sync::atomic::Ordering::{Relaxed, Release},
    time::Duration,
};

/// A mapping of some of the buffer of a CPU.
pub struct Slot {
    pub area: Area,
    pub file: File,
}

pub struct Worker<'a> {
    pub shared: &'a Shared,
    pub index: usize,
    /// How many markers it wrote: their numbers begin at 0.
    pub written: u32,
    /// The markers that it got as copies.
    pub copied: Vec<u32>,
    /// Copies that do not consist of events.
    pub malformed: u64,
    pub counts: Counts,
    /// Mappings that are not looked at.
    pub slots: [Option<Slot>; 4],
    /// The mapping that it consumes through, and its CPU.
    pub view: Option<(usize, View)>,
    pub marker: File,
    pub raw_marker: File,
}

impl<'a> Worker<'a> {
    pub fn new(shared: &'a Shared, index: usize) -> sys::Result<Self> {
        Ok(Self {
            shared,
            index,
            written: 0,
            copied: Vec::new(),
            malformed: 0,
            counts: Counts::default(),
            slots: Default::default(),
            view: None,
            marker: shared.instance.writer("trace_marker")?,
            raw_marker: shared.instance.writer("trace_marker_raw")?,
        })
    }

    fn state(&self) -> &State {
        &self.shared.states[self.index]
    }

    /// The number of the next marker.
    pub fn number(&self) -> u32 {
        ((self.index as u32) << 24) | self.written
    }

    /// Mostly the same one, so that threads meet.
    pub fn cpu(random: &mut Random) -> usize {
        if random.one_in(4) { CPUS - 1 } else { 0 }
    }

    /// Runs what may wait without end, until the round is over at the latest.
    pub fn waiting<T>(&self, call: impl FnOnce() -> T) -> T {
        self.state().waits.store(sys::thread(), Relaxed);
        let result = call();
        self.state().waits.store(0, Relaxed);
        result
    }

    /// Operations until the round is over. `limit` is how many at most.
    pub fn run(&mut self, limit: u64) {
        let role = self.shared.plan.roles[self.index];
        let mut random = self.shared.plan.operations(self.index);

        for _ in 0..limit {
            if self.shared.stopped() {
                break;
            }
            // An operation may need more numbers or fewer: the next ones do not depend on it.
            let kind = role.pick(&mut random);
            let mut arguments = Random::new(random.next());
            if self.shared.skip.contains(&kind) {
                // Nothing but skipped kinds must not keep the others from running.
                std::thread::yield_now();
                continue;
            }
            self.state().kind.store(kind as usize, Relaxed);
            let result = ops::run(self, kind, &mut arguments);
            self.judge(kind, result);
            if matches!(role, Role::Control | Role::Toggler) {
                std::thread::sleep(Duration::from_micros(arguments.below(8000)));
            }
        }

        for slot in &mut self.slots {
            if let Some(Err(error)) = slot.take().map(|slot| slot.area.unmap()) {
                self.shared.fail(format!("munmap at the end: {error}"));
            }
        }
        self.view = None;
        self.state().ended.store(true, Release);
    }

    fn judge(&mut self, kind: Kind, result: sys::Result<()>) {
        self.counts.add(kind, result.is_err());
        if let Err(Errno(errno)) = result
            && !self.shared.may(kind, Errno(errno))
        {
            let error = Errno(errno);
            self.shared
                .fail(format!("{} came to errno {errno}, {error}", kind.name()));
        }
    }

    /// What must be refused was not.
    pub fn allowed(&self, what: &str) {
        self.shared
            .fail(format!("{what} was let through, and must not be"));
    }
}
