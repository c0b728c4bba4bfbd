#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-fleetctl completion: what it offers, from its help and from a real database, and that shells show it.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/cli_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fleet_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/completion_harness.bash"
completion_of "$FLEETCTL"

# It waits for the database for a second at most, and offers nothing if that answers later.
offers() { until_true 60 does_offer "$@"; } # CANDIDATES WORD...
does_offer() { offered "${@:2}"; [[ $out == "$1" ]]; }
shows() { until_true 60 does_show "$@"; } # SHELL CANDIDATES LINE
does_show() { "$1_shows" "$3"; [[ $(sort <<<"$out") == "$2" ]]; }

cli_fleet_completion_offers_what_help_shows_and_is_silent_without_a_database() {
	local command global
	export PGHOST=$DIR/none
	offers "$(first_words)" ''
	has "$out" problems
	global=$("$FLEETCTL" --help | help_options)
	for command in $(first_words); do
		offered "$command" --
		is "$(sort <<<"$out")" "$(sort -u <<<"$global"$'\n'"$("$FLEETCTL" "$command" --help | help_options)" | sed '/^$/d')"
	done
	offers $'table\njson\ncsv' hosts -o ''
	offers behind hosts --sort=b --columns b
	offers host,problems hosts --columns host,pro
	offers --sort=-version list --sort=-v
	offers :files apply -f ''
	offers $'bash\nzsh\nfish' completion ''
	offers forget help forg
	offers '' usage ''
	offers '' forget ''
	offers '' -d 'no = = string' forget ''
	offers '' join h3 --role ''
	offers '' frobnicate ''
	fleetctl 2 completion tcsh; has "$err" "bash, zsh or fish"
	fleetctl 2 completion bash zsh
	fleetctl 2 completion words; has "$err" "a word is missing"
}

cli_fleet_completion_offers_tenants_hosts_and_roles_of_the_database() {
	local shell began
	fleet
	apply '{id: 7, rate: 5/s}' '{id: 42, name: vision, rate: 5/s}' '{id: 421, name: speech, rate: 5/s}'
	apply '{id: 7, rate: 5/s}' '{id: 42, name: vision, rate: 5/s}'
	sql "select k2k_fleet.join_host('gpu/17', 'a3')" >/dev/null
	# bills of tenants that were removed are there
	offers $'7\n42\n421' usage ''
	offers $'42\n421' budgets --hosts 4
	fleetctl 0 completion words -- usage 42; has "$out" $'42\tvision'
	offers $'gpu/17\nh1\nh2' forget ''
	offers h2 forget --dry-run -y h2
	offers '' forget h1 ''
	offers $'gpu/17\nh1\nh2' join --role a1 ''
	offers $'a1\na2\na3' join h3 --role ''
	offers --role=a2 join h3 --role=a2
	fleetctl 0 completion words -- forget g; is "$out" $'gpu/17\trole a3'
	# the database that the line names, and else that of the environment
	offers '' -d dbname=postgres forget ''
	export K2K_FLEET='dbname=fleet user=admin'
	unset PGUSER PGDATABASE
	offers $'h1\nh2' forget h
	offers '' -d 'dbname=fleet user=nobody' forget h
	offers $'h1\nh2' -d 'dbname=fleet user=admin' forget h
	offers $'h1\nh2' --database='dbname=fleet user=admin' forget h
	# what a shell or a terminal would interpret is not offered, whatever the database says
	PGDATABASE=fleet sql 'create role "a1$(touch bad)" login; grant k2k_fleet_agent to "a1$(touch bad)"'
	PGDATABASE=fleet sql "update k2k_fleet.definition set doc = replace(doc, 'vision', E'vis\x1b[31m')"
	offers a1 join h3 --role a1
	fleetctl 0 completion words -- usage 42; is "$(head -n 1 <<<"$out")" 42
	for shell in bash fish zsh; do
		command -v $shell >/dev/null || continue
		shows $shell $'h1\nh2' "forget h"
		shows $shell $'42\n421' "budgets --hosts 42"
		${shell}_shows "hosts --output=j"
		is "${out##*=}" json
		${shell}_shows "pro"
		is "$out" problems
		[[ -z $($shell -n <("$FLEETCTL" completion $shell) 2>&1) ]] || fail "$shell does not take its script"
	done
	# a server that is stopped does not stop the shell
	kill -STOP "$server_pid"
	began=$SECONDS
	offers '' forget h
	((SECONDS - began < 30)) || fail "it waited $((SECONDS - began)) s"
	kill -CONT "$server_pid"
	offers $'h1\nh2' forget h
}

run_tests "$@"
