# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # Variables of env.sh and run.sh.
# 64-bit RISC-V, the board "virt" of QEMU. See env.sh for the names.

KERNEL_ARCH=riscv
IMAGE=arch/riscv/boot/Image
DEBIAN_ARCH=riscv64
# Debian 12 has no packages for it.
DEBIAN_SUITE=trixie
RUST_TARGET=riscv64gc-unknown-linux-gnu
CROSS=riscv64-linux-gnu-
EMULATOR=qemu-system-riscv64
arch_packages=(qemu-system-misc opensbi gcc-riscv64-linux-gnu libc6-dev-riscv64-cross)
TTY_OUT=hvc0
TTY_STATUS=hvc1

arch_machine() {
	machine=(-M virt -cpu rv64 -smp "$SMP"
		-serial "file:$log" -device virtio-serial-device
		-device 'virtconsole,chardev=out' -device 'virtconsole,chardev=status')
	append="console=ttyS0"
}
