#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   containers.sh SOURCE BUILD
#
# Tests what scripts/packaging/README.md says about containers, with namespaces: all share one tmpfs
# as /dev/shm, of the size that `init --plan` prints; the brokers have their own mounts, processes,
# IPC, network and host name, no capability, and only the group's rights. Exit code 77: skipped.
set -euo pipefail
BUILD=$2 HERE=${BASH_SOURCE[0]}
export LC_ALL=C
CTL=$BUILD/tools/k2k-tenantctl/k2k-tenantctl BROKER=$BUILD/tools/k2k-broker/k2k-broker
GROUP=4242
fail() { echo "# $*" >&2; exit 1; }

if [[ ${3-} != inside ]]; then
	((EUID == 0)) || { echo "# skipped: needs root, to mount" >&2; exit 77; }
	unshare --mount --propagation private true 2>/dev/null || { echo "# skipped: no mount namespace can be made here" >&2; exit 77; }
	dir=$(mktemp -d)
	status=0
	unshare --mount --propagation private bash "$HERE" "$1" "$BUILD" inside "$dir" || status=$?
	rmdir "$dir"
	exit $status
fi
DIR=$4
mount -t tmpfs tmpfs "$DIR"
mkdir "$DIR/shm"
pids=()
trap '((${#pids[@]} == 0)) || kill -KILL $(pgrep -P "${pids[0]}") "${pids[@]}" 2>/dev/null || true' EXIT

# container COMMAND...: starts it as a runtime would, with the shared tmpfs; broker COMMAND...: also
# without rights
NAMESPACES=(--mount --pid --ipc --net --uts --fork --kill-child --mount-proc)
IN=(unshare "${NAMESPACES[@]}" bash -euc 'mount --bind "$1" /dev/shm; shift; exec "$@"' bash "$DIR/shm")
AS=(setpriv --reuid 65532 --regid 65532 --groups $GROUP --bounding-set -all --no-new-privs)
container() { "${IN[@]}" "$@"; }
broker() { container "${AS[@]}" "$@"; }
expect() { # STATUS COMMAND...
	local status=0
	"${@:2}" >"$DIR/out" 2>&1 || status=$?
	[[ $status == "$1" ]] || fail "${*:2}: exit status $status, not $1: $(<"$DIR/out")"
}

# ---- size: the plan's size is enough, a page less is refused -----------------------------------
SIZES=(--max-tenants 1000 --max-engagements 4000)
bytes=$("$CTL" -J init --plan "${SIZES[@]}" | jq -r .total_bytes)
[[ $bytes =~ ^[0-9]+$ ]] || fail "the plan says '$bytes'"
mount -t tmpfs -o mode=1777,size=$((bytes - 4096)) k2k "$DIR/shm"
expect 10 container "$CTL" init "${SIZES[@]}" --group $GROUP
mount -o remount,size="$bytes" "$DIR/shm"
expect 0 container "$CTL" init "${SIZES[@]}" --group $GROUP
expect 0 container "$CTL" register 7 --kernels 1

# ---- visibility: only containers that share its /dev/shm see the registry ----------------------
expect 6 unshare "${NAMESPACES[@]}" bash -euc 'mount -t tmpfs tmpfs /dev/shm; exec "$@"' bash "$CTL" show 7
expect 0 broker "$CTL" show 7
expect 7 broker "$CTL" register 8
expect 7 container setpriv --reuid 65532 --regid 65532 --clear-groups "$CTL" show 7

# ---- brokers with equal pids; what a killed one held is free -----------------------------------
mkfifo "$DIR/fifo"
exec {keep}<>"$DIR/fifo"
"${IN[@]}" "${AS[@]}" "$BROKER" <"$DIR/fifo" >"$DIR/answers" 2>"$DIR/errors" &
pids=($!)
echo '{"kernel":"add","name":"a","tenant":7}' >&$keep
for ((i = 0; i < 400; i++)); do
	[[ ! -s $DIR/answers ]] || break
	sleep 0.05
done
[[ $(<"$DIR/answers") == *'"decision":"ADDED"'* ]] || fail "the first broker answers '$(<"$DIR/answers")': $(<"$DIR/errors")"
ask() { echo '{"kernel":"add","name":"b","tenant":7}' | broker "$BROKER" 2>&1; }
[[ $(ask) == *'"decision":"REFUSED"'* ]] || fail "two kernels were granted where one is allowed"
state=$(container "$CTL" -J brokers | jq -r '.brokers[0].state')
[[ $state == active || $state == unknown ]] || fail "a broker of another container is '$state'"
# kill the broker itself: --kill-child is lost when it changes its user
pids+=("$(pgrep -P "${pids[0]}")")
kill -KILL "${pids[1]}"
wait "${pids[0]}" 2>/dev/null || true
pids=()
for ((i = 0; i < 400; i++)); do
	[[ $(container "$CTL" -J brokers | jq -r '[.brokers[] | select(.state != "dead")] | length') != 0 ]] || break
	sleep 0.05
done
[[ $(ask) == *'"decision":"ADDED"'* ]] || fail "the kernel of a killed container is not free"

# ---- rootless: in its user namespace, the registry's owner (root outside) is nobody ------------
expect 7 broker unshare --user --map-root-user "$CTL" show 7
[[ $(<"$DIR/out") == *"belongs to user 65534"* ]] || fail "not refused for its owner: $(<"$DIR/out")"

expect 0 container "$CTL" check
expect 0 container "$CTL" -y destroy
[[ -z $(ls "$DIR/shm") ]] || fail "left in the common tmpfs: $(ls "$DIR/shm")"
echo "ok"
