#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# matrix.sh: builds and tests each kernel of kernels.txt, one after the other, and
# prints a table. Called again, it keeps the results of the same sources and goes
# on where it stopped.
#
#   CELLS="arm64 gcc"   those lines only in which one of these words is; a name
#                       like x86_64-clang-rt is one line
#
# Logs are in build/matrix/NAME/, the table is build/matrix/table.md. The last
# line is "N passed, N failed, N skipped".
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"

here=$TOP/tools/testing/matrix
out=$BUILD/matrix
mkdir -p "$out"
read -r -a wanted <<<"${CELLS:-}"

# What a result depends on.
"$VM/source.sh"
key=$({
	cat "$BUILD/pristine.id"
	cd "$TOP"
	find kernel rust include patches samples Kconfig tools/testing/vm tools/testing/selftests \
		-type f ! -name '.*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
} | sha256sum | cut -c 1-64)

# count FILE: passed, failed and skipped results of a suite.
count() {
	local all skip bad
	[ -f "$1" ] || { echo '- - -'; return; }
	all=$(grep -c '^ok ' "$1" || true)
	skip=$(grep -ciE '^ok .* # SKIP' "$1" || true)
	bad=$(grep -c '^not ok ' "$1" || true)
	echo "$((all - skip)) $bad $skip"
}

# test_cell NAME ARCH COMPILER CONFIG SUITES
test_cell() {
	local folder=$out/$1 start suite install
	start=$(date +%s)
	rm -rf "$folder"
	mkdir -p "$folder"
	for suite in build ${5//,/ }; do rm -f "$LOGS/test-$suite.tap"; done
	say "$1: building and testing (log: $folder/log)"
	install=0
	ARCH=$2 COMPILER=$3 CONFIG=$4 "$VM/install.sh" >"$folder/log" 2>&1 || install=$?
	[ $install != 0 ] || ARCH=$2 COMPILER=$3 CONFIG=$4 SUITES=${5//,/ } "$VM/test.sh" \
		>>"$folder/log" 2>&1 </dev/null || true
	for suite in build ${5//,/ }; do
		[ ! -f "$LOGS/test-$suite.tap" ] || cp "$LOGS/test-$suite.tap" "$folder/$suite.tap"
	done
	echo $(($(date +%s) - start)) >"$folder/seconds"
	echo "$key" >"$folder/key"
	grep '^not ok ' "$folder"/*.tap | sed 's,^.*/,  # ,' >&2 || true
	say "$1: $(tail -n 1 "$folder/log")"
}

# figures FILE: as a cell of the table.
figures() {
	read -r passed failed skipped < <(count "$1")
	case $passed in
	-) echo '' ;;
	*) echo "$passed / $failed / $skipped" ;;
	esac
}
# yes CONDITION...
yes() { if "$@"; then echo yes; else echo no; fi; }
# all_ok FILE: whether there are results, and all are good.
all_ok() { grep -q '^ok ' "$1" 2>/dev/null && ! grep -q '^not ok ' "$1"; }

names=()
while read -r arch compiler config suites; do
	case $arch in '' | '#'*) continue ;; esac
	chosen=${wanted[*]:+no}
	name=$arch-$compiler-$config
	for word in "${wanted[@]}"; do
		[[ " $name $arch $compiler $config " != *" $word "* ]] || chosen=
	done
	[ -z "$chosen" ] || continue
	names+=("$name")
	[ "$(cat "$out/$name/key" 2>/dev/null)" = "$key" ] || test_cell "$name" "$arch" "$compiler" "$config" "$suites"
done <"$here/kernels.txt"
[ ${#names[@]} -gt 0 ] || die "no kernel of $here/kernels.txt has one of the words '${CELLS:-}'"

{
	echo '| kernel | builds | boots | map_test | kselftests | defects | KUnit | minutes |'
	echo '|---|---|---|--:|--:|--:|--:|--:|'
	for name in "${names[@]}"; do
		folder=$out/$name
		echo "| ${name//-/, } | $(yes all_ok "$folder/build.tap") | $(yes grep -qs '^ok ' "$folder/map_test.tap") |" \
			"$(figures "$folder/map_test.tap") | $(figures "$folder/selftests.tap") |" \
			"$(figures "$folder/defects.tap") | $(figures "$folder/kunit.tap") | $(($(cat "$folder/seconds") / 60)) |"
	done
} >"$out/table.md"
cat "$out/table.md"
passed=0 failed=0 skipped=0
for name in "${names[@]}"; do
	for tap in "$out/$name"/*.tap; do
		read -r p f s < <(count "$tap")
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	done
	[ -f "$out/$name/map_test.tap" ] || failed=$((failed + 1))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
