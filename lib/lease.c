/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lease.h"

#include <sched.h>

#include "clock.h"
#include "delay.h"

#define LOOKS 32 /* between two pauses, while a claim is kept */
/* how long a claim is kept: enough for two looks of the others, which may be preempted in them */
#define KEEP_NS UINT64_C(5000000)
#define PAUSE_NS UINT64_C(20000)
#define READS 64 /* of one record: each repetition means that some broker took it meanwhile */

static int corrupt(uint32_t slot, const char *what)
{
	return k2k_fail_values(K2K_ECORRUPT, "leases", "row", K2K_SLOTS, slot,
	                       "the leases of tenant slot %u: %s", slot, what);
}

/* ---- keys ----------------------------------------------------------------- */

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
	/* relaxed, all: our own record, or between two loads of `use` */
	return k2k_load_relaxed(&record->whose) == whose(key) &&
	       k2k_load_relaxed(&record->gen) == key->generation;
}

/* Finds our record of the tenant, LIVE or IDLE. *word: its state. 0, K2K_ENOTHELD, K2K_ECORRUPT. */
static int find_own(const struct k2k_leaser *leaser, uint32_t slot, uint64_t generation,
                    struct k2k_shm_lease **record, uint64_t *word)
{
	const struct key key = { slot, leaser->broker->slot, generation };
	/* relaxed: only the slot's owner writes it, and its owner before us was dead */
	uint32_t link = k2k_load_relaxed(&leaser->map->lease_rows[slot].record[key.broker_slot]);

	if (link == 0)
		return K2K_ENOTHELD;
	if (k2k_unlikely(link > leaser->map->sizes.leases))
		return corrupt(slot, "a word of the row leads outside of the table");
	*record = &leaser->map->leases[link - 1];
	/* observe[entry-state]: our own stores, or that the record is another broker's */
	*word = k2k_load_acquire(&(*record)->state);
	/*
	 * LIVE or IDLE with our incarnation: we filled it, and no other broker has taken it since.
	 * Another broker may take an IDLE record at any time; then our CAS to LIVE fails
	 */
	if (k2k_entry_above(*word) != leaser->broker->incarnation ||
	    k2k_entry_state(*word) < K2K_ENTRY_LIVE ||
	    /* relaxed: our own store, or damage */
	    k2k_load_relaxed(&(*record)->incarnation) != leaser->broker->incarnation ||
	    !matches(*record, &key))
		return K2K_ENOTHELD;
	return 0;
}

static inline bool holds_nothing(const struct k2k_shm_lease *record)
{
	/* relaxed, both: our own record */
	return k2k_load_relaxed(&record->claims[K2K_RESOURCE_KERNELS].held) == 0 &&
	       k2k_load_relaxed(&record->claims[K2K_RESOURCE_GPU_MEMORY].held) == 0;
}

/* ---- taking a record ----------------------------------------------------------------- */

/* The incarnations that were found alive, so that the kernel is asked once about each. */
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
			return k2k_lease_is_incarnation(incarnation) &&
			       /*
			        * observe[slot-death-reported]: reported before its records are
			        * reused
			        */
			       k2k_load_acquire(&map->slots[i].death_reported) != incarnation;
	return false;
}

static bool try_take(const struct k2k_leaser *leaser, uint32_t index, uint64_t word)
{
	/* observe[entry-state]: the last owner's stores; publish[entry-state]: the mark above it */
	return k2k_cas_acq_rel(&leaser->map->leases[index].state, &word,
	                       k2k_entry_word(K2K_ENTRY_CLAIMED, leaser->broker->incarnation));
}

/* Takes a record that was never used. While there is one, no broker loses an IDLE record. */
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

/*
 * May we change the state of our LIVE record? Only while its registration is there and no repair
 * has set it aside: then the grace period after which the writer frees it can't end before our read
 * section does. Otherwise the writer may have looked already: if it were taken and LIVE again, the
 * writer's CAS could not tell the new use from the old one, and would free what is held.
 */
static bool may_change(const struct k2k_leaser *leaser, const struct k2k_shm_lease *record)
{
	/* relaxed, all: our own record */
	uint32_t slot = (uint32_t)k2k_load_relaxed(&record->whose);

	return k2k_load_relaxed(&record->incarnation) == leaser->broker->incarnation &&
	       slot < leaser->map->sizes.tenants &&
	       leaser->is_registered(leaser->map, slot, k2k_load_relaxed(&record->gen));
}

/* Takes the record that we keep LIVE, if it holds nothing: better than another broker's. */
static bool take_kept(const struct k2k_leaser *leaser, uint32_t *index)
{
	uint64_t live = k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation);
	struct k2k_shm_lease *record;

	if (*leaser->kept == 0)
		return false;
	*index = *leaser->kept - 1;
	record = &leaser->map->leases[*index];
	/* observe[entry-state]: still ours, or freed with its tenant */
	if (k2k_load_acquire(&record->state) == live && !may_change(leaser, record))
		return false;
	*leaser->kept = 0;
	return holds_nothing(record) && try_take(leaser, *index, live);
}

static int take(const struct k2k_leaser *leaser, uint32_t *index)
{
	const struct k2k_map *map = leaser->map;
	uint32_t start = k2k_load_relaxed(&map->live->lease_pool.hint); /* relaxed: a hint */
	struct roll_call roll = { .liveness = leaser->liveness };
	bool unreported = false;

	if (take_fresh(leaser, index) || take_kept(leaser, index))
		return 0;
	if (start >= map->sizes.leases)
		start = 0;
	for (uint32_t i = 0; i < map->sizes.leases; i++) {
		uint32_t at = start + i < map->sizes.leases ? start + i
		                                            : start + i - map->sizes.leases;
		/* observe[entry-state]: the stores before this state */
		uint64_t word = k2k_load_acquire(&map->leases[at].state);
		unsigned int state = k2k_entry_state(word);

		if (state == K2K_ENTRY_LIVE || state == K2K_ENTRY_CLAIMED) {
			if (is_alive(&roll, k2k_entry_above(word)))
				continue;
			if (k2k_lease_death_unreported(map, k2k_entry_above(word))) {
				unreported = true;
				continue;
			}
		}
		if (!try_take(leaser, at, word))
			continue;
		k2k_store_relaxed(&map->live->lease_pool.hint, at + 1); /* relaxed: a hint */
		*index = at;
		return 0;
	}
	return unreported ? K2K_LEASE_REPORT_DEATHS : K2K_EFULL;
}

/* Fills a record that we have CLAIMED. The table in lease.h says what a kill in here leaves. */
static void fill(const struct k2k_leaser *leaser, uint32_t index, const struct key *key)
{
	const struct k2k_map *map = leaser->map;
	struct k2k_shm_lease *record = &map->leases[index];
	uint64_t use = k2k_load_relaxed(&record->use) | 1; /* relaxed: we own the record */
	uint64_t bit = UINT64_C(1) << key->broker_slot;

	k2k_store_relaxed(&record->use, use); /* relaxed: ordered by the fence */
	/*
	 * fence[lease-reset] with that of copy(): a reader that has seen a word stored below sees
	 * the odd number when it loads `use` again, and so reads again
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
	k2k_store_release(&record->use, use + 1); /* publish[lease-use]: the words of this use */
	/* publish[lease-link]: the record's use */
	k2k_store_release(&map->lease_rows[key->slot].record[key->broker_slot], index + 1);
	/* relaxed: only we set our bit */
	if (!(k2k_load_relaxed(&map->cells[key->slot].lease_brokers) & bit))
		/* publish[lease-link]: the row */
		k2k_or_release(&map->cells[key->slot].lease_brokers, bit);
	/* publish[entry-state]: all of the above */
	k2k_store_release(&record->state,
	                  k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation));
}

/* Makes a record of ours LIVE. `found` and `word` are the results of find_own(). */
static int obtain(const struct k2k_leaser *leaser, const struct key *key, int found, uint64_t word,
                  struct k2k_shm_lease **record)
{
	uint64_t live = k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation);
	uint32_t index;
	int code;

	/* observe[entry-state], publish[entry-state]: ours again, unless another broker took it */
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

/*
 * Offers the record to all brokers, if it is LIVE and holds nothing. By CAS: the writer may have
 * freed it with its tenant. False: its registration is over, and it stays LIVE.
 */
static bool make_idle(const struct k2k_leaser *leaser, uint32_t index)
{
	struct k2k_shm_lease *record = &leaser->map->leases[index];
	uint64_t live = k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation);

	/* observe[entry-state]: still ours, or not */
	if (k2k_load_acquire(&record->state) != live || !holds_nothing(record))
		return true;
	if (!may_change(leaser, record))
		return false;
	/* observe[entry-state]: as above; publish[entry-state]: our last stores there */
	k2k_cas_acq_rel(&record->state, &live,
	                k2k_entry_word(K2K_ENTRY_IDLE, leaser->broker->incarnation));
	return true;
}

/*
 * After a release or a refusal: if the record holds nothing now, it becomes the one that we keep,
 * and the one that we kept before becomes IDLE. If that one has to stay LIVE, this one becomes
 * IDLE: we never have two LIVE ones that hold nothing.
 */
static inline void rest(const struct k2k_leaser *leaser, const struct k2k_shm_lease *record)
{
	uint32_t link = (uint32_t)(record - leaser->map->leases) + 1, before = *leaser->kept;

	if (before == link || !holds_nothing(record))
		return;
	if (before && !make_idle(leaser, before - 1)) {
		make_idle(leaser, link - 1);
		return;
	}
	*leaser->kept = link;
}

/* ---- reading other brokers' records -------------------------------------------------- */

/* Copies one use of the record that the row leads to. 0; K2K_ENOTHELD: it counts nothing here. */
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
		/* observe[lease-use]: the zeroes of this use, or later values */
		holding->use = k2k_load_acquire(&record->use);
		if (holding->use & 1)
			/* the record is being filled: its last owner held nothing or is dead */
			return K2K_ENOTHELD;
		/* relaxed: between the two loads of `use` */
		holding->incarnation = k2k_load_relaxed(&record->incarnation);
		counts = matches(record, key) && k2k_lease_is_incarnation(holding->incarnation);
		for (int i = 0; i < K2K_RESOURCES; i++) {
			/*
			 * observe[lease-ended]: first, so that the claim that ended is in `asked`
			 * below, and a sum is never too low
			 */
			holding->ended[i] = k2k_load_acquire(&record->claims[i].ended);
			/* observe[lease-asked]: the use before it */
			holding->asked[i] = k2k_load_acquire(&record->claims[i].asked);
			/* observe[lease-held]: the claim before it */
			holding->held[i] = k2k_load_acquire(&record->claims[i].held);
		}
		/* fence[lease-reset] with that of fill(): the words above, before `use` again */
		k2k_fence_acquire();
		/* relaxed: ordered by the fence */
		if (k2k_load_relaxed(&record->use) == holding->use)
			return counts ? 0 : K2K_ENOTHELD;
	}
	return k2k_fail(K2K_ECORRUPT, "leases", "use",
	                "a lease record changed its use during %d reads in a row", READS);
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

/* A sum over all brokers. UINT64_MAX is a legal limit, so 64 bits could wrap around. */
typedef unsigned __int128 k2k_sum;

static uint64_t narrow(k2k_sum sum)
{
	return sum > UINT64_MAX ? UINT64_MAX : (uint64_t)sum;
}

/* An acquire, and the result of its last look. */
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

/* As copy(), but only adds what is wanted of one resource. False: use look_slow(). */
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
	use = k2k_load_acquire(&record->use); /* observe[lease-use]: as in copy() */
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
 * Steps 1 and 2 of a look, without copies. True: own held + n + what all others want is within the
 * limit. False: nothing is known, use look_slow().
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

/* Own held + n + what the others want. Our own claim is n, so our record is not among them. */
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

/* Leaves out the holders that are dead. The caller has read all counters before. */
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

/* Has no holder released anything since its record was copied? */
static bool still_hold(const struct attempt *a, const struct k2k_holdings *others)
{
	for (uint32_t i = 0; i < others->count; i++) {
		const struct k2k_holding *h = &others->list[i];
		const struct k2k_shm_lease *record = &a->leaser->map->leases[h->index];

		if (h->held[a->request->resource] == 0)
			continue;
		/*
		 * observe[lease-ended]: nothing has been released; relaxed: the load of `use` is
		 * ordered by that acquire
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
	/* after the copies and before the liveness checks: the moment that step 4 is about */
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

/* Our claim is made. Grants it or withdraws it. As k2k_lease_acquire(). */
static int decide(struct attempt *a, struct k2k_shm_claim *claim)
{
	uint64_t n = a->request->amount, deadline = 0, now;
	enum outcome outcome = LOOK_AGAIN;
	int code;

	for (unsigned int i = 1;; i++) {
		code = look(a, &outcome);
		if (code || outcome == FITS || outcome == FULL || outcome == GIVE_WAY)
			break;
		/* the clock is read each time, because a yield takes long on a busy machine */
		now = k2k_clock_monotonic_ns();
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
		/* relaxed: our own. publish[lease-held]: the use and the claim before it */
		k2k_store_release(&claim->held, k2k_load_relaxed(&claim->held) + n);
		return 0;
	}
	/* relaxed: our own. publish[lease-ended]: the claim that is withdrawn */
	k2k_store_release(&claim->ended, k2k_load_relaxed(&claim->ended) + n);
	return code ? code : outcome == FULL ? K2K_LEASE_AT_LIMIT : K2K_LEASE_AGAIN;
}

/* The look before the claim, so that brokers that retry don't hold up the one whose turn it is. */
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
	 * relaxed, here and below: only we write our own record, under our mutex. An IDLE record is
	 * not read: it holds nothing, and another broker may have taken it
	 */
	if (found == 0 && k2k_entry_state(word) == K2K_ENTRY_LIVE)
		a.own_held = k2k_load_relaxed(&record->claims[request->resource].held);
	code = look_before(&a);
	/* after the look, so that a refused acquire takes no record */
	if (!code)
		code = obtain(leaser, &key, found, word, &record);
	if (!code) {
		struct k2k_shm_claim *claim = &record->claims[request->resource];

		/* publish[lease-asked]: the use before it */
		k2k_store_release(&claim->asked, k2k_load_relaxed(&claim->asked) + request->amount);
		/*
		 * fence[lease-claim], with itself in another process: of two that claim, at least
		 * one sees the other's claim. Without it both could look while both claims are
		 * still in store buffers.
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
	/* publish[lease-held]: before `ended`, so that nothing is free and held at once */
	k2k_store_release(&claim->held, held - amount);
	K2K_DELAY(given_back);
	/* publish[lease-ended]: `held` before it */
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
		 * observe[entry-state]: its counters. A dead broker's record stays LIVE until the
		 * death is reported, or the writer frees it
		 */
		if (k2k_load_acquire(&lease->state) !=
		            k2k_entry_word(K2K_ENTRY_LIVE, incarnation) ||
		    /* relaxed: constant in a LIVE record, unless a repair sets it aside */
		    k2k_load_relaxed(&lease->incarnation) != incarnation)
			continue;
		for (int r = 0; r < K2K_RESOURCES; r++) {
			/* observe[lease-held]: as in copy() */
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
		/* relaxed, all: a count for diagnostics */
		uint64_t word = k2k_load_relaxed(&lease->state);

		if (k2k_entry_state(word) == K2K_ENTRY_LIVE &&
		    (k2k_load_relaxed(&lease->claims[0].held) ||
		     k2k_load_relaxed(&lease->claims[1].held)) &&
		    k2k_load_relaxed(&lease->incarnation) == k2k_entry_above(word))
			count += is_alive(&roll, k2k_entry_above(word));
	}
	return count;
}

/* ---- for the writer ---------------------------------------------------------------- */

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
