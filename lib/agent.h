/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * agent.h (F0) - a thread of the library whose descriptor table is its own.
 *
 * A library can't keep a descriptor safe in its program's table: between any two instructions of
 * the library, any thread may close it, dup over it, or pass it to a child. So each handle has a
 * thread that leaves the program's table at its start (close_range(2) with CLOSE_RANGE_UNSHARE) and
 * works with an empty one. Everything that the library opens, locks or asks the kernel about
 * happens on this thread, which is called the agent.
 *
 * 1. No descriptor of the library is in the program's table at any time. So the program can neither
 *    close nor replace one, and no child inherits one, whether it is forked, spawned or cloned.
 * 2. No descriptor of the program is in the agent's table. The agent never reads, locks or closes a
 *    file of the program, and keeps no pipe open that the program has closed.
 * 3. The table ends with the thread, and the thread ends with the process or with execve(). So a
 *    lock on a descriptor of the agent ends then too, even while a vforked child still shares the
 *    memory.
 * 4. The thread blocks all signals. A write beyond the file-size limit returns EFBIG on it, and the
 *    SIGXFSZ of that write never reaches the program.
 *
 * Descriptors 0 to 2 of the table are placeholders that can be neither read nor written. So if any
 * code on this thread writes a message to standard error, the message never lands in a registry.
 *
 * The agent runs a task while its caller waits. The wait is not a cancellation point. It has no
 * time limit, because every task ends within a bounded time. A forked child has no agent: a call on
 * a handle of the parent returns K2K_EFORKED before it would need one.
 */
#ifndef K2K_AGENT_H
#define K2K_AGENT_H

#include <pthread.h>

#include "base.h"

struct k2k_agent_task;

struct k2k_agent {
	pthread_t thread;
	bool running;
	k2k_u32 kick; /* futex: raised for each task and for `stop` */
	k2k_u32 stop;
	_Atomic(struct k2k_agent_task *) tasks; /* newest first */
	/*
	 * What the agent does without a task. It returns the time in ns until the agent should call
	 * it again, or K2K_AGENT_NEVER.
	 */
	uint64_t (*wake)(void *context);
	void *wake_context;
	uint64_t wake_at_ns; /* CLOCK_MONOTONIC */
};

#define K2K_AGENT_NEVER UINT64_MAX

/*
 * For tests that stop a call after each of its instructions. While it is true, an agent that is
 * started gets no thread: its tasks run in the calling thread, with the program's descriptors, and
 * nothing runs without a task.
 */
extern bool k2k_agent_in_caller;

/* 0; K2K_ENOMEM if no thread can be started; K2K_EIO if the kernel refuses a separate table. */
int k2k_agent_start(struct k2k_agent *agent);
/* Must not be called on the agent itself. Everything that is open in its table is closed. */
void k2k_agent_stop(struct k2k_agent *agent);

/*
 * Runs task(context) on the agent and returns the task's code. If the task fails, its error detail
 * becomes the caller's. If the agent itself calls this, the task runs at once. Several threads may
 * call it at the same time.
 */
int k2k_agent_run(struct k2k_agent *agent, int (*task)(void *context), void *context);

/* Aborts unless this thread is the agent. */
#define k2k_assert_on_agent(agent) assert(pthread_equal(pthread_self(), (agent)->thread))

/* Call it on the agent, which from then on calls wake(context), for the first time at once. */
void k2k_agent_set_wake(struct k2k_agent *agent, uint64_t (*wake)(void *context), void *context);

#endif
