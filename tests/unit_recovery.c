/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_recovery.c - half-done states, made by hand: what a writer or a broker leaves that is killed between two stores.
 *
 * die() does what the kernel does for a killed writer: the lock is free, the intent still raised.
 */
#include "budget.h"
#include "ledger.h"
#include "registry_fixture.h"
#include "tenant.h"

static const struct k2k_limits some_limits = { .rate = 10, .gpu_memory_bytes = 10, .kernels = 10 };

static void begin(struct fixture *f, enum k2k_operation operation, struct k2k_lock *lock)
{
	CHECK_EQ(k2k_change_begin(f->admin, operation, k2k_deadline(f->admin), lock), 0);
}

static void die(struct fixture *f, struct k2k_lock *lock)
{
	k2k_lock_drop(lock);
	pthread_mutex_unlock(&f->admin->mutex);
	k2k_unhold(f->admin);
}

static size_t findings(struct k2k_registry *reg)
{
	size_t count;

	CHECK_EQ(k2k_registry_check(reg, NULL, 0, &count), 0);
	return count;
}

/* The next change of something else recovers, and everything is clean afterwards. */
static void next_operation(struct fixture *f)
{
	CHECK(findings(f->admin) > 0); /* it can be seen, and check repairs nothing */
	CHECK(findings(f->admin) > 0);
	CHECK_EQ(k2k_tenant_register(f->admin, 1000, NULL), 0);
	CHECK_EQ(findings(f->admin), 0);
	CHECK_EQ(findings(f->broker), 0);
	CHECK_EQ(k2k_message_admit(f->broker, 1000, no_tag, 1, NULL), 0);
	CHECK_EQ(k2k_tenant_deregister(f->admin, 1000, NULL), 0);
}

TEST(a_register_killed_before_its_commit_did_not_happen)
{
	struct k2k_lock lock;
	struct fixture f;
	uint64_t generation;
	uint32_t slot, record;
	size_t count;

	fixture_open(&f);
	begin(&f, K2K_OP_REGISTER, &lock);
	CHECK_EQ(k2k_tenant_build(&f.admin->map, 5, &some_limits, &slot, &generation), 0);
	CHECK_EQ(k2k_ledger_obtain(&f.admin->map, K2K_INCARNATION_WRITER, &f.admin->passed, &f.admin->ledger_full_at, slot,
	                           generation, 7, &record), 0);
	CHECK_EQ(k2k_budget_add(&f.admin->map, slot, generation, 1, 7, 100, record), 0);
	die(&f, &lock);
	CHECK(!is_registered(f.broker, 5));
	next_operation(&f);
	CHECK(!is_registered(f.broker, 5));
	CHECK_EQ(tenants(f.broker), 0);
	CHECK_EQ(k2k_budget_list(f.broker, 0, NULL, 0, &count), 0);
	CHECK_EQ(count, 0);
	CHECK_EQ(k2k_usage_list(f.broker, 0, NULL, 0, &count), 0);
	CHECK_EQ(count, 0);
	CHECK_EQ(k2k_tenant_register(f.admin, 5, NULL), 0);
	fixture_close(&f);
}

TEST(a_register_killed_after_its_commit_happened)
{
	struct k2k_lock lock;
	struct fixture f;
	uint64_t generation;
	uint32_t slot;

	fixture_open(&f);
	begin(&f, K2K_OP_REGISTER, &lock);
	CHECK_EQ(k2k_tenant_build(&f.admin->map, 5, &some_limits, &slot, &generation), 0);
	f.admin->map.tenants[slot].state_gen = k2k_tenant_word(K2K_TENANT_LIVE, generation);
	die(&f, &lock);
	next_operation(&f);
	CHECK(is_registered(f.broker, 5));
	CHECK_EQ(k2k_message_admit(f.broker, 5, no_tag, 10, NULL), 0);
	CHECK_EQ(k2k_tenant_register(f.admin, 5, NULL), K2K_EEXIST);
	fixture_close(&f);
}

TEST(a_deregister_killed_before_its_unlink_is_finished)
{
	struct k2k_lock lock;
	struct fixture f;
	uint64_t word, token;
	uint32_t slot;

	fixture_open(&f);
	CHECK_EQ(k2k_tenant_register(f.admin, 4, NULL), 0);
	CHECK_EQ(k2k_tenant_register(f.admin, 5, NULL), 0);
	begin(&f, K2K_OP_DEREGISTER, &lock);
	CHECK_EQ(k2k_tenant_find(&f.admin->map, 5, &slot, &word), 0);
	token = k2k_grace_next(&f.admin->map);
	f.admin->map.tenants_cold[slot].retired_token = token;
	f.admin->map.tenants[slot].state_gen = k2k_tenant_word(K2K_TENANT_RETIRED, k2k_tenant_generation(word));
	die(&f, &lock);
	CHECK(!is_registered(f.broker, 5));
	CHECK_EQ(f.admin->map.defs->grace_token, token - 1);
	next_operation(&f);
	CHECK(f.admin->map.defs->grace_token >= token);
	CHECK(is_registered(f.broker, 4));
	CHECK_EQ(k2k_tenant_register(f.admin, 5, NULL), 0);
	fixture_close(&f);
}

TEST(a_deregister_killed_before_its_token_is_published_is_finished)
{
	struct k2k_lock lock;
	struct fixture f;
	uint64_t word, token;
	uint32_t slot;

	fixture_open(&f);
	CHECK_EQ(k2k_tenant_register(f.admin, 5, NULL), 0);
	begin(&f, K2K_OP_DEREGISTER, &lock);
	CHECK_EQ(k2k_tenant_find(&f.admin->map, 5, &slot, &word), 0);
	token = k2k_grace_next(&f.admin->map);
	CHECK_EQ(k2k_tenant_retire(&f.admin->map, slot, token), 0);
	die(&f, &lock);
	next_operation(&f);
	/* the same number is not given to what is retired next */
	CHECK(f.admin->map.defs->grace_token > token);
	fixture_close(&f);
}

static void make_update(struct fixture *f, struct k2k_lock *lock, uint32_t *slot)
{
	struct k2k_budget budgets[] = { { 7, 100 }, { 8, 200 } };
	struct k2k_quota quota = quota_standard();
	struct k2k_limits limits = some_limits;
	uint32_t index, record;
	uint64_t word;

	quota.budgets = budgets;
	quota.budget_count = 2;
	CHECK_EQ(k2k_tenant_register(f->admin, 5, &quota), 0);
	begin(f, K2K_OP_UPDATE, lock);
	CHECK_EQ(k2k_tenant_find(&f->admin->map, 5, slot, &word), 0);
	k2k_tenant_prepare(&f->admin->map, *slot, &limits);
	/* 7 changes, 8 ends */
	CHECK_EQ(k2k_ledger_obtain(&f->admin->map, K2K_INCARNATION_WRITER, &f->admin->passed, &f->admin->ledger_full_at, *slot,
	                           k2k_tenant_generation(word), 7, &record), 0);
	CHECK_EQ(k2k_budget_find(&f->admin->map, *slot, k2k_tenant_generation(word), 1, 7, &index), 0);
	CHECK_EQ(k2k_budget_add(&f->admin->map, *slot, k2k_tenant_generation(word), 2, 7, 5000, record), 0);
	k2k_budget_end(&f->admin->map, index, 2);
	CHECK_EQ(k2k_budget_find(&f->admin->map, *slot, k2k_tenant_generation(word), 1, 8, &index), 0);
	k2k_budget_end(&f->admin->map, index, 2);
}

static uint64_t budget_of(struct fixture *f, uint64_t engagement)
{
	struct k2k_budget_info list[4] = { { .size = sizeof(list[0]) } };
	uint64_t found = 0;
	size_t count;

	CHECK_EQ(k2k_budget_list(f->broker, 5, list, 4, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (list[i].engagement_id == engagement) {
			CHECK_EQ(found, 0);
			found = list[i].budget_ns;
		}
	return found;
}

TEST(an_update_killed_before_its_commit_did_not_happen)
{
	struct k2k_lock lock;
	struct fixture f;
	uint32_t slot;

	fixture_open(&f);
	make_update(&f, &lock, &slot);
	die(&f, &lock);
	CHECK_EQ(info_of(f.broker, 5).max_messages_per_sec, 100000);
	next_operation(&f);
	CHECK_EQ(info_of(f.broker, 5).max_messages_per_sec, 100000);
	CHECK_EQ(info_of(f.broker, 5).budget_count, 2);
	CHECK_EQ(budget_of(&f, 7), 100);
	CHECK_EQ(budget_of(&f, 8), 200);
	fixture_close(&f);
}

TEST(an_update_killed_after_its_commit_happened)
{
	struct k2k_lock lock;
	struct fixture f;
	uint32_t slot;

	fixture_open(&f);
	make_update(&f, &lock, &slot);
	k2k_tenant_flip(&f.admin->map, slot);
	die(&f, &lock);
	CHECK_EQ(info_of(f.broker, 5).max_messages_per_sec, 10);
	CHECK_EQ(budget_of(&f, 7), 5000);
	next_operation(&f);
	CHECK_EQ(info_of(f.broker, 5).max_messages_per_sec, 10);
	CHECK_EQ(info_of(f.broker, 5).budget_count, 1);
	CHECK_EQ(budget_of(&f, 7), 5000);
	CHECK_EQ(budget_of(&f, 8), 0);
	fixture_close(&f);
}

/* An incarnation whose byte nobody locks. */
#define DEAD (K2K_LOCK_BYTE_LIFE_MIN + 12345)

TEST(records_that_dead_brokers_claimed_are_recovered)
{
	struct k2k_repair_info info = { .size = sizeof(info) };
	struct k2k_hash hash;
	k2k_u64 full_at = UINT64_MAX;
	struct fixture f;
	uint64_t word;
	uint32_t slot, linked = 0, unlinked, other;

	fixture_open(&f);
	CHECK_EQ(k2k_tenant_register(f.admin, 5, NULL), 0);
	CHECK_EQ(k2k_tenant_find(&f.admin->map, 5, &slot, &word), 0);
	hash = k2k_ledger_hash(&f.admin->map);
	/* linked, not yet LIVE */
	CHECK_EQ(k2k_usage_track(f.broker, 5, tag_of(0, 3), 5), 0);
	CHECK_EQ(k2k_ledger_find(&f.admin->map, slot, k2k_tenant_generation(word), 3, &linked), 0);
	f.admin->map.ledger[linked].entry.state = k2k_entry_word(K2K_ENTRY_CLAIMED, DEAD);
	/* claimed, not linked */
	CHECK(k2k_pool_claim(&hash.pool, DEAD, &f.admin->passed, &full_at, &unlinked));
	f.admin->map.ledger[unlinked].entry.gen = k2k_tenant_generation(word);
	f.admin->map.live->lease_pool.high = 1;
	f.admin->map.leases[0].state = k2k_entry_word(K2K_ENTRY_CLAIMED, DEAD);
	/* a living broker's claim is left alone */
	CHECK(k2k_pool_claim(&hash.pool, f.broker->broker.incarnation, &f.admin->passed, &full_at, &other));
	CHECK_EQ(findings(f.admin), 0); /* no damage: they count as nothing */
	CHECK_EQ(cost_for(f.broker, 5, tag_of(0, 3)), 5);
	CHECK_EQ(k2k_registry_repair(f.admin, &info), 0);
	CHECK_EQ(info.engagements, 2);
	CHECK_EQ(info.leases, 1);
	CHECK_EQ(k2k_entry_state(f.admin->map.ledger[linked].entry.state), K2K_ENTRY_LIVE);
	CHECK_EQ(f.admin->map.ledger[unlinked].entry.state, K2K_ENTRY_FREE);
	CHECK_EQ(f.admin->map.leases[0].state, K2K_ENTRY_FREE);
	CHECK_EQ(k2k_entry_state(f.admin->map.ledger[other].entry.state), K2K_ENTRY_CLAIMED);
	CHECK_EQ(cost_for(f.broker, 5, tag_of(0, 3)), 5);
	CHECK_EQ(k2k_registry_repair(f.admin, &info), 0);
	CHECK_EQ(info.engagements + info.leases + info.tenants + info.budgets, 0);
	fixture_close(&f);
}

TEST(what_dead_brokers_claimed_comes_back_when_a_tenant_goes)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	k2k_u64 full_at = UINT64_MAX;
	struct k2k_hash hash;
	struct fixture f;
	uint32_t index;

	fixture_open(&f);
	hash = k2k_ledger_hash(&f.admin->map);
	CHECK_EQ(k2k_tenant_register(f.admin, 5, NULL), 0);
	CHECK_EQ(k2k_usage_track(f.broker, 5, tag_of(0, 3), 5), 0);
	for (int i = 0; i < 10; i++)
		CHECK(k2k_pool_claim(&hash.pool, DEAD, &f.admin->passed, &full_at, &index));
	CHECK_EQ(k2k_registry_info(f.admin, &info), 0);
	CHECK_EQ(info.engagements.used, 11);
	CHECK_EQ(k2k_tenant_deregister(f.admin, 5, &(struct k2k_tenant_totals){ .size = sizeof(struct k2k_tenant_totals) }), 0);
	CHECK_EQ(k2k_registry_info(f.admin, &info), 0);
	CHECK_EQ(info.engagements.used, 0);
	fixture_close(&f);
}

TEST(a_reap_killed_halfway_is_done_again)
{
	struct k2k_lock lock;
	struct fixture f;
	uint64_t word;
	uint32_t slot, behind;
	size_t count;

	fixture_open(&f);
	CHECK_EQ(k2k_tenant_register(f.admin, 5, NULL), 0);
	CHECK_EQ(k2k_usage_track(f.broker, 5, tag_of(0, 3), 5), 0);
	CHECK_EQ(k2k_kernel_acquire(f.broker, 5, NULL, NULL), 0);
	CHECK_EQ(k2k_tenant_find(&f.admin->map, 5, &slot, &word), 0);
	CHECK_EQ(k2k_tenant_deregister(f.admin, 5, NULL), 0);
	WAIT_UNTIL(k2k_grace_passed(&f.admin->grace, &behind) == f.admin->map.defs->grace_token, 10);
	begin(&f, K2K_OP_REGISTER, &lock);
	/* the tenant's leases are not yet free; the slot is free, but in no list */
	f.admin->map.tenants[slot].state_gen = k2k_tenant_word(K2K_TENANT_FREE, k2k_tenant_generation(word));
	die(&f, &lock);
	next_operation(&f);
	CHECK_EQ(k2k_usage_list(f.admin, 0, NULL, 0, &count), 0);
	CHECK_EQ(count, 0);
	fixture_close(&f);
}

TEST(a_reap_done_again_leaves_a_record_alone_that_somebody_has_just_taken)
{
	struct k2k_hash hash;
	struct k2k_lock lock;
	struct fixture f;
	uint64_t word, token, taken;
	uint32_t slot, index = 0, behind;

	fixture_open(&f);
	hash = k2k_ledger_hash(&f.admin->map);
	taken = k2k_entry_word(K2K_ENTRY_CLAIMED, f.broker->broker.incarnation);
	CHECK_EQ(k2k_tenant_register(f.admin, 5, NULL), 0);
	CHECK_EQ(k2k_usage_track(f.broker, 5, tag_of(0, 3), 5), 0);
	CHECK_EQ(k2k_tenant_find(&f.admin->map, 5, &slot, &word), 0);
	CHECK_EQ(k2k_ledger_find(&f.admin->map, slot, k2k_tenant_generation(word), 3, &index), 0);
	CHECK_EQ(k2k_tenant_deregister(f.admin, 5, NULL), 0);
	WAIT_UNTIL(k2k_grace_passed(&f.admin->grace, &behind) == f.admin->map.defs->grace_token, 10);
	begin(&f, K2K_OP_REGISTER, &lock);
	/* killed after the tenant's records were retired, before the tenant itself was free */
	token = k2k_grace_next(&f.admin->map);
	k2k_pool_retire(&hash.pool, index, token);
	CHECK_EQ(k2k_hash_unlink(&hash, index), 0);
	k2k_grace_publish(&f.admin->map, token);
	die(&f, &lock);
	WAIT_UNTIL(k2k_grace_passed(&f.admin->grace, &behind) == token, 10);
	/* a living broker has taken it, and not yet filled it: generation, key and cost are those of before */
	f.admin->map.ledger[index].entry.state = taken;
	CHECK_EQ(k2k_tenant_register(f.admin, 6, NULL), 0);
	CHECK_EQ(k2k_tenant_state(f.admin->map.tenants[slot].state_gen) == K2K_TENANT_RETIRED, 0);
	CHECK_EQ(f.admin->map.ledger[index].entry.state, taken);
	k2k_pool_unclaim(&hash.pool, index);
	CHECK_EQ(findings(f.admin), 0);
	fixture_close(&f);
}

TEST(destroyed_lists_are_rebuilt)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_lock lock;
	struct fixture f;

	options.max_tenants = 4;
	fixture_open_sized(&f, &options);
	CHECK_EQ(k2k_tenant_register(f.admin, 1, NULL), 0);
	CHECK_EQ(k2k_tenant_register(f.admin, 2, NULL), 0);
	CHECK_EQ(k2k_tenant_deregister(f.admin, 1, NULL), 0);
	begin(&f, K2K_OP_REGISTER, &lock);
	memset(&f.admin->map.defs->tenant_free, 0xff, 4 * sizeof(struct k2k_shm_list));
	die(&f, &lock);
	for (k2k_tenant_id id = 3; id <= 5; id++)
		CHECK_EQ(k2k_tenant_register(f.admin, id, NULL), 0);
	CHECK_EQ(k2k_tenant_register(f.admin, 6, NULL), K2K_EFULL);
	CHECK_EQ(tenants(f.broker), 4);
	fixture_close(&f);
}

TEST(a_destroy_killed_after_its_poison_is_finished_by_the_next_command)
{
	struct k2k_registry *reg;
	struct fixture f;

	fixture_open(&f);
	CHECK_EQ(k2k_tenant_register(f.admin, 1, NULL), 0);
	f.admin->map.defs->poisoned = K2K_POISONED;
	CHECK_EQ(k2k_message_admit(f.broker, 1, no_tag, 1, NULL), K2K_EFENCED);
	CHECK_EQ(k2k_registry_open(f.name, K2K_ROLE_OBSERVER, NULL, &reg), K2K_ENOREGISTRY);
	CHECK_EQ(k2k_registry_create(f.name, NULL, &reg), 0);
	CHECK_EQ(k2k_tenant_register(f.admin, 2, NULL), K2K_EFENCED);
	CHECK_EQ(tenants(reg), 0);
	CHECK_EQ(k2k_registry_close(&f.broker), 0);
	CHECK_EQ(k2k_registry_close(&f.admin), 0);
	CHECK_EQ(k2k_registry_close(&reg), 0);
	CHECK_EQ(k2k_registry_destroy(f.name, 0, NULL), 0);
}
