#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds the two programs, static, and prints the folder that they are in.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"
. "$(dirname "$0")/../vm/env.sh"

target=x86_64-unknown-linux-gnu
log=$LOGS/ringbench.log
say "building ringbench (log: $log)"
# The libraries are those of ringmap, which are built there already.
RUSTFLAGS='-C target-feature=+crt-static' CARGO_TARGET_DIR=$BUILD/ringmap \
	"$CARGO" build --release --locked --target "$target" \
	--manifest-path "$TOP/tools/testing/bench/Cargo.toml" >"$log" 2>&1 </dev/null || {
	tail -n 30 "$log" >&2
	die "ringbench does not build (log: $log)"
}
echo "$BUILD/ringmap/$target/release"
