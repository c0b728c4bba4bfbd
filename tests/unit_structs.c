/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_structs.c - structs of callers that were compiled with an earlier or a later header.
 *
 * abi_program.c tests programs compiled with the headers of earlier versions.
 */
#include "registry_fixture.h"

#define ID 7u

static void set_up(struct fixture *f)
{
	fixture_open(f);
	register_rate(f, ID, 1000);
}

/* ---- earlier headers ------------------------------------------------------------------------ */

TEST(what_an_earlier_struct_lacks_counts_as_0)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_registry_plan plan = { .size = sizeof plan };

	options.max_audit_events = 12345678; /* beyond the size that the caller states */
	options.size = offsetof(struct k2k_create_options, max_audit_events);
	assert_int_equal(k2k_registry_plan(&options, &plan), 0);
	assert_int_equal(plan.max_audit_events, 256);
	options.size = sizeof options;
	assert_int_equal(k2k_registry_plan(&options, &plan), K2K_EINVAL);
	options.max_audit_events = 257;
	assert_int_equal(k2k_registry_plan(&options, &plan), 0);
	assert_int_equal(plan.max_audit_events, 512);
}

TEST(an_earlier_struct_is_filled_to_its_end)
{
	struct k2k_registry_plan plan = { .max_audit_events = 1 };
	struct k2k_registry_info info = { .max_audit_events = 77, .cut_gpu_ns = 78 };
	struct fixture f;

	set_up(&f);
	plan.size = offsetof(struct k2k_registry_plan, max_audit_events);
	assert_int_equal(k2k_registry_plan(NULL, &plan), 0);
	assert_int_equal(plan.max_tenants, 4096);
	assert_int_equal(plan.max_audit_events, 1);
	info.size = offsetof(struct k2k_registry_info, max_audit_events);
	assert_int_equal(k2k_registry_info(f.broker, &info), 0);
	assert_int_equal(info.tenants.used, 1);
	assert_int_equal(info.max_audit_events, 77);
	assert_int_equal(info.cut_gpu_ns, 78);
	fixture_close(&f);
}

TEST(a_size_between_two_versions_is_refused)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_registry_plan plan = { .size = sizeof plan };

	for (uint32_t size = 0; size < sizeof options; size++) {
		options.size = size;
		assert_int_equal(k2k_registry_plan(&options, &plan),
		                 size == 48 || size == 56 || size == 64 ? 0 : K2K_EINVAL);
	}
}

/* ---- later headers -------------------------------------------------------------------------- */

TEST(a_later_struct_is_filled_in_its_own_stride_and_0_behind_what_we_know)
{
	struct {
		struct k2k_broker_info info;
		uint64_t later[5];
	} list[3];
	struct {
		struct k2k_tenant_info info;
		uint64_t later[5];
	} got;
	struct {
		struct k2k_registry_info info;
		uint64_t later[5];
	} all;
	struct {
		struct k2k_verdict verdict;
		uint64_t later[2];
	} verdict;
	struct {
		struct k2k_quota quota;
		uint64_t later[2];
	} quota = { .quota = K2K_QUOTA_STANDARD };
	struct {
		struct k2k_lease lease;
		uint64_t later;
	} lease;
	struct k2k_registry *second;
	struct fixture f;
	size_t count;

	set_up(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &second), 0);
	memset(list, 0x55, sizeof list);
	list[0].info.size = sizeof list[0];
	list[0].info.flags = 0;
	assert_int_equal(k2k_broker_list(f.admin, &list[0].info, 2, &count), 0);
	assert_int_equal(count, 2);
	for (int i = 0; i < 2; i++) {
		for (int j = 0; j < 5; j++)
			assert_int_equal(list[i].later[j], 0);
		assert_int_equal(list[i].info.size, sizeof list[0]);
		assert_int_equal(list[i].info.flags, 0);
		assert_int_equal(list[i].info.slot, i);
		assert_int_equal(list[i].info.pid, getpid());
		assert_int_equal(list[i].info.state, K2K_BROKER_ACTIVE);
	}
	assert_int_equal(list[2].info.slot, 0x55555555);
	memset(&got, 0, sizeof got);
	got.info.size = sizeof got;
	assert_int_equal(k2k_tenant_get(f.admin, ID, &got.info), 0);
	assert_int_equal(got.info.size, sizeof got);
	assert_int_equal(got.info.id, ID);
	memset(&all, 0, sizeof all);
	all.info.size = sizeof all;
	assert_int_equal(k2k_registry_info(f.admin, &all.info), 0);
	assert_int_equal(all.info.size, sizeof all);
	assert_string_equal(all.info.name, f.name);
	memset(&verdict, 0, sizeof verdict);
	verdict.verdict.size = sizeof verdict;
	assert_int_equal(
		k2k_message_admit(second, ID, (struct k2k_audit_tag){ 0, 9 }, 3, &verdict.verdict),
		0);
	assert_int_equal(verdict.verdict.used, 3);
	quota.quota.size = sizeof quota;
	assert_int_equal(k2k_tenant_register(f.admin, 30, &quota.quota), 0);
	memset(&lease, 0, sizeof lease);
	lease.lease.size = sizeof lease;
	assert_int_equal(k2k_kernel_acquire(second, 30, &lease.lease, NULL), 0);
	assert_int_equal(lease.lease.size, sizeof lease);
	assert_int_equal(k2k_kernel_release(second, &lease.lease), 0);
	verdict.later[1] = 7; /* an output: its old value does not matter */
	assert_int_equal(
		k2k_message_admit(second, ID, (struct k2k_audit_tag){ 0, 9 }, 3, &verdict.verdict),
		0);
	assert_int_equal(verdict.later[1], 0);
}

/* Otherwise the library would silently ignore a limit that it does not know. */
TEST(an_argument_that_asks_for_what_only_a_later_version_knows_is_refused)
{
	struct {
		struct k2k_quota quota;
		uint64_t later[2];
	} quota = { .quota = K2K_QUOTA_STANDARD, .later = { 0, 1 } };
	struct {
		struct k2k_create_options options;
		uint32_t later[4];
	} create = { .options = K2K_CREATE_OPTIONS_INIT };
	struct k2k_registry_plan plan = { .size = sizeof plan };
	struct fixture f;

	set_up(&f);
	quota.quota.size = sizeof quota;
	assert_int_equal(k2k_tenant_register(f.admin, 30, &quota.quota), K2K_EINVAL);
	assert_non_null(strstr(k2k_error_detail()->text, "later version"));
	quota.quota.size -= sizeof quota.later[1];
	assert_int_equal(k2k_tenant_register(f.admin, 30, &quota.quota), 0);
	create.options.size = sizeof create;
	assert_int_equal(k2k_registry_plan(&create.options, &plan), 0);
	create.later[3] = 1;
	assert_int_equal(k2k_registry_plan(&create.options, &plan), K2K_EINVAL);
}
