/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend_leases.c (F6, on top of its peers) - restores lease records and the rows that lead to them.
 *
 * A record names its owner, and a row is only a hint (lease.h). So each LIVE record of a living
 * broker is checked by itself: its words must agree with the definitions and with the broker's
 * slot, and its row must lead to it. A FREE record has no owner, and an IDLE one holds nothing. If
 * its other words say otherwise, it was in use, and is made LIVE again if all else agrees.
 *
 * Brokers run meanwhile. A broker that fills a record has it CLAIMED, and such a record is left
 * alone. All other records are copied between two loads of the state and the use, so what looks
 * like damage here is damage. Words are changed by compare-exchange.
 *
 * A record of a living broker that can't be restored is set aside: its incarnation becomes the next
 * token. From then on it counts nothing, a release of it returns K2K_ENOTHELD, and its broker takes
 * another record at its next acquire. Once the token has passed, none of its broker's calls uses
 * the record any more, and it is freed. What it held is reported. A record of another owner is
 * never mistaken for one that is set aside.
 *
 * Killed after:
 *   step            others see                     the next writer
 *   set aside       a record that counts nothing   frees it; if its token was not published, it is
 *                                                  damaged, and set aside again
 *   row, not bit    nobody follows the row         sets the bit
 */
#include <inttypes.h>

#include "lease_records.h"
#include "mend.h"
#include "tenant.h"

#define OBJECT "leases"

/* A copy of one use of a record. */
struct view {
	uint64_t word, use, incarnation, generation, whose;
	struct k2k_lease_key key; /* as `whose` has it */
	uint32_t slot;            /* the tenant's */
	uint32_t broker;
};

static bool copy(const struct k2k_map *map, const struct k2k_shm_lease *record, struct view *view)
{
	/* observe[entry-state]: the key of this use */
	view->word = k2k_load_acquire(&record->state);
	view->use = k2k_load_acquire(&record->use); /* observe[lease-use]: the key */
	/* relaxed, all: between two loads of `use` and the state */
	view->incarnation = k2k_load_relaxed(&record->incarnation);
	view->generation = k2k_load_relaxed(&record->gen);
	view->whose = k2k_load_relaxed(&record->whose);
	view->key = k2k_lease_key_of(view->whose, view->generation);
	view->broker = view->key.broker_slot;
	view->slot = view->key.of;
	if (view->key.reservation)
		/* relaxed: constant as long as the registration is there */
		view->slot = view->key.of < map->sizes.engagements
		                     ? k2k_load_relaxed(&map->ledger[view->key.of].entry.slot)
		                     : UINT32_MAX;
	/* fence[lease-reset]: the words are loaded before the second load of the use */
	k2k_fence_acquire();
	/* relaxed, both: ordered by the fence */
	return k2k_load_relaxed(&record->state) == view->word &&
	       k2k_load_relaxed(&record->use) == view->use;
}

/* The slot of a broker, or K2K_SLOT_NONE. */
static uint32_t slot_of(const struct k2k_mend *mend, uint64_t incarnation)
{
	for (uint32_t i = 0; i < mend->map->sizes.slots; i++)
		/* relaxed: compared */
		if (k2k_load_relaxed(&mend->map->slots[i].owner) == incarnation)
			return i;
	return K2K_SLOT_NONE;
}

static bool holds_something(const struct k2k_shm_lease *record)
{
	bool holds = false;

	/* relaxed, all: only compared; the state is loaded again */
	for (int i = 0; i < K2K_RESOURCES; i++)
		holds = holds || k2k_load_relaxed(&record->claims[i].held) ||
		        k2k_load_relaxed(&record->claims[i].asked) !=
		                k2k_load_relaxed(&record->claims[i].ended);
	return holds;
}

/* A broker holds at most what it has asked for and not ended. */
static bool is_possible(const struct k2k_shm_lease *record)
{
	for (int i = 0; i < K2K_RESOURCES; i++) {
		const struct k2k_shm_claim *claim = &record->claims[i];
		/*
		 * Loaded in the order in which a sound record never looks wrong: `held` is raised
		 * after `asked`, and lowered before `ended` is raised.
		 */
		/* observe[lease-ended]: the `asked` that it ends */
		uint64_t ended = k2k_load_acquire(&claim->ended);
		/* observe[lease-held]: the `asked` before it */
		uint64_t held = k2k_load_acquire(&claim->held);
		/* observe[lease-asked]: its current value */
		uint64_t asked = k2k_load_acquire(&claim->asked);

		if (held > asked - ended)
			return false;
	}
	return true;
}

/* ---- the words of one record -------------------------------------------------------------- */

static bool change(k2k_u64 *word, uint64_t from, uint64_t to)
{
	/*
	 * relaxed: the record's owner has filled it; a reader that looks between two loads of `use`
	 * sees the old or the new value
	 */
	return from != to && k2k_cas_relaxed(word, &from, to);
}

static void set_aside(struct k2k_mend *mend, uint32_t index, const struct view *view,
                      const char *why)
{
	struct k2k_shm_lease *record = &mend->map->leases[index];

	if (!change(&record->incarnation, view->incarnation, mend->token))
		return;
	mend->stamped = true;
	/*
	 * relaxed, all: numbers for diagnostics; a broker that still changes them does so in vain
	 */
	k2k_mend_report(mend, &mend->counts.leases, "I4", OBJECT,
	                "record %u %s: the %" PRIu64 " kernels and %" PRIu64
	                " bytes that it held, and the %" PRIu64
	                " ns that it reserved, no longer count",
	                index, why, k2k_load_relaxed(&record->claims[K2K_RESOURCE_KERNELS].held),
	                k2k_load_relaxed(&record->claims[K2K_RESOURCE_GPU_MEMORY].held),
	                k2k_load_relaxed(&record->claims[K2K_RESOURCE_GPU_TIME].held));
}

/* Is it the ledger record of an engagement of that registration? */
static bool is_engagement(const struct k2k_mend *mend, uint32_t ledger, uint64_t generation)
{
	const struct k2k_shm_entry *entry = &mend->map->ledger[ledger].entry;
	unsigned int state;

	if (ledger >= mend->map->sizes.engagements)
		return false;
	/* relaxed, both: of a sound one constant as long as the registration is there */
	state = k2k_entry_state(k2k_load_relaxed(&entry->state));
	/* a stopped broker may have linked it, and not made it LIVE yet */
	return (state == K2K_ENTRY_LIVE || state == K2K_ENTRY_CLAIMED) &&
	       k2k_load_relaxed(&entry->gen) == generation;
}

/* Does the row that the key names lead to the record? */
static bool is_led_to(const struct k2k_mend *mend, const struct k2k_lease_key *key, uint32_t index)
{
	/* observe[lease-link]: its current value */
	return k2k_load_acquire(k2k_lease_link(mend->map, key)) == index + 1;
}

/* Makes a record whose state may be damaged LIVE again, if a living broker's row leads to it. */
static bool restore(struct k2k_mend *mend, uint32_t index, const struct view *view)
{
	const struct k2k_map *map = mend->map;
	const struct k2k_registration *of = k2k_mend_registration(mend, view->generation);
	uint64_t word = view->word;

	if ((view->use & 1) || !k2k_lease_is_incarnation(view->incarnation) || !of ||
	    of->slot != view->slot || view->broker >= map->sizes.slots ||
	    (view->key.reservation && !is_engagement(mend, view->key.of, view->generation)) ||
	    view->broker != slot_of(mend, view->incarnation) ||
	    !is_led_to(mend, &view->key, index) ||
	    !k2k_liveness_alive(mend->liveness, view->incarnation))
		return false;
	/*
	 * publish[entry-state]: what its owner had stored; a process that took it meanwhile keeps
	 * it
	 */
	if (k2k_cas_acq_rel(&map->leases[index].state, &word,
	                    k2k_entry_word(K2K_ENTRY_LIVE, view->incarnation)))
		k2k_mend_report(mend, &mend->counts.records, "I4", OBJECT,
		                "record %u was in use by broker %u but marked as unused: it is "
		                "marked as in use again",
		                index, view->broker);
	return true;
}

static void give_back(struct k2k_mend *mend, uint32_t index, const struct view *view,
                      const char *why)
{
	struct k2k_shm_lease *record = &mend->map->leases[index];

	/* before the free, because a row may lead to the record and its owner may be alive */
	change(&record->incarnation, view->incarnation, 0);
	if (k2k_lease_free(record, view->word))
		k2k_mend_report(mend, &mend->counts.records, "I4", OBJECT,
		                "record %u %s: it is free now", index, why);
}

/* ---- records of living brokers --------------------------------------------------------------- */

/*
 * What the key of a record of broker `place` must be. Its counters say whether it is a reservation;
 * the ledger has the generation, and the rows know how far away it is. False: it names no
 * engagement of its tenant.
 */
static bool right_key(const struct k2k_mend *mend, uint32_t index, const struct view *view,
                      const struct k2k_registration *of, uint32_t place, struct k2k_lease_key *key)
{
	const struct k2k_shm_claim *claims = mend->map->leases[index].claims;
	/* relaxed, all: they only grow in one use of the record */
	bool reserves = k2k_load_relaxed(&claims[K2K_RESOURCE_GPU_TIME].asked) != 0;
	bool holds = k2k_load_relaxed(&claims[K2K_RESOURCE_KERNELS].asked) ||
	             k2k_load_relaxed(&claims[K2K_RESOURCE_GPU_MEMORY].asked);

	if (reserves == holds)
		reserves = view->key.reservation;
	if (!reserves) {
		*key = k2k_lease_of_tenant(of->slot, view->generation);
		key->broker_slot = place;
		return true;
	}
	if (!is_engagement(mend, view->key.of, view->generation))
		return false;
	*key = k2k_lease_of_engagement(view->key.of, view->generation);
	key->broker_slot = place;
	key->away = view->key.away;
	if (key->away <= K2K_RESERVE_REACH && is_led_to(mend, key, index))
		return true;
	for (key->away = 0; key->away <= K2K_RESERVE_REACH; key->away++)
		if (is_led_to(mend, key, index))
			return true;
	key->away = view->key.away <= K2K_RESERVE_REACH ? view->key.away : 0;
	return true;
}

/*
 * Makes the record's words agree with the definitions and with its owner's slot. False: nothing is
 * left to do with the record.
 */
static bool mend_key(struct k2k_mend *mend, uint32_t index, const struct view *view)
{
	struct k2k_shm_lease *record = &mend->map->leases[index];
	const struct k2k_registration *of = k2k_mend_registration(mend, view->generation);
	uint32_t place = slot_of(mend, k2k_entry_above(view->word));
	struct k2k_lease_key key;

	/*
	 * The owner word of the broker's slot may be damaged. Then no other broker has the slot
	 * yet, and this broker goes on using it. relaxed: only compared
	 */
	if (place == K2K_SLOT_NONE && view->broker < mend->map->sizes.slots &&
	    !k2k_liveness_alive(mend->liveness,
	                        k2k_load_relaxed(&mend->map->slots[view->broker].owner)))
		place = view->broker;
	if (!of && k2k_mend_is_over(mend, view->slot, view->generation)) {
		/* a killed reaper left the record */
		mend->adopted_leases += k2k_lease_free(record, view->word);
		return false;
	}
	if (!of || place == K2K_SLOT_NONE) {
		set_aside(mend, index, view,
		          of ? "belongs to no broker's slot" : "belongs to no known tenant");
		return false;
	}
	if (!right_key(mend, index, view, of, place, &key)) {
		set_aside(mend, index, view, "belongs to no known engagement");
		return false;
	}
	if (change(&record->whose, view->whose, k2k_lease_whose(&key)))
		k2k_mend_report(mend, &mend->counts.records, "I4", OBJECT,
		                "record %u belongs to %s %u and broker %u, but named others", index,
		                key.reservation ? "ledger record" : "tenant slot", key.of, place);
	if (k2k_load_relaxed(&record->moving) > key.reservation >> 63) {
		/* relaxed: its owner stores it again with the next commit, if it has one */
		k2k_store_relaxed(&record->moving, 0);
		k2k_mend_report(mend, &mend->counts.words, "I4", OBJECT,
		                "record %u: the mark of a commit was wrong: it is 0 now", index);
	}
	if (change(&record->use, view->use, view->use + (view->use & 1)))
		k2k_mend_report(mend, &mend->counts.records, "I4", OBJECT,
		                "record %u was in use, but marked as being filled", index);
	if (change(&record->incarnation, view->incarnation, k2k_entry_above(view->word)))
		k2k_mend_report(mend, &mend->counts.records, "I4", OBJECT,
		                "record %u belongs to broker %u, but its counters to another",
		                index, place);
	return true;
}

static bool is_own(const struct k2k_mend *mend, uint32_t link, const struct view *view)
{
	struct view other;

	return link != 0 && link <= mend->map->sizes.leases &&
	       copy(mend->map, &mend->map->leases[link - 1], &other) &&
	       k2k_entry_state(other.word) >= K2K_ENTRY_LIVE &&
	       k2k_entry_above(other.word) == k2k_entry_above(view->word) &&
	       other.incarnation == view->incarnation && other.whose == view->whose &&
	       other.generation == view->generation;
}

/*
 * Makes the tenant's row lead to the record. If the row leads to another record of the same broker
 * and tenant, sets this one aside.
 */
static void restore_link(struct k2k_mend *mend, uint32_t index, const struct view *view)
{
	const struct k2k_map *map = mend->map;
	k2k_u32 *row = k2k_lease_link(map, &view->key);
	k2k_u64 *brokers = k2k_lease_brokers(map, &view->key);
	bool in_reach = view->key.away <= k2k_lease_reach(map, &view->key);
	uint64_t bit = k2k_slot_bit(map, view->broker);
	uint32_t link = k2k_load_acquire(row); /* observe[lease-link]: the record's key */

	if (link != index + 1) {
		if (is_own(mend, link, view)) {
			set_aside(mend, index, view, "is a second one of its broker and tenant");
			return;
		}
		/*
		 * publish[lease-link]: as its owner had stored it. A compare-exchange, because the
		 * owner may have another record there by now
		 */
		if (!k2k_cas_acq_rel(row, &link, index + 1))
			return;
		/* relaxed: only compared */
	} else if ((k2k_load_relaxed(brokers) & bit) && in_reach) {
		return;
	}
	/* publish[lease-link]: the row */
	k2k_or_release(brokers, bit);
	if (!in_reach)
		k2k_lease_reach_row(map, &view->key);
	/* relaxed: under the writer's lock */
	k2k_mend_report(mend, &mend->counts.links, "I4", OBJECT,
	                "tenant %" PRIu64
	                ": no link led to the leases of broker %u (record %u): one does again",
	                k2k_load_relaxed(&map->tenants[view->slot].id), view->broker, index);
}

/* For a LIVE record whose owner is alive. */
static void mend_living(struct k2k_mend *mend, uint32_t index, struct view *view)
{
	struct k2k_shm_lease *record = &mend->map->leases[index];

	if (view->incarnation != 0 && view->incarnation < mend->token) { /* was set aside */
		if (view->incarnation <= mend->passed->ask(mend->passed->context))
			mend->adopted_leases += k2k_lease_free(record, view->word);
		return;
	}
	if (!mend_key(mend, index, view) || !copy(mend->map, record, view) ||
	    k2k_entry_state(view->word) != K2K_ENTRY_LIVE ||
	    k2k_entry_above(view->word) != view->incarnation)
		return;
	if (!is_possible(record))
		set_aside(mend, index, view, "has counters that can't be true");
	else
		restore_link(mend, index, view);
}

/*
 * Makes a record LIVE again if restore() can, and then checks it like any LIVE record, because its
 * counters may be damaged too.
 */
static bool restore_and_judge(struct k2k_mend *mend, uint32_t index, const struct view *view)
{
	struct view again;

	if (!restore(mend, index, view))
		return false;
	if (copy(mend->map, &mend->map->leases[index], &again) &&
	    k2k_entry_state(again.word) == K2K_ENTRY_LIVE &&
	    k2k_entry_above(again.word) == again.incarnation)
		mend_living(mend, index, &again);
	return true;
}

/* ---- all ------------------------------------------------------------------------------------- */

/*
 * Frees a dead broker's record once the death has been reported, so that readers need not ask
 * whether the broker is alive.
 */
static void mend_dead(struct k2k_mend *mend, uint32_t index, const struct view *view)
{
	uint64_t owner = k2k_entry_above(view->word);

	if (k2k_entry_state(view->word) == K2K_ENTRY_LIVE && restore_and_judge(mend, index, view))
		return;
	if (!k2k_lease_is_incarnation(owner))
		give_back(mend, index, view, "had an owner that can't exist");
	else if (!k2k_lease_death_unreported(mend->map, owner))
		mend->adopted_leases += k2k_lease_free(&mend->map->leases[index], view->word);
}

static void mend_lease(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_lease *record = &mend->map->leases[index];
	struct view view;
	uint64_t owner;
	bool holds;

	holds = holds_something(record);
	if (!copy(mend->map, record, &view))
		return;
	owner = k2k_entry_above(view.word);
	switch (k2k_entry_state(view.word)) {
	case K2K_ENTRY_FREE:
		if (owner != 0 && !restore_and_judge(mend, index, &view))
			give_back(mend, index, &view, "was free but had an owner");
		return;
	case K2K_ENTRY_IDLE:
		if (!k2k_lease_is_incarnation(owner) ||
		    (holds && !restore_and_judge(mend, index, &view)))
			give_back(mend, index, &view,
			          holds ? "was idle but held something"
			                : "had an owner that can't exist");
		return;
	case K2K_ENTRY_CLAIMED:
		if (!k2k_liveness_alive(mend->liveness, owner))
			mend_dead(mend, index, &view);
		return;
	default:
		if (k2k_liveness_alive(mend->liveness, owner))
			mend_living(mend, index, &view);
		else
			mend_dead(mend, index, &view);
	}
}

/* `name` and `number` say which row it is. */
static void mend_row(struct k2k_mend *mend, uint32_t row, k2k_u64 *brokers, const char *name,
                     uint32_t number)
{
	/* relaxed: no bit that is cleared stands for a broker, so it carries nothing */
	uint64_t set = k2k_load_relaxed(brokers), all = k2k_slot_bits(mend->map);

	while ((set & ~all) && !k2k_cas_relaxed(brokers, &set, set & all))
		;
	if (set & ~all)
		k2k_mend_report(mend, &mend->counts.links, "I4", OBJECT,
		                "%s %u: its leases named brokers that have no slot", name, number);
	for (uint32_t i = 0; i < mend->map->sizes.slots; i++) {
		k2k_u32 *word = k2k_map_lease_link(mend->map, row, i);
		/* relaxed: the compare-exchange decides */
		uint32_t link = k2k_load_relaxed(word);

		/* publish[lease-link]: that there is no record */
		if (link > mend->map->sizes.leases && k2k_cas_acq_rel(word, &link, 0))
			k2k_mend_report(mend, &mend->counts.links, "I4", OBJECT,
			                "%s %u: the link of broker %u was %u, which is outside the "
			                "table: it is 0 now",
			                name, number, i, link);
	}
}

static void mend_reserve_row(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_reserve_row *row = &mend->map->reserve_rows[index];
	/* relaxed: readers clamp it */
	uint32_t reach = k2k_load_relaxed(&row->reach);

	mend_row(mend, mend->map->sizes.tenants + index, &row->brokers, "reservation row", index);
	k2k_mend_reserved(mend, OBJECT, index, &row->reserved, sizeof(row->reserved));
	/* to the farthest: who looks too far finds nothing more, who looks too near may miss one */
	if (reach > K2K_RESERVE_REACH && k2k_cas_relaxed(&row->reach, &reach, K2K_RESERVE_REACH))
		k2k_mend_report(mend, &mend->counts.words, "I4", OBJECT,
		                "reservation row %u reached %u rows: it is %u now", index, reach,
		                K2K_RESERVE_REACH);
}

int k2k_mend_leases(struct k2k_mend *mend)
{
	struct k2k_pool pool = k2k_lease_pool(mend->map);
	uint32_t high;

	k2k_mend_mark(mend, &pool, OBJECT);
	for (uint32_t i = 0; i < mend->map->sizes.tenants; i++)
		mend_row(mend, i, &mend->map->cells[i].lease_brokers, "tenant slot", i);
	for (uint32_t i = 0; i <= mend->map->reserve_mask; i++)
		mend_reserve_row(mend, i);
	high = mend->thorough ? pool.capacity : k2k_pool_high(&pool);
	for (uint32_t i = 0; i < high; i++)
		mend_lease(mend, i);
	return 0;
}
