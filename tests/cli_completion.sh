# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl completion: what it offers, and that bash, zsh and fish show it
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"
. "$(dirname "${BASH_SOURCE[0]}")/completion_harness.bash"
completion_of "$TOOL"

three_tenants() {
	local id
	init
	for id in 42 7 421; do ctl 0 register $id -q; done
	ctl 0 budget set 42 11 1s -q
	ctl 0 budget set 42 9 1s -q
}

cli_completion_offers_every_command_that_help_shows() {
	local word second words
	offered ''
	is "$out" "$(first_words)"
	has "$out" "init"
	for word in budget audit; do
		offered $word ''
		is "$out" "$("$TOOL" --help | sed -n "s/^  $word \([a-z]*\).*/\1/p")"
	done
	words=$(first_words)
	for word in $words; do
		offered "${word:0:2}"
		has $'\n'"$out"$'\n' $'\n'"$word"$'\n'
		[[ -z $(grep -v "^${word:0:2}" <<<"$out") ]] || fail "more than what begins like $word: $out"
	done
	offered frobnicate ''
	is "$out" ""
	offered budget frobnicate ''
	is "$out" ""
}

cli_completion_offers_the_options_that_the_help_of_a_command_shows() {
	local command global options
	global=$("$TOOL" --help | help_options)
	while read -r command; do
		options=$("$TOOL" $command --help | help_options)
		offered $command --
		is "$(sort <<<"$out")" "$(sort -u <<<"$global"$'\n'"$options" | sed '/^$/d')"
	done < <("$TOOL" --help | sed -nE 's/^  ((budget|audit) [a-z]+|[a-z]+) .*/\1/p')
	offered register 42 --r
	is "$out" $'--rate\n--registry'
	offered show -- --r
	is "$out" ""
}

cli_completion_offers_only_values_that_are_accepted() {
	local word types
	init
	offered audit tail --type ''
	types=$out
	has "$types" broker_dead
	for word in $types; do ctl 0 audit tail --type "$word"; done
	ctl 2 audit tail --type frobnicate
	# the message lists all of them
	has "$err" "unknown value"
	for word in $(sed 's/.*it is//; s/,/ /g; s/;.*//' <<<"$err"); do
		[[ $word == or ]] || has $'\n'"$types"$'\n' $'\n'"$word"$'\n'
	done
	offered register 1 --preset ''
	is "$out" $'standard\nunlimited'
	for word in $out; do ctl 0 register 1 --if-missing --preset "$word"; done
	for word in rate kernels gpu-memory; do
		offered update 1 --$word u
		is "$out" unlimited
		ctl 0 update 1 --$word unlimited
	done
	offered list -o ''
	is "$out" $'table\njson\ncsv'
	for word in $out; do ctl 0 list -o "$word"; done
	# columns, also after a comma and a minus
	offered brokers --columns pid,gr
	is "$out" pid,grace-behind
	offered list --sort=-rejected-k
	is "$out" --sort=-rejected-kernels
	offered list --color ''
	for word in $out; do ctl 0 list --color "$word"; done
	offered init --group roo
	has "$out" root
	offered apply -f ''
	is "$out" :files
	offered audit verify --key=x
	is "$out" :files
	offered completion ''
	is "$out" $'bash\nzsh\nfish'
}

cli_completion_offers_ids_of_the_registry_that_the_line_names() {
	local name=$K2K_REGISTRY
	three_tenants
	offered show ''
	is "$out" $'7\n42\n421'
	offered show 42 ''
	is "$out" $'7\n421'
	offered show 4
	is "$out" $'42\n421'
	offered exists 42 ''
	is "$out" ""
	offered budget unset 42 ''
	is "$out" $'9\n11'
	offered budget unset 7 ''
	is "$out" ""
	offered budget set 42 9 ''
	is "$out" unlimited
	offered audit tail --tenant=4
	is "$out" $'--tenant=42\n--tenant=421'
	export K2K_REGISTRY=no-such-registry
	offered show ''
	is "$out" ""
	local line
	for line in "-r $name show" "-qr $name show" "-r$name show" "--registry $name show" "--registry=$name show" \
		"show -r $name" "-r other -r $name show" "--timeout 1s -r $name --color never show --"; do
		offered $line ''
		is "$out" $'7\n42\n421'
	done
	offered -r "$name" -r other show ''
	is "$out" ""
	offered --registry="${name:0:-1}"
	has $'\n'"$out"$'\n' $'\n'"--registry=$name"$'\n'
	K2K_REGISTRY=$name
}

cli_completion_offers_names_of_tenants_beside_their_ids() {
	three_tenants
	ctl 0 update 421 --name vision-team -q
	ctl 0 update 7 --name träger -q
	# what a shell would take apart or expand has to be typed
	ctl 0 register 5 --name 'two words' -q
	ctl 0 register 6 --name 'a$(id)' -q
	offered show ''
	is "$out" $'5\n6\n7\n42\n421\n@träger\n@vision-team'
	offered show @
	is "$out" $'@träger\n@vision-team'
	offered show @v
	is "$out" @vision-team
	ctl 0 completion words -- show @v
	is "$out" $'@vision-team\ttenant 421'
	ctl 0 completion words -- show 42
	is "$out" $'42\n421\tvision-team'
	# a tenant that is on the line, by its id or its name, is not offered again
	offered show @vision-team 5 ''
	is "$out" $'6\n7\n42\n@träger'
	offered show 421 @
	is "$out" @träger
	offered audit tail --tenant=@v
	is "$out" --tenant=@vision-team
	# the engagements of a tenant that is named
	ctl 0 update 42 --name other -q
	offered budget unset @other ''
	is "$out" $'9\n11'
	offered budget unset @nobody ''
	is "$out" ""
	# each of them is accepted
	for word in @träger @vision-team @other; do ctl 0 show "$word" -q; done
}

cli_completion_is_silent_without_a_registry() {
	local line
	for line in "show" "-r $K2K_REGISTRY show" "-r a/b show" "-r '' usage" "budget unset 42"; do
		offered $line ''
		is "$out" ""
	done
	! compgen -G "/dev/shm/k2k.$K2K_REGISTRY.*" || fail "it made something"
	# a file that is not a registry
	head -c 10000 /dev/urandom >"/dev/shm/k2k.$K2K_REGISTRY.defs"
	offered show ''
	is "$out" ""
}

cli_completion_offers_no_name_that_is_not_a_registrys() {
	local name=$K2K_REGISTRY.x shell
	init
	touch "/dev/shm/k2k.$name\$(touch bad).defs" "/dev/shm/k2k.$name a b.defs" "/dev/shm/k2k.$name;touch bad.defs" \
		"/dev/shm/k2k.$name"$'\n'"two.defs" "/dev/shm/k2k.$name'.defs" "/dev/shm/k2k.${name/./-}.live.1"
	offered -r "$K2K_REGISTRY"
	is "$out" "$K2K_REGISTRY"
	cd "$DIR" || fail "cd"
	for shell in bash fish zsh; do
		command -v $shell >/dev/null || continue
		${shell}_shows "-r $K2K_REGISTRY"
		is "$out" "$K2K_REGISTRY"
		${shell}_shows "-r \$(touch bad) show "
	done
	[[ ! -e bad ]] || fail "what stood on the line, or in a name, was run"
	rm -f "/dev/shm/k2k.${name/./-}.live.1"
}

cli_completion_wants_one_shell() {
	ctl 2 completion
	ctl 2 completion tcsh
	has "$err" "bash, zsh or fish"
	ctl 2 completion bash zsh
	ctl 2 completion words
	has "$err" "a word is missing"
	for shell in bash zsh fish; do
		ctl 0 completion $shell
		command -v $shell >/dev/null || continue
		[[ -z $($shell -n <(echo "$out") 2>&1) ]] || fail "$shell does not take its script"
	done
}

in_a_shell() {
	local show=$1_shows
	command -v "$1" >/dev/null || skip "no $1"
	three_tenants
	$show "bud"
	is "$out" budget
	$show "budget u"
	is "$out" unset
	$show "show "
	is "$out" $'7\n42\n421'
	$show "-r $K2K_REGISTRY show 4"
	is "$out" $'42\n421'
	$show "--registry=no-such-registry show "
	is "$out" ""
	$show "update 42 --budget 7=1h --ra"
	is "$out" --rate
	$show "list -o j"
	is "$out" json
	ctl 0 update 421 --name vision-team -q
	$show "show 7 @"
	is "$out" @vision-team
	$show "show 7 @vis"
	is "$out" @vision-team
	$show "show 7 42"
	is "$(sort <<<"$out")" $'42\n421'
	mkdir "$DIR/files"
	touch "$DIR/files/a b" "$DIR/files/c"
	$show "load $DIR/files/"
	has "$out" "c"
	has "$out" "a"
	lacks "$out" json
}

cli_completion_works_in_bash() {
	in_a_shell bash
	bash_shows "load $DIR/files/"
	is "$(sort <<<"$out")" "$DIR/files/a b"$'\n'"$DIR/files/c"
	# readline puts the candidate after the last =
	bash_shows "list --output=j"
	is "$out" json
	bash_shows "list --output="
	is "$out" $'table\njson\ncsv'
	bash_shows "--registry=$K2K_REGISTRY show 42 4"
	is "$out" 421
	bash_shows "audit tail --since 3:17 --tenant=4"
	is "$out" $'42\n421'
}

# A real readline, which splits words itself.
cli_completion_of_a_name_works_in_readline() {
	three_tenants
	needs_terminals
	ctl 0 update 421 --name vision-team -q
	python3 - <<-'END' || fail "bash did not complete the name"
		import os, pty, select, sys, time
		pid, fd = pty.fork()
		if pid == 0:
		    os.environ.update(PS1="> ", TERM="dumb", INPUTRC="/dev/null")
		    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
		seen = b""
		def until(what):
		    global seen
		    end = time.monotonic() + 30
		    while what not in seen:
		        if time.monotonic() > end:
		            sys.exit("not in time: %r in %r" % (what, seen))
		        if select.select([fd], [], [], 0.1)[0]:
		            seen += os.read(fd, 65536)
		    seen = seen[seen.index(what) + len(what):]
		os.write(fd, b"source <(k2k-tenantctl completion bash); echo rea''dy\n")
		until(b"\nready")
		os.write(fd, b"k2k-tenantctl show 7 @vis\t")
		until(b"@vision-team ")
		os.write(fd, b"\x01printf '<%s>' \n")
		until(b"<show><7><@vision-team>")
		os.write(fd, b"k2k-tenantctl audit tail --tenant=@v\t")
		until(b"--tenant=@vision-team ")
		os.write(fd, b"\x15exit\n")
	END
}

cli_completion_works_in_fish() {
	in_a_shell fish
	fish_shows "list --output=j"
	is "$out" --output=json
	fish_shows "audit verify --key=$DIR/files/"
	has "$out" "--key=$DIR/files/c"
}

cli_completion_works_in_zsh() {
	in_a_shell zsh
	zsh_shows "list --output=j"
	is "$out" --output=json
	zsh_shows "audit verify --key=$DIR/files/"
	has "$out" "c"
}

run_tests "$@"
