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
 * deregister, killed after:
 *   token stored                              it                   -
 *   RETIRED stored                            GONE                 unlinked, token published
 *   unlinked                                  no tenant            token published
 */
#ifndef K2K_TENANT_H
#define K2K_TENANT_H

#include "delay.h"
#include "error.h"
#include "list.h"
#include "map.h"

struct k2k_limits {
	uint64_t version;
	uint64_t rate;
	uint64_t gpu_memory_bytes;
	uint32_t kernels;
	uint32_t algorithm;
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
/* Searches the whole bucket. As k2k_tenant_find(). */
int k2k_tenant_walk(const struct k2k_map *map, k2k_tenant_id id, uint32_t *slot,
                    uint64_t *state_gen);

#define K2K_TENANT_NEAR 4

/* Searches the first K2K_TENANT_NEAR definitions. False means "not found here", not "absent". */
static inline bool k2k_tenant_find_near(const struct k2k_map *map, k2k_tenant_id id, uint32_t *slot,
                                        uint64_t *state_gen)
{
	/* observe[tenant-link]: the definition's fields */
	uint32_t index = k2k_load_acquire(&map->tenant_heads[k2k_tenant_bucket(map, id)]) - 1;

	/* relaxed: a call that sees the store late counts as one that came before it */
	if (k2k_unlikely(k2k_load_relaxed(&map->defs->poisoned) != 0))
		return false;
	for (int i = 0; i < K2K_TENANT_NEAR; i++) {
		const struct k2k_shm_tenant *tenant = &map->tenants[index];

		if (k2k_unlikely(index >= map->sizes.tenants)) /* also the end of the chain */
			return false;
		K2K_DELAY(walked);
		*slot = index;
		/* observe[tenant-state]: id, cell and limits of this generation */
		*state_gen = k2k_load_acquire(&tenant->state_gen);
		/*
		 * relaxed: the id is at least as new as the word loaded before it. It is written
		 * before LIVE and never while LIVE, so this is the tenant's registration, whichever
		 * link led here.
		 */
		if (k2k_likely(k2k_load_relaxed(&tenant->id) == id &&
		               k2k_tenant_state(*state_gen) == K2K_TENANT_LIVE)) {
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
	return k2k_likely(k2k_tenant_find_near(map, id, slot, state_gen))
	               ? 0
	               : k2k_tenant_walk(map, id, slot, state_gen);
}

/* True if the slot still holds the registration that was found: then the copies are of it. */
static inline bool k2k_tenant_still(const struct k2k_map *map, uint32_t slot, uint64_t state_gen)
{
	k2k_fence_acquire(); /* the copies come before this look */
	/* relaxed: ordered by the fence */
	return k2k_load_relaxed(&map->tenants[slot].state_gen) == state_gen;
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

void k2k_tenant_limits(const struct k2k_map *map, uint32_t slot, struct k2k_limits *limits);

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
void k2k_tenant_flip(const struct k2k_map *map, uint32_t slot);
/* Stores the token and RETIRED, and unlinks. The caller publishes the token afterwards. */
int k2k_tenant_retire(const struct k2k_map *map, uint32_t slot, uint64_t token);
/* Makes the slot FREE and appends it to the free list. No process may refer to it any more. */
void k2k_tenant_free(const struct k2k_map *map, uint32_t slot);

struct k2k_list k2k_tenant_free_list(const struct k2k_map *map);
struct k2k_list k2k_tenant_retired_list(const struct k2k_map *map);

#endif
