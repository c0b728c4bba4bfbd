/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "error.h"

static void *run(void *argument)
{
	struct k2k_watch *watch = argument;

	while (!k2k_load_acquire(&watch->stop)) { /* observe[watch-stop] */
		uint32_t seen = k2k_load_acquire(&watch->kicks); /* observe[watch-kick]: `stop`, looked at below */
		uint64_t ns = watch->look(watch->context);
		struct timespec length = { (time_t)(ns / K2K_NS_PER_SEC), (long)(ns % K2K_NS_PER_SEC) };

		if (!k2k_load_acquire(&watch->stop)) /* observe[watch-stop] */
			syscall(SYS_futex, &watch->kicks, FUTEX_WAIT_PRIVATE, seen, &length, NULL, 0);
	}
	return NULL;
}

int k2k_watch_start(struct k2k_watch *watch, uint64_t (*look)(void *context), void *context)
{
	sigset_t all, before;
	int error;

	watch->look = look;
	watch->context = context;
	watch->stop = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&watch->thread, NULL, run, watch);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return k2k_fail_errno(K2K_ENOMEM, error, "watch", "can't start a thread");
	watch->running = true;
	return 0;
}

void k2k_watch_kick(struct k2k_watch *watch)
{
	/* publish[watch-kick]: what the thread is to look at; observe[watch-kick]: nothing */
	k2k_add_acq_rel(&watch->kicks, 1);
	syscall(SYS_futex, &watch->kicks, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void k2k_watch_stop(struct k2k_watch *watch)
{
	if (!watch->running)
		return;
	k2k_store_release(&watch->stop, 1); /* publish[watch-stop] */
	k2k_watch_kick(watch);
	pthread_join(watch->thread, NULL);
	watch->running = false;
}
