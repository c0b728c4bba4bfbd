/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reap.h (F7) - a retired tenant whose grace period has passed becomes a free slot, and its records
 * become free records. The caller holds the writer's lock.
 *
 * No reader refers to a retired definition whose token has passed. Its leases become free at once,
 * because only readers of this tenant could refer to them. Its budgets and costs are in hashes that
 * readers of other tenants walk, so they are unlinked now and reused after one more grace period.
 *
 * Damage in the reaped records, or in the chains that lead to them, does not stop reaping: it is
 * cut out (mend.h) and reported.
 *
 * The final totals are counted before the first record is freed, and reported in the trail if a
 * deregister asked for them. However many tenants are reaped together, one sweep counts their costs
 * and one unlinks them.
 *
 * Killed after:          others see                       the next writer
 *   an event             the same tenant, still RETIRED   reports it again, with the same numbers
 *   totals_due = 0       "                                does not report it again
 *   some unlinked        "                                unlinks the rest; the unlinked records
 *                                                         are RETIRED, and stay so
 *   leases, slot FREE    no such tenant                   rebuilds the list
 */
#ifndef K2K_REAP_H
#define K2K_REAP_H

#include "recover.h"

/* mended: null in a change; then damage is reported in the audit trail. */
int k2k_reap(struct k2k_registry *reg, struct k2k_mended *mended);

/* GPU time of all engagements of a tenant. */
struct k2k_cost_sum {
	uint64_t cost_ns;
	int64_t corrected_ns;
};

/* A registration that has been retired, and pinned if its totals are asked for. */
struct k2k_final {
	k2k_tenant_id id;
	uint32_t slot;
	uint64_t generation;
	struct k2k_tenant_totals *totals; /* null: not asked for */
	bool done;                        /* *totals are final */
};
struct k2k_finals {
	struct k2k_final *list;
	size_t count;
	struct k2k_cost_sum *costs; /* zeroes, one for each tenant slot, for k2k_totals_so_far() */
};
/*
 * As k2k_reap(), but also reaps `finals`, although they are pinned, and fills in their final
 * totals. The caller has waited until their token has passed.
 */
int k2k_reap_finals(struct k2k_registry *reg, const struct k2k_finals *finals);
/*
 * Fills in the totals that are not done, as counted so far. Needs no memory, and no lock, because
 * the slots are pinned. Call it at most once for the same `finals`.
 */
void k2k_totals_so_far(struct k2k_registry *reg, const struct k2k_finals *finals);

#endif
