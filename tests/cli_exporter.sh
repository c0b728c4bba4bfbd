# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-exporter: HTTP, registries that come and go, and sums; it never writes to a registry
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
	has "$(curl -sS "${url%metrics}")" 'href="metrics"'
	is "$(curl -sS -o /dev/null -w '%{http_code}' "${url}x")" 404
	is "$(curl -sS -o /dev/null -w '%{http_code}' "${url%metrics}../metrics" --path-as-is)" 404
	local method
	for method in POST PUT DELETE OPTIONS; do
		is "$(curl -sS -o /dev/null -w '%{http_code}' -X "$method" -d x "$url")" 405
	done
	is "$(head -c 200000 /dev/zero | tr '\0' x | curl -sS -o /dev/null -w '%{http_code}' --data-binary @- "$url")" 405
	# requests that are not HTTP, and a connection that sends nothing, disturb nobody
	local host=${url#http://}
	host=${host%/metrics}
	exec 8<>"/dev/tcp/${host%:*}/${host##*:}" 9<>"/dev/tcp/${host%:*}/${host##*:}"
	head -c 300 /dev/urandom >&8
	has "$(curl -sS "$url")" "k2k_up{"
	exec 8<&- 9<&-
	# the same text as the tool's, except for the time it took
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
	export_start --listen localhost:0
	has "$url" "http://127.0.0.1:"
	export_stop
	if [[ -e /proc/net/if_inet6 && -s /proc/net/if_inet6 ]]; then
		export_start --listen '[::1]:0'
		has "$(curl -sS -g "$url")" "k2k_up{"
		export_stop
	fi
	# listens at all addresses, IPv4 and IPv6 if there are both
	local all
	for all in :0 '[::]:0'; do
		[[ $all == :0 || -s /proc/net/if_inet6 ]] || continue
		export_start --listen "$all"
		has "$(curl -sS "http://127.0.0.1:$(port_of "$url")/metrics")" "k2k_up{"
		[[ ! -s /proc/net/if_inet6 ]] || has "$(curl -sS -g "http://[::1]:$(port_of "$url")/metrics")" "k2k_up{"
		timeout 10 "$EXPORTER" --listen ":$(port_of "$url")" >"$DIR/out" 2>"$DIR/err"
		is $? 8
		export_stop
	done
	local bad
	for bad in '' x 65536 127.0.0.1 127.0.0.1: localhost localhost: : example.org:0 '[::1:0' '[]:0' ::1:0 1.2.3:0 -1; do
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

port_of() { sed 's|.*:||; s|/.*||' <<<"$1"; }

cli_exporter_compresses_for_who_accepts_it() {
	init
	ctl 0 register 42 -q
	export_start
	local path accept kind
	for path in metrics status.json; do
		while IFS='|' read -r accept kind; do
			curl -sS -o "$DIR/body" -D "$DIR/head" -H "Accept-Encoding: $accept" "${url%metrics}$path"
			has "$(<"$DIR/head")" "Vary: Accept-Encoding"
			if [[ $kind == gzip ]]; then
				has "$(<"$DIR/head")" "Content-Encoding: gzip"
				gzip -dc "$DIR/body" >"$DIR/plain" || fail "$path: no gzip"
			else
				lacks "$(<"$DIR/head")" "Content-Encoding"
				cp "$DIR/body" "$DIR/plain"
			fi
			grep -q "$K2K_REGISTRY" "$DIR/plain" || fail "$path, accepting '$accept': $(head -c 300 "$DIR/plain")"
			is "$accept $(sed -n 's/^Content-Length: //p' "$DIR/head" | tr -d '\r')" "$accept $(stat -c %s "$DIR/body")"
		done <<-'END'
			gzip|gzip
			GZIP, deflate, br|gzip
			deflate;q=1.0 , gzip;q=0.01|gzip
			x-gzip|gzip
			*|gzip
			deflate, br, zstd|
			gzip;q=0|
			gzip;q=0.000|
			gzipped|
			identity|
			|
		END
	done
	has "$(curl -sS --compressed "$url")" 'k2k_up{'
	# compressed or not, the answer has the same lines
	ctl 0 metrics
	is "$(curl -sS --compressed "$url" | grep -c .)" "$(grep -c . <<<"$out")"
	export_stop
}

cli_exporter_lets_no_browser_guess_what_it_sends() {
	init
	export_start
	local path
	for path in metrics status.json healthz '' nothing; do
		has "$(curl -sS -o /dev/null -D - "${url%metrics}$path")" "X-Content-Type-Options: nosniff"
	done
	has "$(curl -sS -o /dev/null -D - -X POST "$url")" "X-Content-Type-Options: nosniff"
	local policy
	policy=$(curl -sS -o "$DIR/page" -D - "${url%metrics}" | tr -d '\r' | sed -n 's/^Content-Security-Policy: //p')
	has "$policy" "default-src 'none'"
	lacks "$policy" unsafe
	lacks "$policy" http
	# the page loads nothing from elsewhere, and makes no markup from the data
	is "$(grep -oE "(src|href)=\"[^\"]*\"" "$DIR/page" | sort -u | tr '\n' ' ')" \
		'href="#tenants-title" href="data:," href="metrics" href="status.json" '
	is "$(grep -cE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function' "$DIR/page")" 0
	export_stop
}

cli_exporter_answers_beside_idle_connections() {
	init
	export_start
	python3 - "$(port_of "$url")" <<-'END' || fail "beside idle connections"
		import socket, sys

		def connect(address="127.0.0.1"):
		    s = socket.socket()
		    s.settimeout(20)
		    s.bind((address, 0))
		    s.connect(("127.0.0.1", int(sys.argv[1])))
		    return s

		def scrape(s):
		    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		    got = b""
		    while not got.endswith(b"\r\n\r\nok\n"):
		        more = s.recv(4096)
		        if not more:
		            return None
		        got += more
		    return got

		def is_open(s):
		    s.setblocking(False)
		    try:
		        return s.recv(1) != b""
		    except BlockingIOError:
		        return True
		    except ConnectionResetError:
		        return False
		    finally:
		        s.settimeout(20)

		# many more clients than there is room for: some send nothing, some send slowly
		used = connect("127.0.0.2")
		assert scrape(used), "the first"
		idle = []
		for i in range(300):
		    idle.append(connect())
		    if i % 2:
		        idle[-1].sendall(b"GET /metrics HTTP/1.1\r\nX: ")
		    if i % 50 == 0:
		        fresh = connect()
		        assert scrape(fresh), f"a scrape beside {i} idle ones"
		        fresh.close()
		assert scrape(connect()), "a scrape beside 300 idle ones"
		assert not is_open(idle[0]), "the idlest is still there"
		assert is_open(idle[-1]), "the last one was pushed out"
		# the address has pushed out its own connections, and no others
		assert scrape(used), "another address was pushed out"
		# many addresses push out the connection that is idle longest; one that was just
		# answered stays
		for i in range(200):
		    idle.append(connect(f"127.0.1.{i + 1}"))
		    if i % 20 == 0:
		        assert scrape(used), f"who is used was pushed out after {i}"
		assert scrape(connect()), "a scrape beside 200 addresses"
	END
	is "$(find "/proc/$exporter_pid/fd" -lname 'socket:*' | awk 'END { print (NR <= 200) }')" 1
	export_stop
}

cli_exporter_tells_its_status_as_the_tool_does() {
	init
	ctl 0 register 42 --rate 5/s --kernels 2 --budget 7=1s --budget 8=1h/day --name vision-team -q
	ctl 0 register 43 --preset unlimited -q
	cp "$BROKER" "$DIR/<b>\"\\"
	BROKER="$DIR/<b>\"\\" attach
	say K2K_OK admit 42 0 5
	say K2K_ERATE admit 42 0 6
	say K2K_OK kernel 42
	say K2K_OK track 42 7 1500000000
	say K2K_OK cross 42 43
	ctl 0 register 44 --rate 30/min --shadow on -q
	ctl 0 register 45 --rate 500/h --burst 20 -q
	say K2K_OK admit 44 0 31
	ctl 0 suspend 45 -q
	ctl 0 usage correct 42 7 --by -250ms --reason "a run that failed" -q
	"$K2K_AUDITD" --file "$DIR/log" 2>/dev/null &
	local follower_pid=$!
	brokers+=("$follower_pid")
	disown "$follower_pid"
	export_start
	until_true 60 status_is '.followers[0].state' active
	out=$(curl -sS "${url%metrics}status.json")
	one_object
	json .schema k2k-exporter/1
	json .up true
	json .audit.required false
	json '.followers[0].comm' k2k-auditd
	json '.followers[0].pid' "$follower_pid"
	json '.followers[0].lost_total' 0
	json .registry "$K2K_REGISTRY"
	json '.brokers[0].comm' '<b>"\'
	json '.brokers[0].pid' "$broker_pid"
	json .cross_tenant_total 1
	json '.tables.tenants.used' 4
	local status=$out
	ctl 0 list -J
	is "$(jq -S '[.tenants[] | del(.usage.messages_this_second)] | sort_by(.id)' <<<"$status")" \
		"$(jq -S '[.tenants[] | del(.usage.messages_this_second)] | sort_by(.id)' <<<"$out")"
	kill -KILL "$follower_pid"
	until_true 60 status_is '.followers[0].state' dead
	kill -KILL "$broker_pid"
	ctl 0 destroy -y -q
	until_true 60 status_is '.up' false
	out=$(curl -sS "${url%metrics}status.json")
	json .error.name K2K_ENOREGISTRY
	export_stop
}
status_is() { [[ $(curl -sS "${url%metrics}status.json" | jq -r "$1") == "$2" ]]; }

cli_exporter_finds_a_registry_that_comes_and_goes() {
	export_start
	is "$(curl -sS "$url" | grep -v '^#')" "k2k_up{registry=\"$K2K_REGISTRY\"} 0"
	init
	until_true 60 scraped 'tenants{}' 0
	ctl 0 register 42 -q
	until_true 60 scraped 'tenants{}' 1
	ctl 0 destroy -q
	until_true 60 scraped 'up{}' 0
	init
	until_true 60 scraped 'tenants{}' 0
	# replaced between two scrapes: no scrape fails
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
	# an error is reported once, not at each scrape
	is "$(uniq -d "$DIR/exporter.err")" ""
	has "$(<"$DIR/exporter.err")" "each scrape tries again"
	export_stop
}

cli_exporter_keeps_the_sum_from_falling_and_jumping() {
	init
	ctl 0 register 1 -q
	ctl 0 register 2 -q
	ctl 0 register 3 --preset unlimited -q
	attach
	say K2K_OK admit 1 0 10
	say K2K_OK admit 2 0 200
	say K2K_OK admit 3 0 3000
	say K2K_OK track 2 0 500000000
	export_start --max-series 1
	until_true 60 scraped 'messages_admitted_total{tenant="3"}' 3000
	is "$(sample 'messages_admitted_total{tenant="other"}')" 210
	# the deregistered tenant leaves the sum
	ctl 0 deregister 2 -q
	until_true 60 scraped 'tenants{}' 2
	is "$(sample 'messages_admitted_total{tenant="other"}')" 210
	is "$(sample 'gpu_seconds_total{tenant="other"}')" 0.5
	# a tenant that is nearly as busy as the one with a series stays in the sum
	ctl 0 update 1 --rate unlimited -q
	say K2K_OK admit 1 0 3100
	until_true 60 scraped 'messages_admitted_total{tenant="other"}' 3310
	is "$(sample 'messages_admitted_total{tenant="3"}')" 3000
	# a busier tenant leaves the sum and gets its own series; the other one joins the sum, which
	# counts it from now on
	say K2K_OK admit 1 0 40000
	until_true 60 scraped 'messages_admitted_total{tenant="1"}' 43110
	is "$(sample 'messages_admitted_total{tenant="3"}')" ""
	is "$(sample 'messages_admitted_total{tenant="other"}')" 3310
	say K2K_OK admit 3 0 7
	until_true 60 scraped 'messages_admitted_total{tenant="other"}' 3317
	is "$(sample 'tenants_summed{}')" 1
	# registered again: a new tenant
	ctl 0 register 2 -q
	say K2K_OK admit 2 0 400
	until_true 60 scraped 'messages_admitted_total{tenant="other"}' 3717
	# another registry of the same name
	ctl 0 destroy -y -q
	init
	ctl 0 register 5 -q
	until_true 60 scraped 'messages_admitted_total{tenant="5"}' 0
	is "$(sample 'messages_admitted_total{tenant="other"}')" ""
	export_stop
}

cli_exporter_only_reads() {
	init
	ctl 0 register 1 -q
	attach
	export_start
	until_true 60 scraped 'tenants{}' 1
	local maps
	maps=$(grep "/k2k\.$K2K_REGISTRY\." "/proc/$exporter_pid/maps") || fail "it has mapped no registry"
	is "$(awk '{ print $2 }' <<<"$maps" | sort -u)" r--s
	is "$(find "/proc/$exporter_pid/fd" -lname "*k2k.$K2K_REGISTRY.*" -printf '%f\n' |
		while read -r fd; do grep -h '^flags:' "/proc/$exporter_pid/fdinfo/$fd"; done | grep -c '[123]$')" 0
	is "$(grep -c " $exporter_pid " /proc/locks)" 0
	# stopped at any moment, it blocks nothing: every slot for a tenant is used again, and
	# messages pass
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
		until_true 60 scraped 'tenants{}' 0
		export_stop
		kill "$scraper" 2>/dev/null
		wait "$scraper" 2>/dev/null || :
	done
}

cli_exporter_reads_a_fifth_of_the_time_at_most() {
	# reading large tables takes some time, even if they are empty
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
	# the first and the last text may lie partly outside the measured time
	((distinct <= 2 || spent * 5 * (distinct - 2) / distinct <= took)) || fail "$distinct times $spent us in all, of $took us"
	export_stop
}

run_tests "$@"
