# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # Others use what is set here.
# What every script here shares: where things are, how to speak, how to wait.
# To be sourced.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
BUILD=${BUILD:-$TOP/build}
case $BUILD in /*) ;; *) BUILD=$TOP/$BUILD ;; esac
VM=$TOP/tools/testing/vm
LOGS=$BUILD/log
export TOP BUILD

# The tree that the patches are written for.
KERNEL_VERSION=7
KERNEL_PATCHLEVEL=3

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
die() { say "$@"; exit 1; }

case $BUILD in
*[[:space:]:]*) die "the kernel cannot be built in '$BUILD': its path has a space or a colon" ;;
esac
mkdir -p "$LOGS" || die "cannot create $BUILD: run this where you may write, or set BUILD=/some/folder"

# need_space MiB WHAT: refuse to start what would fill the disk half-way.
need_space() {
	local free
	free=$(df --output=avail -BM "$BUILD" | tail -n 1 | tr -dc 0-9)
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 MiB in $BUILD, $free MiB are free: make room, or set BUILD=/some/folder"
}

# One process at a time changes the sources or builds from them. The lock goes
# with the process that took it; the scripts that it calls share it.
take_lock() {
	[ -z "${BUILD_LOCK_HELD:-}" ] || return 0
	export BUILD_LOCK_HELD=yes
	exec 9>"$BUILD/.lock"
	! flock -n 9 || return 0
	say "waiting for another build in $BUILD"
	flock 9
}

# elapsed SINCE: minutes and seconds.
elapsed() { printf '%dm%02ds' $((($(date +%s) - $1) / 60)) $((($(date +%s) - $1) % 60)); }
