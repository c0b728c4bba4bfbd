# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-exporter: HTTP, registries that come and go, sums, and that it only reads
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"
. "$(dirname "${BASH_SOURCE[0]}")/metrics_harness.bash"

cli_exporter_speaks_http() {
	init
	export_start
	curl -sS -D "$DIR/head" -o "$DIR/body" "$url"
	has "$(<"$DIR/head")" "HTTP/1.1 200"
	has "$(<"$DIR/head")" "Content-Type: text/plain; version=0.0.4"
	has "$(<"$DIR/body")" "k2k_up{registry=\"$K2K_REGISTRY\"} 1"
	is "$(curl -sSI "$url" | tr -d '\r' | sed -n 's/^Content-Length: //p' | wc -w)" 1
	is "$(curl -sS "${url%metrics}healthz")" ok
	has "$(curl -sS "${url%metrics}")" /metrics
	is "$(curl -sS -o /dev/null -w '%{http_code}' "${url}x")" 404
	is "$(curl -sS -o /dev/null -w '%{http_code}' "${url%metrics}../metrics" --path-as-is)" 404
	local method
	for method in POST PUT DELETE OPTIONS; do
		is "$(curl -sS -o /dev/null -w '%{http_code}' -X "$method" -d x "$url")" 405
	done
	is "$(head -c 200000 /dev/zero | tr '\0' x | curl -sS -o /dev/null -w '%{http_code}' --data-binary @- "$url")" 405
	# what is no HTTP, and a connection that says nothing, are in nobody's way
	local host=${url#http://}
	host=${host%/metrics}
	exec 8<>"/dev/tcp/${host%:*}/${host##*:}" 9<>"/dev/tcp/${host%:*}/${host##*:}"
	head -c 300 /dev/urandom >&8
	has "$(curl -sS "$url")" "k2k_up{"
	exec 8<&- 9<&-
	# the same text as the tool's, but for the time it took
	sed '/collect_duration_seconds{/d' "$DIR/body" >"$DIR/served"
	ctl 0 metrics
	diff <(sed '/collect_duration_seconds{/d' <<<"$out") "$DIR/served" || fail "differs from k2k-tenantctl metrics"
	"$EXPORTER" --listen "$host" >/dev/null 2>"$DIR/err"
	is $? 8
	export_stop
}

cli_exporter_listens_on_loopback_unless_told() {
	init
	export_start
	has "$url" "http://127.0.0.1:"
	export_stop
	export_start --listen 0
	has "$url" "http://127.0.0.1:"
	export_stop
	if [[ -e /proc/net/if_inet6 && -s /proc/net/if_inet6 ]]; then
		export_start --listen '[::1]:0'
		has "$(curl -sS -g "$url")" "k2k_up{"
		export_stop
	fi
	local bad
	for bad in '' x 65536 127.0.0.1 127.0.0.1: localhost:0 :0 '[::1:0' '[]:0' 1.2.3:0 -1; do
		timeout 10 "$EXPORTER" --listen "$bad" >"$DIR/out" 2>"$DIR/err"
		is "$bad $?" "$bad 2"
		has "$(<"$DIR/err")" "k2k-exporter: "
	done
	for bad in "--max-series x" "-r a/b" extra --frobnicate; do
		timeout 10 "$EXPORTER" -l 0 $bad >"$DIR/out" 2>"$DIR/err"
		is "$bad $?" "$bad 2"
	done
	"$EXPORTER" --help | grep -q '^Usage: k2k-exporter' || fail "no help"
	"$EXPORTER" --help >/dev/full 2>/dev/null
	is $? 10
}

cli_exporter_finds_a_registry_that_comes_and_goes() {
	export_start
	is "$(curl -sS "$url" | grep -v '^#')" "k2k_up{registry=\"$K2K_REGISTRY\"} 0"
	init
	until_true 20 scraped 'tenants{}' 0
	ctl 0 register 42 -q
	until_true 20 scraped 'tenants{}' 1
	ctl 0 destroy -q
	until_true 20 scraped 'up{}' 0
	init
	until_true 20 scraped 'tenants{}' 0
	# replaced between two scrapes: no scrape in between that fails
	ctl 0 register 42 -q
	ctl 0 destroy -q
	init
	ctl 0 register 43 -q
	ctl 0 register 44 -q
	local text=
	until [[ $text == *"k2k_tenants{registry=\"$K2K_REGISTRY\"} 2"* ]]; do
		text=$(curl -sS "$url")
		has "$text" "k2k_up{registry=\"$K2K_REGISTRY\"} 1"
	done
	# what is wrong is told once, not with each scrape
	is "$(uniq -d "$DIR/exporter.err")" ""
	has "$(<"$DIR/exporter.err")" "each scrape tries again"
	export_stop
}

cli_exporter_keeps_the_sum_from_falling() {
	init
	ctl 0 register 1 -q
	ctl 0 register 2 -q
	ctl 0 register 3 -q
	attach
	say K2K_OK admit 1 0 10
	say K2K_OK admit 2 0 200
	say K2K_OK admit 3 0 3000
	say K2K_OK track 2 0 500000000
	export_start --max-series 1
	until_true 20 scraped 'messages_admitted_total{tenant="other"}' 3200
	# gone from the sum
	ctl 0 deregister 2 -q
	until_true 20 scraped 'tenants{}' 2
	is "$(sample 'messages_admitted_total{tenant="other"}')" 3200
	is "$(sample 'gpu_seconds_total{tenant="other"}')" 0.5
	# out of the sum into a series of its own
	ctl 0 deregister 1 -q
	until_true 20 scraped 'messages_admitted_total{tenant="3"}' 3000
	is "$(sample 'messages_admitted_total{tenant="other"}')" 3200
	is "$(sample 'tenants_summed{}')" 0
	# registered anew: another one
	ctl 0 register 2 -q
	say K2K_OK admit 2 0 40000
	until_true 20 scraped 'messages_admitted_total{tenant="other"}' 43200
	# another registry of the same name
	ctl 0 destroy -y -q
	init
	ctl 0 register 5 -q
	until_true 20 scraped 'messages_admitted_total{tenant="5"}' 0
	is "$(sample 'messages_admitted_total{tenant="other"}')" ""
	export_stop
}

cli_exporter_only_reads() {
	init
	ctl 0 register 1 -q
	attach
	export_start
	until_true 20 scraped 'tenants{}' 1
	local maps
	maps=$(grep "/k2k\.$K2K_REGISTRY\." "/proc/$exporter_pid/maps") || fail "it has mapped no registry"
	is "$(awk '{ print $2 }' <<<"$maps" | sort -u)" r--s
	is "$(find "/proc/$exporter_pid/fd" -lname "*k2k.$K2K_REGISTRY.*" -printf '%f\n' |
		while read -r fd; do grep -h '^flags:' "/proc/$exporter_pid/fdinfo/$fd"; done | grep -c '[123]$')" 0
	is "$(grep -c " $exporter_pid " /proc/locks)" 0
	# stopped at any moment it is in nobody's way: every place for a tenant is used again, and messages pass
	( while :; do curl -sS "$url" >/dev/null 2>&1 || exit; done ) &
	local scraper=$! i
	for ((i = 0; i < 40; i++)); do
		((i % 4)) || kill -STOP "$exporter_pid"
		ctl 0 register 100 --timeout 20s -q
		say K2K_OK admit 1 0 1
		ctl 0 deregister 100 -q
		((i % 4 != 3)) || kill -CONT "$exporter_pid"
	done
	kill "$scraper"
	wait "$scraper" 2>/dev/null
	export_stop
}

cli_exporter_ends_well_amid_scrapes() {
	local i scraper
	init
	for ((i = 0; i < 20; i++)); do
		export_start
		( while :; do curl -sS "$url" >/dev/null 2>&1 || exit; done ) &
		scraper=$!
		until_true 20 scraped 'tenants{}' 0
		export_stop
		kill "$scraper" 2>/dev/null
		wait "$scraper" 2>/dev/null || :
	done
}

cli_exporter_reads_a_fifth_of_the_time_at_most() {
	# large tables take some time to read, however empty
	ctl 0 init --max-engagements 300000 -q
	export_start --max-series 10
	curl -sS "$url" >/dev/null
	local begun=${EPOCHREALTIME/./} took scrapes distinct spent
	curl -sS "$url?[1-400]" >"$DIR/scrapes"
	took=$((${EPOCHREALTIME/./} - begun))
	scrapes=$(grep -c '^k2k_up{' "$DIR/scrapes")
	read -r distinct spent < <(sed -n 's/^k2k_collect_duration_seconds{.*} //p' "$DIR/scrapes" | sort -u |
		awk '{ sum += $1 } END { printf "%d %d\n", NR, sum * 1000000 }')
	is "$scrapes" 400
	((distinct < 400)) || fail "each of 400 scrapes in $took us read the registry"
	# the first and the last text may be cut by the edges of what was measured
	((distinct <= 2 || spent * 5 * (distinct - 2) / distinct <= took)) || fail "$distinct times $spent us in all, of $took us"
	export_stop
}

run_tests "$@"
