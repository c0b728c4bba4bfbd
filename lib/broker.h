/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker.h (F3) - broker slots, identity, proof of death.
 *
 * Death belongs to an incarnation, not to a slot. An attach draws an incarnation
 * (a random number, never drawn again), locks the byte of `live` at that offset,
 * and then takes a slot by one compare-exchange of its owner word: from 0, or
 * from an incarnation that is dead. Administrators are incarnations too, of bytes
 * of `defs`; what they take in that way is the writer's word (writer.h).
 *
 * 1. alive(incarnation) is one question to the kernel: is that byte locked?
 * 2. Once it answers no, it answers no for ever.
 * 3. So a dead broker needs no reaper: whatever carries its incarnation counts as nothing
 *    from that moment, and whoever wants its slot takes it.
 *
 * Killed after step N of an attach:
 *   1 lock          nothing is seen; the lock is gone
 *   2 owner word    the slot has a dead owner; the next attach takes it
 *   3 ATTACHING, identity, ack, ACTIVE     as 2
 */
#ifndef K2K_BROKER_H
#define K2K_BROKER_H

#include "lock.h"
#include "map.h"

#define K2K_DEAD_CACHE 64

/* Asks whether incarnations live, and caches the dead: death is for ever. */
struct k2k_liveness {
	const struct k2k_segment *object; /* `live` for brokers, `defs` for administrators */
	k2k_u64 dead[K2K_DEAD_CACHE];
};

struct k2k_identity {
	uint64_t pid, pid_namespace, start_time;
	uint64_t comm[2];
};

struct k2k_broker {
	struct k2k_lock life;
	uint64_t incarnation; /* 0: not attached */
	uint32_t slot;
	/* the dead one whose slot it took: its incarnation, or 0, and how it had signed */
	uint64_t predecessor, predecessor_attached_ns;
	struct k2k_identity predecessor_identity;
};

void k2k_identity_read(struct k2k_identity *identity);
/* comm as text; what is not printable is '?'. */
void k2k_identity_comm(char text[16], uint64_t low, uint64_t high);

/* A full memory barrier after a "no": what the dead one stored is seen. */
bool k2k_liveness_alive(struct k2k_liveness *liveness, uint64_t incarnation);
/* The same of up to K2K_SLOTS at once: one wait for the agent instead of one each. */
void k2k_liveness_ask(struct k2k_liveness *liveness, const uint64_t *incarnations, bool *alive,
                      uint32_t count);

/* Begins an incarnation: on the agent. K2K_EBUSY; or what locking can answer. */
int k2k_life_begin(const struct k2k_segment *object, struct k2k_lock *life, uint64_t *incarnation);

/*
 * On the agent. K2K_ENOBROKERSLOT, or what locking can answer. The slot is ACTIVE afterwards, and
 * says `own`.
 */
int k2k_broker_attach(const struct k2k_map *map, struct k2k_liveness *liveness,
                      const struct k2k_identity *own, struct k2k_broker *broker);
/* On the agent. Owner word 0, then the lock. */
void k2k_broker_detach(const struct k2k_map *map, struct k2k_broker *broker);

#endif
