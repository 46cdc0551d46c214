#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Writes two series for git am: the fixes of the C implementation with the tests
# into build/patches-fixes, and what goes on top of it, the implementation in
# Rust, into build/patches. Prints the folders last, in the other order.
#
# Each patch is one of patches/**/*.patch. With it go the files of our own that
# its line "Files:" names after the "---", by patterns, and that no patch before
# it has.
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
"$VM/overlay.sh" fixed

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

# The files that are changed, as they were; no more of the kernel is needed.
repo=$scratch/repo
mkdir "$repo"
git init -q -b series
cat "$TOP"/patches/*.patch "$TOP"/patches/*/*.patch >"$scratch/all"
patched_files "$scratch/all" | LC_ALL=C sort -u | while read -r file; do
	mkdir -p "$repo/$(dirname "$file")"
	cp "$BUILD/pristine/$file" "$repo/$file"
done
commit <<<'Linux'

# commits SERIES: commits its patches, on top of what is there. The patches in
# Rust are written for a kernel without the fixes, which then go on top of them.
commits() {
	local patch patches number=0
	git tag base
	readarray -t patches < <(series_patches "$1")
	for patch in "${patches[@]}"; do
		if [ "$1" = rust ]; then
			number=$((number + 1))
			rm -rf "$scratch/stage"
			mkdir "$scratch/stage"
			stage "${patches[@]:0:number}"
			cp -r "$scratch/stage/." "$repo/"
		else
			stage_patch "$BUILD/pristine" "$repo" "$patch" >/dev/null ||
				die "$(basename "$patch") does not apply"
		fi
		new_files "$patch"
		sed -n '/^---$/q; 1s/^Subject: //; p' "$patch" | commit
	done
}

# stage PATCH...: these of the patches in Rust and the fixes, in scratch/stage.
stage() {
	local patch
	for patch in "$TOP"/patches/common/*.patch "$@" "${fixes_tests[@]}" "$TOP"/patches/fixes/*.patch; do
		[ -f "$patch" ] || continue
		stage_patch "$BUILD/pristine" "$scratch/stage" "$patch" >/dev/null ||
			die "$(basename "$patch") does not apply"
	done
}

# write FOLDER COVER-LETTER: the commits as mails.
write() {
	git config branch.series.description "$(cat "$2")"
	git format-patch -q --cover-letter --cover-from-description=subject --zero-commit \
		--no-signature -o "$scratch/out" base..series
	rm -rf "$1"
	mv "$scratch/out" "$1"
	say "apply ${3:-them} with: git am --empty=drop -s $1/*.patch"
	echo "$1"
}

commits fixes
write "$BUILD/patches-fixes" "$TOP/patches/fixes/cover-letter" 'these first,' >/dev/null
git tag -d base >/dev/null
commits rust
# It must be all, and the same.
while read -r file; do
	[ -e "$repo/$file" ] || die "$file is in no patch: add it to a line 'Files:' in patches/"
	cmp -s "$repo/$file" "$BUILD/linux-fixed/$file" || die "the series give another $file than build/linux-fixed has"
done <"$BUILD/linux-fixed.files"
write "$BUILD/patches" "$TOP/patches/cover-letter" 'these on top'
echo "$BUILD/patches-fixes"
