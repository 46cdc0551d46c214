#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# install.sh [PACKAGE...]: installs what building and booting need, on Debian 12
# or 13, and PACKAGEs.
#
#   ARCH=NAME       also what this machine needs: arch/*.sh
#   CONFIG=distro   also what this configuration needs
#
# Nothing to do takes no time and no network. Otherwise as root, or with sudo.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/env.sh"

# The names are the same in bookworm and trixie. rustc-web and clang-22 are
# built on the same LLVM, new enough for the kernel's Rust.
packages=(
	"clang-$LLVM_MAJOR" "lld-$LLVM_MAJOR" "llvm-$LLVM_MAJOR" "libclang-$LLVM_MAJOR-dev"
	rustc-web rust-web-src cargo-web rustfmt-web rust-web-clippy
	gcc libc6-dev make patch flex bison bc cpio kmod perl rsync util-linux
	xz-utils libelf-dev libssl-dev
	busybox-static trace-cmd shellcheck ca-certificates
	"${arch_packages[@]}"
	"$@"
)
# Debian's own configuration has type information for BPF.
[ "${CONFIG:-}" != distro ] || packages+=(pahole)

missing=()
for package in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		missing+=("$package")
done

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

if [ ${#missing[@]} -gt 0 ]; then
	log=$LOGS/install.log
	command -v apt-get >/dev/null ||
		die "no apt-get here: install ${missing[*]} by hand"
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
		die "not root, and no sudo: install ${missing[*]} as root"
	say "installing ${missing[*]}"
	{
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
			-o DPkg::Lock::Timeout=300 update &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
			-o DPkg::Lock::Timeout=300 --no-install-recommends \
			install "${missing[@]}"
	} >"$log" 2>&1 </dev/null || {
		grep -E '^E:' "$log" >&2 || tail -n 5 "$log" >&2
		die "apt-get could not install ${missing[*]} (log: $log): check the network and that this is Debian 12 or 13"
	}
fi

# bookworm's bindgen is too old, and trixie's loads another libclang.
if [ "$("$BINDGEN" --version 2>/dev/null)" != "bindgen $BINDGEN_VERSION" ]; then
	take_lock
	log=$LOGS/bindgen.log
	say "building bindgen $BINDGEN_VERSION (about a minute)"
	CARGO_TARGET_DIR=$BUILD/tools/target "$CARGO" install bindgen-cli --version "$BINDGEN_VERSION" \
		--locked --force --root "$BUILD/tools" >"$log" 2>&1 </dev/null || {
		grep -E '^(error|  )' "$log" | head -n 5 >&2 || true
		die "could not build bindgen (log: $log): check the network, then run this again"
	}
	rm -rf "$BUILD/tools/target"
fi
