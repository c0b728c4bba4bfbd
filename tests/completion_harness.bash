# SPDX-License-Identifier: LGPL-2.1-or-later
# What tests of completion use besides cli_harness.bash: what a program offers, and what shells show.

# completion_of PATH: the functions below are about this program
completion_of() {
	program_path=$1 program=${1##*/}
	PATH=${1%/*}:$PATH
}
# offered WORD...: sets $out to the candidates for the last WORD, one per line, without descriptions
offered() {
	out=$("$program_path" completion words -- "$@" 2>"$DIR/err") || fail "$program completion words -- $*: exit code $?"
	is "$(<"$DIR/err")" ""
	out=$(cut -f 1 <<<"$out")
}
first_words() { "$program_path" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' | uniq; }
help_options() { grep -oE '^ +(-[a-zA-Z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+$' | sort -u; }

# ---- the shells themselves: NAME_shows REST sets $out to what they offer after "PROGRAM REST"

# as readline calls it: = and : are separate words
bash_shows() {
	out=$(LINE="$program $1" P=$program bash -c '
		source <($P completion bash)
		[[ $(complete -p $P) == *"-F _${P//-/_} $P" ]] || exit 1
		set -f
		spaced=${LINE//=/ = }
		COMP_WORDS=(${spaced//:/ : })
		[[ $LINE != *" " ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		"_${P//-/_}" $P "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
		((${#COMPREPLY[@]} == 0)) || printf "%s\n" "${COMPREPLY[@]}"' 2>&1)
}

fish_shows() {
	out=$(HOME=$DIR XDG_CONFIG_HOME=$DIR XDG_DATA_HOME=$DIR LINE="$program $1" P=$program fish -N -c '
		$P completion fish | source
		complete -C $LINE' 2>&1 | cut -f 1)
}

# Types on a terminal; the builtin that all completion calls at last writes down its arguments.
zsh_shows() {
	needs_terminals
	cat >"$DIR/.zshrc" <<-'END'
		PS1='> '
		autoload -Uz compinit
		compinit -u -C -d $ZDOTDIR/dump
		source <($P completion zsh)
		zstyle ':completion:*' completer _complete
		compadd() {
			local -a hits
			builtin compadd -O hits "$@"
			((! $#hits)) || print -rl -- "${hits[@]}" >>$ZDOTDIR/hits
			builtin compadd "$@"
		}
		report() {
			zle list-choices
			print >>$ZDOTDIR/ended
		}
		zle -N report
		bindkey '^T' report
		LISTMAX=10000
	END
	rm -f "$DIR/hits" "$DIR/ended"
	: >"$DIR/hits"
	ZDOTDIR=$DIR TERM=dumb LINE="$program $1" P=$program timeout 30 zsh -f -c '
		zmodload zsh/zpty zsh/zselect
		zpty z "zsh -d -i"
		zpty -w -n z "$LINE"$'"'\\C-t'"'
		while [[ ! -e $ZDOTDIR/ended ]] do zselect -t 2; done
		zpty -d z' || fail "zsh did not end"
	# zsh asks several times for the same
	out=$(awk '!seen[$0]++' "$DIR/hits")
}
