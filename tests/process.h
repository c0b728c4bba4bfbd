/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process.h - what the process_* tests share: small registries, brokers in their own processes,
 * memory that they all share, and the check which processes live.
 *
 * "Dead" means that the incarnation's lock is released. A kill does not release it at once: wait
 * for broker_state() to report it.
 */
#ifndef K2K_TESTS_PROCESS_H
#define K2K_TESTS_PROCESS_H

#include "harness.h"

#include <dirent.h>
#include <k2k/registry.h>

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

/* ---- pseudorandom numbers; the seed is printed if a test fails -------------- */

HARNESS_USED static uint64_t random_state = 1;

HARNESS_USED static void random_seed(uint64_t salt)
{
	random_state = (now_ns() ^ salt * UINT64_C(0x9e3779b97f4a7c15)) | 1;
}

HARNESS_USED static uint64_t random_below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % limit;
}

/* ---- memory that a test shares with its children --------------------------- */

HARNESS_USED static void *shared_bytes(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

/*
 * All `parties` processes meet here, round after round. It spins for a while: two that have a
 * processor each leave some 0.1 us apart.
 */
struct meeting {
	atomic_uint arrived, round;
};

HARNESS_USED static void meet(struct meeting *meeting, unsigned int parties)
{
	unsigned int round = atomic_load(&meeting->round);

	if (atomic_fetch_add(&meeting->arrived, 1) + 1 == parties) {
		atomic_store(&meeting->arrived, 0);
		atomic_fetch_add(&meeting->round, 1);
		return;
	}
	for (uint64_t spins = 0; atomic_load(&meeting->round) == round; spins++)
		if (spins > 2000)
			sched_yield();
}

/*
 * Waits a random time of up to a microsecond, so that over many rounds the races after a meeting
 * overlap at every point.
 */
HARNESS_USED static void dither(void)
{
	for (uint64_t n = random_below(300); n > 0; n--)
		atomic_signal_fence(memory_order_seq_cst);
}

HARNESS_USED static void pause_ns(uint64_t ns)
{
	nanosleep(&(struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) }, NULL);
}

/*
 * Waits for all processes in the order in which they end: the first failure ends the test at once.
 */
HARNESS_USED static void wait_all(const pid_t *children, size_t count)
{
	for (size_t ended = 0; ended < count;) {
		int status;
		pid_t pid = waitpid(-1, &status, 0);

		assert_true(pid > 0);
		for (size_t i = 0; i < count; i++) {
			if (children[i] != pid)
				continue;
			ended++;
			if (WIFSIGNALED(status))
				fail_msg("child %ld was killed by signal %d", (long)pid,
				         WTERMSIG(status));
			if (WEXITSTATUS(status) != 0)
				fail_msg("child %ld ended with %d", (long)pid, WEXITSTATUS(status));
		}
	}
}

/* ---- registries -------------------------------------------------------------- */

/* Creates a small registry with a fresh name and opens it as ADMIN. */
HARNESS_USED static const char *small_registry(uint64_t max_tenants, struct k2k_registry **admin)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();

	options.max_tenants = max_tenants;
	options.max_engagements = 256;
	options.max_budgets = 64;
	options.max_kernels = 16;
	options.max_leases = 64 * max_tenants;
	options.max_audit_events = 32;
	assert_int_equal(k2k_registry_create(name, &options, admin), 0);
	return name;
}

HARNESS_USED static struct k2k_registry *open_as(const char *name, enum k2k_role role)
{
	struct k2k_registry *reg;
	int code = k2k_registry_open(name, role, NULL, &reg);

	if (code)
		fail_msg("open %s: %s (%s)", name, k2k_errname(code), k2k_error_detail()->text);
	return reg;
}

/* With its own timeout for each call. */
HARNESS_USED static struct k2k_registry *open_patient(const char *name, enum k2k_role role,
                                                      uint64_t timeout_ns)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct k2k_registry *reg;

	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = timeout_ns;
	assert_int_equal(k2k_registry_open(name, role, &options, &reg), 0);
	return reg;
}

/* Counts what remains in /dev/shm of the registry `name`: its defs and its live. */
HARNESS_USED static int objects_of(const char *name, int *lives)
{
	char defs[128], live[128];
	DIR *dir = opendir("/dev/shm");
	struct dirent *entry;
	int defs_count = 0;

	assert_true(dir);
	*lives = 0;
	snprintf(defs, sizeof defs, "k2k.%s.defs", name);
	snprintf(live, sizeof live, "k2k.%s.live.", name);
	while ((entry = readdir(dir))) {
		defs_count += strcmp(entry->d_name, defs) == 0;
		*lives += strncmp(entry->d_name, live, strlen(live)) == 0;
	}
	closedir(dir);
	return defs_count;
}

HARNESS_USED static void check_nothing_left(const char *name)
{
	int lives;

	assert_int_equal(objects_of(name, &lives), 0);
	assert_int_equal(lives, 0);
}

/* Checks every invariant that is visible from outside. */
HARNESS_USED static void check_clean(struct k2k_registry *reg)
{
	struct k2k_finding findings[4] = { { .size = sizeof findings[0] } };
	size_t count = 0;
	int code = k2k_registry_check(reg, findings, 4, &count);

	if (code)
		fail_msg("check: %s (%s)", k2k_errname(code), k2k_error_detail()->text);
	if (count)
		fail_msg("%zu findings; the first: %s, %s: %s", count, findings[0].invariant,
		         findings[0].object, findings[0].text);
}

/* Ends a test: closes, destroys, and checks that nothing is left. Brokers must be gone. */
HARNESS_USED static void close_and_destroy(const char *name, struct k2k_registry **admin)
{
	assert_int_equal(k2k_registry_close(admin), 0);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
	check_nothing_left(name);
}

HARNESS_USED static void register_tenant(struct k2k_registry *admin, k2k_tenant_id id,
                                         uint64_t rate, uint32_t kernels)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	int code;

	quota.max_messages_per_sec = rate;
	quota.max_concurrent_kernels = kernels;
	code = k2k_tenant_register(admin, id, &quota);
	if (code)
		fail_msg("register %" PRIu64 ": %s (%s)", id, k2k_errname(code),
		         k2k_error_detail()->text);
}

HARNESS_USED static struct k2k_tenant_info tenant_info(struct k2k_registry *reg, k2k_tenant_id id)
{
	struct k2k_tenant_info info = { .size = sizeof info };

	assert_int_equal(k2k_tenant_get(reg, id, &info), 0);
	return info;
}

/* ---- brokers ------------------------------------------------------------------- */

/* Returns the enum k2k_broker_state of the process; 0 if it has no slot. */
HARNESS_USED static uint32_t broker_state(struct k2k_registry *reg, pid_t pid)
{
	struct k2k_broker_info list[K2K_BROKERS_MAX] = { { .size = sizeof list[0] } };
	uint32_t state = 0;
	size_t count;

	assert_int_equal(k2k_broker_list(reg, list, K2K_BROKERS_MAX, &count), 0);
	assert_true(count <= K2K_BROKERS_MAX);
	for (size_t i = 0; i < count; i++)
		if (list[i].pid == (uint64_t)pid && (!state || list[i].state != K2K_BROKER_DEAD))
			state = list[i].state;
	return state;
}

HARNESS_USED static uint32_t brokers_alive(struct k2k_registry *reg)
{
	struct k2k_registry_info info = { .size = sizeof info };

	assert_int_equal(k2k_registry_info(reg, &info), 0);
	return info.brokers;
}

/* Sends SIGKILL, and waits until each of its slots is dead or another's. */
HARNESS_USED static void kill_broker(struct k2k_registry *reg, pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	WAIT_UNTIL(broker_state(reg, pid) == 0 || broker_state(reg, pid) == K2K_BROKER_DEAD,
	           PATIENCE_S);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

HARNESS_USED static void stop_process(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_true(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
}

static const struct k2k_audit_tag HARNESS_USED no_tag = { 0, 0 };

#endif
