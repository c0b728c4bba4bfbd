/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* interval.h - what happened between two snapshots of a registry, for stat and top */
#ifndef K2K_TENANTCTL_INTERVAL_H
#define K2K_TENANTCTL_INTERVAL_H

#include "common/snapshot.h"

/* What was counted between two snapshots, by one tenant or by all. */
struct change {
	uint64_t interval_ns, admitted, rate, budget, kernels, memory, gpu_ns, unattributed_ns;
	uint64_t suspended;      /* rejected because the tenant was suspended */
	uint64_t shadowed;       /* what limits in shadow would have rejected */
	uint64_t unknown, cross; /* only for all: no tenant has them */
};

/* `all` is the sum; `each`, unless it is null, has an element for every tenant of `now`. */
void changes(const struct snapshot *now, const struct snapshot *before, struct change *all,
             struct change *each);
double per_second(uint64_t n, const struct change *c);

struct holdings {
	uint64_t brokers; /* that are alive */
	uint64_t kernels, bytes;
};
/* What brokers hold at the time of a snapshot. */
void holdings(const struct snapshot *s, struct holdings *held);

#endif
