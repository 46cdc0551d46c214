#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the figures depend on, as lines of a name, a tab and a value.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"
. "$(dirname "$0")/../vm/env.sh"

# number COMMAND...: the first version number that it prints.
number() { "$@" | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1; }
# config IMPL: the configuration's hash.
config() { sha256sum <"$BUILD/kernel-$1-default/.config" | cut -c 1-16; }

printf '%s\t%s\n' \
	kernel "$(cat "$BUILD/kernel-rust-default/include/config/kernel.release")" \
	clang "$(number clang --version)" \
	rustc "$(number "$RUSTC" --version)" \
	qemu "$(number qemu-system-x86_64 --version)"
for impl in c rust; do
	[ ! -f "$BUILD/kernel-$impl-default/.config" ] ||
		printf '%s\t%s\n' "config_$impl" "$(config $impl)"
done
