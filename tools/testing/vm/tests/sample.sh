#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: the sample that the documentation shows, on both kernels, with
# sub-buffers of each order. It has to count what is there, and to unmap what it
# has mapped, by what the kernel sees of its system calls.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

if ! gcc -O2 -Wall -Wextra -Werror -static -I"$BUILD/headers/include" -o "$scratch/trace_mmap" \
	"$TOP/samples/trace_mmap/trace_mmap.c" 2>"$scratch/err"; then
	sed 's/^/  # /' "$scratch/err"
	not_ok 'the sample does not build'
	finish
fi

cat >"$scratch/orders" <<'EOF'
cd /sys/kernel/tracing/instances || exit
mkdir calls
for call in enter_mmap enter_munmap; do
	echo 'comm == "trace_mmap"' >calls/events/syscalls/sys_$call/filter
	echo 1 >calls/events/syscalls/sys_$call/enable
done
long=$(printf '%0200d' 0)
# So many events, short ones and such with a length of their own.
events() {
	n=0
	while [ $n -lt "$1" ]; do
		echo short
		echo "$long"
		n=$((n + 2))
	done >buffer/trace_marker
}
# order, case, exit status, what there was and what was counted, then the
# lengths that were mapped and those that were unmapped.
consume() {
	entries=$(sed -n 's/^entries: //p' buffer/per_cpu/cpu0/stats)
	: >calls/trace
	found=$(trace_mmap "$PWD/buffer/per_cpu/cpu0/trace_pipe_raw")
	status=$?
	echo "$order $1 $status $entries $(echo "$found" | sed -n '$s/ events$//p')" \
		$(sed -nE '/fd: 0xf{8,}/d; s/.*sys_mmap\(.* len: 0x([0-9a-f]+),.*/\1/p' calls/trace | sort) / \
		$(sed -nE 's/.*sys_munmap\(.* len: 0x([0-9a-f]+).*/\1/p' calls/trace | sort)
}
for order in 0 1 2 3; do
	mkdir buffer
	echo $((4 << order)) >buffer/buffer_subbuf_size_kb
	echo 256 >buffer/buffer_size_kb
	consume empty
	events 300
	consume many
	# These go onto the page that the reader is on.
	events 2
	consume more
	events 4000
	consume overwritten
	rmdir buffer
done
EOF

for impl in rust c; do
	VM_CMD='sh /bin/orders'
	guest $impl sample SMP=1 FILES="$scratch/trace_mmap $scratch/orders"
	for order in 0 1 2 3; do
		for case in empty many more overwritten; do
			line=$(grep "^$order $case " "$scratch/out" || true)
			read -r _ _ status entries counted lengths <<<"$line"
			case $case in
			empty) there=$((entries == 0)) ;;
			many) there=$((entries == 300)) ;;
			more) there=$((entries == 2)) ;;
			overwritten) there=$((entries > 300 && entries < 4000)) ;;
			esac
			mapped=${lengths% / *}
			if [ "${status:-1}" = 0 ] && [ "$there" = 1 ] && [ "$counted" = "$entries" ] &&
				[[ $mapped == "1000 "* ]] && [ "$lengths" = "$mapped / $mapped" ]; then
				ok "$impl: order $order, $case"
			else
				not_ok "$impl: order $order, $case"
				echo "  # ${line:-$(why)}"
			fi
		done
	done
	check "$impl: the guest was well" [ "$guest_status" = 0 ]
done
finish
