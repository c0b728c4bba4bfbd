/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit_state.c (F7) - the state of the audit trail: its followers, and its counts.
 */
#include <string.h>

#include "handle.h"

/* relaxed, all: numbers for diagnostics */
static void fill_follower(struct k2k_registry *reg, uint32_t index,
                          struct k2k_audit_follower_info *info)
{
	const struct k2k_shm_follower *follower = &reg->map.followers[index];
	/* observe[follower-owner]: the words about this owner */
	uint64_t owner = k2k_load_acquire(&follower->owner);
	uint64_t now_ns = k2k_clock_monotonic_ns() - (uint64_t)reg->clock.offset_ns, said_ns;

	memset(info, 0, sizeof(*info));
	info->index = index;
	/* observe[follower-said]: the words before it */
	said_ns = k2k_load_acquire(&follower->said_ns);
	info->failing_since_ns = k2k_load_relaxed(&follower->failing_since_ns);
	info->state = !owner                                       ? K2K_FOLLOWER_NONE
	              : !k2k_liveness_alive(&reg->liveness, owner) ? K2K_FOLLOWER_DEAD
	              : info->failing_since_ns                     ? K2K_FOLLOWER_FAILING
	              : k2k_follower_is_prompt(follower, &reg->liveness, now_ns)
	                      ? K2K_FOLLOWER_ACTIVE
	                      : K2K_FOLLOWER_SILENT;
	info->said_ago_ns = said_ns ? k2k_sat_sub(now_ns, said_ns) : K2K_NEVER_NS;
	info->failures = k2k_load_relaxed(&follower->failures);
	info->pid = k2k_load_relaxed(&follower->pid);
	k2k_identity_comm(info->comm, k2k_load_relaxed(&follower->comm[0]),
	                  k2k_load_relaxed(&follower->comm[1]));
	info->attached_at_ns = k2k_load_relaxed(&follower->attached_at_ns);
	info->lost = k2k_load_relaxed(&follower->lost);
	info->damaged = k2k_load_relaxed(&follower->damaged);
	info->lost_ring = (uint32_t)k2k_load_relaxed(&follower->lost_ring);
	info->lost_from = k2k_load_relaxed(&follower->lost_from);
	info->lost_count = k2k_load_relaxed(&follower->lost_count);
	info->lost_at_ns = k2k_load_relaxed(&follower->lost_at_ns);
	for (uint32_t i = 0; owner && i < reg->map.sizes.rings; i++) {
		uint32_t ring = k2k_ring_number(&reg->map, i);
		struct k2k_backlog backlog = k2k_follower_backlog(&reg->map, index, ring);

		if (backlog.behind >= K2K_EVENTS_MISSING_MOST)
			continue; /* the ring is damaged */
		info->behind += backlog.behind;
		info->overwritten += backlog.overwritten;
		if (backlog.overwritten && !info->overwritten_from) {
			info->overwritten_ring = ring;
			info->overwritten_from = backlog.from;
			info->overwritten_count = backlog.overwritten;
		}
	}
}

int k2k_audit_follower_list(struct k2k_registry *reg, struct k2k_audit_follower_info *followers,
                            size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	uint32_t stride;
	size_t found = 0;
	int code = reg ? K2K_CHECK_LIST(followers, capacity, count, 0) : 0;

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	stride = K2K_STRIDE(followers, capacity);
	for (uint32_t i = 0; i < K2K_FOLLOWERS; i++) {
		struct k2k_audit_follower_info info;

		fill_follower(reg, i, &info);
		/* a record without an owner is shown only for its losses */
		if (info.state == K2K_FOLLOWER_NONE && !info.lost && !info.damaged)
			continue;
		if (found < capacity)
			K2K_GIVE_ELEMENT(followers, stride, found, &info);
		found++;
	}
	*count = found;
	k2k_read_unlock();
	return 0;
}

static void add_stats(const struct k2k_map *map, uint32_t index, struct k2k_audit_stats *stats)
{
	const struct k2k_shm_ring *ring = &map->rings[index];
	uint32_t number = k2k_ring_number(map, index);
	uint64_t newest = k2k_load_relaxed(&ring->claimed); /* relaxed, all: numbers */

	if (number < K2K_RINGS_LOW)
		stats->newest[number] = newest;
	else if (stats->further && number - K2K_RINGS_LOW < stats->further_count)
		stats->further[number - K2K_RINGS_LOW] = newest;
	for (int k = 0; k < K2K_EVENT_KINDS; k++) {
		stats->written_by_kind[k] += k2k_load_relaxed(&ring->written[k]);
		stats->coalesced_by_kind[k] += k2k_load_relaxed(&ring->coalesced[k]);
		stats->lost_by_kind[k] += k2k_load_relaxed(&ring->lost[k]);
	}
}

int k2k_audit_stats(struct k2k_registry *reg, struct k2k_audit_stats *stats)
{
	K2K_UNCANCELLED;
	struct k2k_audit_stats mine = { .flags = 0 };
	int code = reg ? K2K_CHECK_STRUCT(stats, 0) : 0;

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	/* an earlier caller's struct ends before them */
	if (stats->size >= sizeof(mine)) {
		mine.further = stats->further;
		mine.further_count = stats->further_count;
	}
	mine.capacity = reg->map.sizes.events;
	for (uint32_t i = 0; i < reg->map.sizes.rings; i++)
		add_stats(&reg->map, i, &mine);
	k2k_read_unlock();
	memcpy(mine.written, mine.written_by_kind, sizeof(mine.written));
	memcpy(mine.coalesced, mine.coalesced_by_kind, sizeof(mine.coalesced));
	memcpy(mine.lost, mine.lost_by_kind, sizeof(mine.lost));
	K2K_GIVE_STRUCT(stats, &mine);
	return 0;
}
