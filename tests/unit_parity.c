/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_parity.c - what the single-process registry did that no other unit test asks: tenant 0,
 * peeks, every total through every change, and what a tenant leaves to the next one in its place:
 * nothing.
 */
#include "quiet_agent.h"
#include "registry_fixture.h"

#include <pthread.h>
#include <sys/mman.h>

#include "tenant.h"
#include "trail_reader.h"

/* ---- all bytes of both objects ---------------------------------------------------------- */

struct bytes {
	unsigned char *defs, *live;
};

/*
 * Once the broker's helper has answered what was asked of it: from then on it writes nothing by
 * itself.
 */
static struct bytes bytes_take(const struct fixture *f)
{
	const struct k2k_registry *reg = f->broker;
	struct bytes copy = { malloc(reg->defs.bytes), malloc(reg->live.bytes) };

	assert_true(copy.defs && copy.live);
	WAIT_UNTIL(reg->map.slots[reg->broker.slot].ack == reg->map.defs->grace_token, 10);
	memcpy(copy.defs, reg->map.defs, reg->defs.bytes);
	memcpy(copy.live, reg->map.live, reg->live.bytes);
	return copy;
}

static void bytes_compare(const char *what, const char *object, unsigned char *before,
                          const void *now, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (before[i] != ((const unsigned char *)now)[i])
			fail_msg("%s: byte %zu of %s was changed", what, i, object);
	free(before);
}

/* And forgets what was taken. */
static void bytes_check(const struct fixture *f, struct bytes *before, const char *what)
{
	bytes_compare(what, "defs", before->defs, f->broker->map.defs, f->broker->defs.bytes);
	bytes_compare(what, "live", before->live, f->broker->map.live, f->broker->live.bytes);
}

#define CHECK_WRITES_NOTHING(f, call, expected)         \
	do {                                            \
		struct bytes before_it = bytes_take(f); \
		assert_int_equal(call, expected);       \
		bytes_check(f, &before_it, #call);      \
	} while (0)

/* Comparisons of all bytes: small tables. */
static void open_small(struct fixture *f)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = 4;
	options.max_engagements = options.max_leases = options.max_budgets = 8;
	options.max_audit_events = 4;
	fixture_open_sized(f, &options);
}

static struct gate held_up;
static uint64_t sink_calls;

static void count_call(void *context, const struct k2k_audit_event *event)
{
	(void)context;
	sink_calls += event->count;
}

/* ---- tenant 0 ------------------------------------------------------------------------------ */

static void check_verdict(const struct k2k_verdict *v, int code, uint64_t used, uint64_t limit,
                          uint64_t remaining, uint64_t retry)
{
	assert_int_equal(v->code, code);
	assert_int_equal(v->used, used);
	assert_int_equal(v->limit, limit);
	assert_int_equal(v->remaining, remaining);
	assert_int_equal(v->retry_after_ns, retry);
}

TEST(tenant_zero_passes_and_touches_nothing_shared)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct k2k_lease kernel = K2K_LEASE_INIT, memory = K2K_LEASE_INIT;
	struct k2k_tenant_info info = { .size = sizeof info };
	struct k2k_quota quota = quota_standard();
	struct fixture f;
	uint64_t ns;

	open_small(&f);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, count_call, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	/* the thread's first call, the short way, a new second */
	for (int round = 0; round < 3; round++) {
		CHECK_WRITES_NOTHING(&f, k2k_quota_check(f.broker, 0, tag_of(1, 2), 1, &v), 0);
		check_verdict(&v, 0, 0, K2K_UNLIMITED, K2K_UNLIMITED, 0);
		assert_int_equal(v.window, 0);
		CHECK_WRITES_NOTHING(
			&f, k2k_message_admit(f.broker, 0, tag_of(1, 2), K2K_ADMIT_MAX, &v), 0);
		check_verdict(&v, 0, 0, K2K_UNLIMITED, K2K_UNLIMITED, 0);
		assert_int_equal(v.window, 0);
		CHECK_WRITES_NOTHING(&f, k2k_message_admit(f.broker, 0, no_tag, 1, NULL), 0);
		CHECK_WRITES_NOTHING(&f, k2k_message_record(f.broker, 0), 0);
		CHECK_WRITES_NOTHING(&f, k2k_usage_track(f.broker, 0, tag_of(1, 2), 5), 0);
		CHECK_WRITES_NOTHING(&f, k2k_usage_track(f.broker, 0, no_tag, UINT64_MAX), 0);
		CHECK_WRITES_NOTHING(&f, k2k_kernel_acquire(f.broker, 0, &kernel, &v), 0);
		check_verdict(&v, 0, 0, K2K_UNLIMITED, K2K_UNLIMITED, 0);
		assert_int_equal(kernel.generation, 0);
		CHECK_WRITES_NOTHING(&f, k2k_kernel_release(f.broker, &kernel), 0);
		CHECK_WRITES_NOTHING(&f, k2k_kernel_release_id(f.broker, 0), 0);
		CHECK_WRITES_NOTHING(
			&f, k2k_gpu_memory_acquire(f.broker, 0, UINT64_MAX, &memory, &v), 0);
		check_verdict(&v, 0, 0, K2K_UNLIMITED, K2K_UNLIMITED, 0);
		CHECK_WRITES_NOTHING(&f, k2k_gpu_memory_release(f.broker, &memory), 0);
		CHECK_WRITES_NOTHING(&f, k2k_gpu_memory_release_id(f.broker, 0, 7), 0);
		CHECK_WRITES_NOTHING(&f, k2k_quota_check(f.admin, 0, no_tag, 1, NULL), 0);
		CHECK_WRITES_NOTHING(&f, k2k_usage_engagement_for(f.broker, 0, no_tag, &ns),
		                     K2K_ENOTENANT);
		CHECK_WRITES_NOTHING(&f, k2k_tenant_get(f.broker, 0, &info), K2K_ENOTENANT);
		CHECK_WRITES_NOTHING(&f, is_registered(f.broker, 0), 0);
		CHECK_WRITES_NOTHING(&f, k2k_tenant_register(f.admin, 0, &quota), K2K_EUNSPECIFIED);
		CHECK_WRITES_NOTHING(&f, k2k_tenant_update(f.admin, 0, &quota, K2K_UPDATE_RATE),
		                     K2K_EUNSPECIFIED);
		CHECK_WRITES_NOTHING(&f, k2k_tenant_deregister(f.admin, 0, NULL), K2K_EUNSPECIFIED);
		CHECK_WRITES_NOTHING(&f, k2k_budget_set(f.admin, 0, 1, 1), K2K_EUNSPECIFIED);
		CHECK_WRITES_NOTHING(&f, k2k_budget_unset(f.admin, 0, 1), K2K_EUNSPECIFIED);
		f.clock_ns += SECOND;
	}
	assert_int_equal(sink_calls, 0);
	fixture_close(&f);
}

/* Nor are they read: pages that can't be. The broker's helper reads none of these. */
TEST(tenant_zero_is_answered_without_a_look_at_the_tables)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct k2k_lease lease = K2K_LEASE_INIT;
	struct k2k_map kept;
	struct fixture f;
	void *nothing;

	open_small(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	/* the short way is open */
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, NULL), 0);
	nothing = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(nothing != MAP_FAILED);
	/* no other thread of the handle looks at the map meanwhile */
	quiet_agent(f.broker);
	k2k_helper_stop(&f.broker->helper);
	kept = f.broker->map;
	f.broker->map.tenant_heads = f.broker->map.budget_heads = f.broker->map.ledger_heads =
		nothing;
	f.broker->map.tenants = nothing;
	f.broker->map.tenants_cold = nothing;
	f.broker->map.budgets = nothing;
	f.broker->map.cells = nothing;
	f.broker->map.cells_cold = nothing;
	f.broker->map.ledger = nothing;
	f.broker->map.leases = nothing;
	assert_int_equal(k2k_quota_check(f.broker, 0, no_tag, 1, &v), 0);
	assert_int_equal(k2k_message_admit(f.broker, 0, no_tag, 1, &v), 0);
	assert_int_equal(k2k_message_record(f.broker, 0), 0);
	assert_int_equal(k2k_usage_track(f.broker, 0, no_tag, 1), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 0, &lease, &v), 0);
	assert_int_equal(k2k_kernel_release(f.broker, &lease), 0);
	assert_int_equal(k2k_kernel_release_id(f.broker, 0), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 0, 1, &lease, &v), 0);
	assert_int_equal(k2k_gpu_memory_release(f.broker, &lease), 0);
	assert_int_equal(k2k_gpu_memory_release_id(f.broker, 0, 1), 0);
	f.broker->map = kept;
	assert_int_equal(munmap(nothing, 1 << 20), 0);
	fixture_close(&f);
}

/*
 * Where the registry is gone it passes until the handle knows; from then on it is refused as
 * everybody is.
 */
TEST(tenant_zero_is_refused_once_the_handle_is_fenced)
{
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct k2k_lease lease = K2K_LEASE_INIT, kept = K2K_LEASE_INIT;
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_kernel_acquire(f.broker, 0, &kept, NULL), 0);
	assert_int_equal(k2k_registry_close(&f.admin), 0);
	assert_int_equal(k2k_registry_destroy(f.name, K2K_DESTROY_FORCE, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, NULL), K2K_EFENCED);
	/* the handle knows */
	assert_int_equal(k2k_audit_wait(f.broker, &cursor, UINT64_MAX), K2K_EFENCED);
	assert_int_equal(k2k_quota_check(f.broker, 0, no_tag, 1, &v), K2K_EFENCED);
	assert_int_equal(k2k_message_admit(f.broker, 0, no_tag, 1, &v), K2K_EFENCED);
	assert_int_equal(k2k_message_record(f.broker, 0), K2K_EFENCED);
	assert_int_equal(k2k_usage_track(f.broker, 0, no_tag, 1), K2K_EFENCED);
	assert_int_equal(k2k_kernel_acquire(f.broker, 0, &lease, &v), K2K_EFENCED);
	assert_int_equal(k2k_kernel_release(f.broker, &kept), K2K_EFENCED);
	assert_int_equal(k2k_kernel_release_id(f.broker, 0), K2K_EFENCED);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 0, 1, &lease, &v), K2K_EFENCED);
	assert_int_equal(k2k_gpu_memory_release_id(f.broker, 0, 1), K2K_EFENCED);
	assert_int_equal(k2k_registry_close(&f.broker), 0);
}

/* ---- ids ------------------------------------------------------------------------------------- */

/* More of one bucket than the short way looks at. */
TEST(ids_are_told_apart_by_all_64_bits)
{
	enum { IDS = 2 * K2K_TENANT_NEAR };
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	k2k_tenant_id ids[IDS + 1];
	struct fixture f;
	size_t n = 0;

	options.max_tenants = IDS;
	fixture_open_sized(&f, &options);
	for (k2k_tenant_id id = 5; n <= IDS; id += UINT64_C(1) << 32)
		if (n == 0 || k2k_tenant_bucket(&f.broker->map, id) ==
		                      k2k_tenant_bucket(&f.broker->map, ids[0]))
			ids[n++] = id;
	for (size_t known = 0; known <= IDS; known++) {
		for (size_t i = 0; i <= IDS; i++) {
			int code = i < known ? 0 : K2K_ENOTENANT;

			assert_int_equal(is_registered(f.broker, ids[i]), i < known);
			assert_int_equal(k2k_message_admit(f.broker, ids[i], no_tag, 1, NULL),
			                 code);
			assert_int_equal(k2k_usage_track(f.broker, ids[i], tag_of(0, 7), 1), code);
		}
		for (size_t i = 0; i < known; i++) {
			assert_int_equal(info_of(f.broker, ids[i]).id, ids[i]);
			assert_int_equal(info_of(f.broker, ids[i]).admitted_total, known - i);
			assert_int_equal(cost_for(f.broker, ids[i], tag_of(0, 7)), known - i);
		}
		if (known < IDS)
			assert_int_equal(k2k_tenant_register(f.admin, ids[known], NULL), 0);
	}
	fixture_close(&f);
}

/* ---- peeks ----------------------------------------------------------------------------------- */

TEST(a_peek_writes_nothing_shared_whatever_it_answers)
{
	struct k2k_budget budget = { 7, 100 };
	struct k2k_quota quota = quota_standard();
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct k2k_registry *observer;
	struct fixture f;

	open_small(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_OBSERVER, NULL, &observer), 0);
	observer->clock.injected_ns = &f.clock_ns;
	quota.max_messages_per_sec = 2;
	quota.budgets = &budget;
	quota.budget_count = 1;
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 2, no_tag, 5, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 7), 100), 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, count_call, NULL), 0);
	/* in the window that is there, and where a new one is due */
	for (int second = 0; second < 3; second++) {
		struct k2k_registry *readers[] = { f.broker, f.admin, observer };

		for (int i = 0; i < 3; i++) {
			CHECK_WRITES_NOTHING(&f, k2k_quota_check(readers[i], 1, no_tag, 1, &v), 0);
			assert_int_equal(v.window, 1000 + second);
			assert_int_equal(v.used, second == 0);
			CHECK_WRITES_NOTHING(&f, k2k_quota_check(readers[i], 1, no_tag, 3, &v),
			                     K2K_ERATE);
			/* more than a whole second's */
			assert_int_equal(v.retry_after_ns, K2K_NEVER_NS);
			assert_int_equal(v.window, 1000 + second);
			CHECK_WRITES_NOTHING(&f,
			                     k2k_quota_check(readers[i], 1, tag_of(3, 7), 1, &v),
			                     K2K_EBUDGET);
			check_verdict(&v, K2K_EBUDGET, 100, 100, 0, K2K_NEVER_NS);
			CHECK_WRITES_NOTHING(&f, k2k_quota_check(readers[i], 2, no_tag, 1, &v), 0);
			assert_int_equal(v.window, 1000 + second);
			assert_int_equal(v.used, second ? 0 : 5);
			CHECK_WRITES_NOTHING(&f, k2k_quota_check(readers[i], 99, no_tag, 1, &v),
			                     K2K_ENOTENANT);
		}
		if (second == 0) {
			f.clock_ns += 400 * MS;
			CHECK_WRITES_NOTHING(&f, k2k_quota_check(f.broker, 1, no_tag, 2, &v),
			                     K2K_ERATE);
			check_verdict(&v, K2K_ERATE, 1, 2, 1, 600 * MS);
			f.clock_ns += 600 * MS;
		} else {
			f.clock_ns += SECOND;
		}
	}
	assert_int_equal(info_of(f.admin, 1).rejected_total.rate, 0);
	assert_int_equal(info_of(f.admin, 1).rejected_total.budget, 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, NULL, NULL), 0);
	assert_int_equal(sink_calls, 3 * 3 + 1); /* of the broker's own: its sink is told */
	assert_int_equal(k2k_registry_close(&observer), 0);
	fixture_close(&f);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

TEST(a_verdict_of_what_is_unlimited_says_so)
{
	struct k2k_quota unlimited = quota_unlimited();
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &unlimited), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, &v), 0);
	check_verdict(&v, 0, 1, K2K_UNLIMITED, K2K_UNLIMITED, 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, &v), 0);
	check_verdict(&v, 0, 2, K2K_UNLIMITED, K2K_UNLIMITED, 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 7, NULL, &v), 0);
	check_verdict(&v, 0, 7, K2K_UNLIMITED, K2K_UNLIMITED, 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 3, &v), 0);
	check_verdict(&v, 0, 3, K2K_UNLIMITED, K2K_UNLIMITED, 0);
	assert_int_equal(v.window, 1000);
	assert_int_equal(k2k_quota_check(f.broker, 1, no_tag, K2K_ADMIT_MAX, &v), 0);
	check_verdict(&v, 0, 3, K2K_UNLIMITED, K2K_UNLIMITED, 0);
	/* one less is a limit like any other */
	unlimited.max_concurrent_kernels--;
	unlimited.max_messages_per_sec--;
	unlimited.max_gpu_memory_bytes--;
	assert_int_equal(
		k2k_tenant_update(f.admin, 1, &unlimited,
	                          K2K_UPDATE_KERNELS | K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY),
		0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, &v), 0);
	check_verdict(&v, 0, 3, UINT32_MAX - 1, UINT32_MAX - 4, 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 3, NULL, &v), 0);
	check_verdict(&v, 0, 10, UINT64_MAX - 1, UINT64_MAX - 11, 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 3, &v), 0);
	check_verdict(&v, 0, 6, UINT64_MAX - 1, UINT64_MAX - 7, 0);
	f.clock_ns += SECOND; /* the long way says the same, though it counts as 2^33 */
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, K2K_ADMIT_MAX, &v), 0);
	check_verdict(&v, 0, K2K_ADMIT_MAX, UINT64_MAX - 1, UINT64_MAX - 1 - K2K_ADMIT_MAX, 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, K2K_ADMIT_MAX, &v), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, &v), K2K_ERATE);
	check_verdict(&v, K2K_ERATE, K2K_RATE_MAX, UINT64_MAX - 1, UINT64_MAX - 1 - K2K_RATE_MAX,
	              SECOND);
	fixture_close(&f);
}

TEST(waiting_helps_against_a_rate_only)
{
	struct k2k_budget budget = { 7, 100 };
	struct k2k_quota quota = { sizeof quota, 0, 2, 100, 1, 1, &budget };
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, &v), 0);
	check_verdict(&v, 0, 1, 1, 0, 0);
	assert_int_equal(v.window, 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, &v), K2K_EKERNELS);
	check_verdict(&v, K2K_EKERNELS, 1, 1, 0, K2K_NEVER_NS);
	assert_int_equal(v.window, 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 60, NULL, &v), 0);
	check_verdict(&v, 0, 60, 100, 40, 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 41, NULL, &v), K2K_EGPUMEM);
	check_verdict(&v, K2K_EGPUMEM, 60, 100, 40, K2K_NEVER_NS);
	/* more than there will ever be is no other case */
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 101, NULL, &v), K2K_EGPUMEM);
	check_verdict(&v, K2K_EGPUMEM, 60, 100, 40, K2K_NEVER_NS);
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 2, &v), 0);
	check_verdict(&v, 0, 2, 2, 0, 0);
	f.clock_ns += 1;
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, &v), K2K_ERATE);
	check_verdict(&v, K2K_ERATE, 2, 2, 0, SECOND - 1);
	assert_int_equal(k2k_message_admit(f.broker, 99, no_tag, 1, &v), K2K_ENOTENANT);
	check_verdict(&v, K2K_ENOTENANT, 0, 0, 0, K2K_NEVER_NS);
	fixture_close(&f);
}

TEST(a_budget_is_used_up_by_its_last_nanosecond)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_budget_set(f.admin, 1, 7, 100), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 7), 99), 0);
	assert_int_equal(k2k_quota_check(f.broker, 1, tag_of(0, 7), 1, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(0, 7), 1, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(0, 7), 1), 0);
	assert_int_equal(k2k_quota_check(f.broker, 1, tag_of(0, 7), 1, &v), K2K_EBUDGET);
	check_verdict(&v, K2K_EBUDGET, 100, 100, 0, K2K_NEVER_NS);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(0, 7), 1, &v), K2K_EBUDGET);
	check_verdict(&v, K2K_EBUDGET, 100, 100, 0, K2K_NEVER_NS);
	assert_int_equal(k2k_budget_set(f.admin, 1, 7, 101), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(0, 7), 1, NULL), 0);
	/* another tenant's cost of the same engagement is not this one's */
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(0, 7), 1000), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(0, 7), 1, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 2, tag_of(0, 7), 1, NULL), 0);
	fixture_close(&f);
}

/* ---- every total ----------------------------------------------------------------------------- */

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/*
 * 11 admitted; rejected: 1 by rate, 2 by budget, 3 by kernels, 4 by memory; 120 + 30 ns booked, 9
 * unattributed; holds 2 and 60.
 */
static void use_everything(struct fixture *f, k2k_tenant_id id)
{
	struct k2k_budget budget = { 7, 100 };
	struct k2k_quota quota = { sizeof quota, 0, 12, 100, 2, 1, &budget };

	assert_int_equal(k2k_tenant_register(f->admin, id, &quota), 0);
	assert_int_equal(k2k_message_admit(f->broker, id, no_tag, 4, NULL), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(k2k_message_record(f->broker, id), 0);
	assert_int_equal(k2k_message_admit(f->broker, id, no_tag, 7, NULL), K2K_ERATE);
	assert_int_equal(k2k_message_admit(f->broker, id, no_tag, 5, NULL), 0);
	assert_int_equal(k2k_usage_track(f->broker, id, tag_of(1, 7), 120), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(k2k_message_admit(f->broker, id, tag_of(1, 7), 1, NULL),
		                 K2K_EBUDGET);
	assert_int_equal(k2k_usage_track(f->broker, id, tag_of(1, 8), 30), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(k2k_kernel_acquire(f->broker, id, NULL, NULL),
		                 i < 2 ? 0 : K2K_EKERNELS);
	assert_int_equal(k2k_gpu_memory_acquire(f->broker, id, 60, NULL, NULL), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(k2k_gpu_memory_acquire(f->broker, id, 41, NULL, NULL),
		                 K2K_EGPUMEM);
	/* as where the ledger could not book it */
	f->broker->map.cells_cold[f->broker->map.sizes.tenants - 1].unattributed_ns += 9;
}

static void check_everything(const struct fixture *f, k2k_tenant_id id,
                             const struct k2k_tenant_info *before)
{
	struct k2k_tenant_info info = info_of(f->admin, id);

	assert_int_equal(info.id, id);
	assert_int_equal(info.admitted_total, 11);
	assert_int_equal(info.messages_this_second, 11);
	assert_int_equal(info.window, 1000);
	assert_int_equal(info.rejected_total.rate, 1);
	assert_int_equal(info.rejected_total.budget, 2);
	assert_int_equal(info.rejected_total.kernels, 3);
	assert_int_equal(info.rejected_total.gpu_memory, 4);
	assert_int_equal(info.unattributed_ns, 9);
	assert_int_equal(info.kernels, 2);
	assert_int_equal(info.gpu_memory_bytes, 60);
	assert_int_equal(info.generation, before->generation);
	assert_int_equal(info.registered_at_ns, before->registered_at_ns);
	assert_int_equal(cost_for(f->admin, id, tag_of(0, 7)), 120);
	assert_int_equal(cost_for(f->admin, id, tag_of(0, 8)), 30);
}

/* One place for tenants: it is the last one, too. */
static void open_single(struct fixture *f)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = 1;
	fixture_open_sized(f, &options);
}

/* Of tenant 1; 0: none. */
static uint64_t budget_of(const struct fixture *f, uint64_t engagement)
{
	struct k2k_budget_info list[4] = { { .size = sizeof list[0] } };
	size_t count;

	assert_int_equal(k2k_budget_list(f->admin, 1, list, 4, &count), 0);
	assert_true(count <= 4);
	for (size_t i = 0; i < count; i++)
		if (list[i].engagement_id == engagement)
			return list[i].budget_ns;
	return 0;
}

TEST(a_change_keeps_every_total_and_the_time_of_registration)
{
	struct k2k_budget budgets[] = { { 7, K2K_UNLIMITED }, { 9, 5 } };
	struct k2k_quota quota = { sizeof quota, 0, 20, 200, 5, 2, budgets };
	uint64_t from = realtime_ns(), to;
	struct k2k_tenant_info before;
	struct fixture f;

	open_single(&f);
	use_everything(&f, 1);
	to = realtime_ns();
	before = info_of(f.admin, 1);
	assert_true(before.registered_at_ns >= from && before.registered_at_ns <= to);
	assert_int_equal(before.max_messages_per_sec, 12);
	assert_int_equal(before.max_gpu_memory_bytes, 100);
	assert_int_equal(before.max_concurrent_kernels, 2);
	assert_int_equal(before.budget_count, 1);
	check_everything(&f, 1, &before);
	for (uint32_t mask = 1; mask < 16; mask++) {
		struct k2k_tenant_info was = info_of(f.admin, 1), is;

		quota.max_messages_per_sec++;
		quota.max_gpu_memory_bytes++;
		quota.max_concurrent_kernels++;
		budgets[1].budget_ns++;
		assert_int_equal(k2k_tenant_update(f.admin, 1, &quota, mask), 0);
		check_everything(&f, 1, &before);
		is = info_of(f.admin, 1);
		/* what is named, and no more */
		assert_int_equal(is.max_messages_per_sec, mask & K2K_UPDATE_RATE
		                                                  ? quota.max_messages_per_sec
		                                                  : was.max_messages_per_sec);
		assert_int_equal(is.max_gpu_memory_bytes, mask & K2K_UPDATE_GPU_MEMORY
		                                                  ? quota.max_gpu_memory_bytes
		                                                  : was.max_gpu_memory_bytes);
		assert_int_equal(is.max_concurrent_kernels, mask & K2K_UPDATE_KERNELS
		                                                    ? quota.max_concurrent_kernels
		                                                    : was.max_concurrent_kernels);
		assert_int_equal(budget_of(&f, 9),
		                 mask & K2K_UPDATE_BUDGETS ? budgets[1].budget_ns : 0);
		assert_int_equal(budget_of(&f, 7), mask < K2K_UPDATE_BUDGETS ? 100 : 0);
	}
	assert_int_equal(k2k_budget_set(f.admin, 1, 8, 1), 0);
	check_everything(&f, 1, &before);
	assert_int_equal(k2k_budget_unset(f.admin, 1, 8), 0);
	check_everything(&f, 1, &before);
	/* the window that is over counts as unused, and its second is that of the clock */
	f.clock_ns += 5 * SECOND;
	assert_int_equal(info_of(f.admin, 1).window, 1005);
	assert_int_equal(info_of(f.admin, 1).messages_this_second, 0);
	assert_int_equal(info_of(f.admin, 1).admitted_total, 11);
	/* registered anew: at another time */
	assert_int_equal(k2k_tenant_deregister(f.admin, 1,
	                                       &(struct k2k_tenant_totals){
						       .size = sizeof(struct k2k_tenant_totals) }),
	                 0);
	to = realtime_ns();
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_true(info_of(f.admin, 1).registered_at_ns >= to);
	fixture_close(&f);
}

static struct reader r;

static void check_values(uint32_t kind, const uint64_t *values, size_t count)
{
	const struct k2k_audit_record *e = reader_need(&r, kind, 0);

	for (size_t i = 0; i < K2K_AUDIT_VALUES; i++)
		if (e->values[i] != (i < count ? values[i] : 0))
			fail_msg("%s: value %zu is %" PRIu64, k2k_audit_kind_name(kind), i,
			         e->values[i]);
}

TEST(final_totals_are_all_that_was_counted)
{
	static const uint64_t deregistered[] = { 11, 1, 2, 3, 4, 0, 9 },
			      final[] = { 11, 1, 2, 3, 4, 150, 9, 2, 60 };
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_tenant_info before;
	struct fixture f;

	open_single(&f);
	use_everything(&f, 1);
	before = info_of(f.admin, 1);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_int_equal(totals.id, 1);
	assert_int_equal(totals.generation, before.generation);
	assert_int_equal(totals.admitted_total, 11);
	assert_int_equal(totals.rejected_total.rate, 1);
	assert_int_equal(totals.rejected_total.budget, 2);
	assert_int_equal(totals.rejected_total.kernels, 3);
	assert_int_equal(totals.rejected_total.gpu_memory, 4);
	assert_int_equal(totals.gpu_ns_total, 150);
	assert_int_equal(totals.unattributed_ns, 9);
	assert_int_equal(totals.kernels, 2);
	assert_int_equal(totals.gpu_memory_bytes, 60);
	reader_open(&r, f.admin);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	check_values(K2K_AUDIT_KIND_DEREGISTER, deregistered, 7);
	check_values(K2K_AUDIT_KIND_FINAL_TOTALS, final, 9);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_FINAL_TOTALS, 0)->tenant, 1);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_FINAL_TOTALS, 0)->generation,
	                 before.generation);
	fixture_close(&f);
}

TEST(a_place_keeps_nothing_of_the_tenant_before)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_quota quota = { sizeof quota, 0, 1, 100, 2, 0, NULL };
	struct k2k_tenant_info info;
	struct fixture f;
	size_t count;

	open_single(&f);
	use_everything(&f, 1);
	/* its window begins at 11 messages, in the same second as the next one's */
	f.clock_ns += SECOND;
	assert_int_equal(k2k_message_record(f.broker, 1), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, &totals), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, &quota), 0);
	info = info_of(f.admin, 2);
	assert_int_equal(info.admitted_total, 0);
	assert_int_equal(info.messages_this_second, 0);
	assert_int_equal(info.rejected_total.rate, 0);
	assert_int_equal(info.rejected_total.budget, 0);
	assert_int_equal(info.rejected_total.kernels, 0);
	assert_int_equal(info.rejected_total.gpu_memory, 0);
	assert_int_equal(info.unattributed_ns, 0);
	assert_int_equal(info.kernels, 0);
	assert_int_equal(info.gpu_memory_bytes, 0);
	assert_int_equal(info.budget_count, 0);
	assert_int_equal(k2k_usage_list(f.admin, 0, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(k2k_budget_list(f.admin, 0, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(k2k_lease_list(f.admin, 0, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(cost_for(f.broker, 2, tag_of(0, 7)), 0);
	/* no budget of the one before */
	assert_int_equal(k2k_message_admit(f.broker, 2, tag_of(0, 7), 1, NULL), 0);
	assert_int_equal(k2k_kernel_release_id(f.broker, 2), K2K_ENOTHELD);
	assert_int_equal(k2k_gpu_memory_release_id(f.broker, 2, 1), K2K_ENOTHELD);
	for (int i = 0; i < 2; i++)
		assert_int_equal(k2k_kernel_acquire(f.broker, 2, NULL, NULL), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 2, 100, NULL, NULL), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 2, &totals), 0);
	assert_int_equal(totals.admitted_total, 1);
	assert_int_equal(totals.rejected_total.rate + totals.rejected_total.budget, 0);
	assert_int_equal(totals.rejected_total.kernels + totals.rejected_total.gpu_memory, 0);
	assert_int_equal(totals.gpu_ns_total, 0);
	assert_int_equal(totals.unattributed_ns, 0);
	assert_int_equal(totals.kernels, 2);
	assert_int_equal(totals.gpu_memory_bytes, 100);
	fixture_close(&f);
}

TEST(an_engagement_costs_what_registered_tenants_have_booked)
{
	struct k2k_usage_info list[20] = { { .size = sizeof list[0] } };
	struct fixture f;
	uint64_t ns;
	size_t count;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(1, 7), 100), 0);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(2, 7), 30), 0);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(2, 8), 4), 0);
	assert_int_equal(cost(f.broker, tag_of(0, 7)), 130);
	/* the organisation is no part of the key, whatever other engagements there are */
	for (uint64_t other = 0; other < 16; other++)
		assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(5, 100 + other), 0), 0);
	for (uint64_t org = 0; org < 16; org++)
		assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(org, 107), 1), 0);
	assert_int_equal(cost_for(f.broker, 1, tag_of(9, 107)), 16);
	assert_int_equal(cost(f.broker, tag_of(9, 107)), 16);
	/* at once, not only when its records are used again */
	assert_int_equal(k2k_tenant_deregister(f.admin, 2, NULL), 0);
	assert_int_equal(cost(f.broker, tag_of(0, 7)), 100);
	assert_int_equal(cost(f.broker, tag_of(0, 8)), 0);
	assert_int_equal(k2k_usage_engagement_for(f.broker, 2, tag_of(0, 7), &ns), K2K_ENOTENANT);
	assert_int_equal(k2k_usage_list(f.admin, 0, list, 20, &count), 0);
	assert_int_equal(count, 1 + 16);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(list[i].id, 1);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	assert_int_equal(cost(f.broker, tag_of(0, 7)), 100);
	assert_int_equal(cost_for(f.broker, 2, tag_of(0, 7)), 0);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(2, 7), 1), 0);
	assert_int_equal(cost(f.broker, tag_of(0, 7)), 101);
	fixture_close(&f);
}

/* ---- events ---------------------------------------------------------------------------------- */

TEST(repeats_of_each_rejection_are_coalesced_exactly)
{
	static const struct {
		uint32_t kind;
		uint64_t count;
	} expected[] = { { K2K_AUDIT_KIND_RATE, 5 },
		         { K2K_AUDIT_KIND_BUDGET, 7 },
		         { K2K_AUDIT_KIND_KERNELS, 11 },
		         { K2K_AUDIT_KIND_GPU_MEMORY, 13 },
		         { K2K_AUDIT_KIND_UNKNOWN_TENANT, 17 } };
	struct k2k_audit_stats stats = { .size = sizeof stats };
	struct k2k_budget budget = { 7, 0 };
	struct k2k_quota quota = { sizeof quota, 0, 1, 100, 0, 1, &budget };
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, count_call, NULL), 0);
	for (int i = 0; i < 17; i++) {
		if (i < 5)
			assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 2, NULL),
			                 K2K_ERATE);
		if (i < 7)
			assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(3, 7), 1, NULL),
			                 K2K_EBUDGET);
		if (i < 11)
			assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), K2K_EKERNELS);
		if (i < 13)
			assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 101, NULL, NULL),
			                 K2K_EGPUMEM);
		assert_int_equal(k2k_kernel_acquire(f.broker, 9, NULL, NULL), K2K_ENOTENANT);
	}
	reader_open(&r, f.broker);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(k2k_audit_stats(f.admin, &stats), 0);
	for (size_t i = 0; i < K2K_COUNT_OF(expected); i++) {
		assert_int_equal(reader_need(&r, expected[i].kind, 0)->count, expected[i].count);
		assert_false(reader_find(&r, expected[i].kind, 1));
		assert_int_equal(stats.written[expected[i].kind], 1);
		assert_int_equal(stats.coalesced[expected[i].kind], expected[i].count - 1);
	}
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, NULL, NULL), 0);
	assert_int_equal(sink_calls, 5 + 7 + 11 + 13 + 17);
	fixture_close(&f);
}

/*
 * Stays in a read section of the broker's process until a registration was begun: so its first
 * attempt finds the budgets full.
 */
static void *hold_up(void *fixture)
{
	const struct fixture *f = fixture;
	uint64_t generation = f->broker->map.defs->generation;

	assert_int_equal(k2k_enter(f->broker, K2K_GATE_BROKER), 0);
	gate_open(&held_up);
	WAIT_UNTIL(f->broker->map.defs->generation != generation, 10);
	k2k_read_unlock();
	return NULL;
}

TEST(an_attempt_that_waits_for_room_is_told_once)
{
	struct k2k_budget budgets[] = { { 1, 10 }, { 2, 20 } };
	struct k2k_quota quota = { sizeof quota, 0, 1, 1, 1, 2, budgets };
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct fixture f;
	pthread_t reader;

	options.max_budgets = 3;
	fixture_open_sized(&f, &options);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	gate_make(&held_up);
	assert_int_equal(pthread_create(&reader, NULL, hold_up, &f), 0);
	gate_wait(&held_up);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, &quota), 0);
	assert_int_equal(pthread_join(reader, NULL), 0);
	assert_true(info_of(f.admin, 2).generation > 2); /* it took more than one attempt */
	reader_open(&r, f.admin);
	reader_take(&r, 0);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_REGISTER, 1)->values[3], 2);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 2)->tag.engagement_id, 1);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 3)->tag.engagement_id, 2);
	assert_true(!reader_find(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 4));
	fixture_close(&f);
}

TEST(info_says_whether_there_is_a_sink)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_registry_info(f.broker, &info), 0);
	assert_int_equal(info.flags, 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, count_call, NULL), 0);
	assert_int_equal(k2k_registry_info(f.broker, &info), 0);
	assert_int_equal(info.flags, K2K_INFO_AUDIT_SINK);
	/* of this handle; and a struct is used again as it was filled */
	assert_int_equal(k2k_registry_info(f.admin, &info), 0);
	assert_int_equal(info.flags, 0);
	assert_int_equal(k2k_registry_info(f.broker, &info), 0);
	assert_int_equal(info.flags, K2K_INFO_AUDIT_SINK);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, NULL, NULL), 0);
	assert_int_equal(k2k_registry_info(f.broker, &info), 0);
	assert_int_equal(info.flags, 0);
	info.flags = 1u << 2;
	assert_int_equal(k2k_registry_info(f.broker, &info), K2K_EINVAL);
	fixture_close(&f);
}
