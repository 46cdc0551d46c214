#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Formatting and lints of what can be looked at without building a kernel.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/env.sh"

failed=
# lint NAME COMMAND...
lint() {
	local name=$1
	shift
	if "$@" >"$LOGS/check.log" 2>&1 </dev/null; then
		echo "ok - $name"
	else
		tail -n 60 "$LOGS/check.log"
		echo "not ok - $name"
		failed=1
	fi
}

readarray -t scripts < <(cd "$TOP" && grep -rlE '^#!/bin/(ba)?sh|^#!/bin/busybox sh' \
	.ci tools --include='*' --exclude-dir=target | LC_ALL=C sort)
cd "$TOP"
lint shellcheck shellcheck -x -P SCRIPTDIR:SCRIPTDIR/.. "${scripts[@]}" "$VM/lib.sh" "$VM/env.sh" "$VM/tests/tap.sh"

for project in tools/testing/ring-buffer-map tools/testing/bench tools/testing/differential tools/tracing/ringmap; do
	[ -f "$project/Cargo.toml" ] || continue
	lint "rustfmt: $project" "$CARGO" fmt --check --manifest-path "$project/Cargo.toml"
	CARGO_TARGET_DIR=$BUILD/host/$(basename "$project") lint "clippy: $project" \
		"$CARGO" clippy --all-targets --manifest-path "$project/Cargo.toml" -- -D warnings
done

# The kernel's own rules for its Rust files.
"$VM/source.sh"
readarray -t sources < <(find kernel rust -name '*.rs' 2>/dev/null | LC_ALL=C sort)
lint 'rustfmt: kernel files' "$RUSTFMT" --check \
	--config-path "$BUILD/pristine/.rustfmt.toml" "${sources[@]}"

[ -z "$failed" ]
