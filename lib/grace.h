/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * grace.h (F4) - grace periods across processes.
 *
 * rcu.h waits for the readers of one process. Across processes a token in `defs` numbers the grace
 * periods, and each broker acknowledges tokens in its slot's `ack`:
 *
 *   writer                                    helper thread of each broker
 *   T = token + 1                             token (acquire)
 *   stamp the record with T, RETIRED          k2k_rcu_synchronize()
 *   unlink it                                 ack = token (release)
 *   token = T (release)
 *   full fence
 *   read owner, state, liveness, ack
 *
 * 1. Every retired record has a token: it is stamped before it is unlinked.
 * 2. T is published only after everything stamped with it is unlinked. A writer that takes over
 *    from a killed one first finishes the unlinks stamped token + 1, then publishes. So no number
 *    is used twice with different meanings.
 * 3. A record stamped T is reused once every ACTIVE slot with a living owner has ack >= T: each of
 *    their read sections that may have found the record has ended.
 * 4. A slot that is not ACTIVE has read nothing yet (broker.c), and a dead owner runs no code:
 *    nobody waits for either.
 * 5. A stopped broker delays reuse and nothing else: readers, admissions and leases of others never
 *    wait for a grace period.
 *
 * Killed: a writer after any store, see recover.h. A broker: see 4. Model: tests/model/grace.pml.
 *
 * The helper only acknowledges tokens. It is the only thread that may wait for readers, so the
 * agent (agent.h) does what must not wait: it watches the name, deaths and the trail.
 *
 * The idea of a token that can be polled is DPDK's (rte_rcu_qsbr), that of readers that need no
 * registration is LTTng-UST's.
 */
#ifndef K2K_GRACE_H
#define K2K_GRACE_H

#include <pthread.h>

#include "broker.h"
#include "rcu.h"

struct k2k_grace {
	const struct k2k_map *map;
	struct k2k_liveness *liveness;
};

/*
 * The newest token that every living, ACTIVE broker has acknowledged. *behind: a slot that delays
 * the next one, or K2K_SLOTS.
 */
uint64_t k2k_grace_passed(const struct k2k_grace *grace, uint32_t *behind);

/* For the writer: the stamp of what is retired now, and its publication. */
uint64_t k2k_grace_next(const struct k2k_map *map);
void k2k_grace_publish(const struct k2k_map *map, uint64_t token);
/* The last step of a publication, for a publication whose writer was killed before it. */
void k2k_grace_wake(const struct k2k_map *map);

/* ---- the helper thread of a broker: acknowledges tokens -------------------- */

struct k2k_helper {
	const struct k2k_map *map;
	uint32_t slot;
	k2k_u32 stop, stopped; /* process-private */
	pthread_t thread;
	bool running;
};

int k2k_helper_start(struct k2k_helper *helper);
void k2k_helper_stop(struct k2k_helper *helper);

#endif
