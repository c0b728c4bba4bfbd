#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the database of which each test of a fleet has a copy.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/cli_harness.bash"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fleet_harness.bash"

cli_fleet_database_is_made() {
	rm -rf "$K2K_FLEET_DATABASE"
	fleet
	is "$(sql "select count(*) from k2k_fleet.host")" 2
}

run_tests "$@"
