#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   fuzz_run.sh FUZZER SECONDS [CORPUS [CRASHES]]
#
# Runs one fuzzer for so long, from the seeds that it makes or that are here, and from CORPUS, which grows (a new one
# unless given). Says how many inputs it tried and how much of the code they reached. What crashes is kept in CRASHES
# (beside the fuzzer unless given). Exit: 0 where nothing did.
set -uo pipefail
export LC_ALL=C
fuzzer=$1 seconds=$2 name=${1##*/}
crashes=${4:-$(dirname "$fuzzer")/crashes}
work=$(mktemp -d) || exit
pid=
cleanup() {
	[[ -z $pid ]] || kill "$pid" 2>/dev/null
	[[ -z $pid ]] || rm -f "/dev/shm/k2k.test-$pid-"*
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
corpus=${3:-$work/corpus}
mkdir -p "$corpus" "$crashes" "$work/seeds"

line=0
seed() {
	line=$((line + 1))
	# shellcheck disable=SC2059 # escapes are meant
	printf "$1" >"$work/seeds/$name-$line"
}
case $name in
fuzz_units)
	# the first byte: size, duration, rate, id, count, kernels, mode, budget, a number to print
	for text in '\0002G' '\0001.5KiB' '\00016EiB' '\0000.5EB' '\0011h30m' '\001250ms' '\0011.5s' '\0010' '\0025k/s' '\0026000/min' \
		'\0020' '\00342' '\0030xff' '\00318446744073709551615' '\004100' '\00516' '\0060640' '\0077=1h' '\0070x1=1d2h' \
		'\000unlimited' '\001unlimited' '\002unlimited' '\005unlimited' '\007=1' '\010abcdefgh'; do
		seed "$text"
	done ;;
fuzz_line)
	for text in '{"kernel":"add","name":"a","tenant":42,"org":1,"engagement":7}' '{"kernel":"remove","name":"G0000/client"}' \
		' { "send" : "a" ,\t"to":"b","org":2,"engagement": "8" , "gpu_ns":9 } ' '{"stats":true}\r\n\n{"stats":false}' \
		'{"send":"\\\\u00e9\\\\"","to":"\303\251"}' '{"to":"b","to":"c"}' '{"name":[{"a":1}]}'; do
		seed "\001$text"
		seed "\377$text\n$text"
	done ;;
esac

# comparisons of single values guide well where texts are parsed; images have too many
values=1
[[ $name != fuzz_registry ]] || values=0

# json-c and the library keep some bytes for the process's life; short traces and a small quarantine cost less
ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:malloc_context_size=8:quarantine_size_mb=8} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1} K2K_FUZZ_SEEDS=$work/seeds \
	"$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 -print_final_stats=1 -use_value_profile=$values \
	-artifact_prefix="$crashes/$name-" "$corpus" "$work/seeds" >"$work/log" 2>&1 &
pid=$!
wait "$pid"
status=$?

done=$(grep -E '^#[0-9]+' "$work/log" | tail -n 1)
printf '%s: %s executions, %s a second, cov %s, ft %s\n' "$name" \
	"$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")" "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$work/log")" \
	"$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' <<<"$done")" "$(sed -n 's/.* ft: \([0-9]*\) .*/\1/p' <<<"$done")"
if ((status != 0)); then
	grep -vE '^#[0-9]+' "$work/log" | tail -n 80
	exit 1
fi
