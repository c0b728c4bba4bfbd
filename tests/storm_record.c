/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

struct storm *storm;
struct storm_window *storm_stable_windows;

uint64_t storm_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * STORM_NS + (uint64_t)t.tv_nsec;
}

void storm_sleep_ns(uint64_t ns)
{
	nanosleep(&(struct timespec){ (time_t)(ns / STORM_NS), (long)(ns % STORM_NS) }, NULL);
}

uint64_t storm_random(uint64_t *state, uint64_t below)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % below;
}

/* Keeps the first violations, with their time. The supervisor then ends the storm. */
void storm_violation(const char *format, ...)
{
	uint32_t number = atomic_fetch_add(&storm->violations, 1);
	size_t used;
	va_list args;

	if (number >= sizeof storm->texts / sizeof storm->texts[0])
		return;
	used = (size_t)snprintf(storm->texts[number], sizeof storm->texts[0],
	                        "after %.3f s: ", (double)(storm_now_ns() - storm->begun_ns) / 1e9);
	va_start(args, format);
	vsnprintf(storm->texts[number] + used, sizeof storm->texts[0] - used, format, args);
	va_end(args);
}

const char *storm_op_name(unsigned int op)
{
	static const char *const names[OPS] = {
		"nothing",        "open",           "close",    "admit",          "record",
		"check",          "track",          "read",     "kernel_acquire", "memory_acquire",
		"kernel_release", "memory_release", "register", "update",         "budget",
		"deregister",     "repair",
	};

	return op < OPS ? names[op] : "?";
}

void storm_map(uint64_t seconds)
{
	size_t windows = sizeof(struct storm_window) * WORKERS * STABLE * (seconds + 2);
	void *memory;

	memory = mmap(NULL, sizeof *storm, PROT_READ | PROT_WRITE,
	              MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	storm_stable_windows = mmap(NULL, windows, PROT_READ | PROT_WRITE,
	                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED || storm_stable_windows == MAP_FAILED) {
		perror("crash_storm: mmap");
		exit(1);
	}
	storm = memory;
	storm->seconds = seconds;
}

/* ---- one call of a task -------------------------------------------------------- */

void storm_begin(struct storm_task *task, enum storm_op op, uint32_t account, uint32_t engagement,
                 uint64_t amount)
{
	task->asked = op;
	task->account = account;
	task->engagement = engagement;
	task->amount = amount;
	atomic_store(&task->state, STATE_PENDING);
}

void storm_told(struct storm_task *task, uint64_t *counts, uint64_t amount)
{
	task->counts = counts;
	task->before = counts ? *counts : 0;
	task->amount = amount;
	atomic_store(&task->state, STATE_TOLD);
	if (counts)
		*counts = task->before + amount;
	atomic_store(&task->state, STATE_IDLE);
}

struct storm_call storm_call_begin(struct storm_task *task, uint32_t participant, enum storm_op op)
{
	struct storm_call call = { task, participant,
		                   atomic_load(&storm->participants[participant].stops), op,
		                   storm_now_ns() };

	atomic_store(&task->since_ns, call.begun_ns);
	atomic_store(&task->op, op);
	return call;
}

void storm_call_end(const struct storm_call *call, int code)
{
	uint64_t end_ns = storm_now_ns(), ns = end_ns - call->begun_ns;
	struct storm_task *task = call->task;
	struct storm_time *time = &task->times[call->op];
	unsigned int bucket = ns ? 63 - (unsigned int)__builtin_clzll(ns) : 0;

	atomic_store(&task->op, OP_NONE);
	atomic_fetch_add(&task->beat, 1);
	task->calls[call->op]++;
	if (code == K2K_EBUSY)
		task->busy[call->op]++;
	else if (code)
		task->refused[call->op]++;
	if (atomic_load(&storm->participants[call->participant].stops) != call->stops)
		return;
	time->count[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
	if (ns > time->most_ns) {
		time->most_ns = ns;
		time->most_at_ns = end_ns;
	}
}

/* ---- numbers that all tasks share ------------------------------------------------ */

/* Null: not recorded, because another window has its place. */
struct storm_window *storm_window_of(uint32_t worker, uint32_t account, uint64_t second)
{
	uint64_t number = second - storm->begun_second + 1;
	struct storm_window *window;

	if (second < storm->begun_second || number >= storm->seconds + 2)
		return NULL;
	if (account < STABLE)
		window = &storm_stable_windows[(worker * STABLE + account) * (storm->seconds + 2) +
		                               number];
	else
		window = &storm->entries[worker][account].windows[number % WINDOWS];
	if (window->second < number) {
		window->second = 0;
		window->sum = window->most_used = window->most_limit = 0;
		window->second = (uint32_t)number;
	}
	return window->second == number ? window : NULL;
}

uint64_t storm_stable_limit(uint32_t stable, int resource)
{
	static const uint32_t kernels[] = { 1, 2, 3, 5, 9, 20 };
	uint64_t limit = kernels[stable % (sizeof kernels / sizeof kernels[0])];

	return resource == 0 ? limit : limit * BYTES_A_KERNEL;
}

/*
 * A small limit that is reached at once, a large one so that many calls meet, and some between.
 */
uint64_t storm_stable_first_rate(uint32_t stable)
{
	static const uint64_t rates[] = { 7, 500, 20000, 3000000 };

	return rates[stable % (sizeof rates / sizeof rates[0])];
}

uint64_t storm_stable_most_rate(uint32_t stable)
{
	return storm_stable_first_rate(stable) * (stable >= STABLE - STABLE_UPDATED ? 2 : 1);
}

bool storm_id_is_reused(uint32_t account)
{
	uint64_t id = storm->accounts[account].id;

	return id >= FIRST_REUSED_ID && id < FIRST_REUSED_ID + PLACES_REUSED;
}

uint32_t storm_place_of_id(uint64_t id)
{
	return (uint32_t)(id - FIRST_REUSED_ID);
}

void storm_set_bound(_Atomic uint64_t *word, uint64_t amount)
{
	uint64_t version = (atomic_load(word) >> STORM_AMOUNT_BITS) + 1;

	atomic_store(word, version << STORM_AMOUNT_BITS | amount);
}

void storm_add_pid(pid_t pid)
{
	if ((size_t)pid < sizeof storm->pids * 8)
		atomic_fetch_or(&storm->pids[pid / 8], (uint8_t)(1u << pid % 8));
}

bool storm_is_participant(uint64_t pid)
{
	return pid < sizeof storm->pids * 8 &&
	       (atomic_load(&storm->pids[pid / 8]) & (1u << pid % 8));
}

bool storm_is_stopped(uint64_t pid)
{
	for (uint32_t i = 0; i < PARTICIPANTS; i++)
		if ((uint64_t)atomic_load(&storm->participants[i].pid) == pid)
			return atomic_load(&storm->participants[i].stops) & 1;
	return false;
}

bool storm_must_name(const struct k2k_error_detail *detail)
{
	return strcmp(detail->object, "writer") == 0 &&
	       !strstr(detail->text, "was taken all the time");
}

/*
 * To be held up for a while is no violation: on a busy machine an administrator that has the lock
 * may not be scheduled.
 */
void storm_check_clean(struct k2k_registry *reg, const char *when)
{
	struct k2k_finding finding = { .size = sizeof finding };
	uint64_t until_ns = storm_now_ns() + HANG_S * STORM_NS;
	size_t count = 0;
	int code;

	do
		code = k2k_registry_check(reg, &finding, 1, &count);
	while (code == K2K_EBUSY && storm_now_ns() < until_ns);
	if (code)
		storm_violation("check %s: %s: %s", when, k2k_errname(code),
		                k2k_error_detail()->text);
	else if (count)
		storm_violation("check %s: %zu findings; the first: %s, %s: %s", when, count,
		                finding.invariant, finding.object, finding.text);
}
