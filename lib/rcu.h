/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rcu.h (F4) - the library's own RCU within one process: read sections, and the wait until all
 * current sections have ended.
 *
 * This is the only file that includes liburcu. It is a flavour of liburcu that belongs to this
 * library: it uses liburcu's state word, constants and barriers and the two-phase wait of urcu-bp
 * and urcu-memb (Desnoyers, McKenney, Stern, Dagenais, Walpole: User-Level Implementations of
 * Read-Copy Update, IEEE TPDS 23(2), 2012), but only threads that call this library are in its
 * list of readers.
 *
 * Why not urcu-bp itself: it has one list of readers in a process, for the program and for the
 * library. A thread of the program that stays in a read section would delay the library's grace
 * periods without bound. fork() would hang, because urcu_bp_before_fork() blocks all signals and
 * takes the mutex that a waiting synchronize_rcu() holds. Either the program or the library may
 * call that hook, but not both. A copy of liburcu-bp.a inside this library does not help, because
 * its TLS model is local-exec.
 *
 *   reader                                    synchronizer, one at a time
 *   section = phase | 1                       stores of the caller, e.g. an unlink
 *   barrier, light                            barrier, heavy
 *   loads of what is protected                wait until no section has the other phase
 *   section = 0 (release)                     flip the phase
 *                                             wait until no section has the other phase
 *                                             barrier, heavy
 *
 * 1. Where membarrier(2) works, the light barrier restrains only the compiler, and the heavy one is
 *    that call: it makes every thread of the process execute a full barrier at some point of its
 *    program. If the reader's store comes before that point, the synchronizer sees the section and
 *    waits for it. If it comes after, the reader's loads come after as well and see the caller's
 *    stores. Where membarrier(2) does not work, both barriers are full fences, with the same
 *    effect.
 * 2. Two waits are needed: between loading the phase and storing it a reader may pause until a
 *    synchronizer, which can't see the section yet, has flipped the phase. The section then has a
 *    phase that is not current, but becomes current at the next flip. So each synchronizer waits
 *    for such sections before it flips the phase.
 * 3. A reader that loads the phase after the flip gets the new one and is not waited for. So the
 *    wait ends even if readers keep coming.
 * 4. The library's sections are short: no sink runs in them, and a thread in a section waits for no
 *    other thread than the handle's agent, whose tasks never wait for a reader. The longest
 *    sections are a sweep of a whole table, and a reader's check, which looks several times within
 *    100 ms. So the wait ends. It blocks no signal, and holds no lock that fork() needs.
 * 5. fork() may come at any moment: the child's handler resets the records of the threads that the
 *    child does not have, and the synchronizers' turn. No handler waits for a reader or for a
 *    synchronizer.
 *
 * Model: tests/model/rcu.pml.
 */
#ifndef K2K_RCU_H
#define K2K_RCU_H

#define _LGPL_SOURCE /* liburcu's inline functions. This library is LGPL too. */
#include <urcu/static/urcu-common.h>

#include "thread.h"

/*
 * In the phase, and so in the word of each section: membarrier(2) works, and readers need no fence.
 * It is set before the first read section, and never changes.
 */
#define K2K_RCU_LIGHT (1ul << 63)

struct k2k_rcu {
	/*
	 * the value that begins a section: URCU_GP_COUNT, with or without URCU_GP_CTR_PHASE and
	 * K2K_RCU_LIGHT
	 */
	_Atomic(unsigned long) phase;
} __attribute__((aligned(K2K_CACHE_LINE)));
extern struct k2k_rcu k2k_rcu;

/* Begins the outermost section of this thread. */
static inline void k2k_read_begin(struct k2k_thread *self)
{
	/* relaxed, both: the phase publishes nothing else, and the barrier orders the store */
	unsigned long phase = k2k_load_relaxed(&k2k_rcu.phase);

	k2k_store_relaxed(&self->section, phase);
	if (k2k_likely(phase & K2K_RCU_LIGHT))
		/* restrains the compiler; membarrier() does the rest */
		k2k_fence_compiler();
	else
		/*
		 * fence[rcu-reader] with fence[rcu-synchronizer]: the store of the section comes
		 * before the loads in it
		 */
		k2k_fence_seq_cst();
}

/* Begins a read section; it nests. k2k_thread_get() must have returned this thread's record. */
static inline void k2k_read_lock(void)
{
	struct k2k_thread *self = k2k_thread_self;
	/* relaxed, both: only we write our section */
	unsigned long section = k2k_load_relaxed(&self->section);

	if (k2k_likely(!(section & URCU_GP_CTR_NEST_MASK)))
		k2k_read_begin(self);
	else
		k2k_store_relaxed(&self->section, section + URCU_GP_COUNT);
}

static inline void k2k_read_unlock(void)
{
	struct k2k_thread *self = k2k_thread_self;

	/* relaxed: our own word. publish[rcu-section]: all that was done in the section */
	k2k_store_release(&self->section, k2k_load_relaxed(&self->section) - URCU_GP_COUNT);
}

/*
 * Both for a thread that is in no section: they save the counting of nested ones. False: it is in
 * one.
 */
static inline bool k2k_read_try_begin(struct k2k_thread *self)
{
	/* relaxed: only we write our section */
	if (k2k_unlikely(k2k_load_relaxed(&self->section) & URCU_GP_CTR_NEST_MASK))
		return false;
	k2k_read_begin(self);
	return true;
}

static inline void k2k_read_end(void)
{
	/* publish[rcu-section]: all that was done in the section */
	k2k_store_release(&k2k_thread_self->section, 0);
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
 * Must be the first step of every call that opens, creates or destroys: before the first read
 * section, and before any lock that another thread may have held when the process was forked. 0;
 * K2K_ENOMEM if the fork handlers could not be registered, or there is no memory; K2K_EFORKED in a
 * child that was created without running them (_Fork, clone); K2K_EIO if membarrier(2) has worked
 * before and a sandbox refuses it now.
 */
int k2k_rcu_join(void);

/*
 * Waits until all current read sections of this process have ended. Must not be called inside one.
 * 0; or K2K_EIO if membarrier(2) is refused: then readers may still be in their sections, so the
 * caller must not let anything that was unlinked be reused.
 */
int k2k_rcu_synchronize(void);

/*
 * The fork handlers hold this guard during fork(). So data that is changed only under the guard is
 * consistent in a forked child. A holder must not wait for anything, because fork() waits for it.
 */
void k2k_fork_guard_lock(void);
void k2k_fork_guard_unlock(void);

#endif
