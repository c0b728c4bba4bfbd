/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_used_up.c - use does not exhaust anything: lease records of dead, closed and idle brokers
 * become free by themselves.
 */
#include "process.h"

#include <stdbool.h>

enum { TENANTS = 48, LEASES = 64 };

static const char *registry_of(uint64_t tenants, uint64_t leases, struct k2k_registry **admin)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();

	options.max_tenants = tenants;
	options.max_engagements = 256;
	options.max_budgets = 64;
	options.max_kernels = 16;
	options.max_audit_events = 16;
	options.max_leases = leases;
	assert_int_equal(k2k_registry_create(name, &options, admin), 0);
	for (k2k_tenant_id id = 1; id <= tenants; id++)
		assert_int_equal(k2k_tenant_register(*admin, id, NULL), 0);
	return name;
}

static struct k2k_table_info leases_of(struct k2k_registry *reg)
{
	struct k2k_registry_info info = { .size = sizeof info };

	assert_int_equal(k2k_registry_info(reg, &info), 0);
	return info.leases;
}

static void is_clean(struct k2k_registry *admin)
{
	struct k2k_finding finding = { .size = sizeof finding };
	size_t count;

	assert_int_equal(k2k_registry_check(admin, &finding, 1, &count), 0);
	if (count)
		fail_msg("check found: %s: %s", finding.object, finding.text);
}

/* Takes a slot of each tenant, and gives back all of them; with `keep`, every second one. */
static void touch_all(struct k2k_registry *reg, bool keep)
{
	for (k2k_tenant_id id = 1; id <= TENANTS; id++) {
		int code = k2k_kernel_acquire(reg, id, NULL, NULL);

		if (code)
			fail_msg("tenant %d: %s (%s)", (int)id, k2k_errname(code),
			         k2k_error_detail()->text);
		if (!keep || id % 2)
			assert_int_equal(k2k_kernel_release_id(reg, id), 0);
	}
}

/*
 * Needs a record for each of 48 tenants. The table has 64, and a reserve of 64 for stopped brokers:
 * all of them come from the dead.
 */
TEST(brokers_that_are_killed_use_up_no_lease_record)
{
	struct k2k_registry *admin;
	const char *name = registry_of(TENANTS, LEASES, &admin);

	for (int round = 0; round < 120; round++) {
		pid_t pid = spawn();

		if (pid == 0) {
			touch_all(open_as(name, K2K_ROLE_BROKER), true);
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	assert_int_equal(leases_of(admin).used, 0);
	is_clean(admin);
	assert_int_equal(k2k_registry_close(&admin), 0);
}

TEST(brokers_that_close_use_up_no_lease_record)
{
	struct k2k_registry *admin;
	const char *name = registry_of(TENANTS, LEASES, &admin);

	for (int round = 0; round < 60; round++) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		touch_all(reg, true);
		assert_int_equal(leases_of(admin).used, TENANTS / 2);
		assert_int_equal(k2k_registry_close(&reg), 0);
	}
	is_clean(admin);
	assert_int_equal(k2k_registry_close(&admin), 0);
}

/* Sixty stopped brokers have used every tenant: 2,880 pairs that hold nothing, in a table of 64. */
TEST(brokers_that_stand_still_keep_nothing_that_holds_nothing)
{
	enum { STANDING = 60 };
	struct k2k_registry *admin, *reg;
	const char *name = registry_of(TENANTS, LEASES, &admin);
	pid_t pids[STANDING];

	for (int i = 0; i < STANDING; i++) {
		struct gate touched;

		gate_make(&touched);
		pids[i] = spawn();
		if (pids[i] == 0) {
			touch_all(open_as(name, K2K_ROLE_BROKER), false);
			gate_open(&touched);
			for (;;)
				pause();
		}
		gate_wait(&touched);
		kill(pids[i], SIGSTOP);
		assert_true(waitpid(pids[i], NULL, WUNTRACED) == pids[i]);
	}
	reg = open_as(name, K2K_ROLE_BROKER);
	touch_all(reg, true);
	for (k2k_tenant_id id = 1; id <= TENANTS; id += 2)
		assert_int_equal(k2k_kernel_acquire(reg, id, NULL, NULL), 0);
	assert_int_equal(leases_of(admin).used, TENANTS);
	is_clean(admin);
	for (int i = 0; i < STANDING; i++)
		spawn_kill(pids[i]);
	assert_int_equal(k2k_registry_close(&reg), 0);
	assert_int_equal(k2k_registry_close(&admin), 0);
}

TEST(a_table_whose_records_all_hold_something_is_named)
{
	struct k2k_registry *admin, *reg;
	const char *name = registry_of(80, 4, &admin);
	k2k_tenant_id held = 0;
	int code = 0;

	reg = open_as(name, K2K_ROLE_BROKER);
	while (held < 80 && (code = k2k_kernel_acquire(reg, held + 1, NULL, NULL)) == 0)
		held++;
	assert_int_equal(held, 4 + K2K_BROKERS_MAX);
	assert_int_equal(code, K2K_EFULL);
	assert_string_equal(k2k_error_detail()->object, "leases");
	assert_int_equal(leases_of(admin).used, 4);
	assert_int_equal(k2k_kernel_acquire(reg, 1, NULL, NULL), 0); /* uses the existing record */
	assert_int_equal(k2k_kernel_release_id(reg, held), 0);
	/* Uses the record that was given back. */
	assert_int_equal(k2k_kernel_acquire(reg, 80, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(reg, 79, NULL, NULL), K2K_EFULL);
	/* What it holds comes back with the tenant. */
	assert_int_equal(k2k_tenant_deregister(admin, 1, NULL), 0);
	WAIT_UNTIL(k2k_tenant_register(admin, 1, NULL) == 0 &&
	                   k2k_kernel_acquire(reg, 79, NULL, NULL) == 0,
	           PATIENCE_S);
	is_clean(admin);
	assert_int_equal(k2k_registry_close(&reg), 0);
	assert_int_equal(k2k_registry_close(&admin), 0);
}

/*
 * Three brokers take and release slots of all tenants, in a table much too small for all pairs:
 * each record changes its owner all the time. None is refused, and no tenant's only slot is held
 * twice.
 */
TEST(records_that_move_all_the_time_lose_no_lease_and_refuse_none)
{
	enum { BROKERS = 3, SECONDS = 3 };
	struct counts {
		atomic_int held[TENANTS + 1];
		atomic_ullong taken, refused;
	} *counts = shared_bytes(sizeof *counts);
	struct k2k_registry *admin;
	const char *name = registry_of(TENANTS, 1, &admin);
	struct k2k_quota one = K2K_QUOTA_STANDARD;
	pid_t pids[BROKERS];

	one.max_concurrent_kernels = 1;
	for (k2k_tenant_id id = 1; id <= TENANTS; id++)
		assert_int_equal(k2k_tenant_update(admin, id, &one, K2K_UPDATE_KERNELS), 0);
	for (int i = 0; i < BROKERS; i++) {
		pids[i] = spawn();
		if (pids[i] != 0)
			continue;
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		random_seed((uint64_t)i);
		for (uint64_t end = now_ns() + SECONDS * UINT64_C(1000000000); now_ns() < end;) {
			k2k_tenant_id id = 1 + random_below(TENANTS);
			int code = k2k_kernel_acquire(reg, id, NULL, NULL);

			if (code == K2K_EKERNELS || code == K2K_EBUSY) {
				atomic_fetch_add(&counts->refused, 1);
				continue;
			}
			assert_int_equal(code, 0);
			if (atomic_fetch_add(&counts->held[id], 1) != 0)
				fail_msg("the one slot of tenant %d is held twice", (int)id);
			atomic_fetch_add(&counts->taken, 1);
			atomic_fetch_sub(&counts->held[id], 1);
			assert_int_equal(k2k_kernel_release_id(reg, id), 0);
		}
		assert_int_equal(k2k_registry_close(&reg), 0);
		_exit(0);
	}
	wait_all(pids, BROKERS);
	assert_true(atomic_load(&counts->taken) > 1000);
	assert_int_equal(leases_of(admin).used, 0);
	is_clean(admin);
	assert_int_equal(k2k_registry_close(&admin), 0);
}
