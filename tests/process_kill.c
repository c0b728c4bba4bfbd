/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_kill - processes are killed at random moments: the next operation works at once, and
 * everything is in order
 */
#include "process.h"

enum { TENANT = 7, AT_ONCE_MS = 1500 };

/* Makes every change that an administrator can make, over few ids, so that the changes collide. */
static void change_all_the_time(const char *name)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_ADMIN);

	for (;;) {
		struct k2k_budget budgets[3] = { { random_below(5), 10 },
			                         { random_below(5), K2K_UNLIMITED },
			                         { random_below(5), 1000 } };
		struct k2k_tenant_totals totals = { .size = sizeof totals };
		struct k2k_quota quota = K2K_QUOTA_STANDARD;
		uint64_t id = 100 + random_below(6);

		quota.max_messages_per_sec = random_below(1000);
		quota.budgets = budgets;
		quota.budget_count = 3;
		switch (random_below(7)) {
		case 0:
		case 1: k2k_tenant_register(reg, id, &quota); break;
		case 2:
			k2k_tenant_update(reg, id, &quota, K2K_UPDATE_RATE | K2K_UPDATE_BUDGETS);
			break;
		case 3: k2k_budget_set(reg, id, random_below(5), random_below(100)); break;
		case 4: k2k_budget_unset(reg, id, random_below(5)); break;
		default: k2k_tenant_deregister(reg, id, random_below(2) ? &totals : NULL);
		}
	}
}

/* Makes every call that a broker can make for tenants that come and go. */
static void work_all_the_time(const char *name)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

	for (;;) {
		struct k2k_audit_tag tag = { 1, random_below(40) };
		uint64_t id = 100 + random_below(6);

		k2k_message_admit(reg, id, tag, 1, NULL);
		k2k_usage_track(reg, id, tag, 1);
		if (k2k_kernel_acquire(reg, id, NULL, NULL) == 0)
			k2k_kernel_release_id(reg, id);
	}
}

static pid_t start(void (*work)(const char *), const char *name, struct gate *ready)
{
	pid_t pid = spawn();

	if (pid == 0) {
		random_seed((uint64_t)getpid());
		gate_open(ready);
		work(name);
	}
	return pid;
}

/* Checks that the next change soon works, and that everything is in order afterwards. */
static void is_in_order(struct k2k_registry *admin)
{
	uint64_t begun_ns = now_ns();
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	register_tenant(admin, TENANT, 10, 4);
	check_clean(admin);
	assert_int_equal(k2k_tenant_deregister(admin, TENANT, &totals), 0);
	assert_int_equal(totals.final, 1);
	if (now_ns() - begun_ns > AT_ONCE_MS * UINT64_C(1000000))
		fail_msg("after a kill the next changes took %" PRIu64 " us",
		         (now_ns() - begun_ns) / 1000);
	check_clean(admin);
}

static void remove_all_tenants(struct k2k_registry *admin)
{
	k2k_tenant_id ids[64];
	size_t count;

	assert_int_equal(k2k_tenant_ids(admin, ids, 64, &count), 0);
	assert_true(count <= 64);
	for (size_t i = 0; i < count; i++) {
		struct k2k_tenant_totals totals = { .size = sizeof totals };

		assert_int_equal(k2k_tenant_deregister(admin, ids[i], &totals), 0);
	}
	/* Nothing is lost: after one more grace period everything is free. */
	WAIT_UNTIL(({
			   struct k2k_registry_info info = { .size = sizeof info };
			   struct k2k_repair_info repaired = { .size = sizeof repaired };

			   assert_int_equal(k2k_registry_repair(admin, &repaired), 0);
			   assert_int_equal(k2k_registry_info(admin, &info), 0);
			   info.tenants.used + info.tenants.retired + info.budgets.used +
					   info.budgets.retired + info.engagements.used +
					   info.leases.used ==
				   0;
		   }),
	           PATIENCE_S);
	check_clean(admin);
}

TEST(an_administrator_killed_in_a_storm_of_changes_leaves_everything_in_order)
{
	enum { KILLS = 250 };
	struct k2k_registry *admin;
	const char *name = small_registry(12, &admin);
	struct gate ready;

	gate_make(&ready);
	random_seed(31);
	for (int i = 0; i < KILLS; i++) {
		pid_t victim = start(change_all_the_time, name, &ready);

		gate_wait(&ready);
		pause_ns(random_below(1500000));
		spawn_kill(victim);
		is_in_order(admin);
	}
	remove_all_tenants(admin);
	close_and_destroy(name, &admin);
}

TEST(administrators_and_brokers_killed_among_others_leave_everything_in_order)
{
	enum { KILLS = 120, LIVING = 3 };
	struct k2k_registry *admin;
	const char *name = small_registry(12, &admin);
	pid_t living[LIVING];
	struct gate ready;

	gate_make(&ready);
	random_seed(32);
	/*
	 * One administrator and two brokers, one of which is killed and replaced again and again.
	 */
	living[0] = start(change_all_the_time, name, &ready);
	living[1] = start(work_all_the_time, name, &ready);
	living[2] = start(work_all_the_time, name, &ready);
	for (int i = 0; i < LIVING; i++)
		gate_wait(&ready);
	for (int i = 0; i < KILLS; i++) {
		int which = (int)random_below(LIVING);

		pause_ns(random_below(3000000));
		if (which == 0)
			spawn_kill(living[0]);
		else
			kill_broker(admin, living[which]);
		is_in_order(admin);
		living[which] = start(which == 0 ? change_all_the_time : work_all_the_time, name,
		                      &ready);
		gate_wait(&ready);
	}
	for (int i = 0; i < LIVING; i++)
		spawn_kill(living[i]);
	WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
	remove_all_tenants(admin);
	close_and_destroy(name, &admin);
}

TEST(an_administrator_killed_while_it_waits_for_totals_keeps_no_place_from_reuse)
{
	enum { PLACES = 3 };
	struct k2k_registry *admin;
	const char *name = small_registry(PLACES, &admin);
	struct gate ready, waits;
	pid_t broker, waiter;

	gate_make(&ready);
	gate_make(&waits);
	for (uint64_t id = 1; id <= PLACES; id++)
		register_tenant(admin, id, 10, 4);
	broker = spawn();
	if (broker == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		assert_int_equal(k2k_message_admit(reg, 1, no_tag, 1, NULL), 0);
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_wait(&ready);
	stop_process(broker);
	waiter = spawn();
	if (waiter == 0) {
		struct k2k_tenant_totals totals = { .size = sizeof totals };
		struct k2k_registry *reg = open_as(name, K2K_ROLE_ADMIN);

		gate_open(&waits);
		k2k_tenant_deregister(reg, 1, &totals);
		fail_msg("the stopped broker has answered");
	}
	gate_wait(&waits);
	WAIT_UNTIL(({
			   size_t count;

			   assert_int_equal(k2k_tenant_count(admin, &count), 0);
			   count == PLACES - 1;
		   }),
	           PATIENCE_S);
	spawn_kill(waiter);
	assert_int_equal(kill(broker, SIGCONT), 0);
	register_tenant(admin, 1, 10, 4);
	assert_int_equal(tenant_info(admin, 1).admitted_total, 0);
	kill_broker(admin, broker);
	check_clean(admin);
	close_and_destroy(name, &admin);
}
