/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lease.h"

#include <sched.h>

#include "clock.h"
#include "delay.h"

#define LOOKS 32                /* with a claim kept, between two pauses */
#define KEEP_NS UINT64_C(5000000)        /* how long: two passes of the others, who may be preempted in them */
#define PAUSE_NS UINT64_C(20000)
#define READS 64                /* of a record that is being reset: two stores long */

static int corrupt(uint32_t slot, const char *what)
{
	return k2k_fail_values(K2K_ECORRUPT, "leases", "list", K2K_SLOTS, slot, "the leases of tenant slot %u: %s", slot, what);
}

/* Calls for each record of the list, in order. */
static int walk(const struct k2k_map *map, uint32_t slot, uint32_t link, uint32_t *steps, struct k2k_shm_lease **record)
{
	if (link == 0)
		return K2K_ENOTHELD;
	if (link > map->sizes.leases)
		return corrupt(slot, "a link points outside of the table");
	if ((*steps)++ >= K2K_SLOTS)
		return corrupt(slot, "more records than brokers");
	*record = &map->leases[link - 1];
	return 0;
}

/* The record of one broker slot. 0, K2K_ENOTHELD, K2K_ECORRUPT. */
static int find(const struct k2k_map *map, uint32_t slot, uint64_t generation, uint32_t broker_slot,
                struct k2k_shm_lease **record)
{
	uint32_t link = k2k_load_acquire(&map->cells[slot].lease_head); /* observe[lease-link]: the record's key */
	uint32_t steps = 0;
	int code;

	while ((code = walk(map, slot, link, &steps, record)) == 0) {
		/* relaxed: carried by the link */
		if (k2k_load_relaxed(&(*record)->entry.key) == broker_slot &&
		    k2k_load_relaxed(&(*record)->entry.gen) == generation)
			return 0;
		link = k2k_load_acquire(&(*record)->entry.next); /* observe[lease-link]: the next one's key */
	}
	return code;
}

static void zero(struct k2k_shm_lease *record)
{
	for (int i = 0; i < K2K_RESOURCES; i++) {
		/* relaxed, all: between the two stores of the incarnation */
		k2k_store_relaxed(&record->claims[i].asked, 0);
		k2k_store_relaxed(&record->claims[i].ended, 0);
		k2k_store_relaxed(&record->claims[i].held, 0);
	}
}

/* Our slot's dead owner before us wrote it last. Killed anywhere here: it counts nothing. */
static void reset(struct k2k_shm_lease *record, uint64_t incarnation)
{
	k2k_store_relaxed(&record->incarnation, 0); /* relaxed: ordered by the fence */
	/* fence[lease-reset] with that of copy(): who reads a zero below reads the 0 above afterwards, and reads again */
	k2k_fence_release();
	zero(record);
	k2k_store_release(&record->incarnation, incarnation); /* publish[lease-incarnation]: the zeroes */
}

static int obtain(const struct k2k_leaser *leaser, uint32_t slot, uint64_t generation, struct k2k_shm_lease **record)
{
	const struct k2k_map *map = leaser->map;
	const struct k2k_broker *broker = leaser->broker;
	struct k2k_pool pool = k2k_lease_pool(map);
	k2k_u32 *head = &map->cells[slot].lease_head;
	uint32_t index, first;
	int code = find(map, slot, generation, broker->slot, record);

	if (code == 0) {
		/* relaxed: only the slot's owner, us, writes it; the owner before died before we took the slot */
		if (k2k_load_relaxed(&(*record)->incarnation) != broker->incarnation)
			reset(*record, broker->incarnation);
		return 0;
	}
	if (code != K2K_ENOTHELD)
		return code;
	if (!k2k_pool_claim(&pool, broker->incarnation, leaser->passed, leaser->full_at, &index))
		return K2K_EFULL;
	*record = &map->leases[index];
	/* relaxed, all: carried by the link */
	k2k_store_relaxed(&(*record)->entry.gen, generation);
	k2k_store_relaxed(&(*record)->entry.key, broker->slot);
	k2k_store_relaxed(&(*record)->entry.slot, slot);
	zero(*record);
	k2k_store_relaxed(&(*record)->incarnation, broker->incarnation);
	first = k2k_load_acquire(head); /* observe[lease-link]: those before us */
	do
		k2k_store_relaxed(&(*record)->entry.next, first); /* relaxed: carried by the CAS */
	while (!k2k_cas_acq_rel(head, &first, index + 1)); /* publish[lease-link]: key, zeroes, incarnation */
	k2k_store_release(&(*record)->entry.state, k2k_entry_word(K2K_ENTRY_LIVE, broker->incarnation)); /* publish[entry-state] */
	return 0;
}

/* False: it counts for nobody. */
static int copy(const struct k2k_shm_lease *record, struct k2k_holding *holding, bool *counts)
{
	for (int tries = 0; tries < READS; tries++) {
		holding->incarnation = k2k_load_acquire(&record->incarnation); /* observe[lease-incarnation]: its zeroes, or later */
		*counts = holding->incarnation != 0;
		if (!*counts)
			return 0;
		for (int i = 0; i < K2K_RESOURCES; i++) {
			/* ended first: observe[lease-ended]: the `asked` that it belongs to is seen below, so a sum is never too low */
			holding->ended[i] = k2k_load_acquire(&record->claims[i].ended);
			holding->asked[i] = k2k_load_acquire(&record->claims[i].asked); /* observe[lease-asked] */
			holding->held[i] = k2k_load_acquire(&record->claims[i].held); /* observe[lease-held] */
		}
		/* fence[lease-reset] with that of reset(): the counters before, the incarnation again after */
		k2k_fence_acquire();
		if (k2k_load_relaxed(&record->incarnation) == holding->incarnation) /* relaxed: ordered by the fence */
			return 0;
	}
	return k2k_fail(K2K_ECORRUPT, "leases", "incarnation", "a lease record does not hold still");
}

int k2k_lease_collect(const struct k2k_map *map, uint32_t slot, struct k2k_holdings *holdings)
{
	uint32_t link = k2k_load_acquire(&map->cells[slot].lease_head); /* observe[lease-link]: the record's key */
	struct k2k_shm_lease *record;
	uint32_t steps = 0;
	int code;

	holdings->count = 0;
	while ((code = walk(map, slot, link, &steps, &record)) == 0) {
		struct k2k_holding *holding = &holdings->list[holdings->count];
		uint64_t key = k2k_load_relaxed(&record->entry.key); /* relaxed: carried by the link */
		bool counts;

		if (key >= K2K_SLOTS)
			return corrupt(slot, "a record of no broker slot");
		holding->index = link - 1;
		holding->broker_slot = (uint32_t)key;
		code = copy(record, holding, &counts);
		if (code)
			return code;
		if (counts)
			holdings->count++;
		link = k2k_load_acquire(&record->entry.next); /* observe[lease-link]: the next one's key */
	}
	return code == K2K_ENOTHELD ? 0 : code;
}

int k2k_lease_sum(const struct k2k_map *map, struct k2k_census *census, uint32_t slot, uint64_t held[K2K_RESOURCES])
{
	struct k2k_holdings holdings;
	uint64_t incarnations[K2K_SLOTS];
	const struct k2k_holding *holders[K2K_SLOTS];
	bool alive[K2K_SLOTS];
	uint32_t count = 0;
	int code = k2k_lease_collect(map, slot, &holdings);

	held[0] = held[1] = 0;
	for (uint32_t i = 0; !code && i < holdings.count; i++) {
		const struct k2k_holding *h = &holdings.list[i];

		if (!h->held[0] && !h->held[1])
			continue;
		holders[count] = h;
		incarnations[count++] = h->incarnation;
	}
	if (count)
		k2k_census_ask(census, incarnations, alive, count);
	for (uint32_t i = 0; i < count; i++) {
		if (!alive[i])
			continue;
		held[0] = k2k_sat_add(held[0], holders[i]->held[0]);
		held[1] = k2k_sat_add(held[1], holders[i]->held[1]);
	}
	return code;
}

/* ---- acquire ------------------------------------------------------------------- */

enum outlook {
	FITS,
	FULL,
	LOOK_AGAIN,
	OUR_TURN,
	GIVE_WAY,
};

/* A sum over all brokers: UINT64_MAX is a legal limit, so 64 bits could wrap, or stop just at it. */
typedef unsigned __int128 k2k_sum;

static uint64_t narrow(k2k_sum sum)
{
	return sum > UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

/* One acquire, and what its looks found. */
struct attempt {
	const struct k2k_leaser *leaser;
	const struct k2k_lease_request *request;
	uint64_t own_held;
	uint64_t used, limit;
};

static uint64_t wanted(const struct k2k_holding *h, enum k2k_resource resource)
{
	return h->asked[resource] - h->ended[resource];
}

/*
 * The first half of a look, without keeping what was seen: own held + n + what all others want is within the limit.
 * False: not so, or not to be had this way.
 */
static bool fits_shortly(struct attempt *a)
{
	const struct k2k_lease_request *request = a->request;
	const struct k2k_map *map = a->leaser->map;
	uint32_t link = k2k_load_acquire(&map->cells[request->slot].lease_head); /* observe[lease-link]: the record's key */
	k2k_sum sum = (k2k_sum)a->own_held + request->amount;
	struct k2k_shm_lease *record;
	uint32_t steps = 0;

	a->limit = request->limit(map, request->slot, request->resource);
	for (; link != 0; link = k2k_load_acquire(&record->entry.next)) { /* observe[lease-link]: the next one's key */
		const struct k2k_shm_claim *claim;
		uint64_t incarnation, ended;

		if (link > map->sizes.leases || steps++ >= K2K_SLOTS)
			return false;
		record = &map->leases[link - 1];
		if (k2k_load_relaxed(&record->entry.key) == a->leaser->broker->slot) /* relaxed: carried by the link */
			continue;
		/* as in copy(), of one resource */
		incarnation = k2k_load_acquire(&record->incarnation); /* observe[lease-incarnation] */
		claim = &record->claims[request->resource];
		ended = k2k_load_acquire(&claim->ended); /* observe[lease-ended]: before asked */
		sum += incarnation ? k2k_load_acquire(&claim->asked) - ended : 0; /* observe[lease-asked] */
		k2k_fence_acquire(); /* fence[lease-reset] with that of reset() */
		if (k2k_load_relaxed(&record->incarnation) != incarnation) /* relaxed: ordered by the fence */
			return false;
	}
	a->used = narrow(sum);
	return sum <= a->limit;
}

/* Own held + n, and of the others what they want. Our own record is left out: its claim is n. */
static k2k_sum sum_wanted(const struct attempt *a, const struct k2k_holdings *others)
{
	k2k_sum sum = (k2k_sum)a->own_held + a->request->amount;

	for (uint32_t i = 0; i < others->count; i++)
		sum += wanted(&others->list[i], a->request->resource);
	return sum;
}

static k2k_sum sum_held(const struct attempt *a, const struct k2k_holdings *others)
{
	k2k_sum sum = a->own_held;

	for (uint32_t i = 0; i < others->count; i++)
		sum += others->list[i].held[a->request->resource];
	return sum;
}

static k2k_sum sum_of_turn(const struct attempt *a, const struct k2k_holdings *others)
{
	k2k_sum sum = (k2k_sum)a->own_held + a->request->amount;

	for (uint32_t i = 0; i < others->count; i++) {
		const struct k2k_holding *h = &others->list[i];

		sum += h->broker_slot < a->leaser->broker->slot ? wanted(h, a->request->resource)
		                                                : h->held[a->request->resource];
	}
	return sum;
}

static int collect_others(const struct attempt *a, struct k2k_holdings *others)
{
	int code = k2k_lease_collect(a->leaser->map, a->request->slot, others);
	uint32_t kept = 0;

	for (uint32_t i = 0; !code && i < others->count; i++) {
		const struct k2k_holding *h = &others->list[i];

		if (h->broker_slot != a->leaser->broker->slot &&
		    (wanted(h, a->request->resource) || h->held[a->request->resource]))
			others->list[kept++] = *h;
	}
	others->count = kept;
	return code;
}

/* Asked after their counters were read. */
static void leave_out_the_dead(const struct attempt *a, struct k2k_holdings *others)
{
	uint64_t incarnations[K2K_SLOTS];
	bool alive[K2K_SLOTS];
	uint32_t kept = 0;

	for (uint32_t i = 0; i < others->count; i++)
		incarnations[i] = others->list[i].incarnation;
	k2k_census_ask(a->leaser->census, incarnations, alive, others->count);
	for (uint32_t i = 0; i < others->count; i++)
		if (alive[i])
			others->list[kept++] = others->list[i];
	others->count = kept;
}

/* Has no holder given anything back since the first reads? */
static bool still_hold(const struct attempt *a, const struct k2k_holdings *others)
{
	for (uint32_t i = 0; i < others->count; i++) {
		const struct k2k_holding *h = &others->list[i];
		const struct k2k_shm_lease *record = &a->leaser->map->leases[h->index];

		if (h->held[a->request->resource] == 0)
			continue;
		/* observe[lease-ended]: nothing given back; the incarnation after it: relaxed, ordered by that acquire */
		if (k2k_load_acquire(&record->claims[a->request->resource].ended) != h->ended[a->request->resource] ||
		    k2k_load_relaxed(&record->incarnation) != h->incarnation)
			return false;
	}
	return true;
}

static int look(struct attempt *a, enum outlook *outlook)
{
	const struct k2k_lease_request *request = a->request;
	struct k2k_holdings others;
	uint64_t limit_again;
	k2k_sum sum;
	int code;

	*outlook = FITS;
	if (!request->exact_used && fits_shortly(a))
		return 0;
	a->limit = request->limit(a->leaser->map, request->slot, request->resource);
	code = collect_others(a, &others);
	if (code)
		return code;
	if ((k2k_sum)a->own_held + request->amount > a->limit) {
		leave_out_the_dead(a, &others);
		a->used = narrow(sum_held(a, &others));
		*outlook = FULL;
		return 0;
	}
	sum = sum_wanted(a, &others);
	a->used = narrow(sum);
	if (sum <= a->limit && !request->exact_used)
		return 0;
	/* after all reads above, before all questions below: the moment that "full" is about */
	limit_again = request->limit(a->leaser->map, request->slot, request->resource);
	leave_out_the_dead(a, &others);
	sum = sum_wanted(a, &others);
	a->used = narrow(sum);
	if (sum <= a->limit)
		return 0;
	sum = sum_held(a, &others);
	a->used = narrow(sum);
	if (sum + request->amount > limit_again) {
		a->limit = limit_again;
		*outlook = still_hold(a, &others) ? FULL : LOOK_AGAIN;
	} else {
		*outlook = sum_of_turn(a, &others) <= a->limit ? OUR_TURN : GIVE_WAY;
	}
	return 0;
}

/* With our claim made. 0: granted, K2K_EBUSY: full; the claim is withdrawn where not granted. */
static int decide(struct attempt *a, struct k2k_shm_claim *claim)
{
	uint64_t n = a->request->amount, deadline = 0, now;
	enum outlook outlook = LOOK_AGAIN;
	int code;

	for (unsigned int i = 1;; i++) {
		code = look(a, &outlook);
		if (code || outlook == FITS || outlook == FULL || outlook == GIVE_WAY)
			break;
		now = k2k_clock_monotonic_ns(); /* each time: where many run, a yield takes long */
		if (deadline && now >= deadline)
			break;
		if (!deadline)
			deadline = now + KEEP_NS;
		if (i % LOOKS == 0)
			k2k_clock_sleep_ns(PAUSE_NS);
		else
			sched_yield();
	}
	K2K_DELAY(summed);
	if (!code && outlook == FITS) {
		/* relaxed: ours. publish[lease-held]: this incarnation, and the claim before */
		k2k_store_release(&claim->held, k2k_load_relaxed(&claim->held) + n);
		return 0;
	}
	/* relaxed: ours. publish[lease-ended]: who sees it sees the claim that it ends */
	k2k_store_release(&claim->ended, k2k_load_relaxed(&claim->ended) + n);
	return code ? code : outlook == FULL ? K2K_EBUSY : K2K_LEASE_AGAIN;
}

/* Without a claim: those that retry don't hold up the one whose turn it is. */
static int look_before(struct attempt *a)
{
	enum outlook outlook = LOOK_AGAIN;
	int code = look(a, &outlook);

	if (code)
		return code;
	return outlook == FITS ? 0 : outlook == FULL ? K2K_EBUSY : K2K_LEASE_AGAIN;
}

int k2k_lease_acquire(const struct k2k_leaser *leaser, const struct k2k_lease_request *request, uint64_t *used,
                      uint64_t *limit)
{
	struct attempt a = { .leaser = leaser, .request = request };
	struct k2k_shm_claim *claim;
	struct k2k_shm_lease *record;
	int code = obtain(leaser, request->slot, request->generation, &record);

	if (code)
		return code;
	claim = &record->claims[request->resource];
	/* relaxed, here and below on our own record: only we write it, under our mutex */
	a.own_held = k2k_load_relaxed(&claim->held);
	code = look_before(&a);
	if (!code) {
		k2k_store_release(&claim->asked, k2k_load_relaxed(&claim->asked) + request->amount); /* publish[lease-asked]: this incarnation before it */
		/*
		 * fence[lease-claim], with itself in another process: of two that claim, at least one sees the other's. Without
		 * it both could sum before either claim left its store buffer.
		 */
		k2k_fence_seq_cst();
		K2K_DELAY(lease_claimed);
		code = decide(&a, claim);
	}
	*used = a.used;
	*limit = a.limit;
	return code;
}

int k2k_lease_release(const struct k2k_leaser *leaser, uint32_t slot, uint64_t generation, enum k2k_resource resource,
                      uint64_t amount)
{
	struct k2k_shm_lease *record;
	struct k2k_shm_claim *claim;
	uint64_t held;
	int code = find(leaser->map, slot, generation, leaser->broker->slot, &record);

	if (code)
		return code;
	/* relaxed, all loads: only we write our record, under our mutex */
	if (k2k_load_relaxed(&record->incarnation) != leaser->broker->incarnation)
		return K2K_ENOTHELD;
	claim = &record->claims[resource];
	held = k2k_load_relaxed(&claim->held);
	if (held < amount)
		return K2K_ENOTHELD;
	k2k_store_release(&claim->held, held - amount); /* publish[lease-held]: before ended: never free and held at once */
	K2K_DELAY(given_back);
	k2k_store_release(&claim->ended, k2k_load_relaxed(&claim->ended) + amount); /* publish[lease-ended]: held before */
	return 0;
}

uint32_t k2k_lease_sum_of(const struct k2k_map *map, uint64_t incarnation, uint64_t held[K2K_RESOURCES])
{
	struct k2k_pool pool = k2k_lease_pool(map);
	uint32_t high = k2k_pool_high(&pool), records = 0;

	held[K2K_RESOURCE_KERNELS] = held[K2K_RESOURCE_GPU_MEMORY] = 0;
	for (uint32_t i = 0; i < high; i++) {
		struct k2k_shm_lease *lease = &map->leases[i];
		bool holds = false;

		/* observe[lease-incarnation]: its counters, or zeroes */
		if (k2k_load_acquire(&lease->incarnation) != incarnation)
			continue;
		if (k2k_entry_state(k2k_load_relaxed(&lease->entry.state)) != K2K_ENTRY_LIVE) /* relaxed: of a dead one it stays so, or is freed */
			continue;
		for (int r = 0; r < K2K_RESOURCES; r++) {
			uint64_t n = k2k_load_acquire(&lease->claims[r].held); /* observe[lease-held]: as ever */

			held[r] = k2k_sat_add(held[r], n);
			holds = holds || n;
		}
		records += holds;
	}
	return records;
}

/* ---- the writer's ---------------------------------------------------------------- */

int k2k_lease_reap(const struct k2k_map *map, uint32_t slot)
{
	struct k2k_pool pool = k2k_lease_pool(map);
	uint32_t link = k2k_load_acquire(&map->cells[slot].lease_head); /* observe[lease-link]: as ever */
	uint32_t steps = 0;
	struct k2k_shm_lease *record;
	int code;

	/* first the head: killed below, recovery finds what is left by not being in the list */
	k2k_store_release(&map->cells[slot].lease_head, 0); /* publish[lease-link]: an empty list */
	while ((code = walk(map, slot, link, &steps, &record)) == 0) {
		uint32_t index = link - 1;

		link = k2k_load_acquire(&record->entry.next); /* observe[lease-link]: before it is anybody's */
		k2k_pool_free(&pool, index);
	}
	return code == K2K_ENOTHELD ? 0 : code;
}

int k2k_lease_is_linked(const struct k2k_map *map, uint32_t index)
{
	uint32_t slot = k2k_load_relaxed(&map->leases[index].entry.slot); /* relaxed: asked by the writer, of a dead claim */
	uint32_t steps = 0, link;
	struct k2k_shm_lease *record;
	int code;

	if (slot >= map->sizes.tenants)
		return K2K_ENOTHELD;
	link = k2k_load_acquire(&map->cells[slot].lease_head); /* observe[lease-link]: as ever */
	while ((code = walk(map, slot, link, &steps, &record)) == 0) {
		if (record == &map->leases[index])
			return 0;
		link = k2k_load_acquire(&record->entry.next); /* observe[lease-link]: as ever */
	}
	return code;
}
