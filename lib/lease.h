/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease.h (F6) - kernel slots and GPU memory: usage is the sum over all living holders.
 *
 * There is no central count. What a broker holds of a tenant is in a record that only this broker
 * writes, under its handle's mutex. Each resource has three counters, all in units of the resource:
 *
 *   claim     asked += n                  withdraw   ended += n
 *   grant     held += n                   release    held -= n, then ended += n
 *
 * asked - ended is what the broker wants: what it holds, and what it has claimed but not been
 * granted yet. A record counts only while its incarnation lives. So a death needs no repair of a
 * count, no scan and no timer.
 *
 * Records come from one table and need no cleaner. The state word names the owner:
 *
 *   FREE -> CLAIMED|own                 by CAS, any broker
 *   IDLE -> CLAIMED|own                 by CAS, any broker: an IDLE record holds nothing
 *   LIVE|own -> CLAIMED|own             by CAS: the record that the broker keeps, for another use
 *   LIVE or CLAIMED|dead -> CLAIMED|own by CAS, any broker, once the death is reported (deaths.h)
 *   CLAIMED|own -> LIVE|own             when it is filled
 *   LIVE|own -> IDLE|own                by CAS: nothing is wanted, and the broker keeps another
 *                                       one; only while the record's registration is there
 *   IDLE|own -> LIVE|own                by CAS: the next acquire of the same tenant
 *   LIVE -> FREE                        by CAS, the writer: the tenant's grace period has passed,
 *                                       the broker is dead, or the token of a repair that set the
 *                                       record aside has passed
 *
 * 1. Only the owner writes the contents of a record: the living broker that has it CLAIMED or LIVE.
 *    All others change only the state word, by a CAS that expects a dead owner or IDLE; only the
 *    writer's CAS also expects LIVE with a living owner, for a registration that is over.
 * 2. No record is in a list, so none has to be unlinked. Each tenant has a row with one word for
 *    each broker slot. The slot's owner stores there which record it used last for this tenant. A
 *    reader follows the word and checks the record's key: tenant slot, generation, broker slot. If
 *    the key is another, the record has been reused and counts nothing here.
 * 3. `use` numbers the uses of a record. It is odd while the record is filled, and never the same
 *    again. If a reader finds another number after its copy than before, it follows the row again.
 *    So a copy never mixes two uses, however long the reader was stopped.
 * 4. A bit set in the tenant's cell says which words of the row to follow. A broker's bit is set
 *    before its first claim and stays set; a bit that is set for nothing costs a look.
 *
 * A broker keeps the record that it used last LIVE although it holds nothing, so taking and
 * releasing in turn costs no CAS. The table has one more record for each broker slot for that. A
 * stopped broker may have such a record CLAIMED instead. If the table is full, an acquire tries
 * again for 20 ms (lease_calls.c); if it fails then, each record holds something.
 *
 * Acquire n: look; if it fits, claim, full fence, look again; if it still fits, grant. A look:
 * 1. L = limit. If own held + n > L: full.
 * 2. Copy the others' records: use, incarnation, ended, asked, held, and use again. `ended` comes
 *    before `asked`, so a sum of asked - ended can only be too high. If own held + n + sum <= L: it
 *    fits. (Of two brokers that claim, at least one sees the other's claim.)
 * 3. Load the limit again, then leave out the dead. If it fits now: it fits.
 * 4. If own held + n + what the living hold > limit: load `ended` and `use` of each holder again.
 *    If nothing has changed: full, because all of it was held at the moment of the second load of
 *    the limit. Else look again.
 * 5. Else only claims are in the way. If own held + n + the claims of lower slots + what higher
 *    slots hold fits, it is our turn: keep the claim and look again. Else withdraw and start over.
 *    After a bound: busy.
 *
 * The obvious form, one sum of what is held and one of what is pending, each taken twice, grants
 * too much and refuses what is free. No form decides, within a bound and in every schedule, which
 * of two brokers wins: that would be consensus.
 *
 * Killed in acquire after:  others see                           what makes the record usable again
 *   CLAIMED                 the last use: it is dead or idle     the incarnation is dead: the next
 *                                                                broker that needs one takes it
 *   use odd                 a record that counts nothing         "
 *   use even, row, bit      zeroes of a dead incarnation         "
 *   LIVE, asked, held       nothing: the incarnation is dead     "
 * A broker that is stopped there for an hour blocks this one record, which the table has to spare,
 * and what it has claimed.
 *
 * If bytes lie: a word of a row that leads outside of the table is corrupt. A word that leads to
 * another broker's record hides what its own broker holds; check finds a living holder that no row
 * leads to, and repair stores the right word (mend_leases.c).
 *
 * Models: tests/model/lease.pml, with store buffers, for the decision; tests/model/record.pml for
 * the ownership of a record. They rely on this order: a seq_cst fence between the store of `asked`
 * and the second look; lease-link, lease-use, lease-asked, lease-ended and lease-held, stored with
 * release and loaded with acquire.
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
	/* index + 1 of the record that the broker keeps LIVE though it holds nothing; 0: none. It
	 * is in the handle, under its mutex */
	uint32_t *kept;
	/* is that registration of the tenant's slot still LIVE? */
	bool (*is_registered)(const struct k2k_map *map, uint32_t slot, uint64_t generation);
};

struct k2k_lease_request {
	uint32_t slot; /* the tenant's */
	uint64_t generation;
	enum k2k_resource resource;
	uint64_t amount;
	uint64_t (*limit)(const struct k2k_map *map, uint32_t slot, enum k2k_resource resource);
	bool exact_used; /* *used counts only living holders, even if the lease is granted */
};

/* Only for the pool's functions that read: leases change their state in ways of their own. */
static inline struct k2k_pool k2k_lease_pool(const struct k2k_map *map)
{
	struct k2k_pool pool = { (unsigned char *)map->leases, sizeof(struct k2k_shm_lease),
		                 map->sizes.leases, &map->live->lease_pool };

	return pool;
}

/*
 * Call it in a read section, under the handle's mutex. 0: granted; K2K_LEASE_AT_LIMIT;
 * K2K_LEASE_AGAIN; K2K_LEASE_REPORT_DEATHS; K2K_EFULL: each record holds something; K2K_ECORRUPT.
 * *used and *limit are the numbers that it decided on. It keeps a claim that is not granted, and
 * the read section, for about 5 ms at most, and withdraws such a claim before it returns.
 */
int k2k_lease_acquire(const struct k2k_leaser *leaser, const struct k2k_lease_request *request,
                      uint64_t *used, uint64_t *limit);
/* 0, K2K_ENOTHELD, K2K_ECORRUPT. */
int k2k_lease_release(const struct k2k_leaser *leaser, uint32_t slot, uint64_t generation,
                      enum k2k_resource resource, uint64_t amount);

/* A copy of one holder's record. */
struct k2k_holding {
	uint32_t index, broker_slot;
	uint64_t use, incarnation;
	uint64_t asked[K2K_RESOURCES], ended[K2K_RESOURCES], held[K2K_RESOURCES];
};
struct k2k_holdings {
	uint32_t count;
	struct k2k_holding list[K2K_SLOTS];
};
/* Copies each record of the registration, of living and dead brokers. 0, K2K_ECORRUPT. */
int k2k_lease_collect(const struct k2k_map *map, uint32_t slot, uint64_t generation,
                      struct k2k_holdings *holdings);
/* Sums what living brokers hold. 0, K2K_ECORRUPT. */
int k2k_lease_sum(const struct k2k_map *map, struct k2k_liveness *liveness, uint32_t slot,
                  uint64_t generation, uint64_t held[K2K_RESOURCES]);
/* May any broker have, or have had, a record of this tenant slot? */
static inline bool k2k_lease_any(const struct k2k_map *map, uint32_t slot)
{
	/* observe[lease-link]: the row */
	return k2k_load_acquire(&map->cells[slot].lease_brokers) != 0;
}

/* Sums what one broker holds of all tenants; returns how many of its records hold something. */
uint32_t k2k_lease_sum_of(const struct k2k_map *map, uint64_t incarnation,
                          uint64_t held[K2K_RESOURCES]);
/* How many records hold something for living brokers. */
uint32_t k2k_lease_count(const struct k2k_map *map, struct k2k_liveness *liveness);

/*
 * For the writer, after the registration's grace period: frees the records that living brokers
 * still have of it. K2K_ECORRUPT: the row is damaged and may not lead to all of them.
 */
int k2k_lease_reap(const struct k2k_map *map, uint32_t slot, uint64_t generation);

/* ---- shared with mend_leases.c and deaths.c ---- */

/*
 * Is this number an incarnation? In a record that a repair has set aside the number is instead the
 * token that must pass before the record is free; such a record counts nothing.
 */
static inline bool k2k_lease_is_incarnation(uint64_t number)
{
	return number >= K2K_LOCK_BYTE_LIFE_MIN && number < K2K_LOCK_BYTE_LIFE_MAX;
}

/*
 * Frees a LIVE record of a registration whose grace period has passed. The caller loaded the state
 * before the key. The owner changes the state of such a record no more (may_change() in lease.c),
 * so only a death can, and the word never has the same value again: the CAS frees this use or none.
 */
static inline bool k2k_lease_free(struct k2k_shm_lease *record, uint64_t word)
{
	/* publish[entry-state]: nothing is held in it */
	return k2k_cas_acq_rel(&record->state, &word, K2K_ENTRY_FREE);
}

/* Is this death still to be reported, with what the broker held (deaths.h)? */
bool k2k_lease_death_unreported(const struct k2k_map *map, uint64_t incarnation);

#endif
