/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happened between two looks at a registry, and what is held at one: for stat and top. */
#ifndef K2K_TENANTCTL_INTERVAL_H
#define K2K_TENANTCTL_INTERVAL_H

#include "common/snapshot.h"

/* What was counted from one look to the next: of a tenant, or of all. */
struct change {
	uint64_t interval_ns, admitted, rate, budget, kernels, memory, gpu_ns, unattributed_ns;
	uint64_t unknown, cross; /* of all only: no tenant has them */
};

/* `all` of the registry; `each`, unless it is null, has a place for every tenant of `now`. */
void changes(const struct snapshot *now, const struct snapshot *before, struct change *all,
             struct change *each);
double per_second(uint64_t n, const struct change *c);

struct holdings {
	uint64_t brokers; /* that live */
	uint64_t kernels, bytes;
};
void holdings(const struct snapshot *s, struct holdings *held);

#endif
