/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend_kernels.c (F6, on top of its peers) - restores the directory of kernels.
 *
 * Only repair comes here: no change walks these chains. Brokers run meanwhile, so the process has
 * an incarnation in `live` for as long as the repair takes, and takes the claims of buckets with it
 * like a broker. If it is killed, its claims are those of a dead process.
 *
 * 1. A record that a living broker has RESERVED or LIVE is wanted. Its slots are set right by its
 *    incarnation and its generation; its hash by its name, if it is linked where that belongs.
 * 2. If its name, its state or its generation can't be true, it is cut out: PARKED. Its broker has
 *    lost the name, and learns that by ENOKERNEL. The slot stays held, without a name, until the
 *    broker closes.
 * 3. A bucket whose chain is damaged, or lacks a wanted record, is built again from the records,
 *    under its claim. Meanwhile a search may miss a name of this bucket.
 * 4. What nobody has is swept.
 * 5. In a lease record, `named` lies between the names and what is held. Names for which there is
 *    no slot, because a lease was cut out, are cut out as well.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "lease_records.h"
#include "mend.h"
#include "tenant.h"

#define OBJECT "kernels"
#define CLAIM_TRIES 20
#define LOOKS 100 /* at a key that changes */
#define CLAIM_PAUSE_NS UINT64_C(1000000)

struct mending {
	struct k2k_mend *mend;
	const struct k2k_map *map;
	struct k2k_hash hash;
	struct k2k_broker life;
	struct k2k_kernel_user user;
};

/* ---- records --------------------------------------------------------------------------------- */

/*
 * Both words of the key are of one use of the record, unless a broker uses it again and again
 * meanwhile: half of each would be the key of a bucket that the record is not in.
 */
static uint32_t bucket_at(const struct mending *m, uint32_t index)
{
	const struct k2k_shm_kernel *kernel = &m->map->kernels[index];
	uint32_t bucket, looks = 0;
	uint64_t word;

	do {
		/* observe[kernel-word]: no key before that of its use */
		word = k2k_load_acquire(&kernel->word);
		/* relaxed, both: looked at again under the claim */
		bucket = k2k_hash_bucket(&m->hash, k2k_load_relaxed(&kernel->entry.gen),
		                         k2k_load_relaxed(&kernel->entry.key));
		/* fence[kernel-word] with that of take_over(): the key before the next look */
		k2k_fence_acquire();
		/* relaxed: ordered by the fence */
	} while (k2k_load_relaxed(&kernel->word) != word && ++looks < LOOKS);
	return bucket;
}

/* Has a living broker the record RESERVED or LIVE? Not if it is still being filled. */
static bool is_wanted(const struct mending *m, uint32_t index)
{
	const struct k2k_shm_kernel *kernel = &m->map->kernels[index];
	/* observe[kernel-word]: its owner */
	uint64_t word = k2k_load_acquire(&kernel->word);
	/* observe[entry-state]: whether it is filled */
	uint64_t state = k2k_load_acquire(&kernel->entry.state);

	return k2k_kernel_state(word) != K2K_KERNEL_PARKED &&
	       !(k2k_entry_state(state) == K2K_ENTRY_CLAIMED &&
	         k2k_liveness_alive(m->mend->liveness, k2k_entry_above(state)) &&
	         k2k_kernel_state(word) != K2K_KERNEL_LIVE) &&
	       /* relaxed: that of the word, or looked at again */
	       k2k_liveness_alive(m->mend->liveness, k2k_load_relaxed(&kernel->incarnation));
}

static void cut(struct mending *m, uint32_t index, const char *why)
{
	struct k2k_shm_kernel *kernel = &m->map->kernels[index];
	/* observe[kernel-word]: only the word */
	uint64_t word = k2k_load_acquire(&kernel->word);

	/* publish[kernel-word]: nobody has it, unless its owner moves it just now */
	if (k2k_cas_acq_rel(&kernel->word, &word,
	                    k2k_kernel_word_after(word, k2k_kernel_set(word), K2K_KERNEL_PARKED)))
		k2k_mend_report(m->mend, &m->mend->counts.records, "N1", OBJECT,
		                "record %u %s: its broker has lost that name", index, why);
}

/* False: the record was cut out. */
static bool mend_name(struct mending *m, uint32_t index)
{
	struct k2k_shm_kernel *kernel = &m->map->kernels[index];
	struct k2k_kernel_name name;
	uint64_t words[K2K_KERNEL_NAME_WORDS];
	char text[sizeof(words) + 1] = { 0 };
	struct k2k_shm_entry *entry = &kernel->entry;

	for (int i = 0; i < K2K_KERNEL_NAME_WORDS; i++)
		words[i] = k2k_load_relaxed(&kernel->name[i]); /* relaxed: constant in one use */
	memcpy(text, words, sizeof(words));
	if (!k2k_kernel_name(m->map, text, &name) ||
	    memcmp(name.words, words, sizeof(words)) != 0) {
		cut(m, index, "has a name that can't be one");
		return false;
	}
	if (k2k_hash_matches(entry, &name.key))
		return true;
	/* the name is trusted only if the chain bears it out: it may be another's */
	if (bucket_at(m, index) != name.bucket &&
	    k2k_hash_is_linked_in(&m->hash, name.bucket, index) != 0) {
		cut(m, index, "has another name than its hash says");
		return false;
	}
	if (bucket_at(m, index) == name.bucket && k2k_load_relaxed(&entry->slot) == 0) {
		cut(m, index, "has another name than its hash says");
		return false;
	}
	/* relaxed, all: as its owner had stored it before it was linked */
	k2k_store_relaxed(&entry->gen, name.key.gen);
	k2k_store_relaxed(&entry->key, name.key.key);
	k2k_store_relaxed(&entry->slot, 0);
	k2k_mend_report(m->mend, &m->mend->counts.records, "N1", OBJECT,
	                "record %u: its hash was not that of its name: it is again", index);
	return true;
}

/* The slots of the owner and of the tenant. */
static void mend_slots(struct mending *m, uint32_t index)
{
	const struct k2k_map *map = m->map;
	struct k2k_shm_kernel *kernel = &map->kernels[index];
	/* observe[kernel-word]: the set that it selects, and the owner */
	uint64_t word = k2k_load_acquire(&kernel->word);
	struct k2k_shm_kernel_set *set = &kernel->sets[k2k_kernel_set(word)];
	const struct k2k_registration *of;
	/* relaxed, all: compared, or replaced by compare-exchange */
	uint64_t owner = k2k_load_relaxed(&kernel->incarnation), gen = k2k_load_relaxed(&set->gen);
	uint32_t broker = k2k_load_relaxed(&kernel->broker), slot = k2k_load_relaxed(&set->slot);

	for (uint32_t i = 0; i < map->sizes.slots; i++)
		if (k2k_load_relaxed(&map->slots[i].owner) == owner && broker != i &&
		    k2k_cas_relaxed(&kernel->broker, &broker, i))
			k2k_mend_report(m->mend, &m->mend->counts.records, "N1", OBJECT,
			                "record %u belongs to broker %u, but named another", index,
			                i);
	if (k2k_kernel_state(word) != K2K_KERNEL_LIVE)
		return;
	of = k2k_mend_registration(m->mend, gen);
	if (of && of->slot != slot && k2k_cas_relaxed(&set->slot, &slot, of->slot))
		k2k_mend_report(m->mend, &m->mend->counts.records, "N2", OBJECT,
		                "record %u belongs to tenant slot %u, but named another", index,
		                of->slot);
	else if (!of && gen == 0 && slot != 0 && k2k_cas_relaxed(&set->slot, &slot, 0))
		k2k_mend_report(m->mend, &m->mend->counts.records, "N2", OBJECT,
		                "record %u belongs to tenant 0, but named a slot", index);
	else if (!of && gen != 0 &&
	         (slot >= map->sizes.tenants ||
	          gen > k2k_tenant_generation(k2k_load_relaxed(&map->tenants[slot].state_gen))) &&
	         k2k_kernel_is_still(map,
	                             &(struct k2k_kernel_copy){ .index = index, .word = word }))
		cut(m, index, "belongs to no tenant");
}

static void mend_state(struct mending *m, uint32_t index)
{
	struct k2k_shm_kernel *kernel = &m->map->kernels[index];
	/* observe[entry-state]: its current value */
	uint64_t state = k2k_load_acquire(&kernel->entry.state);
	/* with the writer's mark nobody has it, so that it is swept */
	uint64_t right = k2k_entry_word(K2K_ENTRY_LIVE, K2K_INCARNATION_WRITER);
	bool is_free = k2k_entry_state(state) == K2K_ENTRY_FREE;
	bool is_possible = k2k_entry_state(state) == K2K_ENTRY_LIVE ||
	                   /* the writer never takes one */
	                   (k2k_entry_state(state) == K2K_ENTRY_CLAIMED &&
	                    k2k_entry_above(state) != K2K_INCARNATION_WRITER);

	if (is_free ? !is_wanted(m, index) : is_possible)
		return;
	/* publish[entry-state]: as its owner had stored it; who claimed it meanwhile keeps it */
	if (k2k_cas_acq_rel(&kernel->entry.state, &state, right))
		k2k_mend_report(m->mend, &m->mend->counts.records, "N1", OBJECT,
		                "record %u was %s, as it can't be: it is marked as in use", index,
		                is_free ? "free, but a broker's" : "the writer's or retired");
}

static void mend_record(struct mending *m, uint32_t index)
{
	struct k2k_shm_kernel *kernel = &m->map->kernels[index];

	k2k_mend_reserved(m->mend, OBJECT, index, &kernel->reserved0, sizeof(kernel->reserved0));
	k2k_mend_reserved(m->mend, OBJECT, index, &kernel->reserved1, sizeof(kernel->reserved1));
	k2k_mend_reserved(m->mend, OBJECT, index, kernel->reserved2, sizeof(kernel->reserved2));
	for (int i = 0; i < 2; i++)
		k2k_mend_reserved(m->mend, OBJECT, index, &kernel->sets[i].reserved,
		                  sizeof(kernel->sets[i].reserved));
	k2k_mend_state_word(m->mend, &m->hash.pool, index, OBJECT);
	mend_state(m, index);
	/* relaxed: only the state */
	if (k2k_kernel_state(k2k_load_relaxed(&kernel->word)) > K2K_KERNEL_LIVE)
		cut(m, index, "had a state that can't be");
	if (is_wanted(m, index) && mend_name(m, index))
		mend_slots(m, index);
}

/* ---- buckets --------------------------------------------------------------------------------- */

/* Does each link lead to a record of this bucket that is in use, and does the chain end? */
static bool is_chain(const struct mending *m, uint32_t bucket)
{
	/* observe[entry-link]: its fields */
	uint32_t link = k2k_load_acquire(&m->hash.heads[bucket]), steps = 0;

	while (link != 0) {
		const struct k2k_shm_entry *entry;
		unsigned int state;

		if (link > m->hash.pool.capacity || steps++ > m->hash.pool.capacity)
			return false;
		entry = k2k_pool_at(&m->hash.pool, link - 1);
		state = k2k_entry_state(k2k_load_relaxed(&entry->state)); /* relaxed: compared */
		if (bucket_at(m, link - 1) != bucket ||
		    (state != K2K_ENTRY_LIVE && state != K2K_ENTRY_CLAIMED))
			return false;
		link = k2k_load_acquire(&entry->next); /* observe[entry-link]: as above */
	}
	return true;
}

/* Under the claim. */
static bool lacks_any(const struct mending *m, uint32_t bucket)
{
	for (uint32_t i = 0; i < m->hash.pool.capacity; i++)
		if (bucket_at(m, i) == bucket && is_wanted(m, i) &&
		    k2k_hash_is_linked_in(&m->hash, bucket, i) != 0)
			return true;
	return false;
}

/* Under the claim: links the wanted records of the bucket, and no others. */
static void build_again(struct mending *m, uint32_t bucket)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < m->hash.pool.capacity; i++) {
		if (bucket_at(m, i) != bucket || !is_wanted(m, i))
			continue;
		/* publish[entry-link]: the record of `next`, which was published before */
		k2k_store_release(&k2k_pool_at(&m->hash.pool, i)->next, next);
		next = i + 1;
	}
	/* publish[entry-link]: as above */
	k2k_store_release(&m->hash.heads[bucket], next);
	k2k_mend_report(m->mend, &m->mend->counts.links, "N1", OBJECT,
	                "bucket %u: its chain was damaged: it leads to its records again", bucket);
}

static void mend_bucket(struct mending *m, uint32_t bucket)
{
	uint64_t other;

	for (int i = 0; k2k_kernel_claim(&m->user, bucket, &other); i++) {
		if (i == CLAIM_TRIES) {
			k2k_mend_report(m->mend, &m->mend->counts.links, "N1", OBJECT,
			                "bucket %u is damaged, but a broker that is stopped has "
			                "it: it is left alone",
			                bucket);
			return;
		}
		k2k_clock_sleep_ns(CLAIM_PAUSE_NS);
	}
	/* what changed during the first look may only have looked damaged */
	if (!is_chain(m, bucket) || lacks_any(m, bucket))
		build_again(m, bucket);
	k2k_kernel_unclaim(&m->user, bucket);
}

static void mend_buckets(struct mending *m)
{
	for (uint32_t i = 0; i <= m->hash.mask; i++)
		if (!is_chain(m, i))
			mend_bucket(m, i);
	for (uint32_t i = 0; i < m->hash.pool.capacity; i++) {
		uint32_t bucket = bucket_at(m, i);

		if (is_wanted(m, i) && k2k_hash_is_linked_in(&m->hash, bucket, i) != 0)
			mend_bucket(m, bucket);
	}
}

/* ---- slots for names ------------------------------------------------------------------------- */

/* Is it a name that this broker has of this tenant? */
static bool is_name_of(const struct mending *m, uint32_t index, const struct k2k_lease_key *key,
                       uint64_t incarnation)
{
	uint64_t words[K2K_KERNEL_NAME_WORDS];
	struct k2k_kernel_copy copy;

	return k2k_kernel_copy_at(m->map, index, words, &copy) &&
	       k2k_kernel_state(copy.word) == K2K_KERNEL_LIVE && copy.incarnation == incarnation &&
	       copy.of.generation == key->generation;
}

/* The numbers of a lease, as they were before its names were counted. */
struct holding {
	struct k2k_lease_key key;
	uint64_t incarnation, named, held, asked, ended;
};

static void look_at(const struct k2k_shm_lease *lease, struct holding *h)
{
	const struct k2k_shm_claim *kernels = &lease->claims[K2K_RESOURCE_KERNELS];

	/* relaxed, all: they are compared with a later look */
	h->key = k2k_lease_key_of(k2k_load_relaxed(&lease->whose), k2k_load_relaxed(&lease->gen));
	h->incarnation = k2k_load_relaxed(&lease->incarnation);
	h->named = k2k_load_relaxed(&lease->named);
	h->held = k2k_load_relaxed(&kernels->held);
	h->asked = k2k_load_relaxed(&kernels->asked);
	h->ended = k2k_load_relaxed(&kernels->ended);
}

/* Is it still so? Then its broker has added and removed no name since. */
static bool is_still(const struct k2k_shm_lease *lease, const struct holding *h)
{
	struct holding again;

	k2k_fence_acquire(); /* the names were counted before this look */
	look_at(lease, &again);
	return again.named == h->named && again.held == h->held && again.asked == h->asked &&
	       again.ended == h->ended && again.incarnation == h->incarnation &&
	       again.key.of == h->key.of && again.key.generation == h->key.generation;
}

static void mend_named(struct mending *m, uint32_t index)
{
	struct k2k_shm_lease *lease = &m->map->leases[index];
	uint64_t names = 0;
	struct holding h;

	look_at(lease, &h);
	/* observe[entry-state]: its key. One that is IDLE may be what is left of two */
	if (k2k_entry_state(k2k_load_acquire(&lease->state)) == K2K_ENTRY_FREE ||
	    h.key.reservation || !k2k_liveness_alive(m->mend->liveness, h.incarnation))
		return;
	for (uint32_t i = 0; i < m->hash.pool.capacity; i++)
		names += is_name_of(m, i, &h.key, h.incarnation);
	if ((h.named >= names && h.named <= h.held) || !is_still(lease, &h))
		return;
	for (uint32_t i = m->hash.pool.capacity; i > 0 && names > h.held; i--)
		if (is_name_of(m, i - 1, &h.key, h.incarnation)) {
			cut(m, i - 1, "has no slot any more");
			names--;
		}
	/* relaxed: only this word; its broker stores it under its lock */
	if (h.named == names || !k2k_cas_relaxed(&lease->named, &h.named, names))
		return;
	k2k_mend_report(m->mend, &m->mend->counts.words, "N2", "leases",
	                "record %u had slots for %" PRIu64 " names: it has %" PRIu64 " now", index,
	                h.named, names);
}

/* The lease that a name is of may have been cut out, and its slot with it; or it counts no name. */
static void mend_lease_of(struct mending *m, uint32_t index)
{
	uint64_t words[K2K_KERNEL_NAME_WORDS];
	const struct k2k_registration *of;
	struct k2k_kernel_copy copy;
	struct k2k_lease_key key;
	uint32_t lease;

	if (!k2k_kernel_copy_at(m->map, index, words, &copy) ||
	    k2k_kernel_state(copy.word) != K2K_KERNEL_LIVE || !is_wanted(m, index))
		return;
	of = k2k_mend_registration(m->mend, copy.of.generation);
	key = k2k_lease_of_tenant(copy.of.slot, copy.of.generation);
	key.broker_slot = copy.broker;
	if (!of || of->slot != copy.of.slot)
		return;
	/* relaxed: mend_named() looks again */
	if (k2k_lease_find_of(m->map, &key, copy.incarnation, &lease)) {
		if (k2k_load_relaxed(&m->map->leases[lease].named) == 0)
			mend_named(m, lease);
	} else if (k2k_kernel_is_still(m->map, &copy)) {
		/* a broker gives a slot back after the word has changed */
		cut(m, index, "has no slot any more");
	}
}

/* ---- all ------------------------------------------------------------------------------------- */

void k2k_mend_kernels(struct k2k_mend *mend)
{
	const struct k2k_map *map = mend->map;
	k2k_u64 full_at = UINT64_MAX;
	struct mending m = { .mend = mend,
		             .map = map,
		             .hash = k2k_kernel_hash(map),
		             .life = { .incarnation = mend->incarnation } };

	m.user = (struct k2k_kernel_user){ map, mend->liveness, &m.life, &full_at };
	for (uint32_t i = 0; i < map->sizes.kernels; i++)
		mend_record(&m, i);
	k2k_mend_mark(mend, &m.hash.pool, OBJECT);
	for (uint32_t i = 0; i < map->sizes.kernels; i++)
		mend_lease_of(&m, i);
	for (uint32_t i = 0; i < map->sizes.leases; i++)
		/* relaxed: as in mend_lease_of() */
		if (k2k_load_relaxed(&map->leases[i].named) != 0)
			mend_named(&m, i);
	mend_buckets(&m);
	k2k_kernel_sweep(&m.user);
	k2k_mend_reserved(mend, OBJECT, 0, &map->live->kernel_pool.writer_hint,
	                  sizeof(map->live->kernel_pool.writer_hint));
	k2k_mend_reserved(mend, OBJECT, 0, map->live->reserved3, sizeof(map->live->reserved3));
}
