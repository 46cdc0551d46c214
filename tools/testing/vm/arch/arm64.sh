# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # Variables of env.sh and run.sh.
# 64-bit Arm, the board "virt" of QEMU. See env.sh for the names.

KERNEL_ARCH=arm64
IMAGE=arch/arm64/boot/Image
DEBIAN_ARCH=arm64
RUST_TARGET=aarch64-unknown-linux-gnu
CROSS=aarch64-linux-gnu-
EMULATOR=qemu-system-aarch64
arch_packages=(qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
TTY_OUT=hvc0
TTY_STATUS=hvc1

arch_machine() {
	# The architecture's own algorithm of pointer authentication is slow to emulate.
	machine=(-M 'virt,gic-version=3' -cpu 'max,pauth-impdef=on' -smp "$SMP"
		-serial "file:$log" -device virtio-serial-device
		-device 'virtconsole,chardev=out' -device 'virtconsole,chardev=status')
	append="console=ttyAMA0"
}
