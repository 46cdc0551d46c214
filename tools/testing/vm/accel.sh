#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# accel.sh IMAGE: prints kvm if a guest really boots under KVM here, else tcg.
#
# /dev/kvm is no proof: there are machines where it opens and the guest never
# prints a byte. So a guest is booted, with a short limit, and the answer kept.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/env.sh"

limit=10
cache=$BUILD/kvm
if [ "$VM_ARCH" != "$(uname -m | sed 's/aarch64/arm64/; s/s390x/s390/')" ]; then
	echo tcg
	exit
fi
if ! [ -r /dev/kvm ] || ! [ -w /dev/kvm ]; then
	echo tcg
	exit
fi
host="$("$EMULATOR" --version | head -n 1) $(cat /proc/sys/kernel/random/boot_id)"
if [ "$(head -n 1 "$cache" 2>/dev/null)" = "$host" ]; then
	tail -n 1 "$cache"
	exit
fi
say "trying whether a guest boots under KVM (at most $limit s, once)"
if KERNEL_IMAGE=$1 ACCEL=kvm SMP=1 MEM=256 APPEND='' FILES='' TIMEOUT=$limit VM_CMD='exit 42' \
	"$VM/run.sh" >"$LOGS/kvm.log" 2>&1 </dev/null; then
	status=0
else
	status=$?
fi
answer=tcg
[ $status != 42 ] || answer=kvm
printf '%s\n%s\n' "$host" "$answer" >"$cache.$$"
mv "$cache.$$" "$cache"
echo "$answer"
