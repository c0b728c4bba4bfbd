/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit_shadow.c - limits in shadow, and suspended tenants, decision by decision */
#include "registry_fixture.h"
#include "trail_reader.h"

enum { ID = 7, ENGAGEMENT = 5, TWIN = 8 };

static struct fixture f;
static struct reader r;

static void set_up(void)
{
	fixture_open(&f);
	reader_open(&r, f.admin);
}

/* 3 messages a second, 2 kernels, 100 bytes, 1000 ns. */
static void add(k2k_tenant_id id, bool shadow)
{
	const struct k2k_budget budget = { ENGAGEMENT, 1000 };
	struct k2k_quota quota = quota_of(3, 100, 2, 1, &budget);

	quota.shadow = shadow;
	assert_int_equal(k2k_tenant_register(f.admin, id, &quota), 0);
}

static void set_shadow(k2k_tenant_id id, bool shadow)
{
	struct k2k_quota quota = quota_unlimited();

	quota.shadow = shadow;
	assert_int_equal(k2k_tenant_update(f.admin, id, &quota, K2K_UPDATE_SHADOW), 0);
}

static struct k2k_verdict admit(uint64_t n, uint64_t engagement)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	int code;

	memset((char *)&v + 8, 0xff, sizeof v - 8);
	code = k2k_message_admit(f.broker, ID, tag_of(1, engagement), n, &v);
	assert_int_equal(v.code, code);
	return v;
}

static struct k2k_verdict check(struct k2k_registry *reg, uint64_t n, uint64_t engagement)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	int code = k2k_quota_check(reg, ID, tag_of(1, engagement), n, &v);

	assert_int_equal(v.code, code);
	return v;
}

/* ---- shadow ------------------------------------------------------------------------------ */

TEST(what_the_rate_would_refuse_passes_is_told_and_is_not_counted_as_admitted)
{
	struct k2k_verdict v;

	set_up();
	add(ID, true);
	for (int i = 1; i <= 3; i++) {
		v = admit(1, 0);
		assert_int_equal(v.code, 0);
		assert_int_equal(v.shadow_code, 0);
		assert_int_equal(v.used, i);
	}
	for (int i = 0; i < 5; i++) {
		v = admit(1, 0);
		assert_int_equal(v.code, 0);
		assert_int_equal(v.shadow_code, K2K_ERATE);
		assert_int_equal(v.used, 3);
		assert_int_equal(v.limit, 3);
		assert_int_equal(v.remaining, 0);
		assert_int_equal(v.retry_after_ns, 0);
	}
	assert_int_equal(info_of(f.admin, ID).admitted_total, 3);
	assert_int_equal(info_of(f.admin, ID).rejected_total.rate, 0);
	assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.rate, 5);
	assert_int_equal(info_of(f.admin, ID).shadow, 1);
	/* the next second is as if the five had been refused */
	atomic_fetch_add(&f.clock_ns, SECOND);
	v = admit(3, 0);
	assert_int_equal(v.shadow_code, 0);
	assert_int_equal(v.used, 3);
	fixture_close(&f);
}

TEST(a_week_in_shadow_leaves_no_debt_when_the_limit_is_enforced)
{
	set_up();
	add(ID, true);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(admit(1, 0).code, 0);
	set_shadow(ID, false);
	assert_int_equal(admit(1, 0).code, K2K_ERATE);
	atomic_fetch_add(&f.clock_ns, SECOND);
	assert_int_equal(admit(3, 0).code, 0);
	assert_int_equal(admit(1, 0).code, K2K_ERATE);
	assert_int_equal(info_of(f.admin, ID).rejected_total.rate, 2);
	assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.rate, 997);
	fixture_close(&f);
}

TEST(what_a_budget_would_refuse_passes_and_is_told)
{
	struct k2k_verdict v;

	set_up();
	add(ID, true);
	assert_int_equal(k2k_usage_track(f.broker, ID, tag_of(1, ENGAGEMENT), 1000), 0);
	v = admit(1, ENGAGEMENT);
	assert_int_equal(v.code, 0);
	assert_int_equal(v.shadow_code, K2K_EBUDGET);
	assert_int_equal(v.used, 1000);
	assert_int_equal(v.limit, 1000);
	assert_int_equal(admit(1, ENGAGEMENT + 1).shadow_code, 0);
	assert_int_equal(info_of(f.admin, ID).admitted_total, 1);
	assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.budget, 1);
	assert_int_equal(info_of(f.admin, ID).rejected_total.budget, 0);
	set_shadow(ID, false);
	assert_int_equal(admit(1, ENGAGEMENT).code, K2K_EBUDGET);
	fixture_close(&f);
}

TEST(a_check_tells_of_the_shadow_and_leaves_no_trace)
{
	struct k2k_registry *observer;

	set_up();
	add(ID, true);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_OBSERVER, NULL, &observer), 0);
	observer->clock.injected_ns = &f.clock_ns;
	admit(3, 0);
	assert_int_equal(check(f.broker, 1, 0).shadow_code, K2K_ERATE);
	assert_int_equal(check(observer, 1, 0).shadow_code, K2K_ERATE);
	assert_int_equal(check(observer, 1, 0).code, 0);
	assert_int_equal(check(observer, 4, 0).shadow_code, K2K_ERATE);
	assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.rate, 0);
	assert_int_equal(k2k_registry_close(&observer), 0);
	fixture_close(&f);
}

TEST(leases_are_granted_beyond_the_limit_and_marked)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct k2k_lease lease = K2K_LEASE_INIT;

	set_up();
	add(ID, true);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(k2k_kernel_acquire(f.broker, ID, NULL, &v), 0);
		assert_int_equal(v.shadow_code, 0);
	}
	assert_int_equal(k2k_kernel_acquire(f.broker, ID, &lease, &v), 0);
	assert_int_equal(v.code, 0);
	assert_int_equal(v.shadow_code, K2K_EKERNELS);
	assert_int_equal(v.used, 3);
	assert_int_equal(v.limit, 2);
	assert_int_equal(v.remaining, 0);
	assert_int_equal(lease.amount, 1);
	assert_int_equal(info_of(f.admin, ID).kernels, 3);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, ID, 100, NULL, &v), 0);
	assert_int_equal(v.shadow_code, 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, ID, 1, NULL, &v), 0);
	assert_int_equal(v.shadow_code, K2K_EGPUMEM);
	assert_int_equal(info_of(f.admin, ID).gpu_memory_bytes, 101);
	assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.kernels, 1);
	assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.gpu_memory, 1);
	assert_int_equal(info_of(f.admin, ID).rejected_total.kernels, 0);
	/* enforced: nothing is revoked, and nothing more is granted */
	set_shadow(ID, false);
	assert_int_equal(info_of(f.admin, ID).kernels, 3);
	assert_int_equal(k2k_kernel_acquire(f.broker, ID, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_kernel_release(f.broker, &lease), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, ID, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_kernel_release_id(f.broker, ID), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, ID, NULL, NULL), 0);
	fixture_close(&f);
}

TEST(a_twin_that_enforces_refuses_what_the_shadow_tells)
{
	uint64_t seed = 20260718, refused = 0;

	set_up();
	add(ID, true);
	add(TWIN, false);
	for (int i = 0; i < 20000; i++) {
		uint64_t n = k2k_mix64(seed += i) % 3 + 1, engagement = seed % 2 ? ENGAGEMENT : 0;
		struct k2k_verdict v = K2K_VERDICT_INIT;
		int code = k2k_message_admit(f.broker, TWIN, tag_of(1, engagement), n, NULL);

		assert_int_equal(k2k_message_admit(f.broker, ID, tag_of(1, engagement), n, &v), 0);
		assert_int_equal(v.shadow_code, code);
		refused += code != 0;
		if (i == 10000)
			for (k2k_tenant_id id = ID; id <= TWIN; id++)
				assert_int_equal(
					k2k_usage_track(f.broker, id, tag_of(1, ENGAGEMENT), 1000),
					0);
		atomic_fetch_add(&f.clock_ns, k2k_mix64(seed) % (SECOND / 2));
	}
	assert_true(refused > 1000);
	assert_int_equal(info_of(f.admin, ID).admitted_total,
	                 info_of(f.admin, TWIN).admitted_total);
	assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.rate,
	                 info_of(f.admin, TWIN).rejected_total.rate);
	assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.budget,
	                 info_of(f.admin, TWIN).rejected_total.budget);
	assert_true(info_of(f.admin, TWIN).rejected_total.budget > 100);
	fixture_close(&f);
}

TEST(events_of_the_shadow_are_marked_and_coalesce_apart)
{
	const struct k2k_audit_record *e;

	set_up();
	add(ID, true);
	admit(3, 0);
	for (int i = 0; i < 4; i++)
		admit(1, 0);
	set_shadow(ID, false);
	for (int i = 0; i < 2; i++)
		admit(1, 0);
	set_shadow(ID, true);
	admit(1, 0);
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	reader_take_all(&r);
	e = reader_need(&r, K2K_AUDIT_KIND_RATE, 0);
	assert_int_equal(e->flags, K2K_AUDIT_SHADOW);
	assert_int_equal(e->count, 5);
	assert_int_equal(e->code, K2K_ERATE);
	assert_int_equal(e->used, 3);
	e = reader_need(&r, K2K_AUDIT_KIND_RATE, 1);
	assert_int_equal(e->flags, 0);
	assert_int_equal(e->count, 2);
	assert_null(reader_find(&r, K2K_AUDIT_KIND_RATE, 2));
	e = reader_need(&r, K2K_AUDIT_KIND_UPDATE, 0);
	assert_int_equal(e->values[K2K_AUDIT_REGISTER_MASK], K2K_UPDATE_SHADOW);
	assert_int_equal(e->values[K2K_AUDIT_REGISTER_MODE], 0);
	e = reader_need(&r, K2K_AUDIT_KIND_UPDATE, 1);
	assert_int_equal(e->values[K2K_AUDIT_REGISTER_MODE], K2K_AUDIT_MODE_SHADOW);
	e = reader_need(&r, K2K_AUDIT_KIND_REGISTER, 0);
	assert_true(e->values[K2K_AUDIT_REGISTER_MASK] & K2K_UPDATE_SHADOW);
	assert_int_equal(e->values[K2K_AUDIT_REGISTER_MODE], K2K_AUDIT_MODE_SHADOW);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &f.broker), 0);
	fixture_close(&f);
}

/* What a sink got: how often each code, apart by the mark. */
static struct told {
	uint64_t shadow, enforced, suspended;
	char text[256];
} told;

static void sink(void *context, const struct k2k_audit_event *event)
{
	struct told *t = context;

	if (event->code == K2K_ESUSPENDED)
		t->suspended += event->count;
	else if (event->flags & K2K_AUDIT_SHADOW)
		t->shadow += event->count;
	else
		t->enforced += event->count;
	snprintf(t->text, sizeof t->text, "%s", event->description);
}

TEST(the_sink_is_told_of_the_shadow_by_a_flag)
{
	set_up();
	add(ID, true);
	admit(3, 0);
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, sink, &told), 0);
	for (int i = 0; i < 4; i++)
		admit(1, 0);
	assert_string_equal(told.text,
	                    "tenant 7 quota exceeded in shadow: tenant 7 message-rate: 3/3");
	assert_int_equal(check(f.broker, 1, 0).shadow_code, K2K_ERATE);
	set_shadow(ID, false);
	admit(1, 0);
	assert_string_equal(told.text, "tenant 7 quota exceeded: tenant 7 message-rate: 3/3");
	assert_int_equal(k2k_tenant_suspend(f.admin, ID), 0);
	admit(1, 0);
	assert_string_equal(told.text, "tenant 7 suspended");
	assert_int_equal(k2k_registry_set_audit_sink(f.broker, NULL, NULL), 0);
	assert_int_equal(told.shadow, 5);
	assert_int_equal(told.enforced, 1);
	assert_int_equal(told.suspended, 1);
	fixture_close(&f);
}

/* ---- suspend, resume ------------------------------------------------------------------------ */

TEST(a_suspended_tenant_is_refused_and_all_else_goes_on)
{
	struct k2k_verdict v = K2K_VERDICT_INIT;
	struct k2k_lease lease = K2K_LEASE_INIT;

	set_up();
	add(ID, false);
	admit(1, 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, ID, &lease, NULL), 0);
	assert_int_equal(k2k_tenant_suspend(f.admin, ID), 0);
	v = admit(1, 0);
	assert_int_equal(v.code, K2K_ESUSPENDED);
	assert_int_equal(v.shadow_code, 0);
	assert_int_equal(v.retry_after_ns, K2K_NEVER_NS);
	assert_int_equal(check(f.broker, 1, 0).code, K2K_ESUSPENDED);
	assert_int_equal(k2k_kernel_acquire(f.broker, ID, NULL, &v), K2K_ESUSPENDED);
	assert_int_equal(v.retry_after_ns, K2K_NEVER_NS);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, ID, 1, NULL, &v), K2K_ESUSPENDED);
	assert_int_equal(k2k_message_record(f.broker, ID), 0);
	assert_int_equal(k2k_usage_track(f.broker, ID, tag_of(1, ENGAGEMENT), 10), 0);
	assert_int_equal(cost_for(f.broker, ID, tag_of(1, ENGAGEMENT)), 10);
	assert_int_equal(is_registered(f.broker, ID), 1);
	assert_int_equal(info_of(f.admin, ID).suspended, 1);
	assert_int_equal(info_of(f.admin, ID).kernels, 1);
	assert_int_equal(info_of(f.admin, ID).admitted_total, 2);
	assert_int_equal(info_of(f.admin, ID).suspended_rejected_total, 3);
	assert_int_equal(info_of(f.admin, ID).rejected_total.rate, 0);
	assert_int_equal(k2k_kernel_release(f.broker, &lease), 0);
	assert_int_equal(k2k_tenant_resume(f.admin, ID), 0);
	assert_int_equal(admit(1, 0).code, 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, ID, NULL, NULL), 0);
	assert_int_equal(info_of(f.admin, ID).suspended, 0);
	fixture_close(&f);
}

TEST(a_suspended_tenant_is_refused_in_shadow_too_and_before_its_limits)
{
	set_up();
	add(ID, true);
	admit(3, 0);
	assert_int_equal(k2k_tenant_suspend(f.admin, ID), 0);
	assert_int_equal(admit(1, 0).code, K2K_ESUSPENDED);
	assert_int_equal(admit(1, 0).shadow_code, 0);
	assert_int_equal(info_of(f.admin, ID).shadow, 1);
	assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.rate, 0);
	set_shadow(ID, false);
	assert_int_equal(admit(1, 0).code, K2K_ESUSPENDED);
	/* an update of limits leaves it suspended */
	assert_int_equal(k2k_tenant_update(f.admin, ID, &(struct k2k_quota)K2K_QUOTA_UNLIMITED,
	                                   K2K_UPDATE_RATE | K2K_UPDATE_KERNELS),
	                 0);
	assert_int_equal(admit(1, 0).code, K2K_ESUSPENDED);
	assert_int_equal(k2k_tenant_resume(f.admin, ID), 0);
	assert_int_equal(admit(1, 0).code, 0);
	fixture_close(&f);
}

TEST(suspend_and_resume_are_audited_once)
{
	const struct k2k_audit_record *e;

	set_up();
	add(ID, false);
	for (int i = 0; i < 2; i++)
		assert_int_equal(k2k_tenant_suspend(f.admin, ID), 0);
	for (int i = 0; i < 3; i++)
		admit(1, 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(k2k_tenant_resume(f.admin, ID), 0);
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	reader_take_all(&r);
	e = reader_need(&r, K2K_AUDIT_KIND_UPDATE, 0);
	assert_int_equal(e->values[K2K_AUDIT_REGISTER_MASK], K2K_UPDATE_SUSPENDED);
	assert_int_equal(e->values[K2K_AUDIT_REGISTER_MODE], K2K_AUDIT_MODE_SUSPENDED);
	e = reader_need(&r, K2K_AUDIT_KIND_UPDATE, 1);
	assert_int_equal(e->values[K2K_AUDIT_REGISTER_MASK], K2K_UPDATE_SUSPENDED);
	assert_int_equal(e->values[K2K_AUDIT_REGISTER_MODE], 0);
	assert_null(reader_find(&r, K2K_AUDIT_KIND_UPDATE, 2));
	e = reader_need(&r, K2K_AUDIT_KIND_SUSPENDED, 0);
	assert_int_equal(e->count, 3);
	assert_int_equal(e->code, K2K_ESUSPENDED);
	assert_int_equal(e->level, K2K_AUDIT_WARNING);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &f.broker), 0);
	fixture_close(&f);
}

/* ---- drain ------------------------------------------------------------------------------ */

TEST(a_drain_waits_until_nothing_is_held)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	set_up();
	add(ID, false);
	assert_int_equal(k2k_kernel_acquire(f.broker, ID, NULL, NULL), 0);
	assert_int_equal(k2k_tenant_drain(f.admin, ID, 0), K2K_EBUSY);
	assert_int_equal(k2k_tenant_drain(f.admin, ID, 50 * MS), K2K_EBUSY);
	assert_int_equal(k2k_error_detail()->pid, getpid());
	assert_string_equal(k2k_error_detail()->object, "leases");
	assert_int_equal(info_of(f.admin, ID).suspended, 1);
	assert_int_equal(k2k_kernel_release_id(f.broker, ID), 0);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, ID, 1, NULL, NULL), K2K_ESUSPENDED);
	assert_int_equal(k2k_tenant_drain(f.admin, ID, 5 * SECOND), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, ID, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_int_equal(totals.kernels, 0);
	assert_int_equal(totals.suspended_rejected_total, 1);
	assert_int_equal(k2k_tenant_drain(f.admin, ID, 0), K2K_ENOTENANT);
	fixture_close(&f);
}

static void *release_later(void *arg)
{
	(void)arg;
	usleep(30000);
	assert_int_equal(k2k_gpu_memory_release_id(f.broker, ID, 60), 0);
	return NULL;
}

TEST(a_drain_ends_with_the_last_lease)
{
	pthread_t thread;

	set_up();
	add(ID, true);
	assert_int_equal(k2k_gpu_memory_acquire(f.broker, ID, 60, NULL, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, release_later, NULL), 0);
	assert_int_equal(k2k_tenant_drain(f.admin, ID, K2K_NEVER_NS), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(info_of(f.admin, ID).gpu_memory_bytes, 0);
	fixture_close(&f);
}

static void *resume_later(void *arg)
{
	struct k2k_registry *other;

	(void)arg;
	usleep(30000);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_ADMIN, NULL, &other), 0);
	assert_int_equal(k2k_tenant_resume(other, ID), 0);
	assert_int_equal(k2k_registry_close(&other), 0);
	return NULL;
}

TEST(a_drain_ends_if_someone_resumes_the_tenant)
{
	pthread_t thread;

	set_up();
	add(ID, false);
	assert_int_equal(k2k_kernel_acquire(f.broker, ID, NULL, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, resume_later, NULL), 0);
	assert_int_equal(k2k_tenant_drain(f.admin, ID, K2K_NEVER_NS), K2K_EBUSY);
	assert_string_equal(k2k_error_detail()->object, "tenant");
	assert_int_equal(pthread_join(thread, NULL), 0);
	fixture_close(&f);
}

static uint64_t token(void)
{
	struct k2k_registry_info info = { .size = sizeof info };

	assert_int_equal(k2k_registry_info(f.broker, &info), 0);
	return info.grace_token;
}

/* A drain first notes the registration, and then begins a grace period. */
static void *register_again_later(void *arg)
{
	const uint64_t *before = arg;
	struct k2k_registry *other;

	WAIT_UNTIL(token() > *before, PATIENCE_S);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_ADMIN, NULL, &other), 0);
	assert_int_equal(k2k_batch_begin(other), 0);
	assert_int_equal(k2k_tenant_deregister(other, ID, NULL), 0);
	assert_int_equal(k2k_tenant_register(other, ID, NULL), 0);
	assert_int_equal(k2k_batch_end(other), 0);
	assert_int_equal(k2k_registry_close(&other), 0);
	return NULL;
}

TEST(a_drain_ends_with_its_registration_and_not_with_the_next_one)
{
	pthread_t thread;
	uint64_t before;

	set_up();
	add(ID, false);
	before = token();
	assert_int_equal(k2k_kernel_acquire(f.broker, ID, NULL, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, register_again_later, &before), 0);
	assert_int_equal(k2k_tenant_drain(f.admin, ID, K2K_NEVER_NS), K2K_ENOTENANT);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(info_of(f.admin, ID).suspended, 0);
	fixture_close(&f);
}

TEST(a_drain_in_a_batch_is_refused)
{
	set_up();
	add(ID, false);
	assert_int_equal(k2k_batch_begin(f.admin), 0);
	assert_int_equal(k2k_tenant_drain(f.admin, ID, 0), K2K_EINVAL);
	assert_int_equal(info_of(f.admin, ID).suspended, 0);
	assert_int_equal(k2k_tenant_suspend(f.admin, ID), 0);
	assert_int_equal(k2k_batch_end(f.admin), 0);
	fixture_close(&f);
}

/* ---- images ---------------------------------------------------------------------------------- */

TEST(an_image_brings_shadow_and_suspension_and_their_counts)
{
	struct k2k_quota quota = quota_standard();
	struct k2k_tenant_image image = { .size = sizeof image,
		                          .id = ID,
		                          .generation = 30,
		                          .quota = &quota,
		                          .shadow_rejected_total = { 1, 2, 3, 4 },
		                          .suspended_rejected_total = 5,
		                          .suspended = 1 };
	struct k2k_tenant_info info;

	set_up();
	quota.shadow = 1;
	quota.name = "vision-team";
	assert_int_equal(k2k_tenant_restore(f.admin, &image), 0);
	info = info_of(f.admin, ID);
	assert_int_equal(info.suspended, 1);
	assert_int_equal(info.shadow, 1);
	assert_int_equal(info.shadow_rejected_total.rate, 1);
	assert_int_equal(info.shadow_rejected_total.budget, 2);
	assert_int_equal(info.shadow_rejected_total.kernels, 3);
	assert_int_equal(info.shadow_rejected_total.gpu_memory, 4);
	assert_int_equal(info.suspended_rejected_total, 5);
	assert_string_equal(info.name, "vision-team");
	assert_int_equal(admit(1, 0).code, K2K_ESUSPENDED);
	image.id = TWIN;
	image.generation = 31;
	image.suspended = 2;
	quota.name = NULL;
	assert_int_equal(k2k_tenant_restore(f.admin, &image), K2K_EINVAL);
	fixture_close(&f);
}

/* A slot that is used again begins with nothing counted. */
TEST(a_new_registration_has_no_counts_of_the_one_before)
{
	set_up();
	for (int i = 0; i < 2; i++) {
		add(ID, true);
		admit(3, 0);
		admit(1, 0);
		assert_int_equal(k2k_tenant_suspend(f.admin, ID), 0);
		admit(1, 0);
		assert_int_equal(info_of(f.admin, ID).shadow_rejected_total.rate, 1);
		assert_int_equal(info_of(f.admin, ID).suspended_rejected_total, 1);
		assert_int_equal(k2k_tenant_drain(f.admin, ID, SECOND), 0);
		assert_int_equal(k2k_tenant_deregister(f.admin, ID, NULL), 0);
	}
	fixture_close(&f);
}
