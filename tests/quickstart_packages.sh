# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash source=tests/quickstart_harness.bash disable=SC2154
# scripts/packages: what is missing is said, then installed
. "$(dirname "${BASH_SOURCE[0]}")/quickstart_harness.bash"

PACKAGES=${QUICKSTART%/*}/packages

# stand_in NAME SCRIPT: a program that stands in for the machine's; what is called goes to $DIR/calls
stand_in() {
	mkdir -p "$DIR/bin"
	printf '#!/bin/bash\necho "%s $*" >>"%s"\n%s\n' "$1" "$DIR/calls" "$2" >"$DIR/bin/$1"
	chmod +x "$DIR/bin/$1"
}

# need CODE NAME...
need_ends() {
	local got=0
	: >"$DIR/calls"
	out=$(PATH=$DIR/bin:$PATH bash -c 'set -euo pipefail; . "$1"; need "${@:2}"' need "$PACKAGES" "${@:2}" 2>"$DIR/err") || got=$?
	err=$(<"$DIR/err") calls=$(<"$DIR/calls")
	is "$got" "$1"
}

quickstart_packages_says_what_is_missing_and_installs_only_that() {
	stand_in dpkg-query '[[ $* != *k2k-missing* ]] && echo installed'
	stand_in apt-get :
	stand_in sudo '"$@"'
	need_ends 0 build run test k2k-missing k2k-missing-too k2k-missing
	has "$out" "Missing packages: k2k-missing k2k-missing-too"
	has "$calls" "apt-get -qq update"
	has "$calls" "install --no-install-recommends k2k-missing k2k-missing-too"
	need_ends 0 build run test
	is "$out$err" ""
	[[ $calls != *apt-get* ]] || fail "$calls"
}

quickstart_packages_fails_where_nothing_can_be_installed() {
	stand_in dpkg-query 'exit 1'
	stand_in apt-get 'exit 100'
	stand_in sudo '"$@"'
	need_ends 1 k2k-missing
	has "$err" "could not install k2k-missing"
}

run_tests "$@"
