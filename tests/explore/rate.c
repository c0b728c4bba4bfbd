/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rate.c - programs of the rate words (lib/rate.h): admit, record, a window that rolls, a limit
 * that changes.
 *
 * I3: in each second, messages counted by `admit` are at most the limit, and as many as the limit
 * if more was asked. Which second a message counts in is decided by `admitted`: the window that
 * rolls begins with the value that `admitted` had, its base.
 */
#include "rate.h"

#include "world.h"

#define ID 7

static uint32_t slot;
/* by thread */
static unsigned int passed[EXPLORE_THREADS], recorded[EXPLORE_THREADS];
/* by the second that the verdict names */
static unsigned int granted[2], refused[2];
static uint64_t begun_with; /* `admitted` at the start */

/* A tenant with `limit`, whose window is of `second`, with nothing used of it. */
static void begin(uint64_t limit, uint64_t second)
{
	const struct k2k_limits limits = { .rate = limit, .version = 2 };

	world_begin(&(struct world_sizes){ .tenants = 1 });
	slot = world_tenant(ID, &limits);
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		world_broker(i);
		passed[i] = recorded[i] = 0;
	}
	for (int i = 0; i < 2; i++)
		granted[i] = refused[i] = 0;
	begun_with = 40;
	k2k_store_relaxed(&world_map.cells[slot].admitted, begun_with);
	k2k_store_relaxed(&world_map.cells[slot].window, k2k_rate_pack(second, begun_with));
}

static void admit(void)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int code = k2k_message_admit(world_self(), ID, (struct k2k_audit_tag){ 0, 0 }, 1, &verdict);

	explore_assert(code == 0 || code == K2K_ERATE);
	explore_assert(verdict.window == WORLD_SECOND || verdict.window == WORLD_SECOND + 1);
	explore_assert(code || verdict.used <= verdict.limit);
	(code ? refused : granted)[verdict.window - WORLD_SECOND]++;
	passed[explore_self()] += code == 0;
}

static void admit_twice(void)
{
	admit();
	admit();
}

static void record(void)
{
	explore_assert(k2k_message_record(world_self(), ID) == 0);
	recorded[explore_self()]++;
}

static void tick(void)
{
	world_set_second(WORLD_SECOND + 1);
}

static uint64_t sum(const unsigned int counts[EXPLORE_THREADS])
{
	uint64_t all = 0;

	for (int i = 0; i < EXPLORE_THREADS; i++)
		all += counts[i];
	return all;
}

/* How much was counted in the window of WORLD_SECOND and in the one after. */
static void used(uint64_t counts[2])
{
	uint64_t admitted = k2k_load_relaxed(&world_map.cells[slot].admitted);
	uint64_t window = k2k_load_relaxed(&world_map.cells[slot].window);
	uint64_t base = window & K2K_WINDOW_BASE_MASK;

	counts[0] = counts[1] = 0;
	if (window >> K2K_WINDOW_BASE_BITS == WORLD_SECOND + 1) {
		counts[0] = base - begun_with;
		counts[1] = admitted - base;
	} else {
		explore_assert(base == begun_with);
		counts[0] = admitted - begun_with;
	}
}

static void setup_two(void)
{
	begin(2, WORLD_SECOND);
}

static void setup_one(void)
{
	begin(1, WORLD_SECOND);
}

/* Nobody has sent anything for seconds. */
static void setup_old(void)
{
	begin(2, WORLD_SECOND - 5);
}

/*
 * A message that is granted between a roller's look and its roll names the old second, and takes
 * room in the new one: so a refusal is right if as many as the limit name its second, or count in
 * it. A thread that died may have counted one that it did not come to tell of.
 */
static void check_limit_of(uint64_t limit)
{
	uint64_t counts[2], untold = explore_end_of(0) == EXPLORE_DEAD;

	used(counts);
	explore_assert(counts[0] + counts[1] - sum(passed) <= untold);
	for (int i = 0; i < 2; i++) {
		explore_assert(counts[i] <= limit);
		explore_assert(refused[i] == 0 || counts[i] == limit || granted[i] == limit);
	}
	explore_outcome("%u+%u", (unsigned int)counts[0], (unsigned int)counts[1]);
}

static void check_two(void)
{
	check_limit_of(2);
}

static void check_one(void)
{
	check_limit_of(1);
}

PROGRAM(rate_admit, .what = "three admissions of one second share a limit of two",
        .setup = setup_two, .threads = { admit, admit, admit }, .check = check_two,
        .outcomes = { "2+0" })
PROGRAM(rate_admit_dead, .what = "a broker that dies leaves nothing behind", .setup = setup_two,
        .threads = { admit, admit, admit }, .mortal = 1, .deaths = 1, .check = check_two)
PROGRAM(rate_roll, .what = "a window rolls while two broker admit twice", .setup = setup_one,
        .threads = { admit_twice, admit_twice, tick }, .check = check_one,
        .outcomes = { "1+0", "0+1", "1+1" })
PROGRAM(rate_roll_two, .what = "a window that another begins has room", .setup = setup_two,
        .threads = { admit, admit_twice, tick }, .check = check_two)
PROGRAM(rate_roll_three, .what = "a window rolls while three broker admit", .setup = setup_one,
        .threads = { admit, admit, admit, tick }, .check = check_one,
        .outcomes = { "1+0", "0+1", "1+1" })
PROGRAM(rate_old, .what = "three find a window of seconds ago", .setup = setup_old,
        .threads = { admit, admit, admit }, .check = check_two, .outcomes = { "2+0" })

/* What `record` counts takes room, and is never refused. */
static void check_recorded(void)
{
	uint64_t counts[2];

	used(counts);
	explore_assert(counts[0] + counts[1] == sum(passed) + sum(recorded));
	explore_assert(sum(recorded) == 2);
	explore_assert(counts[0] <= 4 && sum(passed) <= 4);
	explore_outcome("%u of %u", (unsigned int)sum(passed),
	                (unsigned int)(counts[0] + counts[1]));
}

PROGRAM(rate_record, .what = "two records beside two admissions", .setup = setup_two,
        .threads = { admit_twice, record, record }, .check = check_recorded,
        .outcomes = { "0 of 2", "1 of 3", "2 of 4" })
PROGRAM(rate_record_roll, .what = "a record rolls the window beside an admission",
        .setup = setup_one, .threads = { admit, record, record, tick }, .check = check_recorded)

/* ---- a limit that changes ------------------------------------------------------------- */

/* The writer's part of an update: the other set, then the version. */
static void update_to(uint64_t rate)
{
	const struct k2k_limits limits = { .rate = rate };

	k2k_tenant_prepare(&world_map, slot, &limits);
	k2k_tenant_flip(&world_map, slot);
}

static void lower(void)
{
	update_to(1);
}

static void raise_and_lower(void)
{
	update_to(3);
	update_to(1);
}

/* One call a thread may still be counted under a limit that it had loaded. */
static void check_changed(void)
{
	uint64_t counts[2];

	used(counts);
	explore_assert(counts[0] == sum(passed) && counts[0] <= 3);
	explore_outcome("%u", (unsigned int)counts[0]);
}

PROGRAM(rate_limit_falls, .what = "a limit falls from two to one beside three admissions",
        .setup = setup_two, .threads = { admit_twice, admit, lower }, .check = check_changed,
        .outcomes = { "1", "2" })
PROGRAM(rate_limit_changes, .what = "a limit rises from two to three, and falls to one",
        .setup = setup_two, .threads = { admit_twice, admit_twice, raise_and_lower },
        .check = check_changed, .outcomes = { "1", "2", "3" })
