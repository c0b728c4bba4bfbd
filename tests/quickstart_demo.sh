# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash source=tests/quickstart_harness.bash disable=SC2154
# scripts/quickstart without a file: the demonstration, and the options
. "$(dirname "${BASH_SOURCE[0]}")/quickstart_harness.bash"

quickstart_shows_a_kill_and_totals_that_add_up() {
	run 0
	is "$err" ""
	has "$out" "no leases"
	has "$out" "While they run:"
	has "$out" "update 1 --rate 10/s"
	has "$out" "kill -KILL"
	has "$out" " dead "
	has "$out" "4000  in the trace"
	has "$out" "is clean"
	has "$out" "Nothing is left"
	has "$(tail -n 1 <<<"$out")" "totals add up: 4000 requests = "
}

quickstart_spreads_the_generated_requests_over_five_brokers_too() {
	cd / || exit 1
	run 0 --spread --brokers 5 --seed 7
	has "$out" "seed 7"
	has "$(tail -n 1 <<<"$out")" "totals add up: 4000 requests = "
}

quickstart_refuses_wrong_options_before_it_does_anything() {
	local options
	for options in --fast --seed --seed=x --seed=-1 --seed=1.5 --brokers=0 --brokers=65 --brokers=1 --trace= file \
		"--trace /nonexistent" "--trace /" "--brokers 1000000000000000000000"; do
		# shellcheck disable=SC2086
		run 2 $options
		is "$out" ""
		[[ $err == quickstart:\ * || $err == replay-trace:\ * ]] || fail "it says: $err"
	done
}

quickstart_explains_itself() {
	run 0 --help
	has "$out" "usage: scripts/quickstart"
	has "$out" "--trace FILE"
	is "$err" ""
}

run_tests "$@"
