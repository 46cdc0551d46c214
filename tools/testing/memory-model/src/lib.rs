// SPDX-License-Identifier: GPL-2.0

//! A weakly ordered machine, and a search through all that it can do.
//!
//! A process is a function that runs on a [`Cpu`]. [`explore`] runs some of them together, in every
//! order, and with every result that each load can have. `tests/` has the processes: the writer and
//! the readers of the ring buffer, snapshots and mappings, the meta-page.
//!
//! The machine is in `memory.rs`. It has the barriers of the kernel, and is meant to allow what the
//! kernel's memory model allows. It allows some more (address dependencies order nothing; `2+2W`
//! with write barriers). One thing it does not: a store does not become visible before an earlier
//! load of the same CPU is satisfied. No process here needs a barrier against that, as each store
//! that follows a load is behind a condition on it. `tests/machine.rs` compares the two.

mod cpu;
mod explore;
mod memory;

pub use cpu::{Cpu, Step};
pub use explore::{explore, Process, Violation};
