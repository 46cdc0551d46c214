#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: the same 20,000 operations on the C and on the Rust kernel. What they do
# must be equal, line by line, but for what a rule with a name allows; and each
# rule is needed.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

folder=$TOP/tools/testing/differential
seed=1

if ! PROGRAM=$("$folder/build.sh"); then
	not_ok "tools/testing/differential does not build"
	finish
fi
for impl in c rust; do
	if ! kernel "$impl" >/dev/null; then
		not_ok "there is no $impl kernel"
		finish
	fi
done
C_IMAGE=$(kernel c)
RUST_IMAGE=$(kernel rust)
export PROGRAM C_IMAGE RUST_IMAGE TIMEOUT=$((slower * 240))

# shellcheck disable=SC2317 # Called by check.
equal() { "$PROGRAM" compare "$@" >/dev/null; }
# shellcheck disable=SC2317
differ() { ! equal "$@"; }

# Those in which mappings move have a guest for themselves: the C kernel warns.
# A few operations more, as not all that follows a loss can be compared (D18).
"$PROGRAM" gen plain $seed 18500 >"$scratch/plain.ops"
{
	cat "$folder/preamble.ops"
	"$PROGRAM" gen moves $seed 2500
} >"$scratch/moves.ops"

# With PREEMPT_RT, waiters are woken by a later tick: what a call that waits
# returns is a matter of time. So none of them waits, and D13 is not met.
unmet=
if [ "$CONFIG" = rt ]; then
	sed -i -E 's/^(open [0-9]+) .*/\1 0/' "$scratch/plain.ops" "$scratch/moves.ops"
	unmet=D13
fi

for kind in plain moves; do
	files=("$scratch/$kind.ops" "$scratch/$kind.c" "$scratch/$kind.rust")
	if "$folder/pair.sh" "${files[@]}" 2>"$scratch/err"; then
		ok "$kind: both guests end well, and the kernel logs are clean"
	else
		sed 's/^/  # /' "$scratch/err"
		not_ok "$kind: both guests end well, and the kernel logs are clean"
	fi
done

# All as one run: a rule may be needed in one of the two only.
for what in ops c rust; do
	cat "$scratch/plain.$what" "$scratch/moves.$what" >"$scratch/all.$what"
done
all=("$scratch/all.ops" "$scratch/all.c" "$scratch/all.rust")
status=0
"$PROGRAM" compare "${all[@]}" --first "$scratch/first" >"$scratch/compared" || status=$?
sed 's/^/  # /' "$scratch/compared"
nr=$(sed -nE 's/^([0-9]+) operations in .*/\1/p' "$scratch/compared")
check "at least 20000 operations were compared" [ "${nr:-0}" -ge 20000 ]
if [ $status = 0 ]; then
	ok 'C and Rust do the same, but for what the rules allow'
else
	not_ok 'C and Rust do the same, but for what the rules allow'
	mkdir -p "$BUILD/differential"
	[ ! -f "$scratch/first" ] || cp "$scratch/first" "$BUILD/differential/first.ops"
	echo "  # the first scenario is $BUILD/differential/first.ops; to make it short:"
	echo "  # tools/testing/differential/soak.sh shrink $BUILD/differential/first.ops"
fi

# A rule that nothing needs would hide something some day.
while read -r rule hits; do
	[ "$rule" != "$unmet" ] || continue
	check "$rule is needed ($hits times)" [ "$hits" -gt 0 ]
	check "without $rule the kernels differ" \
		differ "${all[@]}" --without "$rule"
done < <(sed -nE 's/^rule (D[0-9]+): ([0-9]+)$/\1 \2/p' "$scratch/compared")

# The comparison can fail: a digit of the last number in the transcript is another.
awk '{ line[NR] = $0 }
	END { for (i = NR; i > 0 && !(line[i] ~ /page=/); i--) ;
	      if (i) sub(/page=./, "page=" (line[i] ~ /page=0/ ? "1" : "0"), line[i])
	      for (i = 1; i <= NR; i++) print line[i] }' "$scratch/all.rust" >"$scratch/mutated"
check 'one digit in a transcript is found' \
	differ "$scratch/all.ops" "$scratch/all.rust" "$scratch/mutated"
check 'a transcript is equal to itself' \
	equal "$scratch/all.ops" "$scratch/all.rust" "$scratch/all.rust"

# The same seed again is the same again, or the comparison says nothing.
head -n 3000 "$scratch/plain.ops" | awk '/^= / { n++ } { line[NR] = $0; at[NR] = n }
	END { for (i = 1; i <= NR && at[i] < n; i++) print line[i] }' >"$scratch/part.ops"
lines=$(grep -c . "$scratch/part.ops")
scenarios=$(grep -c '^= ' "$scratch/part.ops")
"$folder/pair.sh" "$scratch/part.ops" "$scratch/part.c" "$scratch/part.rust" 2>"$scratch/err" ||
	sed 's/^/  # /' "$scratch/err"
for impl in c rust; do
	# Each scenario has one line more, at its end.
	check "$impl: the same operations again give the same transcript" \
		cmp "$scratch/part.$impl" <(head -n $((lines + scenarios)) "$scratch/plain.$impl")
done
finish
