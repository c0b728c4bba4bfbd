#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   faults.sh SOURCE
#
# Proves that scripts/fault-test --check notices what it is for, in a copy of the sources.
set -euo pipefail
export LC_ALL=C
SOURCE=$1
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
failed=0

fault=rate-window-steps-back

# notices FINDING SED-SCRIPT FILE...
notices() {
	local finding=$1 edit=$2 status=0 said
	shift 2
	rm -rf "${DIR:?}/copy"
	mkdir -p "$DIR/copy/tests"
	cp -r "$SOURCE/lib" "$DIR/copy/lib"
	cp -r "$SOURCE/tests/faults" "$SOURCE"/tests/*.c "$DIR/copy/tests/"
	(cd "$DIR/copy" && sed -i "$edit" "$@")
	said=$("$SOURCE/scripts/fault-test" --check --root "$DIR/copy" "$fault") || status=$?
	if [[ $status == 1 && $said == *"$finding"* ]]; then
		echo "ok fault-test notices: $finding"
	else
		echo "not ok: no '$finding' after sed '$edit', exit status $status"
		failed=1
	fi
}
notices 'rate-window-steps-back: no longer applies'    's/origin > view->time/origin >= view->time/'         lib/rate.c
notices "rate-window-steps-back: no 'Found-by:'"       '/^Found-by:/,/^$/d'                          tests/faults/rate-window-steps-back.patch
notices "rate-window-steps-back: 'Because:' means nothing" 's/^Violates:/Because: no\nViolates:/'    tests/faults/rate-window-steps-back.patch
notices 'which is not in lib/ or tools/k2k-broker/'    's,^+++ b/lib/,+++ b/tools/,'                 tests/faults/rate-window-steps-back.patch
fault=hot-version-ignored
notices 'unit_hot/no_such: there is no such case'      's,unit_hot/.*,unit_hot/no_such,'             tests/faults/hot-version-ignored.patch
# A fault that only removes lines: if they are gone or changed, its reverse would still apply.
fault=budget-version-recheck
notices 'budget-version-recheck: no longer applies'    's/)) != version)/)) < version)/'             lib/message_budget.c
exit "$failed"
