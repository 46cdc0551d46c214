#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs the test suites, each a script in tests/ that prints TAP, and sums up.
#
#   SUITES="host vm"   these only; a suite that fails does not stop the others
#   CONFIG=debug       with kernels of this configuration: see kernel.sh
#   IMPLS="rust c"     these kernels only, in suites that do not compare all
#
# The last line is "N passed, N failed, N skipped".
set -euo pipefail
. "$(dirname "$0")/lib.sh"

IMPLS=${IMPLS:-rust c c-fixed}
export IMPLS

# The others test no kernel, or have figures of the default one.
if [ "${CONFIG:-default}" = default ]; then
	SUITES=${SUITES:-overlay patches check host misuse kunit map_test selftests defects kernel_defects two_boots differential sample ringmap bench vm}
else
	SUITES=${SUITES:-kunit map_test selftests defects kernel_defects differential}
	echo "# CONFIG=$CONFIG: these suites only: $SUITES"
fi
passed=0 failed=0 skipped=0
start=$(date +%s)

# tally FILE STATUS SUITE
tally() {
	local bad skip all
	bad=$(grep -c '^not ok ' "$1" || true)
	skip=$(grep -ciE '^ok .* # SKIP' "$1" || true)
	all=$(grep -c '^ok ' "$1" || true)
	passed=$((passed + all - skip))
	skipped=$((skipped + skip))
	failed=$((failed + bad))
	if [ "$((bad + all))" = 0 ] || { [ "$2" != 0 ] && [ "$bad" = 0 ]; }; then
		echo "not ok - suite $3 broke off with status $2"
		failed=$((failed + 1))
	fi
}

# All that is built is built before, so that a suite only runs.
result=$LOGS/test-build.tap
build() {
	local impl image rc=0
	for impl in $IMPLS; do
		if image=$(IMPL=$impl "$VM/kernel.sh" | tail -n 1) && [ -f "$image" ]; then
			echo "ok - kernel $impl builds"
			echo "$image" >"$BUILD/test-kernel-$impl"
		else
			echo "not ok - kernel $impl builds"
			rc=1
		fi
	done
	if "$VM/programs.sh" tests; then
		echo "ok - the kernel's and our tests build"
	else
		echo "not ok - the kernel's and our tests build"
		rc=1
	fi
	return $rc
}
echo "# suite build"
rm -f "$BUILD"/test-kernel-*
status=0
build | tee "$result" || status=$?
tally "$result" $status build

for suite in $SUITES; do
	script=$VM/tests/$suite.sh
	result=$LOGS/test-$suite.tap
	echo "# suite $suite"
	status=0
	if [ -x "$script" ]; then
		"$script" </dev/null | tee "$result" || status=$?
	else
		: >"$result"
		say "there is no suite '$suite'"
		status=1
	fi
	tally "$result" $status "$suite"
done
echo "# all suites took $(elapsed "$start")"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
