#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-fleetd: an agent that was stopped (SIGSTOP) and is continued beside its successor does no harm.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/cli_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fleet_harness.bash"

is_stopped() { [[ $(ps -o state= -p "$1") == T* ]]; }
stop_agent() {
	old=${agent_pid[1]}
	kill -STOP "$old"
	until_true 60 is_stopped "$old"
}
# Starts another agent of h1, which the database takes for the host's.
succeed() {
	local before
	before=$(epoch)
	agent 1 "$@"
	until_true 60 eval "(($before < \$(epoch)))"
}
epoch() { sql "select epoch from k2k_fleet.host where name = 'h1'"; }
# The agent that was stopped goes on, sees that it is no more the host's, and ends.
continue_old() {
	! says 1 "another agent has replaced" || fail "too early"
	kill -CONT "$old"
	until_true 60 eval "! kill -0 $old 2>/dev/null"
	says 1 "another agent has replaced this one" || fail "the agent that was stopped: $(<"$DIR/agent1.err")"
	kill -0 "${agent_pid[1]}" || fail "its successor has ended: $(<"$DIR/agent1.err")"
}

# The broker that is attached asks for pieces of 10 ms, again and again: while it asks, its host keeps what it has drawn.
take_pieces() {
	local i answer
	for i in {1..50}; do
		echo "reserve 42 7 $(ms 10)" >&"$broker_in"
		read -r -t 20 -u "$broker_out" answer
		if [[ $answer == K2K_OK ]]; then
			say K2K_OK commit "$(ms 10)"
		else
			sleep 0.02
		fi
	done
}

# It has drawn, and does not know yet how much. Until it goes on, nobody else sets the budget.
cli_fleet_stopped_agent_that_draws_grants_nothing_twice() {
	fleet; host 1; host 2
	apply '{id: 42, preset: unlimited, budgets: {7: 4s/fleet}}'
	agent 1 --chunk 500ms --timeout 10m
	until_true 60 eval '(($(budget_on 1) > 0))'
	hold "select from k2k_fleet.budget for update"
	spend 1 1000 5
	until_true 60 waits_in draw
	stop_agent
	let_go
	until_true 60 eval '(($(state drawn) > $(budget_on 1)))'
	succeed --chunk 500ms
	agent 2 --chunk 500ms
	# a successor that could set the budget would return what h2 asks for
	K2K_REGISTRY=$(registry 2) attach
	until_true 60 eval 'take_pieces; says 1 "has the writer" || (($(exactly 1 2) == 4000000000))'
	# nobody sets right what the old one does before it is used
	kill -STOP "${agent_pid[1]}"
	continue_old
	spend 1 1000 5
	kill -CONT "${agent_pid[1]}"
	use_up 4000 2 5 1 2
	is "$(exactly 1 2)" 4000000000
	audit
}

# It has lowered the budget, and waits for the grace period after which it would return the rest.
cli_fleet_stopped_agent_that_returns_returns_nothing_twice() {
	fleet; host 1; host 2; begin_to_return
	stop_agent
	kill -CONT "$broker_pid"
	succeed --chunk 1s
	insist 2 50 20
	# h1 needs it again
	insist 1 1 20
	continue_old
	use_up 4000 1 20 1 2
	is "$(exactly 1 2)" 4000000000
	audit
}

cli_fleet_stopped_agent_that_reports_counts_nothing_twice() {
	fleet; host 1
	agent 1 --timeout 10m
	apply '{id: 42, rate: 9k/s}'
	until_true 60 has_rate 1 42 9000
	hold "lock table k2k_fleet.total"
	use 1 'track 42 7 1000' 'admit 42 7 3'
	until_true 60 waits_in report
	stop_agent
	use 1 'track 42 7 200'
	let_go
	succeed
	until_true 60 has_bill 42 '7 1200;'
	use 1 'track 42 7 30' 'admit 42 7 4'
	until_true 60 has_bill 42 '7 1230;'
	continue_old
	use 1 'track 42 7 4'
	until_true 60 has_bill 42 '7 1234;'
	until_true 60 eval '[[ $(messages 42) == 7 ]]'
	is "$(sql "select count(*) from k2k_fleet.discrepancy")" 0
}

# The database carries out a greeting after the agent has given it up and greeted anew.
cli_fleet_stopped_greeting_that_comes_late_ends_no_agent() {
	local backend before
	fleet; host 1
	hold "lock table k2k_fleet.host"
	agent 1 --timeout 1s
	until_true 60 waits_in hello
	backend=$(sql "select pid from pg_stat_activity where usename = 'a1' and wait_event_type = 'Lock' order by backend_start limit 1")
	kill -STOP "$backend"
	let_go
	until_true 60 says 1 "connected to the fleet"
	before=$(epoch)
	kill -CONT "$backend"
	until_true 60 eval "((\$(epoch) == $before + 2))"
	apply '{id: 42, rate: 9k/s}'
	until_true 60 has_rate 1 42 9000
	kill -0 "${agent_pid[1]}" || fail "the agent has ended: $(<"$DIR/agent1.err")"
}

is_suspended() { [[ $("$TOOL" -r "$(registry 1)" show "$1" -J 2>/dev/null | jq -r '.tenants[0].suspended') == true ]]; }
# h1's agent has its answer, and waits for the writer's lock of the registry
waits_for_writer() {
	in_database "state = 'idle' and query like '%k2k_fleet.$1(%'" && ! grep -q 'poll\|sigtimedwait' "/proc/${agent_pid[1]}/wchan"
}

# It was about to deregister a tenant, and is continued when that has been made anew.
cli_fleet_stopped_agent_deregisters_no_tenant_of_its_successor() {
	local fifo=$DIR/batch batch
	fleet; host 1
	agent 1 --timeout 10m --report 20s
	apply '{id: 42, rate: 9k/s}'
	until_true 60 has_rate 1 42 9000
	use 1 'track 42 7 1000'
	K2K_REGISTRY=$(registry 1) attach
	say K2K_OK kernel 42
	apply
	until_true 60 is_suspended 42
	# the report before the deregistration waits for the database, and then the deregistration for a batch
	hold "lock table k2k_fleet.total in share mode"
	kill -KILL "$broker_pid"
	until_true 60 waits_in report
	mkfifo "$fifo"
	"$BROKER" "$(registry 1)" <"$fifo" >"$DIR/batch.out" &
	brokers+=($!)
	exec {batch}>"$fifo"
	echo batch >&"$batch"
	until_true 60 eval '[[ $(grep -c K2K_OK "$DIR/batch.out") == 2 ]]'
	let_go
	until_true 60 waits_for_writer report
	stop_agent
	exec {batch}>&-
	succeed
	until_true 60 is_gone 1 42
	apply '{id: 42, rate: 8k/s}'
	until_true 60 has_rate 1 42 8000
	use 1 'track 42 7 30'
	continue_old
	has_rate 1 42 8000 || fail "the tenant is gone: $(<"$DIR/agent1.err")"
	! is_suspended 42 || fail "the tenant is suspended"
	use 1 'track 42 7 4'
	until_true 60 has_bill 42 '7 1000;7 34;'
	is "$(sql "select string_agg(state, ' ' order by state) from k2k_fleet.registration")" "final open"
}

holds_for() { "$TOOL" -r "$(registry 1)" info -J | jq -r .shares_hold_for_ns; }

# It has renewed the lease, and has not told the registry yet. Its own lease was longer.
cli_fleet_stopped_agent_that_renews_prolongs_no_lease_of_its_successor() {
	local fifo=$DIR/batch batch
	fleet; host 1
	agent 1 --lease 8s --timeout 10m
	apply '{id: 42, rate: 200/s/fleet}'
	until_true 60 eval '(($(holds_for) > 0))'
	mkfifo "$fifo"
	"$BROKER" "$(registry 1)" <"$fifo" >"$DIR/batch.out" &
	brokers+=($!)
	exec {batch}>"$fifo"
	echo batch >&"$batch"
	until_true 60 waits_for_writer renew
	stop_agent
	exec {batch}>&-
	succeed --lease 2s
	until_true 60 eval '(($(holds_for) > 0 && $(holds_for) <= 1800000000))'
	continue_old
	(($(holds_for) <= 1800000000)) || fail "the shares hold for $(holds_for) ns"
}

run_tests "$@"
