#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-fleetd: failover to a synchronous standby. What was acknowledged is there, and nothing else was granted.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/cli_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fleet_harness.bash"

# fleet_with_standby [OPTION...]: the fleet's server, with these options, and a synchronous standby. Programs and psql go
# to the one of both that takes changes.
fleet_with_standby() {
	fleet
	stop_servers
	cp -a "${K2K_FLEET_DATABASE:-${TMPDIR:-/tmp}/k2k-fleet.$$}" "$DIR/standby-data"
	: >"$DIR/standby-data/standby.signal"
	mkdir "$DIR/standby"
	own "$DIR/standby" "$DIR/standby-data"
	start_server -c synchronous_standby_names=standby "$@"
	primary_pid=$server_pid
	start_postgres "$DIR/standby-data" "$DIR/standby" -c "primary_conninfo=host=$DIR user=boss application_name=standby" \
		-c wal_retrieve_retry_interval=100ms
	standby_pid=$server_pid
	until_true 60 eval '[[ $(sql "select sync_state from pg_stat_replication") == sync ]]'
	export PGHOST=$DIR,$DIR/standby PGTARGETSESSIONATTRS=read-write
}
kill_primary() {
	server_pid=$primary_pid
	kill_server
	server_pid=$standby_pid
}
on_standby() { PGHOST=$DIR/standby PGTARGETSESSIONATTRS=any sql "$1"; }
promote() { is "$(on_standby "select pg_promote(true, 60)")" t; }
# in ms
drawn_on_standby() { on_standby "select trunc(coalesce(sum(drawn), 0) / 1e6) from k2k_fleet.chunk_state where host = 'h$1'"; }
spend_on() {
	local i
	for i in {1..40}; do spend "$1" 4 5; done
}

cli_fleet_failover_loses_nothing_and_grants_nothing_twice() {
	local n before version spender
	fleet_with_standby; host 1; host 2
	agent 1 --chunk 50ms; agent 2 --chunk 50ms
	apply '{id: 42, preset: unlimited, budgets: {7: 3s/fleet}}'
	fleetctl 0 budgets; is "$err" ""
	until_true 60 eval '[[ $(sql "select count(*) from k2k_fleet.chunk where drawn > 0") == 2 ]]'
	spend_on 1 & spender=$!
	until_true 60 eval '(($(state used) > 50))'
	apply '{id: 42, preset: unlimited, budgets: {7: 4s/fleet}}'
	version=$(sql "select version from k2k_fleet.fleet")
	before=$(state used)
	sleep 0.0$((RANDOM % 10))
	kill_primary
	# until the promotion nothing changes any more
	[[ $(on_standby "select version from k2k_fleet.fleet") == "$version" ]] || fail "a definition is lost"
	(($(on_standby "select trunc(used / 1e6) from k2k_fleet.budget_state") >= before)) || fail "a report is lost"
	for n in 1 2; do
		(($(budget_on $n) <= $(drawn_on_standby $n))) || fail "h$n has a larger budget than it has drawn"
	done
	promote
	wait "$spender"
	use_up 4000 2 5 1 2
	is "$(exactly 1 2)" 4000000000
	audit
	is "$(sql "select sum(gpu_ns) from k2k_fleet.bill where tenant = 42")" 4000000000
	is "$(sql "select count(*) from k2k_fleet.discrepancy")" 0
	apply '{id: 42, rate: 7k/s, budgets: {7: 4s/fleet}}'
	until_true 60 has_rate 1 42 7000
	until_true 60 has_rate 2 42 7000
}

# The agent asks for it itself, whatever the server's setting is.
cli_fleet_standby_that_does_not_answer_acknowledges_nothing() {
	local receiver before
	fleet_with_standby -c synchronous_commit=local; host 1; host 2
	apply '{id: 42, preset: unlimited, budgets: {7: 1s/fleet}}'
	agent 1 --chunk 100ms --timeout 60s
	until_true 60 eval '(($(budget_on 1) > 0 && $(state drawn) == $(budget_on 1)))'
	before=$(budget_on 1)
	hold "select from k2k_fleet.budget for update"
	spend 1 200 5
	is $((spent * 5)) "$before"
	until_true 60 waits_in draw
	receiver=$(pgrep -P "$standby_pid" -f walreceiver) || fail "the standby receives nothing"
	kill -STOP "$receiver"
	let_go
	until_true 60 in_database "wait_event = 'SyncRep' and query like '%k2k_fleet.draw(%'"
	# a wait that is cancelled ends with a mere warning of the server
	sql "select pg_cancel_backend(pid) from pg_stat_activity where usename = 'a1' and wait_event = 'SyncRep'" >/dev/null
	until_true 60 says 1 "canceling wait for synchronous replication"
	(($(state drawn) > before)) || fail "nothing was drawn"
	is "$(budget_on 1)" "$before"
	end_agent 1 KILL
	# no answer at all
	agent 1 --chunk 100ms
	until_true 60 says 1 "did not answer within"
	is "$(budget_on 1)" "$before"
	kill_primary
	kill -CONT "$receiver"
	promote
	agent 2 --chunk 100ms
	use_up 1000 2 5 1 2
	is "$(exactly 1 2)" 1000000000
	audit
	# the first one comes back, without a standby: nothing that it says counts
	end_agent 2 TERM
	apply '{id: 42, preset: unlimited, budgets: {7: 2s/fleet}}'
	start_server -c synchronous_standby_names=standby
	agent 2 --chunk 100ms
	until_true 60 says 2 "did not answer within"
	spend 2 1 5
	is "$spent" 0
	kill_server
	server_pid=$standby_pid
	use_up 2000 2 5 1 2
	is "$(exactly 1 2)" 2000000000
	audit
}

run_tests "$@"
