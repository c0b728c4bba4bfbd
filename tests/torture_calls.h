/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * torture_calls.h - the public calls, made while their tenants are registered and deregistered:
 * every number in an answer must belong to the tenant that was named, and to one registration of it
 *
 * A call that succeeds between two gets of the same generation is certainly counted in this
 * generation. The sum of such calls is recorded; the final totals must be at least that.
 */
#ifndef K2K_TESTS_TORTURE_CALLS_H
#define K2K_TESTS_TORTURE_CALLS_H

#include "torture.h"

static bool one_of(int code, int a, int b, int c)
{
	return code == 0 || code == a || code == b || code == c;
}

/* Its generation now; 0: it is not registered, or changed during each read of an observer. */
static uint64_t get(struct reader *r, uint32_t tenant)
{
	struct k2k_tenant_info info = { .size = sizeof info };
	int code = k2k_tenant_get(r->reg, id_of(tenant), &info);
	uint32_t variant;

	count(&r->t->calls);
	if (code == K2K_ENOTENANT || (code == K2K_EBUSY && !r->broker))
		return 0;
	if (code)
		fail_msg("get: %s (%s)", k2k_errname(code), k2k_error_detail()->text);
	check_rate(tenant, info.max_messages_per_sec, "a get");
	variant = variant_of_rate(info.max_messages_per_sec);
	assert_int_equal(info.id, id_of(tenant));
	assert_int_equal(info.max_gpu_memory_bytes, memory_of(tenant, variant));
	assert_int_equal(info.max_concurrent_kernels, kernels_of(tenant, variant));
	assert_true(info.kernels <= THREADS_MOST);
	assert_int_equal(info.gpu_memory_bytes % unit_of(tenant, 0), 0);
	assert_true(info.gpu_memory_bytes <= THREADS_MOST * unit_of(tenant, 0));
	assert_true(info.messages_this_second <= rate_of(tenant, VARIANTS - 1));
	assert_true(info.budget_count <= ENGAGEMENTS);
	assert_true(info.generation >= r->generation[tenant]);
	if (info.generation == r->generation[tenant])
		assert_true(info.admitted_total >= r->admitted[tenant]);
	else
		memset(r->cost[tenant], 0, sizeof r->cost[tenant]);
	r->generation[tenant] = info.generation;
	r->admitted[tenant] = info.admitted_total;
	return info.generation;
}

/*
 * The generation in which everything since get() returned `before` has happened; 0: unknown.
 */
static uint64_t certain(struct reader *r, uint32_t tenant, uint64_t before)
{
	return before && get(r, tenant) == before && before < GENERATIONS ? before : 0;
}

static void call_get(struct reader *r)
{
	int registered = -1;
	uint32_t tenant = some_tenant(&r->dice);

	get(r, tenant);
	assert_int_equal(k2k_tenant_is_registered(r->reg, id_of(tenant), &registered), 0);
	assert_true(registered == 0 || registered == 1);
}

static void check_verdict(struct reader *r, uint32_t tenant, uint32_t engagement, int code,
                          const struct k2k_verdict *verdict, const char *who)
{
	count(&r->t->calls);
	assert_int_equal(verdict->code, code);
	if (!one_of(code, K2K_ENOTENANT, K2K_ERATE, K2K_EBUDGET))
		fail_msg("%s: %s (%s)", who, k2k_errname(code), k2k_error_detail()->text);
	if (code == K2K_ENOTENANT)
		return;
	if (code == K2K_EBUDGET) {
		check_budget(tenant, engagement, verdict->limit, who);
		check_cost(tenant, engagement, verdict->used, who);
	} else {
		check_rate(tenant, verdict->limit, who);
	}
	if (code)
		count(&r->t->rejections);
}

static void call_admit(struct reader *r)
{
	uint32_t tenant = some_tenant(&r->dice), engagement = (uint32_t)roll(&r->dice, ENGAGEMENTS);
	uint64_t n = 1 + roll(&r->dice, ADMIT_MOST), generation = 0;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	bool book = roll(&r->dice, 4) == 0;
	int code;

	if (book)
		generation = get(r, tenant);
	code = k2k_message_admit(r->reg, id_of(tenant), tag_of(engagement), n, &verdict);
	check_verdict(r, tenant, engagement, code, &verdict, "an admit");
	if (code == 0)
		assert_true(verdict.used <= verdict.limit && verdict.used >= n);
	if (book && code == 0)
		atomic_fetch_add(&r->t->admitted[certain(r, tenant, generation)], n);
}

static void call_check(struct reader *r)
{
	uint32_t tenant = some_tenant(&r->dice), engagement = (uint32_t)roll(&r->dice, ENGAGEMENTS);
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int code = k2k_quota_check(r->reg, id_of(tenant), tag_of(engagement),
	                           1 + roll(&r->dice, ADMIT_MOST), &verdict);

	check_verdict(r, tenant, engagement, code, &verdict, "a check");
}

static void call_track(struct reader *r)
{
	uint32_t tenant = some_tenant(&r->dice), engagement = (uint32_t)roll(&r->dice, ENGAGEMENTS);
	uint64_t ns = unit_of(tenant, engagement) * (1 + roll(&r->dice, UNITS_MOST)),
		 generation = 0;
	bool book = roll(&r->dice, 4) == 0;
	int code;

	if (book)
		generation = get(r, tenant);
	code = k2k_usage_track(r->reg, id_of(tenant), tag_of(engagement), ns);
	count(&r->t->calls);
	if (code == K2K_EGONE)
		count(&r->t->gone);
	else if (code == K2K_EUNBOOKED)
		count(&r->t->unbooked);
	else if (code && code != K2K_ENOTENANT)
		fail_msg("track: %s (%s)", k2k_errname(code), k2k_error_detail()->text);
	/* the unattributed total belongs to no engagement, but to the tenant's totals */
	if (book && (code == 0 || code == K2K_EUNBOOKED))
		atomic_fetch_add(&r->t->booked_ns[certain(r, tenant, generation)], ns);
}

static void call_cost(struct reader *r)
{
	uint32_t tenant = some_tenant(&r->dice), engagement = (uint32_t)roll(&r->dice, ENGAGEMENTS);
	uint64_t ns = 0, generation = get(r, tenant), last = r->cost[tenant][engagement];
	int code = k2k_usage_engagement_for(r->reg, id_of(tenant), tag_of(engagement), &ns);

	count(&r->t->calls);
	if (code == K2K_ENOTENANT || (code == K2K_EBUSY && !r->broker))
		return;
	assert_int_equal(code, 0);
	check_cost(tenant, engagement, ns, "a cost");
	if (certain(r, tenant, generation)) {
		assert_true(ns >= last);
		r->cost[tenant][engagement] = ns;
	}
}

/*
 * Counts a lease record that this process uses for this generation, unless it is counted already.
 */
static void note_lease(struct reader *r, uint32_t tenant, uint64_t generation)
{
	unsigned long long newest = atomic_load(&r->leased[tenant]);

	while (newest < generation)
		if (atomic_compare_exchange_weak(&r->leased[tenant], &newest, generation)) {
			count(&r->t->leases);
			break;
		}
}

static void call_lease(struct reader *r)
{
	uint32_t tenant = some_tenant(&r->dice);
	bool memory = roll(&r->dice, 2);
	uint64_t amount = memory ? unit_of(tenant, 0) : 1;
	struct k2k_lease lease = K2K_LEASE_INIT;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int code = memory ? k2k_gpu_memory_acquire(r->reg, id_of(tenant), amount, &lease, &verdict)
	                  : k2k_kernel_acquire(r->reg, id_of(tenant), &lease, &verdict);

	count(&r->t->calls);
	if (code == K2K_EBUSY)
		count(&r->t->busy);
	if (code) {
		if (!one_of(code, K2K_ENOTENANT, K2K_EFULL, K2K_EBUSY))
			fail_msg("acquire: %s (%s)", k2k_errname(code), k2k_error_detail()->text);
		return;
	}
	if (memory)
		assert_int_equal(
			verdict.limit,
			memory_of(tenant, variant_of_rate(verdict.limit / BYTES_A_MESSAGE)));
	else
		assert_int_equal(verdict.limit,
		                 kernels_of(tenant, (uint32_t)verdict.limit % VARIANTS));
	/* else what an earlier registration or another tenant held would be counted too */
	assert_int_equal(verdict.used % amount, 0);
	assert_true(verdict.used >= amount && verdict.used <= THREADS_MOST * amount);
	assert_int_equal(lease.id, id_of(tenant));
	assert_true(lease.generation >= r->generation[tenant]);
	note_lease(r, tenant, lease.generation);
	dwell(&r->dice);
	code = memory ? k2k_gpu_memory_release(r->reg, &lease) : k2k_kernel_release(r->reg, &lease);
	assert_true(code == 0 || code == K2K_ESTALE);
}

/* ---- lists -------------------------------------------------------------------------------- */

static uint32_t engagement_of(uint64_t engagement_id)
{
	assert_true(engagement_id >= tag_of(0).engagement_id &&
	            engagement_id <= tag_of(ENGAGEMENTS - 1).engagement_id);
	return (uint32_t)(engagement_id - tag_of(0).engagement_id);
}

static void call_lists(struct reader *r)
{
	struct k2k_budget_info budgets[BUDGETS] = { { .size = sizeof budgets[0] } };
	struct k2k_usage_info usage[COSTS] = { { .size = sizeof usage[0] } };
	struct k2k_lease_info leases[LEASES] = { { .size = sizeof leases[0] } };
	k2k_tenant_id ids[SLOTS];
	size_t n;

	count(&r->t->calls);
	assert_int_equal(k2k_tenant_ids(r->reg, ids, SLOTS, &n), 0);
	for (size_t i = 0; i < n && i < SLOTS; i++)
		tenant_of(ids[i]);
	assert_int_equal(k2k_budget_list(r->reg, K2K_TENANT_UNSPECIFIED, budgets, BUDGETS, &n), 0);
	for (size_t i = 0; i < n && i < BUDGETS; i++) {
		uint32_t tenant = tenant_of(budgets[i].id),
			 engagement = engagement_of(budgets[i].engagement_id);

		check_budget(tenant, engagement, budgets[i].budget_ns, "a list of budgets");
		check_cost(tenant, engagement, budgets[i].used_ns, "a list of budgets");
	}
	assert_int_equal(k2k_usage_list(r->reg, K2K_TENANT_UNSPECIFIED, usage, COSTS, &n), 0);
	for (size_t i = 0; i < n && i < COSTS; i++)
		check_cost(tenant_of(usage[i].id), engagement_of(usage[i].engagement_id),
		           usage[i].gpu_ns, "a list of costs");
	assert_int_equal(k2k_lease_list(r->reg, K2K_TENANT_UNSPECIFIED, leases, LEASES, &n), 0);
	for (size_t i = 0; i < n && i < LEASES; i++) {
		assert_int_equal(leases[i].gpu_memory_bytes % unit_of(tenant_of(leases[i].id), 0),
		                 0);
		assert_true(leases[i].kernels <= THREADS_MOST);
	}
}

#endif
