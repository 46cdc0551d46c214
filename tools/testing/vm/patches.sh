#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Writes the overlay as a series for git am into build/patches, and the fixes of
# the C implementation as another one into build/patches-fixes. Prints the
# folders last, that of the overlay first.
#
# Each patch is one of patches/*.patch or patches/fixes/*.patch, after those that
# both have, patches/common/*.patch. With it go the files of our own that its
# line "Files:" names after the "---", by patterns, and that no patch before it
# has.
#
#   KERNEL_SRC=    see source.sh
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/stage.sh"

command -v git >/dev/null || die "no git here: install it"

# Of whoever sends them, as his git says; else of who wrote here last.
ident() { git config "user.$1" || git -C "$TOP" log -1 --format="$2" 2>/dev/null; }
if ! author=$(ident name %an) || ! email=$(ident email %ae); then
	die "whose patches are these? Say it: git config --global user.name and user.email"
fi

"$VM/source.sh"
take_lock
"$VM/overlay.sh"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# No setting of this user's may change what is written.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_COUNT=0
export GIT_AUTHOR_NAME=$author GIT_AUTHOR_EMAIL=$email
export GIT_COMMITTER_NAME=$author GIT_COMMITTER_EMAIL=$email
git() { env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE git -C "$repo" "$@"; }
commit() { git add -f . && git commit -q --allow-empty --cleanup=verbatim -F -; }

overlay_files | LC_ALL=C sort >"$scratch/ours"

# new_files PATCH: puts those of its line "Files:" into the repository.
new_files() {
	local patterns pattern file found
	read -r -a patterns < <(sed -n '/^---$/,/^diff /s/^Files: *//p' "$1") || true
	for pattern in "${patterns[@]}"; do
		found=
		while read -r file; do
			# shellcheck disable=SC2053 # A pattern is meant.
			[[ $file == $pattern ]] || continue
			found=yes
			# An earlier patch has it.
			[ ! -e "$repo/$file" ] || continue
			mkdir -p "$repo/$(dirname "$file")"
			cp "$BUILD/linux/$file" "$repo/$file"
		done <"$scratch/ours"
		[ -n "$found" ] || die "$(basename "$1"): there is no file '$pattern'"
	done
}

# commits SERIES: makes a repository of its patches.
commits() {
	local patch patches
	readarray -t patches < <(series_patches "$1")
	repo=$scratch/$1
	mkdir "$repo"
	git init -q -b series
	# The files that are changed, as they were; no more of the kernel is needed.
	cat "${patches[@]}" >"$scratch/all"
	patched_files "$scratch/all" | LC_ALL=C sort -u | while read -r file; do
		mkdir -p "$repo/$(dirname "$file")"
		cp "$BUILD/pristine/$file" "$repo/$file"
	done
	commit <<<'Linux'
	git tag base

	for patch in "${patches[@]}"; do
		stage_patch "$BUILD/pristine" "$repo" "$patch" >/dev/null ||
			die "$(basename "$patch") does not apply"
		new_files "$patch"
		sed -n '/^---$/q; 1s/^Subject: //; p' "$patch" | commit
	done
}

# write FOLDER COVER-LETTER: the commits as mails.
write() {
	git config branch.series.description "$(cat "$2")"
	git format-patch -q --cover-letter --cover-from-description=subject --zero-commit \
		--no-signature -o "$scratch/out" base..series
	rm -rf "$1"
	mv "$scratch/out" "$1"
	say "apply them with: git am --empty=drop -s $1/*.patch"
	echo "$1"
}

commits rust
# It must be all, and the same.
while read -r file; do
	[ -e "$repo/$file" ] || die "$file is in no patch: add it to a line 'Files:' in patches/"
	cmp -s "$repo/$file" "$BUILD/linux/$file" || die "the series gives another $file than build/linux has"
done <"$BUILD/linux.files"
write "$BUILD/patches" "$TOP/patches/cover-letter"

commits fixes
write "$BUILD/patches-fixes" "$TOP/patches/fixes/cover-letter"
