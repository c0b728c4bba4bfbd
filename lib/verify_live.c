/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify_live.c (F6, on top of its peers) - verifies what brokers write: ledger, leases, cells,
 * slots.
 *
 * Loads without a label are relaxed: see verify.h.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "lease.h"
#include "ledger.h"
#include "rate.h"
#include "tenant.h"
#include "verify.h"

/* ---- the ledger -------------------------------------------------------------------------- */

/* Sweeps end at the high-water mark, so they would miss a record in use above it. */
static void check_mark(struct k2k_verify *verify, const struct k2k_pool *pool, const char *object,
                       uint32_t index)
{
	/* observe[entry-state]: loaded before the mark, which is raised before the state changes */
	uint64_t word = k2k_load_acquire(&k2k_pool_at(pool, index)->state);

	if (k2k_entry_state(word) != K2K_ENTRY_FREE && index >= k2k_pool_high(pool))
		k2k_verify_report(verify, "I5", object,
		                  "record %u is in use, but lies above the high-water mark", index);
}

static void check_costs(struct k2k_verify *verify)
{
	const struct k2k_map *map = verify->map;
	struct k2k_hash ledger = k2k_ledger_hash(map);

	k2k_verify_hash(verify, &ledger, "engagements", false);
	for (uint32_t i = 0; i < map->sizes.engagements; i++) {
		const struct k2k_shm_cost *cost = &map->ledger[i];
		uint32_t slot = k2k_load_relaxed(&cost->entry.slot);

		check_mark(verify, &ledger.pool, "engagements", i);
		if (k2k_entry_state(k2k_load_relaxed(&cost->entry.state)) == K2K_ENTRY_LIVE &&
		    slot < map->sizes.tenants && !k2k_load_relaxed(&map->cells[slot].has_costs) &&
		    k2k_verify_has_tenant(map, slot, k2k_load_relaxed(&cost->entry.gen)))
			k2k_verify_report(
				verify, "I5", "engagements",
				"record %u belongs to a tenant whose flag says that it has none",
				i);
		k2k_verify_reserved(verify, "engagements", i, &cost->reserved_ns,
		                    sizeof(cost->reserved_ns));
		k2k_verify_reserved(verify, "engagements", i, cost->reserved,
		                    sizeof(cost->reserved));
	}
	k2k_verify_reserved(verify, "engagements", 0, map->live->reserved0,
	                    sizeof(map->live->reserved0));
}

/* ---- leases ------------------------------------------------------------------------------ */

/*
 * True if `place` is the broker's own slot, or if the slot's owner word is damaged. In that case no
 * living process owns the slot by that word, and the broker goes on using it.
 */
static bool is_in_place(const struct k2k_verify *verify, uint32_t place, uint64_t incarnation)
{
	uint64_t owner = k2k_load_relaxed(&verify->map->slots[place].owner);

	if (owner == incarnation || k2k_liveness_alive(verify->liveness, owner))
		return owner == incarnation;
	for (uint32_t i = 0; i < K2K_SLOTS; i++)
		if (k2k_load_relaxed(&verify->map->slots[i].owner) == incarnation)
			return false;
	return true;
}

/*
 * The tenant's row must lead to a living broker's lease. A dead broker's lease counts nothing, and
 * neither does an idle one.
 */
static void check_living_lease(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_lease *lease = &map->leases[index];
	uint64_t whose = k2k_load_relaxed(&lease->whose);
	uint32_t slot = (uint32_t)whose, broker = (uint32_t)(whose >> 32);

	/* a repair has set the record aside until its token has passed */
	if (k2k_load_relaxed(&lease->incarnation) != 0 &&
	    k2k_load_relaxed(&lease->incarnation) <= k2k_load_relaxed(&map->defs->grace_token))
		return;
	if (k2k_load_relaxed(&lease->use) & 1)
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u is live but marked as being filled", index);
	if (!k2k_verify_has_tenant(map, slot, k2k_load_relaxed(&lease->gen))) {
		k2k_verify_report(verify, "I2", "leases", "record %u belongs to no tenant", index);
		return;
	}
	if (broker >= K2K_SLOTS) {
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u names a broker slot that does not exist", index);
		return;
	}
	if (k2k_load_relaxed(&map->lease_rows[slot].record[broker]) != index + 1 ||
	    !(k2k_load_relaxed(&map->cells[slot].lease_brokers) >> broker & 1))
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u is live, but tenant slot %u has no link to it", index,
		                  slot);
	if (!is_in_place(verify, broker, k2k_entry_above(k2k_load_relaxed(&lease->state))))
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u does not belong to the broker in slot %u", index,
		                  broker);
	if (k2k_load_relaxed(&lease->incarnation) !=
	    k2k_entry_above(k2k_load_relaxed(&lease->state)))
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u has the counters of another owner", index);
}

static void check_lease(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_shm_lease *lease = &verify->map->leases[index];
	uint64_t word = k2k_load_relaxed(&lease->state);

	switch (k2k_entry_state(word)) {
	case K2K_ENTRY_FREE:
		if (k2k_entry_above(word))
			k2k_verify_report(verify, "I4", "leases",
			                  "record %u is free but has an owner", index);
		break;
	case K2K_ENTRY_LIVE:
		if (k2k_liveness_alive(verify->liveness, k2k_entry_above(word)))
			check_living_lease(verify, index);
		k2k_verify_claim(verify, "leases", index, word);
		break;
	case K2K_ENTRY_CLAIMED: k2k_verify_claim(verify, "leases", index, word); break;
	default:
		for (int r = 0; r < K2K_RESOURCES; r++)
			if (k2k_load_relaxed(&lease->claims[r].held) ||
			    k2k_load_relaxed(&lease->claims[r].asked) !=
			            k2k_load_relaxed(&lease->claims[r].ended))
				k2k_verify_report(verify, "I4", "leases",
				                  "record %u is idle, but holds something", index);
		k2k_verify_claim(verify, "leases", index, word);
	}
	k2k_verify_reserved(verify, "leases", index, lease->reserved, sizeof(lease->reserved));
}

static void check_row(struct k2k_verify *verify, uint32_t slot)
{
	for (uint32_t i = 0; i < K2K_SLOTS; i++)
		if (k2k_load_relaxed(&verify->map->lease_rows[slot].record[i]) >
		    verify->map->sizes.leases)
			k2k_verify_report(
				verify, "I4", "leases",
				"tenant slot %u: the link of broker slot %u points outside "
				"the table",
				slot, i);
}

static void check_leases(struct k2k_verify *verify)
{
	struct k2k_pool pool = k2k_lease_pool(verify->map);

	for (uint32_t i = 0; i < verify->map->sizes.tenants; i++)
		check_row(verify, i);
	for (uint32_t i = 0; i < pool.capacity; i++) {
		check_mark(verify, &pool, "leases", i);
		check_lease(verify, i);
	}
	k2k_verify_reserved(verify, "leases", 0, &verify->map->live->lease_pool.freed,
	                    sizeof(verify->map->live->lease_pool.freed));
	k2k_verify_reserved(verify, "leases", 0, &verify->map->live->lease_pool.writer_hint,
	                    sizeof(verify->map->live->lease_pool.writer_hint));
	k2k_verify_reserved(verify, "leases", 0, verify->map->live->reserved1,
	                    sizeof(verify->map->live->reserved1));
}

/* ---- cells -------------------------------------------------------------------------------- */

static void check_holdings(struct k2k_verify *verify, uint32_t slot,
                           const struct k2k_holdings *holdings)
{
	for (uint32_t i = 0; i < holdings->count; i++)
		for (int r = 0; r < K2K_RESOURCES; r++) {
			const struct k2k_holding *h = &holdings->list[i];
			uint64_t wanted = h->asked[r] - h->ended[r];

			/*
			 * relaxed: only compared. A free record holds nothing, whatever its last
			 * owner left in it.
			 */
			if (k2k_entry_state(k2k_load_relaxed(
				    &verify->map->leases[h->index].state)) == K2K_ENTRY_FREE)
				continue;
			if (h->held[r] > wanted)
				k2k_verify_report(verify, "I4", "leases",
				                  "broker slot %u holds %" PRIu64
				                  " of tenant slot %u, but asked for %" PRIu64,
				                  h->broker_slot, h->held[r], slot, wanted);
		}
}

static void check_cell(struct k2k_verify *verify, uint32_t slot)
{
	const struct k2k_map *map = verify->map;
	enum k2k_tenant_state state = k2k_tenant_state(
		k2k_load_relaxed(&map->tenants[slot].state_gen));
	struct k2k_holdings holdings;
	struct k2k_rate rate;

	k2k_verify_reserved(verify, "cells", slot, map->cells[slot].reserved,
	                    sizeof(map->cells[slot].reserved));
	k2k_verify_reserved(verify, "cells", slot, map->cells_cold[slot].reserved,
	                    sizeof(map->cells_cold[slot].reserved));
	if (state != K2K_TENANT_LIVE && state != K2K_TENANT_RETIRED)
		return;
	if (k2k_load_relaxed(&map->cells[slot].has_costs) > 1)
		k2k_verify_report(verify, "layout", "cells",
		                  "slot %u: the flag of costs is neither 0 nor 1", slot);
	if (state != K2K_TENANT_LIVE)
		return;
	if (k2k_rate_look(&map->cells[slot], verify->clock, k2k_clock_now(verify->clock).second,
	                  false, &rate) != 0)
		k2k_verify_report(verify, "I3", "cells",
		                  "slot %u: its rate window is second %" PRIu64
		                  ", which is in the future",
		                  slot, rate.window >> K2K_WINDOW_BASE_BITS);
	if (k2k_lease_collect(
		    map, slot,
		    k2k_tenant_generation(k2k_load_relaxed(&map->tenants[slot].state_gen)),
		    &holdings) != 0)
		k2k_verify_report(verify, "I4", "leases", "slot %u: %.100s", slot,
		                  k2k_error_detail()->text);
	else
		check_holdings(verify, slot, &holdings);
}

/* ---- broker slots ---------------------------------------------------------------------------- */

static void check_slot(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_slot *slot = &map->slots[index];
	/* observe[grace-ack]: loaded first, so that the token below is newer */
	uint64_t ack = k2k_load_acquire(&slot->ack);
	/* observe[slot-owner]: only compared, so an old value does no harm */
	uint64_t owner = k2k_load_acquire(&slot->owner);
	/* observe[grace-token]: only compared */
	uint64_t token = k2k_load_acquire(&map->defs->grace_token);
	uint32_t state = k2k_load_relaxed(&slot->state);

	if (ack > token)
		k2k_verify_report(verify, "I2", "brokers",
		                  "slot %u has acknowledged grace period %" PRIu64
		                  ", which has not begun",
		                  index, ack);
	if (owner != 0 && (owner < K2K_LOCK_BYTE_LIFE_MIN || owner >= K2K_LOCK_BYTE_LIFE_MAX))
		k2k_verify_report(verify, "I6", "brokers",
		                  "slot %u has owner %" PRIu64 ", which can't exist", index, owner);
	if (state > K2K_SLOT_ACTIVE)
		k2k_verify_report(verify, "layout", "brokers", "slot %u has the unknown state %u",
		                  index, state);
	else if (state == K2K_SLOT_UNUSED && k2k_liveness_alive(verify->liveness, owner))
		k2k_verify_report(
			verify, "I2", "brokers",
			"slot %u belongs to a living broker, but no grace period waits for it",
			index);
	k2k_verify_reserved(verify, "brokers", index, slot->reserved0, sizeof(slot->reserved0));
	k2k_verify_reserved(verify, "brokers", index, slot->reserved1, sizeof(slot->reserved1));
	if (k2k_load_relaxed(&slot->death_reported) != 0 &&
	    (k2k_load_relaxed(&slot->death_reported) < K2K_LOCK_BYTE_LIFE_MIN ||
	     k2k_load_relaxed(&slot->death_reported) >= K2K_LOCK_BYTE_LIFE_MAX))
		k2k_verify_report(verify, "layout", "brokers",
		                  "slot %u: the incarnation whose death was reported can't exist",
		                  index);
	k2k_verify_reserved(verify, "brokers", index, slot->reserved2, sizeof(slot->reserved2));
	k2k_verify_reserved(verify, "brokers", index, slot->reserved3, sizeof(slot->reserved3));
}

void k2k_verify_live(struct k2k_verify *verify)
{
	check_costs(verify);
	check_leases(verify);
	for (uint32_t i = 0; i < verify->map->sizes.tenants; i++)
		check_cell(verify, i);
	for (uint32_t i = 0; i < K2K_SLOTS; i++)
		check_slot(verify, i);
}
