# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What scripts/quickstart and scripts/replay-trace have in common: a registry of their own, brokers that read a share of a
# trace, and totals that are checked. Sourced, with $here set to the folder of the scripts.
#
# Everything that a run starts or creates is in one of three places, so that clean_up() finds it however the run ends:
# process ids in brokers[] and feeder, files in $dir, and the registry, whose name includes the process id.

checkout=${here%/*}
# shellcheck source=scripts/packages
. "$here/packages"

DEADLINE=60                          # seconds that any step may take before it counts as failed
PYTHON=python3

# ---- words and bars ---------------------------------------------------------------------

die() { progress_end; echo "${0##*/}: ${*:2}" >&2; exit "$1"; }
section() { progress_end; printf '\n== %s\n' "$*"; }
say() { progress_end; printf '%s\n' "$*"; }

# progress DONE TOTAL WHAT
progress() {
	local width=40 part
	[[ -t 2 ]] && (($2 > 0)) || return 0
	part=$(($1 * width / $2))
	printf -v bar '%*s' "$part" ''
	printf '\r\033[K%s [%-*s] %d%%' "$3" "$width" "${bar// /#}" $(($1 * 100 / $2)) >&2
	bar_drawn=1
}
bar_drawn=0
progress_end() { ((!bar_drawn)) || printf '\r\033[K' >&2; bar_drawn=0; }

# run LINES COMMAND...: shows a command, and the first lines of what it prints.
run() {
	local lines=$1 all status=0; shift
	printf '$ %s\n' "${1##*/} ${*:2}"
	"$@" >"$dir/shown" 2>&1 || status=$?
	all=$(wc -l <"$dir/shown")
	head -n "$lines" "$dir/shown" | sed 's/^/  /'
	((all <= lines)) || echo "  ... and $((all - lines)) more lines"
	((status == 0)) || die 1 "${1##*/} ${*:2}: exit status $status"
}

trace() { "$PYTHON" "$here/trace.py" "$@"; }

# ---- leaving nothing behind -----------------------------------------------------------------

brokers=() feeder='' dir='' registry='' CTL='' BROKER='' bar='' input=() lines=()

stop_all() {
	local pid
	for pid in ${feeder:+"$feeder"} ${brokers[@]+"${brokers[@]}"}; do
		kill -KILL "$pid"
	done
	for pid in ${feeder:+"$feeder"} ${brokers[@]+"${brokers[@]}"}; do
		wait "$pid"
	done
	brokers=() feeder=
} 2>/dev/null

clean_up() {
	local status=$?
	trap '' INT TERM HUP PIPE
	trap - EXIT
	set +e
	[[ -z $dir ]] && exit "$status"
	progress_end
	stop_all
	if [[ -n $registry && -n $CTL ]]; then
		"$CTL" -r "$registry" -y -q destroy >/dev/null 2>&1
		rm -f /dev/shm/k2k."$registry".*      # of a create that was cut short
	fi
	rm -rf "$dir"
	exit "$status"
}

# ---- brokers ----------------------------------------------------------------------------------

# start_brokers INPUT: the I-th reads INPUT.I. It must not have this shell's ends of the fifos: they would never end.
start_brokers() {
	local i fd
	for ((i = 1; i <= count; i++)); do
		(
			for fd in ${input[@]+"${input[@]}"}; do
				exec {fd}>&-
			done
			exec "$BROKER" <"$dir/$1.$i" >"$dir/answers.$i" 2>"$dir/errors.$i"
		) &
		brokers[i]=$!
		: >>"$dir/answers.$i"
		((i > 3)) || say "\$ k2k-broker < $1.$i > answers.$i &        # broker $i is process ${brokers[i]}"
	done
	((count <= 3)) || say "  ... and $((count - 3)) more"
}

alive() { kill -0 "$1" 2>/dev/null; }

# Ends the script where a broker has ended that nobody killed.
brokers_live() {
	local i
	for i in "${!brokers[@]}"; do
		alive "${brokers[i]}" || die 1 "broker $i has ended: $(<"$dir/errors.$i")"
	done
}

# wait_for_answers WHAT [PART]: waits until the brokers have answered all lines that they are given, or a PARTth of them.
wait_for_answers() {
	local end=$((SECONDS + DEADLINE)) have all i
	while :; do
		have=0 all=0
		for i in "${!brokers[@]}"; do
			have=$((have + $(wc -l <"$dir/answers.$i")))
			all=$((all + lines[i]))
		done
		((have < all / ${2-1})) || return 0
		progress "$have" "$all" "$1"
		brokers_live
		((SECONDS < end)) || die 1 "$1: $have of $all lines were answered in $DEADLINE s"
		sleep 0.05
	done
}

# Brokers end with 0 at the end of their input.
brokers_end() {
	local i status
	for i in "${!brokers[@]}"; do
		status=0
		wait "${brokers[i]}" || status=$?
		unset "brokers[i]"
		((status == 0)) || die 1 "broker $i ended with $status: $(<"$dir/errors.$i")"
	done
}

# ---- steps -------------------------------------------------------------------

build() {
	local log=$dir/build.log
	if [[ -n ${K2K_BIN_DIR-} ]]; then
		find_tool CTL k2k-tenantctl "$K2K_BIN_DIR"
		find_tool BROKER k2k-broker "$K2K_BIN_DIR"
		return
	fi
	section "Build"
	local tree=$checkout/build/quickstart
	mkdir -p "$tree"
	exec {lock}>"$tree/.lock"
	flock "$lock"
	echo "\$ cmake -S $checkout -B $tree -G Ninja -DK2K_TESTS=OFF && ninja -C $tree"
	if [[ -t 2 ]]; then
		log=/dev/stderr
	fi
	if ! { cmake -S "$checkout" -B "$tree" -G Ninja -DK2K_TESTS=OFF && ninja -C "$tree"; } {lock}>&- >"$log" 2>&1; then
		[[ -t 2 ]] || cat "$log" >&2
		die 1 "the build failed; its messages are above"
	fi
	exec {lock}>&-
	find_tool CTL k2k-tenantctl "$tree"
	find_tool BROKER k2k-broker "$tree"
}

# find_tool VARIABLE NAME DIRECTORY: there, or where a build puts it
find_tool() {
	local path
	for path in "$3/$2" "$3/tools/$2/$2"; do
		if [[ -f $path && -x $path ]]; then
			printf -v "$1" %s "$(cd "${path%/*}" && pwd -P)/$2"
			return
		fi
	done
	die 2 "$3: there is no $2"
}

# read_trace FILE SPLIT-OPTION...
read_trace() {
	local facts status=0
	facts=$(trace split "$1" "$dir" --brokers "$count" --seed "$seed" ${spread:+--spread} "${@:2}") || status=$?
	((status == 0)) || exit "$status"
	read -r requests tenants pairs gpu_seconds busiest last <<<"$facts"
	say "$requests requests of $tenants tenants, $pairs pairs of tenant and engagement, $gpu_seconds s of GPU time"
}

# create: room for the trace, of which one tenant may have all (it may take half of the table), and for one tenant more; each
# broker has a kernel for each tenant and for each pair, and adds some of the tenant more
create() {
	section "Create a registry in shared memory"
	say "export K2K_REGISTRY=$K2K_REGISTRY"
	run 6 "$CTL" init --max-tenants $((tenants + 1)) --max-engagements $((3 * pairs + 1)) \
		--max-leases $(((tenants + 1) * count)) --max-budgets 1 --max-kernels $(((pairs + tenants + 8) * count))
}

# register LIMIT...: every tenant of the trace
register() {
	local id done=0
	section "Register $tenants tenants"
	say "\$ k2k-tenantctl register ID $*        # for each ID of the trace"
	while read -r id; do
		"$CTL" -q register "$id" "$@"
		done=$((done + 1))
		((done % 16)) || progress "$done" "$tenants" "registering"
	done <"$dir/tenants"
	progress_end
}

# totals CHECK-OPTION...: sets summary, or ends the script
totals() {
	local status=0
	section "Do the totals add up?"
	"$CTL" -J list >"$dir/list"
	"$CTL" -J usage >"$dir/usage"
	say "$ k2k-tenantctl -J list; k2k-tenantctl -J usage        # against $totals_against"
	trace check "$@" "$dir/sums" "$dir/list" "$dir/usage" "$dir"/answers.* >"$dir/shown" || status=$?
	summary=$(tail -n 1 "$dir/shown")
	((status == 0)) || { cat "$dir/shown"; die 1 "the totals do not match"; }
	sed '$d' "$dir/shown"
	run 10 "$CTL" check
}

# The registry is destroyed without force: nobody may be attached any more.
leave() {
	section "Remove it all"
	run 3 "$CTL" destroy
	rm -rf "$dir"
	((${#brokers[@]} == 0)) || die 1 "brokers are left: ${brokers[*]}"
	[[ -z $(compgen -G "/dev/shm/k2k.$registry.*") ]] || die 1 "files are left in /dev/shm"
	say "Nothing is left: no process, no file in /dev/shm, no temporary file."
	printf '\n%s\n' "$summary"
}

# ---- options and the beginning ----------------------------------------------------------

# number OPTION VALUE FIRST LAST: prints the value without leading zeros
number() {
	if ! [[ $2 =~ ^[0-9]{1,18}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then
		die 2 "$1: '$2' is not a number from $3 to $4"
	fi
	echo $((10#$2))
}

# begin: installs what is missing, and gives the run its folder and the name of its registry
begin() {
	trap clean_up EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 141' PIPE
	trap 'exit 143' TERM
	if [[ -n ${K2K_BIN_DIR-} ]]; then
		need run || exit 10
	else
		need build run || exit 10
	fi
	dir=$(mktemp -d "${TMPDIR:-/tmp}/k2k-${0##*/}.XXXXXX")
	registry=${0##*/}-$$-${dir##*.}
	export K2K_REGISTRY=$registry
}
