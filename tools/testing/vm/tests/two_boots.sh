#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: what a kernel leaves in a persistent instance, and finds there in the
# next boot. The memory of the guest is a file, which both boots use. Between
# them, two pages are damaged in this file. Each case d5_... of two_boots_test.c
# must fail on the C kernel unless patches/common has the fix, and hold on the Rust
# kernel and on the C kernel with patches/fixes. Cases control_... hold on all.
set -euo pipefail
. "$(dirname "$0")/tap.sh"
. "$VM/stage.sh"

common=$(fixed_defects "$TOP/patches/common" | xargs)
source=$TOP/tools/testing/selftests/ring-buffer/two_boots_test.c
readarray -t settings < <(directive "$source" | xargs -n 1 printf '%s\n')
cases=$(sed -nE 's/^TEST_F\(two_boots, ((d[0-9]+|control)_[a-z0-9_]+)\).*/\1/p' "$source")

# start IMPL NUMBER: one boot; what the guest itself came to in $ending (empty: it
# was well). The command is the same in both boots, since the size of the initramfs
# may decide where the kernel reserves the memory.
start() {
	VM_CMD='cd /tmp; two_boots_test; true'
	guest "$1" "two-boots-$2" "${settings[@]}" FILES="$ARCH_BUILD/tests/two_boots_test" \
		MEM_FILE="$scratch/memory" ALLOW_WARN=1
	ending=
	if [ "$guest_status" != 0 ]; then
		ending=$(why)
	else
		ending=$("$VM/klog.sh" "$guest_log" || true)
	fi
}

# shellcheck disable=SC2317 # Called by check.
# damage: gives the pages that the first boot has named a size that no page has.
damage() {
	local addresses address
	addresses=$(sed -n 's/.*:to be damaged: //p' "$scratch/out")
	[ "$(wc -w <<<"$addresses")" = 2 ] || return 1
	for address in $addresses; do
		printf '\377\377\377\377\377\377\377\377' |
			dd of="$scratch/memory" bs=1 seek=$((address + 8)) conv=notrunc status=none
	done
}

# outcome CASE: holds, fails, or broken if it did not come to a result. With a
# word on it in $detail.
outcome() {
	local line
	line=$(grep -E "^(not )?ok [0-9]+ two_boots\.$1( |\$)" "$scratch/out" || true)
	detail=$ending
	case $line in
	"not ok "*)
		outcome=fails
		[ -n "$detail" ] || detail=$(sed -n "s/.*:$1://p" "$scratch/out" | head -n 1)
		;;
	"ok "*"# SKIP"*)
		outcome=broken
		detail=${line#*# SKIP }
		;;
	"ok "*) if [ -z "$ending" ]; then outcome=holds; else outcome=fails; fi ;;
	*)
		outcome=broken
		[ -n "$detail" ] || detail='no result'
		;;
	esac
}

declare -A outcomes=() details=()
for impl in c c-fixed rust; do
	rm -f "$scratch/memory"
	start $impl 1
	check "$impl: the first boot leaves events" \
		grep -qE '^ok [0-9]+ two_boots\.written_for_the_next_boot$' "$scratch/out"
	check "$impl: pages are damaged" damage
	start $impl 2
	sed -nE "s/^.*(Ring buffer meta \[[0-9]+\] is from.*discarded\)).*/  # $impl: \1/p" "$guest_log"
	for case in $cases; do
		outcome "$case"
		outcomes[$impl $case]=$outcome
		details[$impl $case]=$detail
	done
done

for case in $cases; do
	id=${case%%_*}
	found="${outcomes[c $case]} ${outcomes[c-fixed $case]} ${outcomes[rust $case]}"
	echo "${id^^}: C: ${outcomes[c $case]}, C with fixes: ${outcomes[c-fixed $case]}, Rust: ${outcomes[rust $case]}"
	for impl in c c-fixed rust; do
		[ -z "${details[$impl $case]}" ] || echo "  # $impl: ${details[$impl $case]}"
	done
	should='fails holds holds'
	! claimed "$common" "$case" && [[ $case != control_* ]] || should='holds holds holds'
	check "$case" [ "$found" = "$should" ]
done
[ -n "$cases" ] || not_ok 'there are no cases'
finish
