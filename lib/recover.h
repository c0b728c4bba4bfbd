/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * recover.h (F7) - recovery: what a killed writer left is completed or undone, and what dead
 * brokers left is freed. Under the writer's lock.
 *
 * It runs when a writer finds the intent set, and for `repair`. Each record says by its own words
 * what has to be done, so there is no log:
 *
 *   tenant BUILDING               undone: FREE, since it was never linked
 *   tenant LIVE, not linked       completed: linked
 *   anything stamped token + 1    completed: unlinked; then the token is published
 *   budget of another version     undone, or its end completed (budget.h)
 *   budget or cost of no tenant   unlinked and retired
 *   CLAIMED by a dead process     linked: LIVE; not linked: FREE
 *   lease of a dead broker, or of no tenant    FREE (mend_leases.c)
 *   corrupt records and links     cut out first (mend.h), so that the walks end
 *   lists                         rebuilt
 *
 * If recovery is killed, at any point, the intent is still set, and the next recovery finds done
 * what is done. It costs one pass over all tables.
 *
 * Models: tests/model/intent.pml and ledger.pml. They take memory as sequentially consistent. One
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
	/* collects texts of the damage, for repair; null in a change */
	struct k2k_verify *verify;
};

/*
 * The whole of it; then clears the intent. mended: null in a change; then damage is reported in the
 * audit trail. 0, K2K_ENOMEM, K2K_ECORRUPT: the intent stays set.
 */
int k2k_recover(struct k2k_registry *reg, struct k2k_mended *mended);
/* Only the ledger records that killed brokers had claimed, which nobody but a writer frees. */
int k2k_recover_claims(struct k2k_registry *reg, struct k2k_mended *mended);
/*
 * Makes `live` walkable again (mend.h) and counts in *mended what that took. Sets *stamped if
 * `token`, the next one, was stamped on a record and must be published. 0, K2K_ENOMEM.
 */
int k2k_mend_live(struct k2k_registry *reg, uint64_t token, bool *stamped,
                  struct k2k_mended *mended);
/*
 * The same in a change that met damage, with a token of its own, which it publishes, and a report
 * in the audit trail. The change itself must have no token that is stamped but not published.
 */
int k2k_mend_now(struct k2k_registry *reg);
/* Reports in the audit trail what was recovered and what was cut out. */
void k2k_report_repair(struct k2k_registry *reg, const struct k2k_mended *mended);

#endif
