/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * 1 to 64 processes attach as brokers at once. A latency is that of the call in its process;
 * attach_64_all is the time from the common start until the last of them is attached. They stay
 * attached until all are.
 */
#include "bench.h"

#include <stdlib.h>

enum { MOST = K2K_BROKERS_MAX, STEPS = 7, QUICK_REPEATS = 8 };

static struct area {
	char registry[K2K_NAME_MAX + 1];
	struct meeting start, attached;
	uint64_t began_ns[MOST], ended_ns[MOST];
} * area;

static void attach(void *context, unsigned int worker, unsigned int parties)
{
	struct k2k_registry *reg;
	int code;

	(void)context;
	meet(&area->start, parties);
	area->began_ns[worker] = now_ns();
	reg = open_broker(area->registry);
	area->ended_ns[worker] = now_ns();
	meet(&area->attached, parties);
	code = k2k_registry_close(&reg);
	if (code)
		die_of(code, "detaching a broker");
}

static struct workers workers = { .size = MOST, .work = attach };

static void start_attachers(void *state)
{
	(void)state;
	area = shared_memory(sizeof(*area));
	workers_start(&workers);
}

static void open_attach(void *state)
{
	(void)state;
	create_registry(area->registry, "attach", 1000, 64);
}

static void round_attach(void *state, struct sample *samples)
{
	uint64_t latency_ns[MOST];

	(void)state;
	for (unsigned int step = 0; step < STEPS; step++) {
		unsigned int parties = 1u << step;
		size_t count = 0;

		/* 64 latencies, however few processes attach at once */
		while (count < MOST && !(options.quick && count >= QUICK_REPEATS * parties)) {
			uint64_t first = UINT64_MAX, last = 0;

			workers_run(&workers, parties, parties);
			workers_wait(&workers, parties);
			for (unsigned int i = 0; i < parties; i++) {
				latency_ns[count++] = area->ended_ns[i] - area->began_ns[i];
				first = area->began_ns[i] < first ? area->began_ns[i] : first;
				last = area->ended_ns[i] > last ? area->ended_ns[i] : last;
			}
			samples[STEPS].value = (double)(last - first);
		}
		qsort(latency_ns, count, sizeof(*latency_ns), compare_u64);
		samples[step].value = quantile_u64(latency_ns, count, 0.5);
	}
}

#define ROW(name, text, goal, target)                              \
	{                                                          \
		name, text, UNIT_NS, AGAINST_NOTHING, goal, target \
	}
static const struct row_spec rows[] = {
	ROW("attach_1", "attach of a broker, p50", GOAL_NONE, 0),
	ROW("attach_2", "attach of a broker, 2 processes at once, p50", GOAL_NONE, 0),
	ROW("attach_4", "attach of a broker, 4 processes at once, p50", GOAL_NONE, 0),
	ROW("attach_8", "attach of a broker, 8 processes at once, p50", GOAL_NONE, 0),
	ROW("attach_16", "attach of a broker, 16 processes at once, p50", GOAL_NONE, 0),
	ROW("attach_32", "attach of a broker, 32 processes at once, p50", GOAL_NONE, 0),
	ROW("attach_64", "attach of a broker, 64 processes at once, p50", GOAL_VALUE_AT_MOST, 1e6),
	ROW("attach_64_all", "attach of brokers, 64 at once, until the last is attached", GOAL_NONE,
	    0),
};
const struct bench_case attach_case = { ROWS(rows), .most_rounds = 7, .start = start_attachers,
	                                .open = open_attach, .round = round_attach };
