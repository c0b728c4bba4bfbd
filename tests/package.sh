#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   package.sh SOURCE BUILD TEST
#
# Runs the function TEST below on the packages in BUILD/packages. They are installed in a copy-on-write view of this
# machine, in a mount namespace with a /dev/shm of its own: nothing of it is seen outside, and nothing stays.
# Exit code 77: skipped.
set -euo pipefail
SOURCE=$1 BUILD=$2 TEST=$3 INSIDE=${4-}
export LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
unset DESTDIR CFLAGS CXXFLAGS LDFLAGS LD_LIBRARY_PATH PKG_CONFIG_PATH K2K_REGISTRY
DEBS=("$BUILD"/packages/*.deb)
NAMES=(k2k-fleet k2k-tools python3-k2k-registry libk2k-registry-dev libk2k-registry0)

fail() { echo "# $TEST: $*" >&2; exit 1; }
skip() { echo "# skipped: $*" >&2; exit 77; }
expect() { # STATUS COMMAND...
	local status=0
	"${@:2}" >/tmp/out 2>&1 || status=$?
	[[ $status == "$1" ]] || fail "${*:2}: exit status $status, not $1: $(</tmp/out)"
}

# in_a_root FUNCTION: it runs in the copy, as root
in_a_root() {
	local dir status=0
	((EUID == 0)) || skip "needs root, to mount"
	unshare --mount --propagation private true 2>/dev/null || skip "no mount namespace can be made here"
	dir=$(mktemp -d)
	unshare --mount --propagation private bash -euc '
		dir=$1 source=$2 build=$3; shift 3
		mount -t tmpfs tmpfs "$dir"
		mkdir "$dir/up" "$dir/work" "$dir/root"
		mount -t overlay overlay -o lowerdir=/,upperdir="$dir/up",workdir="$dir/work" "$dir/root" || exit 77
		mount -t proc proc "$dir/root/proc"
		mount --rbind /dev "$dir/root/dev"
		mount -t tmpfs -o mode=1777,size=64m shm "$dir/root/dev/shm"
		mount -t tmpfs -o mode=1777 tmpfs "$dir/root/tmp"
		mount -t tmpfs tmpfs "$dir/root/run"
		mkdir -p "$dir/root$source" "$dir/root$build"
		mount --bind "$source" "$dir/root$source"
		mount --bind "$build" "$dir/root$build"
		rm -f "$dir/root/var/lib/man-db/auto-update"     # else each installation takes seconds for its index
		exec chroot "$dir/root" bash "$source/tests/package.sh" "$source" "$build" "$@"
	' bash "$dir" "$SOURCE" "$BUILD" "$TEST" "$1" || status=$?
	rmdir "$dir"
	((status != 77)) || skip "no overlay of the root file system can be mounted here"
	return $status
}
install_all() { dpkg -i "${DEBS[@]}" >/tmp/log 2>&1 || fail "$(</tmp/log)"; }

# ---- the tests -----------------------------------------------------------------------------------------------------

package_lintian_finds_no_errors() {
	command -v lintian >/dev/null || skip "no lintian"
	((${#DEBS[@]} == ${#NAMES[@]})) || fail "not ${#NAMES[@]} packages: ${DEBS[*]}"
	lintian --allow-root --fail-on error --no-tag-display-limit "${DEBS[@]}" || fail "lintian ended with $?"
}

package_is_installed_used_and_removed() { in_a_root use; }
use() {
	local name files
	install_all
	for name in "${NAMES[@]}"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$name") == installed ]] || fail "$name is not installed"
	done
	[[ -z $(dpkg --verify "${NAMES[@]}") ]] || fail "dpkg --verify: $(dpkg --verify "${NAMES[@]}")"
	files=$(dpkg -L "${NAMES[@]}" | sort -u | while read -r path; do [[ -d $path ]] || echo "$path"; done)
	getent group k2k >/dev/null || fail "there is no group k2k"
	[[ $(stat -c %a:%U:%G /var/lib/k2k) == 750:root:k2k ]] || fail "/var/lib/k2k is $(stat -c %a:%U:%G /var/lib/k2k)"
	[[ $(ldd /usr/bin/k2k-tenantctl) == *"=> /lib/"*libk2k-registry.so.0* || $(ldd /usr/bin/k2k-tenantctl) == *"=> /usr/lib/"* ]] ||
		fail "k2k-tenantctl takes its library from elsewhere: $(ldd /usr/bin/k2k-tenantctl)"

	# what the unit does, and what a broker of the group may, and others may not
	local as_broker=(setpriv --reuid 65534 --regid 65534 --groups "$(getent group k2k | cut -d: -f3)")
	local as_other=(setpriv --reuid 65534 --regid 65534 --clear-groups)
	expect 0 k2k-tenantctl init --if-missing --group k2k --mode 0660
	expect 0 k2k-tenantctl register 7 --kernels 1
	[[ $(echo '{"kernel":"add","name":"a","tenant":7}' | "${as_broker[@]}" k2k-broker 2>&1) == *'"decision":"ADDED"'* ]] ||
		fail "a broker of the group is refused"
	expect 7 "${as_other[@]}" k2k-tenantctl list
	expect 7 "${as_broker[@]}" k2k-tenantctl register 8
	expect 0 "${as_broker[@]}" k2k-tenantctl show 7
	[[ $(cd / && "${as_broker[@]}" /usr/bin/python3 -c 'import importlib.metadata, k2k_registry
with k2k_registry.TenantRegistry.open("default") as one:
    print(one.tenant_ids(), importlib.metadata.version("k2k-registry") == k2k_registry.version())') == "[7] True" ]] ||
		fail "Python does not find the registry"

	# installed again over itself, then removed: the registry stays, and serves who comes next
	install_all
	expect 0 k2k-tenantctl show 7
	dpkg -r "${NAMES[@]}" >/tmp/log 2>&1 || fail "$(</tmp/log)"
	for name in $files; do
		[[ ! -e $name ]] || fail "$name is left after the packages were removed"
	done
	compgen -G '/dev/shm/k2k.default.*' >/dev/null || fail "removing the packages removed the registry"
	install_all
	expect 0 k2k-tenantctl check
	expect 0 k2k-tenantctl show 7
	expect 0 k2k-tenantctl -y destroy
	dpkg -P "${NAMES[@]}" >/tmp/log 2>&1 || fail "$(</tmp/log)"
	[[ ! -e /var/lib/k2k ]] || fail "/var/lib/k2k is left after a purge"
	[[ -z $(ls /dev/shm) ]] || fail "left in /dev/shm: $(ls /dev/shm)"
	! ldconfig -p | grep k2k || fail "the linker still knows the library"
}

package_serves_consumers() { in_a_root consume; }
consume() {
	local version out program
	version=$("$SOURCE/scripts/check-version" --print)
	install_all
	mkdir /tmp/src
	cp "$SOURCE/tests/install_consumer.c" /tmp/src/consumer.c
	cp "$SOURCE/tests/install_consumer.c" /tmp/src/consumer.cc
	cat >/tmp/src/CMakeLists.txt <<-END
		cmake_minimum_required(VERSION 3.22)
		project(consumer LANGUAGES C CXX)
		find_package(k2k-registry ${version%.*} REQUIRED)
		foreach(suffix IN ITEMS c cc)
		  add_executable(shared_\${suffix} consumer.\${suffix})
		  target_link_libraries(shared_\${suffix} PRIVATE k2k::registry)
		  add_executable(static_\${suffix} consumer.\${suffix})
		  target_link_libraries(static_\${suffix} PRIVATE k2k::registry_static)
		endforeach()
	END
	{ cmake -G Ninja -S /tmp/src -B /tmp/b && cmake --build /tmp/b; } >/tmp/log 2>&1 || fail "$(tail -n 20 /tmp/log)"
	cd /tmp/src
	gcc consumer.c $(pkg-config --cflags --libs k2k-registry) -o /tmp/b/shared_pc
	gcc -static consumer.c $(pkg-config --static --cflags --libs k2k-registry) -o /tmp/b/static_pc
	g++ consumer.cc $(pkg-config --cflags --libs k2k-registry) -o /tmp/b/shared_pcc
	g++ -static consumer.cc $(pkg-config --static --cflags --libs k2k-registry) -o /tmp/b/static_pcc
	for program in /tmp/b/{shared,static}_{c,cc,pc,pcc}; do
		out=$("$program" consumer) || fail "$program ended with $?"
		[[ $out == "$version ok" ]] || fail "$program printed '$out'"
		case ${program##*/}:$(readelf -d "$program") in
		shared_*NEEDED*libk2k-registry.so.0* | static_*) ;;
		*) fail "$program is not linked with the shared library" ;;
		esac
	done
	! readelf -d /tmp/b/static_* | grep libk2k-registry || fail "a static program needs the shared library"
	# what dpkg-shlibdeps says to who packages such a program
	mkdir -p /tmp/deb/debian
	printf 'Source: x\nMaintainer: x <x@x.invalid>\n\nPackage: x\nArchitecture: any\nDescription: x\n' >/tmp/deb/debian/control
	out=$(cd /tmp/deb && dpkg-shlibdeps -O /tmp/b/shared_c 2>/dev/null)
	[[ $out == *"libk2k-registry0 (>= 0.1.0)"* ]] || fail "dpkg-shlibdeps says '$out'"
}

package_has_a_manual_page_for_each_program_and_function_and_completion() {
	local dir=$BUILD/packages-pages deb name
	rm -rf "$dir"
	mkdir "$dir"
	for deb in "${DEBS[@]}"; do
		name=${deb##*/}
		dpkg-deb -x "$deb" "$dir/${name%%_*}"
	done
	(($(ls "$dir"/k2k-tools/usr/bin | wc -l) >= 5)) || fail "there are programs missing"
	(($(ls "$dir"/k2k-fleet/usr/bin | wc -l) == 2)) || fail "k2k-fleet has not two programs: $(ls "$dir"/k2k-fleet/usr/bin)"
	for name in "$dir"/k2k-{tools,fleet}/usr/bin/*; do
		compgen -G "${name%/bin/*}/share/man/man[18]/${name##*/}.[18].gz" >/dev/null || fail "${name##*/} has no page"
	done
	for name in $(nm -D --defined-only "$dir"/libk2k-registry0/usr/lib/*/libk2k-registry.so.0 | awk '{ print $3 }'); do
		gzip -dc "$dir/libk2k-registry-dev/usr/share/man/man3/$name.3.gz" | grep -q "$name(" || fail "$name has no page"
	done
	for name in bash-completion/completions/k2k-tenantctl zsh/vendor-completions/_k2k-tenantctl \
		fish/vendor_completions.d/k2k-tenantctl.fish; do
		grep -q 'completion words' "$dir/k2k-tools/usr/share/$name" || fail "$name is missing"
	done
	grep -q '^### K2kNoBroker$' "$dir/k2k-tools/usr/share/doc/k2k-tools/operating-guide.md" || fail "no operating guide"
	[[ -e $dir/k2k-tools/usr/share/doc/k2k-tools/examples/daemonset.yaml ]] || fail "no manifest"
	for name in bash-completion/completions/k2k-fleetctl zsh/vendor-completions/_k2k-fleetctl fish/vendor_completions.d/k2k-fleetctl.fish; do
		grep -q 'completion words' "$dir/k2k-fleet/usr/share/$name" || fail "$name is missing"
	done
	grep -q registry "$dir/k2k-fleet/usr/share/bash-completion/completions/k2k-fleetd" || fail "no completion of k2k-fleetd"
	grep -q '^## Setting it up$' "$dir/k2k-fleet/usr/share/doc/k2k-fleet/README.md" || fail "k2k-fleet has no README"
	[[ -z $(find "$dir/k2k-tools" -name '*k2k-fleet*') ]] || fail "in k2k-tools: $(find "$dir/k2k-tools" -name '*k2k-fleet*')"
	for name in k2k-broker k2k-auditd k2k-exporter; do
		for name in "bash-completion/completions/$name" "zsh/vendor-completions/_$name" "fish/vendor_completions.d/$name.fish"; do
			grep -q registry "$dir/k2k-tools/usr/share/$name" || fail "$name is missing"
		done
	done
	rm -rf "$dir"
}

package_of_the_fleet_is_the_only_one_that_needs_libpq() { in_a_root fleet; }
fleet() {
	local deb files path
	for deb in "${DEBS[@]}"; do
		case ${deb##*/}:$(dpkg-deb -f "$deb" Depends) in
		k2k-fleet_*:*libpq5*) ;;
		k2k-fleet_* | *libpq*) fail "${deb##*/} depends on $(dpkg-deb -f "$deb" Depends)" ;;
		esac
	done
	# the library is enough to administer the fleet from a machine without a registry
	dpkg -i "$BUILD"/packages/libk2k-registry0_*.deb "$BUILD"/packages/k2k-fleet_*.deb >/tmp/log 2>&1 || fail "$(</tmp/log)"
	files=$(dpkg -L k2k-fleet | while read -r path; do [[ -d $path ]] || echo "$path"; done)
	expect 0 k2k-fleetctl version
	expect 10 env PGHOST=/nowhere k2k-fleetctl hosts
	expect 6 env PGHOST=/nowhere k2k-fleetd --once
	! compgen -G '/etc/systemd/system/*.wants/k2k-*' >/dev/null || fail "enabled by the installation"
	expect 0 systemctl enable k2k-fleetd@prod.service
	dpkg -r k2k-fleet >/tmp/log 2>&1 || fail "$(</tmp/log)"
	for path in $files; do
		[[ ! -e $path ]] || fail "$path is left after the package was removed"
	done
	dpkg -i "$BUILD"/packages/k2k-fleet_*.deb >/tmp/log 2>&1 || fail "$(</tmp/log)"
	expect 0 systemctl is-enabled k2k-fleetd@prod.service
	[[ -z $(find /etc/systemd/system -lname /dev/null -name 'k2k-*') ]] || fail "masked: $(find /etc/systemd/system -lname /dev/null)"
	dpkg -P k2k-fleet >/tmp/log 2>&1 || fail "$(</tmp/log)"
	[[ -z $(find /etc/systemd /var/lib/systemd -name 'k2k-*') ]] || fail "left: $(find /etc/systemd /var/lib/systemd -name 'k2k-*')"
}

package_tells_the_symbols_that_are_exported() {
	local dir=$BUILD/packages-symbols
	rm -rf "$dir"
	dpkg-deb -R "$BUILD"/packages/libk2k-registry0_*.deb "$dir"
	diff <(sed -n 's/^ \([^@]*\)@.*/\1/p' "$dir/DEBIAN/symbols" | sort) \
		<(nm -D --defined-only "$dir"/usr/lib/*/libk2k-registry.so.0 | awk '{ print $3 }' | sort) ||
		fail "the symbols file of the package (<) and its library (>) differ; see scripts/abi"
	rm -rf "$dir"
}

package_units_are_well_formed() { in_a_root units; }
units() {
	local out unit instance
	command -v systemd-analyze >/dev/null || skip "no systemd-analyze"
	install_all
	for unit in /lib/systemd/system/k2k-*; do
		unit=${unit##*/}
		instance=${unit/@./@default.}
		[[ $unit == *@.* ]] || fail "$unit is of one registry only"
		out=$(systemd-analyze verify --man=no "$instance" 2>&1 | grep -F k2k || true)
		[[ -z $out ]] || fail "$unit: $out"
		grep -q '^Documentation=man:' "/lib/systemd/system/$unit" || fail "$unit names no manual page"
		[[ $unit == *.service ]] || continue
		# 2.5 of 10
		systemd-analyze security --offline=true --threshold=25 --no-pager "/lib/systemd/system/$unit" >/tmp/out 2>&1 ||
			fail "$unit: $(tail -n 1 /tmp/out)"
		# which one stands first decides what becomes of the calls that are in none
		[[ $(grep -m 1 '^SystemCallFilter=' "/lib/systemd/system/$unit") == SystemCallFilter=@* ]] || fail "$unit allows what it does not list"
		grep -qE '^Timeout(Stop|Start)Sec=' "/lib/systemd/system/$unit" || fail "$unit may take for ever"
	done
	out=$(systemd-tmpfiles --create k2k.conf 2>&1) && [[ -z $out ]] || fail "tmpfiles: $out"
	out=$(systemd-sysusers --dry-run k2k.conf 2>&1) && [[ $out != *rror* ]] || fail "sysusers: $out"
	for unit in k2k-audit k2k-exporter k2k-broker; do
		[[ " $(id -nG "$unit") " == *" k2k "* ]] || fail "$unit is not in the group k2k"
		[[ $(getent passwd "$unit") == *nologin ]] || fail "$unit may log in"
	done
	# the very commands of the unit
	while read -r command; do
		command=${command//\$K2K_INIT_OPTIONS/--max-tenants 100}
		expect 0 env K2K_REGISTRY=default $command
	done < <(sed -n 's/^Exec\(Start\|Reload\)=//p' /lib/systemd/system/k2k-registry@.service)
	expect 0 k2k-tenantctl info
}

package_makes_its_accounts_without_systemd_too() { in_a_root without_systemd; }
without_systemd() {
	rm -f /usr/bin/systemd-sysusers /bin/systemd-sysusers /usr/bin/systemd-tmpfiles /bin/systemd-tmpfiles
	install_all
	local name
	for name in k2k-audit k2k-exporter k2k-broker; do
		[[ " $(id -nG "$name") " == *" k2k "* ]] || fail "$name is not in the group k2k"
	done
	[[ $(stat -c %a:%U:%G /var/lib/k2k) == 750:root:k2k ]] || fail "/var/lib/k2k is $(stat -c %a:%U:%G /var/lib/k2k)"
}

package_purged_leaves_nothing_enabled() { in_a_root purge; }
purge() {
	install_all
	! compgen -G '/etc/systemd/system/*.wants/k2k-*' >/dev/null || fail "enabled by the installation: $(ls /etc/systemd/system/*.wants/k2k-*)"
	expect 0 systemctl enable k2k-exporter@prod.service k2k-broker@x.socket k2k-registry-snapshot@default.timer k2k-auditd@.service
	(($(ls /etc/systemd/system/*.wants/k2k-* | wc -l) == 4)) || fail "not enabled: $(ls /etc/systemd/system/*.wants/)"
	dpkg -r k2k-fleet k2k-tools >/tmp/log 2>&1 || fail "$(</tmp/log)"
	# installed again, what was enabled is
	install_all
	expect 0 systemctl is-enabled k2k-exporter@prod.service
	[[ -z $(find /etc/systemd/system -lname /dev/null -name 'k2k-*') ]] || fail "masked: $(find /etc/systemd/system -lname /dev/null)"
	dpkg -P k2k-fleet k2k-tools >/tmp/log 2>&1 || fail "$(</tmp/log)"
	[[ -z $(find /etc/systemd /var/lib/systemd -name 'k2k-*') ]] || fail "left: $(find /etc/systemd /var/lib/systemd -name 'k2k-*')"
}

if [[ -n $INSIDE ]]; then
	"$INSIDE"
else
	[[ -e ${DEBS[0]} ]] || fail "there are no packages in $BUILD/packages: cmake --build $BUILD --target package"
	"$TEST"
	echo "ok $TEST"
fi
