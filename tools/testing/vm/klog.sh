#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# klog.sh LOG: prints the first line of a kernel log that no healthy kernel
# writes, and succeeds if there is one.
#
# Data races (KCSAN) count if the mapping takes part: it is in a stack, or it is
# what KCSAN cannot see, the unknown origin of a change in the ring buffer's or in
# trace_pipe_raw's data. The number of others goes to standard error. One is of C
# alone, and does not count: a writer looks at the page behind the reader page
# while any reader, which the mapping may have called, swaps it.
set -euo pipefail

# At the start of a message only: boot messages of the mitigations say WARNING:
# in their middle.
stamp='(\[ *[0-9TC][^]]*\] ?)*'
start='WARNING: |BUG: |UBSAN: |KCSAN: |Oops: |Kernel panic|general protection fault|Unable to handle|watchdog: (BUG|Watchdog)|rcu: INFO: .*(stall|starved)|INFO: (task .* blocked|possible|rcu|lockdep|trying)|INFO: .* detected stall|=+\[ cut here|-+\[ cut here|unchecked MSR|kernel BUG at|traps: .* trap int3|Internal error|DEBUG_LOCKS_WARN_ON|kmemleak: (.*suspected|Cannot|Memory pool empty)|BUG [^ ]+ \(|\[ BUG: '
anywhere='KASAN: |possible circular locking|possible recursive locking|inconsistent lock state|suspicious RCU usage|soft lockup|hard LOCKUP|sleeping function called|invalid opcode: |scheduling while atomic|bad unlock balance|rust_panic|rust_kernel: panicked'

log=$(mktemp)
trap 'rm -f "$log"' EXIT
tr -d '\r' <"$1" | LC_ALL=C awk '
	/BUG: KCSAN: / {
		report = 1
		text = ""
		ours = / in (__)?(rb|ring_buffer|trace|tracing)_[^ ]*$/
		swap = / in (rb_get_reader_page \/ rb_move_tail|rb_move_tail \/ rb_get_reader_page)$/
	}
	report {
		text = text $0 "\n"
		ours = ours || !swap && /ring_buffer_map/
		if (/Reported by Kernel Concurrency Sanitizer/)
			finish()
		next
	}
	{ print }
	function finish() {
		if (ours)
			printf "%s", text
		else
			others++
		report = 0
	}
	END {
		if (report)
			finish()
		if (others)
			print "klog: KCSAN: " others " reports elsewhere" >"/dev/stderr"
	}' >"$log"

# The line after "cut here" says more than that one.
line=$(grep -aE "^$stamp($start)|$anywhere" "$log" | grep -avE 'cut here' | head -n 1 || true)
[ -n "$line" ] || line=$(grep -aE "^$stamp(-+\[ cut here)" "$log" | head -n 1 || true)
[ -n "$line" ] || exit 1
printf '%s\n' "$line" | sed -E "s/^$stamp *//"
