/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_quiet - check, record, admit and track make no system call, take no lock and allocate
 * nothing
 *
 * The thread that calls them a million times runs under a filter that kills the process at any
 * system call; malloc and the like abort in it. Locks show as system calls: a second thread makes
 * the same calls all the time, so a lock would be contended.
 */
#include "process.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { TENANT = 7, ROUNDS = 1000000, CALLERS = 2 };

/* ---- traps -------------------------------------------------------------------- */

HARNESS_USED static _Thread_local volatile int trapped __attribute__((tls_model("initial-exec")));

HARNESS_USED static void trap(void)
{
	if (trapped)
		abort();
}

#if !SANITIZED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void free(void *memory);

void *malloc(size_t size)
{
	trap();
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	trap();
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	trap();
	return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	trap();
	return __libc_memalign(alignment, size);
}

void free(void *memory)
{
	trap();
	__libc_free(memory);
}

void *mmap(void *start, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	trap();
	/* NOLINT: an address */
	return (void *)syscall(SYS_mmap, start, bytes, protection, flags, fd, offset);
}
#endif

/* From here on, any system call of this thread kills the process with SIGSYS. */
static void forbid_system_calls(void)
{
	struct sock_filter filter[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS) };
	struct sock_fprog program = { .len = 1, .filter = filter };

	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* ---- the calls ------------------------------------------------------------------ */

struct shared {
	atomic_int done[CALLERS], wrong;
};

struct caller {
	struct k2k_registry *reg;
	struct shared *shared;
	int number;
	uint64_t rounds;
};

static int expected(int code, int a, int b, int c)
{
	return code == a || code == b || code == c;
}

/*
 * Returns false if an answer is not one of those expected. The harness can't be used here: it makes
 * system calls.
 */
static int call_each(struct k2k_registry *reg, uint64_t round)
{
	struct k2k_audit_tag paid = { 1, 1 + round % 3 }, used_up = { 1, 9 };
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int right = 1;

	/* passed; rejected by rate, by budget; tenant 0; an unknown tenant */
	right &= k2k_message_admit(reg, TENANT, paid, 1 + round % 4, round % 2 ? &verdict : NULL) ==
	         0;
	right &= k2k_message_admit(reg, TENANT, used_up, 1, &verdict) == K2K_EBUDGET;
	right &= expected(k2k_message_admit(reg, TENANT + 1, paid, 1, &verdict), 0, K2K_ERATE, 0);
	right &= k2k_message_admit(reg, 0, paid, 1, &verdict) == 0;
	right &= k2k_message_admit(reg, 12345, paid, 1, &verdict) == K2K_ENOTENANT;
	right &= k2k_quota_check(reg, TENANT, paid, 5, &verdict) == 0;
	right &= k2k_quota_check(reg, TENANT, used_up, 5, &verdict) == K2K_EBUDGET;
	right &= expected(k2k_quota_check(reg, TENANT + 1, paid, 2, &verdict), 0, K2K_ERATE, 0);
	right &= k2k_quota_check(reg, 0, paid, 1, NULL) == 0;
	right &= k2k_message_record(reg, TENANT) == 0;
	right &= k2k_message_record(reg, 12345) == K2K_ENOTENANT;
	right &= k2k_usage_track(reg, TENANT, paid, 7) == 0;
	right &= k2k_usage_track(reg, 12345, paid, 7) == K2K_ENOTENANT;
	return right;
}

static void *call_in_silence(void *argument)
{
	struct caller *caller = argument;

	/* The thread's first calls also create the engagements' records. */
	if (!call_each(caller->reg, 0))
		atomic_store(&caller->shared->wrong, 1);
	for (uint64_t round = 0; round < 3; round++)
		call_each(caller->reg, round);
	forbid_system_calls();
	trapped = 1;
	for (uint64_t round = 0; round < caller->rounds; round++)
		if (!call_each(caller->reg, round))
			atomic_store(&caller->shared->wrong, 1);
	atomic_store(&caller->shared->done[caller->number], 1);
	/* Returning would make a system call: the process ends this thread. */
	while (caller->rounds)
		atomic_signal_fence(memory_order_seq_cst);
	return NULL;
}

static int signal_of(void (*child)(void))
{
	int status;
	pid_t pid = spawn();

	if (pid == 0) {
		child();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void make_a_system_call(void)
{
	forbid_system_calls();
	syscall(SYS_getpid);
}

static void allocate(void)
{
	trapped = 1;
	*(volatile char *)malloc(1) = 1;
}

TEST(the_traps_for_system_calls_and_allocations_work_here)
{
	if (SANITIZED)
		skip_msg("sanitizers make system calls of their own");
	assert_int_equal(signal_of(make_a_system_call), SIGSYS);
	assert_int_equal(signal_of(allocate), SIGABRT);
}

TEST(a_million_of_each_message_call_make_no_system_call_and_allocate_nothing)
{
	struct shared *shared = shared_bytes(sizeof *shared);
	struct k2k_budget budget = { 9, 0 };
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	int status;

	if (SANITIZED)
		skip_msg("sanitizers make system calls of their own");
	quota.budgets = &budget;
	quota.budget_count = 1;
	assert_int_equal(k2k_tenant_register(admin, TENANT, &quota), 0);
	register_tenant(admin, TENANT + 1, 1000, 4);
	pid_t broker = spawn();
	if (broker == 0) {
		struct caller callers[CALLERS];
		pthread_t threads[CALLERS];

		for (int i = 0; i < CALLERS; i++) {
			/* One handle: the threads would contend for any lock in it. */
			callers[i] = (struct caller){ .shared = shared,
				                      .number = i,
				                      .rounds = ROUNDS };
			callers[i].reg = i ? callers[0].reg : open_as(name, K2K_ROLE_BROKER);
			assert_int_equal(
				pthread_create(&threads[i], NULL, call_in_silence, &callers[i]), 0);
		}
		for (int i = 0; i < CALLERS; i++)
			while (!atomic_load(&shared->done[i]))
				pause_ns(1000000);
		_exit(0);
	}
	/* Meanwhile the definitions change: new limits, new versions, other tenants come and go. */
	for (uint64_t id = 100; waitpid(broker, &status, WNOHANG) == 0; id++) {
		register_tenant(admin, id, 10, 1);
		quota.max_messages_per_sec = K2K_UNLIMITED - id % 2 * 1000;
		assert_int_equal(k2k_tenant_update(admin, TENANT, &quota, K2K_UPDATE_RATE), 0);
		assert_int_equal(k2k_tenant_deregister(admin, id, NULL), 0);
		pause_ns(2000000);
	}
	if (WIFSIGNALED(status))
		fail_msg("the broker was killed by signal %d (%s)", WTERMSIG(status),
		         WTERMSIG(status) == SIGSYS    ? "a system call"
		         : WTERMSIG(status) == SIGABRT ? "an allocation"
		                                       : "?");
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(atomic_load(&shared->wrong), 0);
	assert_int_equal(brokers_alive(admin), 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}
