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

static void begin(bool light)
{
	const struct k2k_limits limits = { .rate = 10, .version = 2 };

	world_begin(&(struct world_sizes){ .tenants = 1 });
	k2k_store_relaxed(&k2k_rcu.light, light);
	slot = world_tenant(ID, &limits);
	k2k_store_relaxed(&world_map.cells[slot].window, k2k_rate_pack(WORLD_SECOND, 0));
	world_broker(READER);
	/* the helper's, and the administrator's */
	world_admin(1);
	world_admin(2);
	reused = false;
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
	uint32_t found;

	k2k_read_lock();
	if (k2k_tenant_find_near(&world_map, ID, &found, &state_gen))
		k2k_rate_count(&world_map.cells[found], 1);
	k2k_read_unlock();
}

static void admit_and_stop(void)
{
	admit();
	world_helper_stop(READER);
}

static void replace(void)
{
	const struct k2k_limits limits = { .rate = 10, .version = 2 };
	struct k2k_grace grace = { &world_map, &world_self()->liveness };
	uint64_t token = k2k_grace_next(&world_map);
	uint32_t behind, heir;

	explore_assert(k2k_tenant_retire(&world_map, slot, token) == 0);
	k2k_grace_publish(&world_map, token);
	/* the helper may be gone by then */
	while (k2k_grace_passed(&grace, &behind) < token)
		explore_yield();
	k2k_tenant_free(&world_map, slot);
	heir = world_tenant(HEIR, &limits);
	explore_assert(heir == slot);
	reused = true;
}

static void check(void)
{
	uint64_t admitted = k2k_load_relaxed(&world_map.cells[slot].admitted);

	explore_assert(!reused || admitted == 0);
	explore_outcome("%s %u", reused ? "reused" : "kept", (unsigned int)admitted);
}

FULL_PROGRAM(grace_light, .what = "reuse waits for a read section, by membarrier",
             .setup = setup_light, .may_wait = true,
             .threads = { admit_and_stop, world_helper, replace }, .process = { 1, 1, 2 },
             .check = check)
FULL_PROGRAM(grace_fences, .what = "reuse waits for a read section, by fences",
             .setup = setup_fences, .may_wait = true,
             .threads = { admit_and_stop, world_helper, replace }, .process = { 1, 1, 2 },
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
	k2k_store_relaxed(&k2k_rcu.light, 0);
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
        .check = check)
