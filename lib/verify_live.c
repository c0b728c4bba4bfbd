/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify_live.c (F6, on top of its peers) - what brokers write: cells, ledger, leases, places.
 *
 * Loads are relaxed where they have no label: see verify.h.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "lease.h"
#include "ledger.h"
#include "rate.h"
#include "tenant.h"
#include "verify.h"

/* ---- the ledger -------------------------------------------------------------------------- */

/* Sweeps end at the mark: what is in use above it would be overlooked. */
static void look_at_mark(struct k2k_look *look, const struct k2k_pool *pool, const char *object, uint32_t index)
{
	/* the state first, which was changed after the mark was raised: observe[entry-state] */
	uint64_t word = k2k_load_acquire(&k2k_pool_at(pool, index)->state);

	if (k2k_entry_state(word) != K2K_ENTRY_FREE && index >= k2k_pool_high(pool))
		k2k_look_find(look, "I5", object, "record %u is in use, above the mark of those that ever were", index);
}

static void look_at_costs(struct k2k_look *look)
{
	const struct k2k_map *map = look->map;
	struct k2k_hash ledger = k2k_ledger_hash(map);

	k2k_look_at_hash(look, &ledger, "engagements", false);
	for (uint32_t i = 0; i < map->sizes.engagements; i++) {
		const struct k2k_shm_cost *cost = &map->ledger[i];
		uint32_t slot = k2k_load_relaxed(&cost->entry.slot);

		look_at_mark(look, &ledger.pool, "engagements", i);
		if (k2k_entry_state(k2k_load_relaxed(&cost->entry.state)) == K2K_ENTRY_LIVE && slot < map->sizes.tenants &&
		    !k2k_load_relaxed(&map->cells[slot].has_costs) &&
		    k2k_look_has_tenant(map, slot, k2k_load_relaxed(&cost->entry.gen)))
			k2k_look_find(look, "I5", "engagements", "record %u belongs to a tenant that seems to have none", i);
		k2k_look_at_reserved(look, "engagements", i, &cost->reserved_ns, sizeof(cost->reserved_ns));
		k2k_look_at_reserved(look, "engagements", i, cost->reserved, sizeof(cost->reserved));
	}
	k2k_look_at_reserved(look, "engagements", 0, &map->live->ledger_pool.reserved, sizeof(map->live->ledger_pool.reserved));
	k2k_look_at_reserved(look, "engagements", 0, map->live->reserved0, sizeof(map->live->reserved0));
}

/* ---- leases ------------------------------------------------------------------------------ */

static void look_at_linked_lease(struct k2k_look *look, uint32_t slot, uint64_t generation, uint32_t index, uint64_t *brokers)
{
	const struct k2k_shm_entry *entry = &look->map->leases[index].entry;
	unsigned int state = k2k_entry_state(k2k_load_relaxed(&entry->state));
	uint64_t key = k2k_load_relaxed(&entry->key);

	if (state != K2K_ENTRY_LIVE && state != K2K_ENTRY_CLAIMED)
		k2k_look_find(look, "I4", "leases", "record %u is in the list of slot %u, but in no use", index, slot);
	if (k2k_load_relaxed(&entry->gen) != generation || k2k_load_relaxed(&entry->slot) != slot)
		k2k_look_find(look, "I4", "leases", "record %u is in the list of slot %u, but of another registration", index, slot);
	if (key >= K2K_SLOTS)
		k2k_look_find(look, "I4", "leases", "record %u is of no broker's place", index);
	else if (*brokers & UINT64_C(1) << key)
		k2k_look_find(look, "I4", "leases", "slot %u has two records of broker %u", slot, (unsigned int)key);
	else
		*brokers |= UINT64_C(1) << key;
}

static void look_at_lease_list(struct k2k_look *look, uint32_t slot, uint8_t *seen)
{
	const struct k2k_map *map = look->map;
	uint64_t word = k2k_load_acquire(&map->tenants[slot].state_gen), brokers = 0; /* observe[tenant-state]: its leases */
	uint32_t link = k2k_load_acquire(&map->cells[slot].lease_head); /* observe[lease-link]: the record's key */

	if (!k2k_look_has_tenant(map, slot, k2k_tenant_generation(word)))
		return;
	while (link != 0) {
		if (link > map->sizes.leases) {
			k2k_look_find(look, "I4", "leases", "slot %u: a link points outside of the table", slot);
			return;
		}
		if (k2k_look_mark(seen, link - 1)) {
			k2k_look_find(look, "I4", "leases", "slot %u: record %u is linked twice", slot, link - 1);
			return;
		}
		look_at_linked_lease(look, slot, k2k_tenant_generation(word), link - 1, &brokers);
		link = k2k_load_acquire(&map->leases[link - 1].entry.next); /* observe[lease-link]: the next one's key */
	}
}

static void look_at_lease(struct k2k_look *look, uint32_t index, const uint8_t *seen)
{
	const struct k2k_map *map = look->map;
	const struct k2k_shm_lease *lease = &map->leases[index];
	uint64_t word = k2k_load_relaxed(&lease->entry.state), owner = k2k_load_relaxed(&lease->incarnation);

	switch (k2k_entry_state(word)) {
	case K2K_ENTRY_FREE:
		if (k2k_entry_above(word))
			k2k_look_find(look, "I4", "leases", "record %u is free, and somebody's", index);
		break;
	case K2K_ENTRY_LIVE:
		if (!k2k_look_marked(seen, index))
			k2k_look_find(look, "I4", "leases", "record %u is live, but not linked", index);
		if (!k2k_look_has_tenant(map, k2k_load_relaxed(&lease->entry.slot), k2k_load_relaxed(&lease->entry.gen)))
			k2k_look_find(look, "I2", "leases", "record %u belongs to no tenant", index);
		if (owner != 0 && (owner < K2K_LOCK_BYTE_LIFE_MIN || owner >= K2K_LOCK_BYTE_LIFE_MAX))
			k2k_look_find(look, "I4", "leases", "record %u has counters of nobody", index);
		k2k_look_at_claim(look, "leases", index, word);
		break;
	case K2K_ENTRY_CLAIMED:
		k2k_look_at_claim(look, "leases", index, word);
		break;
	default:
		/* cut out by a repair, and free once its token has passed */
		if (k2k_entry_above(word) > k2k_load_relaxed(&map->defs->grace_token))
			k2k_look_find(look, "I4", "leases", "record %u is retired with a token that was not published", index);
		if (k2k_look_marked(seen, index))
			k2k_look_find(look, "I4", "leases", "record %u is retired, and linked", index);
	}
	k2k_look_at_reserved(look, "leases", index, lease->reserved, sizeof(lease->reserved));
}

static void look_at_leases(struct k2k_look *look)
{
	const struct k2k_map *map = look->map;
	struct k2k_pool pool = k2k_lease_pool(map);
	uint8_t *seen = calloc(pool.capacity / 8 + 1, 1);

	if (!seen)
		return;
	for (uint32_t i = 0; i < map->sizes.tenants; i++)
		look_at_lease_list(look, i, seen);
	for (uint32_t i = 0; i < pool.capacity; i++) {
		look_at_mark(look, &pool, "leases", i);
		look_at_lease(look, i, seen);
	}
	free(seen);
	k2k_look_at_reserved(look, "leases", 0, &map->live->lease_pool.reserved, sizeof(map->live->lease_pool.reserved));
	k2k_look_at_reserved(look, "leases", 0, map->live->reserved1, sizeof(map->live->reserved1));
}

/* ---- cells -------------------------------------------------------------------------------- */

static void look_at_holdings(struct k2k_look *look, uint32_t slot, const struct k2k_holdings *holdings)
{
	for (uint32_t i = 0; i < holdings->count; i++)
		for (int r = 0; r < K2K_RESOURCES; r++) {
			const struct k2k_holding *h = &holdings->list[i];
			uint64_t wanted = h->asked[r] - h->ended[r];

			if (h->held[r] > wanted)
				k2k_look_find(look, "I4", "leases", "broker %u holds %" PRIu64 " of slot %u, but asked for %" PRIu64,
				              h->broker_slot, h->held[r], slot, wanted);
		}
}

static void look_at_cell(struct k2k_look *look, uint32_t slot)
{
	const struct k2k_map *map = look->map;
	enum k2k_tenant_state state = k2k_tenant_state(k2k_load_relaxed(&map->tenants[slot].state_gen));
	struct k2k_holdings holdings;
	struct k2k_rate rate;

	k2k_look_at_reserved(look, "cells", slot, map->cells[slot].reserved, sizeof(map->cells[slot].reserved));
	k2k_look_at_reserved(look, "cells", slot, map->cells_cold[slot].reserved, sizeof(map->cells_cold[slot].reserved));
	if (state != K2K_TENANT_LIVE && state != K2K_TENANT_RETIRED)
		return;
	if (k2k_load_relaxed(&map->cells[slot].has_costs) > 1)
		k2k_look_find(look, "layout", "cells", "slot %u: whether it has costs is not 0 or 1", slot);
	if (state != K2K_TENANT_LIVE)
		return;
	if (k2k_rate_look(&map->cells[slot], look->clock, k2k_clock_now(look->clock).second, false, &rate) != 0)
		k2k_look_find(look, "I3", "cells", "slot %u: its window is second %" PRIu64 ", which has not come", slot, rate.second);
	if (k2k_lease_collect(map, slot, &holdings) != 0)
		k2k_look_find(look, "I4", "leases", "slot %u: %.100s", slot, k2k_error_detail()->text);
	else
		look_at_holdings(look, slot, &holdings);
}

/* ---- places of brokers ---------------------------------------------------------------------- */

static void look_at_slot(struct k2k_look *look, uint32_t index)
{
	const struct k2k_map *map = look->map;
	const struct k2k_shm_slot *slot = &map->slots[index];
	uint64_t ack = k2k_load_acquire(&slot->ack); /* observe[grace-ack]: so that the token is newer */
	uint64_t owner = k2k_load_acquire(&slot->owner); /* observe[slot-owner]: as good as any moment */
	uint64_t token = k2k_load_acquire(&map->defs->grace_token); /* observe[grace-token]: only compared */
	uint32_t state = k2k_load_relaxed(&slot->state);

	if (ack > token)
		k2k_look_find(look, "I2", "brokers", "slot %u has answered grace period %" PRIu64 ", which has not begun", index, ack);
	if (owner != 0 && (owner < K2K_LOCK_BYTE_LIFE_MIN || owner >= K2K_LOCK_BYTE_LIFE_MAX))
		k2k_look_find(look, "I6", "brokers", "slot %u has owner %" PRIu64 ", which is nobody's", index, owner);
	if (state > K2K_SLOT_ACTIVE)
		k2k_look_find(look, "layout", "brokers", "slot %u has state %u", index, state);
	else if (state == K2K_SLOT_UNUSED && k2k_census_alive(look->census, owner))
		k2k_look_find(look, "I2", "brokers", "slot %u is a living broker's, and no grace period waits for it", index);
	k2k_look_at_reserved(look, "brokers", index, slot->reserved0, sizeof(slot->reserved0));
	k2k_look_at_reserved(look, "brokers", index, slot->reserved1, sizeof(slot->reserved1));
	if (k2k_load_relaxed(&slot->buried) != 0 &&
	    (k2k_load_relaxed(&slot->buried) < K2K_LOCK_BYTE_LIFE_MIN || k2k_load_relaxed(&slot->buried) >= K2K_LOCK_BYTE_LIFE_MAX))
		k2k_look_find(look, "layout", "brokers", "slot %u: the death of nobody was told", index);
	k2k_look_at_reserved(look, "brokers", index, slot->reserved2, sizeof(slot->reserved2));
	k2k_look_at_reserved(look, "brokers", index, slot->reserved3, sizeof(slot->reserved3));
}

void k2k_look_at_live(struct k2k_look *look)
{
	look_at_costs(look);
	look_at_leases(look);
	for (uint32_t i = 0; i < look->map->sizes.tenants; i++)
		look_at_cell(look, i);
	for (uint32_t i = 0; i < K2K_SLOTS; i++)
		look_at_slot(look, i);
}
