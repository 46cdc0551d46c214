#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: the defects of the C code. Each case d1_... of defects*_test.c must fail
# on the C kernel and hold on the Rust kernel, and on the C kernel with
# patches/fixes if one of them says that it fixes this defect. A case of another
# name must hold on all. A case that fails has a guest for itself, since a defect
# may leave the buffer, or the kernel, unusable.
set -euo pipefail
. "$(dirname "$0")/tap.sh"
. "$VM/stage.sh"

# start IMPL NAME PROGRAM OPTIONS VAR=value...: runs the program; what the guest
# itself came to in $ending (empty: it was well).
start() {
	local impl=$1 name=$2 program=$3 options=$4
	shift 4
	VM_CMD="cd /tmp; $program $options; true"
	guest "$impl" "$name" SMP=4 FILES="$ARCH_BUILD/tests/$program" ALLOW_WARN=1 "$@"
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

# note KERNEL CASE: keeps its outcome.
note() {
	outcome "$2"
	outcomes[$1 $2]=$outcome
	details[$1 $2]=$detail
}

# has LIST WORD
has() { [[ " $1 " == *" $2 "* ]]; }

# What the patches say they fix: in every kernel, and in C by patches/fixes.
common=$(fixed_defects "$TOP/patches/common" | xargs)
fixed=$(fixed_defects "$TOP/patches/fixes" | xargs)
# By defect, what its cases come to on the C kernel with the fixes: the worst.
declare -A sum=()

shopt -s nullglob
for source in "$TOP"/tools/testing/selftests/ring-buffer/defects*_test.c; do
	program=$(basename "$source" .c)
	applies "$source" || continue
	cases=$(sed -nE 's/^TEST(_F)?(_TIMEOUT|_SIGNAL)?\(([a-z0-9_]+, *)?([a-z0-9_]+).*/\4/p' "$source" | sort -u -V)
	if [ ! -x "$ARCH_BUILD/tests/$program" ]; then
		not_ok "$program does not build"
		continue
	elif [ -z "$cases" ]; then
		not_ok "$program has no cases"
		continue
	fi
	settings=()
	wants=$(directive "$source")
	[ -z "$wants" ] || readarray -t settings < <(xargs -n 1 printf '%s\n' <<<"$wants")

	# What is expected to hold shares a guest.
	declare -A outcomes=() details=()
	declare -a shared=() alone=()
	start rust "$program" "$program" '' "${settings[@]}"
	for case in $cases; do
		note rust "$case"
		if [[ $case =~ ^d[0-9]+_ ]] && ! claimed "$common $fixed" "$case"; then
			alone+=("$case")
		else
			shared+=("$case")
		fi
	done
	[ ${#shared[@]} = 0 ] || start c-fixed "$program" "$program" "${alone[*]/#/-T }" "${settings[@]}"
	for case in "${shared[@]}"; do
		note fixed "$case"
	done
	for case in "${alone[@]}"; do
		start c-fixed "$case" "$program" "-t $case" "${settings[@]}"
		note fixed "$case"
	done

	for case in $cases; do
		start c "$case" "$program" "-t $case" "${settings[@]}"
		outcome "$case"
		found="$outcome ${outcomes[fixed $case]} ${outcomes[rust $case]}"
		text="C: $outcome, C with fixes: ${outcomes[fixed $case]}, Rust: ${outcomes[rust $case]}"
		should='holds holds holds'
		if [[ $case =~ ^d[0-9]+_ ]]; then
			id=${case%%_*}
			id=${id^^}
			echo "$id: $text"
			claimed "$common" "$case" || should='fails holds holds'
			# A defect that no patch claims to fix may or may not show.
			claimed "$common $fixed" "$case" || should="fails ${outcomes[fixed $case]} holds"
			case "${sum[$id]:-} ${outcomes[fixed $case]}" in
			*fails* | *broken*) sum[$id]=fails ;;
			*skips*) sum[$id]=skips ;;
			*) sum[$id]=holds ;;
			esac
		fi
		[ -z "$detail" ] || echo "  # C: ${detail#\# }"
		detail=${details[fixed $case]}
		[ -z "$detail" ] || echo "  # C with fixes: ${detail#\# }"
		detail=${details[rust $case]}
		[ -z "$detail" ] || echo "  # Rust: ${detail#\# }"
		if has "$found" skips; then
			skip "$case" "$text"
		else
			check "$case" [ "$found" = "$should" ]
		fi
	done
done

# those WORD [yes|no]: the defects whose cases come to WORD; of those without a
# case, which a patch fixes, or none.
those() {
	local id list=
	for id in D{1..28}; do
		[ "${sum[$id]:-}" = "$1" ] || continue
		case ${2:-} in
		yes) has "$common $fixed" "$id" || continue ;;
		no) ! has "$common $fixed" "$id" || continue ;;
		esac
		list="$list $id"
	done
	echo "${list:- none}"
}
echo "# C with the fixes, D1 to D29: still fails:$(those fails); holds:$(those holds);" \
	"skipped:$(those skips); without a case here, fixed:$(those '' yes), not fixed:$(those '' no)"
[ $results -gt 0 ] || skip 'defects' 'there are no cases'
finish
