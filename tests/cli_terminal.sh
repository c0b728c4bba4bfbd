# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl on a terminal: prompts and narrow tables; and other kinds of output
. "$(dirname "${BASH_SOURCE[0]}")/terminal_harness.bash"

ids() { "$TOOL" list -J | jq -r '[.tenants[].id]|join(" ")'; }
asked() { on_screen "[y/N]"; }

cli_apply_prune_takes_yes_no_end_of_input_and_ctrl_c_for_an_answer() {
	local answer
	init
	ctl 0 register 1 -q
	ctl 0 register 2 -q
	echo '{"version":1,"tenants":[{"id":1}],"end":true}' >"$DIR/doc"
	terminal 100 20
	for answer in no Y '' yesno " y"; do
		runs '"$T" apply -f $D/doc --prune --max-prune 1'
		within asked
		type_line "$answer"
		ended 2
		shows "not confirmed; nothing was changed"
		is "$(ids)" "1 2"
	done
	# end of input
	runs '"$T" apply -f $D/doc --prune --max-prune 1'
	within asked
	keys C-d
	ended 2
	is "$(ids)" "1 2"
	# an interrupted question is not asked again
	runs '"$T" apply -f $D/doc --prune --max-prune 1'
	within asked
	keys C-c
	hides "code="
	within on_screen "^C"
	type_line 'echo code=$?; stty -g >$D/after'
	ended 130
	is "$(ids)" "1 2"
	ctl 0 check
	# after a document from standard input, no answer can be read
	runs '"$T" apply -f $D/doc --prune --max-prune 1 </dev/null'
	ended 2
	shows "confirm with -y"
	is "$(ids)" "1 2"
	runs '"$T" apply -f $D/doc --prune --max-prune 1'
	within asked
	type_line yes
	ended 0
	is "$(ids)" 1
}

cli_destroy_asks_on_a_terminal_and_nowhere_else() {
	local answer
	init
	ctl 0 register 42 -q
	attach
	terminal 160 20
	for answer in no Y ''; do
		runs '"$T" destroy'
		within asked
		shows "with 1 tenants and all their usage, and 1 brokers attached?"
		type_line "$answer"
		ended 2
		shows "not confirmed; nothing was changed"
		ctl 0 exists 42
	done
	runs '"$T" destroy </dev/null'
	ended 8
	shows "-y destroys it anyway"
	ctl 0 info
	runs '"$T" destroy'
	within asked
	type_line yes
	ended 0
	ctl 6 info
	init
	runs '"$T" destroy -y'
	ended 0
	hides "[y/N]"
	ctl 6 info
	runs '"$T" destroy'
	ended 6
	# the question says that the registry can't be read
	init
	printf '\377' | dd of="/dev/shm/k2k.$K2K_REGISTRY.defs" bs=1 seek=8 conv=notrunc status=none
	runs '"$T" destroy'
	within asked
	shows "which can't be read here"
	type_line y
	ended 0
	ctl 6 info
}

# A line that the terminal wraps counts as one.
longest_line() { tm capture-pane -J -p | sed 's/ *$//' | grep -v 'ready>' | awk '{ if (length($0) > n) n = length($0) } END { print n + 0 }'; }

cli_tables_fit_a_narrow_terminal_and_say_what_is_left_out() {
	local width command
	init
	ctl 0 register 42 --budget 7=1h -q
	ctl 0 register 18446744073709551615 --preset unlimited -q
	attach
	terminal 200 60
	for command in list brokers "top --once 10ms"; do
		runs "\"\$T\" $command"
		ended 0
		lacks "$(screen)" "no room"
	done
	for width in 80 40; do
		resize $width 60
		for command in list "show 42" brokers "top --once 10ms"; do
			runs "\"\$T\" $command 2>\$D/note"
			ended 0
			(($(longest_line) <= width)) || fail "$command at $width: $(screen)"
			[[ $command == show* ]] || has "$(<"$DIR/note")" "k2k-tenantctl: the terminal has no room for "
		done
		runs '"$T" list 2>$D/note'
		ended 0
		has "$(screen)" 18446744073709551615
		has "$(<"$DIR/note")" "MEMORY-HELD, GENERATION, NAME, SHADOW, SUSPENDED, BURST, ALERTED; -o csv has all"
		is "$(screen | awk '$1 == 42 { print $2 }')" 100000/s
	done
	# without a note with -q, and complete if it is no terminal
	runs '"$T" list -q 2>$D/note'
	ended 0
	is "$(<"$DIR/note")" ""
	runs '"$T" list | cat >$D/whole; "$T" brokers >$D/brokers'
	ended 0
	has "$(<"$DIR/whole")" MEMORY-HELD
	has "$(<"$DIR/brokers")" INCARNATION
}

cli_output_is_ascii_in_every_locale() {
	local locale command
	init
	ctl 0 register 42 --budget 7=1us -q
	attach
	for locale in C POSIX C.UTF-8 tr_TR.UTF-8 no-such-locale; do
		for command in list "show 42" brokers info "top --once 1ms" "list -J" "usage -o csv"; do
			# shellcheck disable=SC2086
			out=$(LC_ALL=$locale "$TOOL" $command 2>&1) || fail "$locale: $command"
			is "$(LC_ALL=C tr -d '\n\t -~' <<<"$out")" ""
		done
	done
	is "$(LC_ALL=C "$TOOL" list)" "$(LC_ALL=C.UTF-8 "$TOOL" list)"
}

cli_a_home_that_cannot_be_written_or_is_missing_does_not_matter() {
	local home
	init
	mkdir "$DIR/home"
	chmod 555 "$DIR/home"
	terminal 80 20
	for home in "$DIR/home" /proc/self /no/such/home ''; do
		runs "export HOME='$home'; \"\$T\" register 42 -q && \"\$T\" list && \"\$T\" deregister 42 -q && \"\$T\" top --once 1ms >\$D/frame"
		ended 0
		runs "HOME='$home' \"\$T\" top"
		shows "no tenants"
		keys q
		ended 0
	done
	is "$(ls -A "$DIR/home")" ""
}

cli_top_into_a_closed_pipe_ends_quietly_and_into_a_full_disk_with_a_message() {
	local form
	init
	ctl 0 register 42 -q
	for form in table json csv; do
		# the reader ends before the frame
		{ "$TOOL" top 100ms -o $form 2>"$DIR/e"; echo $? >"$DIR/code"; } | true
		is "$(<"$DIR/code")" 10
		is "$(<"$DIR/e")" ""
		"$TOOL" top --once 1ms -o $form >/dev/full 2>"$DIR/e"
		is $? 10
		has "$(<"$DIR/e")" "standard output: No space left on device"
	done
	# a reader of one line, while the output exceeds a pipe buffer
	{
		printf 'version: 1\ntenants:\n'
		seq 1 2000 | sed 's/.*/  - {id: &}/'
	} >"$DIR/many"
	ctl 0 -r "$K2K_REGISTRY-many" init --max-tenants 2000 -q
	ctl 0 -r "$K2K_REGISTRY-many" apply -f "$DIR/many" -q
	{ "$TOOL" -r "$K2K_REGISTRY-many" list 2>"$DIR/e"; echo $? >"$DIR/code"; } | head -1 >"$DIR/line"
	ctl 0 -r "$K2K_REGISTRY-many" destroy -q
	is "$(<"$DIR/code")" 10
	is "$(<"$DIR/e")" ""
	has "$(<"$DIR/line")" TENANT
}

run_tests "$@"
