# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: apply, diff, export
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

# doc LINE...: writes $DIR/doc, with a version line before and the end mark after the lines
doc() { printf '%s\n' 'version: 1' "$@" 'end: true' >"$DIR/doc"; }

cli_apply_registers_updates_and_leaves_the_rest() {
	init
	ctl 0 register 41 --rate 9/s -q
	ctl 0 register 42 --rate 5/s --budget 7=1s --budget 8=2s -q
	ctl 0 register 44 --kernels 4 --rate 100k/s -q
	doc 'tenants:' \
		'  - {id: 42, rate: 5k/s, kernels: 4, gpu_memory: 2GiB, budgets: {7: 1h, 9: 5s}}' \
		'  - {id: 0x2b, preset: unlimited}' \
		'  - id: 44' \
		'    kernels: 4'
	ctl 0 apply -f "$DIR/doc"
	has "$out" "1 registered, 1 updated, 0 deregistered, 1 unchanged"
	ctl 0 list -J
	json '[.tenants[]|.id+":"+(.quota.rate_per_sec//"-")+","+(.quota.kernels//"-"|tostring)]|join(" ")' \
		"41:9,16 42:5000,4 43:-,- 44:100000,4"
	json '[.tenants[1].quota.budgets[]|.engagement+"="+.budget_ns]|join(" ")' "7=3600000000000 9=5000000000"
	ctl 0 check
}

cli_apply_takes_json_and_standard_input() {
	init
	echo '{"version":1,"tenants":[{"id":"18446744073709551615","rate":"5/s","kernels":3,"budgets":{"7":"1m"}}]}' >"$DIR/doc"
	ctl 0 apply -f - -J <"$DIR/doc"
	one_object
	json '[.registered,.updated,.deregistered,.unchanged]' '[1,0,0,0]'
	json .tenants[0].id 18446744073709551615
	json .tenants[0].quota.gpu_memory_bytes 2147483648
	json .totals '[]'
	ctl 0 apply --file "$DIR/doc" -o csv
	is "$(wc -l <<<"$out")" 1
	printf '{"version" :\t1,\n\t"tenants":\n\t[\n\t\t{"id":5}]}' >"$DIR/doc"
	ctl 0 apply -f "$DIR/doc" -q
	is "$out" ""
	ctl 0 exists 5
}

cli_apply_keeps_usage_and_generation() {
	init
	ctl 0 register 42 --budget 7=1h -q
	attach
	say K2K_OK admit 42 7 5
	say K2K_OK track 42 7 1000
	doc 'tenants: [{id: 42, rate: 7/s, budgets: {7: 2h}}]'
	ctl 0 apply -f "$DIR/doc" -J
	json '.tenants[0]|[.generation,.usage.admitted_total,.usage.gpu_ns_total,.quota.budgets[0].used_ns]' '["1","5","1000","1000"]'
}

cli_an_unlimited_budget_in_a_document_is_none() {
	init
	ctl 0 register 42 --budget 7=1h --budget 8=1h -q
	doc 'tenants: [{id: 42, budgets: {7: unlimited, 8: 1h}}]'
	ctl 1 diff -f "$DIR/doc"
	is "$out" "update tenant 42: budget 7: 1h -> none"
	ctl 0 apply -f "$DIR/doc" -q
	ctl 0 diff -f "$DIR/doc"
	ctl 0 budget list 42 -J
	json '[.budgets[].engagement]' '["8"]'
}

cli_what_export_wrote_changes_nothing_when_applied() {
	init
	ctl 0 export
	ctl 0 apply -f - <<<"$out"
	has "$out" "nothing to do"
	ctl 0 register 1 --preset unlimited -q
	ctl 0 register 2 --rate 0 --kernels 0 --gpu-memory 0 --budget 0=0 --budget 18446744073709551615=1ns -q
	ctl 0 register 3 --rate 18446744073709551614/s --gpu-memory 18446744073709551614 --kernels 4294967294 \
		--budget 7=18446744073709551614ns --budget 8=1h1m1.000000001s -q
	ctl 0 register 18446744073709551615 --gpu-memory 1GB -q
	local before form
	before=$("$TOOL" list -J)
	for form in -J "-o table"; do
		# shellcheck disable=SC2086
		ctl 0 export $form
		echo "$out" >"$DIR/doc"
		ctl 0 diff -f "$DIR/doc"
		has "$out" "no difference"
		ctl 0 apply -f "$DIR/doc" --prune
		has "$out" "nothing to do: all 4"
		is "$("$TOOL" list -J)" "$before"
		# and an empty registry becomes the same
		ctl 0 init -r "$K2K_REGISTRY-2" --max-tenants 8 --max-engagements 64 -q
		ctl 0 apply -r "$K2K_REGISTRY-2" -f "$DIR/doc" -q
		is "$("$TOOL" -r "$K2K_REGISTRY-2" export | grep -v '^registry:\|^uuid:')" "$("$TOOL" export | grep -v '^registry:\|^uuid:')"
		ctl 0 destroy -r "$K2K_REGISTRY-2" -q
	done
	ctl 2 export -o csv
	ctl 0 export -J
	one_object
	json '[.schema,.registry,.version,.end]' "[\"k2k-tenantctl/1\",\"$K2K_REGISTRY\",1,true]"
	local uuid
	uuid=$("$TOOL" info -J | jq -r .uuid)
	json .uuid "$uuid"
}

cli_diff_says_what_apply_would_change_and_changes_nothing() {
	init
	ctl 0 register 42 --rate 5/s --budget 7=1s --budget 8=2s -q
	ctl 0 register 44 -q
	local before
	before=$("$TOOL" list -J)
	doc 'tenants:' '  - {id: 42, rate: 6/s, budgets: {8: 3s, 9: 4s}}' '  - {id: 43, preset: unlimited}'
	ctl 1 diff -f "$DIR/doc"
	is "$out" "update tenant 42: rate 5/s -> 6/s, budget 7: 1s -> none, budget 8: 2s -> 3s, budget 9: none -> 4s
register tenant 43: rate unlimited, kernels unlimited, GPU memory unlimited"
	ctl 1 diff -f "$DIR/doc" --prune -J
	one_object
	json .differs true
	json '[.changes[]|.action+" "+.tenant]|join(",")' "update 42,register 43,deregister 44"
	ctl 1 diff -f "$DIR/doc" -q
	is "$out" ""
	ctl 0 apply -f "$DIR/doc" --prune --max-prune 50% --dry-run -J
	json .dry_run true
	json '.changes|length' 3
	is "$("$TOOL" list -J)" "$before"
	ctl 0 apply -f "$DIR/doc" -q
	ctl 0 diff -f "$DIR/doc" -J
	json '[.differs,.changes]' '[false,[]]'
	ctl 1 diff -f "$DIR/doc" --prune
	is "$out" "deregister tenant 44"
}

cli_prune_needs_y_away_from_a_terminal() {
	init
	ctl 0 register 41 -q
	ctl 0 register 42 -q
	ctl 0 register 43 -q
	attach
	say K2K_OK admit 43 7 5
	doc 'tenants: [{id: 42}, {id: 50}]'
	ctl 2 apply -f "$DIR/doc" --prune --max-prune 2 </dev/null
	has "$err" "(41, 43)"
	has "$err" "-y"
	ctl 1 exists 50
	ctl 0 exists 41
	ctl 0 apply -f "$DIR/doc" --prune --max-prune 100% -y -J </dev/null
	one_object
	json '[.registered,.deregistered,.unchanged]' '[1,2,1]'
	json '[.totals[]|.id,.final,.usage.admitted_total]' '["41",true,"0","43",true,"5"]'
	# no tenant is left to ask about
	ctl 0 apply -f "$DIR/doc" --prune </dev/null
	doc 'tenants: []'
	ctl 0 apply -f "$DIR/doc" --prune --max-prune 2 -y
	has "$out" "50"
	ctl 0 list -J
	json .tenants '[]'
}

# on_terminal ANSWER ARGUMENT...: runs the tool on a terminal of its own; $out is all its output. With SLOWLY=1 it runs
# only a twentieth of the time, so that it takes long on any machine.
on_terminal() {
	local answer=$1; shift
	needs_terminals
	out=$(python3 - "$answer" "$TOOL" "$@" <<'END'
import os, pty, signal, sys, threading, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
ended = threading.Event()

def hold_back():
    while not ended.is_set():
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.019)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.001)

slowly = threading.Thread(target=hold_back)
if os.environ.get("SLOWLY"):
    slowly.start()
said, answered = b"", sys.argv[1] == ""
while True:
    try:
        got = os.read(fd, 4096)
    except OSError:
        break
    if not got:
        break
    said += got
    if not answered and b"[y/N]" in said:
        os.write(fd, sys.argv[1].encode() + b"\n")
        answered = True
ended.set()
if slowly.ident:
    slowly.join()
status = os.waitpid(pid, 0)[1]
sys.stdout.buffer.write(said)
sys.exit(os.waitstatus_to_exitcode(status))
END
	)
	got=$?
}

cli_prune_asks_on_a_terminal() {
	init
	ctl 0 register 41 -q
	doc 'tenants: [{id: 42}]'
	on_terminal n apply -f "$DIR/doc" --prune --max-prune 1
	is "$got" 2
	has "$out" "Deregister 1 tenant"
	has "$out" "nothing was changed"
	ctl 0 exists 41
	on_terminal y apply -f "$DIR/doc" --prune --max-prune 1
	is "$got" 0
	ctl 1 exists 41
	ctl 0 exists 42
}

cli_a_long_apply_shows_a_bar_on_a_terminal_and_nowhere_else() {
	ctl 0 init --max-tenants 100000 -q
	{ echo 'version: 1'; echo 'tenants:'; seq -f '  - {id: %.0f, rate: 5/s}' 1 60000; } >"$DIR/doc"
	ctl 0 apply -f "$DIR/doc" --dry-run -q
	is "$err" ""
	SLOWLY=1 on_terminal "" apply -f "$DIR/doc"
	is "$got" 0
	has "$out" "[###"
	has "$out" "%"
	has "$out" "60000 registered"
	ctl 0 apply -f "$DIR/doc"
	is "$err" ""
	has "$out" "nothing to do: all 60000"
	ctl 0 check
}

# refused LINE COLUMN WHY TEXT: of a document
refused() {
	printf '%b' "$4" >"$DIR/doc"
	ctl 2 apply -f "$DIR/doc"
	has "$err" "$DIR/doc: line $1, column $2: "
	has "$err" "$3"
	ctl 2 diff -f "$DIR/doc" -J
	error_object K2K_EINVAL
}

cli_a_fault_in_a_document_has_its_line_and_column_and_nothing_is_changed() {
	init
	ctl 0 register 42 -q
	local before head='version: 1\ntenants:\n  - {id: 42, rate: 1/s}\n'
	before=$("$TOOL" list -J)
	refused 4 21 "no such unit" "$head"'  - {id: 43, rate: 5q/s}'
	refused 4 24 "'s', 'min', 'h' or 'day' is expected" "$head"'  - {id: 43, rate: "5k/x"}'
	refused 4 27 "even" "$head"'  - {id: 43, gpu_memory: 0.3KiB}'
	refused 4 23 "digit" "$head"'  - {id: 43, kernels: -1}'
	refused 4 23 "digit" "$head"'  - {id: 43, kernels: null}'
	refused 4 23 "too large" "$head"'  - {id: 43, kernels: 4294967295}'
	refused 4 29 "unit is missing" "$head"'  - {id: 43, budgets: {7: 10}}'
	refused 4 9 "digit" "$head"'  - id: x'
	refused 4 10 "digit" "$head"'  - id: 4x'
	refused 4 9 "too large" "$head"'  - id: 18446744073709551616'
	refused 4 9 "no tenant" "$head"'  - id: 0x0'
	refused 4 5 "has no id" "$head"'  - rate: 5/s'
	refused 4 5 "twice: first in line 3, column 5" "$head"'  - {id: 0x2a}'
	refused 5 5 "'rate' is there twice" "$head"'  - rate: 1/s\n    rate: 2/s'
	refused 4 15 "no such key" "$head"'  - {id: 43,  rates: 1/s}'
	refused 4 31 "engagement 7 is there twice" "$head"'  - {id: 43, budgets: {7: 1h, 0x7: 2h}}'
	refused 4 22 "unknown value" "$head"'  - {id: 43, preset: big}'
	refused 4 20 "single value" "$head"'  - {id: 43, rate: [5]}'
	refused 4 23 "must be a mapping" "$head"'  - {id: 43, budgets: [7]}'
	refused 4 5 "must be a mapping" "$head"'  - 43'
	refused 4 9 "anchors" "$head"'  - id: &a 43'
	refused 4 9 "alias" "$head"'  - id: *a'
	refused 4 9 "tags" "$head"'  - id: !!str 43'
	refused 4 6 "no such key" "$head"'  - {<<: {id: 43}}'
	refused 4 14 "" "$head"'  - {id: 43, \\"'
	refused 4 1 "" "$head"'\t- id: 43'
	refused 4 1 "second document" "$head"'---\nversion: 1\n'
	refused 4 1 "no such key" "$head"'tenant: []\n'
	refused 4 1 "'tenants' is there twice" "$head"'tenants: []\n'
	refused 1 10 "only 1" 'version: 2\ntenants: []\n'
	refused 3 1 "'version' is missing" '\ntenants: []\n'
	refused 2 1 "'tenants' is missing" 'version: 1\n'
	refused 2 9 "must be a list" 'version: 1\ntenants:\n'
	refused 1 1 "empty" ''
	refused 1 1 "must be a mapping" '[]'
	refused 1 2 "no such key" '{"generation": 5, "version": 1, "tenants": []}'
	printf 'version: 1\ntenants: [{id: 7, rate: "\xff"}]' >"$DIR/doc"
	ctl 2 apply -f "$DIR/doc"
	has "$err" "byte 37"
	is "$("$TOOL" list -J)" "$before"
	ctl 2 apply
	ctl 2 diff -f ""
	ctl 10 apply -f "$DIR/none"
	has "$err" "No such file"
	ctl 10 diff -f "$DIR"
}

cli_a_document_that_does_not_fit_is_5_before_anything_changes() {
	ctl 0 init --max-tenants 2 --max-budgets 2 --max-engagements 8 -q
	ctl 0 register 1 --rate 1/s -q
	doc 'tenants: [{id: 1, rate: 2/s}, {id: 2}, {id: 3}]'
	ctl 5 apply -f "$DIR/doc"
	has "$err" "--max-tenants"
	ctl 5 apply -f "$DIR/doc" --dry-run
	ctl 0 show 1 -J
	json .tenants[0].quota.rate_per_sec 1
	doc 'tenants: [{id: 1, rate: 2/s, budgets: {1: 1s, 2: 1s, 3: 1s}}]'
	ctl 5 apply -f "$DIR/doc" -J
	error_object K2K_EFULL
	has "$err" "--max-budgets"
	# pruning the others makes room
	ctl 0 register 4 -q
	doc 'tenants: [{id: 1}, {id: 2, budgets: {1: 1s, 2: 1s}}]'
	ctl 5 apply -f "$DIR/doc"
	ctl 0 apply -f "$DIR/doc" --prune --max-prune 1 -y
	has "$out" "1 registered, 1 updated, 1 deregistered, 0 unchanged"
	ctl 0 check
}

cli_without_a_registry_documents_are_6() {
	init
	doc 'tenants: [{id: 1}]'
	ctl 6 apply -r "$K2K_REGISTRY-none" -f "$DIR/doc"
	ctl 6 export -r "$K2K_REGISTRY-none"
	ctl 6 diff -r "$K2K_REGISTRY-none" -f "$DIR/doc"
}

# An export that was cut at the end of a line is still a document; pruning would remove the missing tenants.
cli_prune_takes_no_document_that_may_be_cut_off() {
	local before
	init
	printf 'version: 1\ntenants:\n' >"$DIR/doc"
	seq -f '  - {id: %.0f}' 1 12 >>"$DIR/doc"
	ctl 0 apply -f "$DIR/doc" -q
	ctl 0 export
	echo "$out" >"$DIR/whole"
	head -11 "$DIR/whole" >"$DIR/half"
	before=$("$TOOL" list -J)
	ctl 2 apply -f "$DIR/half" --prune --max-prune 100% -y
	has "$err" "$DIR/half does not end with 'end: true'"
	ctl 2 apply -f "$DIR/half" --prune --dry-run --max-prune 100%
	is "$("$TOOL" list -J)" "$before"
	ctl 0 apply -f "$DIR/half" -q
	ctl 0 apply -f "$DIR/whole" --prune -y -q
	ctl 0 export -J
	echo "$out" >"$DIR/whole"
	ctl 0 apply -f "$DIR/whole" --prune -y -q
	# nothing may follow the mark
	printf 'version: 1\nend: true\ntenants: []\n' >"$DIR/doc"
	ctl 2 apply -f "$DIR/doc"
	has "$err" "line 3, column 10: 'end' must be the last key"
	printf 'version: 1\ntenants: []\nend: false\n' >"$DIR/doc"
	ctl 2 apply -f "$DIR/doc"
	is "$("$TOOL" list -J)" "$before"
}

cli_prune_of_more_than_a_share_is_refused() {
	local share
	init
	doc 'tenants: [{id: 1}, {id: 2}, {id: 3}, {id: 4}, {id: 5}, {id: 6}, {id: 7}, {id: 8}, {id: 9}, {id: 10}]'
	ctl 0 apply -f "$DIR/doc" -q
	doc 'tenants: [{id: 1}, {id: 2}, {id: 3}, {id: 4}, {id: 5}, {id: 6}]'
	for share in "" "--max-prune 39%" "--max-prune 3" "--max-prune 0"; do
		# shellcheck disable=SC2086
		ctl 2 apply -f "$DIR/doc" --prune -y $share
		has "$err" "would deregister 4 of 10 tenants"
		has "$err" "--max-prune"
	done
	for share in "" x 101% -1 30.5% 5s; do
		ctl 2 apply -f "$DIR/doc" --prune -y --max-prune "$share"
		has "$err" "a share of all tenants"
	done
	ctl 0 list -J
	json '.tenants|length' 10
	ctl 0 apply -f "$DIR/doc" --prune -y --max-prune 40% -q
	doc 'tenants: [{id: 1}, {id: 2}, {id: 3}, {id: 4}, {id: 5}]'
	ctl 0 apply -f "$DIR/doc" --prune -y -q
	ctl 0 list -J
	json '.tenants|length' 5
}

cli_several_files_are_one_document() {
	init
	ctl 0 register 9 -q
	doc 'tenants: [{id: 1, rate: 1/s}, {id: 2}]'
	cp "$DIR/doc" "$DIR/a"
	doc 'tenants: [{id: 3, rate: 3/s}]'
	cp "$DIR/doc" "$DIR/b"
	ctl 1 diff -f "$DIR/a" -f "$DIR/b" -J
	json '[.changes[].tenant]|join(" ")' "1 2 3"
	ctl 0 apply -f "$DIR/a" --prune --max-prune 1 -y -f - -J <"$DIR/b"
	json '[.registered,.deregistered]' '[3,1]'
	ctl 0 list -J
	json '[.tenants[]|.id+":"+.quota.rate_per_sec]|join(" ")' "1:1 2:100000 3:3"
	# no tenant may be in two of them
	doc 'tenants:' '  - {id: 4}' '  - {id: 0x2}'
	ctl 2 apply -f "$DIR/a" -f "$DIR/doc"
	has "$err" "$DIR/doc: line 4, column 5: tenant 2 is there twice: first in $DIR/a, line 2, column 31"
	ctl 1 exists 4
	# each needs its end mark
	echo 'version: 1' >"$DIR/c"
	echo 'tenants: []' >>"$DIR/c"
	ctl 2 apply -f "$DIR/a" -f "$DIR/c" --prune -y
	has "$err" "$DIR/c does not end"
	ctl 2 apply -f - -f - <"$DIR/a"
	has "$err" "only once"
	ctl 2 apply -f "$DIR/a" -f ""
	ctl 10 apply -f "$DIR/a" -f "$DIR/none"
}

cli_an_export_of_another_registry_is_warned_of() {
	init
	ctl 0 register 1 -q
	ctl 0 export
	echo "$out" >"$DIR/doc"
	ctl 0 diff -f "$DIR/doc"
	is "$err" ""
	sed 's/^registry: .*/registry: "elsewhere"/' "$DIR/doc" >"$DIR/other"
	ctl 0 apply -f "$DIR/other"
	has "$err" "is an export of another registry, 'elsewhere'"
	ctl 0 destroy -q
	init
	ctl 1 diff -f "$DIR/doc"
	has "$err" "is an export of an earlier registry"
	ctl 0 apply -f "$DIR/doc"
	has "$err" "is an export of an earlier registry"
}

cli_all_faults_of_a_document_are_reported_at_once() {
	init
	doc 'tenants:' \
		'  - {id: 1, rate: 5q/s, kernels: x, gpu_memory: 2GiB}' \
		'  - {id: 2, budgets: {7: 10}, color: [red, {a: b}], rate: 1/s}' \
		'  - [1, {2: 3}]' \
		'  - {id: 3}' \
		'  - {id: &a 4, rate: *a}' \
		'  - {[1, 2]: 3, id: 5}' \
		'  - {id: 3}' \
		'  - rate: 30/week'
	ctl 2 apply -f "$DIR/doc"
	is "$(sed -E 's/.*: line ([0-9]+), column ([0-9]+): .*/\1,\2/' <<<"$err" | paste -sd ' ')" \
		"3,20 3,34 4,28 4,31 5,5 7,10 7,22 8,6 10,14 9,5"
	ctl 2 diff -f "$DIR/doc" -J
	one_object
	json '.errors|length' 10
	json '[.errors[].name]|unique' '["K2K_EINVAL"]'
	ctl 0 list -J
	json .tenants '[]'
	# but no more than a user can read
	printf 'version: 1\ntenants:\n' >"$DIR/doc"
	seq -f '  - {id: %.0f, rate: x}' 1 100 >>"$DIR/doc"
	ctl 2 apply -f "$DIR/doc"
	is "$(grep -c 'digit' <<<"$err")" 20
	has "$err" "no more than 20 faults"
	# a syntax error ends it
	printf 'version: 1\ntenants:\n  - {id: x}\n  - {id: 2, "\n' >"$DIR/doc"
	ctl 2 apply -f "$DIR/doc"
	is "$(wc -l <<<"$err")" 2
}

cli_a_diff_as_json_has_each_field_before_and_after() {
	init
	ctl 0 register 42 --rate 5/s --budget 7=1s --budget 8=2s --kernels unlimited -q
	ctl 0 register 44 -q
	doc 'tenants:' '  - {id: 42, rate: 6/s, budgets: {8: 3s, 9: 4s}}' '  - {id: 43, preset: unlimited}'
	ctl 1 diff -f "$DIR/doc" --prune -J
	json '.changes[0].fields|map([.field,.before,.after,.engagement//"-"]|map(.//"null")|join(","))|join(" ")' \
		"rate_per_sec,5,6,- kernels,null,16,- budget_ns,1000000000,null,7 budget_ns,2000000000,3000000000,8 budget_ns,null,4000000000,9"
	json '.changes[1].fields|map([.field,.before,.after]|map(.//"null")|join(","))|join(" ")' \
		"rate_per_sec,null,null kernels,null,null gpu_memory_bytes,null,null"
	json '.changes[2]|[.action,.fields]' '["deregister",[]]'
	ctl 0 apply -f "$DIR/doc" --dry-run -J
	json '.changes[0].fields[0].after' 6
}

# All slots are used, and a stopped broker holds up their reuse.
cli_prune_is_refused_before_the_first_change_if_a_stopped_broker_leaves_no_room() {
	local before
	ctl 0 init --max-tenants 10 --max-budgets 4 --max-engagements 64 -q
	doc "tenants: [$(seq -f '{id: %.0f}' 1 10 | paste -sd ,)]"
	ctl 0 apply -f "$DIR/doc" -q
	attach
	kill -STOP "$broker_pid"
	until_true 60 broker_state stopped
	before=$("$TOOL" list -J)
	doc "tenants: [$(seq -f '{id: %.0f}' 11 20 | paste -sd ,)]"
	ctl 8 apply -f "$DIR/doc" --prune --max-prune 100% -y --timeout 100ms
	has "$err" "process $broker_pid (broker 0) is stopped"
	has "$err" "needs 10 new tenants, and 0 are free"
	has "$err" "nothing was changed"
	is "$("$TOOL" list -J)" "$before"
	# one free slot is enough for one tenant
	ctl 0 deregister 10 --timeout 0s -q
	ctl 8 apply -f "$DIR/doc" --prune --max-prune 100% -y --timeout 100ms
	ctl 0 budget set 1 1 1s -q
	ctl 0 budget set 1 2 1s -q
	ctl 0 budget set 1 3 1s -q
	doc 'tenants: [{id: 1, budgets: {1: 1s, 4: 1s, 5: 1s}}]'
	ctl 8 apply -f "$DIR/doc" --timeout 100ms
	has "$err" "needs 2 new budgets, and 1 are free"
	doc 'tenants: [{id: 1, budgets: {1: 1s, 4: 1s}}]'
	ctl 0 apply -f "$DIR/doc" --timeout 100ms -q
	kill -CONT "$broker_pid"
	doc "tenants: [$(seq -f '{id: %.0f}' 11 20 | paste -sd ,)]"
	ctl 0 apply -f "$DIR/doc" --prune --max-prune 100% -y -J
	json '[.registered,.deregistered]' '[10,9]'
}

# Fails midway, because another administrator fills the registry meanwhile.
cli_an_apply_that_fails_midway_reports_what_was_done_and_the_totals() {
	ctl 0 init --max-tenants 8 --max-engagements 3 -q
	doc 'tenants: [{id: 1}, {id: 2}, {id: 3}, {id: 4}]'
	ctl 0 apply -f "$DIR/doc" -q
	attach
	say K2K_OK admit 4 7 5
	say K2K_OK track 1 1 5
	say K2K_OK track 1 2 5
	# two engagements are in use that the number of budgets does not show
	doc 'tenants: [{id: 1, rate: 1/s}, {id: 2}, {id: 3}, {id: 5, budgets: {1: 1s}}, {id: 6, budgets: {2: 1s}}]'
	ctl 5 apply -f "$DIR/doc" --prune -y
	has "$err" "3 of 4 changes were made: 1 deregistered, 1 registered, 1 updated"
	has "$out" "ADMITTED"
	ctl 0 register 4 -q
	ctl 0 deregister 5 -q
	doc 'tenants: [{id: 1, rate: 2/s}, {id: 2}, {id: 3}, {id: 5, budgets: {1: 1s}}, {id: 6, budgets: {2: 1s}}]'
	ctl 5 apply -f "$DIR/doc" --prune -y -J
	one_object
	json '[.registered,.updated,.deregistered,.error.name]' '[1,1,1,"K2K_EFULL"]'
	json '[.totals[].id]' '["4"]'
	json '[.tenants[].id]|join(" ")' "1 5"
}

run_tests "$@"
