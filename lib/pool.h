/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pool.h (F5) - fixed records that any process takes without a lock.
 *
 * A record's state word says in one word what it is and whose:
 *
 *   FREE -> CLAIMED|incarnation     by CAS, any process that may write
 *   CLAIMED -> LIVE|incarnation     by its claimer, once it is linked
 *   LIVE -> RETIRED|token           by the single remover (the writer of defs)
 *   RETIRED|token -> CLAIMED|...    by CAS, any process, once that token has passed
 *   CLAIMED|dead -> LIVE or FREE    by the single remover, who looks whether it is linked
 *
 * 1. Only one of many takers gets a record: it is one CAS of that word.
 * 2. A record retired again meanwhile has another token in its word: a taker that
 *    looked earlier fails. (So there is no ABA, and no token apart from the state.)
 * 3. Killed while CLAIMED: the incarnation in the word is dead; nobody waits for it.
 *
 * Where the search begins and where it may end (hint, high) are heuristics in
 * shared memory: clamped here, never trusted.
 */
#ifndef K2K_POOL_H
#define K2K_POOL_H

#include "layout.h"

struct k2k_pool {
	unsigned char *records;
	uint32_t stride, capacity;
	struct k2k_shm_pool *shared;
};

/*
 * The newest token that has passed everywhere; asked at most once a claim, and only where a retired
 * record is met.
 */
struct k2k_passed {
	uint64_t (*ask)(void *context);
	void *context;
};

/* Takes records: brokers and the writer. */
struct k2k_claimer {
	uint64_t incarnation;
	const struct k2k_passed *passed;
	/*
	 * Remembers a failed search until something is given back, for a second at most.
	 * Process-private; starts as UINT64_MAX.
	 */
	k2k_u64 *full_at;
};

static inline struct k2k_shm_entry *k2k_pool_at(const struct k2k_pool *pool, uint32_t index)
{
	return (struct k2k_shm_entry *)(void *)(pool->records + (size_t)pool->stride * index);
}

static inline unsigned int k2k_entry_state(uint64_t word)
{
	return (unsigned int)(word & ((1u << K2K_ENTRY_STATE_BITS) - 1));
}

static inline uint64_t k2k_entry_above(uint64_t word)
{
	return word >> K2K_ENTRY_STATE_BITS;
}

static inline uint64_t k2k_entry_word(enum k2k_entry_state state, uint64_t above)
{
	return above << K2K_ENTRY_STATE_BITS | (uint64_t)state;
}

/*
 * Every fourth record of a larger pool is taken by the writer alone, once the others are full: so
 * brokers can't take the records that a budget needs. By its place, so that no count of them has to
 * be kept true.
 */
#define K2K_POOL_SMALL 64
static inline bool k2k_pool_is_writers(const struct k2k_pool *pool, uint32_t index)
{
	return pool->capacity >= K2K_POOL_SMALL && index % 4 == 3;
}

/* How many records a sweep must look at. */
static inline uint32_t k2k_pool_high(const struct k2k_pool *pool)
{
	/* observe[pool-high]: raised before a record above it was claimed */
	uint32_t high = k2k_load_acquire(&pool->shared->high);

	return high < pool->capacity ? high : pool->capacity;
}

/* Takes a record: true, and it is CLAIMED by the claimer's incarnation. False: the pool is full. */
bool k2k_pool_claim(const struct k2k_pool *pool, const struct k2k_claimer *claimer,
                    uint32_t *index);
/* The claimer's: gives back what it did not link. */
void k2k_pool_unclaim(const struct k2k_pool *pool, uint32_t index);
/* The single remover's: FREE at once, or RETIRED until the token has passed. */
void k2k_pool_free(const struct k2k_pool *pool, uint32_t index);
/* Recovery's: what is remembered as full is to be asked anew. */
void k2k_pool_recount(const struct k2k_pool *pool);
void k2k_pool_retire(const struct k2k_pool *pool, uint32_t index, uint64_t token);

#endif
