# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034,SC2154 # Shared with the caller.
# Rounds in a guest, and what became of them. To be sourced after lib.sh.

FUZZ_DIR=$TOP/tools/testing/fuzz

# foreign_fault LOG: prints the name of the fault if the only complaint is one of
# two that have nothing to do with ring buffers:
# - Multi-threaded emulation patches code under a running CPU.
# - The scheduler warns in migrate_enable() of a task without a pending migration.
#   The C kernel does so too, in seconds and without a mapping: threads write to
#   trace_marker_raw, which disables migration, while their affinity changes and a
#   CPU goes off and on.
foreign_fault() {
	local warning name=__set_cpus_allowed_ptr_locked
	warning=$("$VM/klog.sh" "$1" 2>/dev/null) || return 1
	case $warning in
	# Ends the guest.
	'Oops: int3'*) echo "the emulator's int3 fault" ;;
	"WARNING: at $name+"*)
		sed -n "/WARNING: at $name+/,/end trace/p" "$1" | grep -qE '\] +_*migrate_enable\+' || return 1
		! "$VM/klog.sh" <(sed "/cut here/d; /WARNING: at $name+/,/end trace/d" "$1") >/dev/null 2>&1 ||
			return 1
		echo "the scheduler's warning in migrate_enable()"
		;;
	*) return 1 ;;
	esac
}

# warned_seed LOG WARNING: the round in which the kernel said so; the last one
# without a WARNING.
warned_seed() {
	tr -d '\r' <"$1" | awk -v warning="$2" '
		match($0, /fuzz: seed [0-9]+ begins/) { split(substr($0, RSTART), word, " "); seed = word[3] }
		warning != "" && index($0, warning) { exit }
		END { print seed }'
}

# guest SECONDS ARGUMENTS...: runs the guest's program with these arguments,
# which end it after that time. Sets
#	out		the file with its output
#	verdict		good, bad, or foreign (see above: it says nothing)
#	reason		in one line, if it is bad or foreign
#	bad_seed	the round, if it is bad
#	guest_log	the kernel's log
guest() {
	local status=0 warning said limit=$1
	shift
	out=$state/out
	guest_log=$LOGS/fuzz-$IMPL-$CONFIG.log
	verdict=good reason='' bad_seed=''
	IMPL=$IMPL CONFIG=$CONFIG KERNEL_IMAGE=$image ACCEL=$ACCEL SMP=$SMP MEM=$MEM ALLOW_WARN=0 \
		TIMEOUT=$((limit + patience + 120)) APPEND="page_owner=on ${APPEND:-}" \
		FILES="$PROGRAM ${FILES:-}" VM_LOG=$guest_log \
		VM_CMD="mount -t debugfs none /sys/kernel/debug 2>/dev/null; fuzz $* --patience $patience" \
		"$VM/run.sh" >"$out" 2>"$state/err" || status=$?
	[ $status != 0 ] || return 0
	case $status in 123 | 130) die "$(tail -n 1 "$state/err")" ;; esac
	if reason=$(foreign_fault "$guest_log"); then
		verdict=foreign bad_seed=$(warned_seed "$guest_log" '')
		return 0
	fi
	verdict=bad
	warning=$("$VM/klog.sh" "$guest_log" 2>/dev/null || true)
	said=$(sed -n 's/^not ok //p' "$out" | head -n 1)
	bad_seed=$(warned_seed "$guest_log" "$warning")
	reason=${warning:-${said:-$(tail -n 1 "$state/err" | sed 's/^run: //')}}
}

# signature REASON: without numbers, plans and addresses: what is the same
# failure if it comes again.
signature() {
	sed -E 's/^seed [0-9]+: //; s/ \((Copied|Mapped|Both)[^)]*\)$//; s/\+0x.*//; s/CPU.?[0-9]+//g; s/[0-9a-f]*[0-9][0-9a-f]*//g' <<<"$1"
}
