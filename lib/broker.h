/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker.h (F3) - broker slots, the identity of a process, and the proof that it is dead.
 *
 * What lives and dies is an incarnation, not a slot. An attach draws an incarnation (a random
 * number that is never drawn again), locks the byte of `live` at that offset, and then takes a slot
 * by one compare-exchange of the slot's owner word: from 0, or from an incarnation that is dead. An
 * administrator's handle is an incarnation of `defs`; it takes the writer's word in the same way
 * (writer.h).
 *
 * 1. Whether an incarnation is alive is one question to the kernel: is its byte locked?
 * 2. Once the answer is no, it stays no for ever.
 * 3. So no process has to clean up after a dead broker: a record with its incarnation counts as
 *    nothing from that moment, and any process that needs its slot takes it.
 *
 * Killed after step N of an attach:
 *   1 lock          others see nothing; the kernel has dropped the lock
 *   2 owner word    the slot has a dead owner; another attach takes it
 *   3 ATTACHING, identity, ack, ACTIVE     as 2
 */
#ifndef K2K_BROKER_H
#define K2K_BROKER_H

#include "lock.h"
#include "map.h"

#define K2K_DEAD_CACHE 1024
#define K2K_LIVENESS_AT_ONCE 64
#define K2K_SLOT_NONE UINT32_MAX /* in the place of a broker slot */

/* Asks whether incarnations are alive. Dead ones are cached, because death is final. */
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
	/*
	 * The dead broker whose slot this one took: its incarnation, the time of its attach, and
	 * its identity. 0: the slot had no owner.
	 */
	uint64_t predecessor, predecessor_attached_ns;
	struct k2k_identity predecessor_identity;
};

void k2k_identity_read(struct k2k_identity *identity);
/* Converts comm, which two words hold, to text; unprintable characters become '?'. */
void k2k_identity_comm(char text[16], uint64_t low, uint64_t high);

/*
 * A full memory barrier follows the answer. So if the answer is "no", the caller sees all that the
 * dead process stored.
 */
bool k2k_liveness_alive(struct k2k_liveness *liveness, uint64_t incarnation);
/* The same for up to K2K_LIVENESS_AT_ONCE incarnations, with one wait for the agent. */
void k2k_liveness_ask(struct k2k_liveness *liveness, const uint64_t *incarnations, bool *alive,
                      uint32_t count);

/* On the agent. Begins an incarnation. 0, K2K_EBUSY, or an error of k2k_lock_try(). */
int k2k_life_begin(const struct k2k_segment *object, struct k2k_lock *life, uint64_t *incarnation);

/*
 * On the agent. 0: broker->slot is ACTIVE, and has the identity `own`. K2K_ENOBROKERSLOT, or an
 * error of k2k_life_begin().
 */
int k2k_broker_attach(const struct k2k_map *map, struct k2k_liveness *liveness,
                      const struct k2k_identity *own, struct k2k_broker *broker);
/* On the agent. Clears the owner word, then drops the lock. */
void k2k_broker_detach(const struct k2k_map *map, struct k2k_broker *broker);

#endif
