# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: kernels, and where else names of kernels are shown
. "$(dirname "${BASH_SOURCE[0]}")/terminal_harness.bash"

cli_kernels_lists_names_by_tenant_with_their_brokers() {
	local first
	init
	ctl 0 kernels
	has "$err" "no kernels"
	ctl 0 kernels -J
	json .kernels '[]'
	ctl 0 register 42 43 -q
	attach
	say K2K_OK add 43 5 7 alpha
	say K2K_OK add 42 0 0 beta
	first=$broker_pid
	attach 2>/dev/null
	say K2K_OK add 42 0 0 alpha2
	say K2K_OK add 0 0 0 nobodys
	say K2K_EEXIST add 42 0 0 beta
	ctl 0 kernels -o csv --columns name,tenant,slot,pid,org_id,engagement_id,stale
	is "$out" "name,tenant,slot,pid,org_id,engagement_id,stale
nobodys,0,1,$broker_pid,0,0,false
alpha2,42,1,$broker_pid,0,0,false
beta,42,0,$first,0,0,false
alpha,43,0,$first,5,7,false"
	ctl 0 kernels -J
	one_object
	json '[.kernels[].name]|join(" ")' "nobodys alpha2 beta alpha"
	json '.kernels[3]|keys|join(" ")' "address engagement_id generation incarnation name org_id pid slot stale tenant"
	json '.kernels[3]|[.tenant,.slot,.pid,.org_id,.engagement_id,.stale,.address]' \
		"[\"43\",0,$first,\"5\",\"7\",false,\"000000000000000100000000000000ab\"]"
	ctl 0 kernels 42 --no-headers --columns kernel
	is "$out" $'alpha2\nbeta'
	ctl 0 kernels --filter tenant=0 --no-headers --columns kernel
	is "$out" nobodys
	ctl 0 kernels --filter 'kernel>=beta' --sort -kernel --no-headers --columns kernel
	is "$out" $'nobodys\nbeta'
	ctl 0 kernels
	has "$out" KERNEL
	lacks "$out" ADDRESS
	# of a registration that is over; then of nobody, and with its broker gone
	ctl 0 deregister 43 -q
	ctl 0 kernels --filter stale=yes -J
	json '.kernels|map([.name,.tenant,.stale])' '[["alpha",null,true]]'
	say K2K_OK remove 0 0 0 nobodys
	kill -KILL "$first"
	until_true 60 eval '[[ $("$TOOL" kernels -J | jq -r "[.kernels[].name]|join(\" \")") == alpha2 ]]'
}

cli_kernels_refuses_bad_input() {
	init
	ctl 3 kernels 42
	ctl 3 kernels 42 -J
	error_object K2K_ENOTENANT
	ctl 3 kernels 0
	ctl 2 kernels x
	ctl 2 kernels 1 2
	ctl 2 kernels --columns nothing
	has "$err" "there are kernel, tenant, stale, slot"
	ctl 2 kernels --filter stale=maybe
	ctl 2 kernels --sort address2
	ctl 6 kernels -r "$K2K_REGISTRY-none"
}

# Bytes that a terminal would obey, that are no UTF-8, and that look like an escape.
cli_names_of_kernels_are_escaped_and_stay_different() {
	local name escaped='a\x01\x1b[5m\xff\\x01'
	name=$'a\x01\x1b[5m\xff\\x01'
	init
	ctl 0 register 42 -q
	attach
	say K2K_OK add 42 0 0 "$name"
	say K2K_OK add 42 0 0 '=1+1'
	ctl 0 kernels
	has "$out" "$escaped"
	[[ ! $out =~ [^[:print:][:space:]] ]] || fail "$out"
	ctl 0 kernels -J
	json '.kernels[1].name' "$escaped"
	ctl 0 kernels -o csv --columns kernel
	is "$out" $'kernel\n\'=1+1\n'"$escaped"
	ctl 0 leases -J
	json '.leases[0].names|.[1]' "$escaped"
	ctl 0 leases
	has "$out" "=1+1, $escaped"
	# the longest name, of bytes that all need an escape
	say K2K_OK add 42 0 0 "$(printf '\xff%.0s' {1..63})"
	ctl 0 kernels -J
	json '.kernels[2].name|length' 252
}

cli_names_of_kernels_are_counted_wherever_tables_are() {
	local i
	init
	ctl 0 register 42 43 -q
	attach
	say K2K_OK kernel 42
	for i in {1..12}; do say K2K_OK add 42 0 0 "kernel-number-$i"; done
	say K2K_OK add 43 0 0 other
	ctl 0 info -J
	json .tables.kernels '{"used":13,"retired":0,"capacity":16}'
	ctl 0 info
	has "$out" "names of kernels"
	has "$out" "13 of 16"
	ctl 0 leases -J
	json '[.leases[]|[.tenant,.kernels,(.names|length)]]' '[["42",13,12],["43",1,1]]'
	ctl 0 leases --columns tenant,names --no-headers
	has "$out" "kernel-number-1, kernel-number-10, kernel-number-11 and 9 more"
	has "$out" "other"
	ctl 0 metrics
	has "$out" "k2k_kernels_named{registry=\"$K2K_REGISTRY\",tenant=\"42\"} 12"
	has "$out" "k2k_table_used_records{registry=\"$K2K_REGISTRY\",table=\"kernels\"} 13"
	has "$out" "k2k_table_capacity_records{registry=\"$K2K_REGISTRY\",table=\"kernels\"} 16"
	has "$out" "k2k_kernels_strict{registry=\"$K2K_REGISTRY\"} 0"
	ctl 0 metrics --max-series 0
	has "$out" "k2k_kernels_named{registry=\"$K2K_REGISTRY\",tenant=\"other\"} 13"
	ctl 0 top --once 10ms -J
	json .tables.kernels '{"used":13,"capacity":16}'
	ctl 0 top --once 10ms
	has "$out" "13 of 16"
}

cli_top_has_a_view_of_kernels() {
	init
	ctl 0 register 42 43 -q
	attach
	say K2K_OK add 42 0 7 $'b\x1bc'
	say K2K_OK add 43 0 0 a
	terminal 110 20
	runs '"$T" top 50ms'
	keys Tab
	shows "Tab kernels"
	keys Tab
	shows 'b\x1bc'
	shows "by KERNEL, rising"
	is "$(row a)" "a 43 0 $broker_pid 0"
	is "$(row 'b\\x1bc')" "b\\x1bc 42 0 $broker_pid 7"
	ctl 0 deregister 43 -q
	shows stale
	say K2K_OK remove 0 0 0 a
	hides stale
	kill -KILL "$broker_pid"
	shows "no kernels"
	keys Tab
	shows "Tab brokers"
	keys q
	ended 0
}

run_tests "$@"
