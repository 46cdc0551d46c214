// SPDX-License-Identifier: GPL-2.0

//! What the threads of a round share.

use crate::{
    events::Types,
    instance::Instance,
    kind::Kind,
    plan::{Plan, Reading},
    stream::Stream,
    sys::{self, Errno},
};
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::Relaxed},
};

/// The buffer's CPUs that are operated on.
pub const CPUS: usize = 2;

pub struct Shared {
    pub plan: Plan,
    pub types: Types,
    pub instance: Instance,
    /// Kinds that are left out.
    pub skip: Vec<Kind>,
    streams: [Mutex<Stream>; CPUS],
    pub states: Vec<State>,
    stop: AtomicBool,
    failure: Mutex<Option<String>>,
}

/// What a thread is doing.
#[derive(Default)]
pub struct State {
    /// Its number while it may wait without end.
    pub waits: AtomicI32,
    /// The kind of its operation.
    pub kind: AtomicUsize,
    pub ended: AtomicBool,
}

impl Shared {
    pub fn new(plan: Plan, types: Types, instance: Instance, skip: Vec<Kind>) -> Self {
        let alone = plan.reading == Reading::Mapped || plan.exclusive;
        let streams = [Stream::new(alone), Stream::new(alone)].map(Mutex::new);
        let states = plan.roles.iter().map(|_| State::default()).collect();
        Self {
            plan,
            types,
            instance,
            skip,
            streams,
            states,
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// What came out of the mappings of a CPU, for who looks at one.
    pub fn stream(&self, cpu: usize) -> MutexGuard<'_, Stream> {
        let stream = self.streams[cpu].lock();
        stream.unwrap_or_else(PoisonError::into_inner)
    }

    /// For who takes copies.
    pub fn exclusive(&self, cpu: usize) -> Option<MutexGuard<'_, Stream>> {
        self.plan.exclusive.then(|| self.stream(cpu))
    }

    pub fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Ends the round; the first reason counts.
    pub fn fail(&self, reason: String) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(reason);
        self.stop();
    }

    pub fn failure(&self) -> Option<String> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone()
    }

    /// Ends all waiting.
    pub fn kick(&self) {
        for state in &self.states {
            let thread = state.waits.load(Relaxed);
            if thread != 0 {
                sys::kick(thread);
            }
        }
    }

    /// Whether `error` is one that this kind of operation may come to.
    pub fn may(&self, kind: Kind, error: Errno) -> bool {
        use Kind::*;
        use libc::{
            EAGAIN, EBADF, EBUSY, EEXIST, EFAULT, EINTR, EINVAL, ENODEV, ENOENT, ENOMEM, EPERM,
        };
        let refused: &[i32] = match kind {
            // Tracing is off, or the marker does not fit.
            Write | WriteRaw => &[EBADF, EINVAL],
            // The CPU is offline.
            Pin => &[EINVAL],
            // Armed for a snapshot, or not of this size any more.
            Map | Fork | Instance if self.plan.wild => &[EBUSY, EINVAL, ENODEV, ENOENT, EEXIST],
            Map | Fork => &[EINVAL],
            // Each of them must fail, which the operation checks.
            Protect => &[EPERM, libc::EACCES, EINVAL, ENOMEM],
            UnmapPart | Remap => &[EINVAL, EFAULT],
            GetReader | GetReaderWait if self.plan.wild => &[EBUSY, EINVAL, ENODEV, EINTR],
            GetReader => &[ENODEV],
            GetReaderWait => &[ENODEV, EINTR],
            // Less than one sub-buffer, if these have grown.
            Splice if self.plan.wild => &[EAGAIN, EINTR, EINVAL],
            Read | Splice => &[EAGAIN, EINTR],
            Pipe => &[EAGAIN, EBUSY, EINTR],
            Iterate => &[EBUSY],
            Size | Order => &[EBUSY, EINVAL],
            Snapshot => &[EBUSY, EINVAL],
            Trigger => &[EBUSY, EEXIST, ENOENT, EINVAL],
            Hotplug => &[EBUSY],
            _ => &[],
        };
        refused.contains(&error.0)
    }
}
