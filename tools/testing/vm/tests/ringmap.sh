#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: ringmap, the library and the command, on both kernels; and its recordings
# in trace-cmd.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

ringmap=$("$VM/programs.sh" ringmap) || {
	not_ok 'ringmap builds'
	finish
}

# shellcheck disable=SC2317 # Called by check.
# says STATUS PATTERN COMMAND...
says() {
	local status=0
	"${@:3}" >"$scratch/said" 2>&1 || status=$?
	if ! is "$status" "$1" || ! grep -q -- "$2" "$scratch/said"; then
		sed 's/^/  # /' "$scratch/said"
		return 1
	fi
}
for command in top stream record stat; do
	for part in Usage: Options: 'Exit status:' 'Files' Examples: '--instance <NAME>'; do
		check "$command --help has $part" says 0 "$part" "$ringmap" "$command" --help
	done
	check "$command refuses an unknown option" says 2 'Usage:' "$ringmap" "$command" --frobnicate
done
check '--help names all commands' says 0 'record .*' "$ringmap" --help

check 'completions' says 0 'complete ' "$ringmap" completions bash
# shellcheck disable=SC2317 # Called by check.
installs() {
	make -C "$TOP/tools/tracing/ringmap" install RINGMAP="$ringmap" DESTDIR="$scratch/root" PREFIX=/usr \
		>"$scratch/said" 2>&1 &&
		[ -x "$scratch/root/usr/bin/ringmap" ] && [ -f "$scratch/root/usr/share/man/man1/ringmap-record.1" ]
}
check 'make install' installs

# shellcheck disable=SC2317 # Called by check.
# numbered FILE READ LOST: does trace-cmd show on each CPU the numbers from 1 on,
# and in each gap as many dropped events as are missing?
numbered() {
	trace-cmd report "$1" 2>/dev/null | awk -v read="$2" -v lost="$3" '
		/EVENTS DROPPED/ {
			match($0, /CPU:[0-9]+/)
			cpu = substr($0, RSTART + 4, RLENGTH - 4) + 0
			match($0, /\[[0-9]+ /)
			gap[cpu] = substr($0, RSTART + 1, RLENGTH - 2)
			dropped += gap[cpu]
		}
		/the number is: / {
			match($0, /\[[0-9]+\]/)
			cpu = substr($0, RSTART + 1, RLENGTH - 2) + 0
			if ($NF != last[cpu] + gap[cpu] + 1) {
				print "  # cpu" cpu ": " $NF + 0 " comes after " last[cpu] + 0 ", " gap[cpu] + 0 " dropped"
				bad = 1
			}
			last[cpu] = $NF
			gap[cpu] = 0
			seen++
		}
		END {
			if (seen != read || dropped + 0 != lost)
				print "  # " seen + 0 " events and " dropped + 0 " dropped, should be " read " and " lost
			exit bad || seen != read || dropped + 0 != lost
		}'
}
# shellcheck disable=SC2317 # Called by check.
not_numbered() { ! numbered "$@" >/dev/null; }

for impl in rust c; do
	VM_CMD='ringmap-selftest 50000
		echo "@@ status $?"
		guest.sh'
	guest $impl ringmap SMP=2 ACCEL=mttcg TIMEOUT=900 \
		FILES="$ringmap $ringmap-selftest $TOP/tools/tracing/ringmap/tests/guest.sh"
	sed '/^@@ status/,$d' "$scratch/out" >"$scratch/selftest"
	import_tap "$impl: selftest" "$scratch/selftest" \
		"$(sed -nE 's/^@@ status ([0-9]+)$/\1/p' "$scratch/out")"
	sed -n '/ system calls per million events$/s/^/  /p' "$scratch/selftest"
	sed '1,/^@@ status/d; /^@@ file/,$d' "$scratch/out" >"$scratch/command"
	import_tap "$impl" "$scratch/command" 0

	while read -r _ _ name read lost; do
		file=$scratch/$impl-$name
		sed "1,/^@@ file $name /d" "$scratch/out" | sed '/^@@/,$d' | base64 -d | gunzip >"$file" || true
		check "$impl: trace-cmd shows the $read events of the $name recording, and $lost lost" \
			numbered "$file" "$read" "$lost"
		case $name in
		small)
			check "$impl: in it events were lost" [ "$lost" -gt 0 ]
			check "$impl: and with another number of them it would fail" \
				not_numbered "$file" "$read" $((lost + 1))
			;;
		esac
	done < <(grep '^@@ file ' "$scratch/out" || true)
	check "$impl: there are two recordings" is "$(grep -c '^@@ file ' "$scratch/out")" 2
	check "$impl: trace-cmd knows the statistics of each CPU" \
		says 0 'overrun: [1-9]' trace-cmd report --stat "$scratch/$impl-small"
	if [ "$guest_status" = 0 ]; then
		ok "$impl: the kernel log is clean"
	else
		not_ok "$impl: $(why)"
	fi
done
finish
