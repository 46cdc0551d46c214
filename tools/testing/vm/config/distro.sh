#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Prints Debian's configuration for this machine, of the newest package there is.
set -euo pipefail
. "$(dirname "$0")/../lib.sh"
. "$VM/env.sh"

name=linux-config-$KERNEL_VERSION.$KERNEL_PATCHLEVEL
case $VM_ARCH in
x86_64) file=config.amd64_none_amd64.xz ;;
arm64) file=config.arm64_none_arm64.xz ;;
*) die "CONFIG=distro is for x86_64 and arm64, not for $VM_ARCH" ;;
esac
deb=$("$VM/download.sh" "$name" trixie-backports "$DEBIAN_ARCH") ||
	die "no $name: choose another CONFIG="
dpkg-deb --fsys-tarfile "$deb" | tar -xO "./usr/src/$name/$file" | xz -d
