#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: what the mapping in Rust costs, against the record of it. Instructions,
# not time: the machine and its load do not matter.
#
#   BENCH_RECORD=/file   another record
set -euo pipefail
. "$(dirname "$0")/tap.sh"

bench=$TOP/tools/testing/bench
if [ "${CONFIG:-default}" != default ]; then
	skip 'figures against their record' "the record is of CONFIG=default"
	finish
fi
if ! programs=$("$bench/build.sh"); then
	not_ok 'ringbench builds'
	finish
fi
"$bench/environment.sh" >"$scratch/environment"

# shellcheck disable=SC2034 # Of guest.
VM_CMD='ringbench short'
guest rust bench ACCEL=icount SMP= MEM=1024 FILES="$programs/ringbench"
if [ "$guest_status" != 0 ]; then
	tail -n 2 "$scratch/out" | sed 's/^/  # /'
	not_ok "the figures: $(why)"
	finish
fi
cp "$scratch/out" "$LOGS/test-bench.tsv"
if ! "$programs/ringbench-report" gate "$scratch/environment" "$scratch/out" \
	"${BENCH_RECORD:-$bench/recorded.tsv}" >"$scratch/gate"; then
	not_ok 'the figures can be compared with their record'
	finish
fi
while IFS=$'\t' read -r line reason; do
	case $line in
	"ok "*) ok "${line#ok }" ;;
	"skip "*) skip "${line#skip }" "$reason" ;;
	*) not_ok "${line#not ok }" ;;
	esac
done <"$scratch/gate"
finish
