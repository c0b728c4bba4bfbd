/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * agent.h (F0) - a thread of ours whose descriptor table is its own.
 *
 * A library can't keep a descriptor safe in its program's table: any thread may close it, dup over
 * it, or hand it to a child, between any two instructions of ours. So each handle has a thread that
 * leaves the program's table at its start (close_range(2) with CLOSE_RANGE_UNSHARE) and works with
 * an empty one. Whatever the library opens, locks or asks the kernel about, it does there.
 *
 * 1. No descriptor of ours is in the program's table at any time, so the program can neither close
 *    nor replace one, and no child inherits one, whether it is forked, spawned or cloned.
 * 2. No descriptor of the program is in ours: we never read, lock or close a file of the program,
 *    and we keep no pipe open that the program has closed.
 * 3. The table ends with the thread, and the thread with the process or with execve(): so a lock
 *    on a descriptor of ours ends then too, even if a vforked child still shares the memory.
 * 4. The thread blocks all signals. A write beyond the file-size limit answers EFBIG there, and
 *    its SIGXFSZ never reaches the program.
 *
 * Numbers 0 to 2 of the table are occupied by references that can be neither read nor written, so
 * that a message to standard error from this thread never lands in a registry.
 *
 * A task is run by the agent while its caller waits. The wait is no cancellation point and has no
 * time limit: tasks are bounded. In a forked child there is no agent; handles of the parent answer
 * K2K_EFORKED there before they get here.
 */
#ifndef K2K_AGENT_H
#define K2K_AGENT_H

#include <pthread.h>

#include "base.h"

struct k2k_agent_task;

struct k2k_agent {
	pthread_t thread;
	bool running;
	k2k_u32 kick; /* futex: counts what the agent must look at */
	k2k_u32 stop;
	_Atomic(struct k2k_agent_task *) tasks; /* newest first */
	/* What the agent does by itself. It returns in how many ns again, or K2K_AGENT_NEVER. */
	uint64_t (*wake)(void *context);
	void *wake_context;
	uint64_t wake_at_ns; /* CLOCK_MONOTONIC */
};

#define K2K_AGENT_NEVER UINT64_MAX

/*
 * For tests that stop a call after each of its instructions: agents that start from now on run
 * their tasks in the calling thread, with the program's descriptors, and do nothing by themselves.
 */
extern bool k2k_agent_in_caller;

/* 0; K2K_ENOMEM if no thread can be had; K2K_EIO if the kernel refuses a table of its own. */
int k2k_agent_start(struct k2k_agent *agent);
/* Not from the agent itself. Closes whatever is open in its table. */
void k2k_agent_stop(struct k2k_agent *agent);

/*
 * Runs task(context) on the agent and returns its code; the caller's error detail is then the
 * task's. On the agent itself: at once. Any thread, any number at a time.
 */
int k2k_agent_run(struct k2k_agent *agent, int (*task)(void *context), void *context);

/* Aborts unless this thread is the agent. */
#define k2k_assert_on_agent(agent) assert(pthread_equal(pthread_self(), (agent)->thread))

/* From now on the agent calls wake(context), first at once. On the agent. */
void k2k_agent_set_wake(struct k2k_agent *agent, uint64_t (*wake)(void *context), void *context);

#endif
