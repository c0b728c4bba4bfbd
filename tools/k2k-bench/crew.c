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
 * One a worker, and two for all at desks[size]: nothing is shared that a late worker could mistake
 * for its own order.
 */
struct crew_desk {
	_Alignas(128) _Atomic uint32_t given; /* orders, counted */
	uint32_t order;
	_Atomic uint32_t left; /* in the last desk: who has not ended */
};

enum { HIRED_MAX = 256, SPINS = 20000 };
static pid_t hired[HIRED_MAX];
static unsigned int hired_count;

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

static _Noreturn void work(struct crew *crew, unsigned int worker)
{
	struct crew_desk *desk = &crew->desks[worker], *all = &crew->desks[crew->size];

	for (uint32_t done = 0;; done++) {
		while (atomic_load(&desk->given) == done)
			futex_wait(&desk->given, done, 0);
		crew->work(crew->context, worker, desk->order);
		if (atomic_fetch_sub(&all->left, 1) == 1)
			futex_wake(&all->left, 1);
	}
}

void crew_hire(struct crew *crew)
{
	pid_t self = getpid();

	crew->desks = shared_memory((crew->size + 1) * sizeof(*crew->desks));
	for (unsigned int i = 0; i < crew->size; i++) {
		pid_t pid = hired_count < HIRED_MAX ? fork() : -1;

		if (pid < 0)
			die("can't start process %u of %u: %s", i + 1, crew->size, strerror(errno));
		if (!pid) {
			end_with_parent(self);
			work(crew, i);
		}
		hired[hired_count++] = pid;
	}
}

void crew_order(struct crew *crew, unsigned int members, unsigned int order)
{
	atomic_store(&crew->desks[crew->size].left, members);
	for (unsigned int i = 0; i < members; i++) {
		crew->desks[i].order = order;
		atomic_fetch_add(&crew->desks[i].given, 1);
	}
	for (unsigned int i = 0; i < members; i++)
		futex_wake(&crew->desks[i].given, 1);
}

void crew_wait(struct crew *crew, unsigned int members)
{
	_Atomic uint32_t *left = &crew->desks[crew->size].left;
	uint32_t seen;

	while ((seen = atomic_load(left))) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0 && WIFSIGNALED(status))
			die("process %d of %u at work was killed by signal %d", (int)pid, members,
			    WTERMSIG(status));
		if (pid > 0)
			_exit(1); /* it has said why */
		futex_wait(left, seen, 1);
	}
}

void crews_dismiss(void)
{
	for (unsigned int i = 0; i < hired_count; i++)
		kill(hired[i], SIGKILL);
	for (unsigned int i = 0; i < hired_count; i++)
		waitpid(hired[i], NULL, 0);
	hired_count = 0;
}

/* Spins first where all can run at once: they then leave some 0.1 us apart. */
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
