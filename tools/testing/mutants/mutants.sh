#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The strength of the tests, measured: changes the code in many small ways, one
# at a time, and sees whether a test fails.
#
#   mutants.sh [host|kernel]   that part only
#   MUTANTS=n|all   how many changes of the kernel's files that build (80)
#   SEED=n          which (1)
#
# host: cargo-mutants on the pure modules of the mapping and on ringmap's core.
# kernel: changes of the other files, by the generator here, and those of
# extra.tsv; and each patch of patches/common taken back. Each is built, and the
# suites run on it until a test fails.
#
# Results are in build/mutants/results.tsv and build/mutants/host. A run goes on
# where the last one stopped: results stay until the code changes. Where the
# tests changed, what no test noticed is tried again.
#
# A change that no test notices must have a line in accepted.tsv, with a reason:
# file, shell pattern of "function: text", reason, separated by tabs.
set -euo pipefail
. "$(dirname "$0")/../vm/tests/tap.sh"
. "$(dirname "$0")/../vm/env.sh"
. "$(dirname "$0")/../vm/stage.sh"

HERE=$TOP/tools/testing/mutants
RINGMAP=tools/tracing/ringmap
CARGO_MUTANTS_VERSION=27.1.0
MUTANTS=${MUTANTS:-80}
SEED=${SEED:-1}
[[ $MUTANTS =~ ^([1-9][0-9]*|all)$ ]] || die "MUTANTS=$MUTANTS is neither a number nor all"
[[ $SEED =~ ^[0-9]+$ ]] || die "SEED=$SEED is no number"

work=$BUILD/mutants
out=$work/kernel-rust-default
image=$out/$IMAGE
results_file=$work/results.tsv
folder=kernel/trace/ring_buffer_map
pure=(layout.rs events.rs ids.rs)
# The parts of ringmap that have unit tests and need no kernel.
core=(account.rs cpulist.rs cursor.rs decode.rs event.rs format.rs loss.rs merge.rs reader.rs)

running=
trap '[ -z "$running" ] || kill "$running" 2>/dev/null || true; rm -rf "$scratch"' EXIT

mkdir -p "$work"
exec 8>"$work/.lock"
flock -n 8 || die "another one runs in $work"

# accepted FILE TEXT: prints why no test has to notice the change.
accepted() {
	local file pattern reason
	while IFS=$'\t' read -r file pattern reason; do
		# shellcheck disable=SC2053 # It is a pattern.
		if [[ $file != \#* && $1 = $file && $2 = $pattern ]]; then
			echo "$reason"
			return
		fi
	done <"$HERE/accepted.tsv"
	return 1
}

unexplained=0
# survivor FILE LINE TEXT
survivor() {
	local reason
	if reason=$(accepted "$1" "$3"); then
		echo "  $1:$2: $3 [$reason]"
	else
		unexplained=$((unexplained + 1))
		echo "  $1:$2: $3 [UNEXPLAINED]"
	fi
}

# score: a table of "file outcome" on standard input.
score() {
	sort | awk '
		!($1 in files) { files[$1]; order[++nr] = $1 }
		{ n[$1, $2]++; n["all", $2]++ }
		function row(file,    tried) {
			tried = n[file, "killed"] + n[file, "survived"]
			printf "%-24s %7d %9d %12d %9d %8s\n", file, n[file, "killed"],
				n[file, "survived"], n[file, "unbuildable"], n[file, "excluded"],
				tried ? sprintf("%.1f %%", 100 * n[file, "killed"] / tried) : "-"
		}
		END {
			printf "%-24s %7s %9s %12s %9s %8s\n", "file", "noticed", "unnoticed",
				"unbuildable", "excluded", "score"
			for (i = 1; i <= nr; i++)
				row(order[i])
			row("all")
		}'
}

# ---- Host

cargo_mutants() {
	local tool=$BUILD/tools/bin/cargo-mutants log=$LOGS/cargo-mutants.log
	if [ "$("$tool" mutants --version 2>/dev/null)" != "cargo-mutants $CARGO_MUTANTS_VERSION" ]; then
		say "building cargo-mutants $CARGO_MUTANTS_VERSION (two minutes)"
		CARGO_TARGET_DIR=$work/target "$CARGO" install cargo-mutants --version "$CARGO_MUTANTS_VERSION" \
			--locked --force --root "$BUILD/tools" >"$log" 2>&1 </dev/null || {
			grep -E '^(error|  )' "$log" | head -n 5 >&2 || true
			die "could not build cargo-mutants (log: $log): check the network, then run this again"
		}
		rm -rf "$work/target"
	fi
	"$tool" mutants "$@"
}

# mutate NAME FOLDER ARGUMENTS: cargo-mutants on the crate, unless it has not
# changed since the last time.
mutate() {
	local name=$1 crate=$2 key status=0
	shift 2
	key=$(cd "$crate" && find . -name target -prune -o -type f -print0 | LC_ALL=C sort -z |
		xargs -0 sha256sum | sha256sum)
	if [ "$(cat "$work/host/$name.id" 2>/dev/null)" != "$key" ]; then
		say "changing $name (output: $work/host/$name)"
		rm -rf "$work/host/$name" "$work/host/$name.id"
		# A change that makes a loop endless may take all memory, too.
		(
			ulimit -v 4000000
			export CARGO_PROFILE_TEST_DEBUG=0 CARGO_PROFILE_TEST_OPT_LEVEL=1
			cargo_mutants -d "$crate" -o "$work/host/$name" --colors never \
				--timeout 30 "$@"
		) >"$LOGS/mutants-$name.log" 2>&1 </dev/null || status=$?
		case $status in
		0 | 2 | 3) ;; # All noticed, some not, some never ended.
		*)
			tail -n 20 "$LOGS/mutants-$name.log" >&2
			die "cargo-mutants failed on $name (log: $LOGS/mutants-$name.log)"
			;;
		esac
		echo "$key" >"$work/host/$name.id"
	fi
}

# report NAME: its survivors and its score.
report() {
	local lists=$work/host/$1/mutants.out file line column text
	echo "$1:"
	while IFS=: read -r file line column text; do
		survivor "$1/$(basename "$file")" "$line:$column" "${text# }"
	done <"$lists/missed.txt"
	{
		sed 's/:.*/ killed/' "$lists/caught.txt" "$lists/timeout.txt"
		sed 's/:.*/ survived/' "$lists/missed.txt"
		sed 's/:.*/ unbuildable/' "$lists/unviable.txt"
	} | sed 's,^src/,,' | score
}

host() {
	local project=tools/testing/ring-buffer-map crate=$work/ring-buffer-map files=() file
	mkdir -p "$work/host"
	# cargo-mutants leaves alone what is outside of the crate, or only in tests.
	rm -rf "$crate"
	mkdir -p "$crate"
	cp -r "$TOP/$project/Cargo.toml" "$TOP/$project/Cargo.lock" "$TOP/$project/src" "$crate/"
	for file in "${pure[@]}"; do
		cp "$TOP/$folder/$file" "$crate/src/"
		files+=(--file "src/$file")
	done
	sed -E '/^#!\[cfg\(test\)\]$/d; /^#\[path = /d' "$TOP/$project/src/lib.rs" >"$crate/src/lib.rs"
	# The random tests are to find what nobody thought of, once. A tenth of the
	# cases does for changes, or these take an hour.
	sed -i 's/with_cases(2_000)/with_cases(200)/' "$crate/src/random.rs"
	CARGO_TARGET_DIR=$work/ring-buffer-map.target mutate ring-buffer-map "$crate" --in-place "${files[@]}" \
		--exclude-re tests:: -- --lib
	report ring-buffer-map

	files=()
	for file in "${core[@]}"; do files+=(--file "src/$file"); done
	mutate ringmap "$TOP/$RINGMAP" "${files[@]}" -- --lib
	report ringmap
}

# ---- Kernel

# A build of its own, which starts from the unchanged kernel's.
seed() {
	local from=$BUILD/kernel-rust-default file
	say "copying the kernel's build"
	rm -rf "$work/linux" "$out" "$work/id"
	ln -sfn ../tools "$work/tools"
	cp -al "$BUILD/linux" "$work/linux"
	cp -a --reflink=auto "$from" "$out"
	# As in kernel.sh: the records of what was made name the folder.
	find "$out" -type f \( -name '.*.cmd' -o -name '*.d' -o -name auto.conf.cmd -o -name Makefile \) -print0 |
		xargs -0 grep -lZF "$BUILD/" | while IFS= read -r -d '' file; do
		sed "s|$BUILD/|$work/|g" "$file" >"$file.tmp"
		touch -r "$file" "$file.tmp"
		mv "$file.tmp" "$file"
	done
	ln -sfn "$work/linux" "$out/source"
	cp "$from/.built" "$work/id"
}

build() {
	LINUX=$work/linux BINDGEN=$work/tools/bin/bindgen kmake O="$out" "${IMAGE##*/}" \
		>"$LOGS/mutants-build.log" 2>&1 </dev/null
}

# put FILE: standard input becomes that file of the tree. Unchanged files are
# links to build/linux.
changed=()
put() {
	cat >"$work/linux/$1.new"
	mv "$work/linux/$1.new" "$work/linux/$1"
}
# Newer than what was made from the change, so that make sees it.
restore() {
	local file
	for file in "${changed[@]}"; do put "$file" <"$BUILD/linux/$file"; done
	changed=()
}

# take_back PATCH: of patches/common. Later patches change the same places, so
# merge the change from the files with the patch to those without. Where the two
# touch the same lines, those without the patch win.
take_back() {
	local file patch before=$work/back/before after=$work/back/after
	rm -rf "$work/back"
	mkdir -p "$before"
	for patch in "$TOP"/patches/common/*.patch; do
		[ "$patch" != "$1" ] || break
		stage_patch "$BUILD/pristine" "$before" "$patch" >&2 || return
	done
	cp -r "$before" "$after"
	stage_patch "$BUILD/pristine" "$after" "$1" >&2 || return
	while read -r file; do
		[ -f "$before/$file" ] || {
			mkdir -p "$before/$(dirname "$file")"
			cp "$BUILD/pristine/$file" "$before/$file"
		}
		changed+=("$file")
		git merge-file -p --theirs "$BUILD/linux/$file" "$after/$file" "$before/$file" | put "$file" || return
	done < <(patched_files "$1" | grep -vE '^(tools|Documentation)/')
}

# try GROUP SECONDS SETTINGS PROGRAM...: runs the programs in a guest that is
# ended as soon as something fails; what failed is in $by, and each program's
# seconds in $scratch/seconds.
try() {
	local name=$1 limit=$2 wants=$3 program settings=() bring='' status=0 log=$LOGS/mutants-$1.log
	shift 3
	# Without other words, the guest has room for KUnit's.
	if [ -z "$wants" ]; then
		settings=(APPEND='kunit.enable=1 kunit.autorun=1 kunit.filter_glob=ring_buffer*')
	else
		readarray -t settings < <(xargs -n 1 printf '%s\n' <<<"$wants")
	fi
	VM_CMD='cd /tmp'
	for program; do
		bring="$bring $BUILD/tests/$program"
		VM_CMD="$VM_CMD
printf '\n@@ %s ' $program; cut -d . -f 1 /proc/uptime; $program || [ \$? = 4 ] || exit"
	done
	VM_CMD="$VM_CMD
printf '\n@@ end '; cut -d . -f 1 /proc/uptime"
	: >"$scratch/out"
	: >"$log"
	env SMP=4 ACCEL=auto FILES="$bring" "${settings[@]}" TIMEOUT="$limit" IMPL=rust CONFIG=default \
		KERNEL_IMAGE="$image" VM_LOG="$log" VM_CMD="$VM_CMD" "$VM/run.sh" \
		>"$scratch/out" 2>"$scratch/err" &
	running=$!
	while kill -0 "$running" 2>/dev/null; do
		sleep 0.5
		! failed "$log" || kill "$running" 2>/dev/null || true
	done
	wait "$running" || status=$?
	running=
	if failed "$log"; then return; fi
	[ $status = 0 ] || by="$(program): $(why)"
	awk '$1 == "@@" { if (last != "") print last, $3 - since; last = $2; since = $3 }' \
		"$scratch/out" >"$scratch/seconds"
}
program() { awk '$1 == "@@" { last = $2 } END { print last ? last : "boot" }' "$scratch/out"; }
# failed LOG: whether something has by now; it is in $by.
failed() {
	by=$(sed -nE '/^not ok [0-9]+/ { s/^not ok [0-9]+ (- )?//p; q }' "$scratch/out")
	[ -z "$by" ] || by="$(program): $by"
	[ -n "$by" ] || by=$(tr -d '\r' <"$1" | sed -nE 's/^(\[[^]]*\])* +not ok [0-9]+ /KUnit: /p' | head -n 1)
	[ -n "$by" ] || by=$("$VM/klog.sh" "$1" 2>/dev/null || true)
	[ -n "$by" ]
}

# The programs by guest, those that take the least time first: a line each of
# seconds, settings (a dash in front) and programs, separated by tabs.
# The seconds are the host's: a guest's own may stand still.
baseline() {
	local source wants name start number=0
	declare -A groups
	for source in "$BUILD/pristine/tools/testing/selftests/ring-buffer/map_test.c" \
		"$TOP"/tools/testing/selftests/ring-buffer/*_test.c; do
		applies "$source" || continue
		name=$(basename "$source" .c)
		[ -x "$BUILD/tests/$name" ] || die "$name does not build"
		groups["-$(directive "$source")"]+=" $name"
	done
	# The KUnit cases of kernel_defects.sh, which need no program.
	groups['-SMP=2 ACCEL=mttcg APPEND="kunit.enable=1 kunit.autorun=1 kunit.filter_glob=trace_*map*"']=
	build || die "the unchanged kernel does not build (log: $LOGS/mutants-build.log)"
	rm -f "$work/groups.new"
	for wants in "${!groups[@]}"; do
		number=$((number + 1))
		read -r -a list <<<"${groups[$wants]}"
		say "unchanged: ${list[*]:-KUnit}"
		start=$(date +%s)
		try "baseline-$number" 900 "${wants#-}" "${list[@]}"
		[ -z "$by" ] || die "the unchanged kernel fails: $by"
		printf '%s\t%s\t%s\n' $(($(date +%s) - start)) "$wants" \
			"$(sort -n -k 2 "$scratch/seconds" | awk '{ printf "%s ", $1 }')" >>"$work/groups.new"
	done
	sort -n "$work/groups.new" | awk -F '\t' '$2 == "-" { print; next } { rest = rest $0 "\n" } END { printf "%s", rest }' \
		>"$work/groups"
}

# suites: the groups until something fails.
suites() {
	local seconds wants names list number=0
	while IFS=$'\t' read -r -u 7 seconds wants names; do
		number=$((number + 1))
		read -r -a list <<<"$names"
		try "$number" $((60 + 2 * seconds)) "${wants#-}" "${list[@]}"
		# A busy machine may be too slow for a test, and multi-threaded
		# emulation has a known fault: see guest() in tap.sh. Nothing of
		# the kind happens twice.
		if [ -n "$by" ] && { [ $number -gt 1 ] || [[ $by = *"did not end in"* ]]; }; then
			try "$number" $((60 + 4 * seconds)) "${wants#-}" "${list[@]}"
		fi
		[ -z "$by" ] || return 0
	done 7<"$work/groups"
}

built=0
# one ID FILE LINE FUNCTION KIND TEXT APPLY...: tries a change that APPLY makes, and
# keeps the result.
one() {
	local id=$1 fields start outcome
	fields=$(printf '%s\t' "${@:1:6}")
	shift 6
	outcome=$(awk -F '\t' -v id="$id" '$1 == id { print $7 }' "$results_file")
	if [ -z "$outcome" ]; then
		start=$(date +%s)
		by=
		if "$@" && build; then
			suites
			outcome=survived
			[ -z "$by" ] || outcome=killed
		else
			outcome=unbuildable
		fi
		restore
		printf '%s%s\t%s\t%s\n' "$fields" "$outcome" "${by//$'\t'/ }" $(($(date +%s) - start)) >>"$results_file"
		say "$(cut -f 2-3,6 <<<"$fields" | tr '\t' ' '): $outcome${by:+ by $by}, $(($(date +%s) - start)) s"
	fi
	[ "$outcome" = unbuildable ] || built=$((built + 1))
}
generated() {
	local file
	file=$(cd "$BUILD/linux" && find "$folder" -name "$2")
	changed+=("$file")
	"$tool" apply "$1" "$BUILD/linux/$file" | put "$file"
}
replaced() {
	changed+=("$1")
	"$tool" replace "$2" "$3" "$BUILD/linux/$1" | put "$1"
}

kernel_part() {
	local key tests id file line function kind text by patch name files=()
	tool=$(RUSTFLAGS='' CARGO_TARGET_DIR=$BUILD/host/mutants "$CARGO" build -q --release --locked \
		--manifest-path "$HERE/Cargo.toml" >&2 && echo "$BUILD/host/mutants/release/mutants")
	IMPL=rust CONFIG=default "$VM/kernel.sh" >/dev/null
	"$VM/programs.sh" tests

	# What is not built any more, or was stopped in the middle of a change.
	if ! cmp -s "$work/id" "$BUILD/kernel-rust-default/.built"; then
		seed
		[ ! -f "$results_file" ] || mv "$results_file" "$results_file.old"
		rm -f "$work/groups"
	fi
	for file in kernel include rust; do
		rsync -rlpc "$BUILD/linux/$file/" "$work/linux/$file/"
	done
	touch "$results_file"
	tests=$(cd "$BUILD" && sha256sum tests/*_test | sha256sum)
	if [ "$tests" != "$(cat "$work/tests.id" 2>/dev/null)" ] || [ ! -s "$work/groups" ]; then
		awk -F '\t' '$7 != "survived"' "$results_file" >"$results_file.new"
		mv "$results_file.new" "$results_file"
		baseline
		echo "$tests" >"$work/tests.id"
	fi

	while IFS=$'\t' read -r -u 6 name file text by; do
		[[ $name != \#* ]] || continue
		one "$name" "$(basename "$file")" 0 "$name" extra "$text -> $by" replaced "$file" "$text" "$by"
	done 6<"$HERE/extra.tsv"
	for patch in "$TOP"/patches/common/*.patch; do
		[ -f "$patch" ] || continue
		name=$(basename "$patch" .patch)
		one "$name" patches/common 0 "$name" patch 'taken back' take_back "$patch"
	done

	while read -r file; do
		name=$(basename "$file")
		[[ " ${pure[*]} bindings.rs " = *" $name "* ]] || files+=("$TOP/$file")
	done < <(cd "$TOP" && find "$folder" -name '*.rs' | LC_ALL=C sort)
	built=0
	: >"$work/excluded"
	while IFS=$'\t' read -r -u 6 id file line function kind text; do
		if [ "$kind" = barrier ]; then
			echo "$file excluded" >>"$work/excluded"
			continue
		fi
		[ "$MUTANTS" = all ] || [ $built -lt "$MUTANTS" ] || continue
		one "$id" "$file" "$line" "$function" "$kind" "$text" generated "$id" "$file"
	done 6< <("$tool" list "$SEED" "${files[@]}")

	echo 'kernel:'
	while IFS=$'\t' read -r -u 6 id file line function kind text _; do
		survivor "$file" "$line" "$function: $text"
		# Those by hand must build, too.
	done 6< <(awk -F '\t' '$7 == "survived" || ($7 == "unbuildable" && $5 ~ /^(extra|patch)$/)' \
		"$results_file")
	{
		awk -F '\t' '{ print $2, $7 }' "$results_file"
		cat "$work/excluded"
	} | score
	awk -F '\t' '$7 != "unbuildable" { sum += $9; n++; if ($7 == "killed") { killed += $9; k++ } }
		END { if (n) printf "%d s per change that builds, %d s per noticed one\n", sum / n, k ? killed / k : 0 }' "$results_file"
	echo 'excluded: barriers, whose absence shows only where memory is weakly ordered'
}

case ${1:-all} in
host) host ;;
kernel) kernel_part ;;
all)
	host
	kernel_part
	;;
*) die "say host, kernel or nothing" ;;
esac
[ $unexplained = 0 ] || die "$unexplained changes that no test notices have no reason in accepted.tsv"
