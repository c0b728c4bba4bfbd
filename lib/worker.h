/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * worker.h (F0) - starts the library's own threads.
 */
#ifndef K2K_WORKER_H
#define K2K_WORKER_H

#include <pthread.h>

#include "base.h"

/* For threads of ours that run nothing of the program's. */
#define K2K_WORKER_STACK_BYTES ((size_t)256 << 10)

/*
 * Starts a thread of ours: all signals blocked, and a stack whose size does not follow
 * RLIMIT_STACK, unless stack_bytes is 0: that limit may be too small to open a file, or so large
 * that RLIMIT_AS or mlockall() refuses it. The thread runs when this returns: a sandbox that is
 * entered then finds it past what the C library does first, for which no error is foreseen. 0, or
 * K2K_ENOMEM with `object`.
 */
int k2k_worker_start(pthread_t *thread, void *(*run)(void *context), void *context,
                     size_t stack_bytes, const char *object);

#endif
