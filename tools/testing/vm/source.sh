#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Puts an unchanged kernel tree into build/pristine, and its name into
# build/pristine.id.
#
# KERNEL_SRC=/path    copy that tree (it is only read); otherwise Debian's
#                     newest source package of the version the patches fit.
# DEBIAN_MIRROR=URI   see download.sh
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/stage.sh"

name=linux-source-$KERNEL_VERSION.$KERNEL_PATCHLEVEL
suite=trixie-backports
download=$BUILD/download
pristine=$BUILD/pristine

current_id() { cat "$pristine.id" 2>/dev/null || true; }

# fits DIR: does DIR hold the kernel that the patches are written for?
fits() {
	[ -f "$1/kernel/trace/ring_buffer.c" ] ||
		die "$1 is no Linux source tree: give one with KERNEL_SRC=/path/to/linux"
	local version patchlevel stage
	version=$(sed -n 's/^VERSION *= *//p' "$1/Makefile")
	patchlevel=$(sed -n 's/^PATCHLEVEL *= *//p' "$1/Makefile")
	[ "$version.$patchlevel" = "$KERNEL_VERSION.$KERNEL_PATCHLEVEL" ] ||
		die "$1 is Linux $version.$patchlevel, the patches are for $KERNEL_VERSION.$KERNEL_PATCHLEVEL: give such a tree with KERNEL_SRC="
	# Before it replaces what fits.
	[ ! -e "$1/kernel/trace/ring_buffer_map" ] ||
		die "$1 has this series already: give a tree without it with KERNEL_SRC="
	stage=$(mktemp -d)
	(stage_patches "$1" "$stage") || { rm -rf "$stage"; exit 1; }
	rm -rf "$stage"
}

# Not in use until it is complete: unpacked beside, then renamed.
replace_pristine() {
	rm -rf "$pristine.id" "$pristine"
	mv "$pristine.tmp" "$pristine"
	printf '%s\n' "$1" >"$pristine.id.tmp"
	mv "$pristine.id.tmp" "$pristine.id"
}

copy_tree() {
	local src id
	src=$(cd "$1" 2>/dev/null && pwd) || die "KERNEL_SRC=$1 is no folder"
	fits "$src"
	# Size and time of each file: cheap enough to look at on every call.
	id="tree $src $(find "$src" -name .git -prune -o -type f -printf '%P %s %T@\n' | sort | sha256sum | cut -c 1-16)"
	[ "$(current_id)" = "$id" ] && return
	# The kernel's own rule for building out of tree.
	[ -z "$(find "$src/.config" "$src/include/config" -maxdepth 0 2>/dev/null)" ] ||
		die "$src has been built in place: run 'make mrproper' there, or give a clean copy"
	take_lock
	[ "$(current_id)" != "$id" ] || return 0
	need_space 3000 "a copy of the kernel source"
	say "copying $src"
	rm -rf "$pristine.tmp"
	rsync -a --exclude=/.git "$src/" "$pristine.tmp/"
	replace_pristine "$id"
}

newest_package() { find -H "$download" -maxdepth 1 -name "${name}_*.deb" | sort -V | tail -n 1; }

download_package() {
	local rc=0
	command -v apt-get >/dev/null ||
		die "no apt-get here: give a $KERNEL_VERSION.$KERNEL_PATCHLEVEL tree with KERNEL_SRC=/path/to/linux"
	need_space 600 "the source package"
	"$VM/download.sh" "$name" "$suite" >/dev/null || rc=$?
	[ $rc != 3 ] ||
		die "$name is not in $suite any more: give a $KERNEL_VERSION.$KERNEL_PATCHLEVEL tree with KERNEL_SRC=/path/to/linux"
	[ $rc = 0 ] || die "no $name: run this again, or give a tree with KERNEL_SRC=/path/to/linux"
}

unpack_package() {
	local deb id
	mkdir -p "$download"
	deb=$(newest_package)
	if [ -n "$deb" ]; then
		id="package $(basename "$deb" .deb)"
		[ "$(current_id)" = "$id" ] && return
	fi
	take_lock
	# Another process may have done it meanwhile.
	deb=$(newest_package)
	[ -n "$deb" ] || download_package
	deb=$(newest_package)
	id="package $(basename "$deb" .deb)"
	[ "$(current_id)" != "$id" ] || return 0
	need_space 5000 "the kernel source and the builds"
	say "unpacking $(basename "$deb")"
	rm -rf "$pristine.tmp"
	mkdir -p "$pristine.tmp"
	if ! dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/$name.tar.xz" |
		tar -xJ -C "$pristine.tmp" --strip-components=1; then
		rm -rf "$pristine.tmp"
		die "cannot unpack $deb: delete it and run this again, and check the free space"
	fi
	fits "$pristine.tmp"
	replace_pristine "$id"
}

if [ -n "${KERNEL_SRC:-}" ]; then
	copy_tree "$KERNEL_SRC"
else
	unpack_package
fi
