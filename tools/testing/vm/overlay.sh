#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Composes build/linux: the pristine tree, our files over it, our patches in it.
#
# A file that did not change keeps its time, so that make rebuilds little. What
# a run puts there is listed in build/linux.files, and taken back by a later
# run that does not put it there any more. Only ever writes beside and renames:
# unchanged files of build/linux are hard links to build/pristine.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

pristine=$BUILD/pristine
linux=$BUILD/linux
stage=$BUILD/stage
manifest=$BUILD/linux.files
folders=(kernel rust include Documentation tools/testing/selftests)

take_lock

overlay_files() {
	local folder
	for folder in "${folders[@]}"; do
		[ -d "$TOP/$folder" ] || continue
		(cd "$TOP" && find "$folder" -name target -prune -o -type f \
			! -name '.*' ! -name '*.o' ! -name '*.orig' ! -name '*.rej' ! -name '*.swp' ! -name '*~' -print)
	done
}

rm -rf "$stage"
mkdir -p "$stage"

# Patched versions of the kernel's own files.
shopt -s nullglob
for patch in "$TOP"/patches/*.patch; do
	while read -r file; do
		[ -f "$stage/$file" ] || [ ! -f "$pristine/$file" ] || {
			mkdir -p "$stage/$(dirname "$file")"
			cp -p "$pristine/$file" "$stage/$file"
		}
	done < <(sed -n 's,^--- a/\([^[:space:]]*\).*,\1,p' "$patch")
	if ! errors=$(patch -p1 --fuzz=0 -s -f --no-backup-if-mismatch -r - -d "$stage" <"$patch" 2>&1); then
		printf '%s\n' "$errors" | head -n 5 >&2
		die "$(basename "$patch") does not apply to $(cut -d ' ' -f 1,2 "$pristine.id"): it must be an unmodified Linux $KERNEL_VERSION.$KERNEL_PATCHLEVEL, without these patches"
	fi
done

# Files of our own, and the options.
put() {
	[ ! -e "$pristine/$2" ] ||
		die "$2 is in the kernel tree already: change it by a patch, or give a tree without this overlay"
	mkdir -p "$stage/$(dirname "$2")"
	cp -p "$TOP/$1" "$stage/$2"
}
while read -r file; do
	put "$file" "$file"
done < <(overlay_files)
[ ! -f "$TOP/Kconfig" ] || put Kconfig kernel/trace/ring_buffer_map/Kconfig

touch "$manifest"
(cd "$stage" && find . -type f -printf '%P\n' | LC_ALL=C sort) >"$manifest.new"

# Another pristine tree: take over what differs, less what is ours.
if [ "$(cat "$linux.id" 2>/dev/null)" != "$(cat "$pristine.id")" ]; then
	rm -f "$linux.id"
	if [ -d "$linux" ]; then
		say "updating build/linux"
		rsync -qrlpc --delete --exclude-from=<(sed 's,^,/,' "$manifest" "$manifest.new") "$pristine/" "$linux/"
	else
		rm -rf "$linux.tmp"
		cp -al "$pristine" "$linux.tmp"
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
