/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tenant.h (F6) - definitions of tenants: find, read, build, publish, retire.
 *
 * 1. A definition is found only while it is LIVE and linked; it is linked once.
 * 2. State and generation are one word: a reader that sees (LIVE, g) before it copies, and again
 *    after, has copied registration g.
 * 3. There are two sets of limits, and the version says which is in force. The writer fills the
 *    other set and then raises the version; a reader keeps its copy if the version is the same
 *    afterwards. A killed writer leaves the version as it was, so no reader waits for it.
 *
 * register, killed after:                    others see           recovery
 *   BUILDING stored, fields, budgets          nothing              FREE again
 *   LIVE stored                               it in lists          linked (it happened)
 *   linked                                    it                   -
 * update, killed after:
 *   the other set, a mode                     it as before         -
 *   version and mode stored                   it as changed        budgets that ended are retired
 * deregister, killed after:
 *   token stored                              it                   -
 *   RETIRED stored                            GONE                 unlinked, token published
 *   unlinked                                  no tenant            token published
 */
#ifndef K2K_TENANT_H
#define K2K_TENANT_H

#include "delay.h"
#include "error.h"
#include "hot.h"
#include "list.h"
#include "map.h"

struct k2k_limits {
	uint64_t version;
	uint64_t rate, burst, alone;
	uint64_t gpu_memory_bytes;
	uint32_t kernels;
	uint32_t mode; /* K2K_MODE_... */
	uint32_t alerts;
	uint64_t name[K2K_NAME_WORDS];
};

static inline enum k2k_tenant_state k2k_tenant_state(uint64_t state_gen)
{
	return (enum k2k_tenant_state)(state_gen & ((1u << K2K_STATE_BITS) - 1));
}

static inline uint64_t k2k_tenant_generation(uint64_t state_gen)
{
	return state_gen >> K2K_STATE_BITS;
}

static inline uint64_t k2k_tenant_word(enum k2k_tenant_state state, uint64_t generation)
{
	return generation << K2K_STATE_BITS | (uint64_t)state;
}

static inline uint32_t k2k_tenant_bucket(const struct k2k_map *map, k2k_tenant_id id)
{
	return (uint32_t)k2k_mix64(id) & map->tenant_mask;
}

int k2k_tenant_corrupt(const char *what, uint32_t where) __attribute__((cold));
/* For a poison word that is not 0: K2K_EFENCED; K2K_ECORRUPT if no destroy can have written it. */
int k2k_tenant_fenced(const struct k2k_map *map) __attribute__((cold));

/* For calls that look up no tenant: 0, or as k2k_tenant_fenced(). */
static inline int k2k_tenant_check_fence(const struct k2k_map *map)
{
	/* relaxed: a call that sees the store late counts as one that came before it */
	if (k2k_unlikely(k2k_load_relaxed(&map->defs->poisoned) != 0))
		return k2k_tenant_fenced(map);
	return 0;
}

/* Searches the whole bucket. As k2k_tenant_find(). */
int k2k_tenant_walk(const struct k2k_map *map, k2k_tenant_id id, uint32_t *slot,
                    uint64_t *state_gen);

#define K2K_TENANT_NEAR 4

/*
 * Searches the first K2K_TENANT_NEAR definitions. False means "not found here", not "absent". *at:
 * the definition, so that the caller need not load map->tenants once more.
 */
static inline bool k2k_tenant_find_near(const struct k2k_map *map, k2k_tenant_id id, uint32_t *slot,
                                        const struct k2k_shm_tenant **at, uint64_t *state_gen)
{
	/* observe[tenant-link]: the definition's fields */
	uint32_t index = k2k_load_acquire(&map->tenant_heads[k2k_tenant_bucket(map, id)]) - 1;

	/* relaxed: a call that sees the store late counts as one that came before it */
	if (k2k_unlikely(k2k_load_relaxed(&map->defs->poisoned) != 0))
		return false;
#pragma GCC unroll 4
	for (int i = 0; i < K2K_TENANT_NEAR; i++) {
		const struct k2k_shm_tenant *tenant = &map->tenants[index];

		if (k2k_unlikely(index >= map->sizes.tenants)) /* also the end of the chain */
			return false;
		K2K_DELAY(walked);
		/* observe[tenant-state]: id, cell and limits of this generation */
		*state_gen = k2k_load_acquire(&tenant->state_gen);
		/*
		 * relaxed: the id is at least as new as the word loaded before it. It is written
		 * before LIVE and never while LIVE, so this is the tenant's registration, whichever
		 * link led here.
		 */
		if (k2k_likely(k2k_load_relaxed(&tenant->id) == id &&
		               k2k_tenant_state(*state_gen) == K2K_TENANT_LIVE)) {
			*slot = index;
			*at = tenant;
			K2K_DELAY(found);
			return true;
		}
		/* observe[tenant-link]: the fields of the next definition */
		index = k2k_load_acquire(&tenant->next) - 1;
	}
	return false;
}

/*
 * 0 with the slot and its (LIVE, generation); K2K_ENOTENANT (without a detail), K2K_EFENCED,
 * K2K_ECORRUPT. A broker calls it inside a read section: the slot stays this tenant's until that
 * section ends. All other callers copy first, and then check with k2k_tenant_still().
 */
static inline int k2k_tenant_find(const struct k2k_map *map, k2k_tenant_id id, uint32_t *slot,
                                  uint64_t *state_gen)
{
	const struct k2k_shm_tenant *at;

	return k2k_likely(k2k_tenant_find_near(map, id, slot, &at, state_gen))
	               ? 0
	               : k2k_tenant_walk(map, id, slot, state_gen);
}

/* True if the slot still holds the registration that was found: then the copies are of it. */
static inline bool k2k_tenant_is_still(const struct k2k_shm_tenant *tenant, uint64_t state_gen)
{
	k2k_fence_acquire(); /* the copies come before this look */
	/* relaxed: ordered by the fence */
	return k2k_load_relaxed(&tenant->state_gen) == state_gen;
}

static inline bool k2k_tenant_still(const struct k2k_map *map, uint32_t slot, uint64_t state_gen)
{
	return k2k_tenant_is_still(&map->tenants[slot], state_gen);
}

/*
 * The id of a registration that is LIVE; false: it is over. In a read section of a broker the slot
 * stays this registration's until that ends.
 */
static inline bool k2k_tenant_id_at(const struct k2k_map *map, uint32_t slot, uint64_t generation,
                                    k2k_tenant_id *id)
{
	const struct k2k_shm_tenant *tenant = &map->tenants[slot];
	uint64_t word = k2k_tenant_word(K2K_TENANT_LIVE, generation);

	/* observe[tenant-state]: id, cell and limits of this generation */
	if (k2k_load_acquire(&tenant->state_gen) != word)
		return false;
	/* relaxed: it is still of this generation below */
	*id = k2k_load_relaxed(&tenant->id);
	return k2k_tenant_is_still(tenant, word);
}

/* A registration that may be over. `slot` is below the number of tenants. */
struct k2k_registration_of {
	uint32_t slot;
	uint64_t generation;
};

/* As k2k_tenant_find(), for this registration and no later one of its id; or K2K_ESTALE. */
static inline int k2k_tenant_find_at(const struct k2k_map *map,
                                     const struct k2k_registration_of *of, k2k_tenant_id *id,
                                     uint32_t *slot, uint64_t *state_gen)
{
	*slot = of->slot;
	*state_gen = k2k_tenant_word(K2K_TENANT_LIVE, of->generation);
	return k2k_tenant_id_at(map, of->slot, of->generation, id) ? 0 : K2K_ESTALE;
}

/* Reads the rate in force and its version. False: the definition changed during the look. */
static inline bool k2k_tenant_try_rate(const struct k2k_shm_tenant *tenant, uint64_t *rate,
                                       uint64_t *version)
{
	/* observe[tenant-select]: the set of limits that it selects */
	uint64_t select = k2k_load_acquire(&tenant->select);

	*version = K2K_SELECT_VERSION(select);
	/* relaxed: between the two looks at select */
	*rate = k2k_load_relaxed(&tenant->rate[*version & 1]);
	k2k_fence_acquire(); /* the copy comes before the second look */
	return k2k_load_relaxed(&tenant->select) == select;
}

static inline uint64_t k2k_tenant_rate(const struct k2k_map *map, uint32_t slot, uint64_t *version)
{
	uint64_t rate;

	while (k2k_unlikely(!k2k_tenant_try_rate(&map->tenants[slot], &rate, version)))
		;
	return rate;
}

/* The version in force and its mode. */
static inline uint64_t k2k_tenant_select(const struct k2k_map *map, uint32_t slot)
{
	/* observe[tenant-select]: only the word itself */
	return k2k_load_acquire(&map->tenants[slot].select);
}

void k2k_tenant_limits(const struct k2k_map *map, uint32_t slot, struct k2k_limits *limits);

/* Of k2k_tenant_limits() only the two that bound leases, and the version. */
static inline void k2k_tenant_lease_limits(const struct k2k_map *map, uint32_t slot,
                                           struct k2k_limits *limits)
{
	const struct k2k_shm_tenant *tenant = &map->tenants[slot];
	const struct k2k_shm_tenant_cold *cold = &map->tenants_cold[slot];
	uint64_t select;

	do {
		/* observe[tenant-select]: the set of limits that it selects */
		select = k2k_load_acquire(&tenant->select);
		limits->version = K2K_SELECT_VERSION(select);
		/* relaxed, both: between the two looks at select */
		limits->gpu_memory_bytes = k2k_load_relaxed(
			&cold->gpu_memory_bytes[limits->version & 1]);
		limits->kernels = k2k_load_relaxed(&cold->kernels[limits->version & 1]);
		/* the copies come before the second look, which is relaxed: ordered by the fence */
		k2k_fence_acquire();
	} while (k2k_unlikely(k2k_load_relaxed(&tenant->select) != select));
}

/*
 * Counts a rejection by a limit or of a suspended tenant; `shadow`: one that would have been, and
 * has passed. Totals may lack the last one of a killed process.
 */
void k2k_tenant_count_rejection(const struct k2k_map *map, uint32_t slot, int code, bool shadow);
void k2k_tenant_shadow_counts(const struct k2k_shm_cell_cold *cold, struct k2k_rejected *counts);

/* ---- for the writer ---------------------------------------------------------- */

/* Makes a free slot BUILDING, with a new generation and a zeroed cell. K2K_EFULL, K2K_ECORRUPT. */
int k2k_tenant_build(const struct k2k_map *map, k2k_tenant_id id, const struct k2k_limits *limits,
                     uint32_t *slot, uint64_t *generation);
void k2k_tenant_publish(const struct k2k_map *map, uint32_t slot);
void k2k_tenant_link(const struct k2k_map *map, uint32_t slot);
int k2k_tenant_unlink(const struct k2k_map *map, uint32_t slot);
int k2k_tenant_is_linked(const struct k2k_map *map, uint32_t slot);
/* Writes the set of limits that is not in force; k2k_tenant_flip() puts it in force. */
void k2k_tenant_prepare(const struct k2k_map *map, uint32_t slot, const struct k2k_limits *limits);
void k2k_tenant_flip(const struct k2k_map *map, uint32_t slot, uint32_t mode);
/* For what the version, or LIVE, publishes: a flag stays for the generation (K2K_DEF_...). */
void k2k_tenant_add_flags(const struct k2k_map *map, uint32_t slot, uint32_t flags);
/* Stores the token and RETIRED, and unlinks. The caller publishes the token afterwards. */
int k2k_tenant_retire(const struct k2k_map *map, uint32_t slot, uint64_t token);
/* Makes the slot FREE and appends it to the free list. No process may refer to it any more. */
void k2k_tenant_free(const struct k2k_map *map, uint32_t slot);

struct k2k_list k2k_tenant_free_list(const struct k2k_map *map);
struct k2k_list k2k_tenant_retired_list(const struct k2k_map *map);

#endif
