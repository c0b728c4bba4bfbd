/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Latencies while 8 brokers, each a process, admit 5,000 messages a second each for random ones of
 * 1,000 tenants: of these calls, and of the reuse of a slot from deregister to the next register.
 * The table is full, so register has to wait until no broker can still read what was deregistered.
 *
 * A broker sleeps until each message is due by the clock, however long the message before took. A
 * latency includes one reading of the clock.
 */
#include "bench.h"
#include "common/clock.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BROKERS = 8, PER_S = 5000, PERIOD_NS = 1000000000 / PER_S, TENANTS = 1000 };
enum { REUSE_PAUSE_NS = 500000, REUSES_MAX = 4096 };
enum { ORDER_ATTACH, ORDER_ADMIT };
#define MESSAGES_MAX (2 * PER_S)

static struct area {
	char registry[K2K_NAME_MAX + 1];
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC */
	struct {
		size_t count;
		uint64_t latency_ns[MESSAGES_MAX];
	} results[BROKERS];
} * area;

static struct k2k_registry *admin, *attached;
static uint64_t *ids;

static void broker(void *context, unsigned int worker, unsigned int order)
{
	static uint64_t at;
	uint64_t due = area->start_ns + worker * (uint64_t)PERIOD_NS / BROKERS;
	size_t count = 0;

	(void)context;
	if (order == ORDER_ATTACH) {
		attached = open_broker(area->registry);
		ids = ids_in_random_order(TENANTS);
		at = worker * (TENANTS / BROKERS);
		return;
	}
	for (; due < area->end_ns && count < MESSAGES_MAX; due += PERIOD_NS) {
		uint64_t start;
		int code;

		clock_sleep_until(due);
		if (clock_monotonic_ns() >= area->end_ns)
			break;
		start = now_ns();
		code = k2k_message_admit(attached, ids[at], (struct k2k_audit_tag){ 1, 1 }, 1,
		                         NULL);
		area->results[worker].latency_ns[count++] = now_ns() - start;
		if (code)
			die_of(code, "admit");
		at = at + 1 == TENANTS ? 0 : at + 1;
	}
	area->results[worker].count = count;
}

static struct workers brokers = { .size = BROKERS, .work = broker };

static void start_brokers(void *state)
{
	(void)state;
	area = shared_memory(sizeof(*area));
	workers_start(&brokers);
}

static void open_load(void *state)
{
	(void)state;
	admin = create_registry(area->registry, "load", TENANTS + 1, 64);
	register_tenants(admin, TENANTS + 1);
	workers_run(&brokers, BROKERS, ORDER_ATTACH);
	workers_wait(&brokers, BROKERS);
}

/* Deregisters a tenant and registers another one in its slot, the only free one. */
static size_t reuse_slots(uint64_t *latency_ns)
{
	static uint64_t next = TENANTS;
	size_t count = 0;

	while (clock_monotonic_ns() < area->end_ns && count < REUSES_MAX) {
		uint64_t start = now_ns();
		int code = k2k_tenant_deregister(admin, tenant_id(next), NULL);

		if (!code)
			code = k2k_tenant_register(admin, tenant_id(++next), &high_quota);
		latency_ns[count++] = now_ns() - start;
		if (code)
			die_of(code, "deregister, and register in its place");
		clock_sleep_until(clock_monotonic_ns() + REUSE_PAUSE_NS);
	}
	return count;
}

static void percentiles(uint64_t *latency_ns, size_t count, struct sample *samples)
{
	qsort(latency_ns, count, sizeof(*latency_ns), compare_u64);
	samples[0].value = quantile_u64(latency_ns, count, 0.5);
	samples[1].value = quantile_u64(latency_ns, count, 0.99);
	samples[2].value = quantile_u64(latency_ns, count, 0.999);
}

static void round_load(void *state, struct sample *samples)
{
	static uint64_t all[BROKERS * MESSAGES_MAX], reuse[REUSES_MAX];
	uint64_t length_ns = options.quick ? 100000000 : 1000000000;
	size_t count = 0, reuses;

	(void)state;
	area->start_ns = clock_monotonic_ns() + 2 * PERIOD_NS;
	area->end_ns = area->start_ns + length_ns;
	workers_run(&brokers, BROKERS, ORDER_ADMIT);
	reuses = reuse_slots(reuse);
	workers_wait(&brokers, BROKERS);
	for (int i = 0; i < BROKERS; i++) {
		memcpy(all + count, area->results[i].latency_ns,
		       area->results[i].count * sizeof(*all));
		count += area->results[i].count;
	}
	if (!count || !reuses)
		die("the brokers under load did not get to run");
	percentiles(all, count, samples);
	percentiles(reuse, reuses, samples + 3);
	samples[6].value = (double)count / BROKERS / ((double)length_ns / 1e9);
}

#define ROW(name, text, unit, goal, target)                     \
	{                                                       \
		name, text, unit, AGAINST_NOTHING, goal, target \
	}
static const struct row_spec rows[] = {
	ROW("load_admit_p50", "admit with 8 brokers at work, p50; contains the timer", UNIT_NS,
	    GOAL_NONE, 0),
	ROW("load_admit_p99", "admit with 8 brokers at work, p99", UNIT_NS, GOAL_NONE, 0),
	ROW("load_admit_p999", "admit with 8 brokers at work, p99.9", UNIT_NS, GOAL_NONE, 0),
	ROW("reuse_p50", "deregister to reusable with 8 brokers at work, p50", UNIT_NS, GOAL_NONE,
	    0),
	ROW("reuse_p99", "deregister to reusable, p99", UNIT_NS, GOAL_VALUE_AT_MOST, 1e6),
	ROW("reuse_p999", "deregister to reusable, p99.9", UNIT_NS, GOAL_NONE, 0),
	ROW("load_messages", "messages that each of the 8 did; 5,000 were asked for", UNIT_PER_S,
	    GOAL_NONE, 0),
};
const struct bench_case load_case = { ROWS(rows), .most_rounds = 7, .start = start_brokers,
	                              .open = open_load, .round = round_load };
