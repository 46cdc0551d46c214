#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# sizes.sh c|c-fixed|rust|calls: how large the mapping's code is, as figures of ringbench: the
# sizes of functions and of named data. The tests, which a kernel with KUnit has,
# do not count.
#
# C's lies within objects that both kernels have: theirs of the C kernel, less
# theirs of the Rust kernel without the shims. Rust's is an object of its own,
# and the shims.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"
. "$(dirname "$0")/../vm/env.sh"

# sum PATTERN FILE...: of the symbols that match and are no tests: functions, data.
sum() {
	local pattern=$1
	shift
	llvm-nm --demangle --print-size --radix=d "$@" | awk -v pattern="$pattern" '
		NF >= 4 && $4 ~ pattern && !/::tests::|kunit|_map_test_/ {
			if ($3 ~ /[tTwW]/) text += $2; else data += $2
		}
		END { print text + 0, data + 0 }'
}
# shared KERNEL PATTERN: of the objects that both kernels have.
shared() {
	local folder=$BUILD/kernel-$1/kernel/trace object list=()
	for object in ring_buffer trace trace_snapshot; do
		[ ! -f "$folder/$object.o" ] || list+=("$folder/$object.o")
	done
	sum "$2" "${list[@]}"
}

rust='rust-default'
[ "${1:-}" != calls ] || rust='rust-calls'
read -r shims shims_data < <(shared $rust '^((rb|trace)_map_|tracing_buffers_(mmap|may_split|vmops))')
case ${1:-} in
c | c-fixed)
	read -r text data < <(shared "$1-default" .)
	read -r other_text other_data < <(shared $rust .)
	text=$((text - other_text + shims))
	data=$((data - other_data + shims_data))
	;;
rust | calls)
	read -r text data < <(sum . "$BUILD/kernel-$rust/kernel/trace/ring_buffer_map/ring_buffer_map.o")
	text=$((text + shims))
	data=$((data + shims_data))
	;;
*) die "say c, c-fixed, rust or calls" ;;
esac
printf 'size.text\t1\t%s\nsize.data\t1\t%s\n' "$text" "$data"
