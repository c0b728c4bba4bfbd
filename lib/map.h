/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * map.h (F2) - checked pointers of this process to the sections of both objects.
 *
 * After k2k_map_bind() every record whose index is below its section's count lies inside the
 * mapping, so "index < count" is the only check that an access needs.
 */
#ifndef K2K_MAP_H
#define K2K_MAP_H

#include "segment.h"

struct k2k_sizes {
	/* `leases` includes one more record for each broker slot (lease.h) */
	uint32_t tenants, engagements, leases, budgets;
	uint32_t slots;   /* for brokers */
	uint32_t kernels; /* names in the directory */
	uint32_t rings;   /* K2K_RINGS(slots) */
	uint32_t events;  /* of each audit ring: a power of two */
	uint32_t sources; /* follows from the tenants */
};
#define K2K_LEASES(sizes) ((sizes).leases - (sizes).slots)

struct k2k_map {
	struct k2k_shm_defs *defs;
	k2k_u32 *tenant_heads;
	struct k2k_shm_tenant *tenants;
	struct k2k_shm_tenant_cold *tenants_cold;
	k2k_u32 *budget_heads;
	struct k2k_shm_budget *budgets;

	struct k2k_shm_live *live;
	struct k2k_shm_slot *slots;
	struct k2k_shm_cell *cells;
	struct k2k_shm_cell_cold *cells_cold;
	k2k_u32 *ledger_heads;
	struct k2k_shm_cost *ledger;
	/* first those of tenant slot 0, one for each broker slot, ...; then those of the
	 * reservation rows */
	k2k_u32 *lease_links;
	struct k2k_shm_lease *leases;
	struct k2k_shm_reserve_row *reserve_rows;
	/* of each ring, in the order of their numbers; then the events of the first, ... */
	struct k2k_shm_ring *rings;
	struct k2k_shm_event *events;
	struct k2k_shm_follower *followers; /* K2K_FOLLOWERS of them */
	k2k_u64 *positions;                 /* a row for each follower, a word for each ring */
	struct k2k_shm_period *periods;     /* as many as budgets */
	k2k_u64 *kernel_claims;             /* one for each head */
	k2k_u32 *kernel_heads;
	struct k2k_shm_kernel *kernels;
	struct k2k_shm_source *sources;
	struct k2k_shm_share *shares; /* those of source 0, one for each broker slot, ... */

	uint32_t tenant_mask, budget_mask, ledger_mask; /* heads - 1 */
	uint32_t reserve_mask;                          /* reservation rows - 1 */
	uint32_t kernel_mask;                           /* kernel heads - 1 */
	uint32_t slot_shift; /* a bit of a set of broker slots stands for 2^slot_shift of them */
	struct k2k_sizes sizes;
};

/*
 * The word of a row that leads to a lease record of a broker slot. A tenant's row has its index;
 * the reservation rows follow those of all tenants.
 */
static inline k2k_u32 *k2k_map_lease_link(const struct k2k_map *map, uint32_t row, uint32_t broker)
{
	return &map->lease_links[(size_t)row * map->sizes.slots + broker];
}

/*
 * A set of broker slots is a word of 64 bits. Up to 64 slots have a bit each; of more, 2, 4, ...
 * neighbours share one. A lower slot is taken first, so few brokers need few bits, whatever the
 * number of slots; and the words of the 16 slots that share a bit of 1024 are one cache line.
 */
static inline uint64_t k2k_slot_bit(const struct k2k_map *map, uint32_t broker)
{
	return UINT64_C(1) << (broker >> map->slot_shift);
}

/* The bits that stand for a slot. */
static inline uint64_t k2k_slot_bits(const struct k2k_map *map)
{
	return UINT64_MAX >> (63 - ((map->sizes.slots - 1) >> map->slot_shift));
}

/* A pass over the slots that a set may have, from the lowest one. */
struct k2k_slots {
	uint64_t bits;
	uint32_t next, end, shift, count;
};

static inline void k2k_slots_begin(struct k2k_slots *slots, const struct k2k_map *map,
                                   uint64_t bits)
{
	slots->bits = bits;
	slots->next = slots->end = 0;
	slots->shift = map->slot_shift;
	slots->count = map->sizes.slots;
}

static inline bool k2k_slots_next(struct k2k_slots *slots, uint32_t *broker)
{
	if (slots->next == slots->end) {
		if (!slots->bits)
			return false;
		slots->next = (uint32_t)__builtin_ctzll(slots->bits) << slots->shift;
		slots->bits &= slots->bits - 1;
		slots->end = slots->next + (UINT32_C(1) << slots->shift);
		if (slots->end > slots->count)
			slots->end = slots->count;
		if (slots->next >= slots->end) /* damage: no slot has this bit, nor those above */
			return false;
	}
	*broker = slots->next++;
	return true;
}

/*
 * Fills the directory and total_bytes of both headers for these sizes, and leaves their other
 * fields alone.
 */
void k2k_map_lay_out(const struct k2k_sizes *sizes, struct k2k_shm_header *defs,
                     struct k2k_shm_header *live);

/*
 * Checks both directories against the objects and against each other. 0, K2K_ELAYOUT or
 * K2K_ECORRUPT.
 */
int k2k_map_bind(struct k2k_map *map, const struct k2k_segment *defs,
                 const struct k2k_segment *live);

#endif
