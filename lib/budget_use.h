/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * budget_use.h (F7) - how much of a budget is used now: for ever, or in its current period.
 */
#ifndef K2K_BUDGET_USE_H
#define K2K_BUDGET_USE_H

#include "budget.h"
#include "clock.h"

/*
 * What counts against the budget at this wall time. *rest_ns: until it renews, or K2K_NEVER_NS.
 * Nothing is stored.
 */
uint64_t k2k_budget_used(const struct k2k_budget_view *view, uint64_t wall_ns, uint64_t *rest_ns);
/*
 * Call it before a booking, in a read section: begins the period of now, if the engagement's budget
 * renews and a later period has begun than the one in force.
 */
void k2k_budget_renew_now(const struct k2k_map *map, const struct k2k_clock *clock,
                          const struct k2k_hash_key *key);

/* Has the tenant had a budget that renews? */
static inline bool k2k_budget_may_renew(const struct k2k_shm_tenant *tenant)
{
	/* relaxed: published with the version, or with LIVE */
	return k2k_load_relaxed(&tenant->flags) & K2K_DEF_RENEWS;
}

#endif
