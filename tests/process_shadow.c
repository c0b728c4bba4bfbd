/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_shadow - a week in shadow, with several brokers: nothing is refused, and the counts are
 * what a twin that enforces the same limits refuses. Then the shadow is switched off; then the
 * tenant is drained while brokers work.
 *
 * All brokers together ask for more than the limits in each hour, and for the same number of the
 * tenant and of its twin: so the numbers that are refused do not depend on who comes first.
 */
#define HARNESS_TIMEOUT_S 90
#include "handle.h"
#include "process.h"

enum { SHADOW = 1, TWIN = 2, BROKERS = 4, HOURS = 7 * 24, RATE = 50, KERNELS = 6, MEMORY = 700 };
enum { MESSAGES = 20, LEASES = 2, BYTES = 300 }; /* of one broker in an hour */
enum { ENGAGEMENT = 9, BUDGET_HOURS = 100 };     /* whose budget is used up after so many */

static const struct k2k_audit_tag engaged = { 1, ENGAGEMENT };

struct week {
	_Atomic uint64_t clock_ns;
	struct meeting meeting;
	/* by tenant: granted; told in the verdict, or refused */
	atomic_ullong granted[3], told_rate[3], told_budget[3], told_kernels[3], told_memory[3];
	atomic_ullong suspended;
	atomic_int stop;
};

static void set_up(struct k2k_registry **admin, const char *name)
{
	const struct k2k_budget budget = { ENGAGEMENT, BUDGET_HOURS * BROKERS };

	assert_int_equal(k2k_registry_create(name, NULL, admin), 0);
	for (k2k_tenant_id id = SHADOW; id <= TWIN; id++) {
		struct k2k_quota quota = { .size = sizeof quota,
			                   .max_messages_per_sec = RATE,
			                   .max_gpu_memory_bytes = MEMORY,
			                   .max_concurrent_kernels = KERNELS,
			                   .budget_count = 1,
			                   .budgets = &budget,
			                   .shadow = id == SHADOW };

		assert_int_equal(k2k_tenant_register(*admin, id, &quota), 0);
	}
}

/* One request's answer: of the shadow it must pass. Returns whether it was granted. */
static bool note(struct week *week, k2k_tenant_id id, const struct k2k_verdict *v, int code)
{
	int told = id == SHADOW ? v->shadow_code : code;

	assert_int_equal(v->code, code);
	if (id == SHADOW)
		assert_int_equal(code, 0);
	else
		assert_int_equal(v->shadow_code, 0);
	switch (told) {
	case 0: atomic_fetch_add(&week->granted[id], 1); break;
	case K2K_ERATE: atomic_fetch_add(&week->told_rate[id], 1); break;
	case K2K_EBUDGET: atomic_fetch_add(&week->told_budget[id], 1); break;
	case K2K_EKERNELS: atomic_fetch_add(&week->told_kernels[id], 1); break;
	case K2K_EGPUMEM: atomic_fetch_add(&week->told_memory[id], 1); break;
	default: fail_msg("tenant %" PRIu64 ": %s", id, k2k_errname(told));
	}
	return code == 0;
}

static void work_an_hour(struct k2k_registry *reg, struct week *week, k2k_tenant_id id)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	uint64_t kernels = 0, memory = 0;

	for (int i = 0; i < MESSAGES; i++)
		note(week, id, &v, k2k_message_admit(reg, id, no_tag, 1, &v));
	/* in the next hour's window, which has room: only the budget refuses */
	meet(&week->meeting, BROKERS + 1);
	meet(&week->meeting, BROKERS + 1);
	note(week, id, &v, k2k_message_admit(reg, id, engaged, 1, &v));
	for (int i = 0; i < LEASES; i++)
		kernels += note(week, id, &v, k2k_kernel_acquire(reg, id, NULL, &v));
	memory += note(week, id, &v, k2k_gpu_memory_acquire(reg, id, BYTES, NULL, &v));
	meet(&week->meeting, BROKERS + 1);
	assert_int_equal(k2k_usage_track(reg, id, engaged, 1), 0);
	while (kernels--)
		assert_int_equal(k2k_kernel_release_id(reg, id), 0);
	if (memory)
		assert_int_equal(k2k_gpu_memory_release_id(reg, id, BYTES), 0);
	meet(&week->meeting, BROKERS + 1);
}

static void broker(const char *name, struct week *week)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

	reg->clock.injected_ns = (const k2k_u64 *)&week->clock_ns;
	for (int hour = 0; hour < HOURS; hour++)
		for (k2k_tenant_id id = SHADOW; id <= TWIN; id++)
			work_an_hour(reg, week, id);
	assert_int_equal(k2k_registry_close(&reg), 0);
}

static void direct(struct week *week)
{
	for (int i = 0; i < 2 * HOURS; i++) {
		meet(&week->meeting, BROKERS + 1);
		atomic_fetch_add(&week->clock_ns, UINT64_C(1800000000000));
		meet(&week->meeting, BROKERS + 1);
		meet(&week->meeting, BROKERS + 1);
		atomic_fetch_add(&week->clock_ns, UINT64_C(1800000000000));
		meet(&week->meeting, BROKERS + 1);
	}
}

static void check_week(struct k2k_registry *admin, struct week *week)
{
	struct k2k_tenant_info shadow = tenant_info(admin, SHADOW), twin = tenant_info(admin, TWIN);

	assert_int_equal(shadow.admitted_total, twin.admitted_total);
	assert_memory_equal(&shadow.shadow_rejected_total, &twin.rejected_total,
	                    sizeof twin.rejected_total);
	assert_int_equal(shadow.rejected_total.rate + shadow.rejected_total.budget +
	                         shadow.rejected_total.kernels + shadow.rejected_total.gpu_memory,
	                 0);
	assert_int_equal(twin.shadow_rejected_total.rate + twin.shadow_rejected_total.budget, 0);
	assert_int_equal(twin.rejected_total.rate, HOURS * (BROKERS * MESSAGES - RATE));
	assert_int_equal(twin.rejected_total.budget, (HOURS - BUDGET_HOURS) * BROKERS);
	assert_int_equal(twin.rejected_total.kernels, HOURS * (BROKERS * LEASES - KERNELS));
	assert_int_equal(twin.rejected_total.gpu_memory, HOURS * (BROKERS - MEMORY / BYTES));
	for (int id = SHADOW; id <= TWIN; id++) {
		assert_int_equal(atomic_load(&week->told_rate[id]), twin.rejected_total.rate);
		assert_int_equal(atomic_load(&week->told_budget[id]), twin.rejected_total.budget);
		assert_int_equal(atomic_load(&week->told_kernels[id]), twin.rejected_total.kernels);
		assert_int_equal(atomic_load(&week->told_memory[id]),
		                 twin.rejected_total.gpu_memory);
	}
	assert_int_equal(atomic_load(&week->granted[SHADOW]), atomic_load(&week->granted[TWIN]));
}

TEST(a_week_in_shadow_refuses_nothing_and_counts_what_a_twin_refuses)
{
	struct week *week = shared_bytes(sizeof *week);
	const char *name = fresh_registry();
	struct k2k_registry *admin;
	pid_t pids[BROKERS];

	atomic_store(&week->clock_ns, UINT64_C(1000000000000));
	set_up(&admin, name);
	admin->clock.injected_ns = (const k2k_u64 *)&week->clock_ns;
	for (int i = 0; i < BROKERS; i++)
		if ((pids[i] = spawn()) == 0) {
			broker(name, week);
			_exit(0);
		}
	direct(week);
	wait_all(pids, BROKERS);
	check_week(admin, week);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- drain ---- */

/* Takes a kernel, holds it for a moment, releases it; until it is told to stop. */
static void work_on(const char *name, struct week *week, int number)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

	random_seed((uint64_t)number);
	while (!atomic_load(&week->stop)) {
		int code = k2k_kernel_acquire(reg, TWIN, NULL, NULL);

		assert_true(code == 0 || code == K2K_ESUSPENDED || code == K2K_EKERNELS ||
		            code == K2K_EBUSY || code == K2K_ENOTENANT);
		atomic_fetch_add(code == K2K_ESUSPENDED ? &week->suspended : &week->granted[TWIN],
		                 1);
		usleep((useconds_t)random_below(2000));
		/* a drain has waited for it: the tenant is never gone while its kernel is held */
		if (code == 0)
			assert_int_equal(k2k_kernel_release_id(reg, TWIN), 0);
	}
	assert_int_equal(k2k_registry_close(&reg), 0);
}

TEST(a_drain_among_brokers_at_work_ends_nobodys_work)
{
	struct week *week = shared_bytes(sizeof *week);
	const char *name = fresh_registry();
	struct k2k_registry *admin;
	pid_t pids[BROKERS];

	set_up(&admin, name);
	for (int i = 0; i < BROKERS; i++)
		if ((pids[i] = spawn()) == 0) {
			work_on(name, week, i);
			_exit(0);
		}
	for (int round = 0; round < 30; round++) {
		struct k2k_tenant_totals totals = { .size = sizeof totals };
		unsigned long long before = atomic_load(&week->granted[TWIN]);

		WAIT_UNTIL(atomic_load(&week->granted[TWIN]) > before + 20, PATIENCE_S);
		assert_int_equal(k2k_tenant_drain(admin, TWIN, K2K_NEVER_NS), 0);
		assert_int_equal(k2k_tenant_deregister(admin, TWIN, &totals), 0);
		assert_int_equal(totals.final, 1);
		assert_int_equal(totals.kernels, 0);
		assert_int_equal(k2k_tenant_register(admin, TWIN, NULL), 0);
	}
	assert_true(atomic_load(&week->suspended) > 0);
	atomic_store(&week->stop, 1);
	wait_all(pids, BROKERS);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_drain_is_told_who_holds_and_ends_with_a_killed_broker)
{
	const char *name = fresh_registry();
	struct k2k_registry *admin;
	struct gate ready;
	pid_t pid;

	set_up(&admin, name);
	gate_make(&ready);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		assert_int_equal(k2k_kernel_acquire(reg, TWIN, NULL, NULL), 0);
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_wait(&ready);
	assert_int_equal(k2k_tenant_drain(admin, TWIN, 50000000), K2K_EBUSY);
	assert_int_equal(k2k_error_detail()->pid, pid);
	spawn_kill(pid);
	assert_int_equal(k2k_tenant_drain(admin, TWIN, UINT64_C(20000000000)), 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}
