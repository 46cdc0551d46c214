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
	make -C "$LINUX" -j"$JOBS" ARCH=x86_64 LLVM=1 \
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
