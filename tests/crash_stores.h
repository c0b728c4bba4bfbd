/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_stores.h - a victim whose stores to shared memory are seen one by one, without stepping
 * through the instructions between them
 *
 * In the victim each writable mapping of a shared object is read-only. A store faults; the handler
 * makes the mapping writable and sets the processor's trap flag, so exactly one instruction (one
 * iteration, if it repeats itself) is executed; the next handler makes the mapping read-only again.
 * So the work is in proportion to the stores, and a repair, which executes 200,000 instructions but
 * stores 150 times, takes milliseconds.
 *
 * stores_discover() finds the same points as victim_discover() in crash_trace.h, which steps
 * through everything: crash_instructions compares the two. A point's `arrival` counts differently:
 * how many stores to shared memory, or system calls, the instruction has made, not how often it was
 * executed. stores_kill() takes another victim to such a point and kills it there.
 *
 * Protection belongs to the whole process. A victim's helper thread stores only if a grace period
 * begins, which nobody begins while a victim runs; if it did, the fault would end the victim, and
 * the test would fail.
 *
 * Link with --wrap=mmap,--wrap=mmap64: what the operation maps itself is watched from the start.
 */
#ifndef K2K_TESTS_CRASH_STORES_H
#define K2K_TESTS_CRASH_STORES_H

#include "crash_trace.h"

#include "handle.h"

#include <sys/syscall.h>
#include <ucontext.h>

/* ---- in the victim ------------------------------------------------------------------------- */

enum { STORE_RANGES = 4, TRAP_FLAG = 0x100, STORES_ENDED = 3 };

static struct {
	unsigned char *base;
	size_t bytes;
} store_ranges[STORE_RANGES];
static bool catching;
static const struct point *store_end; /* the victim kills itself right after this store */
static uintptr_t store_at;
static size_t store_range;
static uint32_t store_arrivals;

static void watch_range(void *base, size_t bytes)
{
	for (size_t i = 0; i < STORE_RANGES; i++)
		if (!store_ranges[i].base) {
			store_ranges[i].base = base;
			store_ranges[i].bytes = bytes;
			return;
		}
	fail_msg("more than %d shared mappings", STORE_RANGES);
}

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	bool watched = catching && (flags & MAP_SHARED) && fd >= 0 && (protection & PROT_WRITE);
	void *base;

	/* each handle has its trail's buffer populated; to do so took two fifths of all time */
	if (flags & MAP_ANONYMOUS)
		flags &= ~MAP_POPULATE;
	base = __real_mmap(address, bytes, watched ? PROT_READ : protection, flags, fd, offset);
	if (watched && base != MAP_FAILED)
		watch_range(base, bytes);
	return base;
}

void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return __wrap_mmap(address, bytes, protection, flags, fd, offset);
}

static void protect(int protection)
{
	if (mprotect(store_ranges[store_range].base, store_ranges[store_range].bytes, protection) !=
	    0)
		abort();
}

static void on_store(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;
	unsigned char *at = info->si_addr;
	size_t i = 0;

	while (i < STORE_RANGES &&
	       !(at >= store_ranges[i].base && at < store_ranges[i].base + store_ranges[i].bytes))
		i++;
	if (i == STORE_RANGES) { /* no store of ours: it faults again */
		signal(number, SIG_DFL);
		return;
	}
	store_range = i;
	store_at = (uintptr_t)user->uc_mcontext.gregs[REG_RIP];
	protect(PROT_READ | PROT_WRITE);
	user->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void after_store(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	(void)number, (void)info;
	if (store_end && store_end->at == store_at && ++store_arrivals == store_end->arrival)
		kill(getpid(), SIGKILL);
	protect(PROT_READ);
	user->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

/*
 * From now on. With `end` the process kills itself right after that store; if it doesn't come to
 * it, it must call stores_ended().
 */
HARNESS_USED static void catch_stores(const struct k2k_registry *reg, const struct point *end)
{
	struct sigaction store = { .sa_sigaction = on_store, .sa_flags = SA_SIGINFO };
	struct sigaction trap = { .sa_sigaction = after_store, .sa_flags = SA_SIGINFO };

	assert_true(sigaction(SIGSEGV, &store, NULL) == 0 && sigaction(SIGTRAP, &trap, NULL) == 0);
	store_end = end;
	catching = true;
	if (reg && reg->defs.writable)
		watch_range(reg->defs.base, reg->defs.bytes);
	if (reg && reg->live.writable)
		watch_range(reg->live.base, reg->live.bytes);
	for (store_range = 0; store_range < STORE_RANGES && store_ranges[store_range].base;
	     store_range++)
		protect(PROT_READ);
}

HARNESS_USED static void stores_ended(void)
{
	if (store_end)
		_exit(STORES_ENDED);
}

/* ---- in the director ------------------------------------------------------------------------ */

/* How the victim stopped: its signal, SIGTRAP | 0x80 at a system call. */
static int stores_go(pid_t pid, enum __ptrace_request how, int deliver)
{
	int status, signal;

	assert_int_equal(ptrace(how, pid, NULL, (void *)(long)deliver), 0);
	assert_int_equal(waitpid(pid, &status, __WALL), pid);
	if (!WIFSTOPPED(status))
		fail_msg("the victim ended (%#x)", (unsigned int)status);
	signal = WSTOPSIG(status);
	if (signal != SIGTRAP && signal != (SIGTRAP | 0x80) && signal != SIGSEGV)
		fail_msg("the victim got signal %d at %#lx", signal, (unsigned long)victim_at(pid));
	return signal;
}

static struct user_regs_struct registers_of(pid_t pid)
{
	struct user_regs_struct registers;

	assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &registers), 0);
	return registers;
}

/* From the fault of a store to the moment after it. Returns the instruction. */
static uintptr_t over_store(pid_t pid)
{
	uintptr_t at = victim_at(pid);

	/* the handler's own system calls are none of the operation's */
	if (stores_go(pid, PTRACE_CONT, SIGSEGV) != SIGTRAP)
		fail_msg("a fault at %#lx is no store to a shared object", (unsigned long)at);
	return at;
}

/* Through the handler of the trap. */
static void leave_handler(pid_t pid)
{
	int deliver = SIGTRAP, stops = 0;
	bool returns = false;

	while (!returns || stops % 2 != 0) {
		assert_int_equal(stores_go(pid, PTRACE_SYSCALL, deliver), SIGTRAP | 0x80);
		deliver = 0;
		stops++;
		returns |= registers_of(pid).orig_rax == SYS_rt_sigreturn;
	}
}

/* From the entry of a system call to the moment after it. Returns the instruction. */
static uintptr_t over_call(pid_t pid)
{
	uintptr_t at = victim_at(pid) - 2;

	assert_int_equal(stores_go(pid, PTRACE_SYSCALL, 0), SIGTRAP | 0x80);
	if (registers_of(pid).rax == (unsigned long long)-EFAULT)
		fail_msg("system call at %#lx: it writes to a shared object", (unsigned long)at);
	return at;
}

/*
 * Runs the operation, and finds the point after each store that `changed` something and after each
 * system call. With `end` until that point: false if the operation ended without it.
 */
static bool stores_follow(pid_t pid, bool (*changed)(void *), void *context,
                          const struct point *end, struct points *points)
{
	struct arrivals *arrivals = calloc(1, sizeof *arrivals);
	bool there = false;
	int signal;

	assert_non_null(arrivals);
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL,
	                        (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD)),
	                 0);
	break_at(pid, (uintptr_t)operation_ends, 0);
	while (!there) {
		struct point point;
		uintptr_t at;
		bool is_call;

		signal = stores_go(pid, PTRACE_SYSCALL, 0);
		if (signal == SIGTRAP)
			break;
		is_call = signal != SIGSEGV;
		at = is_call ? over_call(pid) : over_store(pid);
		arrivals->last = 0; /* each is an arrival of its own */
		point = arrive(arrivals, at);
		point.is_call = is_call;
		if (end) {
			there = point.at == end->at && point.arrival == end->arrival;
		} else {
			point.is_change = changed(context);
			points->steps++;
			points->path = (points->path ^ (at << 1 | point.is_change)) *
			               UINT64_C(0x9e3779b97f4a7c15);
			points->calls += is_call;
			points->changes += point.is_change && !is_call;
			if (is_call || point.is_change)
				points_add(points, point);
		}
		if (!there && !is_call)
			leave_handler(pid);
	}
	if (!there) {
		back_to_breakpoint(pid);
		assert_int_equal(victim_at(pid), (uintptr_t)operation_ends);
	}
	break_at(pid, 0, 0);
	free(arrivals);
	return there;
}

/* The same path again, until `point`. */
HARNESS_USED static bool stores_bring_to(pid_t pid, const struct point *point)
{
	return stores_follow(pid, NULL, NULL, point, NULL);
}

/* Lets a victim go that kills itself after a store: false if it didn't come to it. */
HARNESS_USED static bool stores_let_go(pid_t pid)
{
	int status;

	assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, __WALL), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == STORES_ENDED)
		return false;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("the victim ended (%#x)", (unsigned int)status);
	return true;
}

HARNESS_USED static void stores_discover(pid_t pid, bool (*changed)(void *), void *context,
                                         struct points *points)
{
	points->path = 1;
	changed(context);
	stores_follow(pid, changed, context, NULL, points);
}

#endif
