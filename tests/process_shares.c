/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_shares - a share of a rate ends by itself: brokers that work, or are stopped, while the
 * time passes until which it holds; nobody tells them. Real processes, by the machine's clocks
 */
#define HARNESS_TIMEOUT_S 120
#include "process.h"

#include <stdbool.h>

#define SECOND UINT64_C(1000000000)
#define ID 7
#define SHARE UINT64_C(1000000000)
enum { ALONE = 50, BROKERS = 2, BOOKS = 256 };

struct stage {
	atomic_ullong until_ns;       /* 0: no shares hold */
	atomic_ullong granted[BOOKS]; /* by the limit alone, by window modulo their number */
	atomic_ullong shared, refused[BROKERS];
	atomic_bool over;
};
static struct stage *stage;

/* What this time namespace adds to CLOCK_BOOTTIME: whole seconds. */
static uint64_t added_ns;

static uint64_t boot_ns(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &t), 0);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec - added_ns;
}

/*
 * Asks all the time. A call that has begun after the end was decided by the limit alone, also if
 * the process was stopped for long before it or in it.
 */
static void ask(struct k2k_registry *reg, int number)
{
	while (!atomic_load(&stage->over)) {
		struct k2k_verdict verdict = K2K_VERDICT_INIT;
		uint64_t until = atomic_load(&stage->until_ns), before = boot_ns();
		int code = k2k_message_admit(reg, ID, no_tag, 1, &verdict);

		assert_true(code == 0 || code == K2K_ERATE);
		assert_true(verdict.limit == SHARE || verdict.limit == ALONE);
		if (before >= until && atomic_load(&stage->until_ns) == until)
			assert_int_equal(verdict.limit, ALONE);
		if (verdict.limit == SHARE)
			atomic_fetch_add(&stage->shared, 1);
		else if (code == 0)
			atomic_fetch_add(&stage->granted[verdict.window % BOOKS], 1);
		if (code) {
			atomic_fetch_add(&stage->refused[number], 1);
			pause_ns(500000);
		}
	}
}

static pid_t start(const char *name, int number)
{
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		ask(reg, number);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	return pid;
}

/* The next epoch, for so long. Brokers compare with a time only while it stays the same. */
static void hold(struct k2k_registry *admin, uint64_t ns)
{
	struct k2k_shares shares = K2K_SHARES_INIT;
	uint64_t until;

	assert_int_equal(k2k_shares_get(admin, &shares), 0);
	assert_int_equal(k2k_shares_hold(admin, shares.epoch + 1, 0), 0);
	until = boot_ns() + ns;
	atomic_store(&stage->until_ns, until);
	assert_int_equal(k2k_shares_hold(admin, shares.epoch + 1, until), 0);
}

/* True if a window was used up by the limit alone; none may have been exceeded. */
static bool one_is_full(void)
{
	bool full = false;

	for (int i = 0; i < BOOKS; i++) {
		assert_true(atomic_load(&stage->granted[i]) <= ALONE);
		full |= atomic_load(&stage->granted[i]) == ALONE;
	}
	return full;
}

/* The first broker is stopped, at a moment that differs, while shares end by themselves. */
static void end_beside_a_stopped_one(struct k2k_registry *admin, pid_t broker, uint64_t ns)
{
	uint64_t before = atomic_load(&stage->shared);

	hold(admin, 60 * SECOND);
	WAIT_UNTIL(atomic_load(&stage->shared) > before + 100, PATIENCE_S);
	hold(admin, ns);
	stop_process(broker);
	WAIT_UNTIL(boot_ns() >= atomic_load(&stage->until_ns), PATIENCE_S);
	before = atomic_load(&stage->refused[0]);
	assert_int_equal(kill(broker, SIGCONT), 0);
	WAIT_UNTIL(atomic_load(&stage->refused[0]) > before, PATIENCE_S);
	assert_int_equal(tenant_info(admin, ID).rate_holds, 0);
}

TEST(a_broker_that_was_stopped_over_the_end_of_shares_goes_on_by_the_limit_alone)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_shares shares = K2K_SHARES_INIT;
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[BROKERS];

	stage = shared_bytes(sizeof *stage);
	quota.max_messages_per_sec = SHARE;
	quota.rate_shared = 1;
	quota.rate_alone = ALONE;
	assert_int_equal(k2k_tenant_register(admin, ID, &quota), 0);
	assert_int_equal(k2k_shares_get(admin, &shares), 0);
	/* it may be negative, but not by 2^30 seconds */
	added_ns = (boot_ns() - shares.now_ns + (SECOND << 30)) / SECOND * SECOND - (SECOND << 30);
	for (int i = 0; i < BROKERS; i++)
		brokers[i] = start(name, i);
	WAIT_UNTIL(one_is_full(), PATIENCE_S);
	for (uint64_t round = 1; round <= 8; round++)
		end_beside_a_stopped_one(admin, brokers[0], round * 3000000);
	for (int i = 0; i < BOOKS; i++)
		atomic_store(&stage->granted[i], 0);
	WAIT_UNTIL(one_is_full(), PATIENCE_S);
	atomic_store(&stage->over, true);
	wait_all(brokers, BROKERS);
	one_is_full();
	close_and_destroy(name, &admin);
}
