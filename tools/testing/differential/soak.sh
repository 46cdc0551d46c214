#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# soak.sh: a million operations on both kernels, one seed after the other. Stops
# at the first difference, with a list of operations that is as short as can be.
# Called again, it goes on after the last seed that was good.
#
#   OPERATIONS=n   how many in all (1000000)
#   SEED=n         begin again, with this seed; the next ones follow
#
# soak.sh shrink FILE: makes the only scenario in FILE short, into FILE.short.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"

folder=$TOP/tools/testing/differential
state=$BUILD/soak
mkdir -p "$state"
PROGRAM=${PROGRAM:-$("$folder/build.sh")}
C_IMAGE=${C_IMAGE:-$(IMPL=c "$VM/kernel.sh" | tail -n 1)}
RUST_IMAGE=${RUST_IMAGE:-$(IMPL=rust "$VM/kernel.sh" | tail -n 1)}
export PROGRAM C_IMAGE RUST_IMAGE

# shrink FILE: to FILE.short, and what differs on it.
shrink() {
	say "making $1 short"
	TIMEOUT=60 "$PROGRAM" shrink "$1" "$folder/pair.sh" "$1.short" || return 0
	TIMEOUT=60 "$folder/pair.sh" "$1.short" "$1.c" "$1.rust" || true
	"$PROGRAM" compare "$1.short" "$1.c" "$1.rust" | head -n 1 || true
	cat "$1.short"
	say "that is $1.short; the transcripts: $1.c and $1.rust"
}

if [ "${1:-}" = shrink ]; then
	[ -f "${2:-}" ] || die "say: soak.sh shrink FILE"
	shrink "$2"
	exit
fi

# The state: the next seed, the operations so far, the hits of each rule.
kernels=$(sha256sum "$C_IMAGE" "$RUST_IMAGE" "$PROGRAM" | cut -c 1-64 | tr '\n' ' ')
total=${OPERATIONS:-1000000}
seed=${SEED:-1} done=0
declare -A hits=()
if [ -z "${SEED:-}" ] && [ -f "$state/state" ]; then
	if [ "$(cat "$state/kernels" 2>/dev/null)" = "$kernels" ]; then
		while read -r key value; do
			case $key in
			seed) seed=$value ;;
			done) done=$value ;;
			D*) hits[$key]=$value ;;
			esac
		done <"$state/state"
		[ "$done" -lt "$total" ] || { done=0; hits=(); }
		[ "$done" = 0 ] || say "going on with seed $seed, after $done operations"
	else
		say "these are other kernels than the last time: from the beginning"
	fi
fi
printf '%s\n' "$kernels" >"$state/kernels"

save() {
	local rule
	{
		echo "seed $seed"
		echo "done $done"
		for rule in "${!hits[@]}"; do echo "$rule ${hits[$rule]}"; done
	} >"$state/state.tmp"
	mv "$state/state.tmp" "$state/state"
}

# One in nine is of the kind at which the C kernel warns.
start=$(date +%s)
before=$done
while [ "$done" -lt "$total" ]; do
	for kind in plain moves; do
		nr=40000
		[ $kind = plain ] || nr=5000
		ops=$state/$kind.ops
		status=0
		if [ $kind = moves ]; then
			cat "$folder/preamble.ops"
		fi >"$ops"
		"$PROGRAM" gen $kind "$seed" $nr >>"$ops"
		TIMEOUT=${TIMEOUT:-1200} "$folder/pair.sh" "$ops" "$state/c" "$state/rust" || status=$?
		rm -f "$state/first"
		"$PROGRAM" compare "$ops" "$state/c" "$state/rust" --first "$state/first" \
			>"$state/compared" || status=$?
		if [ $status != 0 ]; then
			cat "$state/compared"
			say "seed $seed, $kind: the kernels differ, or one of them warned"
			[ ! -f "$state/first" ] || {
				mv "$state/first" "$state/seed-$seed.ops"
				shrink "$state/seed-$seed.ops"
			}
			exit 1
		fi
		while read -r rule nr; do
			hits[$rule]=$((${hits[$rule]:-0} + nr))
		done < <(sed -nE 's/^rule (D[0-9]+): ([0-9]+)$/\1 \2/p' "$state/compared")
		done=$((done + $(sed -nE 's/^([0-9]+) operations in .*/\1/p' "$state/compared")))
	done
	seed=$((seed + 1))
	save
	seconds=$(($(date +%s) - start))
	say "$done of $total operations, $(elapsed "$start"), $(((done - before) / (seconds + 1))) a second"
done

rm -f "$state"/*.ops "$state/c" "$state/rust" "$state/compared"
echo "$done operations up to seed $((seed - 1)): no difference but those of the rules"
for rule in $(printf '%s\n' "${!hits[@]}" | sort -V); do
	echo "rule $rule: ${hits[$rule]}"
	[ "${hits[$rule]}" -gt 0 ] || die "rule $rule was of no use"
done
