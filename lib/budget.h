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
 *
 * A budget that renews also has a period record (period.h). If a new budget replaces one that
 * renews, and renews too, it has the same period record, so its periods go on. A period record is
 * free if no budget has it that is in use, or that is retired and did not pass it on (period_kept).
 * Recovery derives both the flags and the list of free ones from that.
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
		                   map->sizes.budgets, NULL, false } };

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

struct k2k_budget_view {
	uint64_t limit_ns;
	struct k2k_shm_cost *cost;     /* its ledger record */
	enum k2k_every every;          /* how often it renews */
	struct k2k_shm_period *period; /* null: it does not renew */
};
/* The parts of a budget record, which the caller has found by its key. 0, K2K_ECORRUPT. */
int k2k_budget_view(const struct k2k_map *map, const struct k2k_hash_key *key, uint32_t index,
                    struct k2k_budget_view *view);
/* The budget in force at `version`. 0, K2K_HASH_ABSENT, K2K_ECORRUPT. */
int k2k_budget_look(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t version,
                    struct k2k_budget_view *view);

/* ---- for the writer ----------------------------------------------------------- */

struct k2k_list k2k_budget_free_list(const struct k2k_map *map);
struct k2k_list k2k_budget_retired_list(const struct k2k_map *map);
struct k2k_budget_record {
	uint64_t budget_ns;
	uint32_t ledger, period; /* index + 1 of its records; period 0: it does not renew */
	enum k2k_every every;
};
/* It is in force from version `since` on. K2K_EFULL, without a detail, if no record is free. */
int k2k_budget_add(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t since,
                   const struct k2k_budget_record *terms);
/* It is no longer in force from version `until` on. */
void k2k_budget_end(const struct k2k_map *map, uint32_t index, uint64_t until);
/* Stores RETIRED with the token, and unlinks. */
int k2k_budget_retire(const struct k2k_map *map, uint32_t index, uint64_t token);
/* Before it is retired: the budget that replaced it has its period record. */
void k2k_budget_keep_period(const struct k2k_map *map, uint32_t index);
/* Takes a period record. False: none is free, which can't be while a budget is free. */
bool k2k_budget_take_period(const struct k2k_map *map, uint32_t *index);
struct k2k_list k2k_budget_period_list(const struct k2k_map *map); /* the free ones */
/* Which period record a budget has, and must give back: index + 1; 0: none. */
uint32_t k2k_budget_owned_period(const struct k2k_shm_budget *budget);
void k2k_budget_free(const struct k2k_map *map, uint32_t index);

#endif
