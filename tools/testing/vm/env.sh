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

# The machine to build a kernel for, and the path of its image.
VM_ARCH=${VM_ARCH:-${ARCH:-x86_64}}
kmake_arch=(ARCH="$VM_ARCH")
case $VM_ARCH in
x86 | x86_64)
	VM_ARCH=x86_64
	IMAGE=arch/x86/boot/bzImage
	;;
um)
	IMAGE=linux
	# That of LLVM does not take a static image.
	kmake_arch+=(OBJCOPY=objcopy)
	;;
*) die "ARCH=$VM_ARCH is unknown: x86_64 or um" ;;
esac
export VM_ARCH

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
	make -C "$LINUX" -j"$JOBS" LLVM=1 "${kmake_arch[@]}" \
		RUSTC="$RUSTC" RUSTDOC="$RUSTDOC" RUSTFMT="$RUSTFMT" \
		CLIPPY_DRIVER="$CLIPPY_DRIVER" BINDGEN="$BINDGEN" \
		RUST_LIB_SRC="$("$RUSTC" --print sysroot)/lib/rustlib/src/rust/library" \
		"$@"
}

# static_programs FOLDER: builds the Cargo project there, static, so that its
# programs run in a guest, too. Prints the folder that they are in.
static_programs() {
	local target=x86_64-unknown-linux-gnu name log
	name=$(basename "$1")
	log=$LOGS/$name.log
	say "building $name (log: $log)"
	RUSTFLAGS='-C target-feature=+crt-static' CARGO_TARGET_DIR=$BUILD/ringmap \
		"$CARGO" build --release --locked --target "$target" \
		--manifest-path "$TOP/$1/Cargo.toml" >"$log" 2>&1 </dev/null || {
		tail -n 30 "$log" >&2
		die "$1 does not build (log: $log)"
	}
	echo "$BUILD/ringmap/$target/release"
}
