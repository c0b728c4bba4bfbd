# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: init, info, check, repair, destroy, version
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

no_files() { is "$(find /dev/shm -name "k2k.$K2K_REGISTRY.*")" ""; }

cli_init_plan_says_how_many_bytes_and_creates_nothing() {
	ctl 0 init --plan -J --max-tenants 100
	one_object
	json .schema k2k-tenantctl/1
	json .max_tenants 100
	json .max_leases 400
	json '(.total_bytes|tonumber) == (.defs_bytes|tonumber) + (.live_bytes|tonumber)' true
	json '[.total_bytes,.shm_free_bytes,.memory_free_bytes]|map(type)|unique|join(" ")' string
	ctl 0 init --plan
	has "$out" total
	ctl 0 init --plan -o csv
	is "$(wc -l <<<"$out")" 2
	has "$out" "defs_bytes,live_bytes,total_bytes"
	no_files
	ctl 6 info
}

cli_init_creates_once() {
	ctl 0 init --max-tenants 16 -J
	one_object
	json .name "$K2K_REGISTRY"
	json .tables.tenants.capacity 16
	json .tables.leases.capacity 64
	json .tables.kernels '{"used":0,"retired":0,"capacity":16384}'
	json .live_mode 0660
	json .defs_mode 0640
	local uuid; uuid=$(jq -r .uuid <<<"$out")
	ctl 4 init
	has "$err" "--if-missing"
	ctl 4 init -J
	error_object K2K_EEXIST
	ctl 0 init --if-missing --max-tenants 32 -J
	json .uuid "$uuid"
	json .tables.tenants.capacity 16
	# differences from what was asked for are reported
	has "$err" "registry '$K2K_REGISTRY': exists already; its max_tenants is 16, not 32"
	json .differences '[{"field":"max_tenants","found":"16","asked":"32"}]'
	ctl 0 init --if-missing --max-tenants 16 --mode 0600 --group 4711 --audit-events 100 -J
	json '[.differences[]|.field+":"+.found+":"+.asked]|join(" ")' "max_audit_events:256:128 live_mode:0660:0600 owner_gid:$(id -g):4711"
	ctl 0 init --if-missing --max-tenants 16 --audit-events 200 -J
	json .differences '[]'
	is "$err" ""
	ctl 0 init --if-missing --max-tenants 17 -q
	is "$err" ""
}

cli_init_makes_places_for_as_many_brokers_as_asked_for() {
	ctl 0 init --plan -J --max-brokers 1
	json '[.max_brokers,.max_audit_events]' '[1,256]'
	ctl 0 init --plan -J --max-brokers 1024
	json '[.max_brokers,.max_audit_events]' '[1024,64]'
	ctl 2 init --max-brokers 1025
	has "$err" "from 1 to 1024"
	ctl 2 init --max-brokers 0
	ctl 0 init --max-brokers 2 --max-tenants 16 -q
	ctl 0 info -J
	json '[.max_brokers,.brokers]' '[2,0]'
	ctl 0 info
	has "$out" "0 of 2"
	ctl 0 init --if-missing --max-brokers 3 -J
	json .differences '[{"field":"max_brokers","found":"2","asked":"3"}]'
	ctl 0 audit tail -J
	has "$out" '"max_brokers":"2"'
	ctl 0 metrics
	has "$out" "k2k_broker_places{registry=\"$K2K_REGISTRY\"} 2"
}

cli_init_mode_and_group_are_those_of_live() {
	(umask 077; ctl 0 init --max-tenants 16 --mode 0664 --group 12345 -J) || exit 1
	ctl 0 info -J
	json .live_mode 0664
	json .defs_mode 0644
	json .owner_gid 12345
	is "$(stat -c %a-%g /dev/shm/k2k."$K2K_REGISTRY".live.*)" 664-12345
	is "$(stat -c %a-%g /dev/shm/k2k."$K2K_REGISTRY".defs)" 644-12345
}

cli_init_dry_run_changes_nothing() {
	ctl 0 init --dry-run -J
	json .dry_run true
	json .changes[0].action create
	no_files
	ctl 0 init --dry-run
	has "$out" "would create registry"
	ctl 2 init --dry-run --max-tenants x
	init
	ctl 4 init --dry-run
	ctl 0 init --dry-run --if-missing
	has "$out" "nothing"
}

cli_info_has_name_uuid_layout_sizes_and_how_full_the_tables_are() {
	init
	ctl 0 register 42 --budget 7=1s -q
	ctl 0 info -J
	one_object
	json .schema k2k-tenantctl/1
	json .registry "$K2K_REGISTRY"
	json .name "$K2K_REGISTRY"
	json '.uuid|length' 36
	json '.layout|type' number
	json '.created_at_ns|type' string
	json '(.created_at_ns|tonumber) > 1.6e18' true
	json '[.defs_bytes,.live_bytes]|map(type)|unique|join(" ")' string
	json .tables.tenants.used 1
	json .tables.budgets.used 1
	json .tables.budgets.capacity 32
	json .brokers 0
	json '[.owner,.group]' "[\"$(id -un)\",\"$(id -gn)\"]"
	ctl 0 info
	has "$out" "1 of 16 used"
	has "$out" "0 of 64"
	ctl 0 info -o csv
	is "$(wc -l <<<"$out")" 2
	has "$out" "name,uuid,layout,created_at_ns"
	has "$out" "tables.budgets.capacity"
}

cli_check_of_a_sound_registry_is_clean() {
	init
	ctl 0 register 42 --budget 7=1s -q
	ctl 0 check
	has "$out" clean
	ctl 0 check -J
	json .clean true
	json .findings '[]'
	ctl 0 check -o csv
	is "$out" "invariant,object,text"
}

cli_repair_says_what_it_did() {
	init
	ctl 0 repair -J
	one_object
	json .repaired.tenants 0
	json '.repaired|keys|join(" ")' "brokers budgets cut_gpu_ns cut_leases damaged engagements files leases tenants unattributed_ns"
	ctl 0 repair
	ctl 0 repair -o csv
	has "$out" "repaired.tenants,"
	attach
	kill -KILL "$broker_pid"
	until_true 60 broker_state dead
	ctl 0 repair --dry-run -J
	json .dry_run true
	broker_state dead || fail "the dry run cleared a slot"
	ctl 0 repair -J
	json .repaired.brokers 1
	ctl 0 brokers -J
	json '.brokers|length' 0
}

cli_destroy_removes_the_registry() {
	init
	ctl 0 destroy --dry-run
	has "$out" "would destroy"
	ctl 0 info
	ctl 0 destroy -J
	json .destroyed true
	no_files
	ctl 6 destroy
	ctl 6 info -J
	error_object K2K_ENOREGISTRY
	init
	ctl 0 destroy -o csv
	is "$out" $'destroyed\ntrue'
	init
	ctl 0 destroy
	has "$out" destroyed
}

cli_destroy_with_brokers_attached_needs_yes() {
	init
	attach
	ctl 8 destroy
	has "$err" "-y"
	ctl 8 destroy -J
	error_object K2K_EBUSY
	has "$err" "$broker_pid"
	ctl 8 destroy --dry-run
	ctl 0 info
	ctl 0 destroy --dry-run -y
	ctl 0 info
	ctl 0 destroy -y
	no_files
	say K2K_EFENCED admit 42 0 1
}

cli_every_command_answers_6_without_a_registry() {
	local command
	for command in info check repair destroy "register 1" "update 1 --rate 1/s" "deregister 1" list "show 1" "show 1 2" \
		"exists 1" "budget set 1 2 1s" "budget unset 1 2" "budget list" usage "usage 1 2" "quota 1" brokers leases kernels \
		"register 1 --dry-run" "deregister 1 --dry-run" "repair --dry-run" "destroy --dry-run"; do
		ctl 6 $command
		has "$err" "init"
		is "$out" ""
		ctl 6 $command -J
		error_object K2K_ENOREGISTRY
	done
}

cli_a_registry_of_another_layout_is_6_and_destroyed_with_yes() {
	init
	# the version of the layout follows the magic number
	printf '\377' | dd of="/dev/shm/k2k.$K2K_REGISTRY.defs" bs=1 seek=8 conv=notrunc status=none
	ctl 6 list
	has "$err" "layout version"
	has "$err" "destroy -y"
	ctl 6 info -J
	error_object K2K_ELAYOUT
	ctl 4 init
	ctl 6 destroy
	ctl 6 destroy --dry-run
	ctl 0 destroy -y --dry-run
	ctl 6 info
	ctl 0 destroy -y
	no_files
	init
}

cli_a_file_that_is_no_registry_is_6_and_stays() {
	local file=/dev/shm/k2k.$K2K_REGISTRY.defs
	echo "somebody's" >"$file"
	ctl 6 list
	ctl 6 check -J
	error_object K2K_ECORRUPT
	ctl 6 destroy -y
	is "$(<"$file")" "somebody's"
}

cli_version_names_program_and_library() {
	ctl 0 version
	has "$out" "k2k-tenantctl 0."
	ctl 0 --version
	has "$out" "library"
	ctl 0 version -J
	one_object
	json '.version|test("^[0-9]+[.][0-9]+[.][0-9]+$")' true
	ctl 0 version -o csv
	has "$out" "version,library"
}

run_tests "$@"
