/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend_words.c (F6, on top of its peers) - restores single words of `live`: windows, flags, the
 * slots of brokers and followers.
 *
 * Each word that a broker writes is changed by one compare-exchange from the value that can't be
 * true, so what a broker stored meanwhile stays.
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
	/*
	 * Only an attach reads the header, and it is refused while the header is damaged. So a
	 * plain copy disturbs no process.
	 */
	memcpy(header, mend->live_header, sizeof(*header));
	k2k_mend_report(mend, &mend->counts.words, "layout", "live",
	                "the header had changed since this handle was opened: it is restored");
}

static void mend_cell(struct k2k_mend *mend, uint32_t slot)
{
	const struct k2k_map *map = mend->map;
	struct k2k_shm_cell *cell = &map->cells[slot];
	struct k2k_shm_cell_cold *cold = &map->cells_cold[slot];
	k2k_u64 *alerts[] = { &cold->alert_rate, &cold->alert_kernels, &cold->alert_gpu_memory };
	/* relaxed: under the writer's lock */
	uint64_t word = k2k_load_relaxed(&map->tenants[slot].state_gen);
	/* relaxed: the compare-exchange decides */
	uint32_t has_costs = k2k_load_relaxed(&cell->has_costs);

	k2k_mend_reserved(mend, "cells", slot, cell->reserved, sizeof(cell->reserved));
	k2k_mend_reserved(mend, "cells", slot, cold->reserved, sizeof(cold->reserved));
	/* relaxed: it may be 1 without need, which costs a look when the tenant ends */
	if (k2k_load_relaxed(&cell->sought) > 1) {
		k2k_store_relaxed(&cell->sought, 1);
		k2k_mend_report(mend, &mend->counts.words, "layout", "cells",
		                "slot %u: the flag of sources was neither 0 nor 1: it is 1 now",
		                slot);
	}
	/* publish[cell-has-costs]: 1 means "perhaps"; if it is wrong, it costs a needless walk */
	if (has_costs > 1 && k2k_cas_acq_rel(&cell->has_costs, &has_costs, 1))
		k2k_mend_report(mend, &mend->counts.words, "layout", "cells",
		                "slot %u: the flag of costs was neither 0 nor 1: it is 1 now",
		                slot);
	for (size_t i = 0; i < K2K_COUNT_OF(alerts); i++)
		k2k_mend_alert(mend, "cells", slot, alerts[i],
		               k2k_clock_exact(mend->clock).second + K2K_RATE_SECONDS_AHEAD);
	if (k2k_tenant_state(word) == K2K_TENANT_LIVE && k2k_rate_mend(map, slot, mend->clock))
		/* relaxed: under the writer's lock */
		k2k_mend_report(
			mend, &mend->counts.words, "I3", "cells",
			"tenant %" PRIu64
			": its rate was damaged: the current window counts as used up, or what "
			"its shares had counted is lost",
			k2k_load_relaxed(&map->tenants[slot].id));
}

/*
 * A grace period waits only for ACTIVE slots. So the slot of a living owner must be ATTACHING or
 * ACTIVE: otherwise records would be reused while that broker reads them.
 */
static void mend_slot_state(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_slot *slot = &mend->map->slots[index];
	/* observe[slot-owner]: its current value */
	uint64_t owner = k2k_load_acquire(&slot->owner);
	/* observe[slot-state]: its current value */
	uint32_t state = k2k_load_acquire(&slot->state);
	bool lives;

	if (state == K2K_SLOT_ATTACHING || state == K2K_SLOT_ACTIVE ||
	    (state == K2K_SLOT_UNUSED && owner == 0))
		return;
	lives = k2k_liveness_alive(mend->liveness, owner);
	if (state == K2K_SLOT_UNUSED && !lives)
		return;
	/* Between two stores of an attach or a detach a sound slot looks the same: look again. */
	k2k_clock_sleep_ns(LOOK_AGAIN_NS);
	/*
	 * relaxed: only compared with the owner before. publish[slot-state]: if it is wrong,
	 * writers wait for a broker that they need not wait for
	 */
	if (k2k_load_relaxed(&slot->owner) != owner ||
	    !k2k_cas_acq_rel(&slot->state, &state, lives ? K2K_SLOT_ACTIVE : K2K_SLOT_UNUSED))
		return;
	k2k_mend_report(
		mend, &mend->counts.words, "I2", "brokers",
		"slot %u had a state that can't be true: it is set by whether its owner is alive",
		index);
}

static void mend_slot(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_slot *slot = &mend->map->slots[index];
	/* observe[grace-ack]: loaded first, so that the token below is newer */
	uint64_t ack = k2k_load_acquire(&slot->ack);
	/* observe[grace-token]: only compared */
	uint64_t token = k2k_load_acquire(&mend->map->defs->grace_token);
	/* relaxed: the compare-exchange decides */
	uint64_t death_reported = k2k_load_relaxed(&slot->death_reported);

	/*
	 * publish[grace-ack]: no token; the broker's helper acknowledges again within a second,
	 * because 0 is not the newest token
	 */
	if (ack > token && k2k_cas_acq_rel(&slot->ack, &ack, 0))
		k2k_mend_report(mend, &mend->counts.words, "I2", "brokers",
		                "slot %u had acknowledged a grace period that has not begun",
		                index);
	mend_slot_state(mend, index);
	/* publish[slot-death-reported]: no death was reported */
	if (death_reported &&
	    (death_reported < K2K_LOCK_BYTE_LIFE_MIN || death_reported >= K2K_LOCK_BYTE_LIFE_MAX) &&
	    k2k_cas_acq_rel(&slot->death_reported, &death_reported, 0))
		k2k_mend_report(mend, &mend->counts.words, "layout", "brokers",
		                "slot %u: the incarnation whose death was reported could not exist",
		                index);
	k2k_mend_reserved(mend, "brokers", index, slot->reserved0, sizeof(slot->reserved0));
	k2k_mend_reserved(mend, "brokers", index, slot->reserved1, sizeof(slot->reserved1));
	k2k_mend_reserved(mend, "brokers", index, slot->reserved2, sizeof(slot->reserved2));
	k2k_mend_reserved(mend, "brokers", index, slot->reserved3, sizeof(slot->reserved3));
}

/*
 * Any number in a follower's record may be right. Its owner must be 0, or an incarnation that can
 * exist.
 */
static void mend_follower(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_follower *follower = &mend->map->followers[index];
	/* observe[follower-owner]: its current value */
	uint64_t owner = k2k_load_acquire(&follower->owner);

	/* publish[follower-owner]: that the record is free */
	if (owner && (owner < K2K_LOCK_BYTE_LIFE_MIN || owner >= K2K_LOCK_BYTE_LIFE_MAX) &&
	    k2k_cas_acq_rel(&follower->owner, &owner, 0))
		k2k_mend_report(mend, &mend->counts.words, "layout", "audit",
		                "follower %u: its owner could not exist: the record is free",
		                index);
	k2k_mend_reserved(mend, "audit", index, follower->reserved0, sizeof(follower->reserved0));
}

static void mend_source(struct k2k_mend *mend, uint32_t index)
{
	const struct k2k_map *map = mend->map;
	struct k2k_shm_source *source = &map->sources[index];
	uint32_t slot;

	switch (k2k_hot_owner_of(map, index, &slot)) {
	case K2K_HOT_UNSEEN:
		/* relaxed: read when the tenant ends */
		k2k_store_relaxed(&map->cells[slot].sought, 1);
		k2k_mend_report(mend, &mend->counts.words, "layout", "cells",
		                "slot %u had a source of shares without the flag: it is set", slot);
		break;
	case K2K_HOT_LOST:
		k2k_hot_reset(map, index);
		k2k_mend_report(mend, &mend->counts.words, "I2", "cells",
		                "source %u belonged to no tenant: it is free", index);
		break;
	case K2K_HOT_OWNED:
	case K2K_HOT_FREE: break;
	}
	k2k_mend_reserved(mend, "cells", index, source->reserved, sizeof(source->reserved));
	for (uint32_t i = 0; i < map->sizes.slots; i++) {
		struct k2k_shm_share *share = k2k_hot_share(map, index, i);

		k2k_mend_reserved(mend, "cells", index, share->reserved, sizeof(share->reserved));
	}
}

void k2k_mend_words(struct k2k_mend *mend)
{
	struct k2k_shm_live *live = mend->map->live;

	mend_header(mend);
	k2k_mend_reserved(mend, "engagements", 0, live->reserved0, sizeof(live->reserved0));
	/* reserved in the pool of leases, which does not use these words: */
	k2k_mend_reserved(mend, "leases", 0, &live->lease_pool.freed,
	                  sizeof(live->lease_pool.freed));
	k2k_mend_reserved(mend, "leases", 0, &live->lease_pool.writer_hint,
	                  sizeof(live->lease_pool.writer_hint));
	k2k_mend_reserved(mend, "leases", 0, live->reserved1, sizeof(live->reserved1));
	k2k_mend_reserved(mend, "audit", 0, live->reserved2, sizeof(live->reserved2));
	for (uint32_t i = 0; i < mend->map->sizes.tenants; i++)
		mend_cell(mend, i);
	for (uint32_t i = 0; i < mend->map->sizes.sources; i++)
		mend_source(mend, i);
	for (uint32_t i = 0; i < mend->map->sizes.slots; i++)
		mend_slot(mend, i);
	for (uint32_t i = 0; i < K2K_FOLLOWERS; i++)
		mend_follower(mend, i);
}
