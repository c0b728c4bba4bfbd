# SPDX-License-Identifier: LGPL-2.1-or-later
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"
. "$(dirname "${BASH_SOURCE[0]}")/auditd_harness.bash"
cli_x() { return 0; }
run_tests "$@"
