// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

const HELP: &str = "\
Each command has a page of its own: 'ringmap help stream'.

Examples:
  What is going on, without touching it:
    ringmap stat

  Ten seconds of scheduling, from all CPUs:
    echo 1 > /sys/kernel/tracing/events/sched/enable
    ringmap stream --seconds 10

  The same into a file, for trace-cmd and kernelshark:
    ringmap record --seconds 10
    trace-cmd report trace.dat";

/// Read Linux trace ring buffers through their memory mapping.
///
/// The kernel (6.10 and later) lets a process map the trace ring buffer of each CPU. ringmap maps
/// them and reads the events where they are, without a copy.
///
/// It must run as root, on a mounted tracefs, and be the only reader of the instance: a second one
/// (trace_pipe, another mapping) takes events away from it.
#[derive(Debug, Parser)]
#[command(name = "ringmap", version, propagate_version = true, after_long_help = HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Stream(StreamArgs),
    Stat(StatArgs),
    Record(RecordArgs),
}

/// Which buffers.
#[derive(Debug, Args)]
pub struct Target {
    /// The tracing instance, a directory below 'instances'
    ///
    /// Without it: the top-level buffer.
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,

    /// Only these CPUs, like 0-3,6
    ///
    /// Without it: all CPUs that are online.
    #[arg(long, value_name = "LIST")]
    pub cpus: Option<String>,

    /// Where tracefs is mounted
    ///
    /// Without it: /sys/kernel/tracing, else /sys/kernel/debug/tracing.
    #[arg(long, value_name = "PATH")]
    pub tracefs: Option<PathBuf>,
}

/// How a run goes that takes events.
#[derive(Debug, Args)]
pub struct Run {
    /// End after so many seconds
    ///
    /// Fractions are allowed. Without it and without --events: until Ctrl-C.
    #[arg(long, value_name = "N", value_parser = seconds, conflicts_with = "events")]
    pub seconds: Option<Duration>,

    /// End after at least so many events, of all CPUs together
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,

    /// Set the size of each CPU's buffer, in KiB, before mapping it
    ///
    /// A buffer has its smallest size until it is first used or set. It cannot change while it is
    /// mapped.
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub buffer_kb: Option<u32>,

    /// Set the size of a sub-buffer, in KiB, before mapping it
    ///
    /// The kernel rounds it up to a power of two of pages. It cannot change while the buffer is
    /// mapped.
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub subbuf_kb: Option<u32>,

    /// Run the thread that reads a CPU's buffer on that CPU
    #[arg(long)]
    pub pin: bool,
}

const STREAM_HELP: &str = "\
Exit status:
  0  events came, and every event written was read or reported lost with its number
  1  no event came, a loss is unaccounted, the counts differ, or something failed
  2  the command line was not understood

Files, below the tracefs:
  per_cpu/cpuN/trace_pipe_raw   is mapped
  per_cpu/cpuN/stats            is compared at the end
  events/*/*/format             tells the names and fields of events
  trace                         is reset before
  tracing_on                    is set to 1 before and to 0 at the end

Examples:
  Ten seconds of scheduling, from all CPUs:
    echo 1 > /sys/kernel/tracing/events/sched/enable
    ringmap stream --seconds 10

  CPUs 0 to 3 of an instance, with 8 MiB for each, until Ctrl-C:
    mkdir /sys/kernel/tracing/instances/mine
    echo 1 > /sys/kernel/tracing/instances/mine/events/irq/enable
    ringmap stream --instance mine --cpus 0-3 --buffer-kb 8192";

/// Stream events from all CPUs, with live figures, and check at the end that none is missing.
///
/// Once a second there is a line for each CPU (events and megabytes per second, events lost in that
/// second), and below it some decoded events: time, CPU, name, process, fields. Ctrl-C ends it as the
/// end of the time does; a second Ctrl-C ends it at once.
///
/// What is in the buffers of the instance is thrown away before, so that the kernel's counters begin
/// at 0. At the end tracing is stopped, what is left is read, and for each CPU the books are closed:
/// events read + events reported lost = events written.
#[derive(Debug, Args)]
#[command(after_long_help = STREAM_HELP)]
pub struct StreamArgs {
    #[command(flatten)]
    pub target: Target,

    #[command(flatten)]
    pub run: Run,

    /// How many decoded events to show per second and CPU
    ///
    /// They are of different types, as far as there are any; 0 shows none.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub decode: u32,

    /// Read each event at once, off the page that is being written
    ///
    /// Without it: whenever the buffer is filled to the instance's buffer_percent, and ten times per
    /// second. With it ringmap watches the page without system calls and asks the kernel only for
    /// the next one, so that a busy CPU's reader keeps another CPU busy. While little happens it
    /// waits, up to 20 ms at a time. The summary has the number of system calls.
    #[arg(long)]
    pub live: bool,

    /// Leave tracing on at the end
    ///
    /// Then events go on being written while the books are closed: what is left in the buffer is not
    /// read, and only the events handed out and the losses reported so far are checked.
    #[arg(long)]
    pub no_stop: bool,
}

const STAT_HELP: &str = "\
Columns:
  written/s   events written to the buffer in a second
  read/s      events that its reader has taken
  lost/s      events overwritten before they were read
  dropped/s   events not written: the buffer was full and does not overwrite, or an interrupt filled
              it in the middle of another event
  unread      events in the buffer now
  filled      how much of the buffer they fill

Exit status:
  0  until --count or Ctrl-C
  1  something failed
  2  the command line was not understood

Files, below the tracefs:
  per_cpu/cpuN/stats            has the counters
  per_cpu/cpuN/buffer_size_kb   is what 'filled' refers to

Examples:
  Is the reader of an instance fast enough?
    ringmap stat --instance mine

  One line per CPU for a script, over ten seconds:
    ringmap stat --interval 10 --count 1";

/// Show a live table of all CPUs: events written, read, lost and waiting to be read.
///
/// It only reads counters: it takes no event, maps nothing, and may run beside any reader. On a
/// terminal the table stays in its place; otherwise one follows the other. Ctrl-C ends it, with the
/// sums since the start.
#[derive(Debug, Args)]
#[command(after_long_help = STAT_HELP)]
pub struct StatArgs {
    #[command(flatten)]
    pub target: Target,

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

const RECORD_HELP: &str = "\
Exit status:
  0  events came, and every event written is in the file or reported lost with its number
  1  no event came, a loss is unaccounted, the counts differ, or something failed
  2  the command line was not understood

Files:
  trace.dat                     version 6, see trace-cmd.dat.v6(5)
  trace.dat.cpuN                a CPU's data meanwhile; has no name once it is open
  /proc/kallsyms                names of addresses, into the file
Below the tracefs:
  per_cpu/cpuN/trace_pipe_raw   is mapped
  per_cpu/cpuN/stats            is compared at the end, and goes into the file
  events/                       formats of all events, into the file
  printk_formats, saved_cmdlines, trace_clock
                                go into the file
  trace                         is reset before
  tracing_on                    is set to 1 before and to 0 at the end

Examples:
  Five seconds of system calls, then look at them:
    echo 1 > /sys/kernel/tracing/events/raw_syscalls/enable
    ringmap record --seconds 5 --output calls.dat
    trace-cmd report calls.dat
    kernelshark calls.dat

  Lose less on a busy machine: larger buffers and sub-buffers
    ringmap record --buffer-kb 65536 --subbuf-kb 64";

/// Record events of all CPUs into a file that trace-cmd and kernelshark open.
///
/// Whole sub-buffers go from the mapping to the file, without a copy in between. Where events were
/// lost the file says so, and how many, as far as the kernel knows. Ctrl-C ends it as the end of the
/// time does; a second Ctrl-C ends it at once, and leaves an empty file.
///
/// What is in the buffers of the instance is thrown away before. At the end tracing is stopped, what
/// is left is recorded, and for each CPU the books are closed: events recorded + events reported
/// lost = events written.
#[derive(Debug, Args)]
#[command(after_long_help = RECORD_HELP)]
pub struct RecordArgs {
    #[command(flatten)]
    pub target: Target,

    #[command(flatten)]
    pub run: Run,

    /// The file to write; one that exists is replaced
    #[arg(long, short, value_name = "FILE", default_value = "trace.dat")]
    pub output: PathBuf,
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
            &["stream", "--seconds", "1", "--events", "1"],
            &["stream", "--buffer-kb", "0"],
            &["stream", "--events", "-1"],
            &["record", "--no-stop"],
            &["stat", "--interval", "0"],
            &["stat", "--count", "0"],
        ] {
            let line = ["ringmap"].iter().chain(args);
            assert!(Cli::try_parse_from(line).is_err(), "{args:?}");
        }
    }
}
