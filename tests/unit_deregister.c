/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit_deregister.c - deregistering many tenants at once, and final totals that are never lost. */
#include "registry_fixture.h"
#include "trail_reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct reader r;

TEST(many_are_deregistered_at_once_with_the_totals_of_each)
{
	const k2k_tenant_id ids[] = { 3, 1, 9, 3, 0, 2 };
	const int expected[] = { 0, 0, K2K_ENOTENANT, K2K_ENOTENANT, K2K_EUNSPECIFIED, 0 };
	struct k2k_tenant_totals totals[6] = { { .size = sizeof totals[0] } };
	struct fixture f;
	int codes[6];

	fixture_open(&f);
	for (k2k_tenant_id id = 1; id <= 4; id++) {
		assert_int_equal(k2k_tenant_register(f.admin, id, NULL), 0);
		assert_int_equal(k2k_usage_track(f.broker, id, tag_of(0, 1), 10 * id), 0);
		assert_int_equal(k2k_usage_track(f.broker, id, tag_of(0, 2), 1), 0);
		assert_int_equal(k2k_message_admit(f.broker, id, no_tag, id, NULL), 0);
		assert_int_equal(k2k_kernel_acquire(f.broker, id, NULL, NULL), 0);
	}
	assert_int_equal(k2k_tenant_deregister_many(f.admin, ids, 6, totals, codes), K2K_ENOTENANT);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(codes[i], expected[i]);
		assert_int_equal(totals[i].size, sizeof totals[0]);
		assert_int_equal(totals[i].final, !expected[i]);
		if (expected[i])
			continue;
		assert_int_equal(totals[i].id, ids[i]);
		assert_int_equal(totals[i].gpu_ns_total, 10 * ids[i] + 1);
		assert_int_equal(totals[i].admitted_total, ids[i]);
		assert_int_equal(totals[i].kernels, 1);
	}
	assert_int_equal(info_of(f.admin, 4).kernels, 1); /* the others keep their leases */
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(info_of(f.admin, 1).kernels, 0);
	assert_int_equal(cost_for(f.broker, 1, tag_of(0, 1)), 0);
	assert_int_equal(k2k_tenant_deregister_many(f.admin, NULL, 0, NULL, NULL), 0);
	assert_int_equal(k2k_tenant_deregister_many(f.admin, ids + 1, 1, NULL, NULL), 0);
	assert_false(is_registered(f.admin, 1));
	fixture_close(&f);
}

static double used_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * Measures processor time, which other load changes little. One sweep for each tenant would visit
 * 40,000 x 20,000 records, which takes minutes.
 */
TEST(many_cost_no_more_than_a_few_times_their_registration)
{
	enum { MANY = 20000 };
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_budget budgets[] = { { 1, 1000 }, { 2, 1000 } };
	struct k2k_quota quota = quota_standard();
	struct k2k_tenant_totals *totals = calloc(MANY, sizeof *totals);
	k2k_tenant_id *ids = calloc(MANY, sizeof *ids);
	double begin, registered, deregistered;
	struct fixture f;

	options.max_tenants = MANY;
	options.max_budgets = 2 * MANY;
	options.max_engagements = 4 * MANY;
	quota.budgets = budgets;
	quota.budget_count = 2;
	assert_true(totals && ids);
	for (int round = 0; round < 2; round++) {
		fixture_open_sized(&f, &options);
		begin = used_s();
		assert_int_equal(k2k_batch_begin(f.admin), 0);
		for (uint64_t i = 0; i < MANY; i++) {
			ids[i] = i + 1;
			assert_int_equal(k2k_tenant_register(f.admin, ids[i], &quota), 0);
		}
		assert_int_equal(k2k_batch_end(f.admin), 0);
		registered = used_s() - begin;
		assert_int_equal(k2k_usage_track(f.broker, MANY, tag_of(0, 1), 77), 0);
		begin = used_s();
		totals->size = sizeof *totals;
		if (round == 0) {
			assert_int_equal(
				k2k_tenant_deregister_many(f.admin, ids, MANY, totals, NULL), 0);
			assert_int_equal(totals[0].final, 1);
			assert_int_equal(totals[MANY - 1].gpu_ns_total, 77);
		} else { /* without totals: one call for each tenant */
			assert_int_equal(k2k_batch_begin(f.admin), 0);
			for (uint64_t i = 0; i < MANY; i++)
				assert_int_equal(k2k_tenant_deregister(f.admin, ids[i], NULL), 0);
			assert_int_equal(k2k_batch_end(f.admin), 0);
		}
		deregistered = used_s() - begin;
		printf("# registered in %.3f s, deregistered in %.3f s\n", registered,
		       deregistered);
		assert_true(deregistered < 10 * registered + 0.1);
		fixture_close(&f);
	}
	free(totals);
	free(ids);
}

struct waiter {
	struct fixture *fixture;
	struct k2k_tenant_totals totals[2];
	int code;
	k2k_u32 done;
};

static void *deregister_two(void *context)
{
	struct waiter *w = context;
	const k2k_tenant_id ids[] = { 5, 6 };

	w->code = k2k_tenant_deregister_many(w->fixture->admin, ids, 2, w->totals, NULL);
	atomic_store(&w->done, 1);
	return NULL;
}

TEST(many_wait_for_their_final_totals_without_the_writers_lock)
{
	struct fixture f;
	struct waiter w = { .fixture = &f, .totals[0].size = sizeof w.totals[0] };
	struct k2k_registry *other;
	pthread_t thread;

	fixture_open(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_ADMIN, NULL, &other), 0);
	for (k2k_tenant_id id = 5; id <= 6; id++) {
		assert_int_equal(k2k_tenant_register(f.admin, id, NULL), 0);
		assert_int_equal(k2k_usage_track(f.broker, id, tag_of(0, 1), id), 0);
	}
	k2k_helper_stop(&f.broker->helper);
	f.admin->timeout_ns = 60000 * MS;
	assert_int_equal(pthread_create(&thread, NULL, deregister_two, &w), 0);
	while (is_registered(other, 6))
		usleep(1000);
	/*
	 * Another administrator goes on, and does not reap a tenant whose totals a call waits for.
	 */
	assert_int_equal(k2k_tenant_register(other, 7, NULL), 0);
	assert_int_equal(atomic_load(&w.done), 0);
	assert_int_equal(k2k_helper_start(&f.broker->helper), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.code, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w.totals[i].final, 1);
		assert_int_equal(w.totals[i].gpu_ns_total, 5 + i);
	}
	assert_int_equal(k2k_registry_close(&other), 0);
	fixture_close(&f);
}

/*
 * The caller that waited for the totals gave up: the process that reaps the tenant reports them,
 * and includes what was counted since.
 */
TEST(final_totals_that_could_not_be_waited_for_are_told_by_the_next_writer)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	const struct k2k_audit_record *told;
	struct k2k_registry *other;
	struct fixture f;
	k2k_tenant_id id = 5;

	for (int many = 0; many < 2; many++) {
		fixture_open(&f);
		assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_ADMIN, NULL, &other), 0);
		assert_int_equal(k2k_tenant_register(f.admin, id, NULL), 0);
		assert_int_equal(k2k_usage_track(f.broker, id, tag_of(0, 1), 1234), 0);
		assert_int_equal(k2k_message_admit(f.broker, id, no_tag, 7, NULL), 0);
		k2k_helper_stop(&f.broker->helper);
		f.admin->timeout_ns = 30 * MS;
		assert_int_equal(many ? k2k_tenant_deregister_many(f.admin, &id, 1, &totals, NULL)
		                      : k2k_tenant_deregister(f.admin, id, &totals),
		                 0);
		assert_int_equal(totals.final, 0);
		assert_int_equal(totals.gpu_ns_total, 1234); /* as counted so far */
		assert_int_equal(totals.admitted_total, 7);
		f.admin->map.cells[0].admitted++; /* a call under way ends only now */
		assert_int_equal(k2k_helper_start(&f.broker->helper), 0);
		WAIT_UNTIL(k2k_tenant_register(other, 6, NULL) == 0 &&
		                   k2k_tenant_deregister(other, 6, NULL) == 0 &&
		                   (reader_open(&r, f.admin), reader_take(&r, 0),
		                    reader_find(&r, K2K_AUDIT_KIND_FINAL_TOTALS, 0)),
		           10);
		told = reader_find(&r, K2K_AUDIT_KIND_FINAL_TOTALS, 0);
		assert_int_equal(told->tenant, id);
		assert_int_equal(told->values[0], 8);
		assert_int_equal(told->values[5], 1234);
		assert_false(reader_find(&r, K2K_AUDIT_KIND_FINAL_TOTALS, 1)); /* reported once */
		assert_int_equal(k2k_registry_close(&other), 0);
		fixture_close(&f);
	}
}
