/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * torture_looks.h - readers that stay on shared records inside a read section and look at them
 * again and again until they leave it
 *
 * Each look checks that
 *
 * - a record found through a link was not unlinked before the section began: its stamp is newer
 *   than the token that was published then;
 * - it is neither used again nor freed, and may not be freed: our own broker has not answered its
 *   stamp, and a writer would not consider its grace period over.
 */
#ifndef K2K_TESTS_TORTURE_LOOKS_H
#define K2K_TESTS_TORTURE_LOOKS_H

#include "torture.h"

#include "budget.h"
#include "lease.h"
#include "ledger.h"
#include "tenant.h"

/* No reader stays on one record longer than this. */
#define STEPS_MOST 64

static const char *const what_names[WHATS] = { "tenants found", "tenants walked over",
	                                       "costs found",   "costs walked over",
	                                       "budgets found", "budgets walked over" };

static void begin_look(struct reader *r)
{
	r->token = k2k_load_acquire(&r->reg->map.defs->grace_token);
	assert_int_equal(k2k_enter(r->reg, K2K_GATE_BROKER), 0);
}

static void end_look(void)
{
	k2k_read_unlock();
}

static void noted(struct reader *r, enum what what, enum age age, uint32_t index, uint64_t stamp,
                  uint64_t word)
{
	count(&r->t->ages[what][age]);
	if (age == REUSED)
		fail_msg("%s: record %u was used again while a reader stood on it (state word now "
		         "%" PRIx64 ")",
		         what_names[what], index, word);
	if (age == REMOVED && (what == COST_FOUND))
		fail_msg("%s: record %u was removed while a reader stood on its tenant",
		         what_names[what], index);
	if (age == PASSED)
		fail_msg("%s: record %u was retired with token %" PRIu64
		         ", which passed while a reader stood on it",
		         what_names[what], index, stamp);
}

/* The age of a record that was removed with this stamp. */
static enum age age_of_stamp(struct reader *r, enum what what, uint32_t index, uint64_t stamp)
{
	const struct k2k_map *map = &r->reg->map;
	uint32_t behind;

	if (stamp <= r->token)
		fail_msg("%s: record %u was found by a section that began at token %" PRIu64
		         ", but unlinked before %" PRIu64,
		         what_names[what], index, r->token, stamp);
	if (k2k_load_acquire(&map->slots[r->reg->broker.slot].ack) >= stamp)
		return PASSED;
	if (roll(&r->dice, 8) == 0 && k2k_grace_passed(&r->reg->grace, &behind) >= stamp)
		return PASSED;
	return REMOVED;
}

/* ---- tenants ------------------------------------------------------------------------- */

static void look_at_tenant(struct reader *r, enum what what, uint32_t slot, uint64_t generation,
                           k2k_tenant_id id)
{
	const struct k2k_map *map = &r->reg->map;
	uint64_t word = k2k_load_acquire(&map->tenants[slot].state_gen), stamp;
	enum age age = IN_USE;

	stamp = k2k_load_relaxed(&map->tenants_cold[slot].retired_token);
	if (k2k_tenant_generation(word) != generation ||
	    k2k_load_relaxed(&map->tenants[slot].id) != id)
		age = REUSED;
	else if (k2k_tenant_state(word) == K2K_TENANT_RETIRED)
		age = age_of_stamp(r, what, slot, stamp);
	else if (k2k_tenant_state(word) != K2K_TENANT_LIVE)
		age = PASSED;
	noted(r, what, age, slot, stamp, word);
}

static void stay_on_tenant(struct reader *r, enum what what, uint32_t slot, uint64_t generation,
                           k2k_tenant_id id)
{
	uint64_t looks = 1 + roll(&r->dice, 4);

	for (uint64_t i = 0; i < looks; i++) {
		look_at_tenant(r, what, slot, generation, id);
		dwell(&r->dice);
	}
	look_at_tenant(r, what, slot, generation, id);
}

/* True: in a read section, with the tenant. */
static bool find_tenant(struct reader *r, uint32_t tenant, uint32_t *slot, uint64_t *generation)
{
	uint64_t word;
	int code;

	begin_look(r);
	code = k2k_tenant_find(&r->reg->map, id_of(tenant), slot, &word);
	if (code == K2K_ENOTENANT) {
		end_look();
		return false;
	}
	if (code)
		fail_msg("find: %s (%s)", k2k_errname(code), k2k_error_detail()->text);
	*generation = k2k_tenant_generation(word);
	return true;
}

static void find_and_stay(struct reader *r)
{
	uint32_t tenant = some_tenant(&r->dice), slot;
	uint64_t generation, version;

	if (!find_tenant(r, tenant, &slot, &generation))
		return;
	stay_on_tenant(r, TENANT_FOUND, slot, generation, id_of(tenant));
	/* its rate stays its own the whole time */
	check_rate(tenant, k2k_tenant_rate(&r->reg->map, slot, &version), "a find");
	end_look();
}

static void walk_tenants(struct reader *r)
{
	const struct k2k_map *map = &r->reg->map;
	uint32_t bucket = (uint32_t)roll(&r->dice, (uint64_t)map->tenant_mask + 1), link, steps = 0;

	begin_look(r);
	link = k2k_load_acquire(&map->tenant_heads[bucket]);
	while (link != 0 && steps++ < STEPS_MOST) {
		uint32_t slot = link - 1;
		uint64_t word = k2k_load_acquire(&map->tenants[slot].state_gen);
		k2k_tenant_id id = k2k_load_relaxed(&map->tenants[slot].id);

		if (k2k_tenant_bucket(map, id) != bucket)
			fail_msg("tenant slot %u in bucket %u belongs elsewhere", slot, bucket);
		stay_on_tenant(r, TENANT_WALKED, slot, k2k_tenant_generation(word), id);
		link = k2k_load_acquire(&map->tenants[slot].next);
	}
	end_look();
	if (steps > STEPS_MOST)
		fail_msg("the chain of bucket %u has no end", bucket);
}

/* ---- costs, budgets, leases ------------------------------------------------------------ */

static struct k2k_hash_key key_of(const struct k2k_shm_entry *entry)
{
	return (struct k2k_hash_key){ k2k_load_relaxed(&entry->gen), k2k_load_relaxed(&entry->key),
		                      k2k_load_relaxed(&entry->slot) };
}

/* *seen: the state at the last look. A retired record stays retired, with the same stamp. */
static void look_at_entry(struct reader *r, enum what what, const struct k2k_shm_entry *entry,
                          uint32_t index, const struct k2k_hash_key *key, uint64_t *seen)
{
	uint64_t word = k2k_load_acquire(&entry->state);
	struct k2k_hash_key now = key_of(entry);
	enum age age = IN_USE;

	if (now.gen != key->gen || now.key != key->key || now.slot != key->slot ||
	    (k2k_entry_state(*seen) == K2K_ENTRY_RETIRED && *seen != word))
		age = REUSED;
	else if (k2k_entry_state(word) == K2K_ENTRY_RETIRED)
		age = age_of_stamp(r, what, index, k2k_entry_above(word));
	else if (k2k_entry_state(word) == K2K_ENTRY_FREE)
		age = PASSED;
	noted(r, what, age, index, k2k_entry_above(word), word);
	*seen = word;
}

static void stay_on_entry(struct reader *r, enum what what, const struct k2k_shm_entry *entry,
                          uint32_t index, const struct k2k_hash_key *key)
{
	uint64_t looks = 1 + roll(&r->dice, 4), seen = 0;

	for (uint64_t i = 0; i < looks; i++) {
		look_at_entry(r, what, entry, index, key, &seen);
		dwell(&r->dice);
	}
	look_at_entry(r, what, entry, index, key, &seen);
}

/* Walks like lib/hash.h, but stays a while on each record. */
static void walk_entries(struct reader *r, enum what what, const struct k2k_hash *hash)
{
	uint32_t bucket = (uint32_t)roll(&r->dice, (uint64_t)hash->mask + 1), link, steps = 0;

	begin_look(r);
	link = k2k_load_acquire(&hash->heads[bucket]);
	while (link != 0 && steps++ < STEPS_MOST) {
		const struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, link - 1);
		struct k2k_hash_key key = key_of(entry);

		if (k2k_hash_bucket(hash, key.gen, key.key) != bucket)
			fail_msg("%s: record %u in bucket %u belongs elsewhere", what_names[what],
			         link - 1, bucket);
		stay_on_entry(r, what, entry, link - 1, &key);
		link = k2k_load_acquire(&entry->next);
	}
	end_look();
	if (steps > STEPS_MOST)
		fail_msg("%s: the chain of bucket %u has no end", what_names[what], bucket);
}

static void walk_costs(struct reader *r)
{
	struct k2k_hash hash = k2k_ledger_hash(&r->reg->map);

	walk_entries(r, COST_WALKED, &hash);
}

static void walk_budgets(struct reader *r)
{
	struct k2k_hash hash = k2k_budget_hash(&r->reg->map);

	walk_entries(r, BUDGET_WALKED, &hash);
}

static void find_cost(struct reader *r)
{
	uint32_t tenant = some_tenant(&r->dice), engagement = (uint32_t)roll(&r->dice, ENGAGEMENTS),
		 slot, index = 0;
	struct k2k_hash_key key;
	uint64_t generation, before, after;
	int code;

	if (!find_tenant(r, tenant, &slot, &generation))
		return;
	key = (struct k2k_hash_key){ generation, tag_of(engagement).engagement_id, slot };
	code = k2k_ledger_find(&r->reg->map, &key, &index);
	if (code == 0) {
		before = k2k_load_relaxed(&r->reg->map.ledger[index].cost_ns);
		stay_on_entry(r, COST_FOUND, &r->reg->map.ledger[index].entry, index, &key);
		after = k2k_load_relaxed(&r->reg->map.ledger[index].cost_ns);
		check_cost(tenant, engagement, before, "a find");
		check_cost(tenant, engagement, after, "a find");
		assert_true(before <= after);
	} else if (code != K2K_HASH_ABSENT) {
		fail_msg("ledger: %s (%s)", k2k_errname(code), k2k_error_detail()->text);
	}
	look_at_tenant(r, TENANT_FOUND, slot, generation, id_of(tenant));
	end_look();
}

static void find_budget(struct reader *r)
{
	uint32_t tenant = some_tenant(&r->dice), engagement = (uint32_t)roll(&r->dice, ENGAGEMENTS),
		 slot, index = 0;
	struct k2k_hash_key key;
	uint64_t generation, version;
	int code;

	if (!find_tenant(r, tenant, &slot, &generation))
		return;
	check_rate(tenant, k2k_tenant_rate(&r->reg->map, slot, &version), "a find");
	key = (struct k2k_hash_key){ generation, tag_of(engagement).engagement_id, slot };
	code = k2k_budget_find(&r->reg->map, &key, version, &index);
	if (code == 0) {
		stay_on_entry(r, BUDGET_FOUND, &r->reg->map.budgets[index].entry, index, &key);
		check_budget(tenant, engagement,
		             k2k_load_relaxed(&r->reg->map.budgets[index].budget_ns), "a find");
	} else if (code != K2K_HASH_ABSENT) {
		fail_msg("budgets: %s (%s)", k2k_errname(code), k2k_error_detail()->text);
	}
	look_at_tenant(r, TENANT_FOUND, slot, generation, id_of(tenant));
	end_look();
}

/*
 * Lease records move while readers copy them. A copy must be of this tenant all the same, which its
 * unit shows.
 */
static void find_leases(struct reader *r)
{
	uint32_t tenant = some_tenant(&r->dice), slot;
	struct k2k_lease_walk walk;
	struct k2k_holding h;
	uint64_t generation;

	if (!find_tenant(r, tenant, &slot, &generation))
		return;
	k2k_lease_walk(&walk, &r->reg->map,
	               &(struct k2k_lease_key){ .of = slot, .generation = generation });
	while (k2k_lease_next(&walk, &h)) {
		int memory = K2K_RESOURCE_GPU_MEMORY;

		assert_int_equal(h.held[memory] % unit_of(tenant, 0), 0);
		assert_int_equal((h.asked[memory] - h.ended[memory]) % unit_of(tenant, 0), 0);
	}
	if (walk.code)
		fail_msg("leases: %s (%s)", k2k_errname(walk.code), k2k_error_detail()->text);
	look_at_tenant(r, TENANT_FOUND, slot, generation, id_of(tenant));
	end_look();
}

#endif
