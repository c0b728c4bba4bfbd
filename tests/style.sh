#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   style.sh SOURCE [CHECK]
#
# Proves that the checks in scripts/ notice what they are for: breaks a copy of the sources in one
# place, and expects a new finding with the right words.
set -euo pipefail
export LC_ALL=C
SOURCE=$1 ONLY=${2:-}
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
failed=0 ran=0
declare -A before=()   # what a check says of the sources as they are
declare -A findings=() # of the files that are broken now: what is to be found
declare -A where=()    # in a line that names this
judged=                # by this check
mkdir "$DIR/copy"
(cd "$SOURCE" && tar -cf - CMakeLists.txt include lib tools scripts) | tar -xf - -C "$DIR/copy"

# broken CHECK FILE SED-SCRIPT FINDING [WHERE]: CHECK must report FINDING, in a line that names WHERE
# (FILE), once SED-SCRIPT has changed FILE. Breaches in several files are judged by one run of the
# check.
broken() {
	local check=$1 file=$2 edit=$3 finding=$4
	[[ -z $ONLY || $check == "$ONLY" ]] || return 0
	[[ $check == "$judged" && ! -v findings[$file] ]] || judge
	judged=$check
	[[ -v before[$check] ]] || before[$check]=$("$SOURCE/scripts/check-$check" "$DIR/copy") || true
	[[ -e $DIR/copy/$file ]] || echo '/* SPDX-License-Identifier: LGPL-2.1-or-later */' >"$DIR/copy/$file"
	sed -i "$edit" "$DIR/copy/$file"
	findings[$file]=$finding
	where[$file]=${5:-${file##*/}}
}

judge() {
	local file finding new status=0
	((${#findings[@]})) || return 0
	"$SOURCE/scripts/check-$judged" "$DIR/copy" >"$DIR/after" || status=$?
	new=$(comm -13 <(sort <<<"${before[$judged]}") <(sort "$DIR/after"))
	for file in "${!findings[@]}"; do
		finding=${findings[$file]}
		rm "$DIR/copy/$file"
		[[ ! -e $SOURCE/$file ]] || cp -p "$SOURCE/$file" "$DIR/copy/$file"
		ran=$((ran + 1))
		if [[ $status == 1 ]] && grep -F -- "$finding" <<<"$new" | grep -qF -- "${where[$file]}"; then
			echo "ok check-$judged notices: $finding"
		else
			echo "not ok check-$judged of a breach in $file: no '$finding', exit status $status"
			failed=$((failed + 1))
		fi
	done
	findings=()
}
include() { printf '$a #include "%s"' "$1"; }

broken floors lib/hash.c "$(include tenant.h)"          'tenant.h lies in a higher layer'
broken floors lib/layout.h "$(include map.h)"           'map.h lies in a higher layer'
broken floors lib/budget.c "$(include lease.h)"         'lease.h is a peer'
broken floors lib/lease.h '1i #include <urcu/urcu-bp.h>' 'only rcu.h includes liburcu'
broken floors lib/messages.c "$(include change.h)"      'change.h lies in a higher layer'
broken floors lib/map.c '1i #include <stdio.h>'         'its own header map.h comes first'
broken floors lib/attic.c ''                            'attic.c is in no layer'
broken floors lib/map.c "$(include attic.h)"            'attic.h is in no layer'
broken floors tools/k2k-broker/main.c "$(include handle.h)" 'handle.h: a tool includes its own headers'
broken floors tools/k2k-broker/main.c "$(include ../k2k-exporter/body.h)" 'body.h: a tool includes its own headers'
broken floors tools/common/units.c "$(include ../k2k-broker/broker.h)" 'broker.h: a tool includes its own headers'
broken floors tools/k2k-broker/main.c '1i #include <urcu/urcu-bp.h>' 'only lib/rcu.h includes liburcu'
broken floors tools/k2k-bench/main.c '1i #include <urcu/urcu-bp.h>' 'only lib/rcu.h includes liburcu'
broken floors tools/k2k-bench/floors_urcu.c "$(include handle.h)" 'handle.h: a tool includes its own headers'

broken floors lib/README.md 's/^| F1 .*/| F1 | nothing |/'  'the table of layers is not that of check-floors'

add() { printf '$a \\\n\\\nstatic inline void added(k2k_u64 *p)\\\n{\\\n\\\n\\\n\\\n\\\n%s\\\n}' "$1"; }
broken labels lib/budget.c "$(add '\tk2k_load_acquire(p);')"          'no observe[...] at: k2k_load_acquire(p)'
broken labels lib/clock.c "$(add '\tk2k_store_release(p, 1);')"      'no publish[...] at: k2k_store_release(p, 1)'
broken labels lib/create.c "$(add '\tk2k_exchange_acq_rel(p, 1);')" 'no observe or publish[...]'
broken labels lib/grace.c "$(add '\tk2k_cas_weak_release(p, p, 1);')" 'no publish[...]'
broken labels lib/handle.c "$(add '\tatomic_store(p, 1);')"           'without a name of base.h: atomic_store(p, 1)'
broken labels lib/hash.c "$(add '\tk2k_store_release(p, 1); /* observe[x-hash] */')"  'no publish[...]'
broken labels lib/layout.c "$(add '\tk2k_store_release(p, 1); /* publish[x-layout] */')" 'publish[x-layout] has no observe[x-layout]'
broken labels lib/ledger.c "$(add '\tk2k_load_acquire(p); /* observe[x-ledger] */')"     'observe[x-ledger] has no publish[x-ledger]'
broken labels lib/list.c "$(add '\t/* see publish[x-list] */')"        'publish[x-list] is at no access'
broken labels lib/lock.c "$(add '\tk2k_fence_seq_cst();')"          'a fence without a word'
broken labels lib/pool.c "$(add '\tk2k_fence_seq_cst(); /* fence[x-pool] */')" 'fence[x-pool] does not say with whom'
broken labels lib/rate.c "$(add '\tk2k_store_relaxed(p, 1);')"      'relaxed without a reason'
broken labels lib/broker.c 's/observe\[slot-state\]/observe[slot-stale]/' 'observe[slot-stale] is at no access'
broken labels lib/broker.c 's/fence\[grace-attach\] with fence\[grace-writer\]/-/' 'fence[grace-attach] is at no access' grace.c

broken files lib/map.c '1d'                                 'no SPDX-License-Identifier'
broken files tools/k2k-broker/main.c '$r '"$SOURCE/include/k2k/registry.h"$'\n$r '"$SOURCE/include/k2k/registry.h" 'more than 800 lines'
broken files lib/map.c "\$a /* $(printf 'x%.0s' {1..100}) */" 'more than 100 columns'
broken files lib/map.c '$a /* TO''DO */'                     'a TODO without a reason'
broken files lib/map.c '$a /* see /wo''rk/main */'           'which is not in this project'
broken files lib/map.c.orig ''                               'left behind by another tool'
broken files scripts/check-files '1,2!b; 2d'                 'no SPDX-License-Identifier'

broken version CMakeLists.txt 's/^project(\(.*\) VERSION 0/project(\1 VERSION 7/'  'registry.h: 0, but CMakeLists.txt says 7'
broken version lib/bindings/rust/Cargo.lock 's/^version = "0/version = "9/'        'Cargo.lock: 9'
broken version lib/bindings/python/pyproject.toml '/^version/d'                    'pyproject.toml: 0 places'

judge
((ran > 0)) || failed=1
echo "$((ran - failed)) passed, $failed failed"
((failed == 0))
