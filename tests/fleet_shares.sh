#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-fleetd and k2k-fleetctl: limits over all hosts. What is in force on all of them is never more than the limit.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/cli_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fleet_harness.bash"

# hosts N...: their registries and agents, with a lease of 4 s
hosts() {
	local n
	for n; do
		((n < 3)) || fleetctl 0 join "h$n" --role "a$n"
		host "$n"
		agent "$n" --lease 4s
	done
	all=("$@")
}
quota() { "$TOOL" -r "$(registry "$1")" show 42 -J 2>/dev/null | jq -r ".tenants[0].quota.$2 // 0"; }
# share N KIND: what hN has been granted; limit KIND COLUMN
share() { sql "select coalesce(sum(amount), 0) from k2k_fleet.share_state where host = 'h$1' and kind = '$2'"; }
limit() { sql "select $2 from k2k_fleet.limit_state where tenant = 42 and kind = '$1'"; }

# in_force KIND LIMIT: with the agents stopped, so that nothing changes during the look, the limits that are in force on all
# hosts together are at most LIMIT. Those that are stopped already, of whom the numbers are in $stopped, stay so.
stopped=' '
in_force() {
	local n sum=0 rows=()
	for n in "${all[@]}"; do [[ $stopped == *" $n "* ]] || kill -STOP "${agent_pid[n]}" 2>/dev/null; done
	for n in "${all[@]}"; do rows+=("$("$TOOL" -r "$(registry "$n")" show 42 -J 2>/dev/null)"); done
	for n in "${all[@]}"; do [[ $stopped == *" $n "* ]] || kill -CONT "${agent_pid[n]}" 2>/dev/null; done
	sum=$(printf '%s\n' "${rows[@]}" | jq -s "[.[].tenants[0] | $(look_of "$1") | tonumber] | add")
	((sum <= $2)) || fail "$sum of $1 are in force: $(sql "select * from k2k_fleet.share_state") $(tail -n 3 "$DIR"/agent*.err)"
	is "$(sql "select count(*) from k2k_fleet.fleet_limit where granted > total")" 0
}
look_of() { if [[ $1 == rate ]]; then echo 'if .usage.rate_holds then .quota.rate_per_sec else .quota.rate_alone end'; else echo ".quota.$1"; fi; }
in_force_on() { "$TOOL" -r "$(registry "$1")" show 42 -J 2>/dev/null | jq -r ".tenants[0] | $(look_of "$2")"; }
stop() { stopped+="$1 "; kill -STOP "${agent_pid[$1]}"; }
go_on() { stopped=${stopped/ $1 / }; kill -CONT "${agent_pid[$1]}"; }

# grab N COUNT [REFUSED]: a broker of hN tries until it holds so many kernels, or was refused so often; how many is in $held.
declare -A holder=()
grab() {
	local answer to from refused=0 fifos=$DIR/grab-$1-$SECONDS
	mkfifo "$fifos.to" "$fifos.from"
	"$BROKER" "$(registry "$1")" <"$fifos.to" >"$fifos.from" &
	holder[$1]=$!
	brokers+=("$!"); disown "$!"
	exec {to}>"$fifos.to" {from}<"$fifos.from"
	read -r -t 20 -u "$from" answer
	held=0
	while ((held < $2 && refused < ${3:-1000})); do
		echo "kernel 42" >&"$to"
		read -r -t 20 -u "$from" answer
		if [[ $answer == K2K_OK ]]; then held=$((held + 1)); else sleep 0.05; refused=$((refused + 1)); fi
		((refused % 20 != 19)) || in_force kernels "$max"
	done
}

cli_fleet_kernels_go_where_they_are_needed() {
	local max=12
	fleet; hosts 1 2 3
	apply '{id: 42, preset: unlimited, kernels: 12/fleet, gpu_memory: 1GiB/fleet}'
	fleetctl 0 apply -f "$DIR/document.yaml"; has "$out" "1 unchanged"
	fleetctl 0 export; has "$out" "kernels: 12/fleet, gpu_memory: 1GiB/fleet"
	until_true 60 eval '(($(share 1 kernels) > 0 && $(share 2 kernels) > 0 && $(share 3 gpu_memory) > 0))'
	in_force kernels 12
	# the others keep one each
	grab 1 10
	is "$held" 10
	in_force kernels 12
	grab 2 2 20
	is "$held" 1
	kill -KILL "${holder[1]}"
	kill -KILL "${holder[2]}"
	grab 3 10
	is "$held" 10
	fleetctl 0 shares -J; json '[.limits[] | .of, .limit, .excess] | join(",")' 'gpu_memory,1073741824,0,kernels,12,0'
	fleetctl 0 shares 42 --hosts -J; json '[.shares[] | select(.of == "kernels") | .host] | join(",")' 'h1,h2,h3'
	fleetctl 0 shares; has "$out" "1GiB"
	# lowered below what is held: shown, and nothing more is granted; gone, it is the host's own limit again
	apply '{id: 42, preset: unlimited, kernels: 4/fleet}'
	until_true 60 eval '[[ $(limit kernels excess) == 6 ]]'
	apply '{id: 42, preset: unlimited, kernels: 5}'
	until_true 60 eval '[[ $(quota 1 kernels) == 5 ]]'
	fleetctl 0 shares -J; json '.limits | length' 0
	# removed: its shares are free at once
	kill -KILL "${holder[3]}"
	apply '{id: 42, preset: unlimited, kernels: 4/fleet}'
	until_true 60 eval '(($(share 1 kernels) > 0))'
	apply
	until_true 60 eval '[[ $(sql "select coalesce(sum(granted), 0) from k2k_fleet.share") == 0 ]]'
}

cli_fleet_kernels_of_a_host_that_is_cut_off_stay_there() {
	local max=8
	fleet; hosts 1 2
	apply '{id: 42, preset: unlimited, kernels: 8/fleet}'
	grab 1 7
	end_agent 1 KILL
	all=(2)
	# longer than any lease
	grab 2 2 60
	is "$held" 1
	is "$(limit kernels granted)" 8
	fleetctl 8 forget h1 -y; has "$err" 'host "h1" was heard'
	sql "update k2k_fleet.host set seen_at = seen_at - interval '1 minute' where name = 'h1'"
	fleetctl 0 forget h1 -y -J; json '[.forgotten[0] | .limit, .share, .drawn_ns] | join(" ")' "kernels 7 "
	is "$(limit kernels "written_off || ' ' || bound")" "7 15"
	grab 2 5
	is "$held" 5
	# it comes back: what it holds counts
	agent 1 --lease 4s
	until_true 60 eval '[[ $(limit kernels "excess >= 5 and written_off = 0") == t ]]'
	kill -KILL "${holder[1]}"
	until_true 60 eval '[[ $(limit kernels excess) == 0 ]]'
	all=(1 2)
	in_force kernels 8
	# a machine that has booted holds nothing: its registry is another run, of another boot
	end_agent 1 KILL
	sql "update k2k_fleet.run set boot_id = gen_random_uuid() where host = 'h1'; update k2k_fleet.host set boot_id = gen_random_uuid(), seen_at = seen_at - interval '1 minute' where name = 'h1'"
	"$TOOL" -r "$(registry 1)" destroy -y -q || fail "destroy"
	host 1
	agent 1 --lease 4s
	until_true 60 eval '[[ $(sql "select count(*) from k2k_fleet.share where closed and amount = 0") == 1 ]]'
}

# A stopped broker may be in a call that has seen the higher limit.
cli_fleet_kernels_are_returned_after_a_grace_period() {
	local max=8
	fleet; hosts 1
	apply '{id: 42, preset: unlimited, kernels: 8/fleet}'
	until_true 60 eval '(($(quota 1 kernels) >= 2))'
	K2K_REGISTRY=$(registry 1) attach
	kill -STOP "$broker_pid"
	host 2
	agent 2 --lease 4s
	all=(1 2)
	grab 2 7 60 &
	until_true 60 eval '[[ $(quota 1 kernels) == 1 ]]'
	(($(share 1 kernels) > 1)) || fail "it was returned before every broker had answered"
	kill -CONT "$broker_pid"
	until_true 60 eval '[[ $(share 1 kernels) == 1 ]]'
	wait
}

# flood N: a broker of hN asks for more than 1000 messages a second until it is killed; each answer is a line of $DIR/flood-N.
declare -A flooding=()
flood() {
	local n=$1
	mkfifo "$DIR/to-$n"
	"$BROKER" "$(registry "$n")" <"$DIR/to-$n" >"$DIR/flood-$n" &
	broker[n]=$!
	brokers+=("$!"); disown "$!"
	(exec >"$DIR/to-$n"; while printf 'admit 42 7 1\n%.0s' {1..300}; do sleep 0.2; done) 2>/dev/null &
	flooding[$n]=$!
	brokers+=("$!"); disown "$!"
}
admitted() { grep -c '^K2K_OK$' "$DIR/flood-$1"; }
has_share() { (($(share "$1" rate) >= $2)); }
is_taken() { [[ $(share "$1" rate) == 0 ]]; }

# fast_clock COMMAND...: its CLOCK_BOOTTIME is ten times as fast as that of the machine
fast_clock() {
	cat >"$DIR/clock.c" <<-'END'
		#define _GNU_SOURCE
		#include <sys/syscall.h>
		#include <time.h>
		#include <unistd.h>
		int clock_gettime(clockid_t id, struct timespec *t)
		{
			long code = syscall(SYS_clock_gettime, id, t);
			if (id == CLOCK_BOOTTIME) {
				t->tv_sec = t->tv_sec * 10 + t->tv_nsec / 100000000;
				t->tv_nsec = t->tv_nsec % 100000000 * 10;
			}
			return (int)code;
		}
	END
	"${CC:-cc}" -shared -fPIC "$DIR/clock.c" -o "$DIR/clock.so" || fail "no clock"
	ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD="$DIR/clock.so" "$@"
}
# ends_within N NS: the shares of hN end at most so long after its last renewal. Its agent is stopped for the look.
ends_within() {
	local renewed began left=0
	for _ in {1..20}; do
		kill -STOP "${agent_pid[$1]}"
		began=$(date +%s%N)
		left=$("$TOOL" -r "$(registry "$1")" info -J | jq -r .shares_hold_for_ns)
		renewed=$(sql "select (extract(epoch from renewed_at) * 1e9)::bigint from k2k_fleet.host where name = 'h$1'")
		kill -CONT "${agent_pid[$1]}"
		((left == 0)) || break
		sleep 0.5
	done
	((left > 0)) || fail "they don't hold"
	((began + left - renewed <= $2)) || fail "they end $((began + left - renewed)) ns after the renewal"
}

cli_fleet_rate_is_shared_and_taken() {
	local began before limit high end
	fleet; hosts 1; host 2
	# what passes too fast by a clock that is steered counts by the other one
	fast_clock agent 2 --lease 4s
	all=(1 2)
	apply '{id: 42, rate: 200/s/fleet}'
	fleetctl 0 export; has "$out" "rate: 200/s/fleet"
	until_true 60 eval '(($(in_force_on 1 rate) > 0 && $(in_force_on 2 rate) > 0))'
	in_force rate 200
	flood 1
	until_true 60 has_share 1 150
	in_force rate 200
	# a tenth before the lease does, for clocks that are slower than they should be
	ends_within 1 3600000000
	# who comes anew gets its part, after the window in which the other one's limit was lowered
	before=$(quota 1 rate_per_sec)
	flood 2
	end=$((SECONDS + 120))
	while began=$(date +%s%N) limit=$(quota 1 rate_per_sec); (($(share 1 rate) >= before)); do
		((SECONDS < end)) || fail "host 1 keeps $(share 1 rate) of $before, its limit is $limit; host 2 has $(share 2 rate)"
		((limit < before)) || high=$began before=$limit
		sleep 0.05
	done
	(($(date +%s%N) - high > 1000000000)) || fail "a share was returned in the window in which it was lowered"
	until_true 60 has_share 2 80
	in_force rate 200
	before=$(($(admitted 1) + $(admitted 2))) began=$(date +%s%N)
	for _ in {1..8}; do in_force rate 200; sleep 0.2; done
	(($(admitted 1) + $(admitted 2) - before <= 200 * (($(date +%s%N) - began) / 1000000000 + 3))) ||
		fail "more was admitted than the limit allows"
	# its agent is dead: it goes on until the lease ends, then it admits nothing, and the other one takes its share: not
	# before that, also if the database's clock has been stepped
	end_agent 1 KILL
	sql "update k2k_fleet.host set renewed_at = renewed_at - interval '1 hour' where name = 'h1'"
	all=(2)
	until_true 60 is_taken 1
	is "$(in_force_on 1 rate)" 0
	before=$(admitted 1)
	until_true 60 has_share 2 150
	is "$(admitted 1)" "$before"
	says 2 "the lease of host h1 has ended" || fail "$(<"$DIR/agent2.err")"
	agent 1 --lease 4s
	all=(1 2)
	until_true 60 has_share 1 80
	in_force rate 200
	fleetctl 0 shares -J; json '.limits[0] | [.of, .limit, .alone, .bound, .any_second] | join(",")' rate,200,0,200,400
	# the same limit of each host again
	apply '{id: 42, rate: 7/s}'
	until_true 60 eval '[[ $(in_force_on 1 rate) == 7 ]] 2>/dev/null || [[ $(quota 1 rate_per_sec) == 7 ]]'
}

# An agent, and a whole host, that are stopped for longer than the lease.
cli_fleet_rate_of_a_host_that_was_stopped_is_over() {
	local before old
	fleet; hosts 1 2
	apply '{id: 42, rate: 200/s/fleet, alone: 3/s}'
	until_true 60 eval '(($(in_force_on 1 rate) > 3 && $(in_force_on 2 rate) > 3))'
	flood 2
	stop 1
	until_true 60 is_taken 1
	for _ in {1..3}; do in_force rate 203; sleep 0.1; done
	is "$(in_force_on 1 rate)" 3
	old=${agent_pid[1]}
	go_on 1
	until_true 60 has_share 1 1
	kill -0 "$old" || fail "the agent that was late has ended"
	says 1 "its shares were taken" || fail "$(<"$DIR/agent1.err")"
	# it asks for nothing, so what it keeps may be no more than what it has alone
	until_true 60 eval '[[ $("$TOOL" -r "$(registry 1)" show 42 -J | jq ".tenants[0].usage.rate_holds") == true ]]'
	in_force rate 203
	# all of the host
	flood 1
	until_true 60 eval '(($(admitted 1) > 20))'
	kill -STOP "${broker[1]}" "${flooding[1]}"
	stop 1
	until_true 60 is_taken 1
	until_true 60 has_share 2 150
	before=$(admitted 1)
	kill -CONT "${flooding[1]}" "${broker[1]}"
	sleep 1
	(($(admitted 1) - before <= 2 * 3)) || fail "$(($(admitted 1) - before)) messages were admitted after the lease"
	in_force rate 203
	go_on 1
	until_true 60 has_share 1 80
	in_force rate 203
	fleetctl 0 shares -J; json '.limits[0] | [.alone, .bound, .any_second] | join(",")' 3,206,412
}

cli_fleet_shares_of_others_are_out_of_reach() {
	local epoch generation token
	fleet; hosts 1 2
	apply '{id: 42, rate: 200/s/fleet, kernels: 8/fleet}'
	until_true 60 eval '(($(share 1 rate) > 0 && $(share 2 rate) > 0))'
	end_agent 2 KILL
	epoch() { sql "select epoch from k2k_fleet.host where name = 'h$1'"; }
	epoch=$(epoch 2) generation=$(sql "select generation from k2k_fleet.share_state where host = 'h2' limit 1")
	for table in fleet_limit share limit_state share_state database_seen; do
		! sql_as a2 "select * from k2k_fleet.$table" || fail "an agent may read $table"
		! sql_as a2 "delete from k2k_fleet.$table" || fail "an agent may change $table"
	done
	! sql_as a2 "select k2k_fleet.end_lease('h1')" || fail "an agent may end a lease"
	! sql_as admin "update k2k_fleet.share set amount = 0" || fail "an administrator may change shares"
	! sql_as a2 "select k2k_fleet.renew('h1', $(epoch 1), 100000, 1000, false)" || fail "another host's lease was renewed"
	! sql_as a2 "select k2k_fleet.draw_shares('h1', $(epoch 1), 100000, '{1}', '{rate}', '{0}', '{0}', '{1}')" || fail "another host's share was drawn"
	! sql_as a2 "select k2k_fleet.renew('h2', $epoch, 100000, 100, false)" || fail "a lease of 100 ms"
	# alive, it is not taken, with the right token or with an old one
	take() { sql_as a2 "select k2k_fleet.take('h2', $epoch, 'h1', '$1')" || fail "$out"; }
	token=$(sql "select token from k2k_fleet.host where name = 'h1'")
	take "$token"; is "$out" f
	until_true 60 eval '[[ $(sql "select token from k2k_fleet.host where name = '"'h1'"'") != "$token" ]]'
	end_agent 1 KILL
	# of a lease of 4 s, in its margin of 1 s it is not
	taken_after() {
		sql "update k2k_fleet.host set renewed_at = clock_timestamp() - interval '$1' where name = 'h1';
			set session authorization a2; select k2k_fleet.take('h2', $epoch, 'h1', '$2')"
	}
	is "$(taken_after '4.2 s' "$(sql "select token from k2k_fleet.host where name = 'h1'")")" f
	is "$(taken_after '6 s' "$token")" f
	# after the database was replaced, nothing is taken or granted for as long as a lease may be unknown
	token=$(sql "select token from k2k_fleet.host where name = 'h1'")
	sql "update k2k_fleet.database_seen set epoch = 'another'"
	take "$token"; is "$out" f
	is "$(sql "select epoch = k2k_fleet.database_epoch() and since > now() - interval '1 hour' from k2k_fleet.database_seen")" t
	sql "update k2k_fleet.database_seen set since = now() + interval '1 hour'" # this machine may be slow
	sql "update k2k_fleet.fleet_limit set total = 100000, short_at = null where kind = 'rate'"
	draw() { sql_as a2 "select amount from k2k_fleet.draw_shares('h2', $epoch, $1, '{$generation}', '{rate}', '{$(share 2 rate)}', '{500}', '{1}')" || fail "$out"; }
	before=$(share 2 rate); draw 100001; is "$(share 2 rate)" "$before"
	sql "update k2k_fleet.database_seen set since = now() - interval '1 minute'"
	draw 100001; is "$(share 2 rate)" "$before" # repeated
	draw 100002; (($(share 2 rate) > before)) || fail "nothing was drawn"
	take "$token"; is "$out" t
	is "$(share 1 rate) $(share 1 kernels)" "0 $(share 1 kernels)"
	take "$token"; is "$out" f
	sql_as a1 "select k2k_fleet.renew('h1', $(($(epoch 1) - 1)), 100000, 1000, false)" && fail "the lease that was taken was renewed"
	has "$out" "its shares were taken"
	agent 1 --lease 20s
	until_true 60 eval '(($(share 1 rate) > 0 && $(in_force_on 1 rate) > 0))'
	# an agent that comes with a shorter lease: what was under the longer one ends before others hear of the new one
	end_agent 1 KILL
	(($(in_force_on 1 rate) > 0)) || fail "the lease of 20 s is over"
	sql "create function wait_for_us() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock(1); return new; end';
		create trigger wait_for_us before update of token on k2k_fleet.host for each row execute function wait_for_us()"
	hold "select pg_advisory_xact_lock(1)"
	agent 1 --lease 4s --timeout 60s
	until_true 60 waits_in renew
	is "$(in_force_on 1 rate)" 0
	let_go
	until_true 60 eval '(($(in_force_on 1 rate) > 0))'
	ends_within 1 3600000000
}

# The registry takes the time of a lease without an audit, but no rate.
cli_fleet_rate_that_cannot_be_set_is_not_in_force() {
	local before follower
	follow() {
		"$K2K_AUDITD" -r "$(registry 1)" --stdout >/dev/null 2>&1 &
		follower=$!
		brokers+=("$follower"); disown "$follower"
	}
	[[ -x ${K2K_AUDITD-} ]] || skip "k2k-auditd is not built"
	fleet
	"$TOOL" -r "$(registry 1)" init --max-tenants 16 --require-audit -q || fail "init"
	follow
	agent 1 --lease 4s
	apply '{id: 42, rate: 200/s/fleet}'
	until_true 60 eval '(($(in_force_on 1 rate) > 0)) 2>/dev/null'
	end_agent 1 KILL
	kill -KILL "$follower"
	until_true 60 eval '! "$TOOL" -r "$(registry 1)" --timeout 100ms update 42 --kernels 3 -q 2>/dev/null'
	# its shares were taken; the next agent has to set them to 0, and can't
	sql "select k2k_fleet.end_lease('h1')" >/dev/null
	agent 1 --lease 4s --timeout 1s
	until_true 60 says 1 "its rate can't be set"
	before=$(sql "select seq from k2k_fleet.host where name = 'h1'")
	until_true 60 eval '(($(sql "select seq from k2k_fleet.host where name = '"'h1'"'") > before + 2))'
	is "$(in_force_on 1 rate)" 0
	follow
	until_true 60 eval '(($(in_force_on 1 rate) > 0 && $(in_force_on 1 rate) == $(share 1 rate)))'
}

cli_fleet_clock_that_stands_still_in_a_pause_is_told() {
	local name source=/sys/devices/system/clocksource/clocksource0/current_clocksource
	unshare --mount true 2>/dev/null || skip "no namespaces of mounts are to be had here"
	host 1
	for name in kvm-clock hyperv_clocksource_tsc_page hyperv_clocksource_msr tsc; do
		echo "$name" >"$DIR/source"
		# shellcheck disable=SC2016
		unshare --mount sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$DIR/source" $source \
			"$FLEETD" -r "$(registry 1)" -d "host=$DIR/none" --host h1 --once 2>"$DIR/err"; is $? 10
		if [[ $name == tsc ]]; then
			lacks "$(<"$DIR/err")" "stands still"
		else
			has "$(<"$DIR/err")" "warning: the clock of this machine ($name) stands still while the machine is paused"
		fi
	done
}

cli_fleet_limits_refuse_what_makes_no_sense() {
	local text
	fleet
	refused() { # ENTRY TEXT
		printf 'version: 1\ntenants:\n  - %s\n' "$1" >"$DIR/document.yaml"
		fleetctl 2 apply -f "$DIR/document.yaml"; has "$err" "$2"
	}
	refused '{id: 42, rate: 5/min/fleet}' "a rate over a fleet counts in each second"
	refused '{id: 42, rate: 5/s/fleet, burst: 10}' "a rate over a fleet counts in each second"
	refused '{id: 42, rate: unlimited/fleet}' "what is unlimited"
	refused '{id: 42, kernels: unlimited/fleet}' "what is unlimited"
	refused '{id: 42, rate: 5/s, alone: 1/s}' "alone is of a rate over a fleet"
	refused '{id: 42, kernels: x/fleet}' "line 3"
	refused '{id: 42, rate: 5/s/fleet, alone: 1/min}' "line 3"
	printf 'version: 1\ntenants:\n  - {id: 42, kernels: 5/fleet}\n' >"$DIR/document.yaml"
	host 1
	ctl 2 -r "$(registry 1)" apply -f "$DIR/document.yaml"; has "$err" "only documents of k2k-fleetctl"
	"$FLEETD" --lease 100ms --once 2>"$DIR/err"; is $? 2
	has "$(<"$DIR/err")" "1s to 20s"
	sql_as admin "select k2k_fleet.change(0, '{42}', '{x}', limit_tenants => '{43}', limit_kinds => '{rate}', limit_totals => '{1}', limit_alones => '{0}')" &&
		fail "a limit without its tenant"
	has "$out" "without the definition of its tenant"
}

run_tests "$@"
