/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tenant_limits.h - the limits of a tenant, and how two sets of limits differ, as text and as JSON
 */
#ifndef K2K_TENANTCTL_TENANT_LIMITS_H
#define K2K_TENANTCTL_TENANT_LIMITS_H

#include <json-c/json_object.h>
#include <stdio.h>

#include "rates.h"
#include "tenants.h"
#include "common/thresholds.h"

/* Budgets in the order of engagements, in an array of any struct. */
struct budget_list {
	const void *first;
	size_t count, stride, engagement_at, ns_at, renewal_at;
};
#define BUDGET_LIST(array, number, type, engagement, ns, renewal)                            \
	(struct budget_list)                                                                 \
	{                                                                                    \
		array, number, sizeof(type), offsetof(type, engagement), offsetof(type, ns), \
			offsetof(type, renewal)                                              \
	}

struct limits {
	struct rate rate;
	uint64_t kernels, gpu_memory_bytes; /* UINT64_MAX: unlimited */
	uint32_t fleet;                     /* FLEET_... */
	const char *name;                   /* null: none */
	bool shadow, suspended;
	uint64_t alerts; /* thresholds_pack() */
	struct budget_list budgets;
};

struct limits limits_of_tenant(const struct tenants *tenants, const struct tenant *t);

enum limit {
	LIMIT_NAME,
	LIMIT_SHADOW,
	LIMIT_SUSPENDED,
	LIMIT_ALERTS,
	LIMIT_RATE,
	LIMIT_KERNELS,
	LIMIT_GPU_MEMORY,
	LIMIT_BUDGET
};

/*
 * A change of one limit; for a budget, UINT64_MAX means none. Shadow and suspended: 1 is on.
 * Thresholds: packed.
 */
struct limit_change {
	enum limit limit;
	uint64_t engagement, before, after;
	struct rate rate_before, rate_after;
	bool fleet_before, fleet_after;         /* it is one for all hosts */
	const char *name_before, *name_after;   /* null: none */
	uint32_t renewal_before, renewal_after; /* of a budget: enum k2k_budget_renewal */
};

struct limit_changes {
	struct limit_change *list; /* freed by limits_free() */
	size_t count;
	bool is_new; /* there was no tenant before */
};

/* What differs; all of `after` if `before` is null. */
void limits_compare(const struct limits *before, const struct limits *after,
                    struct limit_changes *changes);
void limits_free(struct limit_changes *changes);
uint32_t limits_mask(const struct limit_changes *changes); /* K2K_UPDATE_... */

/*
 * Prints ": rate 5/s -> 6/s, budget 7: 1s -> none"; for a new tenant ": rate 6/s". Nothing if
 * nothing differs.
 */
void limits_print(FILE *out, const struct limit_changes *changes);
/*
 * [{"field":"rate_per_sec","before":"5","after":"6"}], with these two keys. null means unlimited;
 * for a new tenant, `before` is null too. A rate that is not per second, or of a bucket, is text,
 * and its field is "rate".
 */
json_object *limits_json(const struct limit_changes *changes, const char *before,
                         const char *after);

#endif
