#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: composing the tree, on a small one, and refusing what does not fit.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

top=$scratch/top
build=$top/build
mkdir -p "$top/tools/testing" "$top/patches" "$top/kernel/trace"
cp -r "$VM" "$top/tools/testing/vm"
run() { env -u BUILD_LOCK_HELD BUILD="$build" "$top/tools/testing/vm/$1.sh" 2>"$scratch/err"; }

tree() {
	mkdir -p "$1/kernel/trace"
	printf 'VERSION = %s\nPATCHLEVEL = %s\n' "$2" "$3" >"$1/Makefile"
	seq 20 >"$1/kernel/trace/ring_buffer.c"
	echo same >"$1/kernel/same.c"
}
tree "$scratch/tree" 7 3
cat >"$top/patches/0001-one.patch" <<'EOF'
--- a/kernel/trace/ring_buffer.c
+++ b/kernel/trace/ring_buffer.c
@@ -8,5 +8,5 @@
 8
 9
-10
+ten
 11
 12
EOF
echo ours >"$top/kernel/trace/ours.rs"
echo option >"$top/Kconfig"
export KERNEL_SRC=$scratch/tree

# compose: what changed in the composed tree, by time.
compose() {
	find "$build/linux" -type f -exec touch -h -d '2020-01-01' {} + 2>/dev/null || true
	run source && run overlay &&
		(cd "$build/linux" && find . -type f -newermt 2021-01-01 -printf '%P\n' | LC_ALL=C sort | tr '\n' ' ')
}
linux=$build/linux/kernel/trace

compose >/dev/null || sed 's/^/  # /' "$scratch/err"
check 'a patch is in the composed tree' grep -qx ten "$linux/ring_buffer.c"
check 'a file of ours is there' is "$(cat "$linux/ours.rs")" ours
check 'the options are in their folder' is "$(cat "$linux/ring_buffer_map/Kconfig")" option
check 'the pristine tree is untouched' grep -qx 10 "$build/pristine/kernel/trace/ring_buffer.c"
check "the user's tree is untouched" grep -qx 10 "$scratch/tree/kernel/trace/ring_buffer.c"
check 'composing again changes nothing' is "$(compose)" ''
echo edited >"$top/kernel/trace/ours.rs"
check 'an edit changes one file' is "$(compose)" 'kernel/trace/ours.rs '
rm "$top/kernel/trace/ours.rs"
compose >/dev/null
check 'a file that is gone from ours is gone there' [ ! -e "$linux/ours.rs" ]
mv "$top/patches/0001-one.patch" "$scratch/"
check 'a patch that is gone is taken back' is "$(compose)" 'kernel/trace/ring_buffer.c '
check 'to what it was' cmp -s "$linux/ring_buffer.c" "$scratch/tree/kernel/trace/ring_buffer.c"
mv "$scratch/0001-one.patch" "$top/patches/"
echo more >>"$scratch/tree/kernel/same.c"
check "an edit in the user's tree arrives" is "$(compose)" 'kernel/same.c kernel/trace/ring_buffer.c '

# What a run that is refused must leave as it was.
state() { (cd "$build" && cat pristine.id && find pristine linux -type f -exec sha256sum {} + | sort); }
# refused NAME MESSAGE [LINES]
refused() {
	local name=$1 message=$2 lines=${3:-1} before
	before=$(state)
	if run source && run overlay; then
		not_ok "$name"
	else
		check "$name" grep -q "$message" "$scratch/err"
		[ "$(wc -l <"$scratch/err")" -le "$lines" ] || not_ok "$name: in a line"
		[ "$(state)" = "$before" ] || not_ok "$name: and nothing is changed"
	fi
}
sed -i s/^10$/X/ "$scratch/tree/kernel/trace/ring_buffer.c"
refused 'a tree that is changed where the patches are is refused' \
	'0001-one.patch does not apply to kernel/trace/ring_buffer.c in .*/tree'
tree "$scratch/old" 6 1
KERNEL_SRC=$scratch/old refused 'another version is refused' 'is Linux 6.1, the patches are for 7.3'
cp -r "$linux/../.." "$scratch/patched"
KERNEL_SRC=$scratch/patched refused 'a tree that has the series is refused' 'has this series already'
KERNEL_SRC=$scratch refused 'a folder without a kernel is refused' 'is no Linux source tree'
KERNEL_SRC=$scratch/none refused 'a missing folder is refused' 'KERNEL_SRC=.*none'
tree "$scratch/built" 7 3
touch "$scratch/built/.config"
KERNEL_SRC=$scratch/built refused 'a tree built in place is refused' 'mrproper'
export DEBIAN_MIRROR=file:///nonexistent/debian
KERNEL_SRC='' refused 'a download that fails is reported' 'cannot read trixie-backports' 5
finish
