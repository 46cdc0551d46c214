# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# How a suite reports, and how it runs things in a guest. To be sourced.

. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../env.sh"

# The kernels that a suite is for, unless it compares them.
IMPLS=${IMPLS:-rust c c-fixed}

# What checks all of its accesses is larger, and this much slower.
CONFIG=${CONFIG:-default}
slower=1
if [ "$CONFIG" != default ]; then
	slower=5
	export MEM=${MEM:-2048}
fi

# So is a machine that an x86 host has to translate for.
case $VM_ARCH in
x86_64 | um) ;;
*) slower=$((slower * 2)) ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
results=0
failures=0

ok() {
	results=$((results + 1))
	echo "ok $results - $*"
}
not_ok() {
	results=$((results + 1))
	failures=$((failures + 1))
	echo "not ok $results - $*"
}
skip() {
	results=$((results + 1))
	echo "ok $results - $1 # SKIP ${2:-}"
}
# check NAME COMMAND...
check() {
	local name=$1
	shift
	if "$@"; then ok "$name"; else not_ok "$name"; fi
}
# is FOUND EXPECTED, for check.
is() {
	[ "$1" = "$2" ] || {
		printf '  # is %q, should be %q\n' "$1" "$2"
		return 1
	}
}
# The plan, at the end, and the suite's status.
finish() {
	echo "1..$results"
	[ $failures = 0 ]
	exit
}

# import_tap PREFIX FILE STATUS: takes over the results of a kselftest program,
# which ended with STATUS. Fewer results than planned are a failure.
import_tap() {
	local prefix=$1 status=$3 planned='' seen=0 bad=0 line name said=()
	while IFS= read -r line; do
		name=${line#not }
		name=${name#ok }
		name=${name#* }
		name=${name#- }
		case $line in
		"1.."[0-9]*)
			planned=${line#1..}
			planned=${planned%% *}
			# A plan of none is how a whole program is skipped.
			[ "$planned" != 0 ] || skip "$prefix" "${line#*# SKIP}"
			;;
		"ok "[0-9]*"# SKIP"*)
			seen=$((seen + 1))
			said=()
			skip "$prefix: ${name%%# SKIP*}" "${name#*# SKIP }"
			;;
		"ok "[0-9]*)
			seen=$((seen + 1))
			said=()
			ok "$prefix: $name"
			;;
		"not ok "[0-9]*)
			seen=$((seen + 1))
			bad=$((bad + 1))
			not_ok "$prefix: $name"
			# What it said meanwhile, as far as one wants to read it.
			[ ${#said[@]} = 0 ] || printf '  %s\n' "${said[@]:0:10}"
			said=()
			;;
		"#  RUN "*) said=() ;;
		"#"*) said+=("$line") ;;
		esac
	done <"$2"
	if [ -z "$planned" ]; then
		not_ok "$prefix: no results, status $status"
		tail -n 5 "$2" | sed 's/^/  # /'
	elif [ "$seen" != "$planned" ]; then
		not_ok "$prefix: stopped after $seen of $planned results, status $status"
	elif [ "$status" != 0 ] && [ "$status" != 4 ] && [ $bad = 0 ]; then
		not_ok "$prefix: status $status without a failed result"
	fi
}

# kernel IMPL: the image under test, that of TEST_KERNEL_RUST, TEST_KERNEL_C or
# TEST_KERNEL_C_FIXED, or else the one that test.sh has built.
kernel() {
	local image=${1^^}
	image=TEST_KERNEL_${image//-/_}
	image=${!image:-$(cat "$BUILD/test-kernel-$1" 2>/dev/null || true)}
	[ -f "$image" ] && echo "$image"
}

# guest IMPL NAME [VAR=value...]: boots that kernel with VM_CMD, which the
# caller sets. Output in $scratch/out, messages in $scratch/err, the kernel log
# in $guest_log, status in $guest_status.
guest() {
	local impl=$1 name=$2 image try i
	shift 2
	local settings=(TIMEOUT=240 "$@")
	for i in "${!settings[@]}"; do
		case ${settings[i]} in
		TIMEOUT=*) settings[i]=TIMEOUT=$((slower * ${settings[i]#*=})) ;;
		esac
	done
	guest_log=$LOGS/test-$impl-$name.log
	guest_status=1
	: >"$scratch/out"
	if ! image=$(kernel "$impl"); then
		echo "there is no $impl kernel" >"$scratch/err"
		: >"$guest_log"
		return
	fi
	for try in 1 2; do
		guest_status=0
		env IMPL="$impl" KERNEL_IMAGE="$image" VM_LOG="$guest_log" \
			"${settings[@]}" VM_CMD="$VM_CMD" "$VM/run.sh" \
			>"$scratch/out" 2>"$scratch/err" || guest_status=$?
		# A known fault of multi-threaded emulation, which patches code
		# under a running CPU. Once more, for this one only.
		if [ $try = 1 ] && [[ " $* " = *" ACCEL=mttcg "* ]] && [ $guest_status != 0 ] &&
			grep -q 'Oops: int3' "$guest_log"; then
			echo "  # $impl: $name: the emulator's int3 fault, once more"
			continue
		fi
		break
	done
	sed -n "s/^klog: /  # $impl: $name: /p" "$scratch/err"
}
why() { tail -n 1 "$scratch/err" | sed 's/^run: //'; }

# programs IMPL NAME "VAR=value..." PROGRAM...: runs kselftest programs in one
# guest, and takes over their results.
programs() {
	local impl=$1 name=$2 program status settings=() files=''
	[ -z "$3" ] || readarray -t settings < <(xargs -n 1 printf '%s\n' <<<"$3")
	shift 3
	VM_CMD='cd /tmp'
	for program; do
		[ -x "$ARCH_BUILD/tests/$program" ] || continue
		files="$files $ARCH_BUILD/tests/$program"
		VM_CMD="$VM_CMD
printf '\n@@ %s begin\n' $program; $program; printf '\n@@ %s end %s\n' $program \$?"
	done
	VM_CMD="$VM_CMD
true"
	guest "$impl" "$name" SMP=4 ACCEL=auto FILES="$files" "${settings[@]}"
	for program; do
		if [ ! -x "$ARCH_BUILD/tests/$program" ]; then
			not_ok "$impl: $program: does not build"
			continue
		fi
		awk -v p="$program" '
			$1 == "@@" && $2 == p { on = ($3 == "begin"); next }
			on' "$scratch/out" >"$scratch/part"
		status=$(sed -n "s/^@@ $program end \([0-9]*\)$/\1/p" "$scratch/out" | tail -n 1)
		import_tap "$impl: $program" "$scratch/part" "${status:-none}"
	done
	if [ "$guest_status" = 0 ]; then
		ok "$impl: $name: the kernel log is clean"
	else
		not_ok "$impl: $name: $(why)"
	fi
}

# directive FILE: what the header comment of a test asks of its guest, as words
# VAR=value for run.sh, for instance
#	 * vm: SMP=2 ACCEL=mttcg TIMEOUT=900 APPEND="reserve_mem=1M:4096:x"
# Without it: SMP=4 ACCEL=auto TIMEOUT=240. With CONFIG=name, it is a test for
# kernels of this configuration only. With SUITE=name, only this suite runs it.
#
# Memory at a fixed address is where the PC of QEMU has it.
directive() {
	local words=s/x/x/
	[ "$VM_ARCH" = x86_64 ] || words='s/ memmap=[^ ]*//; s/ trace_instance=boot_fixed[^ "]*//'
	sed -n 's/^ \* vm: *//p' "$1" | head -n 1 | sed "$words"
}
# applies FILE: whether it is a test for the kernels under test.
applies() {
	case " $(directive "$1") " in
	*" SUITE="*) return 1 ;;
	*" CONFIG=$CONFIG "*) ;;
	*" CONFIG="*) return 1 ;;
	esac
}
