#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# build.sh: builds the program, static, so that it runs in a guest too. Prints
# its path.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"
. "$(dirname "$0")/../vm/env.sh"

target=x86_64-unknown-linux-gnu
log=$LOGS/differential-build.log
RUSTFLAGS='-C target-feature=+crt-static' CARGO_TARGET_DIR=$BUILD/differential/cargo \
	"$CARGO" build --release --locked --target "$target" \
	--manifest-path "$TOP/tools/testing/differential/Cargo.toml" >"$log" 2>&1 </dev/null || {
	tail -n 30 "$log" >&2
	die "tools/testing/differential does not build (log: $log)"
}
echo "$BUILD/differential/cargo/$target/release/differential"
