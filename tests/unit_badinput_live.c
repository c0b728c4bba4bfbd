/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_badinput_live.c - a process that may write `live` may write anything into it: no other
 * process crashes, hangs, or returns an undocumented result.
 *
 * First what single damaged words mean, by name; then every word of every section, with values that
 * are likely to hurt; then a fuzz of several words at once. K2K_TEST_SEED sets its seed (printed),
 * K2K_TEST_ROUNDS its length.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "badinput.h"

#include <limits.h>
#include <stdbool.h>

#include "handle.h"
#include "rate.h"
#include "k2k/registry.h"

enum { TENANTS = 6 };

static const struct k2k_audit_tag tag = { 1, 1 }, fresh_tag = { 1, 77 };
static const char *name;
static struct k2k_registry *admin, *a, *b, *observer; /* a and b are brokers */
static struct k2k_map *map;                           /* a's mapping: live is writable there */
static uint32_t slot_of[TENANTS + 1];
static struct bytes bytes;
static char doing[256];

/*
 * Tenants 1 to 6: 1000 messages, 10 kernels, 1000 bytes, budget of engagement 1; a and b hold 2
 * kernels and 100 bytes each.
 */
static void set_up(void)
{
	struct k2k_create_options sizes = K2K_CREATE_OPTIONS_INIT;
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct k2k_budget budget = { 1, 1000000 };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 1000,
		                   .max_gpu_memory_bytes = 1000,
		                   .max_concurrent_kernels = 10,
		                   .budget_count = 1,
		                   .budgets = &budget };
	struct k2k_broker_info list[K2K_BROKERS_MAX];
	size_t count;

	sizes.max_tenants = 16;
	sizes.max_engagements = 32;
	sizes.max_leases = 64;
	sizes.max_budgets = 16;
	sizes.max_kernels = 16;
	sizes.max_audit_events = 1;
	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = 20000000;
	name = fresh_registry();
	assert_int_equal(k2k_registry_create(name, &sizes, NULL), 0);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_ADMIN, &options, &admin), 0);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &a), 0);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &b), 0);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_OBSERVER, &options, &observer), 0);
	map = &a->map;
	for (k2k_tenant_id id = 1; id <= TENANTS; id++) {
		assert_int_equal(k2k_tenant_register(admin, id, &quota), 0);
		for (uint32_t i = 0; i < map->sizes.tenants; i++)
			if (map->tenants[i].id == id)
				slot_of[id] = i;
		for (int i = 0; i < 4; i++)
			assert_int_equal(k2k_kernel_acquire(i % 2 ? a : b, id, NULL, NULL), 0);
		assert_int_equal(k2k_gpu_memory_acquire(a, id, 100, NULL, NULL), 0);
		assert_int_equal(k2k_gpu_memory_acquire(b, id, 100, NULL, NULL), 0);
		assert_int_equal(k2k_usage_track(a, id, tag, 10 * id), 0);
		assert_int_equal(k2k_usage_track(b, id, (struct k2k_audit_tag){ 1, 2 }, 5), 0);
		assert_int_equal(k2k_message_admit(a, id, tag, 3, NULL), 0);
	}
	do {
		list[0].size = sizeof list[0];
		list[0].flags = 0;
		assert_int_equal(k2k_broker_list(observer, list, K2K_BROKERS_MAX, &count), 0);
		assert_int_equal(count, 2);
	} while (list[0].grace_behind || list[1].grace_behind);
	bytes_open(&bytes, name);
	bytes_copy(&bytes);
}

static struct k2k_shm_cell *cell_of(k2k_tenant_id id)
{
	return &map->cells[slot_of[id]];
}

static struct k2k_shm_lease *lease_of(k2k_tenant_id id, struct k2k_registry *broker)
{
	uint32_t link = *k2k_map_lease_link(map, slot_of[id], broker->broker.slot);

	if (link == 0)
		fail_msg("no lease record");
	return &map->leases[link - 1];
}

static struct k2k_shm_cost *cost_of(k2k_tenant_id id, uint64_t engagement)
{
	for (uint32_t i = 0; i < map->sizes.engagements; i++)
		if (map->ledger[i].entry.key == engagement &&
		    map->ledger[i].entry.slot == slot_of[id] && map->ledger[i].entry.gen)
			return &map->ledger[i];
	fail_msg("no cost record");
}

static struct k2k_tenant_info get(k2k_tenant_id id)
{
	struct k2k_tenant_info info = { .size = sizeof info };

	assert_int_equal(k2k_tenant_get(observer, id, &info), 0);
	return info;
}

/* Check reports this invariant, to an observer, a broker and an administrator. */
static void found_by_check(const char *invariant, const char *what)
{
	struct k2k_registry *handles[] = { observer, a, admin };

	for (int i = 0; i < 3; i++) {
		struct k2k_finding list[32] = { { .size = sizeof list[0] } };
		bool found = false;
		size_t count;

		assert_int_equal(k2k_registry_check(handles[i], list, 32, &count), 0);
		for (size_t f = 0; f < count && f < 32; f++) {
			assert_true(list[f].text[0] && list[f].object[0]);
			found |= strcmp(list[f].invariant, invariant) == 0;
		}
		if (!found)
			fail_msg("%s: check %d found %zu, none of %s; the first: %s", what, i,
			         count, invariant, count ? list[0].text : "-");
	}
	bytes_restore(&bytes);
}

static void is_clean(void)
{
	struct k2k_finding list[4] = { { .size = sizeof list[0] } };
	size_t count;

	assert_int_equal(k2k_registry_check(admin, list, 4, &count), 0);
	if (count)
		fail_msg("%zu findings, the first: %s", count, list[0].text);
}

static void corrupt(int code, const char *what)
{
	if (code != K2K_ECORRUPT)
		fail_msg("%s: %d (%s), expected K2K_ECORRUPT", what, code, k2k_errname(code));
	assert_int_equal(k2k_error_detail()->code, K2K_ECORRUPT);
	assert_true(k2k_error_detail()->object[0] && k2k_error_detail()->text[0]);
}

/* ---- single words, by name ------------------------------------------------------------------- */

TEST(totals_are_what_the_bytes_say)
{
	struct k2k_shm_cell_cold *cold;
	struct k2k_tenant_info info;
	uint64_t ns;

	set_up();
	is_clean();
	cold = &map->cells_cold[slot_of[2]];
	cold->rejected_rate = UINT64_MAX;
	cold->rejected_budget = 1;
	cold->rejected_kernels = UINT64_C(1) << 63;
	cold->rejected_gpu_memory = 4;
	cold->unattributed_ns = UINT64_MAX - 1;
	info = get(2);
	assert_int_equal(info.rejected_total.rate, UINT64_MAX);
	assert_int_equal(info.rejected_total.budget, 1);
	assert_int_equal(info.rejected_total.kernels, UINT64_C(1) << 63);
	assert_int_equal(info.rejected_total.gpu_memory, 4);
	assert_int_equal(info.unattributed_ns, UINT64_MAX - 1);
	cost_of(2, 1)->cost_ns = UINT64_MAX - 1;
	assert_int_equal(k2k_usage_engagement_for(observer, 2, tag, &ns), 0);
	assert_int_equal(ns, UINT64_MAX - 1);
	assert_int_equal(k2k_usage_engagement(observer, tag, &ns), 0);
	assert_int_equal(ns, UINT64_MAX);
	assert_int_equal(k2k_message_admit(a, 2, tag, 1, NULL), K2K_EBUDGET);
	assert_int_equal(k2k_usage_track(a, 2, tag, 5), K2K_EUNBOOKED);
	assert_int_equal(get(2).unattributed_ns, UINT64_MAX);
	assert_int_equal(k2k_usage_engagement_for(observer, 2, tag, &ns), 0);
	assert_int_equal(ns, UINT64_MAX);
	assert_int_equal(k2k_message_admit(a, 3, tag, 1, NULL), 0);
	bytes_restore(&bytes);
	is_clean();
}

TEST(a_window_of_the_future_is_damage_and_one_of_the_past_is_over)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_tenant_info info = { .size = sizeof info };
	struct timespec now;

	set_up();
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	for (int bit = 34; bit < 64; bit++) {
		cell_of(1)->window = k2k_rate_pack_second((uint64_t)now.tv_sec + 10, 1) |
		                     UINT64_C(1) << bit;
		corrupt(k2k_message_admit(a, 1, tag, 1, &verdict), "admit");
		corrupt(k2k_message_record(a, 1), "record");
		corrupt(k2k_quota_check(observer, 1, tag, 1, NULL), "check");
		corrupt(k2k_tenant_get(observer, 1, &info), "get");
		assert_int_equal(k2k_message_admit(a, 2, tag, 1, NULL), 0);
	}
	found_by_check("I3", "a window of the future");
	/* Damage is not counted in any total. */
	assert_int_equal(get(1).admitted_total, 3);
	assert_int_equal(get(1).rejected_total.rate, 0);
	cell_of(1)->window = 0;
	cell_of(1)->admitted = K2K_HOT - 3; /* the highest bit is not of the total */
	assert_int_equal(get(1).admitted_total, K2K_HOT - 3);
	assert_int_equal(k2k_message_admit(a, 1, tag, 1000, NULL), 0);
	assert_int_equal(get(1).admitted_total, 997);
	do {
		clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
		cell_of(1)->window = k2k_rate_pack_second((uint64_t)now.tv_sec + 1, 1);
		cell_of(1)->ceiling = 997;
		verdict.window = 0;
		assert_int_equal(k2k_message_admit(a, 1, tag, 1000, &verdict), 0);
		assert_int_equal(k2k_message_admit(a, 1, tag, 1, &verdict), K2K_ERATE);
		cell_of(1)->admitted = 997;
	} while (verdict.window != (uint64_t)now.tv_sec + 1);
}

TEST(check_finds_it_at_the_edge_of_a_second_too)
{
	uint64_t end;
	size_t count;

	set_up();
	cell_of(1)->window = UINT64_C(1) << 63;
	for (end = now_ns() + 1300000000u; now_ns() < end;) {
		assert_int_equal(k2k_registry_check(observer, NULL, 0, &count), 0);
		assert_int_equal(count, 1);
	}
}

TEST(rows_of_leases_that_lead_outside_are_told_and_repaired)
{
	struct k2k_lease_info list[8] = { { .size = sizeof list[0] } };
	struct k2k_tenant_info info = { .size = sizeof info };
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	size_t count;

	set_up();
	for (int kind = 0; kind < 4; kind++) {
		struct k2k_registry *whose = kind % 2 ? a : b;
		char what[64];

		snprintf(what, sizeof what, "lease row, damage %d", kind);
		*k2k_map_lease_link(map, slot_of[1],
		                    whose->broker.slot) = kind < 2 ? map->sizes.leases + 1
		                                                   : UINT32_MAX;
		corrupt(k2k_tenant_get(observer, 1, &info), what);
		corrupt(k2k_lease_list(observer, 1, list, 8, &count), what);
		/* A list of all tenants still shows the others. */
		assert_int_equal(k2k_lease_list(observer, 0, list, 8, &count), 0);
		assert_true(count > 1 || kind == 6);
		assert_int_equal(list[0].flags, K2K_TENANT_DAMAGED);
		assert_int_equal(list[0].id, 1);
		assert_int_equal(list[0].slot, K2K_LEASE_SLOT_NONE);
		assert_true(kind == 6 || (list[1].flags == 0 && list[1].id == 2));
		list[0].flags = 0;
		assert_int_equal(info.flags, K2K_TENANT_DAMAGED);
		assert_int_equal(info.id, 1);
		assert_int_equal(info.kernels, 0);
		corrupt(k2k_kernel_acquire(a, 1, NULL, &(struct k2k_verdict)K2K_VERDICT_INIT),
		        what);
		corrupt(k2k_gpu_memory_acquire(a, 1, 1, NULL,
		                               &(struct k2k_verdict)K2K_VERDICT_INIT),
		        what);
		assert_int_equal(k2k_kernel_acquire(a, 2, NULL, NULL), 0); /* The others go on. */
		assert_int_equal(k2k_kernel_release_id(a, 2), 0);
		assert_int_equal(k2k_message_admit(a, 1, tag, 1, NULL), 0);
		found_by_check("I4", what);
	}
	/* Repair restores the link: what was held is held, and can be given back. */
	*k2k_map_lease_link(map, slot_of[1], a->broker.slot) = UINT32_MAX;
	assert_int_equal(k2k_registry_repair(admin, &repaired), 0);
	/* the row's word, and the record it should lead to */
	assert_int_equal(repaired.damaged, 2);
	assert_int_equal(repaired.cut_leases, 0);
	assert_int_equal(get(1).kernels, 4);
	assert_int_equal(k2k_kernel_release_id(a, 1), 0);
	/*
	 * If a bit is lost, or a word leads to another broker's record, repair finds the holder and
	 * links to it again.
	 */
	bytes_restore(&bytes);
	cell_of(1)->lease_brokers = 0;
	*k2k_map_lease_link(map, slot_of[1], b->broker.slot) = *k2k_map_lease_link(map, slot_of[1],
	                                                                           a->broker.slot);
	assert_int_equal(get(1).kernels, 0);
	assert_int_equal(k2k_registry_repair(admin, &repaired), 0);
	assert_int_equal(get(1).kernels, 4);
	bytes_restore(&bytes);
	is_clean();
}

TEST(what_others_claim_to_hold_counts_while_they_live)
{
	set_up();
	lease_of(1, b)->claims[K2K_RESOURCE_KERNELS].held = UINT64_MAX;
	lease_of(1, b)->claims[K2K_RESOURCE_KERNELS].asked = UINT64_MAX;
	assert_int_equal(get(1).kernels, UINT64_MAX);
	assert_int_equal(k2k_kernel_acquire(a, 1, NULL, NULL), K2K_EKERNELS);
	bytes_restore(&bytes);
	lease_of(1, b)->claims[K2K_RESOURCE_GPU_MEMORY].held = 900;
	assert_int_equal(get(1).gpu_memory_bytes, 1000);
	found_by_check("I4", "more held than asked for");
	/* A record of no living broker counts as nothing. */
	lease_of(1, b)->claims[K2K_RESOURCE_KERNELS].held = UINT64_MAX;
	lease_of(1, b)->incarnation = (UINT64_C(1) << 61) + 12345;
	assert_int_equal(get(1).kernels, 2);
	assert_int_equal(k2k_kernel_acquire(a, 1, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_release_id(a, 1), 0);
	bytes_restore(&bytes);
	/*
	 * If the broker's own record suddenly belongs to another, nothing is held and nothing can
	 * be given back.
	 */
	lease_of(1, a)->incarnation = 3;
	assert_int_equal(k2k_kernel_release_id(a, 1), K2K_ENOTHELD);
	bytes_restore(&bytes);
	lease_of(1, a)->claims[K2K_RESOURCE_KERNELS].held = 1;
	assert_int_equal(k2k_kernel_release_id(a, 1), 0);
	assert_int_equal(k2k_kernel_release_id(a, 1), K2K_ENOTHELD);
	bytes_restore(&bytes);
	is_clean();
}

TEST(chains_of_the_ledger_that_are_damaged_are_told)
{
	uint64_t ns;

	set_up();
	for (int kind = 0; kind < 5; kind++) {
		struct k2k_shm_cost *cost = cost_of(1, 1);
		uint32_t link = (uint32_t)(cost - map->ledger) + 1;
		char what[64];

		snprintf(what, sizeof what, "ledger, damage %d", kind);
		switch (kind) {
		case 0:
			for (uint32_t i = 0; i <= map->ledger_mask; i++)
				map->ledger_heads[i] = map->sizes.engagements + 1;
			break;
		case 1:
			for (uint32_t i = 0; i <= map->ledger_mask; i++)
				map->ledger_heads[i] = UINT32_MAX;
			break;
		case 2:
			for (uint32_t i = 0; i < map->sizes.engagements; i++)
				map->ledger[i].entry.next = i + 1; /* each record links to itself */
			break;
		case 3:
			for (uint32_t i = 0; i <= map->ledger_mask; i++)
				map->ledger_heads[i] = link; /* all buckets lead to one record */
			break;
		default:
			for (uint32_t i = 0; i < map->sizes.engagements; i++)
				map->ledger[i].entry.next = UINT32_MAX;
		}
		for (uint64_t e = 1000; e < 1100; e++) {
			int code = k2k_usage_engagement_for(observer, 1,
			                                    (struct k2k_audit_tag){ 0, e }, &ns);

			if (code == 0)
				assert_int_equal(ns, 0);
			else
				corrupt(code, what);
			if (kind < 2)
				assert_int_equal(code, K2K_ECORRUPT);
		}
		if (kind < 2) {
			corrupt(k2k_usage_track(a, 1, fresh_tag, 1), what);
			corrupt(k2k_usage_engagement_for(observer, 1, tag, &ns), what);
		}
		assert_int_equal(k2k_message_admit(a, 1, fresh_tag, 1, NULL), 0);
		found_by_check("I5", what);
	}
	cost_of(1, 1)->entry.slot = map->sizes.tenants;
	assert_int_equal(k2k_usage_engagement(observer, tag, &ns), 0);
	assert_int_equal(ns, 200);
	found_by_check("I2", "a cost of no tenant");
	cost_of(1, 1)->entry.state = K2K_ENTRY_FREE;
	found_by_check("I2", "a linked cost that is free");
	cost_of(1, 1)->entry.gen = 999;
	found_by_check("I5", "a cost in another bucket");
	is_clean();
}

TEST(slots_of_brokers_that_are_damaged_are_told)
{
	struct k2k_broker_info list[K2K_BROKERS_MAX];
	struct k2k_shm_slot *slot;
	size_t count;

	set_up();
	slot = &map->slots[b->broker.slot];
	slot->comm[0] = UINT64_C(0x1b5b1b0a80ff0041);
	slot->comm[1] = UINT64_MAX;
	slot->pid = UINT64_MAX;
	list[0].size = sizeof list[0];
	list[0].flags = 0;
	assert_int_equal(k2k_broker_list(observer, list, K2K_BROKERS_MAX, &count), 0);
	assert_int_equal(count, 2);
	assert_string_equal(list[1].comm, "A");
	assert_int_equal(list[1].state, K2K_BROKER_UNKNOWN);
	slot->comm[0] = UINT64_MAX;
	assert_int_equal(k2k_broker_list(observer, list, K2K_BROKERS_MAX, &count), 0);
	assert_string_equal(list[1].comm, "???????????????");
	bytes_restore(&bytes);
	/* The helper of a living owner would correct the word. */
	map->slots[9].ack = map->defs->grace_token + 1;
	found_by_check("I2", "an answer to a grace period that was not");
	map->slots[9].owner = 5;
	found_by_check("I6", "an owner that is nobody");
	/* The owner is dead: the next broker takes its slot. */
	for (uint32_t i = 0; i < map->sizes.slots; i++)
		if (map->slots[i].owner == 0)
			map->slots[i].owner = (UINT64_C(1) << 61) + 99 + (uint64_t)i;
	assert_int_equal(k2k_broker_list(observer, list, K2K_BROKERS_MAX, &count), 0);
	assert_int_equal(count, K2K_BROKERS_MAX);
	assert_int_equal(list[5].state, K2K_BROKER_DEAD);
	assert_int_equal(k2k_registry_close(&b), 0);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &b), 0);
	assert_int_equal(k2k_message_admit(b, 1, tag, 1, NULL), 0);
}

/* ---- every word, with every value ------------------------------------------------------------ */

/*
 * Makes one call: its code must be a documented one, and it must not wait until its deadline of 5
 * s. A sanitizer or an emulator makes everything slow; with K2K_TEST_TIMEOUT set, only a hang
 * fails.
 */
static uint64_t too_long_ns(void)
{
	return getenv("K2K_TEST_TIMEOUT") ? UINT64_C(30000000000) : UINT64_C(4500000000);
}

#define EXPECT(call, ...)                                                             \
	do {                                                                          \
		static const int allowed[] = { 0, K2K_ECORRUPT, ##__VA_ARGS__ };      \
		uint64_t began = now_ns();                                            \
		int code = (call), ok = 0;                                            \
		for (size_t n = 0; n < sizeof allowed / sizeof allowed[0]; n++)       \
			ok |= code == allowed[n];                                     \
		if (!ok)                                                              \
			fail_msg("%s: %s answered %d (%s)", doing, #call, code,       \
			         k2k_errname(code));                                  \
		if (code == K2K_ECORRUPT && k2k_error_detail()->code != K2K_ECORRUPT) \
			fail_msg("%s: %s gives no detail", doing, #call);             \
		if (now_ns() - began > too_long_ns())                                 \
			fail_msg("%s: %s took %" PRIu64 " ms", doing, #call,          \
			         (now_ns() - began) / 1000000);                       \
	} while (0)

static void read_all(struct k2k_registry *reg, k2k_tenant_id id)
{
	struct k2k_budget_info budgets[4] = { { .size = sizeof budgets[0] } };
	struct k2k_lease_info leases[4] = { { .size = sizeof leases[0] } };
	struct k2k_usage_info usage[4] = { { .size = sizeof usage[0] } };
	struct k2k_broker_info brokers[4] = { { .size = sizeof brokers[0] } };
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_tenant_info tenant = { .size = sizeof tenant };
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct k2k_audit_record events[4] = { { .size = sizeof events[0] } };
	struct k2k_audit_stats stats = { .size = sizeof stats };
	k2k_tenant_id ids[4];
	uint64_t ns;
	size_t count;
	int registered;

	EXPECT(k2k_registry_info(reg, &info));
	EXPECT(k2k_tenant_get(reg, id, &tenant));
	EXPECT(k2k_tenant_is_registered(reg, id, &registered));
	EXPECT(k2k_tenant_ids(reg, ids, 4, &count));
	EXPECT(k2k_budget_list(reg, id, budgets, 4, &count));
	EXPECT(k2k_lease_list(reg, 0, leases, 4, &count));
	EXPECT(k2k_usage_list(reg, 0, usage, 4, &count));
	EXPECT(k2k_usage_engagement(reg, tag, &ns));
	EXPECT(k2k_usage_engagement_for(reg, id, tag, &ns));
	EXPECT(k2k_quota_check(reg, id, tag, 1, NULL), K2K_ERATE, K2K_EBUDGET);
	EXPECT(k2k_audit_read(reg, &cursor, K2K_AUDIT_OPEN_TOO, events, 4, &count));
	EXPECT(k2k_audit_stats(reg, &stats));
	if ((ns & 7) == 0)
		EXPECT(k2k_broker_list(reg, brokers, 4, &count)); /* reads /proc */
}

static void use_all(struct k2k_registry *reg, k2k_tenant_id id)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_lease lease = K2K_LEASE_INIT;

	EXPECT(k2k_message_admit(reg, id, tag, 1, &verdict), K2K_ERATE, K2K_EBUDGET);
	EXPECT(k2k_message_record(reg, id));
	EXPECT(k2k_usage_track(reg, id, tag, 1), K2K_EUNBOOKED);
	EXPECT(k2k_usage_track(reg, id, fresh_tag, 1), K2K_EUNBOOKED);
	EXPECT(k2k_kernel_acquire(reg, id, &lease, &verdict), K2K_EKERNELS, K2K_EFULL, K2K_EBUSY);
	if (lease.amount)
		EXPECT(k2k_kernel_release(reg, &lease), K2K_ENOTHELD);
	EXPECT(k2k_gpu_memory_acquire(reg, id, 10, NULL, NULL), K2K_EGPUMEM, K2K_EFULL, K2K_EBUSY);
	EXPECT(k2k_gpu_memory_release_id(reg, id, 10), K2K_ENOTHELD);
	EXPECT(k2k_audit_cross_tenant(reg, id, 9, "x", "y", tag));
}

static const uint64_t hurtful[] = { 0,
	                            1,
	                            2,
	                            UINT32_MAX,
	                            UINT64_MAX,
	                            UINT64_MAX - 1,
	                            UINT64_C(1) << 32,
	                            (UINT64_C(1) << 33) - 1,
	                            UINT64_C(1) << 41,
	                            UINT64_C(1) << 61,
	                            UINT64_C(1) << 63,
	                            17,
	                            33,
	                            65,
	                            UINT64_C(0x4100000041),
	                            UINT64_C(0x100000001) };
enum { HURTFUL = sizeof hurtful / sizeof hurtful[0] };

/* The words of `live` that are in use: all sections, but only a few of the free records. */
static size_t interesting(size_t offsets[8192])
{
	const struct {
		const void *from;
		size_t n;
	} parts[] = {
		{ &map->live->ledger_pool, 16 },
		{ &map->live->lease_pool, 16 },
		{ map->slots, 4 * sizeof *map->slots },
		{ map->cells, (TENANTS + 1) * sizeof *map->cells },
		{ map->cells_cold, 2 * sizeof *map->cells_cold },
		{ map->ledger_heads, (map->ledger_mask + 1) * sizeof *map->ledger_heads },
		{ map->ledger, (2 * TENANTS + 2) * sizeof *map->ledger },
		{ map->leases, (2 * TENANTS + 2) * sizeof *map->leases },
		{ k2k_map_lease_link(map, 0, 0), 32 },
		{ k2k_map_lease_link(map, 1, 0), 32 },
	};
	size_t count = 0;

	for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++)
		for (size_t at = 0; at + 8 <= parts[p].n; at += 8)
			offsets[count++] = (size_t)((const unsigned char *)parts[p].from -
			                            (const unsigned char *)map->live) +
			                   at;
	assert_true(count < 8192);
	return count;
}

static void put(size_t at, uint64_t value)
{
	atomic_store_explicit((k2k_u64 *)(void *)(bytes.live + at), value, memory_order_relaxed);
}

TEST(every_word_of_live_may_hold_anything)
{
	static size_t offsets[8192];
	size_t words;

	set_up();
	words = interesting(offsets);
	for (size_t w = 0; w < words; w++)
		for (int v = 0; v < HURTFUL; v++)
			for (k2k_tenant_id id = 1; id <= 2; id++) {
				snprintf(doing, sizeof doing,
				         "word at %zu of live = %#" PRIx64 ", tenant %" PRIu64,
				         offsets[w], hurtful[v], id);
				put(offsets[w], hurtful[v]);
				use_all(a, id);
				read_all(observer, id);
				if (v == 0)
					read_all(a, id);
				bytes_restore(&bytes);
			}
	is_clean();
}

/* ---- fuzz ------------------------------------------------------------------------------------ */

static uint64_t seed;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint64_t from_environment(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t some_value(const size_t *offsets, size_t words)
{
	uint64_t other;

	switch (draw() % 6) {
	case 0: return draw();
	case 1: return draw() % 70;
	case 2: return draw() % 70 << 32 | draw() % 70;
	case 3: /* a value from another place of `live` */
		memcpy(&other, bytes.live_copy + offsets[draw() % words], 8);
		return other;
	case 4: return UINT64_C(1) << draw() % 64;
	default: return hurtful[draw() % HURTFUL];
	}
}

static void mutate(const size_t *offsets, size_t words)
{
	for (uint64_t n = 1 + draw() % 8; n; n--) {
		size_t at = offsets[draw() % words];

		put(at, some_value(offsets, words));
	}
}

static uint64_t begin_fuzz(uint64_t rounds)
{
	set_up();
	seed = from_environment("K2K_TEST_SEED", 20240607) | 1;
	rounds = from_environment("K2K_TEST_ROUNDS", rounds);
	printf("# seed %" PRIu64 ", %" PRIu64 " rounds\n", seed, rounds);
	fflush(stdout);
	return rounds;
}

TEST(brokers_and_observers_survive_a_fuzz_of_live)
{
	static size_t offsets[8192];
	struct k2k_finding findings[4] = { { .size = sizeof findings[0] } };
	uint64_t rounds = begin_fuzz(4000);
	size_t words = interesting(offsets), count;

	for (uint64_t round = 0; round < rounds; round++) {
		k2k_tenant_id id = 1 + draw() % TENANTS;

		snprintf(doing, sizeof doing, "round %" PRIu64, round);
		mutate(offsets, words);
		use_all(draw() % 2 ? a : b, id);
		read_all(observer, id);
		if (round % 8 == 0)
			read_all(a, id);
		if (round % 1000 == 0) {
			EXPECT(k2k_registry_check(observer, findings, 4, &count));
			EXPECT(k2k_registry_check(b, findings, 4, &count));
		}
		if (round % 50 == 0)
			for (int role = K2K_ROLE_BROKER; role <= K2K_ROLE_OBSERVER; role++) {
				struct k2k_registry *reg;

				EXPECT(k2k_registry_open(name, (enum k2k_role)role, NULL, &reg),
				       K2K_ENOBROKERSLOT);
				if (reg) {
					read_all(reg, id);
					EXPECT(k2k_registry_close(&reg));
				}
			}
		bytes_restore(&bytes);
	}
	is_clean();
}

/* Only the administrator writes its definitions, but its walks lead through `live`, too. */
TEST(administrators_survive_a_fuzz_of_live)
{
	static size_t offsets[8192];
	uint64_t rounds = begin_fuzz(400);
	size_t words = interesting(offsets), count;

	for (uint64_t round = 0; round < rounds; round++) {
		struct k2k_tenant_totals totals = { .size = sizeof totals };
		struct k2k_repair_info repair = { .size = sizeof repair };
		struct k2k_quota quota = K2K_QUOTA_STANDARD;
		k2k_tenant_id id = 1 + draw() % TENANTS;

		snprintf(doing, sizeof doing, "round %" PRIu64, round);
		mutate(offsets, words);
		EXPECT(k2k_tenant_register(admin, 100, &quota), K2K_EBUSY, K2K_EFULL);
		EXPECT(k2k_budget_set(admin, id, 300 + draw() % 3, draw()), K2K_EBUSY, K2K_EFULL,
		       K2K_EINVAL);
		EXPECT(k2k_budget_unset(admin, id, 1), K2K_EBUSY, K2K_EFULL, K2K_ENOBUDGET);
		EXPECT(k2k_tenant_deregister(admin, id, draw() % 2 ? &totals : NULL), K2K_EBUSY);
		EXPECT(k2k_tenant_register(admin, id, &quota), K2K_EBUSY, K2K_EFULL, K2K_EEXIST);
		if (round % 20 == 0) {
			EXPECT(k2k_registry_check(admin, NULL, 0, &count), K2K_EBUSY);
			EXPECT(k2k_registry_repair(admin, &repair), K2K_EBUSY);
		}
		EXPECT(k2k_tenant_deregister(admin, 100, NULL), K2K_EBUSY, K2K_ENOTENANT);
		bytes_restore(&bytes);
	}
}
