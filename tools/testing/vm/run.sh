#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Boots a kernel, runs VM_CMD in it as root, passes its output and status on.
#
#   IMPL, CONFIG, ARCH, COMPILER, KERNEL_SRC   which kernel: see kernel.sh
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
. "$(dirname "$0")/env.sh"

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
case $ACCEL in
auto | kvm | tcg | mttcg | icount) ;;
*) die "ACCEL=$ACCEL is unknown: auto, kvm, tcg, mttcg or icount" ;;
esac
[ -z "$EMULATOR" ] || command -v "$EMULATOR" >/dev/null ||
	die "no $EMULATOR for ARCH=$VM_ARCH: run make install ARCH=$VM_ARCH"

[ -n "$EMULATOR" ] || [ "$ACCEL" = auto ] ||
	die "ACCEL=$ACCEL: ARCH=$VM_ARCH is not emulated, it is a program; leave ACCEL out"

if [ -n "${KERNEL_IMAGE:-}" ]; then
	image=$KERNEL_IMAGE
	label=$image
	[ -f "$image" ] || die "KERNEL_IMAGE=$image: no such file"
else
	image=$("$VM/kernel.sh" | tail -n 1)
	label=$IMPL/$CONFIG
	[ "$VM_ARCH" = x86_64 ] || label+=/$VM_ARCH
	[ "$COMPILER" = clang ] || label+=/$COMPILER
fi

accel=$ACCEL
why=
qemu=()
if [ -z "$EMULATOR" ]; then
	accel='a program'
	[ "$SMP" = 1 ] || [ -z "$smp_given" ] || say "$VM_ARCH has one CPU: SMP=$SMP is not used"
	SMP=1
elif [ "$accel" = auto ]; then
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
errors=$tmp/errors
if [ -n "$EMULATOR" ]; then
	arch_machine
	# shellcheck disable=SC2054 # These commas are the emulator's.
	command=("$EMULATOR" "${qemu[@]}" "${machine[@]}"
		-nodefaults -no-user-config -display none -no-reboot -nic none
		-m "$MEM" -kernel "$image" -initrd "$tmp/initramfs"
		-chardev stdio,id=out,signal=off -chardev "file,id=status,path=$tmp/status")
	[ -z "${MEM_FILE:-}" ] || command+=(-machine memory-backend=memory
		-object "memory-backend-file,id=memory,size=${MEM}M,mem-path=$MEM_FILE,share=on")
	# Words that the kernel does not know are variables of init.
	command+=(-append "$append panic=-1 tty_out=$TTY_OUT tty_status=$TTY_STATUS ${APPEND:-}")
else
	[ -z "${MEM_FILE:-}" ] || die "MEM_FILE: ARCH=$VM_ARCH cannot keep its memory in a file"
	arch_command
	read -r -a words <<<"$append panic=-1 tty_out=$TTY_OUT tty_status=$TTY_STATUS ${APPEND:-}"
	command+=("${words[@]}")
fi

say "$label, $accel$why, $SMP CPUs, $MEM MiB; kernel log: $log"
hung=0
emulator=0
if [ -n "${VM_CMD+set}" ]; then
	# In the background, so that a signal to this script is seen at once.
	timeout -k 5 "$TIMEOUT" "${command[@]}" </dev/null 2>>"$errors" 3>>"$tmp/status" &
	guest=$!
	wait "$guest" || emulator=$?
	guest=
	[ $emulator != 124 ] && [ $emulator != 137 ] || hung=1
else
	saved_tty=$(stty -g 2>/dev/null || true)
	"${command[@]}" 2>>"$errors" 3>>"$tmp/status" || emulator=$?
fi

status=$(sed -n 's/^status \([0-9]*\).*/\1/p' "$tmp/status" 2>/dev/null | tail -n 1 || true)
warning=$("$VM/klog.sh" "$log" || true)

if [ -z "$status" ] && [ $hung = 1 ]; then
	say "the guest did not end in $TIMEOUT s, and was ended${warning:+; it said: $warning} (kernel log: $log)"
	exit 124
elif [ -z "$status" ] && [ $emulator != 0 ]; then
	say "the emulator failed with status $emulator: $(head -n 1 "$errors") (kernel log: $log)"
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
