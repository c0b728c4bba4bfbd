# SPDX-License-Identifier: LGPL-2.1-or-later
# The exit codes of k2k-tenantctl, one function per code of its --help: all commands agree on what a code means. Other
# tests show what each command does.
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

# all CODE COMMAND...: each of these command lines ends with the code, and a failure prints why on standard error.
all() {
	local code=$1 command; shift
	for command; do
		# shellcheck disable=SC2086
		ctl "$code" $command
		((code < 2 || code == 9)) || has "$err" "k2k-tenantctl: "
	done
}

cli_exit_code_0_is_done_or_nothing_to_do() {
	init
	printf 'version: 1\ntenants: [{id: 42}]\n' >"$DIR/doc"
	all 0 "register 42" "register 42 --if-missing" "init --if-missing" "update 42 --rate 100000/s" "exists 42" "quota 42" "apply -f $DIR/doc" \
		"diff -f $DIR/doc" check repair "usage 42 7" "budget set 42 7 unlimited" leases kernels brokers "save $DIR/saved" "load $DIR/saved" version destroy
}

cli_exit_code_1_is_no() {
	init
	ctl 0 register 42 --rate 0/s -q
	printf 'version: 1\ntenants: [{id: 43}]\n' >"$DIR/doc"
	all 1 "exists 1" "quota 42" "quota 4711" "diff -f $DIR/doc" "exists 1 -q" "quota 42 -q"
}

cli_exit_code_2_is_usage_or_validation() {
	init
	ctl 0 register 42 -q
	printf 'version: 1\ntenants: [{id: 42, rate: 5}]\n' >"$DIR/doc"
	local before
	before=$("$TOOL" list -J)
	all 2 "" nonsense "list x" "show" "show -1" "show 18446744073709551616" "register 0" "update 42" "update 42 --rate 5" "update 42 --gpu-memory 5X" \
		"budget set 42 7 5" "budget" "audit nonsense" "quota 42 --count 0" "init --mode 8" "init --max-tenants 0" "apply" "apply -f $DIR/doc" \
		"diff -f $DIR/doc" "load $DIR/doc" "list --timeout 5x" "list -o xml" "-r a/b list" "stat 0s" "usage 42 7 --engagement 7" "metrics -J"
	is "$("$TOOL" list -J)" "$before"
}

cli_exit_code_3_is_no_such_tenant_or_budget() {
	init
	ctl 0 register 42 -q
	all 3 "show 1" "update 1 --rate 1/s" "update 1 --rate 1/s --dry-run" "deregister 1" "deregister 1 --dry-run" "budget set 1 7 1s" \
		"budget set 1 7 1s --dry-run" "budget unset 1 7" "budget unset 42 7" "budget unset 42 7 --dry-run" "budget list 1" "usage 1" "usage 1 7" "leases 1" "kernels 1"
}

cli_exit_code_4_is_exists_already() {
	init
	ctl 0 register 42 -q
	ctl 0 save "$DIR/saved" -q
	ctl 0 deregister 42 -q
	ctl 0 register 42 -q
	all 4 init "init --dry-run" "register 42" "register 42 --dry-run" "load $DIR/saved"
}

# Each table that an administrator can fill; budgets also fill the ledger. Only brokers fill the table of leases.
cli_exit_code_5_is_a_full_table_and_names_the_option_of_init() {
	ctl 0 init --max-tenants 2 --max-engagements 1 --max-budgets 3 -q
	ctl 0 register 1 -q
	all 5 "register 2 --budget 1=1s --budget 2=1s"
	has "$err" "init --max-engagements"
	ctl 0 register 2 -q
	all 5 "register 3"
	has "$err" "init --max-tenants"
	ctl 0 destroy -q
	ctl 0 init --max-tenants 2 --max-engagements 9 --max-budgets 1 -q
	ctl 0 register 1 --budget 1=1s -q
	all 5 "budget set 1 2 1s"
	has "$err" "init --max-budgets"
	all 5 "update 1 --budget 2=1s" "register 2 --budget 1=1s"
	has "$err" "init --max-budgets"
	ctl 0 check
}

cli_exit_code_6_is_no_usable_registry() {
	all 6 list info "register 1" "save $DIR/x"
	has "$err" "init"
	init
	local file=/dev/shm/k2k.$K2K_REGISTRY.defs command got
	# of another boot, from the view of a process
	echo 01234567-89ab-cdef-0123-456789abcdef >"$DIR/boot"
	if [[ $(id -u) == 0 ]] && unshare --mount mount --bind "$DIR/boot" /proc/sys/kernel/random/boot_id 2>/dev/null; then
		for command in list check "register 1"; do
			got=0
			# shellcheck disable=SC2016
			unshare --mount bash -c 'mount --bind "$1" /proc/sys/kernel/random/boot_id; shift; exec "$@"' - "$DIR/boot" "$TOOL" $command \
				>"$DIR/out" 2>"$DIR/err" || got=$?
			is "$got" 6
			has "$(<"$DIR/err")" "before the machine started"
		done
	fi
	ctl 0 list
	rm -f /dev/shm/k2k."$K2K_REGISTRY".*
	init
	printf '\377' | dd of="$file" bs=1 seek=8 conv=notrunc status=none
	all 6 list check
	has "$err" "layout"
	ctl 0 destroy -y -q
	init
	truncate -s 100 "$file"
	all 6 list check "register 1"
	rm -f /dev/shm/k2k."$K2K_REGISTRY".*
	# destroyed while a process follows it
	init
	"$TOOL" stat 10ms >"$DIR/stat" 2>"$DIR/stat.err" &
	local pid=$!
	brokers+=("$pid")
	until_true 60 test -s "$DIR/stat"
	ctl 0 destroy -q
	local got=0
	wait "$pid" || got=$?
	is "$got" 6
}

# 7: tests/cli_rights.sh, as another user.

cli_exit_code_8_is_busy_and_names_who() {
	init
	attach 2>/dev/null
	all 8 destroy
	has "$err" "$broker_pid"
	exec {broker_in}>&-
	until_true 60 eval '! kill -0 "$broker_pid" 2>/dev/null'
	# a process that holds the writer's lock and is stopped
	attach 2>/dev/null
	say K2K_OK batch
	all 8 "register 1 --timeout 50ms" "repair --timeout 50ms" "save $DIR/saved --timeout 50ms" "destroy -y --timeout 50ms"
	has "$err" "$broker_pid"
	ctl 0 list
}

cli_exit_code_9_is_some_of_several_failed() {
	init
	ctl 0 register 1 -q
	all 9 "show 1 2" "show 2 3" "deregister 2 3 --dry-run" "deregister 1 2"
	is "$(grep -c . <<<"$err")" 1
	all 9 "deregister 2 3"
	is "$(grep -c . <<<"$err")" 2
}

cli_exit_code_10_is_the_system_failed() {
	local command got
	init
	ctl 0 register 42 --preset unlimited -q
	printf 'version: 1\ntenants: [{id: 42}]\n' >"$DIR/doc"
	for command in list "list -J" "show 42" info check usage "brokers -J" export "audit stats" version --help metrics "diff -f $DIR/doc"; do
		got=0
		# shellcheck disable=SC2086
		"$TOOL" $command >/dev/full 2>"$DIR/err" || got=$?
		[[ $got == 10 ]] || fail "$command to a full device: $got"
		has "$(<"$DIR/err")" "standard output"
	done
	all 10 "apply -f $DIR/none" "load $DIR/none" "save $DIR/none/x" "save /dev/full/x"
}

run_tests "$@"
