// SPDX-License-Identifier: LGPL-2.1-or-later

//! Signals that end a run.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether a signal has come to end the run.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    came: Arc<AtomicBool>,
    last: Arc<AtomicUsize>,
}

impl Stop {
    /// From now on a first signal asks for the end; a second one ends the program at once.
    pub fn on_signals() -> Result<Self> {
        let stop = Stop::default();
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            // As with nohup.
            if signal == SIGHUP && is_ignored(signal) {
                continue;
            }
            let number = signal.unsigned_abs() as usize;
            flag::register_conditional_default(signal, Arc::clone(&stop.came))
                .and_then(|_| flag::register(signal, Arc::clone(&stop.came)))
                .and_then(|_| flag::register_usize(signal, Arc::clone(&stop.last), number))
                .context("cannot handle signals")?;
        }
        Ok(stop)
    }

    /// Whether one has come.
    pub fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }

    /// Takes the signal that has come, if it was sent to this process alone. The terminal sends
    /// SIGINT to all of its processes.
    pub fn take_own(&self) -> Option<Signal> {
        match self.last.swap(0, Ordering::Relaxed) {
            n if n == SIGHUP as usize => Some(Signal::HUP),
            n if n == SIGTERM as usize => Some(Signal::TERM),
            _ => None,
        }
    }
}

fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores(&status, signal)
}

/// What a file `status` of a process says.
fn ignores(status: &str, signal: i32) -> bool {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored() {
        let status = "SigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, SIGHUP));
        assert!(!ignores(status, SIGINT));
        assert!(!ignores("", SIGHUP));
    }
}
