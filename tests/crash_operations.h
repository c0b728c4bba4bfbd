/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_operations.h - every operation that writes to a registry, for the crash tests
 */
#ifndef K2K_TESTS_CRASH_OPERATIONS_H
#define K2K_TESTS_CRASH_OPERATIONS_H

#include "crash_kernels.h"
#include "crash_scene.h"
#include "crash_shares.h"
#include "rate.h"
#include "tenant.h"

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
	static const struct k2k_quota quota = { .size = sizeof quota,
		                                .max_messages_per_sec = 55,
		                                .max_gpu_memory_bytes = 66,
		                                .max_concurrent_kernels = 77,
		                                .budget_count = 3,
		                                .budgets = budgets };

	return &quota;
}

static int run_update_rate(struct victim *v)
{
	return k2k_tenant_update(v->reg, SUBJECT, other_quota(), K2K_UPDATE_RATE);
}

/* A message is free every 40 ms, and five at once. */
static const struct k2k_quota *bucket_quota(void)
{
	static struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.max_messages_per_sec = 25;
	quota.burst = 5;
	quota.rate_policy = K2K_RATE_BUCKET;
	return &quota;
}

static int run_update_bucket(struct victim *v)
{
	return k2k_tenant_update(v->reg, SUBJECT, bucket_quota(), K2K_UPDATE_RATE);
}

static void make_bucket(struct scene *scene)
{
	assert_int_equal(k2k_tenant_update(scene->admin, SUBJECT, bucket_quota(), K2K_UPDATE_RATE),
	                 0);
}

/* Full, by a clock that has gone on since it was made. */
static void make_bucket_full(struct scene *scene)
{
	make_bucket(scene);
	atomic_fetch_add(&scene->stage->clock_ns, SECOND);
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

static int run_update_shadow(struct victim *v)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.shadow = 1;
	quota.max_messages_per_sec = 55;
	return k2k_tenant_update(v->reg, SUBJECT, &quota, K2K_UPDATE_RATE | K2K_UPDATE_SHADOW);
}

static const struct k2k_quota *quota_with_thresholds(void)
{
	static struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.alerts[0] = 1;
	quota.alerts[1] = 50;
	return &quota;
}

static int run_update_alerts(struct victim *v)
{
	return k2k_tenant_update(v->reg, SUBJECT, quota_with_thresholds(), K2K_UPDATE_ALERTS);
}

static void watch_subject(struct scene *scene)
{
	assert_int_equal(k2k_tenant_update(scene->admin, SUBJECT, quota_with_thresholds(),
	                                   K2K_UPDATE_ALERTS),
	                 0);
}

/* What is booked reaches no threshold of the budget, but does of the amount that it will have. */
static void watch_used_subject(struct scene *scene)
{
	watch_subject(scene);
	assert_int_equal(k2k_usage_correct(scene->admin, SUBJECT, tag_of(ENGAGEMENT), 8, "use", 0),
	                 0);
}

static int run_rename(struct victim *v)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.name = "0123456789abcdef0123456789abcde";
	return k2k_tenant_update(v->reg, SUBJECT, &quota, K2K_UPDATE_NAME);
}

static void rename_subject(struct scene *scene)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.name = "before";
	assert_int_equal(k2k_tenant_update(scene->admin, SUBJECT, &quota, K2K_UPDATE_NAME), 0);
}

static int run_suspend(struct victim *v)
{
	return k2k_tenant_suspend(v->reg, SUBJECT);
}

static int run_resume(struct victim *v)
{
	return k2k_tenant_resume(v->reg, SUBJECT);
}

static int run_drain(struct victim *v)
{
	return k2k_tenant_drain(v->reg, SUBJECT, K2K_NEVER_NS);
}

static void suspend_subject(struct scene *scene)
{
	assert_int_equal(k2k_tenant_suspend(scene->admin, SUBJECT), 0);
}

static void shadow_subject(struct scene *scene)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.shadow = 1;
	assert_int_equal(k2k_tenant_update(scene->admin, SUBJECT, &quota, K2K_UPDATE_SHADOW), 0);
}

/* ---- a tenant without budgets, whose window is opened (lib/hot.h) ---------------------------- */

#define SHARED_TENANT 9
#define SHARED_RATE 1000

static uint32_t shared_slot(const struct k2k_registry *reg)
{
	uint64_t state_gen;
	uint32_t slot;

	assert_int_equal(k2k_tenant_find(&reg->map, SHARED_TENANT, &slot, &state_gen), 0);
	return slot;
}

/* Its window has begun. */
static void share_tenant(struct scene *scene)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_rate_view view;

	quota.max_messages_per_sec = SHARED_RATE;
	assert_int_equal(k2k_tenant_register(scene->admin, SHARED_TENANT, &quota), 0);
	assert_int_equal(k2k_rate_renew(&scene->admin->map, shared_slot(scene->admin),
	                                &scene->admin->clock, &view),
	                 0);
}

static int run_open(struct victim *v)
{
	k2k_rate_open_window(&v->reg->map, shared_slot(v->reg), &v->reg->clock);
	return 0;
}

static void share_and_open(struct scene *scene)
{
	const struct k2k_map *map = &scene->admin->map;
	uint32_t slot;

	share_tenant(scene);
	slot = shared_slot(scene->admin);
	k2k_rate_open_window(map, slot, &scene->admin->clock);
	assert_true(k2k_hot_is(map->cells[slot].admitted));
}

static int run_admit_shared(struct victim *v)
{
	return k2k_message_admit(v->reg, SHARED_TENANT, no_tag, 3, NULL);
}

/* More than is left to draw, but not more than is free: what the victim drew first comes back. */
static void draw_share(struct victim *v)
{
	assert_int_equal(run_admit_shared(v), 0);
}

static int run_admit_folding(struct victim *v)
{
	return k2k_message_admit(v->reg, SHARED_TENANT, no_tag, SHARED_RATE - 3, NULL);
}

static int run_update_shared(struct victim *v)
{
	return k2k_tenant_update(v->reg, SHARED_TENANT, bucket_quota(), K2K_UPDATE_RATE);
}

static int run_deregister_shared(struct victim *v)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	return k2k_tenant_deregister(v->reg, SHARED_TENANT, &totals);
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

static int run_budget_renewing(struct victim *v)
{
	return k2k_budget_set_renewing(v->reg, SUBJECT, ENGAGEMENT, 12, K2K_RENEWAL_HOUR);
}

/* The subject's budget renews, some periods are closed, and the current one is over. */
static void let_renew(struct scene *scene)
{
	struct k2k_budget budgets[] = { { ENGAGEMENT, 1000 * MS } };
	struct k2k_budget_terms terms[] = { { .renewal = K2K_RENEWAL_HOUR } };
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.budgets = budgets;
	quota.budget_terms = terms;
	quota.budget_count = 1;
	assert_int_equal(k2k_tenant_update(scene->admin, SUBJECT, &quota, K2K_UPDATE_BUDGETS), 0);
	for (int i = 0; i < K2K_PERIOD_PLACES + 2; i++) {
		atomic_fetch_add(&scene->stage->wall_ns, HOUR);
		assert_int_equal(k2k_usage_correct(scene->admin, SUBJECT, tag_of(ENGAGEMENT),
		                                   10 + i, "use", 0),
		                 0);
	}
	atomic_fetch_add(&scene->stage->wall_ns, HOUR);
}

static int run_budget_amount(struct victim *v)
{
	return k2k_budget_set(v->reg, SUBJECT, ENGAGEMENT, 13);
}

static int run_budget_for_ever(struct victim *v)
{
	return k2k_budget_set_renewing(v->reg, SUBJECT, ENGAGEMENT, 13, K2K_RENEWAL_NEVER);
}

static int run_budget_renew(struct victim *v)
{
	return k2k_budget_renew(v->reg, SUBJECT, tag_of(ENGAGEMENT));
}

static int run_correct(struct victim *v)
{
	return k2k_usage_correct(v->reg, SUBJECT, tag_of(ENGAGEMENT), 5, "crash", 99);
}

static int run_correct_new(struct victim *v)
{
	return k2k_usage_correct(v->reg, SUBJECT, tag_of(NEW_ENGAGEMENT), 5, "crash", 99);
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
	ADMIN("update rate, to a bucket", run_update_bucket),
	ADMIN("update rate, from a bucket", run_update_rate, .arrange = make_bucket),
	ADMIN("update rate, of an open window", run_update_shared, .arrange = share_and_open),
	ADMIN("deregister, with an open window", run_deregister_shared, .arrange = share_and_open),
	ADMIN("update rate, to a share", run_update_share),
	ADMIN("shares hold on", run_hold_on, .arrange = hold_shares),
	ADMIN("shares of another epoch", run_other_epoch, .arrange = hold_shares),
	ADMIN("update memory", run_update_memory),
	ADMIN("update kernels", run_update_kernels),
	ADMIN("update budgets", run_update_budgets, .may_leave_record = true),
	ADMIN("update all", run_update_all, .may_leave_record = true),
	ADMIN("update shadow", run_update_shadow),
	ADMIN("update alerts", run_update_alerts),
	ADMIN("budget set, reaching a threshold", run_budget_again, .arrange = watch_used_subject),
	ADMIN("rename", run_rename),
	ADMIN("rename, again", run_rename, .arrange = rename_subject),
	ADMIN("suspend", run_suspend),
	ADMIN("resume", run_resume, .arrange = suspend_subject),
	ADMIN("drain", run_drain, .needs_grace_period = true),
	ADMIN("deregister", run_deregister),
	ADMIN("deregister with totals", run_deregister_totals),
	ADMIN("deregister many with totals", run_deregister_many),
	ADMIN("budget set, new", run_budget_new, .may_leave_record = true),
	ADMIN("budget set, again", run_budget_again),
	ADMIN("budget unset", run_budget_unset),
	ADMIN("budget set, renewing", run_budget_renewing),
	ADMIN("budget set, of one that renews", run_budget_amount, .arrange = let_renew),
	ADMIN("budget set, for ever again", run_budget_for_ever, .arrange = let_renew),
	ADMIN("budget renew", run_budget_renew, .arrange = let_renew),
	ADMIN("deregister, with a period", run_deregister, .arrange = let_renew),
	ADMIN("usage correct", run_correct),
	ADMIN("usage correct, new engagement", run_correct_new, .may_leave_record = true),
	ADMIN("usage correct, in a period", run_correct, .arrange = let_renew),
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

static int run_track_much(struct victim *v)
{
	return k2k_usage_track(v->reg, SUBJECT, tag_of(ENGAGEMENT), 600 * MS);
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

/* What the brokers of the state have left; in shadow one kernel and some memory more. */
static void take_rest(struct victim *v)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int code;

	do
		code = k2k_kernel_acquire(v->reg, SUBJECT, NULL, &verdict);
	while (code == 0 && verdict.shadow_code == 0);
	assert_int_equal(code ? code : verdict.shadow_code, K2K_EKERNELS);
	do
		code = k2k_gpu_memory_acquire(v->reg, SUBJECT, 1000, NULL, &verdict);
	while (code == 0 && verdict.shadow_code == 0);
	assert_int_equal(code ? code : verdict.shadow_code, K2K_EGPUMEM);
}

static int run_reserve(struct victim *v)
{
	return k2k_usage_reserve(v->reg, SUBJECT, tag_of(ENGAGEMENT), 500, &v->reservation, NULL);
}

static int run_reserve_new(struct victim *v)
{
	return k2k_usage_reserve(v->reg, SUBJECT, tag_of(NEW_ENGAGEMENT), 500, &v->reservation,
	                         NULL);
}

static void reserve_some(struct victim *v)
{
	assert_int_equal(run_reserve(v), 0);
}

static void reserve_and_commit(struct victim *v)
{
	reserve_some(v);
	assert_int_equal(k2k_usage_commit(v->reg, &v->reservation, 0), 0);
}

/* What the brokers of the state have left. */
static void reserve_rest(struct victim *v)
{
	uint64_t ns = 1 << 30;

	for (; ns; ns /= 2) {
		int code = k2k_usage_reserve(v->reg, SUBJECT, tag_of(ENGAGEMENT), ns,
		                             &v->reservation, NULL);

		assert_true(code == 0 || code == K2K_EBUDGET);
	}
}

static int run_commit(struct victim *v)
{
	return k2k_usage_commit(v->reg, &v->reservation, 400);
}

static int run_commit_more(struct victim *v)
{
	return k2k_usage_commit(v->reg, &v->reservation, 600);
}

static int run_commit_much(struct victim *v)
{
	return k2k_usage_commit(v->reg, &v->reservation, 600 * MS);
}

static int run_cancel(struct victim *v)
{
	return k2k_usage_cancel(v->reg, &v->reservation);
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
	BROKER("open a window", run_open, .arrange = share_tenant),
	BROKER("admit, drawing a share", run_admit_shared, .arrange = share_and_open),
	BROKER("admit, folding an open window", run_admit_folding, .arrange = share_and_open,
	       .prepare = draw_share),
	BROKER("admit, from a bucket", run_admit, .arrange = make_bucket),
	BROKER("admit, from a bucket that is full", run_admit, .arrange = make_bucket_full),
	BROKER("record, in a bucket that is full", run_record, .arrange = make_bucket_full),
	BROKER("admit, at the limit", run_admit, .expected = K2K_ERATE, .occupy = record_limit),
	BROKER("admit, reaching a threshold", run_admit, .arrange = watch_subject),
	BROKER("record, reaching a threshold", run_record, .occupy = record_some,
	       .arrange = watch_subject),
	BROKER("admit, budget used up", run_admit, .expected = K2K_EBUDGET,
	       .occupy = use_up_budget),
	BROKER("admit, at the limit in shadow", run_admit, .occupy = record_limit,
	       .arrange = shadow_subject),
	BROKER("admit, suspended", run_admit, .expected = K2K_ESUSPENDED,
	       .arrange = suspend_subject),
	BROKER("admit, unknown tenant", run_admit_unknown, .expected = K2K_ENOTENANT),
	BROKER("cross-tenant attempt", run_cross_tenant),
	BROKER("track", run_track),
	BROKER("track, renewing the budget", run_track, .arrange = let_renew),
	BROKER("track, reaching a threshold", run_track_much, .arrange = watch_subject),
	BROKER("track, new engagement", run_track_new, .may_leave_record = true),
	BROKER("track, ledger full", run_track_new, .expected = K2K_EUNBOOKED,
	       .occupy = fill_ledger),
	BROKER("kernel acquire, first", run_kernel, .may_leave_record = true),
	BROKER("kernel acquire, again", run_kernel, .prepare = hold_some),
	BROKER("kernel acquire, the limit's last", run_kernel, .occupy = take_all,
	       .may_leave_record = true),
	BROKER("kernel acquire, at the limit", run_kernel, .expected = K2K_EKERNELS,
	       .prepare = take_rest),
	BROKER("kernel acquire, beyond the limit in shadow", run_kernel, .prepare = take_rest,
	       .arrange = shadow_subject),
	BROKER("kernel acquire, suspended", run_kernel, .expected = K2K_ESUSPENDED,
	       .arrange = suspend_subject),
	BROKER("kernel release", run_kernel_release, .prepare = hold_some),
	BROKER("kernel add, first", run_add, .may_leave_record = true),
	BROKER("kernel add, after a dead broker", run_add, .arrange = leave_dead_kernel,
	       .may_leave_record = true),
	BROKER("kernel add, only dead ones are in the way", run_add, .arrange = leave_no_room,
	       .may_leave_record = true),
	BROKER("kernel add, at the limit", run_add, .expected = K2K_EKERNELS, .prepare = take_rest),
	BROKER("kernel add, of another", run_add, .expected = K2K_EEXIST,
	       .occupy = have_others_kernel),
	BROKER("kernel move", run_move, .prepare = have_kernel, .may_leave_record = true),
	BROKER("kernel remove", run_remove, .prepare = have_kernel),
	BROKER("route", run_route, .prepare = have_kernel),
	BROKER("route, across tenants", run_route_across, .expected = K2K_ECROSSTENANT,
	       .prepare = have_kernel),
	BROKER("memory acquire, first", run_memory, .may_leave_record = true),
	BROKER("memory acquire, the limit's last", run_memory, .occupy = take_all,
	       .may_leave_record = true),
	BROKER("memory acquire, at the limit", run_memory, .expected = K2K_EGPUMEM,
	       .prepare = take_rest),
	BROKER("memory release", run_memory_release, .prepare = hold_memory),
	BROKER("reserve, first", run_reserve, .may_leave_record = true),
	BROKER("reserve, again", run_reserve, .prepare = reserve_and_commit),
	BROKER("reserve, new engagement", run_reserve_new, .may_leave_record = true),
	BROKER("reserve, budget used up", run_reserve, .expected = K2K_EBUDGET,
	       .occupy = use_up_budget),
	BROKER("reserve, budget reserved", run_reserve, .expected = K2K_EBUDGET,
	       .prepare = reserve_rest),
	BROKER("admit, budget reserved", run_admit, .expected = K2K_EBUDGET,
	       .prepare = reserve_rest),
	BROKER("commit", run_commit, .prepare = reserve_some),
	BROKER("commit, more than reserved", run_commit_more, .prepare = reserve_some),
	BROKER("commit, reaching a threshold", run_commit_much, .prepare = reserve_some,
	       .arrange = watch_subject),
	BROKER("cancel", run_cancel, .prepare = reserve_some),
	BROKER("detach, with a reservation", run_close, .prepare = reserve_some),
};

#endif
