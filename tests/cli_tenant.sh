# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: register, update, deregister, list, show, exists, budget
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

cli_register_takes_the_standard_preset_by_default() {
	init
	ctl 0 register 42 -J
	one_object
	json .schema k2k-tenantctl/1
	json .registry "$K2K_REGISTRY"
	json .tenants[0].id 42
	json '.tenants[0].generation|type' string
	json .tenants[0].quota.rate_per_sec 100000
	json .tenants[0].quota.kernels 16
	json .tenants[0].quota.gpu_memory_bytes 2147483648
	json .tenants[0].quota.budgets '[]'
	ctl 0 register 43 --preset unlimited -J
	json '.tenants[0].quota|[.rate_per_sec,.kernels,.gpu_memory_bytes]' '[null,null,null]'
	ctl 0 register 44 --preset unlimited --kernels 3 -J
	json .tenants[0].quota.kernels 3
	json .tenants[0].quota.rate_per_sec null
	ctl 0 register 45
	has "$out" "2GiB"
	ctl 0 register 46 -o csv
	is "$(wc -l <<<"$out")" 2
}

cli_register_of_a_known_tenant_is_4_or_nothing_to_do() {
	init
	ctl 0 register 42 --rate 5/s -q
	ctl 4 register 42 --rate 6/s
	is "$err" "k2k-tenantctl: tenant 42: already registered; --if-missing accepts that"
	ctl 4 register 42 -J
	error_object K2K_EEXIST
	ctl 0 register 42 --rate 6/s --if-missing -J
	json .tenants[0].quota.rate_per_sec 5
	# differences from what was asked for are reported
	has "$err" "tenant 42: is registered already, but differs from what was asked for: rate 5/s -> 6/s; 'update' changes it"
	json .differences '[{"tenant":"42","fields":[{"field":"rate_per_sec","found":"5","asked":"6"}]}]'
	ctl 0 budget set 42 9 1s -q
	ctl 0 register 42 --rate 5/s --budget 7=1s --budget 9=1s --budget 9=2s --if-missing
	has "$err" "differs from what was asked for: budget 7: none -> 1s, budget 9: 1s -> 2s;"
	is "$out" "tenant 42: is registered already"
	ctl 0 register 42 --rate 5/s --if-missing -J
	json .differences '[]'
	is "$err" ""
	ctl 0 register 42 --if-missing
	is "$err" ""
}

cli_a_change_is_a_line_about_what_changed() {
	init
	ctl 0 register 42 --rate 50k/s --budget 7=1h
	is "$out" "tenant 42: registered: rate 50000/s, kernels 16, GPU memory 2GiB, budget 7: 1h"
	ctl 0 update 42 --rate 100/s --kernels 16
	is "$out" "tenant 42: rate 50000/s -> 100/s"
	ctl 0 update 42 --rate 100/s
	is "$out" "tenant 42: unchanged"
	ctl 0 update 42 --preset unlimited --budget 8=1s --budget 7=unlimited
	is "$out" "tenant 42: rate 100/s -> unlimited, kernels 16 -> unlimited, GPU memory 2GiB -> unlimited, budget 7: 1h -> none, budget 8: none -> 1s"
	ctl 0 budget set 42 8 2s
	is "$out" "tenant 42: budget 8: 1s -> 2s"
	ctl 0 budget set 42 9 unlimited
	is "$out" "tenant 42: unchanged"
	ctl 0 budget unset 42 8
	is "$out" "tenant 42: budget 8: 2s -> none"
	ctl 0 update 43 --rate 0 --if-missing
	is "$out" "tenant 43: registered: rate 0/s, kernels 16, GPU memory 2GiB"
}

cli_several_tenants_are_registered_and_updated_at_once() {
	init
	ctl 0 register 1 2 0x3 --rate 5/s
	is "$(wc -l <<<"$out")" 3
	ctl 0 update 1 2 3 --rate 6/s -J
	one_object
	json '[.tenants[]|.id+":"+.quota.rate_per_sec]|join(" ")' "1:6 2:6 3:6"
	# each failure is one line, and the others are changed
	ctl 9 register 3 4 1 5
	is "$(wc -l <<<"$err")" 2
	is "$(wc -l <<<"$out")" 2
	ctl 9 update 1 9 2 --rate 7/s -J
	json '[.tenants[].id]|join(" ")' "1 2"
	json '[.errors[].tenant]|join(" ")' "9"
	ctl 9 update 8 9 --rate 7/s -J
	json .tenants '[]'
	ctl 0 register 1 6 --if-missing -J
	json '[.tenants[].id]|join(" ")' "1 6"
	ctl 2 register 10 11 0
	ctl 2 register 10 11x
	ctl 1 exists 10
	ctl 9 register 10 1 --dry-run
	is "$out" "would register tenant 10, rate 100000/s, kernels 16, GPU memory 2GiB"
	ctl 0 check
}

cli_a_full_table_is_5_and_names_the_init_option() {
	ctl 0 init --max-tenants 2 --max-budgets 2 -q
	ctl 0 register 1 -q
	ctl 5 register 2 --budget 1=1s --budget 2=1s --budget 3=1s -J
	error_object K2K_EFULL
	has "$err" "--max-budgets"
	ctl 1 exists 2
	ctl 0 register 2 -q
	ctl 5 register 3
	has "$err" "--max-tenants"
	ctl 0 check
}

cli_update_changes_what_is_named() {
	init
	ctl 0 register 42 --rate 5/s --kernels 3 --gpu-memory 1G --budget 7=1s --budget 8=2s -q
	ctl 0 update 42 --kernels 4 -J
	json '.tenants[0].quota|[.rate_per_sec,.kernels,.gpu_memory_bytes,(.budgets|length)]' '["5",4,"1073741824",2]'
	ctl 0 update 42 --budget 7=unlimited --budget 8=3s --budget 9=0s -J
	json '[.tenants[0].quota.budgets[]|.engagement+"="+.budget_ns]|join(" ")' "8=3000000000 9=0"
	json .tenants[0].quota.rate_per_sec 5
	ctl 0 update 42 --preset unlimited --rate 1/s -J
	json '.tenants[0].quota|[.rate_per_sec,.kernels,.gpu_memory_bytes,(.budgets|length)]' '["1",null,null,2]'
	ctl 3 update 43 --rate 1/s
	has "$err" "tenant 43"
	ctl 3 update 43 --rate 1/s -J
	error_object K2K_ENOTENANT
	ctl 0 update 43 --rate 1/s --if-missing -J
	json '.tenants[0].quota|[.rate_per_sec,.kernels]' '["1",16]'
}

cli_update_keeps_all_usage() {
	init
	ctl 0 register 42 --budget 7=1h -q
	attach
	say K2K_OK admit 42 7 5
	say K2K_OK track 42 7 1000
	ctl 0 update 42 --rate 9/s --budget 7=2h -J
	json .tenants[0].usage.admitted_total 5
	json .tenants[0].usage.gpu_ns_total 1000
	json .tenants[0].quota.budgets[0].used_ns 1000
}

cli_deregister_prints_the_final_totals() {
	init
	ctl 0 register 42 -q
	attach
	say K2K_OK admit 42 7 5
	say K2K_OK track 42 7 9007199254740993
	say K2K_OK kernel 42
	say K2K_OK memory 42 4096
	ctl 0 deregister 42 -J
	one_object
	json '.tenants[0]|[.id,.final,.usage.admitted_total,.usage.gpu_ns_total,.usage.kernels,.usage.gpu_memory_bytes]' \
		'["42",true,"5","9007199254740993",1,"4096"]'
	ctl 3 deregister 42
	has "$err" "tenant 42"
	ctl 3 deregister 42 -J
	error_object K2K_ENOTENANT
	ctl 0 register 42 -q
	ctl 0 deregister 42 -o csv
	has "$out" "id,generation,final,usage.admitted_total"
	ctl 0 register 42 -q
	ctl 0 deregister 42
	has "$out" yes
}

cli_each_failure_of_several_is_reported_in_a_line_with_9() {
	init
	ctl 0 register 1 -q
	ctl 0 register 3 -q
	ctl 9 show 1 2 3 4 -J
	one_object
	json '[.tenants[].id]|join(" ")' "1 3"
	json '[.errors[].tenant]|join(" ")' "2 4"
	json .error.name K2K_ENOTENANT
	is "$(wc -l <<<"$err")" 2
	ctl 9 show 1 2 -o csv
	is "$(wc -l <<<"$out")" 2
	ctl 9 deregister 1 2 3 --dry-run
	ctl 0 exists 1
	ctl 9 deregister 1 2 3
	has "$err" "k2k-tenantctl: tenant 2: "
	is "$(wc -l <<<"$err")" 1
	ctl 1 exists 1
	ctl 1 exists 3
	ctl 9 deregister 1 2 -J
	one_object
	json .tenants '[]'
	json '.errors|length' 2
}

cli_totals_that_are_not_final_are_printed_as_such() {
	init
	ctl 0 register 42 -q
	ctl 0 register 43 -q
	ctl 0 register 44 -q
	attach
	say K2K_OK admit 42 0 3
	kill -STOP "$broker_pid"
	until_true 60 broker_state stopped
	local begin=$SECONDS
	ctl 0 deregister 42 43 44 --timeout 1s -J
	((SECONDS - begin <= 4)) || fail "waited $((SECONDS - begin)) s"
	json '[.tenants[].final]|unique' '[false]'
	json '.tenants|length' 3
	json .tenants[0].usage.admitted_total 3
	has "$err" "not final"
	has "$err" "$broker_pid"
	ctl 0 brokers -J
	json '(.brokers[0].grace_behind|tonumber) > 0' true
	kill -CONT "$broker_pid"
}

cli_slots_held_up_by_a_stopped_broker_are_8_and_name_it() {
	ctl 0 init --max-tenants 1 -q
	ctl 0 register 1 -q
	attach
	kill -STOP "$broker_pid"
	until_true 60 broker_state stopped
	ctl 0 deregister 1 --timeout 100ms -q
	ctl 8 register 2 --timeout 200ms
	has "$err" "$broker_pid"
	has "$err" "--timeout"
	ctl 8 register 2 --timeout 200ms -J
	error_object K2K_EBUSY
	kill -CONT "$broker_pid"
	ctl 0 register 2
}

cli_names_are_exact_for_programs() {
	init
	ctl 0 register 42 --name 'träger "x\y' -q
	ctl 0 list -J
	json '.tenants[0].name' 'träger "x\y'
	ctl 0 show '@träger "x\y' -J
	json '.tenants[0].id' 42
	ctl 0 list -o csv --columns name
	is "$out" $'name\n"träger ""x\\y"'
	ctl 0 list --filter 'name=träger "x\y' --columns id -o csv
	is "$out" $'id\n42'
	ctl 0 list
	has "$out" 'tr??ger "x\y'
	ctl 2 show @
	has "$err" "'@': the name after it is missing"
}

cli_list_is_sorted_and_keeps_64_bits() {
	init
	local id
	for id in 300 2 18446744073709551615 40; do ctl 0 register $id -q; done
	ctl 0 list -J
	one_object
	json '[.tenants[].id]|join(" ")' "2 40 300 18446744073709551615"
	json '.tenants[0]|keys|join(" ")' "generation id name quota registered_at_ns suspended usage"
	json '.tenants[0].quota|keys|join(" ")' "alerts budgets burst gpu_memory_bytes kernels rate rate_alone rate_per_sec rate_period rate_policy shadow"
	json '.tenants[0].usage|keys|join(" ")' \
		"admitted_total alerted_percent corrected_ns gpu_memory_bytes gpu_ns_total kernels messages_this_second rate_holds rejected_total reserved_ns shadow_rejected_total suspended_rejected_total unattributed_ns"
	json '.tenants[0].usage.rejected_total|keys|join(" ")' "budget gpu_memory kernels rate"
	json '.tenants[0].usage|[.admitted_total,.gpu_ns_total,.unattributed_ns,.messages_this_second,.gpu_memory_bytes]|map(type)|unique' '["string"]'
	json '.tenants[0].usage.kernels|type' number
	ctl 0 list -o csv
	is "$(wc -l <<<"$out")" 5
	is "$(head -1 <<<"$out" | cut -d, -f1-6)" "id,generation,registered_at_ns,quota.rate_per_sec,quota.kernels,quota.gpu_memory_bytes"
	is "$(tail -1 <<<"$out" | cut -d, -f1,4,5,6)" "18446744073709551615,100000,16,2147483648"
	ctl 0 list
	has "$out" TENANT
	has "$out" 18446744073709551615
}

cli_a_listed_tenant_shows_nothing_of_the_one_before_it() {
	init
	ctl 0 register 1 --rate 18446744073709551/s --kernels 4000000 --gpu-memory 1125899906842624 --budget 7=1h --budget 8=1h -q
	ctl 0 register 2 --preset unlimited -q
	ctl 0 register 3 --rate 5/s --kernels 0 --gpu-memory 0 --budget 9=1s -q
	ctl 0 register 4 --preset unlimited --kernels 3 --budget 7=0s -q
	ctl 0 register 5 -q
	ctl 0 list -J
	one_object
	local id list=$out
	is "$(sed -n 4p <<<"$list" | sed -E 's/"(generation|registered_at_ns)":"[0-9]*"/"\1":"N"/g')" \
		'{"id":"3","generation":"N","registered_at_ns":"N","quota":{"rate_per_sec":"5","kernels":0,"gpu_memory_bytes":"0","budgets":[{"engagement":"9","budget_ns":"1000000000","used_ns":"0","reserved_ns":"0","renewal":"never","period":"0","began_at_ns":null,"renews_at_ns":null,"corrected_ns":"0","alerted_percent":0}],"shadow":false,"rate":"5","rate_period":"second","rate_policy":"window","burst":null,"alerts":null,"rate_alone":null},"usage":{"admitted_total":"0","rejected_total":{"rate":"0","budget":"0","kernels":"0","gpu_memory":"0"},"gpu_ns_total":"0","unattributed_ns":"0","reserved_ns":"0","messages_this_second":"0","kernels":0,"gpu_memory_bytes":"0","shadow_rejected_total":{"rate":"0","budget":"0","kernels":"0","gpu_memory":"0"},"suspended_rejected_total":"0","corrected_ns":"0","alerted_percent":{"rate":0,"kernels":0,"gpu_memory":0},"rate_holds":null},"name":null,"suspended":false},'
	for id in 1 2 3 4 5; do
		ctl 0 show $id -J
		is "$(sed -n $((id + 1))p <<<"$list" | sed 's/,$//')" "$(sed -n 2p <<<"$out")"
	done
	ctl 9 show 2 1 6 -J
	is "$(sed -n 2p <<<"$out")" "$(sed -n 3p <<<"$list")"
	is "$(sed -n 3p <<<"$out")," "$(sed -n 2p <<<"$list")"
}

cli_list_is_sorted_filtered_and_cut_to_columns_as_asked() {
	local word words
	init
	ctl 0 register 10 --rate 5/s --gpu-memory 1GiB -q
	ctl 0 register 9 --rate unlimited --gpu-memory 3MiB --budget 7=1h -q
	ctl 0 register 11 --rate 0/s --gpu-memory 512KiB -q
	attach
	say K2K_ERATE admit 11 7 1
	say K2K_OK track 9 7 1500000
	ctl 0 list --sort rate --columns id,rate --no-headers
	is "$(tr -s ' ' <<<"$out" | sed 's/^ //')" $'11 0/s\n10 5/s\n9 unlimited'
	ctl 0 list --sort -gpu-memory --columns id -o csv
	is "$out" $'id\n10\n9\n11'
	ctl 0 list --sort=-gpu-memory --columns id -o csv --no-headers
	is "$out" $'10\n9\n11'
	ctl 0 list --filter 'rejected>0' -J
	json '[.tenants[].id]' '["11"]'
	ctl 0 list --filter 'rejected=0' --filter 'gpu-memory>=3MiB' --sort gpu-memory -J
	json '[.tenants[].id]' '["9","10"]'
	json '.tenants[0].quota.budgets|length' 1
	ctl 0 list --filter 'rate!=unlimited' --filter 'rate<=5/s' --columns id -o csv --no-headers
	is "$out" $'10\n11'
	ctl 0 list --filter 'gpu-time>1ms' --columns id,gpu-time,budgets
	has "$out" 1.5ms
	is "$(wc -l <<<"$out")" 2
	ctl 0 list --filter 'id<10' --columns generation,id -o csv
	is "$out" $'generation,id\n2,9'
	ctl 0 list --filter suspended=no --filter shadow=no --columns id -o csv
	is "$(wc -l <<<"$out")" "$(($("$TOOL" list --columns id -o csv | wc -l)))"
	ctl 0 list --filter suspended=yes
	has "$err" "no tenants"
	ctl 2 list --filter suspended=perhaps
	has "$err" "not yes or no"
	ctl 0 list --filter 'id>11'
	has "$err" "no tenants"
	# every column that completion offers exists
	words=$("$TOOL" completion words -- list --sort '' | cut -f 1)
	is "$(wc -l <<<"$words")" 33
	for word in $words; do
		ctl 0 list --sort "$word" --columns "$word,id" -q
		has "$("$TOOL" list --help | sed -n '/^Columns/,$p' | tr '\n.' '  ')" " $word "
	done
	ctl 2 list --sort rejectd
	has "$err" "there are tenant, generation, "
	has "$err" "alerted, alone and holds; did you mean 'rejected'?"
	ctl 2 list --columns id,,rate
	ctl 2 list --columns ""
	ctl 2 list --filter 'rejected'
	has "$err" "like 'rejected>0'"
	ctl 2 list --filter 'gpu-memory>3X'
	has "$err" "no such unit at position 13"
	ctl 2 list --filter 'kernels>unlimitedd'
	ctl 2 list --filter '>5'
}

cli_every_listing_takes_its_own_columns_and_is_sorted_by_each() {
	local command word words help heading sort
	init
	ctl 0 register 9 --budget 7=1h --budget 8=10m -q
	ctl 0 register 10 --budget 7=5m --rate 0/s -q
	attach
	say K2K_OK track 9 7 1500000
	say K2K_OK track 9 8 20000000000
	say K2K_OK kernel 9
	say K2K_OK add 0 0 0 a
	say K2K_ERATE admit 10 7 1
	while read -r command; do
		words=$("$TOOL" completion words -- $command --columns '' | cut -f 1)
		[[ -n $words ]] || fail "$command has no columns"
		help=$("$TOOL" $command --help | sed -n '/^Columns/,$p' | tr '\n.' '  ')
		# each column by its heading, and in csv
		for word in $words; do
			sort=(--sort "-$word")
			[[ $command != audit\ tail ]] || sort=()
			ctl 0 $command --columns "$word" -o table "${sort[@]}"
			read -ra heading <<<"${out%%$'\n'*}"
			printf -v heading %s "${heading[@]}"
			is "${heading,,}" "$word"
			has "$help" " $word "
		done
		ctl 0 $command --columns "${words//$'\n'/,}" -o csv
		is "${out%%$'\n'*}" "${words//$'\n'/,}"
		ctl 2 $command --columns frobnicate
		has "$err" "no such column; there are ${words%%$'\n'*}"
		[[ $command == audit\ tail ]] || ctl 2 $command --sort "$word,"
	done <<-'END'
		brokers
		leases
		kernels
		usage
		budget list
		registries
		explain 9
		audit tail
		audit stats
	END
	ctl 0 budget list --sort -budget --columns tenant,engagement -o csv
	is "$out" $'tenant,engagement\n9,7\n9,8\n10,7'
	ctl 0 budget list --filter 'used>1s' -J
	json '[.budgets[].engagement]' '["8"]'
	ctl 0 usage --sort -gpu-time -J
	json '[.usage[].engagement]' '["8","7","7"]'
	ctl 0 brokers --filter state=dead
	has "$err" "no brokers"
	ctl 0 brokers --filter 'state!=dead' --columns pid,STATE,grace_behind -o csv
	is "$(head -1 <<<"$out")" pid,STATE,grace_behind
	ctl 0 leases --columns tenant,kernels --no-headers
	is "$(tr -d ' ' <<<"$out")" 91
	ctl 0 audit stats --sort -written --columns kind -o csv --no-headers
	is "$(head -1 <<<"$out")" budget_change
	ctl 0 audit tail -o csv --columns kind,tenant
	is "$(sed -n 1p <<<"$out")" kind,tenant
	# top sorts by the numbers, not by their texts
	ctl 0 top --once 100ms --sort -tenant --columns tenant,msg/s
	is "$(grep -A 2 'TENANT *MSG/s' <<<"$out" | sed 1d | tr -s ' ' | cut -d ' ' -f 2)" $'10\n9'
	ctl 0 top 100ms --sort kernels -J
	json '[.tenants[].id]' '["10","9"]'
	ctl 2 top --columns kernels-held
	ctl 2 show 9 --columns id
	has "$err" "has no option --columns"
}

cli_list_is_watched_until_it_is_stopped() {
	init
	ctl 0 register 42 -q
	: >"$DIR/watched"
	"$TOOL" list -w --columns id -o csv >"$DIR/watched" 2>"$DIR/err" &
	local pid=$! got=0
	brokers+=("$pid")
	until_true 60 grep -q 42 "$DIR/watched"
	ctl 0 register 43 -q
	until_true 60 grep -q 43 "$DIR/watched"
	ctl 0 destroy -q
	wait "$pid" || got=$?
	is "$got" 6
	has "$(<"$DIR/err")" "destroyed"
	# the reader ends
	init
	ctl 0 register 42 -q
	"$TOOL" list -w --columns id 2>"$DIR/err" | head -1 >"$DIR/first"
	is "$(<"$DIR/first")" TENANT
	is "$(<"$DIR/err")" ""
}

cli_list_of_no_tenants_is_empty() {
	init
	ctl 0 list -J
	json .tenants '[]'
	ctl 0 list -o csv
	is "$(wc -l <<<"$out")" 1
	ctl 0 list
	is "$out" ""
	has "$err" "no tenants"
}

cli_show_has_usage_by_reason() {
	init
	ctl 0 register 42 --rate 3/s --kernels 1 --gpu-memory 4K --budget 7=1us -q
	attach
	say K2K_OK track 42 7 1500
	say K2K_EBUDGET admit 42 7 1
	say K2K_ERATE admit 42 8 4
	say K2K_OK kernel 42
	say K2K_EKERNELS kernel 42
	say K2K_OK memory 42 4096
	say K2K_EGPUMEM memory 42 1
	ctl 0 show 42 -J
	json '.tenants[0].usage.rejected_total|[.rate,.budget,.kernels,.gpu_memory]' '["1","1","1","1"]'
	json '.tenants[0].usage|[.kernels,.gpu_memory_bytes,.gpu_ns_total]' '[1,"4096","1500"]'
	json '.tenants[0].quota.budgets[0]|[.engagement,.budget_ns,.used_ns]' '["7","1000","1500"]'
	ctl 0 show 42
	has "$out" "1us, used 1.5us"
	has "$out" "3/s"
	ctl 0 show 42 -o csv
	has "$out" "usage.rejected_total.gpu_memory"
	ctl 3 show 43
	ctl 3 show 43 -J
	error_object K2K_ENOTENANT
}

cli_exists_answers_by_exit_code() {
	init
	ctl 0 register 42 -q
	ctl 0 exists 42
	has "$out" "is registered"
	ctl 1 exists 43
	has "$out" "not registered"
	ctl 0 exists 0x2a -J
	json .exists true
	json .id 42
	ctl 1 exists 43 -J
	one_object
	json .exists false
	ctl 1 exists 43 -o csv
	is "$out" $'id,exists\n43,false'
}

cli_budgets_are_set_unset_and_listed() {
	init
	ctl 0 register 42 -q
	ctl 0 register 43 --budget 9=1m -q
	ctl 0 budget set 42 7 1h30m -J
	json '.tenants[0].quota.budgets[0]|[.engagement,.budget_ns,.used_ns]' '["7","5400000000000","0"]'
	ctl 0 budget set 42 7 2h -J
	json '.tenants[0].quota.budgets|length' 1
	ctl 0 budget set 42 0 0s -q
	ctl 0 budget set 42 18446744073709551615 18446744073709551614ns -q
	ctl 0 budget list -J
	one_object
	json '[.budgets[]|.tenant+"/"+.engagement+"="+.budget_ns]|join(" ")' \
		"42/0=0 42/7=7200000000000 42/18446744073709551615=18446744073709551614 43/9=60000000000"
	json '.budgets[0]|keys|join(" ")' \
		"alerted_percent began_at_ns budget_ns corrected_ns engagement period renewal renews_at_ns reserved_ns tenant used_ns"
	ctl 0 budget list 43 -o csv
	is "$out" $'tenant,engagement,budget_ns,used_ns,reserved_ns,renewal,period,began_at_ns,renews_at_ns,corrected_ns,alerted_percent\n43,9,60000000000,0,0,never,0,,,0,0'
	ctl 0 budget list 42
	has "$out" 2h
	ctl 0 budget unset 42 7 -J
	json '.tenants[0].quota.budgets|length' 2
	ctl 3 budget unset 42 7
	has "$err" "tenant 42, engagement 7"
	ctl 3 budget unset 42 7 -J
	error_object K2K_ENOBUDGET
	ctl 0 budget set 42 0 unlimited -J
	json '.tenants[0].quota.budgets|length' 1
	ctl 0 budget set 42 0 unlimited
	ctl 3 budget set 44 7 1s
	ctl 3 budget set 44 7 unlimited
	ctl 3 budget unset 44 7
	ctl 3 budget list 44
}

cli_a_budget_renews_is_corrected_and_keeps_its_history() {
	init
	ctl 0 register 42 --budget 7=10h/day -q
	ctl 0 export
	has "$out" "budgets: {7: 10h/day}"
	ctl 0 budget list -J
	json '.budgets[0]|[.renewal,.period]' '["day","1"]'
	ctl 0 usage correct 42 7 --by +1h30m --reason "a test" --request 5 -J
	json '[.gpu_ns,.corrected_ns]' '["0","5400000000000"]'
	ctl 0 usage correct 42 7 --by +1h30m --reason "a test" --request 5 -J
	json .corrected_ns 5400000000000
	ctl 4 usage correct 42 7 --by -1h --reason "a test" --request 5
	ctl 2 usage correct 42 7 --by -2h --reason "more than there is"
	ctl 2 usage correct 42 7 --by -1h
	ctl 0 usage correct 42 7 --by -30m --reason "less" --dry-run
	is "$out" "would correct usage of tenant 42, engagement 7 by -30m"
	ctl 0 usage correct 42 7 --by -30m --reason "less"
	has "$out" 1h
	ctl 0 audit tail --type correction -o table
	has "$out" "by -30m, in all 1h: 'less'"
	ctl 0 budget list -J
	json '.budgets[0]|[.used_ns,.corrected_ns]' '["3600000000000","3600000000000"]'
	ctl 2 budget renew 42 7
	has "$err" --force
	ctl 0 budget renew 42 7 --force -q
	ctl 0 budget history 42 7 -J
	json '.periods|map([.period,.used_ns,.final])' '[["1","3600000000000",true]]'
	ctl 0 budget set 42 7 5h/week -J
	json '.tenants[0].quota.budgets[0]|[.budget_ns,.renewal,.period]' '["18000000000000","week","2"]'
	ctl 0 budget set 42 7 5h
	has "$out" "budget 7: 5h/week -> 5h"
	ctl 3 budget history 42 7
	is "$err" "k2k-tenantctl: tenant 42, engagement 7: no budget that renews; 'k2k-tenantctl -r $K2K_REGISTRY budget list 42' lists its budgets"
	ctl 3 budget renew 42 7 --force
	ctl 2 budget set 42 7 5h/year
	has "$err" "hour, day, week or month"
}

cli_a_dry_run_says_what_it_would_do_and_changes_nothing() {
	local before
	init
	ctl 0 register 42 --budget 7=1s -q
	ctl 0 list -J; before=$out
	ctl 0 register 43 --rate 5k/s --dry-run
	is "$out" "would register tenant 43, rate 5000/s, kernels 16, GPU memory 2GiB"
	ctl 4 register 42 --dry-run
	ctl 0 register 42 --if-missing --dry-run
	ctl 0 update 42 --rate unlimited --budget 7=unlimited --dry-run -J
	one_object
	json .dry_run true
	json '.changes[0]|[.action,.tenant]' '["update","42"]'
	ctl 3 update 43 --rate 1/s --dry-run
	ctl 0 update 43 --rate 1/s --dry-run --if-missing
	ctl 0 deregister 42 --dry-run -o csv
	is "$out" $'action,tenant,text\nderegister,42,tenant 42'
	ctl 3 deregister 43 --dry-run
	ctl 0 budget set 42 7 5s --dry-run
	has "$out" "would set budget of tenant 42, engagement 7 to 5s"
	ctl 0 budget set 42 9 unlimited --dry-run
	ctl 0 budget unset 42 7 --dry-run
	ctl 3 budget unset 42 8 --dry-run
	ctl 3 budget set 43 7 1s --dry-run
	ctl 2 update 42 --rate 1 --dry-run
	ctl 0 list -J
	is "$out" "$before"
}

run_tests "$@"
