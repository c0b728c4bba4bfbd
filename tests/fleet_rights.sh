#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-fleetctl and k2k-fleetd: wrong input, and what those who may speak for one host can't do.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/cli_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fleet_harness.bash"

denied() {
	! sql_as "$1" "$2" || fail "$1 may: $2: $out"
	has "$out" "$3"
}

cli_fleet_agent_has_no_rights_on_tables() {
	local table
	fleet; host 1
	apply '{id: 42, rate: 5/s}'
	once 0 1
	for table in migration fleet definition host run registration total discrepancy problem budget chunk; do
		denied a1 "select * from k2k_fleet.$table" "permission denied"
		denied a1 "delete from k2k_fleet.$table" "permission denied"
	done
	denied a1 "update k2k_fleet.total set ns = 0" "permission denied"
	denied a1 "select * from k2k_fleet.bill" "permission denied"
	denied a1 "select k2k_fleet.change(1, '{42}', '{NULL}')" "permission denied"
	denied a1 "select k2k_fleet.join_host('h2', 'a1')" "permission denied"
	denied a1 "select k2k_fleet.speaks_for('h1', 1)" "permission denied"
	denied a1 "create table k2k_fleet.mine (a integer)" "permission denied"
	denied a1 "set role boss" "permission denied"
	# objects of its own don't come between
	sql "grant create on schema public to a1"
	sql_as a1 "create function public.now() returns timestamptz language sql as 'select null::timestamptz'" || fail "$out"
	once 0 1
	# nor may an administrator forge what hosts report
	denied admin "update k2k_fleet.total set ns = 0" "permission denied"
	denied admin "select k2k_fleet.report('h1', 1, 1, 1, '{}', '{}', '{}', '{}', '{}', '{}', '{}')" "permission denied"
	denied admin "delete from k2k_fleet.definition" "permission denied"
}

cli_fleet_agent_speaks_for_its_own_host_only() {
	local run
	fleet; host 1; host 2
	apply '{id: 42, preset: unlimited}'
	once 0 1
	once 0 2
	run=$(sql "select run from k2k_fleet.host where name = 'h2'")
	# the other host's name
	once 7 1 --host h2
	has "$err" 'host "h2" does not exist, or is not that of role "a1"'
	once 7 1 --host nobody
	has "$err" 'host "nobody" does not exist'
	denied a1 "select k2k_fleet.report('h2', 1, 1, 1, '{}', '{}', '{}', '{}', '{}', '{}', '{}')" 'is not that of role "a1"'
	# the other host's registry
	"$FLEETD" -r "$(registry 2)" -d user=a1 --host h1 --once 2>"$DIR/err"; is $? 7
	has "$(<"$DIR/err")" "run $run is that of another host"
	denied a1 "select k2k_fleet.hello('h1', '$run', gen_random_uuid(), 'x')" ""
	# a generation that was not planned
	denied a1 "select k2k_fleet.report('h1', 1, 1000, 1, '{99}', '{1}', '{1}', '{}', '{}', '{}', '{}')" "was not planned"
	# another machine under this host's name, while this one is there (this machine may be slow)
	sql "update k2k_fleet.host set seen_at = clock_timestamp() where name = 'h1'"
	denied a1 "select k2k_fleet.hello('h1', gen_random_uuid(), gen_random_uuid(), 'x')" "is in use by another machine"
	# two agents of one host: the later one speaks for it, and the first one ends
	agent 1
	until_true 60 says 1 "connected"
	once 0 1
	until_true 60 eval '! kill -0 "${agent_pid[1]}" 2>/dev/null'
	says 1 "another agent has replaced this one" || fail "$(<"$DIR/agent1.err")"
	is "$(sql "select count(*) from k2k_fleet.run")" 2
}

cli_fleet_errors_are_clear() {
	fleet; host 1
	# passwords
	fleetctl 2 -d 'user=admin password=x' list; has "$err" "a password here is seen by everybody"
	PGPASSFILE=/dev/null fleetctl 7 list; has "$err" "no password supplied"
	echo '*:*:*:*:wrong' >"$DIR/wrong"; chmod 600 "$DIR/wrong"
	PGPASSFILE=$DIR/wrong fleetctl 7 list; has "$err" 'password authentication failed for user "admin"'
	PGPASSFILE=$DIR/wrong once 7 1; has "$err" "password authentication failed"
	PGUSER=nobody fleetctl 7 list
	# rights
	PGUSER=a1 fleetctl 7 list; has "$err" "permission denied"
	PGUSER=a1 fleetctl 7 init
	# databases
	PGDATABASE=none fleetctl 6 list; has "$err" 'database "none" does not exist'
	PGUSER=boss PGDATABASE=postgres fleetctl 6 list; has "$err" "'k2k-fleetctl init' makes one"
	PGHOST=$DIR/none fleetctl 10 list; has "$err" "No such file"
	PGHOST=$DIR/none fleetctl 10 list -J; json '.error.name' K2K_EIO
	# schemas
	PGUSER=boss fleetctl 0 init; has "$out" "nothing to do"; has "$err" "no synchronous standby: over a failover"
	fleetctl 0 budgets; has "$err" "no synchronous standby"
	fleetctl 0 shares; has "$err" "no synchronous standby"
	fleetctl 0 shares -q; is "$err" ""
	sql "insert into k2k_fleet.migration (number) values (5)"
	fleetctl 6 list; has "$err" "version 5, and this program needs version 4; use a later version"
	once 6 1; has "$err" "needs version 4"
	PGUSER=boss fleetctl 6 init
	sql "delete from k2k_fleet.migration where number = 5"
	# out of connections: a clear message, and nothing lost
	sql "alter role admin connection limit 0"
	fleetctl 8 list; has "$err" "too many connections"
	sql "alter role admin connection limit -1"
	# documents and words
	fleetctl 2 apply -f /dev/null
	fleetctl 2 aply; has "$err" "apply"
	fleetctl 2 join h3; has "$err" 'there is no role "h3"'
	fleetctl 2 --dry-run join h3; has "$err" 'there is no role "h3"'
	fleetctl 2 join 'h 3' --role a3; has "$err" "a host's name has letters, digits"
	fleetctl 0 --dry-run join h3 --role admin; has "$err" "before it is a member of k2k_fleet_agent"
	is "$(sql "select count(*) from k2k_fleet.host")" 2
	fleetctl 0 help apply; has "$out" "k2k-fleetctl"
	fleetctl 0 version -J; json '.schema' k2k-fleetctl/1
	# two who change at once: one is told, and nothing is half done
	apply '{id: 1, rate: 1/s}'
	sql_as admin "select k2k_fleet.change(0, '{2}', '{\"{}\"}')" && fail "an old version was taken"
	has "$out" "somebody else has changed definitions"
	sql_as admin "select k2k_fleet.change(1, '{2,3}', '{x,NULL}')" && fail "a missing tenant was removed"
	is "$(sql "select version from k2k_fleet.fleet")" 1
	is "$(sql "select count(*) from k2k_fleet.definition")" 1
}

run_tests "$@"
