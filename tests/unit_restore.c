/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit_restore.c - a tenant moved from another registry, with its totals. */
#include "registry_fixture.h"

static const struct k2k_budget budgets[] = { { 7, 500 }, { 9, 600 } };
static const struct k2k_usage usage[] = { { 7, 499 }, { 8, UINT64_MAX - 1 }, { 0, 3 }, { 8, 5 } };

static struct k2k_quota quota_with_budgets(void)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.budgets = budgets;
	quota.budget_count = 2;
	return quota;
}

static struct k2k_tenant_image image_of(const struct k2k_quota *quota)
{
	return (struct k2k_tenant_image){ .size = sizeof(struct k2k_tenant_image),
		                          .id = 42,
		                          .generation = 1000,
		                          .registered_at_ns = 77,
		                          .admitted_total = 1,
		                          .rejected_total = { 2, 3, 4, 5 },
		                          .unattributed_ns = 6,
		                          .quota = quota,
		                          .usage = usage,
		                          .usage_count = 4 };
}

TEST(a_restored_tenant_has_all_that_it_had)
{
	struct k2k_quota quota = quota_with_budgets();
	struct k2k_tenant_image image = image_of(&quota);
	struct k2k_tenant_info info;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_restore(f.admin, &image), 0);
	info = info_of(f.broker, 42);
	assert_int_equal(info.generation, 1000);
	assert_int_equal(info.registered_at_ns, 77);
	assert_int_equal(info.admitted_total, 1);
	assert_int_equal(info.rejected_total.rate, 2);
	assert_int_equal(info.rejected_total.budget, 3);
	assert_int_equal(info.rejected_total.kernels, 4);
	assert_int_equal(info.rejected_total.gpu_memory, 5);
	assert_int_equal(info.unattributed_ns, 6);
	assert_int_equal(info.budget_count, 2);
	assert_int_equal(cost_for(f.broker, 42, tag_of(0, 7)), 499);
	assert_int_equal(cost_for(f.broker, 42, tag_of(0, 8)), UINT64_MAX);
	assert_int_equal(cost_for(f.broker, 42, tag_of(0, 0)), 3);
	assert_int_equal(cost_for(f.broker, 42, tag_of(0, 9)), 0);
	/* It counts on from there. */
	assert_int_equal(k2k_message_admit(f.broker, 42, tag_of(0, 7), 1, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 42, tag_of(0, 7), 1), 0);
	assert_int_equal(k2k_message_admit(f.broker, 42, tag_of(0, 7), 1, NULL), K2K_EBUDGET);
	assert_int_equal(info_of(f.broker, 42).admitted_total, 2);
	/* The next registration gets a higher generation. */
	assert_int_equal(k2k_tenant_register(f.admin, 43, NULL), 0);
	assert_int_equal(info_of(f.broker, 43).generation, 1001);
	fixture_close(&f);
}

TEST(no_generation_is_given_twice)
{
	struct k2k_quota quota = quota_with_budgets();
	struct k2k_tenant_image image = image_of(&quota);
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_restore(f.admin, &image), 0);
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EEXIST);
	image.id = 43;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EINVAL);
	image.generation = 999;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EINVAL);
	assert_false(is_registered(f.broker, 43));
	image.generation = 1001;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), 0);
	fixture_close(&f);
}

TEST(passed_generations_are_not_given)
{
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_generation_pass(f.admin, 500), 0);
	assert_int_equal(k2k_generation_pass(f.admin, 5), 0);
	assert_int_equal(k2k_generation_pass(f.broker, 600), K2K_EROLE);
	assert_int_equal(k2k_generation_pass(f.admin, UINT64_MAX), K2K_EINVAL);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(info_of(f.broker, 1).generation, 501);
	fixture_close(&f);
}

TEST(what_does_not_fit_is_not_restored_in_part)
{
	struct k2k_create_options small = K2K_CREATE_OPTIONS_INIT;
	struct k2k_quota quota = quota_with_budgets();
	struct k2k_tenant_image image = image_of(&quota);
	struct fixture f;
	size_t count;

	small.max_tenants = 2;
	small.max_engagements = 3;
	fixture_open_sized(&f, &small);
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EFULL);
	assert_string_equal(k2k_error_detail()->object, "engagements");
	assert_false(is_registered(f.broker, 42));
	assert_int_equal(k2k_usage_list(f.admin, 0, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
	fixture_close(&f);
}

TEST(a_wrong_image_is_refused)
{
	struct k2k_quota quota = quota_with_budgets();
	struct k2k_tenant_image image = image_of(&quota);
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_restore(NULL, &image), K2K_EINVAL);
	assert_int_equal(k2k_tenant_restore(f.admin, NULL), K2K_EINVAL);
	assert_int_equal(k2k_tenant_restore(f.broker, &image), K2K_EROLE);
	image.generation = 0;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EINVAL);
	image.generation = UINT64_MAX;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EINVAL);
	image = image_of(NULL);
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EINVAL);
	image = image_of(&quota);
	image.usage = NULL;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EINVAL);
	image = image_of(&quota);
	image.id = K2K_TENANT_UNSPECIFIED;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EUNSPECIFIED);
	assert_int_equal(tenants(f.broker), 0);
	fixture_close(&f);
}
