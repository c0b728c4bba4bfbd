/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tenant.h (F6) - definitions: find, read, build, publish, retire.
 *
 * 1. A definition is found only while it is LIVE and linked; it is linked once.
 * 2. state and generation are one word: a reader that saw (LIVE, g) and sees it
 *    again after it copied has copied registration g.
 * 3. Limits: two sets, the version says which. The writer fills the other one and
 *    then raises the version; a reader takes what it copied if the version is the
 *    same afterwards. A killed writer leaves the version as it was: nobody spins.
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
/* Of a poison word that is not 0: K2K_EFENCED, or K2K_ECORRUPT where no destroy has written it. */
int k2k_tenant_fenced(const struct k2k_map *map) __attribute__((cold));
/* As k2k_tenant_find. */
int k2k_tenant_walk(const struct k2k_map *map, k2k_tenant_id id, uint32_t *slot,
                    uint64_t *state_gen);

#define K2K_TENANT_NEAR 4

/* One of the first of the bucket, as nearly all are: true. Else false, nothing is known. */
static inline bool k2k_tenant_find_near(const struct k2k_map *map, k2k_tenant_id id, uint32_t *slot,
                                        uint64_t *state_gen)
{
	/* observe[tenant-link]: the definition's fields */
	uint32_t index = k2k_load_acquire(&map->tenant_heads[k2k_tenant_bucket(map, id)]) - 1;

	/* relaxed: seen late, it is as if we had come earlier */
	if (k2k_unlikely(k2k_load_relaxed(&map->defs->poisoned) != 0))
		return false;
	for (int i = 0; i < K2K_TENANT_NEAR; i++) {
		const struct k2k_shm_tenant *tenant = &map->tenants[index];

		if (k2k_unlikely(index >= map->sizes.tenants)) /* the chain's end, too */
			return false;
		K2K_DELAY(walked);
		*slot = index;
		/* observe[tenant-state]: id, cell and limits of this generation */
		*state_gen = k2k_load_acquire(&tenant->state_gen);
		/*
		 * relaxed: the id is at least as new as the word before it; written before LIVE,
		 * never while LIVE. So whatever led here, it is this tenant's registration.
		 */
		if (k2k_likely(k2k_load_relaxed(&tenant->id) == id &&
		               k2k_tenant_state(*state_gen) == K2K_TENANT_LIVE)) {
			K2K_DELAY(found);
			return true;
		}
		/* observe[tenant-link]: the fields of the next */
		index = k2k_load_acquire(&tenant->next) - 1;
	}
	return false;
}

/*
 * 0, the slot and its (LIVE, generation); K2K_ENOTENANT (no detail), K2K_EFENCED,
 * K2K_ECORRUPT. In a broker inside a read section, so that the slot stays this
 * tenant's until it ends; elsewhere compare state_gen again after copying.
 */
static inline int k2k_tenant_find(const struct k2k_map *map, k2k_tenant_id id, uint32_t *slot,
                                  uint64_t *state_gen)
{
	return k2k_likely(k2k_tenant_find_near(map, id, slot, state_gen))
	               ? 0
	               : k2k_tenant_walk(map, id, slot, state_gen);
}

/* Is it still the registration that was found? Orders what was copied before. */
static inline bool k2k_tenant_still(const struct k2k_map *map, uint32_t slot, uint64_t state_gen)
{
	k2k_fence_acquire(); /* the copies before, this look after */
	/* relaxed: ordered by the fence */
	return k2k_load_relaxed(&map->tenants[slot].state_gen) == state_gen;
}

/* The rate in force and the version it belongs to: true. False: it has changed meanwhile. */
static inline bool k2k_tenant_try_rate(const struct k2k_shm_tenant *tenant, uint64_t *rate,
                                       uint64_t *version)
{
	/* observe[tenant-select]: the set that it selects */
	uint64_t select = k2k_load_acquire(&tenant->select);

	*version = K2K_SELECT_VERSION(select);
	/* relaxed: between the two looks at select */
	*rate = k2k_load_relaxed(&tenant->rate[*version & 1]);
	k2k_fence_acquire(); /* the copy before, the second look after */
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

/* ---- the writer's ---------------------------------------------------------- */

/* A free slot in state BUILDING with a new generation, its cell reset; K2K_EFULL, K2K_ECORRUPT. */
int k2k_tenant_build(const struct k2k_map *map, k2k_tenant_id id, const struct k2k_limits *limits,
                     uint32_t *slot, uint64_t *generation);
void k2k_tenant_publish(const struct k2k_map *map, uint32_t slot);
void k2k_tenant_link(const struct k2k_map *map, uint32_t slot);
int k2k_tenant_unlink(const struct k2k_map *map, uint32_t slot);
int k2k_tenant_is_linked(const struct k2k_map *map, uint32_t slot);
/* Writes the other set; k2k_tenant_flip puts it in force. */
void k2k_tenant_prepare(const struct k2k_map *map, uint32_t slot, const struct k2k_limits *limits);
void k2k_tenant_flip(const struct k2k_map *map, uint32_t slot);
/* Stamps, marks RETIRED, unlinks. The token is published afterwards. */
int k2k_tenant_retire(const struct k2k_map *map, uint32_t slot, uint64_t token);
/* FREE, into the list: nobody can refer to it any more. */
void k2k_tenant_free(const struct k2k_map *map, uint32_t slot);

struct k2k_list k2k_tenant_free_list(const struct k2k_map *map);
struct k2k_list k2k_tenant_retired_list(const struct k2k_map *map);

#endif
