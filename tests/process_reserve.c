/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_reserve - reservations of many processes: the budget is never exceeded, a dead broker's
 * reservations are free at once, and what was committed is booked once
 *
 * The oracle is a counter in shared memory: raised by what was granted after a grant, and lowered
 * before a commit or cancel by what that gives back. So it never exceeds what is really booked and
 * reserved.
 */
#include "process.h"

enum { TENANT = 7, ENGAGEMENT = 3, BUDGET = 100000 };

static const struct k2k_audit_tag tag = { 0, ENGAGEMENT };

struct oracle {
	struct meeting meeting;
	atomic_llong used, most, booked;
	atomic_int granted, refused, busy;
};

static void count_grant(struct oracle *oracle, uint64_t ns)
{
	long long used = atomic_fetch_add(&oracle->used, (long long)ns) + (long long)ns,
		  most = atomic_load(&oracle->most);

	if (used > BUDGET)
		fail_msg("%lld ns are booked and reserved, the budget is %d", used, BUDGET);
	while (most < used && !atomic_compare_exchange_weak(&oracle->most, &most, used))
		;
	atomic_fetch_add(&oracle->granted, 1);
}

static int reserve(struct k2k_registry *reg, uint64_t ns, struct k2k_reservation *reservation)
{
	*reservation = (struct k2k_reservation)K2K_RESERVATION_INIT;
	return k2k_usage_reserve(reg, TENANT, tag, ns, reservation, NULL);
}

/* Reserves, and commits a part of it or cancels it, until the budget is used up. */
static void spend(struct k2k_registry *reg, struct oracle *oracle)
{
	enum { KEPT = 4, MOST_NS = 200 };
	struct k2k_reservation kept[KEPT] = { { 0 } };
	unsigned int refused = 0;

	for (unsigned int step = 0; refused < 20; step++) {
		struct k2k_reservation *at = &kept[step % KEPT];
		uint64_t ns = 1 + random_below(MOST_NS), actual = at->reserved_ns;
		int code;

		if (at->reserved_ns) {
			actual = random_below(4) ? random_below((uint32_t)actual + 1) : 0;
			atomic_fetch_sub(&oracle->used, (long long)(at->reserved_ns - actual));
			atomic_fetch_add(&oracle->booked, (long long)actual);
			code = actual ? k2k_usage_commit(reg, at, actual)
			              : k2k_usage_cancel(reg, at);
			assert_int_equal(code, 0);
		}
		code = reserve(reg, ns, at);
		if (code == 0) {
			count_grant(oracle, ns);
			refused = 0;
		} else if (code == K2K_EBUDGET) {
			atomic_fetch_add(&oracle->refused, 1);
			refused++;
		} else {
			assert_int_equal(code, K2K_EBUSY);
			atomic_fetch_add(&oracle->busy, 1);
			refused++;
		}
		dither();
	}
	for (int i = 0; i < KEPT; i++) {
		uint64_t ns = kept[i].reserved_ns;

		if (!ns)
			continue;
		atomic_fetch_add(&oracle->booked, (long long)ns);
		assert_int_equal(k2k_usage_commit(reg, &kept[i], ns), 0);
	}
}

static void spend_together(uint32_t processes)
{
	struct oracle *oracle = shared_bytes(sizeof *oracle);
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	uint64_t ns;
	pid_t brokers[64];

	register_tenant(admin, TENANT, K2K_UNLIMITED, 1);
	assert_int_equal(k2k_budget_set(admin, TENANT, ENGAGEMENT, BUDGET), 0);
	for (uint32_t i = 0; i < processes; i++) {
		brokers[i] = spawn();
		if (brokers[i] != 0)
			continue;
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		random_seed(i);
		meet(&oracle->meeting, processes);
		spend(reg, oracle);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	wait_all(brokers, processes);
	printf("# %d granted, %d refused, %d busy; at most %lld of %d\n",
	       atomic_load(&oracle->granted), atomic_load(&oracle->refused),
	       atomic_load(&oracle->busy), atomic_load(&oracle->most), BUDGET);
	assert_int_equal(k2k_usage_reserved(admin, TENANT, tag, &ns), 0);
	assert_int_equal(ns, 0);
	assert_int_equal(k2k_usage_engagement_for(admin, TENANT, tag, &ns), 0);
	assert_int_equal(ns, atomic_load(&oracle->booked));
	assert_int_equal(ns, atomic_load(&oracle->used));
	assert_true(atomic_load(&oracle->refused) > 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(two_brokers_that_reserve_stay_within_the_budget)
{
	spend_together(2);
}

TEST(sixty_four_brokers_that_reserve_stay_within_the_budget)
{
	spend_together(64);
}

/* ---- death ------------------------------------------------------------------------------ */

TEST(what_a_killed_broker_had_reserved_is_free_at_once)
{
	enum { HOLDERS = 8 };
	struct oracle *oracle = shared_bytes(sizeof *oracle);
	struct k2k_reservation mine;
	struct k2k_registry *admin, *broker;
	const char *name = small_registry(4, &admin);
	pid_t holders[HOLDERS];
	uint64_t ns;

	register_tenant(admin, TENANT, K2K_UNLIMITED, 1);
	assert_int_equal(k2k_budget_set(admin, TENANT, ENGAGEMENT, BUDGET), 0);
	broker = open_as(name, K2K_ROLE_BROKER);
	for (int i = 0; i < HOLDERS; i++) {
		holders[i] = spawn();
		if (holders[i] != 0)
			continue;
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
		struct k2k_reservation first;

		assert_int_equal(reserve(reg, 1000, &first), 0);
		assert_int_equal(k2k_usage_commit(reg, &first, 500), 0);
		assert_int_equal(reserve(reg, BUDGET / HOLDERS - 500, &first), 0);
		meet(&oracle->meeting, HOLDERS + 1);
		pause();
		exit(1);
	}
	meet(&oracle->meeting, HOLDERS + 1);
	assert_int_equal(reserve(broker, 1, &mine), K2K_EBUDGET);
	assert_int_equal(k2k_message_admit(broker, TENANT, tag, 1, NULL), K2K_EBUDGET);
	for (int i = 0; i < HOLDERS; i++) {
		assert_int_equal(kill(holders[i], SIGKILL), 0);
		assert_int_equal(waitpid(holders[i], NULL, 0), holders[i]);
		WAIT_UNTIL(brokers_alive(admin) == (uint32_t)(HOLDERS - i), PATIENCE_S);
		/* exactly what this one had, and what it has used stays booked */
		assert_int_equal(reserve(broker, BUDGET / HOLDERS - 500 + 1, &mine), K2K_EBUDGET);
		assert_int_equal(reserve(broker, BUDGET / HOLDERS - 500, &mine), 0);
	}
	assert_int_equal(k2k_usage_reserved(admin, TENANT, tag, &ns), 0);
	assert_int_equal(ns, BUDGET - HOLDERS * 500);
	assert_int_equal(k2k_usage_engagement_for(admin, TENANT, tag, &ns), 0);
	assert_int_equal(ns, HOLDERS * 500);
	assert_int_equal(k2k_registry_close(&broker), 0);
	assert_int_equal(k2k_usage_reserved(admin, TENANT, tag, &ns), 0);
	assert_int_equal(ns, 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* Brokers are killed anywhere while they reserve and commit; the budget holds all the time. */
TEST(killed_brokers_never_let_the_budget_be_exceeded)
{
	enum { BROKERS = 4, KILLS = 60, SMALL = 1000 };
	struct oracle *oracle = shared_bytes(sizeof *oracle);
	struct k2k_registry *admin, *broker;
	const char *name = small_registry(4, &admin);
	struct k2k_reservation mine;
	uint64_t booked = 0, reserved = 0;
	pid_t pids[BROKERS] = { 0 };

	register_tenant(admin, TENANT, K2K_UNLIMITED, 1);
	assert_int_equal(k2k_budget_set(admin, TENANT, ENGAGEMENT, UINT64_C(1) << 40), 0);
	broker = open_as(name, K2K_ROLE_BROKER);
	for (int i = 0; i < KILLS + BROKERS; i++) {
		pid_t *pid = &pids[i % BROKERS];

		if (*pid) {
			int seen = atomic_load(&oracle->granted);

			WAIT_UNTIL(atomic_load(&oracle->granted) - seen > (int)random_below(50),
			           PATIENCE_S);
			assert_int_equal(kill(*pid, SIGKILL), 0);
			assert_int_equal(waitpid(*pid, NULL, 0), *pid);
			*pid = 0;
			/* only numbers that can be: multiples of what each call books */
			assert_int_equal(k2k_usage_engagement_for(admin, TENANT, tag, &booked), 0);
			assert_int_equal(booked % SMALL, 0);
		}
		if (i >= KILLS)
			continue;
		*pid = spawn();
		if (*pid == 0) {
			struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

			for (;;) {
				assert_int_equal(reserve(reg, 3 * SMALL, &mine), 0);
				assert_int_equal(k2k_usage_commit(reg, &mine, SMALL), 0);
				atomic_fetch_add(&oracle->granted, 1);
			}
		}
	}
	WAIT_UNTIL(brokers_alive(admin) == 1, PATIENCE_S);
	assert_int_equal(k2k_usage_reserved(admin, TENANT, tag, &reserved), 0);
	assert_int_equal(reserved, 0);
	assert_int_equal(k2k_budget_set(admin, TENANT, ENGAGEMENT, booked + SMALL), 0);
	assert_int_equal(reserve(broker, SMALL + 1, &mine), K2K_EBUDGET);
	assert_int_equal(reserve(broker, SMALL, &mine), 0);
	assert_int_equal(k2k_usage_commit(broker, &mine, SMALL), 0);
	assert_int_equal(k2k_registry_close(&broker), 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}
