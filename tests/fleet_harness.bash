# SPDX-License-Identifier: LGPL-2.1-or-later
# What the tests of k2k-fleetctl and k2k-fleetd use besides cli_harness.bash: a PostgreSQL of their
# own in $DIR, and hosts, which are registries of this machine.

# shellcheck disable=SC2154
FLEETCTL=$K2K_FLEETCTL FLEETD=$K2K_FLEETD
unset K2K_FLEET PGHOST PGPORT PGUSER PGDATABASE PGSERVICE PGPASSWORD PGPASSFILE PGOPTIONS
PG=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)

# start_postgres DATA SOCKETS [OPTION...]: as server_pid; waits until it answers.
start_postgres() {
	local data=$1 sockets=$2; shift 2
	"${as_server[@]}" "$PG/postgres" -D "$data" -k "$sockets" -c listen_addresses= -c fsync=off -c full_page_writes=off \
		-c max_connections=20 -c shared_buffers=16MB -c dynamic_shared_memory_type=mmap "$@" >>"$DIR/server.log" 2>&1 &
	server_pid=$!
	servers+=("$server_pid")
	disown "$server_pid"
	until_true 60 "$PG/pg_isready" -q -h "$sockets"
}
start_server() { start_postgres "$DIR/data" "$DIR" "$@"; }
# An immediate shutdown of all: after SIGKILL the System V segment of a server would stay.
stop_servers() {
	local pid
	for pid in "${servers[@]}"; do
		kill -CONT "$pid" 2>/dev/null
		kill -QUIT "$pid" 2>/dev/null
		while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
	done
	servers=()
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
	stop_servers
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
	printf '%s\n' 'local all,replication boss trust' 'local all all scram-sha-256' >"$DIR/data/pg_hba.conf"
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
	servers=()
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

# hold STATEMENT: a transaction that is open until let_go
hold() {
	mkfifo "$DIR/hold"
	psql -U boss -qAtX -v ON_ERROR_STOP=1 <"$DIR/hold" >"$DIR/held" 2>&1 &
	brokers+=($!)
	disown $!
	exec {hold}>"$DIR/hold"
	echo "begin; $1; select 'held';" >&"$hold"
	until_true 60 grep -qx held "$DIR/held"
}
let_go() { echo "rollback;" >&"$hold"; }
# in_database CONDITION: h1's agents have a session of which that is so
in_database() { [[ $(sql "select count(*) > 0 from pg_stat_activity where usename = 'a1' and $1") == t ]]; }
waits_in() { in_database "wait_event_type = 'Lock' and query like '%k2k_fleet.$1(%'"; }

# ---- budgets ------------------------------------------------------------------------------------

ms() { echo $(($1 * 1000000)); }
# spend N COUNT MS: a broker of hN reserves and commits so often so much, as far as that is granted; how often is in $spent.
spend() {
	local i ns=$(($3 * 1000000))
	for ((i = 0; i < $2; i++)); do
		printf 'reserve 42 7 %d\ncommit %d\n' $ns $ns
	done | "$BROKER" "$(registry "$1")" >"$DIR/spend" || fail "broker of h$1"
	# the first line is that of the attachment
	spent=$(sed -n '2~2p' "$DIR/spend" | grep -c '^K2K_OK$')
}
# exactly N...: what these registries have booked, in ns
exactly() {
	local n sum=0
	for n; do
		sum=$((sum + $("$TOOL" -r "$(registry "$n")" usage 42 -J 2>/dev/null | jq '[.usage[]? | select(.engagement == "7") | .gpu_ns | tonumber] | add // 0')))
	done
	echo $sum
}
used_on() { echo $(($(exactly "$1") / 1000000)); } # in ms
budget_on() { "$TOOL" -r "$(registry "$1")" budget list 42 -J 2>/dev/null | jq '(.budgets[0]?.budget_ns // "0") | tonumber / 1000000'; }
# state COLUMN: of the budget, in ms
state() { sql "select trunc($1 / 1e6) from k2k_fleet.budget_state where tenant = 42"; }
# What is charged is the sum of what chunks are, and every chunk's use what was reported of it.
audit() {
	is "$(sql "select count(*) from k2k_fleet.budget b where charged <>
		(select coalesce(sum(case when closed then used else greatest(drawn, used) end), 0) from k2k_fleet.chunk c
			where (c.tenant, c.fleet_gen, c.engagement) = (b.tenant, b.fleet_gen, b.engagement))")" 0
	is "$(sql "select count(*) from k2k_fleet.chunk c join k2k_fleet.total t using (run, generation, engagement)
		where c.used <> t.ns - t.base_ns + t.corrected_ns - t.base_corrected_ns")" 0
	is "$(sql "select count(*) from k2k_fleet.budget b where hosts <> (select count(*) from k2k_fleet.chunk c
		where (c.tenant, c.fleet_gen, c.engagement) = (b.tenant, b.fleet_gen, b.engagement) and not c.closed)")" 0
}
# insist N COUNT MS: the same by one broker that asks again and again, until so many were granted. While it asks, its host
# keeps what it has drawn; one that begins a process for each attempt may return it in between.
insist() {
	local answer granted=0 refused=0 end=$((SECONDS + 150))
	coproc "$BROKER" "$(registry "$1")"
	local in=${COPROC[1]} from=${COPROC[0]} pid=$!
	brokers+=("$pid"); disown "$pid"
	read -r answer <&"$from"
	while ((granted < $2 || refused < ${4:-0})); do
		printf 'reserve 42 7 %d\n' $(($3 * 1000000)) >&"$in"
		read -r answer <&"$from"
		if [[ $answer == K2K_OK ]]; then
			printf 'commit %d\n' $(($3 * 1000000)) >&"$in"
			read -r answer <&"$from"
			granted=$((granted + 1)) refused=0
			((granted <= $2)) || fail "more was granted than there is"
		else
			refused=$((refused + 1))
			sleep 0.02
		fi
		((SECONDS < end)) || fail "$granted of $2: $(sql 'select * from k2k_fleet.chunk_state') $(tail -n 3 "$DIR"/agent*.err)"
	done
	kill -KILL "$pid"
}
# use_up TOTAL N MS HOST...: a broker of hN reserves and commits pieces of MS, until these hosts have used TOTAL ms; then
# nothing more is granted.
use_up() {
	local i n=$2 piece=$3 want=$1 granted=0; shift 3
	want=$(((want * 1000000 - $(exactly "$@")) / (piece * 1000000)))
	for i in 1 2 3 4; do # most of it by few processes
		spend "$n" $((want - granted)) "$piece"
		granted=$((granted + spent))
	done
	insist "$n" $((want - granted)) "$piece" 20
}

# begin_to_return: h1 has drawn half of a budget of 4 s; h2 has used the other half and wants more.
# h1's agent has taken its budget away, but returns it only when a broker there that is stopped goes on.
begin_to_return() {
	agent 1 --chunk 2s
	apply '{id: 42, preset: unlimited, budgets: {7: 4s/fleet}}'
	until_true 60 eval '[[ $(state drawn) == 2000 ]]'
	K2K_REGISTRY=$(registry 1) attach
	kill -STOP "$broker_pid"
	agent 2 --chunk 1s
	until_true 60 eval 'spend 2 100 20; [[ $(used_on 2) == 2000 ]]'
	until_true 60 eval 'spend 2 1 20; [[ $(budget_on 1) == 0 ]]'
}
