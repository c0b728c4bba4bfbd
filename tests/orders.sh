#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   orders.sh SOURCE
#
# Proves that `scripts/explore --orders --check` notices an access without a row or an argument, and
# a row or an argument without an access.
set -euo pipefail
export LC_ALL=C
SOURCE=$1
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT
failed=0

# broken FILE SED-SCRIPT FINDING
broken() {
	local file=$1 edit=$2 finding=$3 output status=0
	rm -rf "$DIR/copy"
	mkdir "$DIR/copy"
	(cd "$SOURCE" && tar -cf - lib scripts tests/explore) | tar -xf - -C "$DIR/copy"
	sed -i "$edit" "$DIR/copy/$file"
	output=$("$DIR/copy/scripts/explore" --orders --check) || status=$?
	if [[ $status == 1 && $output == *"$finding"* ]]; then
		echo "ok notices: $finding"
	else
		echo "not ok: no '$finding' after sed '$edit' of $file, exit status $status: $output"
		failed=1
	fi
}

access='static inline uint64_t added(k2k_u64 *p)\n{\n\treturn k2k_load_acquire(p); /* observe[x] */\n}'
broken lib/ring.c "\$a $access"                           'observe[x], acquire with only relaxed'
broken lib/ring.c 's/k2k_ring_own(struct/k2k_ring_owned(struct/' 'there is no such access'
broken tests/explore/arguments '$a \\\nlib/ring.c nowhere() *\n    Nothing.' 'nowhere() *: there is no such access'
broken tests/explore/orders.md '/`take()` | observe\[event-sequence\]/d' 'observe[event-sequence]'
exit $failed
