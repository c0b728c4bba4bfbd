/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "leaser.h"

#include "tenant.h"

#define SPINS 200 /* before each pause */
#define PAUSE_NS UINT64_C(50000)

bool k2k_lease_is_registered(const struct k2k_map *map, const struct k2k_lease_key *key)
{
	uint32_t slot = key->of;

	if (key->reservation && slot < map->sizes.engagements)
		/* relaxed: if the record is another engagement's by now, the registration is over,
		 * and its generation is no longer that of any slot */
		slot = k2k_load_relaxed(&map->ledger[slot].entry.slot);
	return slot < map->sizes.tenants &&
	       k2k_tenant_still(map, slot, k2k_tenant_word(K2K_TENANT_LIVE, key->generation));
}

int k2k_wait_for_lease_lock(struct k2k_registry *reg, uint32_t *spins)
{
	if (++*spins % SPINS)
		k2k_relax();
	else
		k2k_clock_sleep_ns(PAUSE_NS);
	return k2k_lease_share(&reg->own_leases);
}
