# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-auditd as a follower: no event is lost, losses are reported, changes are refused without a
# follower, and any damaged ring is survived
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"
. "$(dirname "${BASH_SOURCE[0]}")/auditd_harness.bash"

# state_is STATE: checks the state of the only follower
state_is() { ctl 0 audit stats -J; jq -e ".followers[0].state == \"$1\"" <<<"$out" >/dev/null; }
caught_up() { state_is active && jq -e '.followers[0].behind == "0"' <<<"$out" >/dev/null; }

cli_an_apply_with_a_follower_loses_no_event() {
	local i
	ctl 0 init --max-tenants 6000 --audit-events 16 -q
	start --file "$DIR/log"
	until_true 60 caught_up
	{
		echo "version: 1"
		echo "tenants:"
		for ((i = 1; i <= 5000; i++)); do echo "  - {id: $i, rate: 5/s}"; done
	} >"$DIR/tenants.yaml"
	ctl 0 apply -f "$DIR/tenants.yaml" -q
	until_true 60 caught_up
	is "$(jq -r 'select(.kind == "register") | .tenant' "$DIR/log" | sort -n | uniq | wc -l)" 5000
	until_true 60 test -s "$DIR/log.head"   # the head file is written after the lines it describes
	ctl 0 audit verify "$DIR/log" -J
	json '[.lost_total,.losses]' '["0",[]]'
	ctl 0 metrics
	has "$out" "k2k_audit_events_lost_total{registry=\"$K2K_REGISTRY\",kind=\"overwritten\"} 0"
}

cli_auditd_keeps_the_events_of_more_than_64_brokers() {
	ctl 0 init --max-brokers 100 --max-tenants 16 -q
	ctl 0 register 42 -q
	start --file "$DIR/log"
	until_true 60 caught_up
	attach
	say K2K_OK attach 69
	say K2K_OK cross 42 43
	ctl 0 audit tail -J
	is "$(jq -c 'select(.kind == "cross_tenant") | .ring' <<<"$out")" 140
	ctl 0 audit tail --since s69:1 -o table
	has "$out" cross_tenant
	ctl 2 audit tail --since s100:1 -o table
	has "$err" "the rings of 100 brokers"
	until_true 60 grep -q cross_tenant "$DIR/log"
	until_true 60 caught_up
	# another one goes on behind the events that are kept
	stop TERM
	say K2K_OK cross 42 43
	start --file "$DIR/log"
	until_true 60 caught_up
	is "$(jq -r 'select(.kind == "cross_tenant") | "\(.ring) \(.sequence) \(.count)"' "$DIR/log" | tr '\n' ' ')" "140 1 1 140 2 1 "
	stop TERM
	ctl 0 audit verify "$DIR/log" -J
	json '[.lost_total,.losses]' '["0",[]]'
}

# Which follower reads the events, and what it lost: in columns, in JSON, and in sentences.
cli_audit_stats_tell_who_keeps_the_events_and_what_is_missing() {
	local i
	ctl 0 init --audit-events 8 -q
	ctl 0 audit stats -o table
	has "$err" "no followers"
	ctl 0 audit stats -J
	json .followers '[]'
	start --file "$DIR/log"
	until_true 60 caught_up
	json '.followers[0]|[.pid,.comm,.lost_total,.overwritten,.damaged_total]' "[\"$auditd_pid\",\"k2k-auditd\",\"0\",\"0\",\"0\"]"
	stop KILL
	until_true 60 state_is dead
	for ((i = 1; i <= 20; i++)); do ctl 0 register $i -q; done
	ctl 0 audit stats -J
	json '.followers[0]|[.behind,.overwritten]' '["20","12"]'
	ctl 0 audit stats -o table
	has "$out" OVERWRITTEN
	has "$err" "12 events are missing in its log"
	has "$err" "overwritten before they were read: admin:2 to admin:13"
	ctl 0 metrics
	has "$out" "k2k_audit_events_lost_total{registry=\"$K2K_REGISTRY\",kind=\"overwritten\"} 12"
	has "$out" "k2k_audit_follower_lag_events{registry=\"$K2K_REGISTRY\",follower=\"0\",command=\"k2k-auditd\"} 20"
	# the next follower finds them missing: the number stays the same
	start --file "$DIR/log"
	until_true 60 caught_up
	json '.followers[0]|[.lost_total,.overwritten,.last_loss.ring,.last_loss.sequence,.last_loss.count]' '["12","0",64,"2","12"]'
	ctl 0 metrics
	has "$out" "k2k_audit_events_lost_total{registry=\"$K2K_REGISTRY\",kind=\"overwritten\"} 12"
	ctl 0 audit stats -o table
	has "$err" "the last of these are admin:2 to admin:13, found at "
	stop TERM
	ctl 0 audit verify "$DIR/log"
	has "$err" "12 events are missing"
	has "$err" "admin:2 to admin:13"
	ctl 0 audit verify "$DIR/log" -J
	json '[.lost_total,(.losses|map(del(.at_ns)))]' '["12",[{"ring":64,"sequence":"2","count":"12"}]]'
}

cli_a_registry_that_requires_audit_refuses_changes_without_it() {
	local i
	ctl 0 init --require-audit -J
	json .require_audit true
	ctl 8 register 42 --timeout 100ms -o table
	has "$err" "requires audit"
	ctl 8 register 42 --timeout 100ms -J
	error_object K2K_ENOAUDIT
	start --file "$DIR/log"
	ctl 0 register 42 -q            # waits until the follower has attached
	stop KILL
	until_true 60 state_is dead
	for i in "update 42 --rate 1/s" "deregister 42" "budget set 42 1 1s" "register 43"; do
		ctl 8 $i --timeout 100ms
	done
	ctl 0 exists 42
	ctl 0 repair -q
	ctl 0 check
	ctl 0 destroy -y -q
}

damages() { grep -c '"kind":"damaged","ring":0' "$DIR/log"; }
last_is() { tail -1 "$DIR/log" | grep -q "\"kind\":\"$1\""; }

cli_auditd_survives_a_ring_that_lies() {
	local claimed told=0
	init
	attach
	say K2K_ENOTENANT admit 99 0 1
	start --file "$DIR/log"
	until_true 60 eval 'grep -q unknown_tenant "$DIR/log"'
	for claimed in 2305843009213693952 18446744073709551615 0; do
		live_word 12 0 $claimed         # of the ring of broker slot 0
		until_true 60 eval '[[ $(damages) == $((told + 1)) ]]'
		ctl 0 register 42 -q
		until_true 60 last_is register
		say K2K_OK cross 1 2
		until_true 60 last_is cross_tenant
		ctl 0 deregister 42 -q
		until_true 60 last_is final_totals
		# and once more at each start
		stop TERM
		start --file "$DIR/log"
		until_true 60 eval '[[ $(damages) == $((told + 2)) ]]'
		told=$((told + 2))
		ctl 0 audit tail --type rate -o table --since 1
		[[ $claimed == 0 ]] || has "$out" "ring 0 is corrupt"
		live_word 12 0 1
		say K2K_OK cross 1 3
		until_true 60 last_is cross_tenant
	done
	is "$(damages)" 6
	stop TERM
	ctl 0 audit verify "$DIR/log"
	has "$err" "corrupt rings were found 6 times"
}

# Strangers choose the names of kernels and processes: they must be harmless in every output of
# audit and in the metrics.
cli_hostile_names_are_harmless_in_every_output_of_audit() {
	local name broker form kernel=$'=HYPERLINK("x")\e[2J\n"}\\\x9b'
	init
	for name in $'=2+3' $'\e[2Jx' $'+a"b\\' '@x' $'-1,2'; do
		broker=$DIR/$name
		cp "$BROKER" "$broker"
		BROKER=$broker attach 2>/dev/null
		say K2K_ENOTENANT admit 99 0 1
		say K2K_OK cross 1 2 0 "${kernel%%$'\n'*}"
		exec {keep}>&"$broker_in"
	done
	cp "$AUDITD" "$DIR/"$'=\e[1m"\\d'
	AUDITD=$DIR/$'=\e[1m"\\d' start --file "$DIR/log" --sync each
	until_true 60 state_is active
	until_true 60 eval '[[ $(grep -c cross_tenant "$DIR/log") == 5 ]]'
	for form in table json csv; do
		for what in tail stats "verify $DIR/log"; do
			ctl 0 audit $what -o $form
			lacks "$out$err" $'\e'
			lacks "$out$err" $'\x9b'
			[[ $form != csv ]] || ! grep -E '(^|,)"?[=+@-]' <<<"$out" || fail "a formula: $out"
		done
	done
	for form in tail "stats -J" "verify $DIR/log -J"; do
		ctl 0 audit $form
		jq -e . <<<"$out" >/dev/null || fail "not JSON: $out"
	done
	jq -e . "$DIR/log" >/dev/null || fail "not JSON"
	ctl 0 metrics
	lacks "$out" $'\e'
	has "$out" 'command="=?[1m??d"'
	! grep -v '^#' <<<"$out" | grep -vE '^[a-z_0-9]+\{([a-z_]+="[^"\\]*",?)*\} [0-9.+Inf]+$' || fail "no line of metrics"
	stop TERM
}

# With only the right to read it still follows, reports that writers do not wait for it, and does
# not count as a follower if the registry requires audit.
cli_auditd_without_the_right_to_write_only_reads() {
	local library
	[[ $(id -u) == 0 ]] || skip "not root"
	command -v setpriv >/dev/null || skip "no setpriv"
	init --mode 0664 --require-audit
	chmod 755 "$DIR"
	mkdir -m 777 "$DIR/logs"
	cp "$AUDITD" "$DIR/auditd"
	library=$(ldd "$AUDITD" | awk '/libk2k-registry/ { print $3 }')
	[[ -z $library ]] || cp -L "$library" "$DIR/"
	LD_LIBRARY_PATH=$DIR setpriv --reuid 65534 --regid 65534 --clear-groups "$DIR/auditd" --file "$DIR/logs/log" 2>"$DIR/err" &
	brokers+=("$!")
	until_true 60 eval 'grep -qs created "$DIR/logs/log"'
	has "$(<"$DIR/err")" "not registered as a follower"
	ctl 0 audit stats -J
	json .followers '[]'
	ctl 8 register 42 --timeout 100ms
}

run_tests "$@"
