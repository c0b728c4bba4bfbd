/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Kernel slots and GPU memory, acquired and released by one broker alone and beside seven others;
 * GPU time that is reserved and committed.
 */
#include "bench.h"

#include <string.h>

enum { OTHERS = 7, SHARED_TENANT = 1, OWN_TENANT = 2, ENGAGEMENT = 5 };
#define BUDGET_NS (UINT64_C(1) << 62)

static const struct k2k_audit_tag tag = { 0, ENGAGEMENT };

static struct area {
	char alone[K2K_NAME_MAX + 1], shared[K2K_NAME_MAX + 1];
} * area;

/* Each of the other brokers attaches and holds a slot and some memory of one tenant. */
static void attach_and_hold(void *context, unsigned int worker, unsigned int order)
{
	struct k2k_registry *reg = open_broker(area->shared);
	int code = k2k_kernel_acquire(reg, SHARED_TENANT, NULL, NULL);

	(void)context;
	(void)worker;
	(void)order;
	if (!code)
		code = k2k_gpu_memory_acquire(reg, SHARED_TENANT, 4096, NULL, NULL);
	if (!code)
		code = k2k_usage_reserve(reg, SHARED_TENANT, tag, 1000,
		                         &(struct k2k_reservation)K2K_RESERVATION_INIT, NULL);
	if (code)
		die_of(code, "taking a lease");
}

static struct workers others = { .size = OTHERS, .work = attach_and_hold };

struct leasing {
	struct k2k_registry *reg;
	k2k_tenant_id id;
};

static void loop_kernel(void *state, uint64_t calls)
{
	struct leasing *l = state;
	struct k2k_lease lease = K2K_LEASE_INIT;
	int bad = 0;

	for (; calls; calls--) {
		int code = k2k_kernel_acquire(l->reg, l->id, &lease, NULL);

		if (!code)
			code = k2k_kernel_release(l->reg, &lease);
		if (code)
			bad = code;
		lease = (struct k2k_lease)K2K_LEASE_INIT;
	}
	if (bad)
		die_of(bad, "a kernel slot acquired and released");
}

static void loop_memory(void *state, uint64_t calls)
{
	struct leasing *l = state;
	struct k2k_lease lease = K2K_LEASE_INIT;
	int bad = 0;

	for (; calls; calls--) {
		int code = k2k_gpu_memory_acquire(l->reg, l->id, 1 << 20, &lease, NULL);

		if (!code)
			code = k2k_gpu_memory_release(l->reg, &lease);
		if (code)
			bad = code;
		lease = (struct k2k_lease)K2K_LEASE_INIT;
	}
	if (bad)
		die_of(bad, "GPU memory taken and given back");
}

static void loop_reserve(void *state, uint64_t calls)
{
	struct leasing *l = state;
	struct k2k_reservation reservation = K2K_RESERVATION_INIT;
	int bad = 0;

	for (; calls; calls--) {
		int code = k2k_usage_reserve(l->reg, l->id, tag, 1000, &reservation, NULL);

		if (!code)
			code = k2k_usage_commit(l->reg, &reservation, 900);
		if (code)
			bad = code;
	}
	if (bad)
		die_of(bad, "GPU time reserved and committed");
}

static struct leasing alone, beside, among;
static struct loop loops[] = {
	{ loop_kernel, &alone, 0 },  { loop_kernel, &beside, 0 }, { loop_kernel, &among, 0 },
	{ loop_memory, &alone, 0 },  { loop_memory, &among, 0 },  { loop_reserve, &alone, 0 },
	{ loop_reserve, &among, 0 },
};

static void start_others(void *state)
{
	(void)state;
	area = shared_memory(sizeof(*area));
	workers_start(&others);
}

static void set_budget(struct k2k_registry *admin, k2k_tenant_id id)
{
	int code = k2k_budget_set(admin, id, ENGAGEMENT, BUDGET_NS);

	if (code)
		die_of(code, "setting a budget");
}

static void open_leases(void *state)
{
	(void)state;
	struct k2k_registry *first = create_registry(area->alone, "lease-1", 64, 64);

	register_tenants(first, 1);
	set_budget(first, tenant_id(0));
	alone = (struct leasing){ open_broker(area->alone), tenant_id(0) };

	struct k2k_registry *admin = create_registry(area->shared, "lease-8", 64, 64);
	for (k2k_tenant_id id = SHARED_TENANT; id <= OWN_TENANT; id++) {
		int code = k2k_tenant_register(admin, id, &high_quota);

		if (code)
			die_of(code, "registering a tenant");
	}
	set_budget(admin, SHARED_TENANT);
	beside = (struct leasing){ open_broker(area->shared), OWN_TENANT };
	among = (struct leasing){ beside.reg, SHARED_TENANT };
	workers_run(&others, OTHERS, 0);
	workers_wait(&others, OTHERS);
}

static void round_leases(void *state, struct sample *samples)
{
	(void)state;
	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++)
		samples[i].value = time_loop(&loops[i]);
}

#define ROW(name, text, goal, target)                                \
	{                                                            \
		name, text, UNIT_NS, AGAINST_FETCH_ADD, goal, target \
	}
static const struct row_spec rows[] = {
	ROW("kernel_1", "kernel slot acquired and released, 1 broker attached", GOAL_RATIO_AT_MOST,
	    8),
	ROW("kernel_8", "kernel slot acquired and released, 8 brokers attached", GOAL_RATIO_AT_MOST,
	    8),
	ROW("kernel_8_holding", "kernel slot, each of 8 brokers holds one of that tenant",
	    GOAL_RATIO_AT_MOST, 8),
	ROW("memory_1", "GPU memory taken and given back, 1 broker attached", GOAL_NONE, 0),
	ROW("memory_8_holding", "GPU memory, each of 8 brokers holds some of that tenant",
	    GOAL_NONE, 0),
	ROW("reserve_1", "GPU time reserved and committed, 1 broker attached", GOAL_RATIO_AT_MOST,
	    6),
	ROW("reserve_8_holding", "GPU time, each of 8 brokers has some reserved of that budget",
	    GOAL_RATIO_AT_MOST, 12),
};
const struct bench_case lease_case = { ROWS(rows), .start = start_others, .open = open_leases,
	                               .round = round_leases };
