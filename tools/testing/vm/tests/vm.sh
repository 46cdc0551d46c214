#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: booting a guest itself, on the C kernel.
set -euo pipefail
. "$(dirname "$0")/tap.sh"

VM_CMD='sh -c "echo a  b; echo \"c   d\" >&2; exit 3"'
guest c vm
check 'the status of the command is passed on' is "$guest_status" 3
check 'so are its output and its quotes' is "$(cat "$scratch/out")" $'a b\nc   d'

head -c 100000 /dev/urandom >"$scratch/bytes"
VM_CMD='cat /bin/bytes'
guest c vm FILES="$scratch/bytes"
check 'output is passed on byte for byte' cmp "$scratch/bytes" "$scratch/out"

VM_CMD='nproc; grep -c . /sys/kernel/tracing/trace_clock'
guest c vm SMP=3
check 'a guest has the CPUs asked for, and tracefs' is "$(cat "$scratch/out")" $'3\n1'
VM_CMD='cat /sys/devices/system/clocksource/clocksource0/current_clocksource'
guest c vm ACCEL=tcg
check 'the clock of an emulated guest is a fine one' grep -q '^tsc' "$scratch/out"

VM_CMD='echo before; sleep 1; echo c >/proc/sysrq-trigger; sleep 60'
guest c vm TIMEOUT=60
check 'a panic ends the run with 125' is "$guest_status" 125
check 'and is named' grep -q 'the guest died: .*sysrq' "$scratch/err"
check 'what was printed before is not lost' is "$(cat "$scratch/out")" before

VM_CMD='sleep 1000'
guest c vm TIMEOUT=5
check 'a guest that hangs is ended, with 124' is "$guest_status" 124

VM_CMD=true
guest c vm FILES=/nonexistent/file
check 'a missing file is named' grep -q "no file '/nonexistent/file'" "$scratch/err"
guest c vm ACCEL=warp
check 'an unknown accelerator is refused' is "$guest_status" 1
guest c vm ARCH=mips
check 'so is an unknown machine, with those there are' grep -q 'ARCH=mips is unknown: there is arm64' "$scratch/err"
guest c vm COMPILER=tcc
check 'and an unknown compiler' grep -q 'COMPILER=tcc is unknown' "$scratch/err"
guest c vm ARCH=um ACCEL=icount
check 'a kernel that is a program has no emulation' grep -q 'is not emulated' "$scratch/err"

# shellcheck disable=SC2317 # Called by check.
# warns LINE: does a log with this line count as a warning?
warns() {
	printf '[    0.000000] Linux version\n%s\n[    9.000000] end\n' "$1" >"$scratch/log"
	"$VM/klog.sh" "$scratch/log" >/dev/null
}
# shellcheck disable=SC2317 # Called by check.
quiet() { ! warns "$1"; }
check 'WARN_ON is a warning' warns '[    1.234567] WARNING: kernel/trace/ring_buffer.c:1 at rb_f+0x1/0x2, CPU#1: sh/12'
check 'a BUG is one' warns '[    1.234567][  T12] BUG: kernel NULL pointer dereference, address: 0000000000000000'
check 'KASAN is one' warns '[    1.234567] BUG: KASAN: slab-use-after-free in f+0x1/0x2'
check 'bad memory of a slab is one' warns '[    1.234567] BUG kmalloc-64 (Not tainted): Poison overwritten'
check 'a leak is one' warns '[    1.234567] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)'
check 'a wrong kind of lock is one' warns '[    1.234567] [ BUG: Invalid wait context ]'
# race WHERE FRAME: a report of KCSAN.
race() {
	printf '[    1.234567] %s\n' "BUG: KCSAN: data-race in $1" '' \
		'read to 0xffff888003a0f0c8 of 8 bytes by task 61 on cpu 1:' " $2+0x1/0x2" \
		' do_syscall_64+0x1/0x2' '' 'Reported by Kernel Concurrency Sanitizer on:'
}
check 'a data race with the mapping is one' warns "$(race 'f / rb_get_reader_page' _RNvNtC15ring_buffer_map6reader3get)"
check 'so is one of unknown origin, where the mapping writes' warns "$(race rb_get_reader_page+0x1/0x2 f)"
check 'a data race elsewhere is none' quiet "$(race 'f / rb_get_reader_page' f)"
check 'nor is one of unknown origin' quiet "$(race f+0x1/0x2 f)"
check 'what follows it is not lost' warns "$(race 'f / g' f)
[    1.234567] BUG: KASAN: slab-use-after-free in f+0x1/0x2"
check 'an oops is one' warns '[    1.234567] Oops: int3: 0000 [#1] SMP'
check 'lockdep is one' warns '[    1.234567] WARNING: possible circular locking dependency detected'
check 'a soft lockup is one' warns '[   31.234567] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [sh:12]'
check 'an RCU stall is one' warns '[   31.234567] rcu: INFO: rcu_sched self-detected stall on CPU'
check 'a hung task is one' warns '[  131.234567] INFO: task sh:12 blocked for more than 120 seconds.'
check 'a boot message on mitigations is none' quiet '[    0.040000] Spectre V2 : WARNING: Unprivileged eBPF is enabled'
check 'nor is a word in a name' quiet '[    0.040000] Kernel command line: panic=-1 BUG=1'
finish
