/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_register - definitions that change while several processes work with them
 */
#include "process.h"

TEST(of_eight_racing_registrations_of_one_id_exactly_one_succeeds)
{
	enum { ADMINS = 8, ROUNDS = 60, IDS = 3 };
	struct shared {
		struct meeting meeting;
		atomic_int won[IDS];
	} *shared = shared_bytes(sizeof *shared);
	struct k2k_registry *admin;
	const char *name = small_registry(64, &admin);
	pid_t admins[ADMINS];

	for (int i = 0; i < ADMINS; i++) {
		admins[i] = spawn();
		if (admins[i] != 0)
			continue;
		struct k2k_registry *reg = open_as(name, K2K_ROLE_ADMIN);

		for (int round = 0; round < ROUNDS; round++) {
			meet(&shared->meeting, ADMINS);
			for (int j = 0; j < IDS; j++) {
				int code = k2k_tenant_register(reg, 100 + (uint64_t)j, NULL);

				if (code == 0)
					atomic_fetch_add(&shared->won[j], 1);
				else if (code != K2K_EEXIST)
					fail_msg("register: %s (%s)", k2k_errname(code),
					         k2k_error_detail()->text);
			}
			meet(&shared->meeting, ADMINS);
			if (i == 0) {
				size_t count;

				for (int j = 0; j < IDS; j++)
					assert_int_equal(atomic_exchange(&shared->won[j], 0), 1);
				assert_int_equal(k2k_tenant_count(reg, &count), 0);
				assert_int_equal(count, IDS);
			}
			meet(&shared->meeting, ADMINS);
			/* Deregistrations race, too: all but one find no tenant. */
			for (int j = 0; j < IDS; j++) {
				int code = k2k_tenant_deregister(reg, 100 + (uint64_t)j, NULL);

				if (code == 0)
					atomic_fetch_add(&shared->won[j], 1);
				else
					assert_int_equal(code, K2K_ENOTENANT);
			}
			meet(&shared->meeting, ADMINS);
			if (i == 0)
				for (int j = 0; j < IDS; j++)
					assert_int_equal(atomic_exchange(&shared->won[j], 0), 1);
		}
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	wait_all(admins, ADMINS);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- generations under load -------------------------------------------------- */

enum { BROKERS = 4, BUSY = 7, QUIET = 8 };

struct ledger {
	atomic_ullong admitted, booked, unsure, unbooked;
	atomic_int stop;
};

/*
 * Does everything that a broker can do with one tenant, whether it exists or not; every call that
 * returned 0 is in our books.
 */
static void hammer(struct k2k_registry *reg, struct ledger *ledger)
{
	while (!atomic_load(&ledger->stop)) {
		struct k2k_audit_tag tag = { 1, random_below(6) };
		struct k2k_lease lease = K2K_LEASE_INIT;
		uint64_t ns = 1 + random_below(1000);
		int code;

		for (int i = 0; i < 8; i++) {
			code = k2k_message_admit(reg, BUSY, tag, 3, NULL);
			assert_true(code == 0 || code == K2K_ENOTENANT);
			if (code == 0)
				atomic_fetch_add(&ledger->admitted, 3);
			code = k2k_message_record(reg, BUSY);
			assert_true(code == 0 || code == K2K_ENOTENANT);
			if (code == 0)
				atomic_fetch_add(&ledger->admitted, 1);
		}
		code = k2k_usage_track(reg, BUSY, tag, ns);
		if (code == 0)
			atomic_fetch_add(&ledger->booked, ns);
		else if (code == K2K_EUNBOOKED)
			atomic_fetch_add(&ledger->unbooked, ns);
		else if (code == K2K_EGONE)
			atomic_fetch_add(&ledger->unsure, ns);
		else
			assert_int_equal(code, K2K_ENOTENANT);
		code = k2k_kernel_acquire(reg, BUSY, &lease, NULL);
		assert_true(code == 0 || code == K2K_ENOTENANT || code == K2K_EKERNELS ||
		            code == K2K_EBUSY);
		if (code)
			continue;
		code = k2k_kernel_release(reg, &lease);
		assert_true(code == 0 || code == K2K_ESTALE || code == K2K_ENOTHELD);
	}
}

static void start_brokers(const char *name, struct k2k_registry *admin, struct ledger *ledger,
                          pid_t brokers[BROKERS])
{
	for (int i = 0; i < BROKERS; i++) {
		brokers[i] = spawn();
		if (brokers[i] == 0) {
			struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

			random_seed((uint64_t)i);
			hammer(reg, ledger);
			assert_int_equal(k2k_registry_close(&reg), 0);
			exit(0);
		}
	}
	WAIT_UNTIL(brokers_alive(admin) == BROKERS, PATIENCE_S);
}

static void is_untouched(struct k2k_registry *admin)
{
	struct k2k_tenant_info info = tenant_info(admin, QUIET);
	uint64_t ns;

	assert_int_equal(info.admitted_total, 0);
	assert_int_equal(info.messages_this_second, 0);
	assert_int_equal(info.rejected_total.rate + info.rejected_total.budget +
	                         info.rejected_total.kernels,
	                 0);
	assert_int_equal(info.unattributed_ns, 0);
	assert_int_equal(info.kernels, 0);
	for (uint64_t engagement = 0; engagement < 6; engagement++) {
		struct k2k_audit_tag tag = { 1, engagement };

		assert_int_equal(k2k_usage_engagement_for(admin, QUIET, tag, &ns), 0);
		assert_int_equal(ns, 0);
	}
}

TEST(no_count_of_a_busy_tenant_ever_lands_on_the_next_one_in_its_place)
{
	enum { ROUNDS = 250 };
	struct ledger *ledger = shared_bytes(sizeof *ledger);
	struct k2k_registry *admin;
	/* one slot: each tenant takes over that of the last */
	const char *name = small_registry(1, &admin);
	pid_t brokers[BROKERS];

	start_brokers(name, admin, ledger, brokers);
	random_seed(7);
	for (int round = 0; round < ROUNDS; round++) {
		struct k2k_tenant_totals totals = { .size = sizeof totals };

		register_tenant(admin, BUSY, K2K_UNLIMITED, 2);
		pause_ns(random_below(300000));
		assert_int_equal(k2k_tenant_deregister(admin, BUSY, NULL), 0);
		register_tenant(admin, QUIET, K2K_UNLIMITED, 2);
		is_untouched(admin);
		pause_ns(random_below(200000));
		is_untouched(admin);
		assert_int_equal(k2k_tenant_deregister(admin, QUIET, &totals), 0);
		assert_int_equal(
			totals.admitted_total + totals.gpu_ns_total + totals.unattributed_ns, 0);
		assert_int_equal(totals.rejected_total.rate + totals.rejected_total.kernels, 0);
	}
	atomic_store(&ledger->stop, 1);
	wait_all(brokers, BROKERS);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(what_was_answered_with_success_is_in_the_final_totals_of_its_registration)
{
	enum { ROUNDS = 250 };
	struct ledger *ledger = shared_bytes(sizeof *ledger);
	uint64_t admitted = 0, booked = 0, unattributed = 0, acknowledged, unsure;
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[BROKERS];

	start_brokers(name, admin, ledger, brokers);
	random_seed(8);
	for (int round = 0; round < ROUNDS; round++) {
		struct k2k_tenant_totals totals = { .size = sizeof totals };

		register_tenant(admin, BUSY, K2K_UNLIMITED, 2);
		pause_ns(random_below(400000));
		assert_int_equal(k2k_tenant_deregister(admin, BUSY, &totals), 0);
		assert_int_equal(totals.final, 1);
		assert_int_equal(totals.id, BUSY);
		admitted += totals.admitted_total;
		booked += totals.gpu_ns_total;
		unattributed += totals.unattributed_ns;
	}
	atomic_store(&ledger->stop, 1);
	wait_all(brokers, BROKERS);
	assert_true(admitted > 0 && booked > 0);
	assert_int_equal(admitted, atomic_load(&ledger->admitted));
	/*
	 * Every nanosecond answered with 0 or UNBOOKED, and some or all of those answered with
	 * GONE.
	 */
	acknowledged = atomic_load(&ledger->booked) + atomic_load(&ledger->unbooked);
	unsure = atomic_load(&ledger->unsure);
	if (booked + unattributed < acknowledged || booked + unattributed > acknowledged + unsure)
		fail_msg("totals have %" PRIu64 " + %" PRIu64 " ns; answered were %" PRIu64
		         ", and perhaps %" PRIu64,
		         booked, unattributed, acknowledged, unsure);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_lease_of_an_earlier_registration_is_stale_in_every_process)
{
	struct k2k_registry *admin, *reg;
	const char *name = small_registry(4, &admin);
	struct k2k_lease lease = K2K_LEASE_INIT, fresh = K2K_LEASE_INIT;
	struct gate held, again;
	pid_t broker;

	register_tenant(admin, BUSY, 0, 2);
	gate_make(&held);
	gate_make(&again);
	broker = spawn();
	if (broker == 0) {
		reg = open_as(name, K2K_ROLE_BROKER);
		assert_int_equal(k2k_kernel_acquire(reg, BUSY, &lease, NULL), 0);
		gate_open(&held);
		gate_wait(&again);
		assert_int_equal(k2k_kernel_acquire(reg, BUSY, &fresh, NULL), 0);
		assert_true(fresh.generation > lease.generation);
		assert_int_equal(k2k_kernel_release(reg, &lease), K2K_ESTALE);
		assert_int_equal(k2k_kernel_release(reg, &fresh), 0);
		assert_int_equal(k2k_kernel_release(reg, &fresh), K2K_ENOTHELD);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	gate_wait(&held);
	assert_int_equal(k2k_tenant_deregister(admin, BUSY, NULL), 0);
	register_tenant(admin, BUSY, 0, 2);
	assert_int_equal(tenant_info(admin, BUSY).kernels, 0);
	gate_open(&again);
	spawn_wait(broker);
	assert_int_equal(tenant_info(admin, BUSY).kernels, 0);
	close_and_destroy(name, &admin);
}
