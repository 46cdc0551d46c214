#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# fuzz.sh: random operations on one mapped buffer from several threads at once,
# round after round. Called again, it goes on with the next seed.
#
#   MINUTES=n          how long (30)
#   SEED=n             this round only, ROUNDS times, and nothing is noted
#   ROUNDS=n           (10)
#   FUZZ_OPTIONS=...   of the guest's program: --without A,B --threads 0,2 ...
#   SHRINK=n           minutes to make a failing round small (10); 0: leave it
#   IMPL=rust|c CONFIG=debug|kcsan|default (debug)
#   ACCEL=mttcg SMP=2  see run.sh; one thread for all CPUs is ACCEL=tcg SMP=4
#
# Prints a line for each guest, and a summary. Fails if a round has failed.
set -euo pipefail
. "$(dirname "$0")/../vm/lib.sh"
. "$(dirname "$0")/guest.sh"
. "$(dirname "$0")/shrink.sh"

IMPL=${IMPL:-rust}
CONFIG=${CONFIG:-debug}
ACCEL=${ACCEL:-mttcg}
SMP=${SMP:-2}
MINUTES=${MINUTES:-30}
SHRINK=${SHRINK:-10}
ROUNDS=${ROUNDS:-10}
export IMPL CONFIG
for number in MINUTES ROUNDS ${SEED:+SEED}; do
	[[ ${!number} =~ ^[1-9][0-9]*$ ]] || die "$number=${!number} is no positive number"
done
[[ $SHRINK =~ ^[0-9]+$ ]] || die "SHRINK=$SHRINK is no number"
read -r -a extra <<<"${FUZZ_OPTIONS:-}"
patience=60
chunk=120
[ "$CONFIG" = default ] || { patience=240; MEM=${MEM:-2048}; }
MEM=${MEM:-1024}

state=$BUILD/fuzz
mkdir -p "$state"
exec 8>"$state/lock"
flock -n 8 || die "another one runs in $state"
PROGRAM=${PROGRAM:-$("$FUZZ_DIR/build.sh")}
image=${KERNEL_IMAGE:-$("$VM/kernel.sh" | tail -n 1)}
[ -f "$image" ] || die "there is no kernel '$image'"
key=$(sha256sum "$image" | cut -c 1-12)

# What was run on this kernel.
seed=1 seconds=0 rounds=0 failed=0
if [ -f "$state/$key" ]; then
	read -r seed seconds rounds failed _ <"$state/$key"
fi
save() {
	echo "$seed $seconds $rounds $failed $IMPL $CONFIG" >"$state/$key.tmp"
	mv "$state/$key.tmp" "$state/$key"
}

results=0 failures=0 foreign=0
declare -A found=()
: >"$state/kinds"

# report: what the last guest has done, as a line.
report() {
	local operations events
	rounds_now=$(grep -c '^ok seed' "$out" || true)
	operations=$(sed -n 's/^# \([0-9]*\) operations.*/\1/p' "$out" | awk '{ n += $1 } END { print n + 0 }')
	events=$(sed -n 's/^# .* operations; \([0-9]*\) events.*/\1/p' "$out" | awk '{ n += $1 } END { print n + 0 }')
	sed -n 's/^# kinds //p' "$out" | tr ' ' '\n' >>"$state/kinds"
	sed -n 's/^# [0-9]* operations; \([0-9]*\) events written, \([0-9]*\) read, \([0-9]*\) mapped, \([0-9]*\) unseen/@ \1 \2 \3 \4/p' \
		"$out" >>"$state/kinds"
	results=$((results + 1))
	case $verdict in
	good) echo "ok $results - $1: $rounds_now rounds, $operations operations, $events events" ;;
	foreign) echo "ok $results - $1: $rounds_now rounds, then $reason # SKIP" ;;
	bad)
		echo "not ok $results - seed $bad_seed: ${reason#seed "$bad_seed": }"
		sed -n 's/^not ok /# the program says: /p' "$out" | head -n 1
		"$PROGRAM" plan "$bad_seed" 2>/dev/null | sed -n '2s/^/# plan: /p'
		cp "$guest_log" "$LOGS/fuzz-$IMPL-$CONFIG-seed-$bad_seed.log"
		echo "# kernel log: $LOGS/fuzz-$IMPL-$CONFIG-seed-$bad_seed.log"
		;;
	esac
}

# failure: counts it, and makes the first of its sort small.
failure() {
	local sort
	failures=$((failures + 1))
	sort=$(signature "$reason")
	found[$sort]=$((${found[$sort]:-0} + 1))
	[ "${found[$sort]}" = 1 ] && [ "$SHRINK" != 0 ] && [ -n "$bad_seed" ] || return 0
	shrink "$bad_seed" "$reason" $((60 * SHRINK))
}

# summary: all of this run, and of all runs on this kernel.
summary() {
	local sort
	echo "1..$results"
	awk -v rounds="$run_rounds" '
		$1 == "@" { for (i = 2; i <= 5; i++) sum[i] += $i; next }
		split($0, word, /[=\/]/) == 3 { good[word[1]] += word[2]; bad[word[1]] += word[3] }
		END {
			printf "# %d rounds; markers: %d written, %d read, %d mapped, %d unseen\n",
				rounds, sum[2], sum[3], sum[4], sum[5]
			for (kind in good) {
				printf "# %-16s %8d done %8d refused\n", kind, good[kind], bad[kind] | "LC_ALL=C sort"
			}
		}' "$state/kinds"
	for sort in "${!found[@]}"; do echo "# failed ${found[$sort]} times: $sort"; done
	echo "# $failures failures, $foreign faults of the emulator or the scheduler"
	echo "# kernel $key ($IMPL, $CONFIG): $(awk "BEGIN { printf \"%.2f\", $seconds / 3600 }") hours, $rounds rounds, $failed failures so far"
}

run_rounds=0
if [ -n "${SEED:-}" ]; then
	for _ in 1 2 3; do
		guest $((ROUNDS * 60)) "$SEED" --same --rounds "$ROUNDS" --seconds $((ROUNDS * 60)) "${extra[@]}"
		report "seed $SEED"
		[ "$verdict" = foreign ] || break
		foreign=$((foreign + 1))
	done
	run_rounds=$rounds_now
	[ "$verdict" != bad ] || failure
	summary
	[ $failures = 0 ] && [ "$verdict" = good ]
	exit
fi

say "kernel $key ($IMPL, $CONFIG), from seed $seed on, for $MINUTES minutes"
end=$((SECONDS + 60 * MINUTES)) tries=0
while [ $SECONDS -lt $end ]; do
	length=$((end - SECONDS))
	[ $length -lt $chunk ] || length=$chunk
	start=$SECONDS first=$seed
	guest "$length" "$seed" --seconds "$length" "${extra[@]}"
	seconds=$((seconds + SECONDS - start))
	report "from seed $first on"
	rounds=$((rounds + rounds_now)) run_rounds=$((run_rounds + rounds_now))
	seed=$((seed + rounds_now))
	case $verdict in
	good) tries=0 ;;
	foreign)
		foreign=$((foreign + 1)) tries=$((tries + 1))
		[ "$rounds_now" = 0 ] || tries=1
		if [ $tries -ge 3 ]; then
			echo "# seed $seed: such a fault three times, passed over"
			seed=$((seed + 1)) tries=0
		fi
		;;
	bad)
		seed=$((${bad_seed:-$seed} + 1)) failed=$((failed + 1)) tries=0
		save
		# Making it small does not count.
		start=$SECONDS
		failure
		end=$((end + SECONDS - start))
		;;
	esac
	save
done
summary
[ $failures = 0 ]
