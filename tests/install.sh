#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   install.sh SOURCE BUILD CC TEST
#
# Runs the function TEST below, with the project installed from BUILD into a temporary prefix, which
# is removed afterwards. Exit code 77: skipped.
set -euo pipefail
SOURCE=$1 BUILD=$2 CC=$3 TEST=$4
export LC_ALL=C
unset DESTDIR CFLAGS CXXFLAGS LDFLAGS LD_LIBRARY_PATH PKG_CONFIG_PATH
DIR=$(mktemp -d)
trap 'rm -rf "$DIR" /dev/shm/k2k.install-$$.*' EXIT
PREFIX=$DIR/prefix
VERSION=$("$SOURCE/scripts/check-version" --print)

fail() { echo "# $TEST: $*" >&2; exit 1; }
skip() { echo "# skipped: $*" >&2; exit 77; }
cxx() { command -v c++ || skip "no C++ compiler"; }

to_prefix() {
	cmake --install "$BUILD" --prefix "$PREFIX" >/dev/null
	LIBDIR=$(dirname "$(find "$PREFIX" -name libk2k-registry.a)")
	export PKG_CONFIG_PATH=$LIBDIR/pkgconfig
}
flags() { pkg-config "$@" k2k-registry; }
# run PROGRAM: it finds the shared library only through LD_LIBRARY_PATH
run() {
	local out
	out=$(LD_LIBRARY_PATH=$LIBDIR "$@" "install-$$") || fail "$1 ended with $?"
	[[ $out == "$VERSION ok" ]] || fail "$1 printed '$out'"
}
needs_library() { readelf -d "$1" | grep -q 'NEEDED.*\[libk2k-registry\.so\.'; }

install_puts_every_file_in_its_place() {
	DESTDIR=$DIR/root cmake --install "$BUILD" --prefix /opt/k2k >/dev/null
	(cd "$DIR/root/opt/k2k" && find . ! -type d | sed 's|lib/[a-z0-9_]*-linux-gnu[a-z0-9_]*/|lib/|; s|^\./||; s|/lib64/|/lib/|' | sort) >"$DIR/found"
	grep -vE '^(share/|bin/|lib/systemd/system/)|-[a-z]*\.cmake$' "$DIR/found" >"$DIR/library" || true
	diff - "$DIR/library" <<-END || fail "other files than these"
		include/k2k/audit.h
		include/k2k/kernels.h
		include/k2k/messages.h
		include/k2k/registry.h
		include/k2k/tenants.h
		lib/cmake/k2k-registry/k2k-registryConfig.cmake
		lib/cmake/k2k-registry/k2k-registryConfigVersion.cmake
		lib/cmake/k2k-registry/k2k-registryShared.cmake
		lib/cmake/k2k-registry/k2k-registryStatic.cmake
		lib/libk2k-registry.a
		lib/libk2k-registry.so
		lib/libk2k-registry.so.${VERSION%%.*}
		lib/libk2k-registry.so.$VERSION
		lib/pkgconfig/k2k-registry.pc
	END
	if [[ -e $DIR/root/opt/k2k/bin/k2k-exporter ]]; then    # the alerts of the exporter name the guide
		grep -q '^### K2kNoBroker$' "$DIR"/root/opt/k2k/share/doc/*/operating-guide.md || fail "no operating guide"
		compgen -G "$DIR/root/opt/k2k/share/doc/*/examples/daemonset.yaml" >/dev/null || fail "no manifest"
	fi
	grep -rlF -e "$BUILD" -e "$SOURCE/" "$DIR/root" --include='*.pc' --include='*.cmake' --include='*.h' &&
		fail "these name the build's directories"
	return 0
}

install_exports_exactly_the_functions_of_the_header() {
	to_prefix
	sed -n 's/^K2K_API [^(]*\<\(k2k_[a-z0-9_]*\)(.*/\1/p' "$PREFIX"/include/k2k/*.h | sort >"$DIR/declared"
	[[ $(wc -l <"$DIR/declared") -ge 40 ]] || fail "only $(wc -l <"$DIR/declared") functions were found in the header"
	nm -D --defined-only "$LIBDIR/libk2k-registry.so" | awk '{ print $3 }' | sort >"$DIR/exported"
	diff "$DIR/declared" "$DIR/exported" || fail "declared (<) and exported (>) differ"
}

install_names_the_library_by_its_major_version() {
	local soname=libk2k-registry.so.${VERSION%%.*}
	to_prefix
	readelf -d "$LIBDIR/libk2k-registry.so" | grep -qF "soname: [$soname]" || fail "the SONAME is not $soname"
	[[ $(readlink "$LIBDIR/$soname") == libk2k-registry.so.$VERSION ]] || fail "$soname is no link to .so.$VERSION"
	[[ $(pkg-config --modversion k2k-registry) == "$VERSION" ]] || fail "pkg-config tells another version"
}

install_serves_c_through_pkg_config() {
	to_prefix
	"$CC" -std=c11 -Wall -Wextra -Wpedantic -Werror "$SOURCE/tests/install_consumer.c" $(flags --cflags --libs) -o "$DIR/a"
	needs_library "$DIR/a" || fail "not linked with the shared library"
	run "$DIR/a"
}

install_serves_c_through_pkg_config_static() {
	to_prefix
	"$CC" -static "$SOURCE/tests/install_consumer.c" $(flags --static --cflags --libs) -o "$DIR/whole"
	run "$DIR/whole"
	# our library static, the others shared
	"$CC" "$SOURCE/tests/install_consumer.c" \
		$(flags --static --cflags --libs | sed 's/-lk2k-registry/-l:libk2k-registry.a/') -o "$DIR/ours"
	needs_library "$DIR/ours" && fail "linked with the shared library"
	run "$DIR/ours"
}

install_serves_cxx_through_pkg_config() {
	local compiler
	compiler=$(cxx) || exit
	to_prefix
	"$compiler" -std=c++11 -Wall -Wextra -Werror -x c++ "$SOURCE/tests/install_consumer.c" -x none \
		$(flags --cflags --libs) -o "$DIR/a"
	run "$DIR/a"
	"$compiler" -x c++ "$SOURCE/tests/install_consumer.c" -x none -static $(flags --static --cflags --libs) -o "$DIR/b"
	run "$DIR/b"
}

# find_package_in LANGUAGE SUFFIX
find_package_in() {
	mkdir "$DIR/src"
	cp "$SOURCE/tests/install_consumer.c" "$DIR/src/consumer.$2"
	cat >"$DIR/src/CMakeLists.txt" <<-END
		cmake_minimum_required(VERSION 3.22)
		project(consumer LANGUAGES $1)
		find_package(k2k-registry ${VERSION%.*} REQUIRED)
		add_executable(shared consumer.$2)
		target_link_libraries(shared PRIVATE k2k::registry)
		add_executable(static consumer.$2)
		target_link_libraries(static PRIVATE k2k::registry_static)
	END
	cmake -G Ninja -S "$DIR/src" -B "$DIR/b" -DCMAKE_PREFIX_PATH="$PREFIX" >"$DIR/log" 2>&1 &&
		cmake --build "$DIR/b" >>"$DIR/log" 2>&1 || fail "$(tail -n 20 "$DIR/log")"
	needs_library "$DIR/b/shared" || fail "k2k::registry is not the shared library"
	needs_library "$DIR/b/static" && fail "k2k::registry_static is the shared library"
	run "$DIR/b/shared"
	run "$DIR/b/static"
}

install_serves_c_through_find_package() {
	to_prefix
	find_package_in C c
	sed -i "s/ ${VERSION%.*} REQUIRED/ 999.0 REQUIRED/" "$DIR/src/CMakeLists.txt"
	cmake -G Ninja -S "$DIR/src" -B "$DIR/c" -DCMAKE_PREFIX_PATH="$PREFIX" >/dev/null 2>&1 && fail "version 999.0 was found"
	return 0
}

install_serves_cxx_through_find_package() {
	cxx >/dev/null || exit
	to_prefix
	find_package_in CXX cc
}

# The first library that uses liburcu decides where its thread-local pointer is placed.
install_can_be_opened_where_another_library_uses_liburcu() {
	to_prefix
	printf '%s\n' '#include <urcu/urcu-bp.h>' 'void other(void);' \
		'void other(void) { urcu_bp_read_lock(); urcu_bp_read_unlock(); }' >"$DIR/other.c"
	"$CC" -shared -fPIC "$DIR/other.c" $(pkg-config --cflags --libs liburcu-bp) -o "$DIR/libother.so"
	"$CC" -Wall -Werror "$SOURCE/tests/install_dlopen.c" $(flags --cflags) -ldl -o "$DIR/a"
	run "$DIR/a" "$LIBDIR/libk2k-registry.so" "$DIR/libother.so"
	run "$DIR/a" "$DIR/libother.so" "$LIBDIR/libk2k-registry.so"
	# the program itself uses liburcu, before it opens anything
	"$CC" -Wall -Werror -DOTHER_IS_LINKED "$SOURCE/tests/install_dlopen.c" $(flags --cflags) -ldl -L"$DIR" -lother \
		-Wl,-rpath,"$DIR" -o "$DIR/b"
	run "$DIR/b" "$LIBDIR/libk2k-registry.so"
}

# Runs the README's own build line, with CMake's default generator and without presets, in a copy of
# the sources.
install_builds_as_the_readme_says() {
	local line
	line=$(grep -m1 -E '^cmake -B build &&.*cmake --install build$' "$SOURCE/README.md") || fail "the README has no plain build"
	mkdir "$DIR/copy"
	(cd "$SOURCE" && tar -cf - CMakeLists.txt README.md LICENSE include lib tools scripts) | tar -xf - -C "$DIR/copy"
	# -O0 compiles faster, and installs the same files; the default build type would add its own -O2
	(cd "$DIR/copy" && export DESTDIR=$DIR/root CMAKE_BUILD_TYPE=None CFLAGS=-O0 CMAKE_BUILD_PARALLEL_LEVEL=2 && eval "$line") \
		>"$DIR/log" 2>&1 ||
		fail "$(tail -n 20 "$DIR/log")"
	LIBDIR=$(dirname "$(find "$DIR/root" -name libk2k-registry.a)")
	[[ $(LD_LIBRARY_PATH=$LIBDIR "$DIR/root/usr/local/bin/k2k-tenantctl" --version) == *"$VERSION"* ]] || fail "no k2k-tenantctl of version $VERSION"
	[[ -e $DIR/root/usr/local/include/k2k/registry.h && -e $DIR/root/usr/local/share/man/man1/k2k-tenantctl.1 ]] ||
		fail "the header or the manual page is missing"
}

"$TEST"
echo "ok $TEST"
