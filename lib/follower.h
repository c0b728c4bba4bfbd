/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * follower.h (F5) - who keeps the audit trail: a record in `live` that says how far it has come.
 *
 * A follower takes one of K2K_FOLLOWERS records as a broker takes its slot: it draws an
 * incarnation, locks that byte of `live`, and puts the number into the owner word by one
 * compare-exchange, from 0 or from a dead one. It alone writes its record.
 *
 * 1. What it says it has kept, it has kept: it says so after its log was written.
 * 2. It keeps up while it lives, said something within the last K2K_FOLLOWER_FRESH_NS, can write
 *    its log, and the ring has room for another event before it writes over one that the follower
 *    has not kept.
 * 3. The record is in memory that every broker may write. A wrong number makes a writer wait for a
 *    bounded time in vain, or not wait; it never stops a message, and no reader goes by it.
 *
 * attach, killed after:     others see
 *   lock                    nothing; the lock is gone
 *   owner                   a dead one's record: what it had kept and lost still counts; the next
 *                           attach takes it
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
	/* losses below it are in `lost`: a log that was cut is read again */
	uint64_t counted[K2K_RINGS];
	bool failing;
};

/* On the agent, both. 0; K2K_EFULL: all records have living owners; or what locking can answer. */
int k2k_follower_attach(const struct k2k_map *map, struct k2k_liveness *liveness,
                        const struct k2k_identity *own, struct k2k_follower *follower);
void k2k_follower_detach(struct k2k_follower *follower);

/*
 * What it has kept: all below `next` of each ring. now_ns: as monotonic_ns of an event. One thread
 * at a time.
 */
void k2k_follower_say(struct k2k_follower *follower, const uint64_t next[K2K_RINGS],
                      uint64_t now_ns, bool failing);
/* It found `count` numbers missing from `from` on. */
void k2k_follower_count_lost(struct k2k_follower *follower, uint32_t ring, uint64_t from,
                             uint64_t count);
void k2k_follower_count_damaged(struct k2k_follower *follower);

/* Alive, fresh, and not failing. */
bool k2k_follower_is_prompt(const struct k2k_shm_follower *shared, struct k2k_liveness *liveness,
                            uint64_t now_ns);
/*
 * May `events` more be written to this ring before it loses one? A number that can't be says
 * nothing: yes.
 */
bool k2k_follower_has_room(const struct k2k_shm_follower *shared, const struct k2k_ring *ring,
                           uint32_t index, uint64_t events);
/* Numbers of this ring that it has not kept, and, of these, those that are written over by now. */
struct k2k_backlog {
	uint64_t behind, overwritten, from;
};
struct k2k_backlog k2k_follower_backlog(const struct k2k_shm_follower *shared,
                                        const struct k2k_ring *ring, uint32_t index);

#endif
