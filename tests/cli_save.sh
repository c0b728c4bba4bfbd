# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: save, load
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

# Saves and destroys a registry with generations, totals and costs; one tenant is deregistered, and so is the newest.
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
	for sizes in "16 64 64" "1000 500 300" "100 64 1"; do
		ctl 0 destroy -q
		# shellcheck disable=SC2086
		set -- $sizes
		ctl 0 init --max-tenants "$1" --max-engagements "$2" --max-brokers "$3" -q
		ctl 0 load "$DIR/saved" --dry-run -J
		json .would_load 2
		ctl 0 list -J
		json .tenants '[]'
		ctl 0 load "$DIR/saved" -J
		json '[.loaded,.engagements,.generation]' '[2,3,"4"]'
		same
		ctl 0 check
		# a second load has nothing to do
		ctl 0 load "$DIR/saved" -J
		json .loaded 0
	done
	# generations are not used twice
	ctl 0 register 77 -J
	json .tenants[0].generation 5
	# saving it again gives the same file, except for its time
	ctl 0 deregister 77 -q
	attach
	say K2K_OK track 42 7 5
}

# The way from version 1 of the layout to this one. tests/abi/0.1/saved.json was written by the save of 0.1.0, for a
# registry with these tenants, usage and totals.
cli_what_version_0_1_saved_is_loaded_whole() {
	init
	# the version of the layout follows the magic number
	printf '\1' | dd of="/dev/shm/k2k.$K2K_REGISTRY.defs" bs=1 seek=8 conv=notrunc status=none
	ctl 6 list
	has "$err" "layout version 1"
	has "$err" "'save FILE' with that one"
	has "$err" "$K2K_REGISTRY destroy -y', 'init', and 'load FILE'"
	ctl 0 destroy -y -q
	init
	ctl 0 load "$(dirname "${BASH_SOURCE[0]}")/abi/0.1/saved.json" -J
	json '[.loaded,.engagements,.generation]' '[2,3,"4"]'
	ctl 0 list -J
	json '[.tenants[]|.id+":"+.generation+":"+.usage.admitted_total+":"+.usage.rejected_total.budget]|join(" ")' "5:3:2:0 42:2:1:1"
	ctl 0 usage -J
	json '[.usage[]|.tenant+":"+.engagement+":"+.gpu_ns]|join(" ")' "5:0:77 5:18446744073709551615:3 42:7:1500000 42:8:0"
	ctl 0 register 77 -J
	json .tenants[0].generation 5
	ctl 0 check
}

cli_a_load_that_stopped_half_way_can_be_repeated() {
	init
	ctl 0 register 42 -q
	ctl 0 save "$DIR/first" -q
	ctl 0 register 5 --rate 7/s -q
	ctl 0 save "$DIR/both" -q
	ctl 0 destroy -q
	init
	# the first of two tenants, as a killed load leaves it; meanwhile it has counted on
	ctl 0 load "$DIR/first" -q
	attach
	say K2K_OK admit 42 7 5
	ctl 0 load "$DIR/both" -J
	json .loaded 1
	ctl 0 list -J
	json '[.tenants[]|.id+":"+.generation+":"+.usage.admitted_total]|join(" ")' "5:2:0 42:1:5"
	# another registration of the same tenant is another tenant
	ctl 0 deregister 5 -q
	ctl 4 load "$DIR/both"
	has "$err" "generation 2"
	ctl 0 register 5 -q
	ctl 4 load "$DIR/both"
	has "$err" "is not the one in"
	ctl 0 check
}

cli_load_is_refused_if_something_would_be_lost() {
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
	has "$err" "corrupted or changed"
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

# Creates a registry whose saved text is longer than 4 KiB.
many() {
	ctl 0 init --max-tenants 64 -q
	# shellcheck disable=SC2046
	seq -f '{"id": %.0f}' 1 40 | paste -sd , | sed 's/.*/{"version": 1, "tenants": [&]}/' >"$DIR/many"
	ctl 0 apply -f "$DIR/many" -q
}
no_leftovers() { is "$(find "$DIR" -name '.*' -type f)" ""; }
whole() {
	ctl 0 init -r "$K2K_REGISTRY-whole" --max-tenants 64 --if-missing -q
	ctl 0 load -r "$K2K_REGISTRY-whole" "$1" --dry-run -q
}

cli_save_writes_to_standard_output_and_load_reads_standard_input() {
	many
	ctl 0 save -
	echo "$out" >"$DIR/saved"
	whole "$DIR/saved"
	[[ ! -e - ]] || fail "there is a file named -"
	ctl 0 save - -J
	one_object
	json '.tenants|length' 40
	"$TOOL" save - | "$TOOL" load - -q || fail "load -: $?"
	"$TOOL" save - >/dev/full 2>"$DIR/err"
	is $? 10
	has "$(<"$DIR/err")" "standard output: No space left on device"
}

cli_save_never_replaces_what_is_no_regular_file() {
	many
	# as /dev/stdout may be
	ln -s /proc/self/fd/1 "$DIR/stdout"
	"$TOOL" save "$DIR/stdout" -q >"$DIR/only" || fail "$?"
	whole "$DIR/only"
	# after what is there already
	{ echo first; "$TOOL" save "$DIR/stdout" -q; } >"$DIR/saved"
	is "$(head -1 "$DIR/saved")" first
	sed 1d "$DIR/saved" >"$DIR/only"
	whole "$DIR/only"
	"$TOOL" save "$DIR/stdout" -q | cat >"$DIR/only"
	whole "$DIR/only"
	mkfifo "$DIR/fifo"
	timeout 20 cat "$DIR/fifo" >"$DIR/only" &
	local cat=$!
	ctl 0 save "$DIR/fifo" -q
	wait "$cat"
	[[ -p $DIR/fifo ]] || fail "the FIFO was replaced"
	whole "$DIR/only"
	# own device nodes, so that a faulty program does not replace those of the machine
	if mknod "$DIR/full" c 1 7 2>/dev/null && mknod "$DIR/null" c 1 3 && : 2>/dev/null >"$DIR/null"; then
		ctl 10 save "$DIR/full"
		has "$err" "No space left"
		[[ -c $DIR/full ]] || fail "the device was replaced"
		ctl 0 save "$DIR/null" -q
		[[ -c $DIR/null ]] || fail "the device was replaced"
	fi
	ctl 10 save "$DIR"
	has "$err" "Is a directory"
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$DIR/socket"
	ctl 10 save "$DIR/socket"
	[[ -S $DIR/socket ]] || fail "the socket was replaced"
	no_leftovers
}

cli_save_follows_links_and_keeps_mode_and_owner() {
	many
	mkdir "$DIR/sub"
	echo old >"$DIR/sub/real"
	chmod 640 "$DIR/sub/real"
	((EUID)) || chown 65534:12345 "$DIR/sub/real"
	local was
	was=$(stat -c %a:%u:%g "$DIR/sub/real")
	ln -s sub/real "$DIR/one"
	ln -s "$DIR/one" "$DIR/two"
	ctl 0 save "$DIR/two" -q
	[[ -L $DIR/two && -L $DIR/one ]] || fail "a link was replaced"
	is "$(stat -c %a:%u:%g "$DIR/sub/real")" "$was"
	whole "$DIR/sub/real"
	# a link to a missing file
	ln -s sub/new "$DIR/three"
	ctl 0 save "$DIR/three" -q
	[[ -L $DIR/three ]] || fail "the link was replaced"
	is "$(stat -c %a "$DIR/sub/new")" 600
	ln -s loop "$DIR/loop"
	ctl 10 save "$DIR/loop"
	no_leftovers
	is "$(find "$DIR/sub" -type f | wc -l)" 2
}

cli_save_writes_into_a_file_that_is_mounted_by_itself() {
	[[ $(id -u) == 0 ]] || skip "not root"
	unshare -m true 2>/dev/null || skip "no mount namespaces"
	many
	seq 100000 >"$DIR/below"
	touch "$DIR/point"
	unshare -m bash -c 'mount --bind "$1/below" "$1/point" && "$2" save "$1/point" -q && mountpoint -q "$1/point" &&
		cmp "$1/below" "$1/point"' - "$DIR" "$TOOL" || fail "$?"
	is "$(stat -c %s "$DIR/point")" 0
	whole "$DIR/below"
	no_leftovers
	# on a full disk the file is unchanged
	cp "$DIR/below" "$DIR/was"
	unshare -m bash -c 'mount --bind "$1/below" "$1/point" && ulimit -f 1 && ! "$2" save "$1/point" -q 2>/dev/null' - "$DIR" "$TOOL" ||
		fail "it had room"
	cmp "$DIR/below" "$DIR/was" || fail "the file was changed"
}

cli_save_leaves_nothing_behind_under_a_limit_or_a_full_disk() {
	many
	ctl 0 save "$DIR/saved" -q
	local was
	was=$(<"$DIR/saved")
	ctl 0 register 41 -q
	(ulimit -f 4; "$TOOL" save "$DIR/saved" 2>"$DIR/err"; echo $? >"$DIR/code")
	is "$(<"$DIR/code")" 10
	has "$(<"$DIR/err")" "File too large; an existing file was not changed"
	is "$(<"$DIR/saved")" "$was"
	no_leftovers
	(ulimit -f 1; "$TOOL" save "$DIR/new" 2>/dev/null; echo $? >"$DIR/code")
	is "$(<"$DIR/code")" 10
	[[ ! -e $DIR/new ]] || fail "half a file is there"
	no_leftovers
	(ulimit -f 4; "$TOOL" -r "$K2K_REGISTRY-2" init 2>"$DIR/err"; echo $? >"$DIR/code")
	is "$(<"$DIR/code")" 10
	[[ -z $(compgen -G "/dev/shm/*$K2K_REGISTRY-2*") ]] || fail "something is left in /dev/shm"
	[[ $(id -u) == 0 ]] && unshare -m true 2>/dev/null || return 0
	mkdir "$DIR/disk"
	unshare -m bash -c 'mount -t tmpfs -o size=4k tmpfs "$1/disk" || exit 77; "$2" save "$1/disk/saved" 2>"$1/err"; echo $? >"$1/code"
		ls -A "$1/disk" >"$1/left"' - "$DIR" "$TOOL" || return 0
	is "$(<"$DIR/code")" 10
	has "$(<"$DIR/err")" "No space left on device"
	is "$(<"$DIR/left")" ""
}

struck() { (strace -o /dev/null -e "$1" "$TOOL" save "$DIR/saved" -q; true) >/dev/null 2>&1; }

# A kill at any system call leaves the old file or the new one, and at most one leftover, which the next save removes.
cli_save_killed_anywhere_leaves_the_old_file_or_the_new_one() {
	command -v strace >/dev/null || skip "no strace"
	many
	ctl 0 save "$DIR/saved" -q
	strace -o "$DIR/trace" "$TOOL" save "$DIR/saved" -q 2>/dev/null || skip "nothing can be traced here"
	ctl 0 register 41 -q
	local call n last
	for call in write fsync flock fchmod linkat rename close; do
		last=$(grep -c "^$call(" "$DIR/trace")
		for ((n = last > 3 ? last - 2 : 1; n <= last; n++)); do
			struck "inject=$call:signal=KILL:when=$n"
			whole "$DIR/saved"
			[[ -z $(find "$DIR" -name '.*' -type f ! -name '.saved.k2k-save') ]] || fail "$call $n: $(ls -A "$DIR")"
			struck "inject=$call:signal=TERM:when=$n"
			whole "$DIR/saved"
		done
	done
	struck inject=rename:signal=KILL:error=EINTR
	[[ -e $DIR/.saved.k2k-save ]] || fail "the moment between the two calls was not hit"
	ctl 0 save "$DIR/saved" -q
	no_leftovers
	whole "$DIR/saved"
	# and on a file system without nameless files
	strace -e trace=openat "$TOOL" save "$DIR/saved" -q 2>&1 | grep openat | grep -n O_TMPFILE >"$DIR/which"
	n=$(cut -d : -f 1 "$DIR/which")
	struck "inject=openat:error=EOPNOTSUPP:when=$n"
	no_leftovers
	whole "$DIR/saved"
	for call in write fsync rename; do
		(strace -o /dev/null -e "inject=openat:error=EOPNOTSUPP:when=$n" -e "inject=$call:signal=TERM:when=1" "$TOOL" save "$DIR/saved" -q
			true) >/dev/null 2>&1
		no_leftovers
		whole "$DIR/saved"
	done
}

cli_commands_end_by_a_signal_as_the_first_process_of_a_container() {
	unshare --user --pid --fork true 2>/dev/null || skip "no pid namespaces"
	init
	local signal
	for signal in TERM:143 HUP:129; do
		: >"$DIR/stat"
		unshare --user --map-root-user --pid --fork --kill-child "$TOOL" stat 50ms >"$DIR/stat" 2>&1 &
		local outer=$!
		brokers+=("$outer")
		until_true 60 test -s "$DIR/stat"
		kill -"${signal%:*}" "$(pgrep -P "$outer")"
		local code=0
		wait "$outer" || code=$?
		is "$code" "${signal#*:}"
	done
}

run_tests "$@"
