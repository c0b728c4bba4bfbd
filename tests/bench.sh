#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   bench.sh BENCH [TEST...]
#
# Tests of k2k-bench: its rows, its JSON, its options, and what is left when it is interrupted. It judges no figure.
set -u
export LC_ALL=C
BENCH=$1
shift
DIR=$(mktemp -d) || exit 1
pid=
clean_up() {
	[[ -z $pid ]] || kill -TERM "$pid" 2>/dev/null
	rm -rf "$DIR"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

fail() {
	echo "# ${FUNCNAME[1]}: line ${BASH_LINENO[0]}: $*" >&2
	exit 1
}
left_of() { find /dev/shm -maxdepth 1 -name "k2k.bench-$1-*"; }
children_of() { grep -lxE "PPid:[[:space:]]*$1" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3; }
jq_true() { jq -e "$1" "$DIR/out" >/dev/null || fail "not so: $1: $(head -c 3000 "$DIR/out")"; }

# refuses WORDS ARGUMENT...: wrong usage, told with these words
refuses() {
	local words=$1 status=0
	shift
	"$BENCH" "$@" >"$DIR/out" 2>"$DIR/err" || status=$?
	[[ $status == 2 ]] || fail "$*: exit code $status, not 2: $(<"$DIR/err")"
	[[ $(<"$DIR/err") == "k2k-bench: "*"$words"*"see 'k2k-bench --help'" ]] || fail "$*: no '$words' in: $(<"$DIR/err")"
	[[ ! -s $DIR/out ]] || fail "$*: something on standard output"
}

OPS="check record admit track admit_64 admit_verdict get"
rows() {
	local op where
	for op in check record admit track; do
		echo "${op}_two_on_one ${op}_two_apart"
	done
	for where in hot random_1k random_10k; do
		for op in $OPS; do
			echo "${op}_$where"
		done
	done
	echo reject_repeat reject_distinct reject_repeat_sink reject_distinct_sink audit_events audit_read tail_idle
	echo track_new kernel_1 kernel_8 kernel_8_holding memory_1 memory_8_holding reserve_1 reserve_8_holding register register_in_batch update deregister register_10k \
		engagement_10k load_admit_p50 load_admit_p99 load_admit_p999 reuse_p50 reuse_p99 reuse_p999 load_messages \
		attach_1 attach_2 attach_4 attach_8 attach_16 attach_32 attach_64 attach_64_all memory_tenant \
		memory_engagement memory_name list_json_10k list_csv_10k list_table_10k
	for where in hot_1k random_1k hot_10k random_10k; do
		echo "name_$where route_$where hash_table_name_$where hash_table_route_$where"
		! has_redis || echo "redis_name_$where redis_route_$where"
	done
}
has_redis() { command -v redis-server redis-check-rdb >/dev/null; }

bench_measures_every_row_and_says_so_in_json() {
	local missing
	"$BENCH" --quick --json >"$DIR/out" 2>"$DIR/err" & pid=$!
	wait "$pid" || fail "exit code $?: $(<"$DIR/err")"
	[[ ! -s $DIR/err ]] || fail "on standard error: $(<"$DIR/err")"
	[[ -z $(left_of "$pid") ]] || fail "left: $(left_of "$pid")"
	[[ $(jq -s length "$DIR/out") == 1 ]] || fail "not one object: $(<"$DIR/out")"

	missing=$(comm -3 <(rows | tr ' ' '\n' | sort) <(jq -r '.results[].name' "$DIR/out" | sort))
	[[ -z $missing ]] || fail "missing rows, and to the right rows too many: $missing"
	jq_true '.schema == "k2k-bench/1" and .rounds == 3 and .quick'
	jq_true '.machine | (.cpu | length > 0) and (.kernel | length > 0) and .processors > 0 and .load >= 0'
	jq_true '.floors | keys == ["coarse_clock_ns", "fetch_add_ns", "fetch_add_two_ns", "lfht_random_10k_ns",
		"read_section_ns", "timer_ns"]'
	jq_true '.floors == (.floor_rows | map_values(.ns))'
	jq_true '.results + [.floor_rows[]] | all((.name == "tail_idle" or (.value > 0 and .min > 0)) and .samples >= 1)'
	jq_true '.results + [.floor_rows[]] | all(.min <= .low and .low <= .value and .value <= .high and .high <= .max)'
	jq_true '.results | all(if .unit == "ns" then .ns == .value else .ns == null end)'
	jq_true '.results | all((.against == null) == (.ratio == null) and (.ratio == null or .ratio > 0))'
	# `met` follows from the figures, and only where there is a target
	jq_true '.results | all((.target == null) == (.met == null) and (.target == null) == (.goal == null))'
	jq_true '[.results[] | select(.goal == "ratio at most")] | length == 11 and all(.met == (.ratio <= .target))'
	jq_true '[.results[] | select(.goal == "ratio at least")] | length == 2 and all(.met == (.ratio >= .target))'
	jq_true '[.results[] | select(.goal == "value at most")] | length == 6 and all(.met == (.value <= .target))'
	# a ratio is that of the figures beside it; two_apart brings its own
	jq_true '.floors.fetch_add_ns as $one | [.results[] | select(.against == "fetch_add")] | length > 20 and
		all((.ratio - .ns / $one | fabs) <= 0.01 * .ratio + 0.01)'
	jq_true '.floors.fetch_add_two_ns as $two | [.results[] | select(.against == "fetch_add_two")] | length == 4 and
		all((.ratio - $two / .ns | fabs) <= 0.01 * .ratio + 0.01)'
	jq_true '.results | map(select(.name == "memory_tenant"))[0] | .unit == "bytes" and .target == 320'
}

bench_says_the_same_in_a_table() {
	"$BENCH" --quick --only memory_ --rounds 1 >"$DIR/out" 2>"$DIR/err" || fail "exit code $?: $(<"$DIR/err")"
	grep -qE '^memory_engagement +[0-9.]+ B .*<= 72.0 B +(NOT MET|met) ' "$DIR/out" || fail "$(<"$DIR/out")"
	grep -qE '^fetch_add +[0-9.]+ ns ' "$DIR/out" || fail "no floor: $(<"$DIR/out")"
	grep -qE '^[0-9]+ of 3 targets met$' "$DIR/out" || fail "no sum: $(<"$DIR/out")"
	! grep -qE '^admit_hot ' "$DIR/out" || fail "--only leaves rows: $(<"$DIR/out")"
}

bench_tells_wrong_usage_before_it_measures() {
	refuses "takes no arguments" fast
	refuses "unknown or ambiguous option" --fast
	refuses "unknown or ambiguous option" -x
	refuses "argument is missing" --only
	refuses "argument is missing" --rounds
	local rounds
	for rounds in 0 1001 -1 7x '' ' 7' 99999999999999999999; do
		refuses "--rounds '$rounds': a number from 1 to 1000" --rounds "$rounds"
	done
	refuses "no row's name contains it;" --only nothing_of_this_name
	refuses "no row's name contains it without --big" --only random_1m
	PATH=/nowhere refuses "no row's name contains it without redis-server or redis-check-rdb in PATH" --only redis_
	"$BENCH" --help >"$DIR/out" 2>&1 || fail "--help: $?"
	local option
	for option in --quick --big --only --rounds --json 'Exit codes'; do
		grep -q -e "$option" "$DIR/out" || fail "--help lacks $option"
	done
}

bench_fails_where_its_output_goes_nowhere() {
	local status=0
	"$BENCH" --quick --only memory_tenant --rounds 1 >/dev/full 2>"$DIR/err" || status=$?
	[[ $status == 1 && $(<"$DIR/err") == *"No space left"* ]] || fail "exit code $status: $(<"$DIR/err")"
}

# interrupted SIGNAL CODE: in the middle of a measurement by many processes
interrupted() {
	local signal=$1 code=$2 status=0 end=$((SECONDS + 60)) workers worker measuring
	"$BENCH" --only load --rounds 1000 --json >"$DIR/out" 2>"$DIR/err" & pid=$!
	until [[ -n $(left_of "$pid" | grep 'load\.defs$') ]]; do
		kill -0 "$pid" || fail "it ended by itself: $(<"$DIR/err")"
		((SECONDS < end)) || fail "no registry came"
		sleep 0.02
	done
	# the workers are there as well
	measuring=$(children_of "$pid")
	workers=$(children_of "$measuring")
	(($(wc -w <<<"$workers") >= 8)) || fail "at work are only: $workers"
	kill -"$signal" "$pid"
	wait "$pid" || status=$?
	[[ $status == "$code" ]] || fail "SIG$signal: exit code $status, not $code: $(<"$DIR/err")"
	[[ -z $(left_of "$pid") ]] || fail "SIG$signal leaves $(left_of "$pid")"
	for worker in $measuring $workers; do
		! kill -0 "$worker" 2>/dev/null || fail "SIG$signal leaves process $worker"
	done
	[[ ! -s $DIR/out ]] || fail "SIG$signal: half an output"
	pid=
}

bench_removes_its_registries_when_interrupted() {
	interrupted INT 130
	interrupted TERM 143
	interrupted HUP 129
}

if (($#)); then
	"$1"
	exit
fi
for test in $(declare -F | sed -n 's/^declare -f \(bench_\)/\1/p'); do
	("$test") || exit 1
	echo "ok $test"
done
