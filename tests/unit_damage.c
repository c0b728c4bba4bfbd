/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_damage.c - what single damaged words did, and do no more. Found by damage_bits and fuzz_registry.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "damage.h"

#include <fcntl.h>

static struct damage d;

static void corrupt(int code)
{
	if (code != K2K_ECORRUPT)
		fail_msg("%d (%s) instead of K2K_ECORRUPT", code, k2k_errname(code));
	assert_int_equal(k2k_error_detail()->code, K2K_ECORRUPT);
	assert_true(k2k_error_detail()->object[0] && k2k_error_detail()->text[0]);
}

static void files_are_there(void)
{
	assert_int_equal(access(d.bytes.defs_path, F_OK), 0);
	assert_int_equal(access(d.bytes.live_path, F_OK), 0);
}

TEST(a_flipped_bit_of_the_poison_word_is_damage_and_destroys_nothing)
{
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	static const enum k2k_role roles[] = { K2K_ROLE_OBSERVER, K2K_ROLE_BROKER, K2K_ROLE_ADMIN };
	struct k2k_registry *reg;
	size_t count;

	damage_populate(&d);
	for (int bit = 0; bit < 32; bit++) {
		d.map.defs->poisoned = UINT32_C(1) << bit;
		for (int i = 0; i < 3; i++)
			corrupt(k2k_registry_open(d.name, roles[i], NULL, &reg));
		assert_int_equal(k2k_registry_create(d.name, NULL, NULL), K2K_EEXIST);
		corrupt(k2k_tenant_count(d.observer, &count));
		corrupt(k2k_message_admit(d.a, 1, damage_tag, 1, NULL));
		corrupt(k2k_tenant_register(d.admin, 1000, NULL));
		k2k_registry_repair(d.admin, &repaired);
		files_are_there();
	}
	d.map.defs->poisoned = 0;
	assert_int_equal(k2k_message_admit(d.a, 1, damage_tag, 1, NULL), 0);
	assert_int_equal(k2k_tenant_register(d.admin, 1000, NULL), 0);
}

TEST(a_defs_whose_header_is_damaged_keeps_its_live)
{
	struct k2k_repair_info repaired = { .size = sizeof repaired };

	damage_populate(&d);
	for (int byte = 0; byte < 16; byte++) {
		d.bytes.defs[offsetof(struct k2k_shm_header, uuid) + (size_t)byte] ^= 4;
		DAMAGE_MUST(k2k_registry_repair(d.admin, &repaired));
		files_are_there();
		assert_int_equal(repaired.files, 0);
		d.bytes.defs[offsetof(struct k2k_shm_header, uuid) + (size_t)byte] ^= 4;
	}
}

/* Its token is written before it is RETIRED: what is live again must not keep it. */
TEST(a_deregister_killed_after_its_token_leaves_a_tenant_like_others)
{
	struct k2k_finding finding = { .size = sizeof finding };
	size_t count;
	uint32_t slot = 0;

	damage_populate(&d);
	while (d.map.tenants[slot].id != 1)
		slot++;
	d.map.defs->intent = K2K_OP_DEREGISTER;
	d.map.tenants_cold[slot].retired_token = d.map.defs->grace_token + 1;
	assert_int_equal(k2k_tenant_register(d.admin, 1000, NULL), 0);
	assert_int_equal(k2k_registry_check(d.admin, &finding, 1, &count), 0);
	if (count)
		fail_msg("%s: %s", finding.object, finding.text);
}

/* Between the token and the word that brokers wait on: they look again within a second, but the words must agree. */
TEST(a_writer_killed_before_it_wakes_leaves_it_to_the_next)
{
	struct k2k_finding finding = { .size = sizeof finding };
	size_t count;

	damage_populate(&d);
	d.map.defs->intent = K2K_OP_DEREGISTER;
	d.map.defs->grace_token++;
	assert_int_equal(k2k_tenant_register(d.admin, 1000, NULL), 0);
	assert_int_equal(d.map.defs->grace_wake, (uint32_t)d.map.defs->grace_token);
	assert_int_equal(k2k_registry_check(d.admin, &finding, 1, &count), 0);
	if (count)
		fail_msg("%s: %s", finding.object, finding.text);
}

/* Generation 0 stands for "the current one", and a lease of it could never be given back. */
TEST(a_tenant_without_a_generation_hands_out_no_lease)
{
	struct k2k_finding finding = { .size = sizeof finding };
	struct k2k_lease lease = K2K_LEASE_INIT;
	uint32_t slot = 0;
	size_t count;

	damage_populate(&d);
	while (d.map.tenants[slot].id != d.ids[7])
		slot++;
	d.map.tenants[slot].state_gen = k2k_tenant_word(K2K_TENANT_LIVE, 0);
	corrupt(k2k_kernel_acquire(d.a, d.ids[7], &lease, NULL));
	assert_int_equal(lease.amount, 0);
	corrupt(k2k_gpu_memory_acquire(d.a, d.ids[7], 1, &lease, NULL));
	assert_int_equal(k2k_registry_check(d.observer, &finding, 1, &count), 0);
	assert_true(count > 0);
	assert_string_equal(finding.invariant, "I1");
}

TEST(chains_of_definitions_that_never_end_are_told)
{
	struct k2k_finding finding = { .size = sizeof finding };
	int registered, told = 0;
	size_t count;

	damage_populate(&d);
	for (uint32_t i = 0; i < d.map.sizes.tenants; i++)
		d.map.tenants[i].next = i + 1;
	for (k2k_tenant_id id = 1000; id < 1100; id++) {
		int code = k2k_tenant_is_registered(d.observer, id, &registered);

		if (code)
			corrupt(code);
		told += code != 0;
	}
	assert_true(told > 0);
	corrupt(k2k_tenant_register(d.admin, d.ids[8], NULL));
	corrupt(k2k_tenant_deregister(d.admin, d.ids[8], NULL));
	assert_int_equal(k2k_registry_check(d.admin, &finding, 1, &count), 0);
	assert_true(count > 0);
	assert_string_equal(finding.invariant, "I1");
	bytes_restore(&d.bytes);

	for (uint32_t i = 0; i < d.map.sizes.budgets; i++)
		d.map.budgets[i].entry.next = i + 1;
	for (uint64_t engagement = told = 0; engagement < 100; engagement++) {
		int code = k2k_message_admit(d.a, 1, (struct k2k_audit_tag){ 1, 100 + engagement }, 1, NULL);

		if (code)
			corrupt(code);
		told += code != 0;
	}
	assert_true(told > 0);
	assert_int_equal(k2k_registry_check(d.admin, &finding, 1, &count), 0);
	assert_true(count > 0);
	assert_string_equal(finding.object, "budgets");
	bytes_restore(&d.bytes);
	assert_int_equal(k2k_registry_check(d.admin, &finding, 1, &count), 0);
	assert_int_equal(count, 0);
}

/* Lists are derived; a slot in one of them that has another state is not theirs to free. */
TEST(a_live_tenant_in_the_list_of_retired_ones_is_not_freed)
{
	k2k_tenant_id next = 1000;
	size_t before, after;

	damage_populate(&d);
	assert_int_equal(k2k_registry_close(&d.a), 0);
	assert_int_equal(k2k_registry_close(&d.b), 0);
	assert_int_equal(k2k_tenant_count(d.observer, &before), 0);
	for (uint32_t i = 0; i < d.map.sizes.tenants; i++) {
		if (k2k_tenant_state(d.map.tenants[i].state_gen) != K2K_TENANT_LIVE)
			continue;
		d.map.defs->tenant_retired.head = i + 1;
		d.map.defs->tenant_retired.tail = i + 1;
		corrupt(k2k_tenant_register(d.admin, next, NULL));
		assert_int_equal(k2k_tenant_count(d.observer, &after), 0);
		assert_int_equal(after, before);
		/* what failed was undone, and the lists with it */
		assert_int_equal(k2k_tenant_register(d.admin, next, NULL), 0);
		assert_int_equal(k2k_tenant_deregister(d.admin, next++, NULL), 0);
	}
}
