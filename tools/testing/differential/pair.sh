#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# pair.sh OPS C RUST: runs the operations in file OPS on both kernels at a time,
# and writes the transcripts.
#
#   C_IMAGE, RUST_IMAGE   the kernels (default: those that IMPL=c and IMPL=rust
#                         name)
#   PROGRAM               the guest's program (default: built here)
#
# Fails if a guest did not end well, or a kernel logged a warning. C warns of a
# mapping that has moved as it goes (D1), if something in OPS moves, and of a loss
# that is reported too late (D18): only these may be there.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"

[ $# = 3 ] || die "say: pair.sh OPS C RUST"
PROGRAM=${PROGRAM:-$("$(dirname "$0")/build.sh")}
C_IMAGE=${C_IMAGE:-$(IMPL=c "$VM/kernel.sh" | tail -n 1)}
RUST_IMAGE=${RUST_IMAGE:-$(IMPL=rust "$VM/kernel.sh" | tail -n 1)}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'trap "" INT TERM HUP; kill 0; exit 130' INT TERM HUP
cp "$1" "$tmp/ops"

# What warns with C, see above.
known=ring_buffer_map_get_reader
! grep -q '^move ' "$tmp/ops" || known="$known|put_snapshot_map|tracing_buffers_mmap_close"

# warned LOG: the warnings in a kernel log but the known ones. A data race is no
# difference; other suites look for those.
warned() {
	tr -d '\r' <"$1" | grep -aE '(WARNING|BUG): ' |
		grep -avE "WARNING: at ($known)\+|BUG: KCSAN: " | head -n 3
}

# Grace periods are most of the time otherwise, and large buffers that nothing
# fills. The watchdog would get in between the operations, and its flag into the
# events. A guest that is slow to begin takes its timer for a broken one.
guest() {
	local impl=$1 image=$2 out=$3 allow=0 status=0
	[ "$impl" = rust ] || allow=1
	IMPL=$impl KERNEL_IMAGE=$image SMP=1 ACCEL=${ACCEL:-auto} MEM=512 TIMEOUT=${TIMEOUT:-600} \
		APPEND='rcupdate.rcu_expedited=1 trace_buf_size=64k nowatchdog' ALLOW_WARN=$allow \
		FILES="$PROGRAM $tmp/ops" VM_LOG="$tmp/log-$impl" VM_CMD='differential run /bin/ops' \
		"$VM/run.sh" >"$out" 2>"$tmp/err-$impl" || status=$?
	[ -s "$tmp/log-$impl" ] || : >"$tmp/log-$impl"
	if [ $allow = 1 ] && [ $status = 0 ] && [ -n "$(warned "$tmp/log-$impl")" ]; then
		status=126
		warned "$tmp/log-$impl" >>"$tmp/err-$impl"
	fi
	[ $status = 0 ] || {
		say "$impl: $(grep -v '^run: .* MiB; kernel log' "$tmp/err-$impl" | tail -n 3)"
		cp "$tmp/log-$impl" "$LOGS/differential-$impl.log"
		say "$impl: kernel log: $LOGS/differential-$impl.log"
	}
	return $status
}

# The trial of KVM, once, and not by both.
"$VM/accel.sh" "$C_IMAGE" >/dev/null
status=0
guest c "$C_IMAGE" "$2" &
c=$!
guest rust "$RUST_IMAGE" "$3" || status=$?
wait $c || status=$?
exit $status
