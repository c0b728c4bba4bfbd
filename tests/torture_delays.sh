#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   torture_delays.sh NM WANTED LIBRARY...
#
# Looks in each library for the function of the delays, and for calls of it. WANTED: 1 or 0.
set -euo pipefail
NM=$1 WANTED=$2
shift 2
failed=0
for library; do
	symbols=$("$NM" -a "$library")
	if [[ $symbols != *k2k_message_admit* ]]; then
		echo "not ok $library has no symbols to look at"
		failed=1
	fi
	found=$(grep -c ' k2k_delay' <<<"$symbols") || true
	if (((found > 0) == WANTED)); then
		echo "ok $library: $found symbols of delays"
	else
		echo "not ok $library: $found symbols of delays, wanted: $WANTED"
		failed=1
	fi
done
exit "$failed"
