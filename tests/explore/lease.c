/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease.c - programs of the leases (lib/lease.h): acquire, release, death, a record that is taken
 * over.
 *
 * I4: nothing is granted while the sum exceeds the limit in force at the claim; what the dead held
 * is no reason for a refusal, and a free slot is never answered "full".
 *
 * Each thread notes what it holds: from the moment an acquire has returned to the moment a release
 * is called. A grant that relies on a release comes after it in any execution, so the sum of the
 * notes of the living is never above the limit. "Full" is judged only if at no moment as much was
 * held: a thread may see what was held long after it was given back, as long as nothing told it.
 */
#include "lease.h"

#include "world.h"

#define ID 7

static uint32_t slot;
static uint64_t generation, limit;
static unsigned int held[EXPLORE_THREADS], granted[EXPLORE_THREADS], full[EXPLORE_THREADS],
	again[EXPLORE_THREADS];
static EXPLORE_SHARED k2k_u32 flag;

static uint64_t limit_of(const struct k2k_map *map, uint32_t at, enum k2k_resource resource)
{
	struct k2k_limits limits;

	(void)resource;
	k2k_tenant_limits(map, at, &limits);
	return limits.kernels;
}

static bool is_registered(const struct k2k_map *map, uint32_t at, uint64_t of)
{
	return k2k_tenant_still(map, at, k2k_tenant_word(K2K_TENANT_LIVE, of));
}

static struct k2k_leaser leaser_of(int thread)
{
	struct k2k_registry *reg = &world_handles[thread];

	return (struct k2k_leaser){ &reg->map, &reg->liveness, &reg->broker, &reg->kept_lease,
		                    is_registered };
}

static int acquire_as(int thread, uint64_t n, bool exact)
{
	const struct k2k_lease_request request = { .slot = slot,
		                                   .generation = generation,
		                                   .resource = K2K_RESOURCE_KERNELS,
		                                   .amount = n,
		                                   .limit = limit_of,
		                                   .exact_used = exact };
	struct k2k_leaser leaser = leaser_of(thread);
	uint64_t used, in_force;

	return k2k_lease_acquire(&leaser, &request, &used, &in_force);
}

static int release_as(int thread, uint64_t n)
{
	struct k2k_leaser leaser = leaser_of(thread);

	return k2k_lease_release(&leaser, slot, generation, K2K_RESOURCE_KERNELS, n);
}

static void begin(uint64_t kernels, uint32_t records)
{
	const struct k2k_limits limits = { .kernels = (uint32_t)kernels, .version = 2 };

	world_begin(&(struct world_sizes){ .tenants = 2, .leases = records });
	slot = world_tenant(ID, &limits);
	generation = k2k_tenant_generation(k2k_load_relaxed(&world_map.tenants[slot].state_gen));
	limit = kernels;
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		world_broker(i);
		held[i] = granted[i] = full[i] = again[i] = 0;
	}
}

/* In a setup: the thread's broker holds n already. */
static void give(int thread, unsigned int n)
{
	explore_assert(acquire_as(thread, n, false) == 0);
	held[thread] = n;
}

static unsigned int held_by_living(void)
{
	unsigned int sum = 0;

	for (int i = 0; i < EXPLORE_THREADS; i++)
		if (explore_end_of(i) != EXPLORE_DEAD)
			sum += held[i];
	return sum;
}

static unsigned int sum_of(const unsigned int counts[EXPLORE_THREADS])
{
	return counts[0] + counts[1] + counts[2] + counts[3];
}

static int acquire_with(unsigned int n, bool exact)
{
	int self = explore_self(), code = acquire_as(self, n, exact);

	explore_assert(code == 0 || code == K2K_LEASE_AT_LIMIT || code == K2K_LEASE_AGAIN);
	if (code) {
		(code == K2K_LEASE_AT_LIMIT ? full : again)[self]++;
		return code;
	}
	held[self] += n;
	granted[self]++;
	explore_assert(held_by_living() <= limit);
	return 0;
}

static int acquire_some(unsigned int n)
{
	return acquire_with(n, false);
}

/* As for a caller that asks for the verdict: without the fast look. */
static void acquire_exact(void)
{
	acquire_with(1, true);
}

static void acquire(void)
{
	acquire_some(1);
}

static void release(void)
{
	held[explore_self()]--;
	explore_assert(release_as(explore_self(), 1) == 0);
}

static void acquire_and_release(void)
{
	if (acquire_some(1) == 0)
		release();
}

/* ---- who gets it ---------------------------------------------------------------------- */

static void setup_one(void)
{
	begin(1, 4);
}

static void setup_two(void)
{
	begin(2, 4);
}

/* If all came to their ends, what counts afterwards is what is held. */
static void check(void)
{
	uint64_t sums[K2K_RESOURCES];
	bool all = true;

	for (int i = 0; i < EXPLORE_THREADS; i++)
		all &= explore_end_of(i) == EXPLORE_FINISHED;
	if (all) {
		explore_assert(k2k_lease_sum(&world_map, &world_handles[0].liveness, slot,
		                             generation, sums) == 0);
		explore_assert(sums[K2K_RESOURCE_KERNELS] == sum_of(held));
	}
	explore_outcome("%u granted, %u full, %u again", sum_of(granted), sum_of(full),
	                sum_of(again));
}

static void check_contended(void)
{
	check();
	explore_assert(sum_of(full) == 0 || sum_of(granted) == limit);
}

PROGRAM(lease_two, .what = "two ask for what only one can have", .setup = setup_one,
        .threads = { acquire, acquire }, .check = check_contended)
FULL_PROGRAM(lease_three, .what = "three ask for what two can have", .setup = setup_two,
             .threads = { acquire, acquire, acquire }, .check = check_contended)
PROGRAM(lease_and_back, .what = "two ask for what only one can have, and give it back",
        .setup = setup_one, .threads = { acquire_and_release, acquire_and_release }, .check = check)

/* ---- what is held, withdrawn, given back ---------------------------------------------- */

static void setup_three(void)
{
	begin(3, 4);
}

static void setup_two_one_held(void)
{
	begin(2, 4);
	give(0, 1);
}

static void acquire_two(void)
{
	acquire_some(2);
}

/* The second is claimed and withdrawn where another has claimed meanwhile. */
static void acquire_two_and_one(void)
{
	if (acquire_some(2) == 0)
		acquire_some(1);
}

PROGRAM(lease_withdrawn, .what = "a claim that is withdrawn hides nothing of what is held",
        .setup = setup_three, .threads = { acquire_two, acquire_two_and_one }, .check = check)
PROGRAM(lease_handed_on, .what = "two ask for the last one while the other is given back",
        .setup = setup_two_one_held, .threads = { release, acquire, acquire }, .check = check)

static void raise_flag(void)
{
	k2k_store_release(&flag, 1);
}

static void wait_for_flag(void)
{
	while (!k2k_load_acquire(&flag))
		explore_yield();
}

static void release_and_tell(void)
{
	release();
	raise_flag();
}

static void acquire_when_told(void)
{
	wait_for_flag();
	acquire();
}

/*
 * One of two is held all the time, by the one or by the other: so there is always room for a
 * second.
 */
static void check_never_full(void)
{
	check();
	explore_assert(sum_of(full) == 0);
}

/* The thread that is told has had a record before: so others look at it. */
static void setup_two_one_held_known(void)
{
	setup_two_one_held();
	give(1, 1);
	held[1] = 0;
	explore_assert(release_as(1, 1) == 0);
}

PROGRAM(lease_counted_twice, .what = "what goes from one to the next is not counted twice",
        .setup = setup_two_one_held_known,
        .threads = { release_and_tell, acquire_when_told, acquire_exact },
        .check = check_never_full)

static void raise_limit(void)
{
	const struct k2k_limits limits = { .kernels = 3 };

	limit = 3;
	k2k_tenant_prepare(&world_map, slot, &limits);
	k2k_tenant_flip(&world_map, slot);
	raise_flag();
}

/* One of two is held, then at most two of three. */
PROGRAM(lease_limit_raised, .what = "full is never said by a limit that was over",
        .setup = setup_two_one_held_known,
        .threads = { raise_limit, acquire_when_told, acquire_exact }, .check = check_never_full)

static void acquire_as_told(void)
{
	wait_for_flag();
	explore_assert(acquire_some(1) == 0);
}

static void setup_one_held(void)
{
	begin(1, 4);
	give(0, 1);
}

PROGRAM(lease_after_release, .what = "what is known to be given back can be had",
        .setup = setup_one_held, .threads = { release_and_tell, acquire_as_told }, .check = check)

/* ---- death ---------------------------------------------------------------------------- */

static void acquire_beside_dead(void)
{
	bool dead = !explore_is_alive(0);
	int code = acquire_some(1);

	explore_assert(!dead || code == 0);
}

PROGRAM(lease_dead, .what = "what the dead held is no reason for a refusal", .setup = setup_one,
        .mortal = 1, .deaths = 1, .threads = { acquire_and_release, acquire_beside_dead },
        .check = check)
FULL_PROGRAM(lease_dead_three, .what = "two ask for what one held that dies",
             .setup = setup_one_held, .mortal = 1, .deaths = 1,
             .threads = { release, acquire, acquire }, .check = check)
PROGRAM(lease_stopped,
        .what = "one that stands still keeps what it has claimed, and holds up nobody",
        .setup = setup_one, .stopping = 1, .stops = 1, .threads = { acquire_and_release, acquire },
        .check = check)
FULL_PROGRAM(lease_stopped_three, .what = "the same beside two that ask", .setup = setup_one,
             .stopping = 1, .stops = 1, .threads = { acquire_and_release, acquire, acquire },
             .check = check)

/* ---- a record that is taken over ------------------------------------------------------- */

static uint32_t other_slot;
static uint64_t other_generation;
#define HELD_BY_DEAD 5
#define HELD_BY_HEIR 3

/* The only record is a dead broker's, whose death was told. */
static void setup_dead_record(void)
{
	const struct k2k_limits limits = { .kernels = 100, .version = 2 };

	begin(100, 1);
	give(EXPLORE_THREADS - 1, HELD_BY_DEAD);
	held[EXPLORE_THREADS - 1] = 0;
	k2k_store_relaxed(&world_map.slots[EXPLORE_THREADS - 1].death_reported,
	                  world_incarnation(EXPLORE_THREADS - 1));
	other_slot = world_tenant(ID + 1, &limits);
	other_generation = k2k_tenant_generation(
		k2k_load_relaxed(&world_map.tenants[other_slot].state_gen));
}

static void take_over(void)
{
	const struct k2k_lease_request request = { .slot = other_slot,
		                                   .generation = other_generation,
		                                   .resource = K2K_RESOURCE_KERNELS,
		                                   .amount = HELD_BY_HEIR,
		                                   .limit = limit_of };
	struct k2k_leaser leaser = leaser_of(explore_self());
	uint64_t used, in_force;
	int code = k2k_lease_acquire(&leaser, &request, &used, &in_force);

	explore_assert(code == 0 || code == K2K_EFULL);
	granted[explore_self()] += code == 0;
}

/* A copy is of one use of the record: the dead one's, which counts nothing, or the heir's. */
static void look(void)
{
	uint64_t sums[K2K_RESOURCES];
	struct k2k_holdings holdings;

	explore_assert(k2k_lease_collect(&world_map, slot, generation, &holdings) == 0);
	explore_assert(holdings.count == 0 ||
	               holdings.list[0].held[K2K_RESOURCE_KERNELS] == HELD_BY_DEAD);
	explore_assert(k2k_lease_sum(&world_map, &world_self()->liveness, other_slot,
	                             other_generation, sums) == 0);
	explore_assert(sums[K2K_RESOURCE_KERNELS] == 0 ||
	               sums[K2K_RESOURCE_KERNELS] == HELD_BY_HEIR);
}

static void check_heir(void)
{
	uint64_t sums[K2K_RESOURCES];

	explore_assert(k2k_lease_sum(&world_map, &world_handles[0].liveness, other_slot,
	                             other_generation, sums) == 0);
	explore_assert(sums[K2K_RESOURCE_KERNELS] == HELD_BY_HEIR);
	explore_assert(sum_of(granted) == 1);
}

PROGRAM(lease_taken_over, .what = "a record is taken from the dead while others read it",
        .setup = setup_dead_record, .threads = { take_over, look }, .check = check_heir)
FULL_PROGRAM(lease_taken_by_one, .what = "of two that take a dead one's record one gets it",
             .setup = setup_dead_record, .threads = { take_over, take_over, look },
             .check = check_heir)

/* ---- a record of a registration that is over ------------------------------------------- */

/* The first broker keeps the only record, for a registration whose grace period has passed. */
static void setup_kept(void)
{
	const struct k2k_limits limits = { .kernels = 100, .version = 2 };

	begin(100, 1);
	give(0, 1);
	explore_assert(release_as(0, 1) == 0);
	held[0] = 0;
	k2k_store_relaxed(&world_map.tenants[slot].state_gen,
	                  k2k_tenant_word(K2K_TENANT_RETIRED, generation));
	other_slot = world_tenant(ID + 1, &limits);
	other_generation = k2k_tenant_generation(
		k2k_load_relaxed(&world_map.tenants[other_slot].state_gen));
}

/* The registration is there, but a repair has set the record aside, and its token has passed. */
static void setup_set_aside(void)
{
	setup_kept();
	k2k_store_relaxed(&world_map.tenants[slot].state_gen,
	                  k2k_tenant_word(K2K_TENANT_LIVE, generation));
	k2k_store_relaxed(&world_map.leases[0].incarnation, 1); /* the token */
}

static void free_set_aside(void)
{
	struct k2k_shm_lease *record = &world_map.leases[0];
	uint64_t word = k2k_load_acquire(&record->state);

	if (k2k_load_relaxed(&record->incarnation) == 1)
		k2k_lease_free(record, word);
}

static void reap(void)
{
	explore_assert(k2k_lease_reap(&world_map, slot, generation) == 0);
}

/* What was granted is held by a LIVE record, whenever the writer frees what is over. */
static void check_kept(void)
{
	uint64_t state = k2k_load_relaxed(&world_map.leases[0].state);

	explore_assert(!sum_of(granted) ||
	               state == k2k_entry_word(K2K_ENTRY_LIVE, world_incarnation(0)));
	explore_outcome("%u granted", sum_of(granted));
}

PROGRAM(lease_reaped, .what = "the writer frees a record that its owner wants for another tenant",
        .setup = setup_kept, .threads = { take_over, reap }, .check = check_kept,
        .outcomes = { "0 granted", "1 granted" })
PROGRAM(lease_set_aside, .what = "the same for a record that a repair has set aside",
        .setup = setup_set_aside, .threads = { take_over, free_set_aside }, .check = check_kept,
        .outcomes = { "0 granted", "1 granted" })
