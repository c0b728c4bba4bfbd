/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ledger.h (F6) - the GPU time of each (tenant, generation, engagement).
 *
 * 1. A record is found by its key through the hash, and inserted once (hash.h, 6).
 * 2. Its cost only grows, and stops at UINT64_MAX: one compare-exchange a booking.
 * 3. In a table of 64 records or more, brokers take at most half of the records for one tenant, and
 *    never every fourth record: those are for budgets that administrators set. So a tenant that
 *    books under more and more engagements can't take the records of others. The tenant's count is
 *    raised before a record is taken: a kill in between leaves it one too high, so the tenant may
 *    have one record less until recovery counts again. (Recovery may be wrong by the claims that
 *    are made meanwhile. The count only shares records out; nothing else relies on it.)
 * 4. Corrections by administrators are a sum of their own, which only the writer changes: the cost
 *    stays what was booked. Cost and corrections together are never below 0.
 * 5. A record is unlinked by the writer after the tenant's grace period, and reused after one more:
 *    a booking that found it has ended by then.
 *
 * track on a new engagement, killed after:   others see        recovery
 *   has_costs stored                         nothing           -
 *   CLAIMED                                  nothing           FREE
 *   fields                                   nothing           FREE
 *   linked                                   cost 0            LIVE
 *   LIVE                                     cost 0            -
 *   added                                    the cost          -
 *
 * Model: tests/model/ledger.pml. It assumes sequentially consistent memory. That is enough: every
 * decision is a compare-exchange of the word that it is about, and what must be seen together with
 * that word is ordered by entry-state (acquire and release), entry-link (release; each walk
 * acquires) and cost-gen. No decision reads one word after it wrote another, so no fence is needed.
 * cost-booked is for readers of a period: see period.h.
 */
#ifndef K2K_LEDGER_H
#define K2K_LEDGER_H

#include "error.h"
#include "hash.h"
#include "map.h"

static inline struct k2k_hash k2k_ledger_hash(const struct k2k_map *map)
{
	struct k2k_hash hash = { map->ledger_heads,
		                 map->ledger_mask,
		                 { (unsigned char *)map->ledger, sizeof(struct k2k_shm_cost),
		                   map->sizes.engagements, &map->live->ledger_pool, false } };

	return hash;
}

/* 0 and *index, K2K_HASH_ABSENT, K2K_ECORRUPT. */
static inline int k2k_ledger_find(const struct k2k_map *map, const struct k2k_hash_key *key,
                                  uint32_t *index)
{
	struct k2k_hash hash = k2k_ledger_hash(map);

	return k2k_hash_find(&hash, key, index);
}

/* Searches the first records of the bucket. False means "not found here", not "absent". */
static inline bool k2k_ledger_find_near(const struct k2k_map *map, const struct k2k_hash_key *key,
                                        uint32_t *index)
{
	struct k2k_hash hash = k2k_ledger_hash(map);

	return k2k_hash_find_near(&hash, key, index);
}

/*
 * Finds the record, or makes one. Call it in a read section, or with the writer's lock. 0,
 * K2K_EFULL (without a detail), K2K_ECORRUPT.
 */
int k2k_ledger_obtain(const struct k2k_map *map, const struct k2k_claimer *claimer,
                      const struct k2k_hash_key *key, uint32_t *index);

/* Adds ns; returns the part of it that exceeds UINT64_MAX. */
static inline uint64_t k2k_ledger_add(struct k2k_shm_cost *record, uint64_t ns)
{
	/* relaxed: a number that is compared */
	uint64_t cost = k2k_load_relaxed(&record->cost_ns), sum, rest;

	do {
		sum = k2k_sat_add(cost, ns);
		rest = ns - (sum - cost);
		/* publish[cost-booked]: the period in which it counts, which was begun before */
	} while (!k2k_cas_weak_release(&record->cost_ns, &cost, sum));
	return rest;
}

/* Adds what could not be booked to the tenant's total of that, which stops at UINT64_MAX. */
static inline void k2k_ledger_add_unattributed(const struct k2k_map *map, uint32_t slot,
                                               uint64_t ns)
{
	k2k_u64 *total = &map->cells_cold[slot].unattributed_ns;
	/* relaxed, both: a number that publishes nothing else */
	uint64_t was = k2k_load_relaxed(total);

	while (!k2k_cas_weak_relaxed(total, &was, k2k_sat_add(was, ns)))
		;
}

/* The cost and the corrections, which is what a budget for ever counts; never below 0. */
static inline uint64_t k2k_ledger_corrected(const struct k2k_shm_cost *record)
{
	/* relaxed, both: numbers that publish nothing else */
	return k2k_sat_add_signed(k2k_load_relaxed(&record->cost_ns),
	                          (int64_t)k2k_load_relaxed(&record->corrected_ns));
}

/* How many records brokers take for one tenant, at most (3). */
static inline uint32_t k2k_ledger_share(const struct k2k_map *map)
{
	return map->sizes.engagements < K2K_POOL_SMALL ? map->sizes.engagements
	                                               : map->sizes.engagements / 2;
}

/*
 * Counts the records of each tenant again, for recovery: killed brokers leave counts too high (3).
 * If memory is short the counts stay too high, which is safe.
 */
void k2k_ledger_recount(const struct k2k_map *map);

#define K2K_SWEEP_RETRIES 1000

struct k2k_cost_copy {
	bool claimed; /* not LIVE yet: being made, or taken again and not yet filled */
	uint32_t index, slot;
	uint64_t generation, engagement, cost_ns;
	int64_t corrected_ns;
};

/*
 * Visits every record that is in use, with a copy of its fields; for callers that can't search by
 * key. Returns the first non-zero result of visit. It is inlined together with its visitor: with a
 * call for each record it takes twice as long.
 */
static inline __attribute__((always_inline)) int k2k_ledger_sweep(
	const struct k2k_map *map, int (*visit)(void *context, const struct k2k_cost_copy *cost),
	void *context)
{
	struct k2k_hash hash = k2k_ledger_hash(map);
	uint32_t high = k2k_pool_high(&hash.pool), retries = 0;

	for (uint32_t i = 0; i < high; i++) {
		const struct k2k_shm_cost *record = &map->ledger[i];
		struct k2k_cost_copy copy;
		uint64_t word;
		unsigned int state;
		int code;

		/* observe[entry-state]: the key of this use of the record */
		word = k2k_load_acquire(&record->entry.state);
		state = k2k_entry_state(word);
		if (state != K2K_ENTRY_LIVE && state != K2K_ENTRY_CLAIMED)
			continue;
		copy.claimed = state == K2K_ENTRY_CLAIMED;
		copy.index = i;
		/* observe[cost-gen]: cost and key of this use, not of the one before */
		copy.generation = k2k_load_acquire(&record->entry.gen);
		/* relaxed, all: between the two looks at the state */
		copy.slot = k2k_load_relaxed(&record->entry.slot);
		copy.engagement = k2k_load_relaxed(&record->entry.key);
		copy.cost_ns = k2k_load_relaxed(&record->cost_ns);
		copy.corrected_ns = (int64_t)k2k_load_relaxed(&record->corrected_ns);
		k2k_fence_acquire(); /* the copies come before the second look */
		/* relaxed: ordered by the fence */
		if (k2k_load_relaxed(&record->entry.state) != word) {
			if (retries++ > K2K_SWEEP_RETRIES)
				return k2k_fail_values(K2K_ECORRUPT, "engagements", "state", word,
				                       i, "record %u changes all the time", i);
			i--;
			continue;
		}
		retries = 0;
		if (state == K2K_ENTRY_CLAIMED && copy.cost_ns == 0)
			continue; /* a claim that is being made, or that a killed process left */
		if (copy.slot >= map->sizes.tenants)
			continue; /* damage, which check reports; or a claim that is being made */
		code = visit(context, &copy);
		if (code)
			return code;
	}
	return 0;
}

#endif
