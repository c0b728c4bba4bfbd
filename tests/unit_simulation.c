/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_simulation.c - a simulated registry, through the public header alone: limits are decided for
 * the time that the program sets.
 */
#include "harness.h"

#include "k2k/registry.h"

#define SECOND UINT64_C(1000000000)

static struct k2k_simulated_time now;
static const struct k2k_audit_tag tag = { 1, 7 };

static struct k2k_open_options with_clock(void)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;

	options.flags = K2K_OPEN_CLOCK;
	options.clock = &now;
	return options;
}

static struct k2k_registry *open_with(const char *name, enum k2k_role role,
                                      struct k2k_open_options options)
{
	struct k2k_registry *reg;

	assert_int_equal(k2k_registry_open(name, role, &options, &reg), 0);
	return reg;
}

static const char *create(void)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();

	options.flags = K2K_CREATE_SIMULATED;
	options.max_audit_events = 8;
	assert_int_equal(k2k_registry_create(name, &options, NULL), 0);
	return name;
}

TEST(limits_are_decided_for_the_time_that_the_program_sets)
{
	const char *name = create();
	struct k2k_registry *admin = open_with(name, K2K_ROLE_ADMIN, with_clock());
	struct k2k_registry *broker = open_with(name, K2K_ROLE_BROKER, with_clock());
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;

	quota.max_messages_per_sec = 2;
	assert_int_equal(k2k_tenant_register(admin, 42, &quota), 0);
	for (uint64_t second = 1; second < 1000; second++) {
		__atomic_store_n(&now.monotonic_ns, second * SECOND + SECOND / 4, __ATOMIC_RELAXED);
		assert_int_equal(k2k_message_admit(broker, 42, tag, 2, NULL), 0);
		assert_int_equal(k2k_message_admit(broker, 42, tag, 1, &verdict), K2K_ERATE);
		assert_int_equal(verdict.window, second);
		assert_int_equal(verdict.retry_after_ns, SECOND - SECOND / 4);
	}
	k2k_registry_close(&broker);
	k2k_registry_close(&admin);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
}

static void refused(const char *name, struct k2k_open_options options)
{
	const enum k2k_role roles[] = { K2K_ROLE_ADMIN, K2K_ROLE_BROKER, K2K_ROLE_OBSERVER };
	struct k2k_registry *reg;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(k2k_registry_open(name, roles[i], &options, &reg), K2K_EINVAL);
		assert_null(reg);
		assert_string_equal(k2k_error_detail()->field, "clock");
	}
}

TEST(a_simulation_and_a_made_up_time_go_only_together)
{
	struct k2k_open_options without = K2K_OPEN_OPTIONS_INIT, null = with_clock();
	struct k2k_create_options simulated = K2K_CREATE_OPTIONS_INIT;
	const char *name = create();
	struct k2k_registry *reg;
	struct k2k_registry_info info = { .size = sizeof info };

	refused(name, without);
	null.clock = NULL;
	refused(name, null);
	reg = open_with(name, K2K_ROLE_OBSERVER, with_clock());
	assert_int_equal(k2k_registry_info(reg, &info), 0);
	assert_int_equal(info.flags, K2K_INFO_SIMULATED);
	k2k_registry_close(&reg);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);

	assert_int_equal(k2k_registry_create(name, NULL, NULL), 0);
	refused(name, with_clock());
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);

	simulated.flags = K2K_CREATE_SIMULATED;
	assert_int_equal(k2k_registry_create(name, &simulated, &reg), K2K_EINVAL);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), K2K_ENOREGISTRY);
}
