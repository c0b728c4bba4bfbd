/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hash.h"

int k2k_hash_corrupt(const struct k2k_hash *hash, uint32_t bucket, const char *what)
{
	return k2k_fail_values(K2K_ECORRUPT, "hash", "chain", hash->pool.capacity, bucket,
	                       "bucket %u: %s", bucket, what);
}

/*
 * If the process is killed before the compare-exchange, the record is CLAIMED and not linked, and
 * the writer frees it. If it is killed after, the record is linked with all its fields. It may not
 * be LIVE yet, which makes no difference to readers.
 */
int k2k_hash_insert(const struct k2k_hash *hash, uint32_t index, const struct k2k_hash_key *key,
                    bool unique, uint32_t *other)
{
	struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	uint32_t bucket = k2k_hash_bucket(hash, key->gen, key->key);
	/* observe[entry-link]: the fields of records inserted before */
	uint32_t head = k2k_load_acquire(&hash->heads[bucket]);
	uint32_t seen = 0;

	assert(index < hash->pool.capacity);
	for (;;) {
		if (unique) {
			int code = k2k_hash_walk(hash, bucket, head, seen, key, NULL, 0, other);

			if (code == 0)
				return K2K_HASH_EXISTS;
			if (code != K2K_HASH_ABSENT)
				return code;
			seen = head;
		}
		/*
		 * publish[entry-link]: generation and key. A walk that reached this record in its
		 * former use and follows this link sees by them that the record was reused (4).
		 */
		k2k_store_release(&entry->next, head);
		K2K_DELAY(inserting);
		/* publish[entry-link]: all fields of this record */
		if (k2k_cas_acq_rel(&hash->heads[bucket], &head, index + 1))
			return 0;
	}
}

/* The bucket of a record that only we remove: its claimer stored the key before it linked it. */
static uint32_t bucket_of(const struct k2k_hash *hash, uint32_t index)
{
	const struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);

	/* relaxed, both: see above */
	return k2k_hash_bucket(hash, k2k_load_relaxed(&entry->gen), k2k_load_relaxed(&entry->key));
}

int k2k_hash_is_linked(const struct k2k_hash *hash, uint32_t index)
{
	return k2k_hash_is_linked_in(hash, bucket_of(hash, index), index);
}

int k2k_hash_is_linked_in(const struct k2k_hash *hash, uint32_t bucket, uint32_t index)
{
	/* observe[entry-link]: fields */
	uint32_t link = k2k_load_acquire(&hash->heads[bucket]), steps = 0;

	/* observe[entry-link] */
	for (; link != 0; link = k2k_load_acquire(&k2k_pool_at(&hash->pool, link - 1)->next)) {
		if (link > hash->pool.capacity || steps++ > hash->pool.capacity)
			return k2k_hash_corrupt(hash, bucket, "the chain is damaged");
		if (link == index + 1)
			return 0;
	}
	return K2K_HASH_ABSENT;
}

/*
 * One store unlinks. If the process is killed before it, the record is RETIRED and linked; if after
 * it, RETIRED and not linked.
 */
int k2k_hash_unlink(const struct k2k_hash *hash, uint32_t index)
{
	return k2k_hash_unlink_in(hash, bucket_of(hash, index), index);
}

int k2k_hash_unlink_in(const struct k2k_hash *hash, uint32_t bucket, uint32_t index)
{
	struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	/*
	 * relaxed: only the single remover, which is this process, changes the link of a linked
	 * record
	 */
	uint32_t next = k2k_load_relaxed(&entry->next);

	for (;;) {
		/* observe[entry-link]: fields */
		uint32_t link = k2k_load_acquire(&hash->heads[bucket]);
		uint32_t steps = 0;

		if (link == index + 1) {
			K2K_DELAY(unlinking);
			/*
			 * publish[entry-link]: the fields of the successor; until now the removed
			 * record's link published them
			 */
			if (k2k_cas_acq_rel(&hash->heads[bucket], &link, next))
				return 0;
			continue; /* another process has inserted a record */
		}
		while (link != 0) {
			struct k2k_shm_entry *at;
			uint32_t follows;

			if (link > hash->pool.capacity || steps++ > hash->pool.capacity)
				return k2k_hash_corrupt(hash, bucket, "the chain is damaged");
			at = k2k_pool_at(&hash->pool, link - 1);
			follows = k2k_load_acquire(&at->next); /* observe[entry-link]: fields */
			if (follows == index + 1) {
				/* publish[entry-link]: as above */
				k2k_store_release(&at->next, next);
				return 0;
			}
			link = follows;
		}
		return K2K_HASH_ABSENT;
	}
}
