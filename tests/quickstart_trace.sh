# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash source=tests/quickstart_harness.bash disable=SC2154
# scripts/quickstart --trace: what the registry has in the end is what a recount of the file finds
. "$(dirname "${BASH_SOURCE[0]}")/quickstart_harness.bash"

# The registry's totals as lines "tenant requests" and "tenant/engagement nanoseconds", those of 0 left out
registry_totals() {
	jq -r '.tenants[] | "\(.id) \(.usage.admitted_total)"' "$DIR/list"
	jq -r '.usage[] | select(.gpu_ns != "0") | "\(.tenant)/\(.engagement) \(.gpu_ns)"' "$DIR/usage"
}

# The same from lines "group model seconds" ("-" for an empty field), with arithmetic of its own: seconds and nanoseconds apart.
recount() {
	awk '{
		split($3, part, "."); tenant = substr($1, 2) + 1; pair = tenant "/" ($2 == "-" ? 0 : substr($2, 2) + 1)
		requests[tenant]++
		if ($3 != "-") { s[pair] += part[1]; ns[pair] += substr(part[2] "000000000", 1, 9) }
	} END {
		for (t in requests) print t, requests[t]
		for (p in s) {
			carry = int(ns[p] / 1000000000); rest = ns[p] - carry * 1000000000
			text = sprintf("%d%09d", s[p] + carry, rest); sub(/^0+/, "", text)
			if (text != "") print p, text
		}
	}'
}

totals_are_those_of() { is "$(registry_totals | sort)" "$(recount <"$1" | sort)"; }

quickstart_matches_a_recount_of_nine_places_doubled_rows_empty_fields_and_crlf() {
	wrap_tool cat
	cat >"$DIR/rows" <<-END
		G0000 M0000 32.0
		G0001 M0001 0.000000001
		G0001 M0001 0.000000001
		G0001 - 43.999999999
		G0001 - 0.000000001
		G0002 M0001 -
		G0002 - -
		G0003 M0007 1.5
		G0003 M0007 1.5
		G0003 M0007 1.5
		G0004 M0002 86399.123456789
		G0000 M0000 7
		G0012345 M123456 0.1
	END
	{
		printf 'gmt_create,predict_type,predict_status,exec_time_seconds,groupId,prompt_length,checkpoint_model_version_id\r\n'
		awk '{ for (i = 1; i <= 3; i++) if ($i == "-") $i = ""
			printf "2024-11-15 16:57:50,TXT_2_IMG,%s,%s,%s,,%s\r\n", NR % 2 ? "SUCCEED" : "FAILED", $3, $1, $2 }' "$DIR/rows"
	} >"$DIR/trace.csv"
	run 0 --trace "$DIR/trace.csv"
	totals_are_those_of "$DIR/rows"
	has "$(tail -n 1 <<<"$out")" "totals add up: 13 requests = 13 admitted; "
}

quickstart_reads_quoted_fields_columns_in_another_order_a_bom_and_blank_lines_at_the_end() {
	wrap_tool cat
	cat >"$DIR/rows" <<-END
		G0007 M0003 0.123456789
		G0007 M0003 2.000000001
		G0008 - 5
		G0009 M0000 -
	END
	{
		printf '\357\273\277"checkpoint_model_version_id",note,"exec_time_seconds","groupId"\n'
		printf '"M0003","a, b",0.123456789,"G0007"\n'
		printf 'M0003,"two\nlines and a ""quote""","2.000000001",G0007\n'
		printf ',\377\376,5,"G0008"\n'
		printf 'M0000,,"",G0009\n\n\r\n\n'
	} >"$DIR/trace.csv"
	cd "$DIR" || exit 1
	run 0 --trace trace.csv
	totals_are_those_of "$DIR/rows"
}

quickstart_reads_blanks_around_fields_blank_lines_before_the_header_and_old_line_ends() {
	wrap_tool cat
	cat >"$DIR/rows" <<-END
		G0001 M0002 0.5
		G0001 - 18.000000001
		G0002 M0002 -
	END
	printf '\n  \n groupId , checkpoint_model_version_id,\texec_time_seconds\n G0001, M0002, 000.50\n"G0001 ",\t,18.000000001 \nG0002,M0002 , ' \
		>"$DIR/trace.csv"
	run 0 --trace "$DIR/trace.csv"
	totals_are_those_of "$DIR/rows"
	tr '\n' '\r' <"$DIR/trace.csv" >"$DIR/old.csv"
	run 0 --trace "$DIR/old.csv"
	totals_are_those_of "$DIR/rows"
}

quickstart_spreads_a_tenant_over_all_brokers_and_matches_a_recount() {
	wrap_tool cat
	awk 'BEGIN { for (i = 0; i < 3000; i++)
		printf "G%04d %s %d.%09d\n", i * i % 37, i % 11 ? "M" i % 5 : "-", i % 60, i * 7919 % 1000000000 }' >"$DIR/rows"
	{
		echo "groupId,checkpoint_model_version_id,exec_time_seconds"
		sed 's/-//; s/ /,/g' "$DIR/rows"
	} >"$DIR/trace.csv"
	run 0 --trace "$DIR/trace.csv" --spread --brokers 4 --seed 3
	totals_are_those_of "$DIR/rows"
	run 0 --trace "$DIR/trace.csv" --brokers 1
	totals_are_those_of "$DIR/rows"
}

quickstart_fills_all_of_64_bits() {
	wrap_tool cat
	{
		echo "groupId,checkpoint_model_version_id,exec_time_seconds"
		echo "G18446744073709551614,M18446744073709551614,18446744073.709551614"
		echo "G18446744073709551614,M18446744073709551614,.000000001"
		echo "G0,,0."
	} >"$DIR/trace.csv"
	run 0 --trace "$DIR/trace.csv"
	is "$(registry_totals | sort | tr '\n' ' ')" \
		"1 1 18446744073709551615 2 18446744073709551615/18446744073709551615 18446744073709551615 "
}

quickstart_replays_a_file_without_rows() {
	echo "groupId,checkpoint_model_version_id,exec_time_seconds" >"$DIR/trace.csv"
	run 0 --trace "$DIR/trace.csv"
	has "$(tail -n 1 <<<"$out")" "totals add up: 0 requests"
}

# lies FILTER: the registry has other totals than the file, by so little
lies() {
	rm -rf "$DIR/bin"
	(
		wrap_tool "$1"
		run 1 --trace "$DIR/trace.csv"
		has "$out" "totals do NOT add up"
		has "$err" "trace.py: $2"
	) || exit 1
}

quickstart_notices_a_registry_that_is_off_by_one() {
	printf '%s\n' groupId,checkpoint_model_version_id,exec_time_seconds G0000,M0000,1.5 G0001,M0001,2.5 >"$DIR/trace.csv"
	lies "sed s/1500000000/1500000001/" "tenant 1, engagement 1: "
	lies "sed s/2500000000/1500000000/" "tenant 2, engagement 2: "
	lies "sed 's/\"gpu_ns_total\":\"4000000000\"/\"gpu_ns_total\":\"4000000001\"/'" "the engagements have "
	lies "sed 's/\"admitted_total\":\"1\"/\"admitted_total\":\"2\"/'" "tenant 1: "
	lies "sed 's/\"rate\":\"0\"/\"rate\":\"1\"/'" "tenant 1, rejected by rate: "
	lies "sed 's/\"unattributed_ns\":\"0\"/\"unattributed_ns\":\"1\"/'" "tenant 1: 1 ns could not be booked"
}

run_tests "$@"
