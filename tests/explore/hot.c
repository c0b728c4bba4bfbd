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
#define WRITER (EXPLORE_THREADS - 1) /* its handle serves for the clock alone */

static uint32_t slot;
static uint64_t limit_of;
/* that the first thread has ended */
static EXPLORE_SHARED k2k_u32 told;
/* by thread */
static unsigned int passed[EXPLORE_THREADS], refused[EXPLORE_THREADS];

/* A tenant whose window has begun, with nothing used of it. */
static void begin(uint64_t limit)
{
	world_begin(&(struct world_sizes){ .tenants = 1, .slots = 4 });
	limit_of = limit;
	k2k_store_relaxed(&told, 0);
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

static void admit_as(int broker)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int code = k2k_message_admit(&world_handles[broker], ID, (struct k2k_audit_tag){ 0, 0 }, 1,
	                             &verdict);

	explore_assert(code == 0 || code == K2K_ERATE);
	explore_assert(code || verdict.used <= verdict.limit);
	(code ? refused : passed)[broker]++;
}

/* One message is spent of a share. */
static void setup_spent(void)
{
	begin_open(2);
	admit_as(2);
}

/* The first broker has credit for one more. */
static void setup_drawn(void)
{
	setup_credit();
	admit_as(0);
}

/* So have the first two. */
static void setup_both_drawn(void)
{
	setup_drawn();
	admit_as(1);
}

static void admit(void)
{
	admit_as(explore_self());
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

static void admit_and_tell(void)
{
	admit();
	k2k_store_release(&told, 1);
}

/* When the first one has ended, or has died. */
static void admit_after(void)
{
	while (!k2k_load_acquire(&told) && explore_is_alive(0))
		explore_yield();
	k2k_fence_seq_cst(); /* as in lib/lock.h */
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

static void fold_and_admit(void)
{
	fold();
	admit();
}

/* Only from what is drawn already. */
static bool spend_as(int broker)
{
	struct k2k_rate_drawn drawn;

	if (!k2k_rate_spend(&world_map, slot, (uint32_t)broker, WORLD_SECOND, 1, true, &drawn))
		return false;
	explore_assert(drawn.used <= drawn.limit);
	return true;
}

static void spend(void)
{
	passed[explore_self()] += spend_as(explore_self());
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

/* The writer's part of an update, up to its commit store. */
static void lower_to(uint64_t limit)
{
	k2k_rate_settle(&world_map, slot, &world_handles[WRITER].clock);
	k2k_tenant_prepare(&world_map, slot, &(struct k2k_limits){ .rate = limit });
	k2k_tenant_flip(&world_map, slot, 0);
}

static void settle(void)
{
	k2k_rate_settle(&world_map, slot, &world_handles[WRITER].clock);
}

static void lower(void)
{
	lower_to(1);
	settle();
}

/* The limit is three, of which two are used, and the shares have credit of a higher one. */
static void setup_lowered(void)
{
	setup_both_drawn();
	lower_to(3);
	limit_of = 3;
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

/*
 * One call a thread may still be counted under a limit that it had loaded. Then the limit of one is
 * used up, and no credit is left.
 */
static void check_lowered(void)
{
	explore_assert(total() == sum(passed));
	explore_outcome("%u", (unsigned int)sum(passed));
	explore_assert(!spend_as(0) && !spend_as(1));
	admit_as(2);
	explore_assert(refused[2] == 1);
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
PROGRAM(hot_observe, .what = "an observer of an open window sees a total that only grows",
        .setup = setup_two, .threads = { observe, admit, fold }, .check = check_limit)
PROGRAM(hot_record, .what = "a record takes the last message of an open window", .setup = setup_one,
        .threads = { admit, record }, .check = check_recorded, .outcomes = { "0", "1" })

/*
 * ---- a broker that dies ------------------------------------------------------------------------
 *
 * Nobody waits for a broker, or asks whether it lives. So what others do beside one that dies at a
 * step they also do beside one that goes on from there, but later: hot_admit and hot_fold have
 * that. What is new with a death is what it leaves.
 */

PROGRAM(hot_dead_after, .what = "what a broker had drawn that died is free for the next",
        .setup = setup_one, .threads = { admit_and_tell, admit_after }, .mortal = 1, .deaths = 1,
        .check = check_limit, .outcomes = { "1" })
PROGRAM(hot_dead_fold, .what = "a broker dies in an admission beside a fold", .setup = setup_two,
        .threads = { admit, fold }, .mortal = 1, .deaths = 1, .check = check_limit,
        .outcomes = { "0", "1" })
PROGRAM(hot_dead_spend, .what = "a broker dies while it spends what it has drawn, beside a fold",
        .setup = setup_drawn, .threads = { admit, fold }, .mortal = 1, .deaths = 1,
        .check = check_limit, .outcomes = { "1", "2" })
PROGRAM(hot_dead_draw, .what = "a broker dies while two draw", .setup = setup_credit,
        .threads = { admit, admit }, .mortal = 1, .deaths = 1, .check = check_limit,
        .outcomes = { "1", "2" })
PROGRAM(hot_dead_last, .what = "another folds and takes the last message that the dead left",
        .setup = setup_one, .threads = { admit, fold_and_admit }, .mortal = 1, .deaths = 1,
        .check = check_limit, .outcomes = { "1" })

/*
 * ---- a limit that falls ------------------------------------------------------------------------
 *
 * First beside one admission; then beside two, of which each has drawn already, and spends; then
 * two after a writer that has stored the new limit and folds no more.
 */

FULL_PROGRAM(hot_limit_falls, .what = "a limit falls from two to one beside an admission",
             .setup = setup_two, .threads = { admit, lower }, .check = check_lowered,
             .outcomes = { "1" })
PROGRAM(hot_limit_falls_drawn, .what = "a limit falls beside a broker that has drawn under it",
        .setup = setup_drawn, .threads = { admit, lower }, .check = check_lowered,
        .outcomes = { "1", "2" })
PROGRAM(hot_limit_falls_spent, .what = "a limit falls beside two that spend what they have drawn",
        .setup = setup_both_drawn, .threads = { spend, spend, lower }, .check = check_lowered,
        .outcomes = { "2", "3", "4" })
PROGRAM(hot_limit_lowered, .what = "two find a window open under a limit that is over",
        .setup = setup_lowered, .threads = { admit, admit }, .check = check_limit,
        .outcomes = { "3" })
PROGRAM(hot_limit_settled, .what = "the writer folds such a window beside an admission",
        .setup = setup_lowered, .threads = { admit, settle }, .check = check_limit,
        .outcomes = { "3" })
