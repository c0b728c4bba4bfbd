/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * worker.h (F0) - starts the library's own threads.
 */
#ifndef K2K_WORKER_H
#define K2K_WORKER_H

#include <pthread.h>

#include "base.h"

/* For threads that run no code of the program. */
#define K2K_WORKER_STACK_BYTES ((size_t)256 << 10)

/*
 * Starts a thread of the library with all signals blocked. Its stack has `stack_bytes` bytes,
 * whatever RLIMIT_STACK says: that limit may be too small to open a file, or so large that
 * RLIMIT_AS or mlockall() refuses it. 0 takes the default size, for a thread that runs code of the
 * program.
 *
 * The thread runs when this returns. The C library's start-up code can't report an error, so a
 * sandbox that the program enters afterwards must not interfere with it.
 *
 * 0, or K2K_ENOMEM with `object` in the detail.
 */
int k2k_worker_start(pthread_t *thread, void *(*run)(void *context), void *context,
                     size_t stack_bytes, const char *object);

#endif
