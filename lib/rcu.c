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
 * A synchronizer has its turn. A word and not a mutex, so that a forked child can give up what no
 * thread of its has.
 */
static k2k_u32 turn;

/*
 * First without giving up the processor, since sections take some 100 ns; then in pauses that
 * become longer.
 */
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

/* The heavy barrier. */
static int barrier(void)
{
	/*
	 * fence[rcu-synchronizer] with fence[rcu-reader], and where readers have none with the
	 * barrier that membarrier() makes them execute
	 */
	k2k_fence_seq_cst();
	/* relaxed: set for good before the first reader */
	if (!k2k_load_relaxed(&k2k_rcu.light) || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		return 0;
	return k2k_fail_errno(
		K2K_EIO, errno, "process",
		"membarrier(2), which worked when the library was first used, is refused");
}

static bool is_of_other_phase(const struct k2k_thread *thread, unsigned long phase)
{
	struct urcu_gp now = { .ctr = phase };
	/* observe[rcu-section]: if it is over, all that was done in it */
	unsigned long section = k2k_load_acquire(&thread->section);

	return urcu_common_reader_state(&now, &section) == URCU_READER_ACTIVE_OLD;
}

static void wait_for_other_phase(void)
{
	/* relaxed: only who has the turn changes it */
	unsigned long phase = k2k_load_relaxed(&k2k_rcu.phase);

	/*
	 * A thread that the list does not have yet has stored its record after our barrier: its
	 * sections see what was stored before that. So the list needs no second look.
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
	 * relaxed: read by nobody who relies on its age. fence[rcu-flip] with itself: the first
	 * wait, the flip, the second wait
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
	/* observe[rcu-turn]: the phase. relaxed where it fails: nothing is read then */
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
 * A page that a child finds zeroed until the child's handler has run: 1 where all is as it should
 * be. Made, like the handlers, before main(): so whoever looks at it never finds it half made.
 */
static uint32_t *whole;
static int handlers_error = EAGAIN, page_error = EAGAIN;
static bool decided; /* under the fork guard: `light` is what it will be */

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
	/* the lists of handles are whole in the child (registry.c), and so is `decided` below */
	k2k_fork_guard_lock();
}

static void after_fork_parent(void)
{
	k2k_fork_guard_unlock();
}

static void after_fork_child(void)
{
	k2k_thread_after_fork_child();
	k2k_store_relaxed(&turn, 0); /* relaxed, both: no other thread is here yet */
	if (k2k_load_relaxed(&k2k_rcu.light))
		/* if it is refused, the next barrier() says so */
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

/* For every fork() of the process, whatever handles are open: a child may want to open one. */
__attribute__((constructor(101))) static void prepare(void)
{
	handlers_error = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
	page_error = make_page();
}

/*
 * With the first handle, not earlier: a program may have entered a sandbox since the library was
 * loaded.
 */
static void decide(void)
{
	/* relaxed: readers come after the open that we are part of */
	if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
	    membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
		k2k_store_relaxed(&k2k_rcu.light, 1);
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
		                      "can't map a page that a forked child finds empty");
	/*
	 * before the guard: another thread of the parent's may have had it, then it stays locked in
	 * such a child
	 */
	if (*whole != 1)
		return k2k_fail(K2K_EFORKED, "process", "fork",
		                "this child was made without running fork handlers: execute a "
		                "program instead");
	k2k_fork_guard_lock();
	if (!decided)
		decide();
	k2k_fork_guard_unlock();
	return barrier();
}
