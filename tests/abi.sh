#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   abi.sh SOURCE CC
#
# scripts/abi with a library of three calls: what earlier programs rely on may not change, what they can't see may.
set -euo pipefail
SOURCE=$1 CC=$2
export LC_ALL=C CC
command -v abidiff >/dev/null || exit 77
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
fail() { echo "# $*" >&2; exit 1; }

mkdir -p "$DIR/scripts/packaging/debian" "$DIR/include/k2k" "$DIR/lib"
cp "$SOURCE/scripts/abi" "$SOURCE/scripts/whole-header" "$SOURCE/scripts/check-version" "$DIR/scripts/"
echo 'project(x VERSION 1.2.3 LANGUAGES C' >"$DIR/CMakeLists.txt"
echo ' old@Base 1.0.0' >"$DIR/scripts/packaging/debian/symbols.in"
cat >"$DIR/include/k2k/registry.h" <<'END'
#include <stdint.h>
#define K2K_API
#define K2K_MOST 5
enum { K2K_FIRST = 1, K2K_SECOND = 2 };
struct handle; /* opaque */
struct result {
	uint32_t size, flags;
	int a;
	long b;
};
struct part { long c; };
K2K_API int old(struct handle *h, struct result *r);
K2K_API int new(struct handle *h,
                struct part *p);
END
cat >"$DIR/lib/lib.h" <<'END'
struct handle { int x; };
END
cat >"$DIR/lib/lib.c" <<'END'
#include "k2k/registry.h"
#include "lib.h"
int old(struct handle *h, struct result *r) { r->a = 0; return h->x; }
int new(struct handle *h, struct part *p) { p->c = 0; return h->x; }
END
library() { "$CC" -g -shared -fPIC -I"$DIR/include" -I"$DIR/lib" "$DIR/lib/lib.c" -o "$DIR/$1.so"; }
abi() { "$DIR/scripts/abi" "$@" >"$DIR/log" 2>&1; }
# change FILE SED: compares a library that is built with it, and takes it back; its exit status is that of scripts/abi
change() {
	local status=0
	cp "$DIR/$1" "$DIR/before"
	sed -i "$2" "$DIR/$1"
	! cmp -s "$DIR/$1" "$DIR/before" || fail "'$2' changes nothing"
	library changed
	abi "$DIR/changed.so" || status=$?
	cp "$DIR/before" "$DIR/$1"
	return "$status"
}
passes() { change "${@:2}" || fail "$1 is let pass, but: $(<"$DIR/log")"; }
# refused WHAT PATTERN-OF-THE-MESSAGE FILE SED
refused() {
	! change "${@:3}" || fail "not noticed: $1"
	grep -q "$2" "$DIR/log" || fail "$1: $(<"$DIR/log")"
}

library first
abi --record "$DIR/first.so" || fail "$(<"$DIR/log")"
grep -qx ' old@Base 1.0.0' "$DIR/scripts/packaging/debian/symbols.in" || fail "a symbol lost the version it came with"
grep -qx ' new@Base 1.2.3' "$DIR/scripts/packaging/debian/symbols.in" || fail "a symbol has not this version"
! grep -q opaque "$DIR/tests/abi/1.2.3/k2k/registry.h" || fail "a comment was recorded"
abi "$DIR/first.so" || fail "equal, but: $(<"$DIR/log")"
header=include/k2k/registry.h
passes "what a handle has inside" lib/lib.h 's/int x;/int w; long x;/'
passes "one member more at the end of a struct with size" $header 's/long b;/long b, more;/'
passes "one more constant" $header 's/K2K_SECOND = 2/&, K2K_THIRD = 3/'
symbols=$DIR/scripts/packaging/debian/symbols.in
echo ' more@Base 1.3.0' >>"$symbols"
passes "a call more that is listed" lib/lib.c '$a int more(void); int more(void) { return 0; }'
sed -i '$d' "$symbols"
refused "one member more at the end of another struct" 'not compatible' $header 's/long c;/long c, more;/'
refused "one member more in the middle" 'not compatible' $header 's/int a;/int a; long more;/'
refused "a member of another type" 'not compatible' $header 's/long b;/int b;/'
refused "a constant of another value" K2K_SECOND $header 's/K2K_SECOND = 2/K2K_SECOND = 3/'
refused "a macro of another value" K2K_MOST $header 's/K2K_MOST 5/K2K_MOST 6/'
refused "a constant less" K2K_SECOND $header 's/, K2K_SECOND = 2//'
refused "a call less" '^< new$' lib/lib.c 's/^int new/static __attribute__((unused)) &/; s/#include "lib.h"/&\n#define new hidden/'
refused "a call more" '^> more$' lib/lib.c '$a int more(void); int more(void) { return 0; }'
refused "an argument more" 'not compatible' lib/lib.c \
	's/#include "k2k.*/#include <stdint.h>\nstruct handle; struct result { uint32_t size, flags; int a; long b; }; struct part { long c; };/; s/^int new(struct handle \*h,/int new(struct handle *h, int more,/'
echo "ok"
