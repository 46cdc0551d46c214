#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Measures both kernels, and Rust without inlined helpers: a table, the limits, and
# build/bench/{results.json,table.md,bench.svg}. One CPU whose time is executed
# instructions, so that the figures are the same each time, on any machine. Then
# a second table, of this processor: see cpu.sh.
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

# kernel NAME: its image. calls is the Rust kernel, with CONFIG=calls.
kernel() {
	case $1 in
	calls) IMPL=rust CONFIG=calls "$VM/kernel.sh" ;;
	*) IMPL=$1 CONFIG=default "$VM/kernel.sh" ;;
	esac | tail -n 1
}
names=("$c" rust calls)
for name in "${names[@]}"; do kernel "$name" >"$out/image-$name"; done
programs=$("$here/build.sh")

start=$(date +%s)
say "measuring the kernels (two or three minutes)"
declare -A guests
measure() {
	IMPL=${1/calls/rust} CONFIG=default KERNEL_IMAGE=$(cat "$out/image-$1") ACCEL=icount SMP='' MEM=1024 \
		APPEND='' FILES="$programs/ringbench" VM_CMD='ringbench all' TIMEOUT=1800 \
		VM_LOG=$LOGS/bench-$1.log "$VM/run.sh" >"$out/$1.tsv" 2>"$out/$1.err"
}
trap 'kill "${guests[@]}" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM HUP
for name in "${names[@]}"; do
	measure "$name" &
	guests[$name]=$!
done
for name in "${names[@]}"; do
	wait "${guests[$name]}" || {
		tail -n 3 "$out/$name.tsv" "$out/$name.err" >&2
		die "kernel $name could not be measured"
	}
	unset "guests[$name]"
	"$here/sizes.sh" "$name" >>"$out/$name.tsv"
done
say "measured in $(elapsed "$start")"

"$here/environment.sh" >"$out/environment.tsv"
"$programs/ringbench-report" bench "$out/environment.tsv" "$out/$c.tsv" "$out/rust.tsv" "$out/calls.tsv" "$out"
say "raw results, table and picture: $out/results.json, table.md, bench.svg"

status=0
"$here/cpu.sh" || status=$?
picture=$status
[ $status != 4 ] || status=0

if [ "${RECORD:-0}" = 1 ]; then
	"$programs/ringbench-report" record "$out/environment.tsv" "$out/rust.tsv" >"$out/recorded.tsv"
	cp "$out/recorded.tsv" "$out/bench.svg" "$here/"
	say "recorded: $here/recorded.tsv, bench.svg"
	[ "$picture" != 0 ] || cp "$out/cpu.svg" "$here/"
fi
exit $status
