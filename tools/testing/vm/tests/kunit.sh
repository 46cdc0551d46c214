#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: the KUnit cases of the mapping (ring_buffer_map_*) and of the kernel
# crate (rust_*), inside the Rust kernel, at boot.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

globs=('r*')
if [ "$CONFIG" = rt ]; then
	globs=('ring*' 'rust_[!s]*')
	skip "the kernel's own suite rust_spinlock_irq_condvar" \
		'it wants a SpinLockIrq to disable interrupts; with PREEMPT_RT it does not'
fi

# cases: takes over the results in the kernel's messages without their time. A
# case stands four columns in.
cases() {
	local suite='?' name line seen=$results
	while IFS= read -r line; do
		case $line in
		"    # Subtest: "*)
			suite=${line#    # Subtest: }
			continue
			;;
		esac
		name=$(sed -E 's/^ *(not )?ok [0-9]+ (- )?//' <<<"$line")
		case $line in
		"    ok "*"# SKIP"*) skip "$suite: ${name%%# SKIP*}" "${name#*# SKIP }" ;;
		"    ok "*) ok "$suite: $name" ;;
		"    not ok "*) not_ok "$suite: $name" ;;
		esac
	done < <(grep -aE '^    (# Subtest: |(not )?ok [0-9]+ )' "$scratch/messages")
	[ $seen != $results ] || not_ok "no KUnit case of $1 ran"
}

VM_CMD=true
for glob in "${globs[@]}"; do
	before=$failures
	guest rust kunit SMP=1 APPEND="kunit.enable=1 kunit.autorun=1 kunit.filter_glob=$glob"
	tr -d '\r' <"$guest_log" | sed -E 's/^\[ *[0-9.]+\](\[[^]]*\])? //' >"$scratch/messages"
	cases "$glob"
	if [ $guest_status = 0 ]; then
		ok "$glob: the kernel log is clean"
	else
		not_ok "$glob: $(why)"
	fi
	[ $failures = "$before" ] || grep -aE '^ +# ' "$scratch/messages" | sed 's/^/  #/' | head -n 40
done
finish
