# SPDX-License-Identifier: LGPL-2.1-or-later
# The recipes of scripts/packaging/README.md: a reboot, by the commands of the units in the folder UNITS, and a move into a
# larger registry
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

# unit NAME Start|Stop: runs the commands of the unit as systemd would; each must succeed.
unit() {
	local command count=0
	while read -r command; do
		command=${command//@CMAKE_INSTALL_FULL_BINDIR@/$DIR}
		command=${command//--group k2k/}
		K2K_SAVED=$DIR/saved.json K2K_INIT_OPTIONS=$sizes bash -c "$command" >"$DIR/out" 2>&1 ||
			fail "$1: $command: ended with $?: $(<"$DIR/out")"
		count=$((count + 1))
	done < <(sed -n "s/^Exec$2=//p" "$UNITS/$1.service.in")
	((count > 0)) || fail "$1 has no Exec$2"
}
leave() {
	exec {broker_in}>&-
	until_true 60 eval '! kill -0 "$broker_pid" 2>/dev/null'
}
lived() { # GENERATION ADMITTED GPU-TIME: as JSON; the earlier totals are there, and go on
	attach
	say K2K_EBUDGET admit 42 7 1
	say K2K_OK admit 42 8 1
	say K2K_OK track 42 8 1
	ctl 0 show 42 -J
	json '[.tenants[0]|.generation,.usage.admitted_total,.usage.gpu_ns_total]' "$1"
	ctl 0 check
	leave
}

cli_units_keep_a_registry_over_a_reboot() {
	local sizes="--max-tenants 8 --max-engagements 32"
	ln -s "$TOOL" "$DIR/k2k-tenantctl"
	unit k2k-registry@ Start
	unit k2k-registry-save@ Start
	ctl 0 register 42 --budget 7=1s -q
	attach
	say K2K_OK admit 42 7 5
	say K2K_OK track 42 7 1000000000
	leave
	unit k2k-registry-save@ Stop
	[[ $(stat -c %a "$DIR/saved.json") == 600 ]] || fail "others may read what was saved"
	rm /dev/shm/k2k."$K2K_REGISTRY".*
	unit k2k-registry@ Start
	unit k2k-registry-save@ Start
	lived '["1","6","1000000001"]'
	# a start without a reboot finds everything unchanged
	unit k2k-registry@ Start
	unit k2k-registry-save@ Start
	# into a larger registry, to which brokers attach again
	unit k2k-registry-save@ Stop
	ctl 0 destroy -q
	sizes="--max-tenants 1000 --max-engagements 5000"
	unit k2k-registry@ Start
	unit k2k-registry-save@ Start
	ctl 0 info -J
	json .tables.tenants.capacity 1000
	lived '["1","7","1000000002"]'
}

run_tests "$@"
