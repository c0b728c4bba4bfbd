#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
#   boot_time.sh LIBRARY SECOND PROGRAM [ARGUMENT...]
#
# Runs a test on a machine whose monotonic clock is at SECOND, as if it had booted that long ago.
# LIBRARY is the compiled boot_time.c. Exit code 77 (skipped): time namespaces can't be made here.
set -euo pipefail
LIBRARY=$1 SECOND=$2
shift 2
read -r up _ </proc/uptime
unshare=(unshare -T --monotonic $((SECOND - ${up%.*})) --boottime $((SECOND - ${up%.*})))
if ! "${unshare[@]}" true 2>/dev/null; then
	unshare=(unshare -Ur "${unshare[@]:1}")
	"${unshare[@]}" true || { echo "# skipped: no time namespaces here"; exit 77; }
fi
! LD_PRELOAD=$LIBRARY readlink /proc/self/ns/time || { echo "# $LIBRARY hides no time namespace"; exit 1; }
# --fork: only children enter the new time namespace
exec "${unshare[@]}" --fork env LD_PRELOAD="$LIBRARY" "$@"
