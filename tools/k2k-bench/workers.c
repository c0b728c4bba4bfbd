/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * Each worker has its own, so that a late worker can't take the next order for its own. The last
 * one, orders[size], is for all workers.
 */
struct worker_orders {
	_Alignas(128) _Atomic uint32_t given; /* how many orders were given */
	uint32_t order;
	_Atomic uint32_t left; /* only in the last one: how many workers are not done */
};

enum { WORKERS_MAX = 256, SPINS = 20000 };
static pid_t pids[WORKERS_MAX];
static unsigned int pid_count;

void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("no memory to share: %s", strerror(errno));
	return memory;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t seen, unsigned int seconds)
{
	struct timespec ts = { (time_t)seconds, 0 };

	syscall(SYS_futex, word, FUTEX_WAIT, seen, seconds ? &ts : NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

void end_with_parent(int parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

static _Noreturn void work(struct workers *workers, unsigned int worker)
{
	struct worker_orders *own = &workers->orders[worker],
			     *all = &workers->orders[workers->size];

	for (uint32_t done = 0;; done++) {
		while (atomic_load(&own->given) == done)
			futex_wait(&own->given, done, 0);
		workers->work(workers->context, worker, own->order);
		if (atomic_fetch_sub(&all->left, 1) == 1)
			futex_wake(&all->left, 1);
	}
}

void workers_start(struct workers *workers)
{
	pid_t self = getpid();

	workers->orders = shared_memory((workers->size + 1) * sizeof(*workers->orders));
	for (unsigned int i = 0; i < workers->size; i++) {
		pid_t pid = pid_count < WORKERS_MAX ? fork() : -1;

		if (pid < 0)
			die("can't start process %u of %u: %s", i + 1, workers->size,
			    strerror(errno));
		if (!pid) {
			end_with_parent(self);
			work(workers, i);
		}
		pids[pid_count++] = pid;
	}
}

void workers_run(struct workers *workers, unsigned int members, unsigned int order)
{
	atomic_store(&workers->orders[workers->size].left, members);
	for (unsigned int i = 0; i < members; i++) {
		workers->orders[i].order = order;
		atomic_fetch_add(&workers->orders[i].given, 1);
	}
	for (unsigned int i = 0; i < members; i++)
		futex_wake(&workers->orders[i].given, 1);
}

void workers_wait(struct workers *workers, unsigned int members)
{
	_Atomic uint32_t *left = &workers->orders[workers->size].left;
	uint32_t seen;

	while ((seen = atomic_load(left))) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0 && WIFSIGNALED(status))
			die("process %d of %u at work was killed by signal %d", (int)pid, members,
			    WTERMSIG(status));
		if (pid > 0)
			_exit(1); /* it has reported why */
		futex_wait(left, seen, 1);
	}
}

void workers_stop_all(void)
{
	for (unsigned int i = 0; i < pid_count; i++)
		kill(pids[i], SIGKILL);
	for (unsigned int i = 0; i < pid_count; i++)
		waitpid(pids[i], NULL, 0);
	pid_count = 0;
}

/* If all can run at once, they spin first, and leave within some 0.1 us of each other. */
void meet(struct meeting *meeting, uint32_t parties)
{
	uint32_t round = atomic_load(&meeting->round);
	unsigned int spins = parties <= processors() ? SPINS : 0;

	if (atomic_fetch_add(&meeting->arrived, 1) + 1 == parties) {
		atomic_store(&meeting->arrived, 0);
		atomic_fetch_add(&meeting->round, 1);
		futex_wake(&meeting->round, (int)parties);
		return;
	}
	while (spins-- && atomic_load(&meeting->round) == round)
		;
	while (atomic_load(&meeting->round) == round)
		futex_wait(&meeting->round, round, 0);
}

unsigned int processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned int)CPU_COUNT(&set);
}

void pin_to(unsigned int n)
{
	cpu_set_t set, one;

	if (sched_getaffinity(0, sizeof(set), &set) || n >= (unsigned int)CPU_COUNT(&set))
		return;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &set) || n-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}
