# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154 # The caller sets these.
# Makes a round that fails small: fewer threads, fewer kinds of operations, fewer
# operations. Threads meet in another order each time, so a smaller round counts
# as good only after several runs. To be sourced after guest.sh.

# fails ARGUMENTS...: whether the round fails in the same way, in some runs.
fails() {
	local try
	[ $SECONDS -lt "$shrink_end" ] || return 1
	for try in 1 2; do
		guest "$shrink_time" "$shrink_seed" --same --seconds "$shrink_time" "$@"
		[ "$verdict" = foreign ] || break
		echo "# $reason, try $try"
	done
	[ "$verdict" = bad ] && [ "$(signature "$reason")" = "$shrink_signature" ]
}

join() { local IFS=,; echo "$*"; }

# options: for the threads, skipped kinds, length and limit that are left.
options() {
	[ ${#threads[@]} = 0 ] || echo "--threads $(join "${threads[@]}")"
	[ ${#without[@]} = 0 ] || echo "--without $(join "${without[@]}")"
	[ "$percent" = 100 ] || echo "--percent $percent"
	[ "$limit" = 0 ] || echo "--limit $limit"
}

# try NAME VALUE...: sets the array to these, if the round still fails.
try() {
	local -n list=$1
	local before=("${list[@]}") words
	shift
	list=("$@")
	read -r -a words < <(options | tr '\n' ' ')
	fails "${words[@]}" || {
		list=("${before[@]}")
		return 1
	}
}

# drop_threads: each that is not needed.
drop_threads() {
	local thread other rest
	for thread in "${threads[@]}"; do
		rest=()
		for other in "${threads[@]}"; do
			[ "$other" = "$thread" ] || rest+=("$other")
		done
		[ ${#rest[@]} = 0 ] || try threads "${rest[@]}" || true
	done
}

# drop_kinds: each that is not needed, of $kinds; by halves, quarters and so on.
drop_kinds() {
	local step=$(((${#kinds[@]} + 1) / 2)) at part left
	while :; do
		at=0
		while [ $at -lt ${#kinds[@]} ]; do
			part=("${kinds[@]:at:step}")
			left=("${kinds[@]:0:at}" "${kinds[@]:at+step}")
			if [ ${#left[@]} -gt 0 ] && try without "${without[@]}" "${part[@]}"; then
				kinds=("${left[@]}")
			else
				at=$((at + step))
			fi
		done
		[ $step -gt 1 ] || break
		step=$(((step + 1) / 2))
	done
}

# shrink SEED REASON SECONDS: within that time, prints the smallest round that
# failed in this way.
shrink() {
	local shrink_seed=$1 shrink_time=60 shrink_end=$((SECONDS + $3))
	local shrink_signature start=$SECONDS small
	local threads=() without=() kinds=() percent=100 limit=0
	shrink_signature=$(signature "$2")
	if ! fails; then
		echo "# seed $1 did not fail again in $shrink_time s: not made small"
		return
	fi
	# Several times as long as it took.
	shrink_time=$((3 * (SECONDS - start)))
	[ $shrink_time -le 60 ] || shrink_time=60
	[ $shrink_time -ge 10 ] || shrink_time=10

	readarray -t threads < <(seq 0 $(($("$PROGRAM" plan "$1" | head -n 1) - 1)))
	readarray -t kinds < <(sed -n 's/^# kinds //p' "$out" | tr ' ' '\n' | sed 's/=.*//' | LC_ALL=C sort -u)
	drop_threads
	drop_kinds
	for small in 10 30; do
		try percent $small && break
	done
	for small in 20 100 400; do
		try limit $small && break
	done
	[ $SECONDS -lt "$shrink_end" ] || echo "# out of time: this may not be the smallest"
	echo "# smallest: kinds ${kinds[*]}; threads ${threads[*]}"
	echo "# again: make fuzz IMPL=$IMPL CONFIG=$CONFIG SEED=$1 FUZZ_OPTIONS='$(options | tr '\n' ' ' | sed 's/ $//')'"
}
