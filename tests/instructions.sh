#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   instructions.sh PROGRAM TEST | compare | record
#
# Counts the instructions that a call takes, and compares them with tests/instructions.txt, or
# writes that file again. A difference of more than MOST_PERCENT fails, in both directions: a gain
# must be recorded, so that it is not lost again. Exit code 77 (skipped): nothing can be compared
# here.
#
# Instructions of the C library (clock_gettime in admit_refused) count as well.
set -uo pipefail
export LC_ALL=C
PROGRAM=$1 TEST=$2
FIGURES=$(dirname "${BASH_SOURCE[0]}")/instructions.txt
MOST_PERCENT=3
FUNCTIONS=(k2k_message_admit k2k_quota_check k2k_message_record k2k_usage_track k2k_tenant_is_registered
	k2k_kernel_acquire k2k_kernel_release k2k_usage_reserve k2k_usage_commit k2k_kernel_find k2k_message_route)
unset LD_LIBRARY_PATH LD_PRELOAD
DIR=$(mktemp -d) || exit 1
NAME=instructions-$$ pid=
clean_up() {
	[[ -z $pid ]] || { kill -KILL "$pid"; wait "$pid"; } 2>/dev/null
	rm -rf "$DIR" "/dev/shm/k2k.$NAME."*
}
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

fail() { echo "# $TEST: $*" >&2; exit 1; }

# Prints the contents of the dumps, as lines "ROW CALLS INSTRUCTIONS"; from these, "ROW
# INSTRUCTIONS-OF-A-CALL".
dumps() { awk '/^desc: Trigger: Client Request: / { row = $(NF - 1) " " $NF } /^totals: / && row { print row, $2; row = "" }' "$@"; }
of_a_call() {
	awk '
		NF == 3 && !($1 in count) { count[$1] = $3; calls[$1] = $2 }
		NF == 3 && (count[$1] != $3 || $3 % $2) {
			printf "# %s: calls differ: %d of them took %d instructions, the first %d\n", $1, $2, $3, count[$1] >"/dev/stderr"
			differ = 1
		}
		END { for (row in count) { print row, count[row] / calls[row]; any = 1 } exit differ || !any }' | sort
	return "${PIPESTATUS[0]}"
}

# measure: counts into $DIR/counts
measure() {
	local function options=() status=0
	command -v valgrind >/dev/null || { echo "# skipped: no valgrind" >&2; exit 77; }
	for function in "${FUNCTIONS[@]}"; do
		options+=("--toggle-collect=$function")
	done
	# these are all options: neither ~/.valgrindrc nor the environment adds any
	valgrind --command-line-only=yes -q --vgdb=no --tool=callgrind --callgrind-out-file="$DIR/dump" \
		"${options[@]}" "$PROGRAM" "$NAME" >"$DIR/compiler" &
	pid=$!
	wait "$pid" || status=$?
	pid=
	((status != 77)) || exit 77
	((status == 0)) || fail "$PROGRAM ended with $status"
	dumps "$DIR"/dump.* | of_a_call >"$DIR/rows" || fail "no count of a call"
	cat "$DIR/compiler" "$DIR/rows" >"$DIR/counts"
}

# compare COUNTS FIGURES: prints a line for each row. Returns 0, 1 or 77.
compare() {
	local now recorded
	now=$(sed -n 's/^compiler //p' "$1")
	recorded=$(sed -n 's/^compiler //p' "$2")
	if [[ -z $recorded ]]; then
		echo "not ok nothing is recorded in $2: scripts/count-instructions --record"
		return 1
	fi
	if [[ $now != "$recorded" ]]; then
		echo "# skipped: recorded with $recorded, and this is $now: their instructions can't be compared" >&2
		return 77
	fi
	awk -v percent="$MOST_PERCENT" '
		/^(#|compiler |$)/ { next }
		FNR == NR { now[$1] = $2; next }
		{
			seen[$1] = 1
			if (!($1 in now)) { printf "not ok %s is recorded with %d instructions, and not counted\n", $1, $2; bad = 1; next }
			ok = now[$1] * 100 <= $2 * (100 + percent) && now[$1] * 100 >= $2 * (100 - percent)
			printf "%s %-14s %4d instructions a call, recorded %4d: %+.1f %%\n", ok ? "ok" : "not ok", $1, now[$1], $2,
				(now[$1] - $2) * 100 / $2
			if (!ok) bad = 1
		}
		END {
			for (row in now) if (!(row in seen)) { printf "not ok %s takes %d instructions, and none are recorded\n", row, now[row]; bad = 1 }
			if (bad) printf "# More than %d %% away from tests/instructions.txt. Where that is meant: scripts/count-instructions --record\n", percent
			exit bad
		}' "$1" "$2"
}

record() {
	{
		echo "# Instructions that a call on the message path takes, of a Release build. By scripts/count-instructions --record;"
		echo "# a change that moves one by more than $MOST_PERCENT % brings the new figure with it."
		cat "$1"
	} >"$2"
}

instructions_of_a_call_are_as_many_as_recorded() {
	measure
	compare "$DIR/counts" "$FIGURES"
}

# compares CODE WORDS RECORDED NOW: the last two are the lines of the files, separated by `;`
compares() {
	local status=0
	tr ';' '\n' <<<"$3" >"$DIR/figures"
	tr ';' '\n' <<<"$4" >"$DIR/counts"
	compare "$DIR/counts" "$DIR/figures" >"$DIR/out" 2>&1 || status=$?
	[[ $status == "$1" && $(<"$DIR/out") == *"$2"* ]] || fail "'$3' against '$4': $status, and no '$2' in: $(<"$DIR/out")"
}

instructions_differing_by_more_than_3_percent_are_noticed() {
	local gcc="compiler gcc 12 x86_64"
	compares 0 "+0.0 %"                                "$gcc;a 100;b 200" "$gcc;b 200;a 100"
	compares 0 "+3.0 %"                                "$gcc;a 100;b 200" "$gcc;a 103;b 200"
	compares 0 "-3.0 %"                                "$gcc;a 100;b 200" "$gcc;a 97;b 200"
	compares 1 " 104 instructions a call, recorded  100: +4.0 %" "$gcc;a 100;b 200" "$gcc;a 104;b 200"
	compares 1 "--record"                              "$gcc;a 100;b 200" "$gcc;a 100;b 207"
	compares 1 " 193 instructions a call, recorded  200: -3.5 %" "$gcc;a 100;b 200" "$gcc;a 100;b 193"
	compares 1 "a is recorded with 100"                "$gcc;a 100;b 200" "$gcc;b 200"
	compares 1 "c takes 7 instructions"                "$gcc;a 100;b 200" "$gcc;a 100;b 200;c 7"
	compares 1 "nothing is recorded"                   "a 100" "$gcc;a 100"
	compares 77 "recorded with gcc 12 x86_64, and this is gcc 13 x86_64" "$gcc;a 100" "compiler gcc 13 x86_64;a 200"
	compares 77 "this is clang 12 x86_64"              "$gcc;a 100" "compiler clang 12 x86_64;a 100"
	compares 77 "this is gcc 12 aarch64"               "$gcc;a 100" "compiler gcc 12 aarch64;a 100"
	record "$DIR/counts" "$DIR/recorded"
	compares 0 "+0.0 %" "$(<"$DIR/recorded")" "$(<"$DIR/counts")"
}

# divides CODE RESULT LINES
divides() {
	local status=0
	tr ';' '\n' <<<"$3" | of_a_call >"$DIR/out" 2>"$DIR/err" || status=$?
	[[ $status == "$1" && ($1 == 1 || $(<"$DIR/out") == "$2") ]] || fail "'$3': $status, '$(<"$DIR/out")'"
	[[ $1 == 0 || $(<"$DIR/err") == *"$2"* ]] || fail "'$3': no '$2' in: $(<"$DIR/err")"
}

instructions_of_calls_that_differ_are_no_figure() {
	divides 0 $'a 13\nb 2' "a 10 130;b 5 10;a 10 130;b 5 10"
	divides 1 "a: calls differ: 10 of them took 140 instructions, the first 130" "a 10 130;b 5 10;a 10 140"
	divides 1 "a: calls differ" "a 10 131;a 10 131"
	divides 1 "" ""
}

case $TEST in
compare) measure; compare "$DIR/counts" "$FIGURES" ;;
record)  measure; record "$DIR/counts" "$FIGURES" && cat "$FIGURES" ;;
*)       "$TEST" ;;
esac
