#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   package_systemd.sh SOURCE BUILD TEST
#
# Runs the function TEST below on the packages in BUILD/packages, under Debian's own systemd: in a copy-on-write view of this
# machine, with namespaces for everything and a control group of its own, it is process 1 there and knows no units but the
# packages' and its own. Nothing stays. Exit code 77: skipped.
set -euo pipefail
SOURCE=$1 BUILD=$2 TEST=$3 INSIDE=${4-}
export LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
unset DESTDIR LD_LIBRARY_PATH K2K_REGISTRY
DEBS=("$BUILD"/packages/*.deb)

fail() {
	echo "# $TEST: $*" >&2
	[[ -z ${manager-} ]] || inside journalctl --no-pager -n 30 -o cat >&2 || true
	exit 1
}
skip() { echo "# skipped: $*" >&2; exit 77; }
until_true() { # SECONDS COMMAND...
	local end=$((SECONDS + $1)); shift
	until "$@"; do
		((SECONDS <= end)) || fail "not in time: $*"
		sleep 0.05
	done
}

# in_a_machine FUNCTION: it runs with $ROOT, the root of a machine that boot() starts
in_a_machine() {
	local dir status=0
	((EUID == 0)) || skip "needs root, to mount"
	[[ -x /lib/systemd/systemd ]] || skip "no systemd"
	unshare --mount --pid --net --ipc --uts --cgroup --fork true 2>/dev/null || skip "no namespaces can be made here"
	dir=$(mktemp -d)
	unshare --mount --propagation private bash "$SOURCE/tests/package_systemd.sh" "$SOURCE" "$BUILD" "$1" "$dir" || status=$?
	rmdir "$dir"
	return $status
}

make_root() {
	local node
	mount -t tmpfs tmpfs "$INSIDE"
	ROOT=$INSIDE/root
	mkdir "$INSIDE"/{up,work,root,groups}
	mount -t overlay overlay -o lowerdir=/,upperdir="$INSIDE/up",workdir="$INSIDE/work" "$ROOT" || skip "no overlay can be mounted here"
	mount -t cgroup2 cgroup2 "$INSIDE/groups" || skip "no control groups of version 2 here"
	GROUP=$INSIDE/groups/k2k-test-$$
	mkdir "$GROUP" || skip "no control group can be made here"
	mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
	mkdir "$ROOT/dev/shm" "$ROOT/dev/pts"
	for node in null zero full random urandom tty; do
		touch "$ROOT/dev/$node"
		mount --bind "/dev/$node" "$ROOT/dev/$node"
	done
	ln -s /proc/self/fd "$ROOT/dev/fd"
	ln -s pts/ptmx "$ROOT/dev/ptmx"
	# the packages, where /tmp or /run would hide them
	mkdir "$ROOT/packages"
	cp "${DEBS[@]}" "$ROOT/packages"
	rm -f "$ROOT/var/lib/man-db/auto-update"     # else each installation takes seconds for its index
	# of this machine's units none
	rm -rf "$ROOT"/etc/systemd/system/*
	for node in sysinit basic; do
		printf '[Unit]\nDefaultDependencies=no\n' >"$ROOT/etc/systemd/system/$node.target"
	done
	printf '[Unit]\nWants=multi-user.target sockets.target timers.target\n' >"$ROOT/etc/systemd/system/machine.target"
	for node in dbus.service dbus.socket systemd-logind.service getty.target systemd-ask-password-wall.path systemd-tmpfiles-clean.timer; do
		ln -s /dev/null "$ROOT/etc/systemd/system/$node"
	done
	trap clean_up EXIT
}
clean_up() {
	[[ -z ${keeper-} ]] || { kill -KILL "$keeper"; wait "$keeper"; } 2>/dev/null || true
	local end=$((SECONDS + 20))
	until find "$GROUP" -depth -type d -exec rmdir {} + 2>/dev/null || ((SECONDS > end)); do sleep 0.05; done
}

# boot: with /dev/shm, /run and /tmp as new as after a reset; $manager is its process 1
boot() {
	local place
	for place in dev/shm run tmp; do
		! mountpoint -q "$ROOT/$place" || umount "$ROOT/$place"
		mount -t tmpfs -o mode=1777 tmpfs "$ROOT/$place"
	done
	chmod 755 "$ROOT/run"
	bash -euc 'echo $$ >"$1/cgroup.procs"
		exec unshare --mount --pid --fork --kill-child --ipc --uts --net --cgroup bash -euc '\''
			mount -t proc proc "$1/proc"
			mount -o bind,ro "$1/proc/sys" "$1/proc/sys"
			mount -t sysfs -o ro sysfs "$1/sys"
			mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
			mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$1/dev/pts"
			ip link set lo up
			cd "$1"
			mkdir -p before
			pivot_root . before
			umount -l before
			mount --make-rshared /     # as process 1 of a machine does; that of a container leaves it to who starts it
			exec env -i container=k2k PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=machine.target \
				--log-target=journal --show-status=no'\'' bash "$2"' bash "$GROUP" "$ROOT" >"$INSIDE/console" 2>&1 &
	keeper=$!
	until_true 60 process_1
	until_true 60 inside systemctl is-system-running --wait >"$INSIDE/running" 2>&1
}
process_1() {
	kill -0 "$keeper" 2>/dev/null || skip "systemd does not start here: $(<"$INSIDE/console")"
	manager=$(pgrep -P "$keeper") && [[ $(<"/proc/$manager/comm") == systemd ]]
}
inside() { nsenter --target "$manager" --all --root --wd "$@"; }
expect() { # STATUS COMMAND...
	local status=0
	inside "${@:2}" >"$INSIDE/out" 2>&1 || status=$?
	[[ $status == "$1" ]] || fail "${*:2}: exit status $status, not $1: $(<"$INSIDE/out")"
}
halt() { # as a machine that is shut down
	inside kill -RTMIN+4 1
	until_true 60 eval '! kill -0 "$keeper" 2>/dev/null'
	wait "$keeper" 2>/dev/null || true
	keeper='' manager=''
}
of_unit() { inside systemctl show -P "$2" "$1"; }
is() { [[ $1 == "$2" ]] || fail "'$1' is not '$2'"; }

# ---- the tests -----------------------------------------------------------------------------------------------------

SERVICES=(k2k-registry@default.service k2k-registry-save@default.service k2k-registry-apply@default.service
	k2k-registry-snapshot@default.timer k2k-auditd@default.service k2k-exporter@default.service k2k-broker@default.socket k2k-fleetd@default.service)
all_active() {
	local unit
	for unit in "${SERVICES[@]}"; do
		is "$unit $(of_unit "$unit" ActiveState) $(of_unit "$unit" Result)" "$unit active success"
	done
}
# without_rights UNIT USER: its process runs as the user, and can do nothing else
without_rights() {
	local pid
	pid=$(of_unit "$1" MainPID)
	((pid > 0)) || fail "$1 has no process"
	is "$1 $(inside stat -c %U "/proc/$pid")" "$1 $2"
	is "$1 $(inside sed -n 's/^CapEff:\t//p' "/proc/$pid/status")" "$1 0000000000000000"
	is "$1 $(inside sed -n 's/^CapBnd:\t//p' "/proc/$pid/status")" "$1 0000000000000000"
	is "$1 $(inside sed -n 's/^Seccomp:\t//p' "/proc/$pid/status")" "$1 2"
}
ask_broker() {
	inside python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect("/run/k2k/default.sock")
s.sendall("\n".join(sys.argv[1:]).encode() + b"\n")
lines = s.makefile()
print(*[lines.readline() for _ in sys.argv[1:]], sep="", end="")' "$@"
}

package_services_run_under_a_real_systemd() { in_a_machine services; }
services() {
	local pid answer
	make_root
	boot
	expect 0 bash -c 'dpkg -i /packages/*.deb'
	# nothing is enabled by itself, nothing runs
	is "$(inside systemctl list-unit-files --no-legend --state=enabled 'k2k-*')" ""
	is "$(inside pgrep -f k2k- || true)" ""
	expect 0 install -d -m 0700 /etc/k2k /etc/k2k/keys
	expect 0 bash -c 'umask 077; head -c 32 /dev/urandom >/etc/k2k/keys/default.key'
	expect 0 bash -c 'printf "version: 1\ntenants:\n  - {id: 42, rate: 1000/s, kernels: 2}\n  - {id: 43, preset: unlimited}\n" >/etc/k2k/tenants.yaml'
	expect 0 bash -c 'echo "K2K_FLEET=host=/nowhere dbname=fleet" >/etc/k2k/fleet.conf'     # an agent waits for its database
	# the tenants are loaded and applied although changes need a log that is kept
	expect 0 install -d /etc/systemd/system/k2k-registry@.service.d
	expect 0 bash -c 'printf "[Service]\nEnvironment=K2K_INIT_OPTIONS=--require-audit\n" >/etc/systemd/system/k2k-registry@.service.d/audit.conf'
	expect 0 systemctl daemon-reload
	expect 0 systemctl enable --now "${SERVICES[@]}"
	all_active
	is "$(inside k2k-tenantctl info -J | jq .require_audit)" true
	without_rights k2k-auditd@default.service k2k-audit
	without_rights k2k-exporter@default.service k2k-exporter
	without_rights k2k-fleetd@default.service root

	# what the file says, what the broker decides, what the exporter and the audit trail tell of it
	is "$(inside k2k-tenantctl list -J | jq -c '[.tenants[] | [.id, .quota.rate_per_sec]]')" '[["42","1000"],["43",null]]'
	is "$(inside stat -c %a:%U:%G /run/k2k/default.sock)" 660:root:k2k
	answer=$(ask_broker '{"kernel":"add","name":"a","tenant":42}' '{"id":"one","send":"a","to":"a"}' '{"send":"a","to":"b"}')
	[[ $answer == *'"decision":"ADDED"'*'"id":"one"'*'"decision":"DELIVERED"'* ]] || fail "the broker answers: $answer"
	is "$(of_unit k2k-broker@default.service ActiveState)" active
	without_rights k2k-broker@default.service k2k-broker
	[[ $(inside curl -sS http://127.0.0.1:9742/metrics) == *'k2k_brokers{registry="default",state="active"} 1'* ]] ||
		fail "the exporter does not tell of the broker"
	until_true 60 eval '[[ $(inside curl -sS http://127.0.0.1:9742/metrics) == *"k2k_fleet_connected{registry=\"default\"} 0"* ]]'
	until_true 60 eval 'inside grep -q "\"kind\":\"register\"" /var/log/k2k/default.log'
	until_true 60 inside test -s /var/log/k2k/default.log.head       # written after the line that it is of
	is "$(inside stat -c %a:%U:%G /var/log/k2k/default.log)" 640:k2k-audit:k2k
	expect 0 k2k-tenantctl audit verify /var/log/k2k/default.log --key /etc/k2k/keys/default.key

	# a change of the file; a snapshot while it is used; a killed service comes back
	expect 0 sed -i 's/1000/2000/' /etc/k2k/tenants.yaml
	expect 0 systemctl reload k2k-registry-apply@default
	is "$(inside k2k-tenantctl show 42 -J | jq -r '.tenants[0].quota.rate_per_sec')" 2000
	expect 0 systemctl start k2k-registry-snapshot@default.service
	is "$(inside stat -c %a:%U /var/lib/k2k/default.json)" 600:root
	pid=$(of_unit k2k-exporter@default.service MainPID)
	expect 0 kill -KILL "$pid"
	until_true 60 eval '[[ $(of_unit k2k-exporter@default.service ActiveState) == active && $(of_unit k2k-exporter@default.service MainPID) != "$pid" ]]'

	# an upgrade: what runs runs anew, the registry goes on
	local before after unit uuid
	uuid=$(inside k2k-tenantctl info -J | jq -r .uuid)
	for unit in auditd exporter broker fleetd; do before+=" $(of_unit "k2k-$unit@default.service" MainPID)"; done
	expect 0 bash -c 'dpkg -i /packages/*.deb'
	all_active
	for unit in auditd exporter broker fleetd; do
		after=$(of_unit "k2k-$unit@default.service" MainPID)
		[[ $after -gt 0 && " $before " != *" $after "* ]] || fail "k2k-$unit was not restarted: $after is one of$before"
	done
	is "$(inside k2k-tenantctl info -J | jq -r .uuid)" "$uuid"

	# over a reboot: saved at the end, loaded at the beginning, all that was enabled runs
	ask_broker '{"kernel":"add","name":"a","tenant":43}' '{"send":"a","to":"a","gpu_ns":"7"}' >/dev/null
	halt
	boot
	all_active
	[[ $(inside k2k-tenantctl info -J | jq -r .uuid) != "$uuid" ]] || fail "the registry of before the reboot is still there"
	is "$(inside k2k-tenantctl show 43 -J | jq -c '.tenants[0].usage | [.admitted_total, .gpu_ns_total]')" '["1","7"]'
	is "$(inside k2k-tenantctl show 42 -J | jq -r '.tenants[0].usage.admitted_total')" 2
	expect 0 k2k-tenantctl check
	expect 0 k2k-tenantctl audit verify /var/log/k2k/default.log --key /etc/k2k/keys/default.key

	# removed, nothing runs; purged, nothing is enabled or masked
	expect 0 rm -r /etc/systemd/system/k2k-registry@.service.d
	expect 0 dpkg -r k2k-fleet k2k-tools libk2k-registry-dev python3-k2k-registry
	is "$(inside pgrep -f 'k2k-(auditd|exporter|broker|fleetd)' || true)" ""
	is "$(inside bash -c 'ls /dev/shm | wc -l')" 2
	expect 0 dpkg -P k2k-fleet k2k-tools python3-k2k-registry libk2k-registry-dev libk2k-registry0
	is "$(inside find /etc/systemd/system /run/systemd/system /var/lib/systemd -name 'k2k-*')" ""
	is "$(inside systemctl list-units --no-legend --all 'k2k-*' | grep -v not-found || true)" ""
	halt
}

if [[ -n $INSIDE ]]; then
	"$TEST"
else
	[[ -e ${DEBS[0]} ]] || fail "there are no packages in $BUILD/packages: cmake --build $BUILD --target package"
	"$TEST"
	echo "ok $TEST"
fi
