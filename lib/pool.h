/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pool.h (F5) - a fixed number of records that any process takes without a lock.
 *
 * The state word of a record contains its state, and with it the incarnation that claimed the
 * record, or the token that must pass before it is reused:
 *
 *   FREE -> CLAIMED|incarnation      by CAS, any process that may write
 *   CLAIMED -> LIVE|incarnation      by its claimer, once it is linked
 *   LIVE -> RETIRED|token            by the single remover (the writer of defs)
 *   RETIRED|token -> CLAIMED|...     by CAS, any process, once that token has passed
 *   CLAIMED|dead -> LIVE or FREE     by the single remover, depending on whether it is linked
 *
 * 1. Only one of many claimers gets a record, since the claim is one CAS of that word.
 * 2. If a record is used and retired again, its word has another token, so the CAS of a claimer
 *    that loaded the word before fails. State and token are one word, so there is no ABA.
 * 3. If a claimer is killed, the incarnation in the word is dead. Nobody waits for the record.
 *
 * `hint` says where a search begins, and `high` where a sweep may end. Both are heuristics in
 * shared memory: this file clamps them, and never trusts them.
 */
#ifndef K2K_POOL_H
#define K2K_POOL_H

#include "layout.h"

struct k2k_pool {
	unsigned char *records;
	uint32_t stride, capacity;
	struct k2k_shm_pool *shared;
	bool whole; /* brokers may take all records: none is reserved for the writer */
};

/*
 * Returns the newest token whose grace period has passed. A search asks at most once, when it finds
 * a retired record.
 */
struct k2k_passed {
	uint64_t (*ask)(void *context);
	void *context;
};

/* A broker or the writer. */
struct k2k_claimer {
	uint64_t incarnation;
	const struct k2k_passed *passed;
	/*
	 * Remembers that a search failed, until a record is given back or the second ends. It is
	 * private to the process, and starts as UINT64_MAX.
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
 * Every fourth record of a pool that is not small is reserved for the writer, which takes it only
 * when all others are taken. So brokers can't use up the records that budgets need. The index tells
 * which records these are, so no count of them can be wrong after a kill.
 */
#define K2K_POOL_SMALL 64
static inline bool k2k_pool_is_writers(const struct k2k_pool *pool, uint32_t index)
{
	return !pool->whole && pool->capacity >= K2K_POOL_SMALL && index % 4 == 3;
}

/* No record at or above this index was ever claimed. */
static inline uint32_t k2k_pool_high(const struct k2k_pool *pool)
{
	/* observe[pool-high]: it is raised before a record at or above it is claimed */
	uint32_t high = k2k_load_acquire(&pool->shared->high);

	return high < pool->capacity ? high : pool->capacity;
}

/* True: *index is CLAIMED by the claimer's incarnation. False: the pool is full. */
bool k2k_pool_claim(const struct k2k_pool *pool, const struct k2k_claimer *claimer,
                    uint32_t *index);
/* Called by the claimer: frees a record that it did not link. */
void k2k_pool_unclaim(const struct k2k_pool *pool, uint32_t index);
/* Called by the single remover: the record is FREE at once. */
void k2k_pool_free(const struct k2k_pool *pool, uint32_t index);
/*
 * The same, and the record keeps its key: another process may be about to become the remover of the
 * bucket that the key names, and must find the record in no other one.
 */
void k2k_pool_put_back(const struct k2k_pool *pool, uint32_t index);
/* Called by the single remover: the record is RETIRED until the token has passed. */
void k2k_pool_retire(const struct k2k_pool *pool, uint32_t index, uint64_t token);
/* Called by recovery: makes every process forget that it found the pool full. */
void k2k_pool_recount(const struct k2k_pool *pool);

#endif
