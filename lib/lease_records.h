/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease_records.h (F6) - the table of lease records, and the rows that lead to them. What they mean
 * is in lease.h.
 */
#ifndef K2K_LEASE_RECORDS_H
#define K2K_LEASE_RECORDS_H

#include "lease.h"

static inline uint64_t k2k_lease_whose(const struct k2k_lease_key *key)
{
	return key->reservation | (uint64_t)key->away << K2K_LEASE_AWAY_SHIFT |
	       (uint64_t)key->broker_slot << 32 | key->of;
}

/* The key of a record, from its words. */
static inline struct k2k_lease_key k2k_lease_key_of(uint64_t word, uint64_t generation)
{
	return (struct k2k_lease_key){ .of = (uint32_t)word,
		                       .broker_slot = (uint32_t)(word >> 32) & 0xffff,
		                       .generation = generation,
		                       .reservation = word & K2K_LEASE_RESERVATION,
		                       .away = (uint32_t)(word >> K2K_LEASE_AWAY_SHIFT) & 0x7fff };
}

/* ---- the rows ------------------------------------------------------------------------- */

/* The caller has checked that `of` is an index of its table. */
static inline uint32_t k2k_lease_place(const struct k2k_map *map, const struct k2k_lease_key *key)
{
	return (key->of + key->away) & map->reserve_mask;
}

static inline k2k_u32 *k2k_lease_link(const struct k2k_map *map, const struct k2k_lease_key *key)
{
	return k2k_map_lease_link(
		map, key->reservation ? map->sizes.tenants + k2k_lease_place(map, key) : key->of,
		key->broker_slot);
}

static inline k2k_u64 *k2k_lease_brokers(const struct k2k_map *map, const struct k2k_lease_key *key)
{
	return key->reservation ? &map->reserve_rows[k2k_lease_place(map, key)].brokers
	                        : &map->cells[key->of].lease_brokers;
}

/* How many rows behind the first one may lead to records of the key. */
static inline uint32_t k2k_lease_reach(const struct k2k_map *map, const struct k2k_lease_key *key)
{
	uint32_t reach;

	if (!key->reservation)
		return 0;
	/* observe[lease-link]: the rows within reach */
	reach = k2k_load_acquire(&map->reserve_rows[key->of & map->reserve_mask].reach);
	return reach < K2K_RESERVE_REACH ? reach : K2K_RESERVE_REACH;
}

static inline bool k2k_lease_matches(const struct k2k_shm_lease *record,
                                     const struct k2k_lease_key *key)
{
	/* relaxed: our own record, or between two loads of `use` */
	return k2k_load_relaxed(&record->whose) == k2k_lease_whose(key) &&
	       k2k_load_relaxed(&record->gen) == key->generation;
}

static inline bool k2k_lease_holds_nothing(const struct k2k_shm_lease *record)
{
	/* relaxed, all: our own record */
	if (k2k_load_relaxed(&record->whose) & K2K_LEASE_RESERVATION)
		return k2k_load_relaxed(&record->claims[K2K_RESOURCE_GPU_TIME].held) == 0;
	return k2k_load_relaxed(&record->claims[K2K_RESOURCE_KERNELS].held) == 0 &&
	       k2k_load_relaxed(&record->claims[K2K_RESOURCE_GPU_MEMORY].held) == 0;
}

/* What we hold of a resource; of kernels, without those that have a name in the directory. */
static inline uint64_t k2k_lease_unnamed(const struct k2k_shm_lease *record,
                                         enum k2k_resource resource)
{
	/* relaxed, both: only we write our record, under our lock */
	uint64_t held = k2k_load_relaxed(&record->claims[resource].held), named = 0;

	if (resource == K2K_RESOURCE_KERNELS)
		named = k2k_load_relaxed(&record->named);
	return named < held ? held - named : 0;
}

/* Finds the record that a broker's word of the row leads to. False: none of its incarnation. */
bool k2k_lease_find_of(const struct k2k_map *map, const struct k2k_lease_key *key,
                       uint64_t incarnation, uint32_t *index);

/* Makes the key's row one that readers look at. */
void k2k_lease_reach_row(const struct k2k_map *map, const struct k2k_lease_key *key);

/*
 * Takes the lock of the record that we keep, unless it is the caller's own. False: another thread
 * has it, or another record is kept by now.
 */
bool k2k_lease_lock_kept(const struct k2k_leaser *leaser, uint64_t kept);
void k2k_lease_unlock_kept(const struct k2k_leaser *leaser, uint64_t kept);

/* K2K_ECORRUPT, with its detail. */
int k2k_lease_corrupt(const struct k2k_lease_key *key, const char *what);

/*
 * Makes a record of the table CLAIMED by us. 0; K2K_EFULL: each record holds something;
 * K2K_LEASE_REPORT_DEATHS.
 */
int k2k_lease_take(const struct k2k_leaser *leaser, uint32_t *index);
/* Makes this record CLAIMED by us, if its state is still `word`, with which it could be taken. */
bool k2k_lease_try_take(const struct k2k_leaser *leaser, uint32_t index, uint64_t word);

/*
 * May we change the state of our LIVE record? Only while its registration is there and no repair
 * has set it aside: then the grace period after which the writer frees it can't end before our read
 * section does. Otherwise the writer may have looked already: if it were taken and LIVE again, the
 * writer's CAS could not tell the new use from the old one, and would free what is held.
 */
bool k2k_lease_may_change(const struct k2k_leaser *leaser, const struct k2k_shm_lease *record);

#endif
