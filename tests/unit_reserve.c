/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_reserve.c - reservations of GPU time, as one process sees them.
 */
#include "registry_fixture.h"
#include "trail_reader.h"

#include <pthread.h>

#define ID 7
#define ENGAGEMENT 42

static const struct k2k_audit_tag tag = { 1, ENGAGEMENT };

struct scene {
	struct fixture f;
	struct k2k_registry *other; /* a second broker */
};

static struct k2k_registry *open_as(struct scene *s, enum k2k_role role)
{
	struct k2k_registry *reg;

	assert_int_equal(k2k_registry_open(s->f.name, role, NULL, &reg), 0);
	reg->clock.injected_ns = &s->f.clock_ns;
	return reg;
}

static void scene_open(struct scene *s, uint64_t budget_ns)
{
	struct k2k_quota quota = quota_standard();
	struct k2k_budget budget = { ENGAGEMENT, budget_ns };

	quota.budget_count = budget_ns != K2K_UNLIMITED;
	quota.budgets = &budget;
	fixture_open(&s->f);
	assert_int_equal(k2k_tenant_register(s->f.admin, ID, &quota), 0);
	s->other = open_as(s, K2K_ROLE_BROKER);
}

static void scene_close(struct scene *s)
{
	if (s->other)
		assert_int_equal(k2k_registry_close(&s->other), 0);
	fixture_close(&s->f);
}

static struct k2k_reservation reserve(struct k2k_registry *reg, uint64_t ns)
{
	struct k2k_reservation reservation = K2K_RESERVATION_INIT;

	assert_int_equal(k2k_usage_reserve(reg, ID, tag, ns, &reservation, NULL), 0);
	return reservation;
}

static int try_reserve(struct k2k_registry *reg, uint64_t ns)
{
	struct k2k_reservation reservation = K2K_RESERVATION_INIT;
	int code = k2k_usage_reserve(reg, ID, tag, ns, &reservation, NULL);

	if (code == 0)
		assert_int_equal(k2k_usage_cancel(reg, &reservation), 0);
	return code;
}

static uint64_t reserved(const struct scene *s)
{
	uint64_t ns = 12345;

	assert_int_equal(k2k_usage_reserved(s->f.admin, ID, tag, &ns), 0);
	return ns;
}

static uint64_t booked(const struct scene *s)
{
	uint64_t ns = 12345;

	assert_int_equal(k2k_usage_engagement_for(s->f.admin, ID, tag, &ns), 0);
	return ns;
}

TEST(what_is_booked_and_reserved_fits_into_the_budget)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_reservation a, b = K2K_RESERVATION_INIT;
	struct scene s;

	scene_open(&s, 1000);
	assert_int_equal(k2k_usage_track(s.f.broker, ID, tag, 100), 0);
	a = reserve(s.f.broker, 600);
	assert_int_equal(a.reserved_ns, 600);
	assert_int_equal(reserved(&s), 600);
	assert_int_equal(k2k_usage_reserve(s.other, ID, tag, 301, &b, &verdict), K2K_EBUDGET);
	assert_int_equal(verdict.code, K2K_EBUDGET);
	assert_int_equal(verdict.used, 700);
	assert_int_equal(verdict.limit, 1000);
	assert_int_equal(verdict.remaining, 300);
	assert_int_equal(k2k_usage_reserve(s.other, ID, tag, 300, &b, &verdict), 0);
	assert_int_equal(verdict.used, 1000);
	assert_int_equal(verdict.remaining, 0);
	assert_int_equal(try_reserve(s.f.broker, 1), K2K_EBUDGET);
	/* less than reserved: the rest is free */
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 250), 0);
	assert_int_equal(a.reserved_ns, 0);
	assert_int_equal(a.over_ns, 0);
	assert_int_equal(booked(&s), 350);
	assert_int_equal(reserved(&s), 300);
	assert_int_equal(try_reserve(s.f.broker, 350), 0);
	assert_int_equal(try_reserve(s.f.broker, 351), K2K_EBUDGET);
	assert_int_equal(k2k_usage_cancel(s.other, &b), 0);
	assert_int_equal(reserved(&s), 0);
	assert_int_equal(booked(&s), 350);
	assert_int_equal(info_of(s.f.admin, ID).rejected_total.budget, 3);
	scene_close(&s);
}

TEST(more_than_was_reserved_is_booked_and_told)
{
	struct k2k_reservation a;
	struct scene s;

	scene_open(&s, 1000);
	a = reserve(s.f.broker, 900);
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 1500), 0);
	assert_int_equal(a.over_ns, 600);
	assert_int_equal(booked(&s), 1500);
	assert_int_equal(reserved(&s), 0);
	assert_int_equal(try_reserve(s.f.broker, 1), K2K_EBUDGET);
	scene_close(&s);
}

TEST(a_reservation_ends_once)
{
	struct k2k_reservation a, copy, foreign, never = K2K_RESERVATION_INIT;
	struct scene s;

	scene_open(&s, 1000);
	a = copy = reserve(s.f.broker, 100);
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 60), 0);
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 60), K2K_ESTALE);
	assert_int_equal(k2k_usage_commit(s.f.broker, &copy, 60), K2K_ESTALE);
	assert_int_equal(k2k_usage_cancel(s.f.broker, &copy), K2K_ESTALE);
	assert_int_equal(booked(&s), 60);
	/* the next one has the same place, but another number */
	a = reserve(s.f.broker, 100);
	assert_int_equal(a.place, copy.place);
	assert_int_equal(k2k_usage_cancel(s.f.broker, &copy), K2K_ESTALE);
	assert_int_equal(reserved(&s), 100);
	/* not of this handle */
	foreign = reserve(s.other, 100);
	assert_int_equal(k2k_usage_commit(s.f.broker, &foreign, 1), K2K_ESTALE);
	never.id = ID;
	assert_int_equal(k2k_usage_commit(s.f.broker, &never, 1), K2K_ESTALE);
	assert_int_equal(k2k_usage_cancel(s.f.broker, &a), 0);
	assert_int_equal(k2k_usage_cancel(s.f.broker, &a), K2K_ESTALE);
	assert_int_equal(k2k_usage_cancel(s.other, &foreign), 0);
	assert_int_equal(booked(&s), 60);
	assert_int_equal(reserved(&s), 0);
	scene_close(&s);
}

TEST(admit_sees_what_is_reserved)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_reservation a;
	struct k2k_registry *observer;
	struct scene s;

	scene_open(&s, 1000);
	observer = open_as(&s, K2K_ROLE_OBSERVER);
	a = reserve(s.f.broker, 999);
	assert_int_equal(k2k_message_admit(s.other, ID, tag, 1, NULL), 0);
	assert_int_equal(k2k_usage_track(s.other, ID, tag, 1), 0);
	assert_int_equal(k2k_message_admit(s.other, ID, tag, 1, &verdict), K2K_EBUDGET);
	assert_int_equal(verdict.used, 1000);
	assert_int_equal(verdict.limit, 1000);
	assert_int_equal(k2k_message_admit(s.f.broker, ID, tag, 1, NULL), K2K_EBUDGET);
	assert_int_equal(k2k_quota_check(observer, ID, tag, 1, NULL), K2K_EBUDGET);
	/* another engagement has no budget */
	assert_int_equal(k2k_message_admit(s.other, ID, (struct k2k_audit_tag){ 1, 43 }, 1, NULL),
	                 0);
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 998), 0);
	assert_int_equal(k2k_message_admit(s.other, ID, tag, 1, NULL), 0);
	assert_int_equal(k2k_quota_check(observer, ID, tag, 1, NULL), 0);
	assert_int_equal(k2k_registry_close(&observer), 0);
	scene_close(&s);
}

TEST(a_closed_broker_gives_its_reservations_back)
{
	struct scene s;

	scene_open(&s, 1000);
	reserve(s.other, 1000);
	assert_int_equal(try_reserve(s.f.broker, 1), K2K_EBUDGET);
	assert_int_equal(k2k_message_admit(s.f.broker, ID, tag, 1, NULL), K2K_EBUDGET);
	assert_int_equal(k2k_registry_close(&s.other), 0);
	assert_int_equal(reserved(&s), 0);
	assert_int_equal(k2k_message_admit(s.f.broker, ID, tag, 1, NULL), 0);
	assert_int_equal(try_reserve(s.f.broker, 1000), 0);
	scene_close(&s);
}

TEST(without_a_budget_it_is_recorded_for_one_that_comes)
{
	struct k2k_reservation a;
	struct scene s;

	scene_open(&s, K2K_UNLIMITED);
	a = reserve(s.f.broker, 5000);
	assert_int_equal(reserved(&s), 5000);
	assert_int_equal(try_reserve(s.other, UINT64_C(1) << 60), 0);
	assert_int_equal(k2k_budget_set(s.f.admin, ID, ENGAGEMENT, 6000), 0);
	assert_int_equal(try_reserve(s.other, 1000), 0);
	assert_int_equal(try_reserve(s.other, 1001), K2K_EBUDGET);
	assert_int_equal(k2k_budget_set(s.f.admin, ID, ENGAGEMENT, 5000), 0);
	assert_int_equal(k2k_message_admit(s.other, ID, tag, 1, NULL), K2K_EBUDGET);
	assert_int_equal(k2k_budget_unset(s.f.admin, ID, ENGAGEMENT), 0);
	assert_int_equal(k2k_message_admit(s.other, ID, tag, 1, NULL), 0);
	assert_int_equal(try_reserve(s.other, UINT64_C(1) << 60), 0);
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 4000), 0);
	assert_int_equal(booked(&s), 4000);
	scene_close(&s);
}

TEST(a_commit_after_the_tenant_is_gone_books_nothing)
{
	struct k2k_reservation a, b, c;
	struct scene s;

	scene_open(&s, 1000);
	a = reserve(s.f.broker, 100);
	b = reserve(s.f.broker, 200);
	c = reserve(s.other, 300);
	assert_int_equal(k2k_tenant_deregister(s.f.admin, ID, NULL), 0);
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 50), K2K_EGONE);
	assert_int_equal(a.reserved_ns, 0);
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 50), K2K_ESTALE);
	assert_int_equal(k2k_tenant_register(s.f.admin, ID, NULL), 0);
	assert_int_equal(k2k_budget_set(s.f.admin, ID, ENGAGEMENT, 1000), 0);
	/* the new registration has nothing of the old one's */
	assert_int_equal(booked(&s), 0);
	assert_int_equal(reserved(&s), 0);
	assert_int_equal(try_reserve(s.other, 1000), 0);
	assert_int_equal(k2k_usage_commit(s.f.broker, &b, 50), K2K_EGONE);
	assert_int_equal(k2k_usage_cancel(s.other, &c), 0);
	assert_int_equal(booked(&s), 0);
	scene_close(&s);
}

TEST(tenant_0_reserves_without_a_count)
{
	struct k2k_reservation a = K2K_RESERVATION_INIT;
	struct scene s;

	scene_open(&s, 1000);
	assert_int_equal(k2k_usage_reserve(s.f.broker, 0, tag, UINT64_MAX, &a, NULL), 0);
	assert_int_equal(a.number, 0);
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 3), 0);
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 3), K2K_ESTALE);
	scene_close(&s);
}

TEST(mistakes_of_the_caller_change_nothing)
{
	struct k2k_reservation a = K2K_RESERVATION_INIT, wrong = { .size = 3 };
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	uint64_t ns;
	struct scene s;

	scene_open(&s, 1000);
	assert_int_equal(k2k_usage_reserve(NULL, ID, tag, 1, &a, NULL), K2K_EINVAL);
	assert_int_equal(k2k_usage_reserve(s.f.broker, ID, tag, 0, &a, NULL), K2K_EINVAL);
	assert_int_equal(k2k_usage_reserve(s.f.broker, ID, tag, 1, NULL, NULL), K2K_EINVAL);
	assert_int_equal(k2k_usage_reserve(s.f.broker, ID, tag, 1, &wrong, NULL), K2K_EINVAL);
	assert_int_equal(k2k_usage_reserve(s.f.admin, ID, tag, 1, &a, NULL), K2K_EROLE);
	assert_int_equal(k2k_usage_reserve(s.f.broker, 8, tag, 1, &a, &verdict), K2K_ENOTENANT);
	assert_int_equal(verdict.code, K2K_ENOTENANT);
	assert_int_equal(k2k_usage_commit(s.f.broker, NULL, 1), K2K_EINVAL);
	assert_int_equal(k2k_usage_commit(NULL, &a, 1), K2K_EINVAL);
	assert_int_equal(k2k_usage_cancel(s.f.broker, &wrong), K2K_EINVAL);
	assert_int_equal(k2k_usage_commit(s.f.admin, &a, 1), K2K_EROLE);
	assert_int_equal(k2k_usage_reserved(s.f.admin, ID, tag, NULL), K2K_EINVAL);
	assert_int_equal(k2k_usage_reserved(s.f.admin, 8, tag, &ns), K2K_ENOTENANT);
	assert_int_equal(reserved(&s), 0);
	scene_close(&s);
}

/* More engagements than rows, so that several have the same first row, and one broker has them. */
TEST(engagements_share_rows)
{
	enum { MANY = 100 };
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_reservation list[MANY];
	struct scene s;
	uint64_t ns;

	options.max_tenants = 4;
	options.max_leases = 200;
	options.max_engagements = 1024;
	fixture_open_sized(&s.f, &options);
	s.other = open_as(&s, K2K_ROLE_BROKER);
	assert_int_equal(k2k_tenant_register(s.f.admin, ID, NULL), 0);
	for (uint64_t i = 0; i < MANY; i++) {
		list[i] = (struct k2k_reservation)K2K_RESERVATION_INIT;
		assert_int_equal(k2k_usage_reserve(i % 2 ? s.other : s.f.broker, ID,
		                                   (struct k2k_audit_tag){ 1, i }, i + 1, &list[i],
		                                   NULL),
		                 0);
	}
	for (uint64_t i = 0; i < MANY; i++) {
		struct k2k_audit_tag of = { 1, i };

		assert_int_equal(k2k_usage_reserved(s.f.admin, ID, of, &ns), 0);
		assert_int_equal(ns, i + 1);
	}
	for (uint64_t i = 0; i < MANY; i += 3)
		assert_int_equal(k2k_usage_commit(i % 2 ? s.other : s.f.broker, &list[i], i), 0);
	for (uint64_t i = 0; i < MANY; i++) {
		struct k2k_audit_tag of = { 1, i };

		assert_int_equal(k2k_usage_reserved(s.f.admin, ID, of, &ns), 0);
		assert_int_equal(ns, i % 3 ? i + 1 : 0);
		assert_int_equal(k2k_usage_engagement_for(s.f.admin, ID, of, &ns), 0);
		assert_int_equal(ns, i % 3 ? 0 : i);
	}
	for (uint64_t i = 0; i < MANY; i++)
		assert_int_equal(k2k_usage_cancel(i % 2 ? s.other : s.f.broker, &list[i]),
		                 i % 3 ? 0 : K2K_ESTALE);
	scene_close(&s);
}

/* ---- what others see ---------------------------------------------------------------------- */

TEST(lists_show_what_is_reserved_and_by_whom)
{
	struct k2k_usage_info usage[4] = { { .size = sizeof usage[0] } };
	struct k2k_budget_info budgets[4] = { { .size = sizeof budgets[0] } };
	struct k2k_lease_info leases[8] = { { .size = sizeof leases[0] } };
	struct k2k_audit_tag second = { 1, ENGAGEMENT + 1 };
	struct k2k_reservation a, b, c = K2K_RESERVATION_INIT;
	struct scene s;
	size_t count;

	scene_open(&s, 1000);
	assert_int_equal(k2k_tenant_register(s.f.admin, ID + 1, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(s.f.broker, ID, NULL, NULL), 0);
	a = reserve(s.f.broker, 600);
	b = reserve(s.other, 50);
	assert_int_equal(k2k_usage_reserve(s.other, ID, second, 7, &c, NULL), 0);
	assert_int_equal(k2k_budget_list(s.f.admin, ID, budgets, 4, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(budgets[0].used_ns, 0);
	assert_int_equal(budgets[0].reserved_ns, 650);
	assert_int_equal(k2k_usage_list(s.f.admin, ID, usage, 4, &count), 0);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(usage[i].gpu_ns, 0);
		assert_int_equal(usage[i].reserved_ns,
		                 usage[i].engagement_id == ENGAGEMENT ? 650 : 7);
	}
	assert_int_equal(k2k_lease_list(s.f.admin, ID, leases, 8, &count), 0);
	assert_int_equal(count, 4);
	assert_int_equal(leases[0].kernels, 1);
	assert_int_equal(leases[0].reserved_ns, 0);
	for (size_t i = 1; i < 4; i++) {
		int of_a = leases[i].slot == leases[0].slot;

		assert_int_equal(leases[i].kernels + leases[i].gpu_memory_bytes, 0);
		assert_int_equal(leases[i].pid, getpid());
		assert_int_equal(leases[i].reserved_ns, leases[i].engagement_id != ENGAGEMENT ? 7
		                                        : of_a                                ? 600
		                                                                              : 50);
	}
	/* all tenants, and another one */
	assert_int_equal(k2k_lease_list(s.f.admin, 0, leases, 8, &count), 0);
	assert_int_equal(count, 4);
	assert_int_equal(k2k_lease_list(s.f.admin, ID + 1, leases, 8, &count), 0);
	assert_int_equal(count, 0);
	/* what has ended is not listed, nor what a broker had that has gone */
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 100), 0);
	assert_int_equal(k2k_budget_list(s.f.admin, 0, budgets, 4, &count), 0);
	assert_int_equal(budgets[0].used_ns, 100);
	assert_int_equal(budgets[0].reserved_ns, 50);
	assert_int_equal(k2k_registry_close(&s.other), 0);
	assert_int_equal(k2k_lease_list(s.f.admin, ID, leases, 8, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(k2k_usage_list(s.f.admin, 0, usage, 4, &count), 0);
	assert_int_equal(usage[0].reserved_ns + usage[1].reserved_ns, 0);
	(void)b;
	scene_close(&s);
}

TEST(a_refused_reservation_is_in_the_trail_as_a_refused_message_is)
{
	static struct reader reader;
	struct k2k_reservation a;
	struct scene s;

	scene_open(&s, 1000);
	a = reserve(s.f.broker, 900);
	assert_int_equal(try_reserve(s.f.broker, 101), K2K_EBUDGET);
	assert_int_equal(try_reserve(s.f.broker, 102), K2K_EBUDGET);
	assert_int_equal(k2k_tenant_suspend(s.f.admin, ID), 0);
	assert_int_equal(try_reserve(s.f.broker, 1), K2K_ESUSPENDED);
	assert_int_equal(info_of(s.f.admin, ID).rejected_total.budget, 2);
	assert_int_equal(info_of(s.f.admin, ID).suspended_rejected_total, 1);
	s.f.clock_ns += UINT64_C(2000000000);
	reader_open(&reader, s.f.admin);
	reader_take_all(&reader);
	const struct k2k_audit_record *e = reader_need(&reader, K2K_AUDIT_KIND_BUDGET, 0);
	assert_int_equal(e->count, 2);
	assert_int_equal(e->code, K2K_EBUDGET);
	assert_int_equal(e->tenant, ID);
	assert_int_equal(e->tag.org_id, 1);
	assert_int_equal(e->tag.engagement_id, ENGAGEMENT);
	assert_int_equal(e->used, 900);
	assert_int_equal(e->limit, 1000);
	e = reader_need(&reader, K2K_AUDIT_KIND_SUSPENDED, 0);
	assert_int_equal(e->code, K2K_ESUSPENDED);
	assert_int_equal(e->tag.engagement_id, ENGAGEMENT);
	/* a commit and a cancel go on */
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 5), 0);
	scene_close(&s);
}

static struct k2k_reservation to_commit;

static void *commit_later(void *scene)
{
	usleep(30000);
	assert_int_equal(k2k_usage_commit(((struct scene *)scene)->f.broker, &to_commit, 5), 0);
	return NULL;
}

/* Else the tenant could be deregistered before its work is booked. */
TEST(a_drain_waits_for_what_is_reserved)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	pthread_t thread;
	struct scene s;

	scene_open(&s, 1000);
	to_commit = reserve(s.f.broker, 10);
	assert_int_equal(k2k_tenant_drain(s.f.admin, ID, UINT64_C(50000000)), K2K_EBUSY);
	assert_int_equal(k2k_error_detail()->pid, getpid());
	assert_non_null(strstr(k2k_error_detail()->text, "have reserved GPU time"));
	assert_int_equal(pthread_create(&thread, NULL, commit_later, &s), 0);
	assert_int_equal(k2k_tenant_drain(s.f.admin, ID, K2K_NEVER_NS), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(k2k_tenant_deregister(s.f.admin, ID, &totals), 0);
	assert_int_equal(totals.gpu_ns_total, 5);
	scene_close(&s);
}

/* The table of leases has room for what is held, whoever held it before. */
TEST(records_go_around)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct scene s;

	options.max_tenants = 1;
	options.max_leases = 1;
	options.max_engagements = 256;
	fixture_open_sized(&s.f, &options);
	s.other = open_as(&s, K2K_ROLE_BROKER);
	assert_int_equal(k2k_tenant_register(s.f.admin, ID, NULL), 0);
	for (uint64_t i = 0; i < 1000; i++) {
		struct k2k_registry *reg = i % 3 ? s.f.broker : s.other;
		struct k2k_reservation a = K2K_RESERVATION_INIT;
		struct k2k_audit_tag of = { 1, i % 100 };

		assert_int_equal(k2k_usage_reserve(reg, ID, of, 10, &a, NULL), 0);
		assert_int_equal(k2k_kernel_acquire(reg, ID, NULL, NULL), 0);
		assert_int_equal(k2k_kernel_release_id(reg, ID), 0);
		assert_int_equal(k2k_usage_commit(reg, &a, 1), 0);
	}
	for (uint64_t i = 0; i < 100; i++) {
		uint64_t ns;

		assert_int_equal(k2k_usage_engagement_for(s.f.admin, ID,
		                                          (struct k2k_audit_tag){ 1, i }, &ns),
		                 0);
		assert_int_equal(ns, 10);
	}
	scene_close(&s);
}

/* One tenant may reserve for any number of engagements: the others get kernels and memory. */
TEST(reservations_do_not_use_up_the_leases_of_other_tenants)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_reservation a = K2K_RESERVATION_INIT;
	struct k2k_registry *brokers[6];
	uint64_t engagement = 0;
	struct scene s;

	options.max_tenants = 16;
	options.max_leases = 64;
	options.max_brokers = 8;
	options.max_engagements = 4096;
	fixture_open_sized(&s.f, &options);
	s.other = NULL;
	assert_int_equal(k2k_tenant_register(s.f.admin, ID, NULL), 0);
	assert_int_equal(k2k_tenant_register(s.f.admin, ID + 1, NULL), 0);
	for (int i = 0; i < 6; i++) {
		brokers[i] = open_as(&s, K2K_ROLE_BROKER);
		while (k2k_usage_reserve(brokers[i], ID, (struct k2k_audit_tag){ 1, ++engagement },
		                         1, &a, NULL) == 0)
			;
		assert_string_equal(k2k_error_detail()->object, "leases");
	}
	assert_int_equal(k2k_kernel_acquire(s.f.broker, ID + 1, NULL, NULL), 0);
	assert_int_equal(k2k_gpu_memory_acquire(brokers[0], ID + 1, 1, NULL, NULL), 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(k2k_registry_close(&brokers[i]), 0);
	scene_close(&s);
}

TEST(a_suspended_tenant_commits_but_reserves_nothing)
{
	struct k2k_reservation a;
	struct scene s;

	scene_open(&s, 1000);
	a = reserve(s.f.broker, 600);
	assert_int_equal(k2k_tenant_suspend(s.f.admin, ID), 0);
	assert_int_equal(try_reserve(s.other, 1), K2K_ESUSPENDED);
	assert_int_equal(k2k_usage_commit(s.f.broker, &a, 500), 0);
	assert_int_equal(booked(&s), 500);
	assert_int_equal(k2k_tenant_resume(s.f.admin, ID), 0);
	assert_int_equal(try_reserve(s.other, 500), 0);
	scene_close(&s);
}

TEST(a_budget_in_shadow_is_exceeded_and_told)
{
	struct k2k_quota quota = quota_standard();
	struct k2k_reservation a, b = K2K_RESERVATION_INIT;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct scene s;

	scene_open(&s, 1000);
	quota.shadow = 1;
	assert_int_equal(k2k_tenant_update(s.f.admin, ID, &quota, K2K_UPDATE_SHADOW), 0);
	a = reserve(s.f.broker, 900);
	assert_int_equal(k2k_usage_reserve(s.other, ID, tag, 200, &b, &verdict), 0);
	assert_int_equal(reserved(&s), 1100);
	assert_int_equal(k2k_message_admit(s.other, ID, tag, 1, NULL), 0);
	assert_int_equal(k2k_usage_commit(s.other, &b, 200), 0);
	assert_int_equal(k2k_usage_cancel(s.f.broker, &a), 0);
	assert_int_equal(booked(&s), 200);
	scene_close(&s);
}
