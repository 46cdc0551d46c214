#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: the compiler refuses code in the crate that would misuse its types. Each
# file in tools/testing/misuse is a module that is added to the crate. Its line
# "compiler:" has the only error that it must give, or "accepted".
set -euo pipefail
. "$(dirname "$0")/tap.sh"

out=$(dirname "$(kernel rust)")
out=${out%/arch/x86/boot}
crate=$BUILD/linux/kernel/trace/ring_buffer_map
# As the crate was compiled, but for its name, its place and what it makes.
command=$(sed -nE "1 {
	s/^[^:]*:= //
	s/ *;.*//
	s/ --emit=[^ ]*//g
	s,$crate/ring_buffer_map.rs,$scratch/crate/ring_buffer_map.rs,
	p
}" "$out/kernel/trace/ring_buffer_map/.ring_buffer_map.o.cmd")

# compile MODULE: with its errors, by their numbers, in $errors.
compile() {
	rm -rf "$scratch/crate"
	cp -r "$crate" "$scratch/crate"
	cp "$1" "$scratch/crate/misuse.rs"
	sed -i '0,/^mod bindings;/s//#[expect(dead_code)]\nmod misuse;\n&/' "$scratch/crate/ring_buffer_map.rs"
	(cd "$out" && RUSTC_BOOTSTRAP=1 bash -c "$command --emit=metadata=$scratch/metadata") >"$scratch/err" 2>&1 </dev/null || true
	errors=$(sed -nE 's/^error(\[(E[0-9]+)\])?: .*/\2/p' "$scratch/err" | grep . | sort -u | tr '\n' ' ' || true)
	[ -n "$errors" ] || ! grep -q '^error' "$scratch/err" || errors=other
}

for module in "$TOP"/tools/testing/misuse/*.rs; do
	expected=$(sed -n 's,^// compiler: ,,p' "$module")
	compile "$module"
	errors=${errors% }
	if [ "${errors:-accepted}" = "$expected" ]; then
		ok "$(basename "$module" .rs): ${errors:-accepted}"
	else
		grep -E -A6 '^error' "$scratch/err" | head -n 20 | sed 's/^/  # /' || true
		not_ok "$(basename "$module" .rs): ${errors:-accepted}, should be $expected"
	fi
done
[ $results -gt 1 ] || not_ok 'there are no cases'
finish
