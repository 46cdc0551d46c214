#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: the series of make patches gives the tree that is tested, that with the
# fixes of C applies without the one in Rust, and what they are made from is
# checked.
set -euo pipefail
. "$(dirname "$0")/tap.sh"
. "$VM/stage.sh"

g() { git -C "$repo" -c user.name=Test -c user.email=test@example.org "$@"; }
# grep finds nothing, for check.
# shellcheck disable=SC2317 # Called by check.
none() { ! grep "$@" | sed 's/^/  # /' | grep .; }

# The kernel's own files, which the series are applied to.
pristine() {
	repo=$scratch/repo
	git init -q "$repo"
	while read -r file; do
		[ -f "$BUILD/pristine/$file" ] || continue
		mkdir -p "$repo/$(dirname "$file")"
		cp "$BUILD/pristine/$file" "$repo/$file"
	done <"$BUILD/linux-fixed.files"
	g add -f .
	g commit -q -m Linux
	g tag pristine
}

# apply NAME FOLDER: applies such a series to what is there, and looks at what it
# is sent with.
apply() {
	local name=$1 series=$2 number
	g tag -f base >/dev/null
	g am -q --empty=drop "$series"/*.patch >"$scratch/err" 2>&1 || sed 's/^/  # /' "$scratch/err"
	number=$(series_patches "$name" | wc -l)
	check "$name: git am takes every patch" is "$(g rev-list --count base..HEAD)" "$number"
	check "$name: who submits it signs it off" none -l '^Signed-off-by' "$series"/*.patch
	check "$name: the cover letter is written" none -F '*** ' "$series/0000-cover-letter.patch"
	g log --format=%s base..HEAD >"$scratch/subjects"
	check "$name: subjects are a subsystem and what is done" \
		none -vE '^([A-Za-z0-9_/-]+: )+[a-z].*[^.]$' "$scratch/subjects"
	check "$name: in 75 columns" none -E '.{76}' "$scratch/subjects"
	g log --format='%h %b' base..HEAD >"$scratch/bodies"
	check "$name: each patch has a reason" none -E '^[0-9a-f]{7,} *$' "$scratch/bodies"
}

if ! "$VM/patches.sh" >"$scratch/folders" 2>"$scratch/err"; then
	sed 's/^/  # /' "$scratch/err"
	not_ok 'the series are made'
	finish
fi
readarray -t folders <"$scratch/folders"
pristine
apply fixes "${folders[1]}"
check 'fixes: nothing of it is Rust' is "$(g diff --name-only pristine HEAD | grep -v '^tools/' |
	grep -E '^rust/|ring_buffer_map/|\.rs$' || true)" ''
# Each case that shows a defect is in the tests that are sent with them.
grep -oE '\<d[0-9]+_[a-z0-9_]+' "${folders[1]}/0000-cover-letter.patch" |
	while read -r case; do
		grep -qrE "^TEST.*[( ]${case}[,)]" "$repo/tools/testing/selftests/ring-buffer" || echo "$case"
	done >"$scratch/missing"
check 'fixes: the reproducers of the cover letter are in it' is "$(cat "$scratch/missing")" ''

apply rust "${folders[0]}"
check 'the series change the files that the overlay does' is "$(LC_ALL=C comm -3 \
	<(g diff --name-only --no-renames pristine HEAD | LC_ALL=C sort) "$BUILD/linux-fixed.files")" ''
differ=$(while read -r file; do
	cmp -s "$repo/$file" "$BUILD/linux-fixed/$file" || echo "$file"
done <"$BUILD/linux-fixed.files")
check 'and to the same' is "$differ" ''

mkdir "$scratch/selftests"
cp -r "$repo/tools/testing/selftests/ring-buffer" "$scratch/selftests/"
: >"$scratch/selftests/lib.mk"
# shellcheck disable=SC2016 # For make.
programs=$(make -s -C "$scratch/selftests/ring-buffer" --eval 'programs: ; @echo $(TEST_GEN_PROGS) $(TEST_GEN_PROGS_EXTENDED)' programs)
for source in "$TOP"/tools/testing/selftests/ring-buffer/*_test.c; do
	grep -qw "$(basename "$source" .c)" <<<"$programs" || basename "$source"
done >"$scratch/missing"
check "the kernel's own build has all tests" is "$(cat "$scratch/missing")" ''

# A small overlay for what is refused.
top=$scratch/top
mkdir -p "$top/tools/testing" "$top/patches/fixes" "$top/kernel" "$scratch/tree/kernel/trace"
cp -r "$VM" "$top/tools/testing/vm"
printf 'VERSION = %s\nPATCHLEVEL = %s\n' "$KERNEL_VERSION" "$KERNEL_PATCHLEVEL" >"$scratch/tree/Makefile"
seq 20 >"$scratch/tree/kernel/trace/ring_buffer.c"
echo ours >"$top/kernel/ours.rs"
printf 'cover: letter\n\nText.\n' | tee "$top/patches/cover-letter" >"$top/patches/fixes/cover-letter"
header() {
	cat >"$top/patches/0001-one.patch" <<EOF
Subject: one: change

Why.
---
Files: $1

diff --git a/kernel/trace/ring_buffer.c b/kernel/trace/ring_buffer.c
--- a/kernel/trace/ring_buffer.c
+++ b/kernel/trace/ring_buffer.c
@@ -2,3 +2,3 @@
 2
-3
+three
 4
EOF
}
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_CONFIG_COUNT=2
export GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0='Some One'
export GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=one@example.org
make_series() {
	env -u BUILD_LOCK_HELD BUILD="$top/build" KERNEL_SRC="$scratch/tree" \
		"$top/tools/testing/vm/patches.sh" >/dev/null 2>"$scratch/err"
}
refused() {
	if make_series; then not_ok "$1"; else check "$1" grep -q "$2" "$scratch/err"; fi
}
header ''
sed '/^diff/,$s/\(@@ -\|+\|^[ -]\)\([234]\)/\11\2/g; s/three/thirteen/' "$top/patches/0001-one.patch" \
	>"$top/patches/fixes/0001-fix.patch"
header 'kernel/*.rs'
make_series || sed 's/^/  # /' "$scratch/err"
check 'who makes the series is its author' grep -q '^From: Some One <one@example.org>$' "$top"/build/patches/0001-*.patch
check 'the fixes are a series of their own' grep -q '^+thirteen$' "$top"/build/patches-fixes/0001-*.patch
check 'a pattern names new files' grep -q '^+ours$' "$top"/build/patches/0001-*.patch
GIT_CONFIG_COUNT=0 refused 'without a name there is no series' 'whose patches are these'
header ''
refused 'a file that is in no patch is refused' 'kernel/ours.rs is in no patch'
header 'kernel/ours.rs kernel/other.rs'
refused 'a name without a file is refused' "there is no file 'kernel/other.rs'"
check 'and the series of before is kept' grep -q '^+ours$' "$top"/build/patches/0001-*.patch
finish
