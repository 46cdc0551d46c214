// SPDX-License-Identifier: GPL-2.0

//! The search: every order of the operations, and every result that each can have.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::cpu::{Cpu, Operation, Request, Step, Stop};
use crate::memory::Memory;

/// A process: what it does on its CPU, and what it returns to who joins it.
pub type Process<'a> = &'a dyn Fn(&mut Cpu<'_>) -> Step<u32>;

/// What must not happen, and how it can.
#[derive(Debug)]
pub struct Violation {
    pub what: &'static str,
    /// The operations of each process, with their results.
    pub history: Vec<Vec<String>>,
}

/// Runs the processes together, each on a CPU of its own, in all ways.
///
/// Returns the number of states that were seen.
///
/// # Errors
///
/// The first [`Violation`] that is found.
pub fn explore(processes: &[Process<'_>]) -> Result<usize, Violation> {
    let mut seen = HashSet::new();
    let mut open = vec![State::new(processes)?];

    while let Some(state) = open.pop() {
        for cpu in state.next_cpus() {
            state.successors(processes, cpu, &mut |next| {
                if seen.insert(next.fingerprint()) {
                    open.push(next);
                }
            })?;
        }
    }
    Ok(seen.len())
}

#[derive(Clone)]
enum Progress {
    Asks(Operation),
    Ended(u32),
}

#[derive(Clone)]
struct State {
    memory: Memory,
    /// The results of the operations of each process. Its progress follows from them.
    results: Vec<Vec<u32>>,
    progress: Vec<Progress>,
}

impl State {
    fn new(processes: &[Process<'_>]) -> Result<Self, Violation> {
        let mut state = State {
            memory: Memory::new(processes.len()),
            results: vec![Vec::new(); processes.len()],
            progress: vec![Progress::Ended(0); processes.len()],
        };

        for cpu in 0..processes.len() {
            state.run(processes, cpu)?;
        }
        Ok(state)
    }

    /// The processes whose next operation is to be tried. One that no other process can tell from
    /// its absence need not be tried in other orders.
    fn next_cpus(&self) -> std::ops::Range<usize> {
        let private = self.progress.iter().position(|progress| {
            matches!(
                progress,
                Progress::Asks(
                    Operation::ReadBarrier | Operation::WriteBarrier | Operation::Choose { .. }
                )
            )
        });

        match private {
            Some(cpu) => cpu..cpu + 1,
            None => 0..self.progress.len(),
        }
    }

    /// Runs a process up to the next operation that has no result.
    fn run(&mut self, processes: &[Process<'_>], cpu: usize) -> Result<(), Violation> {
        self.progress[cpu] = match processes[cpu](&mut Cpu::new(&self.results[cpu])) {
            Ok(value) => Progress::Ended(value),
            Err(Stop::Asks(Request(operation))) => Progress::Asks(operation),
            Err(Stop::Violated(what)) => {
                return Err(Violation {
                    what,
                    history: self.history(processes),
                })
            }
        };
        Ok(())
    }

    /// Passes on each state that the next operation of a process can lead to.
    fn successors(
        &self,
        processes: &[Process<'_>],
        cpu: usize,
        found: &mut dyn FnMut(State),
    ) -> Result<(), Violation> {
        let Progress::Asks(operation) = self.progress[cpu] else {
            return Ok(());
        };
        let mut step = |result: &dyn Fn(&mut Memory) -> u32| {
            let mut next = self.clone();
            let result = result(&mut next.memory);

            next.results[cpu].push(result);
            next.run(processes, cpu)?;
            found(next);
            Ok(())
        };

        match operation {
            Operation::Load { word, acquire } => {
                for store in self.memory.visible(cpu, word) {
                    step(&|memory| memory.load(cpu, word, store, acquire))?;
                }
            }
            Operation::Store {
                word,
                value,
                release,
            } => {
                for place in self.memory.places(cpu, word) {
                    step(&|memory| {
                        memory.store(cpu, word, value, place, release);
                        0
                    })?;
                }
            }
            Operation::ReadBarrier => step(&|memory| {
                memory.orders[cpu].rmb();
                0
            })?,
            Operation::WriteBarrier => step(&|memory| {
                memory.orders[cpu].wmb();
                0
            })?,
            Operation::FullBarrier => step(&|memory| {
                memory.mb(cpu);
                0
            })?,
            Operation::ReadLock => step(&|memory| {
                memory.rcu_read_lock(cpu);
                0
            })?,
            Operation::ReadUnlock => step(&|memory| {
                memory.rcu_read_unlock(cpu);
                0
            })?,
            Operation::GracePeriod => {
                if self.memory.is_quiescent() {
                    step(&|memory| {
                        memory.synchronize_rcu(cpu);
                        0
                    })?;
                }
            }
            Operation::Choose { choices } => {
                for choice in 0..choices {
                    step(&|_| choice)?;
                }
            }
            Operation::Join { cpu: other } => {
                if let Progress::Ended(value) = self.progress[other] {
                    step(&|memory| {
                        let ended = memory.orders[other].clone();

                        memory.orders[cpu].join(&ended);
                        value
                    })?;
                }
            }
        }
        Ok(())
    }

    /// What tells states apart. That two of a million have the same is less likely than 1 in 10^7.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();

        (&self.memory, &self.results).hash(&mut hasher);
        hasher.finish()
    }

    fn history(&self, processes: &[Process<'_>]) -> Vec<Vec<String>> {
        let operation =
            |cpu: usize, nr| match processes[cpu](&mut Cpu::new(&self.results[cpu][..nr])) {
                Err(Stop::Asks(Request(operation))) => format!("{operation:?}"),
                _ => String::new(),
            };

        (0..processes.len())
            .map(|cpu| {
                (self.results[cpu].iter().enumerate())
                    .map(|(nr, result)| format!("{} = {result}", operation(cpu, nr)))
                    .collect()
            })
            .collect()
    }
}
