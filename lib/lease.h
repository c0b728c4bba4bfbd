/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease.h (F6) - kernel slots and GPU memory: usage is the sum of its holders.
 *
 * There is no central count. What a broker holds of a tenant stands in a record that only
 * this broker writes, under its own mutex:
 *
 *   claim     asked += n                  withdraw   ended += n
 *   grant     held += n                   release    held -= n, then ended += n
 *
 * A record counts only while its incarnation lives. So a death is one fact: no
 * count to repair, no scan, no timer.
 *
 * Records come from one table, and come back without anybody's help:
 *
 *   FREE -> CLAIMED|own             by CAS, any broker
 *   IDLE|anybody -> CLAIMED|own     by CAS, any broker: it holds nothing
 *   LIVE, CLAIMED|dead -> CLAIMED|own   by CAS, any broker, once the death has been told (deaths.c)
 *   CLAIMED|own -> LIVE|own         when it is filled
 *   LIVE|own -> IDLE|own            when nothing is held or asked for, and another one has come to
 *   that since IDLE|own -> LIVE|own            by CAS: the next acquire of the same tenant LIVE ->
 *   FREE                    by the writer, of a tenant whose grace period has passed, or of a dead
 *   broker; or set aside by
 *                                   a repair and its token has passed
 *
 * 1. Only its owner writes into a record: who has it LIVE or CLAIMED, and lives. All others change
 *    its state alone, by a CAS that names a dead owner or none.
 * 2. No record is in a list, so none is ever taken out of one. A tenant's row has a word for each
 *    broker slot, written by that slot's owner: where its record was last. Who follows it asks the
 *    record whose it is: tenant, generation, broker slot. Another's by now: it counts nothing here.
 * 3. A record's content is one use of it: `use` is odd while it is filled, and never the same
 *    again. A reader that finds another number after its copy than before follows the row again. So
 *    no copy is of two uses, however long its reader stood still.
 * 4. A bit of the tenant's cell says which words of the row to follow. It is set before the first
 *    claim and stays: one too many costs a look.
 *
 * So the record that a broker used last stays its own: taken and given back in turn, it costs no
 * CAS. The table has one more for each broker slot for that; they are as well what a broker that
 * stands still has CLAIMED. A table that is full is asked again for 20 ms before an acquire says so
 * (lease_calls.c): then each record holds something.
 *
 * Acquire n: look; if it fits, claim, full fence, look again; if it still fits, grant. A look:
 * 1. L = limit. Own held + n > L: full.
 * 2. Copy the other records: use, incarnation, ended, asked, held, and the use
 *    again. `ended` before `asked`: a sum of asked - ended can only be too high.
 *    Own held + n + sum <= L: fits. (Of two that claim, at least one sees the other.)
 * 3. The limit again; then leave out the dead. It fits now: fits.
 * 4. Own held + n + the held of the living > limit: look at `ended` and the use of
 *    each holder once more. All as before: full, because there was a moment, that
 *    of the second load of the limit, when all of it was held. Else look again.
 * 5. Else claims stand in the way. If own + the claims of lower slots + what higher ones
 *    hold fits, it is our turn: keep the claim, look again. Else withdraw, and start over.
 *    After a bound: busy.
 *
 * (Held and pending counts with two equal sums, the obvious form, grant too much
 * and refuse what is free. Which of two wins in every schedule can't be bounded: that is
 * consensus.)
 *
 * acquire, killed after:   others see                               what brings the record back
 *   CLAIMED                its last use, of the dead or idle        its incarnation is dead: the
 *   next claim of any broker use odd                a record that counts nothing             " use
 *   even, row, bit     zeroes of a dead incarnation             " LIVE, asked, held      nothing:
 *   its incarnation is dead         "
 * Stopped there for an hour, it keeps this one record, of those there are for that, and what it has
 * claimed.
 *
 * What lies: a row's word that leads outside of the table is corrupt. One that leads to another's
 * record hides what its own broker holds: check finds a living holder that no row leads to, and
 * repair leads there again (mend_leases.c).
 *
 * Models: tests/model/lease.pml, with store buffers: the decision; tests/model/record.pml: who has
 * a record. What they take as ordered otherwise: the claim's seq_cst fence between `asked` and all
 * looks; lease-link, lease-use, lease-asked, lease-ended and lease-held, stored with release,
 * looked at with acquire.
 */
#ifndef K2K_LEASE_H
#define K2K_LEASE_H

#include "broker.h"
#include "error.h"
#include "pool.h"

struct k2k_leaser {
	const struct k2k_map *map;
	struct k2k_liveness *liveness;
	const struct k2k_broker *broker;
	/* index + 1 of the record that it keeps LIVE; 0: none. The handle's own, under its mutex */
	uint32_t *kept;
};

struct k2k_lease_request {
	uint32_t slot; /* the tenant's */
	uint64_t generation;
	enum k2k_resource resource;
	uint64_t amount;
	uint64_t (*limit)(const struct k2k_map *map, uint32_t slot, enum k2k_resource resource);
	bool exact_used; /* count only the living in *used, also on a grant */
};

/* Of the pool's functions only those that look: a lease's states are its own. */
static inline struct k2k_pool k2k_lease_pool(const struct k2k_map *map)
{
	struct k2k_pool pool = { (unsigned char *)map->leases, sizeof(struct k2k_shm_lease),
		                 map->sizes.leases, &map->live->lease_pool };

	return pool;
}

/*
 * In a read section, under the handle's mutex. 0: granted; K2K_LEASE_AT_LIMIT; K2K_LEASE_AGAIN;
 * K2K_LEASE_REPORT_DEATHS; K2K_EFULL: each record holds something; K2K_ECORRUPT. *used and *limit:
 * what was decided on. Keeps a claim, and the section, for 5 ms at most, and no claim that was not
 * granted.
 */
int k2k_lease_acquire(const struct k2k_leaser *leaser, const struct k2k_lease_request *request,
                      uint64_t *used, uint64_t *limit);
/* 0, K2K_ENOTHELD, K2K_ECORRUPT. */
int k2k_lease_release(const struct k2k_leaser *leaser, uint32_t slot, uint64_t generation,
                      enum k2k_resource resource, uint64_t amount);

/* One holder of a tenant, copied. */
struct k2k_holding {
	uint32_t index, broker_slot;
	uint64_t use, incarnation;
	uint64_t asked[K2K_RESOURCES], ended[K2K_RESOURCES], held[K2K_RESOURCES];
};
struct k2k_holdings {
	uint32_t count;
	struct k2k_holding list[K2K_SLOTS];
};
/* Every record of the registration, of the dead and the living. 0, K2K_ECORRUPT. */
int k2k_lease_collect(const struct k2k_map *map, uint32_t slot, uint64_t generation,
                      struct k2k_holdings *holdings);
/* What living brokers hold. */
int k2k_lease_sum(const struct k2k_map *map, struct k2k_liveness *liveness, uint32_t slot,
                  uint64_t generation, uint64_t held[K2K_RESOURCES]);
/* May any broker have, or have had, a record of this tenant slot? */
static inline bool k2k_lease_any(const struct k2k_map *map, uint32_t slot)
{
	/* observe[lease-link]: the row */
	return k2k_load_acquire(&map->cells[slot].lease_brokers) != 0;
}

/* What one broker's records hold, and how many do; of a dead one, as it died. */
uint32_t k2k_lease_sum_of(const struct k2k_map *map, uint64_t incarnation,
                          uint64_t held[K2K_RESOURCES]);
/* How many records hold something for living brokers. */
uint32_t k2k_lease_count(const struct k2k_map *map, struct k2k_liveness *liveness);

/*
 * The writer's, after the registration's grace period: what living brokers still have of it becomes
 * free. 0; K2K_ECORRUPT: but for what the damaged row does not lead to.
 */
int k2k_lease_reap(const struct k2k_map *map, uint32_t slot, uint64_t generation);

/* ---- for that, and for repair (mend_leases.c) ---- */

/*
 * Else it is set aside by a repair: the token that must pass before it is free. It counts nothing.
 */
static inline bool k2k_lease_is_incarnation(uint64_t number)
{
	return number >= K2K_LOCK_BYTE_LIFE_MIN && number < K2K_LOCK_BYTE_LIFE_MAX;
}

/*
 * The state was loaded before the key. LIVE and of a registration that is over: its owner does not
 * come back to it, so the word can only change by a death, after which it is never the same again:
 * the CAS frees this use or none.
 */
static inline bool k2k_lease_free(struct k2k_shm_lease *record, uint64_t word)
{
	/* publish[entry-state]: nobody holds anything there */
	return k2k_cas_acq_rel(&record->state, &word, K2K_ENTRY_FREE);
}

/* Dead, but the event that says what it held is still to be written (deaths.c). */
bool k2k_lease_death_unreported(const struct k2k_map *map, uint64_t incarnation);

#endif
