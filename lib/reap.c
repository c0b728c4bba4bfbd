/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reap.h"

#include <errno.h>
#include <stdlib.h>

#include "budget.h"
#include "lease.h"
#include "ledger.h"
#include "tenant.h"

/* The slots that are reaped together, so that one sweep of the ledger serves for all. */
struct batch {
	struct k2k_registry *reg;
	uint8_t *chosen;                 /* a bit for each slot */
	struct k2k_cost_sum *costs;      /* for each slot; null if no chosen one has costs */
	const struct k2k_finals *finals; /* may be null */
	uint64_t token;                  /* the next one: stamped on what is unlinked */
	bool stamped, has_budgets, has_costs;
	bool mended_once; /* damage was met and cut out; a batch does that once */
	struct k2k_mended *mended;
	int code; /* of choose_passed() */
};

/* Does this generation have the slot? */
static bool has_slot(const struct k2k_map *map, uint32_t slot, uint64_t generation)
{
	return slot < map->sizes.tenants &&
	       /* relaxed: only the writer changes definitions, and a pinned slot not at all */
	       k2k_tenant_generation(k2k_load_relaxed(&map->tenants[slot].state_gen)) == generation;
}

static bool is_chosen(const struct batch *batch, uint32_t slot, uint64_t generation)
{
	return has_slot(&batch->reg->map, slot, generation) &&
	       (batch->chosen[slot / 8] & (1u << slot % 8));
}

/* Call it after a walk has met damage. 0: the damage was cut out, so repeat the walk. */
static int mend(struct batch *batch)
{
	if (batch->mended_once)
		return K2K_ECORRUPT;
	batch->mended_once = true;
	return k2k_mend_live(batch->reg, batch->token, &batch->stamped, batch->mended);
}

/* ---- final totals ------------------------------------------------------------------ */

static void add_to(struct k2k_cost_sum *sum, const struct k2k_cost_copy *cost)
{
	sum->cost_ns = k2k_sat_add(sum->cost_ns, cost->cost_ns);
	sum->corrected_ns = k2k_sat_sum(sum->corrected_ns, cost->corrected_ns);
}

static int add_chosen_cost(void *context, const struct k2k_cost_copy *cost)
{
	struct batch *batch = context;

	if (is_chosen(batch, cost->slot, cost->generation))
		add_to(&batch->costs[cost->slot], cost);
	return 0;
}

static int count_costs(struct batch *batch)
{
	if (!batch->has_costs)
		return 0;
	batch->costs = calloc(batch->reg->map.sizes.tenants, sizeof(*batch->costs));
	if (!batch->costs)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "reap",
		                      "no memory to count the costs of %u tenants",
		                      batch->reg->map.sizes.tenants);
	return k2k_ledger_sweep(&batch->reg->map, add_chosen_cost, batch);
}

static void fill_totals(struct k2k_registry *reg, uint32_t slot, uint64_t generation,
                        struct k2k_cost_sum costs, struct k2k_tenant_totals *totals)
{
	const struct k2k_shm_cell_cold *cold = &reg->map.cells_cold[slot];
	const struct k2k_lease_key key = k2k_lease_of_tenant(slot, generation);
	uint64_t held[K2K_RESOURCES];

	/* if leases or shares are damaged, the other totals are reported all the same */
	totals->flags = 0;
	if (k2k_lease_sum(&reg->map, &reg->liveness, &key, held) != 0) {
		totals->flags = K2K_TENANT_DAMAGED;
		held[0] = held[1] = 0;
	}
	/* relaxed, all: counts; they are final if a grace period has passed */
	totals->id = k2k_load_relaxed(&reg->map.tenants[slot].id);
	totals->generation = generation;
	if (k2k_hot_total(&reg->map, slot, &totals->admitted_total) == K2K_HOT_DAMAGED)
		totals->flags = K2K_TENANT_DAMAGED;
	totals->rejected_total.rate = k2k_load_relaxed(&cold->rejected_rate);
	totals->rejected_total.budget = k2k_load_relaxed(&cold->rejected_budget);
	totals->rejected_total.kernels = k2k_load_relaxed(&cold->rejected_kernels);
	totals->rejected_total.gpu_memory = k2k_load_relaxed(&cold->rejected_gpu_memory);
	totals->gpu_ns_total = costs.cost_ns;
	totals->corrected_ns = costs.corrected_ns;
	totals->unattributed_ns = k2k_load_relaxed(&cold->unattributed_ns);
	k2k_tenant_shadow_counts(cold, &totals->shadow_rejected_total);
	totals->suspended_rejected_total = k2k_load_relaxed(&cold->rejected_suspended);
	totals->kernels = held[K2K_RESOURCE_KERNELS];
	totals->gpu_memory_bytes = held[K2K_RESOURCE_GPU_MEMORY];
}

/* Fills in a chosen slot's final totals. Mends damaged leases and then sums them again. */
static void fill_finals(struct batch *batch, uint32_t slot, uint64_t generation,
                        struct k2k_tenant_totals *totals)
{
	struct k2k_cost_sum none = { 0, 0 }, costs = batch->costs ? batch->costs[slot] : none;

	fill_totals(batch->reg, slot, generation, costs, totals);
	if ((totals->flags & K2K_TENANT_DAMAGED) && mend(batch) == 0)
		fill_totals(batch->reg, slot, generation, costs, totals);
}

static void append_totals(struct k2k_registry *reg, const struct k2k_tenant_totals *totals)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_FINAL_TOTALS,
		                       .tenant = totals->id,
		                       .generation = totals->generation };
	uint64_t *values = body.more.change.values;

	values[K2K_AUDIT_TOTALS_ADMITTED] = totals->admitted_total;
	values[K2K_AUDIT_TOTALS_REJECTED_RATE] = totals->rejected_total.rate;
	values[K2K_AUDIT_TOTALS_REJECTED_BUDGET] = totals->rejected_total.budget;
	values[K2K_AUDIT_TOTALS_REJECTED_KERNELS] = totals->rejected_total.kernels;
	values[K2K_AUDIT_TOTALS_REJECTED_MEMORY] = totals->rejected_total.gpu_memory;
	values[K2K_AUDIT_TOTALS_GPU_NS] = totals->gpu_ns_total;
	values[K2K_AUDIT_TOTALS_UNATTRIBUTED_NS] = totals->unattributed_ns;
	values[K2K_AUDIT_TOTALS_KERNELS] = totals->kernels;
	values[K2K_AUDIT_TOTALS_GPU_MEMORY] = totals->gpu_memory_bytes;
	k2k_trail_append_locked(&reg->trail, &body);
}

/* Reports the final totals of a chosen slot in the trail, if any deregister asked for them. */
static void report_slot(struct batch *batch, uint32_t slot)
{
	struct k2k_registry *reg = batch->reg;
	k2k_u64 *due = &reg->map.tenants_cold[slot].totals_due;
	/* relaxed, all: only writers access these words, under the writer's lock */
	uint64_t generation = k2k_tenant_generation(
		k2k_load_relaxed(&reg->map.tenants[slot].state_gen));
	struct k2k_tenant_totals totals = { .size = sizeof(totals) };

	if (k2k_load_relaxed(due) != generation)
		return;
	fill_finals(batch, slot, generation, &totals);
	append_totals(reg, &totals);
	K2K_DELAY(totals_reported);
	k2k_store_relaxed(due, 0);
}

static int take_totals(struct batch *batch)
{
	struct k2k_registry *reg = batch->reg;
	int code = count_costs(batch);

	for (size_t i = 0; !code && batch->finals && i < batch->finals->count; i++) {
		struct k2k_final *final = &batch->finals->list[i];

		if (!is_chosen(batch, final->slot, final->generation))
			continue;
		fill_finals(batch, final->slot, final->generation, final->totals);
		final->done = true;
	}
	for (uint32_t slot = 0; !code && slot < reg->map.sizes.tenants; slot++) {
		if (slot % 8 == 0 && !batch->chosen[slot / 8])
			slot += 7;
		else if (batch->chosen[slot / 8] & (1u << slot % 8))
			report_slot(batch, slot);
	}
	return code;
}

/* ---- records ------------------------------------------------------------------------- */

static int unlink_cost(void *context, const struct k2k_cost_copy *cost)
{
	struct batch *batch = context;
	struct k2k_hash hash = k2k_ledger_hash(&batch->reg->map);
	int code;

	/*
	 * A claim is left alone. k2k_recover_claims() has freed or completed those of dead brokers,
	 * and a living broker has none for a tenant whose grace period has passed. A claim that
	 * seems to be for such a tenant is another tenant's: a killed reaper had retired the
	 * record, and it has the old key until its new owner has filled it.
	 */
	if (cost->claimed || !is_chosen(batch, cost->slot, cost->generation))
		return 0;
	/* before the record is reused: what is left of its reservations names it */
	if (k2k_lease_any_reserved(&batch->reg->map, cost->index)) {
		struct k2k_lease_key key = k2k_lease_of_engagement(cost->index, cost->generation);

		/* if a row is damaged, the next repair frees what it does not lead to */
		k2k_lease_reap(&batch->reg->map, &key);
	}
	k2k_pool_retire(&hash.pool, cost->index, batch->token);
	batch->stamped = true;
	batch->mended->engagements++;
	code = k2k_hash_unlink(&hash, cost->index);
	if (code == K2K_ECORRUPT && mend(batch) == 0)
		code = k2k_hash_unlink(&hash, cost->index);
	/* if the chain is damaged again, the next walk of it cuts the damage out */
	return code == K2K_HASH_ABSENT || code == K2K_ECORRUPT ? 0 : code;
}

static int unlink_budgets(struct batch *batch)
{
	const struct k2k_map *map = &batch->reg->map;

	for (uint32_t i = 0; i < map->sizes.budgets; i++) {
		const struct k2k_shm_entry *entry = &map->budgets[i].entry;
		int code;

		/* relaxed, all: only the writer changes budgets */
		if (k2k_entry_state(k2k_load_relaxed(&entry->state)) != K2K_ENTRY_LIVE ||
		    !is_chosen(batch, k2k_load_relaxed(&entry->slot),
		               k2k_load_relaxed(&entry->gen)))
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
	/* relaxed: only the writer changes definitions */
	if (k2k_load_relaxed(&map->tenants[slot].flags) & K2K_DEF_HAS_BUDGETS)
		batch->has_budgets = true;
	/* observe[cell-has-costs]: set before the first record, in a read section that is over */
	if (k2k_load_acquire(&map->cells[slot].has_costs))
		batch->has_costs = true;
}

static int unlink_records(struct batch *batch)
{
	const struct k2k_map *map = &batch->reg->map;
	int code = batch->code;

	batch->token = k2k_grace_next(map);
	/* frees what dead brokers claimed and did not link: here, because a sweep follows anyway */
	if (!code && batch->has_costs)
		code = k2k_recover_claims(batch->reg, batch->mended);
	/* before any record is freed: if this fails, nothing is lost */
	if (!code)
		code = take_totals(batch);
	if (!code && batch->has_budgets)
		code = unlink_budgets(batch);
	if (!code && batch->has_costs)
		code = k2k_ledger_sweep(map, unlink_cost, batch);
	if (!code && batch->stamped)
		k2k_grace_publish(map, batch->token);
	return code;
}

/* Cuts out the leases of reaped tenants. Takes a new token: the batch's is published already. */
static int mend_orphans(struct batch *batch)
{
	uint64_t token = k2k_grace_next(&batch->reg->map);
	bool stamped = false;
	int code = k2k_mend_live(batch->reg, token, &stamped, batch->mended);

	if (stamped)
		k2k_grace_publish(&batch->reg->map, token);
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
			/* relaxed: only the writer changes definitions */
			uint64_t word = k2k_load_relaxed(&map->tenants[slot].state_gen);

			struct k2k_lease_key key = k2k_lease_of_tenant(slot,
			                                               k2k_tenant_generation(word));

			if (k2k_lease_reap(map, &key) != 0)
				orphans = true; /* its damaged row may not lead to all of them */
			/* only once, even if the list is corrupt */
			batch->chosen[slot / 8] &= (uint8_t) ~(1u << slot % 8);
			k2k_list_remove(&retired, previous, slot);
			k2k_tenant_free(map, slot);
			batch->mended->tenants++;
		} else {
			previous = slot;
		}
		slot = next;
	}
	return orphans ? mend_orphans(batch) : 0;
}

/* The list is corrupt: no record in it may be freed. Recovery rebuilds the list. */
static int not_retired(const char *object, uint64_t word, uint32_t index)
{
	return k2k_fail_values(K2K_ECORRUPT, object, "retired list", K2K_ENTRY_RETIRED, word,
	                       "record %u is in the list of retired records, but is not retired",
	                       index);
}

static int free_budgets(struct k2k_registry *reg, uint64_t passed)
{
	struct k2k_list retired = k2k_budget_retired_list(&reg->map);
	uint32_t index;

	while (k2k_list_first(&retired, &index)) {
		/* relaxed: only the writer changes budgets */
		uint64_t word = k2k_load_relaxed(&reg->map.budgets[index].entry.state);

		if (k2k_entry_state(word) != K2K_ENTRY_RETIRED)
			return not_retired("budgets", word, index);
		if (k2k_entry_above(word) > passed)
			return 0;
		k2k_list_remove(&retired, UINT32_MAX, index);
		k2k_budget_free(&reg->map, index);
	}
	return 0;
}

/*
 * Does a living administrator wait for the slot's final totals? *waiting is the last one that was
 * found alive, so that it is not asked about again.
 */
static bool is_pinned(struct k2k_registry *reg, uint32_t slot, uint64_t *waiting)
{
	/* observe[tenant-pin]: only the word itself */
	uint64_t by = k2k_load_acquire(&reg->map.tenants_cold[slot].pinned_by);

	if (by == 0 || by == *waiting)
		return by != 0;
	if (!k2k_liveness_alive(&reg->admins, by))
		return false;
	*waiting = by;
	return true;
}

static void choose_passed(struct batch *batch, uint64_t passed, const uint8_t *own)
{
	const struct k2k_map *map = &batch->reg->map;
	struct k2k_list retired = k2k_tenant_retired_list(map);
	uint32_t slot, steps = 0;
	uint64_t waiting = 0;
	bool more = k2k_list_first(&retired, &slot);

	for (; more && steps++ < map->sizes.tenants; more = k2k_list_next(&retired, slot, &slot)) {
		/* relaxed, both: only the writer changes definitions */
		uint64_t word = k2k_load_relaxed(&map->tenants[slot].state_gen);

		if (k2k_tenant_state(word) != K2K_TENANT_RETIRED) {
			batch->code = not_retired("tenants", word, slot);
			return;
		}
		if (k2k_load_relaxed(&map->tenants_cold[slot].retired_token) > passed)
			return; /* the list is in the order of tokens */
		if ((own[slot / 8] & (1u << slot % 8)) || !is_pinned(batch->reg, slot, &waiting))
			choose(batch, slot);
	}
}

static int reap_passed(struct batch *batch, uint64_t passed)
{
	uint8_t *own = calloc(batch->reg->map.sizes.tenants / 8 + 1, 1);
	int code = 0;

	batch->chosen = calloc(batch->reg->map.sizes.tenants / 8 + 1, 1);
	if (!batch->chosen || !own)
		code = k2k_fail_errno(K2K_ENOMEM, ENOMEM, "reap", "no memory for a list of slots");
	for (size_t i = 0; !code && batch->finals && i < batch->finals->count; i++) {
		const struct k2k_final *final = &batch->finals->list[i];

		if (has_slot(&batch->reg->map, final->slot, final->generation))
			own[final->slot / 8] |= (uint8_t)(1u << final->slot % 8);
	}
	if (!code) {
		choose_passed(batch, passed, own);
		code = unlink_records(batch);
		K2K_DELAY(records_unlinked);
	}
	if (!code)
		code = free_slots(batch);
	free(batch->costs);
	free(batch->chosen);
	free(own);
	return code;
}

static int reap(struct batch *batch)
{
	struct k2k_registry *reg = batch->reg;
	struct k2k_list retired = k2k_tenant_retired_list(&reg->map);
	struct k2k_list budgets = k2k_budget_retired_list(&reg->map);
	uint32_t first, behind;
	uint64_t passed;
	int code;

	k2k_assert_writer(&reg->writer);
	if (!k2k_list_first(&retired, &first) && !k2k_list_first(&budgets, &first))
		return 0;
	passed = k2k_grace_passed(&reg->grace, &behind);
	code = free_budgets(reg, passed);
	if (code || !k2k_list_first(&retired, &first))
		return code;
	return reap_passed(batch, passed);
}

/* For a change, whose caller gets no counts: reports in the trail what was cut out. */
static int reap_and_report(struct batch *batch)
{
	struct k2k_mended own = { .verify = NULL };
	int code;

	batch->mended = &own;
	code = reap(batch);
	if (k2k_mended_anything(&own.damage))
		k2k_report_repair(batch->reg, &own);
	return code;
}

int k2k_reap(struct k2k_registry *reg, struct k2k_mended *mended)
{
	struct batch batch = { .reg = reg, .mended = mended };

	return mended ? reap(&batch) : reap_and_report(&batch);
}

int k2k_reap_finals(struct k2k_registry *reg, const struct k2k_finals *finals)
{
	struct batch batch = { .reg = reg, .finals = finals };

	return reap_and_report(&batch);
}

/* ---- totals of tenants that can't be reaped yet --------------------------------------- */

struct counting {
	const struct k2k_map *map;
	struct k2k_cost_sum *costs; /* for each slot */
};

static int add_cost(void *context, const struct k2k_cost_copy *cost)
{
	struct counting *counting = context;

	if (has_slot(counting->map, cost->slot, cost->generation))
		add_to(&counting->costs[cost->slot], cost);
	return 0;
}

void k2k_totals_so_far(struct k2k_registry *reg, const struct k2k_finals *finals)
{
	struct counting counting = { &reg->map, finals->costs };
	bool has_costs = false, damaged;

	for (size_t i = 0; i < finals->count; i++)
		/* observe[cell-has-costs]: set before the first record */
		has_costs = has_costs ||
		            k2k_load_acquire(&reg->map.cells[finals->list[i].slot].has_costs);
	/* fails only if a record is damaged */
	damaged = has_costs && k2k_ledger_sweep(&reg->map, add_cost, &counting) != 0;
	for (size_t i = 0; i < finals->count; i++) {
		const struct k2k_final *final = &finals->list[i];
		struct k2k_cost_sum none = { 0, 0 },
				    costs = damaged ? none : counting.costs[final->slot];

		if (final->done)
			continue;
		fill_totals(reg, final->slot, final->generation, costs, final->totals);
		if (damaged)
			final->totals->flags |= K2K_TENANT_DAMAGED;
	}
}
