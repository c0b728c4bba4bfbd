/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend_costs.c (F6, on top of its peers) - the ledger's chains, rebuilt from its records.
 *
 * First each chain is followed: a link that leads outside of the table, to a record of another
 * bucket, to one that is not in use, or to one that was passed already, is set to what follows, or
 * to 0. Then each record is looked at by itself: one of a registration that is in no chain is
 * linked where its key says; a second one of the same key adds its cost to the first.
 *
 * Beside brokers that insert: they insert at heads only, a record that they have CLAIMED, whose key
 * does not change from before the link on, and make it LIVE after the link. So what they do never
 * looks like damage to the first pass; and a record that is LIVE was linked before, so the second
 * pass finds it in its chain by walking it anew. The record is linked by k2k_hash_insert(), which
 * decides against inserters of the same key by the head's compare-exchange.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "budget.h"
#include "ledger.h"
#include "mend.h"
#include "tenant.h"

#define OBJECT "engagements"

static uint32_t bucket_of(const struct k2k_hash *hash, const struct k2k_shm_entry *entry)
{
	/* relaxed, both: carried by the link that led to it */
	return k2k_hash_bucket(hash, k2k_load_relaxed(&entry->gen), k2k_load_relaxed(&entry->key));
}

/*
 * Stamped with the next token: a reaper was killed before it unlinked it, and recovery goes on. Of
 * a live tenant nothing is reaped.
 */
static bool is_unlinked_now(const struct k2k_mend *mend, uint64_t word,
                            const struct k2k_registration *of)
{
	return word == k2k_entry_word(K2K_ENTRY_RETIRED, mend->token) &&
	       /* relaxed: under the lock */
	       k2k_tenant_state(k2k_load_relaxed(&mend->map->tenants[of->slot].state_gen)) ==
	               K2K_TENANT_RETIRED;
}

/* May the record that is linked here stay? */
static bool belongs(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t bucket,
                    uint32_t index)
{
	const struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	uint64_t word = k2k_load_acquire(&entry->state); /* observe[entry-state]: as it is */
	/* relaxed: carried by the link that led to it */
	uint64_t generation = k2k_load_relaxed(&entry->gen);
	const struct k2k_registration *registration;

	if (bucket_of(hash, entry) != bucket)
		return false;
	if (k2k_entry_state(word) == K2K_ENTRY_LIVE || k2k_entry_state(word) == K2K_ENTRY_CLAIMED)
		return true;
	registration = k2k_mend_registration(mend, generation);
	if (!registration || is_unlinked_now(mend, word, registration))
		return false;
	if (!k2k_mend_revive(mend, &hash->pool, index, generation))
		return false;
	k2k_mend_tell(mend, &mend->counts.records, "I2", OBJECT,
	              "record %u of tenant slot %u was in use, and said that it is not", index,
	              registration->slot);
	return true;
}

/* The link that leads to `link`, from the head on; null where none does any more. */
static k2k_u32 *find_link(const struct k2k_hash *hash, uint32_t bucket, uint32_t link)
{
	k2k_u32 *at = &hash->heads[bucket];
	uint32_t steps = 0, to;

	while ((to = k2k_load_acquire(at)) != link) { /* observe[entry-link]: its fields */
		if (to == 0 || to > hash->pool.capacity || steps++ > hash->pool.capacity)
			return NULL;
		at = &k2k_pool_at(&hash->pool, to - 1)->next;
	}
	return at;
}

static void cut(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t bucket, k2k_u32 *at,
                uint32_t link, uint32_t to)
{
	/* a head may have got others before it meanwhile */
	while (at && !k2k_mend_set_link(at, at == &hash->heads[bucket], link, to))
		at = find_link(hash, bucket, link);
	k2k_mend_tell(mend, &mend->counts.links, "I5", OBJECT,
	              "bucket %u: a link to %s%u was cut out", bucket,
	              link > hash->pool.capacity ? "nowhere: " : "record ", link - 1);
}

static void follow(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t bucket,
                   uint8_t *seen)
{
	k2k_u32 *at = &hash->heads[bucket];
	uint32_t link = k2k_load_acquire(at), steps = 0; /* observe[entry-link]: its fields */

	while (link != 0) {
		bool ends = link > hash->pool.capacity || steps++ > hash->pool.capacity;
		struct k2k_shm_entry *entry = ends ? NULL : k2k_pool_at(&hash->pool, link - 1);

		if (entry && belongs(mend, hash, bucket, link - 1)) {
			if (!k2k_look_mark(seen, link - 1)) {
				at = &entry->next;
				link = k2k_load_acquire(at); /* observe[entry-link]: its fields */
				continue;
			}
			ends = true; /* a circle */
		}
		/*
		 * of one that is stamped with the next token nothing is told: its remover was
		 * killed in between
		 */
		if (entry && !ends && bucket_of(hash, entry) == bucket &&
		    /* relaxed: ours */
		    k2k_load_relaxed(&entry->state) ==
		            k2k_entry_word(K2K_ENTRY_RETIRED, mend->token)) {
			at = &entry->next;
			link = k2k_load_acquire(at); /* observe[entry-link]: its fields */
			continue;
		}
		{
			/* observe[entry-link]: its fields */
			uint32_t to = ends ? 0 : k2k_load_acquire(&entry->next);

			if (to == link)
				to = 0;
			cut(mend, hash, bucket, at, link, to);
			link = to;
		}
	}
}

/*
 * Its cost, taken out so that a booking which still comes is told that it did not fit, and counts
 * as unattributed. What cannot grow any more was taken by a writer that was killed then.
 */
static uint64_t take_cost(struct k2k_shm_cost *record)
{
	/* relaxed: a number */
	uint64_t ns = k2k_exchange_relaxed(&record->cost_ns, UINT64_MAX);

	return ns == UINT64_MAX ? 0 : ns;
}

static void add_unattributed(struct k2k_mend *mend, uint32_t slot, uint64_t ns)
{
	k2k_u64 *total = &mend->map->cells_cold[slot].unattributed_ns;
	uint64_t was = k2k_load_relaxed(total); /* relaxed, both: a number */

	while (!k2k_cas_weak_relaxed(total, &was, k2k_sat_add(was, ns)))
		;
	mend->counts.unattributed_ns = k2k_sat_add(mend->counts.unattributed_ns, ns);
}

/* Who still stands on it goes on from here. */
static void mend_retired(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index)
{
	struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	/* observe[entry-link]: only whether it can be */
	uint32_t next = k2k_load_acquire(&entry->next);

	/* publish[entry-link]: the end; who took the record meanwhile has set the link anew */
	if (next > hash->pool.capacity && k2k_cas_acq_rel(&entry->next, &next, 0))
		k2k_mend_tell(mend, &mend->counts.links, "I2", OBJECT,
		              "record %u is not in use any more, and its link pointed outside of "
		              "the table",
		              index);
}

/*
 * A record is cut out in these steps. Killed after
 *   unlinked      LIVE, and in no chain: the next k2k_mend() finds it so, and does the same
 *   cost taken    the same, without the cost: it is in no total
 *   cost added    the same, without the cost
 *   RETIRED       nothing is left to do
 */
static uint64_t begin_cut(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index)
{
	/* where it is linked; a chain that was damaged anew is told by the next look */
	k2k_hash_unlink(hash, index);
	return take_cost(&mend->map->ledger[index]);
}

static void end_cut(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index)
{
	mend_retired(mend, hash, index);
	k2k_pool_retire(&hash->pool, index, mend->token);
	mend->stamped = true;
}

static void cut_out(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index)
{
	k2k_u64 *total = &mend->map->defs->cut_ns;
	uint64_t ns = begin_cut(mend, hash, index);

	/* relaxed: under the lock */
	k2k_store_relaxed(total, k2k_sat_add(k2k_load_relaxed(total), ns));
	mend->counts.cut_ns = k2k_sat_add(mend->counts.cut_ns, ns);
	end_cut(mend, hash, index);
	k2k_mend_tell(mend, &mend->counts.records, "I2", OBJECT,
	              "record %u is of no tenant that is known: cut out with %" PRIu64
	              " ns of GPU time",
	              index, ns);
}

static void merge(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index, uint32_t into,
                  uint32_t slot)
{
	uint64_t ns = begin_cut(mend, hash, index),
		 rest = k2k_ledger_add(&mend->map->ledger[into], ns);

	if (rest)
		add_unattributed(mend, slot, rest);
	end_cut(mend, hash, index);
	k2k_mend_tell(mend, &mend->counts.merged, "I5", OBJECT,
	              "tenant %" PRIu64 ": engagement %" PRIu64 " had two records: the %" PRIu64
	              /* relaxed: under the lock */
	              " ns of the second are in record %u now",
	              k2k_load_relaxed(&mend->map->tenants[slot].id),
	              k2k_load_relaxed(&k2k_pool_at(&hash->pool, into)->key), ns, into);
}

static bool is_other(const struct k2k_shm_entry *entry, uint64_t than)
{
	return (uint64_t)(uintptr_t)entry != than;
}

/* In its chain, once. */
static void link_live(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index,
                      const struct k2k_registration *of, const uint8_t *seen)
{
	struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	/* relaxed: a live record keeps its key */
	struct k2k_hash_key key = { of->generation, k2k_load_relaxed(&entry->key), of->slot };
	uint32_t other = index;
	int code;

	if (k2k_look_marked(seen, index)) {
		uint32_t bucket = k2k_hash_bucket(hash, key.gen, key.key);
		/* observe[entry-link]: its fields */
		uint32_t head = k2k_load_acquire(&hash->heads[bucket]);

		if (k2k_hash_walk(hash, bucket, head, 0, &key, is_other, (uint64_t)(uintptr_t)entry,
		                  &other) == 0)
			merge(mend, hash, index, other, of->slot);
		return;
	}
	code = k2k_hash_insert(hash, index, &key, true, &other);
	if (code == 0)
		k2k_mend_tell(mend, &mend->counts.records, "I5", OBJECT,
		              "tenant %" PRIu64 ": engagement %" PRIu64 " (record %u) was not"
		              /* relaxed: as above */
		              " linked any more: it is again",
		              k2k_load_relaxed(&mend->map->tenants[of->slot].id), key.key, index);
	else if (code == K2K_HASH_EXISTS && other != index)
		merge(mend, hash, index, other, of->slot);
}

static void mend_cost(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index,
                      const uint8_t *seen)
{
	struct k2k_shm_cost *cost = &mend->map->ledger[index];
	const struct k2k_registration *of;
	uint64_t generation, word;
	uint32_t slot;

	k2k_mend_state_word(mend, &hash->pool, index, OBJECT);
	k2k_mend_reserved(mend, OBJECT, index, &cost->reserved_ns, sizeof(cost->reserved_ns));
	k2k_mend_reserved(mend, OBJECT, index, cost->reserved, sizeof(cost->reserved));
	word = k2k_mend_adopt(mend, &hash->pool, index, k2k_look_marked(seen, index),
	                      &mend->adopted_costs);
	/* relaxed, both: a live record keeps them */
	generation = k2k_load_relaxed(&cost->entry.gen);
	slot = k2k_load_relaxed(&cost->entry.slot);
	of = k2k_mend_registration(mend, generation);
	if (k2k_entry_state(word) == K2K_ENTRY_RETIRED ||
	    (k2k_entry_state(word) == K2K_ENTRY_LIVE && !of))
		mend_retired(mend, hash, index);
	if (k2k_entry_state(word) != K2K_ENTRY_LIVE)
		return;
	if (!of) {
		if (!k2k_mend_is_over(mend, slot, generation))
			cut_out(mend, hash, index);
		return;
	}
	/* relaxed: once 1 it stays */
	if (!k2k_load_relaxed(&mend->map->cells[of->slot].has_costs)) {
		/* publish[cell-has-costs]: seen by observe[cell-has-costs] */
		k2k_store_release(&mend->map->cells[of->slot].has_costs, 1);
		k2k_mend_tell(mend, &mend->counts.words, "I5", OBJECT,
		              "tenant slot %u has costs, and said that it has none", of->slot);
	}
	if (slot != of->slot) {
		/* relaxed: who looks for it finds it a moment later */
		k2k_store_relaxed(&cost->entry.slot, of->slot);
		k2k_mend_tell(mend, &mend->counts.records, "I2", OBJECT,
		              "record %u is tenant slot %u's, and said %u", index, of->slot, slot);
	}
	link_live(mend, hash, index, of, seen);
}

/* ---- budgets ----------------------------------------------------------------------------- */

/* relaxed, all loads of budgets here: under the lock */
static bool key_of_budget(const struct k2k_mend *mend, uint32_t index, struct k2k_hash_key *key)
{
	const struct k2k_shm_budget *budget = &mend->map->budgets[index];
	const struct k2k_registration *of;

	key->gen = k2k_load_relaxed(&budget->entry.gen);
	key->key = k2k_load_relaxed(&budget->entry.key);
	key->slot = k2k_load_relaxed(&budget->entry.slot);
	of = k2k_mend_registration(mend, key->gen);
	return k2k_entry_state(k2k_load_relaxed(&budget->entry.state)) == K2K_ENTRY_LIVE && of &&
	       of->slot == key->slot;
}

/*
 * The definitions say which record a budget owns, and of what key: so the record's own key can be
 * set right.
 */
static void restore_key(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index)
{
	/* relaxed: under the lock */
	uint32_t record = k2k_load_relaxed(&mend->map->budgets[index].ledger) - 1;
	struct k2k_shm_entry *entry;
	struct k2k_hash_key key;
	uint64_t word;

	if (!key_of_budget(mend, index, &key) || record >= hash->pool.capacity)
		return;
	entry = k2k_pool_at(&hash->pool, record);
	word = k2k_load_acquire(&entry->state); /* observe[entry-state]: its key */
	if (k2k_hash_matches(entry, &key)) {
		/*
		 * a reaper retires the budget before its record: so this one was not retired, but
		 * damaged
		 */
		if (k2k_mend_revive(mend, &hash->pool, record, key.gen))
			k2k_mend_tell(mend, &mend->counts.records, "I2", OBJECT,
			              "record %u of budget %u was in use, and said that it is not",
			              record, index);
		return;
	}
	/*
	 * another's by now, who took it while it said that it was free: it keeps it. relaxed: a
	 * live record keeps its key
	 */
	if (k2k_entry_state(word) == K2K_ENTRY_CLAIMED ||
	    (k2k_mend_registration(mend, k2k_load_relaxed(&entry->gen)) &&
	     k2k_hash_is_linked(hash, record) == 0))
		return;
	/* observe[entry-state], publish[entry-state]: nobody takes it meanwhile */
	if (k2k_entry_state(word) != K2K_ENTRY_LIVE &&
	    !k2k_cas_acq_rel(&entry->state, &word,
	                     k2k_entry_word(K2K_ENTRY_CLAIMED, K2K_INCARNATION_WRITER)))
		return;
	/* relaxed, both: carried by the generation, and by the link */
	k2k_store_relaxed(&entry->key, key.key);
	k2k_store_relaxed(&entry->slot, key.slot);
	k2k_store_release(&entry->gen, key.gen); /* publish[cost-gen]: the key of this generation */
	if (k2k_entry_state(word) != K2K_ENTRY_LIVE)
		/* publish[entry-state]: its key */
		k2k_store_release(&entry->state,
		                  k2k_entry_word(K2K_ENTRY_LIVE, K2K_INCARNATION_WRITER));
	k2k_mend_tell(mend, &mend->counts.records, "I5", OBJECT,
	              "record %u is that of budget %u, and said that it was another's", record,
	              index);
}

/* A budget reads its own record without a look-up: that which its engagement is booked on. */
static void mend_budget(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_budget *budget = &mend->map->budgets[index];
	k2k_u64 full_at = UINT64_MAX;
	struct k2k_claimer claimer = { K2K_INCARNATION_WRITER, mend->passed, &full_at };
	struct k2k_hash_key key;
	uint32_t record;

	if (!key_of_budget(mend, index, &key))
		return;
	/*
	 * where none is free, the budget's engagement answers CORRUPT until one is, and check tells
	 * of it
	 */
	if (k2k_ledger_obtain(mend->map, &claimer, &key, &record) != 0 ||
	    k2k_load_relaxed(&budget->ledger) == record + 1) /* relaxed: under the lock */
		return;
	/* relaxed: brokers look at the record's key before they trust it */
	k2k_store_relaxed(&budget->ledger, record + 1);
	k2k_mend_tell(mend, &mend->counts.records, "I5", "budgets",
	              "budget %u reads record %u now, which its engagement is booked on", index,
	              record);
}

int k2k_mend_costs(struct k2k_mend *mend)
{
	struct k2k_hash hash = k2k_ledger_hash(mend->map);
	uint8_t *seen = calloc(hash.pool.capacity / 8 + 1, 1);
	uint32_t high;

	if (!seen)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "repair",
		                      "no memory to look at %u records", hash.pool.capacity);
	k2k_mend_mark(mend, &hash.pool, OBJECT);
	for (uint32_t i = 0; i < mend->map->sizes.budgets; i++)
		restore_key(mend, &hash, i);
	for (uint32_t i = 0; i <= hash.mask; i++)
		follow(mend, &hash, i, seen);
	high = mend->thorough ? hash.pool.capacity : k2k_pool_high(&hash.pool);
	for (uint32_t i = 0; i < high; i++)
		mend_cost(mend, &hash, i, seen);
	for (uint32_t i = 0; i < mend->map->sizes.budgets; i++)
		mend_budget(mend, i);
	free(seen);
	return 0;
}
