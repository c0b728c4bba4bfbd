/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rcu.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "delay.h"
#include "error.h"

#define SPINS 1000
#define PAUSE_FIRST_NS UINT64_C(10000)
#define PAUSE_MOST_NS UINT64_C(1000000)

struct k2k_rcu k2k_rcu = { .phase = URCU_GP_COUNT };

/*
 * 1: a synchronizer is at work, and others wait. It is a word, not a mutex, so that a forked child,
 * in which the thread of that synchronizer does not exist, can reset it.
 */
static k2k_u32 turn;

/* Spins at first, because most sections last about 100 ns; then sleeps longer and longer. */
static void wait_a_moment(uint32_t *spins, uint64_t *pause_ns)
{
	if (*spins > 0) {
		--*spins;
		k2k_relax();
		return;
	}
	k2k_clock_sleep_ns(*pause_ns);
	if (*pause_ns < PAUSE_MOST_NS)
		*pause_ns += *pause_ns / 2;
}

static bool membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0) == 0;
}

static bool is_light(void)
{
	/* relaxed: set before the first read section, and never changed */
	return k2k_load_relaxed(&k2k_rcu.phase) & K2K_RCU_LIGHT;
}

/* The heavy barrier. K2K_EIO if membarrier(2) is refused. */
static int barrier(void)
{
	/*
	 * fence[rcu-synchronizer] with fence[rcu-reader]; if readers have no fence, with the
	 * barrier that membarrier() makes them execute
	 */
	k2k_fence_seq_cst();
	if (!is_light() || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		return 0;
	return k2k_fail_errno(
		K2K_EIO, errno, "process",
		"membarrier(2) has worked before and is refused now: has a sandbox been entered?");
}

static bool is_of_other_phase(const struct k2k_thread *thread, unsigned long phase)
{
	struct urcu_gp now = { .ctr = phase };
	/* observe[rcu-section]: if the section has ended, all that was done in it */
	unsigned long section = k2k_load_acquire(&thread->section);

	return urcu_common_reader_state(&now, &section) == URCU_READER_ACTIVE_OLD;
}

static void wait_for_other_phase(void)
{
	/* relaxed: only the synchronizer that has the turn changes it, and that is this thread */
	unsigned long phase = k2k_load_relaxed(&k2k_rcu.phase);

	/*
	 * A thread that is not in the list yet puts its record there after our barrier, so its
	 * sections see what was stored before the barrier. One walk of the list is enough.
	 */
	for (const struct k2k_thread *thread = k2k_thread_list(); thread; thread = thread->next) {
		uint64_t pause_ns = PAUSE_FIRST_NS;
		uint32_t spins = SPINS;

		while (is_of_other_phase(thread, phase))
			wait_a_moment(&spins, &pause_ns);
	}
}

static int synchronize(void)
{
	int code = barrier();

	if (code)
		return code;
	wait_for_other_phase();
	K2K_DELAY(phase_waited);
	/*
	 * relaxed: no reader relies on seeing the newest phase. fence[rcu-flip] with itself: keeps
	 * the first wait, the flip and the second wait in this order
	 */
	k2k_fence_seq_cst();
	k2k_store_relaxed(&k2k_rcu.phase, k2k_load_relaxed(&k2k_rcu.phase) ^ URCU_GP_CTR_PHASE);
	k2k_fence_seq_cst(); /* fence[rcu-flip] again */
	K2K_DELAY(phase_flipped);
	wait_for_other_phase();
	return barrier();
}

int k2k_rcu_synchronize(void)
{
	uint64_t pause_ns = PAUSE_FIRST_NS;
	uint32_t spins = SPINS, free = 0;
	int code;

	k2k_assert_no_section();
	/* observe[rcu-turn]: the phase. relaxed on failure: the turn is another's then */
	while (!k2k_cas_acquire(&turn, &free, 1)) {
		free = 0;
		wait_a_moment(&spins, &pause_ns);
	}
	code = synchronize();
	k2k_store_release(&turn, 0); /* publish[rcu-turn] */
	return code;
}

/* ---- fork ------------------------------------------------------------------ */

/*
 * Points to a word that is 1, in a page that the kernel zeroes in a child. The child's fork handler
 * sets it to 1 again, so 0 means that the handlers did not run. The page is mapped before main(),
 * and the handlers are registered there, so no fork() can happen in the middle of that.
 */
static uint32_t *whole;
static int handlers_error = EAGAIN, page_error = EAGAIN;
static bool decided; /* under the fork guard: whether K2K_RCU_LIGHT is set is final */

static pthread_mutex_t fork_guard = PTHREAD_MUTEX_INITIALIZER;

void k2k_fork_guard_lock(void)
{
	pthread_mutex_lock(&fork_guard);
}

void k2k_fork_guard_unlock(void)
{
	pthread_mutex_unlock(&fork_guard);
}

static void before_fork(void)
{
	/* so the lists of handles (registry.c) and `decided` are consistent in the child */
	k2k_fork_guard_lock();
}

static void after_fork_parent(void)
{
	k2k_fork_guard_unlock();
}

static void after_fork_child(void)
{
	k2k_thread_after_fork_child();
	k2k_store_relaxed(&turn, 0); /* relaxed: the child has no other thread yet */
	if (is_light())
		/* if this is refused, the next barrier() reports it */
		membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	if (whole)
		*whole = 1;
	k2k_fork_guard_unlock();
}

static int make_page(void)
{
	uint32_t *page;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return errno;
	if (madvise(page, 4096, MADV_WIPEONFORK) != 0) {
		int error = errno;

		munmap(page, 4096);
		return error;
	}
	*page = 1;
	whole = page;
	return 0;
}

/* Prepares for every fork() of the process, even one without a handle: the child may open one. */
__attribute__((constructor(101))) static void prepare(void)
{
	handlers_error = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
	page_error = make_page();
}

/*
 * Decides whether readers go without a fence. It is called at the first open, not when the library
 * is loaded, because the program may enter a sandbox in between.
 */
static void decide(void)
{
	/* relaxed: the first read section comes after the open that calls this */
	if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
	    membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		k2k_store_relaxed(&k2k_rcu.phase, URCU_GP_COUNT | K2K_RCU_LIGHT);
	decided = true;
}

int k2k_rcu_join(void)
{
	if (handlers_error)
		return k2k_fail_errno(K2K_ENOMEM, handlers_error, "process",
		                      "can't register fork handlers");
	if (page_error)
		return k2k_fail_errno(page_error == ENOMEM ? K2K_ENOMEM : K2K_EIO, page_error,
		                      "process",
		                      "can't map a page that is zeroed in forked children");
	/*
	 * This check must come before the guard is taken: if another thread of the parent held the
	 * guard during the fork, it stays locked in such a child.
	 */
	if (*whole != 1)
		return k2k_fail(
			K2K_EFORKED, "process", "fork",
			"this child was created without running fork handlers: it can't use the "
			"library before execve()");
	k2k_fork_guard_lock();
	if (!decided)
		decide();
	k2k_fork_guard_unlock();
	return barrier();
}
