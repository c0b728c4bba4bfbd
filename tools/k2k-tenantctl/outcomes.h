/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * outcomes.h - what requests did with each limit, for what-if
 */
#ifndef K2K_TENANTCTL_OUTCOMES_H
#define K2K_TENANTCTL_OUTCOMES_H

#include "ctl.h"

enum reason { REASON_RATE, REASON_KERNELS, REASON_BUDGET, REASON_UNKNOWN };
extern const char *const outcome_reasons[];

/* One limit of one tenant. */
struct outcome {
	k2k_tenant_id tenant;
	enum reason reason;
	uint64_t engagement; /* of a budget */
	uint64_t requests, refused, first_ns, last_ns;
	uint64_t peak, max; /* max: UINT64_MAX: unlimited */
};

struct outcomes {
	void *tree; /* to find them by their key */
	struct outcome **list;
	size_t count, room;
};

/* Finds the outcome of a limit. Returns NULL if there is none. */
struct outcome *outcome_find(const struct outcomes *outcomes, k2k_tenant_id tenant,
                             enum reason reason, uint64_t engagement);
/* The same, but makes an empty one if there is none. */
struct outcome *outcome_of(struct outcomes *outcomes, k2k_tenant_id tenant, enum reason reason,
                           uint64_t engagement);
void outcomes_sort(struct outcomes *outcomes);
void outcomes_free(struct outcomes *outcomes);

#endif
