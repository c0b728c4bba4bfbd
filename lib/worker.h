/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * worker.h (F0) - starts the library's own threads.
 */
#ifndef K2K_WORKER_H
#define K2K_WORKER_H

#include <pthread.h>

#include "base.h"

/* The stack of a thread that runs no code of the program. */
#define K2K_WORKER_STACK_BYTES ((size_t)256 << 10)

/*
 * Starts a thread of the library with all signals blocked. Its stack has `stack_bytes` bytes,
 * whatever RLIMIT_STACK says: a stack of that size may be too small to open a file, or so large
 * that RLIMIT_AS or mlockall() refuses it. With `stack_bytes` 0 the stack has the default size,
 * which a thread that runs code of the program needs.
 *
 * When this returns, the new thread already runs `run`. So a sandbox that the program enters
 * afterwards can't break the C library's start-up of the thread, which could not report an error.
 *
 * Returns 0, or K2K_ENOMEM with `object` in the detail.
 */
int k2k_worker_start(pthread_t *thread, void *(*run)(void *context), void *context,
                     size_t stack_bytes, const char *object);

#endif
