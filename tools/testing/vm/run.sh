#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Boots a kernel, runs VM_CMD in it as root, passes its output and status on.
#
#   IMPL, CONFIG, KERNEL_SRC   which kernel: see kernel.sh
#   KERNEL_IMAGE=/bzImage      this one, build nothing
#   ACCEL=auto|kvm|tcg|mttcg|icount
#                   tcg has one host thread, mttcg one for each CPU; icount is
#                   one CPU whose time is executed instructions
#   SMP=n MEM=MiB   CPUs, memory
#   MEM_FILE=/file  this file is the memory: another boot with the same MEM finds
#                   what this one left there
#   APPEND=...      more words for the kernel's command line
#   TIMEOUT=s       after which a guest counts as hung (a shell has no limit)
#   FILES="a b"     host files that go into the guest's /bin
#   VM_CMD=...      shell commands; not set: a shell on this terminal
#   ALLOW_WARN=1    a kernel warning is printed, and is no error
#   VM_LOG=/file    where the kernel's log goes (else a new file in build/log)
#
# Exit status: the command's own, or
#   123  the emulator did not start
#   124  the guest hung, and was ended
#   125  the guest died before the command had ended
#   126  the kernel logged a warning
#   130  interrupted
# (make reports each of them as "Error N" and itself exits with 2.)
set -euo pipefail
. "$(dirname "$0")/lib.sh"

IMPL=${IMPL:-rust}
CONFIG=${CONFIG:-default}
ACCEL=${ACCEL:-auto}
smp_given=${SMP:+yes}
SMP=${SMP:-2}
MEM=${MEM:-1024}
TIMEOUT=${TIMEOUT:-600}
read -r -a files <<<"${FILES:-}"

for number in SMP MEM TIMEOUT; do
	[[ ${!number} =~ ^[1-9][0-9]*$ ]] || die "$number=${!number} is no positive number"
done
case ${ARCH:-x86_64} in
x86 | x86_64) ;;
*) die "ARCH=$ARCH is not booted here: x86_64 is, and make kernel builds um as well" ;;
esac
case $ACCEL in
auto | kvm | tcg | mttcg | icount) ;;
*) die "ACCEL=$ACCEL is unknown: auto, kvm, tcg, mttcg or icount" ;;
esac
command -v qemu-system-x86_64 >/dev/null || die "no qemu-system-x86_64: run tools/testing/vm/install.sh"

if [ -n "${KERNEL_IMAGE:-}" ]; then
	image=$KERNEL_IMAGE
	label=$image
	[ -f "$image" ] || die "KERNEL_IMAGE=$image: no such file"
else
	image=$("$VM/kernel.sh" | tail -n 1)
	label=$IMPL/$CONFIG
fi

accel=$ACCEL
why=
if [ "$accel" = auto ]; then
	accel=$("$VM/accel.sh" "$image")
	[ "$accel" = kvm ] || why=' (no working KVM here)'
elif [ "$accel" = kvm ] && ! [ -w /dev/kvm ]; then
	die "ACCEL=kvm: /dev/kvm is not there, or not for you: use ACCEL=auto"
fi
case $accel in
kvm) qemu=(-accel kvm) ;;
tcg) qemu=(-accel 'tcg,thread=single') ;;
mttcg) qemu=(-accel 'tcg,thread=multi') ;;
icount)
	[ "$SMP" = 1 ] || [ -z "$smp_given" ] || say "icount has one CPU: SMP=$SMP is not used"
	SMP=1
	qemu=(-accel 'tcg,thread=single' -icount 'shift=0,sleep=off')
	;;
esac

# The rate of the guest's clock, which it cannot measure: see tsc-khz.c.
clock=
case $accel in
tcg | mttcg)
	tool=$BUILD/tools/bin/tsc-khz
	if [ ! -x "$tool" ] && [ "$(uname -m)" = x86_64 ]; then
		mkdir -p "$BUILD/tools/bin"
		gcc -O2 -o "$tool.$$" "$VM/tsc-khz.c" ||
			die "cannot compile tsc-khz.c: run tools/testing/vm/install.sh"
		mv "$tool.$$" "$tool"
	fi
	[ ! -x "$tool" ] || clock=tsc_early_khz=$("$tool")
	;;
icount) clock=tsc_early_khz=1000000 ;;
esac

tmp=$(mktemp -d)
guest=
saved_tty=
# shellcheck disable=SC2317 # Called by the trap.
cleanup() {
	[ -z "$guest" ] || kill "$guest" 2>/dev/null || true
	[ -z "$saved_tty" ] || stty "$saved_tty" 2>/dev/null || true
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

"$VM/initramfs.sh" "$tmp/initramfs" "${files[@]}"
find "$LOGS" -name 'vm-*.log' -mtime +7 -delete
log=${VM_LOG:-$LOGS/vm-$IMPL-$CONFIG-$(date +%Y%m%d-%H%M%S)-$$.log}
: >"$log"
# With five-level page tables, KASAN takes any address for a wild one in an
# interrupt that comes while the kernel reads the features of the boot CPU.
cpu=max
[ "$CONFIG" = default ] || cpu=max,la57=off
# shellcheck disable=SC2054 # These commas are the emulator's.
# The BIOS's table of CPUs, all that a kernel without ACPI has, lists sockets.
# On a busy host the timer may be late for the check of its interrupt, at boot.
qemu=(qemu-system-x86_64 "${qemu[@]}" -nodefaults -no-user-config -display none -no-reboot -nic none
	-cpu "$cpu" -smp "$SMP,sockets=$SMP,cores=1,threads=1" -m "$MEM" -kernel "$image" -initrd "$tmp/initramfs"
	-append "console=ttyS0 panic=-1 tsc=reliable no_timer_check $clock ${APPEND:-}"
	-serial "file:$log" -chardev stdio,id=out,signal=off -serial chardev:out -serial "file:$tmp/status")
[ -z "${MEM_FILE:-}" ] || qemu+=(-machine memory-backend=memory
	-object "memory-backend-file,id=memory,size=${MEM}M,mem-path=$MEM_FILE,share=on")

say "$label, $accel$why, $SMP CPUs, $MEM MiB; kernel log: $log"
hung=0
emulator=0
if [ -n "${VM_CMD+set}" ]; then
	# In the background, so that a signal to this script is seen at once.
	timeout -k 5 "$TIMEOUT" "${qemu[@]}" </dev/null 2>"$tmp/errors" &
	guest=$!
	wait "$guest" || emulator=$?
	guest=
	[ $emulator != 124 ] && [ $emulator != 137 ] || hung=1
else
	saved_tty=$(stty -g 2>/dev/null || true)
	"${qemu[@]}" 2>"$tmp/errors" || emulator=$?
fi

status=$(sed -n 's/^status \([0-9]*\).*/\1/p' "$tmp/status" 2>/dev/null | tail -n 1 || true)
warning=$("$VM/klog.sh" "$log" || true)

if [ -z "$status" ] && [ $hung = 1 ]; then
	say "the guest did not end in $TIMEOUT s, and was ended${warning:+; it said: $warning} (kernel log: $log)"
	exit 124
elif [ -z "$status" ] && [ $emulator != 0 ]; then
	say "the emulator failed with status $emulator: $(head -n 1 "$tmp/errors") (kernel log: $log)"
	exit 123
elif [ -z "$status" ]; then
	say "the guest died${warning:+: $warning} (kernel log: $log)"
	exit 125
elif [ -n "$warning" ] && [ "${ALLOW_WARN:-0}" = 1 ]; then
	say "note: the kernel warned: $warning (kernel log: $log)"
elif [ -n "$warning" ]; then
	say "the kernel warned: $warning (kernel log: $log)"
	exit 126
fi
[ "$status" = 0 ] || say "the command exited with $status"
exit "$status"
