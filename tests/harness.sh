#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   harness.sh PROGRAM SOURCE TEST
#
# What is said of tests that fail. PROGRAM was made of SOURCE, whose comments name the lines that must be named.
set -euo pipefail
PROGRAM=$1 SOURCE=$2
unset K2K_TEST_SKIP K2K_TEST_TIMEOUT CMOCKA_MESSAGE_OUTPUT CMOCKA_TEST_ABORT
fail() { echo "# $*: $out" >&2; exit 1; }

# run STATUS TEST: what it says is in $out
run() {
	local status=0
	out=$("$PROGRAM" "$2" 2>&1) || status=$?
	[[ $status == "$1" ]] || fail "$2 ended with $status, not $1"
}
has() { [[ $out == *"$1"* ]] || fail "'$1' is missing"; }
# The line of SOURCE with this comment is named.
names_line() { has "${SOURCE##*/}:$(grep -n "/\* $1 \*/" "$SOURCE" | cut -d: -f1): error"; }

harness_a_test_that_passes_is_ok() {
	run 0 passes
	has $'1..1\n'
	has 'ok 1 - passes'
}

harness_a_failure_is_reported_with_its_line() {
	run 1 fails
	names_line "the test's line"
	has 'not ok 1 - fails'
	run 1 fails_in_the_upper_half
	names_line "the upper half's line"
	has '0x100000007 != 0x7'
}

harness_a_failure_in_a_thread_is_reported_with_its_line() {
	run 1 fails_in_a_thread
	names_line "the thread's line"
	has 'not ok 1 - fails_in_a_thread'
}

harness_a_failure_in_a_child_is_reported_with_its_line() {
	run 1 fails_in_a_child
	names_line "the child's line"
	has '"a" != "b"'
	names_line "the parent's line"
	has 'not ok 1 - fails_in_a_child'
	run 1 fails_in_a_child_that_is_killed_later
	names_line "the killed child's line"
	names_line "the killer's line"
	has 'number 4711'
	has 'not ok 1 - fails_in_a_child_that_is_killed_later'
}

harness_a_crash_is_reported() {
	run 1 crashes
	has 'not ok 1 - crashes'
	has 'wait status'
	run 1 exits
	has 'wait status 0x300'
}

harness_a_hang_ends_and_nothing_of_it_is_left() {
	local path
	run 1 hangs
	has 'not ok 1 - hangs'
	has 'its time was over'
	path=$(grep -o '/tmp/k2k-test-[0-9]*' <<<"$out" | head -n 1)
	[[ -n $path && ! -e $path ]] || fail "the directory is left"
	! compgen -G "/dev/shm/k2k.test-${path##*-}-*" || fail "a name is left"
	for pid in $(grep -o 'processes .*' <<<"$out" | grep -o '[1-9][0-9]*'); do
		[[ ! -e /proc/$pid ]] || [[ $(</proc/"$pid"/stat) == *') Z '* ]] || fail "process $pid is left"
	done
}

harness_a_skip_is_a_skip() {
	run 77 skips
	has 'no reason'
	has '# SKIP skips'
	run 1 skips_in_a_child
	export K2K_TEST_SKIP=$'other\n\tcrashes exits'
	run 77 crashes
	has '# SKIP crashes'
	# a name that is part of another is not that one
	export K2K_TEST_SKIP='passes_not not_passes'
	run 0 passes
	has 'ok 1 - passes'
}

harness_a_test_that_is_not_there_is_a_failure() {
	run 1 nothing_of_this_name
}

"$3"
