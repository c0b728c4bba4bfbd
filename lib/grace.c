/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "grace.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "delay.h"
#include "error.h"
#include "worker.h"

#define WAKE_AGAIN_NS UINT64_C(20000)

uint64_t k2k_grace_next(const struct k2k_map *map)
{
	/* relaxed: only the writer, which we are, changes it */
	return k2k_load_relaxed(&map->defs->grace_token) + 1;
}

static void wake(const struct k2k_map *map)
{
	syscall(SYS_futex, &map->defs->grace_wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void k2k_grace_publish(const struct k2k_map *map, uint64_t token)
{
	K2K_DELAY(unlinked);
	/* publish[grace-token]: every unlink stamped with it */
	k2k_store_release(&map->defs->grace_token, token);
	K2K_DELAY(published);
	/* relaxed: only a wake; a helper that misses it reads the token within a second */
	k2k_store_relaxed(&map->defs->grace_wake, (uint32_t)token);
	wake(map);
	/*
	 * fence[grace-writer] with fence[grace-attach]: the slots are read after the unlinks.
	 * Without it we could miss the attach of a broker that still reads the old link.
	 */
	k2k_fence_seq_cst();
}

uint64_t k2k_grace_passed(const struct k2k_grace *grace, uint32_t *behind)
{
	const struct k2k_map *map = grace->map;
	/* observe[grace-token]: what is stamped up to it is unlinked */
	uint64_t token = k2k_load_acquire(&map->defs->grace_token);
	uint64_t passed = token;

	*behind = K2K_SLOT_NONE;
	/* fence[grace-writer] again, for a caller that has not published this token itself */
	k2k_fence_seq_cst();
	for (uint32_t i = 0; i < map->sizes.slots; i++) {
		struct k2k_shm_slot *slot = &map->slots[i];
		/* observe[slot-owner]: state and ack are at least as new as the predecessor's */
		uint64_t owner = k2k_load_acquire(&slot->owner);
		uint64_t ack;

		/*
		 * observe[slot-state]: this owner has stored ATTACHING. If the state is still the
		 * predecessor's ACTIVE, we only wait longer than necessary.
		 */
		if (owner == 0 || k2k_load_acquire(&slot->state) != K2K_SLOT_ACTIVE)
			continue;
		K2K_DELAY(slot_active);
		/* observe[grace-ack]: its read sections have ended */
		ack = k2k_load_acquire(&slot->ack);
		/*
		 * An ack that is newer than the token that we loaded is fine, if the token has
		 * grown since. An ack that is newer than the token is now is damage, and counts as
		 * 0.
		 */
		/* observe[grace-token]: only compared */
		if (ack > token && ack > k2k_load_acquire(&map->defs->grace_token))
			ack = 0;
		if (ack >= passed || !k2k_liveness_alive(grace->liveness, owner))
			continue;
		passed = ack;
		*behind = i;
	}
	return passed;
}

/* ---- the helper --------------------------------------------------------------- */

static void acknowledge(struct k2k_helper *helper)
{
	struct k2k_shm_slot *slot = &helper->map->slots[helper->slot];
	/*
	 * observe[grace-token]: the unlinks before it; sections that begin from now on don't find
	 * what was unlinked
	 */
	uint64_t token = k2k_load_acquire(&helper->map->defs->grace_token);

	/* relaxed: only we store it; if another process has damaged it, we store it again */
	if (k2k_load_relaxed(&slot->ack) == token)
		return;
	K2K_DELAY(token_seen);
	if (k2k_rcu_synchronize())
		return; /* this delays reuse; the helper tries again at its next wake */
	K2K_DELAY(synchronized);
	/* publish[grace-ack]: all that our readers did before */
	k2k_store_release(&slot->ack, token);
}

/*
 * A wake only saves time: a lost one costs a second at most. If grace_wake is damaged, the sleep
 * ends by its time limit.
 */
static void wait_for_token(const struct k2k_helper *helper, uint32_t seen)
{
	struct timespec second = { 1, 0 };

	syscall(SYS_futex, &helper->map->defs->grace_wake, FUTEX_WAIT, seen, &second, NULL, 0);
}

static void *run(void *argument)
{
	struct k2k_helper *helper = argument;

	while (!k2k_load_acquire(&helper->stop)) { /* observe[helper-stop] */
		/* relaxed: the kernel compares it again */
		uint32_t seen = k2k_load_relaxed(&helper->map->defs->grace_wake);

		acknowledge(helper);
		if (!k2k_load_acquire(&helper->stop)) /* observe[helper-stop] */
			wait_for_token(helper, seen);
	}
	k2k_store_release(&helper->stopped, 1); /* publish[helper-stopped] */
	return NULL;
}

int k2k_helper_start(struct k2k_helper *helper)
{
	int code;

	helper->stop = 0;
	helper->stopped = 0;
	code = k2k_worker_start(&helper->thread, run, helper, K2K_WORKER_STACK_BYTES, "helper");
	if (code)
		return code;
	helper->running = true;
	return 0;
}

/*
 * The futex word is in defs, which a broker maps read-only. So this function can't change the word
 * to keep a helper from falling asleep; it repeats the wake until the helper has seen `stop`.
 */
void k2k_helper_stop(struct k2k_helper *helper)
{
	if (!helper->running)
		return;
	k2k_store_release(&helper->stop, 1);          /* publish[helper-stop] */
	while (!k2k_load_acquire(&helper->stopped)) { /* observe[helper-stopped] */
		wake(helper->map);
		k2k_clock_sleep_ns(WAKE_AGAIN_NS);
	}
	pthread_join(helper->thread, NULL);
	helper->running = false;
}
