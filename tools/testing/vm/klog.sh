#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# klog.sh LOG: prints the first line of a kernel log that no healthy kernel
# writes, and succeeds if there is one.
set -euo pipefail

# At the start of a message only: boot messages of the mitigations say WARNING:
# in their middle.
stamp='(\[[^]]*\] ?)*'
start='WARNING: |BUG: |UBSAN: |KCSAN: |Oops: |Kernel panic|general protection fault|Unable to handle|watchdog: (BUG|Watchdog)|rcu: INFO: .*(stall|starved)|INFO: (task .* blocked|possible|rcu|lockdep|trying)|INFO: .* detected stall|=+\[ cut here|-+\[ cut here|unchecked MSR|kernel BUG at|traps: .* trap int3|Internal error|DEBUG_LOCKS_WARN_ON'
anywhere='KASAN: |possible circular locking|possible recursive locking|inconsistent lock state|suspicious RCU usage|soft lockup|hard LOCKUP|sleeping function called|invalid opcode: |scheduling while atomic|bad unlock balance|rust_panic|rust_kernel: panicked'

# The line after "cut here" says more than that one.
line=$(tr -d '\r' <"$1" | grep -aE "^$stamp($start)|$anywhere" | grep -avE 'cut here' | head -n 1 || true)
[ -n "$line" ] || line=$(tr -d '\r' <"$1" | grep -aE "^$stamp(-+\[ cut here)" | head -n 1 || true)
[ -n "$line" ] || exit 1
printf '%s\n' "$line" | sed -E "s/^$stamp *//"
