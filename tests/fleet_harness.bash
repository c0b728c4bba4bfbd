# SPDX-License-Identifier: LGPL-2.1-or-later
# What the tests of k2k-fleetctl and k2k-fleetd use besides cli_harness.bash: a PostgreSQL of their
# own in $DIR, and hosts, which are registries of this machine.

# shellcheck disable=SC2154
FLEETCTL=$K2K_FLEETCTL FLEETD=$K2K_FLEETD
unset K2K_FLEET PGHOST PGPORT PGUSER PGDATABASE PGSERVICE PGPASSWORD PGPASSFILE PGOPTIONS
PG=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)

# start_server: starts it, with its socket in $DIR, and waits until it answers.
start_server() {
	"${as_server[@]}" "$PG/postgres" -D "$DIR/data" -k "$DIR" -c listen_addresses= -c fsync=off \
		-c full_page_writes=off -c max_connections=20 -c shared_buffers=16MB -c dynamic_shared_memory_type=mmap >>"$DIR/server.log" 2>&1 &
	server_pid=$!
	disown "$server_pid"
	until_true 60 "$PG/pg_isready" -q -h "$DIR"
}
# An immediate shutdown: after SIGKILL the server's System V segment would stay.
stop_server() {
	[[ -n ${server_pid-} ]] || return 0
	kill -CONT "$server_pid" 2>/dev/null
	kill -QUIT "$server_pid" 2>/dev/null
	while kill -0 "$server_pid" 2>/dev/null; do sleep 0.05; done
}
# kill_server: SIGKILL of the postmaster; its children end by themselves.
kill_server() {
	local children
	children=$(pgrep -P "$server_pid")
	kill -KILL "$server_pid"
	# shellcheck disable=SC2086
	until_true 60 eval "! kill -0 $server_pid 2>/dev/null && ! kill -0 ${children//$'\n'/ } 2>/dev/null"
}

eval "$(declare -f clean_up | sed '1s/clean_up/clean_up_rest/')"
clean_up() {
	stop_server
	clean_up_rest
}

# own TEXT...: these files belong to the server's user
own() { ((EUID)) || chown -R "$server_user:$server_group" "$@"; }

# make_fleet: a database with a fleet, with the hosts h1 and h2 and the roles of an administrator
# and of three agents, in the directory $1, which has no server then.
make_fleet() {
	mkdir "$DIR/data"
	own "$DIR/data"
	"${as_server[@]}" "$PG/initdb" -D "$DIR/data" -U boss -A trust -E UTF8 --locale=C --no-sync --no-instructions --wal-segsize=1 \
		>"$DIR/initdb.log" 2>&1 || fail "initdb: $(tr '\n' ' ' <"$DIR/initdb.log" | tail -c 700)"
	printf '%s\n' 'local all boss trust' 'local all all scram-sha-256' >"$DIR/data/pg_hba.conf"
	start_server
	PGDATABASE=postgres sql "create database fleet"
	PGUSER=boss fleetctl 0 init
	sql "create role admin login password 'secret-admin'; grant k2k_fleet_admin to admin;
		create role a1 login password 'secret-a1'; grant k2k_fleet_agent to a1;
		create role a2 login password 'secret-a2'; grant k2k_fleet_agent to a2;
		create role a3 login password 'secret-a3'; grant k2k_fleet_agent to a3;
		select k2k_fleet.join_host('h1', 'a1'), k2k_fleet.join_host('h2', 'a2')" >/dev/null
	# a clean end, so that copies have nothing to recover
	kill -INT "$server_pid"
	while kill -0 "$server_pid" 2>/dev/null; do sleep 0.05; done
	mv "$DIR/data" "$1"
}

# fleet: a server with that database. Each test has a copy of $K2K_FLEET_DATABASE, or of one that the first test makes.
fleet() {
	[[ -n $PG && -x $PG/initdb ]] || skip "PostgreSQL's server is not installed"
	local made=${K2K_FLEET_DATABASE:-${TMPDIR:-/tmp}/k2k-fleet.$$}
	server_user=postgres
	as_server=()
	chmod 755 "$DIR"
	if ((EUID == 0)); then # the server refuses root
		id -u "$server_user" >/dev/null 2>&1 || server_user=nobody
		server_group=$(id -g "$server_user")
		as_server=(setpriv --reuid="$server_user" --regid="$server_group" --clear-groups)
		own "$DIR"
	fi
	export PGHOST=$DIR PGDATABASE=fleet PGPASSFILE=$DIR/pgpass
	printf '*:*:*:%s:secret-%s\n' admin admin a1 a1 a2 a2 a3 a3 >"$PGPASSFILE"
	chmod 600 "$PGPASSFILE"
	[[ -d $made ]] || make_fleet "$made"
	cp -a "$made" "$DIR/data"
	start_server
	export PGUSER=admin
}
trap 'rm -rf "${TMPDIR:-/tmp}/k2k-fleet.$$"' EXIT

# As in cli_harness.bash, but each look is a program or two: fewer of them.
until_true() {
	local end=$((SECONDS + $1)); shift
	until "$@"; do
		((SECONDS <= end)) || fail "not in time: $*"
		sleep 0.1
	done
}

# sql TEXT: as the superuser; the answer is printed, one row a line.
sql() { psql -U boss -qAtX -v ON_ERROR_STOP=1 -c "$1" || fail "sql: $1"; }
# sql_as ROLE TEXT: the answer, or the error, in $out; returns psql's code.
sql_as() { out=$(psql -U "$1" -qAtX -v ON_ERROR_STOP=1 -c "$2" 2>&1); }

# fleetctl CODE ARGUMENT...
fleetctl() {
	local want=$1 got; shift
	out=$("$FLEETCTL" --timeout 60s "$@" 2>"$DIR/err"); got=$?
	err=$(<"$DIR/err")
	[[ $got == "$want" ]] || fail "k2k-fleetctl $*: exit code $got, not $want; err: $err; out: $out"
}
# apply TEXT...: the entries of a document, which has these and no others
apply() {
	{ echo "version: 1"; echo "tenants:"; printf '  - %s\n' "$@"; echo "end: true"; } >"$DIR/document.yaml"
	(($#)) || printf 'version: 1\ntenants: []\nend: true\n' >"$DIR/document.yaml"
	fleetctl 0 apply -f "$DIR/document.yaml" --prune --max-prune 100% -y
}

# host N: makes the registry of host hN.
registry() { echo "$K2K_REGISTRY-$1"; }
host() { "$TOOL" -r "$(registry "$1")" init --max-tenants 16 --max-engagements 64 --max-budgets 32 -q || fail "init"; }
# agent N [OPTION...]: starts hN's agent, as agent_pid[N].
agent() {
	local n=$1; shift
	"$FLEETD" -r "$(registry "$n")" -d "user=a$n" --host "h$n" --poll 100ms --report 100ms --timeout 3s "$@" \
		>>"$DIR/agent$n.out" 2>>"$DIR/agent$n.err" &
	agent_pid[n]=$!
	brokers+=("${agent_pid[n]}")
	disown "${agent_pid[n]}"
}
end_agent() {
	kill "-$2" "${agent_pid[$1]}"
	until_true 60 eval "! kill -0 ${agent_pid[$1]} 2>/dev/null"
}
# once CODE N: one pass of hN's agent
once() {
	local want=$1 n=$2 got; shift 2
	"$FLEETD" -r "$(registry "$n")" -d "user=a$n" --host "h$n" --timeout 60s --once "$@" >"$DIR/out" 2>"$DIR/err"; got=$?
	err=$(<"$DIR/err")
	[[ $got == "$want" ]] || fail "k2k-fleetd --once of h$n: exit code $got, not $want; err: $err"
}
says() { grep -qF -- "$2" "$DIR/agent$1.err"; }

# use N LINE...: a broker of hN makes these calls, and ends.
use() {
	local n=$1; shift
	printf '%s\n' "$@" | "$BROKER" "$(registry "$n")" >"$DIR/use" || fail "broker of h$n"
	! grep -v K2K_OK "$DIR/use" || fail "broker of h$n: $*: $(<"$DIR/use")"
}
rate_of() { "$TOOL" -r "$(registry "$1")" show "$2" -J 2>/dev/null | jq -r '.tenants[0].quota.rate_per_sec'; }
has_rate() { [[ $(rate_of "$1" "$2") == "$3" ]]; }
is_gone() { "$TOOL" -r "$(registry "$1")" exists "$2" -q; [[ $? == 1 ]]; }
# bill TENANT: "ENGAGEMENT NS" of each engagement of all tenants of that id, by one line
bill() { sql "select engagement || ' ' || gpu_ns from k2k_fleet.bill where tenant = $1 order by fleet_gen, engagement" | tr '\n' ';'; }
has_bill() { [[ $(bill "$1") == "$2" ]]; }
messages() { sql "select coalesce(sum(messages), 0) from k2k_fleet.bill_tenant where tenant = $1"; }
