/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * recover.h (F7) - what a killed writer left, told from the records themselves.
 *
 * Runs under the writer's lock when the intent is raised, and for `repair`. Each
 * record says by its own words what it is, so that no log is needed:
 *
 *   tenant BUILDING              undone: FREE (it was never linked)
 *   tenant LIVE, not linked      completed: linked
 *   anything stamped token + 1   completed: unlinked; then the token is published
 *   budget not of this version   undone, or its end completed (budget.h)
 *   budget, cost of no tenant    unlinked and retired
 *   CLAIMED by a dead one        linked: LIVE; not linked: FREE
 *   lease of a dead broker, or of no tenant    FREE (mend_leases.c)
 *   what can't be                cut out before all that (mend.h), so that the walks below end
 *   lists                        rebuilt
 *
 * Killed itself at any point: the intent is still raised, and every step finds
 * what is done already done. Cost: one pass over all tables.
 *
 * Models: tests/model/intent.pml and ledger.pml. They take memory as sequentially consistent.
 * Writers follow each other by the lock, with the seq_cst fences of k2k_writer_lock() and
 * k2k_writer_unlock(); a dead one's stores are in memory when the kernel frees its lock. Readers
 * are given the order by tenant-state, tenant-link, tenant-select and its fence, and budget-state.
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
 * Completes or undoes what a killed writer left, frees what dead claimers left, rebuilds the lists,
 * and clears the intent. mended: null in a change, which then reports damage in the audit trail.
 */
int k2k_recover(struct k2k_registry *reg, struct k2k_mended *mended);
/* Frees only what nobody but a writer frees: the ledger records that killed brokers claimed. */
int k2k_recover_claims(struct k2k_registry *reg, struct k2k_mended *mended);
/*
 * Makes `live` walkable again (mend.h) and counts in *mended what that took. Sets *stamped if
 * `token`, the next one, was stamped on a record and must be published. 0, K2K_ENOMEM.
 */
int k2k_mend_live(struct k2k_registry *reg, uint64_t token, bool *stamped,
                  struct k2k_mended *mended);
/*
 * The same in a change that met damage: with a token of its own, which it publishes, and a report
 * in the audit trail. The change must not have a token that is stamped and not published.
 */
int k2k_mend_now(struct k2k_registry *reg);
/* Reports in the audit trail what was recovered and what was cut out. */
void k2k_report_repair(struct k2k_registry *reg, const struct k2k_mended *mended);

#endif
