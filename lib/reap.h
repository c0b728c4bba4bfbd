/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reap.h (F7) - retired tenants become free slots, their records become free records.
 *
 * A retired definition whose token has passed is referred to by nobody. Its leases
 * become free at once: only readers of that tenant could stand on them. Its budgets and
 * costs are in hashes that readers of other tenants walk: they are unlinked now, and
 * reused after one more grace period.
 *
 * Damage in the records that are reaped, or beside them, holds up nobody: it is cut out (mend.h)
 * and told.
 *
 * Final totals are counted, and told in the trail where somebody asked for them, before
 * the first record is given up. All of one reaping cost one sweep to count, and one to unlink.
 *
 * Killed after:          others see                       the next writer
 *   an event             the same tenant, still RETIRED   tells it again, with the same numbers
 *   totals_due = 0       "                                does not tell it again
 *   some unlinked        "                                unlinks the rest; what is unlinked is
 *   RETIRED, and stays leases, slot FREE    no such tenant                   rebuilds the list
 */
#ifndef K2K_REAP_H
#define K2K_REAP_H

#include "recover.h"

/* mended: null in a change, which then reports damage in the audit trail. */
int k2k_reap(struct k2k_registry *reg, struct k2k_mended *mended);

/* A registration whose totals the caller wants. done: they are its final totals. */
struct k2k_final {
	uint32_t slot;
	uint64_t generation;
	struct k2k_tenant_totals *totals;
	bool done;
};
/*
 * As k2k_reap(), also for those of `finals` that are pinned, and fills in their final totals. Their
 * token has passed.
 */
int k2k_reap_finals(struct k2k_registry *reg, struct k2k_final *finals, size_t count);
/* Fills in their totals as counted so far, with one sweep for all. */
int k2k_totals_of(struct k2k_registry *reg, const struct k2k_final *finals, size_t count);

#endif
