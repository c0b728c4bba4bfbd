# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash source=tests/quickstart_harness.bash disable=SC2154
# scripts/quickstart --trace with files that are wrong: it names line and column, and starts nothing
. "$(dirname "${BASH_SOURCE[0]}")/quickstart_harness.bash"

HEADER=gmt_create,groupId,checkpoint_model_version_id,exec_time_seconds

# refused "PLACE" "WHY" LINE...: a file of these lines
refused() {
	printf '%b\n' "${@:3}" >"$DIR/trace.csv"
	run 2 --trace "$DIR/trace.csv"
	has "$err" "trace.csv: $1: "
	has "$err" "$2"
	[[ $out != *"Create a registry"* ]] || fail "a registry was created: $out"
}
row_refused() { refused "$1" "$2" "$HEADER" "now,G0000,M0000,1" "$3"; }

quickstart_names_the_place_of_a_time_that_it_cannot_take() {
	local place="line 3, column 4 (exec_time_seconds)"
	row_refused "$place" "more than nine places" "now,G0000,M0000,0.0000000001"
	row_refused "$place" "more than nine places" "now,G0000,M0000,1.0000000000"
	row_refused "$place" "negative" "now,G0000,M0000,-1"
	row_refused "$place" "negative" "now,G0000,M0000,-0.5"
	row_refused "$place" "not a decimal" "now,G0000,M0000,1e3"
	row_refused "$place" "not a decimal" "now,G0000,M0000,nan"
	row_refused "$place" "not a decimal" "now,G0000,M0000,."
	row_refused "$place" "not a decimal" "now,G0000,M0000,\"1,5\""
	row_refused "$place" "not a decimal" "now,G0000,M0000,1.5s"
	row_refused "$place" "not a decimal" "now,G0000,M0000,\xd9\xa1"
}

quickstart_names_the_place_of_a_group_or_model_that_it_does_not_know() {
	local place="line 3, column 2 (groupId)"
	row_refused "$place" "is empty" "now,,M0000,1"
	row_refused "$place" "not G and a number" "now,X0000,M0000,1"
	row_refused "$place" "not G and a number" "now,g0000,M0000,1"
	row_refused "$place" "not G and a number" "now,G,M0000,1"
	row_refused "$place" "not G and a number" "now,G-1,M0000,1"
	row_refused "$place" "64 bits" "now,G18446744073709551615,M0000,1"
	row_refused "line 3, column 3 (checkpoint_model_version_id)" "not M and a number" "now,G0000,0000,1"
}

quickstart_names_what_is_missing_or_too_much() {
	row_refused "line 3, column 4 (exec_time_seconds)" "missing: the row has 3 fields" "now,G0000,M0000"
	row_refused "line 3, column 5" "too much: the row has 5 fields" "now,G0000,M0000,1,2"
	row_refused "line 3, column 1" "no CSV" "\"now\"x,G0000,M0000,1"
	row_refused "line 3, column 1" "no CSV" "\"now,G0000,M0000,1"
	refused "line 1, column 3 (groupId)" "no such column" "checkpoint_model_version_id,exec_time_seconds"
	refused "line 1, column 4 (exec_time_seconds)" "no such column" "gmt_create,groupId,checkpoint_model_version_id" "a,G0,M0"
	refused "line 1, column 4 (groupId)" "twice" "groupId,checkpoint_model_version_id,exec_time_seconds,groupId"
	refused "line 3, column 2 (groupId)" "no such column" "" "" "groupId;checkpoint_model_version_id;exec_time_seconds" "G0;M0;1"
	row_refused "line 3, column 2 (groupId)" "is empty" ",,,"
	: >"$DIR/trace.csv"
	run 2 --trace "$DIR/trace.csv"
	has "$err" "line 1, column 1 (groupId): the header has no such column"
}

quickstart_counts_the_lines_of_a_quoted_field() {
	refused "line 5, column 4 (exec_time_seconds)" "not a decimal" "$HEADER" '"a\nb\nc",G0000,M0000,1' "now,G0000,M0000,x"
}

quickstart_refuses_sums_that_64_bits_do_not_hold() {
	local place="line 3, column 4 (exec_time_seconds)"
	row_refused "$place" "64 bits" "now,G0000,M0000,18446744073.709551616"
	row_refused "$place" "64 bits" "now,G0000,M0000,99999999999999999999999999"
	row_refused "$place" "with this row" "now,G0001,M0001,18446744073.709551615"
}

run_tests "$@"
