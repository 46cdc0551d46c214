#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# initramfs.sh OUTPUT [FILE...]: packs busybox, init and FILEs (into /bin).
# The guest runs what VM_CMD holds, or a shell if it is not set.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

output=$1
shift
root=$output.d
mkdir -p "$root/bin"
busybox=$("$VM/busybox.sh")
cp "$busybox" "$root/bin/busybox"
cp "$VM/init" "$root/init"
for file; do
	[ -f "$file" ] || die "FILES: there is no file '$file'"
	cp -L "$file" "$root/bin/"
	chmod 755 "$root/bin/$(basename "$file")"
done
if [ -n "${VM_CMD+set}" ]; then
	printf '%s\n' "$VM_CMD" >"$root/cmd"
elif size=$(stty size 2>/dev/null) && [ "$size" != "0 0" ]; then
	echo "$size" >"$root/winsize"
fi
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) | gzip -1 >"$output"
rm -rf "$root"
