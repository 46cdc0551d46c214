// SPDX-License-Identifier: LGPL-2.1-or-later

//! The command on a directory that looks like tracefs: what it says, how it ends, and that it leaves
//! everything as it was.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

/// How long something may take that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

struct Fake(tempfile::TempDir);

impl Fake {
    /// With an instance `theirs`, whose values are none of the usual ones.
    fn new() -> Self {
        let fake = Fake(tempfile::tempdir().unwrap());
        for at in ["", "instances/theirs/"] {
            let put = |file: &str, text: &str| fake.put(&format!("{at}{file}"), text);
            put("trace_clock", "local [global] counter\n");
            put("tracing_on", "0\n");
            put("buffer_size_kb", "1408\n");
            put("buffer_subbuf_size_kb", "4\n");
            put("set_event_pid", "7\n");
            put("options/event-fork", "0\n");
            put("trace", "");
            put("per_cpu/cpu0/buffer_size_kb", "1408\n");
            put(
                "per_cpu/cpu0/stats",
                "entries: 0\noverrun: 0\ncommit overrun: 0\nbytes: 0\n\
                 dropped events: 0\nread events: 0\n",
            );
            put("events/sched/enable", "0\n");
            for event in ["sched_switch", "sched_waking"] {
                put(&format!("events/sched/{event}/enable"), "0\n");
                put(&format!("events/sched/{event}/filter"), "none\n");
            }
        }
        // Its mapping fails, as that of a FIFO does.
        let raw = fake.path("instances/theirs/per_cpu/cpu0/trace_pipe_raw");
        mknodat(CWD, &raw, FileType::Fifo, Mode::RWXU, 0).unwrap();
        fake
    }

    /// Formats that cannot be read until somebody writes them: a run waits there, with all events
    /// enabled.
    fn blocking() -> Self {
        let fake = Self::new();
        let format = fake.path("events/sched/sched_switch/format");
        mknodat(CWD, &format, FileType::Fifo, Mode::RWXU, 0).unwrap();
        fake
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn get(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    fn theirs(&self, file: &str) -> String {
        self.get(&format!("instances/theirs/{file}"))
            .trim()
            .to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringmap"));
        let (name, rest) = args.split_first().unwrap();
        command
            .arg(name)
            .arg("--tracefs")
            .arg(self.0.path())
            .args(rest);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts a run in `theirs` and waits until it has enabled what it was told to.
    fn start(&self, args: &[&str]) -> Child {
        let args = [
            &["stream", "--instance", "theirs", "-e", "sched_switch"],
            args,
        ]
        .concat();
        let child = self.command(&args).stderr(Stdio::null()).spawn().unwrap();
        until(|| self.theirs("events/sched/sched_switch/enable") == "1");
        child
    }

    fn as_it_was(&self) -> bool {
        self.theirs("tracing_on") == "0"
            && self.theirs("set_event_pid") == "7"
            && self.theirs("options/event-fork") == "0"
            && self.theirs("per_cpu/cpu0/buffer_size_kb") == "1408"
            && self.theirs("events/sched/sched_switch/enable") == "0"
            && self.theirs("events/sched/sched_waking/enable") == "0"
            && ["0", "none"].contains(&self.theirs("events/sched/sched_switch/filter").as_str())
    }

    fn instances(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("instances")).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

fn until(done: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < limit, "it does not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn said(output: &Output) -> String {
    assert!(output.stdout.is_empty(), "on stdout: {output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn no_events_chosen() {
    let fake = Fake::new();
    for command in ["stream", "record"] {
        let output = fake.run(&[command]);
        assert_eq!(output.status.code(), Some(2));
        let said = said(&output);
        assert!(
            said.contains("no events are chosen") && said.contains("-e sched"),
            "{said}"
        );
    }
    assert_eq!(fake.instances(), ["theirs"]);
}

#[test]
fn a_wrong_event_changes_nothing() {
    let fake = Fake::new();
    let args = [
        "record",
        "--instance",
        "theirs",
        "--buffer-kb",
        "4096",
        "-e",
        "sched:sched_swich",
    ];
    let output = fake.run(&args);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output),
        "ringmap: no event 'sched:sched_swich': did you mean 'sched:sched_switch'?\n"
    );
    assert!(fake.as_it_was());
}

#[test]
fn what_fails_late_leaves_all_as_it_was() {
    let fake = Fake::new();
    let args = [
        "stream",
        "--instance",
        "theirs",
        "--buffer-kb",
        "4096",
        "-e",
        "sched",
    ];
    let output = fake.run(&[&args[..], &["-p", "1", "-c"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output).lines().count(), 1, "{output:?}");
    assert!(fake.as_it_was());
}

#[test]
fn an_own_instance_is_removed() {
    let fake = Fake::new();
    // The kernel would fill it.
    let output = fake.run(&["stream", "-e", "sched"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("tracing_on"), "{output:?}");
    assert_eq!(fake.instances(), ["theirs"]);
}

#[test]
fn what_a_killed_run_has_left_is_removed() {
    let fake = Fake::new();
    fs::create_dir(fake.path("instances/ringmap-4194304")).unwrap();
    fake.run(&["stream", "--instance", "none", "-e", "sched"]);
    assert_eq!(fake.instances(), ["theirs"]);
}

#[test]
fn a_kill_leaves_all_as_it_was() {
    let fake = Fake::blocking();
    let mut child = fake.start(&["--buffer-kb", "4096", "-p", "1", "-c"]);
    assert!(!fake.as_it_was());
    child.kill().unwrap();
    child.wait().unwrap();
    until(|| fake.as_it_was());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for number in [Signal::INT, Signal::TERM, Signal::HUP] {
        let fake = Fake::blocking();
        let mut child = fake.start(&[]);
        signal(&child, number);
        thread::sleep(Duration::from_millis(100));
        assert!(child.try_wait().unwrap().is_none());
        signal(&child, number);
        assert_eq!(child.wait().unwrap().signal(), Some(number.as_raw()));
        until(|| fake.as_it_was());
    }
}

#[test]
fn a_command_that_there_is_not() {
    let fake = Fake::new();
    let output = fake.run(&[
        "record",
        "--instance",
        "theirs",
        "-e",
        "sched",
        "--",
        "no-such-program",
    ]);
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(
        said(&output),
        "ringmap: no-such-program: command not found\n"
    );
    assert!(fake.as_it_was());
}

#[test]
fn a_command_does_not_run_if_it_cannot_be_traced() {
    let fake = Fake::new();
    let mark = fake.path("mark");
    let mark = mark.to_str().unwrap();
    let output = fake.run(&[
        "stream",
        "--instance",
        "theirs",
        "-e",
        "sched",
        "--",
        "touch",
        mark,
    ]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!fs::exists(mark).unwrap());
    assert!(fake.as_it_was());
}

#[test]
fn a_command_is_known_before_it_runs() {
    let fake = Fake::blocking();
    let mark = fake.path("mark");
    let mut child = fake.start(&["--", "touch", mark.to_str().unwrap()]);
    let pid = fake.theirs("set_event_pid");
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    assert_eq!(name.trim(), "ringmap");
    assert!(state.contains(") T "), "{state}");
    assert_eq!(fake.theirs("options/event-fork"), "1");
    // It does not wait for ever for one that is dead.
    child.kill().unwrap();
    child.wait().unwrap();
    until(|| !fs::exists(format!("/proc/{pid}/stat")).unwrap());
    assert!(!mark.exists());
}

#[test]
fn what_would_throw_events_away_is_refused() {
    let fake = Fake::new();
    for option in [
        ["--subbuf-kb", "8"],
        ["--clock", "local"],
        ["--buffer-kb", "100"],
    ] {
        let args = [
            &["stream", "--instance", "theirs", "-e", "sched"][..],
            &option,
        ]
        .concat();
        let said = said(&fake.run(&args));
        assert!(said.contains("add --reset"), "{said}");
    }
    assert!(fake.as_it_was());
}

#[test]
fn lists() {
    let fake = Fake::new();
    let out = |args: &[&str]| String::from_utf8(fake.run(args).stdout).unwrap();
    assert_eq!(out(&["list"]), "sched:sched_switch\nsched:sched_waking\n");
    assert_eq!(out(&["list", "sched_sw*"]), "sched:sched_switch\n");
    assert_eq!(fake.run(&["list", "x"]).status.code(), Some(1));
}

#[test]
fn stat_changes_nothing() {
    let fake = Fake::new();
    let output = fake.run(&["stat", "--cpus", "0", "--interval", "0.01", "--count", "2"]);
    assert!(output.status.success());
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(out.matches("\ncpu0 ").count(), 2, "{out}");
    assert!(!out.contains('\x1b'));
}
