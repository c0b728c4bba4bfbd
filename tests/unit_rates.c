/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_rates.c - windows of any length, buckets, and changes from one to the other while in use
 */
#include "rate.h"
#include "registry_fixture.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

static struct k2k_quota window_of(uint64_t rate, uint32_t period)
{
	struct k2k_quota quota = quota_standard();

	quota.max_messages_per_sec = rate;
	quota.rate_period = period;
	return quota;
}

static struct k2k_quota bucket_of(uint64_t rate, uint32_t period, uint64_t burst)
{
	struct k2k_quota quota = window_of(rate, period);

	quota.rate_policy = K2K_RATE_BUCKET;
	quota.burst = burst;
	return quota;
}

static void define(struct fixture *f, struct k2k_quota quota)
{
	assert_int_equal(k2k_tenant_register(f->admin, 1, &quota), 0);
}

static void redefine(struct fixture *f, struct k2k_quota quota)
{
	assert_int_equal(k2k_tenant_update(f->admin, 1, &quota, K2K_UPDATE_RATE), 0);
}

static struct k2k_verdict admit(struct fixture *f, uint64_t n)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT, peek = K2K_VERDICT_INIT;
	int code = k2k_quota_check(f->broker, 1, no_tag, n, &peek);

	assert_int_equal(k2k_message_admit(f->broker, 1, no_tag, n, &verdict), code);
	assert_int_equal(verdict.code, code);
	assert_int_equal(peek.retry_after_ns, verdict.retry_after_ns);
	assert_int_equal(peek.used, code ? verdict.used : verdict.used - n);
	if (verdict.limit != K2K_UNLIMITED)
		assert_int_equal(verdict.remaining, verdict.limit - verdict.used);
	return verdict;
}

static void admits(struct fixture *f, uint64_t n)
{
	assert_int_equal(admit(f, n).code, 0);
}

static void refuses(struct fixture *f, uint64_t n, uint64_t retry_after_ns)
{
	struct k2k_verdict verdict = admit(f, n);

	assert_int_equal(verdict.code, K2K_ERATE);
	assert_int_equal(verdict.retry_after_ns, retry_after_ns);
}

/* Exactly so many are free now. */
static void has_free_at(struct fixture *f, uint64_t n, int line)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int fits = n ? k2k_quota_check(f->broker, 1, no_tag, n, &verdict) : 0;
	int more = k2k_quota_check(f->broker, 1, no_tag, n + 1, &verdict);

	if (fits != 0 || more != K2K_ERATE || verdict.remaining != n)
		fail_msg("line %d: %" PRIu64 " are free, not %" PRIu64, line, verdict.remaining, n);
}

#define has_free(f, n) has_free_at((f), (n), __LINE__)

/* ---- windows --------------------------------------------------------------------------- */

TEST(a_window_begins_at_its_first_use_and_lasts_for_its_length)
{
	static const uint64_t seconds[] = { 1, MINUTE, HOUR, DAY };

	for (uint32_t period = 0; period < 4; period++) {
		uint64_t length = seconds[period] * SECOND;
		struct k2k_verdict verdict;
		struct fixture f;

		fixture_open(&f);
		define(&f, window_of(3, period));
		f.clock_ns += 500 * MS;
		verdict = admit(&f, 1);
		assert_int_equal(verdict.window, 1000);
		assert_int_equal(verdict.limit, 3);
		f.clock_ns += length - SECOND;
		admits(&f, 2);
		refuses(&f, 1, 500 * MS);
		f.clock_ns += 500 * MS - 1;
		refuses(&f, 3, 1);
		assert_int_equal(info_of(f.admin, 1).messages_this_second, 3);
		f.clock_ns++;
		assert_int_equal(info_of(f.admin, 1).messages_this_second, 0);
		verdict = admit(&f, 3);
		assert_int_equal(verdict.window, 1000 + seconds[period]);
		/*
		 * after a pause it begins with the next message, not where another would have ended
		 */
		f.clock_ns += length + length / 2;
		verdict = admit(&f, 1);
		assert_int_equal(verdict.window, f.clock_ns / SECOND);
		assert_int_equal(verdict.used, 1);
		refuses(&f, 4, K2K_NEVER_NS);
		refuses(&f, 3, length - f.clock_ns % SECOND);
		assert_int_equal(info_of(f.admin, 1).rate_period, period);
		fixture_close(&f);
	}
}

TEST(a_day_has_its_whole_limit_on_a_machine_that_has_just_booted)
{
	struct fixture f;

	fixture_open(&f);
	f.clock_ns = 5 * SECOND;
	define(&f, window_of(10, K2K_PERIOD_DAY));
	f.clock_ns = 100 * SECOND;
	assert_int_equal(admit(&f, 10).window, 100);
	refuses(&f, 1, DAY * SECOND);
	redefine(&f, bucket_of(10, K2K_PERIOD_DAY, 100));
	has_free(&f, 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, NULL), 0);
	define(&f, bucket_of(10, K2K_PERIOD_DAY, 100));
	has_free(&f, 100);
	fixture_close(&f);
}

/* ---- buckets --------------------------------------------------------------------------- */

TEST(an_origin_in_whole_seconds_would_give_too_much_or_too_little)
{
	struct fixture f;

	fixture_open(&f);
	define(&f, bucket_of(1, K2K_PERIOD_SECOND, 1));
	f.clock_ns += 900 * MS;
	admits(&f, 1);
	/* rounded down, the origin is 1000: one more at 1001 */
	f.clock_ns += 100 * MS;
	assert_int_equal(admit(&f, 1).code, K2K_ERATE);
	/* rounded up, it is 1001: none at 1001.9 */
	f.clock_ns += 900 * MS;
	admits(&f, 1);
	fixture_close(&f);
}

TEST(a_bucket_gives_its_burst_at_once_and_then_its_rate)
{
	struct k2k_verdict verdict;
	struct fixture f;

	fixture_open(&f);
	define(&f, bucket_of(8, K2K_PERIOD_SECOND, 4));
	for (uint64_t i = 1; i <= 4; i++) {
		verdict = admit(&f, 1);
		assert_int_equal(verdict.used, i);
		assert_int_equal(verdict.limit, 4);
		assert_int_equal(verdict.window, 1000);
	}
	refuses(&f, 1, 125 * MS);
	refuses(&f, 4, 500 * MS);
	refuses(&f, 5, K2K_NEVER_NS);
	/* 25 s of constant demand: 8 a second, and no more than that */
	for (int i = 0; i < 200; i++) {
		f.clock_ns += 125 * MS - 20000;
		assert_int_equal(admit(&f, 1).code, K2K_ERATE);
		f.clock_ns += 20000;
		admits(&f, 1);
	}
	f.clock_ns += 250 * MS;
	has_free(&f, 2);
	f.clock_ns += 125 * MS;
	has_free(&f, 3);
	f.clock_ns += HOUR * SECOND;
	has_free(&f, 4);
	assert_int_equal(info_of(f.admin, 1).messages_this_second, 0);
	admits(&f, 3);
	assert_int_equal(info_of(f.admin, 1).messages_this_second, 3);
	assert_int_equal(info_of(f.admin, 1).burst, 4);
	assert_int_equal(info_of(f.admin, 1).rate_policy, K2K_RATE_BUCKET);
	assert_int_equal(info_of(f.admin, 1).admitted_total, 207);
	fixture_close(&f);
}

TEST(a_bucket_under_demand_for_years_loses_nothing)
{
	struct fixture f;
	uint64_t granted = 0;

	fixture_open(&f);
	define(&f, bucket_of(1000000007, K2K_PERIOD_HOUR, 1000000007));
	admits(&f, 1000000007);
	/* never full: the origin stays where it is, and the product grows beyond 64 bits */
	for (int i = 1; i <= 30000; i++) {
		struct k2k_verdict verdict = K2K_VERDICT_INIT;

		f.clock_ns += 9001 * SECOND / 10;
		assert_int_equal(k2k_quota_check(f.broker, 1, no_tag, 1, &verdict), 0);
		assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, verdict.remaining, NULL),
		                 0);
		granted += verdict.remaining;
	}
	/* 30000 x 900.1 s at 1000000007 an hour */
	assert_int_equal(granted, UINT64_C(1000000007) * 27003000 / 3600);
	fixture_close(&f);
}

TEST(zero_rejects_everything)
{
	struct fixture f;

	fixture_open(&f);
	define(&f, bucket_of(0, K2K_PERIOD_SECOND, 5));
	refuses(&f, 1, K2K_NEVER_NS);
	redefine(&f, bucket_of(5, K2K_PERIOD_SECOND, 0));
	refuses(&f, 1, K2K_NEVER_NS);
	redefine(&f, bucket_of(5, K2K_PERIOD_SECOND, 5));
	f.clock_ns += SECOND;
	admits(&f, 3);
	redefine(&f, bucket_of(0, K2K_PERIOD_SECOND, 5));
	f.clock_ns += HOUR * SECOND;
	refuses(&f, 1, K2K_NEVER_NS);
	redefine(&f, window_of(0, K2K_PERIOD_DAY));
	refuses(&f, 1, K2K_NEVER_NS);
	fixture_close(&f);
}

TEST(what_no_bucket_can_count_is_refused)
{
	struct k2k_quota quota = bucket_of(1, K2K_PERIOD_SECOND, K2K_RATE_MAX - 1);
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), K2K_EINVAL);
	assert_string_equal(k2k_error_detail()->field, "burst");
	quota.max_messages_per_sec = K2K_UNLIMITED;
	quota.burst = 1;
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), K2K_EINVAL);
	quota = window_of(1, K2K_PERIOD_SECOND);
	quota.burst = 1;
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), K2K_EINVAL);
	quota = window_of(1, 4);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), K2K_EINVAL);
	quota.rate_period = 0;
	quota.rate_policy = 2;
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), K2K_EINVAL);
	define(&f, bucket_of(1, K2K_PERIOD_DAY, K2K_RATE_MAX - 2));
	admits(&f, K2K_ADMIT_MAX);
	admits(&f, K2K_ADMIT_MAX - 2);
	refuses(&f, 1, DAY * SECOND);
	/* 2^32 days are more than 2^64 ns */
	refuses(&f, K2K_ADMIT_MAX, K2K_NEVER_NS - 1);
	fixture_close(&f);
}

TEST(a_record_takes_tokens_and_its_debt_is_at_most_the_burst)
{
	struct fixture f;

	fixture_open(&f);
	define(&f, bucket_of(1, K2K_PERIOD_SECOND, 5));
	for (int i = 0; i < 3; i++)
		assert_int_equal(k2k_message_record(f.broker, 1), 0);
	has_free(&f, 2);
	f.clock_ns += 10 * SECOND;
	for (int i = 0; i < 7; i++)
		assert_int_equal(k2k_message_record(f.broker, 1), 0);
	refuses(&f, 1, 3 * SECOND);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(k2k_message_record(f.broker, 1), 0);
	f.clock_ns += SECOND;
	refuses(&f, 1, 6 * SECOND);
	f.clock_ns += 6 * SECOND;
	admits(&f, 1);
	has_free(&f, 0);
	fixture_close(&f);
}

TEST(a_bucket_does_not_go_back_for_a_clock_that_is_behind)
{
	_Atomic uint64_t late = 999 * SECOND;
	struct k2k_registry *other;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &other), 0);
	other->clock.injected_ns = &late;
	define(&f, bucket_of(2, K2K_PERIOD_SECOND, 2));
	admits(&f, 1);
	assert_int_equal(k2k_message_admit(other, 1, no_tag, 1, NULL), 0);
	assert_int_equal(k2k_message_admit(other, 1, no_tag, 1, NULL), K2K_ERATE);
	refuses(&f, 1, 500 * MS);
	f.clock_ns += 500 * MS;
	assert_int_equal(k2k_message_admit(other, 1, no_tag, 1, NULL), K2K_ERATE);
	admits(&f, 1);
	assert_int_equal(k2k_registry_close(&other), 0);
	fixture_close(&f);
}

/* ---- changes while in use ------------------------------------------------------------------ */

TEST(a_window_does_not_roll_by_the_length_of_an_old_definition)
{
	struct fixture f;

	fixture_open(&f);
	define(&f, window_of(10, K2K_PERIOD_SECOND));
	admits(&f, 10);
	redefine(&f, window_of(10, K2K_PERIOD_HOUR));
	refuses(&f, 1, HOUR * SECOND);
	f.clock_ns += MINUTE * SECOND;
	refuses(&f, 1, (HOUR - MINUTE) * SECOND);
	redefine(&f, window_of(12, K2K_PERIOD_DAY));
	admits(&f, 2);
	refuses(&f, 1, (DAY - MINUTE) * SECOND);
	redefine(&f, window_of(3, K2K_PERIOD_SECOND));
	admits(&f, 3);
	refuses(&f, 1, SECOND);
	fixture_close(&f);
}

TEST(other_changes_leave_a_slow_bucket_what_it_has_gained)
{
	struct k2k_quota quota = bucket_of(1, K2K_PERIOD_HOUR, 1);
	struct fixture f;

	fixture_open(&f);
	define(&f, quota);
	admits(&f, 1);
	for (uint32_t i = 1; i < 60; i++) {
		f.clock_ns += MINUTE * SECOND;
		quota.max_concurrent_kernels = 100 + i;
		assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, K2K_UPDATE_KERNELS), 0);
		refuses(&f, 1, (uint64_t)(60 - i) * MINUTE * SECOND);
	}
	f.clock_ns += MINUTE * SECOND;
	admits(&f, 1);
	fixture_close(&f);
}

TEST(a_window_that_becomes_a_bucket_keeps_what_it_has_counted)
{
	struct fixture f;

	fixture_open(&f);
	define(&f, window_of(10, K2K_PERIOD_SECOND));
	admits(&f, 4);
	redefine(&f, bucket_of(5, K2K_PERIOD_SECOND, 20));
	has_free(&f, 6);
	f.clock_ns += SECOND;
	has_free(&f, 11);
	redefine(&f, window_of(10, K2K_PERIOD_SECOND));
	has_free(&f, 10);
	admits(&f, 9);
	redefine(&f, bucket_of(5, K2K_PERIOD_SECOND, 20));
	has_free(&f, 1);
	redefine(&f, window_of(10, K2K_PERIOD_SECOND));
	admits(&f, 10);
	f.clock_ns += SECOND;
	/* the window has run out: nothing of it counts */
	redefine(&f, bucket_of(5, K2K_PERIOD_SECOND, 20));
	has_free(&f, 20);
	redefine(&f, window_of(K2K_UNLIMITED, K2K_PERIOD_SECOND));
	admits(&f, 1000000);
	redefine(&f, bucket_of(5, K2K_PERIOD_SECOND, 20));
	has_free(&f, 20);
	fixture_close(&f);
}

TEST(a_bucket_whose_rate_changes_keeps_its_tokens_and_no_debt)
{
	struct fixture f;

	fixture_open(&f);
	define(&f, bucket_of(1000, K2K_PERIOD_SECOND, 1000));
	admits(&f, 900);
	f.clock_ns += 125 * MS;
	redefine(&f, bucket_of(10, K2K_PERIOD_DAY, 500));
	has_free(&f, 225);
	redefine(&f, bucket_of(10, K2K_PERIOD_DAY, 100));
	has_free(&f, 100);
	admits(&f, 100);
	refuses(&f, 1, DAY * SECOND / 10);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(k2k_message_record(f.broker, 1), 0);
	redefine(&f, bucket_of(10, K2K_PERIOD_DAY, 50));
	refuses(&f, 1, DAY * SECOND / 10);
	redefine(&f, bucket_of(1000, K2K_PERIOD_SECOND, 1000));
	f.clock_ns += 125 * MS;
	has_free(&f, 125);
	fixture_close(&f);
}

TEST(changes_before_the_first_message_leave_everything_free)
{
	struct fixture f;

	fixture_open(&f);
	define(&f, window_of(10, K2K_PERIOD_DAY));
	redefine(&f, bucket_of(5, K2K_PERIOD_DAY, 3));
	redefine(&f, bucket_of(5, K2K_PERIOD_DAY, 200));
	has_free(&f, 200);
	redefine(&f, window_of(10, K2K_PERIOD_HOUR));
	f.clock_ns += 500 * SECOND;
	redefine(&f, window_of(11, K2K_PERIOD_DAY));
	f.clock_ns += 500 * SECOND;
	admits(&f, 11);
	refuses(&f, 1, DAY * SECOND);
	fixture_close(&f);
}

TEST(several_changes_between_two_messages_keep_what_was_counted)
{
	struct fixture f;

	fixture_open(&f);
	define(&f, window_of(100, K2K_PERIOD_DAY));
	admits(&f, 90);
	for (uint64_t i = 0; i < 600; i++) {
		redefine(&f, window_of(101 + i % 2, K2K_PERIOD_DAY));
		redefine(&f, window_of(100, K2K_PERIOD_DAY));
	}
	has_free(&f, 10);
	redefine(&f, bucket_of(1, K2K_PERIOD_DAY, 1000));
	redefine(&f, bucket_of(1, K2K_PERIOD_DAY, 8));
	redefine(&f, bucket_of(1, K2K_PERIOD_DAY, 1000));
	has_free(&f, 8);
	fixture_close(&f);
}

/* ---- damage ----------------------------------------------------------------------------- */

static void is_damaged(struct fixture *f, const char *invariant)
{
	struct k2k_finding finding = { .size = sizeof(finding) };
	struct k2k_repair_info repaired = { .size = sizeof(repaired) };
	size_t count;

	assert_int_equal(k2k_registry_check(f->admin, &finding, 1, &count), 0);
	assert_int_equal(count, 1);
	assert_string_equal(finding.invariant, invariant);
	assert_int_equal(k2k_registry_repair(f->admin, &repaired), 0);
	assert_int_equal(repaired.damaged, 1);
}

TEST(a_damaged_pair_is_repaired_with_nothing_free)
{
	struct k2k_shm_cell *cell;
	struct fixture f;

	fixture_open(&f);
	cell = &f.admin->map.cells[0];
	define(&f, bucket_of(1, K2K_PERIOD_SECOND, 5));
	admits(&f, 1);
	cell->window = k2k_rate_pack_second(2000, 1);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, NULL), K2K_ECORRUPT);
	assert_int_equal(k2k_message_record(f.broker, 1), K2K_ECORRUPT);
	is_damaged(&f, "I3");
	has_free(&f, 0);
	f.clock_ns += SECOND;
	admits(&f, 1);
	/* a ceiling that can't be is a bucket that is full, or a debt of one burst */
	cell->ceiling = cell->admitted + 1000000;
	has_free(&f, 5);
	cell->ceiling = cell->admitted - 1000000;
	f.clock_ns += SECOND;
	refuses(&f, 1, 6 * SECOND);
	redefine(&f, window_of(5, K2K_PERIOD_DAY));
	admits(&f, 1);
	cell->ceiling = cell->admitted + 3;
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, NULL), K2K_ERATE);
	is_damaged(&f, "I3");
	refuses(&f, 1, DAY * SECOND);
	fixture_close(&f);
}
