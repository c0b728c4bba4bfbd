/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * abi_program.c - a program that was compiled with an earlier header runs with today's library.
 *
 * Built once with each header in tests/abi, against today's shared library. It makes every call
 * that takes a struct or fills one. Behind each of its structs are bytes that the library must
 * leave alone: to the program they may be anything.
 */
#include "harness.h"

#include <k2k/registry.h>

#define GUARD 0xa5

/* A struct, or an array of `length` of them, with a guard behind it. */
#define GUARDED_ARRAY(type, name, length)    \
	struct {                             \
		struct type it[length];      \
		unsigned char behind[64];    \
	} name;                              \
	memset(&name, 0, sizeof name);       \
	name.it[0].size = sizeof name.it[0]; \
	memset(name.behind, GUARD, sizeof name.behind)
#define GUARDED(type, name) GUARDED_ARRAY(type, name, 1)
#define CHECK_GUARD(name)                                             \
	do {                                                          \
		for (size_t at = 0; at < sizeof name.behind; at++)    \
			assert_int_equal(name.behind[at], GUARD);     \
		assert_int_equal(name.it[0].size, sizeof name.it[0]); \
	} while (0)

struct scene {
	const char *name;
	struct k2k_registry *admin, *broker, *follower;
};

static const struct k2k_audit_tag tag = { 3, 9 };
static int seen_events;

static void sink(void *context, const struct k2k_audit_event *event)
{
	assert_null(context);
	assert_true(event->size >= sizeof *event);
	assert_non_null(event->actor);
	seen_events++;
}

static void create(struct scene *s)
{
	GUARDED(k2k_create_options, options);
	GUARDED(k2k_registry_plan, plan);
	GUARDED(k2k_open_options, open);

	s->name = fresh_registry();
	options.it->max_tenants = 50;
	options.it->max_audit_events = 64;
	assert_int_equal(k2k_registry_plan(options.it, plan.it), 0);
	assert_int_equal(plan.it->max_tenants, 50);
	assert_int_equal(plan.it->max_audit_events, 64);
	assert_int_equal(plan.it->total_bytes, plan.it->defs_bytes + plan.it->live_bytes);
	assert_int_equal(k2k_registry_create(s->name, options.it, &s->admin), 0);
	open.it->actor = "an old program";
	assert_int_equal(k2k_registry_open(s->name, K2K_ROLE_BROKER, open.it, &s->broker), 0);
	open.it->flags = K2K_OPEN_FOLLOWER;
	assert_int_equal(k2k_registry_open(s->name, K2K_ROLE_OBSERVER, open.it, &s->follower), 0);
	CHECK_GUARD(options);
	CHECK_GUARD(plan);
	CHECK_GUARD(open);
}

static void end(struct scene *s)
{
	GUARDED(k2k_open_options, options);
	GUARDED_ARRAY(k2k_finding, findings, 2);
	size_t count;

	assert_int_equal(k2k_registry_check(s->admin, findings.it, 2, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(k2k_registry_close(&s->follower), 0);
	assert_int_equal(k2k_registry_close(&s->broker), 0);
	assert_int_equal(k2k_registry_close(&s->admin), 0);
	options.it->flags = K2K_OPEN_TIMEOUT;
	options.it->timeout_ns = 1000000000;
	assert_int_equal(k2k_registry_destroy(s->name, 0, options.it), 0);
	CHECK_GUARD(findings);
	CHECK_GUARD(options);
}

static void add_tenant(struct scene *s, k2k_tenant_id id)
{
	struct k2k_budget budget = { tag.engagement_id, 1000 };
	GUARDED(k2k_quota, quota);

	quota.it->max_messages_per_sec = 5;
	quota.it->max_gpu_memory_bytes = 100;
	quota.it->max_concurrent_kernels = 1;
	quota.it->budget_count = 1;
	quota.it->budgets = &budget;
	assert_int_equal(k2k_tenant_register(s->admin, id, quota.it), 0);
	quota.it->max_messages_per_sec = 1000000;
	assert_int_equal(k2k_tenant_update(s->admin, id, quota.it, K2K_UPDATE_RATE), 0);
	CHECK_GUARD(quota);
}

TEST(an_earlier_program_defines_tenants_and_reads_them)
{
	struct k2k_usage usage[] = { { 9, 70 }, { 10, 8 } };
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	k2k_tenant_id ids[] = { 8, 7 };
	int codes[2];
	struct scene s;

	create(&s);
	add_tenant(&s, 7);
	GUARDED(k2k_tenant_info, info);
	assert_int_equal(k2k_tenant_get(s.broker, 7, info.it), 0);
	assert_int_equal(info.it->max_messages_per_sec, 1000000);
	assert_int_equal(info.it->budget_count, 1);
	assert_int_equal(info.it->gpu_memory_bytes, 0);
	CHECK_GUARD(info);

	GUARDED(k2k_tenant_image, image);
	image.it->id = 8;
	image.it->generation = 100;
	image.it->admitted_total = 4;
	image.it->quota = &quota;
	image.it->usage = usage;
	image.it->usage_count = 2;
	assert_int_equal(k2k_tenant_restore(s.admin, image.it), 0);
	CHECK_GUARD(image);

	GUARDED(k2k_registry_info, all);
	assert_int_equal(k2k_registry_info(s.admin, all.it), 0);
	assert_string_equal(all.it->name, s.name);
	assert_int_equal(all.it->tenants.used, 2);
	assert_int_equal(all.it->max_audit_events, 64);
	assert_int_equal(all.it->cut_gpu_ns, 0);
	CHECK_GUARD(all);

	GUARDED_ARRAY(k2k_tenant_totals, totals, 2);
	assert_int_equal(k2k_tenant_deregister_many(s.admin, ids, 2, totals.it, codes), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(totals.it[i].size, sizeof totals.it[0]);
		assert_int_equal(totals.it[i].id, ids[i]);
		assert_int_equal(totals.it[i].final, 1);
		assert_int_equal(totals.it[i].gpu_ns_total, i == 0 ? 78 : 0);
	}
	CHECK_GUARD(totals);
	add_tenant(&s, 9);
	assert_int_equal(k2k_tenant_deregister(s.admin, 9, totals.it), 0);
	assert_int_equal(totals.it->id, 9);
	assert_int_equal(totals.it[1].id, 7);
	CHECK_GUARD(totals);

	GUARDED(k2k_repair_info, repaired);
	assert_int_equal(k2k_registry_repair(s.admin, repaired.it), 0);
	assert_int_equal(repaired.it->damaged, 0);
	CHECK_GUARD(repaired);
	GUARDED_ARRAY(k2k_finding, findings, 2);
	size_t count;
	assert_int_equal(k2k_repair_list(s.admin, findings.it, 2, &count), 0);
	assert_int_equal(count, 0);
	CHECK_GUARD(findings);
	end(&s);
}

TEST(an_earlier_program_admits_and_holds_leases)
{
	struct scene s;

	create(&s);
	add_tenant(&s, 7);
	GUARDED(k2k_verdict, verdict);
	assert_int_equal(k2k_quota_check(s.broker, 7, tag, 2, verdict.it), 0);
	assert_int_equal(k2k_message_admit(s.broker, 7, tag, 2, verdict.it), 0);
	assert_int_equal(verdict.it->limit, 1000000);
	assert_int_equal(k2k_message_admit(s.broker, 0, tag, 2, verdict.it), 0);
	assert_int_equal(verdict.it->limit, UINT64_MAX);
	assert_int_equal(k2k_message_admit(s.broker, 7, tag, 2000000, verdict.it), K2K_ERATE);
	assert_int_equal(verdict.it->code, K2K_ERATE);
	assert_int_equal(verdict.it->retry_after_ns, K2K_NEVER_NS);
	CHECK_GUARD(verdict);

	GUARDED(k2k_lease, lease);
	GUARDED(k2k_lease, memory);
	assert_int_equal(k2k_kernel_acquire(s.broker, 7, lease.it, verdict.it), 0);
	assert_int_equal(lease.it->amount, 1);
	assert_int_equal(lease.it->flags, K2K_LEASE_KERNEL);
	assert_int_equal(k2k_kernel_acquire(s.broker, 7, NULL, verdict.it), K2K_EKERNELS);
	assert_int_equal(verdict.it->used, 1);
	assert_int_equal(k2k_gpu_memory_acquire(s.broker, 7, 60, memory.it, verdict.it), 0);
	assert_int_equal(verdict.it->remaining, 40);
	CHECK_GUARD(verdict);

	GUARDED_ARRAY(k2k_lease_info, leases, 2);
	size_t count;
	assert_int_equal(k2k_lease_list(s.admin, 7, leases.it, 2, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(leases.it->gpu_memory_bytes, 60);
	CHECK_GUARD(leases);
	GUARDED_ARRAY(k2k_broker_info, brokers, 2);
	assert_int_equal(k2k_broker_list(s.admin, brokers.it, 2, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(brokers.it->kernels, 1);
	CHECK_GUARD(brokers);
	assert_int_equal(k2k_kernel_release(s.broker, lease.it), 0);
	assert_int_equal(lease.it->amount, 0);
	assert_int_equal(k2k_gpu_memory_release(s.broker, memory.it), 0);
	CHECK_GUARD(lease);
	CHECK_GUARD(memory);

	assert_int_equal(k2k_usage_track(s.broker, 7, tag, 700), 0);
	GUARDED_ARRAY(k2k_usage_info, usage, 2);
	assert_int_equal(k2k_usage_list(s.admin, 7, usage.it, 2, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(usage.it->gpu_ns, 700);
	CHECK_GUARD(usage);
	GUARDED_ARRAY(k2k_budget_info, budgets, 2);
	assert_int_equal(k2k_budget_list(s.admin, 0, budgets.it, 2, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(budgets.it->used_ns, 700);
	assert_int_equal(budgets.it->budget_ns, 1000);
	CHECK_GUARD(budgets);
	end(&s);
}

TEST(an_earlier_program_follows_the_audit_trail)
{
	struct k2k_audit_cursor start = K2K_AUDIT_CURSOR_INIT;
	struct scene s;
	size_t count;

	create(&s);
	assert_int_equal(k2k_registry_set_audit_sink(s.admin, sink, NULL), 0);
	add_tenant(&s, 7);
	add_tenant(&s, 8);
	assert_int_equal(seen_events, 6);
	GUARDED(k2k_audit_cursor, cursor);
	*cursor.it = start;
	GUARDED_ARRAY(k2k_audit_record, records, 3);
	assert_int_equal(k2k_audit_read(s.follower, cursor.it, 0, records.it, 3, &count), 0);
	assert_int_equal(count, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(records.it[i].size, sizeof records.it[0]);
	assert_int_equal(records.it[0].kind, K2K_AUDIT_KIND_CREATED);
	assert_int_equal(records.it[1].kind, K2K_AUDIT_KIND_REGISTER);
	assert_int_equal(records.it[1].tenant, 7);
	assert_int_equal(records.it[1].pid, getpid());
	CHECK_GUARD(records);
	CHECK_GUARD(cursor);
	assert_int_equal(k2k_audit_wait(s.follower, cursor.it, UINT64_MAX), 0);
	assert_int_equal(k2k_audit_kept(s.follower, cursor.it, 0), 0);
	CHECK_GUARD(cursor);

	GUARDED_ARRAY(k2k_audit_follower_info, followers, 2);
	assert_int_equal(k2k_audit_follower_list(s.admin, followers.it, 2, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(followers.it->state, K2K_FOLLOWER_ACTIVE);
	assert_true(followers.it->behind > 0);
	CHECK_GUARD(followers);
	GUARDED(k2k_audit_stats, stats);
	assert_int_equal(k2k_audit_stats(s.admin, stats.it), 0);
	assert_int_equal(stats.it->written[K2K_AUDIT_KIND_REGISTER], 2);
	assert_int_equal(stats.it->capacity, 64);
	assert_true(stats.it->newest[K2K_AUDIT_RING_ADMIN] > 3);
	CHECK_GUARD(stats);
	end(&s);
}
