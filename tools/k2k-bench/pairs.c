/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two processes on two processors call at the same time: for two tenants, for one tenant, and, as
 * the floor, fetch_add on one word. Each runs for a fixed time and counts its calls, so that both
 * run all the time.
 */
#include "bench.h"

#include <stdatomic.h>
#include <string.h>

enum { PAIR = 2, OPS = OP_TRACK + 1, BATCH = 512 };
enum { ORDER_ATTACH, ORDER_RUN, FETCH_ADD = OPS };

static struct area {
	char registry[K2K_NAME_MAX + 1];
	uint64_t ids[PAIR];
	/* what to measure, for which tenants, by which processes */
	int op;
	bool apart;
	bool runs[PAIR];
	struct meeting meeting;
	_Alignas(128) _Atomic uint64_t word;
	struct {
		_Alignas(128) double ns;
		bool disturbed;
	} result[PAIR];
} * area;

static struct k2k_registry *attached;

static void loop_fetch_add(void *state, uint64_t calls)
{
	_Atomic uint64_t *p = state;

	for (; calls; calls--)
		USE(atomic_fetch_add(p, 1));
}

static void run(unsigned int worker)
{
	struct target target = { attached, &area->ids[area->apart ? worker : 0], 1, 0 };
	void (*loop)(void *, uint64_t) = area->op == FETCH_ADD ? loop_fetch_add
	                                                       : op_loops[area->op];
	void *state = area->op == FETCH_ADD ? (void *)&area->word : &target;
	uint64_t calls = 0, start, now, switches;

	loop(state, BATCH); /* warms the caches, and maps the memory */
	meet(&area->meeting, area->runs[0] + area->runs[1]);
	switches = switches_count();
	start = now_ns();
	do {
		loop(state, BATCH);
		calls += BATCH;
		now = now_ns();
	} while (now - start < 2 * options.sample_ns);
	area->result[worker].ns = (double)(now - start) / (double)calls;
	area->result[worker].disturbed = switches_count() != switches;
}

static void work(void *context, unsigned int worker, unsigned int order)
{
	(void)context;
	if (order == ORDER_ATTACH) {
		pin_to(worker);
		attached = open_broker(area->registry);
	} else if (area->runs[worker]) {
		run(worker);
	}
}

static struct workers pair = { .size = PAIR, .work = work };

static void start_pair(void *state)
{
	(void)state;
	area = shared_memory(sizeof(*area));
	workers_start(&pair);
}

static void open_pair(void *state)
{
	(void)state;
	population_need(&population_1k);
	for (int i = 0; i < PAIR; i++)
		area->ids[i] = population_1k.ids[i];
	strcpy(area->registry, population_1k.name);
	workers_run(&pair, PAIR, ORDER_ATTACH);
	workers_wait(&pair, PAIR);
}

/* Repeats a sample in which one was preempted: they did not run at the same time then. */
static void let_run(int op, bool apart, bool first, bool second)
{
	int tries = 0;

	area->op = op;
	area->apart = apart;
	area->runs[0] = first;
	area->runs[1] = second;
	do {
		workers_run(&pair, PAIR, ORDER_RUN);
		workers_wait(&pair, PAIR);
	} while (++tries < TRIES &&
	         ((first && area->result[0].disturbed) || (second && area->result[1].disturbed)));
}

/*
 * The time between two calls of one process if both were equally fast: twice the inverse of their
 * joint speed.
 */
static double mean_ns(void)
{
	return 2 / (1 / area->result[0].ns + 1 / area->result[1].ns);
}

static void round_pair(void *state, struct sample *samples)
{
	(void)state;
	let_run(FETCH_ADD, false, true, true);
	samples[0].value = mean_ns();
	for (int op = 0; op < OPS; op++) {
		struct sample *one = &samples[1 + 2 * op], *apart = one + 1;
		double alone[PAIR], speed[PAIR];

		let_run(op, false, true, true);
		one->value = mean_ns();
		let_run(op, true, true, false);
		alone[0] = area->result[0].ns;
		let_run(op, true, false, true);
		alone[1] = area->result[1].ns;
		let_run(op, true, true, true);
		apart->value = mean_ns();
		for (int i = 0; i < PAIR; i++)
			speed[i] = alone[i] / area->result[i].ns;
		apart->ratio = speed[0] < speed[1] ? speed[0] : speed[1];
	}
}

#define PAIR_ROWS(name, goal)                                                                 \
	{ name "_two_on_one",                                                                 \
	  name ", 2 processes on one tenant",                                                 \
	  UNIT_NS,                                                                            \
	  AGAINST_FETCH_ADD_TWO,                                                              \
	  goal,                                                                               \
	  0.35 },                                                                             \
	{                                                                                     \
		name "_two_apart",                                                            \
			name ", 2 processes on 2 tenants; ratio: the slower to itself alone", \
			UNIT_NS, AGAINST_ALONE, goal, 0.9                                     \
	}
static const struct row_spec rows[] = {
	{ "fetch_add_two", "atomic_fetch_add on one word, 2 processes at once", UNIT_NS,
	  AGAINST_NOTHING, GOAL_NONE, 0 },
	PAIR_ROWS("check", GOAL_NONE),
	PAIR_ROWS("record", GOAL_NONE),
	PAIR_ROWS("admit", GOAL_RATIO_AT_LEAST),
	PAIR_ROWS("track", GOAL_NONE),
};
const struct bench_case pair_case = { ROWS(rows), .floors = true, .start = start_pair,
	                              .open = open_pair, .round = round_pair };
