// SPDX-License-Identifier: GPL-2.0

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Read Linux trace ring buffers through their memory mapping.
///
/// The kernel (6.10 and later) lets a process map the trace ring buffer of each CPU. ringmap maps
/// them and reads the events where they are, without a copy.
///
/// It must run as root, on a mounted tracefs, and be the only reader of the instance: a second one
/// (trace_pipe, another mapping) takes events away from it.
#[derive(Debug, Parser)]
#[command(name = "ringmap", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Stream(StreamArgs),
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

    /// End after so many seconds
    ///
    /// Fractions are allowed. Without it and without --events: until Ctrl-C.
    #[arg(long, value_name = "N", value_parser = seconds, conflicts_with = "events")]
    pub seconds: Option<f64>,

    /// End after at least so many events, of all CPUs together
    #[arg(long, value_name = "N")]
    pub events: Option<u64>,

    /// How many decoded events to show per second and CPU
    ///
    /// They are of different types, as far as there are any; 0 shows none.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub decode: u32,

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

    /// Leave tracing on at the end
    ///
    /// Then events go on being written while the books are closed: what is left in the buffer is not
    /// read, and only the events handed out and the losses reported so far are checked.
    #[arg(long)]
    pub no_stop: bool,

    /// Run the thread that reads a CPU's buffer on that CPU
    #[arg(long)]
    pub pin: bool,

    /// Where tracefs is mounted
    ///
    /// Without it: /sys/kernel/tracing, else /sys/kernel/debug/tracing.
    #[arg(long, value_name = "PATH")]
    pub tracefs: Option<PathBuf>,
}

/// A time that a [`std::time::Duration`] can hold.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n > 0.0 && n <= 1e9 => Ok(n),
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
            &["--seconds", "0"][..],
            &["--seconds", "nan"],
            &["--seconds", "1", "--events", "1"],
            &["--buffer-kb", "0"],
            &["--events", "-1"],
        ] {
            let line = ["ringmap", "stream"].iter().chain(args);
            assert!(Cli::try_parse_from(line).is_err(), "{args:?}");
        }
    }
}
