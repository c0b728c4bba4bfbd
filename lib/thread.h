/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * thread.h (F0) - the library's record of each thread that has called it.
 *
 * 1. Each thread has one record, found through one thread-local pointer. The library needs 8 bytes
 *    of static TLS in all, so dlopen() succeeds even in a process whose other libraries have used
 *    up nearly all of it.
 * 2. Records are never freed and never leave the list, so any thread may walk the list at any time
 *    without a lock. A thread that ends gives its record back, and a later thread reuses it.
 * 3. Taking a record needs no lock, so a fork() at any moment leaves a usable list in the child.
 * 4. Memory comes from mmap(2), not from malloc(). In a child that was created without running fork
 *    handlers, malloc()'s lock may stay locked for ever; a call of the library returns its error
 *    code there and does not hang.
 */
#ifndef K2K_THREAD_H
#define K2K_THREAD_H

#include <errno.h>
#include <pthread.h>

#include "base.h"
#include "k2k/registry.h"

struct k2k_thread {
	/* rcu.h: nesting and phase of this thread's read section; 0: it is in none */
	_Atomic(unsigned long) section;
	k2k_u32 taken; /* 1: a living thread has this record; 0: free */
	/* sink.c: how many calls of an application's sink this thread is in */
	uint32_t sinks;
	struct k2k_thread *next; /* constant once the record is in the list */
	struct k2k_error_detail detail;
} __attribute__((aligned(2 * K2K_CACHE_LINE)));

/*
 * Null until the thread's first call. The TLS model is initial-exec, because the default model of a
 * shared library calls a function at each use (17 ns instead of 1). The C library always has 8
 * bytes in reserve for initial-exec variables.
 */
extern _Thread_local struct k2k_thread *k2k_thread_self __attribute__((tls_model("initial-exec")));

/*
 * Takes a record for this thread, which must have none. Returns null, with errno set, if there is
 * no memory or no pthread key.
 */
struct k2k_thread *k2k_thread_first_use(void) __attribute__((cold));

static inline struct k2k_thread *k2k_thread_get(void)
{
	struct k2k_thread *self = k2k_thread_self;

	return k2k_likely(self != NULL) ? self : k2k_thread_first_use();
}

/* The newest record; the others follow by `next`. */
struct k2k_thread *k2k_thread_list(void);

/* Aborts unless some thread holds `mutex`. It can't check whether that is this thread. */
#define k2k_assert_locked(mutex) assert(pthread_mutex_trylock(mutex) == EBUSY)

/*
 * Called in a forked child. Gives back the records of all threads except the calling one, because
 * no other thread exists in the child.
 */
void k2k_thread_after_fork_child(void);

/*
 * Cancellation. A thread that is cancelled at a system call in the middle of a public call would
 * leave locks held and counts raised. So a public call that can reach a cancellation point, or that
 * calls the application's sink, begins with K2K_UNCANCELLED. It disables cancellation until the
 * function returns, and then restores the previous state. It nests. A cancellation request that
 * arrives during the call takes effect at the thread's first cancellation point after the call.
 */
static inline int k2k_cancel_disable(void)
{
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

static inline void k2k_cancel_restore(const int *before)
{
	pthread_setcancelstate(*before, NULL);
}

#define K2K_UNCANCELLED \
	int uncancelled __attribute__((cleanup(k2k_cancel_restore), unused)) = k2k_cancel_disable()

#endif
