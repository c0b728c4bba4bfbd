/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tenant.h"

#include "clock.h"
#include "grace.h"

#define RESTARTS 1000

int k2k_tenant_corrupt(const char *what, uint32_t where)
{
	return k2k_fail_values(K2K_ECORRUPT, "tenants", "chain", 0, where,
	                       "bucket %u of the tenants: %s", where, what);
}

int k2k_tenant_fenced(const struct k2k_map *map)
{
	uint32_t word = k2k_load_relaxed(&map->defs->poisoned); /* relaxed: final once set */

	if (word != K2K_POISONED)
		return k2k_fail_values(K2K_ECORRUPT, "defs", "poisoned", 0, word,
		                       "the word that says \"being destroyed\" is damaged");
	return k2k_fail(K2K_EFENCED, "defs", NULL,
	                "the registry is being destroyed: close, and open again");
}

/*
 * A definition of another bucket was registered in its slot during the walk, which then starts
 * again; or it is damage.
 */
static int walk(const struct k2k_map *map, k2k_tenant_id id, uint32_t *slot, uint64_t *state_gen)
{
	uint64_t steps = 0, most = 4 * (uint64_t)map->sizes.tenants + RESTARTS;
	uint32_t restarts = 0, bucket = k2k_tenant_bucket(map, id);
	/* observe[tenant-link]: the definition's fields */
	uint32_t link = k2k_load_acquire(&map->tenant_heads[bucket]);

	/* relaxed: a call that sees the store late counts as one that came before it */
	if (k2k_load_relaxed(&map->defs->poisoned) != 0)
		return k2k_tenant_fenced(map);
	while (link != 0) {
		const struct k2k_shm_tenant *tenant;
		uint64_t word, found_id;
		uint32_t next;

		if (link > map->sizes.tenants)
			return k2k_tenant_corrupt("a link points outside of the table", bucket);
		if (steps++ > most)
			return k2k_tenant_corrupt("the chain does not end", bucket);
		tenant = &map->tenants[link - 1];
		K2K_DELAY(walked);
		/* observe[tenant-state]: cell and limits of this generation */
		word = k2k_load_acquire(&tenant->state_gen);
		found_id = k2k_load_relaxed(&tenant->id); /* relaxed: published with the link */
		if (found_id == id && k2k_tenant_state(word) == K2K_TENANT_LIVE) {
			*slot = link - 1;
			*state_gen = word;
			K2K_DELAY(found);
			return 0;
		}
		/* observe[tenant-link]: the fields of the next definition */
		next = k2k_load_acquire(&tenant->next);
		if (k2k_tenant_bucket(map, found_id) != bucket) {
			if (restarts++ > RESTARTS)
				return k2k_tenant_corrupt(
					"a definition of another bucket is in the chain", bucket);
			/* observe[tenant-link]: as above */
			link = k2k_load_acquire(&map->tenant_heads[bucket]);
			continue;
		}
		link = next;
	}
	return K2K_ENOTENANT;
}

/*
 * Without a read section the walk may have followed the link of a slot that another tenant has
 * taken since, or is about to take: id and link are not stored at once. So a walk that finds
 * nothing is repeated unless the token shows that no slot was reused (grace.h 6).
 */
int k2k_tenant_walk(const struct k2k_map *map, k2k_tenant_id id, uint32_t *slot,
                    uint64_t *state_gen)
{
	for (uint32_t restarts = 0;; restarts++) {
		uint64_t token = k2k_grace_token(map);
		int code = walk(map, id, slot, state_gen);

		if (code != K2K_ENOTENANT || restarts > RESTARTS || k2k_grace_is_still(map, token))
			return code;
	}
}

void k2k_tenant_limits(const struct k2k_map *map, uint32_t slot, struct k2k_limits *limits)
{
	const struct k2k_shm_tenant *tenant = &map->tenants[slot];
	const struct k2k_shm_tenant_cold *cold = &map->tenants_cold[slot];
	uint64_t select;

	do {
		uint32_t set;

		/* observe[tenant-select]: the set of limits that it selects */
		select = k2k_load_acquire(&tenant->select);
		limits->version = K2K_SELECT_VERSION(select);
		limits->mode = K2K_SELECT_MODE(select);
		set = (uint32_t)(limits->version & 1);
		/* relaxed, all: between the two looks at select */
		limits->rate = k2k_load_relaxed(&tenant->rate[set]);
		limits->burst = K2K_BURST(k2k_load_relaxed(&tenant->burst[set]));
		K2K_DELAY(half_copied);
		limits->alone = k2k_load_relaxed(&cold->alone[set]);
		limits->gpu_memory_bytes = k2k_load_relaxed(&cold->gpu_memory_bytes[set]);
		limits->kernels = k2k_load_relaxed(&cold->kernels[set]);
		limits->alerts = k2k_load_relaxed(&cold->alerts[set]);
		for (int i = 0; i < K2K_NAME_WORDS; i++)
			limits->name[i] = k2k_load_relaxed(&cold->name[set][i]);
		k2k_fence_acquire(); /* the copies come before the second look */
	} while (k2k_load_relaxed(&tenant->select) != select); /* relaxed: ordered by the fence */
}

void k2k_tenant_count_rejection(const struct k2k_map *map, uint32_t slot, int code, bool shadow)
{
	struct k2k_shm_cell_cold *cold = &map->cells_cold[slot];
	k2k_u64 *count;

	switch (code) {
	case K2K_ERATE: count = shadow ? &cold->shadow_rate : &cold->rejected_rate; break;
	case K2K_EBUDGET: count = shadow ? &cold->shadow_budget : &cold->rejected_budget; break;
	case K2K_EKERNELS: count = shadow ? &cold->shadow_kernels : &cold->rejected_kernels; break;
	case K2K_EGPUMEM:
		count = shadow ? &cold->shadow_gpu_memory : &cold->rejected_gpu_memory;
		break;
	default: count = &cold->rejected_suspended;
	}
	k2k_add_relaxed(count, 1); /* relaxed: a count */
}

void k2k_tenant_shadow_counts(const struct k2k_shm_cell_cold *cold, struct k2k_rejected *counts)
{
	/* relaxed, all: counts */
	counts->rate = k2k_load_relaxed(&cold->shadow_rate);
	counts->budget = k2k_load_relaxed(&cold->shadow_budget);
	counts->kernels = k2k_load_relaxed(&cold->shadow_kernels);
	counts->gpu_memory = k2k_load_relaxed(&cold->shadow_gpu_memory);
}

/* ---- for the writer ------------------------------------------------------------ */

static struct k2k_list list_of(const struct k2k_map *map, struct k2k_shm_list *shared)
{
	struct k2k_list list = { shared, (unsigned char *)&map->tenants_cold[0].list_next,
		                 sizeof(map->tenants_cold[0]), map->sizes.tenants };

	return list;
}

struct k2k_list k2k_tenant_free_list(const struct k2k_map *map)
{
	return list_of(map, &map->defs->tenant_free);
}

struct k2k_list k2k_tenant_retired_list(const struct k2k_map *map)
{
	return list_of(map, &map->defs->tenant_retired);
}

void k2k_tenant_prepare(const struct k2k_map *map, uint32_t slot, const struct k2k_limits *limits)
{
	struct k2k_shm_tenant *tenant = &map->tenants[slot];
	struct k2k_shm_tenant_cold *cold = &map->tenants_cold[slot];
	/* relaxed: only the writer changes it */
	uint32_t other = (uint32_t)(K2K_SELECT_VERSION(k2k_load_relaxed(&tenant->select)) + 1) & 1;

	/*
	 * A reader that began under the previous version may still be copying this set. If it
	 * copies one of the values below, it must see that the version has changed: the version was
	 * raised before they are stored, and this fence keeps that order.
	 * fence[tenant-select]: with the acquire fence of the reader
	 */
	k2k_fence_release();
	/* relaxed, all: published by k2k_tenant_flip */
	k2k_store_relaxed(&tenant->rate[other], limits->rate);
	k2k_store_relaxed(&tenant->burst[other], K2K_BURST_WORD(limits->burst, limits->mode));
	k2k_store_relaxed(&cold->alone[other], limits->alone);
	k2k_store_relaxed(&cold->gpu_memory_bytes[other], limits->gpu_memory_bytes);
	k2k_store_relaxed(&cold->kernels[other], limits->kernels);
	k2k_store_relaxed(&cold->alerts[other], limits->alerts);
	for (int i = 0; i < K2K_NAME_WORDS; i++)
		k2k_store_relaxed(&cold->name[other][i], limits->name[i]);
	K2K_DELAY(prepared);
}

void k2k_tenant_flip(const struct k2k_map *map, uint32_t slot, uint32_t mode)
{
	struct k2k_shm_tenant *tenant = &map->tenants[slot];
	/* relaxed: only the writer changes it */
	uint64_t select = k2k_load_relaxed(&tenant->select);

	/* publish[tenant-select]: the set, and the budgets that begin and end with this version */
	k2k_store_release(&tenant->select, K2K_SELECT(K2K_SELECT_VERSION(select) + 1, mode));
}

void k2k_tenant_add_flags(const struct k2k_map *map, uint32_t slot, uint32_t flags)
{
	k2k_u32 *word = &map->tenants[slot].flags;
	/* relaxed, all: under the writer's lock; the version, or LIVE, publishes the flag */
	uint32_t has = k2k_load_relaxed(word);

	if (flags & ~has)
		k2k_store_relaxed(word, has | flags);
}

static void reset_cell(const struct k2k_map *map, uint32_t slot)
{
	struct k2k_shm_cell *cell = &map->cells[slot];
	struct k2k_shm_cell_cold *cold = &map->cells_cold[slot];

	/* relaxed, all: no process refers to this slot before it is linked */
	k2k_store_relaxed(&cell->admitted, 0);
	k2k_store_relaxed(&cell->opening, 0);
	k2k_store_relaxed(&cell->source, 0);
	k2k_store_relaxed(&cell->sought, 0);
	k2k_store_relaxed(&cell->window, K2K_RATE_NEVER_USED << K2K_RATE_TAG_BITS);
	k2k_store_relaxed(&cell->ceiling, 0);
	/* the row of leases needs no reset: each record names the registration that it is of */
	k2k_store_relaxed(&cell->lease_brokers, 0);
	k2k_store_relaxed(&cell->has_costs, 0);
	k2k_store_relaxed(&cell->costs, 0);
	k2k_store_relaxed(&cold->rejected_rate, 0);
	k2k_store_relaxed(&cold->rejected_budget, 0);
	k2k_store_relaxed(&cold->rejected_kernels, 0);
	k2k_store_relaxed(&cold->rejected_gpu_memory, 0);
	k2k_store_relaxed(&cold->unattributed_ns, 0);
	k2k_store_relaxed(&cold->rejected_suspended, 0);
	k2k_store_relaxed(&cold->shadow_rate, 0);
	k2k_store_relaxed(&cold->shadow_budget, 0);
	k2k_store_relaxed(&cold->shadow_kernels, 0);
	k2k_store_relaxed(&cold->shadow_gpu_memory, 0);
	k2k_store_relaxed(&cold->alert_rate, 0);
	k2k_store_relaxed(&cold->alert_kernels, 0);
	k2k_store_relaxed(&cold->alert_gpu_memory, 0);
}

int k2k_tenant_build(const struct k2k_map *map, k2k_tenant_id id, const struct k2k_limits *limits,
                     uint32_t *slot, uint64_t *generation)
{
	struct k2k_list free_list = k2k_tenant_free_list(map);
	struct k2k_shm_tenant *tenant;
	struct k2k_shm_tenant_cold *cold;
	uint64_t gen;

	if (!k2k_list_first(&free_list, slot))
		return k2k_fail_values(K2K_EFULL, "tenants", NULL, map->sizes.tenants,
		                       map->sizes.tenants, "all %u tenant slots are taken",
		                       map->sizes.tenants);
	tenant = &map->tenants[*slot];
	cold = &map->tenants_cold[*slot];
	/* relaxed, here and below: only the writer changes definitions */
	if (k2k_tenant_state(k2k_load_relaxed(&tenant->state_gen)) != K2K_TENANT_FREE)
		return k2k_fail_values(K2K_ECORRUPT, "tenants", "free list", K2K_TENANT_FREE, *slot,
		                       "slot %u is in the free list, but not free: run repair",
		                       *slot);
	gen = k2k_load_relaxed(&map->defs->generation) + 1;
	if (gen > K2K_GENERATION_MAX)
		return k2k_fail(K2K_EFULL, "generations", NULL,
		                "the registry has given out all generations");
	/*
	 * Stored before it is used: a killed writer wastes a number, and no number is used twice.
	 * publish[generation]: observed by info
	 */
	k2k_store_release(&map->defs->generation, gen);
	/* publish[tenant-state]: a reader of the slot's former use does not take it for LIVE */
	k2k_store_release(&tenant->state_gen, k2k_tenant_word(K2K_TENANT_BUILDING, gen));
	/* with k2k_grace_is_still(): who sees a field of the new use sees the token before it */
	k2k_fence_release();
	K2K_DELAY(building);
	k2k_list_remove(&free_list, UINT32_MAX, *slot);
	reset_cell(map, *slot);
	k2k_store_relaxed(&tenant->id, id);
	k2k_store_relaxed(&tenant->flags, 0);
	k2k_store_relaxed(&tenant->select, K2K_SELECT(0, 0));
	k2k_store_relaxed(&cold->registered_at_ns, k2k_clock_realtime_ns());
	k2k_store_relaxed(&cold->retired_token, 0);
	k2k_store_relaxed(&cold->budget_count, 0);
	k2k_tenant_prepare(map, *slot, limits);
	k2k_tenant_flip(map, *slot, limits->mode); /* version 1 */
	*generation = gen;
	return 0;
}

void k2k_tenant_publish(const struct k2k_map *map, uint32_t slot)
{
	struct k2k_shm_tenant *tenant = &map->tenants[slot];
	/* relaxed: only the writer changes it */
	uint64_t word = k2k_load_relaxed(&tenant->state_gen);

	/* publish[tenant-state]: cell, limits and budgets of this generation */
	k2k_store_release(&tenant->state_gen,
	                  k2k_tenant_word(K2K_TENANT_LIVE, k2k_tenant_generation(word)));
	K2K_DELAY(live);
	k2k_tenant_link(map, slot);
}

void k2k_tenant_link(const struct k2k_map *map, uint32_t slot)
{
	struct k2k_shm_tenant *tenant = &map->tenants[slot];
	/* relaxed: only the writer changes it */
	k2k_u32 *head = &map->tenant_heads[k2k_tenant_bucket(map, k2k_load_relaxed(&tenant->id))];

	/*
	 * publish[tenant-link]: state and id. A walk that reached this slot in its former use, and
	 * follows this link, sees by them that the slot was reused. relaxed: only the writer
	 * changes heads
	 */
	k2k_store_release(&tenant->next, k2k_load_relaxed(head));
	k2k_store_release(head, slot + 1); /* publish[tenant-link]: the definition's fields */
}

static int find_before(const struct k2k_map *map, uint32_t slot, k2k_u32 **link)
{
	/* relaxed: only the writer changes it */
	uint32_t bucket = k2k_tenant_bucket(map, k2k_load_relaxed(&map->tenants[slot].id));
	uint32_t steps = 0, at;

	*link = &map->tenant_heads[bucket];
	/* relaxed: only the writer changes links */
	while ((at = k2k_load_relaxed(*link)) != 0) {
		if (at == slot + 1)
			return 0;
		if (at > map->sizes.tenants || steps++ > map->sizes.tenants)
			return k2k_tenant_corrupt("the chain is damaged", bucket);
		*link = &map->tenants[at - 1].next;
	}
	return K2K_ENOTENANT;
}

int k2k_tenant_is_linked(const struct k2k_map *map, uint32_t slot)
{
	k2k_u32 *link;

	return find_before(map, slot, &link);
}

int k2k_tenant_unlink(const struct k2k_map *map, uint32_t slot)
{
	k2k_u32 *link;
	int code = find_before(map, slot, &link);

	if (code == 0) /* publish[tenant-link]: the successor's fields */
		/* relaxed: only the writer changes it */
		k2k_store_release(link, k2k_load_relaxed(&map->tenants[slot].next));
	return code == K2K_ENOTENANT ? 0 : code;
}

int k2k_tenant_retire(const struct k2k_map *map, uint32_t slot, uint64_t token)
{
	struct k2k_shm_tenant *tenant = &map->tenants[slot];
	/* relaxed: only the writer changes it */
	uint64_t word = k2k_load_relaxed(&tenant->state_gen);
	int code;

	/* relaxed: published with the state */
	k2k_store_relaxed(&map->tenants_cold[slot].retired_token, token);
	K2K_DELAY(stamped);
	/* publish[tenant-state]: the token: RETIRED is never seen without it */
	k2k_store_release(&tenant->state_gen,
	                  k2k_tenant_word(K2K_TENANT_RETIRED, k2k_tenant_generation(word)));
	K2K_DELAY(retired);
	code = k2k_tenant_unlink(map, slot);
	if (!code) {
		struct k2k_list retired = k2k_tenant_retired_list(map);

		k2k_list_append(&retired, slot);
	}
	return code;
}

void k2k_tenant_free(const struct k2k_map *map, uint32_t slot)
{
	struct k2k_shm_tenant *tenant = &map->tenants[slot];
	/* relaxed: only the writer changes it */
	uint64_t word = k2k_load_relaxed(&tenant->state_gen);
	struct k2k_list free_list = k2k_tenant_free_list(map);

	k2k_hot_release(map, slot);
	/* publish[tenant-state]: all that was done with the slot before */
	k2k_store_release(&tenant->state_gen,
	                  k2k_tenant_word(K2K_TENANT_FREE, k2k_tenant_generation(word)));
	k2k_list_append(&free_list, slot);
}
