/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * alert.c - programs of thresholds (lib/alert.h, lib/watch.h).
 *
 * F7: a threshold is reported at most once in a second, a period or a version, however many reach
 * it at once. Whoever dies between the word and the event takes its own reports with it, and no
 * other. Who has counted last finds the word as high as what is used. A check beside a report finds
 * no damage.
 */
#include "alert.h"

#include <string.h>

#include "judge.h"
#include "lease.h"
#include "rate.h"
#include "verify.h"
#include "watch.h"

#define ID 7
#define E 3
#define HALF 50

static const struct k2k_audit_tag tag = { .engagement_id = E };
static struct k2k_ring rings[JUDGE];
static uint32_t slot;

/* Brokers with a trail. The tenant has one limit and the thresholds of half of it and of all. */
static void begin(struct k2k_quota *quota)
{
	uint64_t word;

	world_begin(&(struct world_sizes){ .tenants = 1,
	                                   .engagements = 1,
	                                   .budgets = 2,
	                                   .leases = 4,
	                                   .events = 8,
	                                   .slots = 4 });
	for (int i = 0; i < JUDGE; i++) {
		struct k2k_trail *trail = &world_handles[i].trail;

		world_broker(i);
		rings[i] = k2k_ring_of(&world_map, K2K_RING_REJECTIONS((uint32_t)i));
		k2k_ring_own(&rings[i]);
		trail->map = &world_map;
		trail->clock = &world_handles[i].clock;
		trail->pid = 1;
		trail->incarnation = world_incarnation(i);
		trail->ring = rings[i];
	}
	judge_begin();
	quota->alerts[0] = HALF;
	quota->alerts[1] = 100;
	explore_assert(k2k_tenant_register(&world_handles[JUDGE], ID, quota) == 0);
	explore_assert(k2k_tenant_find(&world_map, ID, &slot, &word) == 0);
}

/* ---- reports ----------------------------------------------------------------------------- */

/* How often the threshold was reported in this sequence, by all brokers. */
static unsigned int count_reports(uint32_t percent, uint64_t sequence)
{
	unsigned int count = 0;

	for (int i = 0; i < JUDGE; i++)
		for (uint64_t n = 1; n <= k2k_load_relaxed(&rings[i].shared->claimed); n++) {
			struct k2k_event_copy copy;
			const uint64_t *values = copy.body.more.change.values;

			if (k2k_ring_read(&rings[i], n, true, &copy) == K2K_EVENT_THERE)
				count += values[K2K_AUDIT_ALERT_PERCENT] == percent &&
				         values[K2K_AUDIT_ALERT_SEQUENCE] == sequence;
		}
	return count;
}

static void admit(void)
{
	explore_assert(k2k_message_admit(world_self(), ID, tag, 1, NULL) == 0);
}

static void record(void)
{
	explore_assert(k2k_message_record(world_self(), ID) == 0);
}

static void setup_rate(void)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.max_messages_per_sec = 2;
	begin(&quota);
}

static void check_reports(void)
{
	bool dead = explore_end_of(0) == EXPLORE_DEAD;

	for (uint32_t percent = HALF; percent <= 100; percent += HALF) {
		unsigned int reports = count_reports(percent, WORLD_SECOND);

		explore_assert(reports == 1 || (reports == 0 && dead));
	}
	explore_assert(dead || k2k_load_relaxed(&world_map.cells_cold[slot].alert_rate) ==
	                               k2k_alert_word(WORLD_SECOND, 100));
	judge_registry();
}

PROGRAM(alert_two, .what = "of two that reach both thresholds each is reported once",
        .setup = setup_rate, .threads = { admit, admit }, .check = check_reports)
PROGRAM(alert_two_records, .what = "the same for two that record", .setup = setup_rate,
        .threads = { record, record }, .check = check_reports)
PROGRAM(alert_dead, .what = "one that dies takes no report of the other's with it",
        .setup = setup_rate, .threads = { admit, admit }, .mortal = 1, .deaths = 1,
        .check = check_reports)

/* ---- a check beside it --------------------------------------------------------------------- */

/* One round of k2k_registry_check(), which takes what it finds for true if five of them find it. */
static void check_beside(void)
{
	static struct k2k_verify verify;
	struct k2k_registry *reg = world_self();

	verify = (struct k2k_verify){ .map = &reg->map,
		                      .clock = &reg->clock,
		                      .liveness = &reg->liveness,
		                      .defs_header = &reg->defs.header,
		                      .live_header = &reg->live.header };
	k2k_verify_live(&verify);
	if (verify.count)
		explore_fail(__FILE__, __LINE__, "%s: %s", verify.list[0].object,
		             verify.list[0].text);
}

static void pass_seconds(void)
{
	world_set_second(WORLD_SECOND + 1 + K2K_RATE_SECONDS_AHEAD);
}

static void admit_later(void)
{
	pass_seconds();
	admit();
}

PROGRAM(alert_checked, .what = "a check knows the second in which a rate was reported",
        .setup = setup_rate, .threads = { admit_later, check_beside })

static void setup_leases(void)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_lease lease = K2K_LEASE_INIT;

	quota.max_concurrent_kernels = 2;
	begin(&quota);
	explore_assert(k2k_kernel_acquire(&world_handles[0], ID, &lease, NULL) == 0);
}

static void watch_later(void)
{
	pass_seconds();
	k2k_watch_leases(world_self(), WORLD_SECOND + 1 + K2K_RATE_SECONDS_AHEAD);
}

PROGRAM(alert_checked_leases, .what = "the same for leases", .setup = setup_leases,
        .threads = { watch_later, check_beside })

static void setup_budget(uint32_t renewal)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_budget budget = { E, 8 };
	struct k2k_budget_terms terms = { .renewal = renewal };

	quota.budgets = &budget;
	quota.budget_terms = &terms;
	quota.budget_count = 1;
	begin(&quota);
}

static void setup_period(void)
{
	setup_budget(K2K_RENEWAL_HOUR);
}

static void book_in_next_hour(void)
{
	world_set_hour(WORLD_HOUR + 1);
	explore_assert(k2k_usage_track(world_self(), ID, tag, 4) == 0);
}

PROGRAM(alert_checked_period, .what = "a check knows the period in which a budget was reported",
        .setup = setup_period, .threads = { book_in_next_hour, check_beside })

/* 2 are booked, which is less than half of 8. */
static void setup_cost(void)
{
	setup_budget(K2K_RENEWAL_NEVER);
	explore_assert(k2k_usage_track(&world_handles[0], ID, tag, 2) == 0);
	world_admin(1);
}

static void replace_budget(void)
{
	explore_assert(k2k_budget_set(world_self(), ID, E, 2) == 0);
}

PROGRAM(alert_checked_cost, .what = "a check knows the version in which a budget was reported",
        .setup = setup_cost, .threads = { check_beside, replace_budget })

/* 6 of 8 or of 7 are booked in the end: who looks last sees it, under either definition. */
static void book(void)
{
	explore_assert(k2k_usage_track(world_self(), ID, tag, 4) == 0);
}

static void lower_budget(void)
{
	explore_assert(k2k_budget_set(world_self(), ID, E, 7) == 0);
}

static void check_level(void)
{
	uint64_t word = k2k_load_relaxed(&world_map.ledger[0].alerts);

	explore_assert(k2k_alert_level_of(word) == HALF);
	judge_registry();
}

PROGRAM(alert_replaced, .what = "a threshold that is reached while the budget changes is reported",
        .setup = setup_cost, .threads = { book, lower_budget }, .check = check_level)
