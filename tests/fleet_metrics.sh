#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Metrics of k2k-fleetd beside a real PostgreSQL, and k2k-exporter, which serves them.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/cli_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fleet_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/metrics_harness.bash"

# value NAME[{LABELS}]: of the last file, without the registry's label
value() { sed -n "s/^k2k_fleet_\\([a-z_]*\\){registry=\"$K2K_REGISTRY-1\",\\{0,1\\}\\(.*\\)} /\\1{\\2} /p" "$DIR/metrics" 2>/dev/null | grep -F "$1 " | sed 's/.* //'; }
tells() { [[ $(value "$1") == "$2" ]]; }
wait_for() { until_true 60 tells "$1" "$2"; }

cli_fleet_metrics_tell_the_state_of_an_agent() {
	local before errors document='{id: 42, preset: unlimited, budgets: {7: 100s/fleet}}'
	fleet; host 1
	umask 077
	apply "$document"
	agent 1 --metrics "$DIR/metrics" --chunk 3s
	wait_for 'applied_version{}' 1
	is "$(stat -c %a "$DIR/metrics")" 644
	is "$(value 'connected{}') $(value 'known_version{}')" "1 1"
	is "$(value "info{host=\"h1\",clock=\"$(</sys/devices/system/clocksource/clocksource0/current_clocksource)\"}")" 1
	is "$(value 'problems{}') $(value 'registrations{}') $(value 'chunks{}')" "0 1 1"
	is "$(value 'errors_total{of="registry"}') $(value 'errors_total{of="database"}')" "0 0"
	wait_for 'chunks_drawn_seconds{}' "$(sql 'select trunc(drawn / 1e9) from k2k_fleet.budget_state')"
	(($(value 'drawn_seconds_total{}') >= 3)) || fail "nothing was drawn: $(<"$DIR/metrics")"
	use 1 'track 42 7 1500000000'
	wait_for 'chunks_used_seconds{}' 1.5
	wait_for 'unreported_rows{}' 0
	if command -v promtool >/dev/null; then
		promtool check metrics <"$DIR/metrics" >"$DIR/promtool" 2>&1 || fail "promtool: $(<"$DIR/promtool")"
	fi

	# the database is away: what is booked waits
	stop_servers
	wait_for 'connected{}' 0
	before=$(value 'report_timestamp_seconds{}') errors=$(value 'errors_total{of="database"}')
	((errors > 0)) || fail "no error was counted"
	use 1 'track 42 7 5'
	wait_for 'unreported_rows{}' 1
	is "$(value 'report_timestamp_seconds{}')" "$before"
	start_server
	wait_for 'connected{}' 1
	wait_for 'unreported_rows{}' 0
	has_bill 42 '7 1500000005;' || fail "$(bill 42)"
	awk "BEGIN { exit !($(value 'report_timestamp_seconds{}') > $before) }" || fail "the report has no new time"

	# a definition that does not fit, and a budget that is taken away
	"$TOOL" -r "$(registry 1)" register 9 --name taken -q || fail "register"
	apply "$document" '{id: 43, name: taken, rate: 1/s}'
	wait_for 'problems{}' 1
	wait_for 'known_version{}' 2
	apply '{id: 42, preset: unlimited}'
	wait_for 'chunks{}' 0
	wait_for 'problems{}' 0

	# killed, it leaves an old file; ended, none
	end_agent 1 KILL
	before=$(value 'written_timestamp_seconds{}')
	agent 1 --metrics "$DIR/metrics"
	until_true 60 eval '[[ $(value "written_timestamp_seconds{}") != "$before" ]]'
	is "$(value 'drawn_seconds_total{}')" 0
	end_agent 1 TERM
	[[ ! -e $DIR/metrics && ! -e $DIR/metrics.new ]] || fail "the file is left"
}

cli_fleet_metrics_are_served_by_the_exporter() {
	local own
	[[ -x ${EXPORTER-} ]] || skip "k2k-exporter is not built"
	host 1
	K2K_REGISTRY=$(registry 1)
	export_start --fleet "$DIR/metrics"
	lacks "$(curl -sS "$url")" k2k_fleet
	# without a database: the agent's state is that it has none
	"$FLEETD" -r "$K2K_REGISTRY" -d "host=$DIR/none" --host h1 --once --metrics "$DIR/metrics" 2>/dev/null; is $? 10
	until_true 20 scraped 'fleet_connected{}' 0
	scraped 'fleet_errors_total{of="database"}' 1 || fail "no error"
	scraped 'up{}' 1 || fail "the registry's metrics are missing"
	own=$(<"$DIR/metrics")
	# other lines are left out with the whole file, which is reported once
	printf '%s\nk2k_up{registry="forged"} 1\n' "$own" >"$DIR/metrics"
	until_true 20 eval '[[ $(curl -sS "$url") != *k2k_fleet* ]]'
	lacks "$(curl -sS "$url")" forged
	printf '%s' "$own" >"$DIR/metrics"     # a line without an end
	lacks "$(curl -sS "$url")" k2k_fleet
	head -c 70000 /dev/zero | tr '\0' '#' >"$DIR/metrics"
	lacks "$(curl -sS "$url")" '##'
	is "$(grep -c -- '--fleet' "$DIR/exporter.err")" 1
	rm "$DIR/metrics"
	mkfifo "$DIR/metrics"
	has "$(curl -sS "$url")" k2k_up
	rm "$DIR/metrics"
	printf '%s\n' "$own" >"$DIR/metrics"
	until_true 20 scraped 'fleet_connected{}' 0
	export_stop
	# a file that can't be written stops nothing
	"$FLEETD" -r "$K2K_REGISTRY" -d "host=$DIR/none" --host h1 --once --metrics "$DIR/none/metrics" 2>"$DIR/err"; is $? 10
	has "$(<"$DIR/err")" "--metrics $DIR/none/metrics: No such file"
}

run_tests "$@"
