#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in the guest: real events from real work on every CPU, streamed out of
# the mapping by ringmap.

seconds=${1:-10}
cd /sys/kernel/tracing || exit

# Until it is set, a buffer has three sub-buffers.
echo 4096 >buffer_size_kb
for event in sched irq raw_syscalls; do
	echo 1 >"events/$event/enable" || exit
done

# Forks, pipes, directory walks and copies, without an end.
work() {
	while :; do
		find /sys/devices -name uevent 2>/dev/null | wc -l >/dev/null
		dd if=/dev/zero bs=4k count=200 2>/dev/null | md5sum >/dev/null
		for word in one two three; do
			echo "$word" | tr '[:lower:]' '[:upper:]' >/dev/null
		done
		sleep 0.05
	done
}

workers=
cpus=$(nproc)
cpu=0
while [ "$cpu" -lt "$cpus" ]; do
	work 2>/dev/null &
	# Its children stay on its CPU.
	taskset -p "$(printf '%x' $((1 << cpu)))" $! >/dev/null
	workers="$workers $!"
	cpu=$((cpu + 1))
done

ringmap stream --seconds "$seconds"
status=$?

# shellcheck disable=SC2086 # One word for each worker.
kill $workers
echo 0 >tracing_on
exit $status
