# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash source=tests/quickstart_harness.bash disable=SC2154
# scripts/quickstart, stopped at various points: nothing is left behind
. "$(dirname "${BASH_SOURCE[0]}")/quickstart_harness.bash"

# stopped_at TEXT SIGNAL CODE ARGUMENT...: as soon as it has printed TEXT
stopped_at() {
	local text=$1 signal=$2 code=$3 end=$((SECONDS + 60)); shift 3
	start "$@"
	until grep -q -e "$text" "$DIR/out" 2>/dev/null; do
		kill -0 "$pid" 2>/dev/null || fail "ended before '$text': $(<"$DIR/err")"
		((SECONDS < end)) || fail "no '$text' in time"
		sleep 0.02
	done
	kill -"$signal" "$pid"
	ends "$code"
	[[ $out != *"totals add up"* ]] || fail "it was not stopped: $out"
}

quickstart_interrupted_while_brokers_run_leaves_nothing_behind() {
	stopped_at "While they run" INT 130
	stopped_at "kill -KILL" INT 130
}

quickstart_interrupted_while_it_registers_leaves_nothing_behind() {
	stopped_at "== Register" INT 130
	stopped_at "== Create" TERM 143
	stopped_at "== Generate" HUP 129
}

quickstart_whose_reader_is_gone_leaves_nothing_behind() {
	mkdir -p "$DIR/tmp"
	local status
	status=$(TMPDIR=$DIR/tmp "$QUICKSTART" 2>&1 >/dev/full & wait $!; echo $? $!)
	pid_ran=${status##* }
	[[ $status != "0 "* ]] || fail "it wrote to a full device, and ended with 0"
	nothing_is_left
	(TMPDIR=$DIR/tmp "$QUICKSTART"; echo $? >"$DIR/status") 2>/dev/null | head -n 12 >/dev/null
	[[ $(<"$DIR/status") != 0 ]] || fail "its reader was gone, and it ended with 0"
	[[ -z $(ls -A "$DIR/tmp") ]] || fail "left as temporary files: $(ls -A "$DIR/tmp")"
}

run_tests "$@"
