#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-fleetctl and k2k-fleetd: definitions reach the hosts, and what hosts use is billed exactly.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/cli_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fleet_harness.bash"

cli_fleet_definitions_reach_all_hosts() {
	fleet; host 1; host 2; agent 1; agent 2
	apply '{id: 42, name: vision, rate: 5k/s, kernels: 4, budgets: {7: 1h/day}}' '{id: 43, preset: unlimited}'
	has "$out" "2 new"
	until_true 60 has_rate 1 42 5000
	until_true 60 has_rate 2 42 5000
	until_true 60 eval '[[ $(sql "select min(version) from k2k_fleet.host") == 2 ]]'
	for n in 1 2; do
		is "$("$TOOL" -r "$(registry $n)" export | grep -c 'budgets: {7: 1h/day}')" 1
	done
	fleetctl 0 export; is "$(grep -c 'name: "vision"' <<<"$out")" 1
	fleetctl 0 apply -f "$DIR/document.yaml"; has "$out" "0 new, 0 changed, 0 removed, 2 unchanged"
	fleetctl 0 diff -f "$DIR/document.yaml"
	# changed, and removed
	apply '{id: 42, name: vision, rate: 6k/s}'
	until_true 60 has_rate 1 42 6000
	until_true 60 has_rate 2 42 6000
	until_true 60 is_gone 1 43
	until_true 60 is_gone 2 43
	until_true 60 eval '[[ $(sql "select min(version), max(version) from k2k_fleet.host") == "4|4" ]]'
	is "$(sql "select count(*) from k2k_fleet.registration where state = 'final'")" 2
	fleetctl 0 hosts -J; json '.hosts | map([.host, .version, .behind, .problems] | join(",")) | join(";")' 'h1,4,0,0;h2,4,0,0'
	fleetctl 0 list -J; json '.definitions | length' 1
	# what somebody changes on a host is set right
	"$TOOL" -r "$(registry 1)" update 42 --rate 1/s -q || fail "update"
	until_true 60 has_rate 1 42 6000
}

cli_fleet_versions_have_no_gap() {
	local pids=()
	fleet
	for i in 1 2 3 4; do
		for n in 1 2 3; do
			printf 'version: 1\ntenants:\n  - {id: %d, rate: %d/s}\nend: true\n' $((i * 10 + n)) $i >"$DIR/$i-$n.yaml"
			"$FLEETCTL" apply -q --timeout 20s -f "$DIR/$i-$n.yaml" 2>"$DIR/err-$i-$n"
			[[ $? == [08] ]] || fail "apply: $(<"$DIR/err-$i-$n")"
		done &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || fail "somebody got another answer than done or busy"; done
	is "$(sql "select count(*) = (select version from k2k_fleet.fleet) and max(version) = count(*) from k2k_fleet.definition")" t
	# of two at once, the second waits for the first, and is then told
	local version; version=$(sql "select version from k2k_fleet.fleet")
	[[ $version -ge 3 ]] || fail "too few changes were made"
	local first second
	mkfifo "$DIR/first"
	psql -U boss -qAtX -v ON_ERROR_STOP=1 <"$DIR/first" >"$DIR/changed" &
	pids=($!)
	exec {first}>"$DIR/first"
	echo "begin; select k2k_fleet.change($version, '{901}', '{x}');" >&"$first"
	until_true 60 test -s "$DIR/changed"
	(sql_as admin "select k2k_fleet.change($version, '{902}', '{x}')" || code=$?; echo "$out" >"$DIR/told"; exit "${code-0}") &
	second=$!
	until_true 60 eval '[[ $(sql "select count(*) from pg_stat_activity where wait_event_type = '"'Lock'"'") == 1 ]]'
	echo "commit;" >&"$first"
	exec {first}>&-
	! wait "$second" || fail "a change from an old version was made"
	has "$(<"$DIR/told")" "somebody else has changed definitions"
	wait "${pids[0]}" || fail "the first change failed"
}

cli_fleet_bill_is_exact() {
	fleet; host 1; host 2; agent 1; agent 2
	apply '{id: 42, rate: 9k/s}'
	until_true 60 has_rate 1 42 9000
	until_true 60 has_rate 2 42 9000
	use 1 'track 42 7 1000' 'admit 42 7 3' 'track 42 8 5'
	use 2 'track 42 7 18446744073709551600' 'admit 42 7 4'
	until_true 60 has_bill 42 '7 18446744073709552600;8 5;'
	until_true 60 eval '[[ $(messages 42) == 7 ]]'
	fleetctl 0 usage 42 -J; json '.usage[0].gpu_ns' 18446744073709552600
	# killed at any time, the agent counts nothing twice, and loses nothing
	for i in 1 2 3; do
		use 1 'track 42 7 1'
		end_agent 1 KILL
		use 1 'track 42 7 1'
		agent 1
	done
	until_true 60 has_bill 42 '7 18446744073709552606;8 5;'
	# nor does the server
	for i in 1 2; do
		kill_server
		use 1 'track 42 7 1' 'admit 42 7 1'
		start_server
		use 1 'track 42 7 1'
	done
	until_true 60 has_bill 42 '7 18446744073709552610;8 5;'
	until_true 60 eval '[[ $(messages 42) == 9 ]]'
	is "$(sql "select count(*) from k2k_fleet.discrepancy")" 0
	# a correction, on the host that booked it
	"$TOOL" -r "$(registry 1)" usage correct 42 7 --by -3ns --reason test -q || fail "correct"
	until_true 60 eval '[[ $(sql "select corrected_ns from k2k_fleet.bill where engagement = 7") == -3 ]]'
	# removed, and made again: another tenant, and the first one's bill stays
	apply
	until_true 60 is_gone 1 42
	until_true 60 is_gone 2 42
	apply '{id: 42, rate: 9k/s}'
	until_true 60 has_rate 1 42 9000
	use 1 'track 42 7 100'
	until_true 60 has_bill 42 '7 18446744073709552610;8 5;7 100;'
	# removed before its use is reported: the report comes first, with the engagement
	end_agent 1 TERM
	sql "update k2k_fleet.host set seq = 0 where name = 'h1'"
	agent 1 --report 20s
	until_true 60 eval '[[ $(sql "select seq > 0 from k2k_fleet.host where name = '"'h1'"'") == t ]]'
	use 1 'track 42 9 1000'
	apply
	until_true 60 has_bill 42 '7 18446744073709552610;8 5;7 100;9 1000;'
	is "$(sql "select sum(unsplit_ns) from k2k_fleet.bill_tenant")" 0
	is "$(sql "select sum(open_ended) from k2k_fleet.bill")" 0
}

# Kills the agent at random moments of registrations and deregistrations.
cli_fleet_agent_killed_while_tenants_come_and_go() {
	local round expected=0 i
	fleet; host 1
	for round in 1 2 3 4; do
		apply '{id: 42, rate: 9k/s}'
		agent 1
		(sleep 0.0$((RANDOM % 10)); kill -KILL "${agent_pid[1]}" 2>/dev/null)
		agent 1
		until_true 60 has_rate 1 42 9000
		# at once: nothing depends on what the agent does after the registration
		use 1 "track 42 7 $((round * 1000))"
		expected=$((expected + round * 1000))
		until_true 60 eval '[[ $(sql "select coalesce(sum(gpu_ns), 0) from k2k_fleet.bill") == '$expected' ]]'
		apply
		(sleep 0.0$((RANDOM % 10)); kill -KILL "${agent_pid[1]}" 2>/dev/null)
		agent 1
		until_true 60 is_gone 1 42
		until_true 60 eval '[[ $(sql "select count(*) from k2k_fleet.registration where state in ('"'open', 'planned'"')") == 0 ]]'
		end_agent 1 KILL
	done
	is "$(sql "select sum(gpu_ns) from k2k_fleet.bill")" $expected
	is "$(sql "select count(*) from k2k_fleet.bill")" 4
	is "$(sql "select sum(unsplit_ns) from k2k_fleet.bill_tenant")" 0
	is "$(sql "select count(*) from k2k_fleet.discrepancy")" 0
}

cli_fleet_report_that_comes_twice_changes_nothing() {
	local epoch
	fleet; host 1
	apply '{id: 42, rate: 9k/s}'
	once 0 1
	use 1 'track 42 7 1000'
	once 0 1
	is "$(bill 42)" '7 1000;'
	epoch=$(sql "select epoch from k2k_fleet.host where name = 'h1'")
	generation=$(sql "select generation from k2k_fleet.total")
	report() { sql_as a1 "select k2k_fleet.report('h1', $epoch, $1, 1, '{}', '{}', '{}', '{$generation}', '{7}', '{$2}', '{0}')"; }
	report 100 2000 || fail "$out"
	report 100 2000 || fail "$out"
	is "$(bill 42)" '7 2000;'
	report 99 1500 || fail "$out"
	is "$(bill 42)" '7 2000;'
	is "$(sql "select count(*) from k2k_fleet.discrepancy")" 0
	# a later report of less is kept, and the higher total stays
	report 101 1800 || fail "$out"
	is "$(bill 42)" '7 2000;'
	is "$(sql "select stored, reported from k2k_fleet.discrepancy")" '2000|1800'
	# another agent has greeted since
	once 0 1
	! report 200 9000 || fail "a replaced agent's report was taken"
	has "$out" "another agent has replaced this one"
	is "$(bill 42)" '7 2000;'
}

# What an agent asks writes the row of its host once; what only reads writes nothing.
cli_fleet_statement_writes_its_host_once() {
	local epoch reads
	fleet; host 1
	apply '{id: 42, preset: unlimited, budgets: {7: 1s/fleet}, kernels: 8/fleet}'
	once 0 1
	epoch=$(sql "select epoch from k2k_fleet.host where name = 'h1'") generation=$(sql "select generation from k2k_fleet.registration")
	writes() { sql_as a1 "begin; select $1; select pg_stat_get_xact_tuples_updated('k2k_fleet.host'::regclass); commit" || fail "$out"; tail -n 1 <<<"$out"; }
	is "$(writes "k2k_fleet.report('h1', $epoch, 1000, 1, '{}', '{}', '{}', '{$generation}', '{7}', '{1}', '{0}')")" 1
	is "$(writes "k2k_fleet.draw('h1', $epoch, 1001, '{$generation}', '{7}', '{0}', '{0}', '{5}')")" 1
	is "$(writes "k2k_fleet.draw_shares('h1', $epoch, 1002, '{$generation}', '{kernels}', '{0}', '{0}', '{1}')")" 1
	is "$(writes "k2k_fleet.give_back('h1', $epoch, 1003, '{}', '{}', '{}', '{}')")" 1
	is "$(writes "k2k_fleet.give_back_shares('h1', $epoch, 1004, '{}', '{}', '{}', '{}')")" 1
	is "$(writes "k2k_fleet.renew('h1', $epoch, 1005, 5000, true)")" 1
	reads="k2k_fleet.chunks('h1', $epoch), k2k_fleet.shares('h1', $epoch), k2k_fleet.registrations('h1', $epoch)"
	is "$(writes "$reads")" 0
	is "$(writes "k2k_fleet.problems('h1', $epoch, '{}', '{}', '{}', '{}'), k2k_fleet.finish('h1', $epoch, 99, null, null, null, false)")" 0
	# of a host that only reads it is noted now and then that it was heard
	sql "update k2k_fleet.host set seen_at = seen_at - interval '1 minute'"
	is "$(writes "$reads")" 1
}

sends_all_again() { until_true 60 eval '[[ $(sql "select ns from k2k_fleet.total where engagement = 7") == 1000 ]]'; }
cut() { sql "$1; select pg_terminate_backend(pid, 60000) from pg_stat_activity where usename = 'a1'" >/dev/null; }

# Who connects again sends what has changed, and all if the database may lack something.
cli_fleet_host_that_connects_again_sends_what_has_changed() {
	local token epoch lost="update k2k_fleet.total set ns = 0 where engagement = 7"
	fleet; host 1
	apply '{id: 42, rate: 9k/s}' '{id: 43, rate: 100/s/fleet}'
	agent 1
	until_true 60 has_rate 1 42 9000
	use 1 'track 42 7 1000' 'track 42 8 1'
	until_true 60 has_bill 42 '7 1000;8 1;'
	until_true 60 eval '[[ -n $(sql "select token from k2k_fleet.host where name = '"'h1'"'") ]]'
	cut "select 1"
	use 1 'track 42 8 1'
	until_true 60 has_bill 42 '7 1000;8 2;'
	is "$(sql "select string_agg((t.epoch = h.epoch)::text, ' ' order by engagement) from k2k_fleet.total t, k2k_fleet.host h where h.name = 'h1'")" "false true"
	# another server; one that lacks a statement that was answered; another agent has greeted between
	cut "$lost; update k2k_fleet.host set database_epoch = 'another'"
	sends_all_again
	cut "$lost; update k2k_fleet.host set seq = 0 where name = 'h1'"
	sends_all_again
	cut "$lost; update k2k_fleet.host set agent = gen_random_uuid() where name = 'h1'"
	sends_all_again
	# a report was not answered, but carried out, when the registry is as before again
	epoch=$(sql "select epoch from k2k_fleet.host where name = 'h1'")
	hold "lock table k2k_fleet.total in share mode"
	"$TOOL" -r "$(registry 1)" usage correct 42 7 --by -3ns --reason test -q || fail "correct"
	until_true 60 waits_in report
	until_true 60 says 1 "did not answer within"
	"$TOOL" -r "$(registry 1)" usage correct 42 7 --by 3ns --reason test -q || fail "correct"
	let_go
	until_true 60 eval '[[ $(sql "select corrected_ns, epoch > $epoch from k2k_fleet.total where engagement = 7") == "0|t" ]]'
	# the lease is renewed first: here the definitions can't be read
	rm "$DIR/hold" "$DIR/held"
	hold "lock table k2k_fleet.definition"
	until_true 60 waits_in definitions
	token=$(sql "select token from k2k_fleet.host where name = 'h1'")
	cut "select 1"
	until_true 60 eval '[[ $(sql "select token from k2k_fleet.host where name = '"'h1'"'") != "$token" ]]'
	let_go
	# each day
	end_agent 1 TERM
	agent 1 --full 100ms
	until_true 60 eval '[[ $(sql "select seq > 3 from k2k_fleet.host where name = '"'h1'"'") == t ]]'
	sql "$lost"
	sends_all_again
	is "$(sql "select count(*) from k2k_fleet.discrepancy")" 0
}

cli_fleet_definition_that_does_not_fit_is_a_problem_of_its_host() {
	fleet; host 1
	"$TOOL" -r "$(registry 2)" init --max-tenants 2 -q || fail "init"
	agent 1; agent 2
	apply '{id: 1, rate: 1/s}' '{id: 2, rate: 2/s}' '{id: 3, rate: 3/s}'
	until_true 60 has_rate 1 3 3
	until_true 60 has_rate 2 2 2
	until_true 60 eval '[[ $(sql "select host, tenant, version, code from k2k_fleet.problem") == "h2|3|3|K2K_EFULL" ]]'
	is_gone 2 3 || fail "tenant 3 is on h2"
	fleetctl 0 problems -J; json '.problems[0].code' K2K_EFULL
	# a definition that this version does not understand, as a later one may write it
	sql "update k2k_fleet.definition set doc = '{\"id\": 2, \"colour\": \"red\"}', version = 4 where tenant = 2; update k2k_fleet.fleet set version = 4"
	until_true 60 eval '[[ $(sql "select count(*) from k2k_fleet.problem where tenant = 2 and code = '"'K2K_EINVAL'"'") == 2 ]]'
	has_rate 1 2 2 || fail "tenant 2 was changed"
	# room is made: the problem is over
	sql "select k2k_fleet.change(4, '{2}', '{NULL}')" >/dev/null
	until_true 60 has_rate 2 3 3
	until_true 60 eval '[[ $(sql "select count(*) from k2k_fleet.problem") == 0 ]]'
}

cli_fleet_counts_from_adoption_and_from_a_load() {
	fleet; host 1
	"$TOOL" -r "$(registry 1)" register 42 --preset unlimited -q || fail "register"
	use 1 'track 42 7 1000' 'admit 42 7 10'
	apply '{id: 42, rate: 9k/s}'
	once 0 1
	use 1 'track 42 7 5' 'admit 42 7 1'
	once 0 1
	is "$(bill 42)" '7 5;'
	is "$(messages 42)" 1
	# the same image on two hosts: each counts what it books itself
	"$TOOL" -r "$(registry 1)" save "$DIR/image" -q || fail "save"
	"$TOOL" -r "$(registry 1)" destroy -y -q || fail "destroy"
	host 1; host 2
	for n in 1 2; do
		"$TOOL" -r "$(registry $n)" load "$DIR/image" -q || fail "load"
		once 0 $n
		use $n "track 42 7 $((n * 100))"
		once 0 $n
	done
	is "$(bill 42)" '7 305;'
	is "$(sql "select loaded, open_ended from k2k_fleet.bill_tenant")" '2|1'
	is "$(sql "select string_agg(state, ',' order by state) from k2k_fleet.run")" 'open,open,open-ended'
}

cli_fleet_goes_on_alone() {
	fleet; host 1; agent 1
	apply '{id: 42, rate: 5/s}'
	until_true 60 has_rate 1 42 5
	# a server that is stopped, not only one that is gone
	kill -STOP "$server_pid"; pkill -STOP -P "$server_pid"
	use 1 'track 42 7 9'
	until_true 60 says 1 "did not answer within"
	has_rate 1 42 5 || fail "the definition changed"
	kill -CONT "$server_pid"; pkill -CONT -P "$server_pid"
	until_true 60 has_bill 42 '7 9;'
	# a read-only database
	sql "alter system set default_transaction_read_only = on"
	sql "select pg_reload_conf()" >/dev/null
	use 1 'track 42 7 1'
	until_true 60 says 1 "read-only"
	sed -i 's|5/s|6/s|' "$DIR/document.yaml"
	fleetctl 7 apply -f "$DIR/document.yaml"
	sql "alter system reset default_transaction_read_only"
	sql "select pg_reload_conf()" >/dev/null
	until_true 60 has_bill 42 '7 10;'
	# a registry that is destroyed and made again is another run
	"$TOOL" -r "$(registry 1)" destroy -y -q || fail "destroy"
	host 1
	until_true 60 has_rate 1 42 5
	use 1 'track 42 7 100'
	until_true 60 has_bill 42 '7 110;'
	# ended by SIGTERM, it reports first
	use 1 'track 42 7 1000'
	end_agent 1 TERM
	is "$(bill 42)" '7 1110;'
}

run_tests "$@"
