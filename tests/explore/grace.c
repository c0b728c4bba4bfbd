/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * grace.c - programs of read sections and grace periods (lib/rcu.h, lib/grace.h), with an attach.
 *
 * I2: nobody acts on a record of another tenant: nothing is reused before its grace period. An
 * administrator removes the one tenant, waits for the grace period, and registers another one in
 * the same slot, while a broker sends messages of the first one. None is ever counted for the
 * second.
 */
#include "grace.h"

#include "rate.h"
#include "world.h"

#define ID 7
#define HEIR 9
#define READER 0

static uint32_t slot;
static bool reused;
/* what a broker stores of the tenant in a section, as its leases are */
static EXPLORE_SHARED k2k_u32 mark;

static void begin(bool light)
{
	const struct k2k_limits limits = { .rate = 10, .version = 2 };

	world_begin(&(struct world_sizes){ .tenants = 1 });
	k2k_store_relaxed(&k2k_rcu.phase, URCU_GP_COUNT | (light ? K2K_RCU_LIGHT : 0));
	slot = world_tenant(ID, &limits);
	k2k_store_relaxed(&world_map.cells[slot].window, k2k_rate_pack_second(WORLD_SECOND, 1));
	world_broker(READER);
	/* the helper's, and the administrator's */
	world_admin(1);
	world_admin(2);
	reused = false;
	mark = 0;
}

static void setup_light(void)
{
	begin(true);
	world_start_helper(READER);
}

static void setup_fences(void)
{
	begin(false);
	world_start_helper(READER);
}

/* A message, without the slow path: that one looks again and again at what changes under it. */
static void admit(void)
{
	uint64_t state_gen;
	const struct k2k_shm_tenant *at;
	uint32_t found;

	k2k_read_lock();
	if (k2k_tenant_find_near(&world_map, ID, &found, &at, &state_gen)) {
		k2k_rate_try_count(&world_map.cells[found],
		                   k2k_load_relaxed(&world_map.cells[found].admitted), 1);
		k2k_store_relaxed(&mark, 1);
	}
	k2k_read_unlock();
}

static void replace(void)
{
	const struct k2k_limits limits = { .rate = 10, .version = 2 };
	struct k2k_grace grace = { &world_map, &world_self()->liveness };
	uint64_t token = k2k_grace_next(&world_map);
	uint32_t behind, heir;

	explore_assert(k2k_tenant_retire(&world_map, slot, token) == 0);
	k2k_grace_publish(&world_map, token);
	while (k2k_grace_passed(&grace, &behind) < token)
		explore_yield();
	k2k_tenant_free(&world_map, slot);
	heir = world_tenant(HEIR, &limits);
	explore_assert(heir == slot);
	k2k_store_relaxed(&mark, 0);
	reused = true;
}

static void check(void)
{
	uint64_t admitted = k2k_load_relaxed(&world_map.cells[slot].admitted);

	explore_assert(!reused || (admitted == 0 && k2k_load_relaxed(&mark) == 0));
	explore_outcome("%s %u", reused ? "reused" : "kept", (unsigned int)admitted);
}

/* The administrator asks once whether the grace period has passed. */
static void reset_if_passed(uint64_t token)
{
	struct k2k_grace grace = { &world_map, &world_self()->liveness };
	uint32_t behind;

	if (k2k_grace_passed(&grace, &behind) < token)
		return;
	k2k_store_relaxed(&world_map.cells[slot].admitted, 0);
	k2k_store_relaxed(&mark, 0);
	reused = true;
}

/* Of the reuse only the reset of the cell. The helper waits for another token in the end. */
static void retire_and_reset(void)
{
	uint64_t token = k2k_grace_next(&world_map);

	explore_assert(k2k_tenant_retire(&world_map, slot, token) == 0);
	k2k_grace_publish(&world_map, token);
	reset_if_passed(token);
}

PROGRAM(grace_reset, .what = "a reset waits for a read section, by membarrier",
        .setup = setup_light, .may_wait = true,
        .threads = { admit, world_helper, retire_and_reset }, .process = { 1, 1, 2 },
        .check = check)
PROGRAM(grace_reset_fences, .what = "a reset waits for a read section, by fences",
        .setup = setup_fences, .may_wait = true,
        .threads = { admit, world_helper, retire_and_reset }, .process = { 1, 1, 2 },
        .check = check)

/* The same by the call that removes a tenant. */
static void deregister_and_reset(void)
{
	explore_assert(k2k_tenant_deregister(world_self(), ID, NULL) == 0);
	reset_if_passed(k2k_load_relaxed(&world_map.defs->grace_token));
}

PROGRAM(grace_deregister, .what = "a reset waits for a read section that found the tenant",
        .setup = setup_fences, .may_wait = true,
        .threads = { admit, world_helper, deregister_and_reset }, .process = { 1, 1, 2 },
        .check = check)

/* ---- one process ---------------------------------------------------------------------------- */

static EXPLORE_SHARED k2k_u32 linked, content;

static void setup_rcu(void)
{
	begin(true);
	linked = 1;
	content = 1;
}

static void setup_rcu_fences(void)
{
	setup_rcu();
	k2k_store_relaxed(&k2k_rcu.phase, URCU_GP_COUNT);
}

/* Whoever finds the link finds the content as it was, to the section's end. */
static void read_linked(void)
{
	k2k_read_lock();
	if (k2k_load_acquire(&linked))
		explore_assert(k2k_load_relaxed(&content) == 1);
	k2k_read_unlock();
}

static void read_twice(void)
{
	read_linked();
	read_linked();
}

static void unlink_and_reuse(void)
{
	k2k_store_release(&linked, 0);
	explore_assert(k2k_rcu_synchronize() == 0);
	k2k_store_relaxed(&content, 2);
}

PROGRAM(rcu_light, .what = "a synchronizer waits for a section, by membarrier", .setup = setup_rcu,
        .threads = { read_twice, unlink_and_reuse }, .process = { 1, 1 })
PROGRAM(rcu_fences, .what = "a synchronizer waits for a section, by fences",
        .setup = setup_rcu_fences, .threads = { read_twice, unlink_and_reuse }, .process = { 1, 1 })

/* A section that begins between the two has the phase that the second one finds. */
static void synchronize_unlink_and_reuse(void)
{
	explore_assert(k2k_rcu_synchronize() == 0);
	unlink_and_reuse();
}

PROGRAM(rcu_phases, .what = "a section that took its phase long before is waited for",
        .setup = setup_rcu_fences, .threads = { read_linked, synchronize_unlink_and_reuse },
        .process = { 1, 1 })

static EXPLORE_SHARED k2k_u32 count;

static void setup_count(void)
{
	setup_rcu_fences();
	count = 0;
}

/* A store in a section. */
static void count_linked(void)
{
	k2k_read_lock();
	if (k2k_load_acquire(&linked))
		k2k_store_relaxed(&count, 1);
	k2k_read_unlock();
}

static void unlink_and_reset(void)
{
	k2k_store_release(&linked, 0);
	explore_assert(k2k_rcu_synchronize() == 0);
	k2k_store_relaxed(&count, 0);
}

static void check_count(void)
{
	explore_assert(k2k_load_relaxed(&count) == 0);
}

PROGRAM(rcu_count, .what = "what a section stores comes before what follows the wait",
        .setup = setup_count, .threads = { count_linked, unlink_and_reset }, .process = { 1, 1 },
        .check = check_count)

static void synchronize(void)
{
	explore_assert(k2k_rcu_synchronize() == 0);
}

PROGRAM(rcu_turns, .what = "two synchronizers take turns", .setup = setup_rcu_fences,
        .threads = { read_linked, synchronize, unlink_and_reuse }, .process = { 1, 1, 1 })

/*
 * ---- attach -----------------------------------------------------------------------------------
 */

static void setup_attach(void)
{
	begin(true);
	k2k_store_relaxed(&world_map.slots[READER].owner, 0);
	k2k_store_relaxed(&world_map.slots[READER].state, K2K_SLOT_UNUSED);
}

/* No helper: from its attach on it answers no token, so what it can find is never reused. */
static void attach_and_admit(void)
{
	static const struct k2k_identity own;
	struct k2k_registry *reg = world_self();

	explore_assert(k2k_broker_attach(&world_map, &reg->liveness, &own, &reg->broker) == 0);
	explore_assert(reg->broker.slot == READER);
	admit();
}

PROGRAM(grace_attach, .what = "reuse waits for a broker that attaches, or it finds nothing",
        .setup = setup_attach, .may_wait = true, .threads = { attach_and_admit, replace },
        .check = check, .outcomes = { "kept 0", "kept 1", "reused 0" })

static void retire(void)
{
	uint64_t token = k2k_grace_next(&world_map);

	explore_assert(k2k_tenant_retire(&world_map, slot, token) == 0);
	k2k_grace_publish(&world_map, token);
}

static void reset_of_other(void)
{
	reset_if_passed(2); /* the token after that of world_begin() */
}

PROGRAM(grace_attach_other, .what = "the same for a reset by an administrator that asks later",
        .setup = setup_attach, .threads = { attach_and_admit, retire, reset_of_other },
        .check = check)

/* Each slot has an owner. One of them may die. */
static void setup_all_taken(void)
{
	begin(true);
	for (uint32_t i = 0; i < world_map.sizes.slots; i++) {
		k2k_store_relaxed(&world_map.slots[i].owner, world_incarnation(i == 2 ? 0 : 3));
		k2k_store_relaxed(&world_map.slots[i].state, K2K_SLOT_ACTIVE);
	}
}

static void live(void)
{
	k2k_load_relaxed(&world_map.defs->grace_token);
}

static void attach(void)
{
	static const struct k2k_identity own;
	struct k2k_registry *reg = world_self();
	int code = k2k_broker_attach(&world_map, &reg->liveness, &own, &reg->broker);

	explore_assert(code == 0 || code == K2K_ENOBROKERSLOT);
	if (code == 0)
		explore_assert(reg->broker.slot == 2 && explore_end_of(0) == EXPLORE_DEAD);
	explore_outcome("%s", code == 0 ? "attached" : "full");
}

PROGRAM(grace_all_taken, .what = "a slot is taken from the dead only", .setup = setup_all_taken,
        .mortal = 1, .deaths = 1, .threads = { live, attach, live, live },
        .outcomes = { "attached", "full" })
