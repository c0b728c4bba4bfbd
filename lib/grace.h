/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * grace.h (F4) - grace periods on two levels. The only file that includes liburcu.
 *
 * Inside a process readers are plain liburcu, flavour bp: a read section keeps
 * synchronize_rcu() of this process waiting, and of no other. Across processes
 * a token in `defs` numbers the grace periods, and each broker answers in its
 * slot's `ack`:
 *
 *   writer                                    each broker's helper thread
 *   T = token + 1                             token (acquire)
 *   stamp the record with T, RETIRED          synchronize_rcu()
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
 * The idea of a polled token is DPDK's (rte_rcu_qsbr); that of readers that
 * need no registration LTTng-UST's.
 */
#ifndef K2K_GRACE_H
#define K2K_GRACE_H

#define _LGPL_SOURCE /* liburcu's read side inlined: 2 ns instead of 18. This library is LGPL too. */
#include <urcu/urcu-bp.h>

#include <pthread.h>

#include "broker.h"
#include "clock.h"

/*
 * liburcu's pointer to this thread's reader, cached in a variable of our own: in
 * a shared library its own costs a call a use (17 ns, this 4), and can't be
 * initial-exec, because dlopen() would fail where another library uses it already.
 */
extern _Thread_local struct urcu_bp_reader *k2k_grace_reader __attribute__((tls_model("initial-exec")));

struct urcu_bp_reader *k2k_grace_first_use(void) __attribute__((cold));

/* As _urcu_bp_read_lock(), on the cached pointer. Nests. */
static inline void k2k_read_lock(void)
{
	struct urcu_bp_reader *reader = k2k_grace_reader;
	unsigned long nesting;

	if (k2k_unlikely(!reader))
		reader = k2k_grace_first_use();
	cmm_barrier();
	nesting = reader->ctr;
	if (k2k_likely(!(nesting & URCU_BP_GP_CTR_NEST_MASK))) {
		_CMM_STORE_SHARED(reader->ctr, _CMM_LOAD_SHARED(urcu_bp_gp.ctr));
		urcu_bp_smp_mb_slave();
	} else {
		_CMM_STORE_SHARED(reader->ctr, nesting + URCU_BP_GP_COUNT);
	}
}

static inline void k2k_read_unlock(void)
{
	struct urcu_bp_reader *reader = k2k_grace_reader;

	urcu_bp_smp_mb_slave();
	_CMM_STORE_SHARED(reader->ctr, reader->ctr - URCU_BP_GP_COUNT);
	cmm_barrier();
}

/* Waits until the read sections of this process that run now are over. Not from inside one. */
void k2k_grace_synchronize_process(void);

/*
 * Fork. Once a process: handlers that keep liburcu consistent over fork(), unless every handle's program does that itself.
 * K2K_EFORKED in a child that came without them (_Fork, clone): nothing may use liburcu there.
 */
int k2k_grace_join_process(bool caller_hooks);
void k2k_grace_leave_process(bool caller_hooks);

/* ---- across processes ----------------------------------------------------- */

struct k2k_grace {
	const struct k2k_map *map;
	struct k2k_census *census;
};

/* The newest token that every living, ACTIVE broker has answered. *behind: a slot that holds up the next, or K2K_SLOTS. */
uint64_t k2k_grace_passed(const struct k2k_grace *grace, uint32_t *behind);

/* The writer's: the stamp for what is retired now, and its publication. */
uint64_t k2k_grace_next(const struct k2k_map *map);
void k2k_grace_publish(const struct k2k_map *map, uint64_t token);
/* The last step of a publication alone, for one whose writer was killed before it. */
void k2k_grace_wake(const struct k2k_map *map);

/* ---- the helper thread of a broker ---------------------------------------- */

struct k2k_helper {
	const struct k2k_map *map;
	uint32_t slot;
	k2k_u32 stop, stopped;           /* process-private */
	struct k2k_clock *clock;         /* it keeps the second there */
	void (*tick)(void *context);     /* once a second */
	uint64_t (*look)(void *context); /* each time it wakes; in how many ns again, 0: when the next second begins */
	void *context;
	pthread_t thread;
	bool running;
};

int k2k_helper_start(struct k2k_helper *helper);
void k2k_helper_stop(struct k2k_helper *helper);

#endif
