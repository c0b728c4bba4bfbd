/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lease.h"

#include <sched.h>

#include "clock.h"
#include "delay.h"

#define LOOKS 32 /* with a claim kept, between two pauses */
/* how long: two passes of the others, who may be preempted in them */
#define KEEP_NS UINT64_C(5000000)
#define PAUSE_NS UINT64_C(20000)
/* of a record that changes its use: each time somebody took it meanwhile */
#define READS 64

static int corrupt(uint32_t slot, const char *what)
{
	return k2k_fail_values(K2K_ECORRUPT, "leases", "row", K2K_SLOTS, slot,
	                       "the leases of tenant slot %u: %s", slot, what);
}

/* ---- whose it is ----------------------------------------------------------------- */

struct key {
	uint32_t slot, broker_slot;
	uint64_t generation;
};

static inline uint64_t whose(const struct key *key)
{
	return (uint64_t)key->broker_slot << 32 | key->slot;
}

static inline bool matches(const struct k2k_shm_lease *record, const struct key *key)
{
	/* relaxed, all: our own, or between two looks at `use` */
	return k2k_load_relaxed(&record->whose) == whose(key) &&
	       k2k_load_relaxed(&record->gen) == key->generation;
}

/* Our own record of the tenant, LIVE or IDLE, with its state. 0, K2K_ENOTHELD, K2K_ECORRUPT. */
static int find_own(const struct k2k_leaser *leaser, uint32_t slot, uint64_t generation,
                    struct k2k_shm_lease **record, uint64_t *word)
{
	const struct key key = { slot, leaser->broker->slot, generation };
	/*
	 * relaxed: only the slot's owner, us, writes it; the owner before was dead before we took
	 * the slot
	 */
	uint32_t link = k2k_load_relaxed(&leaser->map->lease_rows[slot].record[key.broker_slot]);

	if (link == 0)
		return K2K_ENOTHELD;
	if (k2k_unlikely(link > leaser->map->sizes.leases))
		return corrupt(slot, "a word of the row leads outside of the table");
	*record = &leaser->map->leases[link - 1];
	/* observe[entry-state]: our own stores, or that it is another's */
	*word = k2k_load_acquire(&(*record)->state);
	/*
	 * LIVE or IDLE with our incarnation in it: we filled it, and nobody has taken it since,
	 * unless the CAS of IDLE fails
	 */
	if (k2k_entry_above(*word) != leaser->broker->incarnation ||
	    k2k_entry_state(*word) < K2K_ENTRY_LIVE ||
	    /* relaxed: ours, or damage */
	    k2k_load_relaxed(&(*record)->incarnation) != leaser->broker->incarnation ||
	    !matches(*record, &key))
		return K2K_ENOTHELD;
	return 0;
}

static inline bool holds_nothing(const struct k2k_shm_lease *record)
{
	/* relaxed, both: ours */
	return k2k_load_relaxed(&record->claims[K2K_RESOURCE_KERNELS].held) == 0 &&
	       k2k_load_relaxed(&record->claims[K2K_RESOURCE_GPU_MEMORY].held) == 0;
}

/* ---- taking a record ----------------------------------------------------------------- */

/* Asks the kernel about each incarnation once. */
struct roll_call {
	struct k2k_liveness *liveness;
	uint32_t count;
	uint64_t living[K2K_SLOTS];
};

static bool is_alive(struct roll_call *roll, uint64_t incarnation)
{
	for (uint32_t i = 0; i < roll->count; i++)
		if (roll->living[i] == incarnation)
			return true;
	if (!k2k_liveness_alive(roll->liveness, incarnation))
		return false;
	if (roll->count < K2K_SLOTS)
		roll->living[roll->count++] = incarnation;
	return true;
}

bool k2k_lease_death_unreported(const struct k2k_map *map, uint64_t incarnation)
{
	for (uint32_t i = 0; i < K2K_SLOTS; i++)
		if (k2k_load_acquire(&map->slots[i].owner) == incarnation) /* observe[slot-owner] */
			return incarnation >= K2K_LOCK_BYTE_LIFE_MIN &&
			       incarnation < K2K_LOCK_BYTE_LIFE_MAX &&
			       /*
			        * observe[slot-death-reported]: reported before its records are
			        * reused
			        */
			       k2k_load_acquire(&map->slots[i].death_reported) != incarnation;
	return false;
}

static bool try_take(const struct k2k_leaser *leaser, uint32_t index, uint64_t word)
{
	/*
	 * observe[entry-state]: what the owner before stored; publish[entry-state]: the mark above
	 * it
	 */
	return k2k_cas_acq_rel(&leaser->map->leases[index].state, &word,
	                       k2k_entry_word(K2K_ENTRY_CLAIMED, leaser->broker->incarnation));
}

/* One that was never used: as long as there are any, no idle one is taken from its owner. */
static bool take_fresh(const struct k2k_leaser *leaser, uint32_t *index)
{
	k2k_u32 *mark = &leaser->map->live->lease_pool.high;
	uint32_t high = k2k_load_relaxed(mark); /* relaxed: the CAS decides */

	while (high < leaser->map->sizes.leases) {
		*index = high;
		/* publish[pool-high]: before the claim of the record below it */
		if (k2k_cas_acq_rel(mark, &high, high + 1) &&
		    try_take(leaser, *index, K2K_ENTRY_FREE))
			return true;
	}
	return false;
}

/* The one we keep, which holds nothing: sooner than another broker's. */
static bool take_kept(const struct k2k_leaser *leaser, uint32_t *index)
{
	uint64_t live = k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation);
	uint32_t link = *leaser->kept;

	*leaser->kept = 0;
	*index = link - 1;
	/* observe[entry-state]: ours, or freed with its tenant */
	return link && k2k_load_acquire(&leaser->map->leases[*index].state) == live &&
	       holds_nothing(&leaser->map->leases[*index]) && try_take(leaser, *index, live);
}

static int take(const struct k2k_leaser *leaser, uint32_t *index)
{
	const struct k2k_map *map = leaser->map;
	uint32_t start = k2k_load_relaxed(&map->live->lease_pool.hint); /* relaxed: a hint */
	struct roll_call roll = { .liveness = leaser->liveness };
	bool untold = false;

	if (take_fresh(leaser, index) || take_kept(leaser, index))
		return 0;
	if (start >= map->sizes.leases)
		start = 0;
	for (uint32_t i = 0; i < map->sizes.leases; i++) {
		uint32_t at = start + i < map->sizes.leases ? start + i
		                                            : start + i - map->sizes.leases;
		/* observe[entry-state]: what was stored before */
		uint64_t word = k2k_load_acquire(&map->leases[at].state);
		unsigned int state = k2k_entry_state(word);

		if (state == K2K_ENTRY_LIVE || state == K2K_ENTRY_CLAIMED) {
			if (is_alive(&roll, k2k_entry_above(word)))
				continue;
			if (k2k_lease_death_unreported(map, k2k_entry_above(word))) {
				untold = true;
				continue;
			}
		}
		if (!try_take(leaser, at, word))
			continue;
		k2k_store_relaxed(&map->live->lease_pool.hint, at + 1); /* relaxed: a hint */
		*index = at;
		return 0;
	}
	return untold ? K2K_LEASE_REPORT_DEATHS : K2K_EFULL;
}

/* CLAIMED is ours alone. Killed anywhere here: see the table in lease.h. */
static void fill(const struct k2k_leaser *leaser, uint32_t index, const struct key *key)
{
	const struct k2k_map *map = leaser->map;
	struct k2k_shm_lease *record = &map->leases[index];
	uint64_t use = k2k_load_relaxed(&record->use) | 1; /* relaxed: ours */
	uint64_t bit = UINT64_C(1) << key->broker_slot;

	k2k_store_relaxed(&record->use, use); /* relaxed: ordered by the fence */
	/*
	 * fence[lease-reset] with that of copy(): who reads a word below sees the odd number above
	 * afterwards, and looks again
	 */
	k2k_fence_release();
	/* relaxed, all: between the two stores of `use` */
	k2k_store_relaxed(&record->gen, key->generation);
	k2k_store_relaxed(&record->whose, whose(key));
	k2k_store_relaxed(&record->incarnation, leaser->broker->incarnation);
	for (int i = 0; i < K2K_RESOURCES; i++) {
		k2k_store_relaxed(&record->claims[i].asked, 0);
		k2k_store_relaxed(&record->claims[i].ended, 0);
		k2k_store_relaxed(&record->claims[i].held, 0);
	}
	K2K_DELAY(filled);
	k2k_store_release(&record->use, use + 1); /* publish[lease-use]: all of it */
	/* publish[lease-link]: the record's use */
	k2k_store_release(&map->lease_rows[key->slot].record[key->broker_slot], index + 1);
	/* relaxed: only we set and need our bit */
	if (!(k2k_load_relaxed(&map->cells[key->slot].lease_brokers) & bit))
		/* publish[lease-link]: the row */
		k2k_or_release(&map->cells[key->slot].lease_brokers, bit);
	/* publish[entry-state]: all of it */
	k2k_store_release(&record->state,
	                  k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation));
}

/* Our record, LIVE. `found` and `word`: what find_own() said. */
static int obtain(const struct k2k_leaser *leaser, const struct key *key, int found, uint64_t word,
                  struct k2k_shm_lease **record)
{
	uint64_t live = k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation);
	uint32_t index;
	int code;

	/*
	 * observe[entry-state], publish[entry-state]: from here on it is ours alone; or somebody
	 * has taken it
	 */
	if (found == 0 && (word == live || k2k_cas_acq_rel(&(*record)->state, &word, live)))
		return 0;
	code = take(leaser, &index);
	if (code)
		return code;
	K2K_DELAY(lease_taken);
	fill(leaser, index, key);
	*record = &leaser->map->leases[index];
	return 0;
}

/* Anybody may have it. By CAS: the writer may have freed it meanwhile, with its tenant. */
static void make_idle(const struct k2k_leaser *leaser, uint32_t index)
{
	struct k2k_shm_lease *record = &leaser->map->leases[index];
	uint64_t live = k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation);

	/* observe[entry-state]: ours, or not; publish[entry-state]: our last stores there */
	if (k2k_load_acquire(&record->state) == live && holds_nothing(record))
		k2k_cas_acq_rel(&record->state, &live,
		                k2k_entry_word(K2K_ENTRY_IDLE, leaser->broker->incarnation));
}

/*
 * Nothing is asked for any more. If nothing is held it is the one that we keep, and the one kept
 * before becomes idle.
 */
static inline void rest(const struct k2k_leaser *leaser, const struct k2k_shm_lease *record)
{
	uint32_t link = (uint32_t)(record - leaser->map->leases) + 1, before = *leaser->kept;

	if (before == link || !holds_nothing(record))
		return;
	*leaser->kept = link;
	if (before)
		make_idle(leaser, before - 1);
}

/* ---- reading others' ------------------------------------------------------------------- */

/* 0: a copy of one use of the record that the row leads to. K2K_ENOTHELD: nothing counts there. */
static int copy(const struct k2k_map *map, const struct key *key, struct k2k_holding *holding)
{
	for (int tries = 0; tries < READS; tries++) {
		/* observe[lease-link]: the record's use */
		uint32_t link = k2k_load_acquire(
			&map->lease_rows[key->slot].record[key->broker_slot]);
		const struct k2k_shm_lease *record;
		bool counts;

		if (link == 0)
			return K2K_ENOTHELD;
		if (link > map->sizes.leases)
			return corrupt(key->slot, "a word of the row leads outside of the table");
		record = &map->leases[link - 1];
		holding->index = link - 1;
		holding->broker_slot = key->broker_slot;
		/* observe[lease-use]: its zeroes, or later */
		holding->use = k2k_load_acquire(&record->use);
		if (holding->use & 1)
			/* somebody has just taken it: its owner before held nothing, or is dead */
			return K2K_ENOTHELD;
		/* relaxed: between the two looks at `use` */
		holding->incarnation = k2k_load_relaxed(&record->incarnation);
		counts = matches(record, key) && k2k_lease_is_incarnation(holding->incarnation);
		for (int i = 0; i < K2K_RESOURCES; i++) {
			/*
			 * ended first: observe[lease-ended]: the `asked` that it belongs to is seen
			 * below, so a sum is never too low
			 */
			holding->ended[i] = k2k_load_acquire(&record->claims[i].ended);
			/* observe[lease-asked] */
			holding->asked[i] = k2k_load_acquire(&record->claims[i].asked);
			/* observe[lease-held] */
			holding->held[i] = k2k_load_acquire(&record->claims[i].held);
		}
		/* fence[lease-reset] with that of fill(): the words before, the use again after */
		k2k_fence_acquire();
		/* relaxed: ordered by the fence */
		if (k2k_load_relaxed(&record->use) == holding->use)
			return counts ? 0 : K2K_ENOTHELD;
	}
	return k2k_fail(K2K_ECORRUPT, "leases", "use", "a lease record does not hold still");
}

int k2k_lease_collect(const struct k2k_map *map, uint32_t slot, uint64_t generation,
                      struct k2k_holdings *holdings)
{
	/* observe[lease-link]: the row */
	uint64_t brokers = k2k_load_acquire(&map->cells[slot].lease_brokers);

	holdings->count = 0;
	for (; brokers; brokers &= brokers - 1) {
		const struct key key = { slot, (uint32_t)__builtin_ctzll(brokers), generation };
		int code = copy(map, &key, &holdings->list[holdings->count]);

		if (code && code != K2K_ENOTHELD)
			return code;
		holdings->count += code == 0;
	}
	return 0;
}

int k2k_lease_sum(const struct k2k_map *map, struct k2k_liveness *liveness, uint32_t slot,
                  uint64_t generation, uint64_t held[K2K_RESOURCES])
{
	struct k2k_holdings holdings;
	uint64_t incarnations[K2K_SLOTS];
	const struct k2k_holding *holders[K2K_SLOTS];
	bool alive[K2K_SLOTS];
	uint32_t count = 0;
	int code = k2k_lease_collect(map, slot, generation, &holdings);

	held[0] = held[1] = 0;
	for (uint32_t i = 0; !code && i < holdings.count; i++) {
		const struct k2k_holding *h = &holdings.list[i];

		if (!h->held[0] && !h->held[1])
			continue;
		holders[count] = h;
		incarnations[count++] = h->incarnation;
	}
	if (count)
		k2k_liveness_ask(liveness, incarnations, alive, count);
	for (uint32_t i = 0; i < count; i++) {
		if (!alive[i])
			continue;
		held[0] = k2k_sat_add(held[0], holders[i]->held[0]);
		held[1] = k2k_sat_add(held[1], holders[i]->held[1]);
	}
	return code;
}

/* ---- acquire ------------------------------------------------------------------- */

enum outcome {
	FITS,
	FULL,
	LOOK_AGAIN,
	OUR_TURN,
	GIVE_WAY,
};

/*
 * A sum over all brokers: UINT64_MAX is a legal limit, so 64 bits could wrap, or stop just at it.
 */
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

/* As copy(), of one resource: what others want is added. False: not to be had this way. */
static bool add_fast(const struct k2k_map *map, const struct key *key, enum k2k_resource resource,
                     k2k_sum *sum)
{
	/* observe[lease-link]: the record's use */
	uint32_t link = k2k_load_acquire(&map->lease_rows[key->slot].record[key->broker_slot]);
	const struct k2k_shm_lease *record;
	uint64_t use, ended, asked;

	if (link - 1 >= map->sizes.leases)
		return link == 0;
	record = &map->leases[link - 1];
	use = k2k_load_acquire(&record->use); /* observe[lease-use] */
	if (use & 1)
		return true;
	if (matches(record, key)) {
		/* observe[lease-ended]: before asked */
		ended = k2k_load_acquire(&record->claims[resource].ended);
		/* observe[lease-asked] */
		asked = k2k_load_acquire(&record->claims[resource].asked);
		*sum += asked - ended;
	}
	k2k_fence_acquire();                          /* fence[lease-reset] with that of fill() */
	return k2k_load_relaxed(&record->use) == use; /* relaxed: ordered by the fence */
}

/*
 * The first half of a look, without keeping what was seen: own held + n + what all others want is
 * within the limit.
 * False: not so, or not to be had this way.
 */
static bool fits_fast(struct attempt *a)
{
	const struct k2k_lease_request *request = a->request;
	const struct k2k_map *map = a->leaser->map;
	/* observe[lease-link]: the row */
	uint64_t brokers = k2k_load_acquire(&map->cells[request->slot].lease_brokers);
	k2k_sum sum = (k2k_sum)a->own_held + request->amount;

	a->limit = request->limit(map, request->slot, request->resource);
	for (brokers &= ~(UINT64_C(1) << a->leaser->broker->slot); brokers;
	     brokers &= brokers - 1) {
		const struct key key = { request->slot, (uint32_t)__builtin_ctzll(brokers),
			                 request->generation };

		if (!add_fast(map, &key, request->resource, &sum))
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
	int code = k2k_lease_collect(a->leaser->map, a->request->slot, a->request->generation,
	                             others);
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
	k2k_liveness_ask(a->leaser->liveness, incarnations, alive, others->count);
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
		/*
		 * observe[lease-ended]: nothing given back; the use after it: relaxed, ordered by
		 * that acquire
		 */
		if (k2k_load_acquire(&record->claims[a->request->resource].ended) !=
		            h->ended[a->request->resource] ||
		    k2k_load_relaxed(&record->use) != h->use)
			return false;
	}
	return true;
}

static __attribute__((noinline)) int look_slow(struct attempt *a, enum outcome *outcome)
{
	const struct k2k_lease_request *request = a->request;
	struct k2k_holdings others;
	uint64_t limit_again;
	k2k_sum sum;
	int code;

	*outcome = FITS;
	a->limit = request->limit(a->leaser->map, request->slot, request->resource);
	code = collect_others(a, &others);
	if (code)
		return code;
	if ((k2k_sum)a->own_held + request->amount > a->limit) {
		leave_out_the_dead(a, &others);
		a->used = narrow(sum_held(a, &others));
		*outcome = FULL;
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
		*outcome = still_hold(a, &others) ? FULL : LOOK_AGAIN;
	} else {
		*outcome = sum_of_turn(a, &others) <= a->limit ? OUR_TURN : GIVE_WAY;
	}
	return 0;
}

static inline int look(struct attempt *a, enum outcome *outcome)
{
	*outcome = FITS;
	return !a->request->exact_used && fits_fast(a) ? 0 : look_slow(a, outcome);
}

/* With our claim made. As k2k_lease_acquire(); a claim that is not granted is withdrawn. */
static int decide(struct attempt *a, struct k2k_shm_claim *claim)
{
	uint64_t n = a->request->amount, deadline = 0, now;
	enum outcome outcome = LOOK_AGAIN;
	int code;

	for (unsigned int i = 1;; i++) {
		code = look(a, &outcome);
		if (code || outcome == FITS || outcome == FULL || outcome == GIVE_WAY)
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
	if (!code && outcome == FITS) {
		/* relaxed: ours. publish[lease-held]: this incarnation, and the claim before */
		k2k_store_release(&claim->held, k2k_load_relaxed(&claim->held) + n);
		return 0;
	}
	/* relaxed: ours. publish[lease-ended]: who sees it sees the claim that it ends */
	k2k_store_release(&claim->ended, k2k_load_relaxed(&claim->ended) + n);
	return code ? code : outcome == FULL ? K2K_LEASE_AT_LIMIT : K2K_LEASE_AGAIN;
}

/* Without a claim: those that retry don't hold up the one whose turn it is. */
static int look_before(struct attempt *a)
{
	enum outcome outcome = LOOK_AGAIN;
	int code = look(a, &outcome);

	if (code)
		return code;
	return outcome == FITS ? 0 : outcome == FULL ? K2K_LEASE_AT_LIMIT : K2K_LEASE_AGAIN;
}

int k2k_lease_acquire(const struct k2k_leaser *leaser, const struct k2k_lease_request *request,
                      uint64_t *used, uint64_t *limit)
{
	const struct key key = { request->slot, leaser->broker->slot, request->generation };
	struct attempt a = { .leaser = leaser, .request = request };
	struct k2k_shm_lease *record = NULL;
	uint64_t word = 0;
	int found = find_own(leaser, request->slot, request->generation, &record, &word), code;

	if (found && found != K2K_ENOTHELD)
		return found;
	/*
	 * relaxed, here and below on our own record: only we write it, under our mutex. An idle one
	 * may be another's by now
	 */
	if (found == 0 && k2k_entry_state(word) == K2K_ENTRY_LIVE)
		a.own_held = k2k_load_relaxed(&record->claims[request->resource].held);
	code = look_before(&a);
	/* only now: what is refused takes no record */
	if (!code)
		code = obtain(leaser, &key, found, word, &record);
	if (!code) {
		struct k2k_shm_claim *claim = &record->claims[request->resource];

		/* publish[lease-asked]: this use before it */
		k2k_store_release(&claim->asked, k2k_load_relaxed(&claim->asked) + request->amount);
		/*
		 * fence[lease-claim], with itself in another process: of two that claim, at least
		 * one sees the other's. Without it both could sum before either claim left its
		 * store buffer.
		 */
		k2k_fence_seq_cst();
		K2K_DELAY(lease_claimed);
		code = decide(&a, claim);
		if (code)
			rest(leaser, record);
	}
	*used = a.used;
	*limit = a.limit;
	return code;
}

int k2k_lease_release(const struct k2k_leaser *leaser, uint32_t slot, uint64_t generation,
                      enum k2k_resource resource, uint64_t amount)
{
	struct k2k_shm_lease *record;
	struct k2k_shm_claim *claim;
	uint64_t held, word;
	int code = find_own(leaser, slot, generation, &record, &word);

	if (code)
		return code;
	/* relaxed, all loads: only we write our record, under our mutex */
	if (k2k_entry_state(word) != K2K_ENTRY_LIVE)
		return K2K_ENOTHELD;
	claim = &record->claims[resource];
	held = k2k_load_relaxed(&claim->held);
	if (held < amount)
		return K2K_ENOTHELD;
	/* publish[lease-held]: before ended: never free and held at once */
	k2k_store_release(&claim->held, held - amount);
	K2K_DELAY(given_back);
	/* publish[lease-ended]: held before */
	k2k_store_release(&claim->ended, k2k_load_relaxed(&claim->ended) + amount);
	K2K_DELAY(lease_ended);
	rest(leaser, record);
	return 0;
}

/* ---- of all tenants ---------------------------------------------------------------- */

uint32_t k2k_lease_sum_of(const struct k2k_map *map, uint64_t incarnation,
                          uint64_t held[K2K_RESOURCES])
{
	struct k2k_pool pool = k2k_lease_pool(map);
	uint32_t high = k2k_pool_high(&pool), records = 0;

	held[K2K_RESOURCE_KERNELS] = held[K2K_RESOURCE_GPU_MEMORY] = 0;
	for (uint32_t i = 0; i < high; i++) {
		struct k2k_shm_lease *lease = &map->leases[i];
		bool holds = false;

		/*
		 * observe[entry-state]: its counters. Of a dead one it stays so, until its death
		 * has been told, or is freed
		 */
		if (k2k_load_acquire(&lease->state) !=
		            k2k_entry_word(K2K_ENTRY_LIVE, incarnation) ||
		    /* relaxed: a live record keeps it, but where a repair sets it aside */
		    k2k_load_relaxed(&lease->incarnation) != incarnation)
			continue;
		for (int r = 0; r < K2K_RESOURCES; r++) {
			/* observe[lease-held]: as ever */
			uint64_t n = k2k_load_acquire(&lease->claims[r].held);

			held[r] = k2k_sat_add(held[r], n);
			holds = holds || n;
		}
		records += holds;
	}
	return records;
}

uint32_t k2k_lease_count(const struct k2k_map *map, struct k2k_liveness *liveness)
{
	struct k2k_pool pool = k2k_lease_pool(map);
	struct roll_call roll = { .liveness = liveness };
	uint32_t high = k2k_pool_high(&pool), count = 0;

	for (uint32_t i = 0; i < high; i++) {
		const struct k2k_shm_lease *lease = &map->leases[i];
		uint64_t word = k2k_load_relaxed(&lease->state); /* relaxed, all: a count */

		if (k2k_entry_state(word) == K2K_ENTRY_LIVE &&
		    (k2k_load_relaxed(&lease->claims[0].held) ||
		     k2k_load_relaxed(&lease->claims[1].held)) &&
		    k2k_load_relaxed(&lease->incarnation) == k2k_entry_above(word))
			count += is_alive(&roll, k2k_entry_above(word));
	}
	return count;
}

/* ---- the writer's ---------------------------------------------------------------- */

int k2k_lease_reap(const struct k2k_map *map, uint32_t slot, uint64_t generation)
{
	int code = 0;
	/* observe[lease-link]: the row */
	uint64_t brokers = k2k_load_acquire(&map->cells[slot].lease_brokers);

	for (; brokers; brokers &= brokers - 1) {
		const struct key key = { slot, (uint32_t)__builtin_ctzll(brokers), generation };
		/* observe[lease-link]: the record's key */
		uint32_t link = k2k_load_acquire(&map->lease_rows[slot].record[key.broker_slot]);
		struct k2k_shm_lease *record;
		uint64_t word;

		if (link == 0)
			continue;
		if (link > map->sizes.leases) {
			code = corrupt(slot, "a word of the row leads outside of the table");
			continue;
		}
		record = &map->leases[link - 1];
		/* observe[entry-state]: the key of this use */
		word = k2k_load_acquire(&record->state);
		if (k2k_entry_state(word) == K2K_ENTRY_LIVE && matches(record, &key))
			k2k_lease_free(record, word);
	}
	return code;
}
