/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ledger.h"

#include <stdlib.h>

#include "delay.h"
#include "error.h"
#include "rcu.h"

static void fill(struct k2k_shm_cost *record, const struct k2k_hash_key *key)
{
	/* with k2k_grace_is_still(): who sees a field of the new use sees the token before it */
	k2k_fence_release();
	/*
	 * relaxed, all: sweeps see them with the generation, walks with the CAS that links the
	 * record
	 */
	k2k_store_relaxed(&record->cost_ns, 0);
	k2k_store_relaxed(&record->corrected_ns, 0);
	k2k_store_relaxed(&record->alerts, 0);
	k2k_store_relaxed(&record->entry.key, key->key);
	k2k_store_relaxed(&record->entry.slot, key->slot);
	/* publish[cost-gen]: the cost 0 and the key of this generation */
	k2k_store_release(&record->entry.gen, key->gen);
}

static void give_up_share(struct k2k_shm_cell *cell)
{
	/* relaxed: a count */
	k2k_sub_relaxed(&cell->costs, 1);
}

int k2k_ledger_obtain(const struct k2k_map *map, const struct k2k_claimer *claimer,
                      const struct k2k_hash_key *key, uint32_t *index)
{
	struct k2k_hash hash = k2k_ledger_hash(map);
	struct k2k_shm_cell *cell = &map->cells[key->slot];
	uint32_t other;
	int code = k2k_hash_find(&hash, key, index);

	assert(claimer->incarnation == K2K_INCARNATION_WRITER || k2k_in_section());
	if (code != K2K_HASH_ABSENT)
		return code;
	/*
	 * Stored before the record exists: else the reaper of the tenant could overlook it.
	 * publish[cell-has-costs]: observed in reap.c after the grace period
	 */
	if (!k2k_load_relaxed(&cell->has_costs)) /* relaxed: it stays 1 */
		k2k_store_release(&cell->has_costs, 1);
	/* relaxed, here and below: a count */
	if (k2k_add_relaxed(&cell->costs, 1) >= k2k_ledger_share(map) &&
	    claimer->incarnation != K2K_INCARNATION_WRITER) {
		give_up_share(cell);
		return K2K_EFULL;
	}
	K2K_DELAY(counted);
	if (!k2k_pool_claim(&hash.pool, claimer, index)) {
		give_up_share(cell);
		return K2K_EFULL;
	}
	K2K_DELAY(claimed);
	fill(&map->ledger[*index], key);
	code = k2k_hash_insert(&hash, *index, key, true, &other);
	if (code) {
		give_up_share(cell);
		k2k_pool_unclaim(&hash.pool, *index);
		if (code != K2K_HASH_EXISTS)
			return code;
		*index = other;
		return 0;
	}
	/* publish[entry-state]: the link. Walks need no order here: they come over that link. */
	k2k_store_release(&map->ledger[*index].entry.state,
	                  k2k_entry_word(K2K_ENTRY_LIVE, claimer->incarnation));
	return 0;
}

struct recount {
	const struct k2k_map *map;
	uint32_t *found;
};

static int count_one(void *context, const struct k2k_cost_copy *cost)
{
	struct recount *recount = context;

	recount->found[cost->slot]++;
	return 0;
}

void k2k_ledger_recount(const struct k2k_map *map)
{
	uint32_t *before = malloc(sizeof(*before) * map->sizes.tenants);
	struct recount recount = { map, calloc(map->sizes.tenants, sizeof(*recount.found)) };

	/*
	 * relaxed, all: counts. They are read before the sweep, so that a claim that is made
	 * meanwhile stays counted
	 */
	for (uint32_t i = 0; before && i < map->sizes.tenants; i++)
		before[i] = k2k_load_relaxed(&map->cells[i].costs);
	if (before && recount.found && k2k_ledger_sweep(map, count_one, &recount) == 0)
		for (uint32_t i = 0; i < map->sizes.tenants; i++)
			if (before[i] != recount.found[i])
				k2k_sub_relaxed(&map->cells[i].costs, before[i] - recount.found[i]);
	free(before);
	free(recount.found);
}
