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
 *    from a killed one first finishes the unlinks stamped token + 1, then publishes that number. So
 *    no number ever stands for two different sets of records.
 * 3. A record stamped T is reused only when every ACTIVE slot with a living owner has ack >= T: by
 *    then each of these brokers' read sections that may have found the record has ended.
 * 4. A slot that is not ACTIVE has read nothing yet (broker.c), and a dead owner runs no code:
 *    nobody waits for either.
 * 5. A stopped broker delays reuse and nothing else: readers, admissions and leases of others never
 *    wait for a grace period.
 * 6. A reader that nobody waits for (an observer, an administrator) reads the token before and
 *    after a walk. What it reached at token T was unlinked, if at all, with a later token, which is
 *    published before the record is reused: if the token is still T, no record of the walk was.
 *
 * If a writer is killed after any of its stores, recovery finishes its work (recover.h). If a
 * broker is killed, nobody waits for it (4). Model: tests/model/grace.pml.
 *
 * The helper only acknowledges tokens. It is the only thread that may wait for readers, so the
 * agent (agent.h) does what must not wait: it watches the name, deaths and the trail.
 *
 * The idea of a token that a writer can poll is from DPDK (rte_rcu_qsbr); the idea of readers that
 * need no registration is from LTTng-UST.
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
 * Returns the newest token that every living, ACTIVE broker has acknowledged. *behind becomes a
 * slot that has not acknowledged a newer one yet, or K2K_SLOT_NONE if there is none.
 */
uint64_t k2k_grace_passed(const struct k2k_grace *grace, uint32_t *behind);

/* The token before a walk without a read section (6). */
static inline uint64_t k2k_grace_token(const struct k2k_map *map)
{
	/* observe[grace-token]: the unlinks before it */
	return k2k_load_acquire(&map->defs->grace_token);
}

/* After it: true if no record that the walk can have reached has been reused (6). */
static inline bool k2k_grace_is_still(const struct k2k_map *map, uint64_t token)
{
	/* the walk before, this look after; with the release before a reused record is filled */
	k2k_fence_acquire();
	/* relaxed: ordered by the fence */
	return k2k_load_relaxed(&map->defs->grace_token) == token;
}

/*
 * Called by the writer: the token that stamps what it retires now, and the token's publication. If
 * the writer is killed before it has woken the brokers, recovery publishes another token.
 */
uint64_t k2k_grace_next(const struct k2k_map *map);
void k2k_grace_publish(const struct k2k_map *map, uint64_t token);

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
