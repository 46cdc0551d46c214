#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds what runs in the guest, static, so that it needs no libraries there.
#
#   programs.sh ringmap    prints the path of the consumer
#   programs.sh tests      the kernel's map_test and our tests, into build/tests
#                          (build/ARCH/tests for another machine)
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/env.sh"

headers=$ARCH_BUILD/headers

ringmap() {
	local folder
	folder=$(static_programs tools/tracing/ringmap)
	echo "$folder/ringmap"
}

# The headers that user space sees: the tests are built for this kernel's.
headers() {
	local log=$LOGS/headers.log
	[ "$(cat "$headers/id" 2>/dev/null)" != "$(cat "$BUILD/pristine.id")" ] || return 0
	say "installing the kernel's headers"
	kmake O="$headers/obj" INSTALL_HDR_PATH="$headers" headers_install \
		>"$log" 2>&1 </dev/null || {
		tail -n 10 "$log" >&2
		die "cannot install the kernel's headers (log: $log)"
	}
	cp "$BUILD/pristine.id" "$headers/id"
}

# compile SOURCE: into build/tests, unless what is there is newer than all the
# sources beside it.
compile() {
	local folder program tree
	folder=$(dirname "$1")
	# Named as in the tree, for the messages that quote it.
	tree=${1%/tools/testing/*}
	program=$ARCH_BUILD/tests/$(basename "$1" .c)
	if [ -f "$program" ] && [ "$program" -nt "$headers/id" ] &&
		[ -z "$(find "$folder" -name '*.[ch]' -newer "$program")" ]; then
		return
	fi
	(cd "$tree" && "${CROSS}gcc" -D_GNU_SOURCE -O2 -Wall -static -pthread -I"$headers/include" \
		-Itools/testing/selftests -Itools/include \
		-o "$program" "${1#"$tree"/}") >"$LOGS/tests.log" 2>&1 || {
		tail -n 30 "$LOGS/tests.log" >&2
		die "$(basename "$1") does not build"
	}
	[ ! -s "$LOGS/tests.log" ] || cat "$LOGS/tests.log" >&2
}

tests() {
	local source folder=tools/testing/selftests/ring-buffer failed=
	"$VM/source.sh"
	take_lock
	"$VM/overlay.sh"
	headers
	mkdir -p "$ARCH_BUILD/tests"
	# The kernel's own test, as it is there.
	compile "$BUILD/pristine/$folder/map_test.c"
	for source in "$TOP/$folder"/*_test.c; do
		[ -f "$source" ] || continue
		# One that does not build is missing, and reported by its suite.
		(compile "$BUILD/linux/$folder/$(basename "$source")") || {
			rm -f "$ARCH_BUILD/tests/$(basename "$source" .c)"
			failed=1
		}
	done
	[ -z "$failed" ]
}

case ${1:-} in
ringmap) ringmap ;;
tests) tests ;;
*) die "say ringmap or tests" ;;
esac
