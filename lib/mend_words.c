/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend_words.c (F6, on top of its peers) - words of `live` that stand for themselves: windows,
 * flags, places of brokers and followers.
 *
 * Each is one compare-exchange from what can't be: what a broker stored meanwhile stays.
 */
#include <inttypes.h>
#include <string.h>

#include "mend.h"
#include "rate.h"
#include "tenant.h"

#define LOOK_AGAIN_NS UINT64_C(2000000)

static void mend_header(struct k2k_mend *mend)
{
	struct k2k_shm_header *header = &mend->map->live->header;

	if (memcmp(header, mend->live_header, sizeof(*header)) == 0)
		return;
	/* nobody reads it but who attaches, and is refused as long as it is damaged */
	memcpy(header, mend->live_header, sizeof(*header));
	k2k_mend_tell(mend, &mend->counts.words, "layout", "live",
	              "the header was not as it was at attach");
}

static void mend_cell(struct k2k_mend *mend, uint32_t slot)
{
	const struct k2k_map *map = mend->map;
	struct k2k_shm_cell *cell = &map->cells[slot];
	/* relaxed: under the lock */
	uint64_t word = k2k_load_relaxed(&map->tenants[slot].state_gen), version;
	/* relaxed: the compare-exchange decides */
	uint32_t has_costs = k2k_load_relaxed(&cell->has_costs);

	k2k_mend_reserved(mend, "cells", slot, cell->reserved, sizeof(cell->reserved));
	k2k_mend_reserved(mend, "cells", slot, map->cells_cold[slot].reserved,
	                  sizeof(map->cells_cold[slot].reserved));
	/* publish[cell-has-costs]: "perhaps", which costs a look */
	if (has_costs > 1 && k2k_cas_acq_rel(&cell->has_costs, &has_costs, 1))
		k2k_mend_tell(mend, &mend->counts.words, "layout", "cells",
		              "slot %u: whether it has costs was not 0 or 1", slot);
	if (k2k_tenant_state(word) == K2K_TENANT_LIVE &&
	    k2k_rate_mend(cell, mend->clock, k2k_tenant_rate(map, slot, &version)))
		k2k_mend_tell(mend, &mend->counts.words, "I3", "cells",
		              "tenant %" PRIu64 ": its window was a second that has not come; "
		              /* relaxed: under the lock */
		              "the next one is the first that counts again",
		              k2k_load_relaxed(&map->tenants[slot].id));
}

/* A slot whose owner lives is waited for in grace periods: ATTACHING or ACTIVE. */
static void mend_slot_state(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_slot *slot = &mend->map->slots[index];
	uint64_t owner = k2k_load_acquire(&slot->owner); /* observe[slot-owner]: as it is */
	uint32_t state = k2k_load_acquire(&slot->state); /* observe[slot-state]: as it is */
	bool lives;

	if (state == K2K_SLOT_ATTACHING || state == K2K_SLOT_ACTIVE ||
	    (state == K2K_SLOT_UNUSED && owner == 0))
		return;
	lives = k2k_liveness_alive(mend->liveness, owner);
	if (state == K2K_SLOT_UNUSED && !lives)
		return;
	/* between two stores of an attach, or of a detach, it looks the same: not for long */
	k2k_clock_sleep_ns(LOOK_AGAIN_NS);
	/*
	 * relaxed: the same word still, or another; publish[slot-state]: whom to wait for, which is
	 * more than needed
	 */
	if (k2k_load_relaxed(&slot->owner) != owner ||
	    !k2k_cas_acq_rel(&slot->state, &state, lives ? K2K_SLOT_ACTIVE : K2K_SLOT_UNUSED))
		return;
	k2k_mend_tell(mend, &mend->counts.words, "I2", "brokers",
	              "slot %u had a state that can't be", index);
}

static void mend_slot(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_slot *slot = &mend->map->slots[index];
	/* observe[grace-ack]: so that the token is newer */
	uint64_t ack = k2k_load_acquire(&slot->ack);
	/* observe[grace-token]: only compared */
	uint64_t token = k2k_load_acquire(&mend->map->defs->grace_token);
	/* relaxed: the compare-exchange decides */
	uint64_t death_reported = k2k_load_relaxed(&slot->death_reported);

	/*
	 * publish[grace-ack]: none; its helper answers anew within a second, because this is not
	 * the newest token
	 */
	if (ack > token && k2k_cas_acq_rel(&slot->ack, &ack, 0))
		k2k_mend_tell(mend, &mend->counts.words, "I2", "brokers",
		              "slot %u had answered a grace period that has not begun", index);
	mend_slot_state(mend, index);
	/* publish[slot-death-reported]: nobody's death was told */
	if (death_reported &&
	    (death_reported < K2K_LOCK_BYTE_LIFE_MIN || death_reported >= K2K_LOCK_BYTE_LIFE_MAX) &&
	    k2k_cas_acq_rel(&slot->death_reported, &death_reported, 0))
		k2k_mend_tell(mend, &mend->counts.words, "layout", "brokers",
		              "slot %u: the death of nobody was told", index);
	k2k_mend_reserved(mend, "brokers", index, slot->reserved0, sizeof(slot->reserved0));
	k2k_mend_reserved(mend, "brokers", index, slot->reserved1, sizeof(slot->reserved1));
	k2k_mend_reserved(mend, "brokers", index, slot->reserved2, sizeof(slot->reserved2));
	k2k_mend_reserved(mend, "brokers", index, slot->reserved3, sizeof(slot->reserved3));
}

/*
 * What a follower says is its own affair, and any number may be. Whose place it is must be
 * somebody's, or nobody's.
 */
static void mend_follower(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_follower *follower = &mend->map->followers[index];
	uint64_t owner = k2k_load_acquire(&follower->owner); /* observe[follower-owner]: as it is */

	/* publish[follower-owner]: nobody's */
	if (owner && (owner < K2K_LOCK_BYTE_LIFE_MIN || owner >= K2K_LOCK_BYTE_LIFE_MAX) &&
	    k2k_cas_acq_rel(&follower->owner, &owner, 0))
		k2k_mend_tell(mend, &mend->counts.words, "layout", "audit",
		              "follower %u: its place was nobody's, and not free", index);
	k2k_mend_reserved(mend, "audit", index, follower->reserved0, sizeof(follower->reserved0));
	k2k_mend_reserved(mend, "audit", index, follower->reserved1, sizeof(follower->reserved1));
}

void k2k_mend_words(struct k2k_mend *mend)
{
	struct k2k_shm_live *live = mend->map->live;

	mend_header(mend);
	k2k_mend_reserved(mend, "engagements", 0, live->reserved0, sizeof(live->reserved0));
	/* of the pool of leases, which is none: */
	k2k_mend_reserved(mend, "leases", 0, &live->lease_pool.freed,
	                  sizeof(live->lease_pool.freed));
	k2k_mend_reserved(mend, "leases", 0, &live->lease_pool.writer_hint,
	                  sizeof(live->lease_pool.writer_hint));
	k2k_mend_reserved(mend, "leases", 0, live->reserved1, sizeof(live->reserved1));
	k2k_mend_reserved(mend, "audit", 0, live->reserved2, sizeof(live->reserved2));
	for (uint32_t i = 0; i < mend->map->sizes.tenants; i++)
		mend_cell(mend, i);
	for (uint32_t i = 0; i < K2K_SLOTS; i++)
		mend_slot(mend, i);
	for (uint32_t i = 0; i < K2K_FOLLOWERS; i++)
		mend_follower(mend, i);
}
