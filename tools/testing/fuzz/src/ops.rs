// SPDX-License-Identifier: GPL-2.0

//! The operations.

pub mod control;
mod map;
mod read;
mod write;

pub use read::LARGEST;

use crate::{kind::Kind, plan::Role, random::Random, sys::Result, worker::Worker};

/// One operation. An error is the kernel's refusal.
pub fn run(worker: &mut Worker<'_>, kind: Kind, random: &mut Random) -> Result<()> {
    let reader = worker.shared.plan.roles[worker.index] == Role::Reader;
    let shared = worker.shared;
    let instance = &shared.instance;

    match kind {
        Kind::Write => write::text(worker, random),
        Kind::WriteRaw => write::raw(worker, random),
        Kind::Pin => write::pin(random),
        Kind::Map if reader => read::view(worker, random, false),
        Kind::Map => map::map(worker, random),
        Kind::Unmap if reader => {
            read::rest(worker, random);
            Ok(())
        }
        Kind::Unmap => map::unmap(worker, random),
        Kind::UnmapPart => map::unmap_part(worker, random),
        Kind::Move => map::move_away(worker, random),
        Kind::Remap => map::remap(worker, random),
        Kind::Fork => map::fork(worker, random),
        Kind::Protect => map::protect(worker, random),
        Kind::GetReader => read::get_reader(worker, random),
        Kind::GetReaderWait => read::get_reader_wait(worker, random),
        Kind::Read => read::read(worker, random),
        Kind::Splice => read::splice(worker, random),
        Kind::Pipe => read::pipe(worker, random),
        Kind::Iterate => control::iterate(instance, random),
        Kind::Size => control::size(instance, random),
        Kind::Order => control::order(instance, random),
        Kind::Reset => instance.truncate("trace"),
        Kind::ResetCpu => instance.truncate(&format!("per_cpu/cpu{}/trace", Worker::cpu(random))),
        Kind::Snapshot => control::snapshot(instance, random),
        Kind::Trigger => control::trigger(instance, random),
        Kind::Instance => control::instance(worker, random),
        Kind::Hotplug => control::hotplug(random),
        Kind::Toggle => control::toggle(instance, random),
        Kind::Events => control::events(instance, random),
    }
}
