/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * period.c - programs of a budget that renews (lib/period.h, lib/budget_use.c): whoever books first
 * in a period begins it.
 *
 * F6: the uses of all periods are what was booked, so none is lost or counted twice. Each period
 * begins once, its begin is later than that of the one before, and the one before is in the history
 * then. What is booked after a look at the clock counts in no period that is older than that look.
 *
 * The budget renews each hour. Period 1 is that of WORLD_HOUR, and BEFORE_NS is booked in it. Each
 * booking is another power of two, so a use tells which bookings it has.
 */
#include "budget.h"
#include "judge.h"
#include "ledger.h"
#include "period.h"

#define ID 7
#define E 3
#define BEFORE_NS 1024

static const struct k2k_audit_tag tag = { .engagement_id = E };
static struct k2k_shm_period *period;
static k2k_u64 *cost;
static uint64_t booked[EXPLORE_THREADS]; /* by thread: what it was told is booked */

static void book(int thread, uint64_t ns)
{
	explore_assert(k2k_usage_track(&world_handles[thread], ID, tag, ns) == 0);
	booked[thread] += ns;
}

static void setup(void)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_budget budget = { E, 1 << 20 };
	struct k2k_budget_terms terms = { .renewal = K2K_RENEWAL_HOUR };
	struct k2k_hash_key key;
	struct k2k_budget_view view;
	uint64_t word;
	uint32_t slot;

	world_begin(&(struct world_sizes){ .tenants = 1, .engagements = 1, .budgets = 1 });
	for (int i = 0; i < JUDGE; i++) {
		world_broker(i);
		booked[i] = 0;
	}
	judge_begin();
	quota.budgets = &budget;
	quota.budget_terms = &terms;
	quota.budget_count = 1;
	explore_assert(k2k_tenant_register(&world_handles[JUDGE], ID, &quota) == 0);
	explore_assert(k2k_tenant_find(&world_map, ID, &slot, &word) == 0);
	key = (struct k2k_hash_key){ k2k_tenant_generation(word), E, slot };
	explore_assert(k2k_budget_look(&world_map, &key, 1, &view) == 0);
	period = view.period;
	cost = &view.cost->cost_ns;
	book(0, BEFORE_NS);
	booked[0] = 0;
}

/* ---- what has become of them ---------------------------------------------------------------- */

static struct k2k_period_copy list[K2K_PERIODS_KEPT + 1];
static uint32_t closed; /* list[closed] is the current one */

/* The periods that began, all of which are kept, with what the booked time of each adds up to. */
static void check(void)
{
	uint64_t sum = 0, told = BEFORE_NS, untold = explore_end_of(0) != EXPLORE_FINISHED;

	judge_registry();
	k2k_period_list(period, cost, K2K_EVERY_HOUR, 0, list, &closed);
	for (uint32_t i = 0; i <= closed; i++) {
		sum += list[i].used;
		explore_assert(k2k_period_number(list[i].word) == i + 1);
		explore_assert(i == 0 ||
		               k2k_period_begin(list[i].word) > k2k_period_begin(list[i - 1].word));
		explore_outcome("%llu:%llu",
		                (unsigned long long)k2k_period_begin(list[i].word) - WORLD_HOUR,
		                (unsigned long long)list[i].used);
	}
	for (int i = 0; i < EXPLORE_THREADS; i++)
		told += booked[i];
	explore_assert(sum == k2k_load_relaxed(cost));
	explore_assert(sum == told || sum == told + untold);
}

static void book_one(void)
{
	book(explore_self(), 1);
}

static void book_two(void)
{
	book(explore_self(), 2);
}

static void book_four(void)
{
	book(explore_self(), 4);
}

static void next_hour(void)
{
	world_set_hour(WORLD_HOUR + 1);
}

/* Who has set the clock sees it so. */
static void book_in_next_hour(void)
{
	next_hour();
	book_four();
}

/* ---- who begins it -------------------------------------------------------------------------- */

static void setup_over(void)
{
	setup();
	next_hour();
}

PROGRAM(period_two, .what = "two book first in a period, and one of them begins it",
        .setup = setup_over, .threads = { book_one, book_two }, .check = check,
        .outcomes = { "0:1024 1:3" })
FULL_PROGRAM(period_three, .what = "the same for three", .setup = setup_over,
             .threads = { book_one, book_two, book_four }, .check = check,
             .outcomes = { "0:1024 1:7" })
PROGRAM(period_late, .what = "a booking that is late counts in either period, and once",
        .setup = setup, .threads = { book_one, book_in_next_hour }, .check = check,
        .outcomes = { "0:1024 1:5", "0:1025 1:4" })
FULL_PROGRAM(period_two_late, .what = "the same for two that are late", .setup = setup,
             .threads = { book_one, book_in_next_hour, book_two }, .check = check,
             .outcomes = { "0:1024 1:7", "0:1025 1:6", "0:1026 1:5", "0:1027 1:4" })
PROGRAM(period_dead, .what = "who dies in a booking has booked it, and begun the period, or not",
        .setup = setup_over, .threads = { book_one, book_two }, .mortal = 1, .deaths = 1,
        .check = check, .outcomes = { "0:1024 1:2", "0:1024 1:3" })
PROGRAM(period_stopped, .what = "who stands still in a booking holds up nobody",
        .setup = setup_over, .threads = { book_one, book_two }, .stopping = 1, .stops = 1,
        .may_wait = true, .check = check)

/* The clock goes on by an hour, and back. */
static void there_and_back(void)
{
	next_hour();
	world_set_hour(WORLD_HOUR);
}

PROGRAM(period_back, .what = "a clock that steps back begins no period again", .setup = setup,
        .threads = { book_one, book_two, there_and_back }, .check = check,
        .outcomes = { "0:1027", "0:1024 1:3", "0:1025 1:2", "0:1026 1:1" })

/* ---- one after the other -------------------------------------------------------------------- */

static void book_for_two_hours(void)
{
	book_two();
	next_hour();
	book_four();
	world_set_hour(WORLD_HOUR + 2);
}

/* What is booked just before an end may count in the next period. */
PROGRAM(period_next, .what = "a period begins with no less than the one before", .setup = setup,
        .threads = { book_one, book_for_two_hours }, .check = check)

/* ---- readers -------------------------------------------------------------------------------- */

/* The first period has what was booked before and perhaps 1; the second one all else. */
static void look(void)
{
	struct k2k_period_copy copy;

	k2k_period_look(period, cost, &copy);
	if (k2k_period_number(copy.word) == 1)
		explore_assert(copy.used == BEFORE_NS || copy.used == BEFORE_NS + 1);
	else
		explore_assert(copy.used <= 5);
}

PROGRAM(period_look, .what = "a copy has the use of its own period", .setup = setup,
        .threads = { book_one, book_in_next_hour, look }, .check = check)

static void read_list(void)
{
	struct k2k_period_copy copies[K2K_PERIODS_KEPT + 1];
	uint32_t count;

	k2k_period_list(period, cost, K2K_EVERY_HOUR, 0, copies, &count);
	explore_assert(k2k_period_number(copies[count].word) == count + 1);
	explore_assert(count == 0 || (copies[0].used & ~UINT64_C(1)) == BEFORE_NS);
}

PROGRAM(period_list, .what = "who sees a period sees the one before in the history", .setup = setup,
        .threads = { book_one, book_in_next_hour, read_list }, .check = check)

/* ---- administrators ------------------------------------------------------------------------- */

static void setup_admin(void)
{
	setup_over();
	world_admin(1);
}

static void force(void)
{
	explore_assert(k2k_budget_renew(world_self(), ID, tag) == 0);
}

/* A forced period may begin in the hour of the one before. Who dies may have forced one or not. */
static void check_forced(void)
{
	uint64_t sum = 0;

	judge_after_change();
	k2k_period_list(period, cost, K2K_EVERY_HOUR, 0, list, &closed);
	for (uint32_t i = 0; i <= closed; i++) {
		sum += list[i].used;
		explore_assert(k2k_period_number(list[i].word) == i + 1);
	}
	explore_assert(sum == k2k_load_relaxed(cost) && list[0].used == BEFORE_NS);
	explore_assert(closed == 2 || (closed == 1 && explore_end_of(1) == EXPLORE_DEAD));
	explore_outcome(closed == 2 ? "%llu+%llu" : "%llu", (unsigned long long)list[1].used,
	                (unsigned long long)list[2].used);
}

PROGRAM(period_forced, .what = "what is booked beside a forced renewal counts once",
        .setup = setup_admin, .threads = { book_one, force }, .check = check_forced,
        .outcomes = { "0+1", "1+0" })
PROGRAM(period_forced_dead, .what = "who dies in a forced renewal has renewed, or not",
        .setup = setup_admin, .threads = { book_one, force }, .mortal = 2, .deaths = 1,
        .check = check_forced, .outcomes = { "1", "0+1", "1+0" })

static void correct(void)
{
	explore_assert(k2k_usage_correct(world_self(), ID, tag, 64, "why", 0) == 0);
}

/* The account is the cost and the correction. Who dies may have corrected it or not. */
static void check_corrected(void)
{
	judge_after_change();
	k2k_period_list(period, cost, K2K_EVERY_HOUR, 0, list, &closed);
	explore_assert(closed == 1 && list[0].used == BEFORE_NS);
	explore_outcome("%llu", (unsigned long long)list[1].used);
}

PROGRAM(period_corrected, .what = "a correction beside a renewal counts once, in the new period",
        .setup = setup_admin, .threads = { book_one, correct }, .check = check_corrected,
        .outcomes = { "65" })
PROGRAM(period_corrected_dead, .what = "who dies in a correction has corrected, or not",
        .setup = setup_admin, .threads = { book_one, correct }, .mortal = 2, .deaths = 1,
        .check = check_corrected, .outcomes = { "1", "65" })

static void setup_corrected(void)
{
	setup();
	world_admin(0);
}

static void look_corrected(void)
{
	struct k2k_period_copy copy;

	k2k_period_look(period, cost, &copy);
	explore_assert(copy.used == BEFORE_NS + 64 * k2k_period_made(copy.word));
}

PROGRAM(period_look_corrected, .what = "a copy has the correction that its word counts",
        .setup = setup_corrected, .threads = { correct, look_corrected }, .check = judge_registry)
