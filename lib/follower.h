/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * follower.h (F5) - records in `live` in which followers report how far they have come. A follower
 * is a program that stores the audit trail in a log.
 *
 * A follower takes one of K2K_FOLLOWERS records as a broker takes its slot: it draws an
 * incarnation, locks that byte of `live`, and puts the incarnation into the owner word by one
 * compare-exchange, from 0 or from a dead incarnation. Only the owner writes its record.
 *
 * 1. A follower reports an event as stored only after it has written the event to its log.
 * 2. A follower keeps up if it is alive, has reported within the last K2K_FOLLOWER_FRESH_NS, can
 *    write its log, and the ring can take another event without overwriting one that the follower
 *    has not stored.
 * 3. Every broker has the right to write to this memory. A wrong number makes an administrator wait
 *    for a bounded time in vain, or not wait although it should. It never stops a message, and no
 *    reader relies on it.
 *
 * attach, killed after:     others see
 *   lock                    nothing; the lock is gone
 *   owner                   the record of a dead follower: the events that it stored and lost still
 *                           count; the next attach takes it
 *   said_ns 0               the same
 *   identity, next          the same
 *
 * Model: tests/model/follow.pml.
 */
#ifndef K2K_FOLLOWER_H
#define K2K_FOLLOWER_H

#include "broker.h"
#include "ring.h"

#define K2K_FOLLOWER_FRESH_NS (3 * K2K_NS_PER_SEC)

struct k2k_follower {
	struct k2k_lock life;
	uint64_t incarnation; /* 0: not attached */
	struct k2k_shm_follower *shared;
	k2k_u64 *positions; /* for each ring, as in `live` */
	/*
	 * For each ring: losses of numbers below this are in `lost` already. A follower whose log
	 * was truncated reads events again, and must not count their losses twice.
	 */
	uint64_t *counted;
	bool failing;
};

/*
 * Both run on the agent. 0; K2K_EFULL if all records have living owners; K2K_ENOMEM; an error of
 * locking.
 */
int k2k_follower_attach(const struct k2k_map *map, struct k2k_liveness *liveness,
                        const struct k2k_identity *own, struct k2k_follower *follower);
void k2k_follower_detach(struct k2k_follower *follower);

/*
 * Reports first how far each ring is stored: all events of the ring with this index whose number is
 * below `next`; and then that it has reported. now_ns: as monotonic_ns of an event. failing: the
 * log can't be written. Only one thread at a time may call them.
 */
void k2k_follower_store(struct k2k_follower *follower, uint32_t index, uint64_t next);
void k2k_follower_say(struct k2k_follower *follower, uint64_t now_ns, bool failing);
/* Reports that `count` events of this ring, from number `from` on, are missing. */
void k2k_follower_count_lost(struct k2k_follower *follower, const struct k2k_map *map,
                             uint32_t ring, uint64_t from, uint64_t count);
void k2k_follower_count_damaged(struct k2k_follower *follower);

/* Is the follower alive, is its last report fresh, and can it write its log? */
bool k2k_follower_is_prompt(const struct k2k_shm_follower *shared, struct k2k_liveness *liveness,
                            uint64_t now_ns);
/* The follower's word for the ring of this number. */
static inline k2k_u64 *k2k_follower_position(const struct k2k_map *map, uint32_t follower,
                                             uint32_t ring)
{
	return &map->positions[(size_t)follower * map->sizes.rings + k2k_ring_index(map, ring)];
}
/*
 * Can `events` more events be written to the administrators' ring without overwriting one that this
 * follower has not stored? A follower with an impossible number counts as one that has stored all.
 */
bool k2k_follower_has_room(const struct k2k_map *map, uint32_t follower, uint64_t events);
/*
 * behind: how many events of this ring the follower has not stored; overwritten: how many of these
 * have been overwritten by now; from: the number of the first that it has not stored.
 */
struct k2k_backlog {
	uint64_t behind, overwritten, from;
};
struct k2k_backlog k2k_follower_backlog(const struct k2k_map *map, uint32_t follower,
                                        uint32_t ring);

#endif
