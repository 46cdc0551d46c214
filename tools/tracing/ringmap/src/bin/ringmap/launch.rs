// SPDX-License-Identifier: LGPL-2.1-or-later

//! The program that is traced while it runs.
//!
//! Its process is this program at first, which stops. Once it is known which process to trace it is
//! told to go on, and becomes the other program.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::fs::{Access, access};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, set_parent_process_death_signal,
    waitpid,
};

/// The argument by which the program knows that it is this process.
pub const ARGUMENT: &str = "__exec";

/// There is no such program.
#[derive(Debug, thiserror::Error)]
#[error("{}: command not found", .0.display())]
pub struct NotFound(PathBuf);

/// Where what it writes goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Where that of this program goes.
    Shared,
    /// To standard error: standard output is for events.
    Error,
    /// Nowhere: the terminal is in use.
    None,
}

/// A program that was started.
pub struct Launched {
    child: Child,
    pid: Pid,
    /// It waits to be told to go on.
    stopped: bool,
    ended: Option<u8>,
}

impl Launched {
    /// Starts it, stopped.
    pub fn start(command: &[OsString], output: Output) -> Result<Self> {
        let name = command.first().context("no command")?;
        ensure!(exists(name), NotFound(name.into()));
        let mut start = Command::new(env::current_exe().context("cannot find this program")?);
        start
            .arg(ARGUMENT)
            .arg(std::process::id().to_string())
            .args(command);
        match output {
            Output::Shared => {}
            Output::Error => {
                start.stdout(io::stderr());
            }
            Output::None => {
                start.stdin(Stdio::null());
                start.stdout(Stdio::null());
                start.stderr(Stdio::null());
            }
        }
        let child = start.spawn().context("cannot start a process")?;
        let pid = Pid::from_raw(child.id().try_into()?).context("no process")?;
        let launched = Launched {
            child,
            pid,
            stopped: true,
            ended: None,
        };
        let stopped = waitpid(Some(pid), WaitOptions::UNTRACED).context("cannot wait")?;
        ensure!(
            stopped.is_some_and(|(_, status)| status.stopped()),
            "the process of the command has ended before it began"
        );
        Ok(launched)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it run.
    pub fn resume(&mut self) -> Result<()> {
        kill_process(self.pid, Signal::CONT).context("cannot start the command")?;
        self.stopped = false;
        Ok(())
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<u8>> {
        if self.ended.is_none() {
            let status = self
                .child
                .try_wait()
                .context("cannot wait for the command")?;
            self.ended = status.map(code);
        }
        Ok(self.ended)
    }

    /// Sends it a signal, if it runs.
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // It may just have ended.
            let _ = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if self.stopped {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// As a shell has it: 128 and the signal that ended it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    code.and_then(|code| code.try_into().ok())
        .unwrap_or(u8::MAX)
}

/// Whether a program of that name can be run.
fn exists(name: &OsStr) -> bool {
    let runs = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if name.as_bytes().contains(&b'/') {
        return runs(Path::new(name));
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    env::split_paths(&path).any(|folder| runs(&folder.join(name)))
}

/// Stops until the parent says to go on.
fn wait(parent: &OsStr) -> io::Result<()> {
    // Without the parent, nobody would.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = getppid().map_or(0, Pid::as_raw_pid);
    if parent != now.to_string().as_str() {
        return Err(io::Error::other("the parent has ended"));
    }
    kill_process(getpid(), Signal::STOP)?;
    Ok(set_parent_process_death_signal(None)?)
}

/// What the process does: stop, and become the program.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let [parent, name, rest @ ..] = arguments else {
        return ExitCode::FAILURE;
    };
    let e = match wait(parent) {
        Ok(()) => Command::new(name).args(rest).exec(),
        Err(e) => e,
    };
    eprintln!("ringmap: cannot run '{}': {e}", name.to_string_lossy());
    match e.kind() {
        io::ErrorKind::NotFound => 127.into(),
        _ => 126.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs() {
        assert!(exists(OsStr::new("sh")));
        assert!(exists(OsStr::new("/bin/sh")));
        assert!(!exists(OsStr::new("/bin")));
        assert!(!exists(OsStr::new("/etc/passwd")));
        assert!(!exists(OsStr::new("no such program")));
        assert!(!exists(OsStr::new("")));
    }

    #[test]
    fn statuses() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
    }
}
