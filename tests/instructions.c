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
	FIRST = 20,
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

enum {
	TENANT = 42,
	REFUSED = 43,
	GONE = 44,
	BUCKET = 45,
	SHARED = 46,
	ALONE = 47,
	NAMED = 48,
	HOLDERS = 7
};

static void call_admit(void)
{
	CHECK(k2k_message_admit(broker, TENANT, tag, 1, NULL), 0);
}

/* Of a bucket that is not full. */
static void call_admit_bucket(void)
{
	CHECK(k2k_message_admit(broker, BUCKET, tag, 1, NULL), 0);
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

static void call_kernel_of(k2k_tenant_id id)
{
	struct k2k_lease lease = K2K_LEASE_INIT;

	CHECK(k2k_kernel_acquire(broker, id, &lease, NULL), 0);
	CHECK(k2k_kernel_release(broker, &lease), 0);
}

static void call_reserve_of(k2k_tenant_id id)
{
	struct k2k_reservation reservation = K2K_RESERVATION_INIT;

	CHECK(k2k_usage_reserve(broker, id, tag, 1000, &reservation, NULL), 0);
	CHECK(k2k_usage_commit(broker, &reservation, 900), 0);
}

static void call_kernel(void)
{
	call_kernel_of(TENANT);
}

/* Seven other brokers hold a slot of this tenant. */
static void call_kernel_8(void)
{
	call_kernel_of(SHARED);
}

static void call_reserve(void)
{
	call_reserve_of(ALONE);
}

/* Seven other brokers have reserved of this budget. */
static void call_reserve_8(void)
{
	call_reserve_of(SHARED);
}

/* Both kernels are this broker's, and of one tenant. */
static void call_find(void)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;

	CHECK(k2k_kernel_find(broker, "receiver", &info), 0);
}

static void call_route(void)
{
	struct k2k_route route = K2K_ROUTE_INIT;

	CHECK(k2k_message_route(broker, "sender", "receiver", tag, 1, &route, NULL), 0);
}

static const struct row {
	const char *name;
	void (*call)(void);
} rows[] = {
	{ "admit", call_admit },
	{ "admit_refused", call_admit_refused },
	{ "admit_bucket", call_admit_bucket },
	{ "check", call_check },
	{ "record", call_record },
	{ "track", call_track },
	{ "lookup", call_lookup },
	{ "kernel", call_kernel },
	{ "kernel_8", call_kernel_8 },
	{ "reserve", call_reserve },
	{ "reserve_8", call_reserve_8 },
	{ "find", call_find },
	{ "route", call_route },
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

/* Brokers of their own as far as the library can tell. */
static void open_holders(const char *name, struct k2k_registry *holders[HOLDERS])
{
	for (int i = 0; i < HOLDERS; i++) {
		struct k2k_reservation reservation = K2K_RESERVATION_INIT;

		CHECK(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &holders[i]), 0);
		CHECK(k2k_kernel_acquire(holders[i], SHARED, NULL, NULL), 0);
		CHECK(k2k_usage_reserve(holders[i], SHARED, tag, 1000, &reservation, NULL), 0);
	}
}

static bool make_batch(const struct row *row)
{
	uint64_t second = second_of_clock();
	struct timespec end;

	if (second_of_broker() != second)
		return false;
	/*
	 * These calls do what only the second's first call does, and the first calls of a row: a
	 * broker keeps the lease record of the last row's tenant for a while.
	 */
	call_admit();
	call_admit_refused();
	for (int i = 0; i < FIRST; i++)
		row->call();
	CALLGRIND_DUMP_STATS; /* dumps, because ZERO_STATS would leave a jump or two */
	for (int i = 0; i < CALLS; i++)
		row->call();
	/* by the precise clock, which takes longer to read in the tick that it is ahead */
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (uint64_t)end.tv_sec == second;
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
	struct k2k_registry *holders[HOLDERS];

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
	CHECK(k2k_tenant_register(admin, SHARED, &quota), 0);
	CHECK(k2k_tenant_register(admin, ALONE, &quota), 0);
	CHECK(k2k_tenant_register(admin, NAMED, &quota), 0);
	CHECK(k2k_budget_set(admin, ALONE, tag.engagement_id, UINT64_C(1) << 62), 0);
	CHECK(k2k_budget_set(admin, SHARED, tag.engagement_id, UINT64_C(1) << 62), 0);
	quota.max_messages_per_sec = 0;
	CHECK(k2k_tenant_register(admin, REFUSED, &quota), 0);
	quota.max_messages_per_sec = 1;
	quota.rate_policy = K2K_RATE_BUCKET;
	quota.burst = 1000000000;
	CHECK(k2k_tenant_register(admin, BUCKET, &quota), 0);
	CHECK(k2k_kernel_add(broker, "sender", NAMED, tag, NULL, NULL), 0);
	CHECK(k2k_kernel_add(broker, "receiver", NAMED, tag, NULL, NULL), 0);
	open_holders(argv[1], holders);
	wait_for_helper();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		count(&rows[i]);
	for (int i = 0; i < HOLDERS; i++)
		CHECK(k2k_registry_close(&holders[i]), 0);
	CHECK(k2k_registry_close(&broker), 0);
	CHECK(k2k_registry_close(&admin), 0);
	CHECK(k2k_registry_destroy(argv[1], 0, NULL), 0);
	printf("compiler %s %d %s\n", COMPILER, MAJOR, MACHINE);
	return 0;
}
