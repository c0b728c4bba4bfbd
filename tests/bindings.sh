#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   bindings.sh SOURCE BUILD CC TEST
#
# Runs the function TEST below: the bindings in lib/bindings against the shared library of BUILD. Exit code 77: skipped.
set -euo pipefail
SOURCE=$1 BUILD=$2 CC=$3 TEST=$4
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
unset DESTDIR CFLAGS LDFLAGS LD_LIBRARY_PATH PKG_CONFIG_PATH PYTHONPATH RUSTFLAGS K2K_REGISTRY_LIB_DIR
BINDINGS=$SOURCE/lib/bindings
DIR=$(mktemp -d)
export K2K_TEST_NAME=bindings-$$
trap 'rm -rf "$DIR" /dev/shm/k2k."$K2K_TEST_NAME"-*' EXIT

fail() { echo "# $TEST: $*" >&2; exit 1; }
skip() { echo "# skipped: $*" >&2; exit 77; }

# What the C compiler and the library say.
layout() {
	local made=$BUILD/bindings
	mkdir -p "$made"
	"$(tool python3)" "$BINDINGS/generate" --tests "$DIR"
	# in one place: another path would compile the test of the declarations again
	cmp -s "$DIR/fields.rs" "$made/fields.rs" || cp "$DIR/fields.rs" "$made/"
	export K2K_FIELDS=$made/fields.rs
	"$CC" -Wall -Wextra -Werror -Wno-type-limits -I"$SOURCE/include" "$DIR/layout.c" -L"$BUILD/lib" -lk2k-registry -o "$DIR/layout"
	export K2K_LAYOUT=$DIR/layout.txt K2K_EXPORTS=$DIR/exports.txt
	LD_LIBRARY_PATH=$BUILD/lib "$DIR/layout" >"$K2K_LAYOUT"
	nm -D --defined-only "$BUILD/lib/libk2k-registry.so" | awk '{ print $3 }' >"$K2K_EXPORTS"
}

# The system's own where there is one: that is the oldest they have to serve.
tool() {
	if [[ -x /usr/bin/$1 ]]; then
		echo "/usr/bin/$1"
	else
		command -v "$1"
	fi
}

unittests() {
	local python
	python=$(tool python3) || skip "no python3"
	(cd "$BINDINGS/python" && PYTHONPATH=. "$python" -m unittest discover -s tests -p "$1") 2>"$DIR/log" || fail "$(cat "$DIR/log")"
	[[ $(sed -n 's/^Ran \([0-9]*\) tests.*/\1/p' "$DIR/log") -ge $2 ]] || fail "fewer than $2 tests: $(cat "$DIR/log")"
	grep -q skipped "$DIR/log" && fail "$(cat "$DIR/log")"
	return 0
}

# rust ARGUMENT...: cargo, without a network, and with nothing written beside the sources
rust() {
	local cargo
	cargo=$(tool cargo) || skip "no cargo"
	export CARGO_TARGET_DIR=$BUILD/bindings-rust CARGO_HOME=$BUILD/bindings-rust/home CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
	RUSTC=$(tool rustc) RUSTDOC=$(tool rustdoc)
	export RUSTC RUSTDOC
	mkdir -p "$CARGO_HOME"
	(cd "$BINDINGS/rust" && "$cargo" "$@" --offline --locked) >"$DIR/log" 2>&1 || fail "$(cat "$DIR/log")"
	! grep -E '^warning' "$DIR/log" || fail "$(cat "$DIR/log")"
}
ok() { grep -cE "^test .*\.\.\. ok$" "$DIR/log"; }

bindings_follow_from_the_header() {
	"$(tool python3)" "$BINDINGS/generate" --check
}

bindings_python_has_the_layout_of_the_c_compiler() {
	layout
	K2K_REGISTRY_LIB_DIR=$BUILD/lib unittests test_abi.py 2
}

bindings_python_passes_the_reference_tests() {
	K2K_REGISTRY_LIB_DIR=$BUILD/lib unittests test_reference.py 12
}

bindings_python_keeps_what_it_adds() {
	K2K_REGISTRY_LIB_DIR=$BUILD/lib unittests 'test_[bde]*.py' 38
}

bindings_python_has_types() {
	K2K_REGISTRY_LIB_DIR=$BUILD/lib unittests test_types.py 3
	command -v mypy >/dev/null || skip "no mypy: the types are compared, and not checked"
	cd "$BINDINGS/python"
	mypy --cache-dir "$DIR/cache" --strict -p k2k_registry >"$DIR/log" || fail "$(<"$DIR/log")"
	cat >"$DIR/right.py" <<-'END'
		from k2k_registry import AuditTag, RatePeriod, Rejected, Renewal, Role, SimulatedClock, TenantQuota, TenantRegistry

		with TenantRegistry.create("x") as admin, TenantRegistry.open("x", Role.BROKER) as broker:
		    admin.register(42, TenantQuota(max_messages_per_sec=1000))
		    admin.update(42, max_messages_per_sec=None, budgets={7: None})
		    try:
		        left: int = broker.admit(42, AuditTag(1, 7)).remaining
		    except Rejected as rejected:
		        left = rejected.verdict.remaining
		    names: list[str] = [one.comm for one in admin.brokers()]
		    admin.update(42, max_messages_per_sec=30, rate_period=RatePeriod.MINUTE, burst=5, shadow=True, name="vision")
		    admin.set_renewing_budget(42, 7, 1000, Renewal.DAY)
		    with broker.reserve_usage(42, AuditTag(1, 7), 1000) as reservation:
		        over: int = reservation.commit(900)
		    broker.add_kernel(b"a", 42, AuditTag(1, 7), (1, 2))
		    words: list[int] = [kernel.address[0] for kernel in admin.kernels(42)]
		    destination = broker.route("a", "b").destination
		    slot: int = destination.broker if destination else 0
		    finals: list[bool] = [use.final for use in admin.budget_history(42, (1, 7))]
		with TenantRegistry.create("y", clock=SimulatedClock(wall_ns=1)) as simulated:
		    simulated.correct_usage(1, (0, 7), -5, "why")
	END
	sed '$a \    admin.register("42")' "$DIR/right.py" >"$DIR/wrong.py"
	MYPYPATH=. mypy --cache-dir "$DIR/cache" --strict "$DIR/right.py" >"$DIR/log" || fail "$(<"$DIR/log")"
	! MYPYPATH=. mypy --cache-dir "$DIR/cache" --strict "$DIR/wrong.py" >"$DIR/log" || fail "a tenant that is no number passes"
	grep -q 'Found 1 error' "$DIR/log" || fail "$(<"$DIR/log")"
}

# installed somewhere: pkg-config says where
bindings_python_finds_the_library_by_pkg_config() {
	local libdir
	cmake --install "$BUILD" --prefix "$DIR/prefix" >/dev/null
	libdir=$(dirname "$(find "$DIR/prefix" -name k2k-registry.pc)")/..
	cd "$BINDINGS/python"
	PKG_CONFIG_PATH=$libdir/pkgconfig "$(tool python3)" -c '
import k2k_registry, sys
with open("/proc/self/maps") as maps:
	sys.exit(sys.argv[1] not in maps.read())' "$DIR/prefix" || fail "another library was loaded"
}

# A wheel is an archive that can be imported from.
bindings_python_becomes_a_wheel() {
	local python
	python=$(tool python3)
	"$python" -c 'import setuptools, wheel' 2>/dev/null || skip "no setuptools, or no wheel, for $python"
	cp -r "$BINDINGS/python" "$DIR/source"
	cd "$DIR/source"
	"$python" -c 'import setuptools.build_meta; setuptools.build_meta.build_wheel("..")' >"$DIR/log" 2>&1 || fail "$(cat "$DIR/log")"
	cd /
	K2K_REGISTRY_LIB_DIR=$BUILD/lib PYTHONPATH=$(echo "$DIR"/k2k_registry-*-py3-none-any.whl) "$python" -c '
import importlib.metadata, k2k_registry
assert ".whl/" in k2k_registry.__file__, k2k_registry.__file__
assert importlib.metadata.version("k2k-registry") == k2k_registry.version()' || fail "the wheel does not work"
	"$python" -m zipfile -l "$DIR"/k2k_registry-*-py3-none-any.whl >"$DIR/log"
	local name
	for name in py.typed __init__.pyi _tuples.pyi; do
		grep -q "^k2k_registry/$name " "$DIR/log" || fail "the wheel has no $name: $(<"$DIR/log")"
	done
}

bindings_python_example_of_the_readme_works() {
	sed -n '/^```python/,/^```/p' "$BINDINGS/README.md" | sed "/^\`/d; s/\"example\"/\"$K2K_TEST_NAME-x\"/g" >"$DIR/example.py"
	grep -q 'TenantRegistry.create("bindings' "$DIR/example.py" || fail "no example was found"
	K2K_REGISTRY_LIB_DIR=$BUILD/lib PYTHONPATH=$BINDINGS/python "$(tool python3)" "$DIR/example.py" || fail "it ended with $?"
}

bindings_rust() {
	layout
	export LD_LIBRARY_PATH=$BUILD/lib K2K_REGISTRY_LIB_DIR=$BUILD/lib
	rust test --features k2k-registry-sys/layout
	[[ $(ok) -ge 40 ]] || fail "only $(ok) tests: $(cat "$DIR/log")"
	for name in $(sed -n 's/^TEST(\([a-z_]*\))/test_\1/p' "$SOURCE/tests/unit_reference.c"); do
		grep -q "^test $name \.\.\. ok$" "$DIR/log" || fail "$name was not run"
	done
}

bindings_rust_finds_the_library_by_pkg_config() {
	local libdir
	cmake --install "$BUILD" --prefix "$DIR/prefix" >/dev/null
	libdir=$(dirname "$(find "$DIR/prefix" -name libk2k-registry.so)")
	export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir
	rust test -p k2k-registry --test reference
	[[ $(ok) == 12 ]] || fail "$(cat "$DIR/log")"
	grep -qF "native=$libdir" "$BUILD"/bindings-rust/debug/build/k2k-registry-sys-*/output || fail "not linked from $libdir"
}

"$TEST"
echo "ok $TEST"
