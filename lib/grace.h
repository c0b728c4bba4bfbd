/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * grace.h (F4) - grace periods across processes.
 *
 * Inside of a process rcu.h waits for readers: of this process, and of no other. Across processes
 * a token in `defs` numbers the grace periods, and each broker answers in its
 * slot's `ack`:
 *
 *   writer                                    each broker's helper thread
 *   T = token + 1                             token (acquire)
 *   stamp the record with T, RETIRED          k2k_rcu_synchronize()
 *   unlink it                                 ack = token (release)
 *   token = T (release)
 *   full fence
 *   look at owner, state, alive, ack
 *
 * 1. No record is retired without its token: it is stamped before it is unlinked.
 * 2. T is published only when everything stamped with it is unlinked. Who takes
 *    over from a killed writer first finishes the unlinks stamped token + 1, then
 *    publishes: so no number is given twice with different meanings.
 * 3. A record stamped T is reused when every ACTIVE slot whose owner lives has
 *    ack >= T: each of its read sections that could have found the record is over.
 * 4. A slot that is not ACTIVE has read nothing yet (broker.c), and of a dead owner
 *    nothing runs: neither is waited for.
 * 5. A stopped broker delays reuse, and nothing else: readers, admissions and
 *    leases of others never wait for a grace period.
 *
 * Killed: a writer after any store, see recover.c. A broker: 4. Model: tests/model/grace.pml.
 *
 * The helper does nothing but answer: it is the only thread that may wait for readers, and what
 * must not wait, the watch of the name, of deaths and of the trail, is the agent's (agent.h).
 *
 * The idea of a polled token is DPDK's (rte_rcu_qsbr); that of readers that
 * need no registration LTTng-UST's.
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
 * The newest token that every living, ACTIVE broker has answered. *behind: a slot that holds up the
 * next, or K2K_SLOTS.
 */
uint64_t k2k_grace_passed(const struct k2k_grace *grace, uint32_t *behind);

/* The writer's: the stamp for what is retired now, and its publication. */
uint64_t k2k_grace_next(const struct k2k_map *map);
void k2k_grace_publish(const struct k2k_map *map, uint64_t token);
/* The last step of a publication alone, for one whose writer was killed before it. */
void k2k_grace_wake(const struct k2k_map *map);

/* ---- the helper thread of a broker: answers tokens ------------------------- */

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
