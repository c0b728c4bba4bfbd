/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * interrupt.h - interrupts a call after each of its instructions, while others act
 *
 * A child process, the victim, makes the call again and again under ptrace (crash_trace.h). In the
 * n-th call it stops after the n-th instruction. There the test acts, as an administrator, as
 * another broker, or by the stores that those would make. Then the call runs to its end, and its
 * answer is judged.
 */
#ifndef K2K_TESTS_INTERRUPT_H
#define K2K_TESTS_INTERRUPT_H

#include "crash_trace.h"

#include "handle.h"

/* What the child process that reads is asked, and what it answers. */
struct shared {
	_Atomic uint64_t clock_ns;
	int code;
	struct k2k_tenant_info info;
	struct k2k_verdict verdict;
	uint64_t number;
};

struct scene {
	enum k2k_role role;
	void (*read)(struct k2k_registry *reg, struct shared *shared);
	/* Called for the n-th read: before it, in it, after it. The 0th is only recorded. */
	void (*before)(struct k2k_registry *admin, uint64_t n);
	void (*change)(struct k2k_registry *admin, uint64_t n);
	void (*judge)(uint64_t n);
};

/* A read is interrupted after every so many of its instructions, times K2K_TEST_EVERY. */
HARNESS_USED static size_t interrupt_every = 1;
static const char *name;
static struct shared *shared;

/* Of the thread that reads: each clock's time at its first look. */
static _Thread_local struct timespec *victims_time;

/*
 * For the thread that reads the time stands still. Otherwise the reads would differ, since a call
 * does some things once a second; and on a slow machine one that is stepped through a clock might
 * not end, since the code in the vdso begins again each time when the kernel moves the clock.
 */
int clock_gettime(clockid_t id, struct timespec *now)
{
	struct timespec *still = victims_time ? &victims_time[id] : now;

	if (still == now || still->tv_sec == 0)
		syscall(SYS_clock_gettime, id, still);
	*now = *still;
	return 0;
}

static void read_again_and_again(const struct scene *scene)
{
	struct timespec time[CLOCK_TAI + 1] = { 0 };
	struct k2k_registry *reg;

	k2k_agent_in_caller = true; /* no other thread meets a breakpoint */
	reg = open_as(name, scene->role);
	reg->clock.injected_ns = &shared->clock_ns;
	victims_time = time;
	scene->read(reg, shared); /* the first call of a thread differs from the later ones */
	victim_offer();
	for (;;) {
		operation_begins();
		scene->read(reg, shared);
		operation_ends();
	}
}

static void run_to(pid_t pid, void (*place)(void))
{
	break_at(pid, (uintptr_t)place, 0);
	victim_run(pid);
	break_at(pid, 0, 0);
}

static bool nothing_changed(void *context)
{
	(void)context;
	return false;
}

/*
 * Steps by instruction count: a read does not reach a given address if its record is elsewhere.
 * Stops where the operation ends.
 */
static void step(pid_t pid, size_t instructions)
{
	for (size_t i = 0; i < instructions && victim_at(pid) != (uintptr_t)operation_ends; i++)
		victim_step(pid);
}

static void begin_read(struct k2k_registry *admin, const struct scene *scene, pid_t pid, uint64_t n)
{
	run_to(pid, operation_begins);
	if (scene->before)
		scene->before(admin, n);
}

static void change_and_end(struct k2k_registry *admin, const struct scene *scene, pid_t pid,
                           uint64_t n)
{
	scene->change(admin, n);
	if (victim_at(pid) != (uintptr_t)operation_ends)
		run_to(pid, operation_ends);
	scene->judge(n);
}

/*
 * Interrupts one read after its first instruction, the next after its second, and so on. If
 * `changed` is given, interrupts only after instructions that change what it looks at, and after
 * system calls.
 */
static void interrupt_at(struct k2k_registry *admin, const struct scene *scene,
                         bool (*changed)(void *context))
{
	size_t every = interrupt_every * number_of("K2K_TEST_EVERY", 1);
	struct points points = { 0 };
	pid_t pid = spawn();
	uint64_t n = 0;

	if (pid == 0)
		read_again_and_again(scene);
	victim_take(pid);
	if (scene->before)
		scene->before(admin, 0);
	victim_discover(pid, changed ? changed : nothing_changed, NULL, !changed, &points);
	assert_true(points.count > (changed ? 5 : 50));
	for (size_t i = 0; i < points.count; i += every) {
		bool there;

		begin_read(admin, scene, pid, ++n);
		there = victim_bring_to(pid, &points.list[i]);
		change_and_end(admin, scene, pid, n);
		if (there || changed)
			continue;
		begin_read(admin, scene, pid, ++n);
		step(pid, i + 1);
		change_and_end(admin, scene, pid, n);
	}
	victim_kill(pid);
	points_free(&points);
}

HARNESS_USED static void interrupt_everywhere(struct k2k_registry *admin, const struct scene *scene)
{
	interrupt_at(admin, scene, NULL);
}

#endif
