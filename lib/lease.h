/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease.h (F6) - kernel slots and GPU memory: usage is the sum of its holders.
 *
 * There is no central count. Each (tenant, broker slot) has a record, linked into
 * the tenant's list, written by the slot's owner only, under its own mutex:
 *
 *   claim     asked += n                  withdraw   ended += n
 *   grant     held += n                   release    held -= n, then ended += n
 *
 * A record counts only while its incarnation lives. So a death is one fact: no
 * count to repair, no scan, no timer. The next owner of the slot resets the
 * record at its first use: incarnation 0, the counters, its own incarnation.
 *
 * Acquire n: look; if it fits, claim, full fence, look again; if it still fits, grant. A look:
 * 1. L = limit. Own held + n > L: full.
 * 2. Copy the other records: incarnation, ended, asked, held, and the incarnation
 *    again. `ended` before `asked`: a sum of asked - ended can only be too high.
 *    Own held + n + sum <= L: fits. (Of two that claim, at least one sees the other.)
 * 3. The limit again; then leave out the dead. It fits now: fits.
 * 4. Own held + n + the held of the living > limit: look at `ended` and the incarnation of
 *    each holder once more. All as before: full, because there was a moment, that
 *    of the second load of the limit, when all of it was held. Else look again.
 * 5. Else claims stand in the way. If own + the claims of lower slots + what higher ones
 *    hold fits, it is our turn: keep the claim, look again. Else withdraw, and start over.
 *    After a bound: busy.
 *
 * (Held and pending counts with two equal sums, the obvious form, grant too much
 * and refuse what is free. Which of two wins in every schedule can't be bounded: that is consensus.)
 *
 * acquire, killed after:   others see                       recovery
 *   CLAIMED, fields        nothing                          FREE, by the writer
 *   linked                 a record that counts nothing     -
 *   reset                  a record that counts nothing     the next owner resets again
 *   asked, held            nothing: its incarnation is dead -
 *
 * Model: tests/model/lease.pml, with store buffers. What it takes as ordered otherwise: the claim's seq_cst fence between `asked` and
 * all looks; lease-link, lease-incarnation, lease-asked, lease-ended and lease-held, stored with release, looked at with acquire.
 */
#ifndef K2K_LEASE_H
#define K2K_LEASE_H

#include "broker.h"
#include "error.h"
#include "pool.h"

/* Nothing is claimed any more; pause outside of the read section, then try again. */
enum { K2K_LEASE_AGAIN = 1 };

struct k2k_leaser {
	const struct k2k_map *map;
	struct k2k_census *census;
	const struct k2k_broker *broker;
	const struct k2k_passed *passed;
	k2k_u64 *full_at;
};

struct k2k_lease_request {
	uint32_t slot;                   /* the tenant's */
	uint64_t generation;
	enum k2k_resource resource;
	uint64_t amount;
	uint64_t (*limit)(const struct k2k_map *map, uint32_t slot, enum k2k_resource resource);
	bool exact_used;                 /* count only the living in *used, also on a grant */
};

static inline struct k2k_pool k2k_lease_pool(const struct k2k_map *map)
{
	struct k2k_pool pool = { (unsigned char *)map->leases, sizeof(struct k2k_shm_lease), map->sizes.leases,
		                 &map->live->lease_pool };

	return pool;
}

/*
 * In a read section, under the handle's mutex. 0: granted. K2K_EBUSY stands for
 * "full" (the caller knows the resource's code); K2K_LEASE_AGAIN: others' claims stand in the way; K2K_EFULL: no
 * record free; K2K_ECORRUPT. *used and *limit: what was decided on. Keeps a claim, and the section, for 5 ms at most.
 */
int k2k_lease_acquire(const struct k2k_leaser *leaser, const struct k2k_lease_request *request, uint64_t *used,
                      uint64_t *limit);
/* 0, K2K_ENOTHELD, K2K_ECORRUPT. */
int k2k_lease_release(const struct k2k_leaser *leaser, uint32_t slot, uint64_t generation, enum k2k_resource resource,
                      uint64_t amount);

/* One holder of a tenant, copied. */
struct k2k_holding {
	uint32_t index, broker_slot;
	uint64_t incarnation;
	uint64_t asked[K2K_RESOURCES], ended[K2K_RESOURCES], held[K2K_RESOURCES];
};
struct k2k_holdings {
	uint32_t count;
	struct k2k_holding list[K2K_SLOTS];
};
/* Every record of the tenant that counts for somebody, dead or alive. 0, K2K_ECORRUPT. */
int k2k_lease_collect(const struct k2k_map *map, uint32_t slot, struct k2k_holdings *holdings);
/* What living brokers hold. */
int k2k_lease_sum(const struct k2k_map *map, struct k2k_census *census, uint32_t slot, uint64_t held[K2K_RESOURCES]);

/* What one broker's records hold, and how many do; of a dead one, as it died. */
uint32_t k2k_lease_sum_of(const struct k2k_map *map, uint64_t incarnation, uint64_t held[K2K_RESOURCES]);

/* The writer's, after the tenant's grace period: all records of the list become free. */
int k2k_lease_reap(const struct k2k_map *map, uint32_t slot);
/* The writer's: is the record in its tenant's list? 0, K2K_ENOTHELD, K2K_ECORRUPT. */
int k2k_lease_is_linked(const struct k2k_map *map, uint32_t index);

#endif
