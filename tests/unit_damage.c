/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_damage.c - effects that single damaged words once had, and must not have again. damage_bits
 * and fuzz_registry found them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "damage.h"
#include "rate.h"

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

/*
 * The token is written before the state RETIRED: a tenant that recovery makes live again must not
 * keep it.
 */
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

/*
 * The damage is between the token and the word that brokers wait on. Brokers look again within a
 * second, but the words must agree.
 */
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

/* Generation 0 means "the current one": a lease of generation 0 could never be given back. */
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
	corrupt(k2k_tenant_deregister_many(d.admin, &d.ids[8], 1, NULL, NULL));
	assert_int_equal(k2k_registry_check(d.admin, &finding, 1, &count), 0);
	assert_true(count > 0);
	assert_string_equal(finding.invariant, "I1");
	bytes_restore(&d.bytes);

	for (uint32_t i = 0; i < d.map.sizes.budgets; i++)
		d.map.budgets[i].entry.next = i + 1;
	for (uint64_t engagement = told = 0; engagement < 100; engagement++) {
		int code = k2k_message_admit(d.a, 1, (struct k2k_audit_tag){ 1, 100 + engagement },
		                             1, NULL);

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

/*
 * Lists are derived data: a slot that is listed but has another state must not be freed by the
 * list.
 */
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
		/* The change that failed was undone, and the lists with it. */
		assert_int_equal(k2k_tenant_register(d.admin, next, NULL), 0);
		assert_int_equal(k2k_tenant_deregister(d.admin, next++, NULL), 0);
	}
}

/*
 * An observer copies a budget without a read section. It detects a torn copy by the state word,
 * which differs in each use.
 */
TEST(no_two_uses_of_a_budget_record_have_the_same_state_word)
{
	uint64_t words[8];
	uint32_t index = 0;
	int uses = 0;

	damage_populate(&d);
	while (k2k_entry_state(d.map.budgets[index].entry.state) != K2K_ENTRY_FREE)
		index++;
	for (k2k_tenant_id id = 1000; uses < 8 && id < 2000; id++) {
		damage_register(&d, id, 2);
		if (k2k_entry_state(d.map.budgets[index].entry.state) == K2K_ENTRY_LIVE)
			words[uses++] = d.map.budgets[index].entry.state;
		assert_int_equal(k2k_tenant_deregister(d.admin, id, NULL), 0);
		/* stands in for the brokers' helpers, which don't run here */
		d.map.slots[d.a->broker.slot].ack = d.map.defs->grace_token;
		d.map.slots[d.b->broker.slot].ack = d.map.defs->grace_token;
	}
	assert_int_equal(uses, 8);
	for (int i = 0; i < uses; i++)
		for (int j = 0; j < i; j++)
			assert_true(words[i] != words[j]);
}

/* ---- what brokers leave in `live` ------------------------------------------------------------ */

static struct k2k_repair_info repair(void)
{
	struct k2k_repair_info info = { .size = sizeof info };
	struct k2k_finding finding = { .size = sizeof finding };
	size_t count;

	DAMAGE_MUST(k2k_registry_repair(d.admin, &info));
	assert_int_equal(k2k_registry_check(d.admin, &finding, 1, &count), 0);
	if (count)
		fail_msg("after the repair: %s: %s", finding.object, finding.text);
	return info;
}

static uint64_t all_costs(void)
{
	struct k2k_usage_info list[64] = { { .size = sizeof list[0] } };
	uint64_t sum = 0;
	size_t count;

	assert_int_equal(k2k_usage_list(d.observer, 0, list, 64, &count), 0);
	for (size_t i = 0; i < count; i++)
		sum += list[i].gpu_ns;
	return sum;
}

static void others_are_administered(void)
{
	struct k2k_budget budget = { 1, 5 };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 10,
		                   .max_gpu_memory_bytes = 10,
		                   .max_concurrent_kernels = 1,
		                   .budget_count = 1,
		                   .budgets = &budget };

	assert_int_equal(k2k_tenant_register(d.admin, 1000, &quota), 0);
	assert_int_equal(k2k_tenant_update(d.admin, 1000, &quota, K2K_UPDATE_RATE), 0);
	assert_int_equal(k2k_tenant_deregister(d.admin, 1000, NULL), 0);
}

/* Tests a record that links to itself, at the head of a bucket of another tenant. */
TEST(no_chain_of_the_ledger_stops_administration_and_none_loses_time)
{
	uint64_t before;

	damage_populate(&d);
	before = all_costs();
	assert_true(before > 0);
	for (uint32_t bucket = 0; bucket <= d.map.ledger_mask; bucket++)
		for (int kind = 0; kind < 4; kind++) {
			uint32_t first = d.map.ledger_heads[bucket];

			if (!first)
				continue;
			switch (kind) {
			case 0: d.map.ledger[first - 1].entry.next = first; break;
			case 1: d.map.ledger_heads[bucket] = 0; break;
			case 2: d.map.ledger_heads[bucket] = UINT32_MAX; break;
			default:
				for (uint32_t i = 0; i <= d.map.ledger_mask; i++)
					d.map.ledger_heads[i] = first;
			}
			others_are_administered();
			assert_true(repair().cut_gpu_ns == 0);
			assert_int_equal(all_costs(), before);
			bytes_restore(&d.bytes);
		}
}

TEST(a_record_that_tells_no_tenant_is_cut_out_and_its_time_stays_counted)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_repair_info repaired;
	uint64_t before;
	uint32_t i = 0;

	damage_populate(&d);
	before = all_costs();
	/* a record without a budget: the definitions name those with one */
	while (k2k_entry_state(d.map.ledger[i].entry.state) != K2K_ENTRY_LIVE ||
	       d.map.ledger[i].entry.key != 5)
		i++;
	assert_int_equal(d.map.ledger[i].cost_ns, 50);
	d.map.ledger[i].entry.gen = 123456789;
	repaired = repair();
	assert_int_equal(repaired.cut_gpu_ns, 50);
	assert_int_equal(all_costs(), before - 50);
	assert_int_equal(k2k_registry_info(d.observer, &info), 0);
	assert_int_equal(info.cut_gpu_ns, 50);
	assert_int_equal(repair().damaged, 0);
}

TEST(a_record_of_a_budget_is_told_by_the_definitions)
{
	uint64_t before;
	uint32_t i = 0;

	damage_populate(&d);
	before = all_costs();
	while (k2k_entry_state(d.map.budgets[i].entry.state) != K2K_ENTRY_LIVE ||
	       d.map.budgets[i].entry.key != 1)
		i++;
	d.map.ledger[d.map.budgets[i].ledger - 1].entry.gen = 123456789;
	d.map.ledger[d.map.budgets[i].ledger - 1].entry.key = 77;
	d.map.ledger[d.map.budgets[i].ledger - 1].entry.slot = UINT32_MAX;
	d.map.ledger[d.map.budgets[i].ledger - 1].entry.state = 0;
	assert_int_equal(repair().cut_gpu_ns, 0);
	assert_int_equal(all_costs(), before);
}

TEST(two_records_of_one_engagement_become_one_with_the_sum)
{
	struct k2k_repair_info repaired;
	uint64_t before, ns;

	damage_populate(&d);
	before = all_costs();
	/* A record lost from its chain is created again by the next booking. */
	for (uint32_t i = 0; i <= d.map.ledger_mask; i++)
		d.map.ledger_heads[i] = 0;
	assert_int_equal(k2k_usage_track(d.a, 1, damage_tag, 7), 0);
	repaired = repair();
	assert_true(repaired.damaged > 0);
	assert_int_equal(all_costs(), before + 7);
	assert_int_equal(k2k_usage_engagement_for(d.observer, 1, damage_tag, &ns), 0);
	assert_int_equal(ns, 107);
	assert_int_equal(repair().damaged, 0);
}

TEST(a_window_that_has_not_come_costs_its_tenant_a_second)
{
	struct k2k_tenant_info info = { .size = sizeof info };
	uint64_t second, total;
	uint32_t slot = 0;

	damage_populate(&d);
	second = d.clock_ns / K2K_NS_PER_SEC;
	while (d.map.tenants[slot].id != 2)
		slot++;
	total = d.map.cells[slot].admitted;
	d.map.cells[slot].window = k2k_rate_pack_second(
		second + 100, K2K_SELECT_VERSION(d.map.tenants[slot].select));
	d.map.cells[slot].ceiling = total;
	corrupt(k2k_message_admit(d.a, 2, damage_tag, 1, NULL));
	assert_int_equal(k2k_message_admit(d.a, 3, damage_tag, 1, NULL), 0);
	/* Its row can be read, and is flagged as damaged. */
	corrupt(k2k_tenant_get(d.observer, 2, &info));
	assert_int_equal(info.flags, K2K_TENANT_DAMAGED);
	assert_int_equal(info.admitted_total, total);
	assert_int_equal(info.kernels, 1);
	others_are_administered();
	assert_int_equal(repair().damaged, 1);
	/* It is unknown how much of this second was used: none of it is granted twice. */
	assert_int_equal(k2k_message_admit(d.a, 2, damage_tag, 1, NULL), K2K_ERATE);
	d.clock_ns += K2K_NS_PER_SEC;
	assert_int_equal(k2k_message_admit(d.a, 2, damage_tag, 1000, NULL), 0);
	assert_int_equal(k2k_message_admit(d.a, 2, damage_tag, 1, NULL), K2K_ERATE);
}

TEST(leases_that_nothing_leads_to_come_back_with_what_they_hold)
{
	uint32_t slot = 0;

	damage_populate(&d);
	while (d.map.tenants[slot].id != 1)
		slot++;
	for (int kind = 0; kind < 6; kind++) {
		struct k2k_tenant_info info = { .size = sizeof info };
		uint32_t own = *k2k_map_lease_link(&d.map, slot, d.a->broker.slot),
			 other = *k2k_map_lease_link(&d.map, slot, d.b->broker.slot);

		switch (kind) {
		case 0: *k2k_map_lease_link(&d.map, slot, d.a->broker.slot) = other; break;
		case 1: *k2k_map_lease_link(&d.map, slot, d.a->broker.slot) = 0; break;
		case 2: *k2k_map_lease_link(&d.map, slot, d.a->broker.slot) = UINT32_MAX; break;
		case 3: d.map.cells[slot].lease_brokers = 0; break;
		case 4: d.map.leases[own - 1].state ^= 1; break; /* idle */
		default: d.map.leases[own - 1].whose ^= UINT64_C(1) << 33 | 1; break;
		}
		others_are_administered();
		repair();
		assert_int_equal(k2k_tenant_get(d.observer, 1, &info), 0);
		assert_int_equal(info.kernels, 2);
		assert_int_equal(info.gpu_memory_bytes, 100);
		assert_int_equal(k2k_kernel_release_id(d.a, 1), 0);
		assert_int_equal(k2k_kernel_release_id(d.b, 1), 0);
		bytes_restore(&d.bytes);
	}
}

TEST(final_totals_are_had_of_a_damaged_tenant)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	uint32_t slot = 0;

	damage_populate(&d);
	while (d.map.tenants[slot].id != 1)
		slot++;
	*k2k_map_lease_link(&d.map, slot, d.b->broker.slot) = UINT32_MAX;
	/* No helper answers here, so these totals are those counted so far. */
	assert_int_equal(k2k_tenant_deregister(d.admin, 1, &totals), 0);
	assert_int_equal(totals.gpu_ns_total, 150);
	others_are_administered();
	repair();
}

TEST(a_ring_that_lies_works_again_after_a_repair)
{
	struct k2k_audit_stats stats = { .size = sizeof stats };
	uint64_t newest;
	uint32_t ring;
	size_t count;

	damage_populate(&d);
	ring = K2K_RING_SECURITY(d.a->broker.slot);
	assert_int_equal(k2k_audit_cross_tenant(d.a, 2, 1, "y", "x", damage_tag), 0);
	newest = d.map.rings[ring].claimed;
	assert_true(newest > 0);
	d.map.rings[ring].claimed = UINT64_C(2305843009213693952);
	assert_int_equal(k2k_registry_check(d.observer, NULL, 0, &count), 0);
	assert_int_equal(count, 1);
	assert_true(repair().damaged > 0);
	assert_int_equal(d.map.rings[ring].claimed, newest);
	assert_int_equal(k2k_audit_cross_tenant(d.a, 2, 1, "z", "x", damage_tag), 0);
	assert_int_equal(k2k_audit_stats(d.observer, &stats), 0);
	assert_int_equal(stats.newest[ring], newest + 1);
}

TEST(a_follower_that_cannot_be_is_repaired)
{
	size_t count;

	damage_populate(&d);
	d.map.followers[3].owner = 77;
	d.map.followers[4].reserved0[1] = 1;
	assert_int_equal(k2k_registry_check(d.observer, NULL, 0, &count), 0);
	assert_int_equal(count, 2);
	assert_true(repair().damaged > 0);
	assert_int_equal(d.map.followers[3].owner, 0);
	assert_int_equal(k2k_registry_check(d.observer, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
}
