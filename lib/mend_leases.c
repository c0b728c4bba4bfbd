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

#include "lease.h"
#include "mend.h"
#include "tenant.h"

#define OBJECT "leases"

/* A copy of one use of a record. */
struct view {
	uint64_t word, use, incarnation, generation, whose;
	uint32_t slot, broker;
};

static bool copy(const struct k2k_shm_lease *record, struct view *view)
{
	/* observe[entry-state]: the key of this use */
	view->word = k2k_load_acquire(&record->state);
	view->use = k2k_load_acquire(&record->use); /* observe[lease-use]: the key */
	/* relaxed, all: between two loads of `use` and the state */
	view->incarnation = k2k_load_relaxed(&record->incarnation);
	view->generation = k2k_load_relaxed(&record->gen);
	view->whose = k2k_load_relaxed(&record->whose);
	view->slot = (uint32_t)view->whose;
	view->broker = (uint32_t)(view->whose >> 32);
	/* fence[lease-reset]: the words are loaded before the second load of the use */
	k2k_fence_acquire();
	/* relaxed, both: ordered by the fence */
	return k2k_load_relaxed(&record->state) == view->word &&
	       k2k_load_relaxed(&record->use) == view->use;
}

/* The slot of a broker, or K2K_SLOTS if it has none. */
static uint32_t slot_of(const struct k2k_mend *mend, uint64_t incarnation)
{
	for (uint32_t i = 0; i < K2K_SLOTS; i++)
		/* relaxed: compared */
		if (k2k_load_relaxed(&mend->map->slots[i].owner) == incarnation)
			return i;
	return K2K_SLOTS;
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
	 * relaxed, both: numbers for diagnostics; a broker that still changes them does so in vain
	 */
	k2k_mend_report(mend, &mend->counts.leases, "I4", OBJECT,
	                "record %u %s: the %" PRIu64 " kernels and %" PRIu64
	                " bytes that it held no longer count",
	                index, why, k2k_load_relaxed(&record->claims[K2K_RESOURCE_KERNELS].held),
	                k2k_load_relaxed(&record->claims[K2K_RESOURCE_GPU_MEMORY].held));
}

/* Makes a record whose state may be damaged LIVE again, if a living broker's row leads to it. */
static bool restore(struct k2k_mend *mend, uint32_t index, const struct view *view)
{
	const struct k2k_map *map = mend->map;
	const struct k2k_registration *of = k2k_mend_registration(mend, view->generation);
	uint64_t word = view->word;

	if ((view->use & 1) || !k2k_lease_is_incarnation(view->incarnation) || !of ||
	    of->slot != view->slot || view->broker >= K2K_SLOTS ||
	    view->broker != slot_of(mend, view->incarnation) ||
	    /* observe[lease-link]: its current value */
	    k2k_load_acquire(&map->lease_rows[view->slot].record[view->broker]) != index + 1 ||
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
 * Makes the record's words agree with the definitions and with its owner's slot. False: nothing is
 * left to do with the record.
 */
static bool mend_key(struct k2k_mend *mend, uint32_t index, const struct view *view)
{
	struct k2k_shm_lease *record = &mend->map->leases[index];
	const struct k2k_registration *of = k2k_mend_registration(mend, view->generation);
	uint32_t place = slot_of(mend, k2k_entry_above(view->word));

	/*
	 * The owner word of the broker's slot may be damaged. Then no other broker has the slot
	 * yet, and this broker goes on using it. relaxed: only compared
	 */
	if (place == K2K_SLOTS && view->broker < K2K_SLOTS &&
	    !k2k_liveness_alive(mend->liveness,
	                        k2k_load_relaxed(&mend->map->slots[view->broker].owner)))
		place = view->broker;
	if (!of && k2k_mend_is_over(mend, view->slot, view->generation)) {
		/* a killed reaper left the record */
		mend->adopted_leases += k2k_lease_free(record, view->word);
		return false;
	}
	if (!of || place == K2K_SLOTS) {
		set_aside(mend, index, view,
		          of ? "belongs to no broker's slot" : "belongs to no known tenant");
		return false;
	}
	if (change(&record->whose, view->whose, (uint64_t)place << 32 | of->slot))
		k2k_mend_report(
			mend, &mend->counts.records, "I4", OBJECT,
			"record %u belongs to tenant slot %u and broker %u, but named others",
			index, of->slot, place);
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
	       copy(&mend->map->leases[link - 1], &other) &&
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
	k2k_u32 *row = &map->lease_rows[view->slot].record[view->broker];
	uint64_t bit = UINT64_C(1) << view->broker;
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
	} else if (k2k_load_relaxed(&map->cells[view->slot].lease_brokers) & bit) {
		return;
	}
	/* publish[lease-link]: the row */
	k2k_or_release(&map->cells[view->slot].lease_brokers, bit);
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
	if (!mend_key(mend, index, view) || !copy(record, view) ||
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
	if (copy(&mend->map->leases[index], &again) &&
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

	k2k_mend_reserved(mend, OBJECT, index, record->reserved, sizeof(record->reserved));
	holds = holds_something(record);
	if (!copy(record, &view))
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

static void mend_row(struct k2k_mend *mend, uint32_t slot)
{
	for (uint32_t i = 0; i < K2K_SLOTS; i++) {
		k2k_u32 *word = &mend->map->lease_rows[slot].record[i];
		/* relaxed: the compare-exchange decides */
		uint32_t link = k2k_load_relaxed(word);

		/* publish[lease-link]: that there is no record */
		if (link > mend->map->sizes.leases && k2k_cas_acq_rel(word, &link, 0))
			k2k_mend_report(mend, &mend->counts.links, "I4", OBJECT,
			                "tenant slot %u: the link of broker %u was %u, which is "
			                "outside the table: it is 0 now",
			                slot, i, link);
	}
}

int k2k_mend_leases(struct k2k_mend *mend)
{
	struct k2k_pool pool = k2k_lease_pool(mend->map);
	uint32_t high;

	k2k_mend_mark(mend, &pool, OBJECT);
	for (uint32_t i = 0; i < mend->map->sizes.tenants; i++)
		mend_row(mend, i);
	high = mend->thorough ? pool.capacity : k2k_pool_high(&pool);
	for (uint32_t i = 0; i < high; i++)
		mend_lease(mend, i);
	return 0;
}
