/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "budget.h"

#include "error.h"
#include "k2k/registry.h"

static bool visible(const struct k2k_shm_entry *entry, uint64_t version)
{
	return k2k_budget_visible((const struct k2k_shm_budget *)(const void *)entry, version);
}

int k2k_budget_find(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t version,
                    uint32_t *index)
{
	struct k2k_hash hash = k2k_budget_hash(map);
	uint32_t bucket = k2k_hash_bucket(&hash, key->gen, key->key);
	/* observe[entry-link]: the fields of the record it leads to */
	uint32_t link = k2k_load_acquire(&hash.heads[bucket]);

	return k2k_hash_walk(&hash, bucket, link, 0, key, visible, version, index);
}

int k2k_budget_view(const struct k2k_map *map, const struct k2k_hash_key *key, uint32_t index,
                    struct k2k_budget_view *view)
{
	uint32_t record, period;

	/* relaxed, all: published with the link */
	view->limit_ns = k2k_load_relaxed(&map->budgets[index].budget_ns);
	view->every = k2k_load_relaxed(&map->budgets[index].every);
	period = k2k_load_relaxed(&map->budgets[index].period);
	if (period > map->sizes.budgets || (view->every != K2K_EVERY_NONE) != (period != 0))
		return k2k_fail_values(K2K_ECORRUPT, "budgets", "period", map->sizes.budgets,
		                       period, "budget %u has no period record", index);
	view->period = period ? &map->periods[period - 1] : NULL;
	record = k2k_load_relaxed(&map->budgets[index].ledger) - 1;
	if (record >= map->sizes.engagements)
		return k2k_fail_values(K2K_ECORRUPT, "budgets", "ledger", map->sizes.engagements,
		                       record, "budget %u has no ledger record", index);
	if (k2k_load_relaxed(&map->ledger[record].entry.gen) != key->gen ||
	    k2k_load_relaxed(&map->ledger[record].entry.key) != key->key)
		return k2k_fail_values(K2K_ECORRUPT, "engagements", "key", key->key, record,
		                       "record %u is not the one that budget %u reserved", record,
		                       index);
	view->cost = &map->ledger[record];
	return 0;
}

int k2k_budget_look(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t version,
                    struct k2k_budget_view *view)
{
	uint32_t index;
	int code = k2k_budget_find(map, key, version, &index);

	return code ? code : k2k_budget_view(map, key, index, view);
}

/* ---- for the writer -------------------------------------------------------------- */

static struct k2k_list list_of(const struct k2k_map *map, struct k2k_shm_list *shared)
{
	struct k2k_list list = { shared, (unsigned char *)&map->budgets[0].list_next,
		                 sizeof(map->budgets[0]), map->sizes.budgets };

	return list;
}

struct k2k_list k2k_budget_free_list(const struct k2k_map *map)
{
	return list_of(map, &map->defs->budget_free);
}

struct k2k_list k2k_budget_retired_list(const struct k2k_map *map)
{
	return list_of(map, &map->defs->budget_retired);
}

struct k2k_list k2k_budget_period_list(const struct k2k_map *map)
{
	struct k2k_list list = { &map->defs->period_free,
		                 (unsigned char *)&map->budgets[0].period_next,
		                 sizeof(map->budgets[0]), map->sizes.budgets };

	return list;
}

bool k2k_budget_take_period(const struct k2k_map *map, uint32_t *index)
{
	struct k2k_list list = k2k_budget_period_list(map);

	if (!k2k_list_first(&list, index))
		return false;
	k2k_list_remove(&list, UINT32_MAX, *index);
	return true;
}

uint32_t k2k_budget_owned_period(const struct k2k_shm_budget *budget)
{
	/* relaxed, all: only the writer changes them */
	unsigned int state = k2k_entry_state(k2k_load_relaxed(&budget->entry.state));
	bool owns = state == K2K_ENTRY_LIVE ||
	            (state == K2K_ENTRY_RETIRED && !k2k_load_relaxed(&budget->period_kept));

	return owns ? k2k_load_relaxed(&budget->period) : 0;
}

int k2k_budget_add(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t since,
                   const struct k2k_budget_record *terms)
{
	struct k2k_list free_list = k2k_budget_free_list(map);
	struct k2k_hash hash = k2k_budget_hash(map);
	struct k2k_shm_budget *budget;
	uint32_t index, other;

	if (!k2k_list_first(&free_list, &index))
		return K2K_EFULL;
	budget = &map->budgets[index];
	/* relaxed: only the writer changes it */
	if (k2k_entry_state(k2k_load_relaxed(&budget->entry.state)) != K2K_ENTRY_FREE)
		return k2k_fail_values(K2K_ECORRUPT, "budgets", "free list", K2K_ENTRY_FREE, index,
		                       "record %u is in the free list, but not free: run repair",
		                       index);
	k2k_list_remove(&free_list, UINT32_MAX, index);
	/*
	 * CLAIMED first: if the writer is killed, its successor frees the record.
	 * publish[budget-state]: with the fence, no field of the new use is seen before CLAIMED
	 */
	k2k_store_release(&budget->entry.state,
	                  k2k_entry_word(K2K_ENTRY_CLAIMED, K2K_INCARNATION_WRITER));
	k2k_fence_release();
	/* relaxed, all: published with the link; not in force before the version is raised */
	k2k_store_relaxed(&budget->entry.gen, key->gen);
	k2k_store_relaxed(&budget->entry.key, key->key);
	k2k_store_relaxed(&budget->entry.slot, key->slot);
	k2k_store_relaxed(&budget->budget_ns, terms->budget_ns);
	k2k_store_relaxed(&budget->since, since);
	k2k_store_relaxed(&budget->until, 0);
	k2k_store_relaxed(&budget->ledger, terms->ledger);
	k2k_store_relaxed(&budget->every, terms->every);
	k2k_store_relaxed(&budget->period, terms->period);
	k2k_store_relaxed(&budget->period_kept, 0);
	/*
	 * publish[budget-state]: the fields, for observe[budget-state] in sweeps, which recognise
	 * this use by the token. relaxed, the token: only the writer changes it
	 */
	k2k_store_release(
		&budget->entry.state,
		k2k_entry_word(K2K_ENTRY_LIVE, k2k_load_relaxed(&map->defs->grace_token)));
	return k2k_hash_insert(&hash, index, key, false, &other);
}

void k2k_budget_end(const struct k2k_map *map, uint32_t index, uint64_t until)
{
	/* relaxed: no reader has that version before it is raised */
	k2k_store_relaxed(&map->budgets[index].until, until);
}

int k2k_budget_retire(const struct k2k_map *map, uint32_t index, uint64_t token)
{
	struct k2k_hash hash = k2k_budget_hash(map);
	struct k2k_list retired = k2k_budget_retired_list(map);
	int code;

	/* publish[budget-state]: before the unlink, so that recovery finds what to unlink */
	k2k_store_release(&map->budgets[index].entry.state,
	                  k2k_entry_word(K2K_ENTRY_RETIRED, token));
	code = k2k_hash_unlink(&hash, index);
	if (code && code != K2K_HASH_ABSENT)
		return code;
	k2k_list_append(&retired, index);
	return 0;
}

void k2k_budget_keep_period(const struct k2k_map *map, uint32_t index)
{
	/* relaxed: only the writer reads it */
	k2k_store_relaxed(&map->budgets[index].period_kept, 1);
}

void k2k_budget_free(const struct k2k_map *map, uint32_t index)
{
	struct k2k_list free_list = k2k_budget_free_list(map),
			periods = k2k_budget_period_list(map);
	uint32_t period = k2k_budget_owned_period(&map->budgets[index]);

	if (period && period <= map->sizes.budgets) /* a damaged number leads to no record */
		k2k_list_append(&periods, period - 1);
	k2k_store_relaxed(&map->budgets[index].entry.gen, 0); /* relaxed: no process refers to it */
	/* publish[budget-state]: generation 0 */
	k2k_store_release(&map->budgets[index].entry.state, K2K_ENTRY_FREE);
	k2k_list_append(&free_list, index);
}
