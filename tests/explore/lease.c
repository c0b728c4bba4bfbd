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
#include "lease_fast.h"
#include "leaser.h"

#include "world.h"

#define ID 7

static uint32_t slot;
static uint64_t generation, limit;
static uint32_t other_slot; /* of a second tenant, if there is one */
static uint64_t other_generation;
static unsigned int held[EXPLORE_THREADS], granted[EXPLORE_THREADS], full[EXPLORE_THREADS],
	again[EXPLORE_THREADS];
static EXPLORE_SHARED k2k_u32 flag;
static bool tries_fast; /* the short way first, as lease_calls.c does */

static int limit_of(const struct k2k_map *map, const struct k2k_lease_request *request,
                    struct k2k_bound *bound)
{
	struct k2k_limits limits;

	k2k_tenant_limits(map, request->key.of, &limits);
	bound->version = limits.version;
	bound->limit = limits.kernels;
	return 0;
}

static struct k2k_leaser leaser_of(int thread)
{
	return k2k_leaser_of(&world_handles[thread], 0);
}

static bool look_fast(const struct k2k_lease_attempt *attempt, void *request)
{
	struct k2k_bound bound;
	uint64_t room;

	return limit_of(attempt->map, request, &bound) == 0 &&
	       k2k_lease_look_fast(attempt, bound.limit, &room);
}

/* As acquire_locked_fast() of lease_calls.c, which needs a whole handle. */
static bool acquire_fast(int thread, const struct k2k_leaser *leaser,
                         struct k2k_lease_request *request)
{
	const struct k2k_broker *broker = &world_handles[thread].broker;
	struct k2k_lease_attempt attempt = { .map = leaser->map,
		                             .row = k2k_lease_row(leaser->map, &request->key),
		                             .own_slot = broker->slot,
		                             .resource = request->resource,
		                             .amount = request->amount };
	enum k2k_lease_fast result;

	attempt.record = k2k_lease_find_live(leaser->map, broker, &attempt.row);
	if (!attempt.record)
		return false;
	result = k2k_lease_acquire_fast(&attempt, look_fast, request);
	return result == K2K_LEASE_GRANTED ||
	       (result == K2K_LEASE_CLAIMED &&
	        k2k_lease_settle(leaser, request, attempt.record) == 0);
}

static int acquire_of(int thread, uint32_t tenant, uint64_t of, uint64_t n, bool exact)
{
	struct k2k_lease_request request = { .key = k2k_lease_of_tenant(tenant, of),
		                             .resource = K2K_RESOURCE_KERNELS,
		                             .amount = n,
		                             .bound = limit_of,
		                             .exact_used = exact };
	struct k2k_leaser leaser = leaser_of(thread);
	uint64_t used, in_force;

	if (tries_fast && acquire_fast(thread, &leaser, &request))
		return 0;
	return k2k_lease_acquire(&leaser, &request, &used, &in_force);
}

static int acquire_as(int thread, uint64_t n, bool exact)
{
	return acquire_of(thread, slot, generation, n, exact);
}

static int release_of(int thread, uint32_t tenant, uint64_t of, uint64_t n)
{
	struct k2k_leaser leaser = leaser_of(thread);

	struct k2k_lease_key key = k2k_lease_of_tenant(tenant, of);

	return k2k_lease_release(&leaser, &key, K2K_RESOURCE_KERNELS, n);
}

static int release_as(int thread, uint64_t n)
{
	return release_of(thread, slot, generation, n);
}

static void begin_with(uint64_t kernels, uint32_t records, uint32_t slots)
{
	const struct k2k_limits limits = { .kernels = (uint32_t)kernels, .version = 2 };

	world_begin(&(struct world_sizes){ .tenants = 2, .leases = records, .slots = slots });
	slot = world_tenant(ID, &limits);
	generation = k2k_tenant_generation(k2k_load_relaxed(&world_map.tenants[slot].state_gen));
	limit = kernels;
	tries_fast = false;
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		world_broker(i);
		held[i] = granted[i] = full[i] = again[i] = 0;
	}
}

/* In a setup: there is a second tenant. */
static void register_other(void)
{
	const struct k2k_limits limits = { .kernels = 100, .version = 2 };

	other_slot = world_tenant(ID + 1, &limits);
	other_generation = k2k_tenant_generation(
		k2k_load_relaxed(&world_map.tenants[other_slot].state_gen));
}

static void begin(uint64_t kernels, uint32_t records)
{
	begin_with(kernels, records, K2K_SLOTS_DEFAULT);
}

/* In a setup: the thread's broker holds n already. */
static void give(int thread, unsigned int n)
{
	explore_assert(acquire_as(thread, n, false) == 0);
	held[thread] = n;
}

/* In a setup: the broker has had a record before, so others look at it. */
static void make_known(int thread)
{
	give(thread, 1);
	held[thread] = 0;
	explore_assert(release_as(thread, 1) == 0);
}

/* The first two have had the only two records. */
static void setup_known(uint64_t kernels)
{
	begin(kernels, 2);
	make_known(0);
	make_known(1);
}

static void setup_two_known(void)
{
	setup_known(2);
}

static void setup_one_known(void)
{
	setup_known(1);
}

static void setup_three_known(void)
{
	setup_known(3);
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

/* There is no record for it: so it claims nothing, whatever it finds. */
static void ask_exact(void)
{
	int code = acquire_as(explore_self(), 1, true);

	explore_assert(code == K2K_EFULL || code == K2K_LEASE_AT_LIMIT || code == K2K_LEASE_AGAIN);
	full[explore_self()] += code == K2K_LEASE_AT_LIMIT;
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

/* If all came to their ends, what counts afterwards is what is held. */
static void check(void)
{
	uint64_t sums[K2K_RESOURCES];
	bool all = true;

	for (int i = 0; i < EXPLORE_THREADS; i++)
		all &= explore_end_of(i) == EXPLORE_FINISHED;
	if (all) {
		explore_assert(k2k_lease_sum(&world_map, &world_handles[0].liveness,
		                             &(struct k2k_lease_key){ .of = slot,
		                                                      .generation = generation },
		                             sums) == 0);
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

/* Both have their records LIVE, so they take the short way first. */
static void setup_fast(void)
{
	setup_one_known();
	tries_fast = true;
	for (int i = 0; i < 2; i++)
		k2k_store_relaxed(&world_map.leases[i].state,
		                  k2k_entry_word(K2K_ENTRY_LIVE, world_incarnation(i)));
}

PROGRAM(lease_fast_two, .what = "two ask the short way for what only one can have",
        .setup = setup_fast, .threads = { acquire, acquire }, .check = check_contended)
PROGRAM(lease_fast_and_back, .what = "the same, and give it back", .setup = setup_fast,
        .threads = { acquire_and_release, acquire_and_release }, .check = check)
/* Who finds the bit set need not set it, and its row must be seen all the same. */
static void setup_shared_bit(void)
{
	begin_with(1, 3, 128);
	explore_assert(k2k_slot_bit(&world_map, 0) == k2k_slot_bit(&world_map, 1));
}

PROGRAM(lease_shared_bit, .what = "two ask for what only one can have, and share a bit",
        .setup = setup_shared_bit, .threads = { acquire, acquire }, .check = check_contended)
PROGRAM(lease_three, .what = "two ask for what they can have, and a third one looks",
        .setup = setup_two_known, .threads = { acquire, acquire, ask_exact },
        .check = check_contended)
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

/* The thread that is told is known. */
static void setup_two_one_held_known(void)
{
	setup_two_one_held();
	make_known(1);
}

PROGRAM(lease_counted_twice, .what = "what goes from one to the next is not counted twice",
        .setup = setup_two_one_held_known,
        .threads = { release_and_tell, acquire_when_told, acquire_exact },
        .check = check_never_full)

/* Another broker stands still with a claim. That is no reason to say full. */
static void setup_beside_claim(void)
{
	struct k2k_shm_lease *record;

	begin(2, 4);
	make_known(1);
	give(3, 1);
	held[3] = 0;
	record = &world_map.leases[k2k_load_relaxed(k2k_map_lease_link(&world_map, slot, 3)) - 1];
	k2k_store_relaxed(&record->claims[K2K_RESOURCE_KERNELS].held, 0);
	give(0, 1);
}

static void stand_still(void)
{
}

/* The third may keep its claim for as long as the fourth has one. */
PROGRAM(lease_counted_beside_claim, .what = "what was given back is not counted as held",
        .setup = setup_beside_claim, .may_wait = true,
        .threads = { release_and_tell, acquire_when_told, acquire_exact, stand_still },
        .check = check_never_full)

/* Two of three are held by the one or by the other, and never by both. */
static void acquire_two_and_release(void)
{
	if (acquire_some(2) == 0) {
		held[explore_self()] -= 2;
		explore_assert(release_as(explore_self(), 2) == 0);
	}
}

static void check_third_never_full(void)
{
	explore_assert(full[2] == 0);
}

PROGRAM(lease_one_after_other, .what = "what two have had in turn is not counted twice",
        .setup = setup_three_known, .threads = { acquire_two_and_release, acquire_two, ask_exact },
        .check = check_third_never_full)

static void raise_limit(void)
{
	const struct k2k_limits limits = { .kernels = 3 };

	limit = 3;
	k2k_tenant_prepare(&world_map, slot, &limits);
	k2k_tenant_flip(&world_map, slot, 0);
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

static void acquire_twice(void)
{
	acquire();
	acquire();
}

PROGRAM(lease_asked_twice, .what = "who has been found alive still counts later",
        .setup = setup_one_held, .mortal = 1, .deaths = 1, .threads = { raise_flag, acquire_twice },
        .check = check)
PROGRAM(lease_dead, .what = "what the dead held is no reason for a refusal", .setup = setup_one,
        .mortal = 1, .deaths = 1, .threads = { acquire_and_release, acquire_beside_dead },
        .check = check)
/* One that dies while it gives it back is in lease_dead. */
PROGRAM(lease_dead_three, .what = "two ask for what one holds that dies", .setup = setup_one_held,
        .mortal = 1, .deaths = 1, .threads = { stand_still, acquire, acquire }, .check = check)
PROGRAM(lease_stopped,
        .what = "one that stands still keeps what it has claimed, and holds up nobody",
        .setup = setup_one, .stopping = 1, .stops = 1, .threads = { acquire_and_release, acquire },
        .check = check)
PROGRAM(lease_stopped_three, .what = "the same for its claim while a third one looks",
        .setup = setup_one_known, .stopping = 1, .stops = 1,
        .threads = { acquire, acquire, ask_exact }, .check = check)

/* ---- a record that is taken over ------------------------------------------------------- */

#define HELD_BY_DEAD 5
#define HELD_BY_HEIR 3

/* The only record is a dead broker's, whose death was told. */
static void setup_dead_record(void)
{
	begin(100, 1);
	give(EXPLORE_THREADS - 1, HELD_BY_DEAD);
	held[EXPLORE_THREADS - 1] = 0;
	k2k_store_relaxed(&world_map.slots[EXPLORE_THREADS - 1].death_reported,
	                  world_incarnation(EXPLORE_THREADS - 1));
	register_other();
}

static void take_over(void)
{
	int code = acquire_of(explore_self(), other_slot, other_generation, HELD_BY_HEIR, false);

	explore_assert(code == 0 || code == K2K_EFULL);
	granted[explore_self()] += code == 0;
}

/* A copy is of one use of the record: the dead one's, which counts nothing, or the heir's. */
static void look(void)
{
	uint64_t sums[K2K_RESOURCES];
	struct k2k_lease_walk walk;
	struct k2k_holding holding;

	k2k_lease_walk(&walk, &world_map,
	               &(struct k2k_lease_key){ .of = slot, .generation = generation });
	explore_assert(!k2k_lease_next(&walk, &holding) ||
	               holding.held[K2K_RESOURCE_KERNELS] == HELD_BY_DEAD);
	explore_assert(walk.code == 0);
	explore_assert(k2k_lease_sum(&world_map, &world_self()->liveness,
	                             &(struct k2k_lease_key){ .of = other_slot,
	                                                      .generation = other_generation },
	                             sums) == 0);
	explore_assert(sums[K2K_RESOURCE_KERNELS] == 0 ||
	               sums[K2K_RESOURCE_KERNELS] == HELD_BY_HEIR);
}

static void check_heir(void)
{
	uint64_t sums[K2K_RESOURCES];

	explore_assert(k2k_lease_sum(&world_map, &world_handles[0].liveness,
	                             &(struct k2k_lease_key){ .of = other_slot,
	                                                      .generation = other_generation },
	                             sums) == 0);
	explore_assert(sums[K2K_RESOURCE_KERNELS] == HELD_BY_HEIR);
	explore_assert(sum_of(granted) == 1);
}

PROGRAM(lease_taken_over, .what = "a record is taken from the dead while others read it",
        .setup = setup_dead_record, .threads = { take_over, look }, .check = check_heir)
PROGRAM(lease_taken_by_one, .what = "of two that take a dead one's record one gets it",
        .setup = setup_dead_record, .threads = { take_over, take_over, look }, .check = check_heir)

/*
 * The first broker's row leads to the only record, since it had it once. Then a broker took it for
 * the other tenant, and died. What that one held is not the first one's, who takes it again.
 */
static void setup_had_before(void)
{
	begin(100, 1);
	register_other();
	make_known(0);
	world_handles[0].own_leases.kept = 0;
	k2k_store_relaxed(&world_map.leases[0].state,
	                  k2k_entry_word(K2K_ENTRY_IDLE, world_incarnation(0)));
	explore_assert(acquire_of(3, other_slot, other_generation, HELD_BY_DEAD, false) == 0);
	k2k_store_relaxed(&world_map.slots[3].death_reported, world_incarnation(3));
}

static void look_at_first(void)
{
	const struct k2k_lease_key key = k2k_lease_of_tenant(slot, generation);
	struct k2k_lease_walk walk;
	struct k2k_holding holding;

	k2k_lease_walk(&walk, &world_map, &key);
	while (k2k_lease_next(&walk, &holding))
		explore_assert(holding.held[K2K_RESOURCE_KERNELS] <= 1 &&
		               holding.asked[K2K_RESOURCE_KERNELS] <= 1);
	explore_assert(walk.code == 0);
}

PROGRAM(lease_had_before, .what = "what another held in a record is not its next owner's",
        .setup = setup_had_before, .threads = { acquire, look_at_first }, .check = check)

/* The first broker has two records, one IDLE, and uses both again while another takes one. */
static void setup_idle(void)
{
	begin(100, 2);
	register_other();
	make_known(0);
	explore_assert(acquire_of(0, other_slot, other_generation, 1, false) == 0);
	explore_assert(release_of(0, other_slot, other_generation, 1) == 0);
}

static void use_both(void)
{
	acquire_and_release();
	explore_assert(acquire_of(0, other_slot, other_generation, 1, false) == 0);
	explore_assert(release_of(0, other_slot, other_generation, 1) == 0);
}

/* It may know neither of them as IDLE. */
static void acquire_three(void)
{
	int code = acquire_as(explore_self(), 3, false);

	explore_assert(code == 0 || code == K2K_EFULL);
	held[explore_self()] = code == 0 ? 3 : 0;
}

/* What counts as wanted is what is held. */
static void check_idle(void)
{
	const struct k2k_lease_key key = k2k_lease_of_tenant(slot, generation);
	struct k2k_lease_walk walk;
	struct k2k_holding holding;

	check();
	k2k_lease_walk(&walk, &world_map, &key);
	while (k2k_lease_next(&walk, &holding))
		explore_assert(holding.asked[K2K_RESOURCE_KERNELS] -
		                       holding.ended[K2K_RESOURCE_KERNELS] ==
		               holding.held[K2K_RESOURCE_KERNELS]);
}

PROGRAM(lease_idle, .what = "a record that holds nothing is taken from the living",
        .setup = setup_idle, .threads = { use_both, acquire_three }, .check = check_idle)

/* ---- two threads of one broker --------------------------------------------------------- */

/*
 * Of the first broker: each has the lock of a tenant, and a third one that of the record that is
 * kept. The only other record is IDLE, of the first tenant.
 */
static void setup_one_broker(void)
{
	struct k2k_own_leases *own = &world_handles[0].own_leases;

	begin(100, 2);
	register_other();
	make_known(0);
	k2k_store_relaxed(&own->only, K2K_LEASES_SHARED);
	k2k_store_relaxed(&own->locks[3].taken, 1);
	k2k_store_relaxed(&own->kept, UINT64_C(3) << 32 | 2);
	k2k_store_relaxed(&world_map.live->lease_pool.high, 2);
	k2k_store_relaxed(&world_map.leases[0].state,
	                  k2k_entry_word(K2K_ENTRY_IDLE, world_incarnation(0)));
	k2k_store_relaxed(&world_map.leases[1].state,
	                  k2k_entry_word(K2K_ENTRY_LIVE, world_incarnation(0)));
}

/* What was granted can be given back, whatever the other thread does with the record. */
static void use_and_give_back(uint32_t lock, uint32_t tenant, uint64_t of)
{
	struct k2k_own_leases *own = &world_handles[0].own_leases;
	struct k2k_leaser leaser = k2k_leaser_of(&world_handles[0], lock);
	const struct k2k_lease_request request = { .key = k2k_lease_of_tenant(tenant, of),
		                                   .resource = K2K_RESOURCE_KERNELS,
		                                   .amount = 1,
		                                   .bound = limit_of };
	uint64_t used, in_force;
	int code;

	explore_assert(k2k_lease_try_lock(own, lock));
	code = k2k_lease_acquire(&leaser, &request, &used, &in_force);
	explore_assert(code == 0 || code == K2K_EFULL);
	if (!code)
		explore_assert(k2k_lease_release(&leaser, &request.key, K2K_RESOURCE_KERNELS, 1) ==
		               0);
	k2k_lease_unlock(own, lock);
	granted[explore_self()] = !code;
}

static void use_first(void)
{
	use_and_give_back(1, slot, generation);
}

static void use_other(void)
{
	use_and_give_back(2, other_slot, other_generation);
}

static void check_one_broker(void)
{
	explore_assert(sum_of(granted) > 0);
	explore_assert(k2k_load_relaxed(&world_map.leases[0].state) ==
	               k2k_entry_word(K2K_ENTRY_IDLE, world_incarnation(0)));
	explore_outcome("%u granted", sum_of(granted));
}

PROGRAM(lease_threads, .what = "two threads of a broker use one record for two tenants",
        .setup = setup_one_broker, .process = { 1, 1 }, .threads = { use_first, use_other },
        .check = check_one_broker, .outcomes = { "1 granted", "2 granted" })

/* ---- a record of a registration that is over ------------------------------------------- */

/* The first broker keeps the only record, for a registration whose grace period has passed. */
static void setup_kept(void)
{
	begin(100, 1);
	give(0, 1);
	explore_assert(release_as(0, 1) == 0);
	held[0] = 0;
	k2k_store_relaxed(&world_map.tenants[slot].state_gen,
	                  k2k_tenant_word(K2K_TENANT_RETIRED, generation));
	register_other();
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
	explore_assert(k2k_lease_reap(&world_map,
	                              &(struct k2k_lease_key){ .of = slot,
	                                                       .generation = generation }) == 0);
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
