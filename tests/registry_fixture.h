/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * registry_fixture.h - a registry with one administrator and one broker; its clock only moves when
 * the test moves it.
 */
#ifndef K2K_TESTS_REGISTRY_FIXTURE_H
#define K2K_TESTS_REGISTRY_FIXTURE_H

#include <stdatomic.h>

#include "handle.h"
#include "harness.h"
#include "k2k/registry.h"

struct fixture {
	const char *name;
	struct k2k_registry *admin, *broker;
	_Atomic uint64_t clock_ns;
};

#define SECOND UINT64_C(1000000000)
#define MS UINT64_C(1000000)

HARNESS_USED static const struct k2k_audit_tag no_tag = { 0, 0 };

HARNESS_USED static struct k2k_audit_tag tag_of(uint64_t org, uint64_t engagement)
{
	return (struct k2k_audit_tag){ org, engagement };
}

HARNESS_USED static void fixture_open_sized(struct fixture *f,
                                            const struct k2k_create_options *options)
{
	f->name = fresh_registry();
	assert_int_equal(k2k_registry_create(f->name, options, &f->admin), 0);
	assert_int_equal(k2k_registry_open(f->name, K2K_ROLE_BROKER, NULL, &f->broker), 0);
	atomic_store(&f->clock_ns, 1000 * SECOND);
	f->broker->clock.injected_ns = &f->clock_ns;
	f->admin->clock.injected_ns = &f->clock_ns;
}

enum { FIXTURE_EVENTS = 64 }; /* in each ring */

/* Small: a test ends with a check of all its bytes, which takes long under a sanitizer. */
HARNESS_USED static void fixture_open(struct fixture *f)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = 256;
	options.max_engagements = 1024;
	options.max_budgets = options.max_leases = options.max_kernels = 256;
	options.max_audit_events = FIXTURE_EVENTS;
	fixture_open_sized(f, &options);
}

/* Every test must end with a clean registry. */
HARNESS_USED static void fixture_close(struct fixture *f)
{
	struct k2k_finding finding = { .size = sizeof(finding) };
	size_t count;

	assert_int_equal(k2k_registry_check(f->admin, &finding, 1, &count), 0);
	if (count)
		fail_msg("check found: %s: %s", finding.object, finding.text);
	assert_int_equal(k2k_registry_close(&f->broker), 0);
	assert_int_equal(k2k_registry_close(&f->admin), 0);
	assert_int_equal(k2k_registry_destroy(f->name, 0, NULL), 0);
}

HARNESS_USED static struct k2k_quota quota_standard(void)
{
	return (struct k2k_quota)K2K_QUOTA_STANDARD;
}

HARNESS_USED static struct k2k_quota quota_unlimited(void)
{
	return (struct k2k_quota)K2K_QUOTA_UNLIMITED;
}

HARNESS_USED static void register_rate(struct fixture *f, k2k_tenant_id id, uint64_t rate)
{
	struct k2k_quota quota = quota_standard();

	quota.max_messages_per_sec = rate;
	assert_int_equal(k2k_tenant_register(f->admin, id, &quota), 0);
}

HARNESS_USED static size_t tenants(struct k2k_registry *reg)
{
	size_t count;

	assert_int_equal(k2k_tenant_count(reg, &count), 0);
	return count;
}

HARNESS_USED static int is_registered(struct k2k_registry *reg, k2k_tenant_id id)
{
	int registered = -1;

	assert_int_equal(k2k_tenant_is_registered(reg, id, &registered), 0);
	return registered;
}

HARNESS_USED static uint64_t cost_for(struct k2k_registry *reg, k2k_tenant_id id,
                                      struct k2k_audit_tag tag)
{
	uint64_t ns = 1;

	assert_int_equal(k2k_usage_engagement_for(reg, id, tag, &ns), 0);
	return ns;
}

HARNESS_USED static uint64_t cost(struct k2k_registry *reg, struct k2k_audit_tag tag)
{
	uint64_t ns = 1;

	assert_int_equal(k2k_usage_engagement(reg, tag, &ns), 0);
	return ns;
}

HARNESS_USED static struct k2k_tenant_info info_of(struct k2k_registry *reg, k2k_tenant_id id)
{
	struct k2k_tenant_info info = { .size = sizeof(info) };

	assert_int_equal(k2k_tenant_get(reg, id, &info), 0);
	return info;
}

/* A window of a second, and budgets. */
static inline struct k2k_quota quota_of(uint64_t rate, uint64_t memory, uint32_t kernels,
                                        uint32_t count, const struct k2k_budget *budgets)
{
	return (struct k2k_quota){ .size = sizeof(struct k2k_quota),
		                   .max_messages_per_sec = rate,
		                   .max_gpu_memory_bytes = memory,
		                   .max_concurrent_kernels = kernels,
		                   .budget_count = count,
		                   .budgets = budgets };
}

#endif
