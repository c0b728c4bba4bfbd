/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * damage.h - a small registry with records in every state, for tests that damage it; and pauses
 * that take no time
 *
 * Link with -Wl,--wrap=k2k_clock_sleep_ns,--wrap=k2k_clock_monotonic_ns: a pause of the library
 * then only advances the clock of its deadlines. So the pauses of a call can be added up, and take
 * no time.
 */
#ifndef K2K_TESTS_DAMAGE_H
#define K2K_TESTS_DAMAGE_H

#include "badinput.h"
#include "quiet_agent.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "budget.h"
#include "handle.h"
#include "k2k/registry.h"
#include "tenant.h"

#define DAMAGE_USED __attribute__((unused))

/* ---- pauses ------------------------------------------------------------------------ */

uint64_t __real_k2k_clock_monotonic_ns(void);
uint64_t __wrap_k2k_clock_monotonic_ns(void);
void __wrap_k2k_clock_sleep_ns(uint64_t ns);

static _Atomic uint64_t paused_ns;

uint64_t __wrap_k2k_clock_monotonic_ns(void)
{
	return __real_k2k_clock_monotonic_ns() + paused_ns;
}

void __wrap_k2k_clock_sleep_ns(uint64_t ns)
{
	paused_ns += ns;
	if (ns < 10000000)
		sched_yield(); /* the process that we wait for may have to run */
}

/*
 * The processor time and the pauses of this thread. Time in which others ran is not counted, so a
 * busy machine makes no call slow.
 */
DAMAGE_USED static uint64_t spent_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + paused_ns;
}

/* ---- the registry --------------------------------------------------------------------- */

enum { DAMAGE_TENANTS = 8, DAMAGE_IDS };

/*
 * Its clock stands still and its brokers' helpers do not run: nothing changes unless a test changes
 * it.
 */
struct damage {
	const char *name;
	struct k2k_registry *admin, *a, *b, *observer;
	/* [0..5] have everything, [6] is retired, [7] has nothing, [8] was never registered */
	k2k_tenant_id ids[DAMAGE_IDS];
	struct k2k_map map; /* both objects, writable */
	struct bytes bytes;
	_Atomic uint64_t clock_ns, wall_ns;
};

static const struct k2k_audit_tag damage_tag = { 1, 1 };

#define DAMAGE_MUST(call)                                                       \
	do {                                                                    \
		int damage_code = (call);                                       \
		if (damage_code)                                                \
			fail_msg("%s: %s: %s", #call, k2k_errname(damage_code), \
			         k2k_error_detail()->text);                     \
	} while (0)

DAMAGE_USED static void damage_open(struct damage *d, enum k2k_role role, struct k2k_registry **reg)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;

	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = 20000000;
	DAMAGE_MUST(k2k_registry_open(d->name, role, &options, reg));
	(*reg)->clock.injected_ns = &d->clock_ns;
	(*reg)->clock.injected_wall_ns = &d->wall_ns;
}

/* Waits for the helpers as long as they run. */
DAMAGE_USED static void damage_wait_answered(struct damage *d)
{
	uint64_t deadline = __real_k2k_clock_monotonic_ns() + 10 * K2K_NS_PER_SEC;
	uint32_t behind;

	while (k2k_grace_passed(&d->admin->grace, &behind) < d->admin->map.defs->grace_token)
		if (__real_k2k_clock_monotonic_ns() > deadline)
			fail_msg("broker %u does not answer", behind);
		else
			sched_yield();
}

DAMAGE_USED static void damage_register(struct damage *d, k2k_tenant_id id, uint32_t budgets)
{
	struct k2k_budget list[2] = { { 1, 1000000 }, { 2, 2000000 } };
	struct k2k_budget_terms terms[2] = { { .renewal = K2K_RENEWAL_NEVER },
		                             { .renewal = K2K_RENEWAL_HOUR } };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 1000,
		                   .max_gpu_memory_bytes = 1000,
		                   .max_concurrent_kernels = 10,
		                   .budget_count = budgets,
		                   .budgets = list,
		                   .budget_terms = terms };

	DAMAGE_MUST(k2k_tenant_register(d->admin, id, &quota));
}

DAMAGE_USED static void damage_use(struct damage *d, k2k_tenant_id id)
{
	DAMAGE_MUST(k2k_message_admit(d->a, id, damage_tag, 3, NULL));
	DAMAGE_MUST(k2k_message_record(d->b, id));
	DAMAGE_MUST(k2k_usage_track(d->a, id, damage_tag, 100));
	DAMAGE_MUST(k2k_usage_track(d->b, id, (struct k2k_audit_tag){ 1, 5 }, 50));
	DAMAGE_MUST(k2k_kernel_acquire(d->a, id, NULL, NULL));
	DAMAGE_MUST(k2k_gpu_memory_acquire(d->a, id, 100, NULL, NULL));
	DAMAGE_MUST(k2k_kernel_acquire(d->b, id, NULL, NULL));
}

/* The first id, from `id` on, in the same bucket as `of`. */
DAMAGE_USED static k2k_tenant_id damage_neighbour(const struct k2k_map *map, k2k_tenant_id of,
                                                  k2k_tenant_id id)
{

	while (k2k_tenant_bucket(map, id) != k2k_tenant_bucket(map, of))
		id++;
	return id;
}

/* How many brokers the registry has places for: K2K_DAMAGE_BROKERS, unless that is not set. */
DAMAGE_USED static uint64_t damage_brokers(void)
{
	const char *text = getenv("K2K_DAMAGE_BROKERS");

	return text ? strtoull(text, NULL, 10) : 0;
}

/*
 * Tenants that are live, retired and free again; budgets that are live, retired and free; costs and
 * leases of all of them, and a reservation; two live brokers; events of all of them. At most 256
 * KiB with 64 places for brokers.
 */
DAMAGE_USED static void damage_populate(struct damage *d)
{
	struct k2k_create_options sizes = K2K_CREATE_OPTIONS_INIT;
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_reservation reservation = K2K_RESERVATION_INIT;
	k2k_tenant_id gone = 4711;
	uint64_t timeout_ns;

	sizes.max_tenants = 16;
	sizes.max_engagements = 32;
	sizes.max_leases = 16;
	sizes.max_budgets = 16;
	sizes.max_audit_events = 2;
	sizes.max_brokers = damage_brokers();
	sizes.max_kernels = 4;
	d->name = fresh_registry();
	d->clock_ns = 5000 * K2K_NS_PER_SEC + 123456789;
	DAMAGE_MUST(k2k_registry_create(d->name, &sizes, NULL));
	damage_open(d, K2K_ROLE_ADMIN, &d->admin);
	damage_open(d, K2K_ROLE_BROKER, &d->a);
	damage_open(d, K2K_ROLE_BROKER, &d->b);
	damage_open(d, K2K_ROLE_OBSERVER, &d->observer);
	for (int i = 0; i < 5; i++)
		d->ids[i] = (k2k_tenant_id)i + 1;
	d->ids[5] = damage_neighbour(&d->admin->map, 1, 100);
	d->ids[8] = damage_neighbour(&d->admin->map, 1, d->ids[5] + 1);
	d->ids[6] = 77;
	d->ids[7] = UINT64_C(0xfedcba9876543210);

	damage_register(d, gone, 1);
	DAMAGE_MUST(k2k_usage_track(d->a, gone, damage_tag, 1));
	damage_wait_answered(d);
	timeout_ns = d->admin->timeout_ns;
	d->admin->timeout_ns = UINT64_MAX; /* pauses advance its clock: see above */
	DAMAGE_MUST(k2k_tenant_deregister(d->admin, gone, &totals));
	d->admin->timeout_ns = timeout_ns;
	assert_int_equal(totals.final, 1);
	damage_wait_answered(d);
	quiet_agent(d->a);
	k2k_helper_stop(&d->a->helper);
	quiet_agent(d->b);
	k2k_helper_stop(&d->b->helper);
	for (uint32_t i = 0; i < DAMAGE_TENANTS; i++)
		damage_register(d, d->ids[i], i == 7 ? 0 : i < 2 || i == 6 ? 2 : i % 2);
	for (int i = 0; i < 7; i++)
		if (i < 4 || i > 5)
			damage_use(d, d->ids[i]);
	assert_int_equal(k2k_message_admit(d->a, 1, damage_tag, 1000, NULL), K2K_ERATE);
	DAMAGE_MUST(k2k_kernel_release_id(d->b, 2));
	DAMAGE_MUST(k2k_usage_reserve(d->b, 3, damage_tag, 70, &reservation, NULL));
	DAMAGE_MUST(k2k_kernel_add(d->a, "a", 4, damage_tag, NULL, NULL));
	DAMAGE_MUST(k2k_kernel_add(d->b, "b", 4, damage_tag, NULL, NULL));
	DAMAGE_MUST(k2k_kernel_remove(d->b, "b"));
	DAMAGE_MUST(k2k_budget_set(d->admin, 1, 1, 3000000));
	DAMAGE_MUST(k2k_budget_unset(d->admin, 2, 2));
	DAMAGE_MUST(k2k_tenant_deregister(d->admin, d->ids[6], NULL));

	bytes_open(&d->bytes, d->name);
	assert_true(damage_brokers() > 64 || d->bytes.defs_bytes + d->bytes.live_bytes <= 294912);
	d->map = d->admin->map;
	bytes_copy(&d->bytes);
}

DAMAGE_USED static void damage_close(struct damage *d)
{
	DAMAGE_MUST(k2k_registry_close(&d->observer));
	DAMAGE_MUST(k2k_registry_close(&d->b));
	DAMAGE_MUST(k2k_registry_close(&d->a));
	DAMAGE_MUST(k2k_registry_close(&d->admin));
}

#endif
