# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: thresholds of limits
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

# alerts: what the trail has of them, oldest first
alerts() {
	ctl 0 audit tail -J --type alert
	jq -rs '[.[]|select(.kind=="alert")|.tenant+":"+.limit_of+"@"+(.percent|tostring)+"="+.used+"/"+.limit]|join(" ")' <<<"$out"
}

cli_thresholds_are_set_shown_and_removed() {
	init
	ctl 0 register 42 --alert 80% --alert 50%,95% --budget 7=1h
	has "$out" "alerts 50%,80%,95%"
	ctl 0 show 42
	has "$out" "50%,80%,95%"
	ctl 0 list -J
	json '.tenants[0].quota.alerts' "50%,80%,95%"
	json '.tenants[0].usage.alerted_percent.rate' 0
	ctl 0 update 42 --alert 90% --dry-run
	has "$out" "alerts 90%"
	ctl 0 update 42 --alert 90%
	is "$out" "tenant 42: alerts 50%,80%,95% -> 90%"
	ctl 0 update 42 --kernels 5 -q
	ctl 0 update 42 --alert none
	is "$out" "tenant 42: alerts 90% -> none"
	ctl 0 show 42
	is "$(grep -A 1 "^alerts at" <<<"$out")" $'alerts at          none\n  reached          none'
	ctl 0 list -J
	json '.tenants[0].quota.alerts' null
	ctl 0 audit tail -J --type update
	is "$(jq -rs '[.[]|.alerts]|tostring' <<<"$out")" '["90%",null,null]'
	ctl 0 check
}

cli_what_can_not_be_a_threshold_is_refused() {
	init
	local wrong
	for wrong in 80 0% 101% 80%, ,80% 80%,x 10%,20%,30%,40%,50% -5% ""; do
		ctl 2 register 42 --alert="$wrong"
		has "$err" "--alert"
		has "$err" "80%"
	done
	ctl 0 list -J
	json .tenants '[]'
}

cli_a_threshold_that_is_reached_is_in_the_trail_and_shown() {
	init
	ctl 0 register 42 --rate 10/h --kernels 2 --budget 7=1000ns --alert 50% --alert 100% -q
	attach
	say K2K_OK admit 42 7 5
	is "$(alerts)" "42:rate@50=5/10"
	say K2K_OK admit 42 7 1
	say K2K_OK track 42 7 1200
	is "$(alerts)" "42:rate@50=5/10 42:budget@50=1200/1000 42:budget@100=1200/1000"
	ctl 0 audit tail -o table --type alert
	has "$out" "budget at 100%: 1.2us of 1us used, engagement 7"
	ctl 0 list -J
	json '.tenants[0].usage.alerted_percent.rate' 50
	json '.tenants[0].quota.budgets[0].alerted_percent' 100
	ctl 0 list --columns id,alerted --no-headers
	has "$out" "rate 50%, budget 100%"
	ctl 0 budget list -J
	json '.budgets[0].alerted_percent' 100
	ctl 0 metrics
	has "$out" "k2k_threshold_reached_percent{registry=\"$K2K_REGISTRY\",tenant=\"42\",limit=\"rate\"} 50"
	has "$out" "k2k_budget_threshold_reached_percent{registry=\"$K2K_REGISTRY\",tenant=\"42\",engagement=\"7\"} 100"
	ctl 0 budget set 42 7 2000ns -q
	is "$(alerts)" "42:rate@50=5/10 42:budget@50=1200/1000 42:budget@100=1200/1000 42:budget@50=1200/2000"
	ctl 0 check
}

cli_documents_and_saved_files_have_the_thresholds() {
	init
	ctl 0 register 42 --alert 50%,80% --budget 7=1000ns -q
	ctl 0 register 43 -q
	attach
	say K2K_OK track 42 7 600
	ctl 0 export
	has "$out" 'alerts: "50%,80%"'
	echo "$out" >"$DIR/tenants.yaml"
	ctl 0 diff -f "$DIR/tenants.yaml"
	sed -i 's/50%,80%/70%/' "$DIR/tenants.yaml"
	ctl 1 diff -f "$DIR/tenants.yaml"
	has "$out" "alerts 50%,80% -> 70%"
	sed 's/70%/170%/' "$DIR/tenants.yaml" >"$DIR/wrong.yaml"
	ctl 2 apply -f "$DIR/wrong.yaml" -y
	has "$err" "alerts '170%'"
	ctl 0 apply -f "$DIR/tenants.yaml" -y -q
	ctl 0 show 42
	has "$out" "70%"
	ctl 0 save "$DIR/saved"
	kill -KILL "$broker_pid"
	ctl 0 destroy -q
	init
	ctl 0 load "$DIR/saved" -q
	ctl 0 list -J
	json '.tenants[0].quota.alerts' "70%"
	is "$(alerts)" ""
}

run_tests "$@"
