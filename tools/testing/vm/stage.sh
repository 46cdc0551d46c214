# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Which of the kernel's files the overlay consists of, and those with its
# patches applied. To be sourced after lib.sh.

overlay_folders=(kernel rust include Documentation samples tools/testing/selftests)

# The files of our own, by their names in the kernel tree.
overlay_files() {
	local folder
	for folder in "${overlay_folders[@]}"; do
		[ -d "$TOP/$folder" ] || continue
		(cd "$TOP" && find "$folder" -name target -prune -o -type f \
			\( ! -name '.*' -o -name .gitignore \) ! -name '*.o' ! -name '*.orig' \
			! -name '*.rej' ! -name '*.swp' ! -name '*~' -print)
	done
	[ ! -f "$TOP/Kconfig" ] || echo kernel/trace/ring_buffer_map/Kconfig
}

# overlay_source FILE: where such a file is here.
overlay_source() {
	case $1 in
	kernel/trace/ring_buffer_map/Kconfig) echo "$TOP/Kconfig" ;;
	*) echo "$TOP/$1" ;;
	esac
}

patched_files() { sed -n 's,^--- a/\([^[:space:]]*\).*,\1,p' "$1"; }

# stage_patch FROM TO PATCH: applies PATCH to the files in TO, with those that
# TO has not yet taken from the tree FROM. If it does not apply, prints to what.
stage_patch() {
	local file output
	# Some have new files only.
	grep -q '^--- a/' "$3" || return 0
	while read -r file; do
		if [ -f "$2/$file" ] || [ ! -f "$1/$file" ]; then continue; fi
		mkdir -p "$2/$(dirname "$file")"
		cp -p "$1/$file" "$2/$file"
	done < <(patched_files "$3")
	output=$(patch -p1 --fuzz=0 -f --no-backup-if-mismatch -r - -d "$2" <"$3" 2>&1) || {
		awk '/^patching file / { file = $3 }
			/^\|--- a\// { file = substr($2, 3) }
			/FAILED|^No file to patch/ { print file; exit }' <<<"$output"
		return 1
	}
}

# The patches whose tests show what the fixes of the C implementation fix.
fixes_tests=("$TOP"/patches/*-selftests-ring-buffer-*.patch "$TOP"/patches/*-kunit.patch)

# series_patches NAME: the patches of a series for git am, in order: "fixes", of
# the C implementation, or "rust", which goes on top of it.
series_patches() {
	local patch own=("$TOP"/patches/*.patch)
	[ "$1" = rust ] ||
		own=("$TOP"/patches/common/*.patch "$TOP"/patches/fixes/*.patch "${fixes_tests[@]}")
	for patch in "${own[@]}"; do
		[ "$1" != rust ] || [[ " ${fixes_tests[*]} " != *" $patch "* ]] || continue
		[ ! -f "$patch" ] || echo "$patch"
	done
}

# fixed_defects FOLDER: the defects that its patches say they fix, in a line
# "Defect: D1" after the "---"; if a patch fixes a part, the case of the tests
# that shows it.
fixed_defects() {
	find "$1" -maxdepth 1 -name '*.patch' -exec sed -n '/^---$/,/^diff /s/^Defect: *//p' {} + |
		tr ' ' '\n' | sort -u -V
}

# claimed LIST CASE: whether the list has the defect of the case, or the case.
claimed() {
	local id=${2%%_*}
	[[ " $1 " == *" ${id^^} "* || " $1 " == *" $2 "* ]]
}

# stage_patches FROM TO [PATCH...]: all but the fixes of the C implementation,
# and then these patches, or a message on the first that fails.
stage_patches() {
	local patch file
	for patch in "$TOP"/patches/common/*.patch "$TOP"/patches/*.patch "${@:3}"; do
		[ -f "$patch" ] || continue
		file=$(stage_patch "$1" "$2" "$patch") ||
			die "$(basename "$patch") does not apply to $file in $1: that must be an unmodified Linux $KERNEL_VERSION.$KERNEL_PATCHLEVEL"
	done
}
