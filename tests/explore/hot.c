/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hot.c - programs of a window that is open to its brokers' shares (lib/hot.h): open, draw, spend,
 * fold, observe.
 *
 * I3: in the one second of these programs, messages counted by `admit` are at most the limit, and
 * as many as the limit if more was asked, and the total is exact, whatever was drawn.
 */
#include "hot.h"

#include "rate.h"
#include "world.h"

#define ID 7

static uint32_t slot;
static uint64_t limit_of;
/* by thread */
static unsigned int passed[EXPLORE_THREADS], refused[EXPLORE_THREADS];

/* A tenant whose window has begun, with nothing used of it. */
static void begin(uint64_t limit)
{
	world_begin(&(struct world_sizes){ .tenants = 1, .slots = 4 });
	limit_of = limit;
	slot = world_tenant(ID, &(struct k2k_limits){ .rate = limit });
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		world_broker(i);
		passed[i] = refused[i] = 0;
	}
	k2k_store_relaxed(&world_map.cells[slot].window, k2k_rate_pack_second(WORLD_SECOND, 1));
	k2k_store_relaxed(&world_map.cells[slot].ceiling, 0);
}

static void open_now(void)
{
	k2k_hot_open(&world_map, slot, k2k_load_relaxed(&world_map.cells[slot].admitted),
	             WORLD_SECOND);
}

static void begin_open(uint64_t limit)
{
	begin(limit);
	open_now();
	explore_assert(k2k_hot_is(k2k_load_relaxed(&world_map.cells[slot].admitted)));
}

static void setup_one(void)
{
	begin_open(1);
}

static void setup_two(void)
{
	begin_open(2);
}

/* So many that a draw leaves credit for one more. */
static void setup_credit(void)
{
	begin_open(16);
}

static void setup_cold(void)
{
	begin(1);
}

/* One message is spent of a share. */
static void setup_spent(void)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;

	begin_open(2);
	explore_assert(k2k_message_admit(&world_handles[2], ID, (struct k2k_audit_tag){ 0, 0 }, 1,
	                                 &verdict) == 0);
}

static void admit(void)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int code = k2k_message_admit(world_self(), ID, (struct k2k_audit_tag){ 0, 0 }, 1, &verdict);

	explore_assert(code == 0 || code == K2K_ERATE);
	explore_assert(verdict.used <= verdict.limit);
	(code ? refused : passed)[explore_self()]++;
}

static void admit_twice(void)
{
	admit();
	admit();
}

static void open_and_admit(void)
{
	open_now();
	admit();
}

static void record(void)
{
	explore_assert(k2k_message_record(world_self(), ID) == 0);
}

static void fold(void)
{
	explore_assert(k2k_hot_fold(&world_map, slot));
}

static uint64_t total(void)
{
	uint64_t counted;

	explore_assert(k2k_hot_total(&world_map, slot, &counted) != K2K_HOT_DAMAGED);
	return counted;
}

static void observe(void)
{
	uint64_t before = total();

	explore_assert(before <= total() && before <= limit_of);
}

static void lower(void)
{
	k2k_rate_settle(&world_map, slot, &world_self()->clock);
	k2k_tenant_prepare(&world_map, slot, &(struct k2k_limits){ .rate = 1 });
	k2k_tenant_flip(&world_map, slot, 0);
	k2k_rate_settle(&world_map, slot, &world_self()->clock);
}

static uint64_t sum(const unsigned int counts[EXPLORE_THREADS])
{
	uint64_t all = 0;

	for (int i = 0; i < EXPLORE_THREADS; i++)
		all += counts[i];
	return all;
}

/* A thread that died may have counted one that it did not come to tell of. */
static void check_limit(void)
{
	uint64_t untold = explore_end_of(0) == EXPLORE_DEAD, counted = total();

	explore_assert(counted >= sum(passed) && counted <= sum(passed) + untold);
	explore_assert(counted <= limit_of);
	explore_assert(sum(refused) == 0 || counted == limit_of);
	/* what was drawn is free again */
	explore_assert(k2k_hot_fold(&world_map, slot) && total() == counted);
	explore_outcome("%u", (unsigned int)counted);
}

static void check_recorded(void)
{
	explore_assert(total() == sum(passed) + 1 && sum(passed) <= 1);
	explore_outcome("%u", (unsigned int)sum(passed));
}

static void check_spent(void)
{
	explore_assert(!k2k_hot_is(k2k_load_relaxed(&world_map.cells[slot].admitted)));
	explore_assert(total() == 1);
}

/* One call a thread may still be counted under a limit that it had loaded. */
static void check_lowered(void)
{
	explore_assert(total() == sum(passed) && total() <= 2);
	explore_outcome("%u", (unsigned int)sum(passed));
}

PROGRAM(hot_admit, .what = "two brokers admit from an open window with room for one",
        .setup = setup_one, .threads = { admit, admit }, .check = check_limit, .outcomes = { "1" })
FULL_PROGRAM(hot_open, .what = "a window is opened beside an admission", .setup = setup_cold,
             .threads = { open_and_admit, admit }, .check = check_limit, .outcomes = { "1" })
PROGRAM(hot_fold, .what = "an open window is folded beside an admission", .setup = setup_two,
        .threads = { admit, fold }, .check = check_limit, .outcomes = { "1" })
PROGRAM(hot_spend, .what = "a share is folded while its broker spends what it has drawn",
        .setup = setup_credit, .threads = { admit_twice, fold }, .check = check_limit,
        .outcomes = { "2" })
PROGRAM(hot_fold_both, .what = "of two that fold one adds what was spent", .setup = setup_spent,
        .threads = { fold, fold }, .check = check_spent)
PROGRAM(hot_fold_dead, .what = "who dies in a fold leaves it to another", .setup = setup_spent,
        .threads = { fold, fold }, .mortal = 1, .deaths = 1, .check = check_spent)
FULL_PROGRAM(hot_fold_twice, .what = "two fold what a third has spent", .setup = setup_two,
             .threads = { admit, fold, fold }, .check = check_limit, .outcomes = { "1" })
FULL_PROGRAM(hot_dead, .what = "a broker dies at any step of an admission from an open window",
             .setup = setup_one, .threads = { admit, admit }, .mortal = 1, .deaths = 1,
             .check = check_limit)
PROGRAM(hot_observe, .what = "an observer of an open window sees a total that only grows",
        .setup = setup_two, .threads = { observe, admit, fold }, .check = check_limit)
PROGRAM(hot_record, .what = "a record takes the last message of an open window", .setup = setup_one,
        .threads = { admit, record }, .check = check_recorded, .outcomes = { "0", "1" })
FULL_PROGRAM(hot_limit_falls, .what = "a limit falls from two to one while the window is open",
             .setup = setup_two, .threads = { admit, admit, lower }, .check = check_lowered)
