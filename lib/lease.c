/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lease.h"

#include <sched.h>

#define LOOKS 256               /* with a claim kept: some 0.1 ms, more where we are preempted */
#define READS 64                /* of a record that is being reset: two stores long */

static int corrupt(uint32_t slot, const char *what)
{
	return k2k_fail_values(K2K_ECORRUPT, "leases", "list", K2K_SLOTS, slot, "the leases of tenant slot %u: %s", slot, what);
}

/* Calls for each record of the list, in order. */
static int walk(const struct k2k_map *map, uint32_t slot, uint32_t link, uint32_t *steps, struct k2k_shm_lease **record)
{
	if (link == 0)
		return K2K_ENOTHELD;
	if (link > map->sizes.leases)
		return corrupt(slot, "a link points outside of the table");
	if ((*steps)++ >= K2K_SLOTS)
		return corrupt(slot, "more records than brokers");
	*record = &map->leases[link - 1];
	return 0;
}

/* The record of one broker slot. 0, K2K_ENOTHELD, K2K_ECORRUPT. */
static int find(const struct k2k_map *map, uint32_t slot, uint64_t generation, uint32_t broker_slot,
                struct k2k_shm_lease **record)
{
	uint32_t link = k2k_load_acquire(&map->cells[slot].lease_head); /* observe[lease-link]: the record's key */
	uint32_t steps = 0;
	int code;

	while ((code = walk(map, slot, link, &steps, record)) == 0) {
		/* relaxed: carried by the link */
		if (k2k_load_relaxed(&(*record)->entry.key) == broker_slot &&
		    k2k_load_relaxed(&(*record)->entry.gen) == generation)
			return 0;
		link = k2k_load_acquire(&(*record)->entry.next); /* observe[lease-link]: the next one's key */
	}
	return code;
}

static void zero(struct k2k_shm_lease *record)
{
	for (int i = 0; i < K2K_RESOURCES; i++) {
		/* relaxed, all: between the two stores of the incarnation */
		k2k_store_relaxed(&record->claims[i].asked, 0);
		k2k_store_relaxed(&record->claims[i].ended, 0);
		k2k_store_relaxed(&record->claims[i].held, 0);
	}
}

/* Our slot's dead owner before us wrote it last. Killed anywhere here: it counts nothing. */
static void reset(struct k2k_shm_lease *record, uint64_t incarnation)
{
	k2k_store_relaxed(&record->incarnation, 0); /* relaxed: ordered by the fence */
	/* fence[lease-reset] with observe[lease-reset]: who reads a zero below reads the 0 above afterwards, and reads again */
	k2k_fence_release();
	zero(record);
	k2k_store_release(&record->incarnation, incarnation); /* publish[lease-incarnation]: the zeroes */
}

static int obtain(const struct k2k_leaser *leaser, uint32_t slot, uint64_t generation, struct k2k_shm_lease **record)
{
	const struct k2k_map *map = leaser->map;
	const struct k2k_broker *broker = leaser->broker;
	struct k2k_pool pool = k2k_lease_pool(map);
	k2k_u32 *head = &map->cells[slot].lease_head;
	uint32_t index, first;
	int code = find(map, slot, generation, broker->slot, record);

	if (code == 0) {
		/* relaxed: only the slot's owner, us, writes it; the owner before died before we took the slot */
		if (k2k_load_relaxed(&(*record)->incarnation) != broker->incarnation)
			reset(*record, broker->incarnation);
		return 0;
	}
	if (code != K2K_ENOTHELD)
		return code;
	if (!k2k_pool_claim(&pool, broker->incarnation, leaser->passed, leaser->full_at, &index))
		return K2K_EFULL;
	*record = &map->leases[index];
	/* relaxed, all: carried by the link */
	k2k_store_relaxed(&(*record)->entry.gen, generation);
	k2k_store_relaxed(&(*record)->entry.key, broker->slot);
	k2k_store_relaxed(&(*record)->entry.slot, slot);
	zero(*record);
	k2k_store_relaxed(&(*record)->incarnation, broker->incarnation);
	first = k2k_load_acquire(head); /* observe[lease-link]: those before us */
	do
		k2k_store_relaxed(&(*record)->entry.next, first); /* relaxed: carried by the CAS */
	while (!k2k_cas_acq_rel(head, &first, index + 1)); /* publish[lease-link]: key, zeroes, incarnation */
	k2k_store_release(&(*record)->entry.state, k2k_entry_word(K2K_ENTRY_LIVE, broker->incarnation)); /* publish[entry-state] */
	return 0;
}

/* False: it counts for nobody. */
static int copy(const struct k2k_shm_lease *record, struct k2k_holding *holding, bool *counts)
{
	for (int tries = 0; tries < READS; tries++) {
		holding->incarnation = k2k_load_acquire(&record->incarnation); /* observe[lease-incarnation]: its zeroes, or later */
		*counts = holding->incarnation != 0;
		if (!*counts)
			return 0;
		for (int i = 0; i < K2K_RESOURCES; i++) {
			/* ended first: observe[lease-ended]: the `asked` that it belongs to is seen below, so a sum is never too low */
			holding->ended[i] = k2k_load_acquire(&record->claims[i].ended);
			holding->asked[i] = k2k_load_acquire(&record->claims[i].asked); /* observe[lease-asked] */
			holding->held[i] = k2k_load_acquire(&record->claims[i].held); /* observe[lease-held] */
		}
		k2k_fence_acquire(); /* observe[lease-reset]: the counters before, the incarnation again after */
		if (k2k_load_relaxed(&record->incarnation) == holding->incarnation) /* relaxed: ordered by the fence */
			return 0;
	}
	return k2k_fail(K2K_ECORRUPT, "leases", "incarnation", "a lease record does not hold still");
}

int k2k_lease_collect(const struct k2k_map *map, uint32_t slot, struct k2k_holdings *holdings)
{
	uint32_t link = k2k_load_acquire(&map->cells[slot].lease_head); /* observe[lease-link]: the record's key */
	struct k2k_shm_lease *record;
	uint32_t steps = 0;
	int code;

	holdings->count = 0;
	while ((code = walk(map, slot, link, &steps, &record)) == 0) {
		struct k2k_holding *holding = &holdings->list[holdings->count];
		uint64_t key = k2k_load_relaxed(&record->entry.key); /* relaxed: carried by the link */
		bool counts;

		if (key >= K2K_SLOTS)
			return corrupt(slot, "a record of no broker slot");
		holding->index = link - 1;
		holding->broker_slot = (uint32_t)key;
		code = copy(record, holding, &counts);
		if (code)
			return code;
		if (counts)
			holdings->count++;
		link = k2k_load_acquire(&record->entry.next); /* observe[lease-link]: the next one's key */
	}
	return code == K2K_ENOTHELD ? 0 : code;
}

int k2k_lease_sum(const struct k2k_map *map, struct k2k_census *census, uint32_t slot, uint64_t held[K2K_RESOURCES])
{
	struct k2k_holdings holdings;
	int code = k2k_lease_collect(map, slot, &holdings);

	held[0] = held[1] = 0;
	for (uint32_t i = 0; !code && i < holdings.count; i++) {
		const struct k2k_holding *h = &holdings.list[i];

		if ((h->held[0] || h->held[1]) && k2k_census_alive(census, h->incarnation)) {
			held[0] = k2k_sat_add(held[0], h->held[0]);
			held[1] = k2k_sat_add(held[1], h->held[1]);
		}
	}
	return code;
}

/* ---- acquire ------------------------------------------------------------------- */

static uint64_t sum_wanted(const struct k2k_holdings *h, enum k2k_resource resource)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < h->count; i++)
		sum = k2k_sat_add(sum, h->list[i].asked[resource] - h->list[i].ended[resource]);
	return sum;
}

static uint64_t sum_held(const struct k2k_holdings *h, enum k2k_resource resource)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < h->count; i++)
		sum = k2k_sat_add(sum, h->list[i].held[resource]);
	return sum;
}

/* Leaves only those that want or hold some of it and were alive after their counters were read. */
static void keep_living(struct k2k_holdings *h, struct k2k_census *census, uint64_t own, enum k2k_resource resource)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < h->count; i++) {
		const struct k2k_holding *at = &h->list[i];

		if (at->asked[resource] == at->ended[resource] && at->held[resource] == 0)
			continue;
		if (at->incarnation == own || k2k_census_alive(census, at->incarnation))
			h->list[kept++] = *at;
	}
	h->count = kept;
}

/* Has any of the living changed, or anybody come, since `before`? Records are only ever added at the head. */
static bool same_again(const struct k2k_holdings *before, const struct k2k_holdings *after, enum k2k_resource resource)
{
	uint32_t matched = 0;

	for (uint32_t i = 0; i < after->count; i++) {
		const struct k2k_holding *now = &after->list[i], *then = NULL;

		for (uint32_t j = 0; j < before->count && !then; j++)
			if (before->list[j].index == now->index)
				then = &before->list[j];
		if (!then)
			continue; /* wanted nothing or was dead; if it wants now, it saw our claim: it changes nothing for "full" */
		if (then->incarnation != now->incarnation || then->asked[resource] != now->asked[resource] ||
		    then->ended[resource] != now->ended[resource])
			return false;
		matched++;
	}
	return matched == before->count;
}

static bool lower_claims(const struct k2k_holdings *h, uint32_t own_slot, enum k2k_resource resource)
{
	for (uint32_t i = 0; i < h->count; i++) {
		const struct k2k_holding *at = &h->list[i];

		if (at->broker_slot < own_slot && at->asked[resource] - at->ended[resource] > at->held[resource])
			return true;
	}
	return false;
}

enum verdict { FITS, FULL, LOOK_AGAIN, GIVE_WAY };

static int look(const struct k2k_leaser *leaser, const struct k2k_lease_request *request, uint64_t limit, uint64_t *used,
                enum verdict *verdict)
{
	enum k2k_resource resource = request->resource;
	struct k2k_holdings first, second;
	int code = k2k_lease_collect(leaser->map, request->slot, &first);

	if (code)
		return code;
	*verdict = FITS;
	*used = sum_wanted(&first, resource);
	if (*used <= limit && !request->exact_used)
		return 0;
	keep_living(&first, leaser->census, leaser->broker->incarnation, resource);
	*used = sum_wanted(&first, resource);
	if (*used <= limit)
		return 0;
	*used = sum_held(&first, resource);
	if (*used <= limit && request->amount <= limit - *used) {
		/* only claims stand in the way */
		*verdict = lower_claims(&first, leaser->broker->slot, resource) ? GIVE_WAY : LOOK_AGAIN;
		return 0;
	}
	code = k2k_lease_collect(leaser->map, request->slot, &second);
	if (code)
		return code;
	*verdict = same_again(&first, &second, resource) ? FULL : LOOK_AGAIN;
	return 0;
}

int k2k_lease_acquire(const struct k2k_leaser *leaser, const struct k2k_lease_request *request, uint64_t *used,
                      uint64_t *limit)
{
	uint64_t n = request->amount;
	struct k2k_shm_lease *record;
	struct k2k_shm_claim *claim;
	int code = obtain(leaser, request->slot, request->generation, &record);

	if (code)
		return code;
	claim = &record->claims[request->resource];
	*limit = request->limit(leaser->map, request->slot, request->resource);
	/* relaxed, here and below on our own record: only we write it, under our mutex */
	*used = k2k_load_relaxed(&claim->held);
	if (n > *limit || *used > *limit - n) {
		uint64_t held[K2K_RESOURCES];

		code = k2k_lease_sum(leaser->map, leaser->census, request->slot, held);
		*used = held[request->resource];
		return code ? code : K2K_EBUSY;
	}
	k2k_store_release(&claim->asked, k2k_load_relaxed(&claim->asked) + n); /* publish[lease-asked]: compared by others */
	/*
	 * fence[lease-claim], with itself in another process: of two that claim, at least one sees the other's. Without it
	 * both could sum before either claim left its store buffer.
	 */
	k2k_fence_seq_cst();
	*limit = request->limit(leaser->map, request->slot, request->resource);
	for (int i = 0; i < LOOKS; i++) {
		enum verdict verdict = FULL;

		code = look(leaser, request, *limit, used, &verdict);
		if (!code && verdict == FITS) {
			k2k_store_release(&claim->held, k2k_load_relaxed(&claim->held) + n); /* publish[lease-held]: after the claim */
			return 0;
		}
		if (code || verdict == FULL || verdict == GIVE_WAY) {
			k2k_store_release(&claim->ended, k2k_load_relaxed(&claim->ended) + n); /* publish[lease-ended]: the claim before */
			return code ? code : verdict == FULL ? K2K_EBUSY : K2K_LEASE_AGAIN;
		}
		if (i % 8 == 7)
			sched_yield();
	}
	k2k_store_release(&claim->ended, k2k_load_relaxed(&claim->ended) + n); /* publish[lease-ended]: as above */
	return K2K_LEASE_AGAIN;
}

int k2k_lease_release(const struct k2k_leaser *leaser, uint32_t slot, uint64_t generation, enum k2k_resource resource,
                      uint64_t amount)
{
	struct k2k_shm_lease *record;
	struct k2k_shm_claim *claim;
	uint64_t held;
	int code = find(leaser->map, slot, generation, leaser->broker->slot, &record);

	if (code)
		return code;
	/* relaxed, all loads: only we write our record, under our mutex */
	if (k2k_load_relaxed(&record->incarnation) != leaser->broker->incarnation)
		return K2K_ENOTHELD;
	claim = &record->claims[resource];
	held = k2k_load_relaxed(&claim->held);
	if (held < amount)
		return K2K_ENOTHELD;
	k2k_store_release(&claim->held, held - amount); /* publish[lease-held]: before ended: never free and held at once */
	k2k_store_release(&claim->ended, k2k_load_relaxed(&claim->ended) + amount); /* publish[lease-ended]: held before */
	return 0;
}

/* ---- the writer's ---------------------------------------------------------------- */

int k2k_lease_reap(const struct k2k_map *map, uint32_t slot)
{
	struct k2k_pool pool = k2k_lease_pool(map);
	uint32_t link = k2k_load_acquire(&map->cells[slot].lease_head); /* observe[lease-link]: as ever */
	uint32_t steps = 0;
	struct k2k_shm_lease *record;
	int code;

	/* first the head: killed below, what is left is found by its dead generation */
	k2k_store_release(&map->cells[slot].lease_head, 0); /* publish[lease-link]: an empty list */
	while ((code = walk(map, slot, link, &steps, &record)) == 0) {
		uint32_t index = link - 1;

		link = k2k_load_acquire(&record->entry.next); /* observe[lease-link]: before it is anybody's */
		k2k_pool_free(&pool, index);
	}
	return code == K2K_ENOTHELD ? 0 : code;
}

int k2k_lease_is_linked(const struct k2k_map *map, uint32_t index)
{
	uint32_t slot = k2k_load_relaxed(&map->leases[index].entry.slot); /* relaxed: asked by the writer, of a dead claim */
	uint32_t steps = 0, link;
	struct k2k_shm_lease *record;
	int code;

	if (slot >= map->sizes.tenants)
		return K2K_ENOTHELD;
	link = k2k_load_acquire(&map->cells[slot].lease_head); /* observe[lease-link]: as ever */
	while ((code = walk(map, slot, link, &steps, &record)) == 0) {
		if (record == &map->leases[index])
			return 0;
		link = k2k_load_acquire(&record->entry.next); /* observe[lease-link]: as ever */
	}
	return code;
}
