# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: usage, quota, brokers, leases
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

cli_usage_is_shown_by_tenant_and_engagement() {
	init
	ctl 0 register 42 -q
	ctl 0 register 43 --budget 9=1h -q
	attach
	say K2K_OK track 42 7 9007199254740993
	say K2K_OK track 43 7 7
	say K2K_OK track 42 8 5
	ctl 0 usage -J
	one_object
	json '[.usage[]|.tenant+"/"+.engagement+"="+.gpu_ns]|join(" ")' "42/7=9007199254740993 42/8=5 43/7=7 43/9=0"
	json .gpu_ns_total 9007199254741005
	ctl 0 usage 42 -J
	json '[.usage[].engagement]|join(" ")' "7 8"
	json .gpu_ns_total 9007199254740998
	ctl 0 usage 42 8 -J
	json '.usage[0]|[.tenant,.engagement,.gpu_ns]' '["42","8","5"]'
	ctl 0 usage --engagement 7 -J
	json '[.usage[].tenant]|join(" ")' "42 43"
	json .gpu_ns_total 9007199254741000
	ctl 0 usage 42 -o csv
	is "$out" $'tenant,engagement,gpu_ns,corrected_ns,reserved_ns\n42,7,9007199254740993,0,0\n42,8,5,0,0'
	ctl 0 usage
	has "$out" "ENGAGEMENT"
	has "$out" "total "
}

cli_usage_tells_what_was_taken_back() {
	init
	ctl 0 register 42 --budget 7=1h/day -q
	ctl 0 register 43 -q
	attach
	say K2K_OK track 42 7 90000000000
	say K2K_OK track 42 8 1000000000
	say K2K_OK track 43 9 1000000000
	ctl 0 usage correct 42 7 --by -30s --reason "a run that failed" -J
	json .corrected_ns -30000000000
	ctl 0 usage correct 42 8 --by 5s --reason "forgotten" -q
	ctl 0 usage 42 7 -J
	json '.usage[0]|[.gpu_ns,.corrected_ns]' '["90000000000","-30000000000"]'
	ctl 0 budget list 42 -J
	json '.budgets[0]|[.used_ns,.corrected_ns]' '["60000000000","-30000000000"]'
	ctl 0 list -J
	json '[.tenants[].usage|[.gpu_ns_total,.corrected_ns]]' '[["91000000000","-25000000000"],["1000000000","0"]]'
	json '.tenants[0].quota.budgets[0].began_at_ns|(tonumber / 1000000000) % 86400' 0
	ctl 0 show 42
	has "$(tr -s ' ' <<<"$out")" $'GPU time 1m31s
 corrected by -25s'
	# negative numbers are less than others, also in filters
	ctl 0 list --sort corrected --columns id,corrected -o csv
	is "$out" $'id,corrected\n42,-25000000000\n43,0'
	ctl 0 list --filter 'corrected<0s' --columns id -o csv
	is "$out" $'id\n42'
	ctl 0 list --filter 'corrected>-25s' --columns id -o csv
	is "$out" $'id\n43'
	ctl 0 deregister 42 -J
	json '.tenants[0].usage|[.gpu_ns_total,.corrected_ns]' '["91000000000","-25000000000"]'
}

cli_usage_of_an_unknown_engagement_is_0_and_of_an_unknown_tenant_3() {
	init
	ctl 0 register 42 -q
	ctl 0 usage 42 99 -J
	json '.usage[0].gpu_ns' 0
	json .gpu_ns_total 0
	ctl 0 usage 42 99
	has "$out" "0s"
	ctl 0 usage --engagement 99 -J
	json .gpu_ns_total 0
	json .usage '[]'
	ctl 0 usage --engagement 99
	ctl 3 usage 43
	ctl 3 usage 43 7
	ctl 3 usage 43 7 -J
	error_object K2K_ENOTENANT
}

cli_usage_saturates() {
	init
	ctl 0 register 42 -q
	ctl 0 register 43 -q
	attach
	say K2K_OK track 42 7 18446744073709551615
	say K2K_OK track 43 7 18446744073709551615
	ctl 0 usage --engagement 7 -J
	json .gpu_ns_total 18446744073709551615
	json .usage[0].gpu_ns 18446744073709551615
	ctl 0 usage
	has "$out" 5124095h34m33.709551615s
}

cli_quota_says_yes_and_consumes_nothing() {
	init
	ctl 0 register 42 --rate 3/s -q
	for _ in 1 2 3 4 5 6; do
		ctl 0 quota 42 --count 3 --org 5 --engagement 7 -J
		one_object
		json .admitted true
		json .reason null
		json '[.used,.limit,.retry_after_ns]|map(type)|unique' '["string"]'
		json .limit 3
		json .used 0
	done
	ctl 0 show 42 -J
	json .tenants[0].usage.admitted_total 0
	ctl 0 quota 42
	has "$out" admitted
	ctl 0 quota 42 -o csv
	has "$out" "admitted,reason,used,limit,retry_after_ns"
	ctl 0 register 43 --preset unlimited -q
	ctl 0 quota 43 -J
	json .limit null
}

cli_quota_says_no_with_the_limit_hit() {
	init
	ctl 0 register 42 --rate 3/s --budget 7=1us -q
	ctl 1 quota 42 --count 4 -J
	one_object
	json .admitted false
	json .reason rate
	json .limit 3
	ctl 1 quota 42 --count 4
	has "$out" "not admitted: rate"
	ctl 0 register 43 --rate 0/s -q
	ctl 1 quota 43 -J
	json .reason rate
	json .limit 0
	attach
	say K2K_OK track 42 7 1500
	ctl 1 quota 42 --engagement 7 -J
	json '[.reason,.used,.limit,.retry_after_ns]' '["budget","1500","1000","18446744073709551615"]'
	ctl 1 quota 42 --engagement 7
	has "$out" "budget, 1.5us of 1us used"
	ctl 1 quota 42 --engagement 7 -o csv
	is "$(tail -1 <<<"$out")" "false,budget,1500,1000,18446744073709551615"
	ctl 1 quota 99 -J
	json .admitted false
	json .reason unknown_tenant
	ctl 1 quota 99
	has "$out" "no such tenant"
}

cli_explain_says_which_limit_refuses_since_when_and_by_whom() {
	init
	ctl 0 register 42 --rate 100/s --kernels 1 --gpu-memory 1KiB --budget 7=1us --budget 8=1h -q
	ctl 0 explain 42
	has "$out" "no limit refuses tenant 42 now"
	ctl 0 explain 42 -J
	one_object
	json '[.limits[]|.limit+":"+(.engagement//"")+":"+(.refuses|tostring)]|join(" ")' \
		"rate::false budget:7:false budget:8:false kernels::false gpu_memory::false suspended::false"
	json '[.limits[]|.since_ns,.pid,.advice]|unique' '[null]'
	attach
	say K2K_OK track 42 7 1000
	say K2K_EBUDGET admit 42 7 1
	say K2K_EBUDGET admit 42 7 1
	say K2K_OK kernel 42
	say K2K_EKERNELS kernel 42
	say K2K_EGPUMEM memory 42 2000
	ctl 0 explain 42 -J
	json '[.limits[]|select(.refuses)|.limit]' '["budget","kernels"]'
	json '.limits[1]|[.engagement,.used,.max,.rejected_in_trail,.slot,.pid]' "[\"7\",\"1000\",\"1000\",\"2\",0,$broker_pid]"
	json '.limits[1].comm' "$(</proc/$broker_pid/comm)"
	json '.limits[1]|(.since_ns|tonumber) <= (.last_ns|tonumber) and (.since_ns|tonumber) > 1.6e18' true
	json '.limits[2].rejected_in_trail' 0
	json '.limits[4]|[.refuses,.rejected_in_trail]' '[false,"1"]'
	ctl 0 explain 42
	has "$out" "budget: waiting does not help: 'budget set 42 7 DUR' allows more, 'budget unset 42 7' everything"
	has "$out" "kernels: 'leases 42' shows who holds them"
	has "$out" "$broker_pid $(</proc/$broker_pid/comm)"
	# the advice works
	ctl 0 budget unset 42 7 -q
	ctl 0 update 42 --kernels 2 --rate 0/s -q
	ctl 0 explain 42
	has "$out" "rate: a limit of 0 rejects everything"
	lacks "$out" "budget:"
	lacks "$out" "kernels:"
	ctl 3 explain 43
	ctl 3 explain 0
	ctl 2 explain x
	ctl 6 explain 42 -r no-such-registry
}

# explained FILTER: which limits refuse, or would in shadow
explained() { jq -cr "[.limits[]|select(.$1)|.limit]|join(\" \")" <<<"$out"; }

cli_explain_knows_shadow_and_suspension() {
	init
	ctl 0 register 42 --rate 2/h --kernels 1 --gpu-memory 1KiB --budget 7=1us --shadow on -q
	attach
	say K2K_OK track 42 7 1000
	say K2K_OK admit 42 0 2
	say K2K_OK admit 42 0 1
	say K2K_OK kernel 42
	say K2K_OK kernel 42
	ctl 0 explain 42 -J
	json '[.shadow,.suspended]' '[true,false]'
	is "$(explained refuses)" ""
	is "$(explained would_refuse)" "rate budget kernels"
	json '.limits[0]|[.rejected_in_trail,.shadowed_in_trail,.pid]' "[\"0\",\"1\",$broker_pid]"
	ctl 0 explain 42
	has "$out" "rate, in shadow: "
	has "$out" "no limit refuses tenant 42 now"
	has "$out" "'update 42 --shadow off' enforces them"
	# in force, they refuse what was said
	ctl 0 update 42 --shadow off -q
	say K2K_ERATE admit 42 0 1
	say K2K_EKERNELS kernel 42
	ctl 0 explain 42 -J
	is "$(explained refuses)" "rate budget kernels"
	is "$(explained would_refuse)" ""
	json '.limits[0]|[.rejected_in_trail,.shadowed_in_trail]' '["1","1"]'
	# a suspension refuses in shadow, too; the limits are told all the same
	ctl 0 update 42 --shadow on -q
	ctl 0 suspend 42 -q
	say K2K_ESUSPENDED admit 42 0 1
	say K2K_ESUSPENDED admit 42 0 1
	ctl 0 explain 42 -J
	json '[.shadow,.suspended]' '[true,true]'
	is "$(explained refuses)" suspended
	is "$(explained would_refuse)" "rate budget kernels"
	json '.limits[0]|[.used,.max]' '["2","2"]'
	json '.limits[-1]|[.used,.max,.rejected_in_trail]' '[null,null,"2"]'
	ctl 0 explain 42
	has "$out" "suspended: an administrator has suspended it: 'audit tail --tenant 42 --type update' says who; 'resume 42' ends that"
	lacks "$out" "no limit refuses"
	# the advice works
	ctl 0 audit tail --tenant 42 --type update
	has "$out" suspended
	ctl 0 resume 42 -q
	ctl 0 explain 42 -J
	is "$(explained refuses)" ""
}

cli_explain_knows_buckets_periods_and_renewals() {
	init
	ctl 0 register 42 --rate 5/h --burst 20 --budget 7=10h/day --budget 8=1h -q
	ctl 0 register 43 --rate 30/day -q
	attach
	say K2K_OK admit 42 0 15
	say K2K_OK admit 43 0 12
	ctl 0 explain 42 -J
	json '.limits[0]|[.refuses,.used,.max,.rate_period,.rate_policy]' '[false,"15","20","hour","bucket"]'
	json '.limits[1]|[.engagement,.rate_period,.reserved_ns]' '["7",null,"0"]'
	json '.limits[1].renews_at_ns|(tonumber / 1000000000) % 86400' 0
	json '.limits[2].renews_at_ns' null
	ctl 0 explain 42
	has "$(tr -s ' ' <<<"$out")" "rate no no 15 20, 5/h "
	ctl 0 explain 43 -J
	json '.limits[0]|[.used,.max,.rate_period,.rate_policy]' '["12","30","day","window"]'
	ctl 0 explain 43
	has "$(tr -s ' ' <<<"$out")" "rate no no 12/day 30/day "
	say K2K_OK admit 42 0 5
	say K2K_OK track 42 7 36000000000000
	say K2K_OK track 42 8 3600000000000
	ctl 0 explain 42
	has "$out" "rate: wait "
	has "$out" "budget: it renews each day, next at $(date -u -d "@$(($(date +%s) / 86400 * 86400 + 86400))" +%Y-%m-%dT%H:%M:%SZ); 'budget set 42 7 DUR/day' allows more"
	has "$out" "budget: waiting does not help"
	# what is reserved refuses, too
	ctl 0 register 44 --budget 7=1h -q
	say K2K_OK track 44 7 1800000000000
	say K2K_OK reserve 44 7 1800000000000
	say K2K_EBUDGET admit 44 7 1
	ctl 0 explain 44 -J
	is "$(explained refuses)" budget
	json '.limits[1]|[.used,.reserved_ns]' '["1800000000000","1800000000000"]'
	ctl 0 explain 44
	has "$out" "budget: 30m of it is reserved, and some may come back; 'budget set 44 7 DUR' allows more"
	# of a window that is over nothing is counted; the suspended tenant's too
	ctl 0 update 43 --rate 10/s -q
	# if all of this took less than a second, the 12 of the day were sent in this second
	until_true 60 eval 'ctl 0 explain 43 -J; [[ $(jq -r ".limits[0].used" <<<"$out") == 0 ]]'
	say K2K_OK admit 43 0 10
	ctl 0 suspend 43 -q
	until_true 60 eval 'ctl 0 explain 43 -J; [[ $(jq -r ".limits[0].used" <<<"$out") == 0 ]]'
	is "$(explained refuses)" suspended
}

cli_registries_are_listed_also_those_that_cannot_be_read() {
	local name=$K2K_REGISTRY
	init
	ctl 0 register 42 -q
	attach
	ctl 0 init -r "$name-2" --max-tenants 4 -q
	printf '\377' | dd of="/dev/shm/k2k.$name-2.defs" bs=1 seek=8 conv=notrunc status=none
	head -c 10000 /dev/urandom >"/dev/shm/k2k.$name-3.defs"
	touch "/dev/shm/k2k.$name.a b.defs"
	ctl 0 registries -J
	one_object
	json ".registries|map(select(.name|startswith(\"$name\")))|map([.name,.error,.tenants,.max_tenants,.brokers])" \
		"[[\"$name\",null,1,16,1],[\"$name-2\",\"K2K_ELAYOUT\",null,null,null],[\"$name-3\",\"K2K_ECORRUPT\",null,null,null]]"
	ctl 0 registries
	is "$(awk -v n="$name" '$1 == n { print $2, $3, $4, $5, $6 }' <<<"$out")" "usable $(id -un) 1 16 1"
	lacks "$out" "a b"
	ctl 0 registries -o csv
	is "$(head -1 <<<"$out")" "name,state,error,owner,tenants,max_tenants,brokers,bytes,created_at_ns,uuid"
	# what can't be read is neither less nor more than a number
	ctl 0 registries --filter 'brokers>=0' --columns registry -o csv
	has $'\n'"$out"$'\n' $'\n'"$name"$'\n'
	lacks "$out" "$name-2"
	ctl 0 registries --filter 'brokers!=1' --columns registry -o csv
	has $'\n'"$out"$'\n' $'\n'"$name-2"$'\n'
}

cli_names_of_processes_are_printed_as_the_text_they_are() {
	local name form
	init
	ctl 0 register 42 --kernels 0 -q
	# a spreadsheet formula, and a forged table line
	name=$'=1+1\n9 fake'
	cp "$BROKER" "$DIR/$name"
	BROKER="$DIR/$name" attach
	say K2K_EKERNELS kernel 42
	ctl 0 brokers -o csv
	is "$(wc -l <<<"$out")" 2
	has "$out" ",'=1+1?9 fake,"
	for form in brokers "explain 42" "top --once 1ms"; do
		# shellcheck disable=SC2086
		ctl 0 $form
		has "$out" "=1+1?9 fake"
		lacks "$out" $'\n9 fake'
	done
	ctl 0 brokers -J
	json .brokers[0].comm "=1+1?9 fake"
}

cli_brokers_are_listed_with_their_state() {
	init
	ctl 0 brokers -J
	json .brokers '[]'
	ctl 0 register 42 -q
	attach
	say K2K_OK kernel 42
	say K2K_OK memory 42 4096
	ctl 0 brokers -J
	one_object
	json '.brokers[0]|keys|join(" ")' "attached_at_ns comm gpu_memory_bytes grace_behind incarnation kernels pid slot state"
	json '.brokers[0]|[.slot,.pid,.state,.kernels,.gpu_memory_bytes,.grace_behind]' "[0,$broker_pid,\"active\",1,\"4096\",\"0\"]"
	json '.brokers[0].comm' "$(cat /proc/$broker_pid/comm)"
	json '.brokers[0].incarnation|type' string
	ctl 0 info -J
	json .brokers 1
	ctl 0 brokers
	has "$out" active
	ctl 0 brokers -o csv
	has "$out" "slot,pid,comm,state,incarnation,kernels,gpu_memory_bytes,grace_behind,attached_at_ns"
	kill -STOP "$broker_pid"
	until_true 60 broker_state stopped
	ctl 0 show 42 -J
	json .tenants[0].usage.kernels 1
	kill -CONT "$broker_pid"
	until_true 60 broker_state active
}

# freezer FOLDER FILE FROZEN THAWED: freezes the broker in a cgroup of this hierarchy and thaws it.
freezer() {
	local group=$1/k2k-$K2K_REGISTRY
	echo "$broker_pid" >"$group/cgroup.procs" || fail "it can't be moved"
	echo "$3" >"$group/$2"
	until_true 60 broker_state stopped
	echo "$4" >"$group/$2"
	until_true 60 broker_state active
	echo "$broker_pid" >"$1/cgroup.procs"
}

cli_a_broker_that_its_cgroup_has_frozen_is_stopped() {
	local done=0
	init
	attach
	[[ $(id -u) == 0 ]] || skip "not root"
	local root
	for root in /sys/fs/cgroup/freezer /sys/fs/cgroup/unified /sys/fs/cgroup; do
		mkdir "$root/k2k-$K2K_REGISTRY" 2>/dev/null || continue
		if [[ -e $root/k2k-$K2K_REGISTRY/freezer.state ]]; then
			freezer $root freezer.state FROZEN THAWED
			done=1
		elif [[ -e $root/k2k-$K2K_REGISTRY/cgroup.freeze ]]; then
			freezer $root cgroup.freeze 1 0
			done=1
		fi
		rmdir "$root/k2k-$K2K_REGISTRY"
	done
	((done)) || skip "no cgroups can be made here"
}

cli_what_a_dead_broker_held_is_counted_nowhere() {
	init
	ctl 0 register 42 -q
	attach
	say K2K_OK kernel 42
	say K2K_OK memory 42 4096
	ctl 0 leases -J
	json '.leases|length' 1
	kill -KILL "$broker_pid"
	until_true 60 broker_state dead
	ctl 0 brokers -J
	json '.brokers[0]|[.state,.kernels,.gpu_memory_bytes]' '["dead",0,"0"]'
	ctl 0 show 42 -J
	json '.tenants[0].usage|[.kernels,.gpu_memory_bytes]' '[0,"0"]'
	ctl 0 list -J
	json '.tenants[0].usage|[.kernels,.gpu_memory_bytes]' '[0,"0"]'
	ctl 0 leases -J
	json .leases '[]'
	ctl 0 destroy
}

cli_leases_show_which_broker_holds_what() {
	init
	ctl 0 register 42 -q
	ctl 0 register 43 --gpu-memory unlimited -q
	attach
	say K2K_OK kernel 42
	say K2K_OK kernel 42
	say K2K_OK memory 43 9007199254740993
	ctl 0 leases 42 -J
	one_object
	json '.leases[0]|[.tenant,.slot,.pid,.kernels,.gpu_memory_bytes]' "[\"42\",0,$broker_pid,2,\"0\"]"
	json '.leases[0]|keys|join(" ")' "engagement gpu_memory_bytes kernels names pid reserved_ns slot tenant"
	ctl 0 leases -o csv
	is "$out" "tenant,slot,pid,kernels,gpu_memory_bytes,engagement,reserved_ns
42,0,$broker_pid,2,0,,0
43,0,$broker_pid,0,9007199254740993,,0"
	ctl 0 leases
	has "$out" "$broker_pid"
	ctl 3 leases 44
	ctl 3 leases 44 -J
	error_object K2K_ENOTENANT
}

cli_reservations_are_shown_wherever_budgets_and_leases_are() {
	init
	ctl 0 register 42 --budget 7=1h -q
	ctl 0 register 43 -q
	attach
	say K2K_OK kernel 42
	say K2K_OK track 42 7 60000000000
	say K2K_OK reserve 43 0 5
	say K2K_OK reserve 42 7 600000000000
	ctl 0 budget list -J
	json '.budgets[0]|[.budget_ns,.used_ns,.reserved_ns]' '["3600000000000","60000000000","600000000000"]'
	ctl 0 budget list
	has "$out" RESERVED
	has "$out" 10m
	ctl 0 show 42 -J
	json '.tenants[0].quota.budgets[0].reserved_ns' 600000000000
	json '.tenants[0].usage.reserved_ns' 600000000000
	ctl 0 show 42
	has "$out" "1h, used 1m, reserved 10m"
	ctl 0 show 43
	has "$out" "5ns"
	ctl 0 list --columns tenant,reserved -o csv
	is "$out" $'tenant,reserved\n42,600000000000\n43,5'
	ctl 0 usage -J
	json '[.usage[]|.tenant+"/"+.engagement+"="+.reserved_ns]|join(" ")' "42/7=600000000000 43/0=5"
	ctl 0 leases -J
	json '[.leases[]|[.tenant,.kernels,.engagement,.reserved_ns]]' '[["42",1,null,"0"],["42",0,"7","600000000000"],["43",0,"0","5"]]'
	json '[.leases[].pid]|unique' "[$broker_pid]"
	ctl 0 leases 42 --filter 'reserved>0s' -o csv
	has "$out" "42,0,$broker_pid,0,0,7,600000000000"
	ctl 0 info -J
	json .reserved_ns 600000000005
	ctl 0 info
	has "$out" "GPU time reserved"
	# the budget counts it: 49 minutes are left
	say K2K_EBUDGET reserve 42 7 2940000000001
	ctl 0 audit tail --tenant 42 --type budget -J
	has "$out" '"used":"660000000000"'
	# a saved registry has what is booked, and nothing that is reserved
	ctl 0 save "$DIR/saved" -q
	lacks "$(<"$DIR/saved")" reserved
	# what is committed is used; what a dead broker reserved is free
	say K2K_OK reserve 42 7 1000000000
	say K2K_OK commit 2000000000
	ctl 0 budget list -J
	json '.budgets[0]|[.used_ns,.reserved_ns]' '["62000000000","600000000000"]'
	kill -KILL "$broker_pid"
	until_true 60 eval '[[ $("$TOOL" info -J | jq -r .reserved_ns) == 0 ]]'
	ctl 0 leases -J
	json .leases '[]'
}

cli_a_list_of_5000_tenants_is_fast() {
	local begin
	ctl 0 init --max-tenants 6000 -q
	{ printf 'version: 1\ntenants:\n'; seq 1 5000 | sed 's/.*/  - {id: &}/'; } >"$DIR/tenants"
	ctl 0 apply -f "$DIR/tenants" -q
	ctl 0 list -o csv
	is "$(wc -l <<<"$out")" 5001
	begin=$SECONDS
	ctl 0 list -J
	json '.tenants|length' 5000
	ctl 0 list
	((SECONDS - begin < 10)) || fail "took $((SECONDS - begin)) s"
	ctl 0 deregister $(seq 1 5000) -q
	ctl 0 list -J
	json '.tenants|length' 0
}

run_tests "$@"
