#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Downloads Debian's programs and the libraries that they need, unmodified, into
# an archive for the guest, and builds reader against its libtracefs. Prints both
# paths.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"

# The first suite whose libtracefs knows the mapping; perfetto is in a later one.
suite=trixie
later=forky
packages=libtracefs-dev,libtraceevent-dev,rtla,trace-cmd,perfetto

folder=$BUILD/clients
root=$folder/root.tar
reader=$folder/reader
source=$TOP/tools/testing/clients/reader.c

# Extracted only: nothing of it runs here. A suite that is in the making has a
# limit on its age, which a mirror that stands still exceeds.
download() {
	local mirror log=$LOGS/clients-root.log
	command -v mmdebstrap >/dev/null || die "no mmdebstrap: apt-get install it"
	mirror=$("$VM/mirror.sh")
	need_space 300 "the clients"
	say "downloading $packages"
	mmdebstrap --mode=chrootless --variant=extract --format=tar \
		--aptopt="APT::Default-Release \"$suite\"" --include="$packages" \
		--dpkgopt='path-exclude=/usr/share/*' --dpkgopt='path-exclude=/usr/lib/*/gconv/*' \
		"$suite" "$root.tmp" "deb $mirror $suite main" \
		"deb [check-valid-until=no] $mirror $later main" >"$log" 2>&1 </dev/null || {
		grep '^E:' "$log" | head -n 2 >&2 || true
		die "the download of $packages failed (log: $log): check the network, then run this again"
	}
	mv "$root.tmp" "$root"
}

build() {
	local dev=$folder/dev
	rm -rf "$dev"
	mkdir "$dev"
	tar -x -C "$dev" -f "$root" ./usr/include ./usr/lib
	# Its C library is newer than the one here.
	gcc -D_GNU_SOURCE -O2 -Wall -pthread -I"$dev/usr/include/tracefs" \
		-I"$dev/usr/include/traceevent" -L"$dev/usr/lib/$(gcc -print-multiarch)" \
		-Wl,--allow-shlib-undefined -o "$reader" "$source" -ltracefs -ltraceevent ||
		die "reader.c does not build"
	rm -rf "$dev"
}

mkdir -p "$folder"
exec 9>"$folder/.lock"
flock 9
id="$suite $later $packages"
if [ "$(cat "$root.id" 2>/dev/null)" != "$id" ] || [ ! -f "$root" ]; then
	rm -f "$root.id" "$reader"
	download
	echo "$id" >"$root.id"
fi
if [ ! "$reader" -nt "$source" ] || [ ! "$reader" -nt "$root" ]; then
	build
fi
echo "$root $reader"
