# SPDX-License-Identifier: LGPL-2.1-or-later
# What the tests of k2k-tenantctl are made of. A test is a function cli_...;
#   bash cli_FILE.sh TOOL BROKER [TEST...]
# runs those named, else all, each in a process and with a registry name of its
# own, and removes what is left of it. Exit code 77: skipped.

TOOL=$1 BROKER=$2
shift 2
unset K2K_REGISTRY NO_COLOR POSIXLY_CORRECT
export LC_ALL=C TERM=xterm

# Says in which line of the test.
fail() {
	local i=0 text="$*"
	while ((i + 1 < ${#FUNCNAME[@]})) && [[ ${FUNCNAME[i]} != cli_* ]]; do i=$((i + 1)); done
	echo "# ${FUNCNAME[i]}: line ${BASH_LINENO[i - 1]}: ${text:0:1500}" >&2
	exit 1
}
# A misspelt check fails the test. Bash runs this in a process of its own.
command_not_found_handle() { kill -TERM "$test_pid"; fail "no command is named $1"; }
skip() { echo "# skipped: $*" >&2; exit 77; }
needs_terminals() { python3 -c 'import os; os.openpty()' 2>/dev/null || skip "no pseudo terminals are to be had here"; }

# ctl CODE ARGUMENT...: runs the tool, which has to end with CODE; its output is in $out and $err.
ctl() {
	local want=$1 got; shift
	out=$("$TOOL" "$@" 2>"$DIR/err"); got=$?
	err=$(<"$DIR/err")
	[[ $got == "$want" ]] || fail "k2k-tenantctl $*: exit code $got, not $want; err: $err; out: $out"
}
has() { [[ $1 == *"$2"* ]] || fail "'$2' is missing in: $1"; }
lacks() { [[ $1 != *"$2"* ]] || fail "'$2' is in: $1"; }
is() { [[ $1 == "$2" ]] || fail "'$1' is not '$2'"; }
# json FILTER VALUE: the last output is one JSON object, and the filter gives the value.
json() {
	local got
	got=$(jq -cer "$1" <<<"$out") || [[ $got == null || $got == false ]] || fail "jq $1: in $out"
	[[ $got == "$2" ]] || fail "jq $1: '$got' is not '$2'; in $out"
}
# lines FILTER VALUE: the last output, one JSON object a line, as an array
lines() { is "$(jq -sc "$1" <<<"$out")" "$2"; }
one_object() { is "$(jq -s 'length' <<<"$out")" 1; }
# An error with -J: an object on standard output, its message on standard error too.
error_object() {
	one_object
	json '.schema' k2k-tenantctl/1
	json '.error.name' "$1"
	has "$err" "$(jq -r .error.message <<<"$out")"
}

init() { ctl 0 init --max-tenants 16 --max-engagements 64 --max-budgets 32 --max-kernels 16 -q "$@"; }

# attach: starts a broker on the test's registry; say: lets it make a call, whose code it has to answer.
attach() {
	coproc "$BROKER" "$K2K_REGISTRY"
	broker_pid=$!
	brokers+=("$broker_pid")
	disown "$broker_pid"    # its end is no news
	broker_out=${COPROC[0]} broker_in=${COPROC[1]}
	local answer
	read -r -t 20 -u "$broker_out" answer && [[ $answer == K2K_OK ]] || fail "broker: $answer"
}
say() {
	local want=$1 answer; shift
	echo "$*" >&"$broker_in"
	read -r -t 20 -u "$broker_out" answer
	[[ $answer == "$want" ]] || fail "broker: $*: '$answer', not '$want'"
}
# until_true SECONDS COMMAND...
until_true() {
	local end=$((SECONDS + $1)); shift
	until "$@"; do
		((SECONDS <= end)) || fail "not in time: $*"
		sleep 0.02
	done
}
broker_state() { [[ $("$TOOL" brokers -J | jq -r '.brokers[0].state') == "$1" ]]; }

# live_word SECTION OFFSET VALUE: writes a word into live, as one who may write it can; the section by its number in the directory.
live_word() {
	python3 - "$K2K_REGISTRY" "$@" <<'EOF'
import glob, struct, sys
path = glob.glob("/dev/shm/k2k.%s.live.*" % sys.argv[1])[0]
kind, offset, value = (int(word, 0) for word in sys.argv[2:])
with open(path, "r+b") as live:
    header = live.read(1024)
    for i in range(16):
        found, stride, at, count = struct.unpack_from("<IIQQ", header, 104 + 24 * i)
        if found == kind:
            live.seek(at + offset)
            live.write(struct.pack("<Q", value))
EOF
}

clean_up() {
	local pid
	for pid in "${brokers[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	rm -rf "$DIR" /dev/shm/k2k."$K2K_REGISTRY"[.-]*
}

run_test() {
	(
		test_pid=$BASHPID
		export K2K_REGISTRY=cli-$test_pid
		brokers=()
		DIR=$(mktemp -d) || exit 1
		trap clean_up EXIT
		trap 'exit 1' INT TERM
		"$1"
	)
}

run_tests() {
	local test status failed=0 ran=0 skipped=0
	# shellcheck disable=SC2046
	(($#)) || set -- $(declare -F | sed -n 's/^declare -f \(cli_\)/\1/p')
	for test; do
		run_test "$test"; status=$?
		ran=$((ran + 1))
		case $status in
		0) echo "ok $test" ;;
		77) echo "ok $test # skip"; skipped=$((skipped + 1)) ;;
		*) echo "not ok $test"; failed=$((failed + 1)) ;;
		esac
	done
	((failed == 0)) || exit 1
	((ran > skipped)) || exit 77
	exit 0
}
