/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_operations.h - every operation that writes to a registry, for the crash tests
 */
#ifndef K2K_TESTS_CRASH_OPERATIONS_H
#define K2K_TESTS_CRASH_OPERATIONS_H

#include "crash_scene.h"

/*
 * An operation of an administrator, of a broker, of a process that has no handle: title, function,
 * further fields.
 */
#define ADMIN(title, ...)                                                   \
	{                                                                   \
		.name = (title), .role = K2K_ROLE_ADMIN, .run = __VA_ARGS__ \
	}
#define BROKER(title, ...)                                                   \
	{                                                                    \
		.name = (title), .role = K2K_ROLE_BROKER, .run = __VA_ARGS__ \
	}
#define NOBODY(title, ...)                          \
	{                                           \
		.name = (title), .run = __VA_ARGS__ \
	}

#define NEW_TENANT 8
#define NEW_ENGAGEMENT 71

/* ---- an administrator's ----------------------------------------------------------- */

static int run_register(struct victim *v)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	return k2k_tenant_register(v->reg, NEW_TENANT, &quota);
}

static int run_register_budgets(struct victim *v)
{
	struct k2k_budget budgets[] = { { ENGAGEMENT, 7 }, { NEW_ENGAGEMENT, 8 } };
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.budgets = budgets;
	quota.budget_count = 2;
	return k2k_tenant_register(v->reg, NEW_TENANT, &quota);
}

static int run_restore(struct victim *v)
{
	struct k2k_budget budgets[] = { { ENGAGEMENT, 7 } };
	struct k2k_usage usage[] = { { ENGAGEMENT, 3 }, { NEW_ENGAGEMENT, 4 } };
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_tenant_image image = { .size = sizeof image,
		                          .id = NEW_TENANT,
		                          .generation = 1 << 20,
		                          .registered_at_ns = 5,
		                          .admitted_total = 6,
		                          .unattributed_ns = 7,
		                          .quota = &quota,
		                          .usage = usage,
		                          .usage_count = 2 };

	quota.budgets = budgets;
	quota.budget_count = 1;
	return k2k_tenant_restore(v->reg, &image);
}

/* Leaves no free slot, and a retired one. */
static void fill_table(struct scene *scene)
{
	k2k_tenant_id id = 50;
	size_t count;
	int code;

	do {
		assert_int_equal(k2k_tenant_count(scene->admin, &count), 0);
		code = count < TENANTS - 1 ? k2k_tenant_register(scene->admin, id++, NULL)
		                           : K2K_EFULL;
	} while (code == 0);
	assert_int_equal(code, K2K_EFULL);
	register_with(scene->admin, 60, ENGAGEMENT);
	deregister(scene->admin, 60);
}

static const struct k2k_quota *other_quota(void)
{
	static const struct k2k_budget budgets[] = { { ENGAGEMENT, K2K_UNLIMITED },
		                                     { NEW_ENGAGEMENT, 9 },
		                                     { 72, 10 } };
	static const struct k2k_quota quota = { sizeof quota, 0, 55, 66, 77, 3, budgets };

	return &quota;
}

static int run_update_rate(struct victim *v)
{
	return k2k_tenant_update(v->reg, SUBJECT, other_quota(), K2K_UPDATE_RATE);
}

static int run_update_memory(struct victim *v)
{
	return k2k_tenant_update(v->reg, SUBJECT, other_quota(), K2K_UPDATE_GPU_MEMORY);
}

static int run_update_kernels(struct victim *v)
{
	return k2k_tenant_update(v->reg, SUBJECT, other_quota(), K2K_UPDATE_KERNELS);
}

static int run_update_budgets(struct victim *v)
{
	return k2k_tenant_update(v->reg, SUBJECT, other_quota(), K2K_UPDATE_BUDGETS);
}

static int run_update_all(struct victim *v)
{
	return k2k_tenant_update(v->reg, SUBJECT, other_quota(),
	                         K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY | K2K_UPDATE_KERNELS |
	                                 K2K_UPDATE_BUDGETS);
}

static int run_deregister(struct victim *v)
{
	return k2k_tenant_deregister(v->reg, SUBJECT, NULL);
}

static int run_deregister_totals(struct victim *v)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	return k2k_tenant_deregister(v->reg, SUBJECT, &totals);
}

static int run_deregister_many(struct victim *v)
{
	static const k2k_tenant_id ids[] = { SUBJECT, SUBJECT };
	struct k2k_tenant_totals totals[2] = { { .size = sizeof totals[0] } };
	int codes[2], code = k2k_tenant_deregister_many(v->reg, ids, 2, totals, codes);

	return code == K2K_ENOTENANT ? codes[0] : code; /* the second is the first again */
}

static int run_budget_new(struct victim *v)
{
	return k2k_budget_set(v->reg, SUBJECT, NEW_ENGAGEMENT, 12);
}

static int run_budget_again(struct victim *v)
{
	return k2k_budget_set(v->reg, SUBJECT, ENGAGEMENT, 12);
}

static int run_budget_unset(struct victim *v)
{
	return k2k_budget_unset(v->reg, SUBJECT, ENGAGEMENT);
}

static int run_repair(struct victim *v)
{
	struct k2k_repair_info repaired = { .size = sizeof repaired };

	return k2k_registry_repair(v->reg, &repaired);
}

static int run_check(struct victim *v)
{
	size_t count;

	return k2k_registry_check(v->reg, NULL, 0, &count);
}

/* A change without a visible effect: all that it does is recovery and reaping. */
HARNESS_USED static int run_neutral_update(struct victim *v)
{
	static const struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	return k2k_tenant_update(v->reg, BYSTANDERS, &quota, K2K_UPDATE_RATE);
}

/*
 * Three changes of which one has a visible effect: so wherever the batch is killed, the registry is
 * as before or as after.
 */
static int run_batch(struct victim *v)
{
	int code = k2k_batch_begin(v->reg);

	if (!code)
		code = run_neutral_update(v);
	if (!code)
		code = run_register(v);
	if (!code)
		code = run_neutral_update(v);
	return code ? code : k2k_batch_end(v->reg);
}

static int run_open_admin(struct victim *v)
{
	return k2k_registry_open(v->name, K2K_ROLE_ADMIN, NULL, &v->reg);
}

static int run_close(struct victim *v)
{
	return k2k_registry_close(&v->reg);
}

static int run_create(struct victim *v)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = options.max_engagements = options.max_leases = options.max_budgets =
		8;
	options.max_audit_events = 2;
	return k2k_registry_create(v->name, &options, NULL);
}

static int run_create_opened(struct victim *v)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = options.max_engagements = options.max_leases = options.max_budgets =
		8;
	options.max_audit_events = 2;
	return k2k_registry_create(v->name, &options, &v->reg);
}

static int run_destroy(struct victim *v)
{
	return k2k_registry_destroy(v->name, K2K_DESTROY_FORCE, NULL);
}

static const struct operation admin_operations[] HARNESS_USED = {
	ADMIN("register", run_register),
	ADMIN("register with budgets", run_register_budgets),
	ADMIN("restore", run_restore),
	ADMIN("register, reusing a slot", run_register, .arrange = fill_table,
	      .needs_grace_period = true),
	ADMIN("register in a batch", run_batch),
	ADMIN("update rate", run_update_rate),
	ADMIN("update memory", run_update_memory),
	ADMIN("update kernels", run_update_kernels),
	ADMIN("update budgets", run_update_budgets, .may_leave_record = true),
	ADMIN("update all", run_update_all, .may_leave_record = true),
	ADMIN("deregister", run_deregister),
	ADMIN("deregister with totals", run_deregister_totals),
	ADMIN("deregister many with totals", run_deregister_many),
	ADMIN("budget set, new", run_budget_new, .may_leave_record = true),
	ADMIN("budget set, again", run_budget_again),
	ADMIN("budget unset", run_budget_unset),
	ADMIN("repair", run_repair),
	ADMIN("check", run_check),
	NOBODY("open as administrator", run_open_admin),
	ADMIN("close as administrator", run_close),
	NOBODY("create", run_create, .no_registry = true),
	NOBODY("create and open", run_create_opened, .no_registry = true),
	NOBODY("destroy", run_destroy, .removes = true),
};

/* ---- a broker's ------------------------------------------------------------------------ */

static int run_attach(struct victim *v)
{
	return k2k_registry_open(v->name, K2K_ROLE_BROKER, NULL, &v->reg);
}

static void hold_some(struct victim *v)
{
	assert_int_equal(k2k_kernel_acquire(v->reg, SUBJECT, &v->lease, NULL), 0);
	assert_int_equal(k2k_gpu_memory_acquire(v->reg, SUBJECT, 100, NULL, NULL), 0);
}

static void hold_memory(struct victim *v)
{
	assert_int_equal(k2k_gpu_memory_acquire(v->reg, SUBJECT, 100, &v->lease, NULL), 0);
}

static int run_record(struct victim *v)
{
	return k2k_message_record(v->reg, SUBJECT);
}

static int run_admit(struct victim *v)
{
	return k2k_message_admit(v->reg, SUBJECT, tag_of(ENGAGEMENT), 3, NULL);
}

static int run_admit_unknown(struct victim *v)
{
	return k2k_message_admit(v->reg, 12345, tag_of(ENGAGEMENT), 1, NULL);
}

static int run_cross_tenant(struct victim *v)
{
	return k2k_audit_cross_tenant(v->reg, 1, 2, "a", "b", no_tag);
}

static void record_some(struct k2k_registry *broker)
{
	for (int i = 0; i < 5; i++)
		assert_int_equal(k2k_message_record(broker, SUBJECT), 0);
}

static void record_limit(struct k2k_registry *broker)
{
	assert_int_equal(k2k_message_admit(broker, SUBJECT, no_tag, SUBJECT_RATE, NULL), 0);
}

static void use_up_budget(struct k2k_registry *broker)
{
	assert_int_equal(k2k_usage_track(broker, SUBJECT, tag_of(ENGAGEMENT), 1001 * MS), 0);
}

static void next_second(struct scene *scene)
{
	atomic_fetch_add(&scene->stage->clock_ns, SECOND);
}

static int run_track(struct victim *v)
{
	return k2k_usage_track(v->reg, SUBJECT, tag_of(ENGAGEMENT), 5);
}

static int run_track_new(struct victim *v)
{
	return k2k_usage_track(v->reg, SUBJECT, tag_of(NEW_ENGAGEMENT), 5);
}

static void fill_ledger(struct k2k_registry *broker)
{
	uint64_t engagement = 100;
	int code;

	do
		code = k2k_usage_track(broker, SUBJECT, tag_of(engagement++), 1);
	while (code == 0);
	assert_int_equal(code, K2K_EUNBOOKED);
}

static int run_kernel(struct victim *v)
{
	return k2k_kernel_acquire(v->reg, SUBJECT, &v->lease, NULL);
}

static int run_kernel_release(struct victim *v)
{
	return k2k_kernel_release(v->reg, &v->lease);
}

static int run_memory(struct victim *v)
{
	return k2k_gpu_memory_acquire(v->reg, SUBJECT, 5000, &v->lease, NULL);
}

static int run_memory_release(struct victim *v)
{
	return k2k_gpu_memory_release(v->reg, &v->lease);
}

static void take_all(struct k2k_registry *broker)
{
	for (int i = 0; i < SUBJECT_KERNELS - 1; i++)
		assert_int_equal(k2k_kernel_acquire(broker, SUBJECT, NULL, NULL), 0);
	assert_int_equal(k2k_gpu_memory_acquire(broker, SUBJECT, SUBJECT_MEMORY - 5000, NULL, NULL),
	                 0);
}

/* What the brokers of the state have left. */
static void take_rest(struct victim *v)
{
	int code;

	do
		code = k2k_kernel_acquire(v->reg, SUBJECT, NULL, NULL);
	while (code == 0);
	assert_int_equal(code, K2K_EKERNELS);
	while (k2k_gpu_memory_acquire(v->reg, SUBJECT, 1000, NULL, NULL) == 0)
		;
}

static int run_attach_and_use(struct victim *v)
{
	int code = k2k_registry_open(v->name, K2K_ROLE_BROKER, NULL, &v->reg);

	return code ? code : k2k_kernel_acquire(v->reg, SUBJECT, &v->lease, NULL);
}

static const struct operation broker_operations[] HARNESS_USED = {
	NOBODY("attach", run_attach),
	NOBODY("attach in a dead one's slot", run_attach, .has_dead = true),
	NOBODY("attach there and use it", run_attach_and_use, .has_dead = true,
	       .may_leave_record = true),
	BROKER("detach", run_close),
	BROKER("detach, holding leases", run_close, .prepare = hold_some),
	BROKER("record", run_record, .occupy = record_some),
	BROKER("admit", run_admit, .occupy = record_some),
	BROKER("admit, rolling the window", run_admit, .occupy = record_limit,
	       .arrange = next_second),
	BROKER("admit, at the limit", run_admit, .expected = K2K_ERATE, .occupy = record_limit),
	BROKER("admit, budget used up", run_admit, .expected = K2K_EBUDGET,
	       .occupy = use_up_budget),
	BROKER("admit, unknown tenant", run_admit_unknown, .expected = K2K_ENOTENANT),
	BROKER("cross-tenant attempt", run_cross_tenant),
	BROKER("track", run_track),
	BROKER("track, new engagement", run_track_new, .may_leave_record = true),
	BROKER("track, ledger full", run_track_new, .expected = K2K_EUNBOOKED,
	       .occupy = fill_ledger),
	BROKER("kernel acquire, first", run_kernel, .may_leave_record = true),
	BROKER("kernel acquire, again", run_kernel, .prepare = hold_some),
	BROKER("kernel acquire, the limit's last", run_kernel, .occupy = take_all,
	       .may_leave_record = true),
	BROKER("kernel acquire, at the limit", run_kernel, .expected = K2K_EKERNELS,
	       .prepare = take_rest),
	BROKER("kernel release", run_kernel_release, .prepare = hold_some),
	BROKER("memory acquire, first", run_memory, .may_leave_record = true),
	BROKER("memory acquire, the limit's last", run_memory, .occupy = take_all,
	       .may_leave_record = true),
	BROKER("memory acquire, at the limit", run_memory, .expected = K2K_EGPUMEM,
	       .prepare = take_rest),
	BROKER("memory release", run_memory_release, .prepare = hold_memory),
};

#endif
