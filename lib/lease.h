/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease.h (F6) - kernel slots, GPU memory and reserved GPU time: usage is the sum over all living
 * holders.
 *
 * There is no central count. What a broker holds of a tenant, or has reserved of an engagement, is
 * in a record that only this broker writes, under one of its locks (k2k_own_leases). Each resource
 * has three counters, all in units of the resource:
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
 *   IDLE -> CLAIMED|own                 by CAS, any broker: an IDLE record holds nothing. Also
 *                                       its own broker, which may use it for another key by now
 *   LIVE|own -> CLAIMED|own             by CAS: the record that the broker keeps, for another use
 *   LIVE or CLAIMED|dead -> CLAIMED|own by CAS, any broker, once the death is reported (deaths.h)
 *   CLAIMED|own -> LIVE|own             when it is filled
 *   LIVE|own -> IDLE|own                by CAS: nothing is wanted, and the broker keeps another
 *                                       one; only while the record's registration is there
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
 * 4. The bits in the tenant's cell say which words of the row to follow. With more than 64 broker
 *    slots a bit stands for several neighbours (map.h). A broker's bit is set before its first
 *    claim and stays set; a bit that is set for nothing costs a look.
 * 5. A row for each engagement would be nearly always empty, and take 16 MB by default. So
 *    reservation rows are shared: the first row of a ledger record is its index modulo their
 *    number. If a broker's word there leads to another reservation that it has LIVE, it takes the
 *    next row; `reach` of the first row says how many rows readers look at, and only grows. The key
 *    names the ledger record and the distance, so that a record counts in one row.
 *
 * A broker keeps the record that it used last LIVE although it holds nothing, so taking and
 * releasing in turn costs no CAS. The table has one more record for each broker slot for that. A
 * stopped broker may have such a record CLAIMED instead. If the table is full, an acquire tries
 * again for 20 ms (lease_calls.c); if it fails then, each record holds something.
 *
 * Acquire n: look; if it fits, claim, full fence, look again; if it still fits, grant. A look:
 * 1. L = limit.
 * 2. Copy the others' records: use, incarnation, ended, asked, held, and use again. `ended` comes
 *    before `asked`, so a sum of asked - ended can only be too high. Load what is booked, and the
 *    limit again. If own held + n + sum + booked <= L: it fits. (Of two brokers that claim, at
 *    least one sees the other's claim.)
 * 3. Leave out the dead, and load what is booked again. If it fits now: it fits.
 * 4. If own held + n + what the living hold + booked, as of step 2, > limit: load `moving`, `ended`
 *    and `use` of each holder again. If nothing has changed, and it is too much without those that
 *    move: full, because all of it was held at the moment of the second load of the limit. Else
 *    look again.
 * 5. Else only claims are in the way. If own held + n + the claims of lower slots + what higher
 *    slots hold fits, it is our turn: keep the claim and look again. Else withdraw and start over.
 *    After a bound: busy.
 *
 * Only a budget has something that is booked. A commit moves from one count to the other:
 *
 *   moving = 1, booked += what was used, held -= n, ended += n, moving = 0
 *
 * Released first, it would count nowhere for a while, and be granted to another. So it counts
 * twice, and who finds it full because of that looks again; after a bound it is busy, never full.
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
 * and what it has claimed. The table of a commit is above k2k_lease_commit().
 *
 * If bytes lie: a word of a row that leads outside of the table is corrupt. A word that leads to
 * another broker's record hides what its own broker holds; check finds a living holder that no row
 * leads to, and repair stores the right word (mend_leases.c).
 *
 * Models: tests/model/lease.pml, with store buffers, for the decision; tests/model/record.pml for
 * the ownership of a record. They rely on this order: a seq_cst fence between the store of `asked`
 * and the second look; lease-link, lease-use, lease-asked, lease-ended, lease-held and
 * lease-moving, stored with release and loaded with acquire.
 */
#ifndef K2K_LEASE_H
#define K2K_LEASE_H

#include "broker.h"
#include "error.h"
#include "pool.h"
#include "thread.h"

/* Whose record: what it is of, and the broker slot. */
struct k2k_lease_key {
	uint32_t of; /* the tenant's index; of a reservation, that of the ledger record */
	uint32_t broker_slot;
	uint64_t generation;  /* the tenant's */
	uint64_t reservation; /* K2K_LEASE_RESERVATION, or 0 */
	uint32_t away;        /* of a reservation: its row is so many rows behind the first one */
};

static inline struct k2k_lease_key k2k_lease_of_tenant(uint32_t slot, uint64_t generation)
{
	return (struct k2k_lease_key){ .of = slot, .generation = generation };
}

static inline struct k2k_lease_key k2k_lease_of_engagement(uint32_t ledger, uint64_t generation)
{
	return (struct k2k_lease_key){ .of = ledger,
		                       .generation = generation,
		                       .reservation = K2K_LEASE_RESERVATION };
}

/*
 * What the threads of one broker share of its own leases, in private memory. A tenant's record is
 * under one of the locks, by its slot; all reservations are under the first one, since those of
 * different engagements may share a row. A lock is only tried, in a read section: whoever fails
 * ends the section before it tries again. It is given back by a store: a lock with waiters in it
 * needs one more atomic step, and here waiters sleep.
 *
 * `kept` may lead to a record of another lock. It changes from 0 by a compare-exchange of a thread
 * that has the new record's lock, and from any other value only under the lock of the record that
 * it leads to. So nobody makes a record IDLE while another thread claims in it.
 */
#define K2K_LEASE_LOCKS 17
#define K2K_LOCK_OF_RESERVATIONS 0

/*
 * While only one thread of the broker uses leases, its record (thread.h) is in `only`, and it takes
 * the locks by plain stores. `only` changes to another value once, when a second thread comes:
 *
 *   0 -> the thread        by CAS, the first thread
 *   the thread -> CHANGING by CAS, a second thread, outside of read sections
 *   CHANGING -> SHARED     by CAS, after a grace period of the process (k2k_rcu_synchronize())
 *
 * In CHANGING nobody takes a lock. A lock is taken and given back in one read section. So at SHARED
 * each section has ended in which the first thread has found itself in `only`: no lock is still
 * taken, and from now on each is taken by CAS. A thread that stops in CHANGING stops nobody: who
 * finds that value waits for a grace period of its own, and stores SHARED. If the first thread has
 * ended, its record may be another thread's, which is then the only one. Model:
 * tests/model/only.pml.
 */
#define K2K_LEASES_OF_NOBODY 0
#define K2K_LEASES_CHANGING 1
#define K2K_LEASES_SHARED 2

struct k2k_lease_lock {
	k2k_u32 taken; /* 1: a thread has it */
	/* index + 1 of the record that became IDLE last, since another one is kept; how often */
	uint32_t idled, times;
} __attribute__((aligned(K2K_CACHE_LINE)));

struct k2k_own_leases {
	k2k_u64 only; /* K2K_LEASES_..., or the address of the record of the only thread */
	struct k2k_lease_lock locks[K2K_LEASE_LOCKS];
	/*
	 * lock << 32 | index + 1 of the record that the broker keeps LIVE though it holds nothing;
	 * 0: none
	 */
	k2k_u64 kept;
};

static inline uint32_t k2k_lease_lock_of_tenant(uint32_t slot)
{
	return 1 + slot % (K2K_LEASE_LOCKS - 1);
}

/* As k2k_lease_try_lock(), for every thread but the only one. */
bool k2k_lease_try_shared(struct k2k_own_leases *own, uint32_t lock);
/*
 * After a lock could not be taken, outside of read sections: lets all threads take the locks. 0;
 * K2K_EIO: membarrier(2) is refused now, so no grace period ends. Then only the first thread can
 * take them; or nobody, if the refusal began within this call.
 */
int k2k_lease_share(struct k2k_own_leases *own);

/* In a read section, which does not end before k2k_lease_unlock(). */
static inline bool k2k_lease_try_lock(struct k2k_own_leases *own, uint32_t lock)
{
	k2k_u32 *taken = &own->locks[lock].taken;

	/* relaxed: our own store, or the value is another; the grace period does the rest */
	if (k2k_unlikely(k2k_load_relaxed(&own->only) != (uintptr_t)k2k_thread_self))
		return k2k_lease_try_shared(own, lock);
	/* relaxed, both: our own */
	if (k2k_unlikely(k2k_load_relaxed(taken)))
		return false;
	k2k_store_relaxed(taken, 1);
	return true;
}

static inline void k2k_lease_unlock(struct k2k_own_leases *own, uint32_t lock)
{
	/* publish[lease-lock]: what was done under it */
	k2k_store_release(&own->locks[lock].taken, 0);
}

struct k2k_leaser {
	const struct k2k_map *map;
	struct k2k_liveness *liveness;
	const struct k2k_broker *broker;
	struct k2k_own_leases *own;
	/* room for copies of one record of each broker slot, under the lock */
	struct k2k_holding *others;
	/* is the registration still LIVE? */
	bool (*is_registered)(const struct k2k_map *map, const struct k2k_lease_key *key);
	uint32_t lock; /* the one that the caller has */
};

/* What bounds the leases. It begins as zeros. */
struct k2k_bound {
	uint64_t limit;
	uint64_t version; /* of the tenant's definition, which has this limit; from 1 on */
	uint64_t index;   /* for booked(): where to look */
};

struct k2k_lease_request {
	struct k2k_lease_key key; /* without a broker slot */
	enum k2k_resource resource;
	uint64_t amount;
	/* Brings *bound up to date. 0, K2K_ECORRUPT */
	int (*bound)(const struct k2k_map *map, const struct k2k_lease_request *request,
	             struct k2k_bound *bound);
	/* what counts besides the leases; null: nothing */
	uint64_t (*booked)(const struct k2k_map *map, const struct k2k_lease_request *request,
	                   const struct k2k_bound *bound);
	uint32_t tenant;               /* for `bound`: index and ... */
	uint64_t engagement;           /* ... key of the budget */
	const struct k2k_clock *clock; /* for `booked`: whether the budget renews */
	bool exact_used; /* *used counts only living holders, even if the lease is granted */
};

/* Only for the pool's functions that read: leases change their state in ways of their own. */
static inline struct k2k_pool k2k_lease_pool(const struct k2k_map *map)
{
	struct k2k_pool pool = { (unsigned char *)map->leases, sizeof(struct k2k_shm_lease),
		                 map->sizes.leases, &map->live->lease_pool, false };

	return pool;
}

/*
 * Call it in a read section, under the key's lock. 0: granted; K2K_LEASE_AT_LIMIT;
 * K2K_LEASE_AGAIN; K2K_LEASE_REPORT_DEATHS; K2K_EFULL: each record holds something; K2K_ECORRUPT.
 * *used and *limit are the numbers that it decided on. It keeps a claim that is not granted, and
 * the read section, for about 5 ms at most, and withdraws such a claim before it returns.
 */
int k2k_lease_acquire(const struct k2k_leaser *leaser, const struct k2k_lease_request *request,
                      uint64_t *used, uint64_t *limit);
/*
 * As k2k_lease_acquire(), from the second look on: the claim is made in our record (lease_fast.h).
 * It reaches a cancellation point only with cancellation disabled.
 */
int k2k_lease_settle(const struct k2k_leaser *leaser, const struct k2k_lease_request *request,
                     struct k2k_shm_lease *record);
/* 0, K2K_ENOTHELD, K2K_ECORRUPT. Of kernels it gives back only those that have no name. */
int k2k_lease_release(const struct k2k_leaser *leaser, const struct k2k_lease_key *key,
                      enum k2k_resource resource, uint64_t amount);
/*
 * After a release or a refusal: if the record holds nothing now, it becomes the one that we keep,
 * or IDLE: we never have two LIVE ones that hold nothing.
 */
void k2k_lease_rest(const struct k2k_leaser *leaser, const struct k2k_shm_lease *record);
/*
 * Of the kernels that the broker holds of a tenant, one more (1) or one less (-1) is a name in the
 * directory. In one section of the lock with the acquire, or the release, so that no other thread
 * gives that slot back. One more sets a count right that is damaged and above what is held. 0,
 * K2K_ENOTHELD, K2K_ECORRUPT.
 */
int k2k_lease_name(const struct k2k_leaser *leaser, const struct k2k_lease_key *key, int change);
/*
 * As release, after it has called book(). That is called in any case: what was used is booked even
 * if the record no longer counts, for example since a repair has set it aside.
 */
int k2k_lease_commit(const struct k2k_leaser *leaser, const struct k2k_lease_key *key,
                     enum k2k_resource resource, uint64_t amount, void (*book)(void *context),
                     void *context);
/*
 * Would the request be granted, as far as only what is held counts, and no claim? For a process
 * that need not be a broker. 0: yes. K2K_LEASE_AT_LIMIT: at a moment of the call it would not.
 * K2K_LEASE_AGAIN: that depends on a commit that did not end for 5 ms. K2K_ECORRUPT, K2K_ENOMEM.
 */
int k2k_lease_peek(const struct k2k_map *map, struct k2k_liveness *liveness,
                   const struct k2k_lease_request *request, uint64_t *used, uint64_t *limit);

/* A copy of one holder's record. */
struct k2k_holding {
	uint32_t index, broker_slot;
	uint64_t use, incarnation;
	uint64_t asked[K2K_RESOURCES], ended[K2K_RESOURCES], held[K2K_RESOURCES];
};
/* A pass over the records of one registration, of living and dead brokers. */
struct k2k_lease_walk {
	const struct k2k_map *map;
	struct k2k_lease_key key;
	struct k2k_slots brokers;
	uint32_t reach;
	int code;
};
void k2k_lease_walk(struct k2k_lease_walk *walk, const struct k2k_map *map,
                    const struct k2k_lease_key *key);
/*
 * Copies the next record: for a tenant in the order of the broker slots, and each slot once. False:
 * there is none, or walk->code is K2K_ECORRUPT.
 */
bool k2k_lease_next(struct k2k_lease_walk *walk, struct k2k_holding *holding);
/* Sums what living brokers hold. 0; K2K_ECORRUPT: the sums are 0. */
int k2k_lease_sum(const struct k2k_map *map, struct k2k_liveness *liveness,
                  const struct k2k_lease_key *key, uint64_t held[K2K_RESOURCES]);
/* May any broker have, or have had, a record of this tenant slot? */
static inline bool k2k_lease_any(const struct k2k_map *map, uint32_t slot)
{
	/* observe[lease-link]: the row */
	return k2k_load_acquire(&map->cells[slot].lease_brokers) != 0;
}

/* May any broker have, or have had, a reservation of this ledger record? */
static inline bool k2k_lease_any_reserved(const struct k2k_map *map, uint32_t ledger)
{
	const struct k2k_shm_reserve_row *row = &map->reserve_rows[ledger & map->reserve_mask];

	/* observe[lease-link]: the row; relaxed: a first row is followed by others only if full */
	return k2k_load_acquire(&row->brokers) != 0 || k2k_load_relaxed(&row->reach) != 0;
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
int k2k_lease_reap(const struct k2k_map *map, const struct k2k_lease_key *key);

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
 * before the key. The owner changes the state of such a record no more (k2k_lease_may_change()),
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
