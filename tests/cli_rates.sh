# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: rates of a minute, an hour and a day, and token buckets
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

# rates: number, period, policy and burst of every tenant
rates() {
	ctl 0 list -J
	jq -r '[.tenants[]|.id+":"+(.quota.rate//"-")+"/"+.quota.rate_period+","+.quota.rate_policy+","+(.quota.burst//"-")]|join(" ")' <<<"$out"
}

cli_a_rate_has_the_period_that_was_asked_for() {
	init
	local id=0 rate
	for rate in 5k/s 30/min 500/h 10k/day unlimited; do
		ctl 0 register $((id += 1)) --rate $rate
		has "$out" "rate ${rate/k/000}"
	done
	is "$(rates)" "1:5000/second,window,- 2:30/minute,window,- 3:500/hour,window,- 4:10000/day,window,- 5:-/second,window,-"
	ctl 0 list -J
	json '[.tenants[].quota.rate_per_sec]' '["5000",null,null,null,null]'
	ctl 0 list --columns id,rate --no-headers
	is "$(tr -s ' ' <<<"$out" | sed 's/^ //' | tr '\n' ' ')" "1 5000/s 2 30/min 3 500/h 4 10000/day 5 unlimited "
	ctl 0 list -o csv --columns id,rate,rate-per-sec,burst --no-headers
	is "$(tr '\n' ' ' <<<"$out")" "1,5000/s,5000, 2,30/min,, 3,500/h,, 4,10000/day,, 5,unlimited,unlimited, "
	ctl 0 list --sort rate -o csv --columns id --no-headers
	is "$(tr '\n' ' ' <<<"$out")" "4 3 2 1 5 "
	ctl 0 list --filter 'rate>=12k/day' -o csv --columns id --no-headers
	is "$(tr '\n' ' ' <<<"$out")" "1 2 3 5 "
	ctl 0 list --filter 'rate=500/h' -o csv --columns id --no-headers
	is "$out" 3
	ctl 0 show 2
	has "$out" "30/min"
	has "$out" "in this minute"
	ctl 0 check
}

cli_the_trail_shows_a_rate_with_its_period_and_burst() {
	init
	ctl 0 register 1 --rate 30/min -q
	ctl 0 register 2 --rate 5/s --burst 200 -q
	ctl 0 register 3 --rate 500/h -q
	ctl 0 update 3 --rate 9/day --burst 12 -q
	ctl 0 update 3 --kernels 3 -q
	ctl 0 update 3 --policy window -q
	ctl 0 update 3 --rate unlimited -q
	ctl 0 audit tail -o table
	is "$(grep -o 'rate .*' <<<"$out" | sed 's/, .*//; s/ *$//' | tr '\n' ';')" \
		"rate 30/min;rate 5/s with a burst of 200;rate 500/h;rate 9/day with a burst of 12;rate 9/day;rate unlimited;"
	ctl 0 audit tail -J
	is "$(jq -sc '[.[]|select(.kind=="register" or .kind=="update")|with_entries(select(.key|test("messages|burst")))]' <<<"$out")" \
		'[{"max_messages_per_minute":"30"},{"max_messages_per_sec":"5","burst":"200"},{"max_messages_per_hour":"500"},{"max_messages_per_day":"9","burst":"12"},{},{"max_messages_per_day":"9"},{"max_messages_per_sec":null}]'
}

cli_a_window_of_an_hour_holds() {
	init
	ctl 0 register 42 --rate 3/h -q
	attach
	say K2K_OK admit 42 7 3
	say K2K_ERATE admit 42 7 1
	ctl 0 update 42 --rate 4/h
	is "$out" "tenant 42: rate 3/h -> 4/h"
	say K2K_OK admit 42 7 1
	say K2K_ERATE admit 42 7 1
}

cli_a_bucket_stays_one_until_it_is_made_a_window() {
	init
	ctl 0 register 42 --rate 5/s --burst 200
	is "$out" "tenant 42: registered: rate 5/s with a burst of 200, kernels 16, GPU memory 2GiB"
	is "$(rates)" "42:5/second,bucket,200"
	ctl 0 update 42 --rate 30/min
	is "$out" "tenant 42: rate 5/s with a burst of 200 -> 30/min with a burst of 200"
	ctl 0 update 42 --burst 7
	is "$(rates)" "42:30/minute,bucket,7"
	ctl 0 update 42 --rate 6/min --dry-run
	has "$out" "rate 6/min with a burst of 7"
	ctl 0 update 42 --kernels 3 -q
	is "$(rates)" "42:30/minute,bucket,7"
	ctl 0 update 42 --policy window
	is "$out" "tenant 42: rate 30/min with a burst of 7 -> 30/min"
	ctl 0 update 42 --policy bucket --burst 0 -q
	is "$(rates)" "42:30/minute,bucket,0"
	ctl 0 update 42 --rate unlimited
	is "$out" "tenant 42: rate 30/min with a burst of 0 -> unlimited"
	is "$(rates)" "42:-/second,window,-"
	ctl 0 update 42 --rate 5/s --burst 9 -q
	ctl 0 update 42 --preset standard -q
	is "$(rates)" "42:100000/second,window,-"
	ctl 0 check
}

cli_several_buckets_keep_each_its_burst() {
	init
	ctl 0 register 1 --rate 5/s --burst 10 -q
	ctl 0 register 2 --rate 6/h --burst 20 -q
	ctl 0 register 3 --rate 7/s -q
	ctl 0 update 1 2 3 --rate 8/min -q
	is "$(rates)" "1:8/minute,bucket,10 2:8/minute,bucket,20 3:8/minute,window,-"
}

cli_a_bucket_admits_its_burst_at_once() {
	init
	ctl 0 register 42 --rate 1/day --burst 5 -q
	attach
	say K2K_OK admit 42 7 5
	say K2K_ERATE admit 42 7 1
	ctl 0 explain 42
	has "$out" "rate: wait "
	lacks "$out" "next second"
	ctl 0 explain 42 -J
	json '.limits[0]|[.used,.max]' '["5","5"]'
}

cli_a_share_is_in_force_while_shares_hold() {
	init
	ctl 0 register 42 --rate 5/s --alone 2/s
	is "$out" "tenant 42: registered: rate 5/s, alone 2/s, kernels 16, GPU memory 2GiB"
	attach
	ctl 0 show 42
	has "$(tr -s ' ' <<<"$out")" "in force alone"
	ctl 0 info -J
	json '[.shares_epoch,.shares_hold_for_ns]' '["0","0"]'
	say K2K_ERATE admit 42 7 3
	say K2K_OK shares 4 3600
	say K2K_OK admit 42 7 3
	say K2K_ESTALE shares 3 3600
	ctl 0 show 42
	has "$(tr -s ' ' <<<"$out")" "in force the share"
	ctl 0 info
	has "$out" "epoch 4, hold for 59m"
	ctl 0 show 42 -J
	json '.tenants[0]|[.quota.rate,.quota.rate_alone,.usage.rate_holds]' '["5","2",true]'
	ctl 0 metrics
	has "$out" "k2k_messages_alone_limit{registry=\"$K2K_REGISTRY\",tenant=\"42\"} 2"
	say K2K_OK shares 4 0
	say K2K_ERATE admit 42 7 3
	ctl 1 quota 42 --count 3
	ctl 0 explain 42 -J
	ctl 0 update 42 --rate 6/s
	is "$out" "tenant 42: rate 5/s, alone 2/s -> 6/s, alone 2/s"
	ctl 0 audit tail -J
	is "$(jq -sc '[.[]|select(.rate_alone)|[.max_messages_per_sec,.rate_alone]]' <<<"$out")" '[["5","2"],["6","2"]]'
	ctl 0 update 42 --policy window
	is "$out" "tenant 42: rate 6/s, alone 2/s -> 6/s"
	ctl 0 update 42 --alone unlimited
	is "$out" "tenant 42: rate 6/s -> 6/s, alone unlimited"
	ctl 2 update 42 --alone 3/min
	ctl 2 update 42 --alone 3/s --burst 5
	ctl 2 update 42 --alone 3/s --policy bucket
	ctl 0 check
}

cli_shares_that_have_ended_are_told() {
	local began ended limit='tenant="42",period="second",policy="window"'
	init
	ctl 0 register 42 --rate 500/s --alone 2/s -q
	ctl 0 register 43 --rate 500/s --alone 0/s -q
	ctl 0 register 44 --rate 5/s -q
	attach
	metric() { ctl 0 metrics; sed -n "s/^k2k_$1{registry=\"$K2K_REGISTRY\",\{0,1\}${2-}} //p" <<<"$out"; }
	top() { ctl 0 top --once 10ms "$@"; tr -s ' ' <<<"$out"; }
	# nobody has given any
	is "$(metric tenants_alone) $(metric shares_ended_timestamp_seconds) $(metric messages_limit "$limit")" "2 0 2"
	has "$(top)" "shares of rates don't hold, 2 tenants alone"
	is "$(top --columns tenant,rate%,limit,state --sort tenant --no-headers -o csv | tr '\n' ' ')" "42,0,2/s,alone 43,100,0/s,alone 44,0,5/s,'- "
	say K2K_OK shares 4 3600
	is "$(metric tenants_alone) $(metric shares_ended_timestamp_seconds) $(metric messages_limit "$limit")" "0 0 500"
	has "$(top)" "shares of rates hold for 59m"
	is "$(top --columns tenant,limit,state --sort tenant --no-headers -o csv | head -n 1)" "42,500/s,'-"
	ctl 0 list --filter holds=0 -J; json '.tenants | length' 0
	began=$(date +%s)
	say K2K_OK shares 5 1
	until_true 20 eval '[[ $(metric tenants_alone) == 2 ]]'
	ended=$(metric shares_ended_timestamp_seconds)
	awk "BEGIN { exit !($ended > $began && $ended <= $(date +%s) + 1) }" || fail "they ended at $ended, and begun at $began"
	[[ $(top) =~ shares\ of\ rates\ ended\ [0-9.]+m?s\ ago,\ 2\ tenants\ alone ]] || fail "$(top)"
	ctl 0 top --once 10ms -J
	json '[.shares.hold_for_ns, .shares.tenants_alone, (.tenants[] | select(.id == "42") | .rate, .rate_alone, .rate_holds)] | map(tostring) | join(",")' \
		"0,2,500,2,false"
	ctl 0 list --filter holds=0 -J; json '[.tenants[].id] | join(",")' 42,43
}

cli_a_document_has_the_limit_alone_and_a_loaded_registry_begins_with_it() {
	init
	document() { printf 'version: 1\ntenants: [%s]\nend: true\n' "$1" >"$DIR/doc"; }
	document '{id: 42, rate: 5/s, alone: 2/s}, {id: 43, rate: 5/s}'
	ctl 0 apply -f "$DIR/doc" -q
	ctl 0 diff -f "$DIR/doc"
	ctl 0 export
	has "$out" "rate: 5/s, alone: 2/s"
	printf '%s\n' "$out" >"$DIR/export"
	ctl 0 diff -f "$DIR/export"
	document '{id: 42, rate: 5/s}, {id: 43, rate: 5/s}'
	ctl 1 diff -f "$DIR/doc"
	has "$out" "rate 5/s, alone 2/s -> 5/s"
	document '{id: 42, rate: 5/min, alone: 2/s}'
	ctl 2 apply -f "$DIR/doc"
	has "$err" "alone is of a window of a second"
	document '{id: 42, rate: 5/s, burst: 3, alone: 2/s}'
	ctl 2 apply -f "$DIR/doc"
	has "$err" "alone is of a window of a second"
	document '{id: 42, rate: 5/s, alone: 2/min}'
	ctl 2 apply -f "$DIR/doc"
	has "$err" "alone is of a window of a second"
	attach
	say K2K_OK shares 1 3600
	ctl 0 save "$DIR/saved" -q
	ctl 0 destroy -y -q
	init
	ctl 0 load "$DIR/saved" -q
	ctl 0 show 42 -J
	json '.tenants[0]|[.quota.rate,.quota.rate_alone,.usage.rate_holds]' '["5","2",false]'
	ctl 0 show 43 -J
	json '.tenants[0]|[.quota.rate_alone,.usage.rate_holds]' '[null,null]'
	ctl 0 info -J
	json '.shares_epoch' 0
}

cli_what_is_no_rate_is_refused() {
	init
	ctl 2 register 42 --rate 30/week
	has "$err" "position 4"
	ctl 2 register 42 --rate 30
	has "$err" "'/s', '/min', '/h' or '/day' is missing"
	ctl 2 register 42 --rate 5/s --policy bucket
	has "$err" "--burst is missing"
	ctl 2 register 42 --rate 5/s --policy window --burst 5
	has "$err" "not of --policy window"
	ctl 2 register 42 --rate 5/s --burst x
	ctl 2 register 42 --rate 5/s --policy leaky
	ctl 2 register 42 --rate unlimited --burst 5
	has "$err" "less than 2^33"
	ctl 1 exists 42
}

cli_a_tenant_that_is_there_with_another_policy_is_reported() {
	init
	ctl 0 register 42 --rate 5/s --burst 200 -q
	ctl 0 register 42 --if-missing --rate 5/s -J
	json '.differences[0].fields' '[{"field":"rate","found":"5/s with a burst of 200","asked":"5/s"}]'
	ctl 0 register 42 --if-missing --rate 5/s --burst 200 -J
	json .differences '[]'
}

# Four kinds of rates, as rates() prints them
fill() {
	ctl 0 register 1 --rate 30/min -q
	ctl 0 register 2 --rate 5/s --burst 200 -q
	ctl 0 register 3 --rate 7/day --burst 18 -q
	ctl 0 register 4 --rate 5/s -q
}
filled="1:30/minute,window,- 2:5/second,bucket,200 3:7/day,bucket,18 4:5/second,window,-"

cli_a_saved_registry_has_its_rates_again() {
	init
	fill
	ctl 0 save "$DIR/saved" -q
	ctl 0 destroy -y -q
	init
	ctl 0 load "$DIR/saved" -q
	is "$(rates)" "$filled"
	ctl 0 check
}

cli_an_export_has_the_rates_and_applies() {
	init
	fill
	local format
	for format in yaml json; do
		if [[ $format == json ]]; then ctl 0 export -J; else ctl 0 export; fi
		printf '%s\n' "$out" >"$DIR/$format"
		ctl 0 diff -f "$DIR/$format"
		ctl 0 destroy -y -q
		init
		ctl 0 apply -f "$DIR/$format" -q
		is "$(rates)" "$filled"
		ctl 0 diff -f "$DIR/$format"
	done
	has "$(<"$DIR/yaml")" "rate: 30/min"
	has "$(<"$DIR/yaml")" "rate: 5/s, burst: 200, policy: bucket"
}

cli_a_document_changes_the_policy_and_says_so() {
	init
	fill
	cat >"$DIR/doc" <<-'END'
		version: 1
		tenants:
		  - {id: 1, rate: 30/h}
		  - {id: 2, rate: 5/s}
		  - {id: 3, rate: 7/day, burst: 19}
		  - {id: 4, rate: 5/s, policy: bucket, burst: 1}
		end: true
	END
	ctl 1 diff -f "$DIR/doc"
	is "$out" "update tenant 1: rate 30/min -> 30/h
update tenant 2: rate 5/s with a burst of 200 -> 5/s
update tenant 3: rate 7/day with a burst of 18 -> 7/day with a burst of 19
update tenant 4: rate 5/s -> 5/s with a burst of 1"
	ctl 1 diff -f "$DIR/doc" -J
	json '.changes[1].fields' '[{"field":"rate","before":"5/s with a burst of 200","after":"5/s"}]'
	ctl 0 apply -f "$DIR/doc" -q
	is "$(rates)" "1:30/hour,window,- 2:5/second,window,- 3:7/day,bucket,19 4:5/second,bucket,1"
	ctl 0 diff -f "$DIR/doc"
}

cli_a_document_with_half_a_bucket_is_refused() {
	init
	local tenant
	while IFS='|' read -r tenant what; do
		printf 'version: 1\ntenants: [%s]\nend: true\n' "$tenant" >"$DIR/doc"
		ctl 2 apply -f "$DIR/doc"
		has "$err" "$what"
	done <<-'END'
		{id: 1, rate: 5/s, policy: bucket}|a bucket needs a burst
		{id: 1, rate: 5/s, policy: window, burst: 5}|burst is of a bucket
		{id: 1, policy: leaky}|must be window or bucket
		{id: 1, rate: 5/week}|'s', 'min', 'h' or 'day' is expected
		{id: 1, burst: many}|a digit is expected
	END
	ctl 1 exists 1
}

run_tests "$@"
