#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Composes build/linux: the pristine tree, our files over it, our patches in it.
#
#   overlay.sh fixed    build/linux-fixed from build/linux: patches/fixes in it, too
#
# A file that did not change keeps its time, so that make rebuilds little. What
# a run puts there is listed in build/linux.files, and taken back by a later
# run that does not put it there any more. Only ever writes beside and renames:
# unchanged files of build/linux are hard links to build/pristine.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/stage.sh"

pristine=$BUILD/pristine
base=$pristine
linux=$BUILD/linux
fixes=()
if [ "${1:-}" = fixed ]; then
	base=$linux
	linux=$BUILD/linux-fixed
	fixes=("$TOP"/patches/fixes/*.patch)
fi
stage=$BUILD/stage
manifest=$linux.files

take_lock

rm -rf "$stage"
mkdir -p "$stage"

# Patched versions of the kernel's own files.
stage_patches "$pristine" "$stage" "${fixes[@]}"

# Files of our own, and the options.
overlay_files | while read -r file; do
	[ ! -e "$pristine/$file" ] ||
		die "$file is in the kernel tree already: change it by a patch, or give a tree without this overlay"
	mkdir -p "$stage/$(dirname "$file")"
	cp -p "$(overlay_source "$file")" "$stage/$file"
done

touch "$manifest"
(cd "$stage" && find . -type f -printf '%P\n' | LC_ALL=C sort) >"$manifest.new"

# Another pristine tree: take over what differs, less what is ours.
if [ "$(cat "$linux.id" 2>/dev/null)" != "$(cat "$pristine.id")" ]; then
	rm -f "$linux.id"
	if [ -d "$linux" ]; then
		say "updating $(basename "$linux")"
		rsync -qrlpc --delete --exclude-from=<(sed 's,^,/,' "$manifest" "$manifest.new") "$pristine/" "$linux/"
	else
		rm -rf "$linux.tmp"
		cp -al "$base" "$linux.tmp"
		mv "$linux.tmp" "$linux"
	fi
	cp "$pristine.id" "$linux.id"
fi

# From here on, an interrupted run leaves a manifest of what may be there.
LC_ALL=C sort -u "$manifest" "$manifest.new" >"$manifest.tmp"
mv "$manifest.tmp" "$manifest"
rsync -rlpc "$stage/" "$linux/"
LC_ALL=C comm -23 "$manifest" "$manifest.new" | while read -r file; do
	if [ -e "$pristine/$file" ]; then
		cp "$pristine/$file" "$linux/$file.tmp"
		mv "$linux/$file.tmp" "$linux/$file"
	else
		rm -f "$linux/$file"
	fi
done
mv "$manifest.new" "$manifest"
rm -rf "$stage"
