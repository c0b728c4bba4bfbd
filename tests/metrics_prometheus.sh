# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-exporter beside a real Prometheus: Prometheus scrapes, answers queries and raises alerts, and
# each of the dashboard's queries has an answer.
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"
. "$(dirname "${BASH_SOURCE[0]}")/metrics_harness.bash"
TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KIT=$TESTS/../tools/k2k-exporter

# agent_metrics: in $DIR/fleet, what an agent of the registry tells whose database is away
agent_metrics() {
	[[ -x ${K2K_FLEETD-} ]] || skip "k2k-fleetd is not built"
	"$K2K_FLEETD" -d "host=$DIR/none" --metrics "$DIR/fleet" --once 2>/dev/null
	is $? 10
}

need_prometheus() {
	command -v promtool >/dev/null && command -v prometheus >/dev/null || skip "no prometheus"
}

# prometheus_start: scrapes $url twice a second; Prometheus's own address is in $prom
prometheus_start() {
	local port
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	prom=http://127.0.0.1:$port
	cp "$KIT/alerts.yml" "$DIR/"
	cat >"$DIR/prometheus.yml" <<-END
		global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}
		rule_files: [alerts.yml]
		scrape_configs:
		  - job_name: k2k
		    static_configs: [{targets: ["$(sed 's|http://||; s|/.*||' <<<"$url")"]}]
	END
	promtool check config "$DIR/prometheus.yml" >"$DIR/promtool" 2>&1 || fail "$(<"$DIR/promtool")"
	prometheus --config.file="$DIR/prometheus.yml" --storage.tsdb.path="$DIR/data" --web.listen-address="127.0.0.1:$port" \
		--log.level=warn >"$DIR/prometheus.log" 2>&1 &
	prometheus_pid=$!
	brokers+=("$prometheus_pid")
	until_true 40 curl -sSf -o /dev/null "$prom/-/ready" 2>/dev/null
}
# query EXPRESSION: prints the values of the answer, one a line
query() {
	curl -sSG --data-urlencode "query=$1" "$prom/api/v1/query" | jq -r 'if .status == "success" then .data.result[].value[1] else error(.error) end'
}
answers() { [[ $(query "$1") == "$2" ]]; }
positive() { [[ $(query "$1" | awk '$1 > 0' | wc -l) -ge 1 ]]; }
alert_is() {
	[[ $(curl -sS "$prom/api/v1/alerts" | jq -r "[.data.alerts[] | select(.labels.alertname == \"$1\") | .state] | unique | join(\",\")") == "$2" ]]
}

cli_prometheus_scrapes_answers_and_alerts() {
	need_prometheus
	init
	ctl 0 register 42 --rate 3/s --burst 3 --kernels 2 --gpu-memory 1K --budget 7=1s/month --name vision-team --alert 50% -q
	ctl 0 register 43 --rate 10k/day -q
	ctl 0 register 44 -q
	attach
	say K2K_OK kernel 42
	say K2K_OK memory 42 512
	agent_metrics
	export_start --max-series 2 --fleet "$DIR/fleet"
	prometheus_start
	until_true 30 answers 'k2k_up' 1
	until_true 60 answers 'up{job="k2k"}' 1
	until_true 60 answers 'k2k_kernels_held{tenant="42"}' 1
	until_true 60 answers 'k2k_tenants_summed' 1
	until_true 60 answers 'k2k_gpu_memory_held_bytes{tenant="42"} / k2k_gpu_memory_limit_bytes' 0.5
	until_true 60 answers 'count(k2k_broker_info{command="cli_broker"})' 1
	alert_is K2kCrossTenantAttempt "" || fail "an alert for nothing"

	say K2K_ERATE admit 42 0 4      # makes it as busy as 44, so that it keeps its series
	say K2K_OK admit 43 0 1000
	say K2K_OK admit 44 0 1
	say K2K_OK track 42 7 1250000000
	say K2K_OK cross 42 43
	say K2K_ENOTENANT track 99 0 1
	until_true 60 answers 'k2k_messages_admitted_total{tenant="43"}' 1000
	until_true 60 answers 'k2k_messages_admitted_total{tenant="other"}' 1
	until_true 60 answers 'k2k_gpu_seconds_total{tenant="42"}' 1.25
	until_true 60 answers 'k2k_requests_rejected_total{tenant="42",reason="rate"}' 1
	until_true 60 positive 'rate(k2k_messages_admitted_total{tenant="43"}[20s])'
	until_true 60 answers 'k2k_messages_limit_used{tenant="43"} / on (tenant) k2k_messages_limit{period="day",policy="window"}' 0.1
	is "$(curl -sSG --data-urlencode 'query=k2k_messages_limit * on (instance, registry, tenant) group_left (name) k2k_tenant_info{tenant="42"}' \
		"$prom/api/v1/query" | jq -r '.data.result[]|.metric.name + " " + .metric.policy + " " + .value[1]')" "vision-team bucket 3"
	until_true 60 alert_is K2kCrossTenantAttempt firing
	until_true 60 alert_is K2kBudgetUsedUp firing
	until_true 60 alert_is K2kUnknownTenant pending
	until_true 60 alert_is K2kFleetDatabaseAway pending
	is "$(curl -sS "$prom/api/v1/rules" | jq '[.data.groups[].rules[] | select(.health != "ok")] | length')" 0
	is "$(curl -sS "$prom/api/v1/rules" | jq '[.data.groups[].rules[]] | length')" "$(grep -c 'alert:' "$KIT/alerts.yml")"

	python3 "$TESTS/metrics_dashboard.py" "$KIT/dashboard.json" "$prom" "$K2K_REGISTRY" || fail "the dashboard's queries"

	# the registry is destroyed, and then the exporter ends
	kill -KILL "$broker_pid"
	until_true 60 answers 'k2k_brokers{state="dead"}' 1
	ctl 0 destroy -y -q
	until_true 60 answers 'k2k_up' 0
	until_true 60 alert_is K2kRegistryUnreadable pending
	export_stop
	until_true 60 answers 'up{job="k2k"}' 0
	lacks "$(<"$DIR/prometheus.log")" "level=error"
	kill -TERM "$prometheus_pid"
	wait "$prometheus_pid" || fail "prometheus ended with $?: $(tail -n 5 "$DIR/prometheus.log")"
}

cli_prometheus_alerts_fire_where_they_have_to() {
	need_prometheus
	promtool check rules "$KIT/alerts.yml" >"$DIR/promtool" 2>&1 || fail "$(<"$DIR/promtool")"
	(cd "$TESTS" && promtool test rules metrics_alerts.yml) >"$DIR/promtool" 2>&1 || fail "$(<"$DIR/promtool")"
	local alert
	for alert in $(sed -n 's/.*alert: //p' "$KIT/alerts.yml"); do
		grep -q "alertname: $alert, exp_alerts: \[\]" "$TESTS/metrics_alerts.yml" || fail "$alert: not tested to be silent"
		grep -q "runbook: \"operating-guide.md#${alert,,}\"" "$KIT/alerts.yml" || fail "$alert: no runbook"
		grep -A 1 "alertname: $alert\$" "$TESTS/metrics_alerts.yml" | grep -q 'exp_alerts:$' || fail "$alert: not tested to fire"
	done
}

# Each metric that rules and dashboard name must exist, and each declared metric must have a sample.
cli_prometheus_names_are_those_of_the_metrics() {
	init
	ctl 0 register 42 --name vision-team --rate 30/min --burst 3 --budget 7=1h/day --alert 50% -q
	ctl 0 register 43 --alone 10/s -q
	attach
	say K2K_OK track 42 7 1800000000000
	"$K2K_AUDITD" --stdout >/dev/null 2>&1 &
	brokers+=("$!")
	until_true 60 eval 'ctl 0 metrics; [[ $out == *k2k_audit_follower_up{* ]]'
	local name known
	agent_metrics
	out+=$'\n'$(<"$DIR/fleet")
	known=" $(sed -n 's/^# TYPE \([a-z0-9_]*\) .*/\1/p' <<<"$out" | tr '\n' ' ')"
	((${#known} > 300)) || fail "names: $known"
	for name in $(cat "$KIT/alerts.yml" "$KIT/dashboard.json" "$TESTS/metrics_alerts.yml" | grep -o '\bk2k_[a-z0-9_]*' | sort -u); do
		has "$known" " $name "
	done
	for name in $known; do
		is "$name $(grep -c "^$name{" <<<"$out" | sed 's/^[1-9][0-9]*$/some/')" "$name some"
	done
}

run_tests "$@"
