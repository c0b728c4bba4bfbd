/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "grace.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "delay.h"
#include "error.h"

#define WAKE_AGAIN_NS UINT64_C(20000)

_Thread_local struct urcu_bp_reader *k2k_grace_reader;

struct urcu_bp_reader *k2k_grace_first_use(void)
{
	/* registers the thread with liburcu */
	_urcu_bp_read_lock();
	_urcu_bp_read_unlock();
	k2k_grace_reader = URCU_TLS(urcu_bp_reader);
	return k2k_grace_reader;
}

void k2k_grace_synchronize_process(void)
{
	urcu_bp_synchronize_rcu();
}

/* ---- fork ------------------------------------------------------------------ */

/* All of it under the fork guard, which the handlers hold over a fork: no child finds it half changed. */
static struct {
	uint32_t hooked;                 /* handles that leave the hooks to us */
	bool around;                     /* this fork: we called urcu_bp_before_fork */
	uint32_t *whole;                 /* a page that a child finds zeroed: 1 where liburcu is consistent */
} process;
static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;
static int handlers_error;

static void before_fork(void)
{
	/* no descriptor of a lock in the making may be inherited either (lock.h) */
	k2k_lock_fork_guard(true);
	process.around = process.hooked > 0;
	if (process.around)
		urcu_bp_before_fork();
}

static void after_fork_parent(void)
{
	if (process.around)
		urcu_bp_after_fork_parent();
	k2k_lock_fork_guard(false);
}

static void after_fork_child(void)
{
	if (process.around)
		urcu_bp_after_fork_child();
	if (process.whole)
		*process.whole = 1;
	process.hooked = 0; /* none of the inherited handles is open here */
	k2k_lock_fork_guard(false);
}

static void register_handlers(void)
{
	handlers_error = pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static int make_page(void)
{
	uint32_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return k2k_fail_errno(K2K_ENOMEM, errno, "process", "can't map a page");
	if (madvise(page, 4096, MADV_WIPEONFORK) != 0) {
		int error = errno;

		munmap(page, 4096);
		return k2k_fail_errno(K2K_EIO, error, "process", "MADV_WIPEONFORK");
	}
	*page = 1;
	process.whole = page;
	return 0;
}

static int join_guarded(bool caller_hooks)
{
	int code = process.whole ? 0 : make_page();

	if (code)
		return code;
	if (*process.whole != 1)
		return k2k_fail(K2K_EFORKED, "process", "fork",
		                "this child was made without running fork handlers: execute a program instead");
	if (!caller_hooks)
		process.hooked++;
	return 0;
}

int k2k_grace_join_process(bool caller_hooks)
{
	int code;

	pthread_once(&handlers_once, register_handlers);
	if (handlers_error)
		return k2k_fail_errno(K2K_ENOMEM, handlers_error, "process", "can't register fork handlers");
	k2k_lock_fork_guard(true);
	code = join_guarded(caller_hooks);
	k2k_lock_fork_guard(false);
	return code;
}

void k2k_grace_leave_process(bool caller_hooks)
{
	k2k_lock_fork_guard(true);
	if (!caller_hooks)
		process.hooked--;
	k2k_lock_fork_guard(false);
}

/* ---- across processes -------------------------------------------------------- */

uint64_t k2k_grace_next(const struct k2k_map *map)
{
	return k2k_load_relaxed(&map->defs->grace_token) + 1; /* relaxed: only the writer, us, changes it */
}

static void wake(const struct k2k_map *map)
{
	syscall(SYS_futex, &map->defs->grace_wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void k2k_grace_wake(const struct k2k_map *map)
{
	/* relaxed, both: only wakes; who misses it looks again within a second */
	k2k_store_relaxed(&map->defs->grace_wake, (uint32_t)k2k_load_relaxed(&map->defs->grace_token));
	wake(map);
}

void k2k_grace_publish(const struct k2k_map *map, uint64_t token)
{
	K2K_DELAY(unlinked);
	k2k_store_release(&map->defs->grace_token, token); /* publish[grace-token]: every unlink stamped with it */
	K2K_DELAY(published);
	k2k_grace_wake(map);
	/*
	 * fence[grace-writer] with fence[grace-attach]: what is asked after this about slots is no older than the unlinks.
	 * Without it the look at a slot could be older than an attach that still read the old link.
	 */
	k2k_fence_seq_cst();
}

uint64_t k2k_grace_passed(const struct k2k_grace *grace, uint32_t *behind)
{
	const struct k2k_map *map = grace->map;
	/* observe[grace-token]: what is stamped up to it is unlinked */
	uint64_t token = k2k_load_acquire(&map->defs->grace_token);
	uint64_t passed = token;

	*behind = K2K_SLOTS;
	/* fence[grace-writer] again, for one who did not publish himself */
	k2k_fence_seq_cst();
	for (uint32_t i = 0; i < K2K_SLOTS; i++) {
		struct k2k_shm_slot *slot = &map->slots[i];
		/* observe[slot-owner]: so that its state is not of the owner before */
		uint64_t owner = k2k_load_acquire(&slot->owner);
		uint64_t ack;

		/* observe[slot-state]: ATTACHING was stored by this owner, or the state is the dead one's and we wait for nothing more than needed */
		if (owner == 0 || k2k_load_acquire(&slot->state) != K2K_SLOT_ACTIVE)
			continue;
		K2K_DELAY(slot_active);
		ack = k2k_load_acquire(&slot->ack); /* observe[grace-ack]: its readers are through */
		/* newer than our look at the token is well; newer than the token itself is damage, and counts as nothing */
		if (ack > token && ack > k2k_load_acquire(&map->defs->grace_token)) /* observe[grace-token]: only compared */
			ack = 0;
		if (ack >= passed || !k2k_census_alive(grace->census, owner))
			continue;
		passed = ack;
		*behind = i;
	}
	return passed;
}

/* ---- the helper --------------------------------------------------------------- */

static void answer(struct k2k_helper *helper)
{
	struct k2k_shm_slot *slot = &helper->map->slots[helper->slot];
	/* observe[grace-token]: the unlinks before it; sections begun from now on don't find what was unlinked */
	uint64_t token = k2k_load_acquire(&helper->map->defs->grace_token);

	if (k2k_load_relaxed(&slot->ack) == token) /* relaxed: we wrote it; where others damaged it we write it again */
		return;
	K2K_DELAY(token_seen);
	urcu_bp_synchronize_rcu();
	K2K_DELAY(synchronized);
	k2k_store_release(&slot->ack, token); /* publish[grace-ack]: all that our readers did before */
}

static void wait_until(const struct k2k_helper *helper, uint32_t seen, uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / K2K_NS_PER_SEC), (long)(ns % K2K_NS_PER_SEC) };

	/* the form with a bitset takes a moment, not a length */
	syscall(SYS_futex, &helper->map->defs->grace_wake, FUTEX_WAIT_BITSET, seen, &ts, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void *run(void *argument)
{
	struct k2k_helper *helper = argument;

	while (!k2k_load_acquire(&helper->stop)) { /* observe[helper-stop] */
		uint32_t seen = k2k_load_relaxed(&helper->map->defs->grace_wake); /* relaxed: compared by the kernel again */
		uint64_t second = k2k_load_relaxed(&helper->clock->kept); /* relaxed, both: ours */
		uint64_t next = k2k_clock_keep(helper->clock); /* first: what follows may wait for a reader */
		uint64_t nap;

		answer(helper);
		if (second && second != k2k_load_relaxed(&helper->clock->kept))
			helper->tick(helper->context);
		nap = helper->look(helper->context);
		if (nap) {
			nap += k2k_clock_monotonic_ns();
			next = nap < next ? nap : next;
		}
		if (!k2k_load_acquire(&helper->stop)) /* observe[helper-stop] */
			wait_until(helper, seen, next);
	}
	k2k_store_release(&helper->stopped, 1); /* publish[helper-stopped] */
	return NULL;
}

int k2k_helper_start(struct k2k_helper *helper)
{
	sigset_t all, before;
	int error;

	helper->stop = 0;
	helper->stopped = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&helper->thread, NULL, run, helper);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return k2k_fail_errno(K2K_ENOMEM, error, "helper", "can't start a thread");
	helper->running = true;
	return 0;
}

/* The futex word is not ours to change; so the wake is repeated until the helper has seen `stop`. */
void k2k_helper_stop(struct k2k_helper *helper)
{
	if (!helper->running)
		return;
	k2k_store_release(&helper->stop, 1); /* publish[helper-stop] */
	while (!k2k_load_acquire(&helper->stopped)) { /* observe[helper-stopped] */
		wake(helper->map);
		k2k_clock_sleep_ns(WAKE_AGAIN_NS);
	}
	pthread_join(helper->thread, NULL);
	helper->running = false;
}
