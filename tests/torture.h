/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * torture.h - what readers, churners and their parent share: the tenants of a small registry, the
 * random numbers of a thread, the counters that all processes see
 *
 * Every number that is registered or booked is made of the tenant's index and of a variant that
 * changes with each registration and update. So a limit shows which tenant it belongs to, and a
 * mixture of two limits is noticed.
 */
#ifndef K2K_TESTS_TORTURE_H
#define K2K_TESTS_TORTURE_H

#define HARNESS_OWN_MAIN
#define HARNESS_TIMEOUT_S 900
#include "process.h"

#include "delay.h"
#include "handle.h"

/* Small tables: a freed record is soon used again. */
enum {
	SLOTS = 32, /* of tenants */
	IDS = 34,
	HOT = 4,         /* half of the calls name one of the first 4 ids */
	ENGAGEMENTS = 4, /* of each tenant */
	COSTS = 120,
	BUDGETS = 40,
	LEASES = 140,
	VARIANTS = 256,
	GENERATIONS = 1 << 22, /* whose sums are recorded */
	THREADS_MOST = 64,     /* of all processes */
	ADMIT_MOST = 32768,
	UNITS_MOST = 16384,
	BYTES_A_MESSAGE = 1048583,
};

/* ---- dice -------------------------------------------------------------------- */

struct dice {
	uint64_t state;
};

HARNESS_USED static struct dice dice_of(uint64_t seed, uint64_t number)
{
	return (struct dice){ k2k_mix64(seed + number * UINT64_C(0x9e3779b97f4a7c15)) | 1 };
}

HARNESS_USED static uint64_t roll(struct dice *dice, uint64_t sides)
{
	dice->state ^= dice->state << 13;
	dice->state ^= dice->state >> 7;
	dice->state ^= dice->state << 17;
	return k2k_mix64(dice->state) % sides;
}

/* Returns mostly at once, sometimes after milliseconds. */
HARNESS_USED static void dwell(struct dice *dice)
{
	uint64_t kind = roll(dice, 256);

	if (kind < 128) {
		for (uint64_t n = roll(dice, 3000); n > 0; n--)
			atomic_signal_fence(memory_order_seq_cst);
	} else if (kind < 140) {
		pause_ns(roll(dice, 100000));
	} else if (kind < 142) {
		sched_yield(); /* milliseconds, if all processors are busy */
	} else if (kind < 143) {
		pause_ns(roll(dice, 2000000));
	}
}

/* ---- tenants -------------------------------------------------------------------- */

/* All ids are in a quarter of the buckets, so that many are found behind others. */
HARNESS_USED static k2k_tenant_id id_of(uint32_t tenant)
{
	for (uint64_t x = tenant * UINT64_C(1000) + 1;; x++)
		if ((k2k_mix64(k2k_mix64(x)) & (2 * SLOTS - 1)) < SLOTS / 2)
			return k2k_mix64(x);
}

HARNESS_USED static uint32_t tenant_of(k2k_tenant_id id)
{
	for (uint32_t tenant = 0; tenant < IDS; tenant++)
		if (id_of(tenant) == id)
			return tenant;
	fail_msg("tenant %" PRIu64 " was never registered", id);
}

HARNESS_USED static struct k2k_audit_tag tag_of(uint32_t engagement)
{
	return (struct k2k_audit_tag){ 1, engagement + 77 };
}

/* Half of the time one of the few that are registered and deregistered most. */
HARNESS_USED static uint32_t some_tenant(struct dice *dice)
{
	return (uint32_t)roll(dice, roll(dice, 2) ? HOT : IDS);
}

/* 65536 and more: some calls of up to ADMIT_MOST are admitted, and some are not. */
HARNESS_USED static uint64_t rate_of(uint32_t tenant, uint32_t variant)
{
	return (uint64_t)(tenant + 1) << 16 | variant << 4;
}

HARNESS_USED static uint32_t variant_of_rate(uint64_t rate)
{
	return (uint32_t)(rate >> 4) % VARIANTS;
}

HARNESS_USED static uint64_t memory_of(uint32_t tenant, uint32_t variant)
{
	return rate_of(tenant, variant) * BYTES_A_MESSAGE;
}

HARNESS_USED static uint32_t kernels_of(uint32_t tenant, uint32_t variant)
{
	return (tenant + 1) << 12 | variant;
}

HARNESS_USED static uint64_t budget_of(uint32_t tenant, uint32_t engagement, uint32_t variant)
{
	return (uint64_t)(tenant + 1) << 32 | engagement << 16 | variant;
}

/*
 * GPU time is booked, and GPU memory taken, in multiples of this number: so no sum of one tenant is
 * a sum of another.
 */
HARNESS_USED static uint64_t unit_of(uint32_t tenant, uint32_t engagement)
{
	return 1000003 + 2 * (tenant * ENGAGEMENTS + engagement);
}

HARNESS_USED static void check_rate(uint32_t tenant, uint64_t rate, const char *who)
{
	if (rate != rate_of(tenant, variant_of_rate(rate)))
		fail_msg("%s of tenant %u saw a rate of %" PRIu64
		         ", which is that of tenant %" PRIu64,
		         who, tenant, rate, (rate >> 16) - 1);
}

HARNESS_USED static void check_budget(uint32_t tenant, uint32_t engagement, uint64_t budget,
                                      const char *who)
{
	if (budget != budget_of(tenant, engagement, (uint32_t)budget % VARIANTS))
		fail_msg("%s of tenant %u, engagement %u, saw a budget of %" PRIx64, who, tenant,
		         engagement, budget);
}

HARNESS_USED static void check_cost(uint32_t tenant, uint32_t engagement, uint64_t ns,
                                    const char *who)
{
	if (ns % unit_of(tenant, engagement) != 0)
		fail_msg("%s of tenant %u, engagement %u, saw %" PRIu64
		         " ns, of which some are another's",
		         who, tenant, engagement, ns);
}

/* ---- what all processes see --------------------------------------------------------- */

/* What kind of record a reader looked at, and how it found it. */
enum what {
	TENANT_FOUND,
	TENANT_WALKED,
	COST_FOUND,
	COST_WALKED,
	BUDGET_FOUND,
	BUDGET_WALKED,
	WHATS
};

/* When the reader looked at it again: how many grace periods after its removal. */
enum age {
	IN_USE,
	REMOVED, /* its grace period has not ended: our section prevents that */
	PASSED,  /* its grace period has ended although our section has not: an error */
	REUSED,
	AGES,
};

struct torture {
	uint64_t seed;
	const char *name;
	atomic_int stop;
	atomic_ullong ages[WHATS][AGES];
	atomic_ullong calls, rejections, gone, unbooked, busy;
	atomic_ullong registrations, updates, budgets, leases, finals, refused;
	/* by generation: what must be counted in it */
	atomic_ullong admitted[GENERATIONS], booked_ns[GENERATIONS];
};

HARNESS_USED static void count(atomic_ullong *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* One thread of a reader process. */
struct reader {
	struct torture *t;
	struct k2k_registry *reg;
	bool broker;
	struct dice dice;
	uint64_t token; /* published before the section began */
	/* of the process, by tenant: the newest generation in which it has a lease record */
	atomic_ullong *leased;
	uint64_t generation[IDS], admitted[IDS], cost[IDS][ENGAGEMENTS]; /* in the last answer */
};

#endif
