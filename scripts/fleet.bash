# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What scripts/fleet-quickstart, fleet-test and fleet-scale have in common: a PostgreSQL and hosts on this machine.
# Sourced, with $here set to the folder of the scripts.
#
# Everything runs in namespaces of its own (processes, mounts, network, IPC): when the first of its processes ends, the
# kernel ends the others, and takes away the network and the shared memory. Only $dir is left to remove.

# shellcheck disable=SC2034,SC2154
checkout=${here%/*}
DEADLINE=60                          # seconds that any step may take before it counts as failed
host=() agent=() agent_options=() server_options=()

die() { echo "${0##*/}: ${*:2}" >&2; exit "$1"; }
# wait_for WHAT COMMAND...
wait_for() {
	local end=$((SECONDS + DEADLINE)) what=$1; shift
	until "$@"; do
		((SECONDS < end)) || die 1 "$what: not within $DEADLINE s"
		sleep 0.1
	done
}

# find_tool VARIABLE NAME DIRECTORY WHENCE
find_tool() {
	local path
	for path in "$3/$2" "$3/tools/$2/$2"; do
		[[ -x $path && -f $path ]] || continue
		printf -v "$1" %s "$(cd "${path%/*}" && pwd -P)/$2"
		return
	done
	die 3 "$3: there is no $2; $4"
}
find_tools() {
	find_tool CTL k2k-tenantctl "$@"
	find_tool FLEETCTL k2k-fleetctl "$@"
	find_tool FLEETD k2k-fleetd "$@"
	find_tool BROKER k2k-broker "$@"
}

# ---- namespaces ------------------------------------------------------------------------------------

need_namespaces() {
	((EUID == 0)) || die 3 "it needs root, for the namespaces of the hosts"
	server=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1) || true
	[[ -n $server && -x $server/initdb ]] || die 3 "PostgreSQL's server is missing: apt-get install postgresql-15"
	for word in psql ip unshare nsenter setpriv; do
		command -v "$word" >/dev/null || die 3 "$word is missing"
	done
	unshare --mount --net --ipc --pid --fork true 2>/dev/null || die 3 "no namespaces are to be had here"
}

# run_in_namespaces ARGUMENT...: this script again, with a directory of its own; there it calls enter_namespaces. Returns
# its exit status.
run_in_namespaces() {
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	trap 'exit 1' INT TERM HUP
	chmod 755 "$dir"
	unshare --mount --net --ipc --pid --fork --kill-child --mount-proc "$BASH" "$here/${0##*/}" --in-namespaces \
		"$dir" "$server" "$CTL" "$FLEETCTL" "$FLEETD" "$BROKER" "$@"
}
# enter_namespaces DIR SERVER CTL FLEETCTL FLEETD BROKER
enter_namespaces() {
	dir=$1 server=$2 CTL=$3 FLEETCTL=$4 FLEETD=$5 BROKER=$6
	unset K2K_FLEET PGPORT PGSERVICE PGPASSWORD PGPASSFILE PGOPTIONS
	export K2K_REGISTRY=demo LC_ALL=C
}

# ---- the database and the hosts ------------------------------------------------------------------

sql() { psql -qAtX -v ON_ERROR_STOP=1 -c "$1"; }

start_server() {
	# it is killed: nothing of it stays in /dev/shm
	"${as_server[@]}" "$server/postgres" -D "$dir/data" -k "$dir" -c listen_addresses=10.77.0.1 -c fsync=off \
		-c dynamic_shared_memory_type=mmap "${server_options[@]}" >>"$dir/log" 2>&1 &
	database=$!
	disown "$database"
}
start_database() {
	local user=postgres
	id -u "$user" >/dev/null 2>&1 || user=nobody
	ip link set lo up
	ip link add fleet type bridge
	ip addr add 10.77.0.1/24 dev fleet
	ip link set fleet up
	mkdir "$dir/data"
	chown "$user" "$dir" "$dir/data"
	as_server=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups)
	"${as_server[@]}" "$server/initdb" -D "$dir/data" -U boss -A trust -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 ||
		die 1 "initdb: $(tail -n 1 "$dir/log")"
	# nobody else is in this network
	echo 'host all all 10.77.0.0/24 trust' >>"$dir/data/pg_hba.conf"
	start_server
	export PGHOST=10.77.0.1 PGUSER=boss PGDATABASE=postgres
	wait_for "the database" "$server/pg_isready" -q
	sql "create database fleet"
	export PGDATABASE=fleet
}

# start_machine N: a network that a cable connects with the database's, and shared memory
start_machine() {
	local n=$1
	# shellcheck disable=SC2016
	unshare --mount --net sh -c 'mount -t tmpfs host /dev/shm && ip link set lo up && : >"$1" && exec sleep infinity' \
		sh "$dir/host-$n" &
	host[n]=$!
	wait_for "host $n" test -e "$dir/host-$n"
	ip link add "cable$n" type veth peer name net0 netns "${host[n]}"
	ip link set "cable$n" master fleet up
	on "$n" ip addr add "10.77.0.1$n/24" dev net0
	on "$n" ip link set net0 up
}
# start_host N: a machine with a registry, which belongs to the fleet, and its agent
start_host() {
	local n=$1
	start_machine "$n"
	on "$n" "$CTL" init -q --max-tenants 16 --max-engagements 64 --max-budgets 16 ||
		die 1 "host $n: no registry"
	sql "create role agent_$n login; grant k2k_fleet_agent to agent_$n"
	"$FLEETCTL" -q join "host-$n" --role "agent_$n"
	start_agent "$n"
}
on() { nsenter --target "${host[$1]}" --mount --net -- "${@:2}"; }
# with $agent_options
start_agent() {
	on "$1" env PGUSER="agent_$1" "$FLEETD" --host "host-$1" "${agent_options[@]}" >>"$dir/agent-$1" 2>&1 &
	agent[$1]=$!
	disown "${agent[$1]}"
}
