// SPDX-License-Identifier: LGPL-2.1-or-later

//! A process that puts tracefs back when this one was killed.
//!
//! It is told each change through a pipe, and waits for the end of it. The kernel closes the pipe
//! however this process ends: by a signal, a panic, or for want of memory.

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use ringmap::undo::Undo;

/// The argument by which the program knows that it is this process.
pub const ARGUMENT: &str = "__guard";

/// The process, and the steps that it knows.
pub struct Guard(Option<Child>);

impl Guard {
    /// Starts it. Without it, nothing is put back after a kill.
    pub fn start() -> (Guard, Undo) {
        let start = || -> io::Result<_> {
            let mut child = Command::new(env::current_exe()?)
                .arg0("ringmap-guard")
                .arg(ARGUMENT)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                // What the terminal sends to all is not for it.
                .process_group(0)
                .spawn()?;
            let notes = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
            Ok((child, notes))
        };
        match start() {
            Ok((child, notes)) => (Guard(Some(child)), Undo::noting(notes)),
            Err(_) => (Guard(None), Undo::new()),
        }
    }
}

impl Drop for Guard {
    /// The steps have been taken or dropped: it ends by itself.
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// What the process does.
pub fn run() -> ExitCode {
    let ignored = std::sync::Arc::default();
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // A signal that cannot be caught ends it before its time, which is no worse than no guard.
        let _ = signal_hook::flag::register(signal, std::sync::Arc::clone(&ignored));
    }
    let done = Undo::read(io::stdin().lock());
    match done.map(Undo::finish) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(e)) => {
            eprintln!("ringmap: {e}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}
