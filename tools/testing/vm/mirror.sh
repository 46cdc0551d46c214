#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Prints the Debian mirror to download from: DEBIAN_MIRROR, or the one that this
# machine uses, whatever the format of its list.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

mirror() {
	local codename
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016 # apt-get expands these.
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' |
		awk -v release="$codename" '$2 == release && $3 == "main" && ($4 == "" || $4 == "Debian") {
			print ($1 ~ /debian\/?$/ ? 0 : 1), $1 }' |
		sort -s -n -k 1,1 | awk 'NR == 1 { print $2 }'
}

uri=${DEBIAN_MIRROR:-$(mirror)}
[ -n "$uri" ] || die "no Debian mirror in this machine's apt lists: name one with DEBIAN_MIRROR="
echo "$uri"
