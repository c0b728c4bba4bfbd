/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rcu.h (F4) - the process's own RCU domain: read sections, and the wait until those that run now
 * are over.
 *
 * The only file that includes liburcu. It is a flavour of liburcu of our own: its state word, its
 * constants and barriers, the two-phase wait of its urcu-bp and urcu-memb (Desnoyers, McKenney,
 * Stern, Dagenais, Walpole: User-Level Implementations of Read-Copy Update, IEEE TPDS 23(2), 2012),
 * with a list of readers that no one else shares.
 *
 * Why not urcu-bp itself: its readers are one list a process, the program's and ours. A program's
 * thread that stays in a read section of its own would hold up our grace periods without bound;
 * fork() would hang, because urcu_bp_before_fork() blocks all signals and takes the mutex that a
 * waiting synchronize_rcu() keeps; and only one of the two may call those hooks. A copy of
 * liburcu-bp.a inside of this library is no way out: its TLS is local-exec.
 *
 *   reader                                    synchronizer, one at a time
 *   section = phase | 1                       stores of the caller, e.g. an unlink
 *   barrier, light                            barrier, heavy
 *   loads of what is protected                wait until no section is of the other phase
 *   section = 0 (release)                     flip the phase
 *                                             wait until no section is of the other phase
 *                                             barrier, heavy
 *
 * 1. The light barrier is the compiler's alone where membarrier(2) works: the heavy one is that
 *    call, which makes every thread of the process execute a full barrier at some point of its
 *    program. If the reader's store comes before that point, the synchronizer sees the section, and
 *    waits for it; if it comes after, the reader's loads do too, and see the caller's stores.
 *    Elsewhere both barriers are full fences, and say the same.
 * 2. Two waits: a reader that has loaded the phase may be held up before its store, until after a
 *    synchronizer that did not see it has flipped the phase. Its section then bears the phase that
 *    the next flip makes the current one. So each synchronizer first waits for sections of the
 *    phase that is not the current one.
 * 3. Who loads a phase after the flip is of the new one, and isn't waited for: the wait ends though
 *    readers keep coming.
 * 4. Our sections are short: no sink runs in them, and nobody waits in them for another thread than
 *    the handle's agent, whose tasks never wait for a reader. The longest is a sweep of a whole
 *    table, or a reader's check, which looks several times within 100 ms. So the wait ends. It
 *    blocks no signal, and holds no lock that fork() needs.
 * 5. fork() may come at any moment: the child's handler gives back the records of the threads that
 *    are not there, and the synchronizers' turn. No handler waits for a reader or a synchronizer.
 *
 * Model: tests/model/rcu.pml.
 */
#ifndef K2K_RCU_H
#define K2K_RCU_H

#define _LGPL_SOURCE /* liburcu's inline functions. This library is LGPL too. */
#include <urcu/static/urcu-common.h>

#include "thread.h"

struct k2k_rcu {
	/* URCU_GP_COUNT, and URCU_GP_CTR_PHASE or not: what a section begins with */
	_Atomic(unsigned long) phase;
	/* 1: membarrier(2) works, readers need no fence. Set before the first reader, for good */
	k2k_u32 light;
} __attribute__((aligned(K2K_CACHE_LINE)));
extern struct k2k_rcu k2k_rcu;

static inline void k2k_read_barrier(void)
{
	/* relaxed: it does not change any more when the first reader comes */
	if (k2k_likely(k2k_load_relaxed(&k2k_rcu.light)))
		/* the compiler alone; the processor's part is membarrier()'s */
		k2k_fence_compiler();
	else
		/*
		 * fence[rcu-reader] with fence[rcu-synchronizer]: the section, before what is read
		 * in it
		 */
		k2k_fence_seq_cst();
}

/* Begins a read section. Nests. This thread has its record: k2k_thread_get() was not null. */
static inline void k2k_read_lock(void)
{
	struct k2k_thread *self = k2k_thread_self;
	/*
	 * relaxed, all: our own word; the phase carries nothing; k2k_read_barrier() orders the
	 * store
	 */
	unsigned long section = k2k_load_relaxed(&self->section);

	if (k2k_likely(!(section & URCU_GP_CTR_NEST_MASK))) {
		k2k_store_relaxed(&self->section, k2k_load_relaxed(&k2k_rcu.phase));
		k2k_read_barrier();
	} else {
		k2k_store_relaxed(&self->section, section + URCU_GP_COUNT);
	}
}

static inline void k2k_read_unlock(void)
{
	struct k2k_thread *self = k2k_thread_self;

	/* relaxed: our own word. publish[rcu-section]: all that was done in the section */
	k2k_store_release(&self->section, k2k_load_relaxed(&self->section) - URCU_GP_COUNT);
}

/* Is this thread in a read section? */
static inline bool k2k_in_section(void)
{
	const struct k2k_thread *self = k2k_thread_self;

	/* relaxed: our own word */
	return self && (k2k_load_relaxed(&self->section) & URCU_GP_CTR_NEST_MASK) != 0;
}
#define k2k_assert_in_section() assert(k2k_in_section())
#define k2k_assert_no_section() assert(!k2k_in_section())

/*
 * First in every call that opens, creates or destroys, so before the first read section, and before
 * any lock that may have been somebody's when the process was forked. K2K_ENOMEM: no fork handlers,
 * or no memory; K2K_EFORKED in a child that came without them (_Fork, clone); K2K_EIO:
 * membarrier(2) worked once and is refused now, by a sandbox.
 */
int k2k_rcu_join(void);

/*
 * Waits until the read sections of this process that run now are over. Not from inside of one. 0;
 * or K2K_EIO, if membarrier(2) is refused: then nothing is known, and nothing that was unlinked may
 * be used again.
 */
int k2k_rcu_synchronize(void);

/*
 * Held by the fork handlers: what is changed only between these two is whole in a forked child.
 * Nothing in between waits, since fork() does.
 */
void k2k_fork_guard_lock(void);
void k2k_fork_guard_unlock(void);

#endif
