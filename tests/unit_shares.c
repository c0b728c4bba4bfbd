/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_shares.c - a rate that is this host's share of a rate over many hosts: which limit is in
 * force, and who may say until when
 */
#include "registry_fixture.h"

#include <sys/syscall.h>

/* What CLOCK_BOOTTIME shows, if it is not 0: on a machine that was suspended it is another time. */
static uint64_t boot_ns;

int clock_gettime(clockid_t id, struct timespec *now)
{
	if (id != CLOCK_BOOTTIME || !boot_ns)
		return (int)syscall(SYS_clock_gettime, id, now);
	now->tv_sec = (time_t)(boot_ns / SECOND);
	now->tv_nsec = (long)(boot_ns % SECOND);
	return 0;
}

enum { ID = 42, SHARE = 5, ALONE = 2 };

static void at(struct fixture *f, uint64_t ns)
{
	atomic_store(&f->clock_ns, ns);
}

static struct k2k_quota shared_quota(uint64_t share, uint64_t alone)
{
	struct k2k_quota quota = quota_standard();

	quota.max_messages_per_sec = share;
	quota.rate_shared = 1;
	quota.rate_alone = alone;
	return quota;
}

static void open_shared(struct fixture *f)
{
	struct k2k_quota quota = shared_quota(SHARE, ALONE);

	fixture_open(f);
	assert_int_equal(k2k_tenant_register(f->admin, ID, &quota), 0);
}

static void set_share(struct fixture *f, uint64_t share, uint64_t alone)
{
	struct k2k_quota quota = shared_quota(share, alone);

	assert_int_equal(k2k_tenant_update(f->admin, ID, &quota, K2K_UPDATE_RATE), 0);
}

/* The first epoch, with a time. */
static void hold(struct fixture *f, uint64_t until_ns)
{
	assert_int_equal(k2k_shares_hold(f->admin, 1, 0), 0);
	assert_int_equal(k2k_shares_hold(f->admin, 1, until_ns), 0);
}

static struct k2k_shares shares_of(struct k2k_registry *reg)
{
	struct k2k_shares shares = K2K_SHARES_INIT;

	assert_int_equal(k2k_shares_get(reg, &shares), 0);
	return shares;
}

static int admit(struct fixture *f, struct k2k_verdict *verdict)
{
	*verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	return k2k_message_admit(f->broker, ID, no_tag, 1, verdict);
}

/*
 * How many messages pass now, up to 10. A check, each verdict, and what is shown say the limit that
 * decides.
 */
static uint64_t passing(struct fixture *f, uint64_t limit)
{
	struct k2k_verdict checked = K2K_VERDICT_INIT, verdict;
	uint64_t passed = 0;
	int code = 0;

	while (!code && passed < 10) {
		int peek = k2k_quota_check(f->broker, ID, no_tag, 1, &checked);

		code = admit(f, &verdict);
		assert_int_equal(peek, code);
		assert_int_equal(checked.limit, limit);
		assert_int_equal(verdict.limit, limit);
		passed += code == 0;
	}
	assert_int_equal(code, K2K_ERATE);
	assert_int_equal(info_of(f->broker, ID).rate_holds, limit == SHARE);
	return passed;
}

TEST(the_share_is_in_force_before_the_time_and_the_other_limit_from_then_on)
{
	struct fixture f;

	open_shared(&f);
	assert_int_equal(passing(&f, ALONE), ALONE);
	at(&f, 1001 * SECOND);
	hold(&f, 1003 * SECOND);
	assert_int_equal(passing(&f, SHARE), SHARE);
	at(&f, 1003 * SECOND - 1);
	assert_int_equal(passing(&f, SHARE), SHARE);
	at(&f, 1003 * SECOND);
	assert_int_equal(passing(&f, ALONE), ALONE);
	at(&f, 2000 * SECOND);
	assert_int_equal(passing(&f, ALONE), ALONE);
	fixture_close(&f);
}

TEST(in_a_window_in_which_shares_begin_or_end_the_larger_limit_is_never_exceeded)
{
	struct k2k_verdict verdict;
	struct fixture f;

	open_shared(&f);
	assert_int_equal(passing(&f, ALONE), ALONE);
	hold(&f, 1001 * SECOND + SECOND / 2);
	assert_int_equal(passing(&f, SHARE), SHARE - ALONE);
	at(&f, 1001 * SECOND + SECOND / 4);
	for (int i = 0; i < ALONE + 1; i++)
		assert_int_equal(admit(&f, &verdict), 0);
	at(&f, 1001 * SECOND + SECOND / 2);
	/* it has used more than the limit that is in force now */
	assert_int_equal(passing(&f, ALONE), 0);
	assert_int_equal(admit(&f, &verdict), K2K_ERATE);
	assert_int_equal(verdict.used, ALONE + 1);
	assert_int_equal(verdict.remaining, 0);
	assert_int_equal(verdict.retry_after_ns, SECOND / 2);
	at(&f, 1002 * SECOND);
	assert_int_equal(passing(&f, ALONE), ALONE);
	fixture_close(&f);
}

TEST(what_raises_or_lowers_a_share_and_what_ends_all_is_in_force_at_once)
{
	struct fixture f;

	open_shared(&f);
	hold(&f, 1100 * SECOND);
	set_share(&f, SHARE - 2, ALONE);
	set_share(&f, SHARE, ALONE);
	assert_int_equal(passing(&f, SHARE), SHARE);
	at(&f, 1001 * SECOND);
	assert_int_equal(k2k_shares_hold(f.admin, 1, 0), 0);
	assert_int_equal(passing(&f, ALONE), ALONE);
	assert_int_equal(k2k_shares_hold(f.admin, 1, 1002 * SECOND), 0);
	assert_int_equal(passing(&f, SHARE), SHARE - ALONE);
	fixture_close(&f);
}

TEST(both_limits_may_be_none_at_all_or_zero)
{
	struct k2k_verdict verdict;
	struct fixture f;

	open_shared(&f);
	set_share(&f, K2K_UNLIMITED, 0);
	assert_int_equal(admit(&f, &verdict), K2K_ERATE);
	assert_int_equal(verdict.retry_after_ns, K2K_NEVER_NS);
	hold(&f, 1100 * SECOND);
	assert_int_equal(admit(&f, &verdict), 0);
	assert_int_equal(verdict.limit, K2K_UNLIMITED);
	set_share(&f, 0, K2K_UNLIMITED);
	assert_int_equal(admit(&f, &verdict), K2K_ERATE);
	at(&f, 1100 * SECOND);
	assert_int_equal(admit(&f, &verdict), 0);
	assert_int_equal(k2k_message_record(f.broker, ID), 0);
	assert_int_equal(info_of(f.admin, ID).messages_this_second, 2);
	fixture_close(&f);
}

TEST(a_tenant_without_a_share_does_not_notice_that_shares_end)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open(&f);
	register_rate(&f, ID, 3);
	hold(&f, 1000 * SECOND);
	for (int i = 0; i < 3; i++)
		assert_int_equal(k2k_message_admit(f.broker, ID, no_tag, 1, &verdict), 0);
	assert_int_equal(k2k_message_admit(f.broker, ID, no_tag, 1, &verdict), K2K_ERATE);
	assert_int_equal(info_of(f.admin, ID).rate_shared, 0);
	assert_int_equal(info_of(f.admin, ID).rate_holds, 0);
	fixture_close(&f);
}

TEST(a_share_in_shadow_with_thresholds_or_suspended_is_as_any_rate)
{
	struct k2k_quota quota = shared_quota(SHARE, ALONE);
	struct k2k_verdict verdict;
	struct fixture f;

	open_shared(&f);
	quota.shadow = 1;
	quota.alerts[0] = 100;
	assert_int_equal(
		k2k_tenant_update(f.admin, ID, &quota, K2K_UPDATE_SHADOW | K2K_UPDATE_ALERTS), 0);
	for (int i = 0; i < ALONE; i++)
		assert_int_equal(admit(&f, &verdict), 0);
	assert_int_equal(verdict.shadow_code, 0);
	assert_int_equal(info_of(f.admin, ID).alerted_rate, 100);
	assert_int_equal(admit(&f, &verdict), 0);
	assert_int_equal(verdict.shadow_code, K2K_ERATE);
	assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.rate, 1);
	assert_int_equal(k2k_tenant_suspend(f.admin, ID), 0);
	assert_int_equal(admit(&f, &verdict), K2K_ESUSPENDED);
	assert_int_equal(info_of(f.admin, ID).rate_shared, 1);
	fixture_close(&f);
}

TEST(only_a_window_of_a_second_can_be_shared)
{
	struct k2k_quota quota = shared_quota(SHARE, ALONE);
	struct k2k_tenant_info info;
	struct fixture f;

	open_shared(&f);
	quota.rate_period = K2K_PERIOD_MINUTE;
	assert_int_equal(k2k_tenant_update(f.admin, ID, &quota, K2K_UPDATE_RATE), K2K_EINVAL);
	assert_string_equal(k2k_error_detail()->field, "rate_shared");
	quota = shared_quota(SHARE, ALONE);
	quota.rate_policy = K2K_RATE_BUCKET;
	quota.burst = 1;
	assert_int_equal(k2k_tenant_update(f.admin, ID, &quota, K2K_UPDATE_RATE), K2K_EINVAL);
	quota = shared_quota(SHARE, ALONE);
	quota.rate_shared = 0;
	assert_int_equal(k2k_tenant_update(f.admin, ID, &quota, K2K_UPDATE_RATE), K2K_EINVAL);
	assert_string_equal(k2k_error_detail()->field, "rate_alone");
	info = info_of(f.admin, ID);
	assert_int_equal(info.max_messages_per_sec, SHARE);
	assert_int_equal(info.rate_alone, ALONE);
	assert_int_equal(info.rate_shared, 1);
	fixture_close(&f);
}

TEST(a_rate_becomes_a_share_and_is_none_any_more)
{
	struct k2k_quota quota = shared_quota(SHARE, ALONE), plain = quota_standard();
	struct fixture f;

	open_shared(&f);
	hold(&f, 1100 * SECOND);
	plain.max_messages_per_sec = 7;
	assert_int_equal(k2k_tenant_update(f.admin, ID, &plain, K2K_UPDATE_RATE), 0);
	assert_int_equal(info_of(f.admin, ID).rate_alone, 0);
	assert_int_equal(passing(&f, 7), 7);
	plain.rate_policy = K2K_RATE_BUCKET;
	plain.burst = 3;
	assert_int_equal(k2k_tenant_update(f.admin, ID, &plain, K2K_UPDATE_RATE), 0);
	at(&f, 1001 * SECOND);
	assert_int_equal(k2k_tenant_update(f.admin, ID, &quota, K2K_UPDATE_RATE), 0);
	assert_int_equal(passing(&f, SHARE), SHARE);
	/* another change leaves it as it is */
	quota = quota_standard();
	assert_int_equal(k2k_tenant_update(f.admin, ID, &quota, K2K_UPDATE_KERNELS), 0);
	assert_int_equal(info_of(f.admin, ID).rate_alone, ALONE);
	at(&f, 1100 * SECOND);
	assert_int_equal(passing(&f, ALONE), ALONE);
	fixture_close(&f);
}

/* ---- whose shares they are ---------------------------------------------------------------- */

TEST(an_agent_of_an_earlier_epoch_changes_nothing)
{
	struct k2k_shares shares;
	struct fixture f;

	fixture_open(&f);
	shares = shares_of(f.broker);
	assert_int_equal(shares.epoch, 0);
	assert_int_equal(shares.until_ns, 0);
	assert_int_equal(shares.now_ns, 1000 * SECOND);
	assert_int_equal(k2k_shares_hold(f.admin, 7, 0), 0);
	assert_int_equal(k2k_shares_hold(f.admin, 7, 1010 * SECOND), 0);
	assert_int_equal(k2k_shares_hold(f.admin, 8, 0), 0);
	assert_int_equal(shares_of(f.broker).until_ns, 0);
	assert_int_equal(k2k_shares_hold(f.admin, 8, 1005 * SECOND), 0);
	assert_int_equal(k2k_shares_hold(f.admin, 7, 1020 * SECOND), K2K_ESTALE);
	assert_int_equal(k2k_shares_hold(f.admin, 7, 0), K2K_ESTALE);
	shares = shares_of(f.broker);
	assert_int_equal(shares.epoch, 8);
	assert_int_equal(shares.until_ns, 1005 * SECOND);
	fixture_close(&f);
}

TEST(a_new_epoch_comes_without_a_time_and_a_time_never_falls)
{
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_shares_hold(f.admin, 0, 0), K2K_EINVAL);
	assert_int_equal(k2k_shares_hold(f.admin, 1, 1010 * SECOND), K2K_EINVAL);
	assert_string_equal(k2k_error_detail()->field, "until_ns");
	assert_int_equal(shares_of(f.admin).epoch, 0);
	hold(&f, 1010 * SECOND);
	assert_int_equal(k2k_shares_hold(f.admin, 1, 1010 * SECOND - 1), K2K_EINVAL);
	assert_int_equal(k2k_error_detail()->expected, 1010 * SECOND);
	assert_int_equal(k2k_shares_hold(f.admin, 1, 1010 * SECOND), 0);
	assert_int_equal(k2k_shares_hold(f.admin, 2, 1020 * SECOND), K2K_EINVAL);
	assert_int_equal(shares_of(f.admin).epoch, 1);
	assert_int_equal(shares_of(f.admin).until_ns, 1010 * SECOND);
	assert_int_equal(k2k_batch_begin(f.admin), 0);
	assert_int_equal(k2k_shares_hold(f.admin, 2, 0), 0);
	assert_int_equal(k2k_shares_hold(f.admin, 2, UINT64_MAX), 0);
	assert_int_equal(k2k_batch_end(f.admin), 0);
	assert_int_equal(shares_of(f.admin).until_ns, UINT64_MAX);
	fixture_close(&f);
}

TEST(the_time_is_that_of_the_clock_that_goes_on_in_a_suspend)
{
	struct k2k_shares shares;
	struct fixture f;

	open_shared(&f);
	f.admin->clock.injected_ns = NULL;
	f.broker->clock.injected_ns = NULL;
	boot_ns = 5 * SECOND;
	f.admin->clock.boot_offset_ns = 2 * SECOND;
	f.broker->clock.boot_offset_ns = 0;
	shares = shares_of(f.admin);
	assert_int_equal(shares.now_ns, 3 * SECOND);
	hold(&f, 6 * SECOND);
	assert_int_equal(info_of(f.broker, ID).rate_holds, 1);
	boot_ns = 6 * SECOND;
	assert_int_equal(info_of(f.broker, ID).rate_holds, 0);
	boot_ns = 0;
	f.admin->clock.injected_ns = &f.clock_ns;
	f.broker->clock.injected_ns = &f.clock_ns;
	fixture_close(&f);
}

/* ---- the words that can't be ---------------------------------------------------------------- */

static bool finds(struct fixture *f)
{
	struct k2k_finding finding = { .size = sizeof(finding) };
	size_t count;

	assert_int_equal(k2k_registry_check(f->admin, &finding, 1, &count), 0);
	return count > 0;
}

TEST(check_finds_a_share_of_another_rate_and_a_time_without_an_epoch)
{
	struct k2k_shm_tenant *tenant;
	struct fixture f;

	open_shared(&f);
	tenant = f.admin->map.tenants;
	while (tenant->id != ID)
		tenant++;
	tenant->select ^= K2K_MODE_BUCKET;
	tenant->burst[1] ^= (uint64_t)K2K_MODE_BUCKET << K2K_BURST_BITS;
	assert_true(finds(&f));
	tenant->select ^= K2K_MODE_BUCKET | K2K_MODE_SHARED;
	tenant->burst[1] ^= (uint64_t)(K2K_MODE_BUCKET | K2K_MODE_SHARED) << K2K_BURST_BITS;
	assert_true(finds(&f));
	tenant->select ^= K2K_MODE_SHARED;
	assert_true(finds(&f));
	tenant->burst[1] ^= (uint64_t)K2K_MODE_SHARED << K2K_BURST_BITS;
	assert_false(finds(&f));
	f.admin->map.defs->shares_until_ns = 1;
	assert_true(finds(&f));
	f.admin->map.defs->shares_until_ns = 0;
	fixture_close(&f);
}

TEST(a_window_that_was_damaged_is_used_up_by_both_limits)
{
	struct k2k_repair_info info = { .size = sizeof(info) };
	struct k2k_verdict verdict;
	struct k2k_shm_cell *cell;
	struct fixture f;

	open_shared(&f);
	assert_int_equal(admit(&f, &verdict), 0);
	cell = f.admin->map.cells;
	while (cell->admitted != 1)
		cell++;
	cell->ceiling = 1000;
	assert_int_equal(k2k_registry_repair(f.admin, &info), 0);
	assert_int_equal(info.damaged, 1);
	hold(&f, 1100 * SECOND);
	assert_int_equal(admit(&f, &verdict), K2K_ERATE);
	at(&f, 1001 * SECOND);
	assert_int_equal(passing(&f, SHARE), SHARE);
	fixture_close(&f);
}

static uint64_t token(struct fixture *f)
{
	struct k2k_registry_info info = { .size = sizeof info };

	assert_int_equal(k2k_registry_info(f->admin, &info), 0);
	return info.grace_token;
}

static void update(struct fixture *f, const struct k2k_quota *quota)
{
	assert_int_equal(k2k_tenant_update(f->admin, ID, quota,
	                                   K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY |
	                                           K2K_UPDATE_KERNELS | K2K_UPDATE_NAME),
	                 0);
}

/* Lowered from `high` to `low`: brokers are asked whether a call is under way. */
static void lowers(struct fixture *f, const struct k2k_quota *high, const struct k2k_quota *low)
{
	uint64_t before;

	update(f, high);
	before = token(f);
	update(f, low);
	assert_int_equal(token(f), before + 1);
	update(f, low);
	assert_int_equal(token(f), before + 1);
}

/* Who grants elsewhere what a limit was lowered by waits for that (k2k_tenant_update). */
TEST(a_lowered_limit_begins_a_grace_period)
{
	struct k2k_quota high = shared_quota(SHARE, ALONE), low;
	struct fixture f;
	uint64_t before;

	open_shared(&f);
	low = shared_quota(SHARE - 1, ALONE);
	lowers(&f, &high, &low);
	low = shared_quota(SHARE, ALONE - 1);
	lowers(&f, &high, &low);
	low = high;
	low.max_gpu_memory_bytes--;
	lowers(&f, &high, &low);
	low = high;
	low.max_concurrent_kernels--;
	lowers(&f, &high, &low);
	low = high;
	low.rate_shared = 0;
	low.rate_alone = 0;
	lowers(&f, &high, &low);
	low.rate_period = K2K_PERIOD_MINUTE;
	lowers(&f, &high, &low);
	high = low = quota_standard();
	high.rate_policy = low.rate_policy = K2K_RATE_BUCKET;
	high.burst = 10;
	low.burst = 9;
	lowers(&f, &high, &low);
	before = token(&f);
	high.max_messages_per_sec++;
	high.max_gpu_memory_bytes++;
	high.max_concurrent_kernels++;
	high.name = "another";
	update(&f, &high);
	assert_int_equal(token(&f), before);
	fixture_close(&f);
}
