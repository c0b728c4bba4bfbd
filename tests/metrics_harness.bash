# SPDX-License-Identifier: LGPL-2.1-or-later
# For tests of k2k-exporter; source it after cli_harness.bash.

# export_start ARGUMENT...: starts the exporter at a free port; its address is in $url
export_start() {
	rm -f "$DIR/where"
	mkfifo "$DIR/where"
	"$EXPORTER" --listen 127.0.0.1:0 "$@" >"$DIR/where" 2>>"$DIR/exporter.err" &
	exporter_pid=$!
	brokers+=("$exporter_pid")      # killed at the end, whatever happens
	read -r -t 20 url <"$DIR/where" || fail "the exporter did not start: $(<"$DIR/exporter.err")"
}
export_stop() {
	kill -TERM "$exporter_pid"
	wait "$exporter_pid"
	is "exporter $?" "exporter 0"
}
# sample SERIES: prints its value in a scrape, without the registry's label; nothing if it is
# missing
sample() {
	curl -sS "$url" | sed -n "s/^k2k_\\([a-z_]*\\){registry=\"$K2K_REGISTRY\",\\{0,1\\}\\(.*\\)} /\\1{\\2} /p" |
		grep -F "$1 " | sed 's/.* //'
}
scraped() { [[ $(sample "$1") == "$2" ]]; }
