#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Measures both kernels: a table, the limits, and build/bench/{results.json,
# table.md,bench.svg}. One CPU whose time is executed instructions, so that the
# figures are the same each time, on any machine.
#
#   C_IMPL=c|c-fixed   the C kernel to compare with, without the fixes or with them (c)
#   RECORD=1           keeps the figures for the gate, and the picture, in this folder
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"

here=$TOP/tools/testing/bench
out=$BUILD/bench
mkdir -p "$out"
c=${C_IMPL:-c}
[[ $c =~ ^c(-fixed)?$ ]] || die "C_IMPL=$c is neither c nor c-fixed"
[ "$c" = c ] || [ "${RECORD:-0}" != 1 ] || die "RECORD=1 is for C_IMPL=c"

for impl in "$c" rust; do
	IMPL=$impl CONFIG=default "$VM/kernel.sh" | tail -n 1 >"$out/image-$impl"
done
programs=$("$here/build.sh")

start=$(date +%s)
say "measuring both kernels at once (a minute or two)"
declare -A guests
for impl in "$c" rust; do
	IMPL=$impl CONFIG=default KERNEL_IMAGE=$(cat "$out/image-$impl") ACCEL=icount SMP='' MEM=1024 \
		APPEND='' FILES="$programs/ringbench" VM_CMD='ringbench all' TIMEOUT=1800 \
		VM_LOG=$LOGS/bench-$impl.log "$VM/run.sh" >"$out/$impl.tsv" 2>"$out/$impl.err" &
	guests[$impl]=$!
done
trap 'kill "${guests[@]}" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM HUP
for impl in "$c" rust; do
	wait "${guests[$impl]}" || {
		tail -n 3 "$out/$impl.tsv" "$out/$impl.err" >&2
		die "kernel $impl could not be measured"
	}
	unset "guests[$impl]"
	"$here/sizes.sh" "$impl" >>"$out/$impl.tsv"
done
say "measured in $(elapsed "$start")"

"$here/environment.sh" >"$out/environment.tsv"
"$programs/ringbench-report" bench "$out/environment.tsv" "$out/$c.tsv" "$out/rust.tsv" "$out"
say "raw results, table and picture: $out/results.json, table.md, bench.svg"

if [ "${RECORD:-0}" = 1 ]; then
	"$programs/ringbench-report" record "$out/environment.tsv" "$out/rust.tsv" >"$out/recorded.tsv"
	cp "$out/recorded.tsv" "$out/bench.svg" "$here/"
	say "recorded: $here/recorded.tsv, bench.svg"
fi
