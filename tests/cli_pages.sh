# SPDX-License-Identifier: LGPL-2.1-or-later
# The manual pages in $PAGES say exactly what --help of the programs in $PROGRAMS and the public header say.
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"
WHOLE_HEADER=${BASH_SOURCE[0]%/*}/../scripts/whole-header
command -v mandoc >/dev/null || skip "no mandoc"

shown() { mandoc -O width=200 -T ascii "$1" | col -bx; }
section() { sed -n "/^$1\$/,/^[A-Z]/p" | sed '1d;$d'; }
# "-f, --file FILE" and "--dry-run", as --help and pages write them
spelled_options() {
	grep -oE '^ +(-[a-zA-Z], )?--[a-z-]+(\[=[A-Z]+\])?( [A-Za-z|=:-]*[A-Z|][A-Za-z:=]*)?(  |$)' | sed -E 's/^ +//; s/ +$//' |
		grep -E -- '--[a-z-]+( [^ ]*[A-Z|][^ ]*|\[.*\])?$|--[a-z-]+$' | sort -u
}
words() { tr -s ' ' '\n' | sed '/^$/d'; }
same() { diff <(echo "$1") <(echo "$2") >"$DIR/diff" || fail "$3: $(<"$DIR/diff")"; }
page() {
	[[ -e $1 ]] || fail "there is no page $1"
	shown "$1"
}
first_words() { "$TOOL" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' | uniq; }

cli_pages_are_there_for_every_command_and_no_other() {
	local word whole line
	whole=$(page "$PAGES/tools/man1/k2k-tenantctl.1")
	has "$(first_words)" deregister
	same "$(first_words | sort)" "$(cd "$PAGES/tools/man1" && printf '%s\n' k2k-tenantctl-*.1 |
		sed 's/k2k-tenantctl-//; s/\.1$//' | sort)" "commands (<) and pages (>)"
	for word in $(first_words); do
		has "$whole" "k2k-tenantctl-$word(1)"
	done
	while read -r line; do
		has "$(section COMMANDS <<<"$whole")" "       $line"$'\n'
	done < <("$TOOL" --help | sed -nE 's/^  ([a-z].{40,}|[a-z].*[^ ])  .*/\1/p' | sed -E 's/ +$//; s/  .*//')
	same "$("$TOOL" --help | tr '\n' ' ' | sed 's/.*Exit codes: //; s/\. *example.*//; s/, */\n/g' | grep -oE '^[0-9]+ .*')" \
		"$(section 'EXIT STATUS' <<<"$whole" | sed '/^$/d' | paste -d ' ' - - | sed -E 's/ +/ /g; s/^ //')" "exit codes"
}

cli_pages_have_the_options_and_examples_of_help_word_by_word() {
	local word help text line
	page "$PAGES/tools/man1/k2k-tenantctl.1" >"$DIR/whole"
	same "$("$TOOL" --help | spelled_options)" "$(section OPTIONS <"$DIR/whole" | spelled_options)" \
		"global options, help (<) and page (>)"
	same "$("$TOOL" --help | grep -E '^ +(-., )?--' | words)" \
		"$(section OPTIONS <"$DIR/whole" | grep -v 'Options may be' | words)" "global options, help (<) and page (>)"
	has "$("$TOOL" apply --help | spelled_options)" "-f, --file FILE"
	has "$("$TOOL" register --help | spelled_options)" "--preset standard|unlimited"
	for word in $(first_words); do
		help=$("$TOOL" "$word" --help)
		# a page has both; the help of `usage` is that of one
		[[ $word != usage ]] || help=$("$TOOL" usage correct --help)$'\n'$help
		text=$(page "$PAGES/tools/man1/k2k-tenantctl-$word.1")
		same "$(spelled_options <<<"$help")" "$(section OPTIONS <<<"$text" | spelled_options)" "$word, help (<) and page (>)"
		while read -r line; do
			has "$text" "k2k-tenantctl $line"
		done < <(sed -n 's/^example: k2k-tenantctl //p' <<<"$help")
		while read -r line; do
			has "$text" "[OPTIONS] $line"
		done < <(sed -n 's/^usage: k2k-tenantctl \[OPTIONS\] //p' <<<"$help")
		# and every word of their descriptions
		same "$(grep -E '^ +(-., )?--|^ {20}' <<<"$help" | words)" \
			"$(section OPTIONS <<<"$text" | grep -vE '^   [a-z]|Those of all commands' | words)" "$word, help (<) and page (>)"
	done
}

cli_pages_of_the_other_programs_have_the_options_and_exit_codes_of_their_help() {
	local name program section help text
	for name in k2k-broker.1 k2k-bench.1 k2k-auditd.8 k2k-exporter.8 k2k-fleetd.8; do
		program=${name%.*} section=${name##*.}
		[[ -x $PROGRAMS/$program/$program ]] || continue
		help=$("$PROGRAMS/$program/$program" --help)
		text=$(page "$PAGES/tools/man$section/$name")
		has "$(spelled_options <<<"$help")" "-h, --help"
		same "$(spelled_options <<<"$help")" "$(section OPTIONS <<<"$text" | spelled_options)" "$program, help (<) and page (>)"
		same "$(sed -nE '/^Exit (status|codes):/,/^$/p' <<<"$help" | tr '\n' ' ' | grep -oE '[:;] [0-9]+ ' | tr -dc '0-9\n' |
			grep -vx 128)" "$(section 'EXIT STATUS' <<<"$text" | grep -oE '^ +[0-9]+$' | tr -d ' ')" "$program: exit codes"
	done
}

cli_pages_of_fleetctl_have_the_options_commands_and_exit_codes_of_its_help() {
	local program=$PROGRAMS/k2k-fleetctl/k2k-fleetctl help text
	[[ -x $program ]] || skip "k2k-fleetctl is not built"
	help=$("$program" --help)
	text=$(page "$PAGES/tools/man1/k2k-fleetctl.1")
	same "$(spelled_options <<<"$help")" "$(section OPTIONS <<<"$text" | spelled_options)" "options, help (<) and page (>)"
	same "$(sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' <<<"$help" | sort)" \
		"$(section COMMANDS <<<"$text" | grep -oE '^ {7}[a-z].*' | sed -E 's/, / /g' | grep -oE '\b(init|apply|diff|export|list|hosts|problems|join|usage|budgets|shares|forget|completion|help|version)\b' | sort -u)" "commands"
	same "$(tr '\n' ' ' <<<"$help" | sed 's/.*Exit codes: //' | grep -oE '(^|, ?)[0-9]+ ' | tr -dc '0-9\n')" \
		"$(section 'EXIT STATUS' <<<"$text" | grep -oE '^ +[0-9]+$' | tr -d ' ')" "exit codes"
}

cli_pages_pass_mandocs_lint_and_fit_80_columns() {
	(($(find -L "$PAGES" -path '*/man[0-9]/*' -type f | wc -l) > 70)) || fail "there are pages missing"
	out=$(mandoc -T lint $(find "$PAGES"/library "$PAGES"/tools -path '*/man[0-9]/*' -type f) 2>&1)
	is "$out" ""
	# declarations are not wrapped
	out=$(find "$PAGES"/library -path '*/man[0-9]/*' -type f -exec mandoc -T ascii {} + | col -bx |
		grep -E '.{81}')
	is "$out" ""
}

cli_pages_of_the_header_are_found_by_every_function() {
	local name functions target
	local -A texts
	HEADER=$DIR/header
	"$WHOLE_HEADER" "$HEADER"
	functions=$(sed -n 's/^K2K_API [^(]*\<\(k2k_[a-z0-9_]*\)(.*/\1/p' "$HEADER")
	(($(wc -l <<<"$functions") >= 40)) || fail "only these functions: $functions"
	for name in $functions; do
		target=$(readlink -f "$PAGES/library/man3/$name.3")
		[[ -n ${texts[$target]-} ]] || texts[$target]=$(page "$target") || exit 1
		out=${texts[$target]}
		has "$out" "$name("
		has "$(section NAME <<<"$out")" "$name"
	done
	same "$(sort <<<"$functions")" "$(cd "$PAGES/library/man3" && printf '%s\n' *.3 | sed 's/\.3$//' | grep -vxF k2k_registry.h)" \
		"functions (<) and pages (>)"
}

cli_pages_leave_out_no_word_of_the_header() {
	page "$PAGES/library/man3/k2k_registry.h.3" >"$DIR/page"
	"$WHOLE_HEADER" "$DIR/header"
	python3 - "$DIR/header" "$DIR/page" <<-'END' >"$DIR/missing" || fail "words that the page has less often: $(<"$DIR/missing")"
		import collections, re, sys

		def words(text):
		    return collections.Counter(re.findall(r"\w+", text.lower()))
		header = open(sys.argv[1]).read()
		header = header[header.index("Read this first"):]
		# lines that are only for the compiler
		header = re.sub(r"(?m)^#(include|if|ifdef|ifndef|else|endif|define K2K_API|define K2K_REGISTRY_H)\b.*$", "", header)
		header = re.sub(r'extern "C"|\bK2K_API\b', "", header)
		missing = words(header) - words(open(sys.argv[2]).read())
		print(dict(missing))
		sys.exit(bool(missing))
	END
}

cli_pages_and_completion_are_what_the_program_itself_says() {
	local shell=bash file fleet=$PROGRAMS/k2k-fleetctl/k2k-fleetctl
	for file in k2k-tenantctl.bash _k2k-tenantctl k2k-tenantctl.fish; do
		ctl 0 completion $shell
		same "$out" "$(<"$PAGES/tools-sources/$file")" "$file"
		[[ ! -x $fleet ]] || same "$("$fleet" completion $shell)" "$(<"$PAGES/tools-sources/${file/tenant/fleet}")" "${file/tenant/fleet}"
		[[ $shell == bash ]] && shell=zsh || shell=fish
	done
}

# bash_offers PROGRAM WORD...: prints the candidates for the last word
bash_offers() {
	(
		source "$PAGES/tools-sources/$1.bash"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		"_${1//-/_}"
		((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
	)
}

cli_pages_give_the_other_programs_completion_of_all_their_options() {
	local program options
	init
	mkdir "$DIR/files"
	touch "$DIR/files/a b" "$DIR/files/c"
	for program in k2k-broker k2k-auditd k2k-exporter k2k-bench; do
		[[ -x $PROGRAMS/$program/$program ]] || continue
		options=$("$PROGRAMS/$program/$program" --help | grep -oE '^ +(-[a-zA-Z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+$' | sort -u)
		same "$options" "$(bash_offers "$program" -- | sort -u)" "$program in bash: help (<) and completion (>)"
		is "$(bash_offers "$program" --he)" --help
		if command -v zsh >/dev/null; then
			zsh -n "$PAGES/tools-sources/_$program" || fail "$program: no zsh"
		fi
		if command -v fish >/dev/null; then
			same "$options" "$(HOME=$DIR fish --no-config -c "source $PAGES/tools-sources/$program.fish; complete -C '$program --'" | cut -f 1 |
				sed 's/=$//' | sort -u)" "$program in fish: help (<) and completion (>)"
		fi
		[[ $program != k2k-bench ]] || continue
		has " $(bash_offers "$program" --registry cli- | tr '\n' ' ')" " $K2K_REGISTRY "
		has " $(bash_offers "$program" --registry = cli- | tr '\n' ' ')" " $K2K_REGISTRY "
	done
	is "$(bash_offers k2k-broker "$DIR/files/" | sort)" "$DIR/files/a b"$'\n'"$DIR/files/c"
	is "$(bash_offers k2k-auditd --key "$DIR/files/" | sort)" "$DIR/files/a b"$'\n'"$DIR/files/c"
	is "$(bash_offers k2k-auditd --sync '')" each
	is "$(bash_offers k2k-broker --group roo)" root
	is "$(bash_offers k2k-exporter '')" ""
}

run_tests "$@"
