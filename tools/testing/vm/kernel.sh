#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds one kernel, and prints its image's path last.
#
#   IMPL=rust|c|c-fixed
#                   which implementation of the mapping: the one option in which
#                   the kernels differ. c-fixed is C with patches/fixes
#   CONFIG=NAME     default, or default with config/NAME.config on top, and
#                   config/NAME.ARCH.config if there is one
#   ARCH=NAME       for which machine: arch/*.sh; um is a program (x86_64)
#   COMPILER=clang|gcc|gcc-N
#   KERNEL_SRC=     see source.sh
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/env.sh"

IMPL=${IMPL:-rust}
CONFIG=${CONFIG:-default}
option=CONFIG_RING_BUFFER_MAP_RUST

case $IMPL in
rust) other=c ;;
c) other=rust ;;
c-fixed)
	other=c
	LINUX=$BUILD/linux-fixed
	;;
*) die "IMPL=$IMPL is unknown: rust, c or c-fixed" ;;
esac
# A configuration that has a script is on top of what that prints.
base=$VM/config/$CONFIG.sh
fragments=()
[ -x "$base" ] || fragments=("$VM/config/default.config" "$VM/arch/$VM_ARCH.config")
[ "$COMPILER" = clang ] || fragments+=("$VM/compiler/gcc.config")
[ "$CONFIG" = default ] || fragments+=("$VM/config/$CONFIG.config")
[ ! -f "$VM/config/$CONFIG.$VM_ARCH.config" ] || fragments+=("$VM/config/$CONFIG.$VM_ARCH.config")
for fragment in "${fragments[@]}"; do
	[ -f "$fragment" ] ||
		die "CONFIG=$CONFIG is unknown: there is $(cd "$VM/config" && echo ./*.config | sed 's,[^ /]*\.[a-z0-9]*\.config,,g; s,\./,,g; s,\.config,,g; s,  *, ,g')"
done

suffix=$CONFIG
[ "$VM_ARCH" = x86_64 ] || suffix+=-$VM_ARCH
[ "$COMPILER" = clang ] || suffix+=-$COMPILER
command -v "$KERNEL_CC" >/dev/null ||
	die "no $KERNEL_CC here: install it, or choose another COMPILER="
out=$BUILD/kernel-$IMPL-$suffix
# shellcheck disable=SC2153 # arch/NAME.sh says it.
image=$out/$IMAGE
log=$LOGS/kernel-$IMPL-$suffix.log

"$VM/source.sh"

# All that the image is made from. The same again: nothing to do.
inputs() {
	local folder folders=() others=(! -path 'patches/fixes/*')
	[ "$IMPL" != c-fixed ] || others=()
	cat "$BUILD/pristine.id"
	for folder in kernel rust include Documentation patches Kconfig; do
		[ ! -e "$TOP/$folder" ] || folders+=("$folder")
	done
	(cd "$TOP" && find "${folders[@]}" "${fragments[@]#"$TOP/"}" -type f ! -name '.*' "${others[@]}" -print0 |
		LC_ALL=C sort -z | xargs -0 sha256sum)
	[ ! -x "$base" ] || cat "$base"
	"$RUSTC" --version
	# bindgen has the library of the first.
	clang --version | head -n 1
	"$KERNEL_CC" --version | head -n 1
	echo "$option=$IMPL"
}
key=$(inputs | sha256sum)
if [ "$key" = "$(cat "$out/.built" 2>/dev/null)" ] && [ -f "$image" ]; then
	echo "$image"
	exit
fi

take_lock
"$VM/overlay.sh"
[ "$IMPL" != c-fixed ] || "$VM/overlay.sh" fixed

# What does not depend on the option, the other kernel's build has already.
seed() {
	local from=$BUILD/kernel-$other-$suffix
	[ ! -d "$out" ] && [ -f "$from/.built" ] || return 0
	say "starting from $(basename "$from")"
	rm -rf "$out.tmp"
	cp -a --reflink=auto "$from" "$out.tmp"
	rm -f "$out.tmp/.built"
	# The records of how each file was made, and from what, name the folders. As
	# they are, all would be made again. Their times must stay, too.
	find "$out.tmp" -type f \( -name '.*.cmd' -o -name '*.d' -o -name auto.conf.cmd \) -print0 |
		xargs -0 grep -lZF -e "$from" -e "$BUILD/linux/" | while IFS= read -r -d '' file; do
		sed "s|$from\\([/ ]\\)|$out\\1|g; s|$BUILD/linux/|$LINUX/|g" "$file" >"$file.tmp"
		touch -r "$file" "$file.tmp"
		mv "$file.tmp" "$file"
	done
	mv "$out.tmp" "$out"
}
[ -d "$out" ] || need_space 1000 "a kernel build"
seed
mkdir -p "$out"
rm -f "$out/.built"

fail() {
	grep -vE '^  [A-Z0-9_]+ |^make(\[[0-9]+\])?: (Entering|Leaving)' "$log" | tail -n 30 >&2
	die "$1 (log: $log)"
}

configure() {
	local line
	cat "${fragments[@]}" >"$out/fragment"
	if [ "$IMPL" = rust ]; then
		echo "$option=y"
	else
		echo "# $option is not set"
	fi >>"$out/fragment"
	if [ -x "$base" ]; then
		"$base" >"$out/base.config" || die "no base for CONFIG=$CONFIG"
		cat "$out/base.config" "$out/fragment" >"$out/.config"
		kmake O="$out" olddefconfig
	else
		KCONFIG_ALLCONFIG=$out/fragment kmake O="$out" allnoconfig
	fi >"$log" 2>&1 </dev/null || fail "the kernel could not be configured"
	# Kconfig silently drops what it cannot have. Of two lines on one option,
	# the last counts.
	tac "$out/fragment" | awk '
		match($0, /CONFIG_[A-Za-z0-9_]+/) && /^(# )?CONFIG_/ {
			name = substr($0, RSTART, RLENGTH)
			if (!seen[name]++) print
		}' >"$out/fragment.wanted"
	while read -r line; do
		case $line in
		"# "*" is not set")
			line=${line#\# }
			! grep -q "^${line%% *}=" "$out/.config" ||
				die "the kernel configuration cannot turn off ${line%% *}: something selects it"
			;;
		*)
			grep -qxF "$line" "$out/.config" && continue
			[ "$line" != CONFIG_RUST=y ] ||
				kmake O="$out" rustavailable 2>&1 </dev/null | grep -F '***' >&2 || true
			die "the kernel configuration refused $line: a dependency is missing"
			;;
		esac
	done <"$out/fragment.wanted"
}

# The two kernels must differ in the one option only, those in C in none. One that
# was built before the options changed will be built again.
compare() {
	local theirs=$BUILD/kernel-$other-$suffix differ
	options >"$out/.options"
	[ -f "$theirs/.built" ] && cmp -s "$theirs/.options" "$out/.options" &&
		cmp -s "$theirs/fragment.wanted" <(flip) || return 0
	differ=$(diff <(settings "$theirs/.config") <(settings "$out/.config") |
		grep '^[<>]' | grep -v "${option}[= ]" || true)
	[ -z "$differ" ] ||
		die "the kernels differ in more than $option: $(printf '%s' "$differ" | tr '\n' ' ')"
}
options() { find "$LINUX" -name 'Kconfig*' -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum; }
settings() { grep -E '^(# )?CONFIG_' "$1"; }
flip() {
	local program="s/^$option=y$/X/; s/^# $option is not set$/$option=y/; s/^X$/# $option is not set/"
	[ "$IMPL" != c-fixed ] || program=
	sed "$program" "$out/fragment.wanted"
}

build() {
	local start pid next=10
	start=$(date +%s)
	say "building kernel $IMPL/$suffix with $JOBS jobs (log: $log)"
	kmake O="$out" "${IMAGE##*/}" >>"$log" 2>&1 </dev/null &
	pid=$!
	# shellcheck disable=SC2064 # This make, not a later one.
	trap "kill $pid 2>/dev/null; wait $pid 2>/dev/null; exit 130" INT TERM HUP
	while kill -0 $pid 2>/dev/null; do
		sleep 1
		[ $(($(date +%s) - start)) -ge $next ] || continue
		next=$((next + 10))
		say "$(grep -cE '^  (CC|AS|RUSTC|HOSTCC|HOSTRUSTC|AR|LD) ' "$log" || true) objects, $(elapsed "$start"): $(grep -E '^  [A-Z]' "$log" | tail -n 1 | sed 's/^ *//; s/  */ /g')"
	done
	wait $pid || fail "the kernel does not build"
	trap - INT TERM HUP
	say "built kernel $IMPL/$suffix in $(elapsed "$start")"
}

configure
compare
build
[ -f "$image" ] || die "the build made no $image (log: $log)"
printf '%s\n' "$key" >"$out/.built"
echo "$image"
