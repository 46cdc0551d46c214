#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: the KUnit cases of the mapping (ring_buffer_map_*) and of the kernel
# crate (rust_*), inside the Rust kernel, at boot.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

VM_CMD=true
guest rust kunit SMP=1 APPEND='kunit.enable=1 kunit.autorun=1 kunit.filter_glob=r*'

# The kernel's messages without their time. A case stands four columns in.
tr -d '\r' <"$guest_log" | sed -E 's/^\[ *[0-9.]+\](\[[^]]*\])? //' >"$scratch/messages"
seen=$results
suite='?'
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
[ $seen != $results ] || not_ok "no KUnit case ran"
if [ $guest_status = 0 ]; then
	ok "the kernel log is clean"
else
	not_ok "$(why)"
fi
[ $failures = 0 ] || grep -aE '^ +# ' "$scratch/messages" | sed 's/^/  #/' | head -n 40
finish
