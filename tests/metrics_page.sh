# SPDX-License-Identifier: LGPL-2.1-or-later
# The status page of k2k-exporter in a real Chromium.
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"
. "$(dirname "${BASH_SOURCE[0]}")/metrics_harness.bash"
PAGE=$(dirname "${BASH_SOURCE[0]}")/metrics_page.py

command -v chromedriver >/dev/null && command -v chromium >/dev/null || { echo "# skipped: no chromium, or no chromium-driver" >&2; exit 77; }

# look CHECK: runs this check of metrics_page.py
look() {
	local status=0
	python3 "$PAGE" "$1" "${url%metrics}" "$TOOL" "$BROKER" "$K2K_REGISTRY" >"$DIR/page" 2>&1 || status=$?
	grep '^#' "$DIR/page"
	((status == 0)) || fail "$(<"$DIR/page"); $(<"$DIR/exporter.err")"
}

cli_page_shows_what_the_tool_says_and_what_needs_attention() {
	init
	ctl 0 register 42 --rate 3/s --kernels 2 --gpu-memory 2K --budget 7=1s -q
	ctl 0 register 43 -q
	ctl 0 register 9007199254740993 --preset unlimited -q
	ctl 0 register 50 --rate 30/h --shadow on --name vision-team --budget 8=10h/day -q
	ctl 0 register 51 --rate 2/day --burst 20 -q
	ctl 0 register 52 -q
	ctl 0 suspend 52 -q
	ctl 0 register 53 --rate 500/s --alone 10/s -q
	cp "$BROKER" "$DIR/<b>x\"&amp;"
	BROKER="$DIR/<b>x\"&amp;"
	export_start
	look check_page
	export_stop
}

cli_page_of_ten_thousand_tenants_does_not_stall() {
	ctl 0 init --max-tenants 10000 -q
	python3 -c 'import json; print(json.dumps({"version": 1, "tenants": [{"id": str(i), "rate": "100/s"} for i in range(1, 10001)]}))' >"$DIR/doc"
	ctl 0 apply -f "$DIR/doc" -q
	export_start
	look check_many
	export_stop
}

run_tests "$@"
