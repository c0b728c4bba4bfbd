/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls for each message, by one process: for one hot tenant, and for many in random order. */
#include "bench.h"

#define TAG ((struct k2k_audit_tag){ 1, 1 })

/* The library is another object, so the compiler can't remove a call. */
#define LOOP(name, prepare, call)                          \
	static void name(void *state, uint64_t calls)      \
	{                                                  \
		struct target *t = state;                  \
		struct k2k_registry *reg = t->reg;         \
		const uint64_t *ids = t->ids;              \
		uint64_t count = t->count, at = t->at;     \
		int bad = 0;                               \
		prepare for (; calls; calls--)             \
		{                                          \
			k2k_tenant_id id = ids[at];        \
			int code = call;                   \
			at = at + 1 == count ? 0 : at + 1; \
			if (code)                          \
				bad = code;                \
		}                                          \
		t->at = at;                                \
		if (bad)                                   \
			die_of(bad, #name);                \
	}

LOOP(loop_check, , k2k_quota_check(reg, id, TAG, 1, NULL))
LOOP(loop_record, , k2k_message_record(reg, id))
LOOP(loop_admit, , k2k_message_admit(reg, id, TAG, 1, NULL))
LOOP(loop_track, , k2k_usage_track(reg, id, TAG, 1000))
LOOP(loop_admit_64, , k2k_message_admit(reg, id, TAG, 64, NULL))
LOOP(loop_admit_verdict, struct k2k_verdict verdict = K2K_VERDICT_INIT;
     , k2k_message_admit(reg, id, TAG, 1, &verdict))
LOOP(loop_get, struct k2k_tenant_info info = { .size = sizeof(info) };
     , k2k_tenant_get(reg, id, &info))

void (*const op_loops[OP_COUNT])(void *, uint64_t) = {
	[OP_CHECK] = loop_check,       [OP_RECORD] = loop_record,
	[OP_ADMIT] = loop_admit,       [OP_TRACK] = loop_track,
	[OP_ADMIT_64] = loop_admit_64, [OP_ADMIT_VERDICT] = loop_admit_verdict,
	[OP_GET] = loop_get,
};

struct walk {
	struct population *population;
	bool hot;
	uint64_t hottest;
	struct target target;
	struct loop loops[OP_COUNT];
};

static void open_walk(void *state)
{
	struct walk *w = state;

	population_need(w->population);
	w->target = (struct target){ w->population->broker, w->population->ids,
		                     w->population->tenants, 0 };
	if (w->hot) {
		/* registered last, so it is the first of its bucket, as 4 of 5 are */
		w->hottest = tenant_id(w->population->tenants - 1);
		w->target.ids = &w->hottest;
		w->target.count = 1;
	}
	/* in random order, each sample is at least one walk over all of them */
	for (int op = 0; op < OP_COUNT; op++)
		w->loops[op] = (struct loop){ op_loops[op], &w->target, w->target.count };
}

/*
 * All tenants are walked once before the timed loop, so that it finds the caches as a walk leaves
 * them.
 */
static void round_walk(void *state, struct sample *samples)
{
	struct walk *w = state;

	for (int op = 0; op < OP_COUNT; op++) {
		if (!w->hot)
			op_loops[op](&w->target, w->target.count);
		samples[op].value = time_loop(&w->loops[op]);
	}
}

#define ROW(name, text, against, goal, target)                              \
	{                                                                   \
		name, text, UNIT_NS, AGAINST_##against, GOAL_##goal, target \
	}
#define HOT_ROWS(suffix, of, goal)                                                             \
	ROW("check_" suffix, "check, " of, FETCH_ADD, goal, 1.6),                              \
		ROW("record_" suffix, "record, " of, FETCH_ADD, NONE, 0),                      \
		ROW("admit_" suffix, "admit, " of, FETCH_ADD, goal, 2.0),                      \
		ROW("track_" suffix, "track, known engagement, " of, FETCH_ADD, goal, 2.5),    \
		ROW("admit_64_" suffix, "admit of 64 messages, in all, " of, FETCH_ADD, goal,  \
	            2.5),                                                                      \
		ROW("admit_verdict_" suffix, "admit with a verdict, " of, FETCH_ADD, NONE, 0), \
		ROW("get_" suffix, "get, " of, FETCH_ADD, NONE, 0)
#define RANDOM_ROWS(suffix, of, against, goal, target)                                             \
	ROW("check_random_" suffix, "check, " of, against, NONE, 0),                               \
		ROW("record_random_" suffix, "record, " of, against, NONE, 0),                     \
		ROW("admit_random_" suffix, "admit, " of, against, goal, target),                  \
		ROW("track_random_" suffix, "track, " of, against, NONE, 0),                       \
		ROW("admit_64_random_" suffix, "admit of 64 messages, in all, " of, against, NONE, \
	            0),                                                                            \
		ROW("admit_verdict_random_" suffix, "admit with a verdict, " of, against, NONE,    \
	            0),                                                                            \
		ROW("get_random_" suffix, "get, " of, against, NONE, 0)

static const struct row_spec hot_rows[] = { HOT_ROWS("hot", "one hot tenant", RATIO_AT_MOST) };
static const struct row_spec random_1k_rows[] = { RANDOM_ROWS("1k", "1,000 tenants at random",
	                                                      FETCH_ADD, RATIO_AT_MOST, 3.0) };
static const struct row_spec random_100k_rows[] = { RANDOM_ROWS("100k", "100,000 tenants at random",
	                                                        LFHT, RATIO_AT_MOST, 1.3) };
static const struct row_spec hot_1m_rows[] = { HOT_ROWS("hot_of_1m", "one hot tenant of 1,000,000",
	                                                NONE) };
static const struct row_spec random_1m_rows[] = { RANDOM_ROWS("1m", "1,000,000 tenants at random",
	                                                      LFHT, NONE, 0) };

static struct walk hot = { .population = &population_1k, .hot = true },
		   random_1k = { .population = &population_1k },
		   random_100k = { .population = &population_100k },
		   hot_1m = { .population = &population_1m, .hot = true },
		   random_1m = { .population = &population_1m };

#define WALK(rows, walk) ROWS(rows), .state = &walk, .open = open_walk, .round = round_walk
const struct bench_case hot_case = { WALK(hot_rows, hot) };
const struct bench_case random_1k_case = { WALK(random_1k_rows, random_1k) };
const struct bench_case random_100k_case = { WALK(random_100k_rows, random_100k) };
const struct bench_case hot_1m_case = { WALK(hot_1m_rows, hot_1m), .big = true };
const struct bench_case random_1m_case = { WALK(random_1m_rows, random_1m), .big = true };

/* ---- an engagement's first use ------------------------------------------------ */

enum { NEW_ENGAGEMENTS = 16384 };

static struct {
	struct k2k_registry *admin, *broker;
} first;

static void open_first(void *state)
{
	char name[K2K_NAME_MAX + 1] = "";

	(void)state;
	/* enough that records of the last sample need not be reusable yet */
	first.admin = create_registry(name, "new", 16, 4 * NEW_ENGAGEMENTS);
	first.broker = open_broker(name);
}

/* Each sample books on new engagements of a tenant, which is deregistered afterwards with them. */
static void round_first(void *state, struct sample *samples)
{
	struct k2k_tenant_totals totals = { .size = sizeof(totals) };
	uint64_t start;
	int code = k2k_tenant_register(first.admin, 1, &high_quota), bad = 0;

	(void)state;
	if (code)
		die_of(code, "registering a tenant");
	start = now_ns();
	for (uint64_t i = 1; i <= NEW_ENGAGEMENTS; i++) {
		code = k2k_usage_track(first.broker, 1, (struct k2k_audit_tag){ 1, tenant_id(i) },
		                       1000);
		if (code)
			bad = code;
	}
	samples[0].value = (double)(now_ns() - start) / NEW_ENGAGEMENTS;
	if (bad)
		die_of(bad, "track of a new engagement");
	code = k2k_tenant_deregister(first.admin, 1, &totals);
	if (code)
		die_of(code, "deregistering a tenant");
}

static const struct row_spec first_rows[] = { ROW("track_new", "track, an engagement's first use",
	                                          FETCH_ADD, NONE, 0) };
const struct bench_case new_engagement_case = { ROWS(first_rows), .open = open_first,
	                                        .round = round_first };
