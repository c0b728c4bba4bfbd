/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_windows - admit is exact over many thousands of windows; the test controls the clock
 *
 * The limit is 64, and each second has one word of 64 bits. A grant of n that raised the use to u
 * owns the bits [u - n, u): a bit that was already set was granted twice, and a second that is used
 * up has all bits set.
 */
#define HARNESS_TIMEOUT_S 90
#include "handle.h"
#include "process.h"

enum { LIMIT = 64, PROCESSES = 6, TENANT = 7 };

struct windows {
	_Atomic uint64_t clock_ns;
	struct meeting meeting;
	atomic_ullong granted, stale, rejected;
	_Atomic uint64_t bits[];
};

static uint64_t mask_of(uint64_t from, uint64_t n)
{
	return (n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1) << from;
}

static struct k2k_registry *open_with_clock(const char *name, struct windows *windows)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

	reg->clock.injected_ns = (const k2k_u64 *)&windows->clock_ns;
	return reg;
}

static void mark(struct windows *windows, const struct k2k_verdict *verdict, uint64_t n,
                 uint64_t count)
{
	uint64_t mask, was;

	assert_true(verdict->used >= n && verdict->used <= LIMIT && verdict->window < count);
	mask = mask_of(verdict->used - n, n);
	was = atomic_fetch_or(&windows->bits[verdict->window], mask);
	if (was & mask)
		fail_msg("second %" PRIu64 ": messages %" PRIx64 " were granted twice",
		         (uint64_t)verdict->window, was & mask);
	atomic_fetch_add(&windows->granted, n);
}

/* A rejection must be true: that second had no room for n, and its room never grows. */
static void judge(const struct k2k_verdict *verdict, uint64_t n)
{
	assert_int_equal(verdict->limit, LIMIT);
	assert_true(verdict->used <= LIMIT);
	assert_true(verdict->used + n > LIMIT);
}

/*
 * The clock advances only once a second is used up: then each word is full, whoever was granted it.
 */
static void use_up(struct k2k_registry *reg, struct windows *windows, uint64_t count)
{
	uint64_t n = 1;

	for (;;) {
		struct k2k_verdict verdict = K2K_VERDICT_INIT;
		int code = k2k_message_admit(reg, TENANT, no_tag, n, &verdict);

		if (code == 0) {
			mark(windows, &verdict, n, count);
			n = 1 + random_below(5);
			continue;
		}
		assert_int_equal(code, K2K_ERATE);
		judge(&verdict, n);
		if (n == 1) {
			uint64_t now = verdict.window * 1000000000u;

			if (verdict.window + 1 >= count)
				return;
			atomic_compare_exchange_strong(&windows->clock_ns, &now, now + 1000000000u);
		}
		n = 1;
	}
}

/* Advances the clock in the middle of everything. */
static void hurry(struct k2k_registry *reg, struct windows *windows, uint64_t count)
{
	uint64_t last = 0;

	for (;;) {
		struct k2k_verdict verdict = K2K_VERDICT_INIT;
		uint64_t n = 1 + random_below(5), now = atomic_load(&windows->clock_ns);
		int code;

		if (now >= (count - 1) * 1000000000u)
			return;
		code = k2k_message_admit(reg, TENANT, no_tag, n, &verdict);
		assert_true(verdict.window >= last); /* no second comes back */
		last = verdict.window;
		/* The second that decided was current at some time during the call. */
		assert_true(verdict.window >= now / 1000000000u);
		assert_true(verdict.window <= atomic_load(&windows->clock_ns) / 1000000000u);
		if (code == 0) {
			mark(windows, &verdict, n, count);
		} else {
			assert_int_equal(code, K2K_ERATE);
			judge(&verdict, n);
			atomic_fetch_add(&windows->rejected, 1);
		}
		if (random_below(24) == 0)
			atomic_compare_exchange_strong(&windows->clock_ns, &now, now + 1000000000u);
	}
}

static void run(uint64_t count, void (*work)(struct k2k_registry *, struct windows *, uint64_t),
                int used_up)
{
	struct windows *windows = shared_bytes(sizeof *windows + count * sizeof windows->bits[0]);
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[PROCESSES];

	atomic_store(&windows->clock_ns, 1000000000u);
	register_tenant(admin, TENANT, LIMIT, 0);
	for (int i = 0; i < PROCESSES; i++) {
		brokers[i] = spawn();
		if (brokers[i] == 0) {
			struct k2k_registry *reg = open_with_clock(name, windows);

			random_seed((uint64_t)i);
			meet(&windows->meeting, PROCESSES);
			work(reg, windows, count);
			assert_int_equal(k2k_registry_close(&reg), 0);
			exit(0);
		}
	}
	wait_all(brokers, PROCESSES);
	for (uint64_t second = 1; used_up && second < count; second++)
		if (atomic_load(&windows->bits[second]) != UINT64_MAX)
			fail_msg("second %" PRIu64 " was used up, but granted only %" PRIx64,
			         second, atomic_load(&windows->bits[second]));
	admin->clock.injected_ns = (const k2k_u64 *)&windows->clock_ns;
	assert_int_equal(tenant_info(admin, TENANT).admitted_total, atomic_load(&windows->granted));
	if (!used_up)
		assert_int_equal(tenant_info(admin, TENANT).rejected_total.rate,
		                 atomic_load(&windows->rejected));
	assert_int_equal(k2k_registry_close(&admin), 0);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
	check_nothing_left(name);
}

TEST(each_of_three_hundred_thousand_used_up_windows_granted_each_message_once)
{
	run(300000, use_up, 1);
}

TEST(no_message_is_granted_twice_while_the_clock_runs_ahead_of_the_callers)
{
	run(600000, hurry, 0);
}

TEST(a_broker_killed_among_others_leaves_at_most_one_call_unaccounted)
{
	enum { COUNT = 2000000, KILLS = 25, MOST = 5 };
	struct windows *windows = shared_bytes(sizeof *windows + COUNT * sizeof windows->bits[0]);
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	uint64_t admitted, granted;

	random_seed(5);
	atomic_store(&windows->clock_ns, 1000000000u);
	register_tenant(admin, TENANT, LIMIT, 0);
	admin->clock.injected_ns = (const k2k_u64 *)&windows->clock_ns;
	for (int i = 0; i < KILLS; i++) {
		pid_t brokers[2];

		for (int j = 0; j < 2; j++) {
			brokers[j] = spawn();
			if (brokers[j] == 0) {
				struct k2k_registry *reg = open_with_clock(name, windows);

				random_seed((uint64_t)j);
				hurry(reg, windows, COUNT);
				fail_msg("all windows are used up: make more");
			}
		}
		WAIT_UNTIL(brokers_alive(admin) == 2, PATIENCE_S);
		pause_ns(random_below(10000000));
		kill_broker(admin, brokers[0]);
		kill_broker(admin, brokers[1]);
		admitted = tenant_info(admin, TENANT).admitted_total;
		granted = atomic_load(&windows->granted);
		/*
		 * The registry may count more than our books: the call in flight of each killed
		 * process; never less.
		 */
		assert_true(admitted >= granted);
		assert_true(admitted - granted <= (uint64_t)(i + 1) * 2 * MOST);
	}
	assert_int_equal(k2k_registry_close(&admin), 0);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
	check_nothing_left(name);
}
