#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: our kselftests, which must hold on all kernels. Those that ask for the
# same guest (see directive in tap.sh) share one.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

declare -A groups
shopt -s nullglob
for source in "$TOP"/tools/testing/selftests/ring-buffer/*_test.c; do
	program=$(basename "$source" .c)
	# These must fail on the C kernel: they have a suite of their own.
	[[ $program != defects* ]] || continue
	applies "$source" || continue
	wants=$(directive "$source")
	groups["-$wants"]+=" $program"
done
[ ${#groups[@]} -gt 0 ] || skip 'kselftests' 'there are none'

for impl in $IMPLS; do
	number=0
	while IFS= read -r wants; do
		number=$((number + 1))
		read -r -a list <<<"${groups[$wants]}"
		programs "$impl" "selftests-$number" "${wants#-}" "${list[@]}"
	done < <(printf '%s\n' "${!groups[@]}" | LC_ALL=C sort)
done
finish
