# SPDX-License-Identifier: LGPL-2.1-or-later
# What the tests of k2k-auditd use besides cli_harness.bash: the program, keys, and lines.

# shellcheck disable=SC2154
AUDITD=$K2K_AUDITD

key() { (umask 077 && head -c 32 /dev/urandom >"$1"); }

# auditd CODE ARGUMENT...: runs the program to its end; it must exit with CODE.
auditd() {
	local want=$1 got; shift
	"$AUDITD" "$@" >"$DIR/out" 2>"$DIR/err"; got=$?
	out=$(<"$DIR/out") err=$(<"$DIR/err")
	[[ $got == "$want" ]] || fail "k2k-auditd $*: exit code $got, not $want; err: $err"
}
# start ARGUMENT...: runs it in the background, as $auditd_pid.
start() {
	: >"$DIR/auditd.err"
	"$AUDITD" "$@" >"$DIR/auditd.out" 2>"$DIR/auditd.err" &
	auditd_pid=$!
	brokers+=("$auditd_pid")
	disown "$auditd_pid"
}
# stop SIGNAL: sends the signal and waits until the program has ended.
stop() {
	kill "-$1" "$auditd_pid"
	until_true 60 eval '! kill -0 "$auditd_pid" 2>/dev/null'
}

# events N: makes N changes, each an event of the administrators' ring.
events() {
	local i
	for ((i = 0; i < $1; i++)); do
		ctl 0 update 1 --rate "$((RANDOM + 1))/s" --if-missing -q
	done
}
# sequences FILE...: prints the sequence numbers of the administrators' ring, in the order of the
# files.
sequences() { cat "$@" | jq -r 'select(.ring == 64) | .sequence' | tr '\n' ' '; }
numbers_to() { seq -s ' ' 1 "$1" | sed 's/$/ /'; }
lines_of() { grep -c . "$1"; }
has_kind() { grep -qF "\"kind\":\"$2\"" "$1"; }
says() { has "$(cat "$DIR/auditd.err")" "$1"; }
heard() { grep -qF -- "$1" "$DIR/auditd.err"; }
