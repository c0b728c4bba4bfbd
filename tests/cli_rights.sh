# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: missing rights, and a /dev/shm that is too small
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

# as_nobody CODE ARGUMENT...: like ctl, but as a user without any rights, in the group $gid if it is set
as_nobody() {
	local want=$1 got; shift
	out=$(setpriv --reuid 65534 --regid "${gid:-65534}" --clear-groups "$DIR/tool" "$@" 2>"$DIR/err"); got=$?
	err=$(<"$DIR/err")
	[[ $got == "$want" ]] || fail "as nobody: k2k-tenantctl $*: exit code $got, not $want; err: $err; out: $out"
}
need_root() {
	[[ $(id -u) == 0 ]] || skip "not root"
	command -v setpriv >/dev/null || skip "no setpriv"
	# copy the tool and the library: others may be unable to read the build directory
	local library
	chmod 755 "$DIR"
	cp "$TOOL" "$DIR/tool"
	library=$(ldd "$TOOL" | awk '/libk2k-registry/ { print $3 }')
	[[ -z $library ]] || cp -L "$library" "$DIR/"
	export LD_LIBRARY_PATH=$DIR
}

cli_strangers_get_7_and_change_nothing() {
	local command
	need_root
	init
	ctl 0 register 42 -q
	for command in list info check repair destroy "destroy -y" "register 1" "update 42 --rate 1/s" "deregister 42" "budget set 42 7 1s" \
		"show 42" "exists 42" usage "quota 42" brokers leases kernels; do
		as_nobody 7 $command
		has "$err" "k2k-tenantctl: "
		is "$out" ""
		as_nobody 7 $command -J
		one_object
		json '.error.name|test("K2K_EPERM|K2K_EOWNER")' true
	done
	ctl 0 show 42 -J
	json .tenants[0].quota.rate_per_sec 100000
	ctl 0 check
}

cli_the_group_reads_but_does_not_administer() {
	local command
	need_root
	init --group 12345
	ctl 0 register 42 -q
	gid=12345
	for command in list info check "show 42" "exists 42" usage "quota 42" brokers leases kernels "budget list" "deregister 42 --dry-run"; do
		as_nobody 0 $command -J
		one_object
	done
	for command in repair "register 1" "update 42 --rate 1/s" "deregister 42" "budget set 42 7 1s" "budget unset 42 7" "destroy -y"; do
		as_nobody 7 $command
		has "$err" "only root and the registry's owner root may change it; its group may read it"
		lacks "$err" "member of its group"
	done
	ctl 0 exists 42
}

cli_a_registry_of_another_user_is_opened_if_its_owner_is_named() {
	need_root
	as_nobody 0 init --max-tenants 16 -q
	as_nobody 0 register 42 -q
	ctl 7 list
	has "$err" "--owner $(getent passwd 65534 | cut -d : -f 1) trusts this one"
	ctl 0 list --owner 65534 -J
	json .tenants[0].id 42
	ctl 0 --owner "$(getent passwd 65534 | cut -d : -f 1)" register 43 -q
	ctl 7 list --owner 65533
	has "$err" "--owner names another user"
	ctl 2 list --owner no-such-user-here
	has "$err" "no such user"
	ctl 7 destroy
	ctl 0 destroy --owner 65534
}

cli_a_read_only_file_system_is_reported_as_such() {
	need_root
	unshare -m true 2>/dev/null || skip "no mount namespaces"
	init
	unshare -m bash -c 'mount --bind /dev/shm /dev/shm && mount -o remount,bind,ro /dev/shm || exit 77
		"$1" list -q || exit 1
		"$1" register 1 2>"$2/err"; echo $? >"$2/code"' - "$TOOL" "$DIR" || skip "it can't be made read-only"
	is "$(<"$DIR/code")" 7
	has "$(<"$DIR/err")" "mounted read-only"
	lacks "$(<"$DIR/err")" "member of its group"
}

cli_observers_need_read_rights_only() {
	need_root
	init --mode 0664
	ctl 0 register 42 -q
	as_nobody 0 show 42 -J
	json .tenants[0].id 42
	as_nobody 0 check -J
	json .clean true
	as_nobody 7 register 43
}

cli_a_dev_shm_that_is_too_small_is_10_with_the_bytes() {
	[[ $(id -u) == 0 ]] || skip "not root"
	unshare -m true 2>/dev/null || skip "no mount namespaces"
	cat >"$DIR/inside" <<-'END'
		mount -t tmpfs -o size=256k tmpfs /dev/shm || exit 77
		"$1" init --plan -J >"$2/plan" || exit 1
		"$1" init -J >"$2/out" 2>"$2/err"; echo $? >"$2/code"
		ls -A /dev/shm >"$2/left"
		"$1" init --dry-run >"$2/dry" 2>&1; echo $? >>"$2/code"
	END
	unshare -m bash "$DIR/inside" "$TOOL" "$DIR" || skip "no tmpfs"
	is "$(paste -sd' ' "$DIR/code")" "10 10"
	out=$(<"$DIR/out") err=$(<"$DIR/err")
	error_object K2K_ENOMEM
	has "$err" "--plan"
	is "$(<"$DIR/left")" ""
	out=$(<"$DIR/plan")
	json '(.total_bytes|tonumber) > (.shm_free_bytes|tonumber)' true
}

run_tests "$@"
