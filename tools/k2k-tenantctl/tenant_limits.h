/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tenant_limits.h - what a tenant may, and where two such differ: for people in a line, for
 * programs as JSON
 */
#ifndef K2K_TENANTCTL_TENANT_LIMITS_H
#define K2K_TENANTCTL_TENANT_LIMITS_H

#include <json-c/json_object.h>
#include <stdio.h>

#include "tenants.h"

/* Budgets by engagement, in whatever structs they are. */
struct budget_list {
	const void *first;
	size_t count, stride, engagement_at, ns_at;
};

struct limits {
	uint64_t rate, kernels, gpu_memory_bytes; /* UINT64_MAX: unlimited */
	struct budget_list budgets;
};

struct limits limits_of_tenant(const struct tenants *tenants, const struct tenant *t);

enum limit { LIMIT_RATE, LIMIT_KERNELS, LIMIT_GPU_MEMORY, LIMIT_BUDGET };

/* Of one limit; of a budget UINT64_MAX says that there is none. */
struct limit_change {
	enum limit limit;
	uint64_t engagement, before, after;
};

struct limit_changes {
	struct limit_change *list; /* to be freed */
	size_t count;
	bool anew; /* there was nothing before */
};

/* What differs; all of `after` where `before` is null. */
void limits_compare(const struct limits *before, const struct limits *after,
                    struct limit_changes *changes);
void limits_free(struct limit_changes *changes);
uint32_t limits_mask(const struct limit_changes *changes); /* K2K_UPDATE_... */

/*
 * ": rate 5/s -> 6/s, budget 7: 1s -> none"; of a new one ": rate 6/s". Nothing where nothing
 * differs.
 */
void limits_tell(FILE *out, const struct limit_changes *changes);
/*
 * [{"field":"rate_per_sec","before":"5","after":"6"}], under these two keys. null: unlimited; of a
 * new one it is null before, too.
 */
json_object *limits_json(const struct limit_changes *changes, const char *before,
                         const char *after);

#endif
