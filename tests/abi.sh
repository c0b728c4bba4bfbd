#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   abi.sh SOURCE CC
#
# scripts/abi with a library of three calls: what changes the interface is noticed, what doesn't is let pass.
set -euo pipefail
SOURCE=$1 CC=$2
export LC_ALL=C
[[ $(uname -m) == x86_64 ]] || exit 77
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
fail() { echo "# $*" >&2; exit 1; }

mkdir -p "$DIR/scripts/packaging/debian" "$DIR/include/k2k" "$DIR/lib"
cp "$SOURCE/scripts/abi" "$DIR/scripts/abi"
echo 'project(x VERSION 1.2.3 LANGUAGES C' >"$DIR/CMakeLists.txt"
echo ' old@Base 1.0.0' >"$DIR/scripts/packaging/debian/symbols.in"
cat >"$DIR/include/k2k/registry.h" <<'END'
struct handle;
struct result { int a; long b; };
int old(struct handle *h, struct result *r);
int new(struct handle *h);
END
cat >"$DIR/lib/lib.h" <<'END'
struct handle { int x; };
END
cat >"$DIR/lib/lib.c" <<'END'
#include "k2k/registry.h"
#include "lib.h"
int old(struct handle *h, struct result *r) { r->a = 0; return h->x; }
int new(struct handle *h) { return h->x; }
END
library() { "$CC" -g -shared -fPIC -I"$DIR/include" -I"$DIR/lib" "$DIR/lib/lib.c" -o "$DIR/$1.so"; }
# change FILE SED: builds changed.so with it, and takes it back
change() {
	cp "$DIR/$1" "$DIR/kept"
	sed -i "$2" "$DIR/$1"
	! cmp -s "$DIR/$1" "$DIR/kept" || fail "'$2' changes nothing"
	library changed
	cp "$DIR/kept" "$DIR/$1"
}
abi() { "$DIR/scripts/abi" "$@" >"$DIR/log" 2>&1; }
noticed() { ! abi "$DIR/changed.so" || fail "not noticed: $*"; grep -q 'scripts/abi --record' "$DIR/log" || fail "$*: $(<"$DIR/log")"; }

library first
abi --record "$DIR/first.so" || fail "$(<"$DIR/log")"
grep -qx ' old@Base 1.0.0' "$DIR/scripts/packaging/debian/symbols.in" || fail "a symbol lost the version it came with"
grep -qx ' new@Base 1.2.3' "$DIR/scripts/packaging/debian/symbols.in" || fail "a symbol has not this version"
abi "$DIR/first.so" || fail "equal, but: $(<"$DIR/log")"
change lib/lib.h 's/int x;/int w; long x;/'
abi "$DIR/changed.so" || fail "what a handle has inside is nobody's business, but: $(<"$DIR/log")"
change include/k2k/registry.h 's/long b;/int b;/'
noticed "a member of another type"
change include/k2k/registry.h 's/long b;/long b, c;/'
noticed "one member more"
change lib/lib.c 's/^int new/static __attribute__((unused)) &/; s/#include "lib.h"/&\n#define new hidden/'
noticed "a call less"
change lib/lib.c '$a int more(void); int more(void) { return 0; }'
noticed "a call more"
change lib/lib.c 's/#include "k2k.*/#include <stddef.h>\nstruct handle; struct result { int a; long b; };/; s/^int new(struct handle \*h)/int new(struct handle *h, int more)/'
noticed "an argument more"
echo "ok"
