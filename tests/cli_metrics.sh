# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: metrics and stat
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

clean() {
	command -v promtool >/dev/null || skip "no promtool"
	promtool check metrics <<<"$out" >"$DIR/promtool" 2>&1 || fail "promtool: $(<"$DIR/promtool")"
	[[ ! -s $DIR/promtool ]] || fail "promtool: $(<"$DIR/promtool")"
}
# metric LABELS VALUE: the only series k2k_LABELS... of the output, without its registry label, must
# have the value
metric() {
	local got
	got=$(sed -n "s/^k2k_\\([a-z_]*\\){registry=\"$K2K_REGISTRY\",\\{0,1\\}\\(.*\\)} /\\1{\\2} /p" <<<"$out" | grep -F "$1 ") ||
		fail "no series $1 in: $out"
	is "$got" "$1 $2"
}

cli_metrics_are_clean_for_promtool() {
	init
	ctl 0 metrics
	clean
	ctl 0 register 42 --budget 7=1h --budget 8=1h -q
	ctl 0 register 43 --preset unlimited -q
	cp "$BROKER" "$DIR/a\"b\\c"
	BROKER="$DIR/a\"b\\c" attach
	say K2K_OK kernel 42
	local n
	for n in 0 1 2 1000 18446744073709551615; do
		ctl 0 metrics --max-series $n
		clean
		is "$err" ""
	done
	metric "broker_info{slot=\"0\",pid=\"$broker_pid\",command=\"a?b?c\"}" 1
	# promtool does not notice a series that occurs twice
	is "$(grep -v '^#' <<<"$out" | sed 's/ [^ ]*$//' | sort | uniq -d)" ""
	is "$(grep '^# TYPE' <<<"$out" | sort | uniq -d)" ""
}

cli_metrics_tell_what_was_counted() {
	init
	ctl 0 register 42 --rate 10/s --kernels 1 --gpu-memory 1K --budget 7=1s -q
	attach
	say K2K_OK admit 42 0 10
	say K2K_ERATE admit 42 0 11
	say K2K_OK track 42 7 1500000001
	say K2K_OK track 42 8 1
	say K2K_OK reserve 42 8 2500000000
	ctl 0 budget set 42 9 1m -q
	say K2K_OK reserve 42 9 500000000
	ctl 0 register 43 --preset unlimited --budget 7=1us -q
	say K2K_OK track 43 7 1000
	say K2K_EBUDGET admit 43 7 1
	say K2K_OK kernel 42
	say K2K_EKERNELS kernel 42
	say K2K_OK memory 42 1000
	say K2K_EGPUMEM memory 42 25
	say K2K_EGPUMEM memory 42 26
	say K2K_OK cross 42 43
	say K2K_ENOTENANT track 99 0 1
	ctl 0 metrics
	clean
	metric 'up{}' 1
	metric 'messages_admitted_total{tenant="42"}' 10
	metric 'requests_rejected_total{tenant="42",reason="rate"}' 1
	metric 'requests_rejected_total{tenant="42",reason="budget"}' 0
	metric 'requests_rejected_total{tenant="43",reason="budget"}' 1
	metric 'requests_rejected_total{tenant="42",reason="kernels"}' 1
	metric 'requests_rejected_total{tenant="42",reason="gpu_memory"}' 2
	metric 'gpu_seconds_total{tenant="42"}' 1.500000002
	metric 'gpu_unattributed_seconds_total{tenant="42"}' 0
	metric 'kernels_held{tenant="42"}' 1
	metric 'gpu_memory_held_bytes{tenant="42"}' 1000
	metric 'messages_per_second_limit{tenant="42"}' 10
	metric 'messages_limit{tenant="42",period="second",policy="window"}' 10
	metric 'messages_limit{tenant="43",period="second",policy="window"}' +Inf
	metric 'kernels_limit{tenant="42"}' 1
	metric 'gpu_memory_limit_bytes{tenant="42"}' 1024
	metric 'budget_limit_seconds{tenant="42",engagement="7"}' 1
	metric 'budget_used_seconds{tenant="42",engagement="7"}' 1.500000001
	metric 'budget_used_seconds{tenant="42",engagement="9"}' 0
	metric 'budget_reserved_seconds{tenant="42",engagement="7"}' 0
	metric 'budget_reserved_seconds{tenant="42",engagement="9"}' 0.5
	metric 'gpu_reserved_seconds{tenant="42"}' 3
	metric 'gpu_reserved_seconds{tenant="43"}' 0
	metric 'cross_tenant_attempts_total{}' 1
	metric 'unknown_tenant_requests_total{}' 1
	metric 'tenant_registrations_total{}' 2
	metric 'audit_events_written_total{kind="register"}' 2
	metric 'audit_events_written_total{kind="cross_tenant"}' 1
	metric 'audit_events_lost_total{kind="cross_tenant"}' 0
	# two rejections, in one second or in two
	is "$(grep -E '^k2k_audit_(events_written|repeats)_total.*kind="gpu_memory"' <<<"$out" | awk '{ n += $2 } END { print n }')" 2
	metric 'table_used_records{table="tenants"}' 2
	metric 'table_capacity_records{table="tenants"}' 16
	metric 'brokers{state="active"}' 1
	metric 'broker_kernels_held{slot="0"}' 1
	metric 'broker_gpu_memory_held_bytes{slot="0"}' 1000
	# a stopped and a dead broker
	kill -STOP "$broker_pid"
	until_true 60 broker_state stopped
	ctl 0 metrics
	metric 'brokers{state="stopped"}' 1
	metric 'broker_stopped{slot="0"}' 1
	kill -KILL "$broker_pid"
	until_true 60 broker_state dead
	ctl 0 metrics
	metric 'brokers{state="dead"}' 1
	metric 'kernels_held{tenant="42"}' 0
	lacks "$out" 'k2k_broker_stopped{'
}

# A number without its period and policy would be false: 30 a minute is not 30 a second.
cli_metrics_tell_the_period_and_the_policy_of_a_rate() {
	init
	ctl 0 register 1 --rate 30/min -q
	ctl 0 register 2 --rate 5/h --burst 20 -q
	ctl 0 register 3 --rate 10k/day -q
	ctl 0 register 4 --rate 100/s --burst 7 -q
	ctl 0 register 5 --rate 200/s -q
	attach
	say K2K_OK admit 1 0 12
	say K2K_OK admit 2 0 5
	say K2K_OK admit 3 0 1234
	ctl 0 metrics
	clean
	metric 'messages_limit{tenant="1",period="minute",policy="window"}' 30
	metric 'messages_limit{tenant="2",period="hour",policy="bucket"}' 5
	metric 'messages_limit{tenant="3",period="day",policy="window"}' 10000
	metric 'messages_limit{tenant="4",period="second",policy="bucket"}' 100
	metric 'messages_burst_limit{tenant="2"}' 20
	metric 'messages_burst_limit{tenant="4"}' 7
	is "$(grep -c '^k2k_messages_burst_limit' <<<"$out")" 2
	metric 'messages_per_second_limit{tenant="4"}' 100
	metric 'messages_per_second_limit{tenant="5"}' 200
	is "$(grep -c '^k2k_messages_per_second_limit' <<<"$out")" 2
	metric 'messages_limit_used{tenant="1"}' 12
	metric 'messages_limit_used{tenant="2"}' 5
	metric 'messages_limit_used{tenant="3"}' 1234
	metric 'messages_limit_used{tenant="4"}' 0
	# what is summed is of one period and one policy
	ctl 0 register 6 --rate 70/min -q
	ctl 0 metrics --max-series 0
	clean
	metric 'messages_limit{tenant="other",period="minute",policy="window"}' 100
	metric 'messages_limit{tenant="other",period="hour",policy="bucket"}' 5
	metric 'messages_limit{tenant="other",period="day",policy="window"}' 10000
	metric 'messages_limit{tenant="other",period="second",policy="bucket"}' 100
	metric 'messages_limit{tenant="other",period="second",policy="window"}' 200
	is "$(grep -c '^k2k_messages_limit{' <<<"$out")" 5
	metric 'messages_per_second_limit{tenant="other"}' 300
	metric 'messages_burst_limit{tenant="other"}' 27
	lacks "$out" 'k2k_messages_limit_used{'
	# a live change
	ctl 0 update 1 --rate 40/h --burst 3 -q
	ctl 0 metrics
	metric 'messages_limit{tenant="1",period="hour",policy="bucket"}' 40
	metric 'messages_burst_limit{tenant="1"}' 3
	lacks "$out" 'tenant="1",period="minute"'
}

cli_metrics_tell_names_shadow_and_suspensions() {
	init
	ctl 0 register 1 --rate 2/h --kernels 1 --gpu-memory 10 --budget 7=1s --shadow on --name vision-team -q
	ctl 0 register 2 -q
	ctl 0 suspend 2 -q
	attach
	say K2K_OK admit 1 0 2
	local n
	for n in 1 2 3; do say K2K_OK admit 1 0 1; done
	say K2K_OK kernel 1
	say K2K_OK kernel 1
	say K2K_OK memory 1 11
	say K2K_OK memory 1 12
	say K2K_ESUSPENDED admit 2 0 1
	say K2K_OK track 1 7 2000000000
	ctl 0 update 1 --rate unlimited -q
	say K2K_OK admit 1 7 1
	ctl 0 metrics
	clean
	metric 'tenant_info{tenant="1",name="vision-team"}' 1
	metric 'tenant_info{tenant="2",name=""}' 1
	metric 'tenant_in_shadow{tenant="1"}' 1
	metric 'tenant_in_shadow{tenant="2"}' 0
	metric 'tenant_suspended{tenant="1"}' 0
	metric 'tenant_suspended{tenant="2"}' 1
	metric 'requests_shadow_rejected_total{tenant="1",reason="rate"}' 3
	metric 'requests_shadow_rejected_total{tenant="1",reason="kernels"}' 1
	metric 'requests_shadow_rejected_total{tenant="1",reason="gpu_memory"}' 2
	metric 'requests_shadow_rejected_total{tenant="1",reason="budget"}' 1
	metric 'requests_rejected_total{tenant="2",reason="suspended"}' 1
	# a name is UTF-8, and may have what has to be escaped
	ctl 0 register 3 --shadow on --name 'träger "x\y' -q
	ctl 0 metrics
	clean
	metric 'tenant_info{tenant="3",name="träger \"x\\y"}' 1
	ctl 0 suspend 1 -q
	ctl 0 metrics --max-series 0
	metric 'tenant_in_shadow{tenant="other"}' 2
	metric 'tenant_suspended{tenant="other"}' 2
	lacks "$out" 'tenant_info{'
}

# A shadow that would refuse everything, and a suspension, are activity: such a tenant is not idle.
cli_metrics_give_a_series_to_who_would_be_rejected() {
	init
	ctl 0 register 1 -q
	ctl 0 register 2 --rate 0 --shadow on -q
	ctl 0 register 3 -q
	attach
	local n
	for n in 1 2 3; do say K2K_OK admit 2 0 1; done
	say K2K_OK admit 1 0 1
	ctl 0 metrics --max-series 1
	metric 'requests_shadow_rejected_total{tenant="2",reason="rate"}' 3
	ctl 0 suspend 3 -q
	for n in 1 2 3 4; do say K2K_ESUSPENDED admit 3 0 1; done
	ctl 0 metrics --max-series 1
	metric 'requests_rejected_total{tenant="3",reason="suspended"}' 4
}

cli_metrics_tell_periods_of_budgets_and_corrections() {
	init
	ctl 0 register 1 --budget 7=1h/day --budget 8=2h -q
	ctl 0 register 2 -q
	attach
	say K2K_OK track 1 7 90000000000
	say K2K_OK track 1 8 60000000000
	say K2K_OK track 2 7 3000000000
	ctl 0 usage correct 1 7 --by -30s --reason "a run that failed" -q
	ctl 0 usage correct 1 8 --by -0.25s --reason "rounding" -q
	ctl 0 usage correct 2 7 --by 500ms --reason "forgotten" -q
	ctl 0 metrics
	clean
	metric 'budget_info{tenant="1",engagement="7",renewal="day"}' 1
	metric 'budget_info{tenant="1",engagement="8",renewal="never"}' 1
	metric 'budget_limit_seconds{tenant="1",engagement="7"}' 3600
	metric 'budget_used_seconds{tenant="1",engagement="7"}' 60
	metric 'budget_used_seconds{tenant="1",engagement="8"}' 59.75
	metric 'budget_periods_total{tenant="1",engagement="7"}' 1
	local began renews
	began=$(sed -n 's/^k2k_budget_period_start_timestamp_seconds{.*tenant="1",engagement="7"} //p' <<<"$out")
	renews=$(sed -n 's/^k2k_budget_renewal_timestamp_seconds{.*tenant="1",engagement="7"} //p' <<<"$out")
	((began % 86400 == 0 && renews == began + 86400)) || fail "a day from $began to $renews"
	lacks "$out" 'periods_total{registry="'"$K2K_REGISTRY"'",tenant="1",engagement="8"}'
	metric 'gpu_corrected_seconds{tenant="1"}' -30.25
	metric 'gpu_corrected_seconds{tenant="2"}' 0.5
	metric 'gpu_seconds_total{tenant="1"}' 150
	ctl 0 metrics --max-series 0
	clean
	metric 'gpu_corrected_seconds{tenant="other"}' -29.75
	ctl 0 budget renew 1 7 --force -q
	ctl 0 metrics
	metric 'budget_periods_total{tenant="1",engagement="7"}' 2
	metric 'budget_used_seconds{tenant="1",engagement="7"}' 0
}

cli_metrics_give_series_to_64_brokers_and_count_the_others() {
	ctl 0 init --max-brokers 100 --max-tenants 16 -q
	attach
	say K2K_OK attach 69
	ctl 0 metrics
	metric 'broker_places{}' 100
	metric 'brokers{state="active"}' 70
	metric 'brokers_without_series{}' 6
	is "$(grep -c '^k2k_broker_info' <<<"$out")" 64
	is "$(grep -c '^k2k_broker_kernels_held' <<<"$out")" 64
	say K2K_OK attach 30
	say K2K_ENOBROKERSLOT attach 1
	ctl 0 info
	has "$out" "100 of 100"
}

cli_metrics_sum_what_has_no_series_of_its_own() {
	init
	ctl 0 register 50 --rate 1000/s --kernels 1 --gpu-memory 100 -q
	ctl 0 register 9 --rate 2000/s --kernels 2 --gpu-memory 200 --budget 1=1s --budget 2=2s -q
	ctl 0 register 7 --preset unlimited --rate 4000/s --budget 1=4s -q
	# of tenants without activity, those registered first are shown
	ctl 0 metrics --max-series 1
	metric 'messages_admitted_total{tenant="50"}' 0
	attach
	say K2K_OK admit 50 0 1
	say K2K_OK admit 9 0 20
	say K2K_OK admit 7 0 300
	say K2K_OK track 9 2 500000000
	say K2K_OK track 7 1 250000000
	# the busiest tenant; of the budgets, the one of which most is used
	ctl 0 metrics --max-series 1
	metric 'tenants_summed{}' 2
	metric 'messages_admitted_total{tenant="7"}' 300
	metric 'messages_admitted_total{tenant="other"}' 21
	metric 'gpu_seconds_total{tenant="other"}' 0.5
	metric 'messages_limit{tenant="other",period="second",policy="window"}' 3000
	metric 'kernels_limit{tenant="7"}' +Inf
	metric 'kernels_limit{tenant="other"}' 3
	metric 'budget_limit_seconds{tenant="9",engagement="2"}' 2
	metric 'budget_limit_seconds{tenant="other",engagement="other"}' 5
	metric 'budget_used_seconds{tenant="other",engagement="other"}' 0.25
	lacks "$out" 'tenant="50"'
	ctl 0 metrics --max-series 2
	metric 'messages_admitted_total{tenant="9"}' 20
	metric 'messages_admitted_total{tenant="other"}' 1
	# a rejected tenant is busy, too
	say K2K_ERATE admit 50 0 1001
	local n
	for ((n = 0; n < 20; n++)); do say K2K_ERATE admit 50 0 1001; done
	ctl 0 metrics --max-series 2
	metric 'messages_admitted_total{tenant="50"}' 1
	metric 'messages_admitted_total{tenant="other"}' 20
	ctl 0 metrics --max-series 0
	metric 'messages_admitted_total{tenant="other"}' 321
	metric 'kernels_limit{tenant="other"}' +Inf
	lacks "$out" 'tenant="50"'
	ctl 0 metrics --max-series 3
	metric 'messages_admitted_total{tenant="7"}' 300
	metric 'tenants_summed{}' 0
	lacks "$out" 'tenant="other"}'
	metric 'broker_places{}' 64
}

cli_metrics_have_one_form() {
	ctl 6 metrics
	is "$out" ""
	init
	ctl 2 metrics -J
	error_object K2K_EINVAL
	ctl 2 metrics -o csv
	ctl 2 metrics 42
	ctl 2 metrics --max-series -1
	ctl 2 metrics --max-series 1k
	ctl 2 list --max-series 1
	"$TOOL" metrics >/dev/full 2>"$DIR/err"
	is $? 10
}

cli_stat_counts_each_interval_exactly() {
	init
	ctl 0 register 41 -q
	ctl 0 register 42 --rate 5/s --kernels 1 --gpu-memory 1K -q
	ctl 0 register 43 -q
	attach
	say K2K_OK admit 43 0 1000
	mkfifo "$DIR/lines"
	"$TOOL" stat 250ms -J >"$DIR/lines" &
	local stat=$! admitted=0 gpu=0 kernels=0 step=0
	brokers+=("$stat")
	exec 9<"$DIR/lines"
	while read -r -t 20 -u 9 out; do
		# starts no process for each line, so that it keeps up on a busy machine
		[[ $out =~ \"admitted\":\"([0-9]+)\".*\"kernels\":\"([0-9]+)\".*\"gpu_ns\":\"([0-9]+)\" ]] || fail "$out"
		admitted=$((admitted + BASH_REMATCH[1])) kernels=$((kernels + BASH_REMATCH[2])) gpu=$((gpu + BASH_REMATCH[3]))
		case $step,$admitted,$gpu,$kernels in
		0,*)    # events before the first line are in no line, or in that one
			is "$admitted" 0
			one_object
			json .schema k2k-tenantctl/1
			json .registry "$K2K_REGISTRY"
			json '[.admitted,.rejected.rate,.gpu_ns,.interval_ns,.time_ns]|map(type)|unique' '["string"]'
			say K2K_OK admit 43 0 70
			say K2K_OK track 43 1 123456789
			say K2K_OK kernel 42
			say K2K_EKERNELS kernel 42
			say K2K_OK memory 42 5
			step=1
			;;
		1,70,123456789,1)       # neither a tenant that leaves nor a new one distorts the counts
			ctl 0 deregister 41 -q
			ctl 0 register 41 -q
			say K2K_OK admit 41 0 5
			step=2
			;;
		2,75,123456789,1)
			json .kernels 1
			json .gpu_memory_bytes 5
			json .tenants 3
			json .brokers 1
			step=3
			;;
		3,75,123456789,1) break ;;      # nothing comes after it
		*) ((admitted <= 75 && gpu <= 123456789 && kernels <= 1)) || fail "step $step: $admitted $gpu $kernels" ;;
		esac
	done
	is "$step" 3
	kill -INT "$stat"
	exec 9<&-
}

cli_stat_keeps_its_intervals() {
	init
	local begun=${EPOCHREALTIME/./} took
	ctl 0 stat 100ms 10 -o csv
	took=$((${EPOCHREALTIME/./} - begun))
	((took >= 1000000)) || fail "10 times 100 ms took $took us"
	is "$(wc -l <<<"$out")" 11
	has "$out" "time_ns,interval_ns,tenants,brokers,admitted,rejected.rate"
	# a late line does not shorten the next interval: any number of intervals sum up to whole
	# ones at least
	is "$(tail -n +2 <<<"$out" | awk -F, '{ sum += $2 } END { print (sum >= 990000000) }')" 1
	ctl 0 stat
	is "$(wc -l <<<"$out")" 2
	has "$out" "ADMITTED/s"
}

cli_stat_refuses_what_is_no_interval() {
	init
	local bad
	for bad in 0s 0 1us unlimited 2d x ""; do
		ctl 2 stat "$bad"
	done
	ctl 2 stat 1s 0
	ctl 2 stat 1s x
	ctl 2 stat 1s 1 1
	ctl 6 -r "$K2K_REGISTRY-none" stat
}

cli_stat_ends_with_its_reader_or_its_registry() {
	init
	mkfifo "$DIR/lines"
	"$TOOL" stat 20ms >"$DIR/lines" 2>"$DIR/err" &
	local stat=$!
	head -n 2 "$DIR/lines" >/dev/null
	wait "$stat"
	is $? 10
	is "$(<"$DIR/err")" ""
	"$TOOL" stat 20ms -J >"$DIR/lines" 2>"$DIR/err" &
	stat=$!
	exec 9<"$DIR/lines"
	read -r -t 20 -u 9 || fail "no line"
	ctl 0 destroy -q
	cat <&9 >/dev/null
	wait "$stat"
	is $? 6
	has "$(<"$DIR/err")" "registry '$K2K_REGISTRY'"
}

run_tests "$@"
