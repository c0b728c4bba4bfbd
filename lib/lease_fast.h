/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease_fast.h (F6) - the short way of a lease that is granted at once, and of its release: the
 * steps of lease.h inline, for a broker that has a LIVE record of the key in its first row. It
 * reaches no system call.
 */
#ifndef K2K_LEASE_FAST_H
#define K2K_LEASE_FAST_H

#include "delay.h"
#include "lease_records.h"

/* ---- single steps, also of the long way ----------------------------------------------- */

static inline void k2k_lease_claim(struct k2k_shm_claim *claim, uint64_t n)
{
	/* relaxed: our own. publish[lease-asked]: the use before it */
	k2k_store_release(&claim->asked, k2k_load_relaxed(&claim->asked) + n);
	/*
	 * fence[lease-claim], with itself in another process: of two that claim, at least one sees
	 * the other's claim. Without it both could look while both claims are still in store
	 * buffers.
	 */
	k2k_fence_seq_cst();
	K2K_DELAY(lease_claimed);
}

static inline void k2k_lease_grant(struct k2k_shm_claim *claim, uint64_t n)
{
	/* relaxed: our own. publish[lease-held]: the use and the claim before it */
	k2k_store_release(&claim->held, k2k_load_relaxed(&claim->held) + n);
}

static inline void k2k_lease_give_back(struct k2k_shm_claim *claim, uint64_t amount)
{
	/* relaxed, both loads: only we write our record, under our lock */
	/* publish[lease-held]: before `ended`, so that nothing is free and held at once */
	k2k_store_release(&claim->held, k2k_load_relaxed(&claim->held) - amount);
	K2K_DELAY(given_back);
	/* publish[lease-ended]: `held` before it */
	k2k_store_release(&claim->ended, k2k_load_relaxed(&claim->ended) + amount);
	K2K_DELAY(lease_ended);
}

/* Before what is reserved is booked. The table of a commit is above k2k_lease_commit(). */
static inline void k2k_lease_begin_move(struct k2k_shm_lease *record)
{
	k2k_store_relaxed(&record->moving, 1); /* relaxed: ordered by the fence */
	/*
	 * fence[lease-moving] with that of load_booked(): who has seen the booking sees `moving`
	 */
	k2k_fence_release();
	K2K_DELAY(moving);
}

/* After it is booked. */
static inline void k2k_lease_end_move(struct k2k_shm_lease *record, enum k2k_resource resource,
                                      uint64_t amount)
{
	K2K_DELAY(booked_reserved);
	/* publish[lease-ended] in it: who sees that it has ended sees the booking */
	k2k_lease_give_back(&record->claims[resource], amount);
	k2k_store_release(&record->moving, 0); /* publish[lease-moving]: `ended` before it */
}

/* A row of a key, and what the records say that it leads to. */
struct k2k_lease_row {
	k2k_u32 *words;   /* by broker slot */
	k2k_u64 *brokers; /* the bits of those to follow */
	uint64_t whose;   /* of broker slot 0 */
	uint64_t generation;
};

static inline struct k2k_lease_row k2k_lease_row(const struct k2k_map *map,
                                                 const struct k2k_lease_key *key)
{
	struct k2k_lease_key first = *key;

	first.broker_slot = 0;
	return (struct k2k_lease_row){ k2k_lease_link(map, &first), k2k_lease_brokers(map, &first),
		                       k2k_lease_whose(&first), first.generation };
}

static inline uint64_t k2k_lease_whose_in(const struct k2k_lease_row *row, uint32_t broker)
{
	return row->whose | (uint64_t)broker << 32;
}

/* Takes from *room what these brokers want. False: it does not fit, or use look_slow(). */
bool k2k_lease_take_others(const struct k2k_map *map, const struct k2k_lease_row *row,
                           uint64_t bits, uint32_t own_slot, enum k2k_resource resource,
                           uint64_t *room);

/*
 * Takes from *room what all brokers but our own want, by this row. own_slot: UINT32_MAX: of none.
 * As k2k_lease_take_others().
 */
static inline bool k2k_lease_take_row(const struct k2k_map *map, const struct k2k_lease_row *row,
                                      uint32_t own_slot, enum k2k_resource resource, uint64_t *room)
{
	/* observe[lease-link]: the row */
	uint64_t bits = k2k_load_acquire(row->brokers);

	if (k2k_likely(map->slot_shift == 0 && own_slot < 64))
		bits &= ~(UINT64_C(1) << own_slot);
	if (k2k_unlikely(bits != 0)) {
		/* copies, so that the compiler keeps the caller's in registers */
		const struct k2k_lease_row copy = *row;
		uint64_t left = *room;
		bool fits = k2k_lease_take_others(map, &copy, bits, own_slot, resource, &left);

		*room = left;
		return fits;
	}
	return true;
}

/* ---- the short way --------------------------------------------------------------------- */

/* Our record of the row, if it is LIVE; else null. Only under the key's lock. */
static inline struct k2k_shm_lease *k2k_lease_find_live(const struct k2k_map *map,
                                                        const struct k2k_broker *broker,
                                                        const struct k2k_lease_row *row)
{
	/* relaxed: only the slot's owner writes it, and its owner before us was dead */
	uint32_t link = k2k_load_relaxed(&row->words[broker->slot]);
	struct k2k_shm_lease *record = &map->leases[link - 1];

	/* observe[entry-state], relaxed: as in find_in_row() */
	if (k2k_likely(link - 1 < map->sizes.leases &&
	               k2k_load_acquire(&record->state) ==
	                       k2k_entry_word(K2K_ENTRY_LIVE, broker->incarnation) &&
	               k2k_load_relaxed(&record->incarnation) == broker->incarnation &&
	               k2k_load_relaxed(&record->whose) == k2k_lease_whose_in(row, broker->slot) &&
	               k2k_load_relaxed(&record->gen) == row->generation))
		return record;
	return NULL;
}

/* Of a broker, under the key's lock. */
struct k2k_lease_attempt {
	const struct k2k_map *map;
	struct k2k_lease_row row;
	struct k2k_shm_lease *record; /* of k2k_lease_find_live() */
	uint32_t own_slot;
	enum k2k_resource resource;
	uint64_t amount;
};

/*
 * Steps 1 and 2 of a look, up to what is booked. True: what is held by us, the amount, and what the
 * others want is within the limit, by *room. False: it is not, or nothing is known.
 */
static inline __attribute__((always_inline)) bool k2k_lease_look_fast(
	const struct k2k_lease_attempt *a, uint64_t limit, uint64_t *room)
{
	/* relaxed: only we write our own record, under our lock */
	uint64_t own = k2k_load_relaxed(&a->record->claims[a->resource].held);

	*room = limit - own - a->amount;
	return k2k_likely(own <= limit && a->amount <= limit - own) &&
	       k2k_lease_take_row(a->map, &a->row, a->own_slot, a->resource, room);
}

enum k2k_lease_fast {
	K2K_LEASE_GRANTED,
	K2K_LEASE_UNCHANGED, /* nothing has changed: begin from the start, the long way */
	K2K_LEASE_CLAIMED,   /* the claim is made: k2k_lease_settle() decides */
};

/* `look`: the limit, k2k_lease_look_fast(), and then what is booked. */
static inline __attribute__((always_inline)) enum k2k_lease_fast k2k_lease_acquire_fast(
	const struct k2k_lease_attempt *a,
	bool (*look)(const struct k2k_lease_attempt *a, void *context), void *context)
{
	struct k2k_shm_claim *claim = &a->record->claims[a->resource];

	if (k2k_unlikely(!look(a, context)))
		return K2K_LEASE_UNCHANGED;
	k2k_lease_claim(claim, a->amount);
	if (k2k_unlikely(!look(a, context)))
		return K2K_LEASE_CLAIMED;
	k2k_lease_grant(claim, a->amount);
	return K2K_LEASE_GRANTED;
}

/*
 * After a release: true if the record stays as it is, because it holds something, or is the one
 * that we keep. False: k2k_lease_rest() decides.
 */
static inline bool k2k_lease_stays(const struct k2k_map *map, const struct k2k_own_leases *own,
                                   uint32_t lock, const struct k2k_shm_lease *record)
{
	uint32_t link = (uint32_t)(record - map->leases) + 1;

	/* relaxed: it leads only to a record that is under a lock */
	return k2k_load_relaxed(&own->kept) == ((uint64_t)lock << 32 | link) ||
	       !k2k_lease_holds_nothing(record);
}

#endif
