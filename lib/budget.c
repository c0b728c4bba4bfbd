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

int k2k_budget_check(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t version,
                     uint64_t *used, uint64_t *limit)
{
	uint32_t index, record;
	int code = k2k_budget_find(map, key, version, &index);

	*used = 0;
	*limit = UINT64_MAX;
	if (code)
		return code == K2K_HASH_ABSENT ? 0 : code;
	/*
	 * relaxed, all: published with the link; the cost is a number that publishes nothing else
	 */
	*limit = k2k_load_relaxed(&map->budgets[index].budget_ns);
	record = k2k_load_relaxed(&map->budgets[index].ledger) - 1;
	if (record >= map->sizes.engagements)
		return k2k_fail_values(K2K_ECORRUPT, "budgets", "ledger", map->sizes.engagements,
		                       record, "budget %u has no ledger record", index);
	if (k2k_load_relaxed(&map->ledger[record].entry.gen) != key->gen ||
	    k2k_load_relaxed(&map->ledger[record].entry.key) != key->key)
		return k2k_fail_values(K2K_ECORRUPT, "engagements", "key", key->key, record,
		                       "record %u is not the one that budget %u reserved", record,
		                       index);
	*used = k2k_load_relaxed(&map->ledger[record].cost_ns);
	return *used >= *limit ? K2K_EBUDGET : 0;
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

int k2k_budget_add(const struct k2k_map *map, const struct k2k_hash_key *key, uint64_t since,
                   uint64_t budget_ns, uint32_t ledger_index)
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
	k2k_store_relaxed(&budget->budget_ns, budget_ns);
	k2k_store_relaxed(&budget->since, since);
	k2k_store_relaxed(&budget->until, 0);
	k2k_store_relaxed(&budget->ledger, ledger_index + 1);
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

void k2k_budget_free(const struct k2k_map *map, uint32_t index)
{
	struct k2k_list free_list = k2k_budget_free_list(map);

	k2k_store_relaxed(&map->budgets[index].entry.gen, 0); /* relaxed: no process refers to it */
	/* publish[budget-state]: generation 0 */
	k2k_store_release(&map->budgets[index].entry.state, K2K_ENTRY_FREE);
	k2k_list_append(&free_list, index);
}
