# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # Variables of env.sh and run.sh.
# IBM Z, 64-bit and big-endian. See env.sh for the names.

KERNEL_ARCH=s390
IMAGE=arch/s390/boot/bzImage
DEBIAN_ARCH=s390x
RUST_TARGET=s390x-unknown-linux-gnu
CROSS=s390x-linux-gnu-
EMULATOR=qemu-system-s390x
arch_packages=(qemu-system-misc gcc-s390x-linux-gnu libc6-dev-s390x-cross)
TTY_OUT=hvc0
TTY_STATUS=hvc1

arch_machine() {
	machine=(-M 's390-ccw-virtio' -cpu max -smp "$SMP"
		-chardev "file,id=log,path=$log" -device 'sclpconsole,chardev=log'
		-device virtio-serial-ccw
		-device 'virtconsole,chardev=out' -device 'virtconsole,chardev=status')
	append="console=ttysclp0"
}
