# SPDX-License-Identifier: LGPL-2.1-or-later
# A terminal for tests of k2k-tenantctl: a shell in tmux, on a socket of the test's own.
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

tm() { TMUX='' tmux -S "$DIR/tmux" -f /dev/null "$@"; }
screen() { tm capture-pane -p; }

# terminal COLUMNS LINES: a shell whose $T is the tool and $D the test's directory.
terminal() {
	command -v tmux >/dev/null || skip "no tmux"
	needs_terminals
	echo "PS1='ready> '" >"$DIR/rc"
	T=$TOOL D=$DIR TERM=screen SHELL=/bin/sh \
		tm new-session -d -x "$1" -y "$2" "exec bash --noprofile --rcfile '$DIR/rc' -i" || fail "tmux"
	brokers+=("$(tm display -p '#{pid}')")
	shows 'ready>'
}
type_line() { tm send-keys -l -- "$1" && tm send-keys Enter; }
keys() { tm send-keys "$@"; }
# tmux itself passes a second size within a quarter of a second on later, or with no client never.
resize() {
	tm resize-window -x "$1" -y "$2"
	stty -F "$(tm display -p '#{pane_tty}')" cols "$1" rows "$2"
}

# within COMMAND...: until it holds; else the test fails, with the screen.
within() {
	local end=$((SECONDS + ${PATIENCE:-60}))
	until "$@"; do
		((SECONDS <= end)) || fail "not in time: $*; the screen: $(screen)"
		sleep 0.02
	done
}
on_screen() { [[ $(screen) == *"$1"* ]]; }
off_screen() { [[ $(screen) != *"$1"* ]]; }
shows() { within on_screen "$1"; }
hides() { within off_screen "$1"; }
# The row of a table that begins with this word: its words.
row() { screen | awk -v id="$1" '$1 == id { $1 = $1; print; exit }'; }
cell() { screen | awk -v id="$1" -v n="$2" '$1 == id { print $n; exit }'; }
# The first words of the rows below the headings.
column() { screen | awk '/^ *(TENANT|SLOT) / { on = 1; next } on && $1 ~ /^[0-9]+$/ { printf "%s%s", s, $1; s = " " }'; }
column_is() { [[ $(column) == "$1" ]]; }
column_begins() { [[ $(column) == "$1"* ]]; }

# runs LINE: in the shell, with what the terminal was like before it and after it. ended CODE: and that is how it ended.
# Nothing of an earlier line is on the screen when it begins.
runs() {
	tm send-keys -R
	type_line "clear; echo above; stty -g >\$D/before; $1; echo code=\$?; stty -g >\$D/after; echo over"
}
ended() {
	shows "code=$1"
	within test -s "$DIR/after"
	is "$(<"$DIR/after")" "$(<"$DIR/before")"
	is "$(tm display -p '#{alternate_on} #{cursor_flag}')" "0 1"
	has "$(screen)" above
	rm "$DIR/after"
}
