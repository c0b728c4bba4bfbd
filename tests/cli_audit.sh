# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: audit tail, audit stats
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

has_line() { grep -q -- "$1" "$2"; }
is_gone() { ! kill -0 "$1" 2>/dev/null; }

# follow FILE ARGUMENT...: tail -f into a file, in the background; $tail is its process
follow() {
	local file=$1; shift
	: >"$file"
	"$TOOL" audit tail -f "$@" >"$file" 2>"$DIR/tail-err" &
	tail=$!
	brokers+=("$tail")
}
ends_with() {
	local got
	wait "$tail"; got=$?
	[[ $got == "$1" ]] || fail "audit tail -f: exit code $got, not $1; $(<"$DIR/tail-err")"
}

cli_audit_tail_shows_every_kind_that_brokers_and_administrators_write() {
	local i
	init
	ctl 0 register 42 --rate 2/s --kernels 1 --gpu-memory 4k --budget 7=1ms -q
	ctl 0 register 43 --preset unlimited --kernels 3 -q
	attach
	say K2K_OK track 43 5 6
	say K2K_ERATE admit 42 1 3
	say K2K_OK track 42 7 1500000
	say K2K_EBUDGET admit 42 7 1
	say K2K_OK kernel 42
	say K2K_EKERNELS kernel 42
	say K2K_EGPUMEM memory 42 4097
	say K2K_ENOTENANT admit 99 0 1
	say K2K_OK cross 42 43
	ctl 0 budget set 42 8 1h -q
	ctl 0 update 43 --rate 5k/s --kernels unlimited -q
	ctl 0 deregister 43 -q
	ctl 0 repair -q
	ctl 0 audit tail
	lines '[.[].kind]|join(" ")' '"created register budget_change register rate budget kernels gpu_memory unknown_tenant cross_tenant budget_change update deregister final_totals repair"'
	lines '[.[]|.schema+"/"+.registry]|unique' "[\"k2k-tenantctl/1/$K2K_REGISTRY\"]"
	lines '[.[]|select(.ring==0)|.sequence]' '["1","2","3","4","5"]'
	lines '[.[]|select(.ring==65)|.sequence+.kind]' '["1cross_tenant"]'
	lines '[.[]|select(.ring==64)|.sequence]' '["1","2","3","4","5","6","7","8","9"]'
	lines '[.[]|select(.ring!=64)|.pid]|unique' "[\"$broker_pid\"]"
	# who refused it: the kind decides the actor; the program is another member
	lines '[.[]|select(.ring!=64)|.actor+" "+.comm]|unique' "[\"k2k_broker cli_broker\",\"k2k_tenant_registry cli_broker\"]"
	lines '[.[]|select(.kind=="budget")|.tenant,.engagement_id,.used,.limit,.error,.level,.type]' \
		'["42","7","1500000","1000000","K2K_EBUDGET","Warning","ResourceLimitExceeded"]'
	lines '[.[]|select(.kind=="cross_tenant")|.from_tenant,.to_tenant,.source_kernel,.destination_kernel,.level,.type]' \
		'["42","43","a","b","Security","SecurityViolation"]'
	lines '[.[]|select(.kind=="update")|.max_messages_per_sec,.max_concurrent_kernels,.max_gpu_memory_bytes,.actor]' \
		'["5000",null,null,"k2k-tenantctl"]'
	lines '[.[]|select(.kind=="final_totals")|.gpu_ns_total]' '["6"]'
	lines '[.[]|.time_ns|tonumber]|.==sort' true
	ctl 0 audit tail -o table
	for i in 'engagement 7, budget 1ms' '0 of 2 used, engagement 1' '1.5ms of 1ms used, engagement 7' '1 of 1 used' \
		"to tenant 43: 'a' to 'b'" 'rate 5000/s' 'GPU time 6ns' admin:9 s0:1 ' cli_broker '; do
		has "$out" "$i"
	done
	ctl 0 audit tail -o csv
	is "$(head -1 <<<"$out")" time_ns,ring,sequence,level,type,kind,tenant,to_tenant,count,org_id,engagement_id,used,limit,source,destination,actor,pid,comm
	has "$out" ,0,2,Warning,ResourceLimitExceeded,budget,42,,1,0,7,1500000,1000000,,,k2k_tenant_registry,
	is "$(awk -F, '{ print NF }' <<<"$out" | sort -u)" 18
	# only administrators write in their ring
	ctl 0 audit stats -J
	one_object
	json '[.stats[]|select(.written_total!="0")|.kind+"="+.written_total]|join(" ")' \
		"cross_tenant=1 rate=1 budget=1 kernels=1 gpu_memory=1 unknown_tenant=1 register=2 update=1 deregister=1 budget_change=2 created=1 repair=1 final_totals=1"
	json '[.stats[]|.coalesced_total,.lost_total]|unique' '["0"]'
	json .max_audit_events 256
}

cli_audit_tail_is_a_table_on_a_terminal_and_json_elsewhere() {
	needs_terminals
	init
	ctl 0 audit tail
	is "${out:0:1}" "{"
	out=$(script -qec "'$TOOL' audit tail" /dev/null)
	has "$out" EVENT
	has "$out" admin:1
	lacks "$out" "{"
	out=$(script -qec "'$TOOL' audit tail -J" /dev/null)
	is "${out:0:1}" "{"
	ctl 0 audit tail -o table --type rate
	is "$err" "k2k-tenantctl: no events"
	ctl 0 audit tail --type rate
	is "$out$err" ""
}

cli_audit_tail_since_begins_where_it_says() {
	local i
	init
	attach
	for i in 1 2 3; do say K2K_OK cross 1 $((i + 1)); done
	ctl 0 register 42 -q
	for i in 4 5; do say K2K_OK cross 1 $((i + 1)); done
	ctl 0 audit tail --since s0:3
	lines '[.[]|"\(.ring):\(.sequence)"]|join(" ")' '"65:3 64:2 65:4 65:5"'
	ctl 0 audit tail --since admin:2
	lines '[.[]|"\(.ring):\(.sequence)"]|join(" ")' '"64:2 65:4 65:5"'
	ctl 0 audit tail --since 64:1
	lines length 7
	ctl 0 audit tail --since s0:6            # the next event, which does not exist yet
	is "$out" ""
	ctl 0 audit tail --since 2
	lines '[.[]|"\(.ring):\(.sequence)"]|join(" ")' '"65:2 65:3 64:2 65:4 65:5"'
	ctl 0 audit tail --since 1h
	lines length 7
	ctl 0 audit tail --since unlimited
	lines length 7
	ctl 0 audit tail --since 0s
	is "$out" ""
}

cli_audit_tail_takes_times_and_the_last_of_what_there_is() {
	local i first last half
	init
	for i in 1 2 3 4 5; do ctl 0 register $i -q; sleep 0.01; done
	ctl 0 audit tail --type register
	first=$(jq -sr '.[0].time' <<<"$out") last=$(jq -sr '.[-1].time' <<<"$out") half=$(jq -sr '.[2].time' <<<"$out")
	ctl 0 audit tail --type register --since "$half"
	lines '[.[].tenant]|join(" ")' '"3 4 5"'
	ctl 0 audit tail --type register --until "${half/T/ }"
	lines '[.[].tenant]|join(" ")' '"1 2 3"'
	ctl 0 audit tail --type register --since "$first" --until "$last"
	lines length 5
	ctl 0 audit tail --since "$(date -u -d '-1 day' +%F)" --until "$(date -u -d '+1 day' +%F)" --type register
	lines length 5
	# the same times in other zones
	ctl 0 audit tail --since "$(TZ=UTC-2 date -d "$half" +%Y-%m-%dT%H:%M:%S.%N)+02:00" --type register
	lines '[.[].tenant]|join(" ")' '"3 4 5"'
	ctl 0 audit tail --until "$(date -u -d '-1 hour' '+%F %H:%M')"
	is "$out" ""
	ctl 0 audit tail --until 0s --type register
	lines length 5
	ctl 0 audit tail -n 2
	lines '[.[].tenant]|join(" ")' '"4 5"'
	ctl 0 audit tail --lines 2 --type register --until "$half"
	lines '[.[].tenant]|join(" ")' '"2 3"'
	ctl 0 audit tail -n 100
	lines length 6
	follow "$DIR/tail" -n 1
	until_true 60 has_line '"tenant":"5"' "$DIR/tail"
	ctl 0 register 6 -q
	until_true 60 has_line '"tenant":"6"' "$DIR/tail"
	is "$(wc -l <"$DIR/tail")" 2
	kill "$tail"
	ends_with 143
	for i in 2026-13-01 2026-11-29T25:00 2026-11-29T18:00:00Y 2026-11-29T18:00:00+1 2026-11-29-x 2026; do
		ctl 2 audit tail --until "$i" -o table
		has "$err" --until
	done
	ctl 2 audit tail -n 0
	ctl 2 audit tail -n x
	ctl 2 audit tail -f --until 1h -o table
	has "$err" "can't be used with -f"
}

# If the clock is set forward by an hour after an event, the event seems an hour older, but is still shown. The test
# changes the event's time instead of the clock.
cli_audit_tail_since_is_not_misled_by_a_clock_that_was_set() {
	local time hours
	init
	ctl 0 register 42 -q
	ctl 0 audit tail --type register
	time=$(jq -r .time_ns <<<"$out")
	for hours in -1 1; do
		python3 - "$K2K_REGISTRY" "$time" $hours <<'EOF' || fail "no such event"
import glob, struct, sys
path = glob.glob("/dev/shm/k2k.%s.live.*" % sys.argv[1])[0]
was, hours = int(sys.argv[2]), int(sys.argv[3])
with open(path, "r+b") as live:
    bytes_ = live.read()
    for shift in (0, -hours):
        at = bytes_.find(struct.pack("<Q", was + shift * 3600 * 10**9))
        if at >= 0:
            break
    live.seek(at)
    live.write(struct.pack("<Q", was + hours * 3600 * 10**9))
EOF
		ctl 0 audit tail --since 10m --type register
		lines '[.[].tenant]' '["42"]'
		ctl 0 audit tail --until 0s --type register
		lines '[.[].tenant]' '["42"]'
	done
}

cli_audit_tail_tenant_is_on_either_side() {
	init
	ctl 0 register 42 -q
	attach
	say K2K_OK cross 42 43
	say K2K_OK cross 43 44
	say K2K_OK cross 0 44
	say K2K_ENOTENANT admit 43 0 1
	ctl 0 audit tail --tenant 43
	lines '[.[].kind]|join(" ")' '"cross_tenant cross_tenant unknown_tenant"'
	ctl 0 audit tail --tenant 42
	lines '[.[].kind]|join(" ")' '"register cross_tenant"'
	# 0 is no tenant, so events without a tenant are not about it
	ctl 0 audit tail --tenant 0
	lines '[.[]|.from_tenant+">"+.to_tenant]|join(" ")' '"0>44"'
	ctl 0 audit tail --tenant 18446744073709551615
	is "$out" ""
}

cli_audit_tail_type_is_a_kind_or_a_type_in_any_case() {
	init
	attach
	say K2K_OK cross 42 43
	say K2K_ENOTENANT admit 43 0 1
	ctl 0 audit tail --type SECURITYviolation
	lines '[.[].kind]' '["cross_tenant"]'
	ctl 0 audit tail --type Unknown_Tenant --tenant 43
	lines '[.[].kind]' '["unknown_tenant"]'
	ctl 0 audit tail --type AuthorizationCheck
	lines '[.[].kind]' '["unknown_tenant"]'
	ctl 0 audit tail --type configurationchange --since 1h
	lines '[.[].kind]' '["created"]'
}

cli_audit_tail_refuses_what_it_does_not_understand() {
	local since
	init
	for since in 0 0:0 129:1 s64:1 s:1 s0: x:1 :1 1: 1:x 5 5x -- -1s 0:2 0:18446744073709551614 0:18446744073709551615 1:2:3; do
		[[ $since == 5 ]] && continue       # a number for all rings, in which no event has it yet
		ctl 2 audit tail --since "$since" -o table
		is "$out" ""
		has "$err" --since
	done
	ctl 0 audit tail --since 5
	is "$out" ""
	ctl 2 audit tail --since 0:2 -J
	error_object K2K_EINVAL
	json .error.message "--since: there is no event 0:2 yet; the newest of this ring is 0"
	ctl 2 audit tail --type rates
	error_object K2K_EINVAL
	has "$out" "cross_tenant, rate, budget, kernels, gpu_memory, unknown_tenant, register"
	has "$out" SecurityViolation
	lacks "$out" " unknown,"
	ctl 2 audit tail --tenant 4x -o table
	has "$err" "position 2"
	ctl 2 audit
	has "$err" "tail, stats or verify"
	ctl 2 audit tails
	ctl 2 audit tail 42
	ctl 2 audit stats -f
	ctl 2 list --since 1
	ctl 6 audit tail -r nosuch-registry
	error_object K2K_ENOREGISTRY
	ctl 6 audit stats -r nosuch-registry
	ctl 0 audit tail --help
	for since in --since --tenant --type --follow; do has "$out" "$since"; done
}

cli_audit_tail_counts_what_is_open_so_far() {
	local i
	init
	ctl 0 register 42 --rate 0/s -q
	attach
	# repeat until all of them were in one second
	until
		for i in 1 2 3 4; do say K2K_ERATE admit 42 0 1; done
		ctl 0 audit tail --type rate
		jq -se '.[-1]|.open and .count=="4"' <<<"$out" >/dev/null
	do ((SECONDS < 60)) || fail "never open: $out"; done
	ctl 0 audit tail --type rate -o table
	until_true 60 eval 'ctl 0 audit tail --type rate; jq -se "map(has(\"open\"))|any|not" <<<"$out" >/dev/null'
	lines '.[-1].count' '"4"'
}

cli_audit_tail_reports_what_was_overwritten() {
	local i
	init
	attach
	for ((i = 1; i <= 300; i++)); do echo "cross 1 2 0 name-$i"; done >&"$broker_in"
	for ((i = 1; i <= 300; i++)); do read -r -t 20 -u "$broker_out" _; done
	ctl 0 audit tail --type cross_tenant
	lines '[length,.[0].sequence,.[-1].source_kernel]' '[256,"45","name-300"]'
	ctl 0 audit tail --since s0:1 --type rate
	lines '[.[]|.kind,.ring,.sequence,.lost]' '["lost",65,"1","44"]'
	ctl 0 audit tail --since s0:40 --type rate -o table
	has "$out" "events up to s0:44 are missing"
	is "$(wc -l <<<"$out")" 2
	ctl 0 audit tail --since s0:45
	lines '[length,.[0].sequence]' '[256,"45"]'
	# if its time is unknown by now, no event of another ring is left out
	ctl 0 register 42 -q
	ctl 0 audit tail --since s0:44
	lines '[length,.[0].kind,.[1].kind,.[1].lost,.[-1].kind]' '[259,"created","lost","1","register"]'
	ctl 0 audit stats -J
	json '.stats[]|select(.kind=="cross_tenant")|[.written_total,.coalesced_total,.lost_total]' '["300","0","0"]'
}

cli_audit_follow_shows_new_events_and_then_reports_that_the_registry_is_gone() {
	init
	ctl 0 register 42 --rate 0/s -q
	attach
	follow "$DIR/tail" --since admin:3
	# wakes the follower; earlier events are not shown
	ctl 0 update 42 --rate 0/s -q       # no change, so no event
	ctl 0 update 42 --rate 0/s --kernels 3 -q
	until_true 60 has_line '"sequence":"3"' "$DIR/tail"
	has "$(<"$DIR/tail")" '"max_concurrent_kernels":3'
	lacks "$(<"$DIR/tail")" max_messages_per_sec
	say K2K_OK cross 1 2
	until_true 60 has_line '"kind":"cross_tenant"' "$DIR/tail"
	lacks "$(<"$DIR/tail")" created
	say K2K_ERATE admit 42 0 1
	say K2K_ERATE admit 42 0 1
	until_true 60 has_line '"kind":"rate"' "$DIR/tail"
	ctl 0 update 42 --rate 1/s -q
	until_true 60 has_line '"kind":"update"' "$DIR/tail"
	exec {broker_in}>&-
	until_true 60 is_gone "$broker_pid"
	ctl 0 destroy -q
	ends_with 6
	out=$(<"$DIR/tail")
	lines '[.[:-1][].kind]|unique|join(" ")' '"cross_tenant destroyed rate update"'
	lines '[.[]|select(.kind=="rate")|.count|tonumber]|add' 2
	lines '.[-2:]|[.[0].kind,.[1].error.name]' '["destroyed","K2K_EFENCED"]'
	has "$(<"$DIR/tail-err")" "$K2K_REGISTRY"
}

cli_audit_follow_prints_one_table() {
	init
	follow "$DIR/tail" -o table
	until_true 60 has_line admin:1 "$DIR/tail"
	ctl 0 register 42 -q
	until_true 60 has_line admin:2 "$DIR/tail"
	ctl 0 register 43 -q
	until_true 60 has_line admin:3 "$DIR/tail"
	kill "$tail"
	ends_with 143
	is "$(grep -c EVENT "$DIR/tail")" 1
	is "$(wc -l <"$DIR/tail")" 4
	# the kinds are in one column
	is "$(sed 's/ \(KIND\|created\|register\) .*//' "$DIR/tail" | awk '{ print length }' | sort -u | wc -l)" 1
}

cli_audit_follow_ends_when_its_reader_has_gone() {
	init
	{ "$TOOL" audit tail -f 2>"$DIR/e"; echo $? >"$DIR/code"; } | head -1 >"$DIR/head"
	is "$(wc -l <"$DIR/head")" 1
	is "$(<"$DIR/code")" 10
	is "$(<"$DIR/e")" ""
	"$TOOL" audit tail >/dev/full 2>"$DIR/e"
	is $? 10
	has "$(<"$DIR/e")" "No space left on device"
	timeout 20 "$TOOL" audit tail -f >/dev/full 2>"$DIR/e"
	is $? 10
	has "$(<"$DIR/e")" "standard output"
}

cli_audit_names_move_no_cursor() {
	local evil=$'\e[2J\x07\x9b31m\x7f'
	init
	cp "$BROKER" "$DIR/"$'b\e[2Jr\x9bk'
	attach
	say K2K_OK cross 1 2 0 "$evil"
	say K2K_OK cross 1 3 0 "grün"
	say K2K_OK cross 1 4 0 "$(printf '%070d' 0)"
	# the first broker stays attached and notices the death of the other
	exec {survivor}>&"$broker_in"
	BROKER="$DIR/"$'b\e[2Jr\x9bk' attach 2>/dev/null
	kill -KILL "$broker_pid"
	until_true 60 eval 'ctl 0 audit tail --type broker_dead; [[ $out ]]'
	lines '[.[]|.kernels,.pid]' "[\"0\",\"$broker_pid\"]"
	for form in table json csv; do
		ctl 0 audit tail -o $form
		lacks "${out//$'\n'}" $'\e'
		lacks "$out" $'\x9b'
		lacks "$out" $'\x07'
		lacks "$out" $'\x7f'
		has "$out" "?[2J"
	done
	ctl 0 audit tail
	has "$out" "grün"
	lines '[.[]|select(.to_tenant=="4")|.cut,(.source_kernel|length)]' '[true,67]'
	ctl 0 audit tail -o table
	has "$out" "0...' to"
}

run_tests "$@"
