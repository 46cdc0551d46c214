#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in the guest: real events from real work on every CPU, out of the mapping
# by ringmap: some of them as text, then live figures.

seconds=${1:-10}

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

# show WORD...: a command as its user would type it, and what it does.
show() {
	echo "\$ ringmap $*"
	ringmap "$@"
}

status=0
show doctor || status=$?
show stream -q -e sched:sched_switch -e irq --events 100 >/tmp/events || status=$?
head -n 12 /tmp/events
show top -e sched -e irq -e raw_syscalls --buffer-kb 4096 --interval "$((seconds / 2))" --count 2 || status=$?
# More than what was typed.
[ "$(wc -l </tmp/events)" -gt 1 ] || status=1

# shellcheck disable=SC2086 # One word for each worker.
kill $workers
exit $status
