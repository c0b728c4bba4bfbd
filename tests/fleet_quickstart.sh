#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# scripts/fleet-quickstart: the demonstration, and what it needs; what scripts/fleet-test needs

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/cli_harness.bash"
script=$(dirname "$0")/../scripts/fleet-quickstart

cli_fleet_quickstart_shows_that_the_budget_and_the_bill_hold() {
	local status=0 before
	((EUID == 0)) || skip "it needs root"
	compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || skip "PostgreSQL's server is not installed"
	unshare --mount --net --pid --fork true 2>/dev/null || skip "no namespaces are to be had here"
	command -v ip >/dev/null || skip "iproute2 is not installed"
	chmod 755 "$DIR" # the server has another user
	before=$(compgen -G '/dev/shm/PostgreSQL.*')
	out=$(TMPDIR=$DIR "$script" 2>"$DIR/err") || status=$?
	is "$(compgen -G '/dev/shm/PostgreSQL.*')" "$before"
	is "$status $(<"$DIR/err")" "0 "
	rm "$DIR/err"
	lacks "$(ip -o link)" "fleet: "
	is "$(ls "$DIR")" ""
	has "$out" "Host 3 is cut off"
	has "$out" "the lease of host 3 has ended, and its rate is 10/s"
	has "$(tail -n 1 <<<"$out")" " s = 20 s, and the bill says the same."
}

cli_fleet_quickstart_says_what_is_missing() {
	local status=0
	"$script" --fast 2>"$DIR/err"; is $? 2
	has "$(<"$DIR/err")" "--fast"
	out=$("$script" --help); has "$out" "usage: scripts/fleet-quickstart"
	((EUID == 0)) || return 0
	K2K_BIN_DIR=$DIR "$script" 2>"$DIR/err" || status=$?
	is $status 3
	is "$(wc -l <"$DIR/err")" 1
}

cli_fleet_test_says_what_is_missing() {
	local storm status=0
	storm=$(dirname "$script")/fleet-test
	"$storm" 2>"$DIR/err"; is $? 2
	has "$(<"$DIR/err")" "scripts/fleet-test --storm DURATION"
	"$storm" --storm 5x 2>"$DIR/err"; is $? 2
	has "$(<"$DIR/err")" "not a duration: 5x"
	"$storm" --storm 1 --seed -1 2>"$DIR/err"; is $? 2
	has "$(<"$DIR/err")" "not a number: -1"
	"$storm" --storm 2>"$DIR/err"; is $? 2
	has "$(<"$DIR/err")" "--storm needs a value"
	out=$("$storm" --help); has "$out" "Exit: 0 if nothing was found"
	((EUID == 0)) || return 0
	"$storm" --storm 1 --build "$DIR" 2>"$DIR/err" || status=$?
	is $status 3
	is "$(wc -l <"$DIR/err")" 1
}

run_tests "$@"
