/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit_fixture.h - a registry of two tenants whose broker tells a recorder (audit_recorder.h)
 */
#ifndef K2K_TESTS_AUDIT_FIXTURE_H
#define K2K_TESTS_AUDIT_FIXTURE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define HARNESS_TIMEOUT_S 20
#include "audit_recorder.h"
#include "badinput.h"

struct fixture {
	const char *name;
	struct k2k_registry *admin, *broker, *observer;
	struct recorder *r; /* of the broker's handle */
};

static const struct k2k_audit_tag tag HARNESS_USED = { 77, 5 }, none = { 0, 0 };
static struct recorder of_broker = RECORDER_INIT, of_admin HARNESS_USED = RECORDER_INIT,
		       other HARNESS_USED = RECORDER_INIT;

/* Tenant 1: 5 messages a second, 1 kernel, 100 bytes, engagement 5: 1000 ns. Tenant 2: the same. */
HARNESS_USED static void set_up(struct fixture *f)
{
	struct k2k_create_options sizes = K2K_CREATE_OPTIONS_INIT;
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct k2k_budget budget = { 5, 1000 };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 5,
		                   .max_gpu_memory_bytes = 100,
		                   .max_concurrent_kernels = 1,
		                   .budget_count = 1,
		                   .budgets = &budget };

	sizes.max_tenants = 16;
	sizes.max_engagements = 4096;
	sizes.max_budgets = 16;
	sizes.max_kernels = 16;
	options.actor = "tests";
	f->name = fresh_registry();
	assert_int_equal(k2k_registry_create(f->name, &sizes, NULL), 0);
	assert_int_equal(k2k_registry_open(f->name, K2K_ROLE_ADMIN, &options, &f->admin), 0);
	assert_int_equal(k2k_registry_open(f->name, K2K_ROLE_BROKER, &options, &f->broker), 0);
	inject_clock(f->broker);
	assert_int_equal(k2k_registry_open(f->name, K2K_ROLE_OBSERVER, &options, &f->observer), 0);
	inject_clock(f->observer);
	assert_int_equal(k2k_tenant_register(f->admin, 1, &quota), 0);
	assert_int_equal(k2k_tenant_register(f->admin, 2, &quota), 0);
	assert_int_equal(k2k_registry_set_audit_sink(f->broker, record, &of_broker), 0);
	f->r = &of_broker;
}

HARNESS_USED static void advance(uint64_t ns)
{
	atomic_fetch_add(&injected_ns, ns);
}

HARNESS_USED static void admit_all(struct k2k_registry *reg, k2k_tenant_id id)
{
	for (int i = 0; i < 5; i++)
		assert_int_equal(k2k_message_admit(reg, id, none, 1, NULL), 0);
}

#endif
