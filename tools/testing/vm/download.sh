#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# download.sh PACKAGE SUITE [DEBIAN_ARCH]: prints the path of Debian's package in
# build/download, the newest that was downloaded, or else downloads it. The
# machine's own suites stay as they are.
#
#   DEBIAN_MIRROR=URI   from there, not from where this machine takes its own
#
# Exit status 3: the suite has no such package.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

package=$1 suite=$2 arch=${3:-}
download=$BUILD/download
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
lists=$download/apt-$package
log=$LOGS/download.log

newest() { find -H "$download" -maxdepth 1 -name "${package}_*_${arch:-*}.deb" 2>/dev/null | sort -V | tail -n 1; }
if [ -n "$(newest)" ]; then
	newest
	exit
fi

command -v apt-get >/dev/null || die "no apt-get here to download $package"
uri=$("$VM/mirror.sh") || die "no mirror to download $package from: name one with DEBIAN_MIRROR="
say "downloading $package${arch:+ for $arch}"
rm -rf "$lists" "$download/partial"
mkdir -p "$lists/lists/partial" "$lists/archives/partial" "$download/partial"
echo "deb [signed-by=$keyring${arch:+ arch=$arch}] $uri $suite main" >"$lists/sources.list"
apt=(-q -o Dir::State::Lists="$lists/lists" -o Dir::Cache="$lists"
	-o Dir::Etc::SourceList="$lists/sources.list" -o Dir::Etc::SourceParts=/dev/null
	-o APT::Sandbox::User="$(id -un)" -o APT::Update::Error-Mode=any -o Acquire::Retries=3
	-o Acquire::Languages=none)
[ -z "$arch" ] || apt+=(-o APT::Architecture="$arch" -o APT::Architectures::="$arch")
apt-get "${apt[@]}" update >"$log" 2>&1 </dev/null || {
	grep -E '^[EW]:' "$log" | head -n 2 >&2 || true
	die "cannot read $suite from the Debian mirror (log: $log): check the network"
}
apt-cache "${apt[@]}" show "$package" >/dev/null 2>&1 || exit 3
(cd "$download/partial" && apt-get "${apt[@]}" download "$package") >>"$log" 2>&1 </dev/null || {
	grep -E '^[EW]:' "$log" | head -n 2 >&2 || true
	die "the download of $package failed (log: $log): check the network, then run this again"
}
mv "$download"/partial/*.deb "$download/"
rm -rf "$lists" "$download/partial"
newest
