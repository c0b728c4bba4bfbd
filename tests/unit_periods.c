/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_periods.c - budgets that renew, and corrections: with a wall clock that the test moves.
 */
#include <time.h>

#include "period.h"
#include "recover.h"
#include "registry_fixture.h"

#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
enum { TENANT = 5, ENGAGEMENT = 7 };

static _Atomic uint64_t wall_ns;

/* Ns since 1970 of a time in UTC. */
static uint64_t utc(int year, int month, int day, int hour)
{
	struct tm tm = {
		.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour
	};

	return (uint64_t)timegm(&tm) * SECOND;
}

static void open_at(struct fixture *f, uint64_t ns)
{
	fixture_open(f);
	atomic_store(&wall_ns, ns);
	f->broker->clock.injected_wall_ns = &wall_ns;
	f->admin->clock.injected_wall_ns = &wall_ns;
}

static void register_renewing(struct fixture *f, uint64_t budget_ns, uint32_t renewal)
{
	struct k2k_budget budget = { ENGAGEMENT, budget_ns };
	struct k2k_budget_terms terms = { .renewal = renewal };
	struct k2k_quota quota = quota_unlimited();

	quota.budgets = &budget;
	quota.budget_count = 1;
	quota.budget_terms = &terms;
	assert_int_equal(k2k_tenant_register(f->admin, TENANT, &quota), 0);
}

static void track(struct fixture *f, uint64_t ns)
{
	assert_int_equal(k2k_usage_track(f->broker, TENANT, tag_of(1, ENGAGEMENT), ns), 0);
}

static int admit(struct fixture *f, struct k2k_verdict *verdict)
{
	*verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	return k2k_message_admit(f->broker, TENANT, tag_of(1, ENGAGEMENT), 1, verdict);
}

static int correct(struct fixture *f, int64_t ns, uint64_t request_id)
{
	return k2k_usage_correct(f->admin, TENANT, tag_of(1, ENGAGEMENT), ns, "because",
	                         request_id);
}

static struct k2k_budget_info budget_of(struct fixture *f)
{
	struct k2k_budget_info info = { .size = sizeof info };
	size_t count;

	assert_int_equal(k2k_budget_list(f->admin, TENANT, &info, 1, &count), 0);
	assert_int_equal(count, 1);
	return info;
}

static struct k2k_usage_info usage_of(struct fixture *f)
{
	struct k2k_usage_info info = { .size = sizeof info };
	size_t count;

	assert_int_equal(k2k_usage_list(f->admin, TENANT, &info, 1, &count), 0);
	assert_int_equal(count, 1);
	return info;
}

struct history {
	struct k2k_budget_use list[K2K_BUDGET_PERIODS_KEPT];
	size_t count;
};

static struct history history_of(struct fixture *f)
{
	struct history history = { .list = { { .size = sizeof history.list[0] } } };

	assert_int_equal(k2k_budget_history(f->admin, TENANT, tag_of(1, ENGAGEMENT), history.list,
	                                    K2K_BUDGET_PERIODS_KEPT, &history.count),
	                 0);
	return history;
}

/* ---- the calendar ------------------------------------------------------------------ */

TEST(the_calendar_is_that_of_the_c_library)
{
	for (uint64_t hour = 0; hour < 24 * 366 * 500; hour += 7) {
		time_t at = (time_t)(hour * 3600);
		struct tm tm, first, next;

		gmtime_r(&at, &tm);
		first = next = (struct tm){ .tm_year = tm.tm_year, .tm_mon = tm.tm_mon };
		first.tm_mday = next.tm_mday = 1;
		next.tm_mon++;
		assert_int_equal(k2k_period_start(K2K_EVERY_MONTH, hour) * 3600, timegm(&first));
		assert_int_equal(k2k_period_end(K2K_EVERY_MONTH, hour) * 3600, timegm(&next));
		assert_int_equal(k2k_period_start(K2K_EVERY_HOUR, hour), hour);
		assert_int_equal(k2k_period_end(K2K_EVERY_HOUR, hour), hour + 1);
		assert_int_equal(k2k_period_start(K2K_EVERY_DAY, hour),
		                 hour - (uint64_t)tm.tm_hour);
		assert_int_equal(k2k_period_end(K2K_EVERY_DAY, hour),
		                 hour - (uint64_t)tm.tm_hour + 24);
		at = (time_t)(k2k_period_end(K2K_EVERY_WEEK, hour) * 3600);
		gmtime_r(&at, &tm);
		assert_int_equal(tm.tm_wday, 1);
		assert_int_equal(tm.tm_hour, 0);
		assert_true(k2k_period_end(K2K_EVERY_WEEK, hour) - hour <= 7 * 24);
		if (hour >= 4 * 24)
			assert_int_equal(k2k_period_start(K2K_EVERY_WEEK, hour),
			                 k2k_period_end(K2K_EVERY_WEEK, hour) - 7 * 24);
		else
			assert_int_equal(k2k_period_start(K2K_EVERY_WEEK, hour), 0);
	}
}

TEST(a_year_of_renewals_adds_up)
{
	static const uint32_t renewals[] = { K2K_RENEWAL_HOUR, K2K_RENEWAL_DAY, K2K_RENEWAL_WEEK,
		                             K2K_RENEWAL_MONTH };

	for (size_t i = 0; i < sizeof(renewals) / sizeof(renewals[0]); i++) {
		uint64_t booked = 0, uses = 0, last = 0;
		struct fixture f;

		open_at(&f, utc(2027, 12, 31, 23));
		register_renewing(&f, K2K_UNLIMITED - 1, renewals[i]);
		for (int hour = 0; hour < 366 * 24; hour++) {
			struct history history;

			track(&f, (uint64_t)hour);
			booked += (uint64_t)hour;
			atomic_fetch_add(&wall_ns, HOUR);
			if (hour % 5)
				continue;
			history = history_of(&f);
			for (size_t p = 0; p < history.count; p++)
				if (history.list[p].period > last) {
					assert_int_equal(history.list[p].period, last + 1);
					uses += history.list[p].used_ns;
					last = history.list[p].period;
				}
			assert_int_equal(uses + budget_of(&f).used_ns, booked);
			assert_int_equal(cost_for(f.admin, TENANT, tag_of(1, ENGAGEMENT)), booked);
		}
		fixture_close(&f);
	}
}

/* ---- renewals ---------------------------------------------------------------------- */

TEST(a_budget_renews_when_its_period_is_over)
{
	struct k2k_verdict verdict;
	struct history history;
	struct fixture f;

	open_at(&f, utc(2028, 2, 28, 12));
	register_renewing(&f, 100, K2K_RENEWAL_DAY);
	assert_int_equal(admit(&f, &verdict), 0);
	track(&f, 130);
	assert_int_equal(admit(&f, &verdict), K2K_EBUDGET);
	assert_int_equal(verdict.used, 130);
	assert_int_equal(verdict.limit, 100);
	assert_int_equal(verdict.retry_after_ns, 12 * HOUR);
	assert_int_equal(budget_of(&f).renews_at_ns, utc(2028, 2, 29, 0));
	atomic_fetch_add(&wall_ns, 12 * HOUR - 1);
	assert_int_equal(admit(&f, &verdict), K2K_EBUDGET);
	assert_int_equal(verdict.retry_after_ns, 1);
	atomic_fetch_add(&wall_ns, 1);
	/* overspend is not carried over */
	assert_int_equal(admit(&f, &verdict), 0);
	assert_int_equal(budget_of(&f).used_ns, 0);
	assert_int_equal(budget_of(&f).period, 2);
	/* nobody has booked: it may still change */
	assert_int_equal(history_of(&f).count, 1);
	assert_int_equal(history_of(&f).list[0].flags, K2K_BUDGET_USE_PENDING);
	track(&f, 99);
	assert_int_equal(admit(&f, &verdict), 0);
	track(&f, 1);
	assert_int_equal(admit(&f, &verdict), K2K_EBUDGET);
	history = history_of(&f);
	assert_int_equal(history.count, 1);
	assert_int_equal(history.list[0].period, 1);
	assert_int_equal(history.list[0].flags, 0);
	assert_int_equal(history.list[0].used_ns, 130);
	assert_int_equal(history.list[0].began_at_ns, utc(2028, 2, 28, 0));
	assert_int_equal(history.list[0].next_began_at_ns, utc(2028, 2, 29, 0));
	assert_int_equal(usage_of(&f).gpu_ns, 230);
	fixture_close(&f);
}

TEST(a_check_renews_nothing_and_sees_the_new_period)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct fixture f;

	open_at(&f, utc(2026, 11, 30, 3));
	register_renewing(&f, 10, K2K_RENEWAL_HOUR);
	track(&f, 10);
	assert_int_equal(k2k_quota_check(f.admin, TENANT, tag_of(1, ENGAGEMENT), 1, &verdict),
	                 K2K_EBUDGET);
	assert_int_equal(verdict.retry_after_ns, HOUR);
	atomic_fetch_add(&wall_ns, HOUR);
	assert_int_equal(k2k_quota_check(f.admin, TENANT, tag_of(1, ENGAGEMENT), 1, &verdict), 0);
	assert_int_equal(k2k_period_number(f.admin->map.periods[0].now.first), 1);
	fixture_close(&f);
}

TEST(a_limit_of_zero_is_not_worth_a_retry)
{
	struct k2k_verdict verdict;
	struct fixture f;

	open_at(&f, utc(2026, 11, 30, 3));
	register_renewing(&f, 0, K2K_RENEWAL_HOUR);
	assert_int_equal(admit(&f, &verdict), K2K_EBUDGET);
	assert_int_equal(verdict.retry_after_ns, K2K_NEVER_NS);
	fixture_close(&f);
}

TEST(a_machine_that_slept_over_several_periods_begins_one)
{
	struct history history;
	struct fixture f;

	open_at(&f, utc(2026, 1, 5, 0));
	register_renewing(&f, 10, K2K_RENEWAL_WEEK);
	track(&f, 4);
	atomic_store(&wall_ns, utc(2026, 3, 4, 5));
	track(&f, 5);
	history = history_of(&f);
	assert_int_equal(history.count, 1);
	assert_int_equal(history.list[0].used_ns, 4);
	assert_int_equal(history.list[0].next_began_at_ns, utc(2026, 3, 2, 0));
	assert_int_equal(budget_of(&f).used_ns, 5);
	assert_int_equal(budget_of(&f).period, 2);
	fixture_close(&f);
}

TEST(a_clock_that_steps_back_begins_no_period_again)
{
	struct k2k_verdict verdict;
	struct fixture f;

	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	track(&f, 3);
	atomic_fetch_add(&wall_ns, DAY);
	track(&f, 10);
	for (int i = 0; i < 5; i++) {
		atomic_fetch_sub(&wall_ns, DAY);
		assert_int_equal(admit(&f, &verdict), K2K_EBUDGET);
		assert_int_equal(verdict.retry_after_ns, 36 * HOUR);
		track(&f, 1);
		assert_int_equal(budget_of(&f).period, 2);
		atomic_fetch_add(&wall_ns, DAY);
		assert_int_equal(admit(&f, &verdict), K2K_EBUDGET);
		track(&f, 1);
		assert_int_equal(budget_of(&f).period, 2);
	}
	assert_int_equal(budget_of(&f).used_ns, 20);
	fixture_close(&f);
}

TEST(a_period_of_a_clock_that_was_far_ahead_can_be_ended)
{
	struct k2k_verdict verdict;
	struct fixture f;

	open_at(&f, utc(2036, 6, 10, 12));
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	track(&f, 10);
	atomic_store(&wall_ns, utc(2026, 6, 10, 12));
	assert_int_equal(admit(&f, &verdict), K2K_EBUDGET);
	assert_int_equal(k2k_budget_renew(f.admin, TENANT, tag_of(1, ENGAGEMENT)), 0);
	assert_int_equal(admit(&f, &verdict), 0);
	assert_int_equal(budget_of(&f).period, 2);
	assert_int_equal(budget_of(&f).began_at_ns, utc(2026, 6, 10, 0));
	atomic_fetch_add(&wall_ns, DAY);
	track(&f, 1);
	assert_int_equal(budget_of(&f).period, 3);
	assert_int_equal(history_of(&f).list[0].began_at_ns, utc(2036, 6, 10, 0));
	assert_int_equal(k2k_budget_renew(f.admin, TENANT, tag_of(1, 8)), K2K_ENOBUDGET);
	assert_int_equal(k2k_budget_renew(f.admin, 99, tag_of(1, 8)), K2K_ENOTENANT);
	assert_int_equal(k2k_budget_renew(f.broker, TENANT, tag_of(1, ENGAGEMENT)), K2K_EROLE);
	fixture_close(&f);
}

TEST(the_last_twelve_closed_periods_can_be_read)
{
	struct history history;
	struct fixture f;

	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 10, K2K_RENEWAL_HOUR);
	for (uint64_t i = 1; i <= 40; i++) {
		track(&f, i);
		history = history_of(&f);
		assert_int_equal(history.count, i > 12 ? 12 : i - 1);
		for (size_t p = 0; p < history.count; p++) {
			assert_int_equal(history.list[p].period, i - history.count + p);
			assert_int_equal(history.list[p].used_ns, history.list[p].period);
		}
		atomic_fetch_add(&wall_ns, HOUR);
		history = history_of(&f);
		assert_int_equal(history.count, i >= 12 ? 12 : i);
		assert_int_equal(history.list[history.count - 1].used_ns, i);
	}
	fixture_close(&f);
}

/* ---- changes of the budget --------------------------------------------------------- */

TEST(a_changed_amount_keeps_the_period_its_use_and_its_history)
{
	struct fixture f;

	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	track(&f, 6);
	atomic_fetch_add(&wall_ns, DAY);
	track(&f, 7);
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(k2k_budget_set(f.admin, TENANT, ENGAGEMENT, 20 + i), 0);
		assert_int_equal(budget_of(&f).renewal, K2K_RENEWAL_DAY);
		assert_int_equal(budget_of(&f).period, 2);
		assert_int_equal(budget_of(&f).used_ns, 7);
		assert_int_equal(history_of(&f).list[0].used_ns, 6);
	}
	assert_int_equal(k2k_budget_unset(f.admin, TENANT, ENGAGEMENT), 0);
	assert_int_equal(
		k2k_budget_history(f.admin, TENANT, tag_of(1, ENGAGEMENT), NULL, 0, &(size_t){ 0 }),
		K2K_ENOBUDGET);
	assert_int_equal(k2k_budget_set_renewing(f.admin, TENANT, ENGAGEMENT, 5, K2K_RENEWAL_HOUR),
	                 0);
	assert_int_equal(budget_of(&f).period, 1);
	assert_int_equal(budget_of(&f).used_ns, 0);
	fixture_close(&f);
}

TEST(a_changed_length_keeps_the_use_until_its_next_boundary)
{
	struct fixture f;

	open_at(&f, utc(2026, 6, 10, 12)); /* a Wednesday */
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	track(&f, 6);
	assert_int_equal(k2k_budget_set_renewing(f.admin, TENANT, ENGAGEMENT, 10, K2K_RENEWAL_WEEK),
	                 0);
	assert_int_equal(budget_of(&f).used_ns, 6);
	assert_int_equal(budget_of(&f).renews_at_ns, utc(2026, 6, 15, 0));
	atomic_fetch_add(&wall_ns, DAY);
	track(&f, 1);
	assert_int_equal(budget_of(&f).used_ns, 7);
	assert_int_equal(budget_of(&f).period, 1);
	/* a day has begun since: the next booking begins it */
	assert_int_equal(k2k_budget_set_renewing(f.admin, TENANT, ENGAGEMENT, 10, K2K_RENEWAL_DAY),
	                 0);
	assert_int_equal(budget_of(&f).used_ns, 0);
	track(&f, 2);
	assert_int_equal(budget_of(&f).period, 2);
	assert_int_equal(history_of(&f).list[0].used_ns, 7);
	/* for ever, which counts all */
	assert_int_equal(
		k2k_budget_set_renewing(f.admin, TENANT, ENGAGEMENT, 10, K2K_RENEWAL_NEVER), 0);
	assert_int_equal(budget_of(&f).used_ns, 9);
	assert_int_equal(budget_of(&f).renews_at_ns, 0);
	assert_int_equal(
		k2k_budget_set_renewing(f.admin, TENANT, ENGAGEMENT, 10, K2K_RENEWAL_MONTH), 0);
	assert_int_equal(budget_of(&f).used_ns, 0);
	assert_int_equal(k2k_budget_set_renewing(f.admin, TENANT, ENGAGEMENT, 10, 6), K2K_EINVAL);
	fixture_close(&f);
}

TEST(period_records_are_given_back)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct fixture f;

	options.max_tenants = options.max_budgets = options.max_engagements = 8;
	fixture_open_sized(&f, &options);
	for (int round = 0; round < 50; round++) {
		register_renewing(&f, 10, K2K_RENEWAL_DAY);
		for (uint64_t i = 1; i < 5; i++)
			assert_int_equal(k2k_budget_set_renewing(f.admin, TENANT,
			                                         ENGAGEMENT + i % 2, i,
			                                         K2K_RENEWAL_HOUR),
			                 0);
		track(&f, 1);
		assert_int_equal(k2k_tenant_deregister(f.admin, TENANT, NULL), 0);
	}
	fixture_close(&f);
}

TEST(a_damaged_number_of_a_period_record_leads_to_no_record)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_repair_info repair = { .size = sizeof repair };
	struct k2k_finding finding = { .size = sizeof finding };
	const struct k2k_map *map;
	struct fixture f;
	size_t count;

	options.max_tenants = options.max_budgets = options.max_engagements = 8;
	fixture_open_sized(&f, &options);
	map = &f.admin->map;
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	for (uint32_t i = 0; i < map->sizes.budgets; i++)
		if (k2k_load_relaxed(&map->budgets[i].period))
			k2k_store_relaxed(&map->budgets[i].period, 1u << 30);
	assert_int_equal(k2k_registry_check(f.admin, &finding, 1, &count), 0);
	assert_true(count > 0);
	/* the record is freed, and its place used again */
	for (int round = 0; round < 50; round++) {
		assert_int_equal(k2k_tenant_deregister(f.admin, TENANT, NULL), 0);
		register_renewing(&f, 10, K2K_RENEWAL_DAY);
	}
	assert_int_equal(k2k_registry_repair(f.admin, &repair), 0);
	fixture_close(&f);
}

/* ---- corrections ------------------------------------------------------------------- */

TEST(a_correction_changes_the_sum_and_the_budget_but_not_the_cost)
{
	struct k2k_verdict verdict;
	struct fixture f;

	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 10, K2K_RENEWAL_NEVER);
	track(&f, 10);
	assert_int_equal(admit(&f, &verdict), K2K_EBUDGET);
	assert_int_equal(verdict.retry_after_ns, K2K_NEVER_NS);
	assert_int_equal(correct(&f, -4, 0), 0);
	assert_int_equal(admit(&f, &verdict), 0);
	assert_int_equal(budget_of(&f).used_ns, 6);
	assert_int_equal(usage_of(&f).gpu_ns, 10);
	assert_int_equal(usage_of(&f).corrected_ns, -4);
	assert_int_equal(correct(&f, -7, 0), K2K_EINVAL);
	assert_int_equal(k2k_error_detail()->expected, 6);
	assert_int_equal(correct(&f, -6, 0), 0);
	assert_int_equal(budget_of(&f).used_ns, 0);
	assert_int_equal(correct(&f, 15, 0), 0);
	assert_int_equal(admit(&f, &verdict), K2K_EBUDGET);
	assert_int_equal(verdict.used, 15);
	assert_int_equal(cost_for(f.admin, TENANT, tag_of(1, ENGAGEMENT)), 10);
	fixture_close(&f);
}

TEST(a_correction_counts_in_the_period_in_which_it_is_made)
{
	struct history history;
	struct fixture f;

	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	track(&f, 10);
	assert_int_equal(correct(&f, -3, 0), 0);
	assert_int_equal(budget_of(&f).used_ns, 7);
	atomic_fetch_add(&wall_ns, DAY);
	track(&f, 2);
	/* takes no more from the period than it has used */
	assert_int_equal(correct(&f, -5, 0), 0);
	assert_int_equal(budget_of(&f).used_ns, 0);
	assert_int_equal(budget_of(&f).corrected_ns, -5);
	assert_int_equal(usage_of(&f).corrected_ns, -8);
	track(&f, 4);
	assert_int_equal(budget_of(&f).used_ns, 4);
	/* as if somebody had booked: the correction begins the period */
	atomic_fetch_add(&wall_ns, DAY);
	assert_int_equal(correct(&f, 6, 0), 0);
	history = history_of(&f);
	assert_int_equal(history.count, 2);
	assert_int_equal(history.list[0].used_ns, 7);
	assert_int_equal(history.list[1].used_ns, 4);
	assert_int_equal(budget_of(&f).used_ns, 6);
	assert_int_equal(budget_of(&f).corrected_ns, 1);
	fixture_close(&f);
}

TEST(a_commit_after_the_boundary_counts_in_the_next_period)
{
	struct k2k_reservation reservation = K2K_RESERVATION_INIT;
	struct fixture f;

	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 1000, K2K_RENEWAL_DAY);
	track(&f, 5);
	assert_int_equal(
		k2k_usage_reserve(f.broker, TENANT, tag_of(1, ENGAGEMENT), 10, &reservation, NULL),
		0);
	atomic_fetch_add(&wall_ns, DAY);
	assert_int_equal(k2k_usage_commit(f.broker, &reservation, 7), 0);
	assert_int_equal(budget_of(&f).period, 2);
	assert_int_equal(budget_of(&f).used_ns, 7);
	fixture_close(&f);
}

TEST(a_repeated_request_is_carried_out_once)
{
	struct fixture f;

	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	track(&f, 100);
	for (uint64_t request = 1; request < 100; request++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(correct(&f, -1, request), 0);
		assert_int_equal(usage_of(&f).corrected_ns, -(int64_t)request);
		assert_int_equal(correct(&f, -2, request), K2K_EEXIST);
		if (request > 30)
			assert_int_equal(correct(&f, -1, request - 30), 0);
		assert_int_equal(usage_of(&f).corrected_ns, -(int64_t)request);
	}
	assert_int_equal(budget_of(&f).used_ns, 1);
	/* the number of another correction: of another engagement, of an earlier registration */
	assert_int_equal(k2k_usage_correct(f.admin, TENANT, tag_of(1, ENGAGEMENT + 1), -1, "x", 99),
	                 K2K_EEXIST);
	assert_int_equal(k2k_tenant_deregister(f.admin, TENANT, NULL), 0);
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	assert_int_equal(correct(&f, -1, 99), K2K_EEXIST);
	fixture_close(&f);
}

TEST(a_correction_needs_a_reason_a_number_and_a_tenant)
{
	char longest[K2K_AUDIT_REASON_MAX + 2];
	struct fixture f;

	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	assert_int_equal(correct(&f, 0, 0), K2K_EINVAL);
	assert_int_equal(k2k_usage_correct(f.admin, TENANT, no_tag, 1, NULL, 0), K2K_EINVAL);
	assert_int_equal(k2k_usage_correct(f.admin, TENANT, no_tag, 1, "", 0), K2K_EINVAL);
	assert_int_equal(k2k_usage_correct(f.admin, TENANT, no_tag, 1, longest, 0), K2K_EINVAL);
	assert_int_equal(k2k_usage_correct(f.admin, 99, no_tag, 1, "x", 0), K2K_ENOTENANT);
	assert_int_equal(k2k_usage_correct(f.admin, 0, no_tag, 1, "x", 0), K2K_EUNSPECIFIED);
	assert_int_equal(k2k_usage_correct(f.broker, TENANT, no_tag, 1, "x", 0), K2K_EROLE);
	assert_int_equal(correct(&f, -1, 0), K2K_EINVAL);
	assert_int_equal(correct(&f, INT64_MIN, 0), K2K_EINVAL);
	assert_int_equal(correct(&f, INT64_MAX, 0), 0);
	assert_int_equal(correct(&f, 1, 0), K2K_EINVAL);
	longest[K2K_AUDIT_REASON_MAX] = '\0';
	assert_int_equal(k2k_usage_correct(f.admin, TENANT, no_tag, 1, longest, 0), 0);
	fixture_close(&f);
}

TEST(corrections_and_forced_renewals_are_audited)
{
	struct k2k_audit_record records[8] = { { .size = sizeof records[0] } };
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct fixture f;
	size_t count;

	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	track(&f, 10);
	assert_int_equal(correct(&f, -3, 17), 0);
	assert_int_equal(k2k_budget_renew(f.admin, TENANT, tag_of(1, ENGAGEMENT)), 0);
	assert_int_equal(k2k_audit_read(f.admin, &cursor, 0, records, 8, &count), 0);
	assert_int_equal(count, 5);
	assert_int_equal(records[2].kind, K2K_AUDIT_KIND_BUDGET_CHANGE);
	assert_int_equal(records[2].values[K2K_AUDIT_BUDGET_RENEWAL], K2K_RENEWAL_DAY);
	assert_int_equal(records[3].kind, K2K_AUDIT_KIND_CORRECTION);
	assert_int_equal((int64_t)records[3].values[K2K_AUDIT_CORRECTION_NS], -3);
	assert_int_equal((int64_t)records[3].values[K2K_AUDIT_CORRECTION_SUM_NS], -3);
	assert_int_equal(records[3].values[K2K_AUDIT_CORRECTION_REQUEST], 17);
	assert_string_equal(records[3].source, "because");
	assert_int_equal(records[3].tag.engagement_id, ENGAGEMENT);
	assert_int_equal(records[4].kind, K2K_AUDIT_KIND_BUDGET_RENEWED);
	assert_int_equal(records[4].values[K2K_AUDIT_RENEWED_PERIOD], 2);
	assert_int_equal(records[4].values[K2K_AUDIT_RENEWED_CLOSED_USED_NS], 7);
	assert_string_equal(k2k_audit_kind_name(records[4].kind), "budget_renewed");
	fixture_close(&f);
}

/* A killed administrator's correction is looked at by the next change. */
TEST(a_correction_left_behind_whose_period_record_cannot_be_is_forgotten)
{
	struct k2k_shm_correction *left;
	struct k2k_map *map;
	struct fixture f;

	open_at(&f, utc(2026, 11, 29, 5));
	map = &f.admin->map;
	register_renewing(&f, 100, K2K_RENEWAL_DAY);
	track(&f, 10);
	assert_int_equal(correct(&f, -1, 0), 0);
	left = k2k_correction_at(map, k2k_load_relaxed(&map->defs->corrections));
	*left = *k2k_correction_at(map, k2k_load_relaxed(&map->defs->corrections) - 1);
	left->period = 1u << 30;
	map->defs->correcting = k2k_load_relaxed(&map->defs->corrections) + 1;
	map->defs->intent = K2K_OP_CORRECT;
	assert_int_equal(k2k_tenant_suspend(f.admin, TENANT), 0);
	assert_int_equal(map->defs->correcting, 0);
	assert_int_equal(budget_of(&f).corrected_ns, -1);
	fixture_close(&f);
}

TEST(final_totals_have_the_corrections)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct fixture f;

	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 10, K2K_RENEWAL_DAY);
	track(&f, 10);
	assert_int_equal(correct(&f, -3, 0), 0);
	assert_int_equal(k2k_usage_correct(f.admin, TENANT, tag_of(1, 99), 5, "x", 0), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, TENANT, &totals), 0);
	assert_int_equal(totals.gpu_ns_total, 10);
	assert_int_equal(totals.corrected_ns, 2);
	fixture_close(&f);
}

/* ---- restored ---------------------------------------------------------------------- */

TEST(a_restored_tenant_has_its_periods_and_corrections)
{
	struct k2k_budget budget = { ENGAGEMENT, 50 };
	struct k2k_budget_terms terms = { .renewal = K2K_RENEWAL_HOUR };
	struct k2k_quota quota = quota_unlimited();
	struct k2k_usage usage;
	struct k2k_budget_image periods = { .engagement_id = ENGAGEMENT };
	struct k2k_tenant_image image = { .size = sizeof image,
		                          .id = TENANT,
		                          .generation = 500,
		                          .quota = &quota,
		                          .usage = &usage,
		                          .usage_count = 1,
		                          .periods = &periods,
		                          .period_count = 1 };
	struct k2k_budget_info before, after;
	struct history history, again;
	struct fixture f;
	int64_t corrected;

	open_at(&f, utc(2026, 6, 10, 12));
	register_renewing(&f, 50, K2K_RENEWAL_HOUR);
	for (uint64_t i = 0; i < 20; i++) {
		track(&f, 10 + i);
		atomic_fetch_add(&wall_ns, HOUR);
	}
	track(&f, 31);
	assert_int_equal(correct(&f, -4, 0), 0);
	before = budget_of(&f);
	history = history_of(&f);
	usage = (struct k2k_usage){ ENGAGEMENT, usage_of(&f).gpu_ns };
	corrected = usage_of(&f).corrected_ns;
	image.corrected_ns = &corrected;
	assert_int_equal(k2k_tenant_deregister(f.admin, TENANT, NULL), 0);

	quota.budgets = &budget;
	quota.budget_count = 1;
	quota.budget_terms = &terms;
	periods.period = before.period;
	periods.began_at_ns = before.began_at_ns;
	periods.used_ns = before.used_ns;
	periods.corrected_ns = before.corrected_ns;
	periods.closed = history.list;
	periods.closed_count = (uint32_t)history.count;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), 0);
	after = budget_of(&f);
	after.generation = before.generation;
	assert_memory_equal(&before, &after, sizeof before);
	again = history_of(&f);
	assert_memory_equal(&history, &again, sizeof history);
	assert_int_equal(usage_of(&f).corrected_ns, -4);
	track(&f, 1);
	assert_int_equal(budget_of(&f).used_ns, before.used_ns + 1);

	history.list[3].period++;
	image.id = 6;
	image.generation = 501;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EINVAL);
	history.list[3].period--;
	periods.period = 12;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EINVAL);
	fixture_close(&f);
}
