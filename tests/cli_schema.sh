# SPDX-License-Identifier: LGPL-2.1-or-later
# Every JSON output of the programs, made for real and compared with its schema in tools/schema.
#   BROKER_TOOL AUDITD BENCH EXPORTER SCHEMAS: the other programs, and the folder; EXPORTER is empty if it is not built
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"
. "$(dirname "${BASH_SOURCE[0]}")/metrics_harness.bash"
CHECK=$(dirname "${BASH_SOURCE[0]}")/schema_check.py

# The system's own jsonschema, if there is one: it is the oldest version that must work.
PYTHON=/usr/bin/python3
[[ -x $PYTHON ]] || PYTHON=python3

# keep SCHEMA COMMAND: stores standard input as an output of the command.
keep() {
	kept=$((kept + 1))
	cat >"$DIR/real.$kept"
	printf '%s\t%s\t%s\n' "$1" "$DIR/real.$kept" "$2" >>"$DIR/manifest"
}
# real SCHEMA CODE ARGUMENT...: runs the tool with -J
real() {
	local schema=$1 code=$2 name=$3; shift 2
	ctl "$code" "$@" -J
	[[ $1 != budget && $1 != audit && "$1 ${2-}" != "usage correct" ]] || name+=" $2"
	[[ " $* " != *" --dry-run "* ]] || name+=" --dry-run"
	[[ " $* " != *" --plan "* ]] || name+=" --plan"
	[[ $schema != error ]] || name=
	keep "$schema" "k2k-tenantctl${name:+ $name}" <<<"$out"
}

changes() {
	local sizes=(--max-tenants 16 --max-engagements 64 --max-budgets 32 --audit-events 32)
	real plan 0 init --plan
	real changes 0 init --dry-run
	real info 0 init "${sizes[@]}"
	real info 0 init --if-missing --max-tenants 17
	real changes 0 init --if-missing --dry-run
	real tenants 0 list
	real budgets 0 budget list
	real leases 0 leases
	real kernels 0 kernels
	real brokers 0 brokers
	real tenants 0 register 42 --rate 3000/s --kernels 1 --gpu-memory 1KiB --budget 7=1h --budget 9=0s
	real tenants 0 register 43 --preset unlimited
	real tenants 0 register 18446744073709551615 --rate 0/s
	real tenants 0 register 42 --if-missing --rate unlimited --budget 7=2h --budget 11=1s
	real changes 0 register 44 --budget 1=1s --dry-run
	real changes 0 register 42 --if-missing --dry-run
	real tenants 0 update 43 --kernels 5
	real tenants 0 suspend 43
	real tenants 0 resume 43
	real tenants 0 update 43 --rate 6/s --gpu-memory unlimited
	real tenants 0 update 43 --rate 30/min
	real changes 0 update 43 --burst 5 --dry-run
	real tenants 0 update 43 --burst 5
	real tenants 0 register 43 --if-missing --rate 5/h
	real document 0 export
	real differences 0 diff -f - <<<"$out"
	real tenants 0 update 43 --preset unlimited
	real changes 0 update 43 --rate 7/s --dry-run
	real changes 0 update 45 --if-missing --rate 7/s --dry-run
	real tenants 0 budget set 42 8 1h30m
	real tenants 0 budget set 42 8 unlimited
	real changes 0 budget set 42 8 1s --dry-run
	real changes 0 budget set 42 8 unlimited --dry-run
	real tenants 0 budget set 42 10 1ms
	real changes 0 budget unset 42 10 --dry-run
	real tenants 0 budget unset 42 10
}

# Three brokers, of which one is stopped and one dead.
traffic() {
	local i stopped
	attach 2>/dev/null
	say K2K_OK kernel 43
	kill -STOP "$broker_pid"
	stopped=$broker_pid
	attach 2>/dev/null
	say K2K_OK kernel 42
	say K2K_OK memory 43 1000
	kill -KILL "$broker_pid"
	until_true 60 eval '[[ ! -e /proc/$broker_pid ]] || grep -q "^State:.Z" /proc/$broker_pid/status 2>/dev/null'
	attach 2>/dev/null
	until_true 60 eval 'ctl 0 brokers -J; [[ $(jq -c "[.brokers[].state]|sort" <<<"$out") == "[\"active\",\"dead\",\"stopped\"]" ]]'
	real brokers 0 brokers
	# the broker that finds the dead one reports it within a second
	until_true 60 eval '"$TOOL" audit tail --type broker_dead -J | grep -q broker_dead'
	say K2K_OK admit 42 7 3
	say K2K_OK track 42 7 9007199254740993
	say K2K_EBUDGET admit 42 7 1
	say K2K_OK track 43 18446744073709551615 5
	say K2K_ERATE admit 18446744073709551615 0 1
	say K2K_OK kernel 42
	say K2K_EKERNELS kernel 42
	say K2K_EGPUMEM memory 42 2000
	say K2K_OK memory 42 1000
	say K2K_ENOTENANT admit 4711 0 1
	for ((i = 0; i < 3; i++)); do say K2K_OK cross 42 43 7 "$i-$(printf 'x%.0s' {1..150})"; done
	ctl 0 register 46 -q
	say K2K_OK add 43 1 7 named
	say K2K_OK add 0 0 0 nobodys
	say K2K_OK add 46 0 0 $'an odd \\ name\xff'
	ctl 0 deregister 46 -q
	real kernels 0 kernels
	real kernels 0 kernels 43
	real audit-event 0 audit tail
	for ((i = 0; i < 40; i++)); do say K2K_OK cross 42 43 7 "name-$i"; done
	real audit-event 0 audit tail --since s2:1
	real audit-stats 0 audit stats
	real tenants 0 list
	real tenants 0 show 42
	real tenants 9 show 42 1
	real tenants 9 show 1 2
	real usage 0 usage
	real usage 0 usage 42
	real usage 0 usage 42 1
	real usage 0 usage --engagement 7
	real budgets 0 budget list
	ctl 0 budget set 43 11 10h/day -q
	real corrected 0 usage correct 43 11 --by +5s --reason "a schema"
	real changes 0 usage correct 43 11 --by +5s --reason "a schema" --dry-run
	real changes 0 budget renew 43 11 --force --dry-run
	real renewed 0 budget renew 43 11 --force
	real periods 0 budget history 43 11
	real budgets 0 budget list 43
	real audit-event 0 audit tail --type budget_renewed
	real audit-event 0 audit tail --type correction
	say K2K_OK reserve 43 11 5
	ctl 0 update 43 --alert 1%,50% --budget 12=2s --rate 100/day -q
	say K2K_OK admit 43 12 1
	say K2K_OK track 43 12 1000000000
	real audit-event 0 audit tail --type alert
	real tenants 0 show 43
	real budgets 0 budget list 43
	real leases 0 leases
	real leases 0 leases 42
	real leases 0 leases 43
	real explanation 0 explain 42
	real explanation 0 explain 43
	real corrected 0 usage correct 43 11 --by -2s --reason "a negative number"
	real usage 0 usage
	ctl 0 suspend 43 -q
	ctl 0 update 43 --shadow on -q
	real explanation 0 explain 43
	real tenants 0 list
	ctl 0 update 43 --shadow off -q
	ctl 0 resume 43 -q
	printf 'version: 1\ntenants: [{id: 42, rate: 1/s, budgets: {7: 1h}}]\n' >"$DIR/proposed.yaml"
	printf '%s\n' time,tenant,engagement,gpu_time 1,42,7,1 1,42,7,2 2,43,, >"$DIR/requests.csv"
	real what-if 1 what-if -f "$DIR/proposed.yaml" --trace "$DIR/requests.csv"
	real registries 0 registries
	real quota 0 quota 43
	real quota 1 quota 18446744073709551615
	real quota 1 quota 42 --engagement 9
	real quota 1 quota 4711
	real exists 0 exists 42
	real exists 1 exists 1
	real info 0 info
	real check 0 check
	real stat 0 stat 10ms 3
	real top 0 top --once 10ms
	real version 0 version
	real repaired 0 repair
	real audit-event 0 audit tail
	real changes 0 repair --dry-run
	real error 8 destroy --dry-run
	kill -CONT "$stopped"
}

documents() {
	printf 'version: 1\ntenants:\n  - {id: 42, rate: 5k/s}\n  - {id: 50, budgets: {7: 1h}}\nend: true\n' >"$DIR/doc"
	real changes 0 apply -f "$DIR/doc" --prune --max-prune 100% --dry-run
	real differences 1 diff -f "$DIR/doc" --prune
	real applied 0 apply -f "$DIR/doc" --prune --max-prune 100% -y
	real applied 0 apply -f "$DIR/doc"
	real differences 0 diff -f "$DIR/doc"
	ctl 0 register 43 --preset unlimited -q
	ctl 0 register 44 --gpu-memory 1GB -q
	ctl 0 register 45 --gpu-memory 7 --budget 7=1h1m1.5s --budget 8=0s --budget 9=999ns -q
	real document 0 export
	real saved 0 save "$DIR/saved"
	keep saved-file "the file of k2k-tenantctl save" <"$DIR/saved"
	real saved 0 save "$DIR/saved" --dry-run
	real totals 9 deregister 43 4711
	real totals 0 deregister 44
	real changes 9 deregister 1 42 --dry-run
}

errors() {
	real audit-event 0 audit tail
	real error 2 nonsense
	real error 2 list --unknown-option
	printf 'version: 1\ntenants:\n  - {id: x}\n  - {id: y}\n' >"$DIR/bad"
	real error 2 apply -f "$DIR/bad"
	real error 3 show 4711
	real error 3 usage 4711
	real error 3 budget unset 42 4711
	real error 4 register 42
	real error 4 init
	real error 6 list -r "$K2K_REGISTRY-none"
	real error 2 update 42 --rate 5
	real error 8 destroy
}

# A log in files, with a problem in it, and lines on standard output.
logs() {
	(umask 077 && head -c 32 /dev/urandom >"$DIR/key")
	"$AUDITD" --file "$DIR/log" --key "$DIR/key" --sync each 2>/dev/null &
	local auditd=$!
	brokers+=("$auditd")
	until_true 60 grep -qs '"kind":"lost"' "$DIR/log"
	keep auditd-log "k2k-auditd --file" <"$DIR/log"
	"$AUDITD" --stdout --once --state "$DIR/state" 2>/dev/null >"$DIR/out" || fail "k2k-auditd --stdout ended with $?"
	keep auditd-line "k2k-auditd --stdout" <"$DIR/out"
	keep auditd-state "the file of k2k-auditd --state" <"$DIR/state"
	# make the ring of the unused broker slot 63 unreadable
	live_word 12 $((63 * 832)) 1000000
	until_true 60 grep -qs '"kind":"damaged"' "$DIR/log"
	keep auditd-log "k2k-auditd --file" <"$DIR/log"
	real audit-event 0 audit tail --type rate
	"$AUDITD" --stdout --once 2>/dev/null >"$DIR/out" || fail "k2k-auditd --stdout ended with $?"
	keep auditd-line "k2k-auditd --stdout" <"$DIR/out"
	live_word 12 $((63 * 832)) 0
	rm "$DIR/log"
	until_true 60 grep -qs '"kind":"log.problem"' "$DIR/log"
	ctl 0 destroy -y -q
	until_true 60 grep -qs '"kind":"registry.gone"' "$DIR/log"
	init
	until_true 60 grep -qs '"kind":"registry.attached"' "$DIR/log"
	kill "$auditd"
	wait "$auditd" || fail "k2k-auditd ended with $?"
	keep auditd-log "k2k-auditd --file" <"$DIR/log"
	keep auditd-head "FILE.head of k2k-auditd" <"$DIR/log.head"
	"$AUDITD" --file "$DIR/new" --once 2>/dev/null || fail "k2k-auditd --once ended with $?"
	real audit-verify 0 audit verify "$DIR/new"
	sed -i '2s/log.started/log.startee/' "$DIR/new"
	real audit-verify 1 audit verify "$DIR/new"
	real audit-verify 0 audit verify "$DIR/log" --key "$DIR/key"
}

broker_lines() {
	ctl 0 register 1 --kernels 1 --rate 2/s --budget 7=0s -q
	ctl 0 register 2 --preset unlimited -q
	attach 2>/dev/null
	say K2K_OK add 2 0 0 another-broker
	{
		printf '{"kernel":"add","name":"%s","tenant":%s,"org":3}\n' a 1 b 2 a 1 c 1 b 4711 a 2 a 1
		printf '{"send":"a","to":"%s","gpu_ns":"%s","engagement":%s}\n' a 5 1 b 5 1 none 5 1 a 5 7 a 5 1 a 5 1
		printf '{"send":"%s","to":"b","gpu_ns":18446744073709551615}\n' b b nobody
		echo '{"send":"b","to":"another-broker"}'
		echo '{"kernel":"remove","name":"a"}'
		echo '{"kernel":"remove","name":"a"}'
		echo '{"id":"r-1","send":5}'
		printf '{"reserve":"%s","tenant":%s,"engagement":8,"gpu_ns":5}\n' job 2 job 2 job2 2 job3 4711 job4 0
		echo '{"reserve":"job5","tenant":1,"engagement":7,"gpu_ns":5}'
		printf '{"commit":"%s","gpu_ns":"7"}\n' job job job4
		printf '{"cancel":"%s"}\n' job2 job2
		echo '{"stats":true,"id":1.50}'
	} >"$DIR/lines"
	{
		echo '{"client":"c"}'
		cat "$DIR/lines"
		printf '{"id":1,"send":"b","to":"b"}\n{"id":1,"send":"b","to":"%s"}\n' b a
		printf '{"id":2,"reserve":"b","gpu_ns":1}\n{"id":2,"reserve":"b","gpu_ns":1}\n{"id":3,"commit":"b","gpu_ns":%s}\n' 1 1
		echo '{"stats":true}'
	} >"$DIR/client.lines"
	"$BROKER_TOOL" "$DIR/client.lines" >"$DIR/out" || fail "k2k-broker ended with $?"
	keep broker-line k2k-broker <"$DIR/out"
	ctl 0 update 1 --shadow on -q
	"$BROKER_TOOL" "$DIR/lines" >"$DIR/out" || fail "k2k-broker ended with $?"
	keep broker-line k2k-broker <"$DIR/out"
	ctl 0 update 1 --shadow off -q
	ctl 0 suspend 2 -q
	"$BROKER_TOOL" "$DIR/lines" >"$DIR/out" || fail "k2k-broker ended with $?"
	keep broker-line k2k-broker <"$DIR/out"
	ctl 0 resume 2 -q
	"$BROKER_TOOL" -s "$DIR/lines" >"$DIR/out" || fail "k2k-broker ended with $?"
	keep broker-line k2k-broker <"$DIR/out"
	"$BROKER_TOOL" -q 0 "$DIR/lines" >"$DIR/out" || fail "k2k-broker ended with $?"
	keep broker-line k2k-broker <"$DIR/out"
	"$BROKER_TOOL" --listen "$DIR/socket" --peers "$DIR/peers" &
	broker_pid=$!
	brokers+=("$broker_pid")
	until_true 60 test -S "$DIR/socket"
	"$PYTHON" -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
s.sendall(b"{\"kernel\":\"add\",\"name\":\"x\",\"tenant\":2}\n{\"send\":\"x\",\"to\":\"x\",\"gpu_ns\":1}\n")
lines = s.makefile()
print(*[lines.readline() for _ in range(3)], sep="", flush=True)
if sys.stdin.readline():
    print(lines.readline(), end="")' "$DIR/socket" >"$DIR/out" < <(
		until_true 60 grep -q deliver "$DIR/out"
		printf '%s\n' '{"kernel":"add","name":"y","tenant":2}' '{"send":"y","to":"x"}' | "$BROKER_TOOL" --peers "$DIR/peers" >"$DIR/passed"
		echo
	) || fail "no answer from the socket"
	grep -q FORWARDED "$DIR/passed" || fail "$(<"$DIR/passed")"
	keep broker-line k2k-broker <"$DIR/passed"
	kill "$broker_pid"
	wait "$broker_pid" || fail "k2k-broker --listen ended with $?"
	keep broker-line k2k-broker <"$DIR/out"
}

status() {
	[[ -n $EXPORTER ]] || return 0
	export_start
	curl -sSf "${url%metrics}status.json" >"$DIR/out" || fail "no status"
	keep status k2k-exporter <"$DIR/out"
}
rest() {
	ctl 0 destroy -y -q
	if [[ -n $EXPORTER ]]; then
		until_true 60 eval '[[ $(curl -sSf "${url%metrics}status.json" | jq .up) == false ]]'
		keep status k2k-exporter < <(curl -sSf "${url%metrics}status.json")
		export_stop
	fi
	"$AUDITD" --stdout --once 2>/dev/null >"$DIR/out" && fail "k2k-auditd --once without a registry ended with 0"
	keep auditd-line "k2k-auditd --stdout" <"$DIR/out"
	# load the save of another registry into this one, and corrupt it
	init
	real loaded 0 load "$DIR/saved" --dry-run
	real loaded 0 load "$DIR/saved"
	ctl 0 register 0x4847464544434241 -q
	local at
	at=$(grep -obUa ABCDEFGH "/dev/shm/k2k.$K2K_REGISTRY.defs" | head -n 1 | cut -d : -f 1)
	printf X | dd of="/dev/shm/k2k.$K2K_REGISTRY.defs" bs=1 seek="$at" conv=notrunc status=none
	real check 1 check
	real changes 0 destroy --dry-run
	real destroyed 0 destroy
	"$BENCH" --quick --json --only check_hot >"$DIR/out" || fail "k2k-bench ended with $?"
	keep bench "k2k-bench --json" <"$DIR/out"
}

cli_every_json_output_is_as_its_schema_says() {
	"$PYTHON" -c 'import jsonschema' 2>/dev/null || skip "no python3-jsonschema"
	local kept=0
	changes
	traffic
	documents
	errors
	logs
	broker_lines
	status
	rest
	"$TOOL" --help >"$DIR/help"
	cp -r "$SCHEMAS" "$DIR/schemas"
	[[ -n $EXPORTER ]] || rm "$DIR/schemas/status.json"
	"$PYTHON" "$CHECK" "$DIR/schemas" "$DIR/manifest" "$DIR/help" 2>"$DIR/err" || fail "$(<"$DIR/err")"
}

run_tests "$@"
