/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reserve.c - programs of reservations: leases of a budget, of which a commit books a part
 * (lib/lease.h).
 *
 * Of those that reserve, what is booked and reserved never exceeds the budget; what a commit moves
 * from one count to the other counts at least once where more would be granted, and at most once
 * where it would be refused.
 */
#include "ledger.h"
#include "world.h"

#include "leaser.h"

#define LEDGER 0 /* index of the engagement's record */

static uint64_t limit;
static unsigned int held[EXPLORE_THREADS], granted[EXPLORE_THREADS], full[EXPLORE_THREADS],
	again[EXPLORE_THREADS];

static k2k_u64 *cost(void)
{
	return &world_map.ledger[LEDGER].cost_ns;
}

static int bound_of(const struct k2k_map *map, const struct k2k_lease_request *request,
                    struct k2k_bound *bound)
{
	(void)map;
	(void)request;
	bound->version = 1;
	bound->limit = limit;
	return 0;
}

static uint64_t booked_of(const struct k2k_map *map, const struct k2k_lease_request *request,
                          const struct k2k_bound *bound)
{
	(void)bound;
	return k2k_load_relaxed(&map->ledger[request->key.of].cost_ns);
}

static bool is_registered(const struct k2k_map *map, const struct k2k_lease_key *key)
{
	(void)map;
	(void)key;
	return true;
}

static const struct k2k_lease_key *key(void)
{
	static struct k2k_lease_key of;

	of = k2k_lease_of_engagement(LEDGER, 1);
	return &of;
}

static struct k2k_leaser leaser_of(int thread)
{
	struct k2k_leaser leaser = k2k_leaser_of(&world_handles[thread], K2K_LOCK_OF_RESERVATIONS);

	leaser.is_registered = is_registered;
	return leaser;
}

static struct k2k_lease_request request_of(uint64_t n, bool exact)
{
	return (struct k2k_lease_request){ .key = *key(),
		                           .resource = K2K_RESOURCE_GPU_TIME,
		                           .amount = n,
		                           .bound = bound_of,
		                           .booked = booked_of,
		                           .exact_used = exact };
}

static int reserve_as(int thread, uint64_t n, bool exact)
{
	const struct k2k_lease_request request = request_of(n, exact);
	struct k2k_leaser leaser = leaser_of(thread);
	uint64_t used, in_force;
	int code = k2k_lease_acquire(&leaser, &request, &used, &in_force);

	explore_assert(code == 0 || code == K2K_LEASE_AT_LIMIT || code == K2K_LEASE_AGAIN);
	if (code == 0)
		held[thread] += (unsigned int)n;
	(code == 0 ? granted : code == K2K_LEASE_AT_LIMIT ? full : again)[thread]++;
	return code;
}

static void book(void *ns)
{
	k2k_ledger_add(&world_map.ledger[LEDGER], *(uint64_t *)ns);
}

static void commit_as(int thread, uint64_t n)
{
	struct k2k_leaser leaser = leaser_of(thread);

	explore_assert(k2k_lease_commit(&leaser, key(), K2K_RESOURCE_GPU_TIME, n, book, &n) == 0);
}

static void begin(uint64_t budget)
{
	world_begin(&(struct world_sizes){ .leases = 4, .engagements = 16 });
	limit = budget;
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		world_broker(i);
		held[i] = granted[i] = full[i] = again[i] = 0;
	}
}

static unsigned int sum_of(const unsigned int counts[EXPLORE_THREADS])
{
	return counts[0] + counts[1] + counts[2] + counts[3];
}

static void report(void)
{
	explore_outcome("%u granted, %u full, %u again", sum_of(granted), sum_of(full),
	                sum_of(again));
}

/* ---- two that reserve and commit -------------------------------------------------------- */

static void setup_one(void)
{
	begin(1);
}

static void reserve_and_commit(void)
{
	if (reserve_as(explore_self(), 1, false) == 0)
		commit_as(explore_self(), 1);
}

static void check_within(void)
{
	explore_assert(k2k_load_relaxed(cost()) <= limit);
	report();
}

PROGRAM(reserve_two, .what = "two reserve and book what only one can have", .setup = setup_one,
        .threads = { reserve_and_commit, reserve_and_commit }, .check = check_within)

/* ---- what a commit moves counts at least once ------------------------------------------- */

static void setup_all_reserved(void)
{
	begin(2);
	explore_assert(reserve_as(0, 2, false) == 0);
}

static void commit_all(void)
{
	commit_as(0, 2);
}

static void reserve(void)
{
	reserve_as(explore_self(), 1, false);
}

static void reserve_exact(void)
{
	reserve_as(explore_self(), 1, true);
}

static void check_nothing_more(void)
{
	explore_assert(granted[1] == 0);
	report();
}

PROGRAM(reserve_beside_commit, .what = "what is booked while another looks is counted",
        .setup = setup_all_reserved, .threads = { commit_all, reserve },
        .check = check_nothing_more)
PROGRAM(reserve_exact_beside_commit, .what = "the same for one that asks for the verdict",
        .setup = setup_all_reserved, .threads = { commit_all, reserve_exact },
        .check = check_nothing_more)

static void setup_two(void)
{
	begin(2);
}

static void reserve_two_and_commit(void)
{
	if (reserve_as(explore_self(), 2, false) == 0)
		commit_as(explore_self(), 2);
}

/*
 * A request that passed its first look while all was free must see the reservation, or the booking,
 * in its second. What a dead one reserved is free, unless it is booked.
 */
static void check_one_of_two(void)
{
	if (granted[1])
		explore_assert(k2k_load_relaxed(cost()) == 0 &&
		               (!granted[0] || explore_end_of(0) == EXPLORE_DEAD));
	report();
}

PROGRAM(reserve_second_look, .what = "what is reserved and booked between two looks is counted",
        .setup = setup_two, .threads = { reserve_two_and_commit, reserve },
        .check = check_one_of_two)
PROGRAM(reserve_commit_dies, .what = "who dies in a commit has booked it, or it is free",
        .setup = setup_two, .mortal = 1, .deaths = 1,
        .threads = { reserve_two_and_commit, reserve }, .check = check_one_of_two)
PROGRAM(reserve_commit_stops, .what = "who stands still in a commit has what it has",
        .setup = setup_all_reserved, .stopping = 1, .stops = 1, .may_wait = true,
        .threads = { commit_all, reserve }, .check = check_nothing_more)

/* ---- and at most once ------------------------------------------------------------------- */

static void setup_half_reserved(void)
{
	begin(2);
	explore_assert(reserve_as(0, 1, false) == 0);
}

static void commit_half(void)
{
	commit_as(0, 1);
}

static void check_not_full(void)
{
	explore_assert(full[1] == 0);
	report();
}

PROGRAM(reserve_counted_once, .what = "full is never said because of what a commit counts twice",
        .setup = setup_half_reserved, .stopping = 1, .stops = 1, .may_wait = true,
        .threads = { commit_half, reserve }, .check = check_not_full)
PROGRAM(reserve_exact_counted_once, .what = "the same for one that asks for the verdict",
        .setup = setup_half_reserved, .stopping = 1, .stops = 1, .may_wait = true,
        .threads = { commit_half, reserve_exact }, .check = check_not_full)

static void peek(void)
{
	const struct k2k_lease_request request = request_of(1, false);
	uint64_t used, in_force;
	int code = k2k_lease_peek(&world_map, &world_self()->liveness, &request, &used, &in_force);

	explore_assert(code == 0 || code == K2K_LEASE_AT_LIMIT || code == K2K_LEASE_AGAIN);
	(code == 0 ? granted : code == K2K_LEASE_AT_LIMIT ? full : again)[explore_self()]++;
}

PROGRAM(reserve_peek_counted_once, .what = "an admission is not refused because of it",
        .setup = setup_half_reserved, .stopping = 1, .stops = 1, .may_wait = true,
        .threads = { commit_half, peek }, .check = check_not_full)

static void check_refused(void)
{
	explore_assert(granted[1] == 0);
	report();
}

PROGRAM(reserve_peek_beside_commit, .what = "an admission sees what is reserved or booked",
        .setup = setup_all_reserved, .threads = { commit_all, peek }, .check = check_refused)
