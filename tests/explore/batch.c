/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * batch.c - programs of the writer's word (lib/writer.h) and of batches (lib/change.c).
 *
 * At most one administrator that lives is the writer; the next one sees all that the last one did,
 * whether that one gave the word back or died. What a reader copies of a definition is of one
 * version.
 */
#include "world.h"
#include "writer.h"

#define ID 7
#define DEADLINE_NS (UINT64_C(3600) * K2K_NS_PER_SEC)

static uint32_t slot;
static uint64_t generation;
static unsigned int inside, turns[EXPLORE_THREADS];
/* what the writers change, in this order: plain to them, since they are alone */
static EXPLORE_SHARED k2k_u64 first, second;

static void begin(unsigned int admins)
{
	const struct k2k_limits limits = {
		.rate = 10, .gpu_memory_bytes = 10, .kernels = 10, .version = 2
	};

	world_begin(&(struct world_sizes){ .tenants = 1 });
	slot = world_tenant(ID, &limits);
	generation = k2k_tenant_generation(k2k_load_relaxed(&world_map.tenants[slot].state_gen));
	for (unsigned int i = 0; i < EXPLORE_THREADS; i++) {
		if (i < admins)
			world_admin((int)i);
		else
			world_broker((int)i);
		turns[i] = 0;
	}
	inside = 0;
}

static void setup_admins(void)
{
	begin(EXPLORE_THREADS);
}

/* ---- turns ---------------------------------------------------------------------------- */

static void take_turn(void)
{
	struct k2k_registry *reg = world_self();
	uint64_t value;

	explore_assert(k2k_writer_lock(&reg->writer, DEADLINE_NS) == 0);
	for (int i = 0; i < EXPLORE_THREADS; i++)
		explore_assert(!(inside >> i & 1) || explore_end_of(i) == EXPLORE_DEAD);
	inside |= 1u << explore_self();
	/*
	 * whoever finds an intent has taken over from a dead one, and mends what it left half done
	 */
	if (k2k_writer_intent(&world_map) != K2K_OP_NONE)
		k2k_store_relaxed(&second, k2k_load_relaxed(&first));
	value = k2k_load_relaxed(&first);
	explore_assert(k2k_load_relaxed(&second) == value);
	k2k_writer_begin(&reg->writer, K2K_OP_UPDATE);
	k2k_store_relaxed(&first, value + 1);
	k2k_store_relaxed(&second, value + 1);
	k2k_writer_end(&reg->writer);
	inside &= ~(1u << explore_self());
	turns[explore_self()]++;
	k2k_writer_unlock(&reg->writer);
}

static void check_turns(void)
{
	uint64_t all = 0, unfinished = 0;

	for (int i = 0; i < EXPLORE_THREADS; i++) {
		all += turns[i];
		unfinished += explore_end_of(i) != EXPLORE_FINISHED;
	}
	explore_assert(k2k_load_relaxed(&first) - all <= unfinished);
}

PROGRAM(writer_turns, .what = "two administrators take turns", .setup = setup_admins,
        .threads = { take_turn, take_turn }, .check = check_turns)
PROGRAM(writer_three, .what = "three administrators take turns", .setup = setup_admins,
        .threads = { take_turn, take_turn, take_turn }, .check = check_turns)
PROGRAM(writer_dead, .what = "a writer dies in its turn, and another goes on",
        .setup = setup_admins, .mortal = 1, .deaths = 1, .threads = { take_turn, take_turn },
        .check = check_turns)
PROGRAM(writer_dead_three, .what = "a writer dies in its turn, and two others go on",
        .setup = setup_admins, .mortal = 1, .deaths = 1,
        .threads = { take_turn, take_turn, take_turn }, .check = check_turns)
PROGRAM(writer_stopped, .what = "a writer that stands still holds up the next, and loses nothing",
        .setup = setup_admins, .stopping = 1, .stops = 1, .may_wait = true,
        .threads = { take_turn, take_turn }, .check = check_turns)

/* ---- batches ---------------------------------------------------------------------------- */

static void update(uint64_t number)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.max_messages_per_sec = quota.max_gpu_memory_bytes = number;
	quota.max_concurrent_kernels = (uint32_t)number;
	explore_assert(k2k_tenant_update(world_self(), ID, &quota,
	                                 K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY |
	                                         K2K_UPDATE_KERNELS) == 0);
}

static void update_in_batch(void)
{
	unsigned int base = 20 + 10 * (unsigned int)explore_self();

	explore_assert(k2k_batch_begin(world_self()) == 0);
	explore_assert(inside == 0);
	inside = 1;
	update(base);
	update(base + 1);
	inside = 0;
	explore_assert(k2k_batch_end(world_self()) == 0);
}

static void update_once(void)
{
	update(50);
}

/* All limits of one version, in the order in which they came. */
static void read_limits(void)
{
	uint64_t version = 0;

	for (int i = 0; i < 2; i++) {
		struct k2k_limits limits;

		k2k_tenant_limits(&world_map, slot, &limits);
		explore_assert(limits.rate == limits.gpu_memory_bytes &&
		               limits.rate == limits.kernels);
		explore_assert(limits.version >= version);
		version = limits.version;
	}
}

static void check_batches(void)
{
	struct k2k_limits limits;

	k2k_tenant_limits(&world_map, slot, &limits);
	explore_assert(limits.rate == limits.gpu_memory_bytes && limits.rate == limits.kernels);
	explore_outcome("%u", (unsigned int)limits.rate);
}

static void setup_one_reader(void)
{
	begin(2);
}

PROGRAM(batch_two, .what = "of two batches one comes after the other", .setup = setup_admins,
        .threads = { update_in_batch, update_in_batch }, .check = check_batches,
        .outcomes = { "21", "31" })
PROGRAM(batch_and_update, .what = "an update waits for a batch", .setup = setup_admins,
        .threads = { update_in_batch, update_once }, .check = check_batches,
        .outcomes = { "21", "50" })
PROGRAM(batch_read, .what = "a reader copies the limits of one version", .setup = setup_one_reader,
        .threads = { update_in_batch, update_once, read_limits }, .check = check_batches,
        .outcomes = { "21", "50" })
