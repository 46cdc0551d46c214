#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Formatting, lints and documentation, by the kernel's own rules where they
# apply. Warnings are errors.
#
#   KERNEL_SRC=    see source.sh
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/env.sh"
. "$(dirname "$0")/stage.sh"

failed=
number=0
# lint NAME COMMAND...
lint() {
	local name=$1 log
	shift
	number=$((number + 1))
	log=$LOGS/check-$number.log
	if "$@" >"$log" 2>&1 </dev/null; then
		echo "ok - $name"
	else
		grep -vE '^  [A-Z]+ .*[^:]$|^make(\[[0-9]+\])?: (Entering|Leaving|Target)' "$log" | tail -n 60
		echo "not ok - $name (log: $log)"
		failed=1
	fi
}

cd "$TOP"
readarray -t scripts < <(grep -rlE '^#!/bin/(ba)?sh|^#!/bin/busybox sh|^# shellcheck shell=' \
	.ci tools --exclude-dir=target | LC_ALL=C sort)
lint shellcheck shellcheck -x -P SCRIPTDIR:SCRIPTDIR/.. "${scripts[@]}"

# By name: a plain cargo takes the lints in ~/.cargo/bin, of another compiler, if
# that folder is not on PATH.
while read -r manifest; do
	project=$(dirname "$manifest")
	lint "rustfmt: $project" "$CARGO-fmt" fmt --check --manifest-path "$manifest"
	CARGO_TARGET_DIR=$BUILD/host/$(basename "$project") lint "clippy: $project" \
		"$CARGO-clippy" clippy --all-targets --manifest-path "$manifest" -- -D warnings
done < <(find tools -name target -prune -o -name Cargo.toml -print | LC_ALL=C sort)

# The kernel's rules need a kernel tree.
"$VM/source.sh"
take_lock
"$VM/overlay.sh"
linux=$BUILD/linux

readarray -t sources < <({ overlay_files | grep '\.rs$'; find tools/testing/misuse -name '*.rs'; } | LC_ALL=C sort)
lint 'rustfmt: kernel files' "$RUSTFMT" --check \
	--config-path "$linux/.rustfmt.toml" "${sources[@]}"

# Left out:
# MISSING_SIGN_OFF: it is for who submits the series.
# FILE_PATH_CHANGES: it asks for each new file, also below what MAINTAINERS has.
# SPACING of FIXTURE_DATA(x) *self: a type that checkpatch takes for a product.
# The length of "vm:" lines: what one says to our scripts is one line.
# shellcheck disable=SC2317 # Called by lint.
checkpatch() {
	local found
	found=$(cd "$linux" && perl scripts/checkpatch.pl --strict --quiet --no-summary --show-types \
		--ignore MISSING_SIGN_OFF,FILE_PATH_CHANGES,UNKNOWN_COMMIT_ID "$@" 2>&1) || [ -n "$found" ] || return
	awk -v RS= '/^CHECK:SPACING:.*FIXTURE_DATA\([a-z0-9_]+\) \*/ || /LONG_LINE_COMMENT.*\n\+ \* vm: / { next }
		{ print $0 "\n"; found = 1 }
		END { exit found }' <<<"$found"
}
if folders=$("$VM/patches.sh"); then
	# What is in both series, once.
	while read -r patch; do
		lint "checkpatch: $(basename "$patch" .patch)" checkpatch "$patch"
	done < <(xargs -I{} find {} -name '*.patch' ! -name '0000-*' <<<"$folders" | LC_ALL=C sort |
		awk -F/ '{ name = $NF; sub(/^[0-9]+-/, "", name) } !seen[name]++')
else
	echo 'not ok - the series is made'
	failed=1
fi
readarray -t sources < <(find "$TOP/tools" -path "$TOP/tools/testing/selftests" -prune -o \
	-name target -prune -o -name '*.[ch]' -print | LC_ALL=C sort)
[ ${#sources[@]} = 0 ] || lint 'checkpatch: the C files of the project' checkpatch -f "${sources[@]}"

# The kernel crate, ours, and the C files that ours are part of. In a folder of
# its own, as these flags are not those of a build.
out=$BUILD/check
mkdir -p "$out"
kernel() {
	kmake O="$out" CLIPPY=1 W=1 KCFLAGS=-Werror KRUSTFLAGS=-Dwarnings "$@"
}
configure() {
	{ cat "$VM/config/default.config" "$VM/arch/$VM_ARCH.config" && echo CONFIG_RING_BUFFER_MAP_RUST=y; } >"$out/fragment.new"
	! cmp -s "$out/fragment.new" "$out/fragment" || return 0
	KCONFIG_ALLCONFIG=$out/fragment.new kernel allnoconfig &&
		grep -qx CONFIG_RING_BUFFER_MAP_RUST=y "$out/.config" &&
		mv "$out/fragment.new" "$out/fragment"
}
lint 'the kernel configuration' configure
lint 'clippy and W=1: kernel files' kernel -k kernel/trace/ring_buffer_map/ \
	kernel/trace/ring_buffer.o kernel/trace/trace.o kernel/trace/trace_snapshot.o \
	rust/helpers/helpers.o
lint 'object code: the meta-page is refreshed by one store a field' \
	"$VM/meta-stores.sh" "$out/kernel/trace/ring_buffer_map/ring_buffer_map.o"

# without PATTERN COMMAND...: it succeeds, and says nothing of the kind.
without() {
	local pattern=$1 text
	shift
	text=$("$@" 2>&1) || {
		printf '%s\n' "$text"
		return 1
	}
	! grep -E "$pattern" <<<"$text"
}

# shellcheck disable=SC2317 # Called by lint.
abstractions() {
	# It makes all anew.
	[ -n "$(find "$linux/rust" "$linux/include" "$out/.config" -newer "$out/rustdoc" 2>&1)" ] || return 0
	without 'srctree/ link' kernel rustdoc || return
	touch "$out/rustdoc"
}
lint 'rustdoc: the kernel crate' abstractions

# crate VARIABLE ARGUMENT...: the crate once more as it was compiled, by the tool
# that the variable names, but for where the result goes.
# shellcheck disable=SC2317 # Called by lint.
crate() (
	command=$(sed -nE '1 {
		s/^[^:]*:= //
		s/ *;.*//
		s/ --(emit|out-dir)[= ][^ ]*| --remap-path-scope=[^ ]*//g
		s,[^ ]*clippy-driver ,$'"$1"' ,
		p
	}' "$out/kernel/trace/ring_buffer_map/.ring_buffer_map.o.cmd") &&
		shift && cd "$out" && CLIPPY_CONF_DIR=$linux RUSTC_BOOTSTRAP=1 bash -c "${command//$config/${variant:-$config}} $*"
)
config=./include/generated/rustc_cfg

# lacking OPTION...: without these options, which change nothing outside of it.
# shellcheck disable=SC2317 # Called by lint.
lacking() {
	local options variant=./variant.cfg
	options=$(IFS='|' && echo "$*")
	grep -vE "^--cfg=CONFIG_($options)(=|\$)" "$out/$config" >"$out/$variant"
	! cmp -s "$out/$config" "$out/$variant" && crate CLIPPY_DRIVER --emit=metadata=variant.rmeta
}
lint 'clippy: without KUnit tests' lacking RING_BUFFER_MAP_KUNIT_TEST TRACER_SNAPSHOT_MAP_KUNIT_TEST
lint 'clippy: without snapshots' lacking RING_BUFFER_MAP_KUNIT_TEST TRACER_SNAPSHOT_MAP_KUNIT_TEST \
	TRACER_SNAPSHOT

# make rustdoc leaves out crates that are not in rust/. All items of this one are
# private. What is of the compiler alone goes.
# shellcheck disable=SC2317 # Called by lint.
leaf() {
	crate RUSTDOC --document-private-items -Arustdoc::private_intra_doc_links \
		-Cunsafe-allow-abi-mismatch=fixed-x18 --output doc
}
lint 'rustdoc: ring_buffer_map' leaf

# The tree's own rule; RUSTDOC, which kmake sets, means something else to it.
# shellcheck disable=SC2317 # Called by lint.
sphinx() {
	# What it has read, it reads and warns of no more.
	rm -f "$out/Documentation/output/.doctrees/ring-buffer-map-rust.doctree"
	without 'ring-buffer-map-rust.*(WARNING|ERROR|SEVERE|CRITICAL)' \
		make -C "$linux" O="$out" htmldocs SPHINXDIRS=trace
}
lint 'sphinx: ring-buffer-map-rust.rst' sphinx

[ -z "$failed" ]
