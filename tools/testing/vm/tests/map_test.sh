#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: the kernel's own test of the mapping, unmodified, on all kernels.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

for impl in $IMPLS; do
	before=$results
	programs "$impl" map_test '' map_test
	# Its six cases, and the kernel log.
	[ $((results - before)) = 7 ] || not_ok "$impl: map_test has $((results - before - 1)) results, not 6"
done
finish
