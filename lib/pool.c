/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool.h"

#include "clock.h"
#include "delay.h"

static void raise_high(const struct k2k_pool *pool, uint32_t to)
{
	uint32_t high = k2k_load_relaxed(&pool->shared->high); /* relaxed: the CAS below decides */

	while (high < to)
		/* publish[pool-high]: before the claim of the record below it */
		if (k2k_cas_acq_rel(&pool->shared->high, &high, to))
			break;
}

/*
 * Returns the word that means "full while `freed` is unchanged, and until this second ends". The
 * time limit is needed because a process may be killed or stopped between freeing a record and
 * counting it.
 */
static uint64_t full_as_of(uint32_t freed)
{
	return k2k_clock_monotonic_ns() / K2K_NS_PER_SEC << 32 | freed;
}

static bool is_remembered(k2k_u64 *full_at, uint32_t freed)
{
	uint64_t word = k2k_load_relaxed(full_at); /* relaxed: a cache of this process */

	return word != UINT64_MAX && (uint32_t)word == freed && word == full_as_of(freed);
}

/* WAITING: a record will be free once a grace period has passed, so "full" must not be cached. */
enum found { TAKEN, WAITING, FULL };

/* If `writers`, searches the records that are reserved for the writer; else all others. */
static enum found search(const struct k2k_pool *pool, const struct k2k_claimer *claimer,
                         bool writers, uint32_t *index)
{
	k2k_u32 *hint = writers ? &pool->shared->writer_hint : &pool->shared->hint;
	uint32_t start = k2k_load_relaxed(hint); /* relaxed: a hint */
	bool asked = false, waiting = false;
	uint64_t token = 0;

	if (start >= pool->capacity)
		start = 0;
	for (uint32_t i = 0; i < pool->capacity; i++) {
		uint32_t at = start + i < pool->capacity ? start + i : start + i - pool->capacity;
		struct k2k_shm_entry *entry = k2k_pool_at(pool, at);
		uint64_t word;

		if (k2k_pool_is_writers(pool, at) != writers)
			continue;
		/* observe[entry-state]: what the remover stored before it freed or retired it */
		word = k2k_load_acquire(&entry->state);
		if (k2k_entry_state(word) == K2K_ENTRY_RETIRED) {
			if (!asked) {
				token = claimer->passed->ask(claimer->passed->context);
				asked = true;
			}
			if (k2k_entry_above(word) > token) {
				waiting = true;
				continue;
			}
		} else if (k2k_entry_state(word) != K2K_ENTRY_FREE) {
			continue;
		}
		raise_high(pool, at + 1);
		K2K_DELAY(chosen);
		/* observe[entry-state]: as above; publish[entry-state]: the high mark */
		if (k2k_cas_acq_rel(&entry->state, &word,
		                    k2k_entry_word(K2K_ENTRY_CLAIMED, claimer->incarnation))) {
			k2k_store_relaxed(hint, at + 1); /* relaxed: a hint */
			*index = at;
			return TAKEN;
		}
	}
	return waiting ? WAITING : FULL;
}

bool k2k_pool_claim(const struct k2k_pool *pool, const struct k2k_claimer *claimer, uint32_t *index)
{
	/*
	 * observe[pool-freed]: the states of all records that were given back up to this count. So
	 * if the search finds none, the pool was full at this count.
	 */
	uint32_t freed = k2k_load_acquire(&pool->shared->freed);

	if (!is_remembered(claimer->full_at, freed)) {
		enum found found = search(pool, claimer, false, index);

		if (found == TAKEN)
			return true;
		if (found == FULL)
			/* relaxed: a cache of this process */
			k2k_store_relaxed(claimer->full_at, full_as_of(freed));
	}
	return claimer->incarnation == K2K_INCARNATION_WRITER && pool->capacity >= K2K_POOL_SMALL &&
	       search(pool, claimer, true, index) == TAKEN;
}

void k2k_pool_unclaim(const struct k2k_pool *pool, uint32_t index)
{
	struct k2k_shm_entry *entry = k2k_pool_at(pool, index);

	k2k_store_relaxed(&entry->gen, 0); /* relaxed: it was never linked */
	/* publish[entry-state]: all that we stored there */
	k2k_store_release(&entry->state, K2K_ENTRY_FREE);
	k2k_add_acq_rel(&pool->shared->freed, 1); /* publish[pool-freed]: the state FREE */
}

static void given_back(const struct k2k_pool *pool, uint32_t index)
{
	k2k_u32 *hint = k2k_pool_is_writers(pool, index) ? &pool->shared->writer_hint
	                                                 : &pool->shared->hint;

	/* relaxed, both: a hint */
	if (index < k2k_load_relaxed(hint))
		k2k_store_relaxed(hint, index);
	/* publish[pool-freed]: the state FREE or RETIRED */
	k2k_add_acq_rel(&pool->shared->freed, 1);
}

void k2k_pool_recount(const struct k2k_pool *pool)
{
	/* publish[pool-freed]: records that a killed writer freed without counting them */
	k2k_add_acq_rel(&pool->shared->freed, 1);
}

void k2k_pool_free(const struct k2k_pool *pool, uint32_t index)
{
	struct k2k_shm_entry *entry = k2k_pool_at(pool, index);

	k2k_store_relaxed(&entry->gen, 0); /* relaxed: not linked; sweeps load the state first */
	/* publish[entry-state]: no reader refers to it any more */
	k2k_store_release(&entry->state, K2K_ENTRY_FREE);
	given_back(pool, index);
}

void k2k_pool_put_back(const struct k2k_pool *pool, uint32_t index)
{
	/* publish[entry-state]: no reader relies on it any more */
	k2k_store_release(&k2k_pool_at(pool, index)->state, K2K_ENTRY_FREE);
	given_back(pool, index);
}

void k2k_pool_retire(const struct k2k_pool *pool, uint32_t index, uint64_t token)
{
	/* publish[entry-state]: it precedes the unlink, so recovery finds what it must unlink */
	k2k_store_release(&k2k_pool_at(pool, index)->state,
	                  k2k_entry_word(K2K_ENTRY_RETIRED, token));
	given_back(pool, index);
}
