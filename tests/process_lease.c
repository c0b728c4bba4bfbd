/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_lease - leases at the limit: never above it, and the last slot can always be acquired
 *
 * The oracle is a counter in shared memory, raised after a grant and lowered before a release: so
 * it never exceeds what is really held.
 */
#include "process.h"

enum { TENANT = 7, RACES_S = 4 };

struct oracle {
	struct meeting meeting;
	atomic_int held, winners, busy, most, enough;
	atomic_ullong bytes;
};

static void count_grant(struct oracle *oracle, int limit)
{
	int held = atomic_fetch_add(&oracle->held, 1) + 1, most = atomic_load(&oracle->most);

	if (held > limit)
		fail_msg("%d slots are held, the limit is %d", held, limit);
	while (most < held && !atomic_compare_exchange_weak(&oracle->most, &most, held))
		;
}

/*
 * Plays rounds: all processes ask for the last `limit` slots at the same moment; exactly as many as
 * there are slots get one. Ends early on a busy machine.
 */
static void race_for_the_last(uint32_t processes, uint32_t limit, int rounds)
{
	struct oracle *oracle = shared_bytes(sizeof *oracle);
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	uint64_t end_ns = now_ns() + RACES_S * UINT64_C(1000000000);
	pid_t brokers[16];

	register_tenant(admin, TENANT, 0, limit);
	for (uint32_t i = 0; i < processes; i++) {
		brokers[i] = spawn();
		if (brokers[i] != 0)
			continue;
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		random_seed(i);
		for (int round = 0; round < rounds && !atomic_load(&oracle->enough); round++) {
			struct k2k_lease lease = K2K_LEASE_INIT;
			struct k2k_verdict verdict = K2K_VERDICT_INIT;
			int code;

			meet(&oracle->meeting, processes);
			dither();
			code = k2k_kernel_acquire(reg, TENANT, &lease, round % 8 ? NULL : &verdict);
			if (code == 0) {
				count_grant(oracle, (int)limit);
				atomic_fetch_add(&oracle->winners, 1);
			} else if (code == K2K_EKERNELS) {
				if (round % 8 == 0)
					assert_int_equal(verdict.used, limit);
			} else {
				/* a competing process was preempted in its request */
				assert_int_equal(code, K2K_EBUSY);
				atomic_fetch_add(&oracle->busy, 1);
			}
			meet(&oracle->meeting, processes);
			if (i == 0) {
				int winners = atomic_exchange(&oracle->winners, 0);

				if (winners + atomic_exchange(&oracle->busy, 0) < (int)limit)
					fail_msg("round %d: %d of %u asked for %u slots and got "
					         "them",
					         round, winners, processes, limit);
				if (now_ns() > end_ns) /* all see it after the meeting */
					atomic_store(&oracle->enough, 1);
			}
			if (code == 0) {
				atomic_fetch_sub(&oracle->held, 1);
				assert_int_equal(k2k_kernel_release(reg, &lease), 0);
			}
			meet(&oracle->meeting, processes);
		}
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	wait_all(brokers, processes);
	assert_int_equal(atomic_load(&oracle->most), (int)limit);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(two_that_race_for_the_only_slot_never_both_get_it_and_one_does)
{
	race_for_the_last(2, 1, 60000);
}

TEST(five_that_race_for_two_slots_fill_both_in_every_round)
{
	race_for_the_last(5, 2, 4000);
}

TEST(two_that_ask_all_the_time_never_hold_the_only_slot_together)
{
	enum { PROCESSES = 2, STEPS = 400000 };
	struct oracle *oracle = shared_bytes(sizeof *oracle);
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[PROCESSES];

	/*
	 * Without a meeting their claims drift against each other, and overlap at every distance.
	 */
	register_tenant(admin, TENANT, 0, 1);
	for (int i = 0; i < PROCESSES; i++) {
		brokers[i] = spawn();
		if (brokers[i] != 0)
			continue;
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		random_seed((uint64_t)i);
		meet(&oracle->meeting, PROCESSES);
		for (int step = 0; step < STEPS; step++) {
			int code = k2k_kernel_acquire(reg, TENANT, NULL, NULL);

			assert_true(code == 0 || code == K2K_EKERNELS || code == K2K_EBUSY);
			if (code)
				continue;
			count_grant(oracle, 1);
			atomic_fetch_sub(&oracle->held, 1);
			assert_int_equal(k2k_kernel_release_id(reg, TENANT), 0);
			dither();
		}
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	wait_all(brokers, PROCESSES);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	close_and_destroy(name, &admin);
}

TEST(no_broker_is_refused_while_fewer_slots_are_held_than_there_are)
{
	enum { PROCESSES = 4, STOPS = 6000, LIMIT = 2 };
	struct oracle *oracle = shared_bytes(sizeof *oracle);
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[PROCESSES];
	atomic_int *permits = shared_bytes(2 * sizeof *permits), *stop = permits + 1;

	/*
	 * There are as many permits as slots. A process takes a permit before it asks, and keeps it
	 * until it has released the slot: so a process that asks always has a free slot, though
	 * slots move from broker to broker while a stopped broker is in the middle of counting
	 * them.
	 */
	register_tenant(admin, TENANT, 0, LIMIT);
	atomic_store(permits, LIMIT);
	for (int i = 0; i < PROCESSES; i++) {
		brokers[i] = spawn();
		if (brokers[i] != 0)
			continue;
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		random_seed((uint64_t)i);
		for (int step = 0; !atomic_load(stop); step++) {
			struct k2k_lease lease = K2K_LEASE_INIT;
			int free_permits = atomic_load(permits), code;

			if (free_permits == 0 ||
			    !atomic_compare_exchange_strong(permits, &free_permits,
			                                    free_permits - 1)) {
				sched_yield();
				continue;
			}
			code = k2k_kernel_acquire(reg, TENANT, &lease, NULL);
			if (code)
				fail_msg("step %d: %s, though a slot was free all the time", step,
				         k2k_errname(code));
			count_grant(oracle, LIMIT);
			if (step % 2)
				sched_yield();
			atomic_fetch_sub(&oracle->held, 1);
			assert_int_equal(k2k_kernel_release(reg, &lease), 0);
			atomic_fetch_add(permits, 1);
		}
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	WAIT_UNTIL(brokers_alive(admin) == PROCESSES, PATIENCE_S);
	random_seed(77);
	for (int i = 0; i < STOPS; i++) {
		pid_t victim = brokers[random_below(PROCESSES)];

		if (kill(victim, SIGSTOP) != 0)
			break;
		pause_ns(random_below(100000));
		kill(victim, SIGCONT);
	}
	atomic_store(stop, 1);
	wait_all(brokers, PROCESSES);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	close_and_destroy(name, &admin);
}

TEST(gpu_memory_of_several_brokers_never_exceeds_the_limit)
{
	enum { PROCESSES = 4, STEPS = 12000 };
	const uint64_t limit = 1000;
	struct oracle *oracle = shared_bytes(sizeof *oracle);
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[PROCESSES];

	quota.max_gpu_memory_bytes = limit;
	assert_int_equal(k2k_tenant_register(admin, TENANT, &quota), 0);
	for (int i = 0; i < PROCESSES; i++) {
		brokers[i] = spawn();
		if (brokers[i] != 0)
			continue;
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
		struct k2k_lease leases[4] = { K2K_LEASE_INIT, K2K_LEASE_INIT, K2K_LEASE_INIT,
			                       K2K_LEASE_INIT };

		random_seed((uint64_t)i);
		for (int step = 0; step < STEPS; step++) {
			struct k2k_lease *lease = &leases[random_below(4)];
			uint64_t bytes = 1 + random_below(limit / 3);

			if (lease->amount) {
				atomic_fetch_sub(&oracle->bytes, lease->amount);
				assert_int_equal(k2k_gpu_memory_release(reg, lease), 0);
				continue;
			}
			int code = k2k_gpu_memory_acquire(reg, TENANT, bytes, lease, NULL);

			if (code == 0) {
				uint64_t held = atomic_fetch_add(&oracle->bytes, bytes) + bytes;

				if (held > limit)
					fail_msg("%" PRIu64
					         " bytes are held, the limit is %" PRIu64,
					         held, limit);
			} else {
				assert_true(code == K2K_EGPUMEM || code == K2K_EBUSY);
			}
		}
		/* The close releases what is still held. */
		for (int j = 0; j < 4; j++)
			atomic_fetch_sub(&oracle->bytes, leases[j].amount);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	wait_all(brokers, PROCESSES);
	assert_int_equal(tenant_info(admin, TENANT).gpu_memory_bytes, 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* Takes exactly `limit` slots at once; then releases them. */
static void take_all_and_give_back(struct k2k_registry *reg, uint32_t limit)
{
	for (uint32_t i = 0; i < limit; i++) {
		struct k2k_verdict verdict = K2K_VERDICT_INIT;
		int code = k2k_kernel_acquire(reg, TENANT, NULL, &verdict);

		if (code)
			fail_msg("slot %u of %u: %s (%" PRIu64 " used)", i + 1, limit,
			         k2k_errname(code), (uint64_t)verdict.used);
		assert_int_equal(verdict.used, i + 1);
	}
	assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), K2K_EKERNELS);
	for (uint32_t i = 0; i < limit; i++)
		assert_int_equal(k2k_kernel_release_id(reg, TENANT), 0);
	assert_int_equal(k2k_kernel_release_id(reg, TENANT), K2K_ENOTHELD);
}

TEST(what_a_killed_broker_held_is_free_the_moment_it_is_dead)
{
	enum { KILLS = 60, LIMIT = 8 };
	struct k2k_registry *admin, *reg;
	const char *name = small_registry(4, &admin);
	struct gate ask, done;
	pid_t survivor;

	register_tenant(admin, TENANT, 0, LIMIT);
	random_seed(3);
	gate_make(&ask);
	gate_make(&done);
	survivor = spawn();
	if (survivor == 0) {
		reg = open_as(name, K2K_ROLE_BROKER);
		for (int i = 0; i < KILLS; i++) {
			gate_wait(&ask);
			take_all_and_give_back(reg, LIMIT);
			gate_open(&done);
		}
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	for (int i = 0; i < KILLS; i++) {
		struct gate ready;
		pid_t victim;

		gate_make(&ready);
		victim = spawn();
		if (victim == 0) {
			reg = open_as(name, K2K_ROLE_BROKER);
			gate_open(&ready);
			for (;;) {
				int held = 0;

				while (held < LIMIT &&
				       k2k_kernel_acquire(reg, TENANT, NULL, NULL) == 0)
					held++;
				while (held-- > 0)
					assert_int_equal(k2k_kernel_release_id(reg, TENANT), 0);
			}
		}
		gate_wait(&ready);
		close(ready.fd[0]);
		close(ready.fd[1]);
		pause_ns(random_below(1000000));
		kill_broker(admin, victim);
		gate_open(&ask);
		gate_wait(&done);
		assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	}
	spawn_wait(survivor);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_stopped_broker_keeps_what_it_holds_and_takes_nothing_from_the_others)
{
	struct k2k_registry *admin, *reg;
	const char *name = small_registry(4, &admin);
	struct gate ready, go;
	pid_t stopped;

	register_tenant(admin, TENANT, 0, 5);
	gate_make(&ready);
	gate_make(&go);
	stopped = spawn();
	if (stopped == 0) {
		reg = open_as(name, K2K_ROLE_BROKER);
		for (int i = 0; i < 3; i++)
			assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		gate_open(&ready);
		gate_wait(&go);
		for (int i = 0; i < 3; i++)
			assert_int_equal(k2k_kernel_release_id(reg, TENANT), 0);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	gate_wait(&ready);
	stop_process(stopped);
	WAIT_UNTIL(broker_state(admin, stopped) == K2K_BROKER_STOPPED, PATIENCE_S);
	pid_t other = spawn();
	if (other == 0) {
		reg = open_as(name, K2K_ROLE_BROKER);
		for (int i = 0; i < 2; i++)
			assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), K2K_EKERNELS);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	spawn_wait(other);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 3);
	assert_int_equal(kill(stopped, SIGCONT), 0);
	gate_open(&go);
	spawn_wait(stopped);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	close_and_destroy(name, &admin);
}
