#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: the defects of the C code. Each case d1_... of defects*_test.c must fail
# on the C kernel and hold on the Rust kernel; a case of another name must hold
# on both. On the C kernel each has a guest for itself, since a defect may leave
# the buffer, or the kernel, unusable.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

# start IMPL NAME PROGRAM OPTIONS VAR=value...: runs the program; what the guest
# itself came to in $ending (empty: it was well).
start() {
	local impl=$1 name=$2 program=$3 options=$4
	shift 4
	VM_CMD="cd /tmp; $program $options; true"
	guest "$impl" "$name" SMP=4 FILES="$BUILD/tests/$program" ALLOW_WARN=1 "$@"
	ending=
	if [ "$guest_status" != 0 ]; then
		ending=$(why)
	else
		ending=$("$VM/klog.sh" "$guest_log" || true)
	fi
}

# outcome CASE: holds, fails or skips, or broken if the guest never got there.
# With a word on it in $detail.
outcome() {
	local line
	line=$(grep -E "^(not )?ok [0-9]+ (- )?([^ ]*\.)?$1( |\$)" "$scratch/out" | tail -n 1 || true)
	detail=$ending
	case $line in
	"not ok "*)
		outcome=fails
		[ -n "$detail" ] || detail=$(grep -F ":$1:" "$scratch/out" | head -n 1 || true)
		;;
	"ok "*"# SKIP"*) outcome=skips ;;
	"ok "*) if [ -z "$ending" ]; then outcome=holds; else outcome=fails; fi ;;
	*)
		outcome=broken
		case $guest_status in 124 | 125) outcome=fails ;; esac
		[ -n "$detail" ] || detail='no result'
		;;
	esac
}

shopt -s nullglob
for source in "$TOP"/tools/testing/selftests/ring-buffer/defects*_test.c; do
	program=$(basename "$source" .c)
	applies "$source" || continue
	cases=$(sed -nE 's/^TEST(_F)?(_TIMEOUT|_SIGNAL)?\(([a-z0-9_]+, *)?([a-z0-9_]+).*/\4/p' "$source" | sort -u -V)
	if [ ! -x "$BUILD/tests/$program" ]; then
		not_ok "$program does not build"
		continue
	elif [ -z "$cases" ]; then
		not_ok "$program has no cases"
		continue
	fi
	settings=()
	wants=$(directive "$source")
	[ -z "$wants" ] || readarray -t settings < <(xargs -n 1 printf '%s\n' <<<"$wants")

	declare -A rust=() rust_detail=()
	start rust "$program" "$program" '' "${settings[@]}"
	for case in $cases; do
		outcome "$case"
		rust[$case]=$outcome
		rust_detail[$case]=$detail
	done
	for case in $cases; do
		start c "$case" "$program" "-t $case" "${settings[@]}"
		outcome "$case"
		should='holds holds'
		if [[ $case =~ ^d[0-9]+_ ]]; then
			should='fails holds'
			id=${case%%_*}
			echo "${id^^}: C: $outcome, Rust: ${rust[$case]}"
		fi
		[ -z "$detail" ] || echo "  # C: ${detail#\# }"
		[ -z "${rust_detail[$case]}" ] || echo "  # Rust: ${rust_detail[$case]#\# }"
		if [[ " $outcome ${rust[$case]} " = *" skips "* ]]; then
			skip "$case" "C: $outcome, Rust: ${rust[$case]}"
		else
			check "$case" [ "$outcome ${rust[$case]}" = "$should" ]
		fi
	done
done
[ $results -gt 0 ] || skip 'defects' 'there are no cases'
finish
