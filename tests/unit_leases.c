/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_leases.c - kernel slots, GPU memory and registrations, as one process sees them.
 */
#include <pthread.h>

#include "registry_fixture.h"

TEST(gpu_memory_is_exact_to_the_byte)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_quota quota = quota_standard();
	struct k2k_lease a = K2K_LEASE_INIT, b = K2K_LEASE_INIT;
	struct fixture f;

	quota.max_gpu_memory_bytes = 1000;
	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 600, &a, &verdict), 0);
	assert_int_equal(verdict.used, 600);
	assert_int_equal(verdict.remaining, 400);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 401, &b, &verdict), K2K_EGPUMEM);
	assert_int_equal(verdict.used, 600);
	assert_int_equal(verdict.limit, 1000);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 400, &b, NULL), 0);
	assert_int_equal(info_of(f.admin, 1).gpu_memory_bytes, 1000);
	assert_int_equal(k2k_gpu_memory_release(f.broker, &a), 0);
	assert_int_equal(info_of(f.admin, 1).gpu_memory_bytes, 400);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 0, NULL, NULL), K2K_EINVAL);
	assert_int_equal(k2k_gpu_memory_release_id(f.broker, 1, 401), K2K_ENOTHELD);
	assert_int_equal(k2k_gpu_memory_release_id(f.broker, 1, 400), 0);
	assert_int_equal(info_of(f.admin, 1).gpu_memory_bytes, 0);
	fixture_close(&f);
}

TEST(only_what_is_held_can_be_released)
{
	struct k2k_lease lease = K2K_LEASE_INIT, memory = K2K_LEASE_INIT;
	struct k2k_registry *other;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &other), 0);
	assert_int_equal(k2k_kernel_release_id(f.broker, 1), K2K_ENOTHELD);
	assert_int_equal(k2k_kernel_release_id(f.broker, 2), K2K_ENOTENANT);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, &lease, NULL), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 5, &memory, NULL), 0);
	/* another broker's lease */
	assert_int_equal(k2k_kernel_release(other, &lease), K2K_ENOTHELD);
	assert_int_equal(k2k_kernel_release_id(other, 1), K2K_ENOTHELD);
	assert_int_equal(k2k_kernel_acquire(other, 1, NULL, NULL), 0);
	assert_int_equal(info_of(f.admin, 1).kernels, 2);
	assert_int_equal(k2k_kernel_release_id(other, 1), 0); /* its own lease */
	assert_int_equal(k2k_kernel_release_id(other, 1), K2K_ENOTHELD);
	/* a lease of another resource */
	assert_int_equal(k2k_kernel_release(f.broker, &memory), K2K_EINVAL);
	assert_int_equal(info_of(f.admin, 1).kernels, 1);
	assert_int_equal(k2k_kernel_release(f.broker, &lease), 0);
	assert_int_equal(k2k_kernel_release(f.broker, &lease), K2K_ENOTHELD); /* released twice */
	assert_int_equal(info_of(f.admin, 1).kernels, 0);
	assert_int_equal(k2k_registry_close(&other), 0);
	fixture_close(&f);
}

TEST(a_closed_broker_gives_everything_back)
{
	struct k2k_lease_info list[2] = { { .size = sizeof(list[0]) } };
	struct k2k_quota quota = quota_standard();
	struct k2k_registry *other;
	struct fixture f;
	size_t count;

	quota.max_concurrent_kernels = 1;
	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &other), 0);
	assert_int_equal(k2k_kernel_acquire(other, 1, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_lease_list(f.admin, 0, list, 2, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(list[0].id, 1);
	assert_int_equal(list[0].kernels, 1);
	assert_int_equal(list[0].pid, (uint64_t)getpid());
	assert_int_equal(k2k_registry_close(&other), 0);
	assert_int_equal(k2k_lease_list(f.admin, 1, list, 2, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	fixture_close(&f);
}

TEST(a_registration_is_told_from_the_one_before)
{
	struct k2k_tenant_totals totals = { .size = sizeof(totals) };
	struct k2k_lease lease = K2K_LEASE_INIT;
	struct k2k_tenant_info info;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, &lease, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 3, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 1), 9), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_int_equal(totals.admitted_total, 3);
	assert_int_equal(totals.gpu_ns_total, 9);
	/* still counted in the totals; ends with the registration */
	assert_int_equal(totals.kernels, 1);
	assert_int_equal(k2k_kernel_release(f.broker, &lease), K2K_ESTALE);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_release(f.broker, &lease), K2K_ESTALE);
	info = info_of(f.admin, 1);
	assert_true(info.generation > totals.generation);
	assert_int_equal(info.kernels, 1);
	assert_int_equal(info.admitted_total, 0);
	assert_int_equal(cost_for(f.admin, 1, tag_of(0, 1)), 0);
	fixture_close(&f);
}

TEST(a_slot_is_used_again_and_again)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_budget budget = { 7, 100 };
	struct k2k_quota quota = quota_standard();
	struct fixture f;

	options.max_tenants = 3;
	options.max_engagements = 6;
	options.max_leases = 3;
	options.max_budgets = 3;
	quota.budgets = &budget;
	quota.budget_count = 1;
	fixture_open_sized(&f, &options);
	for (k2k_tenant_id id = 1; id <= 300; id++) {
		assert_int_equal(k2k_tenant_register(f.admin, id, &quota), 0);
		assert_int_equal(k2k_message_admit(f.broker, id, tag_of(0, 7), 1, NULL), 0);
		assert_int_equal(k2k_usage_track(f.broker, id, tag_of(0, 7), id), 0);
		assert_int_equal(k2k_kernel_acquire(f.broker, id, NULL, NULL), 0);
		assert_int_equal(cost_for(f.broker, id, tag_of(0, 7)), id);
		assert_int_equal(k2k_tenant_deregister(f.admin, id, NULL), 0);
		assert_int_equal(k2k_message_admit(f.broker, id, no_tag, 1, NULL), K2K_ENOTENANT);
	}
	fixture_close(&f);
}

TEST(lists_say_how_many_there_are_and_fill_what_fits)
{
	k2k_tenant_id ids[3];
	struct k2k_usage_info usage[2] = { { .size = sizeof(usage[0]) } };
	struct fixture f;
	uint64_t sum = 0;
	size_t count;

	fixture_open(&f);
	for (k2k_tenant_id id = 1; id <= 5; id++) {
		assert_int_equal(k2k_tenant_register(f.admin, id, NULL), 0);
		assert_int_equal(k2k_usage_track(f.broker, id, tag_of(0, id), id), 0);
		sum += id;
	}
	ids[2] = 0;
	assert_int_equal(k2k_tenant_ids(f.broker, ids, 2, &count), 0);
	assert_int_equal(count, 5);
	assert_int_equal(ids[2], 0);
	assert_int_equal(k2k_usage_list(f.broker, 0, usage, 1, &count), 0);
	assert_int_equal(count, 5);
	assert_int_equal(usage[1].id, 0);
	assert_int_equal(k2k_usage_list(f.broker, 3, usage, 2, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(usage[0].gpu_ns, 3);
	assert_int_equal(k2k_usage_list(f.broker, 9, usage, 2, &count), K2K_ENOTENANT);
	assert_int_equal(sum, 15);
	fixture_close(&f);
}

TEST(info_counts_what_there_is)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	struct fixture f;

	fixture_open_sized(&f, NULL);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 5, no_tag, 1, NULL), K2K_ENOTENANT);
	assert_int_equal(k2k_message_record(f.broker, 5), K2K_ENOTENANT);
	assert_int_equal(k2k_usage_track(f.broker, 5, no_tag, 1), K2K_ENOTENANT);
	assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "a", "b", no_tag), 0);
	assert_int_equal(k2k_registry_info(f.admin, &info), 0);
	assert_string_equal(info.name, f.name);
	assert_int_equal(info.brokers, 1);
	assert_int_equal(info.tenants.used, 1);
	assert_int_equal(info.tenants.capacity, 4096);
	assert_int_equal(info.leases.capacity, 16384);
	assert_int_equal(info.unknown_tenant_total, 3);
	assert_int_equal(info.cross_tenant_total, 1);
	assert_int_equal(info.generation, 1);
	fixture_close(&f);
}

/* ---- threads of one broker ------------------------------------------------------------- */

enum { CROWD = 4, CROWD_TENANTS = 40, CROWD_LIMIT = 2, CROWD_ROUNDS = 20000 };

struct crowd {
	struct k2k_registry *reg;
	_Atomic int held[CROWD_TENANTS]; /* a count of each tenant's, beside the registry's */
	_Atomic int granted, number;
};

static void hold_and_give_back(struct crowd *crowd, k2k_tenant_id id, bool reserves)
{
	struct k2k_reservation reservation = K2K_RESERVATION_INIT;
	struct k2k_lease lease = K2K_LEASE_INIT;
	int code = k2k_kernel_acquire(crowd->reg, id, &lease, NULL);

	if (code == K2K_EKERNELS)
		return;
	assert_int_equal(code, 0);
	assert_true(atomic_fetch_add(&crowd->held[id - 1], 1) < CROWD_LIMIT);
	if (reserves)
		assert_int_equal(
			k2k_usage_reserve(crowd->reg, id, tag_of(1, id), 1, &reservation, NULL), 0);
	atomic_fetch_add(&crowd->granted, 1);
	atomic_fetch_sub(&crowd->held[id - 1], 1);
	assert_int_equal(k2k_kernel_release(crowd->reg, &lease), 0);
	if (reserves)
		assert_int_equal(k2k_usage_commit(crowd->reg, &reservation, 1), 0);
}

static void *takes_and_gives_back(void *argument)
{
	struct crowd *crowd = argument;
	uint64_t random = (uint64_t)atomic_fetch_add(&crowd->number, 1) + 1;

	for (int i = 0; i < CROWD_ROUNDS; i++) {
		k2k_tenant_id id;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		/* in turn: all threads take the same tenant's, and each another one */
		id = i / 50 % 2 ? 1 + (random >> 33) % CROWD_TENANTS : 1;
		hold_and_give_back(crowd, id, i % 4 == 0);
	}
	return NULL;
}

/*
 * The table has one record more than the threads can hold at once, so they take each other's all
 * the time. Afterwards each record can be had, and nothing is held.
 */
TEST(threads_of_one_broker_take_and_give_back_side_by_side)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_quota quota = quota_standard();
	struct crowd crowd = { .reg = NULL };
	struct k2k_registry *other;
	pthread_t threads[CROWD];
	struct fixture f;

	options.max_tenants = CROWD_TENANTS;
	options.max_leases = 2 * CROWD;
	fixture_open_sized(&f, &options);
	quota.max_concurrent_kernels = CROWD_LIMIT;
	for (k2k_tenant_id id = 1; id <= CROWD_TENANTS; id++)
		assert_int_equal(k2k_tenant_register(f.admin, id, &quota), 0);
	crowd.reg = f.broker;
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, takes_and_gives_back, &crowd),
		                 0);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(crowd.granted > 0);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &other), 0);
	for (k2k_tenant_id id = 1; id <= 2 * CROWD; id++) {
		assert_int_equal(info_of(f.admin, id).kernels, 0);
		assert_int_equal(k2k_kernel_acquire(other, id, NULL, NULL), 0);
	}
	assert_int_equal(k2k_registry_close(&other), 0);
	fixture_close(&f);
}
