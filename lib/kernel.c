/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel.h"

#include <string.h>

#include "delay.h"

#define READS 1000 /* of one name: each repetition means that its record has changed meanwhile */

/* ---- names -------------------------------------------------------------------------------- */

/*
 * NH, the hash of UMAC (Black, Halevi, Krawczyk, Krovetz, Rogaway, 1999), with words of 64 bits:
 * two names have one hash with a probability of 2^-64, whoever chose them without the key.
 */
struct k2k_hash_key k2k_kernel_key(const struct k2k_map *map,
                                   const uint64_t words[K2K_KERNEL_NAME_WORDS])
{
	const uint64_t *key = map->defs->kernel_key;
	unsigned __int128 sum = 0;

	for (int i = 0; i < K2K_KERNEL_NAME_WORDS; i += 2)
		sum += (unsigned __int128)(words[i] + key[i]) * (words[i + 1] + key[i + 1]);
	return (struct k2k_hash_key){ .gen = (uint64_t)(sum >> 64), .key = (uint64_t)sum };
}

bool k2k_kernel_name(const struct k2k_map *map, const char *text, struct k2k_kernel_name *name)
{
	size_t bytes = strnlen(text, K2K_KERNEL_NAME_MAX + 1);

	if (bytes == 0 || bytes > K2K_KERNEL_NAME_MAX)
		return false;
	memset(name->words, 0, sizeof(name->words));
	memcpy(name->words, text, bytes);
	name->key = k2k_kernel_key(map, name->words);
	name->bucket = k2k_hash_bucket(&(struct k2k_hash){ .mask = map->kernel_mask },
	                               name->key.gen, name->key.key);
	return true;
}

/* ---- finding ------------------------------------------------------------------------------ */

static const struct k2k_shm_kernel *kernel_of(const struct k2k_shm_entry *entry)
{
	return (const struct k2k_shm_kernel *)(const void *)entry;
}

static inline bool has_words(const struct k2k_shm_kernel *kernel, const uint64_t *words)
{
	for (int i = 0; i < K2K_KERNEL_NAME_WORDS; i++)
		/* relaxed: the caller loads the word again, or has the claim */
		if (k2k_load_relaxed(&kernel->name[i]) != words[i])
			return false;
	return true;
}

static bool has_name(const struct k2k_shm_entry *entry, uint64_t context)
{
	const struct k2k_kernel_name *name = (const void *)(uintptr_t)context;

	return has_words(kernel_of(entry), name->words);
}

static int find(const struct k2k_map *map, const struct k2k_kernel_name *name, uint32_t *index)
{
	const struct k2k_hash hash = k2k_kernel_hash(map);
	/* observe[entry-link]: the fields of the record it leads to */
	uint32_t link = k2k_load_acquire(&hash.heads[name->bucket]);

	return k2k_hash_walk(&hash, name->bucket, link, 0, &name->key, has_name,
	                     (uint64_t)(uintptr_t)name, index);
}

/* Copies what the word selects. The caller loads the word before, and again afterwards. */
static inline void copy_fields(const struct k2k_shm_kernel *kernel, struct k2k_kernel_copy *copy)
{
	const struct k2k_shm_kernel_set *set = &kernel->sets[k2k_kernel_set(copy->word)];

	/* relaxed, all: between the two loads of the word */
	copy->incarnation = k2k_load_relaxed(&kernel->incarnation);
	copy->broker = k2k_load_relaxed(&kernel->broker);
	copy->of.generation = k2k_load_relaxed(&set->gen);
	copy->of.slot = k2k_load_relaxed(&set->slot);
	copy->of.tag.org_id = k2k_load_relaxed(&set->org_id);
	copy->of.tag.engagement_id = k2k_load_relaxed(&set->engagement_id);
	copy->of.address.words[0] = k2k_load_relaxed(&set->address[0]);
	copy->of.address.words[1] = k2k_load_relaxed(&set->address[1]);
}

/* May the numbers of a LIVE one be used as indices? */
static inline bool is_usable(const struct k2k_map *map, const struct k2k_kernel_copy *copy)
{
	return (copy->broker < map->sizes.slots && copy->of.slot < map->sizes.tenants) ||
	       k2k_kernel_state(copy->word) != K2K_KERNEL_LIVE;
}

static int not_usable(uint32_t index)
{
	return k2k_fail_values(K2K_ECORRUPT, "kernels", "record", 0, index,
	                       "record %u names a broker or a tenant that can't exist", index);
}

int k2k_kernel_look(const struct k2k_map *map, const struct k2k_kernel_name *name,
                    struct k2k_kernel_copy *copy)
{
	for (int reads = 0; reads < READS; reads++) {
		const struct k2k_shm_kernel *kernel;
		bool same;
		int code = find(map, name, &copy->index);

		if (k2k_unlikely(code))
			return code;
		kernel = &map->kernels[copy->index];
		/* observe[kernel-word]: the set that it selects, and the owner */
		copy->word = k2k_load_acquire(&kernel->word);
		K2K_DELAY(kernel_found);
		/* the record may be another name's by now */
		same = k2k_hash_matches(&kernel->entry, &name->key) &&
		       has_words(kernel, name->words);
		copy_fields(kernel, copy);
		K2K_DELAY(kernel_copied);
		/* fence[kernel-word] in it, with those of take_over() and k2k_kernel_publish() */
		if (k2k_likely(same && k2k_kernel_is_still(map, copy)))
			return k2k_likely(is_usable(map, copy)) ? 0 : not_usable(copy->index);
	}
	return k2k_fail(K2K_ECORRUPT, "kernels", "word",
	                "a kernel's record changed during %d reads in a row", READS);
}

bool k2k_kernel_copy_at(const struct k2k_map *map, uint32_t index,
                        uint64_t words[K2K_KERNEL_NAME_WORDS], struct k2k_kernel_copy *copy)
{
	const struct k2k_shm_kernel *kernel = &map->kernels[index];

	copy->index = index;
	/* observe[kernel-word]: as in k2k_kernel_look() */
	copy->word = k2k_load_acquire(&kernel->word);
	for (int i = 0; i < K2K_KERNEL_NAME_WORDS; i++)
		/* relaxed: between the two loads of the word */
		words[i] = k2k_load_relaxed(&kernel->name[i]);
	copy_fields(kernel, copy);
	return k2k_kernel_is_still(map, copy) && is_usable(map, copy);
}

bool k2k_kernel_seems_alive(const struct k2k_map *map, struct k2k_liveness *liveness,
                            const struct k2k_kernel_copy *copy)
{
	const struct k2k_shm_slot *slot = &map->slots[copy->broker];

	/* relaxed, both: if they say "dead", the kernel is asked; else see the head of the call */
	return k2k_likely(k2k_load_relaxed(&slot->owner) == copy->incarnation &&
	                  k2k_load_relaxed(&slot->death_reported) != copy->incarnation) ||
	       k2k_liveness_alive(liveness, copy->incarnation);
}

/* ---- claims ------------------------------------------------------------------------------- */

int k2k_kernel_claim(const struct k2k_kernel_user *user, uint32_t bucket, uint64_t *other)
{
	k2k_u64 *claim = &user->map->kernel_claims[bucket];
	uint64_t own = user->broker->incarnation, was = 0;

	/* observe[kernel-claim]: what its last holder did to the bucket */
	while (!k2k_cas_acquire(claim, &was, own)) {
		/* our own: damage, since only one of our threads uses claims */
		if (was == own)
			return 0;
		if (k2k_liveness_alive(user->liveness, was)) {
			*other = was;
			return K2K_EBUSY;
		}
		/* a dead one never changes it again: the next exchange expects it, or another's */
	}
	K2K_DELAY(kernel_claimed);
	return 0;
}

void k2k_kernel_unclaim(const struct k2k_kernel_user *user, uint32_t bucket)
{
	K2K_DELAY(kernel_unclaiming);
	/* publish[kernel-claim]: all that was done to the bucket */
	k2k_store_release(&user->map->kernel_claims[bucket], 0);
}

/* ---- add ---------------------------------------------------------------------------------- */

static uint64_t no_token(void *context)
{
	(void)context;
	return 0; /* no record of this pool is ever RETIRED, unless bytes lie */
}

/*
 * Makes a record RESERVED by us: a record that is PARKED or of a dead owner, under the claim; or
 * one that we have CLAIMED.
 */
static void take_over(const struct k2k_kernel_user *user, struct k2k_shm_kernel *kernel)
{
	/* relaxed: nobody else writes it now */
	uint64_t word = k2k_load_relaxed(&kernel->word);

	/* relaxed: ordered by the fence */
	k2k_store_relaxed(&kernel->word,
	                  k2k_kernel_word_after(word, k2k_kernel_set(word), K2K_KERNEL_RESERVED));
	/*
	 * fence[kernel-word] with that of k2k_kernel_is_still(): a reader that has seen a word
	 * stored below sees the new version, and reads again
	 */
	k2k_fence_release();
	K2K_DELAY(kernel_reserved);
	/* relaxed, both: as above; published by the claim, the link or the next word */
	k2k_store_relaxed(&kernel->incarnation, user->broker->incarnation);
	k2k_store_relaxed(&kernel->broker, user->broker->slot);
}

/* Links a new record of the name, RESERVED by us, under the claim. */
static int insert(const struct k2k_kernel_user *user, const struct k2k_kernel_name *name,
                  uint32_t *index)
{
	const struct k2k_passed passed = { .ask = no_token };
	const struct k2k_claimer claimer = { user->broker->incarnation, &passed, user->full_at };
	const struct k2k_hash hash = k2k_kernel_hash(user->map);
	struct k2k_shm_kernel *kernel;

	if (!k2k_pool_claim(&hash.pool, &claimer, index))
		return K2K_EFULL;
	K2K_DELAY(kernel_taken);
	kernel = &user->map->kernels[*index];
	take_over(user, kernel);
	/* relaxed, all: after the fence in take_over(); published by the link */
	k2k_store_relaxed(&kernel->entry.gen, name->key.gen);
	k2k_store_relaxed(&kernel->entry.key, name->key.key);
	k2k_store_relaxed(&kernel->entry.slot, 0);
	for (int i = 0; i < K2K_KERNEL_NAME_WORDS; i++)
		k2k_store_relaxed(&kernel->name[i], name->words[i]);
	k2k_hash_insert(&hash, *index, &name->key, false, NULL);
	K2K_DELAY(kernel_linked);
	/* publish[entry-state]: it is linked */
	k2k_store_release(&kernel->entry.state,
	                  k2k_entry_word(K2K_ENTRY_LIVE, user->broker->incarnation));
	return 0;
}

/* Under the claim. As k2k_kernel_reserve(). */
static int reserve_claimed(const struct k2k_kernel_user *user, const struct k2k_kernel_name *name,
                           struct k2k_kernel_copy *copy, uint64_t *other)
{
	struct k2k_shm_kernel *kernel;
	int code = find(user->map, name, &copy->index);

	if (code == K2K_HASH_ABSENT)
		return insert(user, name, &copy->index);
	if (code)
		return code;
	kernel = &user->map->kernels[copy->index];
	/* observe[kernel-word]: its owner; under the claim only a living owner changes the two */
	copy->word = k2k_load_acquire(&kernel->word);
	copy_fields(kernel, copy);
	if (copy->incarnation == user->broker->incarnation &&
	    k2k_kernel_state(copy->word) == K2K_KERNEL_LIVE)
		return is_usable(user->map, copy) ? K2K_KERNEL_OURS : not_usable(copy->index);
	*other = copy->incarnation;
	if (k2k_kernel_state(copy->word) != K2K_KERNEL_PARKED &&
	    copy->incarnation != user->broker->incarnation &&
	    k2k_liveness_alive(user->liveness, copy->incarnation))
		return k2k_kernel_state(copy->word) == K2K_KERNEL_LIVE ? K2K_EEXIST
		                                                       : K2K_KERNEL_AGAIN;
	take_over(user, kernel);
	return 0;
}

int k2k_kernel_reserve(const struct k2k_kernel_user *user, const struct k2k_kernel_name *name,
                       struct k2k_kernel_copy *copy, uint64_t *other)
{
	int code = k2k_kernel_claim(user, name->bucket, other);

	if (code)
		return K2K_KERNEL_AGAIN;
	code = reserve_claimed(user, name, copy, other);
	k2k_kernel_unclaim(user, name->bucket);
	return code;
}

void k2k_kernel_publish(const struct k2k_kernel_user *user, uint32_t index,
                        const struct k2k_kernel_of *of)
{
	struct k2k_shm_kernel *kernel = &user->map->kernels[index];
	/* relaxed: only we write it, under the handle's mutex */
	uint64_t word = k2k_load_relaxed(&kernel->word);
	unsigned int other = !k2k_kernel_set(word);
	struct k2k_shm_kernel_set *set = &kernel->sets[other];

	/*
	 * fence[kernel-word] with that of k2k_kernel_is_still(): a reader that selected this set by
	 * an earlier word, and has seen a store below, sees a later word, and reads again
	 */
	k2k_fence_release();
	/* relaxed, all: no word selects this set now; published by the next one */
	k2k_store_relaxed(&set->gen, of->generation);
	k2k_store_relaxed(&set->slot, of->slot);
	k2k_store_relaxed(&set->org_id, of->tag.org_id);
	k2k_store_relaxed(&set->engagement_id, of->tag.engagement_id);
	k2k_store_relaxed(&set->address[0], of->address.words[0]);
	k2k_store_relaxed(&set->address[1], of->address.words[1]);
	K2K_DELAY(kernel_filled);
	/* publish[kernel-word]: the set, and the owner */
	k2k_store_release(&kernel->word, k2k_kernel_word_after(word, other, K2K_KERNEL_LIVE));
}

/* ---- remove ------------------------------------------------------------------------------- */

uint64_t k2k_kernel_park(const struct k2k_kernel_user *user, uint32_t index)
{
	struct k2k_shm_kernel *kernel = &user->map->kernels[index];
	/* relaxed: only we write it, under the handle's mutex */
	uint64_t word = k2k_load_relaxed(&kernel->word);
	uint64_t parked = k2k_kernel_word_after(word, k2k_kernel_set(word), K2K_KERNEL_PARKED);

	/* publish[kernel-word]: what was done with the record */
	k2k_store_release(&kernel->word, parked);
	K2K_DELAY(kernel_parked);
	return parked;
}

/* Unlinks a record that is linked in the bucket, and frees it, under the claim. */
static void unlink_and_free(const struct k2k_kernel_user *user, uint32_t bucket, uint32_t index)
{
	const struct k2k_hash hash = k2k_kernel_hash(user->map);

	if (k2k_hash_unlink_in(&hash, bucket, index) == 0) {
		K2K_DELAY(kernel_unlinked);
		k2k_pool_put_back(&hash.pool, index);
	}
}

void k2k_kernel_drop(const struct k2k_kernel_user *user, const struct k2k_kernel_name *name,
                     uint32_t index, uint64_t parked)
{
	const struct k2k_hash hash = k2k_kernel_hash(user->map);
	uint64_t other;

	if (k2k_kernel_claim(user, name->bucket, &other))
		return;
	/*
	 * If it is in this chain, it stays there while we have the claim, and nobody takes it over.
	 * If it is not, another broker has freed it, and may be filling it.
	 */
	if (k2k_hash_is_linked_in(&hash, name->bucket, index) == 0 &&
	    /* relaxed: whoever took it over had the claim before us */
	    k2k_load_relaxed(&user->map->kernels[index].word) == parked)
		unlink_and_free(user, name->bucket, index);
	k2k_kernel_unclaim(user, name->bucket);
}

/* ---- sweep -------------------------------------------------------------------------------- */

/* Has nobody the name of this linked record? Under the claim the answer stays. */
static bool is_left(const struct k2k_kernel_user *user, uint32_t index)
{
	const struct k2k_shm_kernel *kernel = &user->map->kernels[index];
	/* observe[kernel-word]: its owner */
	uint64_t word = k2k_load_acquire(&kernel->word), owner;

	if (k2k_kernel_state(word) == K2K_KERNEL_PARKED)
		return true;
	/* relaxed: under the claim it is that of the word; else only a first look */
	owner = k2k_load_relaxed(&kernel->incarnation);
	return owner != user->broker->incarnation && !k2k_liveness_alive(user->liveness, owner);
}

/* Frees one record if nobody has it. */
static bool sweep_record(const struct k2k_kernel_user *user, const struct k2k_hash *hash,
                         uint32_t index)
{
	const struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	/* observe[entry-state]: its key */
	uint64_t word = k2k_load_acquire(&entry->state), version, other;
	bool is_live = k2k_entry_state(word) == K2K_ENTRY_LIVE, freed = false;
	uint32_t bucket;
	int linked;

	/* that of a living claimer is being filled, and is not linked yet */
	if (!is_live && (k2k_entry_state(word) != K2K_ENTRY_CLAIMED ||
	                 k2k_liveness_alive(user->liveness, k2k_entry_above(word))))
		return false;
	/* observe[kernel-word]: no key before that of its use */
	version = k2k_load_acquire(&user->map->kernels[index].word);
	/* relaxed, all: its key is looked at again under the claim */
	bucket = k2k_hash_bucket(hash, k2k_load_relaxed(&entry->gen),
	                         k2k_load_relaxed(&entry->key));
	/*
	 * fence[kernel-word] with that of take_over(): half of a key that the next use of the
	 * record stores gives a bucket whose claim orders nothing. Then the state below is of that
	 * use, too.
	 */
	k2k_fence_acquire();
	if ((is_live && !is_left(user, index)) || k2k_kernel_claim(user, bucket, &other))
		return false;
	/*
	 * observe[entry-state]: its key. A LIVE record of this bucket, or one of a dead claimer, is
	 * changed by the holder of the claim only, which is us now.
	 */
	if (k2k_load_acquire(&entry->state) == word &&
	    /* relaxed: a later use with the same state has another word, stored before it */
	    k2k_load_relaxed(&user->map->kernels[index].word) == version &&
	    k2k_hash_bucket(hash, k2k_load_relaxed(&entry->gen), k2k_load_relaxed(&entry->key)) ==
	            bucket) {
		linked = k2k_hash_is_linked_in(hash, bucket, index);
		if (linked == K2K_HASH_ABSENT)
			k2k_pool_put_back(&hash->pool, index);
		else if (linked == 0 && is_left(user, index))
			unlink_and_free(user, bucket, index);
		freed = k2k_load_relaxed(&entry->state) != word;
	}
	k2k_kernel_unclaim(user, bucket);
	return freed;
}

uint32_t k2k_kernel_sweep(const struct k2k_kernel_user *user)
{
	const struct k2k_hash hash = k2k_kernel_hash(user->map);
	uint32_t high = k2k_pool_high(&hash.pool), freed = 0;

	for (uint32_t i = 0; i < high; i++)
		freed += sweep_record(user, &hash, i);
	return freed;
}
