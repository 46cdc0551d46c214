// SPDX-License-Identifier: LGPL-2.1-or-later

//! The long texts of the command line.

pub const RINGMAP: &str = "\
Each command has a page of its own: 'ringmap help stream'.

Examples:
  What is going on, live:
    ringmap top

  Every file that is opened, by anybody:
    ringmap stream -e 'syscalls:sys_enter_open*'

  What the scheduler does while a program runs, into a file for trace-cmd and kernelshark:
    ringmap record -e sched -- make
    trace-cmd report trace.dat

Nothing else that is traced on the machine is touched: ringmap works in a tracing instance of its
own, which goes away at the end.";

pub const STREAM: &str = "\
Exit status:
  0    every event written was read, or reported lost with its number
  1    something failed
  2    the command line was not understood
  3    a loss is unaccounted, or the counts of the kernel and of ringmap differ
  4    with --fail-on-loss: events were lost, and all of them are known
  127  there is no program COMMAND
  If COMMAND ran and ended with another status than 0 it is that one (128 and the number of the
  signal, if one ended it), whatever else happened.

Files, below the tracefs:
  instances/ringmap-PID         is made, and removed at the end
  per_cpu/cpuN/trace_pipe_raw   is mapped
  per_cpu/cpuN/stats            is compared at the end
  events/*/*/format             tells the names and fields of events

Examples:
  Scheduling, from all CPUs, for ten seconds:
    ringmap stream -e sched --seconds 10

  One event, with a filter in the words of the kernel, and what a process and its children do:
    ringmap stream -e 'sched:sched_switch:prev_prio < 100' -p 1234 -c

  For other programs, without talk:
    ringmap stream -q -e 'syscalls:sys_enter_open*' --json | head

  The system calls of a program:
    ringmap stream -e raw_syscalls -- ls

  What somebody else has set up in an instance, on CPUs 0 to 3, until Ctrl-C:
    ringmap stream --instance mine --cpus 0-3";

pub const RECORD: &str = "\
Exit status:
  0    every event written is in the file, or reported lost with its number
  1    something failed
  2    the command line was not understood
  3    a loss is unaccounted, or the counts of the kernel and of ringmap differ
  4    with --fail-on-loss: events were lost, and all of them are known
  127  there is no program COMMAND
  If COMMAND ran and ended with another status than 0 it is that one (128 and the number of the
  signal, if one ended it), whatever else happened.

Files:
  trace.dat                     see trace-cmd.dat(5)
  trace.dat.cpuN                the data of a CPU, until the end; 'ringmap restore' completes what a
                                recording that was killed has left
  /proc/kallsyms                names of addresses, into the file
Below the tracefs:
  instances/ringmap-PID         is made, and removed at the end
  per_cpu/cpuN/trace_pipe_raw   is mapped
  per_cpu/cpuN/stats            is compared at the end, and goes into the file
  events/                       formats of all events, into the file
  printk_formats, saved_cmdlines, trace_clock
                                go into the file

Examples:
  What the scheduler does while a program runs, with its children:
    ringmap record -e sched -- make
    trace-cmd report trace.dat

  Five seconds of all system calls:
    ringmap record -e raw_syscalls --seconds 5 --output calls.dat
    kernelshark calls.dat

  Lose less on a busy machine: larger buffers and sub-buffers
    ringmap record -e sched -e irq --buffer-kb 65536 --subbuf-kb 64 --seconds 10";

pub const TOP: &str = "\
Columns:
  written/s   events written to the buffer in a second
  read/s      events that ringmap has taken
  lost/s      events overwritten before they were read
  dropped/s   events not written: the buffer was full and does not overwrite, or an interrupt filled
              it in the middle of another event
  unread      events in the buffer now
  filled      how much of the buffer they fill
  events/s    events of this type in a second, of all CPUs
  share       of all events of that time
  events      all since the start

Keys:
  q, Esc, Ctrl-C   end

Exit status:
  0    until the end that was asked for
  1    something failed
  2    the command line was not understood
  3    a loss is unaccounted, or the counts of the kernel and of ringmap differ
  127  there is no program COMMAND
  If COMMAND ran and ended with another status than 0 it is that one.

Files, below the tracefs:
  instances/ringmap-PID         is made, and removed at the end
  per_cpu/cpuN/trace_pipe_raw   is mapped
  per_cpu/cpuN/stats            has the counters of the CPUs

Examples:
  Scheduling, interrupts and system calls:
    ringmap top

  What one process does:
    ringmap top -e syscalls -p 1234

  One table for a script, over ten seconds:
    ringmap top -e block --interval 10 --count 1 </dev/null";

pub const STAT: &str = "\
Columns:
  written/s   events written to the buffer in a second
  read/s      events that its reader has taken
  lost/s      events overwritten before they were read
  dropped/s   events not written: the buffer was full and does not overwrite, or an interrupt filled
              it in the middle of another event
  unread      events in the buffer now
  filled      how much of the buffer they fill

Keys:
  q, Esc, Ctrl-C   end

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

  One table for a script, over ten seconds:
    ringmap stat --interval 10 --count 1 </dev/null";
