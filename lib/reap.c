/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reap.c (F7) - retired tenants become free slots, their records become free records.
 *
 * A retired definition whose token has passed is referred to by nobody. Its leases
 * become free at once: only readers of that tenant could stand on them. Its budgets and
 * costs are in hashes that readers of other tenants walk: they are unlinked now, and
 * reused after one more grace period.
 *
 * Damage in the records that are reaped, or beside them, holds up nobody: it is cut out (mend.h) and told.
 *
 * Killed at any point: the definition is still RETIRED, and the next writer does
 * it again; what was done already is found done.
 */
#include <stdlib.h>

#include "budget.h"
#include "handle.h"
#include "ledger.h"
#include "tenant.h"

/* The slots to reap in one go, so that the pools are swept once. */
struct batch {
	struct k2k_registry *reg;
	uint8_t *chosen;         /* a bit a slot */
	uint64_t token;          /* for what is unlinked now */
	bool stamped, has_budgets, has_costs, has_leases;
	bool damaged;            /* and cut out: once a batch */
	struct k2k_mended *mended;
	int code;                /* of the choice */
};

static bool is_chosen(const struct batch *batch, uint32_t slot, uint64_t generation)
{
	return slot < batch->reg->map.sizes.tenants && (batch->chosen[slot / 8] & (1u << slot % 8)) &&
	       k2k_tenant_generation(k2k_load_relaxed(&batch->reg->map.tenants[slot].state_gen)) == generation; /* relaxed: ours */
}

/* Of what a walk has met: 0 where the walk is worth another try. */
static int mend(struct batch *batch)
{
	if (batch->damaged)
		return K2K_ECORRUPT;
	batch->damaged = true;
	return k2k_mend_live(batch->reg, batch->token, &batch->stamped, batch->mended);
}

static int unlink_cost(void *context, const struct k2k_cost_copy *cost)
{
	struct batch *batch = context;
	struct k2k_hash hash = k2k_ledger_hash(&batch->reg->map);
	int code;

	/*
	 * A claim is left alone: the dead ones were decided on before, and a living broker has none for a tenant whose grace
	 * period has passed. What looks like one was retired by a reaper that was killed, and is another tenant's by now: it
	 * has its old key until it is filled.
	 */
	if (cost->claimed || !is_chosen(batch, cost->slot, cost->generation))
		return 0;
	k2k_pool_retire(&hash.pool, cost->index, batch->token);
	batch->stamped = true;
	batch->mended->engagements++;
	code = k2k_hash_unlink(&hash, cost->index);
	if (code == K2K_ECORRUPT && mend(batch) == 0)
		code = k2k_hash_unlink(&hash, cost->index);
	return code == K2K_HASH_ABSENT || code == K2K_ECORRUPT ? 0 : code; /* damaged anew: the next to walk there cuts it out */
}

static int unlink_budgets(struct batch *batch)
{
	const struct k2k_map *map = &batch->reg->map;

	for (uint32_t i = 0; i < map->sizes.budgets; i++) {
		const struct k2k_shm_entry *entry = &map->budgets[i].entry;
		int code;

		/* relaxed, all: only the writer, us, changes budgets */
		if (k2k_entry_state(k2k_load_relaxed(&entry->state)) != K2K_ENTRY_LIVE ||
		    !is_chosen(batch, k2k_load_relaxed(&entry->slot), k2k_load_relaxed(&entry->gen)))
			continue;
		code = k2k_budget_retire(map, i, batch->token);
		if (code)
			return code;
		batch->stamped = true;
		batch->mended->budgets++;
	}
	return 0;
}

static void choose(struct batch *batch, uint32_t slot)
{
	const struct k2k_map *map = &batch->reg->map;

	batch->chosen[slot / 8] |= (uint8_t)(1u << slot % 8);
	/* relaxed: ours */
	if (k2k_load_relaxed(&map->tenants[slot].flags) & K2K_DEF_HAS_BUDGETS)
		batch->has_budgets = true;
	/* observe[cell-has-costs]: raised before the first record; its raiser's section is over */
	if (k2k_load_acquire(&map->cells[slot].has_costs))
		batch->has_costs = true;
	if (k2k_load_acquire(&map->cells[slot].lease_head)) /* observe[lease-link]: only whether there are any */
		batch->has_leases = true;
}

static int unlink_records(struct batch *batch)
{
	const struct k2k_map *map = &batch->reg->map;
	int code = batch->code;

	batch->token = k2k_grace_next(map);
	if (!code && batch->has_budgets)
		code = unlink_budgets(batch);
	/* a sweep is due: what brokers had claimed that were killed before they linked it comes back with it */
	if (!code)
		code = k2k_recover_claims(batch->reg, batch->has_costs, batch->has_leases, batch->mended);
	if (!code && batch->has_costs)
		code = k2k_ledger_sweep(map, unlink_cost, batch);
	if (!code && batch->stamped)
		k2k_grace_publish(map, batch->token);
	return code;
}

static int free_slots(struct batch *batch)
{
	const struct k2k_map *map = &batch->reg->map;
	struct k2k_list retired = k2k_tenant_retired_list(map);
	uint32_t previous = UINT32_MAX, slot, steps = 0;
	bool more = k2k_list_first(&retired, &slot), orphans = false;

	while (more && steps++ < map->sizes.tenants) {
		uint32_t next = 0;

		more = k2k_list_next(&retired, slot, &next);
		if (batch->chosen[slot / 8] & (1u << slot % 8)) {
			if (k2k_lease_reap(map, slot) != 0)
				orphans = true; /* what its damaged list does not lead to any more */
			batch->chosen[slot / 8] &= (uint8_t)~(1u << slot % 8); /* once, wherever the links lead */
			k2k_list_remove(&retired, previous, slot);
			k2k_tenant_free(map, slot);
			batch->mended->tenants++;
		} else {
			previous = slot;
		}
		slot = next;
	}
	return orphans ? k2k_recover_claims(batch->reg, false, true, batch->mended) : 0;
}

/* The lists are derived: where one has been damaged, what it leads to must not be freed. Recovery rebuilds it. */
static int not_retired(const char *object, uint64_t word, uint32_t index)
{
	return k2k_fail_values(K2K_ECORRUPT, object, "retired list", K2K_ENTRY_RETIRED, word,
	                       "record %u is in the list of retired ones, but is not", index);
}

static int free_budgets(struct k2k_registry *reg, uint64_t passed)
{
	struct k2k_list retired = k2k_budget_retired_list(&reg->map);
	uint32_t index;

	while (k2k_list_first(&retired, &index)) {
		uint64_t word = k2k_load_relaxed(&reg->map.budgets[index].entry.state); /* relaxed: ours */

		if (k2k_entry_state(word) != K2K_ENTRY_RETIRED)
			return not_retired("budgets", word, index);
		if (k2k_entry_above(word) > passed)
			return 0;
		k2k_list_remove(&retired, UINT32_MAX, index);
		k2k_budget_free(&reg->map, index);
	}
	return 0;
}

/* Does somebody who lives wait for its final totals? */
static bool is_pinned(struct k2k_registry *reg, uint32_t slot)
{
	uint64_t by = k2k_load_acquire(&reg->map.tenants_cold[slot].pinned_by); /* observe[tenant-pin]: nothing but itself */

	return by != 0 && k2k_census_alive(&reg->admins, by);
}

static void choose_passed(struct batch *batch, uint64_t passed, uint32_t own_slot)
{
	const struct k2k_map *map = &batch->reg->map;
	struct k2k_list retired = k2k_tenant_retired_list(map);
	uint32_t slot, steps = 0;
	bool more = k2k_list_first(&retired, &slot);

	for (; more && steps++ < map->sizes.tenants; more = k2k_list_next(&retired, slot, &slot)) {
		uint64_t word = k2k_load_relaxed(&map->tenants[slot].state_gen); /* relaxed, both: ours */

		if (k2k_tenant_state(word) != K2K_TENANT_RETIRED) {
			batch->code = not_retired("tenants", word, slot);
			return;
		}
		if (k2k_load_relaxed(&map->tenants_cold[slot].retired_token) > passed)
			return; /* in the order of tokens */
		if (slot == own_slot || !is_pinned(batch->reg, slot))
			choose(batch, slot);
	}
}

static int reap(struct k2k_registry *reg, uint32_t own_slot, struct k2k_mended *mended)
{
	struct k2k_list retired = k2k_tenant_retired_list(&reg->map);
	struct k2k_list budgets = k2k_budget_retired_list(&reg->map);
	struct k2k_mended own = { .look = NULL };
	struct batch batch = { .reg = reg, .mended = mended ? mended : &own };
	uint32_t first, behind;
	uint64_t passed;
	int code;

	if (!k2k_list_first(&retired, &first) && !k2k_list_first(&budgets, &first))
		return 0;
	passed = k2k_grace_passed(&reg->grace, &behind);
	code = free_budgets(reg, passed);
	if (code || !k2k_list_first(&retired, &first))
		return code;
	batch.chosen = calloc(reg->map.sizes.tenants / 8 + 1, 1);
	if (!batch.chosen)
		return k2k_fail(K2K_ENOMEM, "reap", NULL, "no memory for a list of slots");
	choose_passed(&batch, passed, own_slot);
	code = unlink_records(&batch);
	K2K_DELAY(records_unlinked);
	if (!code)
		code = free_slots(&batch);
	free(batch.chosen);
	if (!mended && k2k_mended_anything(&own.damage))
		k2k_tell_repair(reg, &own);
	return code;
}

int k2k_reap(struct k2k_registry *reg, struct k2k_mended *mended)
{
	return reap(reg, UINT32_MAX, mended);
}

/* ---- totals ----------------------------------------------------------------------- */

struct sum {
	uint32_t slot;
	uint64_t generation, ns;
};

static int add_cost(void *context, const struct k2k_cost_copy *cost)
{
	struct sum *sum = context;

	if (cost->slot == sum->slot && cost->generation == sum->generation)
		sum->ns = k2k_sat_add(sum->ns, cost->cost_ns);
	return 0;
}

int k2k_totals(struct k2k_registry *reg, uint32_t slot, uint64_t generation, struct k2k_tenant_totals *totals)
{
	const struct k2k_shm_cell *cell = &reg->map.cells[slot];
	const struct k2k_shm_cell_cold *cold = &reg->map.cells_cold[slot];
	struct sum sum = { slot, generation, 0 };
	uint64_t held[K2K_RESOURCES];
	int code = 0;

	if (k2k_load_acquire(&cell->has_costs)) /* observe[cell-has-costs]: as above */
		code = k2k_ledger_sweep(&reg->map, add_cost, &sum);
	if (code)
		return code;
	totals->flags = 0;
	if (k2k_lease_sum(&reg->map, &reg->census, slot, held) != 0)
		totals->flags = K2K_TENANT_DAMAGED;
	totals->id = k2k_load_relaxed(&reg->map.tenants[slot].id); /* relaxed, all: numbers; final ones after a grace period */
	totals->generation = generation;
	totals->admitted_total = k2k_load_relaxed(&cell->admitted);
	totals->rejected_total.rate = k2k_load_relaxed(&cold->rejected_rate);
	totals->rejected_total.budget = k2k_load_relaxed(&cold->rejected_budget);
	totals->rejected_total.kernels = k2k_load_relaxed(&cold->rejected_kernels);
	totals->rejected_total.gpu_memory = k2k_load_relaxed(&cold->rejected_gpu_memory);
	totals->gpu_ns_total = sum.ns;
	totals->unattributed_ns = k2k_load_relaxed(&cold->unattributed_ns);
	totals->kernels = held[K2K_RESOURCE_KERNELS];
	totals->gpu_memory_bytes = held[K2K_RESOURCE_GPU_MEMORY];
	return 0;
}

int k2k_reap_slot(struct k2k_registry *reg, uint32_t slot, uint64_t generation, struct k2k_tenant_totals *totals)
{
	uint64_t word = k2k_load_relaxed(&reg->map.tenants[slot].state_gen); /* relaxed: under the lock */
	int code;

	if (word != k2k_tenant_word(K2K_TENANT_RETIRED, generation))
		return k2k_fail_values(K2K_ECORRUPT, "tenants", "state", K2K_TENANT_RETIRED, word,
		                       "slot %u was reaped while its totals were waited for", slot);
	code = k2k_totals(reg, slot, generation, totals);
	/* so that what can still be told is told */
	if (!code && (totals->flags & K2K_TENANT_DAMAGED) && k2k_mend_now(reg) == 0)
		code = k2k_totals(reg, slot, generation, totals);
	return code ? code : reap(reg, slot, NULL);
}
