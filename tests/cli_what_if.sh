# SPDX-License-Identifier: LGPL-2.1-or-later
# k2k-tenantctl: what-if
. "$(dirname "${BASH_SOURCE[0]}")/cli_harness.bash"

proposed() { printf 'version: 1\ntenants:\n' >"$DIR/proposed.yaml"; printf '  - %s\n' "$@" >>"$DIR/proposed.yaml"; }
requests() { printf '%s\n' "$@" >"$DIR/requests.csv"; }
what_if() { ctl "$1" what-if -f "$DIR/proposed.yaml" --trace "$DIR/requests.csv" "${@:2}"; }
row() { jq -c --arg tenant "$1" --arg limit "$2" '.limits[]|select(.tenant==$tenant and .limit==$limit)|'"$3" <<<"$out"; }
# A registry whose process runs belongs to a test beside this one; its process removes it before it ends.
nothing_is_left() {
	local file pid
	for file in /dev/shm/k2k.what-if-*; do
		pid=${file#*/k2k.what-if-} pid=${pid%%[!0-9]*}
		if [[ ! -d /proc/$pid && -e $file ]]; then fail "what-if has left $file"; fi
	done
}

cli_what_if_names_each_limit_that_refuses_and_when() {
	proposed '{id: 1, rate: 2/s, kernels: 1, budgets: {7: 5s}}' '{id: 2, preset: unlimited}'
	requests 'time,tenant,engagement,gpu_time,note' \
		'2026-11-30 10:00:00,1,8,,"a, b"' \
		'2026-11-30T10:00:00.25Z,1,8,,' \
		'2026-11-30 10:00:00.5,1,8,,third of two' \
		'2026-11-30 10:00:01,1,7,4s,' \
		'2026-11-30 10:00:02,1,7,1,one kernel slot' \
		'2026-11-30 10:00:05,1,7,1.5,' \
		'2026-11-30 10:00:07,1,7,,budget used up' \
		'2026-11-30 10:00:07,2,9,1h,' \
		'1796032808,3,,,unknown'
	what_if 1 -J
	json '[.requests,.refused]' '["9","4"]'
	is "$(row 1 rate '[.requests,.refused,.first_ns,.last_ns,.peak,.max]')" '["5","1","1796032800500000000","1796032800500000000","2","2"]'
	is "$(row 1 kernels '[.requests,.refused,.first_ns,.peak,.max]')" '["3","1","1796032802000000000","1","1"]'
	is "$(row 1 budget '[.engagement,.requests,.refused,.first_ns,.peak,.max,.peak_percent]')" '["7","3","1","1796032807000000000","5500000000","5000000000",110]'
	is "$(row 3 unknown_tenant '[.requests,.refused,.first_ns]')" '["1","1","1796032808000000000"]'
	is "$(row 2 rate '[.requests,.refused,.max]')" '["1","0",null]'
	what_if 1
	has "$out" "4 of 9 requests would be refused"
	has "$out" "2026-11-30T10:00:07"
	nothing_is_left
}

# The rule of a bucket, written again in Python in thousandths of a message.
cli_what_if_refuses_of_a_bucket_what_an_independent_count_refuses() {
	proposed '{id: 1, rate: 2/s, burst: 5}'
	local refused
	refused=$(python3 - "$DIR/requests.csv" <<'END'
import random
import sys

random.seed(11)
left, now, refused = 5000, 0, 0
with open(sys.argv[1], "w") as trace:
    print("time,tenant", file=trace)
    for _ in range(2000):
        step = random.choice((0, 0, 137, 301, 499, 500, 2700))
        now += step
        left = min(5000, left + 2 * step)
        print(f"{1796032800 + now // 1000}.{now % 1000:03},1", file=trace)
        if left >= 1000:
            left -= 1000
        else:
            refused += 1
print(refused)
END
	)
	((refused > 100 && refused < 1900)) || fail "no test: $refused refused"
	what_if 1 -J
	json .refused "$refused"
	nothing_is_left
}

# The rule of windows, kernel slots and budgets, written again in Python, for 3,000 requests.
cli_what_if_refuses_what_an_independent_count_refuses() {
	proposed '{id: 1, rate: 3/s, kernels: 2, budgets: {1: 50s}}' '{id: 2, rate: 1/s, kernels: 5}' '{id: 3, rate: 9/s, kernels: 1, budgets: {2: 0s}}'
	python3 - "$DIR/requests.csv" >"$DIR/expected" <<'END'
import collections
import heapq
import random
import sys

limits = {1: (3, 2, {1: 50_000}), 2: (1, 5, {}), 3: (9, 1, {2: 0})}
random.seed(7)
now, lines = 1_700_000_000_000, ["gmt_create,groupId,checkpoint_model_version_id,exec_time_seconds"]
ends, held, used = [], collections.Counter(), collections.Counter()
window, cost, refused = {}, collections.Counter(), collections.Counter()
for number in range(3000):
    now += random.choice([0, 1, 7, 130, 400, 2000])
    tenant, engagement, busy = random.randint(1, 3), random.randint(1, 3), random.choice([0, 0, 500, 1700])
    lines.append(f"{now / 1000:.3f},G{tenant - 1:04},M{engagement - 1:04},{busy / 1000}")
    while ends and ends[0][0] <= now:
        _, _, who, what, ns = heapq.heappop(ends)
        held[who] -= 1
        cost[who, what] += ns
    rate, kernels, budgets = limits[tenant]
    if busy and held[tenant] == kernels:
        refused[tenant, "kernels"] += 1
        continue
    if window.get(tenant) != now // 1000:
        window[tenant], used[tenant] = now // 1000, 0
    if used[tenant] == rate:
        refused[tenant, "rate"] += 1
    elif engagement in budgets and cost[tenant, engagement] >= budgets[engagement]:
        refused[tenant, "budget"] += 1
    else:
        used[tenant] += 1
        if busy:
            held[tenant] += 1
            heapq.heappush(ends, (now + busy, number, tenant, engagement, busy))
open(sys.argv[1], "w").write("\n".join(lines) + "\n")
for (tenant, limit), count in sorted(refused.items()):
    print(tenant, limit, count)
END
	what_if 1 -J
	is "$(jq -r '.limits[]|select(.refused!="0")|.tenant+" "+.limit+" "+.refused' <<<"$out" | sort)" "$(sort "$DIR/expected")"
	[[ $(wc -l <"$DIR/expected") -ge 6 ]] || fail "the requests meet too few limits"
}

cli_what_if_answers_0_if_nothing_would_be_refused_and_says_what_is_wrong() {
	proposed '{id: 1}'
	requests time,tenant
	what_if 0
	has "$out" "0 of 0 requests"
	requests time,tenant 1,1 2,1
	what_if 0 -J
	json .refused 0
	requests time,tenant 1,1 2,x
	what_if 2
	has "$err" "line 3: tenant 'x' can't be read"
	requests time,tenant 1,1 2
	what_if 2
	has "$err" "line 3: the tenant is missing"
	requests tenant,engagement 1,1
	what_if 2
	has "$err" "no column is named time"
	requests time,tenant,groupId 1,1,1
	what_if 2
	has "$err" "two columns are the tenant"
	requests time,tenant '1,"1'
	what_if 2
	has "$err" "line 2: a quote"
	# a comma in a number would make it two fields
	requests time,tenant,gpu_time 1,1,1,500
	what_if 2
	has "$err" "line 2: 4 fields, but the header has 3"
	requests time,tenant 1,1 2000000000,1
	what_if 2
	has "$err" "34 years"
	: >"$DIR/requests.csv"
	what_if 2
	has "$err" "header is missing"
	ctl 2 what-if -f "$DIR/proposed.yaml"
	has "$err" "--trace"
	ctl 2 what-if --trace "$DIR/requests.csv"
	has "$err" "-f FILE"
	ctl 10 what-if -f "$DIR/proposed.yaml" --trace "$DIR/none"
	nothing_is_left
}

cli_what_if_sends_again_what_a_log_says_was_refused() {
	init
	ctl 0 register 42 --rate 2/s --budget 7=0s -q
	attach
	say K2K_EBUDGET admit 42 7 1
	say K2K_ENOTENANT admit 43 8 1
	ctl 0 audit tail -J
	grep -v '"kind":"created"' <<<"$out" >"$DIR/log"
	proposed '{id: 42, budgets: {7: 0s}}'
	ctl 1 what-if -f "$DIR/proposed.yaml" --log "$DIR/log" -J
	json '[.requests,.refused]' '["2","2"]'
	is "$(row 42 budget '[.engagement,.refused]')" '["7","1"]'
	is "$(row 43 unknown_tenant .refused)" '"1"'
	has "$err" "other events were left out"
	echo '{"kind":"rate"}' >"$DIR/log"
	ctl 2 what-if -f "$DIR/proposed.yaml" --log "$DIR/log"
	has "$err" "line 1: not a line of k2k-auditd"
}
run_tests "$@"
