/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_recovery.c - half-done states, made by hand: what a writer or a broker leaves if it is
 * killed between two stores.
 *
 * die() has the effect of a kill: the writer's incarnation is dead, and its intent is still set.
 */
#include "budget.h"
#include "change.h"
#include "ledger.h"
#include "registry_fixture.h"
#include "tenant.h"

static const struct k2k_limits some_limits = { .rate = 10, .gpu_memory_bytes = 10, .kernels = 10 };

static void begin(struct fixture *f, enum k2k_operation operation)
{
	assert_int_equal(k2k_change_begin(f->admin, operation, k2k_deadline(f->admin)), 0);
}

/* The incarnation ends and another begins: whatever it had taken still belongs to the dead one. */
static int end_life(void *context)
{
	struct k2k_registry *admin = context;

	admin->writer.turn = NULL; /* a killed writer never reaches k2k_writer_unlock() */
	k2k_writer_close(&admin->writer);
	return k2k_writer_open(&admin->writer, &admin->map, &admin->admins, &admin->own);
}

static void die(struct fixture *f)
{
	assert_int_equal(k2k_agent_run(&f->admin->agent, end_life, f->admin), 0);
	pthread_mutex_unlock(&f->admin->mutex);
	k2k_unhold(f->admin);
}

static size_t findings(struct k2k_registry *reg)
{
	size_t count;

	assert_int_equal(k2k_registry_check(reg, NULL, 0, &count), 0);
	return count;
}

/* The next change, of something else, recovers; afterwards everything is clean. */
static void next_operation(struct fixture *f)
{
	assert_true(findings(f->admin) > 0); /* The state is visible, and check repairs nothing. */
	assert_true(findings(f->admin) > 0);
	assert_int_equal(k2k_tenant_register(f->admin, 1000, NULL), 0);
	assert_int_equal(findings(f->admin), 0);
	assert_int_equal(findings(f->broker), 0);
	assert_int_equal(k2k_message_admit(f->broker, 1000, no_tag, 1, NULL), 0);
	assert_int_equal(k2k_tenant_deregister(f->admin, 1000, NULL), 0);
}

static struct k2k_claimer writer_of(struct fixture *f)
{
	return (struct k2k_claimer){ K2K_INCARNATION_WRITER, &f->admin->passed,
		                     &f->admin->ledger_full_at };
}

TEST(a_register_killed_before_its_commit_did_not_happen)
{
	struct k2k_hash_key key = { .key = 7 };
	struct k2k_claimer claimer;
	struct fixture f;
	uint32_t record;
	size_t count;

	fixture_open(&f);
	claimer = writer_of(&f);
	begin(&f, K2K_OP_REGISTER);
	assert_int_equal(k2k_tenant_build(&f.admin->map, 5, &some_limits, &key.slot, &key.gen), 0);
	assert_int_equal(k2k_ledger_obtain(&f.admin->map, &claimer, &key, &record), 0);
	assert_int_equal(k2k_budget_add(&f.admin->map, &key, 1,
	                                &(struct k2k_budget_record){ .budget_ns = 100,
	                                                             .ledger = record + 1 }),
	                 0);
	die(&f);
	assert_false(is_registered(f.broker, 5));
	next_operation(&f);
	assert_false(is_registered(f.broker, 5));
	assert_int_equal(tenants(f.broker), 0);
	assert_int_equal(k2k_budget_list(f.broker, 0, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(k2k_usage_list(f.broker, 0, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(k2k_tenant_register(f.admin, 5, NULL), 0);
	fixture_close(&f);
}

TEST(a_register_killed_after_its_commit_happened)
{
	struct fixture f;
	uint64_t generation;
	uint32_t slot;

	fixture_open(&f);
	begin(&f, K2K_OP_REGISTER);
	assert_int_equal(k2k_tenant_build(&f.admin->map, 5, &some_limits, &slot, &generation), 0);
	f.admin->map.tenants[slot].state_gen = k2k_tenant_word(K2K_TENANT_LIVE, generation);
	die(&f);
	next_operation(&f);
	assert_true(is_registered(f.broker, 5));
	assert_int_equal(k2k_message_admit(f.broker, 5, no_tag, 10, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 5, NULL), K2K_EEXIST);
	fixture_close(&f);
}

TEST(a_deregister_killed_before_its_unlink_is_finished)
{
	struct fixture f;
	uint64_t word, token;
	uint32_t slot;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 4, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 5, NULL), 0);
	begin(&f, K2K_OP_DEREGISTER);
	assert_int_equal(k2k_tenant_find(&f.admin->map, 5, &slot, &word), 0);
	token = k2k_grace_next(&f.admin->map);
	f.admin->map.tenants_cold[slot].retired_token = token;
	f.admin->map.tenants[slot].state_gen = k2k_tenant_word(K2K_TENANT_RETIRED,
	                                                       k2k_tenant_generation(word));
	die(&f);
	assert_false(is_registered(f.broker, 5));
	assert_int_equal(f.admin->map.defs->grace_token, token - 1);
	next_operation(&f);
	assert_true(f.admin->map.defs->grace_token >= token);
	assert_true(is_registered(f.broker, 4));
	assert_int_equal(k2k_tenant_register(f.admin, 5, NULL), 0);
	fixture_close(&f);
}

TEST(a_deregister_killed_before_its_token_is_published_is_finished)
{
	struct fixture f;
	uint64_t word, token;
	uint32_t slot;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 5, NULL), 0);
	begin(&f, K2K_OP_DEREGISTER);
	assert_int_equal(k2k_tenant_find(&f.admin->map, 5, &slot, &word), 0);
	token = k2k_grace_next(&f.admin->map);
	assert_int_equal(k2k_tenant_retire(&f.admin->map, slot, token), 0);
	die(&f);
	next_operation(&f);
	/* The next retired tenant must not get the same token. */
	assert_true(f.admin->map.defs->grace_token > token);
	fixture_close(&f);
}

static void make_update(struct fixture *f, uint32_t *slot)
{
	struct k2k_budget budgets[] = { { 7, 100 }, { 8, 200 } };
	struct k2k_quota quota = quota_standard();
	struct k2k_limits limits = some_limits;
	struct k2k_claimer claimer = writer_of(f);
	struct k2k_hash_key key = { .key = 7 };
	uint32_t index, record;
	uint64_t word;

	quota.budgets = budgets;
	quota.budget_count = 2;
	assert_int_equal(k2k_tenant_register(f->admin, 5, &quota), 0);
	begin(f, K2K_OP_UPDATE);
	assert_int_equal(k2k_tenant_find(&f->admin->map, 5, slot, &word), 0);
	k2k_tenant_prepare(&f->admin->map, *slot, &limits);
	/* Step 7 changes the budget, step 8 ends it. */
	key.gen = k2k_tenant_generation(word);
	key.slot = *slot;
	assert_int_equal(k2k_ledger_obtain(&f->admin->map, &claimer, &key, &record), 0);
	assert_int_equal(k2k_budget_find(&f->admin->map, &key, 1, &index), 0);
	assert_int_equal(k2k_budget_add(&f->admin->map, &key, 2,
	                                &(struct k2k_budget_record){ .budget_ns = 5000,
	                                                             .ledger = record + 1 }),
	                 0);
	k2k_budget_end(&f->admin->map, index, 2);
	key.key = 8;
	assert_int_equal(k2k_budget_find(&f->admin->map, &key, 1, &index), 0);
	k2k_budget_end(&f->admin->map, index, 2);
}

static uint64_t budget_of(struct fixture *f, uint64_t engagement)
{
	struct k2k_budget_info list[4] = { { .size = sizeof(list[0]) } };
	uint64_t found = 0;
	size_t count;

	assert_int_equal(k2k_budget_list(f->broker, 5, list, 4, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (list[i].engagement_id == engagement) {
			assert_int_equal(found, 0);
			found = list[i].budget_ns;
		}
	return found;
}

TEST(an_update_killed_before_its_commit_did_not_happen)
{
	struct fixture f;
	uint32_t slot;

	fixture_open(&f);
	make_update(&f, &slot);
	die(&f);
	assert_int_equal(info_of(f.broker, 5).max_messages_per_sec, 100000);
	next_operation(&f);
	assert_int_equal(info_of(f.broker, 5).max_messages_per_sec, 100000);
	assert_int_equal(info_of(f.broker, 5).budget_count, 2);
	assert_int_equal(budget_of(&f, 7), 100);
	assert_int_equal(budget_of(&f, 8), 200);
	fixture_close(&f);
}

TEST(an_update_killed_after_its_commit_happened)
{
	struct fixture f;
	uint32_t slot;

	fixture_open(&f);
	make_update(&f, &slot);
	k2k_tenant_flip(&f.admin->map, slot, 0);
	die(&f);
	assert_int_equal(info_of(f.broker, 5).max_messages_per_sec, 10);
	assert_int_equal(budget_of(&f, 7), 5000);
	next_operation(&f);
	assert_int_equal(info_of(f.broker, 5).max_messages_per_sec, 10);
	assert_int_equal(info_of(f.broker, 5).budget_count, 1);
	assert_int_equal(budget_of(&f, 7), 5000);
	assert_int_equal(budget_of(&f, 8), 0);
	fixture_close(&f);
}

/* Who waits for the calls that saw the higher limit must not take them for over. */
TEST(a_grace_period_begins_for_an_update_that_was_killed_after_its_commit)
{
	struct k2k_limits limits = some_limits;
	struct fixture f;
	uint64_t token, word;
	uint32_t slot;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 5, NULL), 0);
	begin(&f, K2K_OP_UPDATE);
	assert_int_equal(k2k_tenant_find(&f.admin->map, 5, &slot, &word), 0);
	k2k_tenant_prepare(&f.admin->map, slot, &limits);
	k2k_tenant_flip(&f.admin->map, slot, 0);
	die(&f);
	token = f.admin->map.defs->grace_token;
	assert_int_equal(k2k_tenant_register(f.admin, 1000, NULL), 0);
	assert_int_equal(f.admin->map.defs->grace_token, token + 1);
	assert_int_equal(k2k_tenant_register(f.admin, 1001, NULL), 0);
	assert_int_equal(f.admin->map.defs->grace_token, token + 1);
	fixture_close(&f);
}

/* An incarnation whose life byte nobody locks. */
#define DEAD (K2K_LOCK_BYTE_LIFE_MIN + 12345)

TEST(records_that_dead_brokers_claimed_are_recovered)
{
	struct k2k_repair_info info = { .size = sizeof(info) };
	struct k2k_hash_key key = { .key = 3 };
	struct k2k_claimer claimer;
	struct k2k_hash hash;
	k2k_u64 full_at = UINT64_MAX;
	struct fixture f;
	uint64_t word;
	uint32_t linked = 0, unlinked, other;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 5, NULL), 0);
	assert_int_equal(k2k_tenant_find(&f.admin->map, 5, &key.slot, &word), 0);
	key.gen = k2k_tenant_generation(word);
	hash = k2k_ledger_hash(&f.admin->map);
	/* linked, not yet LIVE */
	assert_int_equal(k2k_usage_track(f.broker, 5, tag_of(0, 3), 5), 0);
	assert_int_equal(k2k_ledger_find(&f.admin->map, &key, &linked), 0);
	f.admin->map.ledger[linked].entry.state = k2k_entry_word(K2K_ENTRY_CLAIMED, DEAD);
	/* claimed, not linked */
	claimer = (struct k2k_claimer){ DEAD, &f.admin->passed, &full_at };
	assert_true(k2k_pool_claim(&hash.pool, &claimer, &unlinked));
	f.admin->map.ledger[unlinked].entry.gen = key.gen;
	f.admin->map.live->lease_pool.high = 1;
	f.admin->map.leases[0].state = k2k_entry_word(K2K_ENTRY_CLAIMED, DEAD);
	/* A claim of a living broker is left alone. */
	claimer.incarnation = f.broker->broker.incarnation;
	assert_true(k2k_pool_claim(&hash.pool, &claimer, &other));
	assert_int_equal(findings(f.admin), 0); /* no damage: claimed records count as nothing */
	assert_int_equal(cost_for(f.broker, 5, tag_of(0, 3)), 5);
	assert_int_equal(k2k_registry_repair(f.admin, &info), 0);
	assert_int_equal(info.engagements, 2);
	assert_int_equal(info.leases, 1);
	assert_int_equal(k2k_entry_state(f.admin->map.ledger[linked].entry.state), K2K_ENTRY_LIVE);
	assert_int_equal(f.admin->map.ledger[unlinked].entry.state, K2K_ENTRY_FREE);
	assert_int_equal(f.admin->map.leases[0].state, K2K_ENTRY_FREE);
	assert_int_equal(k2k_entry_state(f.admin->map.ledger[other].entry.state),
	                 K2K_ENTRY_CLAIMED);
	assert_int_equal(cost_for(f.broker, 5, tag_of(0, 3)), 5);
	assert_int_equal(k2k_registry_repair(f.admin, &info), 0);
	assert_int_equal(info.engagements + info.leases + info.tenants + info.budgets, 0);
	fixture_close(&f);
}

TEST(what_dead_brokers_claimed_comes_back_when_a_tenant_goes)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	k2k_u64 full_at = UINT64_MAX;
	struct k2k_claimer claimer = { .incarnation = DEAD, .full_at = &full_at };
	struct k2k_hash hash;
	struct fixture f;
	uint32_t index;

	fixture_open(&f);
	claimer.passed = &f.admin->passed;
	hash = k2k_ledger_hash(&f.admin->map);
	assert_int_equal(k2k_tenant_register(f.admin, 5, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 5, tag_of(0, 3), 5), 0);
	for (int i = 0; i < 10; i++)
		assert_true(k2k_pool_claim(&hash.pool, &claimer, &index));
	assert_int_equal(k2k_registry_info(f.admin, &info), 0);
	assert_int_equal(info.engagements.used, 11);
	assert_int_equal(k2k_tenant_deregister(f.admin, 5,
	                                       &(struct k2k_tenant_totals){
						       .size = sizeof(struct k2k_tenant_totals) }),
	                 0);
	assert_int_equal(k2k_registry_info(f.admin, &info), 0);
	assert_int_equal(info.engagements.used, 0);
	fixture_close(&f);
}

TEST(a_reap_killed_halfway_is_done_again)
{
	struct fixture f;
	uint64_t word;
	uint32_t slot, behind;
	size_t count;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 5, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 5, tag_of(0, 3), 5), 0);
	assert_int_equal(k2k_kernel_acquire(f.broker, 5, NULL, NULL), 0);
	assert_int_equal(k2k_tenant_find(&f.admin->map, 5, &slot, &word), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 5, NULL), 0);
	WAIT_UNTIL(k2k_grace_passed(&f.admin->grace, &behind) == f.admin->map.defs->grace_token,
	           10);
	begin(&f, K2K_OP_REGISTER);
	/* The tenant's leases are not yet free; the slot is free, but in no list. */
	f.admin->map.tenants[slot].state_gen = k2k_tenant_word(K2K_TENANT_FREE,
	                                                       k2k_tenant_generation(word));
	die(&f);
	next_operation(&f);
	assert_int_equal(k2k_usage_list(f.admin, 0, NULL, 0, &count), 0);
	assert_int_equal(count, 0);
	fixture_close(&f);
}

TEST(a_reap_done_again_leaves_a_record_alone_that_somebody_has_just_taken)
{
	struct k2k_hash_key key = { .key = 3 };
	struct k2k_hash hash;
	struct fixture f;
	uint64_t word, token, taken;
	uint32_t index = 0, behind;

	fixture_open(&f);
	hash = k2k_ledger_hash(&f.admin->map);
	taken = k2k_entry_word(K2K_ENTRY_CLAIMED, f.broker->broker.incarnation);
	assert_int_equal(k2k_tenant_register(f.admin, 5, NULL), 0);
	assert_int_equal(k2k_usage_track(f.broker, 5, tag_of(0, 3), 5), 0);
	assert_int_equal(k2k_tenant_find(&f.admin->map, 5, &key.slot, &word), 0);
	key.gen = k2k_tenant_generation(word);
	assert_int_equal(k2k_ledger_find(&f.admin->map, &key, &index), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 5, NULL), 0);
	WAIT_UNTIL(k2k_grace_passed(&f.admin->grace, &behind) == f.admin->map.defs->grace_token,
	           10);
	begin(&f, K2K_OP_REGISTER);
	/* killed after the tenant's records were retired, before the tenant itself was free */
	token = k2k_grace_next(&f.admin->map);
	k2k_pool_retire(&hash.pool, index, token);
	assert_int_equal(k2k_hash_unlink(&hash, index), 0);
	k2k_grace_publish(&f.admin->map, token);
	die(&f);
	WAIT_UNTIL(k2k_grace_passed(&f.admin->grace, &behind) == token, PATIENCE_S);
	/*
	 * A living broker has taken the record and not yet filled it: generation, key and cost are
	 * the previous ones.
	 */
	f.admin->map.ledger[index].entry.state = taken;
	assert_int_equal(k2k_tenant_register(f.admin, 6, NULL), 0);
	assert_int_equal(k2k_tenant_state(f.admin->map.tenants[key.slot].state_gen) ==
	                         K2K_TENANT_RETIRED,
	                 0);
	assert_int_equal(f.admin->map.ledger[index].entry.state, taken);
	k2k_pool_unclaim(&hash.pool, index);
	assert_int_equal(findings(f.admin), 0);
	fixture_close(&f);
}

TEST(a_place_whose_final_totals_somebody_waits_for_is_not_reaped_before)
{
	struct k2k_registry *waiting;
	struct k2k_shm_tenant_cold *cold;
	uint32_t slot, behind;
	uint64_t word, token;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_ADMIN, NULL, &waiting), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_tenant_find(&f.admin->map, 1, &slot, &word), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, NULL), 0);
	cold = &f.admin->map.tenants_cold[slot];
	cold->pinned_by = waiting->writer.incarnation;
	token = cold->retired_token;
	WAIT_UNTIL(k2k_grace_passed(&f.admin->grace, &behind) >= token, PATIENCE_S);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	word = k2k_tenant_word(K2K_TENANT_RETIRED, k2k_tenant_generation(word));
	assert_int_equal(f.admin->map.tenants[slot].state_gen, word);
	cold->pinned_by = 0;
	assert_int_equal(k2k_tenant_register(f.admin, 3, NULL), 0);
	assert_int_not_equal(f.admin->map.tenants[slot].state_gen, word);
	assert_int_equal(k2k_registry_close(&waiting), 0);
	fixture_close(&f);
}

static uint64_t passed_four(void *context)
{
	(void)context;
	return 4;
}

TEST(a_retired_record_is_taken_once_its_token_has_passed_and_not_before)
{
	const struct k2k_create_options small = { .size = sizeof small,
		                                  .max_tenants = 1,
		                                  .max_engagements = 1 };
	const struct k2k_passed passed = { passed_four, NULL };
	k2k_u64 full_at = UINT64_MAX;
	struct k2k_claimer claimer = { K2K_INCARNATION_WRITER, &passed, &full_at };
	struct k2k_hash hash;
	uint32_t index;
	struct fixture f;

	fixture_open_sized(&f, &small);
	hash = k2k_ledger_hash(&f.broker->map);
	k2k_pool_retire(&hash.pool, 0, 5);
	assert_false(k2k_pool_claim(&hash.pool, &claimer, &index));
	k2k_pool_retire(&hash.pool, 0, 4);
	assert_true(k2k_pool_claim(&hash.pool, &claimer, &index));
	k2k_pool_unclaim(&hash.pool, index);
	fixture_close(&f);
}

TEST(what_is_given_back_to_a_full_pool_is_found_at_once)
{
	const struct k2k_create_options small = { .size = sizeof small,
		                                  .max_tenants = 1,
		                                  .max_engagements = 1 };
	const struct k2k_passed passed = { passed_four, NULL };
	k2k_u64 full_at = UINT64_MAX;
	struct k2k_claimer claimer = { K2K_INCARNATION_WRITER, &passed, &full_at };
	struct k2k_hash hash;
	uint32_t index;
	struct fixture f;

	fixture_open_sized(&f, &small);
	hash = k2k_ledger_hash(&f.broker->map);
	assert_true(k2k_pool_claim(&hash.pool, &claimer, &index));
	assert_false(k2k_pool_claim(&hash.pool, &claimer, &index));
	k2k_pool_free(&hash.pool, index);
	assert_true(k2k_pool_claim(&hash.pool, &claimer, &index));
	assert_false(k2k_pool_claim(&hash.pool, &claimer, &index));
	k2k_pool_retire(&hash.pool, index, 4);
	assert_true(k2k_pool_claim(&hash.pool, &claimer, &index));
	k2k_pool_unclaim(&hash.pool, index);
	fixture_close(&f);
}

TEST(destroyed_lists_are_rebuilt)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct fixture f;

	options.max_tenants = 4;
	fixture_open_sized(&f, &options);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), 0);
	assert_int_equal(k2k_tenant_deregister(f.admin, 1, NULL), 0);
	begin(&f, K2K_OP_REGISTER);
	memset(&f.admin->map.defs->tenant_free, 0xff, 4 * sizeof(struct k2k_shm_list));
	die(&f);
	for (k2k_tenant_id id = 3; id <= 5; id++)
		assert_int_equal(k2k_tenant_register(f.admin, id, NULL), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 6, NULL), K2K_EFULL);
	assert_int_equal(tenants(f.broker), 4);
	fixture_close(&f);
}

TEST(a_destroy_killed_after_its_poison_is_finished_by_the_next_command)
{
	struct k2k_registry *reg;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_tenant_register(f.admin, 1, NULL), 0);
	f.admin->map.defs->poisoned = K2K_POISONED;
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, NULL), K2K_EFENCED);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_OBSERVER, NULL, &reg), K2K_ENOREGISTRY);
	assert_int_equal(k2k_registry_create(f.name, NULL, &reg), 0);
	assert_int_equal(k2k_tenant_register(f.admin, 2, NULL), K2K_EFENCED);
	assert_int_equal(tenants(reg), 0);
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	assert_int_equal(k2k_registry_close(&f.admin), 0);
	assert_int_equal(k2k_registry_close(&reg), 0);
	assert_int_equal(k2k_registry_destroy(f.name, 0, NULL), 0);
}
