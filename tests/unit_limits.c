/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_limits.c - what a limit means: rates and windows, budgets, zero, unlimited, changes while in
 * use.
 */
#include "registry_fixture.h"

static int admit(struct fixture *f, k2k_tenant_id id, uint64_t n)
{
	return k2k_message_admit(f->broker, id, no_tag, n, NULL);
}

TEST(exactly_the_limit_passes_in_each_second)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open(&f);
	register_rate(&f, 1, 3);
	for (int second = 0; second < 5; second++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(admit(&f, 1, 1), 0);
		f.clock_ns += 250 * MS;
		assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, &verdict), K2K_ERATE);
		assert_int_equal(verdict.used, 3);
		assert_int_equal(verdict.limit, 3);
		assert_int_equal(verdict.remaining, 0);
		assert_int_equal(verdict.retry_after_ns, 750 * MS);
		assert_int_equal(verdict.window, 1000 + second);
		assert_int_equal(verdict.code, K2K_ERATE);
		f.clock_ns += 750 * MS;
	}
	assert_int_equal(info_of(f.admin, 1).admitted_total, 15);
	assert_int_equal(info_of(f.admin, 1).rejected_total.rate, 5);
	fixture_close(&f);
}

TEST(no_message_passes_in_a_second_that_no_window_can_name)
{
	struct k2k_lease lease = { .size = sizeof lease };
	struct fixture f;

	fixture_open(&f);
	f.clock_ns = (K2K_WINDOW_SECOND_MAX - 1) * SECOND;
	register_rate(&f, 1, 3);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	for (int i = 0; i < 2; i++, f.clock_ns += SECOND) {
		assert_int_equal(admit(&f, 1, 3), 0);
		assert_int_equal(admit(&f, 1, 1), K2K_ERATE);
		assert_int_equal(admit(&f, 2, 1), 0);
	}
	for (int i = 0; i < 3; i++, f.clock_ns += SECOND) {
		assert_int_equal(admit(&f, 1, 1), K2K_EIO);
		assert_string_equal(k2k_error_detail()->object, "clock");
		assert_int_equal(k2k_message_record(f.broker, 1), K2K_EIO);
		assert_int_equal(admit(&f, 2, 1), K2K_EIO);
		assert_int_equal(info_of(f.admin, 1).admitted_total, 6);
		assert_int_equal(info_of(f.admin, 1).rejected_total.rate, 2);
	}
	/* GPU time, leases and changes have no windows */
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(6, 7), 1000), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, &lease, NULL), 0);
	assert_int_equal(k2k_kernel_release(f.broker, &lease), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, NULL), 0);
	fixture_close(&f);
}

TEST(a_batch_is_admitted_whole_or_not_at_all)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open(&f);
	register_rate(&f, 1, 10);
	assert_int_equal(admit(&f, 1, 7), 0);
	assert_int_equal(admit(&f, 1, 4), K2K_ERATE);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 3, &verdict), 0);
	assert_int_equal(verdict.used, 10);
	assert_int_equal(verdict.remaining, 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 11, &verdict), K2K_ERATE);
	assert_int_equal(verdict.retry_after_ns, K2K_NEVER_NS);
	assert_int_equal(admit(&f, 1, 0), K2K_EINVAL);
	assert_int_equal(admit(&f, 1, K2K_ADMIT_MAX + 1), K2K_EINVAL);
	assert_int_equal(info_of(f.admin, 1).admitted_total, 10);
	fixture_close(&f);
}

TEST(the_largest_batches_stay_exact)
{
	struct fixture f;

	fixture_open(&f);
	register_rate(&f, 1, UINT64_C(1) << 40); /* counts as 2^33 */
	for (int second = 0; second < 3; second++) {
		assert_int_equal(admit(&f, 1, K2K_ADMIT_MAX), 0);
		assert_int_equal(admit(&f, 1, K2K_ADMIT_MAX), 0);
		assert_int_equal(admit(&f, 1, 1), K2K_ERATE);
		assert_int_equal(info_of(f.admin, 1).messages_this_second, K2K_RATE_MAX);
		f.clock_ns += SECOND;
	}
	assert_int_equal(info_of(f.admin, 1).max_messages_per_sec, UINT64_C(1) << 40);
	assert_int_equal(info_of(f.admin, 1).admitted_total, 3 * K2K_RATE_MAX);
	fixture_close(&f);
}

TEST(check_changes_nothing_and_record_counts)
{
	struct k2k_tenant_info before, after;
	struct fixture f;

	fixture_open(&f);
	register_rate(&f, 1, 2);
	assert_int_equal(k2k_message_record(f.broker, 1), 0);
	before = info_of(f.admin, 1);
	for (int i = 0; i < 10; i++)
		assert_int_equal(k2k_quota_check(f.broker, 1, no_tag, 1, NULL), 0);
	assert_int_equal(k2k_quota_check(f.admin, 1, no_tag, 2, NULL), K2K_ERATE);
	after = info_of(f.admin, 1);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(k2k_message_record(f.broker, 1), 0);
	/* record does not ask: above the limit */
	assert_int_equal(k2k_message_record(f.broker, 1), 0);
	assert_int_equal(info_of(f.admin, 1).messages_this_second, 3);
	assert_int_equal(admit(&f, 1, 1), K2K_ERATE);
	assert_int_equal(k2k_message_record(f.broker, 99), K2K_ENOTENANT);
	fixture_close(&f);
}

TEST(a_limit_of_zero_rejects_everything)
{
	struct k2k_budget budget = { 0, 0 };
	struct k2k_quota quota = quota_unlimited();
	struct fixture f;

	fixture_open(&f);
	quota.max_messages_per_sec = 0;
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_quota_check(f.broker, 1, no_tag, 1, NULL), K2K_ERATE);
	assert_int_equal(admit(&f, 1, 1), K2K_ERATE);

	quota = quota_unlimited();
	quota.max_concurrent_kernels = 0;
	quota.max_gpu_memory_bytes = 0;
	assert_int_equal(k2k_tenant_register(f.admin, 2, &quota), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 2, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 2, 1, NULL, NULL), K2K_EGPUMEM);

	quota = quota_unlimited();
	quota.budgets = &budget;
	quota.budget_count = 1;
	assert_int_equal(k2k_tenant_register(f.admin, 3, &quota), 0);
	assert_int_equal(k2k_quota_check(f.broker, 3, no_tag, 1, NULL), K2K_EBUDGET);
	assert_int_equal(admit(&f, 3, 1), K2K_EBUDGET);
	assert_int_equal(k2k_message_admit(f.broker, 3, tag_of(0, 1), 1, NULL), 0);
	assert_int_equal(info_of(f.admin, 3).rejected_total.budget, 1);
	assert_int_equal(info_of(f.admin, 2).rejected_total.kernels, 1);
	assert_int_equal(info_of(f.admin, 2).rejected_total.gpu_memory, 1);
	fixture_close(&f);
}

TEST(presets_are_what_they_say)
{
	struct k2k_quota unlimited = quota_unlimited();
	struct k2k_tenant_info info;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	info = info_of(f.admin, 1);
	assert_int_equal(info.max_concurrent_kernels, 16);
	assert_int_equal(info.max_gpu_memory_bytes, UINT64_C(2) << 30);
	assert_int_equal(info.max_messages_per_sec, 100000);
	assert_int_equal(info.budget_count, 0);
	assert_int_equal(k2k_tenant_register(f.admin, UINT64_MAX, &unlimited), 0);
	info = info_of(f.admin, UINT64_MAX);
	assert_int_equal(info.max_concurrent_kernels, UINT32_MAX);
	assert_int_equal(info.max_gpu_memory_bytes, UINT64_MAX);
	assert_int_equal(info.max_messages_per_sec, UINT64_MAX);
	assert_int_equal(admit(&f, UINT64_MAX, 5), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, UINT64_MAX, UINT64_MAX, NULL, NULL), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, UINT64_MAX, 1, NULL, NULL), K2K_EGPUMEM);
	assert_int_equal(k2k_gpu_memory_release_id(f.broker, UINT64_MAX, UINT64_MAX), 0);
	fixture_close(&f);
}

TEST(tenant_zero_is_never_defined)
{
	struct k2k_quota quota = quota_standard();
	struct k2k_lease lease = K2K_LEASE_INIT;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 0, NULL), K2K_EUNSPECIFIED);
	assert_int_equal(k2k_tenant_update(f.admin, 0, &quota, K2K_UPDATE_RATE), K2K_EUNSPECIFIED);
	assert_int_equal(k2k_tenant_deregister(f.admin, 0, NULL), K2K_EUNSPECIFIED);
	assert_int_equal(k2k_budget_set(f.admin, 0, 1, 1), K2K_EUNSPECIFIED);
	assert_false(is_registered(f.broker, 0));
	assert_int_equal(k2k_kernel_acquire(f.broker, 0, &lease, NULL), 0);
	assert_int_equal(k2k_kernel_release(f.broker, &lease), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 0, UINT64_MAX, NULL, NULL), 0);
	assert_int_equal(k2k_gpu_memory_release_id(f.broker, 0, 1), 0);
	fixture_close(&f);
}

TEST(the_rate_is_asked_before_the_budget)
{
	struct k2k_budget budget = { 7, 0 };
	struct k2k_quota quota = quota_standard();
	struct fixture f;

	quota.max_messages_per_sec = 0;
	quota.budgets = &budget;
	quota.budget_count = 1;
	fixture_open(&f);
	assert_int_equal(k2k_quota_check(f.broker, 1, tag_of(0, 7), 1, NULL), K2K_ENOTENANT);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_quota_check(f.broker, 1, tag_of(0, 7), 1, NULL), K2K_ERATE);
	quota.max_messages_per_sec = 1;
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, K2K_UPDATE_RATE), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(0, 7), 1, NULL), K2K_EBUDGET);
	/* the rejected one was not counted */
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(0, 8), 1, NULL), 0);
	fixture_close(&f);
}

TEST(a_budget_stops_the_next_admission_after_it_is_used_up)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(5, 7), 40), 0);
	/* Use before the budget was set counts. */
	assert_int_equal(k2k_budget_set(f.admin, 1, 7, 100), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(6, 7), 1, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(6, 7), 59), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(6, 7), 1, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(6, 7), 1000), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(6, 7), 1, &verdict), K2K_EBUDGET);
	assert_int_equal(verdict.used, 1099);
	assert_int_equal(verdict.limit, 100);
	assert_int_equal(verdict.retry_after_ns, K2K_NEVER_NS);
	assert_int_equal(k2k_budget_set(f.admin, 1, 7, 2000), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(6, 7), 1, NULL), 0);
	assert_int_equal(k2k_budget_set(f.admin, 1, 7, 0), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(6, 7), 1, NULL), K2K_EBUDGET);
	assert_int_equal(k2k_budget_unset(f.admin, 1, 7), 0);
	assert_int_equal(k2k_budget_unset(f.admin, 1, 7), K2K_ENOBUDGET);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(6, 7), 1, NULL), 0);
	/* The usage outlives its budget. */
	assert_int_equal(cost_for(f.admin, 1, tag_of(0, 7)), 1099);
	fixture_close(&f);
}

TEST(the_last_budget_of_an_engagement_counts)
{
	struct k2k_budget budgets[] = {
		{ 7, 1 }, { 0, 5 }, { 7, 2 }, { 9, K2K_UNLIMITED }, { 7, 3 }
	};
	struct k2k_budget_info list[4] = { { .size = sizeof(list[0]) } };
	struct k2k_quota quota = quota_standard();
	struct fixture f;
	size_t count;

	quota.budgets = budgets;
	quota.budget_count = 5;
	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_budget_list(f.broker, 1, list, 4, &count), 0);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(list[i].budget_ns, list[i].engagement_id == 7 ? 3 : 5);
	assert_int_equal(info_of(f.admin, 1).budget_count, 2);
	budgets[0] = (struct k2k_budget){ 7, K2K_UNLIMITED };
	budgets[1] = (struct k2k_budget){ 8, 4 };
	quota.budget_count = 2;
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, K2K_UPDATE_BUDGETS), 0);
	assert_int_equal(k2k_budget_list(f.broker, 1, list, 4, &count), 0);
	assert_int_equal(count, 2); /* engagements 0 and 8 */
	assert_int_equal(info_of(f.admin, 1).budget_count, 2);
	fixture_close(&f);
}

TEST(update_changes_what_is_named_and_keeps_usage)
{
	struct k2k_quota quota = quota_standard();
	struct k2k_tenant_info info;
	struct fixture f;

	fixture_open(&f);
	register_rate(&f, 1, 5);
	assert_int_equal(admit(&f, 1, 4), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 3), 77), 0);
	quota.max_messages_per_sec = 6;
	quota.max_concurrent_kernels = 1;
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, K2K_UPDATE_RATE), 0);
	assert_int_equal(admit(&f, 1, 2), 0);
	assert_int_equal(admit(&f, 1, 1), K2K_ERATE);
	info = info_of(f.admin, 1);
	assert_int_equal(info.max_concurrent_kernels, 16);
	assert_int_equal(info.admitted_total, 6);
	assert_int_equal(info.kernels, 2);
	assert_int_equal(cost_for(f.admin, 1, tag_of(0, 3)), 77);
	/* A lowered limit revokes no lease. */
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, K2K_UPDATE_KERNELS), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(info_of(f.admin, 1).kernels, 2);
	assert_int_equal(k2k_kernel_release_id(f.broker, 1), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_kernel_release_id(f.broker, 1), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	assert_int_equal(k2k_tenant_update(f.admin, 2, &quota, K2K_UPDATE_RATE), K2K_ENOTENANT);
	assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, 1u << 20), K2K_EINVAL);
	fixture_close(&f);
}

TEST(a_window_never_steps_back)
{
	struct fixture f;

	fixture_open(&f);
	register_rate(&f, 1, 2);
	assert_int_equal(admit(&f, 1, 2), 0);
	f.clock_ns -= SECOND; /* a process whose clock reading is older */
	assert_int_equal(admit(&f, 1, 1), K2K_ERATE);
	f.clock_ns -= SECOND;
	assert_int_equal(admit(&f, 1, 1), K2K_ERATE);
	f.clock_ns -= SECOND; /* More than two seconds ahead of the clock: damage. */
	assert_int_equal(admit(&f, 1, 1), K2K_ECORRUPT);
	f.clock_ns += 4 * SECOND;
	assert_int_equal(admit(&f, 1, 2), 0);
	fixture_close(&f);
}

TEST(the_base_survives_the_wrap_of_its_34_bits)
{
	struct fixture f;

	fixture_open(&f);
	register_rate(&f, 1, UINT64_C(1) << 33);
	for (int second = 0; second < 9; second++) {
		assert_int_equal(admit(&f, 1, K2K_ADMIT_MAX), 0);
		assert_int_equal(admit(&f, 1, K2K_ADMIT_MAX - 1), 0);
		assert_int_equal(admit(&f, 1, 2), K2K_ERATE);
		assert_int_equal(admit(&f, 1, 1), 0);
		assert_int_equal(admit(&f, 1, 1), K2K_ERATE);
		f.clock_ns += SECOND;
	}
	fixture_close(&f);
}

TEST(a_cost_stops_at_the_end_of_64_bits_and_the_rest_is_counted)
{
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 1), UINT64_MAX - 10), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 1), 25), K2K_EUNBOOKED);
	assert_int_equal(cost_for(f.broker, 1, tag_of(0, 1)), UINT64_MAX);
	assert_int_equal(info_of(f.admin, 1).unattributed_ns, 15);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(0, 1), 5), 0);
	assert_int_equal(cost(f.broker, tag_of(0, 1)), UINT64_MAX);
	fixture_close(&f);
}

TEST(a_full_ledger_loses_nothing)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_tenant_totals totals = { .size = sizeof(totals) };
	struct fixture f;

	options.max_tenants = 4;
	options.max_engagements = 4;
	options.max_budgets = 2;
	fixture_open_sized(&f, &options);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, i), 10), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 9), 7), K2K_EUNBOOKED);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(0, 9), 8), K2K_EUNBOOKED);
	/* known engagements go on */
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 3), 1), 0);
	assert_int_equal(info_of(f.admin, 2).unattributed_ns, 8);
	assert_int_equal(k2k_budget_set(f.admin, 2, 9, 100), K2K_EFULL);
	assert_string_equal(k2k_error_detail()->object, "engagements");
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_int_equal(totals.gpu_ns_total, 41);
	assert_int_equal(totals.unattributed_ns, 7);
	/* Its records are free again after one more grace period. */
	WAIT_UNTIL(k2k_usage_track(f.broker, 2, tag_of(0, 9), 3) == 0, PATIENCE_S);
	assert_int_equal(cost_for(f.broker, 2, tag_of(0, 9)), 3);
	assert_int_equal(k2k_budget_set(f.admin, 2, 9, 100), 0);
	fixture_close(&f);
}

TEST(ever_new_engagements_of_one_tenant_leave_the_others_their_records)
{
	enum { RECORDS = 256, SHARE = RECORDS / 2, COMMON = RECORDS / 4 * 3 };
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_budget budgets[] = { { 1, 100 }, { 2, 100 } };
	struct k2k_quota quota = quota_standard();
	struct k2k_repair_info repaired = { .size = sizeof(repaired) };
	struct fixture f;
	uint64_t i;

	options.max_tenants = 8;
	options.max_engagements = RECORDS;
	options.max_budgets = 16;
	fixture_open_sized(&f, &options);
	quota.budgets = budgets;
	quota.budget_count = 2;
	for (k2k_tenant_id id = 1; id <= 3; id++)
		assert_int_equal(k2k_tenant_register(f.admin, id, NULL), 0);
	for (i = 0; i < SHARE; i++)
		assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, i), 1), 0);
	for (; i < 4 * SHARE; i++)
		assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, i), 1), K2K_EUNBOOKED);
	assert_int_equal(info_of(f.admin, 1).unattributed_ns, 3 * SHARE);
	/* known engagements go on */
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 0), 1), 0);
	/* The other tenants' share. */
	for (i = 0; i < COMMON - SHARE; i++)
		assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(0, i), 1), 0);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(0, i), 1), K2K_EUNBOOKED);
	assert_int_equal(k2k_usage_track(f.broker, 3, tag_of(0, 1), 1), K2K_EUNBOOKED);
	/* Administrators can still claim records for budgets, for the first tenant too. */
	assert_int_equal(k2k_tenant_register(f.admin, 4, &quota), 0);
	assert_int_equal(k2k_budget_set(f.admin, 1, 9999, 100), 0);
	assert_int_equal(k2k_usage_track(f.broker, 4, tag_of(0, 1), 1), 0);
	/*
	 * Recovery corrects the count that a broker leaves if it is killed after counting records
	 * and before taking them.
	 */
	assert_int_equal(f.admin->map.cells[0].costs, SHARE + 1);
	f.admin->map.cells[0].costs += 5;
	assert_int_equal(k2k_registry_repair(f.admin, &repaired), 0);
	assert_int_equal(f.admin->map.cells[0].costs, SHARE + 1);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1,
	                                       &(struct k2k_tenant_totals){
						       .size = sizeof(struct k2k_tenant_totals) }),
	                 0);
	WAIT_UNTIL(k2k_usage_track(f.broker, 3, tag_of(0, 1), 1) == 0, 3);
	fixture_close(&f);
}

/*
 * The state that an administrator leaves if it is killed between freeing a record and counting it.
 */
TEST(a_record_that_was_freed_and_not_counted_is_found_within_a_second)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_tenant_totals totals = { .size = sizeof(totals) };
	struct k2k_repair_info repaired = { .size = sizeof(repaired) };
	uint32_t freed;
	struct fixture f;

	options.max_tenants = 4;
	options.max_engagements = 2;
	options.max_budgets = 2;
	for (int by_repair = 0; by_repair < 2; by_repair++) {
		fixture_open_sized(&f, &options);
		assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
		assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
		assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 1), 10), 0);
		assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(0, 1), 10), 0);
		assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 2), 7), K2K_EUNBOOKED);
		freed = f.admin->map.live->ledger_pool.freed;
		assert_int_equal(k2k_tenant_deregister(f.admin, 2, &totals), 0);
		assert_true(f.admin->map.live->ledger_pool.freed != freed);
		f.admin->map.live->ledger_pool.freed = freed;
		if (by_repair)
			assert_int_equal(k2k_registry_repair(f.admin, &repaired), 0);
		WAIT_UNTIL(k2k_usage_track(f.broker, 1, tag_of(0, 2), 3) == 0, 3);
		fixture_close(&f);
	}
}

TEST(full_tables_are_named_and_nothing_is_changed)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_budget budgets[] = { { 1, 1 }, { 2, 2 }, { 3, 3 } };
	struct k2k_quota quota = quota_standard();
	struct fixture f;
	size_t count;

	options.max_tenants = 2;
	options.max_budgets = 2;
	fixture_open_sized(&f, &options);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	quota.budgets = budgets;
	quota.budget_count = 3;
	assert_int_equal(k2k_tenant_register(f.admin, 2, &quota), K2K_EFULL);
	assert_string_equal(k2k_error_detail()->object, "budgets");
	assert_false(is_registered(f.broker, 2));
	quota.budget_count = 2;
	WAIT_UNTIL(k2k_tenant_register(f.admin, 2, &quota) == 0, PATIENCE_S);
	assert_int_equal(k2k_tenant_register(f.admin, 3, NULL), K2K_EFULL);
	assert_string_equal(k2k_error_detail()->object, "tenants");
	quota.max_messages_per_sec = 1;
	quota.budgets = budgets + 2;
	quota.budget_count = 1;
	assert_int_equal(
		k2k_tenant_update(f.admin, 2, &quota, K2K_UPDATE_RATE | K2K_UPDATE_BUDGETS),
		K2K_EFULL);
	/* all changes or none */
	assert_int_equal(info_of(f.admin, 2).max_messages_per_sec, 100000);
	assert_int_equal(k2k_budget_list(f.admin, 2, NULL, 0, &count), 0);
	assert_int_equal(count, 2);
	fixture_close(&f);
}

/* ---- the largest counts ---- */

static const struct k2k_create_options single = { .size = sizeof single, .max_tenants = 1 };

TEST(what_cannot_be_booked_stops_at_the_end_of_64_bits_too)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct fixture f;

	fixture_open_sized(&f, &single);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 7), UINT64_MAX), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 7), UINT64_MAX - 5), K2K_EUNBOOKED);
	assert_int_equal(info_of(f.admin, 1).unattributed_ns, UINT64_MAX - 5);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 7), 0), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 7), 6), K2K_EUNBOOKED);
	assert_int_equal(info_of(f.admin, 1).unattributed_ns, UINT64_MAX);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 8), 1), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, &totals), 0);
	assert_int_equal(totals.gpu_ns_total, UINT64_MAX);
	assert_int_equal(totals.unattributed_ns, UINT64_MAX);
	fixture_close(&f);
}

TEST(two_to_the_34_records_of_one_second_are_seen_by_its_limit)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open_sized(&f, &single);
	register_rate(&f, 1, 5);
	assert_int_equal(k2k_message_record(f.broker, 1), 0);
	/* stands for so many calls of record */
	f.broker->map.cells[0].admitted += (UINT64_C(1) << 34) - 2;
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, &v), K2K_ERATE);
	assert_int_equal(v.used, (UINT64_C(1) << 34) - 1);
	assert_int_equal(k2k_message_record(f.broker, 1), 0);
	assert_int_equal(info_of(f.admin, 1).admitted_total, UINT64_C(1) << 34);
	assert_int_equal(info_of(f.admin, 1).messages_this_second, UINT64_C(1) << 34);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, &v), K2K_ERATE);
	f.clock_ns += SECOND;
	for (int i = 0; i < 6; i++)
		assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, &v),
		                 i < 5 ? 0 : K2K_ERATE);
	fixture_close(&f);
}

TEST(a_limit_above_2_to_the_33_counts_as_that)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open_sized(&f, &single);
	register_rate(&f, 1, UINT64_C(1) << 40);
	assert_int_equal(admit(&f, 1, K2K_ADMIT_MAX), 0);
	assert_int_equal(admit(&f, 1, K2K_ADMIT_MAX), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, &v), K2K_ERATE);
	assert_int_equal(v.limit, UINT64_C(1) << 40);
	assert_int_equal(info_of(f.admin, 1).admitted_total, UINT64_C(1) << 33);
	f.clock_ns += SECOND;
	assert_int_equal(admit(&f, 1, K2K_ADMIT_MAX), 0);
	fixture_close(&f);
}

TEST(a_refused_message_is_told_the_rest_of_the_second)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open_sized(&f, &single);
	register_rate(&f, 1, 1);
	f.clock_ns += 123456789;
	assert_int_equal(admit(&f, 1, 1), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, &v), K2K_ERATE);
	assert_int_equal(v.retry_after_ns, SECOND - 123456789);
	f.clock_ns += v.retry_after_ns - 1;
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, &v), K2K_ERATE);
	assert_int_equal(v.retry_after_ns, 1);
	f.clock_ns += 1;
	assert_int_equal(admit(&f, 1, 1), 0);
	fixture_close(&f);
}
