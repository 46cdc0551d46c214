#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: what runs on the host, without a kernel, by cargo test.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

projects=(ring-buffer-map memory-model bench differential mutants)
for project in "${projects[@]/#/tools/testing/}" tools/tracing/ringmap; do
	name=$(basename "$project")
	if [ ! -f "$TOP/$project/Cargo.toml" ]; then
		not_ok "$name: there is no $project/Cargo.toml"
		continue
	fi
	locked=()
	[ ! -f "$TOP/$project/Cargo.lock" ] || locked=(--locked)
	status=0
	CARGO_TARGET_DIR=$BUILD/host/$name "$CARGO" test "${locked[@]}" --no-fail-fast \
		--manifest-path "$TOP/$project/Cargo.toml" >"$scratch/out" 2>"$scratch/err" || status=$?
	bad=$failures
	seen=$results
	while read -r test result; do
		case $result in
		ok) ok "$name: $test" ;;
		ignored*) skip "$name: $test" ;;
		*) not_ok "$name: $test" ;;
		esac
	done < <(sed -nE 's/^test (.*) \.\.\. (ok|FAILED|ignored).*/\1\t\2/p' "$scratch/out" | tr ' \t' '_ ')
	if [ $status != 0 ]; then
		tail -n 40 "$scratch/err" "$scratch/out" | sed 's/^/  # /'
		[ $bad != $failures ] || not_ok "$name: cargo test ended with status $status"
	fi
	[ $seen != $results ] || not_ok "$name: no test ran"
done
finish
