/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"

/* on the stack of the caller, which waits for `begun` */
struct start {
	void *(*run)(void *context);
	void *context;
	k2k_u32 begun; /* futex */
};

static void *begin(void *argument)
{
	struct start *start = argument;
	void *(*run)(void *) = start->run;
	void *context = start->context;
	k2k_u32 *begun = &start->begun;

	k2k_store_release(begun, 1); /* publish[thread-begun]: run and context are read */
	/* The caller may have returned already: then this wakes nobody, which is harmless. */
	syscall(SYS_futex, begun, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return run(context);
}

static int create(pthread_t *thread, struct start *start, size_t stack_bytes)
{
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);

	if (error)
		return error;
	if (stack_bytes)
		error = pthread_attr_setstacksize(&attr, stack_bytes);
	if (!error)
		error = pthread_create(thread, &attr, begin, start);
	pthread_attr_destroy(&attr);
	/*
	 * The stack also holds the program's thread-local variables. If they don't fit into it, the
	 * error is EINVAL, and the default size is used instead.
	 */
	return error == EINVAL ? pthread_create(thread, NULL, begin, start) : error;
}

int k2k_worker_start(pthread_t *thread, void *(*run)(void *), void *context, size_t stack_bytes,
                     const char *object)
{
	struct start start = { .run = run, .context = context };
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = create(thread, &start, stack_bytes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return k2k_fail_errno(K2K_ENOMEM, error, object, "can't start a thread%s",
		                      error == EAGAIN ? " (RLIMIT_NPROC, RLIMIT_AS, RLIMIT_DATA, "
		                                        "RLIMIT_MEMLOCK, RLIMIT_STACK, or "
		                                        "the control group's pids.max)"
		                                      : "");
	while (!k2k_load_acquire(&start.begun)) /* observe[thread-begun]: `start` is ours again */
		syscall(SYS_futex, &start.begun, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	return 0;
}
