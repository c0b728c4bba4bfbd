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
	uint32_t events; /* of each audit ring: a power of two */
};
#define K2K_LEASES(sizes) ((sizes).leases - K2K_SLOTS)

struct k2k_map {
	struct k2k_shm_defs *defs;
	k2k_u32 *tenant_heads;
	struct k2k_shm_tenant *tenants;
	struct k2k_shm_tenant_cold *tenants_cold;
	k2k_u32 *budget_heads;
	struct k2k_shm_budget *budgets;

	struct k2k_shm_live *live;
	struct k2k_shm_slot *slots; /* K2K_SLOTS of them */
	struct k2k_shm_cell *cells;
	struct k2k_shm_cell_cold *cells_cold;
	k2k_u32 *ledger_heads;
	struct k2k_shm_cost *ledger;
	struct k2k_shm_lease_row *lease_rows; /* one for each tenant */
	struct k2k_shm_lease *leases;
	struct k2k_shm_ring *rings;         /* K2K_RINGS of them */
	struct k2k_shm_event *events;       /* first those of ring 0, then of ring 1, ... */
	struct k2k_shm_follower *followers; /* K2K_FOLLOWERS of them */

	uint32_t tenant_mask, budget_mask, ledger_mask; /* heads - 1 */
	struct k2k_sizes sizes;
};

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
