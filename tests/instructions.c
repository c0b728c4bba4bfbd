/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * instructions.c NAME - makes the calls whose instructions are counted, on the registry NAME; run
 * by instructions.sh.
 *
 * callgrind collects only inside these functions (--toggle-collect), separately for each thread:
 * neither the code around a call nor the helper thread is counted. Each batch of calls becomes its
 * own dump, named "ROW CALLS". Once a second calls take another path: the window advances in the
 * first call of each tenant. Batches that meet this are repeated, so that all others are equal.
 *
 * The clock is read in the vDSO, whose instructions count too. callgrind passes the system call
 * membarrier through, and the library finds it. On a kernel without it each read section has a
 * fence, and the figures can't be compared.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#include <k2k/registry.h>

enum {
	CALLS = 1000, /* calls in a batch */
	BATCHES = 10, /* batches of each row */
	/* attempts to run a batch within one second; each takes some milliseconds */
	ATTEMPTS = 20000,
	SKIPPED = 77,
};

#define CHECK(call, expected)                                                     \
	do {                                                                      \
		int code = (call);                                                \
		if (code != (expected)) {                                         \
			fprintf(stderr, "%s: %s: %s\n", #call, k2k_errname(code), \
			        k2k_strerror(code));                              \
			exit(1);                                                  \
		}                                                                 \
	} while (0)

static struct k2k_registry *admin, *broker;
static const struct k2k_audit_tag tag = { 1, 7 };

enum { TENANT = 42, REFUSED = 43, GONE = 44 };

static void call_admit(void)
{
	CHECK(k2k_message_admit(broker, TENANT, tag, 1, NULL), 0);
}

/* The slow path: rejected by the rate, without a sink. */
static void call_admit_refused(void)
{
	CHECK(k2k_message_admit(broker, REFUSED, tag, 1, NULL), K2K_ERATE);
}

static void call_check(void)
{
	CHECK(k2k_quota_check(broker, TENANT, tag, 1, NULL), 0);
}

static void call_record(void)
{
	CHECK(k2k_message_record(broker, TENANT), 0);
}

static void call_track(void)
{
	CHECK(k2k_usage_track(broker, TENANT, tag, 250), 0);
}

static void call_lookup(void)
{
	int registered = 0;

	CHECK(k2k_tenant_is_registered(broker, TENANT, &registered), 0);
	CHECK(registered, 1);
}

static const struct row {
	const char *name;
	void (*call)(void);
} rows[] = {
	{ "admit", call_admit }, { "admit_refused", call_admit_refused },
	{ "check", call_check }, { "record", call_record },
	{ "track", call_track }, { "lookup", call_lookup },
};

static uint64_t second_of_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec;
}

/* Returns the second of the broker's window. */
static uint64_t second_of_broker(void)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;

	CHECK(k2k_quota_check(broker, TENANT, tag, 1, &verdict), 0);
	return verdict.window;
}

/* Final totals wait for the helper's answer: afterwards the broker has finished starting. */
static void wait_for_helper(void)
{
	struct k2k_tenant_totals totals = { .size = sizeof(totals) };

	CHECK(k2k_tenant_register(admin, GONE, NULL), 0);
	CHECK(k2k_tenant_deregister(admin, GONE, &totals), 0);
	CHECK(totals.final, 1);
}

static bool make_batch(const struct row *row)
{
	uint64_t second = second_of_clock();

	if (second_of_broker() != second)
		return false;
	/* These calls do what only the second's first call does. */
	call_admit();
	call_admit_refused();
	row->call();
	CALLGRIND_DUMP_STATS; /* dumps, because ZERO_STATS would leave a jump or two */
	for (int i = 0; i < CALLS; i++)
		row->call();
	return second_of_clock() == second;
}

static void count(const struct row *row)
{
	char name[64];

	snprintf(name, sizeof(name), "%s %d", row->name, CALLS);
	for (int batch = 0; batch < BATCHES; batch++) {
		int attempts = ATTEMPTS;

		/*
		 * There is no event to wait for; a loop without a pause would keep the helper from
		 * running.
		 */
		while (!make_batch(row)) {
			if (--attempts == 0) {
				fprintf(stderr, "%s: no batch within one second of the broker\n",
				        row->name);
				exit(1);
			}
			nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
		}
		CALLGRIND_DUMP_STATS_AT(name);
	}
}

/*
 * The compiler of this program, and so of the library: figures of another compiler are not
 * comparable.
 */
#if defined(__clang__)
#define COMPILER "clang"
#define MAJOR __clang_major__
#else
#define COMPILER "gcc"
#define MAJOR __GNUC__
#endif
#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#define MACHINE "other"
#endif

static bool has_membarrier(void)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0);

	return commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

int main(int argc, char **argv)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	if (argc != 2 || !RUNNING_ON_VALGRIND) {
		fputs("instructions: run by instructions.sh\n", stderr);
		return 2;
	}
	if (!has_membarrier()) {
		fputs("skipped: this kernel has no membarrier, so read sections have fences that "
		      "others have not\n",
		      stderr);
		return SKIPPED;
	}
	CHECK(k2k_registry_create(argv[1], NULL, &admin), 0);
	CHECK(k2k_registry_open(argv[1], K2K_ROLE_BROKER, NULL, &broker), 0);
	quota.max_messages_per_sec = 1000000000;
	CHECK(k2k_tenant_register(admin, TENANT, &quota), 0);
	quota.max_messages_per_sec = 0;
	CHECK(k2k_tenant_register(admin, REFUSED, &quota), 0);
	wait_for_helper();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		count(&rows[i]);
	CHECK(k2k_registry_close(&broker), 0);
	CHECK(k2k_registry_close(&admin), 0);
	CHECK(k2k_registry_destroy(argv[1], 0, NULL), 0);
	printf("compiler %s %d %s\n", COMPILER, MAJOR, MACHINE);
	return 0;
}
