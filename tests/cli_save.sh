# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: save, load
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

# A registry with generations, totals and costs, one tenant gone, and the newest too; saved, destroyed.
saved() {
	init
	ctl 0 register 9 -q
	ctl 0 register 42 --rate 5k/s --budget 7=1h --budget 8=0s -q
	ctl 0 register 5 --preset unlimited -q
	ctl 0 register 44 -q
	ctl 0 deregister 9 44 -q
	attach
	say K2K_OK admit 42 7 5
	say K2K_OK track 42 7 9007199254740993
	say K2K_OK track 42 18446744073709551615 3
	say K2K_OK track 5 0 1
	say K2K_EBUDGET admit 42 8 1
	kill -KILL "$broker_pid"
	before=$("$TOOL" list -J | jq -c '[.tenants[]|.usage.messages_this_second="0"]') used=$("$TOOL" usage -J | jq -c '.usage|sort')
	ctl 0 save "$DIR/saved"
}
same() {
	is "$("$TOOL" list -J | jq -c '[.tenants[]|.usage.messages_this_second="0"]')" "$before"
	is "$("$TOOL" usage -J | jq -c '[.usage[]|select(.gpu_ns!="0")]|sort')" "$(jq -c '[.[]|select(.gpu_ns!="0")]' <<<"$used")"
}

cli_load_restores_all_that_save_wrote_also_into_a_larger_registry() {
	saved
	jq -e . "$DIR/saved" >"$DIR/json"
	is "$(stat -c %a "$DIR/saved")" 600
	is "$(find "$DIR" -name 'saved?*')" ""
	local sizes
	for sizes in "16 64" "1000 500"; do
		ctl 0 destroy -q
		# shellcheck disable=SC2086
		set -- $sizes
		ctl 0 init --max-tenants "$1" --max-engagements "$2" -q
		ctl 0 load "$DIR/saved" --dry-run -J
		json .would_load 2
		ctl 0 list -J
		json .tenants '[]'
		ctl 0 load "$DIR/saved" -J
		json '[.loaded,.engagements,.generation]' '[2,3,"4"]'
		same
		ctl 0 check
		# once more: nothing is left to do
		ctl 0 load "$DIR/saved" -J
		json .loaded 0
	done
	# what was given out is not given again
	ctl 0 register 77 -J
	json .tenants[0].generation 5
	# and a saved copy of the copy is the same but for its time
	ctl 0 deregister 77 -q
	attach
	say K2K_OK track 42 7 5
}

cli_a_load_that_stopped_half_way_can_be_repeated() {
	init
	ctl 0 register 42 -q
	ctl 0 save "$DIR/first" -q
	ctl 0 register 5 --rate 7/s -q
	ctl 0 save "$DIR/both" -q
	ctl 0 destroy -q
	init
	# the first of two, as a load that was killed leaves it; and it has gone on
	ctl 0 load "$DIR/first" -q
	attach
	say K2K_OK admit 42 7 5
	ctl 0 load "$DIR/both" -J
	json .loaded 1
	ctl 0 list -J
	json '[.tenants[]|.id+":"+.generation+":"+.usage.admitted_total]|join(" ")' "5:2:0 42:1:5"
	# another registration of the same tenant is not it
	ctl 0 deregister 5 -q
	ctl 4 load "$DIR/both"
	has "$err" "generation 2"
	ctl 0 register 5 -q
	ctl 4 load "$DIR/both"
	has "$err" "not as"
	ctl 0 check
}

cli_load_is_refused_where_something_would_be_lost() {
	saved
	ctl 0 register 50 -q
	ctl 4 load "$DIR/saved"
	has "$err" "tenant 50"
	ctl 0 destroy -q
	ctl 0 init --max-tenants 1 --max-engagements 64 -q
	ctl 5 load "$DIR/saved"
	has "$err" "--max-tenants"
	ctl 0 destroy -q
	ctl 0 init --max-tenants 4 --max-engagements 3 -q
	ctl 5 load "$DIR/saved"
	has "$err" "--max-engagements"
	ctl 0 destroy -q
	ctl 0 init --max-tenants 4 --max-budgets 1 -q
	ctl 5 load "$DIR/saved" -J
	error_object K2K_EFULL
	ctl 0 list -J
	json .tenants '[]'
	ctl 0 destroy -q
	ctl 6 load "$DIR/saved"
	ctl 6 save "$DIR/other"
	[[ ! -e $DIR/other ]] || fail "a file is there"
}

cli_a_damaged_file_is_noticed_before_anything_changes() {
	saved
	ctl 0 destroy -q
	init
	head -c -1 "$DIR/saved" >"$DIR/bad"
	ctl 2 load "$DIR/bad"
	has "$err" "cut off"
	head -c 100 "$DIR/saved" >"$DIR/bad"
	ctl 2 load "$DIR/bad"
	has "$err" "no checksum"
	sed 's/"admitted_total": "5"/"admitted_total": "6"/' "$DIR/saved" >"$DIR/bad"
	ctl 2 load "$DIR/bad"
	has "$err" "damaged or changed"
	{ cat "$DIR/saved"; echo; } >"$DIR/bad"
	ctl 2 load "$DIR/bad"
	ctl 2 apply -f "$DIR/saved"
	has "$err" "'load' reads it"
	ctl 0 list -J
	json .tenants '[]'
	ctl 10 load "$DIR/none"
}

cli_save_replaces_the_file_as_a_whole_or_not_at_all() {
	saved
	local was
	was=$(<"$DIR/saved")
	ctl 10 save "$DIR/none/saved"
	has "$err" "No such file"
	ctl 0 save "$DIR/saved" --dry-run -q
	is "$(<"$DIR/saved")" "$was"
	mkdir "$DIR/directory"
	ctl 10 save "$DIR/directory"
	is "$(find "$DIR" -name 'directory.*')" ""
	attach
	ctl 0 save "$DIR/saved"
	has "$err" "brokers are attached"
}

run_tests "$@"
