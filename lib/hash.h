/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hash.h (F5) - the one kind of hash table: bucket heads, and records linked through themselves.
 *
 * 1. One compare-exchange inserts a record at the head of its chain. All fields of the record are
 *    written before.
 * 2. Only one process at a time removes records, the writer of defs: by one store, or by one
 *    compare-exchange at the head. (In the directory of kernels: one process for each bucket, see
 *    kernel.h.)
 * 3. A removed record keeps its link until it is reused, and it is reused only after a grace
 *    period. So a reader that has reached the record inside a read section can follow its link.
 *    (Records of kernels are reused at once: there each reader is one of 4, and what it has missed
 *    was not in the chain all the time, because a chain grows at its head only.)
 * 4. A reader without a read section (observer, administrator) may reach a record that has been
 *    reused, or is being reused, and follow its link into another chain. If it meets a record of
 *    another bucket, the walk starts again. If it finds nothing, its caller believes that only if
 *    the token shows that no record was reused (grace.h 6).
 * 5. Every walk has a bound: damage leads to K2K_ECORRUPT, never to an endless loop.
 * 6. If two processes insert the same key, the loser of the compare-exchange searches the records
 *    inserted meanwhile before it tries again, and finds the winner's record.
 *
 * There are no tombstones, the table is never rebuilt, and no record moves.
 */
#ifndef K2K_HASH_H
#define K2K_HASH_H

#include "delay.h"
#include "error.h"
#include "pool.h"

#define K2K_HASH_RESTARTS 1000

struct k2k_hash {
	k2k_u32 *heads;
	uint32_t mask;
	struct k2k_pool pool;
};

struct k2k_hash_key {
	uint64_t gen, key;
	uint32_t slot;
};

static inline uint32_t k2k_hash_bucket(const struct k2k_hash *hash, uint64_t gen, uint64_t key)
{
	return (uint32_t)k2k_mix64(gen * UINT64_C(0x9e3779b97f4a7c15) ^ key) & hash->mask;
}

static inline bool k2k_hash_matches(const struct k2k_shm_entry *entry,
                                    const struct k2k_hash_key *key)
{
	/* relaxed: stored before the link to this record was published, and we acquired the link */
	return k2k_load_relaxed(&entry->gen) == key->gen &&
	       k2k_load_relaxed(&entry->key) == key->key &&
	       k2k_load_relaxed(&entry->slot) == key->slot;
}

int k2k_hash_corrupt(const struct k2k_hash *hash, uint32_t bucket, const char *what)
	__attribute__((cold));

/*
 * Walks the chain from `link` to its end, or to the link `until`, and stops at the first record
 * that has the key and for which `accept` returns true (null: any record that has the key). 0, with
 * *index set; K2K_HASH_ABSENT; K2K_ECORRUPT.
 */
static inline int k2k_hash_walk(const struct k2k_hash *hash, uint32_t bucket, uint32_t link,
                                uint32_t until, const struct k2k_hash_key *key,
                                bool (*accept)(const struct k2k_shm_entry *, uint64_t),
                                uint64_t context, uint32_t *index)
{
	uint64_t steps = 0, most = 4 * (uint64_t)hash->pool.capacity + K2K_HASH_RESTARTS;
	uint32_t restarts = 0;

	while (link != 0 && link != until) {
		const struct k2k_shm_entry *entry;
		uint32_t next;

		if (k2k_unlikely(link > hash->pool.capacity))
			return k2k_hash_corrupt(hash, bucket, "a link points outside of the table");
		if (k2k_unlikely(steps++ > most))
			return k2k_hash_corrupt(hash, bucket, "the chain does not end");
		entry = k2k_pool_at(&hash->pool, link - 1);
		K2K_DELAY(hash_walked);
		if (k2k_hash_matches(entry, key) && (!accept || accept(entry, context))) {
			*index = link - 1;
			return 0;
		}
		/* observe[entry-link]: the fields of the record it leads to */
		next = k2k_load_acquire(&entry->next);
		/*
		 * relaxed: ordered by the acquire of the link. If the record belongs to another
		 * bucket, it was reused during the walk (4), or is damaged.
		 */
		if (k2k_unlikely(k2k_hash_bucket(hash, k2k_load_relaxed(&entry->gen),
		                                 k2k_load_relaxed(&entry->key)) != bucket)) {
			if (restarts++ > K2K_HASH_RESTARTS)
				return k2k_hash_corrupt(
					hash, bucket, "a record of another bucket is in the chain");
			/* observe[entry-link]: as above */
			link = k2k_load_acquire(&hash->heads[bucket]);
			until = 0;
			continue;
		}
		link = next;
	}
	return K2K_HASH_ABSENT;
}

static inline int k2k_hash_find(const struct k2k_hash *hash, const struct k2k_hash_key *key,
                                uint32_t *index)
{
	uint32_t bucket = k2k_hash_bucket(hash, key->gen, key->key);
	/* observe[entry-link]: the fields of the record it leads to */
	uint32_t link = k2k_load_acquire(&hash->heads[bucket]);

	return k2k_hash_walk(hash, bucket, link, 0, key, NULL, 0, index);
}

#define K2K_HASH_NEAR 4

/* Searches the first K2K_HASH_NEAR records. False means "not found here", not "absent". */
static inline bool k2k_hash_find_near(const struct k2k_hash *hash, const struct k2k_hash_key *key,
                                      uint32_t *index)
{
	/* observe[entry-link]: the fields of the record it leads to */
	uint32_t at = k2k_load_acquire(&hash->heads[k2k_hash_bucket(hash, key->gen, key->key)]) - 1;

	for (int i = 0; i < K2K_HASH_NEAR && k2k_likely(at < hash->pool.capacity); i++) {
		const struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, at);

		K2K_DELAY(hash_walked);
		if (k2k_likely(k2k_hash_matches(entry, key))) {
			*index = at;
			return true;
		}
		/* observe[entry-link]: the fields of the record it leads to */
		at = k2k_load_acquire(&entry->next) - 1;
	}
	return false;
}

/*
 * Links the filled record `index`. 0 if linked; K2K_HASH_EXISTS, with *other set, if `unique` and
 * the key is present; K2K_ECORRUPT.
 */
int k2k_hash_insert(const struct k2k_hash *hash, uint32_t index, const struct k2k_hash_key *key,
                    bool unique, uint32_t *other);

/* Called by the single remover. 0: unlinked; K2K_HASH_ABSENT: it was not linked; K2K_ECORRUPT. */
int k2k_hash_unlink(const struct k2k_hash *hash, uint32_t index);
/* Called by the single remover; changes nothing. 0: linked; K2K_HASH_ABSENT; K2K_ECORRUPT. */
int k2k_hash_is_linked(const struct k2k_hash *hash, uint32_t index);
/*
 * The same for the single remover of one bucket: a record whose key it does not rely on, since the
 * record may be in use for another bucket by now.
 */
int k2k_hash_unlink_in(const struct k2k_hash *hash, uint32_t bucket, uint32_t index);
int k2k_hash_is_linked_in(const struct k2k_hash *hash, uint32_t bucket, uint32_t index);

#endif
