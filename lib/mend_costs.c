/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend_costs.c (F6, on top of its peers) - rebuilds the ledger's chains from its records.
 *
 * The first pass follows each chain. If a link leads outside the table, to a record of another
 * bucket, to one that is not in use, or to one that the walk has passed already, it is set to the
 * record after that one, or to 0. The second pass checks each record by itself. If a record of a
 * registration is in no chain, it is linked where its key belongs. If two records have the same
 * key, the cost of one is added to the other.
 *
 * Brokers insert meanwhile. They insert only at heads, and only a record that they have CLAIMED;
 * its key does not change after it is linked, and they make it LIVE after the link. So nothing that
 * they do looks like damage to the first pass. A LIVE record was linked before, so the second pass
 * finds it by walking its chain again. It links records by k2k_hash_insert(), which decides between
 * inserters of the same key by the head's compare-exchange.
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
	/* relaxed, both: published by the link that led here */
	return k2k_hash_bucket(hash, k2k_load_relaxed(&entry->gen), k2k_load_relaxed(&entry->key));
}

/*
 * Is the record stamped with the next token because a reaper was killed before it unlinked the
 * record, or is our caller? Then recovery or the caller unlinks it. Records of a live tenant are
 * never reaped.
 */
static bool is_unlinked_now(const struct k2k_mend *mend, uint64_t word,
                            const struct k2k_registration *of)
{
	return word == k2k_entry_word(K2K_ENTRY_RETIRED, mend->token) &&
	       /* relaxed: under the writer's lock */
	       k2k_tenant_state(k2k_load_relaxed(&mend->map->tenants[of->slot].state_gen)) ==
	               K2K_TENANT_RETIRED;
}

/* May the record stay in this bucket's chain? */
static bool belongs(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t bucket,
                    uint32_t index)
{
	const struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	/* observe[entry-state]: its current value */
	uint64_t word = k2k_load_acquire(&entry->state);
	/* relaxed: published by the link that led here */
	uint64_t generation = k2k_load_relaxed(&entry->gen);
	const struct k2k_registration *registration;

	if (bucket_of(hash, entry) != bucket)
		return false;
	if (k2k_entry_state(word) == K2K_ENTRY_LIVE || k2k_entry_state(word) == K2K_ENTRY_CLAIMED)
		return true;
	registration = k2k_mend_registration(mend, generation);
	if (!registration || is_unlinked_now(mend, word, registration))
		return false;
	if (!k2k_mend_revive(&hash->pool, index, generation))
		return false;
	k2k_mend_report(mend, &mend->counts.records, "I2", OBJECT,
	                "record %u of tenant slot %u was in use but marked as unused: it is marked "
	                "as in use again",
	                index, registration->slot);
	return true;
}

/* Finds the link whose value is `link`, from the head on; null if there is none any more. */
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
	/* brokers may have inserted before it meanwhile */
	while (at && !k2k_mend_set_link(at, at == &hash->heads[bucket], link, to))
		at = find_link(hash, bucket, link);
	k2k_mend_report(mend, &mend->counts.links, "I5", OBJECT,
	                "bucket %u: a link to %s%u was removed", bucket,
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
			if (!k2k_verify_mark(seen, link - 1)) {
				at = &entry->next;
				link = k2k_load_acquire(at); /* observe[entry-link]: its fields */
				continue;
			}
			ends = true; /* the chain is circular */
		}
		/*
		 * If the record is stamped with the next token, its remover was killed before it
		 * unlinked the record, or is our caller. That is no damage: recovery or the caller
		 * unlinks it.
		 */
		if (entry && !ends && bucket_of(hash, entry) == bucket &&
		    /* relaxed: only the writer, us, stamps a record with this token */
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
 * Takes the cost out of a record. UINT64_MAX stays in it, so a later booking does not fit, and its
 * broker counts it as unattributed. If the cost was UINT64_MAX already, an earlier writer took it
 * and was killed.
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

/* Mends the link of an unlinked record: readers may still be at the record and follow its link. */
static void mend_retired(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index)
{
	struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	/* observe[entry-link]: only whether it can be true */
	uint32_t next = k2k_load_acquire(&entry->next);

	/*
	 * publish[entry-link]: the end; a process that claimed the record meanwhile has set the
	 * link again
	 */
	if (next > hash->pool.capacity && k2k_cas_acq_rel(&entry->next, &next, 0))
		k2k_mend_report(mend, &mend->counts.links, "I2", OBJECT,
		                "record %u is no longer in use, and its link pointed outside the "
		                "table: it is 0 now",
		                index);
}

/*
 * A record is removed in these steps. If the process is killed after
 *   unlinked      it is LIVE and in no chain: the next k2k_mend() does the same again
 *   cost taken    the same; its cost is in no total
 *   cost added    the same; nothing is lost
 *   RETIRED       nothing is left to do
 */
static uint64_t begin_cut(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index)
{
	/* does nothing if it is not linked; the next check finds damage that comes meanwhile */
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

	/* relaxed: under the writer's lock */
	k2k_store_relaxed(total, k2k_sat_add(k2k_load_relaxed(total), ns));
	mend->counts.cut_ns = k2k_sat_add(mend->counts.cut_ns, ns);
	end_cut(mend, hash, index);
	k2k_mend_report(mend, &mend->counts.records, "I2", OBJECT,
	                "record %u belongs to no known tenant: removed with %" PRIu64
	                " ns of GPU time",
	                index, ns);
}

static void merge(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index, uint32_t into,
                  uint32_t slot)
{
	uint64_t ns = begin_cut(mend, hash, index),
		 rest = k2k_ledger_add(&mend->map->ledger[into], ns);
	/* relaxed, all: only the writer, us, changes sums of corrections */
	int64_t corrected = (int64_t)k2k_load_relaxed(&mend->map->ledger[index].corrected_ns);
	k2k_u64 *sum = &mend->map->ledger[into].corrected_ns;

	k2k_store_relaxed(sum, (uint64_t)k2k_sat_sum((int64_t)k2k_load_relaxed(sum), corrected));
	k2k_store_relaxed(&mend->map->ledger[index].corrected_ns, 0);

	if (rest)
		add_unattributed(mend, slot, rest);
	end_cut(mend, hash, index);
	/* relaxed, both: under the writer's lock */
	k2k_mend_report(mend, &mend->counts.merged, "I5", OBJECT,
	                "tenant %" PRIu64 ": engagement %" PRIu64
	                " had two records: the second's %" PRIu64 " ns were added to record %u",
	                k2k_load_relaxed(&mend->map->tenants[slot].id),
	                k2k_load_relaxed(&k2k_pool_at(&hash->pool, into)->key), ns, into);
}

static bool is_other(const struct k2k_shm_entry *entry, uint64_t than)
{
	return (uint64_t)(uintptr_t)entry != than;
}

/* Makes sure that the record is in its chain, and that no other one has its key. */
static void link_live(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index,
                      const struct k2k_registration *of, const uint8_t *seen)
{
	struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	/* relaxed: the key of a live record does not change */
	struct k2k_hash_key key = { of->generation, k2k_load_relaxed(&entry->key), of->slot };
	uint32_t other = index;
	int code;

	if (k2k_verify_is_marked(seen, index)) {
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
		/* relaxed: under the writer's lock */
		k2k_mend_report(mend, &mend->counts.records, "I5", OBJECT,
		                "tenant %" PRIu64 ": engagement %" PRIu64
		                " (record %u) was no longer linked: it is linked again",
		                k2k_load_relaxed(&mend->map->tenants[of->slot].id), key.key, index);
	else if (code == K2K_HASH_EXISTS && other != index)
		merge(mend, hash, index, other, of->slot);
}

/* No more can be corrected than was booked. */
static void mend_corrected(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_cost *cost = &mend->map->ledger[index];
	/* relaxed, all: numbers; the cost, which only grows, is loaded last */
	uint64_t was = k2k_load_relaxed(&cost->corrected_ns), ns;

	if (k2k_entry_state(k2k_load_relaxed(&cost->entry.state)) != K2K_ENTRY_LIVE)
		return;
	ns = k2k_load_relaxed(&cost->cost_ns);
	if ((int64_t)was >= 0 || -was <= ns || !k2k_cas_relaxed(&cost->corrected_ns, &was, -ns))
		return;
	k2k_mend_report(mend, &mend->counts.words, "I5", OBJECT,
	                "record %u: more was corrected than was booked: it is as much now", index);
}

static void mend_cost(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index,
                      const uint8_t *seen)
{
	struct k2k_shm_cost *cost = &mend->map->ledger[index];
	const struct k2k_registration *of;
	uint64_t generation, word;
	uint32_t slot;

	k2k_mend_state_word(mend, &hash->pool, index, OBJECT);
	mend_corrected(mend, index);
	k2k_mend_reserved(mend, OBJECT, index, cost->reserved, sizeof(cost->reserved));
	word = k2k_mend_adopt(mend, &hash->pool, index, k2k_verify_is_marked(seen, index),
	                      &mend->adopted_costs);
	/* relaxed, both: they don't change in a live record */
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
	/* relaxed: only the writer, us, changes it */
	k2k_mend_alert(mend, OBJECT, index, &cost->alerts,
	               K2K_SELECT_VERSION(k2k_load_relaxed(&mend->map->tenants[of->slot].select)));
	/* relaxed: it never changes back from 1 */
	if (!k2k_load_relaxed(&mend->map->cells[of->slot].has_costs)) {
		/* publish[cell-has-costs]: seen by observe[cell-has-costs] */
		k2k_store_release(&mend->map->cells[of->slot].has_costs, 1);
		k2k_mend_report(mend, &mend->counts.words, "I5", OBJECT,
		                "tenant slot %u has costs, but its flag said that it has none: the "
		                "flag is set",
		                of->slot);
	}
	if (slot != of->slot) {
		/* relaxed: a reader that does not see it yet finds the record a moment later */
		k2k_store_relaxed(&cost->entry.slot, of->slot);
		k2k_mend_report(mend, &mend->counts.records, "I2", OBJECT,
		                "record %u belongs to tenant slot %u, but named slot %u", index,
		                of->slot, slot);
	}
	link_live(mend, hash, index, of, seen);
}

/* ---- budgets ----------------------------------------------------------------------------- */

/* relaxed, all loads of budgets here: under the writer's lock */
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
 * Restores the key of a budget's ledger record: the definitions say which record the budget owns,
 * and what its key is.
 */
static void restore_key(struct k2k_mend *mend, const struct k2k_hash *hash, uint32_t index)
{
	/* relaxed: under the writer's lock */
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
		 * A reaper retires a budget before its record, and this budget is live. So if the
		 * record is not in use, it was not retired, but damaged.
		 */
		if (k2k_mend_revive(&hash->pool, record, key.gen))
			k2k_mend_report(mend, &mend->counts.records, "I2", OBJECT,
			                "record %u of budget %u was in use but marked as unused: "
			                "it is marked as in use again",
			                record, index);
		return;
	}
	/*
	 * Another process has claimed it while it was marked as free, and keeps it. relaxed: the
	 * key of a live record does not change
	 */
	if (k2k_entry_state(word) == K2K_ENTRY_CLAIMED ||
	    (k2k_mend_registration(mend, k2k_load_relaxed(&entry->gen)) &&
	     k2k_hash_is_linked(hash, record) == 0))
		return;
	/* observe[entry-state], publish[entry-state]: no other process takes it meanwhile */
	if (k2k_entry_state(word) != K2K_ENTRY_LIVE &&
	    !k2k_cas_acq_rel(&entry->state, &word,
	                     k2k_entry_word(K2K_ENTRY_CLAIMED, K2K_INCARNATION_WRITER)))
		return;
	/* relaxed, both: published by the generation, and by the link */
	k2k_store_relaxed(&entry->key, key.key);
	k2k_store_relaxed(&entry->slot, key.slot);
	k2k_store_release(&entry->gen, key.gen); /* publish[cost-gen]: the key of this generation */
	if (k2k_entry_state(word) != K2K_ENTRY_LIVE)
		/* publish[entry-state]: its key */
		k2k_store_release(&entry->state,
		                  k2k_entry_word(K2K_ENTRY_LIVE, K2K_INCARNATION_WRITER));
	k2k_mend_report(mend, &mend->counts.records, "I5", OBJECT,
	                "record %u belongs to budget %u, but had another key: its key is restored",
	                record, index);
}

/*
 * A budget's ledger record is read without a look-up, so it must be the record that its engagement
 * is booked on.
 */
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
	 * If no record is free, calls for the budget's engagement return K2K_ECORRUPT until one is,
	 * and check reports it.
	 */
	if (k2k_ledger_obtain(mend->map, &claimer, &key, &record) != 0 ||
	    k2k_load_relaxed(&budget->ledger) == record + 1) /* relaxed: under the writer's lock */
		return;
	/* relaxed: brokers check the record's key before they trust it */
	k2k_store_relaxed(&budget->ledger, record + 1);
	k2k_mend_report(
		mend, &mend->counts.records, "I5", "budgets",
		"budget %u did not read the record of its engagement: it reads record %u now",
		index, record);
}

int k2k_mend_costs(struct k2k_mend *mend)
{
	struct k2k_hash hash = k2k_ledger_hash(mend->map);
	uint8_t *seen = calloc(hash.pool.capacity / 8 + 1, 1);
	uint32_t high;

	if (!seen)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "repair", "no memory to check %u records",
		                      hash.pool.capacity);
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
