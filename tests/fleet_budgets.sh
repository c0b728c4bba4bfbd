#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-fleetd and k2k-fleetctl: a budget over all hosts is never granted twice.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/cli_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fleet_harness.bash"

third_host() { fleetctl 0 join h3 --role a3; }

# Three hosts use one budget to the end; one of them only returns what it drew.
cli_fleet_budget_is_used_to_the_end_and_no_further() {
	local n
	fleet; third_host
	for n in 1 2 3; do host $n; agent $n --chunk 100ms; done
	apply '{id: 42, preset: unlimited, budgets: {7: 5s/fleet}}'
	fleetctl 0 apply -f "$DIR/document.yaml"; has "$out" "0 new, 0 changed, 0 removed, 1 unchanged"
	fleetctl 0 export; has "$out" "budgets: {7: 5s/fleet}"
	until_true 60 eval '[[ $(sql "select count(*) from k2k_fleet.chunk where drawn > 0") == 3 ]]'
	fleetctl 0 budgets -J; json '.budgets[0] | [.tenant, .engagement, .budget_ns] | join(",")' '42,7,5000000000'
	fleetctl 0 budgets 42 --hosts -J; json '.chunks | map(.host + " " + .state) | join(",")' 'h1 open,h2 open,h3 open'
	spend 1 1000 1; spend 2 500 1
	use_up 5000 1 10 1 2 3
	is "$(exactly 1 2)" 5000000000
	is "$(used_on 3)" 0
	audit
	is "$(state overdrawn)$(state written_off)$(state free)" 000
	# raised, it goes on; lowered below what is used, it is overdrawn, and nothing more is granted
	apply '{id: 42, preset: unlimited, budgets: {7: 6s/fleet}}'
	insist 3 1 500
	apply '{id: 42, preset: unlimited, budgets: {7: 4s/fleet}}'
	until_true 60 eval '[[ $(state used) == 5500 && $(state overdrawn) == 1500 ]]'
	until_true 60 eval 'spend 3 1 5; ((spent == 0))'
	fleetctl 0 budgets; has "$out" OVERDRAWN
	# a host's own budget again
	apply '{id: 42, preset: unlimited, budgets: {7: 1h/day}}'
	until_true 60 eval '[[ $(budget_on 3) == 3600000 ]]'
	fleetctl 0 budgets -J; json '.budgets | length' 0
	audit
}

# The agent and the database are killed at random moments.
cli_fleet_budget_survives_kills_of_agents_and_of_the_database() {
	local i total=0
	fleet; host 1; host 2
	apply '{id: 42, preset: unlimited, budgets: {7: 2s/fleet}}'
	agent 2 --chunk 50ms
	for i in {1..6}; do
		agent 1 --chunk 50ms
		spend 1 20 5; total=$((total + spent * 5))
		sleep 0.0$((RANDOM % 10))
		end_agent 1 KILL
		if ((i % 3 == 0)); then
			kill_server
			spend 2 5 5
			start_server
		fi
		[[ $(sql "select charged <= total from k2k_fleet.budget") == t ]] || fail "more is granted than there is"
		(($(budget_on 1) <= $(sql "select (coalesce(sum(drawn), 0) / 1000000)::bigint from k2k_fleet.chunk_state where host = 'h1'"))) ||
			fail "h1 has a larger budget than it has drawn"
	done
	is "$(used_on 1)" $total
	agent 1 --chunk 50ms
	use_up 2000 1 5 1 2
	is "$(exactly 1 2)" 2000000000
	audit
	is "$(sql "select count(*) from k2k_fleet.discrepancy")" 0
}

cli_fleet_budget_of_a_host_that_is_cut_off() {
	local drawn used
	fleet; third_host; host 1; host 2; host 3
	agent 1 --chunk 1s
	apply '{id: 42, preset: unlimited, budgets: {7: 10s/fleet}}'
	until_true 60 eval '[[ $(sql "select count(*) from k2k_fleet.chunk where drawn > 0") == 1 ]]'
	spend 1 1 100
	until_true 60 eval '[[ $(state used) == 100 ]]'
	# alone, it goes on with what it has, to the end
	end_agent 1 KILL
	drawn=$(budget_on 1)
	spend 1 $((drawn / 10)) 10
	spend 1 2 10
	is "$spent" 0
	used=$(used_on 1)
	is "$used" $((drawn / 10 * 10))
	# the others can't use that
	agent 2 --chunk 100ms; agent 3 --chunk 100ms
	use_up $((10000 - drawn)) 2 10 2 3
	is "$(state free)" 0
	# until it is forgotten
	fleetctl 2 forget h1; has "$err" "confirm with -y"
	fleetctl 2 forget nobody -y; has "$err" 'there is no host "nobody"'
	sql "update k2k_fleet.host set seen_at = clock_timestamp() where name = 'h1'"
	fleetctl 8 forget h1 -y; has "$err" 'host "h1" was heard'
	sql "update k2k_fleet.host set seen_at = seen_at - interval '1 minute' where name = 'h1'"
	fleetctl 0 forget h1 -y -J
	json ".forgotten[0] | [.reported_ns, .written_off_ns] | map(tonumber / 1000000) | join(\" \")" "100 $((drawn - 100))"
	is "$(state written_off)" $((drawn - 100))
	fleetctl 0 forget h1 -y -J; json '.forgotten | length' 0
	use_up 9900 3 10 2 3
	is "$(exactly 2 3)" 9900000000
	# it comes back: what it has used is booked, and shown as overdrawn
	agent 1 --chunk 1s
	until_true 60 eval '[[ $(state overdrawn) == '$((used - 100))' ]]'
	until_true 60 eval '[[ $(sql "select bool_or(closed) from k2k_fleet.chunk") == f ]]'
	is "$(state written_off)" $((used - 100))
	audit
}

# A stopped broker may be in a call that has seen the whole chunk.
cli_fleet_budget_is_returned_after_a_grace_period() {
	fleet; host 1; host 2; begin_to_return
	is "$(state drawn)" 4000
	kill -CONT "$broker_pid"
	use_up 4000 2 20 2
	is "$(budget_on 1)" 0
	audit
}

# A loaded registry, and one that is made anew, begin with nothing drawn.
cli_fleet_budget_belongs_to_a_run() {
	fleet; host 1
	apply '{id: 42, preset: unlimited, budgets: {7: 10s/fleet}}'
	once 0 1 --chunk 1s
	spend 1 1 500
	once 0 1 --chunk 1s
	"$TOOL" -r "$(registry 1)" save "$DIR/image" -q || fail "save"
	spend 1 1 500
	once 0 1 --chunk 1s
	is "$(state used)" 1000
	"$TOOL" -r "$(registry 1)" destroy -y -q || fail "destroy"
	host 1
	"$TOOL" -r "$(registry 1)" load "$DIR/image" -q || fail "load"
	once 0 1 --chunk 1s
	is "$(sql "select string_agg(state, ' ' order by state) from k2k_fleet.chunk_state")" "open open-ended"
	# what it had used in its image counts there, and here it has drawn for what is beyond
	is "$(budget_on 1)" $((500 + $(sql "select (drawn / 1000000)::bigint from k2k_fleet.chunk_state where state = 'open'")))
	spend 1 1 500
	once 0 1 --chunk 1s
	is "$(state used)" 1500
	# what the run that has ended had drawn is written off although the host is there
	fleetctl 0 forget h1 -y -J; json '.forgotten | length' 1
	is "$(sql "select string_agg(state, ' ' order by state) from k2k_fleet.chunk_state")" "forgotten open"
	# removed and made again: another budget
	apply; once 0 1
	apply '{id: 42, preset: unlimited, budgets: {7: 2s/fleet}}'; once 0 1 --chunk 1s
	is "$(state used)" 0
	audit
}

cli_fleet_budget_follows_an_upgrade() {
	local schema
	schema=$(dirname "$0")/../tools/fleet/schema
	fleet; host 1
	# a database of the first version, with a host that has reported
	sql "set client_min_messages = warning; drop schema k2k_fleet cascade"
	psql -U boss -qX1 -v ON_ERROR_STOP=1 -f "$schema/001-first.sql" >/dev/null || fail "the first version"
	fleetctl 6 list; has "$err" "'k2k-fleetctl init' upgrades it"
	once 6 1
	sql "select k2k_fleet.join_host('h1', 'a1')" >/dev/null
	sql_as admin "select k2k_fleet.change(0, '{42}', array['{\"id\": \"42\", \"preset\": \"unlimited\"}'])" || fail "$out"
	"$TOOL" -r "$(registry 1)" register 42 --preset unlimited -q || fail "register"
	use 1 "track 42 7 $(ms 100)"
	sql_as a1 "select k2k_fleet.hello('h1', '$("$TOOL" -r "$(registry 1)" export -J | jq -r .uuid)', '$(</proc/sys/kernel/random/boot_id)', 'x');
		select k2k_fleet.adopt('h1', 1, 1, 42, 1, false, 0, 0, '{7}', '{$(ms 100)}', '{0}');
		select k2k_fleet.report('h1', 1, 1, 1, '{}', '{}', '{}', '{1}', '{7}', '{$(ms 300)}', '{0}')" || fail "$out"
	PGUSER=boss fleetctl 0 init; has "$out" "version 4"
	is "$(bill 42)" "7 $(ms 200);"
	# what was used before counts
	use 1 "track 42 7 $(ms 200)"
	apply '{id: 42, preset: unlimited, budgets: {7: 1s/fleet}}'
	is "$(state used)" 200
	once 0 1 --chunk 10s
	is "$(budget_on 1)" 1100
	is "$(state free)" 0
	audit
}

# What hosts have used is charged by one write of each budget, however many hosts there are.
cli_fleet_budget_that_is_given_to_many_hosts_is_written_once() {
	fleet
	sql "set session_replication_role = replica; -- rows as agents make them
		insert into k2k_fleet.definition (tenant, fleet_gen, doc, version) values (1, 1, '{}', 1), (2, 2, '{}', 2);
		update k2k_fleet.fleet set version = 2;
		insert into k2k_fleet.run (run, host, boot_id, registry) select md5(i::text)::uuid, 'h1', gen_random_uuid(), 'x' from generate_series(1, 300) i;
		insert into k2k_fleet.registration (run, generation, tenant, fleet_gen, kind, state)
			select run, t, t, t, 'new', case when t = 1 and random() < 0.5 then 'final' else 'open' end from k2k_fleet.run, generate_series(1, 2) t;
		insert into k2k_fleet.total (run, generation, engagement, ns, base_ns, corrected_ns, base_corrected_ns, epoch, seq)
			select run, generation, 7, 1000, 0, 0, 0, 1, 1 from k2k_fleet.registration"
	is "$(sql "begin; select k2k_fleet.change(2, '{1,2,3}', '{x,y,z}', '{1,2,3}', '{7,7,7}', '{1000000,100,5}');
		select pg_stat_get_xact_tuples_updated('k2k_fleet.budget'::regclass); commit")" $'5\n2'
	is "$(sql "select tenant, charged, hosts < 300 from k2k_fleet.budget order by tenant")" $'1|300000|t\n2|300000|f\n3|0|t'
	audit
	# given again, nothing is to be charged: reports go on meanwhile
	hold "select k2k_fleet.change(5, '{1}', '{x}', '{1}', '{7}', '{2000000}')"
	is "$(sql "set lock_timeout = '10s'; update k2k_fleet.total set ns = 2000 where generation = 2 and run = md5('1')::uuid returning ns")" 2000
	let_go
	audit
}

cli_fleet_budget_refuses_what_makes_no_sense() {
	fleet; host 1
	printf 'version: 1\ntenants:\n  - {id: 42, budgets: {7: 1h/fleet}}\n' >"$DIR/document.yaml"
	ctl 2 -r "$(registry 1)" apply -f "$DIR/document.yaml"; has "$err" "only documents of k2k-fleetctl"
	sed -i 's|1h/fleet|unlimited/fleet|' "$DIR/document.yaml"
	fleetctl 2 apply -f "$DIR/document.yaml"; has "$err" "what is unlimited is no budget over a fleet"
	sed -i 's|unlimited/fleet|1x/fleet|' "$DIR/document.yaml"
	fleetctl 2 apply -f "$DIR/document.yaml"; has "$err" "line 3"
	# the largest
	apply '{id: 42, preset: unlimited, budgets: {7: 18446744073709551614ns/fleet, 8: 0/fleet}}'
	once 0 1 --chunk 365d
	spend 1 1 1000
	is "$spent" 1
	once 0 1
	is "$(sql "select engagement || ' ' || total || ' ' || used from k2k_fleet.budget_state order by 1" | tr '\n' ';')" \
		'7 18446744073709551614 1000000000;8 0 0;'
	printf 'reserve 42 8 1\n' | "$BROKER" "$(registry 1)" >"$DIR/out"
	is "$(sed -n 2p "$DIR/out")" K2K_EBUDGET
	# corrections are seen
	"$TOOL" -r "$(registry 1)" usage correct 42 7 --by -400ms --reason test -q || fail "correct"
	once 0 1
	is "$(state used | head -n 1)" 600
	audit
	# rights, and statements that come late or twice
	for table in budget chunk budget_state chunk_state; do
		! sql_as a1 "select * from k2k_fleet.$table" || fail "an agent may read $table"
	done
	! sql_as a1 "select k2k_fleet.forget('h1')" || fail "an agent may forget"
	! sql_as a1 "update k2k_fleet.chunk set drawn = 0" || fail "an agent may change chunks"
	! sql_as admin "update k2k_fleet.budget set charged = 0" || fail "an administrator may change what is charged"
	! sql_as admin "select k2k_fleet.change(1, '{42}', '{x}', '{43}', '{7}', '{1}')" || fail "a budget without its tenant"
	has "$out" "without the definition of its tenant"
	! sql_as admin "select k2k_fleet.change(1, '{42,42}', '{x,y}')" || fail "a tenant twice"
	has "$out" "a tenant is given twice"
	epoch=$(sql "select epoch from k2k_fleet.host where name = 'h1'") generation=$(sql "select generation from k2k_fleet.chunk limit 1")
	drawn() { sql "select drawn from k2k_fleet.chunk where engagement = 7"; }
	before=$(drawn)
	back() { sql_as a1 "select drawn from k2k_fleet.give_back('h1', $1, $2, '{$generation}', '{7}', '{$before}', '{$(ms 1000)}')"; }
	! back $((epoch - 1)) 1000 || fail "a replaced agent's return was taken"
	has "$out" "another agent has replaced this one"
	back "$epoch" 1 || fail "$out"; is "$(drawn)" "$before"
	back "$epoch" 1000 || fail "$out"; is "$(drawn)" "$(ms 1000)"
	sql_as a1 "select drawn from k2k_fleet.draw('h1', $epoch, 1001, '{$generation}', '{7}', '{$(ms 1000)}', '{$(ms 1000)}', '{5}')" || fail "$out"
	[[ $(drawn) != "$(ms 1000)" ]] || fail "nothing was drawn"
	before=$(ms 1000) now=$(drawn)
	back "$epoch" 1000 || fail "$out"; is "$(drawn)" "$now"
	sql_as a1 "select drawn from k2k_fleet.draw('h1', $epoch, 1001, '{$generation}', '{7}', '{$now}', '{$(ms 1000)}', '{5}')" || fail "$out"
	is "$(drawn)" "$now"
	! sql_as a1 "select drawn from k2k_fleet.draw('h2', 1, 1, '{1}', '{7}', '{0}', '{0}', '{5}')" || fail "another host's chunk was drawn"
	audit
}

run_tests "$@"
