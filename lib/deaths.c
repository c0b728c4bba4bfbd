/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deaths.h"

#include "lease.h"

static void append(struct k2k_registry *reg, const struct k2k_dead *dead,
                   const uint64_t held[K2K_RESOURCES], uint32_t records)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_BROKER_DEAD,
		                       .pid = dead->pid,
		                       .incarnation = dead->incarnation };
	uint64_t *values = body.more.change.values;

	values[K2K_AUDIT_DEAD_SLOT] = dead->slot;
	values[K2K_AUDIT_DEAD_KERNELS] = held[K2K_RESOURCE_KERNELS];
	values[K2K_AUDIT_DEAD_GPU_MEMORY] = held[K2K_RESOURCE_GPU_MEMORY];
	values[K2K_AUDIT_DEAD_LEASES] = records;
	values[K2K_AUDIT_DEAD_ATTACHED_AT_NS] = dead->attached_at_ns;
	values[K2K_EVENT_DEAD_COMM] = dead->comm[0];
	values[K2K_EVENT_DEAD_COMM + 1] = dead->comm[1];
	if (reg->role == K2K_GATE_BROKER)
		k2k_trail_append(&reg->trail, &body);
	else
		k2k_trail_append_locked(&reg->trail, &body);
}

/* False: another incarnation has taken over the slot, and has reported this death. */
static bool still_owns(const struct k2k_registry *reg, const struct k2k_dead *dead)
{
	/*
	 * fence[slot-owner] with that of sign() in broker.c: all that was read of the slot before
	 * belongs to this owner.
	 */
	k2k_fence_acquire();
	/* relaxed: ordered by the fence */
	return k2k_load_relaxed(&reg->map.slots[dead->slot].owner) == dead->incarnation;
}

static void report(struct k2k_registry *reg, const struct k2k_dead *dead, bool is_ours)
{
	k2k_u64 *death_reported = &reg->map.slots[dead->slot].death_reported;
	/* relaxed: the compare-exchange decides */
	uint64_t before = k2k_load_relaxed(death_reported), held[K2K_RESOURCES];
	uint32_t records;

	if (before == dead->incarnation)
		return;
	records = k2k_lease_sum_of(&reg->map, dead->incarnation, held);
	K2K_DELAY(death_summed);
	if (!is_ours && !still_owns(reg, dead))
		return;
	/* publish[slot-death-reported], observe[slot-death-reported]: one of many succeeds */
	if (k2k_cas_acq_rel(death_reported, &before, dead->incarnation))
		append(reg, dead, held, records);
}

void k2k_report_death(struct k2k_registry *reg, const struct k2k_dead *dead)
{
	report(reg, dead, true);
}

static void report_up_to(struct k2k_registry *reg, uint64_t most)
{
	if (reg->role == K2K_GATE_ADMIN)
		k2k_assert_writer(&reg->writer);
	for (uint32_t i = 0; i < reg->map.sizes.slots && most; i++) {
		struct k2k_shm_slot *slot = &reg->map.slots[i];
		/* observe[slot-owner]: the slot's words of this owner */
		struct k2k_dead dead = { .slot = i, .incarnation = k2k_load_acquire(&slot->owner) };

		/* a word that is no incarnation: the slot is unused or damaged */
		if (!k2k_lease_is_incarnation(dead.incarnation) ||
		    /* relaxed, here and below: report() checks both again */
		    k2k_load_relaxed(&slot->death_reported) == dead.incarnation ||
		    k2k_liveness_alive(&reg->liveness, dead.incarnation))
			continue;
		dead.pid = k2k_load_relaxed(&slot->pid);
		dead.attached_at_ns = k2k_load_relaxed(&slot->attached_at_ns);
		dead.comm[0] = k2k_load_relaxed(&slot->comm[0]);
		dead.comm[1] = k2k_load_relaxed(&slot->comm[1]);
		report(reg, &dead, false);
		most--;
	}
}

void k2k_report_deaths(struct k2k_registry *reg)
{
	report_up_to(reg, UINT64_MAX);
}

void k2k_watch_deaths(struct k2k_registry *reg, uint64_t second)
{
	k2k_u32 *word = &reg->map.live->deaths_second;
	/* relaxed, both: it only shares out the work */
	uint32_t last = k2k_load_relaxed(word);

	if (last != (uint32_t)second && k2k_cas_relaxed(word, &last, (uint32_t)second))
		report_up_to(reg, reg->map.sizes.events / 2 + 1);
}
