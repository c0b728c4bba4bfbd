/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_parity.c - what the single-process registry did and no other unit test covers: tenant 0,
 * peeks, verdicts, events (totals: unit_parity_totals.c)
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

/* Reads shared memory while the agent writes its word there: a race that is meant. */
#define UNORDERED __attribute__((no_sanitize("thread")))

UNORDERED static void copy_bytes(unsigned char *to, const volatile void *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i] = ((const volatile unsigned char *)from)[i];
}

/*
 * Copies all bytes once the broker's helper has answered its requests: from then on the helper
 * writes nothing by itself.
 */
static struct bytes bytes_take(const struct fixture *f)
{
	const struct k2k_registry *reg = f->broker;
	struct bytes copy = { malloc(reg->defs.bytes), malloc(reg->live.bytes) };

	assert_true(copy.defs && copy.live);
	WAIT_UNTIL(reg->map.slots[reg->broker.slot].ack == reg->map.defs->grace_token, PATIENCE_S);
	copy_bytes(copy.defs, reg->map.defs, reg->defs.bytes);
	copy_bytes(copy.live, reg->map.live, reg->live.bytes);
	return copy;
}

/* The broker's agent writes these words once a second. */
static bool is_agents(const char *object, size_t byte)
{
	return strcmp(object, "live") == 0 &&
	       (byte / 4 == offsetof(struct k2k_shm_live, deaths_second) / 4 ||
	        byte / 4 == offsetof(struct k2k_shm_live, alerts_second) / 4);
}

UNORDERED static void bytes_compare(const char *what, const char *object, unsigned char *before,
                                    const void *now, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (before[i] != ((const volatile unsigned char *)now)[i] && !is_agents(object, i))
			fail_msg("%s: byte %zu of %s was changed", what, i, object);
	free(before);
}

/* Compares, and frees the copy. */
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

/* Small tables, because all bytes are compared. */
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
	/* The thread's first call, the fast path, a new second. */
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

/*
 * The tables are not even read: their pages are made unreadable. The broker's helper reads none of
 * these.
 */
TEST(tenant_zero_is_answered_without_a_look_at_the_tables)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct k2k_lease lease = K2K_LEASE_INIT;
	struct k2k_map kept;
	struct fixture f;
	void *nothing;

	open_small(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	/* From now on the thread takes the fast path. */
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, NULL), 0);
	nothing = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(nothing != MAP_FAILED);
	/* No other thread of the handle reads the map meanwhile. */
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

/* More ids of one bucket than the fast path searches. */
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
	/* In the current window, and when a new one is due. */
	for (int second = 0; second < 3; second++) {
		struct k2k_registry *readers[] = { f.broker, f.admin, observer };

		for (int i = 0; i < 3; i++) {
			CHECK_WRITES_NOTHING(&f, k2k_quota_check(readers[i], 1, no_tag, 1, &v), 0);
			assert_int_equal(v.window, 1000 + second);
			assert_int_equal(v.used, second == 0);
			CHECK_WRITES_NOTHING(&f, k2k_quota_check(readers[i], 1, no_tag, 3, &v),
			                     K2K_ERATE);
			/* The request is larger than a whole second's limit. */
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
	/* A peek through the broker's own handle: its sink receives it. */
	assert_int_equal(sink_calls, 3 * 3 + 1);
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
	/* One less than unlimited is a limit like any other. */
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
	f.clock_ns += SECOND; /* the slow path answers the same, though it counts 2^33 */
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
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 2,
		                   .max_gpu_memory_bytes = 100,
		                   .max_concurrent_kernels = 1,
		                   .budget_count = 1,
		                   .budgets = &budget };
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
	/* A request above the limit itself is rejected in the same way. */
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
	/* Another tenant's cost of the same engagement is not counted for this one. */
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(0, 7), 1000), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(0, 7), 1, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 2, tag_of(0, 7), 1, NULL), 0);
	fixture_close(&f);
}

/* ---- events ---------------------------------------------------------------------------------- */

static struct reader r;

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
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 1,
		                   .max_gpu_memory_bytes = 100,
		                   .max_concurrent_kernels = 0,
		                   .budget_count = 1,
		                   .budgets = &budget };
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
 * Stays in a read section of the broker's process until a registration has begun, so that the
 * registration's first attempt finds the budgets full.
 */
static void *hold_up(void *fixture)
{
	const struct fixture *f = fixture;
	uint64_t generation = f->broker->map.defs->generation;

	assert_int_equal(k2k_enter(f->broker, K2K_GATE_BROKER), 0);
	gate_open(&held_up);
	WAIT_UNTIL(f->broker->map.defs->generation != generation, PATIENCE_S);
	k2k_read_unlock();
	return NULL;
}

TEST(an_attempt_that_waits_for_room_is_told_once)
{
	struct k2k_budget budgets[] = { { 1, 10 }, { 2, 20 } };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 1,
		                   .max_gpu_memory_bytes = 1,
		                   .max_concurrent_kernels = 1,
		                   .budget_count = 2,
		                   .budgets = budgets };
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
	/* The flag is that of this handle; a struct that was filled can be used again. */
	assert_int_equal(k2k_registry_info(f.admin, &info), 0);
	assert_int_equal(info.flags, 0);
	assert_int_equal(k2k_registry_info(f.broker, &info), 0);
	assert_int_equal(info.flags, K2K_INFO_AUDIT_SINK);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, NULL, NULL), 0);
	assert_int_equal(k2k_registry_info(f.broker, &info), 0);
	assert_int_equal(info.flags, 0);
	info.flags = 1u << 31;
	assert_int_equal(k2k_registry_info(f.broker, &info), K2K_EINVAL);
	fixture_close(&f);
}
