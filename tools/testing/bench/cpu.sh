#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Measures both kernels on the processor of this machine, as processes: user-mode
# Linux. A table, the limit, and build/bench/{cpu.md,cpu.svg}.
#
#   C_IMPL=c|c-fixed   as of bench.sh
#   ROUNDS=n           how often each kernel runs, in turns (10)
#
# Ends with 4 where there is no user-mode Linux.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"

here=$TOP/tools/testing/bench
out=$BUILD/bench
mkdir -p "$out"
c=${C_IMPL:-c}
rounds=${ROUNDS:-10}
[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "ROUNDS=$rounds is no number"
# cannot REASON
cannot() {
	say "no table of this processor: $1"
	exit 4
}
[ "$(uname -m)" = x86_64 ] || cannot "user-mode Linux is for x86-64"

for impl in "$c" rust; do
	ARCH=um IMPL=$impl CONFIG=benchmark "$VM/kernel.sh" | tail -n 1 >"$out/um-$impl"
	: >"$out/cpu-$impl.tsv"
done
programs=$("$here/build.sh")

# run IMPL: adds the samples of one run.
run() {
	local log=$LOGS/bench-cpu-$1.log status=0
	timeout -k 5 300 "$(cat "$out/um-$1")" mem=256M con=null con0=null,fd:1 kunit.enable=1 kunit.autorun=1 \
		kunit.filter_glob=trace_map_benchmark kunit_shutdown=poweroff >"$log" 2>&1 </dev/null || status=$?
	tr -d '\r' <"$log" | sed -nE 's/^(\[[^]]*\] *)?map_benchmark: //p' |
		sed -E 's/^([^ ]+) ([0-9]+) /\1\t\2\t/' >"$out/cpu.new"
	grep -qE '(^|[] ])ok 1 trace_map_benchmark' "$log" || {
		! grep -qiE 'ptrace|seccomp|operation not permitted' "$log" || grep -q Linux.version "$log" ||
			cannot "user-mode Linux must be allowed to trace processes of its own (log: $log)"
		die "user-mode Linux $1 did not end its benchmark (status $status, log: $log)"
	}
	cat "$out/cpu.new" >>"$out/cpu-$1.tsv"
}

start=$(date +%s)
say "measuring both kernels on this processor, $rounds times in turns"
for ((round = 0; round < rounds; round++)); do
	for impl in "$c" rust; do run "$impl"; done
done
say "measured in $(elapsed "$start")"
"$programs/ringbench-report" cpu "$out/cpu-$c.tsv" "$out/cpu-rust.tsv" "$out"
say "table and picture: $out/cpu.md, cpu.svg"
