/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * recover.h (F7) - recovery completes or undoes what a killed writer left, and frees what dead
 * brokers left. Its caller holds the writer's lock.
 *
 * It runs when a writer finds the intent set, and for `repair`. The words of each record show what
 * has to be done with it, so there is no log:
 *
 *   tenant BUILDING               undone: FREE, since it was never linked
 *   tenant LIVE, not linked       completed: linked
 *   anything stamped token + 1    completed: unlinked
 *   an update in force            completed: token + 1 is published, also if nothing has that
 *                                 stamp, since the update may have lowered a limit
 *   budget of another version     undone, or its end completed (budget.h)
 *   budget or cost of no tenant   unlinked and retired
 *   CLAIMED by a dead process     linked: LIVE; not linked: FREE
 *   lease of a dead broker, or of no tenant    FREE (mend_leases.c)
 *   corrupt records and links     cut out first (mend.h), so that the walks end
 *   a correction of usage         completed if it is in force, else undone (correct.c)
 *   lists                         rebuilt; and which budget has which period record
 *
 * If recovery is killed, at any point, the intent is still set, and the next recovery does what is
 * left. Recovery costs one pass over all tables.
 *
 * Models: tests/model/intent.pml and ledger.pml. They assume sequentially consistent memory. One
 * writer's stores are ordered before the next writer's by writer-owner, and after a death by the
 * fence that follows the answer "dead" (broker.h). Readers get the order from tenant-state,
 * tenant-link, tenant-select and its fence, and budget-state.
 */
#ifndef K2K_RECOVER_H
#define K2K_RECOVER_H

#include "handle.h"
#include "mend.h"

/* What recovery and reaping did, for the result of repair. */
struct k2k_mended {
	uint64_t tenants, budgets, engagements, leases, brokers;
	struct k2k_mend_counts damage;
	/* collects the texts of the damage; null in a change: only repair reads them */
	struct k2k_verify *verify;
};

/*
 * Recovers everything, then clears the intent. mended: null in a change; then damage is reported in
 * the audit trail. 0; K2K_ENOMEM or K2K_ECORRUPT: the intent stays set.
 */
int k2k_recover(struct k2k_registry *reg, struct k2k_mended *mended);
/* Recovers only the ledger records that dead brokers had claimed. Only a writer frees those. */
int k2k_recover_claims(struct k2k_registry *reg, struct k2k_mended *mended);
/*
 * Makes `live` safe to walk again (mend.h) and counts in *mended what that took. `token` is the
 * next one. Sets *stamped if a record was stamped with it, so that it must be published. 0,
 * K2K_ENOMEM; in a repair also an error of k2k_life_begin().
 */
int k2k_mend_live(struct k2k_registry *reg, uint64_t token, bool *stamped,
                  struct k2k_mended *mended);
/*
 * As k2k_mend_live(), for a change that met damage: takes and publishes a token of its own, and
 * reports the damage in the audit trail. The change itself must have no token that is stamped but
 * not published.
 */
int k2k_mend_now(struct k2k_registry *reg);
/* The place of a correction, by its number from 0 on. */
static inline struct k2k_shm_correction *k2k_correction_at(const struct k2k_map *map,
                                                           uint64_t number)
{
	return &map->defs->correction[number % K2K_CORRECTIONS];
}

/* Stores the engagement's new sum, and that the correction of the intent is done (correct.c). */
void k2k_end_correction(const struct k2k_map *map, uint32_t record, uint64_t after);
/* Reports in the audit trail what was recovered and what was cut out. */
void k2k_report_repair(struct k2k_registry *reg, const struct k2k_mended *mended);

#endif
