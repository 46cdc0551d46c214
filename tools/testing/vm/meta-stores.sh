#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# meta-stores.sh OBJECT: reads the x86-64 object code that refreshes the
# meta-page, wherever it is inlined. User space reads the page at any time, so
# each field must be written by one store of its full width, reader.id by the
# last one. Prints each place that does so; fails if one does not, or if there
# is none.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/env.sh"

if [ $# != 1 ] || [ ! -f "$1" ]; then
	die "say which object file to read"
fi

# A refresh is a run of stores by one base register, which nothing else is
# assigned to meanwhile, that has both of the fields of 32 bits. It ends where
# control always goes elsewhere. lost_events alone may be written apart from
# the others, as it is not always.
llvm-objdump -d --no-show-raw-insn "$1" | awk '
BEGIN {
	FS = "\t"
	# The fields of struct trace_buffer_meta that change, and their widths.
	split("16 24 28 40 48 56 64 72", fields, " ")
	split("reader.lost_events reader.id reader.read entries overrun read pages_lost pages_touched", words, " ")
	for (i = 1; i in fields; i++) {
		name[fields[i]] = words[i]
		width[fields[i]] = words[i] ~ /^reader\.(id|read)$/ ? 4 : 8
	}
	first = 16
	end = 80
	split("rax rcx rdx rsi rdi r8 r9 r10 r11", scratch, " ")
}
/^[0-9a-f]+ <.*>:$/ {
	close_all()
	finish_function()
	function_name = $0
	sub(/^[0-9a-f]+ </, "", function_name)
	sub(/>:$/, "", function_name)
	next
}
NF < 2 { next }
{
	op = $2
	operands = $3
	sub(/ *[#<].*/, "", operands)
	last = operands
	sub(/^.*, */, "", last)
	if (op ~ /^(jmp|ret|ud)/) {
		close_all()
	} else if (op ~ /^call/) {
		for (i in scratch)
			close_run(scratch[i])
	} else if (op ~ /^(cmp|test|bt[lqw]?$|push|nop|prefetch|j)/) {
		# Writes nothing that is named.
	} else if (operands ~ /\(%[a-z0-9]+\)$/) {
		base = last
		sub(/^.*\(%/, "", base)
		sub(/\)$/, "", base)
		offset = last
		sub(/\(.*/, "", offset)
		offset = number(offset)
		if (base != "rsp" && offset < end && offset + bytes(op) > first)
			runs[base] = runs[base] " " offset ":" bytes(op)
	} else if (last ~ /^%/) {
		close_run(whole(substr(last, 2)))
	}
}
END {
	close_all()
	finish_function()
	if (!places) {
		print "no code refreshes the meta-page"
		bad = 1
	}
	exit bad
}

function number(hex,    value, sign, i) {
	sign = sub(/^-/, "", hex) ? -1 : 1
	sub(/^0x/, "", hex)
	for (i = 1; i <= length(hex); i++)
		value = value * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
	return sign * value
}
function bytes(op) {
	if (op ~ /^v?mov(up|ap|dq)|^movaps/)
		return 16
	return op ~ /q$/ ? 8 : op ~ /l$/ ? 4 : op ~ /w$/ ? 2 : 1
}
# The 64-bit register that this one is a part of.
function whole(register) {
	if (register ~ /^r[0-9]+[dwb]?$/) {
		sub(/[dwb]$/, "", register)
		return register
	}
	sub(/^[er]/, "", register)
	if (register ~ /^[abcd][lhx]$/)
		return "r" substr(register, 1, 1) "x"
	sub(/l$/, "", register)
	return "r" register
}
function close_all(    base) {
	for (base in runs)
		close_run(base)
}
function close_run(base,    n, stores, i, part, seen, offset, wrong, others) {
	if (!(base in runs))
		return
	n = split(runs[base], stores, " ")
	delete runs[base]
	for (i = 1; i <= n; i++) {
		split(stores[i], part, ":")
		seen[part[1]]++
		if (part[1] == 16 && part[2] == 8)
			lost_apart = 1
		if (!(part[1] in name))
			wrong = wrong "; a store of " part[2] " bytes at " part[1]
		else if (part[2] != width[part[1]])
			wrong = wrong "; " name[part[1]] " by " part[2] " bytes"
	}
	for (i = 4; i in fields; i++)
		others += fields[i] in seen
	# Of another struct, or lost_events apart.
	if (!(24 in seen && 28 in seen) || others < 3)
		return
	places++
	for (i in fields) {
		offset = fields[i]
		if (offset == 16 && !(16 in seen)) {
			missing_lost = 1
			continue
		}
		if (seen[offset] != 1)
			wrong = wrong "; " name[offset] " by " seen[offset] + 0 " stores"
	}
	if (stores[n] !~ /^24:/)
		wrong = wrong "; reader.id is not the last"
	if (wrong) {
		bad = 1
		print function_name ": " substr(wrong, 3)
	} else {
		print function_name ": one store each"
	}
}
function finish_function() {
	if (missing_lost && !lost_apart) {
		bad = 1
		print function_name ": reader.lost_events is not written"
	}
	missing_lost = lost_apart = 0
}'
