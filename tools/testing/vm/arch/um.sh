# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # Variables of env.sh and run.sh.
# User-mode Linux: the kernel is a program of this x86-64 machine. See env.sh
# for the names.

KERNEL_ARCH=um
IMAGE=linux
DEBIAN_ARCH=amd64
RUST_TARGET=x86_64-unknown-linux-gnu
# llvm-objcopy does not take a static image.
kmake_arch=(OBJCOPY=objcopy)
arch_packages=(binutils)
TTY_OUT=tty1
TTY_STATUS=tty2

arch_command() {
	command=("$image" "mem=${MEM}M" "initrd=$tmp/initramfs" con=null 'con1=fd:0,fd:1' 'con2=null,fd:3')
	# A reboot is a new start of the program.
	append=guest_end=poweroff
	# Its console is the standard error output.
	errors=$log
}
