/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lease_records.h"

#include <string.h>

#include "delay.h"
#include "rcu.h"

#define READS 64 /* of one record: each repetition means that some broker took it meanwhile */

int k2k_lease_corrupt(const struct k2k_lease_key *key, const char *what)
{
	return k2k_fail_values(K2K_ECORRUPT, "leases", "row", 0, key->of, "the %s %u: %s",
	                       key->reservation ? "reservations of ledger record"
	                                        : "leases of tenant slot",
	                       key->of, what);
}

void k2k_lease_reach_row(const struct k2k_map *map, const struct k2k_lease_key *key)
{
	k2k_u32 *reach = &map->reserve_rows[key->of & map->reserve_mask].reach;
	uint32_t was = k2k_load_relaxed(reach); /* relaxed: the compare-exchange decides */

	while (was < key->away)
		/* publish[lease-link]: the row */
		if (k2k_cas_acq_rel(reach, &was, key->away))
			return;
}

bool k2k_lease_find_of(const struct k2k_map *map, const struct k2k_lease_key *key,
                       uint64_t incarnation, uint32_t *index)
{
	/* observe[lease-link]: the record's key */
	uint32_t link = k2k_load_acquire(k2k_lease_link(map, key));

	if (link == 0 || link > map->sizes.leases ||
	    !k2k_lease_matches(&map->leases[link - 1], key) ||
	    /* relaxed: constant in one use, unless a repair sets it aside */
	    k2k_load_relaxed(&map->leases[link - 1].incarnation) != incarnation)
		return false;
	*index = link - 1;
	return true;
}

/* ---- the locks ------------------------------------------------------------------------- */

bool k2k_lease_try_shared(struct k2k_own_leases *own, uint32_t lock)
{
	/* observe[lease-only]: what the first thread did before they were shared */
	uint64_t only = k2k_load_acquire(&own->only);
	uint32_t free = 0;

	/* relaxed: the first thread finds nothing of another one */
	if (only == K2K_LEASES_OF_NOBODY &&
	    k2k_cas_relaxed(&own->only, &only, (uintptr_t)k2k_thread_self))
		return k2k_lease_try_lock(own, lock);
	/* observe[lease-lock]: what its last owner did */
	return only == K2K_LEASES_SHARED && k2k_cas_acquire(&own->locks[lock].taken, &free, 1);
}

int k2k_lease_share(struct k2k_own_leases *own)
{
	/* observe[lease-only]: what the first thread did, or CHANGING */
	uint64_t only = k2k_load_acquire(&own->only);
	int code;

	if (only == K2K_LEASES_SHARED || only == K2K_LEASES_OF_NOBODY ||
	    only == (uintptr_t)k2k_thread_self)
		return 0;
	/* before anything changes: if grace periods don't end, the first thread goes on alone */
	code = k2k_rcu_synchronize();
	if (!code && only != K2K_LEASES_CHANGING) {
		/* publish[lease-only]: before the grace period. observe[lease-only] on failure */
		if (!k2k_cas_acq_rel(&own->only, &only, K2K_LEASES_CHANGING))
			return 0;
		K2K_DELAY(lease_changing);
		code = k2k_rcu_synchronize();
	}
	only = K2K_LEASES_CHANGING;
	if (!code)
		/* publish[lease-only]: what the first thread did before the grace period */
		k2k_cas_acq_rel(&own->only, &only, K2K_LEASES_SHARED);
	return code;
}

/* ---- taking a record ----------------------------------------------------------------- */

/*
 * The brokers that were found alive, so that the kernel is asked once about each. A broker that
 * takes a slot meanwhile counts as alive too: a pass over the table decides nothing by itself.
 */
struct roll_call {
	const struct k2k_map *map;
	struct k2k_liveness *liveness;
	uint64_t living[K2K_SLOTS_MAX / 64]; /* by broker slot */
};

static bool is_alive(struct roll_call *roll, const struct k2k_shm_lease *record,
                     uint64_t incarnation)
{
	/* relaxed, both: if they don't name the owner's slot, the kernel is asked */
	uint32_t broker = k2k_lease_key_of(k2k_load_relaxed(&record->whose), 0).broker_slot;
	bool has_slot = broker < roll->map->sizes.slots &&
	                k2k_load_relaxed(&roll->map->slots[broker].owner) == incarnation;

	if (has_slot && (roll->living[broker / 64] >> broker % 64 & 1))
		return true;
	if (!k2k_liveness_alive(roll->liveness, incarnation))
		return false;
	if (has_slot)
		roll->living[broker / 64] |= UINT64_C(1) << broker % 64;
	return true;
}

bool k2k_lease_death_unreported(const struct k2k_map *map, uint64_t incarnation)
{
	for (uint32_t i = 0; i < map->sizes.slots; i++)
		if (k2k_load_acquire(&map->slots[i].owner) == incarnation) /* observe[slot-owner] */
			return k2k_lease_is_incarnation(incarnation) &&
			       /*
			        * observe[slot-death-reported]: reported before its records are
			        * reused
			        */
			       k2k_load_acquire(&map->slots[i].death_reported) != incarnation;
	return false;
}

bool k2k_lease_try_take(const struct k2k_leaser *leaser, uint32_t index, uint64_t word)
{
	/* observe[entry-state]: the last owner's stores; publish[entry-state]: the mark above it */
	return k2k_cas_acq_rel(&leaser->map->leases[index].state, &word,
	                       k2k_entry_word(K2K_ENTRY_CLAIMED, leaser->broker->incarnation));
}

/*
 * Every second record of a table that is not small is for kernels and memory alone, of which a
 * tenant has one record for each broker. Else reservations, of which one tenant may have any
 * number, could use up all of them, and no tenant would get a kernel slot.
 */
static bool may_take(const struct k2k_leaser *leaser, uint32_t index)
{
	return leaser->lock != K2K_LOCK_OF_RESERVATIONS || index % 2 == 0 ||
	       leaser->map->sizes.leases < K2K_POOL_SMALL;
}

/* Takes a record that was never used. While there is one, no broker loses an IDLE record. */
static bool take_fresh(const struct k2k_leaser *leaser, uint32_t *index)
{
	k2k_u32 *mark = &leaser->map->live->lease_pool.high;
	uint32_t high = k2k_load_relaxed(mark); /* relaxed: the CAS decides */

	while (high < leaser->map->sizes.leases) {
		*index = high;
		/* publish[pool-high]: before the claim of the record below it */
		if (k2k_cas_acq_rel(mark, &high, high + 1) && may_take(leaser, *index) &&
		    k2k_lease_try_take(leaser, *index, K2K_ENTRY_FREE))
			return true;
	}
	return false;
}

bool k2k_lease_may_change(const struct k2k_leaser *leaser, const struct k2k_shm_lease *record)
{
	/* relaxed, all: our own record */
	struct k2k_lease_key key = k2k_lease_key_of(k2k_load_relaxed(&record->whose),
	                                            k2k_load_relaxed(&record->gen));

	return k2k_load_relaxed(&record->incarnation) == leaser->broker->incarnation &&
	       leaser->is_registered(leaser->map, &key);
}

bool k2k_lease_lock_kept(const struct k2k_leaser *leaser, uint64_t kept)
{
	uint32_t lock = (uint32_t)(kept >> 32);

	if (lock == leaser->lock)
		return true;
	if (!k2k_lease_try_lock(leaser->own, lock))
		return false;
	/* relaxed: ordered by the lock */
	if (k2k_load_relaxed(&leaser->own->kept) == kept)
		return true;
	k2k_lease_unlock(leaser->own, lock);
	return false;
}

void k2k_lease_unlock_kept(const struct k2k_leaser *leaser, uint64_t kept)
{
	if (kept >> 32 != leaser->lock)
		k2k_lease_unlock(leaser->own, (uint32_t)(kept >> 32));
}

/* Takes the record that we keep LIVE, if it holds nothing: better than another broker's. */
static bool take_kept(const struct k2k_leaser *leaser, uint32_t *index)
{
	uint64_t live = k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation);
	/* relaxed: compared again under the record's lock */
	uint64_t kept = k2k_load_relaxed(&leaser->own->kept);
	struct k2k_shm_lease *record;
	bool taken = false;

	if (kept == 0 || !may_take(leaser, (uint32_t)kept - 1) ||
	    !k2k_lease_lock_kept(leaser, kept))
		return false;
	*index = (uint32_t)kept - 1;
	record = &leaser->map->leases[*index];
	/* observe[entry-state]: still ours, or freed with its tenant */
	if (k2k_load_acquire(&record->state) != live || k2k_lease_may_change(leaser, record)) {
		/* relaxed: under the record's lock */
		k2k_store_relaxed(&leaser->own->kept, 0);
		taken = k2k_lease_holds_nothing(record) && k2k_lease_try_take(leaser, *index, live);
	}
	k2k_lease_unlock_kept(leaser, kept);
	return taken;
}

int k2k_lease_take(const struct k2k_leaser *leaser, uint32_t *index)
{
	const struct k2k_map *map = leaser->map;
	uint32_t start = k2k_load_relaxed(&map->live->lease_pool.hint); /* relaxed: a hint */
	struct roll_call roll = { .map = map, .liveness = leaser->liveness };
	bool unreported = false;

	if (take_fresh(leaser, index) || take_kept(leaser, index))
		return 0;
	if (start >= map->sizes.leases)
		start = 0;
	for (uint32_t i = 0; i < map->sizes.leases; i++) {
		uint32_t at = start + i < map->sizes.leases ? start + i
		                                            : start + i - map->sizes.leases;
		/* observe[entry-state]: the stores before this state */
		uint64_t word = k2k_load_acquire(&map->leases[at].state);
		unsigned int state = k2k_entry_state(word);

		if (!may_take(leaser, at))
			continue;
		if (state == K2K_ENTRY_LIVE || state == K2K_ENTRY_CLAIMED) {
			if (is_alive(&roll, &map->leases[at], k2k_entry_above(word)))
				continue;
			if (k2k_lease_death_unreported(map, k2k_entry_above(word))) {
				unreported = true;
				continue;
			}
		}
		if (!k2k_lease_try_take(leaser, at, word))
			continue;
		k2k_store_relaxed(&map->live->lease_pool.hint, at + 1); /* relaxed: a hint */
		*index = at;
		return 0;
	}
	return unreported ? K2K_LEASE_REPORT_DEATHS : K2K_EFULL;
}

/* ---- reading other brokers' records -------------------------------------------------- */

/* Copies one use of the record that the row leads to. 0; K2K_ENOTHELD: it counts nothing here. */
static int copy(const struct k2k_map *map, const struct k2k_lease_key *key,
                struct k2k_holding *holding)
{
	for (int tries = 0; tries < READS; tries++) {
		/* observe[lease-link]: the record's use */
		uint32_t link = k2k_load_acquire(k2k_lease_link(map, key));
		const struct k2k_shm_lease *record;
		bool counts;

		if (link == 0)
			return K2K_ENOTHELD;
		if (link > map->sizes.leases)
			return k2k_lease_corrupt(key,
			                         "a word of the row leads outside of the table");
		record = &map->leases[link - 1];
		holding->index = link - 1;
		holding->broker_slot = key->broker_slot;
		/* observe[lease-use]: the zeroes of this use, or later values */
		holding->use = k2k_load_acquire(&record->use);
		if (holding->use & 1)
			/* the record is being filled: its last owner held nothing or is dead */
			return K2K_ENOTHELD;
		/* relaxed: between the two loads of `use` */
		holding->incarnation = k2k_load_relaxed(&record->incarnation);
		counts = k2k_lease_matches(record, key) &&
		         k2k_lease_is_incarnation(holding->incarnation);
		for (int i = 0; i < K2K_RESOURCES; i++) {
			/*
			 * observe[lease-ended]: first, so that the claim that ended is in `asked`
			 * below, and a sum is never too low
			 */
			holding->ended[i] = k2k_load_acquire(&record->claims[i].ended);
			/* observe[lease-asked]: the use before it */
			holding->asked[i] = k2k_load_acquire(&record->claims[i].asked);
			/* observe[lease-held]: the claim before it */
			holding->held[i] = k2k_load_acquire(&record->claims[i].held);
		}
		/* fence[lease-reset] with that of fill(): the words above, before `use` again */
		k2k_fence_acquire();
		/* relaxed: ordered by the fence */
		if (k2k_load_relaxed(&record->use) == holding->use)
			return counts ? 0 : K2K_ENOTHELD;
	}
	return k2k_fail(K2K_ECORRUPT, "leases", "use",
	                "a lease record changed its use during %d reads in a row", READS);
}

static void begin_row(struct k2k_lease_walk *walk)
{
	/* observe[lease-link]: the row */
	k2k_slots_begin(&walk->brokers, walk->map,
	                k2k_load_acquire(k2k_lease_brokers(walk->map, &walk->key)));
}

void k2k_lease_walk(struct k2k_lease_walk *walk, const struct k2k_map *map,
                    const struct k2k_lease_key *key)
{
	walk->map = map;
	walk->code = 0;
	walk->key = *key;
	walk->key.away = 0;
	walk->reach = k2k_lease_reach(map, key);
	begin_row(walk);
}

static bool next_slot(struct k2k_lease_walk *walk)
{
	while (!k2k_slots_next(&walk->brokers, &walk->key.broker_slot)) {
		if (walk->key.away == walk->reach)
			return false;
		walk->key.away++;
		begin_row(walk);
	}
	return true;
}

bool k2k_lease_next(struct k2k_lease_walk *walk, struct k2k_holding *holding)
{
	while (next_slot(walk)) {
		walk->code = copy(walk->map, &walk->key, holding);
		if (walk->code == 0)
			return true;
		if (walk->code != K2K_ENOTHELD)
			return false;
		walk->code = 0;
	}
	return false;
}

/* Adds what the living of these brokers hold. */
static void add_living(struct k2k_liveness *liveness, const struct k2k_holding *list,
                       uint32_t count, uint64_t held[K2K_RESOURCES])
{
	uint64_t incarnations[K2K_LIVENESS_AT_ONCE] = { 0 };
	bool alive[K2K_LIVENESS_AT_ONCE];

	for (uint32_t i = 0; i < count; i++)
		incarnations[i] = list[i].incarnation;
	k2k_liveness_ask(liveness, incarnations, alive, count);
	for (uint32_t i = 0; i < count; i++)
		for (int r = 0; alive[i] && r < K2K_RESOURCES; r++)
			held[r] = k2k_sat_add(held[r], list[i].held[r]);
}

int k2k_lease_sum(const struct k2k_map *map, struct k2k_liveness *liveness,
                  const struct k2k_lease_key *key, uint64_t held[K2K_RESOURCES])
{
	struct k2k_holding list[K2K_LIVENESS_AT_ONCE];
	struct k2k_lease_walk walk;
	uint32_t count = 0;

	memset(held, 0, sizeof(*held) * K2K_RESOURCES);
	k2k_lease_walk(&walk, map, key);
	while (k2k_lease_next(&walk, &list[count])) {
		const uint64_t *of = list[count].held;

		if (!of[0] && !of[1] && !of[2])
			continue;
		if (++count < K2K_LIVENESS_AT_ONCE)
			continue;
		add_living(liveness, list, count, held);
		count = 0;
	}
	if (count)
		add_living(liveness, list, count, held);
	if (walk.code)
		memset(held, 0, sizeof(*held) * K2K_RESOURCES);
	return walk.code;
}

/* ---- of all tenants ---------------------------------------------------------------- */

uint32_t k2k_lease_sum_of(const struct k2k_map *map, uint64_t incarnation,
                          uint64_t held[K2K_RESOURCES])
{
	struct k2k_pool pool = k2k_lease_pool(map);
	uint32_t high = k2k_pool_high(&pool), records = 0;

	memset(held, 0, sizeof(*held) * K2K_RESOURCES);
	for (uint32_t i = 0; i < high; i++) {
		struct k2k_shm_lease *lease = &map->leases[i];
		bool holds = false;

		/*
		 * observe[entry-state]: its counters. A dead broker's record stays LIVE until the
		 * death is reported, or the writer frees it
		 */
		if (k2k_load_acquire(&lease->state) !=
		            k2k_entry_word(K2K_ENTRY_LIVE, incarnation) ||
		    /* relaxed: constant in a LIVE record, unless a repair sets it aside */
		    k2k_load_relaxed(&lease->incarnation) != incarnation)
			continue;
		for (int r = 0; r < K2K_RESOURCES; r++) {
			/* observe[lease-held]: as in copy() */
			uint64_t n = k2k_load_acquire(&lease->claims[r].held);

			held[r] = k2k_sat_add(held[r], n);
			holds = holds || n;
		}
		records += holds;
	}
	return records;
}

uint32_t k2k_lease_count(const struct k2k_map *map, struct k2k_liveness *liveness)
{
	struct k2k_pool pool = k2k_lease_pool(map);
	struct roll_call roll = { .map = map, .liveness = liveness };
	uint32_t high = k2k_pool_high(&pool), count = 0;

	for (uint32_t i = 0; i < high; i++) {
		const struct k2k_shm_lease *lease = &map->leases[i];
		/* relaxed, all: a count for diagnostics */
		uint64_t word = k2k_load_relaxed(&lease->state);

		if (k2k_entry_state(word) == K2K_ENTRY_LIVE && !k2k_lease_holds_nothing(lease) &&
		    k2k_load_relaxed(&lease->incarnation) == k2k_entry_above(word))
			count += is_alive(&roll, lease, k2k_entry_above(word));
	}
	return count;
}

/* ---- for the writer ---------------------------------------------------------------- */

int k2k_lease_reap(const struct k2k_map *map, const struct k2k_lease_key *key)
{
	struct k2k_lease_walk walk;
	int code = 0;

	k2k_lease_walk(&walk, map, key);
	while (next_slot(&walk)) {
		/* observe[lease-link]: the record's key */
		uint32_t link = k2k_load_acquire(k2k_lease_link(map, &walk.key));
		struct k2k_shm_lease *record;
		uint64_t word;

		if (link == 0)
			continue;
		if (link > map->sizes.leases) {
			code = k2k_lease_corrupt(key,
			                         "a word of the row leads outside of the table");
			continue;
		}
		record = &map->leases[link - 1];
		/* observe[entry-state]: the key of this use */
		word = k2k_load_acquire(&record->state);
		if (k2k_entry_state(word) == K2K_ENTRY_LIVE && k2k_lease_matches(record, &walk.key))
			k2k_lease_free(record, word);
	}
	return code;
}
