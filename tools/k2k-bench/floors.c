/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floors without liburcu. fetch_add by two processes is in pairs.c. */
#include "bench.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic uint64_t *word;

/* Sequentially consistent, and its result is used, as in a count that is compared with a limit. */
static void loop_fetch_add(void *state, uint64_t calls)
{
	_Atomic uint64_t *p = state;

	for (; calls; calls--)
		USE(atomic_fetch_add(p, 1));
}

static void loop_coarse_clock(void *state, uint64_t calls)
{
	struct timespec ts;

	(void)state;
	for (; calls; calls--) {
		clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
		USE(ts.tv_sec);
	}
}

static void loop_now(void *state, uint64_t calls)
{
	(void)state;
	for (; calls; calls--)
		USE(now_ns());
}

static struct loop loops[] = {
	{ loop_fetch_add, NULL, 0 },
	{ loop_coarse_clock, NULL, 0 },
	{ loop_now, NULL, 0 },
};

static void open_floors(void *state)
{
	(void)state;
	word = shared_memory(4096);
	loops[0].state = word;
}

static void round_floors(void *state, struct sample *samples)
{
	(void)state;
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		samples[i].value = time_loop(&loops[i]);
}

static const struct row_spec rows[] = {
	{ "fetch_add", "atomic_fetch_add on shared memory, one process", UNIT_NS, AGAINST_NOTHING,
	  GOAL_NONE, 0 },
	{ "coarse_clock", "clock_gettime(CLOCK_MONOTONIC_COARSE)", UNIT_NS, AGAINST_NOTHING,
	  GOAL_NONE, 0 },
	{ "timer", "the clock that measures here; part of each latency", UNIT_NS, AGAINST_NOTHING,
	  GOAL_NONE, 0 },
};
const struct bench_case floor_case = { ROWS(rows), .floors = true, .open = open_floors,
	                               .round = round_floors };
