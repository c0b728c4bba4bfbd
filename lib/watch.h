/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.h (F0) - a thread of a handle that looks again and again, and never waits for a reader.
 *
 * It calls `look`, which says in how many nanoseconds it is to be called next. All signals are blocked in it.
 */
#ifndef K2K_WATCH_H
#define K2K_WATCH_H

#include <pthread.h>

#include "base.h"

struct k2k_watch {
	uint64_t (*look)(void *context);
	void *context;
	k2k_u32 kicks;
	k2k_u32 stop;
	pthread_t thread;
	bool running;
};

/* 0 or K2K_ENOMEM. */
int k2k_watch_start(struct k2k_watch *watch, uint64_t (*look)(void *context), void *context);
/* Looks at once. Any context. */
void k2k_watch_kick(struct k2k_watch *watch);
/* Returns when the thread has ended. Not running: nothing. */
void k2k_watch_stop(struct k2k_watch *watch);

#endif
