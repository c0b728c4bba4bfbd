/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_trace.h - a victim: a forked child under ptrace that is run to any instruction of one
 * operation and killed there
 *
 * A point is the moment after an instruction. It names the instruction, its arrival (the third
 * time that it is reached) and, for an instruction that repeats itself (rep movs), the iteration.
 * victim_discover() steps through the whole operation once and finds the points that matter: after
 * each instruction that changed a byte of what it watches, and after each system call.
 * victim_bring_to() takes another victim of the same kind to a point by a breakpoint. A forked
 * child has its parent's addresses: a point found in one victim is the same in the next.
 *
 * Only the thread that runs the operation is stepped. Its helper thread runs freely and is killed
 * with it. Breakpoints are the debug registers, which stop one thread and change nothing in memory.
 * On virtual machines where these do nothing, a breakpoint is int3 in the victim's own copy of the
 * text, where a helper thread may meet it: then the test is skipped. x86-64 only. crash_stores.h
 * finds the same points faster.
 */
#ifndef K2K_TESTS_CRASH_TRACE_H
#define K2K_TESTS_CRASH_TRACE_H

#include "process.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/ptrace.h>
#include <sys/user.h>

/* A number of the environment. */
HARNESS_USED static size_t number_of(const char *variable, size_t otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

struct point {
	uintptr_t at;       /* the instruction */
	uint32_t arrival;   /* 1: the first time that it is reached */
	uint32_t iteration; /* of an instruction that repeats itself; else 0 */
	bool is_call;       /* a system call; else it changed a byte */
	bool is_change;
	bool stepped; /* found by stepping: `arrival` counts executions, not stores */
};

struct points {
	struct point *list;
	size_t count, room;
	size_t steps; /* instructions; of crash_stores.h: stores and system calls */
	size_t changes, calls;
	/* of crash_stores.h: hash of all stores, and whether each changed something, and calls */
	uint64_t path;
};

HARNESS_USED static void points_add(struct points *points, struct point point)
{
	if (points->count == points->room) {
		points->room = points->room ? 2 * points->room : 256;
		points->list = realloc(points->list, points->room * sizeof *points->list);
		assert_non_null(points->list);
	}
	points->list[points->count++] = point;
}

HARNESS_USED static void points_free(struct points *points)
{
	free(points->list);
	memset(points, 0, sizeof *points);
}

/* ---- how often each instruction was reached --------------------------------------- */

enum { ARRIVALS = 1 << 16, DIRECTION_FLAG = 0x400 };

struct arrivals {
	struct {
		uintptr_t at;
		uint32_t count;
	} table[ARRIVALS];
	uintptr_t last;
	uint32_t iteration;
	size_t used;
};

static struct point arrive(struct arrivals *arrivals, uintptr_t at)
{
	size_t i = (at * UINT64_C(0x9e3779b97f4a7c15)) >> 48;

	while (arrivals->table[i].at && arrivals->table[i].at != at)
		i = (i + 1) % ARRIVALS;
	if (!arrivals->table[i].at)
		assert_true(++arrivals->used < ARRIVALS / 2);
	arrivals->table[i].at = at;
	if (at == arrivals->last) {
		arrivals->iteration++;
	} else {
		arrivals->table[i].count++;
		arrivals->iteration = 0;
	}
	arrivals->last = at;
	return (struct point){ .at = at,
		               .arrival = arrivals->table[i].count,
		               .iteration = arrivals->iteration };
}

/* ---- the traced process -------------------------------------------------------------- */

/* The victim calls these before and after the operation: places to stop at. */
__attribute__((noinline)) HARNESS_USED static void operation_begins(void)
{
	__asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) HARNESS_USED static void operation_ends(void)
{
	__asm__ volatile("nop" ::: "memory");
}

static void debug_register(pid_t pid, int number, uintptr_t value)
{
	size_t offset = offsetof(struct user, u_debugreg) + (size_t)number * sizeof(long);

	assert_int_equal(ptrace(PTRACE_POKEUSER, pid, (void *)offset, (void *)value), 0);
}

/* Whether they stop anything: some virtual machines accept them and ignore them. */
static bool has_debug_registers(void)
{
	static int answer = -1;
	int status;
	pid_t pid;

	if (answer >= 0)
		return answer;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(0);
		raise(SIGSTOP);
		operation_ends();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSTOPPED(status)) {
		debug_register(pid, 0, (uintptr_t)operation_ends);
		debug_register(pid, 7, 1);
		assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	answer = WIFSTOPPED(status);
	if (answer) {
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	return answer;
}

static void skip_if_helper_died(int status)
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGTRAP && !has_debug_registers())
		skip_msg("a helper thread met a breakpoint; this machine has no debug registers");
}

/* ptrace() of a stopped victim, which may be dead by now if a helper thread met a breakpoint. */
static long trace(int request, pid_t pid, uintptr_t address, long data)
{
	long answer;
	int status;

	errno = 0;
	answer = ptrace((enum __ptrace_request)request, pid, (void *)address, (void *)data);
	if (errno == ESRCH) {
		assert_int_equal(waitpid(pid, &status, __WALL), pid);
		skip_if_helper_died(status);
		fail_msg("the victim ended (%d)", status);
	}
	assert_int_equal(errno, 0);
	return answer;
}

HARNESS_USED static uintptr_t victim_at(pid_t pid)
{
	return (uintptr_t)trace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), 0);
}

/* Up to two breakpoints of the victim that was traced last; `at` is 0: none. */
static struct {
	uintptr_t at;
	long text; /* of int3: what it stands in place of, and what follows it */
} breakpoints[2];
static pid_t breakpoints_of;

static void write_text(pid_t pid, uintptr_t at, long text)
{
	trace(PTRACE_POKETEXT, pid, at, text);
}

static void plant(pid_t pid, size_t i)
{
	breakpoints[i].text = trace(PTRACE_PEEKTEXT, pid, breakpoints[i].at, 0);
	write_text(pid, breakpoints[i].at, (breakpoints[i].text & ~0xffL) | 0xcc);
}

/* The breakpoint at this address; 2: none. */
static size_t breakpoint_at(uintptr_t at)
{
	return at == breakpoints[0].at ? 0 : at == breakpoints[1].at ? 1 : 2;
}

/* Stops the traced thread at up to two addresses; 0: none. */
static void break_at(pid_t pid, uintptr_t first, uintptr_t second)
{
	if (has_debug_registers()) {
		debug_register(pid, 7, 0);
		debug_register(pid, 0, first);
		debug_register(pid, 1, second);
		debug_register(pid, 7, (first ? 1u : 0) | (second ? 4u : 0));
		return;
	}
	/* the later first: one may lie in what the other remembers */
	for (size_t i = 2; i-- > 0;) {
		if (breakpoints[i].at && breakpoints_of == pid)
			write_text(pid, breakpoints[i].at, breakpoints[i].text);
		breakpoints[i].at = 0;
	}
	breakpoints_of = pid;
	for (size_t i = 0; i < 2; i++) {
		breakpoints[i].at = i == 0 ? first : second == first ? 0 : second;
		if (breakpoints[i].at)
			plant(pid, i);
	}
}

/* Behind an int3 the victim is taken back to where it was. */
static void back_to_breakpoint(pid_t pid)
{
	uintptr_t at = victim_at(pid) - 1;
	size_t offset = offsetof(struct user, regs.rip);

	if (breakpoints_of == pid && at && breakpoint_at(at) < 2)
		trace(PTRACE_POKEUSER, pid, offset, (long)at);
}

static void wait_trap(pid_t pid, const char *what)
{
	long deliver = 0;
	int status;

	for (;;) {
		assert_int_equal(waitpid(pid, &status, __WALL), pid);
		skip_if_helper_died(status);
		if (!WIFSTOPPED(status))
			fail_msg("the victim ended (%d) in %s", status, what);
		if (WSTOPSIG(status) == SIGTRAP)
			return;
		deliver = WSTOPSIG(status);
		if (deliver == SIGSEGV || deliver == SIGBUS || deliver == SIGABRT ||
		    deliver == SIGILL)
			fail_msg("the victim got signal %ld in %s at %#lx", deliver, what,
			         (unsigned long)victim_at(pid));
		trace(PTRACE_CONT, pid, 0, deliver);
	}
}

static void victim_step(pid_t pid)
{
	trace(PTRACE_SINGLESTEP, pid, 0, 0);
	wait_trap(pid, "a step");
}

/* To the next breakpoint. One where the victim is already does not stop it. */
static void victim_run(pid_t pid)
{
	uintptr_t at = victim_at(pid);
	size_t i = breakpoint_at(at); /* an int3 */

	if (i < 2) {
		write_text(pid, at, breakpoints[i].text);
		while (victim_at(pid) == at) /* an instruction may repeat itself */
			victim_step(pid);
		plant(pid, i);
		if (breakpoint_at(victim_at(pid)) < 2)
			return;
	}
	trace(PTRACE_CONT, pid, 0, 0);
	wait_trap(pid, "a run");
	back_to_breakpoint(pid);
}

/* Called in the child that spawn() made: waits to be traced. */
HARNESS_USED static void victim_offer(void)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(HARNESS_SKIPPED);
	raise(SIGSTOP);
}

/* Called in the parent: takes the victim to the first instruction of the operation. */
HARNESS_USED static void victim_take(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == HARNESS_SKIPPED)
		skip_msg("may not trace");
	assert_true(WIFSTOPPED(status));
	trace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL);
	break_at(pid, (uintptr_t)operation_begins, 0);
	victim_run(pid);
	assert_int_equal(victim_at(pid), (uintptr_t)operation_begins);
	break_at(pid, 0, 0);
}

static bool is_system_call(uintptr_t at)
{
	/* the victim has our own text, and the vdso at the same address */
	const unsigned char *text = (const unsigned char *)at;

	return text[0] == 0x0f && text[1] == 0x05;
}

/* Whether this address is in a mapping that other processes share. */
static bool is_shared(pid_t pid, uintptr_t at)
{
	unsigned long from, to;
	char path[64], line[512], rights[5];
	bool shared = true;
	FILE *maps;

	snprintf(path, sizeof path, "/proc/%ld/maps", (long)pid);
	maps = fopen(path, "re");
	assert_non_null(maps);
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) == 3 && from <= at && at < to)
			shared = rights[3] == 's';
	fclose(maps);
	return shared;
}

/*
 * Runs over an instruction that repeats itself (rep movs, rep stos) if it writes upwards into
 * private memory: a trap for each iteration would take most of the time and find nothing.
 */
static bool skip_private_repeat(pid_t pid, uintptr_t at)
{
	const unsigned char *text = (const unsigned char *)at;
	unsigned int length = text[1] == 0x48 ? 3 : 2;
	unsigned char operation = text[length - 1] & 0xfe;
	struct user_regs_struct registers;

	if (text[0] != 0xf3 || (operation != 0xa4 && operation != 0xaa))
		return false;
	trace(PTRACE_GETREGS, pid, 0, (long)&registers);
	if ((registers.eflags & DIRECTION_FLAG) || is_shared(pid, registers.rdi))
		return false;
	break_at(pid, at + length, 0);
	victim_run(pid);
	break_at(pid, 0, 0);
	return true;
}

static bool is_in_vdso(uintptr_t at)
{
	uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)vdso;
	const Elf64_Phdr *part = (const Elf64_Phdr *)(vdso + (vdso ? header->e_phoff : 0));

	for (unsigned int i = 0; vdso && i < header->e_phnum; i++)
		if (part[i].p_type == PT_LOAD)
			return at - vdso < part[i].p_memsz;
	return false;
}

/*
 * Runs from the first instruction of the vdso to its caller. A clock that is stepped through might
 * not end on a slow machine: its code begins again each time when the kernel moves the clock.
 */
static bool skip_vdso(pid_t pid, uintptr_t at)
{
	uintptr_t stack, caller;

	if (!is_in_vdso(at))
		return false;
	stack = (uintptr_t)trace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rsp), 0);
	caller = (uintptr_t)trace(PTRACE_PEEKDATA, pid, stack, 0);
	break_at(pid, caller, 0);
	victim_run(pid);
	break_at(pid, 0, 0);
	return true;
}

/*
 * Steps to the end of the operation. `changed` says whether the watched bytes differ from those at
 * its last call. With `every`, each instruction is a point.
 */
HARNESS_USED static void victim_discover(pid_t pid, bool (*changed)(void *), void *context,
                                         bool every, struct points *points)
{
	struct arrivals *arrivals = calloc(1, sizeof *arrivals);
	uintptr_t at;

	assert_non_null(arrivals);
	changed(context);
	while ((at = victim_at(pid)) != (uintptr_t)operation_ends) {
		struct point point;

		if (skip_vdso(pid, at))
			continue;
		point = arrive(arrivals, at);
		point.stepped = true;
		point.is_call = is_system_call(at);
		if (every || !skip_private_repeat(pid, at))
			victim_step(pid);
		point.is_change = changed(context);
		points->steps++;
		points->calls += point.is_call;
		points->changes += point.is_change && !point.is_call;
		if (every || point.is_call || point.is_change)
			points_add(points, point);
	}
	free(arrivals);
}

/* False if the operation ended without passing this point. */
HARNESS_USED static bool victim_bring_to(pid_t pid, const struct point *point)
{
	uintptr_t end = (uintptr_t)operation_ends, at = victim_at(pid);
	uint32_t arrivals = at == point->at ? 1 : 0;

	break_at(pid, point->at, end);
	while (arrivals < point->arrival) {
		victim_run(pid);
		at = victim_at(pid);
		if (at == end)
			return false;
		assert_int_equal(at, point->at);
		arrivals++;
	}
	break_at(pid, 0, 0);
	for (uint32_t i = 0; i <= point->iteration; i++) {
		if (i > 0 && victim_at(pid) != point->at)
			return false;
		victim_step(pid);
	}
	return true;
}

/*
 * The same, one instruction at a time: for points that exist only if other processes have enough
 * time meanwhile.
 */
HARNESS_USED static bool victim_step_to(pid_t pid, const struct point *point)
{
	struct arrivals *arrivals = calloc(1, sizeof *arrivals);
	bool there = false;
	uintptr_t at;

	assert_non_null(arrivals);
	while (!there && (at = victim_at(pid)) != (uintptr_t)operation_ends) {
		struct point now;

		if (skip_vdso(pid, at))
			continue;
		now = arrive(arrivals, at);
		victim_step(pid);
		there = now.at == point->at && now.arrival == point->arrival &&
		        now.iteration == point->iteration;
	}
	free(arrivals);
	return there;
}

HARNESS_USED static void victim_bring_to_end(pid_t pid)
{
	break_at(pid, (uintptr_t)operation_ends, 0);
	victim_run(pid);
	break_at(pid, 0, 0);
}

HARNESS_USED static void victim_kill(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	do
		assert_int_equal(waitpid(pid, &status, __WALL), pid);
	while (!WIFSIGNALED(status) && !WIFEXITED(status));
}

#endif
