/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * budget.h (F6) - an engagement's budget, as part of its tenant's version.
 *
 * A budget says from which version of its tenant's definition it is in force
 * (since), and from which no more (until, 0: open). The store that raises the
 * version so puts any number of budgets in force and out of force at once,
 * together with the limits; a killed writer's are undone by what they say:
 * since > version was never in force, until > version never ended.
 *
 * Who looks without a read section (an observer) sees a record that is used again by its state
 * word: LIVE names the newest token at that time. Between two uses lies RETIRED with a later token,
 * which was published before the second one.
 *
 * A budget owns a reserved ledger record: reading it needs no second look-up,
 * and a full ledger can't make a budget ineffective.
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
	/* relaxed, both: carried by the version that the reader acquired */
	uint64_t until = k2k_load_relaxed(&budget->until);

	return k2k_load_relaxed(&budget->since) <= version && (until == 0 || version < until);
}

/* The budget in force at `version`. 0, K2K_HASH_ABSENT, K2K_ECORRUPT. */
int k2k_budget_find(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t version,
                    uint32_t *index);
/*
 * Used and limit of the budget in force. 0: below it, or none (limit UINT64_MAX). K2K_EBUDGET: used
 * up. K2K_ECORRUPT.
 */
int k2k_budget_check(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t version,
                     uint64_t *used, uint64_t *limit);

/* ---- the writer's ----------------------------------------------------------- */

struct k2k_list k2k_budget_free_list(const struct k2k_map *map);
struct k2k_list k2k_budget_retired_list(const struct k2k_map *map);
/* In force from version `since` on. K2K_EFULL without a detail where none is free. */
int k2k_budget_add(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t since,
                   uint64_t budget_ns, uint32_t ledger_index);
/* Out of force from version `until` on. */
void k2k_budget_end(const struct k2k_map *map, uint32_t index, uint64_t until);
/* Stamps and unlinks. */
int k2k_budget_retire(const struct k2k_map *map, uint32_t index, uint64_t token);
void k2k_budget_free(const struct k2k_map *map, uint32_t index);

#endif
