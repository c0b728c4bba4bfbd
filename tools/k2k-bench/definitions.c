/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls of administrators, sums over all tenants, and memory. */
#include "bench.h"

/* ---- register, update, deregister ---------------------------------------------------- */

enum { CHANGES = 1000 };

static struct k2k_registry *admin;

static void open_definitions(void *state)
{
	char name[K2K_NAME_MAX + 1] = "";

	(void)state;
	/* enough room that no registration waits for a grace period, which a broker makes needed */
	admin = create_registry(name, "change", 8 * CHANGES, 64);
	open_broker(name);
}

static double each(int (*change)(uint64_t i), const char *what)
{
	uint64_t start = now_ns();

	for (uint64_t i = 0; i < CHANGES; i++) {
		int code = change(i);

		if (code)
			die_of(code, what);
	}
	return (double)(now_ns() - start) / CHANGES;
}

static int change_register(uint64_t i)
{
	return k2k_tenant_register(admin, tenant_id(i), &high_quota);
}
static int change_update(uint64_t i)
{
	return k2k_tenant_update(admin, tenant_id(i), &high_quota, K2K_UPDATE_RATE);
}
static int change_deregister(uint64_t i)
{
	return k2k_tenant_deregister(admin, tenant_id(i), NULL);
}

/* Waits until the grace period of all deregistered tenants is over: their totals are final then. */
static void wait_for_grace_period(void)
{
	struct k2k_tenant_totals totals = { .size = sizeof(totals) };
	int code = change_register(CHANGES);

	if (!code)
		code = k2k_tenant_deregister(admin, tenant_id(CHANGES), &totals);
	if (code)
		die_of(code, "final totals");
}

static double register_in_batch(void)
{
	int code = k2k_batch_begin(admin);
	double ns;

	if (code)
		die_of(code, "beginning a batch");
	ns = each(change_register, "register in a batch");
	code = k2k_batch_end(admin);
	if (code)
		die_of(code, "ending a batch");
	return ns;
}

static void round_definitions(void *state, struct sample *samples)
{
	(void)state;
	samples[0].value = each(change_register, "register");
	samples[2].value = each(change_update, "update");
	samples[3].value = each(change_deregister, "deregister");
	wait_for_grace_period();
	samples[1].value = register_in_batch();
	each(change_deregister, "deregister");
	wait_for_grace_period();
}

static const struct row_spec definition_rows[] = {
	{ "register", "register, one of 1,000 in turn", UNIT_NS, AGAINST_FETCH_ADD, GOAL_NONE, 0 },
	{ "register_in_batch", "register, one of 1,000 in a batch", UNIT_NS, AGAINST_FETCH_ADD,
	  GOAL_NONE, 0 },
	{ "update", "update of the rate", UNIT_NS, AGAINST_FETCH_ADD, GOAL_NONE, 0 },
	{ "deregister", "deregister without final totals", UNIT_NS, AGAINST_FETCH_ADD, GOAL_NONE,
	  0 },
};
const struct bench_case definition_case = { ROWS(definition_rows), .open = open_definitions,
	                                    .round = round_definitions };

/* ---- all tenants at once ------------------------------------------------------------ */

static void round_register(void *state, struct sample *samples)
{
	static char name[K2K_NAME_MAX + 1];
	struct k2k_registry *reg = create_registry(name, "all", many(), 64);
	uint64_t start = now_ns();

	(void)state;
	register_tenants(reg, many());
	samples[0].value = (double)(now_ns() - start);
	k2k_registry_close(&reg);
	int code = k2k_registry_destroy(name, 0, NULL);
	if (code)
		die_of(code, "destroying a registry");
}

static const struct row_spec register_rows[] = {
	{ "register_100k", "100,000 tenants registered in an empty registry, in a batch", UNIT_NS,
	  AGAINST_NOTHING, GOAL_VALUE_AT_MOST, 0.2e9 },
};
const struct bench_case register_case = { ROWS(register_rows), .most_rounds = 7,
	                                  .round = round_register };

static void need_population(void *state)
{
	population_need(state);
}

static void round_register_1m(void *state, struct sample *samples)
{
	samples[0].value = ((struct population *)state)->register_ns;
}

static const struct row_spec register_1m_rows[] = {
	{ "register_1m", "1,000,000 tenants registered in an empty registry, in a batch, once",
	  UNIT_NS, AGAINST_NOTHING, GOAL_NONE, 0 },
};
const struct bench_case register_1m_case = {
	ROWS(register_1m_rows),  .most_rounds = 1,        .big = true,
	.state = &population_1m, .open = need_population, .round = round_register_1m
};

/* ---- one engagement over all tenants -------------------------------------------------- */

static struct population population_10k = { .what = "10k", .tenants = 10000, .engagements = 1 };

struct summing {
	struct population *population;
	struct loop loop;
};

static void loop_sum(void *state, uint64_t calls)
{
	struct population *p = state;
	uint64_t ns;

	for (; calls; calls--) {
		int code = k2k_usage_engagement(p->broker, (struct k2k_audit_tag){ 1, 1 }, &ns);

		if (code)
			die_of(code, "an engagement's sum");
		if (ns < p->tenants)
			die("an engagement's sum is too small");
	}
}

static void open_sum(void *state)
{
	struct summing *s = state;

	population_need(s->population);
	s->loop = (struct loop){ loop_sum, s->population, 0 };
}

static void round_sum(void *state, struct sample *samples)
{
	samples[0].value = time_loop(&((struct summing *)state)->loop);
}

static struct summing sum_10k = { .population = &population_10k },
		      sum_1m = { .population = &population_1m };
static const struct row_spec sum_rows[] = {
	{ "engagement_10k", "GPU time of one engagement over 10,000 tenants", UNIT_NS,
	  AGAINST_NOTHING, GOAL_VALUE_AT_MOST, 80e3 },
};
static const struct row_spec sum_1m_rows[] = {
	{ "engagement_1m", "GPU time of one engagement over 1,000,000 tenants with 4 each", UNIT_NS,
	  AGAINST_NOTHING, GOAL_NONE, 0 },
};
const struct bench_case sum_case = { ROWS(sum_rows), .state = &sum_10k, .open = open_sum,
	                             .round = round_sum };
const struct bench_case sum_1m_case = { ROWS(sum_1m_rows), .big = true,      .most_rounds = 7,
	                                .state = &sum_1m,  .open = open_sum, .round = round_sum };

/* ---- memory ----------------------------------------------------------------------------- */

/* just above a power of two, where most buckets are empty: the most expensive case */
enum { STEP = (1 << 17) + 1 };

static uint64_t bytes(uint64_t tenants, uint64_t engagements, uint64_t kernels)
{
	struct k2k_create_options create = K2K_CREATE_OPTIONS_INIT;
	struct k2k_registry_plan plan = { .size = sizeof(plan) };
	int code;

	create.max_tenants = tenants;
	create.max_engagements = engagements;
	create.max_kernels = kernels;
	create.max_leases = create.max_budgets = 64;
	code = k2k_registry_plan(&create, &plan);
	if (code)
		die_of(code, "planning a registry");
	return plan.total_bytes;
}

static void round_memory(void *state, struct sample *samples)
{
	uint64_t base = bytes(1, 1, 1);

	(void)state;
	samples[0].value = (double)(bytes(STEP, 1, 1) - base) / STEP;
	samples[1].value = (double)(bytes(1, STEP, 1) - base) / STEP;
	samples[2].value = (double)(bytes(1, 1, STEP) - base) / STEP;
}

static const struct row_spec memory_rows[] = {
	{ "memory_tenant", "a tenant, leases and budgets apart", UNIT_BYTES, AGAINST_NOTHING,
	  GOAL_VALUE_AT_MOST, 320 },
	{ "memory_engagement", "an engagement of a tenant", UNIT_BYTES, AGAINST_NOTHING,
	  GOAL_VALUE_AT_MOST, 72 },
	{ "memory_name", "a name in the directory of kernels", UNIT_BYTES, AGAINST_NOTHING,
	  GOAL_VALUE_AT_MOST, 280 },
};
const struct bench_case memory_case = { ROWS(memory_rows), .most_rounds = 1,
	                                .round = round_memory };
