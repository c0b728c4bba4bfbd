# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What the tests of scripts/quickstart are made of. A test is a function quickstart_...;
#   K2K_BIN_DIR=BUILD bash quickstart_FILE.sh [TEST...]
# runs those named, else all, each in a process and with a directory of its own.

QUICKSTART=$(cd "$(dirname "${BASH_SOURCE[0]}")/../scripts" && pwd)/quickstart
: "${K2K_BIN_DIR:?the directory of a build}"
export K2K_BIN_DIR LC_ALL=C
unset K2K_REGISTRY

fail() { printf '# %s: %s\n' "${FUNCNAME[1]}" "${*:0:3000}" >&2; exit 1; }
is() { [[ $1 == "$2" ]] || fail "'$1' is not '$2'; out: $out; err: $err"; }
has() { [[ $1 == *"$2"* ]] || fail "'$2' is missing in: $1"; }

# start ARGUMENT...: with SIGINT as a terminal's user has it, and with a directory for temporary files that only it uses
start() {
	mkdir -p "$DIR/tmp"
	: >"$DIR/out"       # what an earlier run printed is not taken for this one's
	TMPDIR=$DIR/tmp env --default-signal=INT "$QUICKSTART" "$@" >"$DIR/out" 2>"$DIR/err" </dev/null &
	pid=$!
}

# ends CODE: waits for it; nothing may be left behind. Its output is in $out and $err.
ends() {
	local got=0
	wait "$pid" || got=$?
	pid_ran=$pid pid=
	out=$(<"$DIR/out") err=$(<"$DIR/err")
	[[ $got == "$1" ]] || fail "exit code $got, not $1; out: $out; err: $err"
	nothing_is_left
}
run() { start "${@:2}"; ends "$1"; }

nothing_is_left() {
	local found
	found=$(compgen -G "/dev/shm/k2k.quickstart-$pid_ran-*"; compgen -G "/dev/shm/k2k.replay-trace-$pid_ran-*")
	[[ -z $found ]] || fail "left in /dev/shm: $found"
	found=$(ls -A "$DIR/tmp") || fail "its directory is gone"
	[[ -z $found ]] || fail "left as temporary files: $found"
	found=$(grep -Els "K2K_REGISTRY=(quickstart|replay-trace)-$pid_ran-" /proc/[0-9]*/environ)
	[[ -z $found ]] || fail "left as processes: $found: $(tr "\0" " " 2>/dev/null <"${found%%environ*}cmdline")"
}

# tool NAME: of the build, or of the directory of tools
tool() {
	local path
	for path in "$K2K_BIN_DIR/$1" "$K2K_BIN_DIR/tools/$1/$1"; do
		[[ ! -x $path ]] || { echo "$path"; return; }
	done
	fail "no $1 in $K2K_BIN_DIR"
}

# wrap_tool FILTER: runs the admin tool, but what list -J and usage -J print goes through FILTER, and is kept as $DIR/list and $DIR/usage.
wrap_tool() {
	mkdir -p "$DIR/bin"
	cat >"$DIR/bin/k2k-tenantctl" <<-END
		#!/bin/bash
		set -o pipefail
		case "\$*" in
		*-J\ list | *-J\ usage) '$(tool k2k-tenantctl)' "\$@" | $1 | tee '$DIR/'"\${*: -1}" ;;
		*) exec '$(tool k2k-tenantctl)' "\$@" ;;
		esac
	END
	chmod +x "$DIR/bin/k2k-tenantctl"
	ln -s "$(tool k2k-broker)" "$DIR/bin/k2k-broker"
	export K2K_BIN_DIR=$DIR/bin
}

run_test() {
	(
		DIR=$(mktemp -d) || exit 1
		pid='' out='' err=''
		trap '[[ -z $pid ]] || { kill -TERM "$pid"; wait "$pid"; } 2>/dev/null; rm -rf "$DIR"' EXIT
		trap 'exit 1' INT TERM
		"$1"
	)
}

run_tests() {
	local test failed=0
	# shellcheck disable=SC2046
	(($#)) || set -- $(declare -F | sed -n 's/^declare -f \(quickstart_\)/\1/p')
	for test; do
		if run_test "$test"; then
			echo "ok $test"
		else
			echo "not ok $test"
			failed=1
		fi
	done
	exit $failed
}
