// SPDX-License-Identifier: GPL-2.0

//! What a process sees of the machine.

use crate::memory::Word;

/// What a process asks the machine for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Load {
        word: Word,
        acquire: bool,
    },
    Store {
        word: Word,
        value: u32,
        release: bool,
    },
    ReadBarrier,
    WriteBarrier,
    FullBarrier,
    ReadLock,
    ReadUnlock,
    GracePeriod,
    Choose {
        choices: u32,
    },
    Join {
        cpu: usize,
    },
}

/// Why a process does not go on.
#[derive(Debug)]
pub enum Stop {
    /// It waits for the machine.
    Asks(Request),
    /// What must not happen has happened.
    Violated(&'static str),
}

/// An operation that the machine has not done yet.
#[derive(Debug)]
pub struct Request(pub(crate) Operation);

/// What a step of a process returns: to be passed on by `?`.
pub type Step<T> = Result<T, Stop>;

/// A processor that runs one process.
///
/// A process has no state that the search could store. Instead it runs again from its beginning,
/// with the results of its former operations, up to the first that has none yet.
pub struct Cpu<'a> {
    results: std::slice::Iter<'a, u32>,
}

impl<'a> Cpu<'a> {
    pub(crate) fn new(results: &'a [u32]) -> Self {
        Cpu {
            results: results.iter(),
        }
    }

    fn ask(&mut self, operation: Operation) -> Step<u32> {
        self.results
            .next()
            .copied()
            .ok_or(Stop::Asks(Request(operation)))
    }

    /// `READ_ONCE()`.
    pub fn load(&mut self, word: Word) -> Step<u32> {
        self.ask(Operation::Load {
            word,
            acquire: false,
        })
    }

    /// `smp_load_acquire()`.
    pub fn load_acquire(&mut self, word: Word) -> Step<u32> {
        self.ask(Operation::Load {
            word,
            acquire: true,
        })
    }

    /// `WRITE_ONCE()`.
    pub fn store(&mut self, word: Word, value: u32) -> Step<()> {
        self.ask(Operation::Store {
            word,
            value,
            release: false,
        })?;
        Ok(())
    }

    /// `smp_store_release()`.
    pub fn store_release(&mut self, word: Word, value: u32) -> Step<()> {
        self.ask(Operation::Store {
            word,
            value,
            release: true,
        })?;
        Ok(())
    }

    /// `smp_rmb()`, unless it is taken out.
    pub fn rmb(&mut self, present: bool) -> Step<()> {
        self.barrier(Operation::ReadBarrier, present)
    }

    /// `smp_wmb()`, unless it is taken out.
    pub fn wmb(&mut self, present: bool) -> Step<()> {
        self.barrier(Operation::WriteBarrier, present)
    }

    /// `smp_mb()`, unless it is taken out.
    pub fn mb(&mut self, present: bool) -> Step<()> {
        self.barrier(Operation::FullBarrier, present)
    }

    /// `rcu_read_lock()`, or the begin of what RCU takes for a section.
    pub fn rcu_read_lock(&mut self) -> Step<()> {
        self.ask(Operation::ReadLock)?;
        Ok(())
    }

    /// `rcu_read_unlock()`.
    pub fn rcu_read_unlock(&mut self) -> Step<()> {
        self.ask(Operation::ReadUnlock)?;
        Ok(())
    }

    /// `synchronize_rcu()`, unless it is taken out.
    pub fn synchronize_rcu(&mut self, present: bool) -> Step<()> {
        self.barrier(Operation::GracePeriod, present)
    }

    fn barrier(&mut self, operation: Operation, present: bool) -> Step<()> {
        if present {
            self.ask(operation)?;
        }
        Ok(())
    }

    /// A number below `choices`. Each is tried.
    pub fn choose(&mut self, choices: u32) -> Step<u32> {
        self.ask(Operation::Choose { choices })
    }

    /// Waits for the end of another process. Returns what it returned. What is behind this comes
    /// after all that the other did.
    pub fn join(&mut self, cpu: usize) -> Step<u32> {
        self.ask(Operation::Join { cpu })
    }

    /// Ends the search unless `condition` holds.
    pub fn check(&self, condition: bool, what: &'static str) -> Step<()> {
        if !condition {
            return Err(Stop::Violated(what));
        }
        Ok(())
    }
}
