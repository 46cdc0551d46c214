#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in the guest: Debian's programs on mapped buffers, as TAP. A line that
# begins with "= " must be the same on both kernels.

tracing=/sys/kernel/tracing
observer=$tracing/instances/observer
markers=5000
# TRACE_MMAP_IOCTL_GET_READER.
get_reader=$((0x5220))

tar -x -C / -f /bin/root.tar ./usr && rm /bin/root.tar || exit
ln -s usr/lib /lib
ln -s usr/lib64 /lib64
export PATH=/bin:/usr/bin:/usr/sbin
cd /tmp || exit
cpus=$(nproc)
results=0

# result NAME STATUS
result() {
	results=$((results + 1))
	[ "$2" = 0 ] || printf 'not '
	echo "ok $results - $1"
}
said() { sed '/^= /!s/^/# /' "$1" | tail -n 9; }

# Programs of ours, on libtracefs.
for subbuf in 4 16; do
	for mode in nonblock block map iterate overrun; do
		timeout 100 reader $mode $subbuf >out 2>&1
		status=$?
		said out
		result "libtracefs, $subbuf KiB: $mode" $status
		rmdir $tracing/instances/reader 2>/dev/null
	done
done

# observe COMM: count what a program of that name does to the mapping.
observe() {
	mkdir $observer
	echo "comm == \"$1\" && cmd == $get_reader" >$observer/events/syscalls/sys_enter_ioctl/filter
	echo "comm == \"$1\"" >$observer/events/syscalls/sys_enter_splice/filter
	echo 1 >$observer/events/syscalls/sys_enter_ioctl/enable
	echo 1 >$observer/events/syscalls/sys_enter_splice/enable
}

# observed CALL: how many there were.
observed() { grep -c " sys_$1(" $observer/trace; }

# stat CPU FIELD: of the instance that the program has left.
stat() { sed -n "s/^$2: //p" "$instance/per_cpu/cpu$1/stats"; }

# rtla_run INSTANCE TRACER COMMAND...: an open file keeps the tracer and the
# instance, which rtla would remove as it ends. So what the kernel has handed out
# can be compared with what rtla says that it got.
rtla_run() {
	name=$1
	instance=$tracing/instances/$1
	tracer=$2
	shift 2
	observe rtla
	RTLA_NO_BPF=1 timeout 100 "$@" >out 2>&1 &
	pid=$!
	until grep -qs "$tracer" "$instance/current_tracer"; do
		kill -0 $pid 2>/dev/null || break
		sleep 0.1
	done
	exec 3<"$instance/per_cpu/cpu0/trace_pipe_raw"
	wait $pid
	status=$?
	said out
	result "$name: ends well" $status
	echo "# $name: $(observed ioctl) GET_READER, $(observed splice) splice"
	[ "$(observed ioctl)" -gt 0 ] && [ "$(observed splice)" = 0 ]
	result "$name: reads from the mapping only" $?
}

# rtla_check COUNT...: what rtla says of each CPU. What comes between the last
# look of libtracefs at a page and its GET_READER is read, and not shown: some
# events, never as many as a page has.
rtla_check() {
	cpu=0
	while [ $cpu -lt "$cpus" ]; do
		count=${1:-0}
		[ $# = 0 ] || shift
		got=$(stat $cpu 'read events')
		lost=$(($(stat $cpu overrun) + $(stat $cpu 'dropped events')))
		echo "# $name: cpu$cpu: the kernel: $got read, $lost lost; rtla: $count"
		[ "$count" -gt 0 ] && [ "$count" -le "$got" ] && [ $lost = 0 ] &&
			[ $((got - count)) -le $((got / 100 + 1)) ]
		result "$name: cpu$cpu: each sample once" $?
		cpu=$((cpu + 1))
	done
	exec 3<&-
	echo nop >"$instance/current_tracer"
	rmdir "$instance" $observer
}

# The columns of a CPU are IRQ and Thr.
rtla_run timerlat_hist timerlat rtla timerlat hist -k --no-aa -d 4s
# shellcheck disable=SC2046 # One word for each CPU.
rtla_check $(awk '/^count:/ { sub("count:", ""); for (i = 1; i < NF; i += 2) print $i + $(i + 1); exit }' out)

rtla_run osnoise_top osnoise rtla osnoise top -q -p 50000 -r 20000 -d 4s
# shellcheck disable=SC2046 # One word for each CPU.
rtla_check $(awk '$2 ~ /^#[0-9]/ { print substr($2, 2) }' out)

# in_order NAME FILE: are the markers of each CPU all there, each once, in order?
in_order() {
	sed -n 's/.*marker \([0-9]*\) \([0-9]*\).*/\1 \2/p' "$2" |
		awk -v name="$1" -v cpus="$cpus" -v markers=$markers '
			$2 != next_[$1]++ { bad++ }
			END {
				for (cpu = 0; cpu < cpus; cpu++) {
					printf "= %s: cpu%d: %d markers\n", name, cpu, next_[cpu]
					if (next_[cpu] != markers)
						bad++
				}
				exit bad > 0
			}'
}

# While there is a reader the tracer cannot be changed, so trace-cmd is first.
trace-cmd record -e sched_switch -o trace.dat reader beside reader mark $markers >out 2>&1
status=$?
said out
result 'trace-cmd record: beside a mapping' $status
trace-cmd report trace.dat >shown
result 'trace-cmd report' $?
grep -q sched_switch shown && ! grep 'EVENTS DROPPED' shown
result 'trace-cmd: nothing is lost' $?
in_order trace-cmd shown
result 'trace-cmd: each marker once, in order' $?

cat >config <<END
buffers { size_kb: 32768 }
data_sources { config { name: "linux.ftrace" ftrace_config {
	ftrace_events: "ftrace/print"
	ftrace_events: "sched/sched_switch"
} } }
END
traced >traced.log 2>&1 &
traced_probes >probes.log 2>&1 &
# Without it, there would be nothing to wait for.
tries=0
until perfetto --query 2>/dev/null | grep -q linux.ftrace || [ $((tries += 1)) -gt 100 ]; do
	sleep 0.1
done
pid=$(timeout 100 perfetto --background-wait --txt -c config -o trace.perfetto 2>out)
reader beside reader mark $markers
result 'perfetto: beside a mapping' $?
# Ended by this, it writes what it has.
kill -TERM "$pid"
tries=0
while [ -d "/proc/$pid" ] && [ $((tries += 1)) -lt 600 ]; do sleep 0.1; done
said out
said probes.log
grep -ao 'marker [0-9]* [0-9]*' trace.perfetto >shown
in_order perfetto shown
result 'perfetto: each marker once, in order' $?

echo "1..$results"
