/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_reference.c - the twelve tests of the single-process registry that this one replaces, under
 * their original names.
 */
#include "registry_fixture.h"

TEST(register_and_query)
{
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(tenants(f.broker), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_true(is_registered(f.broker, 1));
	assert_int_equal(tenants(f.broker), 1);
	fixture_close(&f);
}

TEST(duplicate_registration_fails)
{
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), K2K_EEXIST);
	assert_string_equal(k2k_error_detail()->text, "tenant 1 already registered");
	assert_int_equal(tenants(f.broker), 1);
	fixture_close(&f);
}

TEST(deregister)
{
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, NULL), 0);
	assert_false(is_registered(f.broker, 1));
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, NULL), K2K_ENOTENANT);
	fixture_close(&f);
}

TEST(unspecified_tenant_fast_path)
{
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_quota_check(f.broker, 0, no_tag, 1, NULL), 0);
	assert_int_equal(k2k_message_record(f.broker, 0), 0);
	assert_int_equal(k2k_usage_track(f.broker, 0, no_tag, 100 * MS), 0);
	assert_int_equal(k2k_message_admit(f.broker, 0, no_tag, 1, NULL), 0);
	assert_int_equal(cost(f.broker, no_tag), 0);
	fixture_close(&f);
}

TEST(track_usage_and_cost)
{
	struct k2k_quota unlimited = quota_unlimited();
	struct k2k_audit_tag a = tag_of(42, 1), b = tag_of(42, 2);
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 42, &unlimited), 0);
	assert_int_equal(k2k_usage_track(f.broker, 42, a, 250 * MS), 0);
	assert_int_equal(k2k_usage_track(f.broker, 42, a, 750 * MS), 0);
	assert_int_equal(k2k_usage_track(f.broker, 42, b, 100 * MS), 0);
	assert_int_equal(cost_for(f.broker, 42, a), 1000 * MS);
	assert_int_equal(cost_for(f.broker, 42, b), 100 * MS);
	assert_int_equal(cost(f.broker, a), 1000 * MS);
	fixture_close(&f);
}

TEST(cross_tenant_engagement_aggregation)
{
	struct k2k_quota unlimited = quota_unlimited();
	struct k2k_audit_tag tag = tag_of(99, 7);
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &unlimited), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, &unlimited), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag, 500 * MS), 0);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag, 500 * MS), 0);
	assert_int_equal(cost(f.broker, tag), 1000 * MS);
	fixture_close(&f);
}

TEST(check_quota_message_rate)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open(&f);
	register_rate(&f, 1, 5);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(k2k_quota_check(f.broker, 1, no_tag, 1, NULL), 0);
		assert_int_equal(k2k_message_record(f.broker, 1), 0);
	}
	assert_int_equal(k2k_quota_check(f.broker, 1, no_tag, 1, &verdict), K2K_ERATE);
	assert_int_equal(verdict.used, 5);
	assert_int_equal(verdict.limit, 5);
	fixture_close(&f);
}

TEST(check_quota_engagement_budget)
{
	struct k2k_budget budget = { 7, 100 * MS };
	struct k2k_quota quota = quota_standard();
	struct k2k_audit_tag tag = tag_of(0, 7);
	struct fixture f;

	quota.budgets = &budget;
	quota.budget_count = 1;
	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_quota_check(f.broker, 1, tag, 1, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag, 150 * MS), 0);
	assert_int_equal(k2k_quota_check(f.broker, 1, tag, 1, NULL), K2K_EBUDGET);
	fixture_close(&f);
}

static int events;

static void count_cross_tenant(void *context, const struct k2k_audit_event *event)
{
	(void)context;
	events++;
	assert_int_equal(event->type, K2K_AUDIT_SECURITY_VIOLATION);
	assert_contains(event->description, "cross-tenant");
}

TEST(audit_cross_tenant_logs_event)
{
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, count_cross_tenant, NULL), 0);
	assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "src", "dst", tag_of(100, 200)), 0);
	assert_int_equal(events, 1);
	fixture_close(&f);
	assert_int_equal(events, 1);
}

TEST(kernel_slot_acquire_release)
{
	struct k2k_quota quota = quota_standard();
	struct fixture f;

	quota.max_concurrent_kernels = 2;
	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_kernel_release_id(f.broker, 1), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	fixture_close(&f);
}

TEST(kernel_slot_unregistered_tenant_fails)
{
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_kernel_acquire(f.broker, 99, NULL, NULL), K2K_ENOTENANT);
	fixture_close(&f);
}

TEST(is_cross_tenant)
{
	assert_false(k2k_is_cross_tenant(1, 1));
	assert_true(k2k_is_cross_tenant(1, 2));
	assert_true(k2k_is_cross_tenant(K2K_TENANT_UNSPECIFIED, 1));
}
