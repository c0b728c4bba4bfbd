/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_trail.c - the audit trail in one process: every kind, repeats, overwriting, half-written
 * events.
 */
#include "registry_fixture.h"
#include "trail_reader.h"

#include "ring.h"
#include "trail.h"

static struct reader r;

static void open_small(struct fixture *f, uint64_t events)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_audit_events = events;
	fixture_open_sized(f, &options);
}

/* The helper closes the events of a second that is over. */
static void next_second(struct fixture *f)
{
	atomic_fetch_add(&f->clock_ns, SECOND);
}

static void cross(struct fixture *f, const char *source, const char *destination)
{
	assert_int_equal(k2k_audit_cross_tenant(f->broker, 1, 2, source, destination, tag_of(3, 4)),
	                 0);
}

/* The broker's ring of cross-tenant attempts. */
static uint32_t security_ring(const struct fixture *f)
{
	return K2K_AUDIT_RING_SECURITY + f->broker->broker.slot;
}

/* ---- every kind ---------------------------------------------------------------------------- */

static void check_rejection(uint32_t kind, int code, enum k2k_audit_level level,
                            enum k2k_audit_type type, const char *actor, k2k_tenant_id tenant,
                            uint64_t used, uint64_t limit, uint64_t count, struct fixture *f)
{
	const struct k2k_audit_record *e = reader_need(&r, kind, 0);

	assert_int_equal(e->code, code);
	assert_int_equal(e->level, level);
	assert_int_equal(e->type, type);
	assert_string_equal(e->actor, actor);
	assert_int_equal(e->tenant, tenant);
	assert_int_equal(e->used, used);
	assert_int_equal(e->limit, limit);
	assert_int_equal(e->count, count);
	assert_int_equal(e->ring, kind == K2K_AUDIT_KIND_CROSS_TENANT ? security_ring(f)
	                                                              : f->broker->broker.slot);
	assert_int_equal(e->pid, getpid());
	assert_int_equal(e->incarnation, f->broker->broker.incarnation);
	assert_int_equal(e->flags, 0);
	assert_int_equal(e->size, sizeof *e);
	for (int i = 0; i < K2K_AUDIT_VALUES; i++)
		assert_int_equal(e->values[i], 0);
	if (reader_find(&r, kind, 1))
		fail_msg("two events of kind %s", k2k_audit_kind_name(kind));
}

TEST(each_rejection_is_an_event_with_its_fields)
{
	struct k2k_quota quota = quota_of(5, 100, 1, 1, &(struct k2k_budget){ 7, 1000 });
	struct k2k_lease kept = K2K_LEASE_INIT;
	struct fixture f;
	const struct k2k_audit_record *e;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, &quota), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, &quota), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(3, 8), 5, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(3, 8), 2, NULL), K2K_ERATE);
	assert_int_equal(k2k_usage_track(f.broker, 2, tag_of(3, 7), 1500), 0);
	assert_int_equal(k2k_message_admit(f.broker, 2, tag_of(3, 7), 1, NULL), K2K_EBUDGET);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, &kept, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 101, NULL, NULL), K2K_EGPUMEM);
	assert_int_equal(k2k_message_admit(f.broker, 99, tag_of(3, 7), 1, NULL), K2K_ENOTENANT);
	assert_int_equal(k2k_usage_track(f.broker, 99, tag_of(3, 7), 1), K2K_ENOTENANT);
	cross(&f, "gemm", "softmax");
	next_second(&f);
	reader_open(&r, f.broker);
	reader_take_all(&r);
	check_rejection(K2K_AUDIT_KIND_RATE, K2K_ERATE, K2K_AUDIT_WARNING,
	                K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED, "k2k_tenant_registry", 1, 5, 5, 1, &f);
	check_rejection(K2K_AUDIT_KIND_BUDGET, K2K_EBUDGET, K2K_AUDIT_WARNING,
	                K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED, "k2k_tenant_registry", 2, 1500, 1000, 1,
	                &f);
	check_rejection(K2K_AUDIT_KIND_KERNELS, K2K_EKERNELS, K2K_AUDIT_WARNING,
	                K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED, "k2k_tenant_registry", 1, 1, 1, 2, &f);
	check_rejection(K2K_AUDIT_KIND_GPU_MEMORY, K2K_EGPUMEM, K2K_AUDIT_WARNING,
	                K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED, "k2k_tenant_registry", 1, 0, 100, 1, &f);
	check_rejection(K2K_AUDIT_KIND_UNKNOWN_TENANT, K2K_ENOTENANT, K2K_AUDIT_WARNING,
	                K2K_AUDIT_AUTHORIZATION_CHECK, "k2k_tenant_registry", 99, 0, 0, 2, &f);
	check_rejection(K2K_AUDIT_KIND_CROSS_TENANT, 0, K2K_AUDIT_SECURITY,
	                K2K_AUDIT_SECURITY_VIOLATION, "k2k_broker", 1, 0, 0, 1, &f);
	e = reader_need(&r, K2K_AUDIT_KIND_CROSS_TENANT, 0);
	assert_int_equal(e->to, 2);
	assert_int_equal(e->tag.org_id, 3);
	assert_int_equal(e->tag.engagement_id, 4);
	assert_string_equal(e->source, "gemm");
	assert_string_equal(e->destination, "softmax");
	e = reader_need(&r, K2K_AUDIT_KIND_RATE, 0);
	assert_int_equal(e->tag.org_id, 3);
	assert_int_equal(e->tag.engagement_id, 8);
	fixture_close(&f);
}

static void check_change(uint32_t kind, size_t number, k2k_tenant_id tenant, uint64_t generation,
                         const uint64_t *values, size_t count)
{
	const struct k2k_audit_record *e = reader_need(&r, kind, number);

	assert_int_equal(e->level, K2K_AUDIT_INFO);
	assert_int_equal(e->type, K2K_AUDIT_CONFIGURATION_CHANGE);
	assert_string_equal(e->actor, "tests of the trail");
	assert_int_equal(e->tenant, tenant);
	assert_int_equal(e->generation, generation);
	assert_int_equal(e->ring, K2K_AUDIT_RING_ADMIN);
	assert_int_equal(e->pid, getpid());
	assert_int_equal(e->incarnation, 0);
	assert_int_equal(e->count, 1);
	assert_int_equal(e->flags, 0);
	for (size_t i = 0; i < K2K_AUDIT_VALUES; i++)
		if (e->values[i] != (i < count ? values[i] : 0))
			fail_msg("%s: value %zu is %" PRIu64, k2k_audit_kind_name(kind), i,
			         e->values[i]);
}

#define CHECK_CHANGE(kind, number, tenant, generation, ...)                               \
	check_change(kind, number, tenant, generation, (const uint64_t[]){ __VA_ARGS__ }, \
	             sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8)

TEST(each_change_is_an_event_with_its_fields)
{
	struct k2k_quota quota = quota_of(500, 4096, 3, 1, &(struct k2k_budget){ 7, 1000 });
	struct k2k_open_options options = { .size = sizeof options, .actor = "tests of the trail" };
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	struct k2k_registry *admin;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_ADMIN, &options, &admin), 0);
	assert_int_equal(k2k_tenant_register(admin, 1, &quota), 0);
	quota.max_messages_per_sec = 2;
	assert_int_equal(k2k_tenant_update(admin, 1, &quota, K2K_UPDATE_RATE), 0);
	assert_int_equal(k2k_budget_set(admin, 1, 9, 77), 0);
	assert_int_equal(k2k_budget_unset(admin, 1, 9), 0);
	assert_int_equal(k2k_tenant_register(admin, 1, &quota), K2K_EEXIST);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(1, 2), 2, NULL), 0);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(1, 2), 1, NULL), K2K_ERATE);
	assert_int_equal(k2k_usage_track(f.broker, 1, tag_of(1, 2), 12345), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 1, NULL, NULL), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, 1, 96, NULL, NULL), 0);
	assert_int_equal(k2k_tenant_deregister(admin, 1, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_int_equal(k2k_tenant_register(admin, 2, NULL), 0);
	assert_int_equal(k2k_tenant_deregister(admin, 2, NULL), 0);
	assert_int_equal(k2k_registry_repair(admin, &repaired), 0);
	next_second(&f);
	/* One call, once all events are closed, returns them in order of time. */
	WAIT_UNTIL((reader_open(&r, f.admin), reader_take(&r, 0), r.cursor.waiting == 0),
	           PATIENCE_S);
	CHECK_CHANGE(K2K_AUDIT_KIND_REGISTER, 0, 1, 1, 500, 4096, 3, 1, 15);
	CHECK_CHANGE(K2K_AUDIT_KIND_BUDGET_CHANGE, 0, 1, 1, K2K_RENEWAL_NEVER);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 0)->tag.engagement_id, 7);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 0)->limit, 1000);
	CHECK_CHANGE(K2K_AUDIT_KIND_UPDATE, 0, 1, 1, 2, 0, 0, 0, K2K_UPDATE_RATE);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 1)->tag.engagement_id, 9);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 1)->limit, 77);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 2)->limit, K2K_UNLIMITED);
	CHECK_CHANGE(K2K_AUDIT_KIND_DEREGISTER, 0, 1, 1, 2, 1);
	CHECK_CHANGE(K2K_AUDIT_KIND_FINAL_TOTALS, 0, 1, 1, 2, 1, 0, 0, 0, 12345, 0, 1, 96);
	CHECK_CHANGE(K2K_AUDIT_KIND_REGISTER, 1, 2, 2, 100000, UINT64_C(2147483648), 16, 0, 15);
	CHECK_CHANGE(K2K_AUDIT_KIND_DEREGISTER, 1, 2, 2, 0);
	/* Whether repair counts the second tenant depends on its grace period. */
	CHECK_CHANGE(K2K_AUDIT_KIND_REPAIR, 0, 0, 0, repaired.tenants, repaired.budgets,
	             repaired.engagements, repaired.leases, repaired.brokers);
	/*
	 * 1 created, 2 register, 3 budget_change, 1 update, 2 deregister, 1 final_totals, 1 repair,
	 * 1 rate: and no other
	 */
	assert_int_equal(r.count, 12);
	for (size_t i = 1; i < r.count; i++)
		assert_true(r.records[i].monotonic_ns >= r.records[i - 1].monotonic_ns);
	assert_int_equal(k2k_registry_close(&admin), 0);
	fixture_close(&f);
}

/* The sink receives the same: unit_audit.c. */
TEST(an_event_tells_what_differs_from_what_was_in_force)
{
	struct k2k_budget budgets[] = { { 9, 7 }, { 5, 1000 },          { 8, K2K_UNLIMITED },
		                        { 6, 1 }, { 9, K2K_UNLIMITED }, { 6, 60 } };
	struct k2k_open_options options = { .size = sizeof options, .actor = "tests of the trail" };
	struct k2k_quota quota = quota_of(5, 100, 1, 6, budgets);
	struct k2k_registry *admin;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_ADMIN, &options, &admin), 0);
	assert_int_equal(k2k_tenant_register(admin, 1, &quota), 0);
	assert_int_equal(k2k_tenant_update(admin, 1, &quota, 15), 0);
	assert_int_equal(k2k_budget_set(admin, 1, 6, 60), 0);
	reader_open(&r, admin);
	reader_take_all(&r);
	assert_int_equal(r.count, 4); /* including the creation */
	CHECK_CHANGE(K2K_AUDIT_KIND_REGISTER, 0, 1, 1, 5, 100, 1, 2, 15);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 0)->tag.engagement_id, 5);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 0)->limit, 1000);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 1)->tag.engagement_id, 6);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 1)->limit, 60);
	quota.max_gpu_memory_bytes = 101;
	budgets[1].budget_ns = K2K_UNLIMITED;
	budgets[5].budget_ns = 61;
	assert_int_equal(k2k_tenant_update(admin, 1, &quota, 15), 0);
	quota.max_messages_per_sec = 6;
	assert_int_equal(k2k_tenant_update(admin, 1, &quota, 15), 0);
	quota.max_concurrent_kernels = 2;
	assert_int_equal(
		k2k_tenant_update(admin, 1, &quota, K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY), 0);
	assert_int_equal(k2k_tenant_update(admin, 1, &quota, 15), 0);
	reader_take_all(&r);
	assert_int_equal(r.count, 5);
	CHECK_CHANGE(K2K_AUDIT_KIND_UPDATE, 0, 1, 1, 0, 101, 0, 2,
	             K2K_UPDATE_GPU_MEMORY | K2K_UPDATE_BUDGETS);
	CHECK_CHANGE(K2K_AUDIT_KIND_BUDGET_CHANGE, 0, 1, 1, K2K_RENEWAL_NEVER);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 0)->tag.engagement_id, 5);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 0)->limit, K2K_UNLIMITED);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 1)->tag.engagement_id, 6);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BUDGET_CHANGE, 1)->limit, 61);
	CHECK_CHANGE(K2K_AUDIT_KIND_UPDATE, 1, 1, 1, 6, 0, 0, 0, K2K_UPDATE_RATE);
	CHECK_CHANGE(K2K_AUDIT_KIND_UPDATE, 2, 1, 1, 0, 0, 2, 0, K2K_UPDATE_KERNELS);
	assert_int_equal(k2k_registry_close(&admin), 0);
	fixture_close(&f);
}

TEST(creation_and_destruction_are_told_and_the_last_event_can_be_read_afterwards)
{
	struct k2k_create_options sizes = K2K_CREATE_OPTIONS_INIT;
	struct k2k_open_options options = { .size = sizeof options, .actor = "who destroys" };
	const char *name = fresh_registry();
	struct k2k_registry *observer;
	size_t count;

	sizes.max_tenants = 16;
	sizes.max_engagements = 32;
	sizes.max_leases = 48;
	sizes.max_budgets = 64;
	sizes.max_audit_events = 100;
	assert_int_equal(k2k_registry_create(name, &sizes, NULL), 0);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &observer), 0);
	reader_open(&r, observer);
	reader_take(&r, 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.records[0].kind, K2K_AUDIT_KIND_CREATED);
	assert_int_equal(r.records[0].sequence, 1);
	assert_int_equal(r.records[0].values[0], 16);
	assert_int_equal(r.records[0].values[1], 32);
	assert_int_equal(r.records[0].values[2], 48);
	assert_int_equal(r.records[0].values[3], 64);
	assert_int_equal(r.records[0].values[4], 128);
	assert_int_equal(r.records[0].values[5], 0660);
	assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, &options), 0);
	reader_take(&r, 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.records[0].kind, K2K_AUDIT_KIND_DESTROYED);
	assert_string_equal(r.records[0].actor, "who destroys");
	assert_int_equal(r.records[0].values[0], K2K_DESTROY_FORCE);
	assert_int_equal(r.records[0].values[1], 0);
	assert_int_equal(k2k_audit_read(observer, &r.cursor, 0, r.records, 1, &count), K2K_EFENCED);
	assert_int_equal(k2k_audit_wait(observer, &r.cursor, UINT64_MAX), K2K_EFENCED);
	assert_int_equal(k2k_registry_close(&observer), 0);
}

TEST(a_peek_leaves_no_event_and_its_sink_is_called_as_before)
{
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_quota_check(f.broker, 99, no_tag, 1, NULL), K2K_ENOTENANT);
	reader_open(&r, f.broker);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.records[0].kind, K2K_AUDIT_KIND_CREATED);
	fixture_close(&f);
}

/* ---- names ----------------------------------------------------------------------------------- */

TEST(names_are_cut_at_whole_characters_and_marked)
{
	char name[100], longest[100];
	struct fixture f;

	fixture_open(&f);
	memset(name, 'a', sizeof name);
	name[67] = '\0';
	memset(longest, 'b', sizeof longest);
	memcpy(longest + 66, "\xc3\xa9", 3); /* its second byte would be byte 68 */
	cross(&f, name, longest);
	reader_open(&r, f.broker);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(r.count, 2);
	assert_int_equal(r.records[1].flags, K2K_AUDIT_OPEN | K2K_AUDIT_CUT_DESTINATION);
	assert_string_equal(r.records[1].source, name);
	longest[66] = '\0';
	assert_string_equal(r.records[1].destination, longest);
	/* The part cut off is not compared: longer names would cost an event each. */
	memset(name, 'c', sizeof name);
	name[96] = '\0';
	cross(&f, name, "x");
	name[95] = 'd';
	cross(&f, name, "x");
	name[67] = '\0'; /* the same in the event, except for the truncation mark */
	cross(&f, name, "x");
	reader_open(&r, f.broker);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(r.count, 4);
	assert_int_equal(r.records[2].flags, K2K_AUDIT_OPEN | K2K_AUDIT_CUT_SOURCE);
	assert_int_equal(r.records[2].count, 2);
	assert_int_equal(strlen(r.records[2].source), 67);
	assert_int_equal(r.records[3].flags, K2K_AUDIT_OPEN);
	fixture_close(&f);
}

TEST(names_come_out_as_text)
{
	static const char *const pairs[][2] = {
		{ "tab\tbell\a", "tab?bell?" },
		{ "\x1b[31mred", "?[31mred" },
		{ "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		  "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\xc2\x9b"
		  "C1 \x7f",
		  "??C1 ?" },
		{ "\xc0\xaf \xed\xa0\x80 \xf5\x80\x80\x80 \xe2\x82", "?? ??? ???? ??" },
	};
	struct fixture f;

	fixture_open(&f);
	for (size_t i = 0; i < K2K_COUNT_OF(pairs); i++)
		cross(&f, pairs[i][0], "x");
	reader_open(&r, f.broker);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	for (size_t i = 0; i < K2K_COUNT_OF(pairs); i++)
		assert_string_equal(reader_need(&r, K2K_AUDIT_KIND_CROSS_TENANT, i)->source,
		                    pairs[i][1]);
	fixture_close(&f);
}

/* ---- repeats --------------------------------------------------------------------------------- */

TEST(repeats_of_one_second_are_one_event_with_the_exact_number)
{
	struct k2k_audit_stats stats;
	struct fixture f;

	fixture_open(&f);
	register_rate(&f, 1, 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(3, 4), 1, NULL), K2K_ERATE);
		cross(&f, "a", "b");
		cross(&f, "a", "c");
	}
	reader_open(&r, f.broker);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_RATE, 0)->flags, K2K_AUDIT_OPEN);
	/* A follower waits for the end of the second. */
	reader_open(&r, f.broker);
	reader_take(&r, 0);
	assert_false(reader_find(&r, K2K_AUDIT_KIND_RATE, 0));
	assert_int_equal(r.cursor.waiting, 1);
	next_second(&f);
	assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(3, 4), 1, NULL), K2K_ERATE);
	next_second(&f);
	reader_open(&r, f.broker);
	reader_take_all(&r);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_RATE, 0)->count, 1000);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_RATE, 1)->count, 1);
	assert_false(reader_find(&r, K2K_AUDIT_KIND_RATE, 2));
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_CROSS_TENANT, 0)->count, 1000);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_CROSS_TENANT, 1)->count, 1000);
	assert_false(reader_find(&r, K2K_AUDIT_KIND_CROSS_TENANT, 2));
	stats = stats_of(f.admin);
	assert_int_equal(stats.written[K2K_AUDIT_KIND_RATE], 2);
	assert_int_equal(stats.coalesced[K2K_AUDIT_KIND_RATE], 999);
	assert_int_equal(stats.written[K2K_AUDIT_KIND_CROSS_TENANT], 2);
	assert_int_equal(stats.coalesced[K2K_AUDIT_KIND_CROSS_TENANT], 1998);
	assert_int_equal(stats.coalesced_by_kind[K2K_AUDIT_KIND_CROSS_TENANT], 1998);
	assert_memory_equal(stats.written_by_kind, stats.written, sizeof stats.written);
	assert_int_equal(stats.newest[f.broker->broker.slot], 2);
	assert_int_equal(stats.newest[security_ring(&f)], 2);
	assert_int_equal(stats.capacity, FIXTURE_EVENTS);
	fixture_close(&f);
}

TEST(what_tells_rejections_apart_makes_events_of_their_own)
{
	struct fixture f;

	fixture_open(&f);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "a", "b", tag_of(1, 1)), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 3, 2, "a", "b", tag_of(1, 1)), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 3, "a", "b", tag_of(1, 1)), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "c", "b", tag_of(1, 1)), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "a", "c", tag_of(1, 1)), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "a", "b", tag_of(2, 1)), 0);
		assert_int_equal(k2k_audit_cross_tenant(f.broker, 1, 2, "a", "b", tag_of(1, 2)), 0);
		assert_int_equal(k2k_message_admit(f.broker, 1, tag_of(1, 1), 1, NULL),
		                 K2K_ENOTENANT);
		assert_int_equal(k2k_message_admit(f.broker, 2, tag_of(1, 1), 1, NULL),
		                 K2K_ENOTENANT);
		assert_int_equal(k2k_message_record(f.broker, 2), K2K_ENOTENANT);
	}
	next_second(&f);
	reader_open(&r, f.broker);
	reader_take_all(&r);
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_CROSS_TENANT, i)->count, 2);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_UNKNOWN_TENANT, i)->count, 2);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_UNKNOWN_TENANT, 2)->tenant, 2);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_UNKNOWN_TENANT, 2)->tag.org_id, 0);
	assert_int_equal(r.count, 11);
	fixture_close(&f);
}

TEST(close_ends_what_is_open)
{
	const struct k2k_shm_event *event;
	struct k2k_registry *broker;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &broker), 0);
	broker->clock.injected_ns = &f.clock_ns; /* its second never ends */
	for (int i = 0; i < 5; i++)
		assert_int_equal(k2k_message_admit(broker, 9, no_tag, 1, NULL), K2K_ENOTENANT);
	reader_open(&r, f.broker);
	reader_take(&r, 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.cursor.waiting, 1);
	assert_int_equal(k2k_registry_close(&broker), 0);
	reader_take(&r, 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.records[0].count, 5);
	assert_int_equal(r.cursor.waiting, 0);
	/* The helper has closed it: readers need not ask whether its writer lives. */
	event = &f.admin->map.events[r.records[0].ring * FIXTURE_EVENTS + 1];
	assert_true(event->count & K2K_EVENT_CLOSED);
	fixture_close(&f);
}

/* ---- overwriting ----------------------------------------------------------------------------- */

static void cross_numbered(struct fixture *f, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i <= to; i++)
		assert_int_equal(k2k_audit_cross_tenant(f->broker, 1, 2, "a", "b", tag_of(i, 0)),
		                 0);
}

TEST(the_oldest_is_written_over_and_the_reader_is_told_how_many)
{
	struct fixture f;
	uint32_t slot;

	open_small(&f, 5); /* rounded up to 8 */
	slot = security_ring(&f);
	cross_numbered(&f, 1, 4);
	reader_open(&r, f.broker);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(r.cursor.next[slot], 5);
	cross_numbered(&f, 5, 23);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(r.count, 9);
	assert_int_equal(r.records[0].flags, K2K_AUDIT_LOST);
	assert_int_equal(r.records[0].ring, slot);
	assert_int_equal(r.records[0].kind, 0);
	assert_int_equal(r.records[0].sequence, 5);
	assert_int_equal(r.records[0].count, 11);
	for (uint64_t i = 0; i < 8; i++) {
		assert_int_equal(r.records[1 + i].sequence, 16 + i);
		assert_int_equal(r.records[1 + i].tag.org_id, 16 + i);
	}
	/* A reader that starts at the oldest event has no loss; one that starts at 1 has. */
	reader_open(&r, f.broker);
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(reader_lost(&r), 0);
	assert_int_equal(r.records[r.count - 1].sequence, 23);
	reader_open(&r, f.broker);
	r.cursor.next[slot] = 1;
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(reader_lost(&r), 15);
	/* Reading one event at a time gives the same result. */
	reader_open(&r, f.broker);
	r.cursor.next[slot] = 1;
	for (uint64_t i = 0; i < 10; i++) {
		r.records[0].size = sizeof r.records[0];
		assert_int_equal(k2k_audit_read(f.broker, &r.cursor, K2K_AUDIT_OPEN_TOO, r.records,
		                                1, &r.count),
		                 0);
		assert_int_equal(r.count, 1);
	}
	assert_int_equal(r.records[0].sequence, 23);
	fixture_close(&f);
}

TEST(what_is_nearly_written_over_is_closed_before_its_second_ends)
{
	struct fixture f;

	open_small(&f, 64);
	cross_numbered(&f, 1, 40);
	reader_open(&r, f.broker);
	WAIT_UNTIL((reader_take(&r, 0), r.count > 0 && r.cursor.next[security_ring(&f)] == 9),
	           PATIENCE_S);
	assert_int_equal(r.cursor.waiting, 1);
	fixture_close(&f);
}

TEST(a_cursor_of_another_registry_is_refused)
{
	struct fixture f;
	size_t count;

	fixture_open(&f);
	reader_open(&r, f.broker);
	r.cursor.next[3] = 2;
	r.records[0].size = sizeof r.records[0];
	assert_int_equal(k2k_audit_read(f.broker, &r.cursor, 0, r.records, 1, &count), K2K_EINVAL);
	assert_contains(k2k_error_detail()->text, "another registry");
	assert_int_equal(r.cursor.next[3], 2);
	r.cursor.next[3] = 1;
	assert_int_equal(k2k_audit_read(f.broker, &r.cursor, 0, r.records, 1, &count), 0);
	fixture_close(&f);
}

/* ---- half-written events --------------------------------------------------------------------- */

/* The state that a thread leaves if it stops, or is killed, after it claimed its entry. */
static uint64_t begin_event(struct k2k_shm_ring *ring, struct k2k_shm_event *events, uint64_t mask)
{
	uint64_t n = ++ring->claimed;

	events[n & mask].sequence = 2 * n - 1;
	events[n & mask].words[0] = ~UINT64_C(0);
	return n;
}

static void end_event(struct k2k_shm_event *events, uint64_t mask, uint64_t n)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_RATE,
		                       .tenant = 4711,
		                       .code = K2K_ERATE };
	uint64_t words[K2K_EVENT_WORDS];

	memcpy(words, &body, sizeof words);
	for (int i = 0; i < K2K_EVENT_WORDS; i++)
		events[n & mask].words[i] = words[i];
	events[n & mask].count = K2K_EVENT_CLOSED | n << K2K_EVENT_COUNT_BITS | 1;
	events[n & mask].sequence = 2 * n;
}

TEST(a_living_writers_place_is_not_written_over_and_what_is_given_up_for_it_is_counted)
{
	struct k2k_shm_event *events;
	struct k2k_shm_ring *ring;
	struct fixture f;
	uint64_t n;

	open_small(&f, 4);
	ring = &f.broker->map.rings[security_ring(&f)];
	events = &f.broker->map.events[security_ring(&f) * 4];
	n = begin_event(ring, events, 3);
	assert_int_equal(n, 1);
	cross_numbered(&f, 2, 6); /* event 5 finds its entry still claimed by event 1 */
	assert_int_equal(events[1].sequence, 1);
	assert_int_equal(events[1].words[0], ~UINT64_C(0));
	assert_int_equal(stats_of(f.broker).lost[K2K_AUDIT_KIND_CROSS_TENANT], 1);
	assert_int_equal(stats_of(f.broker).written[K2K_AUDIT_KIND_CROSS_TENANT], 4);
	/* A reader knows that event 5 never comes, and that event 1 still may. */
	reader_open(&r, f.broker);
	r.cursor.next[security_ring(&f)] = 3;
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(reader_lost(&r), 1);
	assert_int_equal(r.records[r.count - 2].sequence, 5);
	assert_int_equal(r.records[r.count - 2].flags, K2K_AUDIT_LOST);
	assert_int_equal(r.records[r.count - 1].sequence, 6);
	/* The thread continues: too late for a reader past its event, and harmless. */
	end_event(events, 3, n);
	cross_numbered(&f, 7, 9);
	assert_int_equal(events[1].sequence, 18);
	assert_int_equal(stats_of(f.broker).lost[K2K_AUDIT_KIND_CROSS_TENANT], 1);
	fixture_close(&f);
}

TEST(a_reader_waits_for_a_writer_that_lives_and_passes_over_one_that_was_killed)
{
	struct k2k_shm_event *events;
	struct k2k_shm_ring *ring;
	struct fixture f;
	uint32_t slot;

	open_small(&f, 4);
	slot = f.broker->broker.slot;
	ring = &f.admin->map.rings[security_ring(&f)];
	events = &f.admin->map.events[security_ring(&f) * 4];
	begin_event(ring, events, 3);
	ring->claimed++; /* another thread has claimed a number, and no more */
	cross_numbered(&f, 3, 3);
	next_second(&f);
	reader_open(&r, f.admin);
	WAIT_UNTIL(events[3].count & K2K_EVENT_CLOSED, PATIENCE_S);
	reader_take(&r, 0);
	assert_int_equal(r.count, 1); /* created */
	assert_int_equal(r.cursor.waiting, 1);
	assert_int_equal(r.cursor.next[security_ring(&f)], 1);
	reader_open(&r, f.admin);
	reader_take(&r, K2K_AUDIT_OPEN_TOO); /* a snapshot counts neither as lost */
	assert_int_equal(r.count, 2);
	assert_int_equal(reader_lost(&r), 0);
	/* The broker is closed: nobody will finish these two events. */
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	reader_open(&r, f.admin);
	reader_take(&r, 0);
	assert_int_equal(r.count, 3);
	assert_int_equal(r.cursor.waiting, 0);
	assert_int_equal(reader_lost(&r), 2);
	/* The next owner uses every entry. */
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &f.broker), 0);
	assert_int_equal(f.broker->broker.slot, slot);
	assert_int_equal(ring->since, 3);
	f.broker->clock.injected_ns = &f.clock_ns;
	reader_open(&r, f.admin);
	reader_take(&r, 0);
	assert_int_equal(reader_lost(&r), 2);
	cross_numbered(&f, 4, 7);
	for (int i = 0; i < 4; i++)
		assert_int_equal(events[i].sequence, i == 0 ? 8 : 8 + 2 * i);
	assert_int_equal(stats_of(f.admin).lost[K2K_AUDIT_KIND_CROSS_TENANT], 0);
	fixture_close(&f);
}

TEST(an_open_event_of_a_dead_writer_counts_as_closed)
{
	struct k2k_shm_event *event;
	struct fixture f;
	uint32_t slot;

	fixture_open(&f);
	slot = security_ring(&f);
	for (int i = 0; i < 3; i++)
		cross(&f, "a", "b");
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	event = &f.admin->map.events[slot * FIXTURE_EVENTS + 1];
	event->count &= ~K2K_EVENT_CLOSED; /* as if it had been killed, not closed */
	reader_open(&r, f.admin);
	reader_take(&r, 0);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_CROSS_TENANT, 0)->count, 3);
	assert_int_equal(r.cursor.waiting, 0);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &f.broker), 0);
	fixture_close(&f);
}

TEST(a_writer_that_readers_hold_for_given_up_backs_out)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_RATE, .code = K2K_ERATE };
	struct k2k_event_copy copy;
	struct k2k_ring ring;
	struct fixture f;

	open_small(&f, 4);
	ring = k2k_ring_of(&f.broker->map, f.broker->broker.slot);
	ring.shared->claimed = 8;
	ring.events[1].given_up = 13; /* a number not yet given out: damage, ignored */
	assert_int_equal(k2k_ring_append(&ring, &body, 1, false), 9);
	ring.events[2].given_up = 9; /* the number of another entry: ignored too */
	assert_int_equal(k2k_ring_append(&ring, &body, 1, false), 10);
	ring.events[3].given_up = 11;
	assert_int_equal(k2k_ring_append(&ring, &body, 1, false), 0);
	assert_int_equal(ring.events[3].sequence, 22);
	assert_int_equal(k2k_ring_read(&ring, 11, false, &copy), K2K_EVENT_MISSING);
	assert_int_equal(k2k_ring_read(&ring, 10, false, &copy), K2K_EVENT_THERE);
	assert_int_equal(ring.shared->lost[K2K_AUDIT_KIND_RATE], 1);
	assert_int_equal(ring.shared->written[K2K_AUDIT_KIND_RATE], 2);
	for (int i = 0; i < 4; i++)
		memset(&ring.events[i], 0, sizeof ring.events[i]);
	memset(ring.shared, 0, sizeof *ring.shared);
	fixture_close(&f);
}

TEST(a_repeat_is_added_to_the_event_that_was_meant_while_it_is_open)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_RATE, .code = K2K_ERATE };
	struct k2k_shm_event *event;
	struct k2k_event_copy copy;
	struct k2k_ring ring;
	struct fixture f;
	uint64_t n, word;

	open_small(&f, 4);
	ring = k2k_ring_of(&f.broker->map, f.broker->broker.slot);
	n = k2k_ring_append(&ring, &body, 1, true);
	event = &ring.events[n & 3];
	assert_true(k2k_ring_repeat(&ring, n, body.kind));
	assert_int_equal(k2k_ring_read(&ring, n, false, &copy), K2K_EVENT_OPEN);
	assert_int_equal(copy.count, 2);
	word = event->count;
	/* Another thread has claimed the entry, and has not yet written its number. */
	event->count = word + (UINT64_C(1) << K2K_EVENT_COUNT_BITS);
	assert_false(k2k_ring_repeat(&ring, n, body.kind));
	k2k_ring_close(&ring, n);
	assert_int_equal(event->count, word + (UINT64_C(1) << K2K_EVENT_COUNT_BITS));
	/* The count is full: a carry must not reach the number. */
	event->count = word | ((UINT64_C(1) << K2K_EVENT_COUNT_BITS) - 1);
	assert_false(k2k_ring_repeat(&ring, n, body.kind));
	assert_int_equal(event->count, word | ((UINT64_C(1) << K2K_EVENT_COUNT_BITS) - 1));
	event->count = word;
	assert_false(k2k_ring_repeat(&ring, n + 4, body.kind));
	k2k_ring_close(&ring, n);
	assert_false(k2k_ring_repeat(&ring, n, body.kind));
	assert_int_equal(k2k_ring_read(&ring, n, false, &copy), K2K_EVENT_THERE);
	assert_int_equal(copy.count, 2);
	memset((void *)event, 0, sizeof *event);
	memset(ring.shared, 0, sizeof *ring.shared);
	fixture_close(&f);
}

TEST(numbers_that_cannot_be_end_every_walk)
{
	static const uint64_t numbers[] = { UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2,
		                            UINT64_C(1) << 62, 3 };
	struct k2k_shm_ring *ring;
	struct fixture f;

	open_small(&f, 4);
	ring = &f.broker->map.rings[security_ring(&f)];
	cross_numbered(&f, 1, 9);
	for (size_t i = 0; i < K2K_COUNT_OF(numbers); i++) {
		ring->claimed = numbers[i];
		reader_open(&r, f.broker);
		reader_take(&r, K2K_AUDIT_OPEN_TOO);
		assert_true(r.count <= 5 + 1);
		cross_numbered(&f, 1, 1);
	}
	memset(ring, 0, sizeof *ring);
	memset((void *)&f.broker->map.events[security_ring(&f) * 4], 0,
	       4 * sizeof(struct k2k_shm_event));
	fixture_close(&f);
}

TEST(a_ring_of_one_event_has_the_newest)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct fixture f;

	open_small(&f, 1);
	assert_int_equal(k2k_registry_info(f.broker, &info), 0);
	assert_int_equal(info.max_audit_events, 1);
	cross_numbered(&f, 1, 3);
	reader_open(&r, f.broker);
	r.cursor.next[security_ring(&f)] = 1;
	reader_take(&r, K2K_AUDIT_OPEN_TOO);
	assert_int_equal(reader_lost(&r), 2);
	assert_int_equal(r.records[r.count - 1].sequence, 3);
	fixture_close(&f);
}

TEST(every_kind_has_a_name_a_level_and_a_type)
{
	assert_string_equal(k2k_audit_kind_name(0), "unknown");
	assert_string_equal(k2k_audit_kind_name(K2K_EVENT_KINDS), "unknown");
	assert_string_equal(k2k_audit_kind_name(UINT32_MAX), "unknown");
	assert_string_equal(k2k_audit_kind_name(K2K_AUDIT_KIND_BROKER_DEAD), "broker_dead");
	assert_int_equal(k2k_audit_kind_level(K2K_AUDIT_KIND_BROKER_DEAD), K2K_AUDIT_WARNING);
	assert_string_equal(k2k_audit_kind_name(K2K_AUDIT_KIND_SUSPENDED), "suspended");
	assert_int_equal(k2k_audit_kind_level(K2K_AUDIT_KIND_SUSPENDED), K2K_AUDIT_WARNING);
	for (uint32_t i = 1; i < K2K_EVENT_KINDS; i++)
		for (uint32_t j = i > K2K_AUDIT_KIND_FINAL_TOTALS; j < i; j++)
			assert_true(strcmp(k2k_audit_kind_name(i), k2k_audit_kind_name(j)) != 0 ||
			            strcmp(k2k_audit_kind_name(i), "unknown") == 0);
}
