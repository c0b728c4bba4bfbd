/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "worker.h"

/* how long the agent spins for another task before it sleeps: a sleep and a wake take longer */
#define LINGER_NS UINT64_C(20000)
/* how often the agent looks for a task before it reads the clock; a caller, before it sleeps */
#define LOOKS 100

struct k2k_agent_task {
	struct k2k_agent_task *next;
	int (*run)(void *context);
	void *context;
	int code;
	struct k2k_error_detail detail;
	k2k_u32 done; /* futex; storing it is the agent's last access to the task */
};

static void futex_wait(k2k_u32 *word, uint32_t seen, uint64_t until_ns)
{
	struct timespec ts = { (time_t)(until_ns / K2K_NS_PER_SEC),
		               (long)(until_ns % K2K_NS_PER_SEC) };

	/* FUTEX_WAIT takes a duration; FUTEX_WAIT_BITSET takes a point in time */
	syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen,
	        until_ns == K2K_AGENT_NEVER ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void futex_wake(k2k_u32 *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---- the agent ----------------------------------------------------------------- */

static void run_tasks(struct k2k_agent *agent)
{
	/* observe[agent-task]: what the caller has written into it */
	struct k2k_agent_task *task = k2k_exchange_acquire(&agent->tasks, NULL);
	struct k2k_agent_task *in_order = NULL;

	while (task) {
		struct k2k_agent_task *next = task->next;

		task->next = in_order;
		in_order = task;
		task = next;
	}
	for (task = in_order; task;) {
		struct k2k_agent_task *next = task->next;
		k2k_u32 *done = &task->done;

		task->code = task->run(task->context);
		if (task->code)
			task->detail = *k2k_error_detail();
		k2k_store_release(done, 1); /* publish[agent-done]: the code and the detail */
		/*
		 * The caller may have returned already: then this wakes nobody, which is harmless.
		 */
		futex_wake(done);
		task = next;
	}
}

/* True as soon as there is something to do; false after LINGER_NS. */
static bool linger(const struct k2k_agent *agent, uint32_t seen)
{
	uint64_t end = k2k_clock_monotonic_ns() + LINGER_NS;

	do
		for (int i = 0; i < LOOKS; i++) {
			/* relaxed: the list itself is acquired */
			if (k2k_load_relaxed(&agent->kick) != seen)
				return true;
			k2k_relax();
		}
	while (k2k_clock_monotonic_ns() < end);
	return false;
}

static void *run(void *argument)
{
	struct k2k_agent *agent = argument;

	for (;;) {
		/* observe[agent-kick]: the task or `stop` before it */
		uint32_t seen = k2k_load_acquire(&agent->kick);
		/* relaxed: it only decides whether to linger */
		bool worked = k2k_load_relaxed(&agent->tasks) != NULL;

		run_tasks(agent);
		if (k2k_load_relaxed(&agent->stop)) /* relaxed: published by the kick */
			return NULL;
		/* a task does not cause a call of wake(): only its time does */
		if (agent->wake && k2k_clock_monotonic_ns() >= agent->wake_at_ns)
			agent->wake_at_ns = k2k_sat_add(k2k_clock_monotonic_ns(),
			                                agent->wake(agent->wake_context));
		if (!worked || !linger(agent, seen))
			futex_wait(&agent->kick, seen,
			           agent->wake ? agent->wake_at_ns : K2K_AGENT_NEVER);
	}
}

/*
 * For kernels before 5.9 and for emulators: copies the table, and then closes every descriptor of
 * the copy.
 */
static int empty_copy(void)
{
	struct dirent *entry;
	DIR *dir;

	if (unshare(CLONE_FILES) != 0)
		return k2k_fail_errno(
			K2K_EIO, errno, "descriptors",
			"a thread can't have descriptors of its own (close_range, unshare)");
	dir = opendir("/proc/thread-self/fd");
	if (!dir)
		return k2k_fail_errno(K2K_EIO, errno, "descriptors",
		                      "can't list /proc/thread-self/fd");
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(dir))
			close(fd);
	}
	closedir(dir);
	return 0;
}

static int leave_table(void *context)
{
	int code = 0;

	(void)context;
	if (syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_UNSHARE) != 0)
		code = empty_copy();
	for (int i = 0; !code && i <= 2; i++)
		if (open("/", O_PATH | O_CLOEXEC) < 0)
			code = k2k_fail_errno(K2K_EIO, errno, "descriptors",
			                      "can't open / as a placeholder");
	return code;
}

bool k2k_agent_in_caller;

/* ---- the agent's callers ----------------------------------------------------------- */

static void kick(struct k2k_agent *agent)
{
	k2k_add_acq_rel(&agent->kick, 1); /* publish[agent-kick]: the task or `stop` before it */
	futex_wake(&agent->kick);
}

int k2k_agent_start(struct k2k_agent *agent)
{
	int code;

	memset(agent, 0, sizeof(*agent));
	if (k2k_agent_in_caller) {
		agent->thread = pthread_self();
		return 0;
	}
	code = k2k_worker_start(&agent->thread, run, agent, K2K_WORKER_STACK_BYTES, "thread");
	if (code)
		return code;
	agent->running = true;
	code = k2k_agent_run(agent, leave_table, NULL);
	if (code)
		k2k_agent_stop(agent);
	return code;
}

void k2k_agent_stop(struct k2k_agent *agent)
{
	if (!agent->running)
		return;
	k2k_store_relaxed(&agent->stop, 1); /* relaxed: published by the kick */
	kick(agent);
	pthread_join(agent->thread, NULL);
	agent->running = false;
}

int k2k_agent_run(struct k2k_agent *agent, int (*run_task)(void *), void *context)
{
	struct k2k_agent_task task = { .run = run_task, .context = context };

	if (pthread_equal(pthread_self(), agent->thread))
		return run_task(context);
	task.next = k2k_load_relaxed(&agent->tasks); /* relaxed: the compare-exchange decides */
	/* publish[agent-task]: the task */
	while (!k2k_cas_weak_release(&agent->tasks, &task.next, &task))
		;
	kick(agent);
	/* relaxed: acquired below */
	for (int i = 0; i < LOOKS && !k2k_load_relaxed(&task.done); i++)
		k2k_relax();
	while (!k2k_load_acquire(&task.done)) /* observe[agent-done]: the code and the detail */
		futex_wait(&task.done, 0, K2K_AGENT_NEVER);
	if (task.code)
		k2k_restore_detail(&task.detail);
	return task.code;
}

void k2k_agent_set_wake(struct k2k_agent *agent, uint64_t (*wake)(void *context), void *context)
{
	k2k_assert_on_agent(agent);
	agent->wake = wake;
	agent->wake_context = context;
	agent->wake_at_ns = 0;
}
