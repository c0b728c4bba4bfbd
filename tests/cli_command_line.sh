# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: options, help, colours, and output that fails
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

COMMANDS="init info check repair destroy register update deregister list show exists metrics stat top usage quota brokers leases kernels version"

cli_every_command_has_help_with_an_example() {
	local command
	for command in $COMMANDS "budget set" "budget unset" "budget list"; do
		ctl 0 $command --help
		has "$out" "usage: k2k-tenantctl [OPTIONS] $command"
		has "$out" "example: k2k-tenantctl $command"
		is "$err" ""
		ctl 0 -h $command
	done
	ctl 0 budget --help
	has "$out" "budget set"
	has "$out" "budget list"
	ctl 0 --help
	for command in $COMMANDS "budget set"; do
		has "$out" "  $command"
	done
	has "$out" "example:"
}

cli_an_unknown_command_is_a_usage_error() {
	local command
	for command in frobnicate applyx topx statx completionx Show "" regist; do
		ctl 2 "$command"
		has "$err" "unknown command"
	done
	ctl 2 frobnicate --help
	ctl 2
	has "$err" "no command given"
	ctl 2 budget
	ctl 2 budget frobnicate
	ctl 2 audit
	ctl 2 audit frobnicate
	ctl 2 -J frobnicate
	error_object K2K_EINVAL
}

cli_a_word_that_is_nearly_right_is_answered_with_the_right_one() {
	local typed meant
	while read -r typed meant; do
		ctl 2 "$typed"
		has "$err" "'$typed': unknown command; did you mean '$meant'?"
	done <<-'END'
		regster register
		lst list
		regist register
		aply apply
		tpo top
		Show show
	END
	ctl 2 xyzzy
	lacks "$err" "did you mean"
	ctl 2 budget sett
	has "$err" "did you mean 'budget set'?"
	ctl 2 list --regstry x
	has "$err" "unknown option '--regstry'; did you mean '--registry'?"
	ctl 2 update 1 --kernel 5
	has "$err" "did you mean '--kernels'?"
	ctl 2 list --xyzzy
	lacks "$err" "did you mean"
	ctl 2 help regster
	has "$err" "did you mean 'register'?"
	# words that options take
	ctl 2 list -o jsno
	has "$err" "unknown value; it is table, json or csv; did you mean 'json'?"
	ctl 2 audit tail --type securityViolatoin
	ctl 2 audit tail --type broker_daed
	has "$err" "did you mean 'broker_dead'?"
	ctl 2 register 1 --preset unlimted
	has "$err" "it is standard or unlimited; did you mean 'unlimited'?"
	ctl 2 list --color xyzzy
	has "$err" "it is auto, always or never"
	lacks "$err" "did you mean"
}

cli_long_options_are_taken_in_full_only() {
	local word
	init
	for word in --reg=x "--reg x" --js --time=5s "--time 5s" --dry --q; do
		# shellcheck disable=SC2086
		ctl 2 list $word
		has "$err" "unknown option '${word:0:4}"
	done
	ctl 2 register 1 --rat 5/s
	has "$err" "did you mean '--rate'?"
	ctl 1 exists 1
	ctl 2 register --gpu=5 1 --gpu-memory 5
	ctl 0 register --gpu-memory=5 1 --rate 5/s -q
}

cli_help_is_a_command_too() {
	ctl 0 help
	is "$out" "$("$TOOL" --help)"
	ctl 0 help apply
	is "$out" "$("$TOOL" apply --help)"
	ctl 0 help budget set
	is "$out" "$("$TOOL" budget set --help)"
	ctl 0 help audit
	is "$out" "$("$TOOL" audit --help)"
	ctl 2 help budget frobnicate
	ctl 2 help frobnicate
	has "$err" "unknown command"
}

cli_unknown_and_misplaced_options_are_usage_errors() {
	init
	ctl 2 list --frobnicate
	ctl 2 list -x
	ctl 2 list --rate 5/s
	has "$err" "list: has no option --rate"
	ctl 2 show 1 --plan
	ctl 2 list --yes=1
	ctl 2 list --timeout
	has "$err" "its argument is missing"
	ctl 2 list -o xml
	ctl 2 list --color sometimes
	ctl 2 register 42 --preset large
	has "$err" "standard or unlimited"
	ctl 2 update 42
	has "$err" "nothing to change"
	ctl 2 list 1
	has "$err" "too many arguments"
	ctl 2 register
	has "$err" "an argument is missing"
	ctl 2 exists 1 2
	ctl 2 budget set 1 2
	ctl 2 usage 1 2 3
	ctl 2 usage 1 --engagement 2
	ctl 2 --frobnicate list -J
	error_object K2K_EINVAL
}

cli_options_may_be_anywhere() {
	init
	ctl 0 register 42 --rate 5/s -J
	ctl 0 --rate 6/s -J update 42
	json .tenants[0].quota.rate_per_sec 6
	ctl 0 update --rate 7/s 42 --json
	json .tenants[0].quota.rate_per_sec 7
	ctl 0 update 42 --rate=8/s -o json
	json .tenants[0].quota.rate_per_sec 8
	ctl 0 budget -J set 42 --quiet 7 1s
	ctl 0 -qr "$K2K_REGISTRY" exists 42
	POSIXLY_CORRECT=1 ctl 0 show 42 -J
	json .tenants[0].id 42
	# if an option is repeated, the last one counts; --budget adds up
	ctl 0 update 42 --rate 1/s --rate 2/s --budget 1=1s --budget 2=2s --budget 1=3s -J
	json .tenants[0].quota.rate_per_sec 2
	json '[.tenants[0].quota.budgets[]|.engagement+"="+.budget_ns]|join(" ")' "1=3000000000 2=2000000000 7=1000000000"
}

cli_two_dashes_end_the_options() {
	init
	ctl 0 register -q -- 42
	ctl 0 -J -- show 42
	json .tenants[0].id 42
	ctl 2 show -- 42 -J
	has "$err" "ID '-J'"
	is "$out" ""
}

cli_the_registry_is_named_by_option_then_environment_then_default() {
	init
	ctl 0 info -J
	json .registry "$K2K_REGISTRY"
	json .name "$K2K_REGISTRY"
	local name=$K2K_REGISTRY
	K2K_REGISTRY=no-such-registry ctl 0 -r "$name" info
	K2K_REGISTRY='' ctl 0 version -J
	json .registry default
	(unset K2K_REGISTRY; ctl 0 version -J; json .registry default) || exit 1
}

cli_a_bad_registry_name_is_refused() {
	local name
	for name in "" a/b .. "a b" a.b $'a\nb' ü 01234567890123456789012345678901234567890123456789012345678901234; do
		ctl 2 -r "$name" list
		has "$err" "not a registry's name"
		ctl 2 -r "$name" init
		ctl 2 -r "$name" destroy -y
	done
	K2K_REGISTRY=a/b ctl 2 list
	has "$err" "K2K_REGISTRY 'a/b'"
	ctl 6 -r 0123456789012345678901234567890123456789012345678901234567890123 list
	ctl 6 -r -_ list
}

cli_messages_name_the_program_and_what_is_wrong() {
	ctl 6 list
	has "$err" "k2k-tenantctl: registry '$K2K_REGISTRY': "
	has "$err" "init"
	is "$out" ""
	ctl 2 show $'\e[31mx'
	lacks "$err" $'\e'
	ctl 2 show $'\xff\xfe' -J
	error_object K2K_EINVAL
}

cli_colours_are_for_terminals_unless_asked_for() {
	local esc=$'\e'
	init
	ctl 0 register 42 -q
	ctl 0 list
	lacks "$out" "$esc"
	ctl 0 list --color always
	has "$out" "$esc"
	NO_COLOR=1 ctl 0 list --color always
	has "$out" "$esc"
	ctl 0 list --color never
	lacks "$out" "$esc"
	ctl 0 list --color always -J
	lacks "$out" "$esc"
	ctl 0 list --color=always -o csv
	lacks "$out" "$esc"
	# the rest needs a pseudo-terminal, which some chroots lack
	[[ $(script -qec 'echo here' /dev/null </dev/null 2>/dev/null) == here* ]] || return 0
	out=$(script -qec "'$TOOL' list" /dev/null </dev/null)
	has "$out" "$esc"
	out=$(NO_COLOR=1 script -qec "'$TOOL' list" /dev/null </dev/null)
	lacks "$out" "$esc"
	has "$out" TENANT
	out=$(script -qec "'$TOOL' list --color never" /dev/null </dev/null)
	lacks "$out" "$esc"
}

cli_quiet_leaves_the_answer_to_the_exit_code() {
	init
	ctl 0 register 42 -q
	is "$out$err" ""
	ctl 0 update 42 --rate 0/s -q
	is "$out$err" ""
	ctl 0 budget set 42 7 1s -q -J
	is "$out$err" ""
	ctl 0 exists 42 -q
	is "$out$err" ""
	ctl 1 exists 43 -q
	is "$out$err" ""
	ctl 1 quota 42 -q
	is "$out$err" ""
	ctl 0 check -q
	is "$out$err" ""
	ctl 0 repair -q
	is "$out$err" ""
	ctl 0 deregister 42 -q
	is "$out$err" ""
	ctl 3 deregister 42 -q
	has "$err" "tenant 42"
	ctl 0 list -q
	is "$err" ""
	ctl 0 destroy -q
	is "$out$err" ""
}

cli_a_closed_pipe_ends_quietly_with_10() {
	local i
	ctl 0 init --max-tenants 2000 -q
	for i in 1 2 3; do ctl 0 register $i -q; done
	# the reader ends before the first byte
	{ sleep 0.2; "$TOOL" list 2>"$DIR/e"; echo $? >"$DIR/code"; } | true
	is "$(<"$DIR/code")" 10
	is "$(<"$DIR/e")" ""
	{ sleep 0.2; "$TOOL" list -J 2>"$DIR/e"; echo $? >"$DIR/code"; } | true
	is "$(<"$DIR/code")" 10
	is "$(<"$DIR/e")" ""
}

cli_a_full_disk_is_reported_with_10() {
	local form
	init
	ctl 0 register 42 -q
	for form in table json csv; do
		for command in list "show 42" info version "exists 42" --help; do
			"$TOOL" -o $form $command >/dev/full 2>"$DIR/e"
			is $? 10
			has "$(<"$DIR/e")" "standard output: No space left on device"
		done
	done
	# the change is made even if it can't be reported
	"$TOOL" register 43 >/dev/full 2>/dev/null
	is $? 10
	ctl 0 exists 43
	# nothing to write, nothing lost
	"$TOOL" exists 42 -q >/dev/full
	is $? 0
}

cli_a_closed_standard_output_never_reaches_shared_memory() {
	init
	ctl 0 register 42 -q
	"$TOOL" list >&- 2>"$DIR/e"
	is $? 10
	"$TOOL" register 43 >&- 2>&- <&-
	is $? 10
	"$TOOL" register 44 -q >&- 2>&- <&-
	is $? 0
	ctl 0 check
	ctl 0 list -J
	json '.tenants|length' 3
}

run_tests "$@"
