/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_parity_totals.c - every total survives every change, and a tenant leaves nothing to the next
 * one in its slot
 */
#include "registry_fixture.h"

#include "trail_reader.h"

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/*
 * 11 admitted; rejected: 1 by rate, 2 by budget, 3 by kernels, 4 by memory; 120 + 30 ns booked, 9
 * unattributed; holds 2 kernels and 60 bytes.
 */
static void use_everything(struct fixture *f, k2k_tenant_id id)
{
	struct k2k_budget budget = { 7, 100 };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 12,
		                   .max_gpu_memory_bytes = 100,
		                   .max_concurrent_kernels = 2,
		                   .budget_count = 1,
		                   .budgets = &budget };

	assert_int_equal(k2k_tenant_register(f->admin, id, &quota), 0);
	assert_int_equal(k2k_message_admit(f->broker, id, no_tag, 4, NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(k2k_message_record(f->broker, id), 0);
	assert_int_equal(k2k_message_admit(f->broker, id, no_tag, 7, NULL), K2K_ERATE);
	assert_int_equal(k2k_message_admit(f->broker, id, no_tag, 5, NULL), 0);
	assert_int_equal(k2k_usage_track(f->broker, id, tag_of(1, 7), 120), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(k2k_message_admit(f->broker, id, tag_of(1, 7), 1, NULL),
		                 K2K_EBUDGET);
	assert_int_equal(k2k_usage_track(f->broker, id, tag_of(1, 8), 30), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(k2k_kernel_acquire(f->broker, id, NULL, NULL),
		                 i < 2 ? 0 : K2K_EKERNELS);
	assert_int_equal(k2k_gpu_memory_acquire(f->broker, id, 60, NULL, NULL), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(k2k_gpu_memory_acquire(f->broker, id, 41, NULL, NULL),
		                 K2K_EGPUMEM);
	/* As if the ledger had no record to book it in. */
	f->broker->map.cells_cold[f->broker->map.sizes.tenants - 1].unattributed_ns += 9;
}

static void check_everything(const struct fixture *f, k2k_tenant_id id,
                             const struct k2k_tenant_info *before)
{
	struct k2k_tenant_info info = info_of(f->admin, id);

	assert_int_equal(info.id, id);
	assert_int_equal(info.admitted_total, 11);
	assert_int_equal(info.messages_this_second, 11);
	assert_int_equal(info.window, 1000);
	assert_int_equal(info.rejected_total.rate, 1);
	assert_int_equal(info.rejected_total.budget, 2);
	assert_int_equal(info.rejected_total.kernels, 3);
	assert_int_equal(info.rejected_total.gpu_memory, 4);
	assert_int_equal(info.unattributed_ns, 9);
	assert_int_equal(info.kernels, 2);
	assert_int_equal(info.gpu_memory_bytes, 60);
	assert_int_equal(info.generation, before->generation);
	assert_int_equal(info.registered_at_ns, before->registered_at_ns);
	assert_int_equal(cost_for(f->admin, id, tag_of(0, 7)), 120);
	assert_int_equal(cost_for(f->admin, id, tag_of(0, 8)), 30);
}

/* There is one tenant slot, which is also the last. */
static void open_single(struct fixture *f)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = 1;
	fixture_open_sized(f, &options);
}

/* The budget of tenant 1; 0 if there is none. */
static uint64_t budget_of(const struct fixture *f, uint64_t engagement)
{
	struct k2k_budget_info list[4] = { { .size = sizeof list[0] } };
	size_t count;

	assert_int_equal(k2k_budget_list(f->admin, 1, list, 4, &count), 0);
	assert_true(count <= 4);
	for (size_t i = 0; i < count; i++)
		if (list[i].engagement_id == engagement)
			return list[i].budget_ns;
	return 0;
}

TEST(a_change_keeps_every_total_and_the_time_of_registration)
{
	struct k2k_budget budgets[] = { { 7, K2K_UNLIMITED }, { 9, 5 } };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 20,
		                   .max_gpu_memory_bytes = 200,
		                   .max_concurrent_kernels = 5,
		                   .budget_count = 2,
		                   .budgets = budgets };
	uint64_t from = realtime_ns(), to;
	struct k2k_tenant_info before;
	struct fixture f;

	open_single(&f);
	use_everything(&f, 1);
	to = realtime_ns();
	before = info_of(f.admin, 1);
	assert_true(before.registered_at_ns >= from && before.registered_at_ns <= to);
	assert_int_equal(before.max_messages_per_sec, 12);
	assert_int_equal(before.max_gpu_memory_bytes, 100);
	assert_int_equal(before.max_concurrent_kernels, 2);
	assert_int_equal(before.budget_count, 1);
	check_everything(&f, 1, &before);
	for (uint32_t mask = 1; mask < 16; mask++) {
		struct k2k_tenant_info was = info_of(f.admin, 1), is;

		quota.max_messages_per_sec++;
		quota.max_gpu_memory_bytes++;
		quota.max_concurrent_kernels++;
		budgets[1].budget_ns++;
		assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, mask), 0);
		check_everything(&f, 1, &before);
		is = info_of(f.admin, 1);
		/* Changes only what the mask names. */
		assert_int_equal(is.max_messages_per_sec, mask & K2K_UPDATE_RATE
		                                                  ? quota.max_messages_per_sec
		                                                  : was.max_messages_per_sec);
		assert_int_equal(is.max_gpu_memory_bytes, mask & K2K_UPDATE_GPU_MEMORY
		                                                  ? quota.max_gpu_memory_bytes
		                                                  : was.max_gpu_memory_bytes);
		assert_int_equal(is.max_concurrent_kernels, mask & K2K_UPDATE_KERNELS
		                                                    ? quota.max_concurrent_kernels
		                                                    : was.max_concurrent_kernels);
		assert_int_equal(budget_of(&f, 9),
		                 mask & K2K_UPDATE_BUDGETS ? budgets[1].budget_ns : 0);
		assert_int_equal(budget_of(&f, 7), mask < K2K_UPDATE_BUDGETS ? 100 : 0);
	}
	assert_int_equal(k2k_budget_set(f.admin, 1, 8, 1), 0);
	check_everything(&f, 1, &before);
	assert_int_equal(k2k_budget_unset(f.admin, 1, 8), 0);
	check_everything(&f, 1, &before);
	/* A window that is over counts as unused, and the second reported is that of the clock. */
	f.clock_ns += 5 * SECOND;
	assert_int_equal(info_of(f.admin, 1).window, 1005);
	assert_int_equal(info_of(f.admin, 1).messages_this_second, 0);
	assert_int_equal(info_of(f.admin, 1).admitted_total, 11);
	/* Registered again, at another time. */
	assert_int_equal(k2k_tenant_deregister(f.admin, 1,
	                                       &(struct k2k_tenant_totals){
						       .size = sizeof(struct k2k_tenant_totals) }),
	                 0);
	to = realtime_ns();
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_true(info_of(f.admin, 1).registered_at_ns >= to);
	fixture_close(&f);
}

static struct reader r;

static void check_values(uint32_t kind, const uint64_t *values, size_t count)
{
	const struct k2k_audit_record *e = reader_need(&r, kind, 0);

	for (size_t i = 0; i < K2K_AUDIT_VALUES; i++)
		if (e->values[i] != (i < count ? values[i] : 0))
			fail_msg("%s: value %zu is %" PRIu64, k2k_audit_kind_name(kind), i,
			         e->values[i]);
}

TEST(final_totals_are_all_that_was_counted)
{
	static const uint64_t deregistered[] = { 11, 1, 2, 3, 4, 0, 9 },
			      final[] = { 11, 1, 2, 3, 4, 150, 9, 2, 60 };
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_tenant_info before;
	struct fixture f;

	open_single(&f);
	use_everything(&f, 1);
	before = info_of(f.admin, 1);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_int_equal(totals.id, 1);
	assert_int_equal(totals.generation, before.generation);
	assert_int_equal(totals.admitted_total, 11);
	assert_int_equal(totals.rejected_total.rate, 1);
	assert_int_equal(totals.rejected_total.budget, 2);
	assert_int_equal(totals.rejected_total.kernels, 3);
	assert_int_equal(totals.rejected_total.gpu_memory, 4);
	assert_int_equal(totals.gpu_ns_total, 150);
	assert_int_equal(totals.unattributed_ns, 9);
	assert_int_equal(totals.kernels, 2);
	assert_int_equal(totals.gpu_memory_bytes, 60);
	reader_open(&r, f.admin);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	check_values(K2K_AUDIT_KIND_DEREGISTER, deregistered, 7);
	check_values(K2K_AUDIT_KIND_FINAL_TOTALS, final, 9);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_FINAL_TOTALS, 0)->tenant, 1);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_FINAL_TOTALS, 0)->generation,
	                 before.generation);
	fixture_close(&f);
}

TEST(a_place_keeps_nothing_of_the_tenant_before)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 1,
		                   .max_gpu_memory_bytes = 100,
		                   .max_concurrent_kernels = 2 };
	struct k2k_tenant_info info;
	struct fixture f;
	size_t count;

	open_single(&f);
	use_everything(&f, 1);
	/* Its window begins with 11 messages, in the same second as the next tenant's. */
	f.clock_ns += SECOND;
	assert_int_equal(k2k_message_record(f.broker, 1), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, &totals), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, &quota), 0);
	info = info_of(f.admin, 2);
	assert_int_equal(info.admitted_total, 0);
	assert_int_equal(info.messages_this_second, 0);
	assert_int_equal(info.rejected_total.rate, 0);
	assert_int_equal(info.rejected_total.budget, 0);
	assert_int_equal(info.rejected_total.kernels, 0);
	assert_int_equal(info.rejected_total.gpu_memory, 0);
	assert_int_equal(info.unattributed_ns, 0);
	assert_int_equal(info.kernels, 0);
	assert_int_equal(info.gpu_memory_bytes, 0);
	assert_int_equal(info.budget_count, 0);
	assert_int_equal(k2k_usage_list(f.admin, 0, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(k2k_budget_list(f.admin, 0, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(k2k_lease_list(f.admin, 0, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(cost_for(f.broker, 2, tag_of(0, 7)), 0);
	/* no budget of the tenant before */
	assert_int_equal(k2k_message_admit(f.broker, 2, tag_of(0, 7), 1, NULL), 0);
	assert_int_equal(k2k_kernel_release_id(f.broker, 2), K2K_ENOTHELD);
	assert_int_equal(k2k_gpu_memory_release_id(f.broker, 2, 1), K2K_ENOTHELD);
	for (int i = 0; i < 2; i++)
		assert_int_equal(k2k_kernel_acquire(f.broker, 2, NULL, NULL), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 2, 100, NULL, NULL), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 2, &totals), 0);
	assert_int_equal(totals.admitted_total, 1);
	assert_int_equal(totals.rejected_total.rate + totals.rejected_total.budget, 0);
	assert_int_equal(totals.rejected_total.kernels + totals.rejected_total.gpu_memory, 0);
	assert_int_equal(totals.gpu_ns_total, 0);
	assert_int_equal(totals.unattributed_ns, 0);
	assert_int_equal(totals.kernels, 2);
	assert_int_equal(totals.gpu_memory_bytes, 100);
	fixture_close(&f);
}

TEST(an_engagement_costs_what_registered_tenants_have_booked)
{
	struct k2k_usage_info list[20] = { { .size = sizeof list[0] } };
	struct fixture f;
	uint64_t ns;
	size_t count;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(1, 7), 100), 0);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(2, 7), 30), 0);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(2, 8), 4), 0);
	assert_int_equal(cost(f.broker, tag_of(0, 7)), 130);
	/* The organisation is not part of the key, whatever other engagements there are. */
	for (uint64_t other = 0; other < 16; other++)
		assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(5, 100 + other), 0), 0);
	for (uint64_t org = 0; org < 16; org++)
		assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(org, 107), 1), 0);
	assert_int_equal(cost_for(f.broker, 1, tag_of(9, 107)), 16);
	assert_int_equal(cost(f.broker, tag_of(9, 107)), 16);
	/* The costs are gone at once, not only when the records are used again. */
	assert_int_equal(k2k_tenant_deregister(f.admin, 2, NULL), 0);
	assert_int_equal(cost(f.broker, tag_of(0, 7)), 100);
	assert_int_equal(cost(f.broker, tag_of(0, 8)), 0);
	assert_int_equal(k2k_usage_engagement_for(f.broker, 2, tag_of(0, 7), &ns), K2K_ENOTENANT);
	assert_int_equal(k2k_usage_list(f.admin, 0, list, 20, &count), 0);
	assert_int_equal(count, 1 + 16);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(list[i].id, 1);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	assert_int_equal(cost(f.broker, tag_of(0, 7)), 100);
	assert_int_equal(cost_for(f.broker, 2, tag_of(0, 7)), 0);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(2, 7), 1), 0);
	assert_int_equal(cost(f.broker, tag_of(0, 7)), 101);
	fixture_close(&f);
}
