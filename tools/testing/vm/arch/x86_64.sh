# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # Variables of env.sh and run.sh.
# x86-64, a machine that QEMU emulates. See env.sh for the names.

KERNEL_ARCH=x86_64
IMAGE=arch/x86/boot/bzImage
DEBIAN_ARCH=amd64
RUST_TARGET=x86_64-unknown-linux-gnu
EMULATOR=qemu-system-x86_64
arch_packages=(qemu-system-x86)
TTY_OUT=ttyS1
TTY_STATUS=ttyS2

# The rate of the guest's clock, which it cannot measure: see tsc-khz.c.
guest_clock() {
	local tool=$BUILD/tools/bin/tsc-khz
	case $1 in
	tcg | mttcg)
		if [ ! -x "$tool" ] && [ "$(uname -m)" = x86_64 ]; then
			mkdir -p "$BUILD/tools/bin"
			gcc -O2 -o "$tool.$$" "$VM/tsc-khz.c" ||
				die "cannot compile tsc-khz.c: run tools/testing/vm/install.sh"
			mv "$tool.$$" "$tool"
		fi
		[ ! -x "$tool" ] || echo "tsc_early_khz=$("$tool")"
		;;
	icount) echo tsc_early_khz=1000000 ;;
	esac
}

arch_machine() {
	# With five-level page tables, KASAN takes any address for a wild one in an
	# interrupt that comes while the kernel reads the features of the boot CPU.
	local cpu=max
	[ "$CONFIG" = default ] || cpu=max,la57=off
	# The BIOS's table of CPUs, all that a kernel without ACPI has, lists sockets.
	machine=(-cpu "$cpu" -smp "$SMP,sockets=$SMP,cores=1,threads=1"
		-serial "file:$log" -serial chardev:out -serial chardev:status)
	# On a busy host the timer may be late for the check of its interrupt, at boot.
	append="console=ttyS0 tsc=reliable no_timer_check $(guest_clock "$accel")"
}
