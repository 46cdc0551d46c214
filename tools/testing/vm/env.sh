# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034 # Others use what is set here.
# Which compilers to use. To be sourced after lib.sh.
#
# The distribution's compilers are named explicitly: those that rustup puts
# first on PATH usually lack the library sources, which the kernel compiles.

LLVM_MAJOR=22
BINDGEN_VERSION=0.72.1

PATH=/usr/lib/llvm-$LLVM_MAJOR/bin:/usr/bin:/bin:/usr/sbin:/sbin:$PATH
LIBCLANG_PATH=/usr/lib/llvm-$LLVM_MAJOR/lib
CARGO=/usr/bin/cargo
RUSTC=/usr/bin/rustc
RUSTDOC=/usr/bin/rustdoc
RUSTFMT=/usr/bin/rustfmt
CLIPPY_DRIVER=/usr/bin/clippy-driver
BINDGEN=$BUILD/tools/bin/bindgen
export PATH LIBCLANG_PATH CARGO RUSTC RUSTDOC RUSTFMT CLIPPY_DRIVER BINDGEN

# The machine: its files arch/NAME.sh, which says the following, and
# arch/NAME.config.
#
#   KERNEL_ARCH   its name in the kernel, and IMAGE, what is built there
#   DEBIAN_ARCH   its name in Debian, and DEBIAN_SUITE, if it is in this one only
#   RUST_TARGET   its name in Rust, and CROSS, the prefix of its C compiler
#   EMULATOR      the program that emulates it; none: the kernel is a program
#   TTY_OUT, TTY_STATUS   where a guest prints, and the status of its command
#   arch_packages what install.sh installs for it
VM_ARCH=${ARCH:-${VM_ARCH:-x86_64}}
case $VM_ARCH in
x86) VM_ARCH=x86_64 ;;
aarch64) VM_ARCH=arm64 ;;
s390x) VM_ARCH=s390 ;;
riscv64) VM_ARCH=riscv ;;
esac
export VM_ARCH
CROSS='' EMULATOR='' DEBIAN_SUITE='' IMAGE=''
kmake_arch=()
if ! [[ $VM_ARCH =~ ^[a-z0-9_]+$ ]] || ! [ -f "$VM/arch/$VM_ARCH.sh" ]; then
	die "ARCH=$VM_ARCH is unknown: there is $(cd "$VM/arch" && echo ./*.sh | sed 's,\./,,g; s,\.sh,,g')"
fi
# shellcheck source=/dev/null
. "$VM/arch/$VM_ARCH.sh"
kmake_arch+=(ARCH="$KERNEL_ARCH")

# The kernel's compiler. Rust is what it is.
COMPILER=${COMPILER:-clang}
case $COMPILER in
clang)
	KERNEL_CC=clang
	kmake_arch+=(LLVM=1)
	;;
gcc | gcc-[1-9]*)
	KERNEL_CC=$CROSS$COMPILER
	kmake_arch+=(CROSS_COMPILE="$CROSS" CC="$KERNEL_CC")
	;;
*) die "COMPILER=$COMPILER is unknown: clang, gcc or gcc-N" ;;
esac
export COMPILER

# Where what was built for this machine is. The kernels name theirs themselves.
ARCH_BUILD=$BUILD
[ "$VM_ARCH" = x86_64 ] || ARCH_BUILD=$BUILD/$VM_ARCH

# Flags that a user keeps for other projects would change what is built here,
# and what make(1) passes down is for this project's Makefile, not the kernel's.
unset RUSTFLAGS RUSTDOCFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
unset RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER CARGO_TARGET_DIR
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES ARCH CROSS_COMPILE
unset KBUILD_OUTPUT KBUILD_EXTRA_WARN KCFLAGS KRUSTFLAGS

JOBS=$(nproc)

# kmake ARGUMENTS: make in the composed tree.
LINUX=$BUILD/linux
kmake() {
	make -C "$LINUX" -j"$JOBS" "${kmake_arch[@]}" \
		RUSTC="$RUSTC" RUSTDOC="$RUSTDOC" RUSTFMT="$RUSTFMT" \
		CLIPPY_DRIVER="$CLIPPY_DRIVER" BINDGEN="$BINDGEN" \
		RUST_LIB_SRC="$("$RUSTC" --print sysroot)/lib/rustlib/src/rust/library" \
		"$@"
}

# static_programs FOLDER: builds the Cargo project there, static, so that its
# programs run in a guest, too. Prints the folder that they are in.
static_programs() {
	local name log linker std=()
	name=$(basename "$1")
	log=$LOGS/$name.log
	# Rust's library for another machine is compiled from Debian's sources.
	if [ -n "$CROSS" ]; then
		std=('-Zbuild-std=std,panic_abort')
		linker=${RUST_TARGET^^}
		linker=CARGO_TARGET_${linker//-/_}_LINKER=${CROSS}gcc
	fi
	say "building $name (log: $log)"
	env ${linker:+"$linker" RUSTC_BOOTSTRAP=1} RUSTFLAGS='-C target-feature=+crt-static' \
		CARGO_TARGET_DIR="$BUILD/ringmap" \
		"$CARGO" build "${std[@]}" --release --locked --target "$RUST_TARGET" \
		--manifest-path "$TOP/$1/Cargo.toml" >"$log" 2>&1 </dev/null || {
		tail -n 30 "$log" >&2
		die "$1 does not build (log: $log)"
	}
	echo "$BUILD/ringmap/$RUST_TARGET/release"
}
