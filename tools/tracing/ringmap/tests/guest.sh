#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in the guest, on two CPUs: ringmap as its users run it. Prints TAP, then
# recordings:
#	@@ file NAME READ LOST
#	the file, gzip and base64
#	@@

tracing=/sys/kernel/tracing
out=/tmp/out
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
		echo "# status $status"
		echo "not ok $cases - $name"
	fi
}
run() {
	"$@" >$out 2>&1
	status=$?
}
# start COMMAND...: in the background; its process is $pid. What was said before
# must not be taken for its output.
start() {
	: >$out
	"$@" >$out 2>&1 &
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
failed() { [ "$status" = 1 ] && said "$@"; }
# Until the command has said it; at most ten seconds.
await() {
	tries=0
	until said "$1" || [ $tries = 200 ]; do
		usleep 50000
		tries=$((tries + 1))
	done
}
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

for event in sched irq raw_syscalls; do
	echo 1 >$tracing/events/$event/enable
done
run ringmap stream --buffer-kb 4096 --events 20000
check 'stream reads all that is written' passed '^accounting: .* ok$'
run ringmap stream --live --buffer-kb 4096 --seconds 2
check 'stream --live, too' passed '^accounting: .* ok$' '^cpu1 .* events/s' \
	'^system calls of the readers: [1-9]'
start ringmap stream --live
await 'cpu1: .* mapped'
kill -INT $pid
end
check 'stream --live ends with Ctrl-C' passed '^accounting: .* ok$'
echo 0 >$tracing/events/enable

instance idle
start time -f '%U %S %e' -o /tmp/time ringmap stream --live --instance idle --seconds 3
await 'cpu1: .* mapped'
numbers 0 1 1
end
check 'stream --live sees a single event' passed '^accounting: 1 read + 0 lost, 1 written: ok'
# shellcheck disable=SC2016 # For awk.
check 'and keeps no CPU busy meanwhile' awk '
	{ print "# CPU time, elapsed time:", $0; exit !($1 + $2 < $3 / 3) }' /tmp/time

instance stat
start ringmap stat --instance stat --interval 0.1
await '^total'
numbers 1 1 100
kill -INT $pid
end
check 'stat shows all CPUs' passed 'written/s  *read/s  *lost/s' '^cpu0 ' '^cpu1 ' '^total '
check 'and ends with Ctrl-C and the sums' said '^in .* s: 100 written, 0 read, 0 lost, 0 dropped$'
run ringmap stat --cpus 1 --instance stat --interval 0.1 --count 2
check 'stat ends by itself' [ "$(grep -c '^cpu1 .* 100 ' $out)" = 2 ]

instance record
start ringmap record --instance record --buffer-kb 8 --subbuf-kb 4 --output /tmp/small
await 'cpu1: .* mapped'
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

start ringmap record --instance record --buffer-kb 1024 --subbuf-kb 64 --output /tmp/large --events 6000
await 'cpu1: .* mapped'
numbers 0 1 4000
numbers 1 1 2000
end
check 'record ends after so many events' passed '^accounting: 6000 read + 0 lost, 6000 written: ok$' \
	'sub-buffers of 64 KiB'

run ringmap record --instance record --output /nonexistent/file
check 'a file that cannot be written is named' failed '/nonexistent/file: cannot be written'
run ringmap stream --instance record --seconds 0.1
check 'no events: how to have some' failed 'no event came: .*echo 1 >'
run ringmap stream --instance nonexistent
check 'no such instance: how to make it' failed 'mkdir /sys/kernel/tracing/instances/nonexistent'

instance busy
start ringmap stream --instance busy
await 'cpu1: .* mapped'
busy=$pid
run ringmap stream --instance busy --buffer-kb 64
check 'a size that cannot change: why' failed 'cannot change while it is mapped'
kill -INT "$busy"
wait "$busy"
echo snapshot >"$i/events/sched/sched_switch/trigger"
run ringmap stream --instance busy
check 'a buffer with a snapshot: how to free it' failed 'buffer is busy' 'echo 0 > snapshot'
echo '!snapshot' >"$i/events/sched/sched_switch/trigger"
run ringmap stream --instance busy --seconds 0.1
check 'and it is free then' said 'cpu1: .* mapped'

echo 'nobody:x:65534:65534::/:/bin/sh' >/etc/passwd
chmod 1777 /tmp $out
for command in stream stat record; do
	run su nobody -c "ringmap $command"
	check "$command without being root: what to do" failed 'run this as root (sudo)'
done
umount $tracing
for command in stream stat record; do
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
