/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel.h (F6) - the directory of kernels: which broker has a name, and for which tenant.
 *
 * Names are records of one hash table (hash.h, pool.h). The word of a record decides: nobody has
 * the name (PARKED), its owner is about to take a slot for it (RESERVED), or it is there (LIVE),
 * with what one of the two sets says. It counts only while the owner's incarnation lives.
 *
 * 1. A bucket has a claim: 0, or the incarnation that may link, unlink, take over and free records
 *    of this bucket. It is taken by a CAS from 0 or from a dead incarnation, is given back by a
 *    store, and is never kept while a lease is acquired. So each bucket has one remover at a time,
 *    and if that dies, the next one goes on. Of one process, only the thread with the handle's
 *    mutex uses claims.
 * 2. Only its living owner writes a record that is RESERVED or LIVE. A record that is PARKED or
 *    whose owner is dead is written by whoever has the bucket's claim; one that is CLAIMED, by the
 *    incarnation that took it from the pool.
 * 3. The version in the word only grows, also when the record is used for another name. It changes
 *    before anything that a reader may be copying is written. So a reader that finds the same word
 *    after its copy as before has copied one state of one use, however long it was stopped; no
 *    record needs a grace period before it is used again. A walk that is led into another bucket
 *    starts again (hash.h 4).
 * 4. A set is written while the word selects the other one. So a move is one store, and a kernel is
 *    never seen under two tenants or under none.
 *
 * add of a name that nobody has, killed after:      others see
 *   claim                                           a dead claim: the next one goes on
 *   record CLAIMED, filled                          nothing; a sweep frees it
 *   linked, LIVE, claim given back                  RESERVED by a dead owner: the name is free
 *   lease, set                                      the same; the slot is free, too
 *   word LIVE                                       a dead owner's: name and slot are free
 * If it is taken over from a dead owner: the same, without the pool.
 * move: lease of the new tenant, the other set      it as before
 *   word                                            it as moved
 *   lease of the old tenant given back              -
 * remove: PARKED                                    nobody has it; the slot counts for nobody
 *   lease given back, claim                         the same
 *   unlinked                                        a record that is not linked; a sweep frees it
 *
 * Stopped for an hour with a claim: adds of names in this bucket are EBUSY after 20 ms and name the
 * process; those that find, route, remove and move don't need the claim. Stopped while RESERVED:
 * adds of this name are EBUSY.
 *
 * If bytes lie: a link outside of the table, or a chain that does not end, is K2K_ECORRUPT, never
 * "absent". A claim that is no incarnation counts as 0. Sets are copied and checked before use.
 *
 * The hash is random for each registry, so nobody who chooses names chooses buckets. Equal hashes
 * of different names are possible: the name decides.
 *
 * Model: tests/model/kernel.pml. It relies on this order: kernel-claim and kernel-word, stored with
 * release and loaded with acquire; fence[kernel-word].
 */
#ifndef K2K_KERNEL_H
#define K2K_KERNEL_H

#include "broker.h"
#include "hash.h"

/* A name as the directory has it. */
struct k2k_kernel_name {
	uint64_t words[K2K_KERNEL_NAME_WORDS];
	struct k2k_hash_key key;
	uint32_t bucket;
};

/* One of a record's sets. */
struct k2k_kernel_of {
	uint32_t slot; /* below the number of tenants */
	uint64_t generation;
	struct k2k_audit_tag tag;
	struct k2k_kernel_address address;
};

/* A copy of one state of a record. */
struct k2k_kernel_copy {
	uint32_t index, broker;
	uint64_t word, incarnation;
	/* unless it is LIVE, these and `broker` are what was there before, or damaged */
	struct k2k_kernel_of of;
};

/* A broker that changes the directory; its thread has the handle's mutex. */
struct k2k_kernel_user {
	const struct k2k_map *map;
	struct k2k_liveness *liveness;
	const struct k2k_broker *broker;
	k2k_u64 *full_at; /* as in a k2k_claimer */
};

static inline enum k2k_kernel_state k2k_kernel_state(uint64_t word)
{
	return (enum k2k_kernel_state)(word & ((1u << K2K_KERNEL_STATE_BITS) - 1));
}

static inline unsigned int k2k_kernel_set(uint64_t word)
{
	return (unsigned int)(word >> K2K_KERNEL_STATE_BITS) & 1;
}

/* The word that follows, with the version after it. */
static inline uint64_t k2k_kernel_word_after(uint64_t word, unsigned int set,
                                             enum k2k_kernel_state state)
{
	return ((word >> K2K_KERNEL_VERSION_SHIFT) + 1) << K2K_KERNEL_VERSION_SHIFT |
	       (uint64_t)set << K2K_KERNEL_STATE_BITS | (uint64_t)state;
}

static inline struct k2k_hash k2k_kernel_hash(const struct k2k_map *map)
{
	return (struct k2k_hash){ .heads = map->kernel_heads,
		                  .mask = map->kernel_mask,
		                  .pool = { .records = (unsigned char *)map->kernels,
		                            .stride = sizeof(struct k2k_shm_kernel),
		                            .capacity = map->sizes.kernels,
		                            .shared = &map->live->kernel_pool,
		                            .whole = true } };
}

/* False: it is not 1 to 63 bytes. */
bool k2k_kernel_name(const struct k2k_map *map, const char *text, struct k2k_kernel_name *name);
/* The hash of a name. */
struct k2k_hash_key k2k_kernel_key(const struct k2k_map *map,
                                   const uint64_t words[K2K_KERNEL_NAME_WORDS]);

/*
 * Finds the record of a name, whoever owns it and in whatever state. 0, K2K_HASH_ABSENT,
 * K2K_ECORRUPT.
 */
int k2k_kernel_look(const struct k2k_map *map, const struct k2k_kernel_name *name,
                    struct k2k_kernel_copy *copy);
/* Copies a record whatever its name is. False: it changed meanwhile, or its bytes lie. */
bool k2k_kernel_copy_at(const struct k2k_map *map, uint32_t index,
                        uint64_t words[K2K_KERNEL_NAME_WORDS], struct k2k_kernel_copy *copy);
/* Is its word still the one that was copied? */
static inline bool k2k_kernel_is_still(const struct k2k_map *map,
                                       const struct k2k_kernel_copy *copy)
{
	k2k_fence_acquire(); /* the copies come before this look */
	/* relaxed: ordered by the fence */
	return k2k_load_relaxed(&map->kernels[copy->index].word) == copy->word;
}
/*
 * Does the owner live? Without a question to the kernel as long as the owner's slot says so; that
 * may be wrong until its death is reported, within a second.
 */
bool k2k_kernel_seems_alive(const struct k2k_map *map, struct k2k_liveness *liveness,
                            const struct k2k_kernel_copy *copy);

/*
 * Begins an add. 0: copy->index is RESERVED by us; k2k_kernel_publish() or k2k_kernel_park() ends
 * that. K2K_KERNEL_OURS: we have it LIVE, *copy says for whom. K2K_EEXIST: *other, a living
 * incarnation, has it. K2K_KERNEL_AGAIN: *other, a living incarnation, is in the way for a moment.
 * K2K_EFULL, K2K_ECORRUPT.
 */
int k2k_kernel_reserve(const struct k2k_kernel_user *user, const struct k2k_kernel_name *name,
                       struct k2k_kernel_copy *copy, uint64_t *other);
/* Our RESERVED or LIVE record becomes LIVE with this set. */
void k2k_kernel_publish(const struct k2k_kernel_user *user, uint32_t index,
                        const struct k2k_kernel_of *of);
/* Nobody has the name of our record any more. Returns the word of this state. */
uint64_t k2k_kernel_park(const struct k2k_kernel_user *user, uint32_t index);
/*
 * Frees the record that we have parked with that word, unless another broker has it by now, or has
 * the claim: then it stays PARKED, for the next add of the name, or a sweep.
 */
void k2k_kernel_drop(const struct k2k_kernel_user *user, const struct k2k_kernel_name *name,
                     uint32_t index, uint64_t parked);
/* Frees records that nobody has. Returns how many. */
uint32_t k2k_kernel_sweep(const struct k2k_kernel_user *user);

/* ---- shared with mend_kernels.c ---- */

/* 0; K2K_EBUSY: *other, a living incarnation, has it. */
int k2k_kernel_claim(const struct k2k_kernel_user *user, uint32_t bucket, uint64_t *other);
void k2k_kernel_unclaim(const struct k2k_kernel_user *user, uint32_t bucket);

#endif
