/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "follower.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "error.h"

static bool take(const struct k2k_map *map, uint32_t index, uint64_t from,
                 struct k2k_follower *follower)
{
	struct k2k_shm_follower *shared = &map->followers[index];

	/*
	 * publish[follower-owner]: a process that sees our incarnation finds its byte locked.
	 * observe[follower-owner]: all stores of the old owner, which has detached or is dead
	 */
	if (!k2k_cas_acq_rel(&shared->owner, &from, follower->incarnation))
		return false;
	follower->shared = shared;
	follower->positions = k2k_follower_position(map, index, k2k_ring_number(map, 0));
	return true;
}

/* Prefers the record of a dead follower, so that its counts of losses are continued. */
static int find_record(const struct k2k_map *map, struct k2k_liveness *liveness,
                       struct k2k_follower *follower)
{
	for (uint32_t i = 0; i < K2K_FOLLOWERS; i++) {
		/* observe[follower-owner] in take() */
		uint64_t owner = k2k_load_acquire(&map->followers[i].owner);

		if (owner && !k2k_liveness_alive(liveness, owner) && take(map, i, owner, follower))
			return 0;
	}
	for (uint32_t i = 0; i < K2K_FOLLOWERS; i++)
		if (take(map, i, 0, follower))
			return 0;
	return k2k_fail_values(K2K_EFULL, "followers", "records", K2K_FOLLOWERS, K2K_FOLLOWERS,
	                       "%d followers of the audit trail are attached already",
	                       K2K_FOLLOWERS);
}

static void sign(struct k2k_shm_follower *shared, const struct k2k_identity *own)
{
	/*
	 * said_ns comes first: the report of the dead owner must not count for the new one.
	 * relaxed, all: k2k_follower_say() releases said_ns
	 */
	k2k_store_relaxed(&shared->said_ns, 0);
	k2k_store_relaxed(&shared->failing_since_ns, 0);
	k2k_store_relaxed(&shared->pid, own->pid);
	k2k_store_relaxed(&shared->comm[0], own->comm[0]);
	k2k_store_relaxed(&shared->comm[1], own->comm[1]);
	k2k_store_relaxed(&shared->attached_at_ns, k2k_clock_realtime_ns());
}

int k2k_follower_attach(const struct k2k_map *map, struct k2k_liveness *liveness,
                        const struct k2k_identity *own, struct k2k_follower *follower)
{
	int code;

	memset(follower, 0, sizeof(*follower));
	follower->counted = calloc(map->sizes.rings, sizeof(*follower->counted));
	if (!follower->counted)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "followers",
		                      "no memory for what a follower has counted");
	code = k2k_life_begin(liveness->object, &follower->life, &follower->incarnation);
	if (!code)
		code = find_record(map, liveness, follower);
	if (code) {
		k2k_lock_drop(&follower->life);
		follower->incarnation = 0;
		free(follower->counted);
		follower->counted = NULL;
		return code;
	}
	sign(follower->shared, own);
	return 0;
}

void k2k_follower_detach(struct k2k_follower *follower)
{
	uint64_t own = follower->incarnation;

	if (!own)
		return;
	/*
	 * publish[follower-owner]: all our stores. It is a compare-exchange, so that we don't
	 * overwrite another value that damage has put there
	 */
	k2k_cas_acq_rel(&follower->shared->owner, &own, 0);
	k2k_lock_drop(&follower->life);
	follower->incarnation = 0;
	free(follower->counted);
	follower->counted = NULL;
}

void k2k_follower_store(struct k2k_follower *follower, uint32_t index, uint64_t next)
{
	k2k_u64 *position = &follower->positions[index];

	/* relaxed: only we store it. Of many words only the few that changed are stored */
	if (k2k_load_relaxed(position) != next)
		/* publish[follower-next]: the log has it, so it may be overwritten */
		k2k_store_release(position, next);
}

void k2k_follower_say(struct k2k_follower *follower, uint64_t now_ns, bool failing)
{
	struct k2k_shm_follower *shared = follower->shared;

	if (failing && !follower->failing) {
		/* relaxed, all: for diagnostics; the release of said_ns follows */
		k2k_store_relaxed(&shared->failing_since_ns, k2k_clock_realtime_ns());
		k2k_add_relaxed(&shared->failures, 1);
	} else if (!failing) {
		k2k_store_relaxed(&shared->failing_since_ns, 0);
	}
	follower->failing = failing;
	/* publish[follower-said]: the words before it */
	k2k_store_release(&shared->said_ns, now_ns ? now_ns : 1);
}

void k2k_follower_count_lost(struct k2k_follower *follower, const struct k2k_map *map,
                             uint32_t ring, uint64_t from, uint64_t count)
{
	struct k2k_shm_follower *shared = follower->shared;
	uint64_t *counted = &follower->counted[k2k_ring_index(map, ring)];
	uint64_t end = k2k_sat_add(from, count), first = from;

	if (first < *counted)
		first = *counted;
	if (end <= first)
		return;
	*counted = end;
	/* relaxed, all: for diagnostics */
	k2k_store_relaxed(&shared->lost, k2k_sat_add(k2k_load_relaxed(&shared->lost), end - first));
	k2k_store_relaxed(&shared->lost_ring, ring);
	k2k_store_relaxed(&shared->lost_from, first);
	k2k_store_relaxed(&shared->lost_count, end - first);
	k2k_store_relaxed(&shared->lost_at_ns, k2k_clock_realtime_ns());
}

void k2k_follower_count_damaged(struct k2k_follower *follower)
{
	k2k_add_relaxed(&follower->shared->damaged, 1); /* relaxed: for diagnostics */
}

bool k2k_follower_is_prompt(const struct k2k_shm_follower *shared, struct k2k_liveness *liveness,
                            uint64_t now_ns)
{
	/* observe[follower-owner]: its byte is locked if it is alive */
	uint64_t owner = k2k_load_acquire(&shared->owner);
	/* observe[follower-said]: the words before it */
	uint64_t said_ns = k2k_load_acquire(&shared->said_ns);

	/* relaxed: stored before said_ns */
	if (!owner || !said_ns || k2k_load_relaxed(&shared->failing_since_ns))
		return false;
	/* said_ns may be a little ahead of now_ns, which was read before said_ns was stored */
	if (now_ns > said_ns && now_ns - said_ns > K2K_FOLLOWER_FRESH_NS)
		return false;
	return said_ns <= k2k_sat_add(now_ns, K2K_FOLLOWER_FRESH_NS) &&
	       k2k_liveness_alive(liveness, owner);
}

struct k2k_backlog k2k_follower_backlog(const struct k2k_map *map, uint32_t follower, uint32_t ring)
{
	const struct k2k_ring its = k2k_ring_of(map, ring);
	/* observe[follower-next]: the log has it */
	uint64_t next = k2k_load_acquire(k2k_follower_position(map, follower, ring));
	uint64_t newest = k2k_ring_newest(&its), length = its.mask + 1;
	struct k2k_backlog backlog = { 0, 0, next };

	if (next == 0 || next > newest)
		return backlog; /* no report yet, all events are stored, or damage */
	backlog.behind = newest - next + 1;
	if (backlog.behind > length)
		backlog.overwritten = backlog.behind - length;
	return backlog;
}

bool k2k_follower_has_room(const struct k2k_map *map, uint32_t follower, uint64_t events)
{
	return k2k_follower_backlog(map, follower, K2K_RING_ADMIN).behind + events <=
	       map->sizes.events;
}
