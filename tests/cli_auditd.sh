# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-auditd: where it resumes, rotation, files that other programs change, destinations
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"
. "$(dirname "${BASH_SOURCE[0]}")/auditd_harness.bash"

# follow: starts k2k-auditd in the background on a new registry, with a key, into log; waits for the
# first lines
follow() {
	init
	cd "$DIR" || exit 1
	key key
	start --file log --key key "$@"
	until_true 60 has_kind log created
}
verified() { ctl 0 audit verify "$@" --key key; }
logged() { [[ $(sequences "$@") == "$(numbers_to "$want")" ]]; }
# wait_for N FILE...: waits until the ring's first N events are there, each once
wait_for() { want=$1; until_true 60 logged "${@:2}"; }

cli_auditd_goes_on_where_it_stopped() {
	init
	cd "$DIR" || exit 1
	key key
	events 3
	auditd 0 --file log --key key --once
	is "$(sequences log)" "$(numbers_to 4)"
	events 3
	for _ in 1 2 3; do
		auditd 0 --file log --key key --once
		is "$(sequences log)" "$(numbers_to 7)"
	done
	is "$(jq -r 'select(.kind == "log.started") | .seq' log | wc -l)" 4
	verified log
	# one line of each file is enough to resume from
	mv log log.1
	events 1
	auditd 0 --file log --key key --once
	is "$(sequences log)" "8 "
	verified log log.1
}

cli_auditd_cuts_off_half_a_line() {
	init
	cd "$DIR" || exit 1
	key key
	events 2
	auditd 0 --file log --key key --once
	printf '{"seq":"7","at_ns":"1' >>log
	events 1
	auditd 0 --file log --key key --once
	has "$err" "half a line of 21 bytes"
	is "$(sequences log)" "$(numbers_to 4)"
	has_kind log log.problem || fail "the log does not say it"
	verified log
	# the log is half of its very first line
	rm log*
	printf '{"seq' >log
	auditd 0 --file log --key key --once
	is "$(sequences log)" "$(numbers_to 4)"
	verified log
}

cli_auditd_rotates_by_size_and_keeps_so_many() {
	init
	cd "$DIR" || exit 1
	key key
	for _ in 1 2 3 4 5; do
		events 4
		auditd 0 --file log --key key --once --max-size 2000 --keep 3
	done
	[[ -e log.3 && ! -e log.4 ]] || fail "$(ls)"
	for file in log log.1 log.2 log.3; do
		(($(stat -c %s $file) <= 2000)) || fail "$file is too large"
	done
	verified log log.1 log.2 log.3
	[[ $out != *"first    1"* ]] || fail "nothing was dropped"
	is "$(cat log.3 log.2 log.1 log | jq -r .seq | awk 'NR > 1 && $1 != n + 1 { print "gap" } { n = $1 }')" ""
	# now fewer files are kept
	events 8
	auditd 0 --file log --key key --once --max-size 2000 --keep 1
	[[ -e log.1 && ! -e log.2 && ! -e log.3 ]] || fail "$(ls)"
	verified log log.1
	# the older file is missing
	ctl 1 audit verify log --key key
	has "$out" "in none of these files"
	events 8
	auditd 0 --file log --key key --once --max-size 2000 --keep 0
	[[ ! -e log.1 || ! log.1 -nt log ]] || fail "$(ls)"
	verified log
}

cli_auditd_rotates_by_age() {
	follow --max-age 1s --keep 100
	until_true 60 test -e log.1
	events 2
	wait_for 3 log.1 log
	until_true 60 test -e log.2
	stop TERM
	# an idle log is not rotated: each file has more than its opening line
	for file in log.*[0-9]; do
		(($(lines_of "$file") > 1)) || fail "$file is empty"
	done
	verified log log.*[0-9]
}

cli_auditd_goes_on_after_a_rotation_that_was_killed() {
	init
	cd "$DIR" || exit 1
	key key
	for _ in 1 2 3 4; do
		events 3
		auditd 0 --file log --key key --once --max-size 3000
	done
	[[ -e log.2 ]] || fail "$(ls)"
	# killed before the new file was made; after it was made and is empty; with a gap in the
	# numbers
	mv log.2 log.3
	mv log.1 log.2
	mv log log.1
	events 1
	auditd 0 --file log --key key --once --max-size 3000
	verified log log.1 log.2 log.3
	mv log.3 log.4
	mv log.2 log.3
	mv log.1 log.2
	mv log log.1
	: >log
	events 1
	auditd 0 --file log --key key --once --max-size 3000
	verified log log.1 log.2 log.3 log.4
	mv log.4 log.5
	mv log.3 log.4
	events 6
	auditd 0 --file log --key key --once --max-size 3000
	verified log log.*[0-9]
	is "$(jq -s -r '[.[] | select(.ring == 64) | .sequence | tonumber] | sort | map(tostring) | join(" ")' log log.*[0-9]) " \
		"$(numbers_to 21)"
	# killed before the last renaming: there is a free name, and no file may be dropped
	local before
	rm -f log*
	for ((i = 0; i < 20; i++)); do
		[[ ! -e log.2 ]] || break
		events 3
		auditd 0 --file log --key key --once --max-size 3000
	done
	mv log.2 log.3
	mv log.1 log.2
	before=$(cksum <log.3)
	for ((i = 0; i < 20; i++)); do
		[[ ! -e log.1 ]] || break
		events 3
		auditd 0 --file log --key key --once --max-size 3000 --keep 3
	done
	is "$(cksum <log.3)" "$before"
	verified log log.1 log.2 log.3
}

cli_auditd_goes_on_in_a_new_file_after_its_file_was_moved() {
	follow
	events 2
	wait_for 3 log
	mv log old
	until_true 60 test -s log
	events 2
	wait_for 5 old log
	is "$(jq -r 'select(.kind == "log.opened") | .why' log)" moved
	# as a script for logrotate might: the signal neither ends it nor changes anything
	kill -HUP "$auditd_pid"
	events 1
	wait_for 6 old log
	mv log old.2
	kill -HUP "$auditd_pid"
	until_true 60 test -s log
	events 1
	wait_for 7 old old.2 log
	stop TERM
	verified old old.2 log
}

cli_auditd_notices_that_its_file_was_removed() {
	follow
	events 3
	wait_for 4 log
	rm log
	until_true 60 test -s log
	# the events still in the rings are written again
	wait_for 4 log
	events 1
	wait_for 5 log
	says "another process removed it"
	has "$(jq -r 'select(.kind == "log.problem") | .text' log)" "are gone; reading their events again"
	stop TERM
	verified log
	# the same while it does not run: the head file shows what is missing
	rm log
	auditd 0 --file log --key key --once
	has "$err" "are gone"
	is "$(sequences log)" "$(numbers_to 5)"
	verified log
	# if there is a rotated file, it resumes after that one
	mv log log.1
	events 1
	auditd 0 --file log --key key --once
	rm log
	auditd 0 --file log --key key --once
	is "$(sequences log)" "6 "
	ctl 1 audit verify log log.1 --key key
	has "$out" "removed"
}

cli_auditd_notices_that_its_file_was_cut() {
	follow
	events 4
	wait_for 5 log
	cp log whole
	truncate -s -100 log
	until_true 60 heard "another process truncated it"
	wait_for 5 log
	: >log
	until_true 60 test -s log
	wait_for 5 log
	stop TERM
	# the same while it does not run
	head -n -3 log >shorter
	cp shorter log
	auditd 0 --file log --key key --once
	has "$err" "are gone"
	is "$(sequences log)" "$(numbers_to 5)"
	ctl 1 audit verify log --key key
	has "$out" ": removed: "
	# text written by others is not taken for a line of the log
	start --file log --key key
	until_true 60 eval '[[ $(jq -r "select(.kind == \"log.started\") | .seq" log | wc -l) -ge 2 ]]'
	printf 'graffiti' >>log
	until_true 60 heard "another process wrote 8 bytes"
	events 1
	until_true 60 eval 'grep -q "\"sequence\":\"6\"" log'
}

cli_auditd_says_at_its_start_that_a_line_was_changed() {
	init
	cd "$DIR" || exit 1
	key key
	events 3
	auditd 0 --file log --key key --once
	# it must not continue from a forged position
	sed -i 's/"ring":64,"sequence":"4"/"ring":64,"sequence":"4000"/' log
	events 1
	auditd 0 --file log --key key --once
	has "$err" "line 7 of the file does not follow"
	is "$(sequences log)" "1 2 3 4000 4 5 "
	ctl 1 audit verify log --key key
	has "$out" "log:7: changed"
}

cli_auditd_refuses_a_key_that_others_may_read() {
	init
	cd "$DIR" || exit 1
	key key
	events 2
	chmod 0640 key
	auditd 7 --file log --key key --once
	has "$err" "others than its owner"
	[[ ! -e log ]] || fail "there is a log"
	chmod 0600 key
	auditd 10 --file log --key none --once
	has "$err" "none: No such file"
	head -c 5 key >short
	chmod 0400 short
	auditd 2 --file log --key short --once
	# no event was lost by that
	auditd 0 --file log --key key --once
	is "$(sequences log)" "$(numbers_to 3)"
	# a log has one key
	key other
	auditd 2 --file log --key other --once
	has "$err" "another name"
	auditd 2 --file log --once
	verified log
}

cli_auditd_leaves_other_files_alone() {
	init
	cd "$DIR" || exit 1
	printf 'precious\nthings\n' >log
	auditd 4 --file log --once
	printf 'precious' >half
	auditd 4 --file half --once
	is "$(cat log)" $'precious\nthings'
	is "$(cat half)" precious
	mkdir directory
	auditd 10 --file directory --once
	auditd 2 --file nowhere/log --once
	ln -s half link
	auditd 4 --file link --once
	is "$(cat half)" precious
	# the same while it runs: a file that replaced the log is kept
	start --file mine
	until_true 60 has_kind mine created
	echo precious >half
	mv half mine
	until_true 60 has_kind mine log.problem
	is "$(cat mine.foreign-*)" precious
	# only one k2k-auditd for each log
	auditd 8 --file mine --once
	has "$err" "another k2k-auditd"
}

cli_auditd_waits_for_a_registry() {
	cd "$DIR" || exit 1
	key key
	start --file log --key key
	until_true 60 has_kind log registry.gone
	says "waiting for it"
	init
	until_true 60 has_kind log created
	ctl 0 destroy -q
	# the last event of the old registry, then the first of the next
	until_true 60 has_kind log destroyed
	init
	want=2
	until_true 60 eval '[[ $(jq -r "select(.kind == \"created\") | .seq" log | wc -l) == 2 ]]'
	is "$(jq -r 'select(.kind == "registry.attached" or .kind == "registry.gone" or .ring == 64) | .kind' log | tr '\n' ' ')" \
		"registry.gone registry.attached created destroyed registry.gone registry.attached created "
	is "$(sequences log)" "1 2 1 "
	stop TERM
	# replaced while k2k-auditd did not run
	ctl 0 destroy -q
	init
	events 1
	auditd 0 --file log --key key --once
	is "$(sequences log)" "1 2 1 1 2 "
	verified log
	ctl 0 destroy -q
	auditd 6 --file log --key key --once
}

cli_auditd_prints_and_keeps_its_place() {
	init
	cd "$DIR" || exit 1
	events 2
	auditd 0 --stdout --state state --once
	is "$(sequences out)" "$(numbers_to 3)"
	events 2
	auditd 0 --stdout --state state --once
	is "$(sequences out)" "4 5 "
	auditd 0 --stdout --once
	is "$(sequences out)" "$(numbers_to 5)"
	start --stdout --state state
	until_true 60 eval '[[ -s state.lock ]] || kill -0 $auditd_pid'
	events 1
	until_true 60 grep -q sequence auditd.out
	auditd 8 --stdout --state state --once
	stop INT
	is "$(sequences auditd.out)" "6 "
	echo nonsense >state
	auditd 4 --stdout --state state --once
	# a reader that leaves, an output that is full
	local line=
	"$AUDITD" --stdout 2>err | head -n 1 >/dev/null
	is "${PIPESTATUS[0]}" 10
	# the reader leaves after everything was written
	"$AUDITD" --stdout 2>err | { until [[ $line == *'"sequence":"6"'* ]]; do read -r line; done; }
	is "${PIPESTATUS[0]}" 10
	"$AUDITD" --stdout --once >/dev/full 2>err
	is "$?" 10
	has "$(cat err)" "No space left"
}

# listen SOCKET FILE: writes each datagram as a line
listen() {
	rm -f "$1"
	python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    sys.stdout.write(repr(s.recv(65536)) + "\n")
    sys.stdout.flush()' "$1" >"$2" &
	listener=$!
	brokers+=("$listener")
	disown "$listener"
	until_true 60 test -S "$1"
}

cli_auditd_sends_to_syslog_and_to_the_journal() {
	init
	cd "$DIR" || exit 1
	# without a listener it reports that, and keeps the events until there is one
	events 2
	start --syslog="$DIR/dev-log" --state state
	until_true 60 heard "trying again"
	listen dev-log syslog
	until_true 60 grep -q '"sequence":"3"' syslog
	says "written again"
	has "$(cat syslog)" "b'<86>"
	has "$(cat syslog)" " k2k-auditd[$auditd_pid]: {\"kind\":\"created\""
	# the listener leaves and comes back
	kill "$listener"
	until_true 60 eval '! kill -0 "$listener" 2>/dev/null'
	events 1
	listen dev-log syslog2
	until_true 60 grep -q '"sequence":"4"' syslog2
	stop TERM
	attach
	say K2K_OK cross 1 2
	listen journal journal.out
	start --journal="$DIR/journal"
	until_true 60 grep -q cross_tenant journal.out
	has "$(grep cross_tenant journal.out)" 'SYSLOG_IDENTIFIER=k2k-auditd\nPRIORITY=2\nK2K_KIND=cross_tenant\nMESSAGE={"kind":"cross_tenant"'
	auditd 2 --syslog="$(printf '%0120d' 0)" --once
}

cli_auditd_tells_the_service_manager() {
	init
	cd "$DIR" || exit 1
	listen notify notified
	NOTIFY_SOCKET=$DIR/notify start --file log
	until_true 60 grep -q READY=1 notified
	stop TERM
	until_true 60 grep -q STOPPING=1 notified
	is "$(tail -n 1 log | jq -r .kind)" log.stopped
}

cli_auditd_survives_a_full_disk() {
	init
	mkdir "$DIR/disk"
	key "$DIR/key"
	cat >"$DIR/inside.sh" <<-'END'
		mount -t tmpfs -o size=64k tmpfs disk || exit 77
		"$AUDITD" --file disk/log --key key --sync each 2>auditd.err &
		pid=$!
		wait_for() { for ((i = 0; i < 1000; i++)); do "$@" && return; sleep 0.02; done; echo "not in time: $*"; kill $pid; exit 1; }
		wait_for grep -q created disk/log
		head -c 1M /dev/zero >disk/ballast 2>/dev/null
		for ((i = 0; i < 40; i++)); do "$TOOL" update 1 --rate $((i + 1))/s --if-missing -q; done
		wait_for grep -q 'No space left' auditd.err
		# killed and stopped in this state, it still knows its position
		kill -KILL $pid
		wait $pid 2>/dev/null
		"$AUDITD" --file disk/log --key key --sync each 2>auditd.err &
		pid=$!
		wait_for grep -q 'No space left' auditd.err
		rm disk/ballast
		wait_for grep -q '"sequence":"41"' disk/log
		kill -TERM $pid
		wait $pid
		echo "ended with $?"
		cp disk/log* .
	END
	cd "$DIR" || exit 1
	TOOL=$TOOL AUDITD=$AUDITD unshare -m --propagation private true 2>/dev/null || skip "no right to a mount namespace of its own"
	out=$(TOOL=$TOOL AUDITD=$AUDITD unshare -m --propagation private bash inside.sh 2>inside.err)
	case $? in
	0) ;;
	77) skip "can't mount a small tmpfs" ;;
	*) fail "$out; $(cat inside.err); $(cat auditd.err)" ;;
	esac
	is "$out" "ended with 0"
	is "$(sequences log)" "$(numbers_to 41)"
	has "$(cat auditd.err)" "written again"
	verified log
}

# A limit on the size of files (ulimit -f) is an error like a full disk, and not the end of the
# program or of the trail.
cli_auditd_survives_a_limit_on_file_sizes() {
	init
	cd "$DIR" || exit 1
	key key
	(ulimit -S -f 2; exec "$AUDITD" --file log --key key 2>auditd.err) &
	auditd_pid=$!
	brokers+=("$auditd_pid")
	disown "$auditd_pid"
	until_true 60 grep -q created log
	events 20
	until_true 60 heard "File too large; trying again"
	prlimit --pid "$auditd_pid" --fsize=unlimited
	wait_for 21 log
	says "written again"
	stop TERM
	verified log
}

cli_auditd_refuses_wrong_options() {
	auditd 2
	auditd 2 --file a --stdout
	auditd 2 --file a --state b
	auditd 2 --stdout --key k
	auditd 2 --stdout argument
	auditd 2 --file a --max-size 1x
	auditd 2 --file a --keep 1001
	auditd 2 --file a --sync sometimes
	auditd 2 --no-such
	auditd 2 --stdout -r 'no/name'
	auditd 0 --help
	has "$out" "Exit status"
	auditd 0 --version
	has "$out" "k2k-auditd "
}

run_tests "$@"
