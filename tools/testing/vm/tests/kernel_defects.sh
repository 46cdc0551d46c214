#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: the defects that only a test inside the kernel can bring about: the
# KUnit cases of kernel/trace/*_map_kunit.c. Each case d7_... must fail on the C
# kernel and hold on the Rust kernel, and on the C kernel with patches/fixes if
# one of them says that it fixes this defect. A case of another name must hold on
# all, and so must one whose defect a patch in patches/common fixes. On the C
# kernel each case has a guest for itself, since it may hang.
set -euo pipefail
. "$(dirname "$0")/tap.sh"
. "$VM/stage.sh"

# Two threads of the host: a case needs two CPUs that run at the same time.
machine=(SMP=2 ACCEL=mttcg ALLOW_WARN=1)

# start IMPL NAME GLOB VAR=value...: runs the cases GLOB. The kernel's messages
# without their time in $scratch/messages; what the guest came to in $ending
# (empty: it was well).
start() {
	local impl=$1 name=$2 glob=$3
	shift 3
	VM_CMD=true
	guest "$impl" "$name" "${machine[@]}" "$@" \
		APPEND="kunit.enable=1 kunit.autorun=1 kunit.filter_glob=$suite.$glob"
	ending=
	if [ "$guest_status" != 0 ]; then
		ending=$(why)
	else
		ending=$("$VM/klog.sh" "$guest_log" || true)
	fi
	tr -d '\r' <"$guest_log" | sed -E 's/^\[ *[0-9.]+\](\[[^]]*\])? //' >"$scratch/messages"
}

# outcome CASE: holds, fails or skips, or broken if the guest never got there.
# With a word on it in $detail.
outcome() {
	local line
	line=$(grep -aE "^    (not )?ok [0-9]+ (- )?$1( |\$)" "$scratch/messages" | tail -n 1 || true)
	detail=
	case $line in
	"    not ok "*)
		outcome=fails
		detail=$(grep -aE -A 1 "^    # $1: EXPECTATION FAILED" "$scratch/messages" |
			sed -n '2s/^ *//p' || true)
		;;
	"    ok "*"# SKIP"*) outcome=skips ;;
	"    ok "*) outcome=holds ;;
	*)
		outcome=broken
		# It got as far as this suite, and never came back from it.
		if grep -qa "^    # Subtest: $suite" "$scratch/messages"; then
			case $guest_status in 124 | 125) outcome=fails ;; esac
		fi
		detail='no result'
		;;
	esac
	[ -z "$ending" ] || detail=$ending
}

common=$(fixed_defects "$TOP/patches/common" | xargs)
fixed=$(fixed_defects "$TOP/patches/fixes" | xargs)

for source in "$TOP"/kernel/trace/*_map_kunit.c; do
	suite=$(sed -nE 's/^\t\.name\t*= "(.*)",$/\1/p' "$source")
	cases=$(sed -nE 's/^\tKUNIT_CASE(_SLOW)?\(([a-z0-9_]+)\).*/\2/p' "$source")
	if [ -z "$suite" ] || [ -z "$cases" ]; then
		not_ok "$(basename "$source") has no cases"
		continue
	fi

	# All of them in one guest.
	declare -A outcomes=() details=()
	for impl in rust c-fixed; do
		start "$impl" "$suite" '*' TIMEOUT=300
		for case in $cases; do
			outcome "$case"
			outcomes[$impl $case]=$outcome
			details[$impl $case]=$detail
		done
		check "$impl: $suite: the kernel log is clean" is "$ending" ''
	done

	for case in $cases; do
		# A case takes a few seconds, or hangs.
		start c "$suite-$case" "$case" TIMEOUT=60
		outcome "$case"
		details[c $case]=$detail
		found="$outcome ${outcomes[c-fixed $case]} ${outcomes[rust $case]}"
		text="C: $outcome, C with fixes: ${outcomes[c-fixed $case]}, Rust: ${outcomes[rust $case]}"
		should='holds holds holds'
		if [[ $case =~ ^d[0-9]+_ ]]; then
			id=${case%%_*}
			echo "${id^^}: $text"
			claimed "$common" "$case" || should='fails holds holds'
			# A defect that no patch claims to fix may or may not show.
			claimed "$common $fixed" "$case" || should="fails ${outcomes[c-fixed $case]} holds"
		fi
		for impl in c c-fixed rust; do
			[ -z "${details[$impl $case]}" ] || echo "  # $impl: ${details[$impl $case]}"
		done
		if [[ " $found " = *" skips "* ]]; then
			skip "$case" "$text"
		else
			check "$case" [ "$found" = "$should" ]
		fi
	done
done
finish
