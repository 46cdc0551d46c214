#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Debian's programs on both kernels, unmodified: guest.sh runs them, what it
# shows of them has to be the same.
#
#   C_IMAGE, RUST_IMAGE   the kernels (default: built here, with CONFIG=clients)
set -euo pipefail
. "$(dirname "$0")/../vm/tests/tap.sh"

folder=$(cd "$(dirname "$0")" && pwd)
files=$("$folder/root.sh")
C_IMAGE=${C_IMAGE:-$(IMPL=c CONFIG=clients "$VM/kernel.sh" | tail -n 1)}
RUST_IMAGE=${RUST_IMAGE:-$(IMPL=rust CONFIG=clients "$VM/kernel.sh" | tail -n 1)}
for impl in rust c; do
	image=${impl^^}_IMAGE
	status=0
	IMPL=$impl CONFIG=clients KERNEL_IMAGE=${!image} SMP=2 TIMEOUT=${TIMEOUT:-900} \
		VM_LOG=$LOGS/clients-$impl.log FILES="$files $folder/guest.sh" VM_CMD=guest.sh \
		"$VM/run.sh" >"$scratch/$impl" 2>"$scratch/err" || status=$?
	import_tap "$impl" "$scratch/$impl" $status
	if [ $status = 0 ]; then
		ok "$impl: the kernel log is clean"
	else
		not_ok "$impl: $(why)"
	fi
	cp "$scratch/$impl" "$LOGS/clients-$impl.out"
	grep '^= ' "$scratch/$impl" >"$scratch/$impl.same" || true
done
check 'both show the same' cmp "$scratch/rust.same" "$scratch/c.same"
finish
