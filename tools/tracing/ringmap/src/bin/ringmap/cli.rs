// SPDX-License-Identifier: LGPL-2.1-or-later

//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::help;
use ringmap::select::Selector;

/// Read Linux trace ring buffers through their memory mapping.
///
/// The kernel (6.10 and later) lets a process map the trace ring buffer of each CPU. ringmap maps
/// them and reads the events where they are, without a copy; and it checks that none is missing:
/// events read + events reported lost = events written.
///
/// It needs the rights to use tracefs, which is for root if nobody has changed that.
#[derive(Debug, Parser)]
#[command(name = "ringmap", version, propagate_version = true, after_long_help = help::RINGMAP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Top(TopArgs),
    Stream(StreamArgs),
    Record(RecordArgs),
    Restore(RestoreArgs),
    Stat(StatArgs),
    List(ListArgs),
    Doctor(DoctorArgs),
    Completions(CompletionsArgs),
    #[command(hide = true)]
    Man(ManArgs),
}

/// Which buffers.
#[derive(Debug, Args)]
pub struct Target {
    /// An existing tracing instance, a directory below 'instances'; '.' is the top-level buffer
    #[arg(long, value_name = "NAME", help_heading = "Buffers")]
    pub instance: Option<String>,

    /// Only these CPUs, like 0-3,6
    ///
    /// Without it: all CPUs, those that come online later, too.
    #[arg(long, value_name = "LIST", help_heading = "Buffers")]
    pub cpus: Option<String>,

    /// Where tracefs is mounted
    ///
    /// Without it: /sys/kernel/tracing, else /sys/kernel/debug/tracing.
    #[arg(long, value_name = "PATH", help_heading = "Buffers")]
    pub tracefs: Option<PathBuf>,
}

/// What is traced, and how.
#[derive(Debug, Clone, Args)]
pub struct Choose {
    /// Trace these events; may be given several times
    ///
    /// 'sched' is a whole system, 'sched:sched_switch' or 'sched_switch' one event. Both names may be
    /// globs: 'syscalls:sys_enter_open*'. A filter is in the words of the kernel
    /// (Documentation/trace/events.rst): 'sched:sched_switch:prev_pid == 0'. 'ringmap list' shows
    /// all events.
    #[arg(
        short = 'e',
        long = "event",
        value_name = "SYSTEM:EVENT[:FILTER]",
        help_heading = "Events"
    )]
    pub selectors: Vec<Selector>,

    /// Trace this process only, with all its threads; may be given several times
    #[arg(short = 'p', long = "pid", value_name = "PID", help_heading = "Events")]
    pub pids: Vec<u32>,

    /// With --pid: also the children that the process starts from now on
    #[arg(short = 'c', long, requires = "pids", help_heading = "Events")]
    pub follow: bool,

    /// With COMMAND: trace all processes while it runs
    ///
    /// Without it: COMMAND and its children.
    #[arg(
        short,
        long,
        requires = "command",
        conflicts_with = "pids",
        help_heading = "Events"
    )]
    pub all: bool,

    /// The clock of the events
    ///
    /// For example global, mono, boot; an unknown one is answered with all that there are. Without
    /// it: the kernel's own choice.
    #[arg(long, value_name = "NAME", help_heading = "Events")]
    pub clock: Option<String>,

    /// The size of each CPU's buffer, in KiB
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Buffers")]
    pub buffer_kb: Option<u32>,

    /// The size of a sub-buffer, in KiB
    ///
    /// The kernel rounds it up to a power of two of pages.
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Buffers")]
    pub subbuf_kb: Option<u32>,

    /// With --instance: throw away what is in its buffers
    ///
    /// Without it, what is there is read first. --clock, --subbuf-kb and a smaller --buffer-kb throw
    /// it away in any case, and need this.
    #[arg(long, requires = "instance", help_heading = "Buffers")]
    pub reset: bool,

    /// Run this program, and end with it and with its status
    ///
    /// It and its children are traced, from its first instruction on. If something else ends the
    /// tracing the program goes on, and its end is waited for; SIGTERM and SIGHUP are passed on to
    /// it. With 'stream' what it writes to standard output goes to standard error.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// How a run goes.
#[derive(Debug, Args)]
pub struct Run {
    /// End after so many seconds
    ///
    /// Fractions are allowed. What comes first ends the run: this, --events, the end of COMMAND,
    /// Ctrl-C.
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<Duration>,

    /// End after at least so many events, of all CPUs together
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,

    /// Run the thread that reads a CPU's buffer on that CPU
    #[arg(long)]
    pub pin: bool,

    /// End with status 4 if events were lost, even if all of them are known
    #[arg(long)]
    pub fail_on_loss: bool,

    /// Say nothing but what went wrong
    #[arg(short, long)]
    pub quiet: bool,
}

/// Write each event to standard output, in order of time over all CPUs, and check at the end that none
/// is missing.
///
/// A line has the text of the kernel's trace_pipe. An event is held back until no CPU can have an
/// earlier one, a quarter of a second at most where others are idle; at most 262144 events are held,
/// and then the earliest is written all the same. Should an earlier one come behind it, that is
/// counted and told. The figures and the verdict go to standard error. Ctrl-C ends it as the end of the time does; a second
/// Ctrl-C ends it at once.
///
/// Without --instance it works in an instance of its own, which is removed at the end, also after a
/// kill. With it, what is changed in that instance is put back. At the end tracing is stopped, what is
/// left is read, and for each CPU the books are closed: events read + events reported lost = events
/// written.
#[derive(Debug, Args)]
#[command(after_long_help = help::STREAM)]
pub struct StreamArgs {
    #[command(flatten)]
    pub target: Target,

    #[command(flatten)]
    pub choose: Choose,

    #[command(flatten)]
    pub run: Run,

    /// Write each event as a JSON object on a line of its own
    ///
    /// {"time":N,"cpu":N,"pid":N,"comm":"...","flags":"...","event":"SYSTEM:EVENT","fields":{...}}, and
    /// {"cpu":N,"lost":N} before the event behind a loss. Times are in units of the clock.
    #[arg(long)]
    pub json: bool,

    /// Read each event at once, off the page that is being written
    ///
    /// Without it: whenever the buffer is filled to the instance's buffer_percent, and ten times per
    /// second. With it ringmap watches the page without system calls and asks the kernel only for
    /// the next one, so that a busy CPU's reader keeps another CPU busy. While little happens it
    /// waits, up to 20 ms at a time. The summary has the number of system calls.
    #[arg(long)]
    pub live: bool,

    /// Do not stop tracing at the end
    ///
    /// Then events go on being written while the books are closed: what is left in the buffer is not
    /// read, and only the events handed out and the losses reported so far are checked.
    #[arg(long)]
    pub no_stop: bool,
}

/// Record events of all CPUs into a file that trace-cmd and kernelshark open.
///
/// Whole sub-buffers go from the mapping to the file, without a copy in between. Where events were
/// lost the file says so, and how many, as far as the kernel knows. Ctrl-C ends it as the end of the
/// time does.
///
/// Without --instance it works in an instance of its own, which is removed at the end, also after a
/// kill. With it, what is changed in that instance is put back. At the end tracing is stopped, what is
/// left is recorded, and for each CPU the books are closed: events recorded + events reported lost =
/// events written.
#[derive(Debug, Args)]
#[command(after_long_help = help::RECORD)]
pub struct RecordArgs {
    #[command(flatten)]
    pub target: Target,

    #[command(flatten)]
    pub choose: Choose,

    #[command(flatten)]
    pub run: Run,

    /// The file to write
    ///
    /// Without it: trace.dat, with --perfetto trace.pftrace.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Replace a file that exists, or what a recording that was killed has left
    #[arg(long, short)]
    pub force: bool,

    /// Write a file for Perfetto instead: ui.perfetto.dev opens it
    ///
    /// With the clock boot, unless --clock says another one.
    #[arg(long, conflicts_with = "dat")]
    pub perfetto: bool,

    /// The version of trace.dat: 7 is compressed, 6 is for a trace-cmd before 3.0
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u8).range(6..=7), default_value_t = 7)]
    pub dat: u8,
}

/// Complete a recording that was killed.
///
/// Until it is complete a recording consists of FILE and of FILE.cpuN for each CPU.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The file that was recorded to
    #[arg(value_name = "FILE", default_value = "trace.dat")]
    pub file: PathBuf,
}

/// How tables follow each other.
#[derive(Debug, Args)]
pub struct Tables {
    /// Seconds from one table to the next
    ///
    /// Fractions are allowed.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "1")]
    pub interval: Duration,

    /// End after so many tables
    ///
    /// Without it: until Ctrl-C.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// Show live which events there are, how many, and on which CPUs.
///
/// In a terminal the tables stay in their place and fit its size; otherwise they are written one after
/// the other. It takes the events out of the buffers and counts them. Without --event these are the
/// systems sched, irq and raw_syscalls. What COMMAND writes is not shown in a terminal.
///
/// Without --instance it works in an instance of its own, which is removed at the end, also after a
/// kill. With it, what is changed in that instance is put back.
#[derive(Debug, Args)]
#[command(after_long_help = help::TOP)]
pub struct TopArgs {
    #[command(flatten)]
    pub target: Target,

    #[command(flatten)]
    pub choose: Choose,

    #[command(flatten)]
    pub tables: Tables,
}

/// Show a live table of the buffers of all CPUs, beside any reader: events written, read, lost and
/// waiting to be read.
///
/// It only reads counters: it takes no event, maps nothing, changes nothing. Without --instance it
/// shows the top-level buffer. In a terminal the table stays in its place and fits its size; otherwise
/// one follows the other. Ctrl-C ends it, with the sums since the start.
#[derive(Debug, Args)]
#[command(after_long_help = help::STAT)]
pub struct StatArgs {
    #[command(flatten)]
    pub target: Target,

    #[command(flatten)]
    pub tables: Tables,
}

/// List the events that can be traced.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Those that these stand for, as with --event; without one: all
    #[arg(value_name = "SYSTEM:EVENT")]
    pub events: Vec<Selector>,

    /// Where tracefs is mounted
    #[arg(long, value_name = "PATH")]
    pub tracefs: Option<PathBuf>,
}

/// Tell what can be done on this machine: where tracefs is, how buffers are read, which CPUs there are.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Where tracefs is mounted
    #[arg(long, value_name = "PATH")]
    pub tracefs: Option<PathBuf>,
}

/// Write the completions of a shell to standard output.
///
/// For bash: ringmap completions bash >/usr/share/bash-completion/completions/ringmap
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Write the manual pages into a folder.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder
    pub folder: PathBuf,
}

/// A time above 0.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(n) if n > 0.0 && n <= 1e9 => Ok(Duration::from_secs_f64(n)),
        _ => Err("a number of seconds above 0 is needed".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn refuses() {
        for args in [
            &["stream", "--seconds", "0"][..],
            &["stream", "--seconds", "nan"],
            &["stream", "--buffer-kb", "0"],
            &["stream", "--events", "-1"],
            &["stream", "-e", ""],
            &["stream", "-e", "a:b:"],
            &["stream", "-c"],
            &["stream", "-a"],
            &["stream", "--reset"],
            &["stream", "-p", "x"],
            &["stream", "ls"],
            &["record", "--no-stop"],
            &["stat", "--interval", "0"],
            &["stat", "--count", "0"],
            &["stat", "-e", "sched"],
            &["record", "--dat", "5"],
            &["record", "--perfetto", "--dat", "6"],
        ] {
            let line = ["ringmap"].iter().chain(args);
            assert!(Cli::try_parse_from(line).is_err(), "{args:?}");
        }
    }

    #[test]
    fn accepts() {
        for args in [
            &[
                "stream",
                "-e",
                "sched",
                "-e",
                "irq:*",
                "--seconds",
                "1",
                "--events",
                "1",
            ][..],
            &["record", "-e", "sched", "--", "make", "-j", "2"],
            &["record", "-a", "-e", "sched", "--", "sleep", "1"],
            &["top", "-p", "1", "-p", "2", "-c"],
            &["stream", "--instance", "x", "--reset"],
            &["stat"],
        ] {
            let line = ["ringmap"].iter().chain(args);
            Cli::try_parse_from(line).unwrap();
        }
    }
}
