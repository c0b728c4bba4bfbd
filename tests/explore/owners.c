/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * owners.c - programs of what goes from one owner to the next: brokers' slots (lib/broker.h), with
 * the reports of deaths (lib/deaths.h), and followers' records (lib/follower.h).
 */
#include "deaths.h"

#include <stdlib.h>

#include "follower.h"
#include "leaser.h"
#include "world.h"

#define ID 7
#define DEAD 3 /* no thread has this number */
#define DEAD_PID 100
#define HEIR_PID 200
#define DEADLINE_NS (UINT64_C(3600) * K2K_NS_PER_SEC)

static uint32_t tenant;
static uint64_t generation;
static bool held;

/* All slots but the first have this owner. */
static void begin(uint64_t owner)
{
	const struct k2k_limits limits = { .kernels = 10, .version = 2 };

	world_begin(&(struct world_sizes){ .tenants = 1, .leases = 2 });
	tenant = world_tenant(ID, &limits);
	generation = k2k_tenant_generation(k2k_load_relaxed(&world_map.tenants[tenant].state_gen));
	for (int i = 0; i < EXPLORE_THREADS; i++)
		world_broker(i);
	for (uint32_t i = 1; i < world_map.sizes.slots; i++)
		k2k_store_relaxed(&world_map.slots[i].owner, owner);
	held = false;
}

static void attach(void)
{
	static const struct k2k_identity own = { .pid = HEIR_PID };
	struct k2k_registry *reg = world_self();

	if (k2k_broker_attach(&world_map, &reg->liveness, &own, &reg->broker))
		return;
	explore_assert(reg->broker.slot == 0);
}

/* ---- a report ---------------------------------------------------------------------------- */

static void setup_dead(void)
{
	begin(K2K_INCARNATION_WRITER); /* nobody's: the kernel is not asked about it */
	k2k_store_relaxed(&world_map.slots[0].owner, world_incarnation(DEAD));
	k2k_store_relaxed(&world_map.slots[0].pid, DEAD_PID);
	for (int i = 1; i < EXPLORE_THREADS; i++)
		world_admin(i);
}

/* An administrator, while it has the writer's turn. */
static void report(void)
{
	struct k2k_registry *reg = world_self();

	explore_assert(k2k_writer_lock(&reg->writer, DEADLINE_NS) == 0);
	k2k_report_deaths(reg);
	k2k_writer_unlock(&reg->writer);
}

/* The report names the process that died, or there is none: then the next owner makes it. */
static void check_report(void)
{
	struct k2k_ring ring = k2k_ring_of(&world_map, K2K_RING_ADMIN);
	struct k2k_event_copy copy;
	uint64_t events = k2k_ring_newest(&ring);

	explore_assert(events <= 1);
	if (events) {
		explore_assert(k2k_ring_read(&ring, 1, true, &copy) == K2K_EVENT_THERE);
		explore_assert(copy.body.incarnation == world_incarnation(DEAD));
		explore_assert(copy.body.pid == DEAD_PID);
	}
	explore_outcome("%u", (unsigned int)events);
}

PROGRAM(slot_death_reported, .what = "a report names the process that died, not the next owner",
        .setup = setup_dead, .threads = { attach, report }, .check = check_report,
        .outcomes = { "0", "1" })

/* ---- the next owner ---------------------------------------------------------------------- */

static int limit_of(const struct k2k_map *map, const struct k2k_lease_request *request,
                    struct k2k_bound *bound)
{
	(void)map, (void)request;
	bound->version = 1;
	bound->limit = 10;
	return 0;
}

static bool is_registered(const struct k2k_map *map, const struct k2k_lease_key *key)
{
	(void)map, (void)key;
	return true;
}

static void acquire(void)
{
	struct k2k_registry *reg = world_self();
	struct k2k_leaser leaser = k2k_leaser_of(reg, 0);
	const struct k2k_lease_key key = k2k_lease_of_tenant(tenant, generation);
	const struct k2k_lease_request request = {
		.key = key, .resource = K2K_RESOURCE_KERNELS, .amount = 1, .bound = limit_of
	};
	uint64_t used, limit;

	leaser.is_registered = is_registered;
	explore_assert(k2k_lease_acquire(&leaser, &request, &used, &limit) == 0);
	if (explore_self() == 0) {
		explore_assert(k2k_lease_release(&leaser, &key, K2K_RESOURCE_KERNELS, 1) == 0);
		k2k_broker_detach(&world_map, &reg->broker);
	}
}

static void attach_and_acquire(void)
{
	attach();
	if (!world_self()->broker.incarnation)
		return;
	acquire();
	held = true;
}

/* The row of the slot leads to what the second one holds, not to a record of the first. */
static void check_holder(void)
{
	const struct k2k_lease_key key = k2k_lease_of_tenant(tenant, generation);
	uint64_t sums[K2K_RESOURCES];

	explore_assert(k2k_lease_sum(&world_map, &world_handles[0].liveness, &key, sums) == 0);
	explore_assert(sums[K2K_RESOURCE_KERNELS] == held);
	explore_outcome("%u", held);
}

static void setup_living(void)
{
	begin(world_incarnation(1));
}

PROGRAM(slot_handed_on, .what = "what the next owner of a slot holds is found",
        .setup = setup_living, .threads = { acquire, attach_and_acquire }, .check = check_holder,
        .outcomes = { "0", "1" })

/* ---- followers --------------------------------------------------------------------------- */

#define SAID_NS 5

static struct k2k_follower first, second;

static void setup_followers(void)
{
	struct k2k_shm_follower *record;

	begin(0);
	record = &world_map.followers[0];
	k2k_store_relaxed(&record->owner, world_incarnation(0));
	/* of the execution before */
	free(first.counted);
	free(second.counted);
	first = (struct k2k_follower){ .shared = record, .incarnation = world_incarnation(0) };
	first.positions = k2k_follower_position(&world_map, 0, k2k_ring_number(&world_map, 0));
	first.counted = calloc(world_map.sizes.rings, sizeof(*first.counted));
	explore_assert(first.counted);
	second = (struct k2k_follower){ .shared = NULL };
}

static void say_failing(void)
{
	k2k_follower_say(&first, SAID_NS, true);
}

static void ask_prompt(void)
{
	explore_assert(!k2k_follower_is_prompt(first.shared, &world_self()->liveness, SAID_NS));
}

PROGRAM(follower_failing, .what = "a follower that reports a failure is never taken for prompt",
        .setup = setup_followers, .threads = { say_failing, ask_prompt })

static void lose_and_detach(void)
{
	k2k_follower_count_lost(&first, &world_map, 0, 1, 2);
	k2k_follower_detach(&first);
}

static void attach_and_lose(void)
{
	static const struct k2k_identity own = { .pid = HEIR_PID };

	explore_assert(k2k_follower_attach(&world_map, &world_self()->liveness, &own, &second) ==
	               0);
	k2k_follower_count_lost(&second, &world_map, 0, 3, 1);
}

static void check_lost(void)
{
	bool same = second.shared == &world_map.followers[0];

	explore_assert(k2k_load_relaxed(&second.shared->lost) == (same ? 3 : 1));
	explore_outcome("%s", same ? "the same" : "another");
}

PROGRAM(follower_handed_on, .what = "the next follower goes on with the counts of losses",
        .setup = setup_followers, .threads = { lose_and_detach, attach_and_lose },
        .check = check_lost, .outcomes = { "the same", "another" })
