# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: top, on a terminal and elsewhere
. "$(dirname "${BASH_SOURCE[0]}")/terminal_harness.bash"

# tenants FIRST LAST
tenants() {
	{
		printf 'version: 1\ntenants:\n'
		seq "$1" "$2" | sed 's/.*/  - {id: &}/'
	} >"$DIR/tenants"
	ctl 0 apply -f "$DIR/tenants" -q
}

# traffic LINE...: starts a broker that repeats these lines about fifty times a second until the test ends it.
traffic() {
	while printf '%s\n' "$@" && sleep 0.02; do :; done 2>/dev/null | "$BROKER" "$K2K_REGISTRY" >/dev/null 2>&1 &
	brokers+=("$!")
	disown "$!"
}
more_than() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a + 0 > b + 0) }'; }
cell_is_more() { more_than "$(cell "$1" "$2")" "$3"; }

cli_top_shows_rates_of_real_traffic_as_they_grow() {
	local rate
	init
	ctl 0 register 42 --preset unlimited --budget 7=10h -q
	ctl 0 register 43 --rate 0 -q
	attach
	say K2K_OK kernel 42
	say K2K_OK memory 42 3221225472
	terminal 110 20
	traffic "admit 42 7 10" "track 42 7 1000000" "admit 43 7 1"
	runs '"$T" top 200ms'
	shows "tenants 2 of 16"
	shows "brokers 2"
	within cell_is_more 42 2 100
	within cell_is_more 43 3 10
	within cell_is_more 42 4 0
	is "$(cell 43 5)" 100
	is "$(cell 42 5)" -
	is "$(cell 42 6)" 0
	is "$(cell 42 9)" 1
	is "$(cell 42 10)" 3.00GiB
	rate=$(cell 42 2)
	more_than 5000 "$rate" || fail "$rate messages a second of 500"
	traffic "admit 42 7 1000"
	within cell_is_more 42 2 "$((${rate%.*} * 20))"
	shows "brokers 3"
	keys q
	ended 0
}

cli_top_sorts_by_any_column_and_back() {
	init
	tenants 1 5
	attach
	say K2K_OK kernel 3
	say K2K_OK kernel 3
	say K2K_OK kernel 5
	terminal 110 20
	runs '"$T" top'
	within column_is "1 2 3 4 5"
	shows "by MSG/s, falling"
	keys '<'
	shows "by TENANT, rising"
	keys r
	within column_is "5 4 3 2 1"
	shows "by TENANT, falling"
	keys '<' '<' '<' '<' '<' '<' '<' '<' '<' '<'
	shows "by KERNELS, falling"
	within column_is "3 5 1 2 4"
	keys r
	within column_is "1 2 4 5 3"
	keys Right
	shows "by MEMORY, falling"
	within column_is "1 2 3 4 5"
	keys Left Left Left
	shows "by KERN%, falling"
	within column_is "3 5 1 2 4"
	keys q
	ended 0
}

cli_top_filters_tenants_by_a_part_of_their_ids() {
	init --max-tenants 64
	tenants 1 30
	terminal 80 40
	runs '"$T" top'
	shows "1-30 of 30"
	keys /
	shows "id has:"
	keys 2
	within column_is "2 12 20 21 22 23 24 25 26 27 28 29"
	keys x - 5
	within column_is "25"
	shows "id has: 25"
	keys BSpace
	shows "id has: 2"
	within column_begins "2 12"
	keys Enter
	hides "id has:"
	shows "filter 2 "
	shows "1-12 of 12"
	keys /
	shows "id has:"
	keys 77
	shows "no such tenants"
	keys Escape
	shows "1-12 of 12"
	keys Escape
	shows "1-30 of 30"
	hides "filter 2 "
	keys q
	ended 0
}

cli_top_stands_still_while_it_is_paused() {
	init
	tenants 1 2
	terminal 80 20
	runs '"$T" top 50ms'
	within column_is "1 2"
	keys p
	shows PAUSED
	shows "p resume"
	ctl 0 register 3 -q
	attach
	say K2K_OK admit 2 7 100
	# many intervals change nothing; other keys still work
	ctl 0 stat 300ms 1
	keys '<' r
	within column_is "2 1"
	keys Tab
	shows "no brokers"
	keys Tab
	shows "no kernels"
	keys Tab
	within column_is "2 1"
	keys p
	hides PAUSED
	within column_is "3 2 1"
	keys q
	ended 0
	# what happened during the pause is no rate; the next one is known an interval later
	runs '"$T" top 1h'
	within column_is "1 2 3"
	keys p
	shows PAUSED
	say K2K_OK admit 2 7 100
	ctl 0 register 4 -q
	keys p
	within column_is "1 2 3 4"
	is "$(cell 2 2)" -
	keys q
	ended 0
}

cli_top_shows_the_state_of_brokers() {
	init
	ctl 0 register 42 -q
	attach
	say K2K_OK kernel 42
	terminal 80 20
	runs '"$T" top 50ms'
	shows "brokers 1"
	keys Tab
	shows COMMAND
	shows "Tab kernels"
	is "$(row 0)" "0 $broker_pid active 0 1 0 cli_broker"
	kill -STOP "$broker_pid"
	within on_screen stopped
	shows "brokers 1, 1 stopped"
	kill -CONT "$broker_pid"
	hides stopped
	kill -STOP "$broker_pid"
	ctl 0 deregister 42 --timeout 0s -q
	shows "1 behind"
	kill -KILL "$broker_pid"
	shows "brokers 0, 1 dead"
	is "$(cell 0 3)" dead
	keys q
	ended 0
}

cli_top_hides_the_idle_and_shows_only_the_rejected() {
	init
	tenants 1 5
	ctl 0 update 4 --rate 0 -q
	attach
	say K2K_OK kernel 2
	traffic "admit 3 7 1" "admit 4 7 1"
	terminal 110 20
	runs '"$T" top 200ms'
	within cell_is_more 4 3 1
	keys '<'
	within column_is "1 2 3 4 5"
	keys i
	shows "busy only"
	within column_is "2 3 4"
	keys x
	shows "rejected only"
	within column_is "4"
	keys i
	hides "busy only"
	within column_is "4"
	keys x
	within column_is "1 2 3 4 5"
	# one line of facts unless more are asked for
	is "$(screen | grep -c 'kernels held\|cross-tenant')" 0
	keys f
	shows "cross-tenant"
	keys f
	hides "cross-tenant"
	keys q
	ended 0
}

cli_top_shows_one_tenant_with_its_history() {
	init
	tenants 1 5
	ctl 0 update 3 --rate 50/s --budget 7=10s -q
	attach
	say K2K_OK kernel 3
	traffic "admit 3 7 7" "track 3 7 1000"
	terminal 100 20
	runs '"$T" top 200ms'
	within cell_is_more 3 2 1
	keys '<' r r
	within column_is "1 2 3 4 5"
	keys j j j
	keys Enter
	shows "TENANT 3"
	shows "budget 7"
	shows "kernels      1 of 16, 6%"
	shows "GPU memory   0B of 2GiB"
	within history_is_long
	# other keys of the table do nothing meanwhile
	keys Tab j
	shows "TENANT 3"
	ctl 0 deregister 3 -q
	shows "is no longer registered"
	keys Escape
	within column_is "1 2 4 5"
	keys k k Enter
	shows "TENANT 1"
	keys Enter
	within column_is "1 2 4 5"
	keys q
	ended 0
}
history_is_long() { [[ $(screen | sed -n 's/^messages\/s *//p') =~ [_.:=+*#%@-]{3} ]]; }

cli_top_looks_more_or_less_often_as_asked() {
	init
	tenants 1 1
	terminal 100 20
	runs '"$T" top 1'
	shows "every 1s"
	keys +
	shows "every 2s"
	keys - - -
	shows "every 250ms"
	keys - - - -
	shows "every 125ms"
	keys q
	ended 0
}

cli_top_folds_several_dead_brokers() {
	local i
	init
	for i in 1 2 3; do
		attach 2>/dev/null
		kill -KILL "$broker_pid"
	done
	attach 2>/dev/null
	until_true 60 eval '[[ $("$TOOL" brokers -J | jq "[.brokers[]|select(.state==\"active\")]|length") == 1 ]]'
	terminal 100 20
	runs '"$T" top 200ms'
	shows "brokers 1"
	keys Tab
	shows "STATE"
	if (($("$TOOL" brokers -J | jq '[.brokers[]|select(.state=="dead")]|length') >= 2)); then
		shows "dead; d shows them"
		is "$(column | wc -w)" 1
		keys d
		hides "d shows them"
		(($(column | wc -w) > 1)) || fail "$(screen)"
	fi
	keys q
	ended 0
}

cli_top_scrolls_and_stays_inside_the_list() {
	init --max-tenants 128
	tenants 1 100
	terminal 80 20
	runs '"$T" top'
	shows "1-"
	local page
	page=$(column | wc -w)
	((page >= 10)) || fail "only $page rows"
	shows "1-$page of 100"
	keys Up
	keys Down Down Down
	shows "4-$((page + 3)) of 100"
	within column_begins "4 5 6"
	keys Up
	shows "3-$((page + 2)) of 100"
	keys NPage
	shows "$((page + 3))-$((2 * page + 2)) of 100"
	keys End
	shows "$((101 - page))-100 of 100"
	keys Down NPage
	keys PPage
	shows "$((101 - 2 * page))-$((100 - page)) of 100"
	keys Home
	shows "1-$page of 100"
	# if the list becomes short, no page is empty
	keys End
	shows "-100 of 100"
	ctl 0 deregister $(seq 6 100) -q
	shows "1-5 of 5"
	within column_is "1 2 3 4 5"
	keys q
	ended 0
}

cli_top_helps_and_goes_back() {
	init
	tenants 1 1
	terminal 40 12
	runs '"$T" top'
	shows "1-1 of 1"
	keys '?'
	shows "any key goes back"
	shows "End   scroll"
	hides "1-1 of 1"
	keys q
	shows "1-1 of 1"
	hides "any key goes back"
	keys h
	shows "any key goes back"
	keys x
	keys q
	ended 0
}

size_is() { [[ $(tm display -p '#{pane_width}x#{pane_height}') == "$1" ]]; }

cli_top_fits_itself_into_every_size() {
	local width
	init
	tenants 1 9
	ctl 0 register 18446744073709551615 -q
	terminal 124 20
	runs '"$T" top'
	shows REJ-MEM
	for width in 113 100 80 60 47; do
		resize $width 20
		hides "REJ-MEM"
		shows 18446744073709551615
		shows "q quit"
	done
	resize 40 12
	within size_is 40x12
	hides "GPU-s/s"
	shows "MSG/s"
	shows "of 10  q quit"
	# only whole words: what does not fit is left out
	is "$(screen | sed -n '/TENANT/p' | tr -s ' ')" " TENANT MSG/s REJECTED/s"
	resize 20 5
	shows "too small: 24x8"
	resize 5 2
	shows "too s"
	resize 24 8
	shows "1-4 of 10  q quit"
	is "$(screen | sed -n '/TENANT/p' | tr -s ' ')" " TENANT"
	keys h
	shows "quit"
	keys h
	resize 124 20
	shows REJ-MEM
	shows 18446744073709551615
	keys q
	ended 0
}

cli_top_leaves_the_terminal_as_it_was_however_it_ends() {
	local signal code
	init
	tenants 1 3
	terminal 80 20
	for signal in TERM:143 HUP:129 INT:130; do
		code=${signal#*:}
		runs '(echo $BASHPID >$D/pid; exec "$T" top)'
		shows "1-3 of 3"
		is "$(tm display -p '#{alternate_on} #{cursor_flag}')" "1 0"
		kill -"${signal%:*}" "$(<"$DIR/pid")"
		[[ $signal == INT* ]] || ended "$code"
	done
	# the shell prints a newline after an interrupted command
	shows 'ready>'
	runs '"$T" top'
	shows "1-3 of 3"
	keys C-c
	hides "1-3 of 3"
	shows 'ready>'
	type_line 'echo code=$?; stty -g >$D/after'
	ended 130
	# a signal while the filter is being typed
	runs '(echo $BASHPID >$D/pid; exec "$T" top)'
	shows "1-3 of 3"
	keys /
	shows "id has:"
	kill -TERM "$(<"$DIR/pid")"
	ended 143
}

cli_top_says_that_its_registry_was_destroyed() {
	init
	tenants 1 3
	terminal 80 20
	runs '"$T" top 100ms'
	shows "1-3 of 3"
	ctl 0 destroy -q
	ended 6
	has "$(screen | tr -d '\n')" "k2k-tenantctl: registry '$K2K_REGISTRY'"
	runs '"$T" top'
	ended 6
}

cli_top_is_stopped_and_goes_on() {
	init
	tenants 1 3
	terminal 80 20
	type_line '"$T" top 100ms'
	shows "1-3 of 3"
	keys C-z
	shows Stopped
	is "$(tm display -p '#{alternate_on} #{cursor_flag}')" "0 1"
	ctl 0 register 4 -q
	type_line 'clear; fg'
	shows "1-4 of 4"
	is "$(tm display -p '#{alternate_on} #{cursor_flag}')" "1 0"
	keys '<' r
	within column_is "4 3 2 1"
	# the terminal becomes smaller meanwhile
	keys C-z
	shows 'ready>'
	resize 60 14
	type_line 'clear; fg'
	shows "of 4  q quit"
	within column_is "4 3 2 1"
	keys q
	shows 'ready>'
	# stopped by SIGSTOP: the shell takes the terminal and gives it back
	type_line 'clear; (echo $BASHPID >$D/pid; exec "$T" top 100ms)'
	shows "1-4 of 4"
	kill -STOP "$(<"$DIR/pid")"
	shows Stopped
	type_line fg
	hides Stopped
	keys '<' r
	within column_is "4 3 2 1"
	keys q
	shows 'ready>'
}

cli_top_ends_by_a_signal_even_if_its_output_is_blocked() {
	init
	tenants 1 3
	terminal 80 20
	runs '(echo $BASHPID >$D/pid; exec "$T" top 10ms)'
	shows "1-3 of 3"
	keys C-s
	# many frames that nobody reads
	ctl 0 stat 300ms 1
	kill -TERM "$(<"$DIR/pid")"
	ended 143
}

cli_top_ends_if_its_terminal_is_gone() {
	init
	tenants 1 1
	terminal 80 20
	type_line 'trap "" HUP; (echo $BASHPID >$D/pid; exec "$T" top 1h)'
	shows "1-1 of 1"
	local pid
	pid=$(<"$DIR/pid")
	tm kill-server
	until_true 60 gone "$pid"
}
gone() { ! kill -0 "$1" 2>/dev/null; }

cli_top_refuses_what_is_no_terminal_for_it() {
	init
	terminal 80 40
	runs 'TERM= "$T" top'
	ended 2
	shows "TERM is not set"
	shows "top --once"
	runs 'env -u TERM "$T" top'
	ended 2
	runs 'TERM=dumb "$T" top'
	ended 2
	shows "can't move its cursor"
	runs 'TERM=no-such-terminal "$T" top'
	ended 2
	shows "unknown terminal"
	runs '"$T" top </dev/null'
	ended 2
	shows "standard input is not a terminal"
	# --once needs no terminal
	runs 'TERM=dumb "$T" top --once 10ms </dev/null'
	ended 0
	shows "of 16"
	ctl 2 top 0s
	ctl 2 top 1s 2
	ctl 2 top --once=1
	ctl 2 list --once
	ctl 6 -r no-such-registry top
}

cli_top_shows_colours_only_if_they_are_wanted() {
	local red=$'\e[31m' form
	init
	ctl 0 register 42 --kernels 1 -q
	attach
	say K2K_OK kernel 42
	terminal 110 20
	for form in '"$T" top' 'NO_COLOR=1 "$T" top' '"$T" top --color never' 'NO_COLOR=1 "$T" --color always top'; do
		runs "$form"
		within column_is 42
		if [[ $form == '"$T" top' || $form == *always* ]]; then
			within colour_is_on_screen 31
		else
			is "$(tm capture-pane -e -p | grep -c '\[[0-9;]*3[0-8]m')" 0
		fi
		keys q
		ended 0
	done
	ctl 0 top --once 10ms --color always
	has "$out" "$red"
	ctl 0 top --once 10ms
	lacks "$out" $'\e'
}
colour_is_on_screen() { tm capture-pane -e -p | grep -q "\[[0-9;]*${1}m"; }

cli_top_writes_ascii_only() {
	init
	tenants 1 3
	local name=$'br\xc3\xb6\xff\e[5m'
	cp "$BROKER" "$DIR/$name"
	BROKER="$DIR/$name" attach
	terminal 110 20
	runs 'LC_ALL=C "$T" top'
	shows "1-3 of 3"
	keys Tab
	shows "br????[5m"
	[[ ! $(screen) =~ [^[:print:][:space:]] ]] || fail "$(screen)"
	keys q
	ended 0
	ctl 0 top --once 10ms
	has "$out" "br????[5m"
}

cli_top_once_is_one_frame_in_every_form() {
	init
	ctl 0 register 42 --preset unlimited --budget 6=1h --budget 7=1us --budget 8=1h -q
	ctl 0 register 43 --kernels 2 -q
	attach
	say K2K_OK kernel 43
	say K2K_OK track 42 7 500
	ctl 0 top --once 20ms
	has "$out" "registry         $K2K_REGISTRY"
	has "$out" "tenants          2 of 16"
	has "$out" "interval         20ms"
	has "$out" "BUDG%"
	has "$out" "INCARNATION"
	is "$(awk '$1 == 42 { print $5, $6, $7 }' <<<"$out")" "- 50 -"
	is "$(awk '$1 == 43 { print $5, $6, $7, $9 }' <<<"$out")" "0 - 50 1"
	is "$(ctl 0 top 20ms; awk '$1 == 43 { print $7 }' <<<"$out")" 50
	say K2K_OK admit 43 9 1000
	traffic "admit 42 8 7" "admit 42 7 1" "track 42 8 1000"
	until_true 60 admitted
	ctl 0 top --once 300ms -J
	one_object
	json 'keys|join(" ")' "brokers cross_tenant interval_ns registry schema shares tables tenants time_ns unknown_tenant"
	json '.tables.tenants' '{"used":2,"capacity":16}'
	json '.tenants[0].id' 42
	json '.tenants[0].used_percent' '{"rate":null,"budget":50,"kernels":null,"gpu_memory":null}'
	json '.tenants[1].used_percent' '{"rate":0,"budget":null,"kernels":50,"gpu_memory":0}'
	json '.tenants[0].admitted|tonumber>7' true
	# numbers of the interval, not totals
	json '.tenants[1].admitted' 0
	json '[.tenants[0]|(.admitted|tonumber),(.gpu_ns|tonumber)]|.[0]>0 and .[1]>0 and .[1]%1000==0' true
	json '.interval_ns|tonumber|.>=300000000' true
	json '.brokers[0]|keys|join(" ")' "attached_at_ns comm gpu_memory_bytes grace_behind incarnation kernels pid slot state"
	ctl 0 top -o csv 20ms
	is "$(head -1 <<<"$out")" "id,generation,admitted,rejected.rate,rejected.budget,rejected.kernels,rejected.gpu_memory,gpu_ns,unattributed_ns,kernels,gpu_memory_bytes,name,suspended,shadow,rate,rate_period,rate_policy,burst,rate_alone,rate_holds,suspended_rejected,shadow_rejected,used_percent.rate,used_percent.budget,used_percent.kernels,used_percent.gpu_memory"
	is "$(wc -l <<<"$out")" 3
}
admitted() { [[ $("$TOOL" show 42 -J | jq -r '.tenants[0].usage.admitted_total') != 0 ]]; }

cli_top_shows_periods_bursts_names_shadow_and_suspension() {
	init
	ctl 0 register 42 --rate 30/h --shadow on --name vision-team -q
	ctl 0 register 43 --rate 5/day --burst 20 -q
	ctl 0 register 44 -q
	ctl 0 register 45 --preset unlimited --name träger -q
	attach
	say K2K_OK admit 42 0 24
	say K2K_OK admit 43 0 15
	ctl 0 suspend 44 -q
	traffic "admit 42 7 7" "admit 44 7 1"
	# an interval in which both brokers' requests were counted
	until_true 60 eval 'ctl 0 top --once 300ms -J; [[ $(jq "[.tenants[0].shadow_rejected,.tenants[2].suspended_rejected|tonumber > 0]|all" <<<"$out") == true ]]'
	json '[.tenants[]|[.name,.suspended,.shadow,.rate,.rate_period,.rate_policy,.burst]]' \
		'[["vision-team",false,true,"30","hour","window",null],[null,false,false,"5","day","bucket","20"],[null,true,false,"100000","second","window",null],["träger",false,false,null,"second","window",null]]'
	json '[.tenants[]|.used_percent.rate]' '[80,75,0,null]'
	json '.tenants[0]|[.admitted,.rejected.rate]' '["0","0"]'
	ctl 0 top --once 300ms --columns tenant,rate%,limit,state,name -o csv
	is "$out" $'tenant,rate%,limit,state,name\n42,80,30/h,shadow,vision-team\n43,75,5/day+20,\'-,\n44,0,100000/s,suspended,\n45,\'-,\'-,\'-,tr??ger'
	ctl 0 top --once 300ms --columns tenant,limit --sort limit -o csv
	is "$out" $'tenant,limit\n45,\'-\n43,5/day+20\n42,30/h\n44,100000/s'
	ctl 0 top --once 300ms
	more_than "$(awk '$1 == 42 { print $17 }' <<<"$out")" 1 || fail "nothing would be rejected: $out"
	more_than "$(awk '$1 == 44 { print $3 }' <<<"$out")" 1 || fail "nothing is rejected: $out"
	more_than "$(sed -n 's/^in shadow *\([0-9.]*\).*/\1/p' <<<"$out")" 1 || fail "$out"
	# on the screen, and of one tenant
	terminal 160 24
	runs '"$T" top 200ms'
	within eval '[[ $(cell 42 15) == 30/h ]]'
	is "$(cell 42 16)" shadow
	is "$(cell 43 15)" 5/day+20
	is "$(cell 44 16)" suspended
	within eval 'more_than "$(cell 42 17)" 1'
	is "$(cell 42 18)" vision-team
	keys '/' 42 Enter Enter
	shows "TENANT 42  vision-team  limits in shadow"
	shows "24 of 30/h, 80%"
	keys q
	ended 0
}

cli_top_never_shows_more_of_a_rate_than_was_possible() {
	local end=$((SECONDS + 20)) use=0
	init
	ctl 0 register 42 --rate 10/s -q
	# all messages at the beginning of each second: far more than 10/s in an interval there
	traffic "admit 42 7 10"
	until ((use == 100)); do
		((SECONDS <= end)) || fail "not in time"
		ctl 0 top --once 300ms -J
		use=$(jq '.tenants[0].used_percent.rate' <<<"$out")
		((use <= 100)) || fail "$use %"
	done
}

run_tests "$@"
