/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_alerts.c - thresholds of limits: what is reported, when, and how often. The clocks only move
 * when the test moves them.
 */
#include "alert.h"
#include "registry_fixture.h"
#include "trail_reader.h"
#include "watch.h"

#define HOUR (3600 * SECOND)
enum { TENANT = 5, ENGAGEMENT = 7 };

static _Atomic uint64_t wall_ns;
static struct reader reader;

static void open_quota(struct fixture *f, const struct k2k_quota *quota)
{
	fixture_open(f);
	atomic_store(&wall_ns, 400000 * HOUR);
	f->broker->clock.injected_wall_ns = &wall_ns;
	f->admin->clock.injected_wall_ns = &wall_ns;
	reader_open(&reader, f->admin);
	assert_int_equal(k2k_tenant_register(f->admin, TENANT, quota), 0);
}

static struct k2k_quota quota_with(uint8_t first, uint8_t second)
{
	struct k2k_quota quota = quota_unlimited();

	quota.alerts[0] = first;
	quota.alerts[1] = second;
	return quota;
}

/* A tenant with this rate in windows of `period`, and thresholds of 50 and 80. */
static void open_rate(struct fixture *f, uint64_t rate, uint32_t period)
{
	struct k2k_quota quota = quota_with(50, 80);

	quota.max_messages_per_sec = rate;
	quota.rate_period = period;
	open_quota(f, &quota);
}

/* A tenant with this budget, and thresholds of 50 and 80. */
static void open_budget(struct fixture *f, uint64_t budget_ns, uint32_t renewal)
{
	struct k2k_budget budget = { ENGAGEMENT, budget_ns };
	struct k2k_budget_terms terms = { .renewal = renewal };
	struct k2k_quota quota = quota_with(50, 80);

	quota.budgets = &budget;
	quota.budget_count = 1;
	quota.budget_terms = &terms;
	open_quota(f, &quota);
}

static void set_budget(struct fixture *f, uint64_t ns)
{
	assert_int_equal(k2k_budget_set(f->admin, TENANT, ENGAGEMENT, ns), 0);
}

static int admit(struct fixture *f, uint64_t n)
{
	return k2k_message_admit(f->broker, TENANT, tag_of(3, 4), n, NULL);
}

static void track(struct fixture *f, uint64_t ns)
{
	assert_int_equal(k2k_usage_track(f->broker, TENANT, tag_of(1, ENGAGEMENT), ns), 0);
}

static struct k2k_tenant_info tenant_of(struct fixture *f)
{
	struct k2k_tenant_info info = { .size = sizeof info };

	assert_int_equal(k2k_tenant_get(f->admin, TENANT, &info), 0);
	return info;
}

static uint32_t budget_alerted(struct fixture *f)
{
	struct k2k_budget_info info = { .size = sizeof info };
	size_t count;

	assert_int_equal(k2k_budget_list(f->admin, TENANT, &info, 1, &count), 0);
	assert_int_equal(count, 1);
	return info.alerted;
}

/* Takes what is new; the alerts among it are `percents`, which ends with 0. */
static void need(enum k2k_alert_limit limit, const uint32_t *percents)
{
	size_t found = 0;

	/* a rejection stays open until the clock moves; alerts are complete */
	reader_take(&reader, K2K_AUDIT_OPEN_TOO);
	for (size_t i = 0; i < reader.count; i++) {
		const struct k2k_audit_record *r = &reader.records[i];

		if (r->kind != K2K_AUDIT_KIND_ALERT)
			continue;
		assert_int_equal(r->values[K2K_AUDIT_ALERT_PERCENT], percents[found++]);
		assert_int_equal(r->values[K2K_AUDIT_ALERT_LIMIT], limit);
		assert_int_equal(r->tenant, TENANT);
		assert_int_equal(r->level, K2K_AUDIT_WARNING);
		assert_int_equal(r->count, 1);
		assert_true(r->used * 100 >= r->limit * percents[found - 1]);
	}
	assert_int_equal(percents[found], 0);
}

#define NEED(limit, ...) need(limit, (const uint32_t[]){ __VA_ARGS__ __VA_OPT__(, ) 0 })

/* ---- the word ------------------------------------------------------------------------ */

TEST(a_list_of_thresholds_ascends_from_1_to_100)
{
	assert_true(k2k_alert_is_list(0));
	assert_true(k2k_alert_is_list(1));
	assert_true(k2k_alert_is_list(100));
	assert_true(k2k_alert_is_list(0x64636261));
	assert_false(k2k_alert_is_list(101));
	assert_false(k2k_alert_is_list(0x5050));
	assert_false(k2k_alert_is_list(0x3250));
	assert_false(k2k_alert_is_list(0x5000));
	assert_false(k2k_alert_is_list(0x50000050));
}

TEST(the_level_is_the_highest_threshold_that_is_reached_exactly)
{
	uint32_t alerts = 50 | 80 << 8 | 100 << 16;

	assert_int_equal(k2k_alert_level(alerts, 0, 10), 0);
	assert_int_equal(k2k_alert_level(alerts, 4, 10), 0);
	assert_int_equal(k2k_alert_level(alerts, 5, 10), 50);
	assert_int_equal(k2k_alert_level(alerts, 7, 9), 50); /* 77.8 % */
	assert_int_equal(k2k_alert_level(alerts, 8, 10), 80);
	assert_int_equal(k2k_alert_level(alerts, 10, 10), 100);
	assert_int_equal(k2k_alert_level(alerts, 1000, 10), 100);
	assert_int_equal(k2k_alert_level(alerts, UINT64_MAX, UINT64_MAX - 1), 100);
	assert_int_equal(k2k_alert_level(alerts, UINT64_MAX / 2, UINT64_MAX - 1), 50);
	assert_int_equal(k2k_alert_level(alerts, UINT64_MAX / 2 - 1, UINT64_MAX - 1), 0);
	assert_int_equal(k2k_alert_level(alerts, 5, 0), 0);
	assert_int_equal(k2k_alert_level(alerts, UINT64_MAX, UINT64_MAX), 0);
	assert_int_equal(k2k_alert_level(0, 10, 10), 0);
}

TEST(a_word_never_goes_to_an_older_sequence_or_down)
{
	k2k_u64 word = 0;
	uint32_t before;

	assert_true(k2k_alert_raise(&word, 7, 50, &before));
	assert_int_equal(before, 0);
	assert_false(k2k_alert_raise(&word, 7, 50, &before));
	assert_true(k2k_alert_raise(&word, 7, 80, &before));
	assert_int_equal(before, 50);
	assert_false(k2k_alert_raise(&word, 7, 50, &before));
	assert_false(k2k_alert_raise(&word, 6, 100, &before));
	assert_true(k2k_alert_raise(&word, 8, 50, &before));
	assert_int_equal(before, 0);
	assert_int_equal(word, k2k_alert_word(8, 50));
}

TEST(a_word_that_follows_goes_down_too_but_not_twice_in_a_second)
{
	k2k_u64 word = 0;
	uint32_t before;

	assert_false(k2k_alert_follow(&word, 7, 0, &before));
	assert_true(k2k_alert_follow(&word, 7, 80, &before));
	assert_int_equal(before, 0);
	assert_false(k2k_alert_follow(&word, 7, 0, &before));
	assert_false(k2k_alert_follow(&word, 8, 80, &before));
	assert_true(k2k_alert_follow(&word, 8, 50, &before));
	assert_int_equal(before, 80);
	assert_false(k2k_alert_follow(&word, 7, 80, &before));
	assert_int_equal(word, k2k_alert_word(8, 50));
}

/* ---- the definition -------------------------------------------------------------------- */

TEST(thresholds_that_can_not_be_any_are_refused_and_change_nothing)
{
	struct k2k_quota quota = quota_with(80, 80);
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, TENANT, &quota), K2K_EINVAL);
	assert_string_equal(k2k_error_detail()->field, "alerts");
	quota = quota_with(101, 0);
	assert_int_equal(k2k_tenant_register(f.admin, TENANT, &quota), K2K_EINVAL);
	quota = quota_with(0, 80);
	assert_int_equal(k2k_tenant_register(f.admin, TENANT, &quota), K2K_EINVAL);
	assert_int_equal(tenants(f.admin), 0);
	fixture_close(&f);
}

TEST(a_register_and_an_update_set_thresholds_and_are_audited)
{
	struct k2k_quota quota = quota_with(50, 80);
	const struct k2k_audit_record *r;
	struct k2k_tenant_info info;
	struct fixture f;

	open_quota(&f, &quota);
	info = tenant_of(&f);
	assert_memory_equal(info.alerts, ((uint8_t[]){ 50, 80, 0, 0 }), 4);
	quota = quota_with(90, 0);
	assert_int_equal(k2k_tenant_update(f.admin, TENANT, &quota, K2K_UPDATE_ALERTS), 0);
	info = tenant_of(&f);
	assert_memory_equal(info.alerts, ((uint8_t[]){ 90, 0, 0, 0 }), 4);
	/* an update of something else leaves them */
	quota.max_concurrent_kernels = 3;
	quota.alerts[0] = 10;
	assert_int_equal(k2k_tenant_update(f.admin, TENANT, &quota, K2K_UPDATE_KERNELS), 0);
	assert_memory_equal(tenant_of(&f).alerts, ((uint8_t[]){ 90, 0, 0, 0 }), 4);
	quota = quota_with(0, 0);
	assert_int_equal(k2k_tenant_update(f.admin, TENANT, &quota, K2K_UPDATE_ALERTS), 0);
	assert_int_equal(tenant_of(&f).alerts[0], 0);
	/* the same again is no change */
	assert_int_equal(k2k_tenant_update(f.admin, TENANT, &quota, K2K_UPDATE_ALERTS), 0);
	reader_take_all(&reader);
	r = reader_need(&reader, K2K_AUDIT_KIND_REGISTER, 0);
	assert_int_equal(r->values[K2K_AUDIT_REGISTER_ALERTS], 50 | 80 << 8);
	r = reader_need(&reader, K2K_AUDIT_KIND_UPDATE, 0);
	assert_int_equal(r->values[K2K_AUDIT_REGISTER_ALERTS], 90);
	assert_int_equal(r->values[K2K_AUDIT_REGISTER_MASK], K2K_UPDATE_ALERTS);
	assert_int_equal(
		reader_need(&reader, K2K_AUDIT_KIND_UPDATE, 2)->values[K2K_AUDIT_REGISTER_ALERTS],
		0);
	assert_null(reader_find(&reader, K2K_AUDIT_KIND_UPDATE, 3));
	fixture_close(&f);
}

/* ---- the rate ---------------------------------------------------------------------------- */

TEST(each_threshold_of_a_rate_is_reported_once_a_second)
{
	const struct k2k_audit_record *r;
	struct fixture f;

	open_rate(&f, 10, K2K_PERIOD_SECOND);
	for (int second = 0; second < 3; second++) {
		assert_int_equal(admit(&f, 4), 0);
		NEED(K2K_ALERT_RATE);
		assert_int_equal(admit(&f, 1), 0);
		NEED(K2K_ALERT_RATE, 50);
		r = reader_need(&reader, K2K_AUDIT_KIND_ALERT, 0);
		assert_int_equal(r->used, 5);
		assert_int_equal(r->limit, 10);
		assert_int_equal(r->tag.org_id, 3);
		assert_int_equal(r->values[K2K_AUDIT_ALERT_SEQUENCE], 1000 + second);
		assert_int_equal(tenant_of(&f).alerted_rate, 50);
		assert_int_equal(admit(&f, 5), 0);
		NEED(K2K_ALERT_RATE, 80);
		assert_int_equal(tenant_of(&f).alerted_rate, 80);
		assert_int_equal(admit(&f, 1), K2K_ERATE);
		NEED(K2K_ALERT_RATE);
		atomic_fetch_add(&f.clock_ns, SECOND);
	}
	/* the last one is shown for a minute */
	atomic_fetch_add(&f.clock_ns, 58 * SECOND);
	assert_int_equal(tenant_of(&f).alerted_rate, 80);
	atomic_fetch_add(&f.clock_ns, SECOND);
	assert_int_equal(tenant_of(&f).alerted_rate, 0);
	fixture_close(&f);
}

TEST(one_message_may_reach_several_thresholds)
{
	struct fixture f;

	open_rate(&f, 10, K2K_PERIOD_SECOND);
	assert_int_equal(admit(&f, 10), 0);
	NEED(K2K_ALERT_RATE, 50, 80);
	fixture_close(&f);
}

TEST(a_long_window_is_reported_once_while_it_lasts)
{
	struct fixture f;

	open_rate(&f, 10, K2K_PERIOD_HOUR);
	assert_int_equal(admit(&f, 8), 0);
	NEED(K2K_ALERT_RATE, 50, 80);
	atomic_fetch_add(&f.clock_ns, 3000 * SECOND);
	assert_int_equal(admit(&f, 1), 0);
	NEED(K2K_ALERT_RATE);
	assert_int_equal(tenant_of(&f).alerted_rate, 80);
	atomic_fetch_add(&f.clock_ns, 600 * SECOND);
	assert_int_equal(tenant_of(&f).alerted_rate, 0);
	assert_int_equal(admit(&f, 5), 0);
	NEED(K2K_ALERT_RATE, 50);
	fixture_close(&f);
}

TEST(of_a_bucket_the_used_part_of_its_burst_is_reported)
{
	struct k2k_quota quota = quota_with(50, 80);
	struct fixture f;

	quota.max_messages_per_sec = 1;
	quota.burst = 10;
	quota.rate_policy = K2K_RATE_BUCKET;
	open_quota(&f, &quota);
	assert_int_equal(admit(&f, 4), 0);
	NEED(K2K_ALERT_RATE);
	assert_int_equal(admit(&f, 4), 0);
	NEED(K2K_ALERT_RATE, 50, 80);
	assert_int_equal(admit(&f, 1), 0);
	NEED(K2K_ALERT_RATE);
	/* a second later one token has come back: 9 of 10 are used */
	atomic_fetch_add(&f.clock_ns, SECOND);
	assert_int_equal(admit(&f, 1), 0);
	NEED(K2K_ALERT_RATE, 50, 80);
	fixture_close(&f);
}

TEST(record_reaches_a_threshold_too)
{
	struct fixture f;

	open_rate(&f, 4, K2K_PERIOD_SECOND);
	for (int i = 0; i < 6; i++)
		assert_int_equal(k2k_message_record(f.broker, TENANT), 0);
	NEED(K2K_ALERT_RATE, 50, 80);
	fixture_close(&f);
}

TEST(a_check_an_unlimited_rate_and_a_rejection_reach_none)
{
	struct fixture f;
	struct k2k_quota quota = quota_with(50, 80);

	open_rate(&f, 10, K2K_PERIOD_SECOND);
	assert_int_equal(k2k_quota_check(f.broker, TENANT, no_tag, 10, NULL), 0);
	assert_int_equal(admit(&f, 11), K2K_ERATE);
	NEED(K2K_ALERT_RATE);
	assert_int_equal(k2k_tenant_update(f.admin, TENANT, &quota, K2K_UPDATE_RATE), 0);
	assert_int_equal(admit(&f, 1000), 0);
	NEED(K2K_ALERT_RATE);
	fixture_close(&f);
}

TEST(a_lowered_rate_is_reported_with_the_next_message)
{
	struct k2k_quota quota = quota_with(50, 80);
	struct fixture f;

	open_rate(&f, 100, K2K_PERIOD_SECOND);
	assert_int_equal(admit(&f, 7), 0);
	quota.max_messages_per_sec = 10;
	assert_int_equal(k2k_tenant_update(f.admin, TENANT, &quota, K2K_UPDATE_RATE), 0);
	NEED(K2K_ALERT_RATE);
	assert_int_equal(admit(&f, 1), 0);
	NEED(K2K_ALERT_RATE, 50, 80);
	fixture_close(&f);
}

/* ---- budgets ------------------------------------------------------------------------------ */

TEST(each_threshold_of_a_budget_is_reported_once_a_period)
{
	const struct k2k_audit_record *r;
	struct fixture f;

	open_budget(&f, 1000, K2K_RENEWAL_HOUR);
	for (uint64_t hour = 0; hour < 3; hour++) {
		track(&f, 499);
		NEED(K2K_ALERT_BUDGET);
		assert_int_equal(budget_alerted(&f), 0);
		track(&f, 1);
		NEED(K2K_ALERT_BUDGET, 50);
		r = reader_need(&reader, K2K_AUDIT_KIND_ALERT, 0);
		assert_int_equal(r->used, 500);
		assert_int_equal(r->limit, 1000);
		assert_int_equal(r->tag.org_id, 1);
		assert_int_equal(r->tag.engagement_id, ENGAGEMENT);
		assert_int_equal(r->values[K2K_AUDIT_ALERT_SEQUENCE], 1 + hour);
		track(&f, 700);
		NEED(K2K_ALERT_BUDGET, 80);
		track(&f, 1);
		NEED(K2K_ALERT_BUDGET);
		assert_int_equal(budget_alerted(&f), 80);
		atomic_fetch_add(&wall_ns, HOUR);
		assert_int_equal(budget_alerted(&f), 0);
	}
	fixture_close(&f);
}

TEST(a_budget_that_never_renews_is_reported_once_and_again_when_it_is_changed)
{
	struct fixture f;

	open_budget(&f, 1000, K2K_RENEWAL_NEVER);
	track(&f, 900);
	NEED(K2K_ALERT_BUDGET, 50, 80);
	track(&f, 200);
	NEED(K2K_ALERT_BUDGET);
	set_budget(&f, 2000); /* 55 % */
	NEED(K2K_ALERT_BUDGET, 50);
	assert_int_equal(budget_alerted(&f), 50);
	track(&f, 500);
	NEED(K2K_ALERT_BUDGET, 80);
	fixture_close(&f);
}

TEST(a_lowered_budget_crosses_by_the_administrator)
{
	const struct k2k_audit_record *r;
	struct fixture f;

	open_budget(&f, 1000, K2K_RENEWAL_DAY);
	track(&f, 300);
	NEED(K2K_ALERT_BUDGET);
	set_budget(&f, 600);
	NEED(K2K_ALERT_BUDGET, 50);
	r = reader_need(&reader, K2K_AUDIT_KIND_ALERT, 0);
	assert_int_equal(r->ring, K2K_AUDIT_RING_ADMIN);
	/* in the same period it is raised and lowered again: reported already */
	set_budget(&f, 1000);
	set_budget(&f, 600);
	NEED(K2K_ALERT_BUDGET);
	fixture_close(&f);
}

TEST(a_correction_crosses)
{
	struct fixture f;

	for (uint32_t renewal = K2K_RENEWAL_NEVER; renewal <= K2K_RENEWAL_HOUR; renewal++) {
		open_budget(&f, 1000, renewal);
		track(&f, 400);
		assert_int_equal(k2k_usage_correct(f.admin, TENANT, tag_of(9, ENGAGEMENT), 200,
		                                   "because", 0),
		                 0);
		NEED(K2K_ALERT_BUDGET, 50);
		assert_int_equal(reader_need(&reader, K2K_AUDIT_KIND_ALERT, 0)->tag.org_id, 9);
		/* down, and up again: reported already */
		assert_int_equal(k2k_usage_correct(f.admin, TENANT, tag_of(9, ENGAGEMENT), -200,
		                                   "because", 0),
		                 0);
		track(&f, 200);
		NEED(K2K_ALERT_BUDGET);
		fixture_close(&f);
	}
}

TEST(a_new_threshold_is_reported_of_budgets_that_have_reached_it)
{
	struct k2k_quota quota = quota_with(0, 0);
	struct fixture f;

	open_budget(&f, 1000, K2K_RENEWAL_NEVER);
	assert_int_equal(k2k_tenant_update(f.admin, TENANT, &quota, K2K_UPDATE_ALERTS), 0);
	track(&f, 950);
	NEED(K2K_ALERT_BUDGET);
	quota = quota_with(90, 0);
	assert_int_equal(k2k_tenant_update(f.admin, TENANT, &quota, K2K_UPDATE_ALERTS), 0);
	NEED(K2K_ALERT_BUDGET, 90);
	/* one below it is passed over in silence */
	quota = quota_with(60, 90);
	assert_int_equal(k2k_tenant_update(f.admin, TENANT, &quota, K2K_UPDATE_ALERTS), 0);
	NEED(K2K_ALERT_BUDGET);
	fixture_close(&f);
}

TEST(a_commit_reaches_a_threshold_and_a_reservation_does_not)
{
	struct k2k_reservation reservation = K2K_RESERVATION_INIT;
	struct fixture f;

	open_budget(&f, 1000, K2K_RENEWAL_NEVER);
	assert_int_equal(
		k2k_usage_reserve(f.broker, TENANT, tag_of(2, ENGAGEMENT), 900, &reservation, NULL),
		0);
	NEED(K2K_ALERT_BUDGET);
	assert_int_equal(k2k_usage_commit(f.broker, &reservation, 600), 0);
	NEED(K2K_ALERT_BUDGET, 50);
	assert_int_equal(reader_need(&reader, K2K_AUDIT_KIND_ALERT, 0)->tag.org_id, 2);
	fixture_close(&f);
}

TEST(what_a_restored_tenant_had_reached_is_not_reported_again)
{
	struct k2k_budget budget = { ENGAGEMENT, 1000 };
	struct k2k_usage usage = { ENGAGEMENT, 600 };
	struct k2k_quota quota = quota_with(50, 80);
	struct k2k_tenant_image image = { .size = sizeof image,
		                          .id = TENANT,
		                          .generation = 9,
		                          .quota = &quota,
		                          .usage = &usage,
		                          .usage_count = 1 };
	struct fixture f;

	fixture_open(&f);
	reader_open(&reader, f.admin);
	quota.budgets = &budget;
	quota.budget_count = 1;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), 0);
	assert_int_equal(budget_alerted(&f), 50);
	track(&f, 100);
	NEED(K2K_ALERT_BUDGET);
	track(&f, 100);
	NEED(K2K_ALERT_BUDGET, 80);
	fixture_close(&f);
}

/* ---- leases --------------------------------------------------------------------------------- */

static int nothing(void *context)
{
	(void)context;
	return 0;
}

/* The next second, in which this thread or the broker's agent has looked at the leases. */
static void look(struct fixture *f)
{
	uint64_t second = (atomic_fetch_add(&f->clock_ns, SECOND) + SECOND) / SECOND;

	for (int i = 0;
	     i < 1000 && k2k_load_relaxed(&f->broker->map.live->alerts_second) != (uint32_t)second;
	     i++)
		k2k_watch_leases(f->broker, second);
	/* if it was the agent, it ends before the agent does anything else */
	k2k_agent_run(&f->broker->agent, nothing, NULL);
}

TEST(leases_are_reported_when_they_rise_to_a_threshold)
{
	struct k2k_lease lease[4], memory = K2K_LEASE_INIT;
	struct k2k_quota quota = quota_with(50, 80);
	struct fixture f;

	quota.max_concurrent_kernels = 4;
	quota.max_gpu_memory_bytes = 1000;
	open_quota(&f, &quota);
	for (int i = 0; i < 4; i++) {
		lease[i] = (struct k2k_lease)K2K_LEASE_INIT;
		assert_int_equal(k2k_kernel_acquire(f.broker, TENANT, &lease[i], NULL), 0);
		if (i == 1) {
			look(&f); /* the agent may have looked before */
			NEED(K2K_ALERT_KERNELS, 50);
			assert_int_equal(reader_need(&reader, K2K_AUDIT_KIND_ALERT, 0)->used, 2);
			assert_int_equal(tenant_of(&f).alerted_kernels, 50);
			look(&f);
			NEED(K2K_ALERT_KERNELS);
		}
	}
	look(&f);
	NEED(K2K_ALERT_KERNELS, 80);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, TENANT, 999, &memory, NULL), 0);
	look(&f);
	NEED(K2K_ALERT_GPU_MEMORY, 50, 80);
	assert_int_equal(tenant_of(&f).alerted_kernels, 80);
	assert_int_equal(tenant_of(&f).alerted_gpu_memory, 80);
	/* only what was below it rises to it again */
	assert_int_equal(k2k_kernel_release(f.broker, &lease[0]), 0);
	look(&f);
	assert_int_equal(tenant_of(&f).alerted_kernels, 50);
	NEED(K2K_ALERT_KERNELS);
	assert_int_equal(k2k_kernel_acquire(f.broker, TENANT, &lease[0], NULL), 0);
	look(&f);
	NEED(K2K_ALERT_KERNELS, 80);
	fixture_close(&f);
}

TEST(what_a_detached_broker_held_does_not_count)
{
	struct k2k_quota quota = quota_with(50, 80);
	struct k2k_registry *other;
	struct fixture f;

	quota.max_concurrent_kernels = 2;
	open_quota(&f, &quota);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &other), 0);
	assert_int_equal(k2k_kernel_acquire(other, TENANT, NULL, NULL), 0);
	assert_int_equal(k2k_registry_close(&other), 0);
	look(&f);
	NEED(K2K_ALERT_KERNELS);
	fixture_close(&f);
}

/* ---- damage ----------------------------------------------------------------------------- */

TEST(words_that_can_not_be_true_are_found_and_emptied)
{
	struct k2k_repair_info repair = { .size = sizeof repair };
	struct k2k_finding found[4] = { { .size = sizeof found[0] } };
	struct fixture f;
	size_t count;

	for (int renews = 0; renews < 2; renews++) {
		struct k2k_map *map;

		open_budget(&f, 1000, renews ? K2K_RENEWAL_DAY : K2K_RENEWAL_NEVER);
		map = &f.broker->map;
		track(&f, 100);
		k2k_store_relaxed(renews ? &map->periods[0].alerts : &map->ledger[0].alerts,
		                  k2k_alert_word(2, 50));
		k2k_store_relaxed(&map->cells_cold[0].alert_rate, k2k_alert_word(1000, 101));
		k2k_store_relaxed(&map->cells_cold[0].alert_kernels, k2k_alert_word(1010, 50));
		assert_int_equal(k2k_registry_check(f.admin, found, 4, &count), 0);
		assert_int_equal(count, 3);
		for (size_t i = 0; i < count; i++)
			assert_string_equal(found[i].invariant, "I9");
		assert_int_equal(k2k_registry_repair(f.admin, &repair), 0);
		assert_int_equal(k2k_registry_check(f.admin, found, 4, &count), 0);
		assert_int_equal(count, 0);
		track(&f, 400);
		reader_take_all(&reader);
		assert_int_equal(reader_need(&reader, K2K_AUDIT_KIND_ALERT, 0)
		                         ->values[K2K_AUDIT_ALERT_PERCENT],
		                 50);
		fixture_close(&f);
	}
}
