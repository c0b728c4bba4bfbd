# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl audit verify: every kind of tampering, at the first, the last and a middle line, and across a rotation
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"
. "$(dirname "${BASH_SOURCE[0]}")/auditd_harness.bash"

# Makes a log of three files: made/log.2, made/log.1, made/log; $first, $middle, $last are their numbers of lines.
make_log() {
	init
	mkdir "$DIR/made"
	key "$DIR/key"
	local size=4000
	while [[ ! -e $DIR/made/log.2 ]]; do
		events 4
		auditd 0 --file "$DIR/made/log" --key "$DIR/key" --max-size "$size" --once
	done
	first=$(lines_of "$DIR/made/log.2") middle=$(lines_of "$DIR/made/log.1") last=$(lines_of "$DIR/made/log")
	((first > 4 && middle > 4 && last > 2)) || fail "$first, $middle, $last lines"
	total=$((first + middle + last))
}
# Makes a fresh copy to tamper with.
again() { rm -rf "$DIR/log"; cp -r "$DIR/made" "$DIR/log"; cd "$DIR/log" || exit 1; }
# verify CODE ARGUMENT...: verifies the three files, given in any order
verify() { ctl "$1" audit verify log log.2 log.1 --key "$DIR/key" -J "${@:2}"; one_object; }
# found WHAT FILE LINE
found() {
	ctl 1 audit verify log log.2 log.1 --key "$DIR/key"
	has "$out" "$2:$3: $1: "
}
change_digit() { # FILE LINE: changes a digit of at_ns, which every line has
	sed -i -E "$2"'s/("at_ns":"[0-9]+)([0-4])([0-9]*")/\19\3/; '"$2"'!b' "$1"
	cmp -s "$1" "$DIR/made/$1" && sed -i -E "$2"'s/("at_ns":"[0-9]+)([5-9])([0-9]*")/\10\3/' "$1"
	cmp -s "$1" "$DIR/made/$1" && fail "nothing changed in $1:$2"
	return 0
}
line_of() { sed -n "$2p" "$1"; }
# swap FILE LINE: swaps the line with the next one
swap() { sed -i -n "$2"'{h;n;G};p' "$1"; }

cli_verify_accepts_a_log_as_it_was_written() {
	make_log
	again
	verify 0
	json .verified true
	json .keyed true
	json .head matches
	json .lines_total "$total"
	json .first_line 1
	json .last_line "$total"
	json .finding null
	ctl 0 audit verify log.1 log.2 log --key "$DIR/key"
	has "$out" matches
	ctl 0 audit verify log.1 log.2 log --key "$DIR/key" -q
	is "$out" ""
}

# Another implementation of the documented format.
cli_verify_agrees_with_the_format_as_it_is_written_down() {
	make_log
	again
	cat >"$DIR/oracle.py" <<-'END'
		import hashlib, json, sys
		key = open(sys.argv[1], "rb").read()
		mac, number = bytes(32), 0
		for name in sys.argv[3:]:
		    for line in open(name, "rb").read().splitlines():
		        body, tail = line.rsplit(b',"mac":', 1)
		        new = hashlib.blake2b(mac + body, key=key, digest_size=32, person=b"k2k-audit-line/1").digest()
		        fields, number = json.loads(line), number + 1
		        assert fields["mac"] == new.hex() and int(fields["seq"]) == number, line
		        if fields["kind"] == "log.opened":
		            assert fields["prev"] == mac.hex(), line
		            assert fields["key"] == hashlib.blake2b(b"", key=key, digest_size=16, person=b"k2k-audit-key/1").hexdigest()[:16]
		        mac = new
		line = open(sys.argv[2], "rb").read().splitlines()[0]
		body, head = line.rsplit(b',"mac":', 1)[0], json.loads(line)
		assert head["mac"] == hashlib.blake2b(body, key=key, digest_size=32, person=b"k2k-audit-head/1").hexdigest()
		assert int(head["count"]) == number and head["last"] == mac.hex()
	END
	python3 "$DIR/oracle.py" "$DIR/key" log.head log.2 log.1 log || fail "the oracle disagrees"
	change_digit log.1 2
	found changed log.1 2
	verify 1
	json .verified false
	json '.finding|[.what,.file,.line]|join(" ")' "changed log.1 2"
	python3 "$DIR/oracle.py" "$DIR/key" log.head log.2 log.1 log 2>/dev/null && fail "the oracle sees nothing"
	return 0
}

cli_verify_names_a_changed_line() {
	make_log
	local at
	for at in log.2:1 log.2:3 "log.2:$first" log.1:1 log.1:2 "log.1:$middle" log:1 log:2 "log:$last"; do
		again
		change_digit "${at%:*}" "${at#*:}"
		found changed "${at%:*}" "${at#*:}"
	done
	# each part of a line: its number, its MAC, its form, a letter inside
	for at in 's/"seq":"[0-9]*"/"seq":"77"/' 's/"seq":"/"seq":"0/' 's/"mac":"./"mac":"g/' 's/"mac":"[0-7]/"mac":"8/' 's/"mac":"./"mac":"/' \
		's/.$//' 's/^/ /' 's/"count":"1"/"count":"2"/' 's/.*//' 's/.*/x/' 's/$/ /' 's/}$/,"mac":"0"}/'; do
		again
		sed -i "4$at" log.1
		# some MACs begin with neither of these
		cmp -s log.1 "$DIR/made/log.1" && continue
		found changed log.1 4
	done
}

cli_verify_names_where_a_line_was_removed() {
	make_log
	local at
	for at in log.2:3 log.2:2 log.1:1 log.1:2 log.1:4 log:1; do
		again
		sed -i "${at#*:}d" "${at%:*}"
		found removed "${at%:*}" "${at#*:}"
	done
	# the first of all
	again
	sed -i 1d log.2
	found removed log.2 1
	# the last line of a file: noticed at the first line of the next
	again
	sed -i '$d' log.2
	found removed log.1 1
	again
	sed -i '$d' log.1
	found removed log 1
	# several
	again
	sed -i 2,4d log.1
	found removed log.1 2
	verify 1
	has "$out" "lines $((first + 2)) to $((first + 4)) of the log are missing"
}

cli_verify_misses_a_whole_file() {
	make_log
	again
	ctl 1 audit verify log log.2 --key "$DIR/key" -J
	json '.finding|[.what,.file,.line]|join(" ")' "removed log 1"
	ctl 1 audit verify log.1 log --key "$DIR/key" -J
	json '.finding|[.what,.file,.line]|join(" ")' "removed log.1 1"
	has "$out" "lines 1 to $first are in none of these files"
	ctl 1 audit verify log.2 log.1 --key "$DIR/key" -J
	json .finding.what "cut off"
	json .head ahead
}

cli_verify_names_an_inserted_line() {
	make_log
	local at copy forged
	copy=$(line_of "$DIR/made/log.1" 3)
	forged=$(sed 's/"seq":"[0-9]*"/"seq":"4711"/' <<<"$copy")
	for at in log.2:1 log.2:3 "log.2:$first" log.1:1 log.1:2 "log.1:$middle" log:1 log:2 "log:$last"; do
		for line in "$forged" "no line at all" ""; do
			again
			sed -i "${at#*:}i\\
$line" "${at%:*}"
			found inserted "${at%:*}" "${at#*:}"
		done
	done
	# after all of them, and at the end of a file
	for line in "$forged" "$copy" "$(sed "s/\"seq\":\"[0-9]*\"/\"seq\":\"$((total + 1))\"/" <<<"$copy")" ""; do
		again
		echo "$line" >>log
		found inserted log "$((last + 1))"
		again
		echo "$line" >>log.1
		found inserted log.1 "$((middle + 1))"
	done
	# a genuine line, repeated
	again
	sed -i 3p log.1
	found inserted log.1 4
	again
	line_of log.2 2 >>log.1
	found inserted log.1 "$((middle + 1))"
}

cli_verify_names_lines_in_another_order() {
	make_log
	local at
	for at in log.2:1 log.2:3 "log.2:$((first - 1))" log.1:1 log.1:2 "log.1:$((middle - 1))" log:1 "log:$((last - 1))"; do
		again
		swap "${at%:*}" "${at#*:}"
		found reordered "${at%:*}" "${at#*:}"
	done
	# across a rotation: moves the last line of one file to the end of the next, and the first of one in front of it
	again
	line_of log.2 "$first" >>log.1
	sed -i '$d' log.2
	found reordered log.1 1
	again
	line_of log 2 >>log.1
	sed -i 2d log
	found reordered log.1 "$((middle + 1))"
}

cli_verify_sees_lines_cut_off_at_the_end() {
	make_log
	local n
	for n in 1 2 "$((last - 1))"; do
		again
		head -n "-$n" "$DIR/made/log" >log
		verify 1
		json .finding.what "cut off"
		json .head ahead
		has "$out" "lines $((total - n + 1)) to $total are missing at the end"
	done
	# in the middle of the last line
	again
	truncate -s -20 log
	verify 1
	json .finding.what "cut off"
	# all of the newest file
	again
	rm log
	ctl 1 audit verify log.1 log.2 --key "$DIR/key" -J
	json .finding.what "cut off"
	again
	: >log
	verify 1
	json .finding.what "cut off"
}

cli_verify_reports_a_missing_changed_or_old_head() {
	make_log
	again
	rm log.head
	verify 1
	json .finding.what "head missing"
	json .head missing
	has "$out" "so it is unknown"
	again
	sed -i 's/"count":"[0-9]*"/"count":"1"/' log.head
	verify 1
	json .finding.what "head changed"
	again
	: >log.head
	verify 1
	json .finding.what "head changed"
	# the head of another log with the same key
	again
	mkdir other
	auditd 0 --file other/log --key "$DIR/key" --once
	cp other/log.head log.head
	verify 1
	json .finding.what "head differs"
	# in another place
	again
	mv log.head other.head
	verify 0 --head other.head
	verify 1 --head none.head
	# the head of a rotated file is that of the log
	again
	mv log elsewhere
	ctl 1 audit verify log.1 log.2 --key "$DIR/key" -J
	json .head ahead
}

cli_verify_takes_an_old_head_for_what_it_may_be() {
	init
	key "$DIR/key"
	cd "$DIR" || exit 1
	events 2
	auditd 0 --file log --key key --once --sync 1s
	cp log.head old.head
	events 2
	auditd 0 --file log --key key --once --sync 1s
	# newer lines, of the last seconds, as after a kill
	ctl 0 audit verify log --key key --head old.head -J
	json .head behind
	# newer lines over a longer time than its delay: a minute, by a clock that is ahead
	cat >"$DIR/clock.c" <<-'END'
		#define _GNU_SOURCE
		#include <sys/syscall.h>
		#include <time.h>
		#include <unistd.h>
		int clock_gettime(clockid_t id, struct timespec *t)
		{
			long code = syscall(SYS_clock_gettime, id, t);
			if (id == CLOCK_REALTIME)
				t->tv_sec += 60;
			return (int)code;
		}
	END
	"${CC:-cc}" -shared -fPIC "$DIR/clock.c" -o "$DIR/clock.so" || fail "no clock"
	events 1
	ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD="$DIR/clock.so" auditd 0 --file log --key key --once --sync 1s
	ctl 0 audit verify log --key key -J
	json .head matches
	ctl 1 audit verify log --key key --head old.head -J
	json .finding.what "head old"
	json .head behind
}

cli_verify_needs_the_right_key() {
	make_log
	again
	ctl 2 audit verify log log.1 log.2 -J
	error_object K2K_EINVAL
	has "$err" "--key FILE is needed"
	key "$DIR/other"
	ctl 1 audit verify log log.1 log.2 --key "$DIR/other" -J
	json .finding.what "wrong key"
	has "$out" "written with key"
	# a log without a key proves nothing to the owner of a key
	auditd 0 --file "$DIR/unkeyed" --once
	has "$err" "no --key"
	ctl 0 audit verify "$DIR/unkeyed"
	has "$err" "can forge all of it"
	ctl 1 audit verify "$DIR/unkeyed" --key "$DIR/key" -J
	json .finding.what "wrong key"
	has "$out" "written without a key"
}

cli_verify_refuses_what_is_no_key_or_no_file() {
	make_log
	again
	chmod 0440 "$DIR/key"
	ctl 7 audit verify log --key "$DIR/key"
	has "$err" "others than its owner"
	chmod 0400 "$DIR/key"
	ctl 0 audit verify log log.1 log.2 --key "$DIR/key"
	(umask 077; od -An -v -tx1 "$DIR/key" | tr -d ' \n' >"$DIR/hex"; echo >>"$DIR/hex"; head -c 31 "$DIR/key" >"$DIR/short"; : >"$DIR/empty")
	ctl 0 audit verify log log.1 log.2 --key "$DIR/hex"
	ctl 2 audit verify log --key "$DIR/short"
	ctl 2 audit verify log --key "$DIR/empty"
	ctl 2 audit verify log --key "$DIR"
	ctl 10 audit verify log --key "$DIR/none"
	ctl 2 audit verify none --key "$DIR/key" -J
	error_object K2K_EINVAL
	ctl 2 audit verify "$DIR" --key "$DIR/key"
	ctl 2 audit verify
	ctl 2 audit
	has "$err" verify
	ctl 2 audit veryfy log
	ctl 0 audit verify --help
	has "$out" "--head FILE"
	: >empty
	ctl 1 audit verify empty --key "$DIR/key" -J
	json .finding.what "head missing"
	head -c 300000 /dev/zero | tr '\0' x >long
	ctl 1 audit verify long --key "$DIR/key"
	echo >>long
	cat log.2 >>long
	ctl 1 audit verify long log.1 log --key "$DIR/key" -J
	json '.finding|[.what,.file,.line]|join(" ")' "inserted long 1"
}

run_tests "$@"
