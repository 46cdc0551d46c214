#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs in the guest, on two CPUs: ringmap as its users run it. Prints TAP, then
# recordings:
#	@@ file NAME READ LOST
#	the file, gzip and base64
#	@@

tracing=/sys/kernel/tracing
# What a command says, and its data.
out=/tmp/out
data=/tmp/data
cases=0
status=

# check NAME COMMAND...
check() {
	name=$1
	shift
	cases=$((cases + 1))
	if "$@"; then
		echo "ok $cases - $name"
	else
		sed 's/^/# /' $out
		tail -n 5 $data | sed 's/^/# data: /'
		echo "# status $status"
		echo "not ok $cases - $name"
	fi
}
run() {
	"$@" >$data 2>$out
	status=$?
}
# start COMMAND...: in the background; its process is $pid. What was said before
# must not be taken for its output.
start() {
	: >$out
	"$@" >$data 2>$out &
	pid=$!
}
end() {
	wait "$pid"
	status=$?
}
# said PATTERN...: all of them.
said() {
	for pattern; do
		grep -q -- "$pattern" $out || return
	done
}
passed() { [ "$status" = 0 ] && said "$@"; }
# ended STATUS PATTERN...
ended() {
	[ "$status" = "$1" ] || return
	shift
	said "$@"
}
failed() { ended 1 "$@"; }
# Until it is so; at most ten seconds.
until_so() {
	tries=0
	until "$@" || [ $tries = 200 ]; do
		usleep 50000
		tries=$((tries + 1))
	done
	"$@"
}
await() { until_so said "$1"; }
# instance NAME: makes it, and is in $i.
instance() {
	i=$tracing/instances/$1
	mkdir "$i"
}
# numbers CPU FIRST LAST: numbered events on that CPU. Of such a length that the
# number of lost events has room behind a full page.
numbers() {
	# shellcheck disable=SC2016 # For the other shell.
	taskset $((1 << $1)) sh -c 'n=$0
		while [ $n -le $1 ]; do
			printf "the number is: %07d" $n
			n=$((n + 1))
		done >$2' "$2" "$3" "$i/trace_marker"
}
# tight CPU FIRST LAST: with nothing left behind a full page, as after sched_switch.
tight() {
	# shellcheck disable=SC2016 # For the other shell.
	taskset $((1 << $1)) sh -c 'n=$0
		while [ $n -le $1 ]; do
			printf "the number is: %030d" $n
			n=$((n + 1))
		done >$2' "$2" "$3" "$i/trace_marker"
}
none_left() { ! find $tracing/instances -maxdepth 1 -name 'ringmap-*' | grep -q .; }
# What another user has set up, as one text.
settings() {
	(cd "$1" && head -n 100 tracing_on buffer_size_kb buffer_subbuf_size_kb trace_clock \
		set_event_pid set_event_notrace_pid options/event-fork events/sched/sched_switch/enable \
		events/sched/sched_switch/filter events/sched/sched_waking/enable)
}
# events READ: the data has so many lines.
events() {
	lines=$(wc -l <$data)
	[ "$lines" = "$1" ] && [ "$lines" -gt 0 ]
}
read_of() { sed -nE 's/^accounting: ([0-9]+) read .*/\1/p' $out; }
# Are the times of a stream in order?
in_order() { ! awk '$0 !~ /LOST/ { match($0, /[0-9]+\.[0-9][0-9][0-9][0-9][0-9][0-9]:/)
	print substr($0, RSTART, RLENGTH - 1) }' $data | sort -n -c 2>&1 | grep -q .; }

before=$(settings $tracing)
run ringmap stream -e sched -e irq -e raw_syscalls --buffer-kb 4096 --events 20000
check 'stream reads all that is written' passed '^accounting: .* ok$'
check 'and writes each event' events "$(read_of)"
check 'in order of time' in_order
run ringmap stream -e sched -e irq -e raw_syscalls --live --buffer-kb 4096 --seconds 2
check 'stream --live, too' passed '^accounting: .* ok$' '^system calls of the readers: [1-9]'
check 'and writes each event' events "$(read_of)"
start ringmap stream --live -e sched
await '^cpu 0-1: .* mapped'
kill -INT $pid
end
check 'stream --live ends with Ctrl-C' passed '^accounting: .* ok$'
start ringmap stream --seconds 100 -e sched
await '^cpu 0-1: .* mapped'
kill -HUP $pid
end
check 'stream ends with SIGHUP' passed '^accounting: .* ok$'
run ringmap stream --no-stop -e sched --seconds 1
check 'stream --no-stop' passed '^accounting: .* ok$'
run ringmap stream -e sched:sched_switch --json --seconds 1
check 'stream of one type of events, as JSON' passed '^types: sched_switch [0-9]*$'
check 'each on a line' events "$(grep -c '^{"time":[0-9]*,"cpu":[01],.*}}$' $data)"
check 'no instance is left' none_left
start ringmap stream -e sched
await '^cpu 0-1: .* mapped'
kill -KILL $pid
end
check 'not even behind a kill' until_so none_left
check 'and the top-level buffer is as it was' [ "$(settings $tracing)" = "$before" ]

run ringmap stream -e raw_syscalls -- sh -c 'exit 7'
check 'a command ends with its status' ended 7 '^accounting: .* ok$'
check 'and is traced, with its children only' [ "$(awk '{ print $1 }' $data |
	sed 's/-[0-9]*$//' | sort -u | grep -cvE '^(sh|ringmap|<\.\.\.>)$')" = 0 ]
run ringmap stream -e 'sched:sched_process_ex*' -- sh -c 'sh -c "exit 0"; exit 0'
check 'children are followed' [ "$(grep -c 'sched_process_exit: ' $data)" = 2 ]
run ringmap stream -e sched -- no-such-program
check 'a command that there is not' ended 127 'no-such-program: command not found'
run ringmap stream -e sched:sched_swich
check 'an event that there is not: what is near' failed "did you mean 'sched:sched_switch'?"
run ringmap stream -e 'sched:sched_switch:prev_pidd == 1'
check 'a filter that the kernel refuses: its words' \
	failed "Field not found: did you mean 'prev_pid'?"
run ringmap stream -e sched -p 99999
check 'a process that there is not' failed 'no such process: 99999'
run ringmap stream
check 'no events chosen: how to' ended 2 'no events are chosen: .*-e sched'
start ringmap stream -e 'sched:sched_switch:prev_comm == "sh"' -p $$ --seconds 1
end
check 'a process, and a filter' passed '^accounting: .* ok$'

echo 0 >/sys/devices/system/cpu/cpu1/online
start ringmap stream -e sched --seconds 100
await '^cpu 1: offline'
echo 1 >/sys/devices/system/cpu/cpu1/online
usleep 1000000
taskset 2 sh -c 'usleep 1000; usleep 1000'
usleep 500000
kill -INT $pid
end
check 'a CPU that comes online is read' passed '^cpu1 .* events' '^accounting: .* ok$'
check 'and its events are written' grep -q ' \[001\] ' $data

run ringmap top --interval 0.3 --count 3
check 'top ends by itself, and its books agree' passed '^accounting: .* ok$'
check 'and shows CPUs and events' \
	[ "$(grep -c '^cpu1 ' $data) $(grep -c '^event ' $data)" = '3 3' ]
run ringmap list 'sched:sched_sw*'
check 'list' grep -qx sched:sched_switch $data

instance idle
start time -f '%U %S %e' -o /tmp/time ringmap stream --live --instance idle --seconds 8
await '^cpu 0-1: .* mapped'
numbers 0 1 1
end
check 'stream --live sees a single event' passed '^accounting: 1 read + 0 lost, 1 written: ok'
check 'and writes it as trace_pipe does' grep -q ': tracing_mark_write: the number is: 0000001$' $data
# shellcheck disable=SC2016 # For awk.
check 'and keeps no CPU busy meanwhile' awk '
	{ print "# CPU time, elapsed time:", $0; exit !($1 + $2 < $3 / 3) }' /tmp/time

instance theirs
echo 0 >"$i/tracing_on"
echo 'prev_pid > 0' >"$i/events/sched/sched_switch/filter"
echo 1 >"$i/events/sched/sched_waking/enable"
echo $$ >"$i/set_event_pid"
before=$(settings "$i")
run ringmap stream --instance theirs -e sched:sched_switch:prev_pid==0 --buffer-kb 4096 -p 1 \
	-c --seconds 0.5
check 'an instance that was there is as it was' [ "$status $(settings "$i")" = "0 $before" ]
run ringmap stream --instance theirs --subbuf-kb 8
check 'and is not emptied without a word' failed 'add --reset'
run ringmap stream --instance theirs --reset --subbuf-kb 8 --clock mono --seconds 0.5
check 'and is as it was behind --reset, too' [ "$status $(settings "$i")" = "0 $before" ]

instance stat
start ringmap stat --instance stat --interval 0.1
until_so grep -q '^total' $data
numbers 1 1 100
kill -INT $pid
end
check 'stat ends with Ctrl-C and the sums' \
	grep -q '^in .* s: 100 written, 0 read, 0 lost, 0 dropped$' $data
check 'and shows all CPUs' [ "$(grep -cE '^cpu +written/s|^cpu0 |^cpu1 |^total ' $data)" -ge 4 ]
run ringmap stat --cpus 1 --instance stat --interval 0.1 --count 2
check 'stat ends by itself' [ "$(grep -c '^cpu1 .* 100 ' $data)" = 2 ]
run ringmap stream --instance stat --seconds 0.5
check 'what was there is read' passed '^accounting: 100 read + 0 lost, 100 written: ok'

# A reader that does not run loses events; the kernel has no room to say how many.
instance tight
start ringmap stream --instance tight --reset --buffer-kb 8 --subbuf-kb 4
await '^cpu 0-1: .* mapped'
tight 0 1 100
kill -STOP $pid
tight 0 101 2000
kill -CONT $pid
usleep 500000
tight 0 2001 2100
kill -INT $pid
end
check 'losses without a number are counted' passed '^accounting: .* 2100 written: ok$'
check 'and there were some' said 'lost on cpu0: try --buffer-kb'
check 'and are told among the events' grep -q 'LOST [0-9]* EVENTS' $data
start ringmap stream --fail-on-loss --instance tight --reset --buffer-kb 8 --subbuf-kb 4
await '^cpu 0-1: .* mapped'
kill -STOP $pid
tight 0 1 2000
kill -CONT $pid
kill -INT $pid
end
check '--fail-on-loss' ended 4 '^accounting: .* ok$'

instance record
start ringmap record --instance record --reset --buffer-kb 8 --subbuf-kb 4 --output /tmp/small
await '^cpu 0-1: .* mapped'
numbers 0 1 500
numbers 1 1 300
# A recorder that does not run loses events.
kill -STOP $pid
numbers 0 501 1500
kill -CONT $pid
numbers 0 1501 2000
kill -INT $pid
end
check 'record ends with Ctrl-C, and its books agree' \
	passed '^accounting: .* 2300 written: ok$' "trace-cmd report /tmp/small"
small=$(sed -nE 's/^accounting: ([0-9]+) read \+ ([0-9]+) lost.*/\1 \2/p' $out)

start ringmap record --instance record --reset --buffer-kb 1024 --subbuf-kb 64 \
	--output /tmp/large --dat 6 --events 6000
await '^cpu 0-1: .* mapped'
numbers 0 1 4000
numbers 1 1 2000
end
check 'record ends after so many events' passed '^accounting: 6000 read + 0 lost, 6000 written: ok$' \
	'sub-buffers of 64 KiB'
run ringmap record --dat 6 -e sched --output /tmp/own --seconds 0.5
check 'the statistics of an instance of its own are in the file' \
	grep -aq '^read events: [1-9]' /tmp/own
run ringmap record --instance record --output /tmp/large --seconds 0.1
check 'a file that exists stays' failed '/tmp/large: exists already.*--force'
run ringmap record -e sched --output /tmp/pftrace --perfetto -- sh -c 'exit 3'
check 'record for Perfetto, with a command' ended 3 '/tmp/pftrace in ui.perfetto.dev'

start ringmap record --instance record --output /tmp/hup
await '^cpu 0-1: .* mapped'
numbers 0 1 100
kill -HUP $pid
end
check 'record ends with SIGHUP' passed 'report /tmp/hup'
start ringmap record --instance record --output /tmp/killed
await '^cpu 0-1: .* mapped'
numbers 0 1 3000
# The formats and symbols must be in the file.
usleep 2000000
kill -KILL $pid
end
run ringmap restore /tmp/killed
check 'what a kill leaves is restored' passed '/tmp/killed: .* restored'
mkdir /tmp/disk
mount -t tmpfs -o size=12m none /tmp/disk
start ringmap record --instance record --output /tmp/disk/full --seconds 60
await '^cpu 0-1: .* mapped'
dd if=/dev/zero of=/tmp/disk/fill bs=64k 2>/dev/null
numbers 0 1 6000
end
check 'a full disk' failed 'the disk is full'
rm /tmp/disk/fill
run ringmap restore /tmp/disk/full
check 'and what was recorded is restored' passed '/tmp/disk/full: .* restored'

run ringmap record --instance record --output /nonexistent/file
check 'a file that cannot be written is named' failed '/nonexistent/file: .*--output'
run ringmap stream --instance record --reset --seconds 0.1
check 'no events: a warning' passed 'no event came: '
run ringmap stream --instance nonexistent
check 'no such instance: how to make it' failed 'mkdir /sys/kernel/tracing/instances/nonexistent'

instance busy
start ringmap stream --instance busy
await '^cpu 0-1: .* mapped'
busy=$pid
run ringmap stream --instance busy --buffer-kb 640000
check 'a size that cannot change: why' failed 'cannot change while it is mapped'
# A kernel without file locks cannot know.
if [ -e /proc/locks ]; then
	run ringmap stream --instance busy
	check 'a second reader is refused' failed 'cpu0 is being read by another ringmap'
fi
kill -INT "$busy"
wait "$busy"
# Armed, and never hit: each snapshot would take the events away.
echo 'snapshot if prev_pid == 99999999' >"$i/events/sched/sched_switch/trigger"
start ringmap stream --instance busy
await '^cpu 0-1: .* read'
numbers 0 1 3000
kill -INT $pid
end
check 'a buffer with a snapshot is read' passed 'read, not mapped: a snapshot' \
	'^accounting: .* 3000 written: ok$'
echo '!snapshot' >"$i/events/sched/sched_switch/trigger"
run ringmap stream --instance busy --seconds 0.1
check 'and it is free then' said '^cpu 0-1: .* mapped'

echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd
chmod 1777 /tmp $out $data
for command in 'stream -e sched' stat 'record -e sched' top; do
	run su nobody -c "ringmap $command"
	check "$command without being root: what to do" failed 'run this as root (sudo)'
done
umount $tracing
for command in 'stream -e sched' stat 'record -e sched' top; do
	# shellcheck disable=SC2086 # Some have options.
	run ringmap $command
	check "$command without tracefs: how to mount it" failed 'mount -t tracefs'
done
echo "1..$cases"

for name in small large; do
	case $name in
	small) echo "@@ file $name $small" ;;
	large) echo "@@ file $name 6000 0" ;;
	esac
	gzip -c /tmp/$name | base64
	echo @@
done
