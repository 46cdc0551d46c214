#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Prints the path of a static busybox for the machine ARCH: the installed one,
# or what is in Debian's package for another machine.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/env.sh"

if [ -z "$CROSS" ]; then
	command -v busybox || die "no busybox: install busybox-static"
	exit
fi
busybox=$ARCH_BUILD/busybox
if [ ! -x "$busybox" ]; then
	take_lock
	# shellcheck source=/dev/null
	suite=${DEBIAN_SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
	deb=$("$VM/download.sh" busybox-static "$suite" "$DEBIAN_ARCH") ||
		die "Debian's $suite has no busybox-static for $DEBIAN_ARCH"
	mkdir -p "$ARCH_BUILD"
	dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards '*bin/busybox' >"$busybox.tmp"
	chmod 755 "$busybox.tmp"
	mv "$busybox.tmp" "$busybox"
fi
echo "$busybox"
