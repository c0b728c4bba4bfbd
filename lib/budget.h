/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * budget.h (F6) - the budget of an engagement, as part of its tenant's version.
 *
 * A budget names the version of its tenant's definition from which on it is in force (since), and
 * the one from which on it is not (until; 0: open). So the one store that raises the version puts
 * any number of budgets in force and out of force, together with the limits. Recovery undoes what a
 * killed writer left by the same two numbers: a budget with since > version was never in force, and
 * one with until > version has not ended.
 *
 * A reader without a read section (an observer) recognises by the state word that a record was
 * reused: LIVE carries the newest token at that time. Between two uses the record is RETIRED with a
 * later token, which is published before the second use.
 *
 * A budget owns a reserved ledger record: reading it needs no second search, and a full ledger
 * can't make a budget ineffective.
 */
#ifndef K2K_BUDGET_H
#define K2K_BUDGET_H

#include "hash.h"
#include "list.h"
#include "map.h"

static inline struct k2k_hash k2k_budget_hash(const struct k2k_map *map)
{
	struct k2k_hash hash = { map->budget_heads,
		                 map->budget_mask,
		                 { (unsigned char *)map->budgets, sizeof(struct k2k_shm_budget),
		                   map->sizes.budgets, NULL } };

	return hash;
}

static inline bool k2k_budget_visible(const struct k2k_shm_budget *budget, uint64_t version)
{
	/* relaxed, both: published with the version, which the reader acquired */
	uint64_t until = k2k_load_relaxed(&budget->until);

	return k2k_load_relaxed(&budget->since) <= version && (until == 0 || version < until);
}

/* The budget in force at `version`. 0, K2K_HASH_ABSENT, K2K_ECORRUPT. */
int k2k_budget_find(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t version,
                    uint32_t *index);
/*
 * *used and *limit of the budget in force. 0: something is left, or there is no budget (*limit is
 * UINT64_MAX). K2K_EBUDGET: used up. K2K_ECORRUPT.
 */
int k2k_budget_check(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t version,
                     uint64_t *used, uint64_t *limit);

/* ---- for the writer ----------------------------------------------------------- */

struct k2k_list k2k_budget_free_list(const struct k2k_map *map);
struct k2k_list k2k_budget_retired_list(const struct k2k_map *map);
/* It is in force from version `since` on. K2K_EFULL, without a detail, if no record is free. */
int k2k_budget_add(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t since,
                   uint64_t budget_ns, uint32_t ledger_index);
/* It is no longer in force from version `until` on. */
void k2k_budget_end(const struct k2k_map *map, uint32_t index, uint64_t until);
/* Stores RETIRED with the token, and unlinks. */
int k2k_budget_retire(const struct k2k_map *map, uint32_t index, uint64_t token);
void k2k_budget_free(const struct k2k_map *map, uint32_t index);

#endif
