/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lease.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "clock.h"
#include "delay.h"
#include "lease_fast.h"
#include "thread.h"

#define LOOKS 32 /* between two pauses, while a claim is kept */
/* how long a claim is kept: enough for two looks of the others, which may be preempted in them */
#define KEEP_NS UINT64_C(5000000)
#define PAUSE_NS UINT64_C(20000)
/* how often a record becomes IDLE before it is kept instead of one of another lock */
#define KEEP_AFTER 16

/* ---- our own record ------------------------------------------------------------------- */

/* find_own() in one row. */
static int find_in_row(const struct k2k_leaser *leaser, const struct k2k_lease_key *key,
                       struct k2k_shm_lease **record, uint64_t *word)
{
	/* relaxed: only the slot's owner writes it, and its owner before us was dead */
	uint32_t link = k2k_load_relaxed(k2k_lease_link(leaser->map, key));

	if (link == 0)
		return K2K_ENOTHELD;
	if (k2k_unlikely(link > leaser->map->sizes.leases))
		return k2k_lease_corrupt(key, "a word of the row leads outside of the table");
	*record = &leaser->map->leases[link - 1];
	/* observe[entry-state]: our own stores, or that the record is another broker's */
	*word = k2k_load_acquire(&(*record)->state);
	/*
	 * LIVE or IDLE with our incarnation: we filled it, and no other broker has taken it since.
	 * Another broker, or another thread of ours for another key, may take an IDLE record at any
	 * time. So it is used again only once we have taken it, too: obtain()
	 */
	if (k2k_entry_above(*word) != leaser->broker->incarnation ||
	    k2k_entry_state(*word) < K2K_ENTRY_LIVE ||
	    /* relaxed: our own store, or damage */
	    k2k_load_relaxed(&(*record)->incarnation) != leaser->broker->incarnation ||
	    !k2k_lease_matches(*record, key))
		return K2K_ENOTHELD;
	return 0;
}

/*
 * Finds our record, LIVE or IDLE. *word: its state. key->away: its row. 0, K2K_ENOTHELD,
 * K2K_ECORRUPT.
 */
static int find_own(const struct k2k_leaser *leaser, struct k2k_lease_key *key,
                    struct k2k_shm_lease **record, uint64_t *word)
{
	uint32_t reach = k2k_lease_reach(leaser->map, key);
	int code;

	for (key->away = 0;; key->away++) {
		code = find_in_row(leaser, key, record, word);
		if (k2k_likely(code != K2K_ENOTHELD) || key->away >= reach)
			return code;
	}
}

/* Does our word of this row lead to a record that we have LIVE in this row? */
static bool leads_to_ours(const struct k2k_leaser *leaser, const struct k2k_lease_key *key)
{
	/* relaxed, here and below: only we write it */
	uint32_t link = k2k_load_relaxed(k2k_lease_link(leaser->map, key));
	const struct k2k_shm_lease *record;
	struct k2k_lease_key other;

	if (link == 0 || link > leaser->map->sizes.leases)
		return false;
	record = &leaser->map->leases[link - 1];
	/* observe[entry-state]: as in find_in_row() */
	if (k2k_load_acquire(&record->state) !=
	    k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation))
		return false;
	other = k2k_lease_key_of(k2k_load_relaxed(&record->whose), 0);
	return other.reservation &&
	       k2k_lease_place(leaser->map, &other) == k2k_lease_place(leaser->map, key);
}

/* key->away: the first row whose word of ours is of no use any more. False: there is none. */
static bool find_row(const struct k2k_leaser *leaser, struct k2k_lease_key *key)
{
	key->away = 0;
	if (!key->reservation)
		return true;
	while (leads_to_ours(leaser, key))
		/* the rows of a small table are around sooner than the reach */
		if (key->away++ == K2K_RESERVE_REACH || key->away > leaser->map->reserve_mask)
			return false;
	return true;
}

/* Fills a record that we have CLAIMED. The table in lease.h says what a kill in here leaves. */
static void fill(const struct k2k_leaser *leaser, uint32_t index, const struct k2k_lease_key *key)
{
	const struct k2k_map *map = leaser->map;
	struct k2k_shm_lease *record = &map->leases[index];
	uint64_t use = k2k_load_relaxed(&record->use) | 1; /* relaxed: we own the record */
	uint64_t bit = k2k_slot_bit(map, key->broker_slot);

	k2k_store_relaxed(&record->use, use); /* relaxed: ordered by the fence */
	/*
	 * fence[lease-reset] with that of copy(): a reader that has seen a word stored below sees
	 * the odd number when it loads `use` again, and so reads again
	 */
	k2k_fence_release();
	/* relaxed, all: between the two stores of `use` */
	k2k_store_relaxed(&record->gen, key->generation);
	k2k_store_relaxed(&record->whose, k2k_lease_whose(key));
	k2k_store_relaxed(&record->incarnation, leaser->broker->incarnation);
	for (int i = 0; i < K2K_RESOURCES; i++) {
		k2k_store_relaxed(&record->claims[i].asked, 0);
		k2k_store_relaxed(&record->claims[i].ended, 0);
		k2k_store_relaxed(&record->claims[i].held, 0);
	}
	k2k_store_relaxed(&record->moving, 0);
	k2k_store_relaxed(&record->named, 0);
	K2K_DELAY(filled);
	k2k_store_release(&record->use, use + 1); /* publish[lease-use]: the words of this use */
	/* publish[lease-link]: the record's use */
	k2k_store_release(k2k_lease_link(map, key), index + 1);
	/*
	 * relaxed: a bit that is set stays set. If another broker has set ours, fence[lease-claim]
	 * is what makes our row visible to those who must see our claim
	 */
	if (!(k2k_load_relaxed(k2k_lease_brokers(map, key)) & bit))
		/* publish[lease-link]: the row */
		k2k_or_release(k2k_lease_brokers(map, key), bit);
	if (key->away)
		k2k_lease_reach_row(map, key);
	/* publish[entry-state]: all of the above */
	k2k_store_release(&record->state,
	                  k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation));
}

/* Makes a record of ours LIVE. `found` and `word` are the results of find_own(). */
static int obtain(const struct k2k_leaser *leaser, struct k2k_lease_key *key, int found,
                  uint64_t word, struct k2k_shm_lease **record)
{
	uint64_t live = k2k_entry_word(K2K_ENTRY_LIVE, leaser->broker->incarnation);
	bool taken = false;
	uint32_t index;
	int code;

	if (found == 0 && word == live)
		return 0;
	/*
	 * An IDLE record is taken and filled as any other. It may be of another key by now, though
	 * its word is the same: another thread of ours has had it since we looked.
	 */
	if (found == 0) {
		index = (uint32_t)(*record - leaser->map->leases);
		taken = k2k_lease_try_take(leaser, index, word);
	}
	if (!taken) {
		if (!find_row(leaser, key))
			return K2K_EFULL;
		code = k2k_lease_take(leaser, &index);
		if (code)
			return code;
	}
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
	if (k2k_load_acquire(&record->state) != live || !k2k_lease_holds_nothing(record))
		return true;
	if (!k2k_lease_may_change(leaser, record))
		return false;
	/* observe[entry-state]: as above; publish[entry-state]: our last stores there */
	k2k_cas_acq_rel(&record->state, &live,
	                k2k_entry_word(K2K_ENTRY_IDLE, leaser->broker->incarnation));
	return true;
}

/* `link` becomes the record that we keep, in place of `before`, which becomes IDLE. */
static bool keep_instead(const struct k2k_leaser *leaser, uint64_t before, uint32_t link)
{
	struct k2k_lease_lock *lock = &leaser->own->locks[leaser->lock];
	bool kept;

	/*
	 * Another thread may be using the other lock's record, so that one is left alone until this
	 * one has come here often.
	 */
	if (lock->idled != link) {
		lock->idled = link;
		lock->times = 0;
	}
	if (before >> 32 != leaser->lock && ++lock->times < KEEP_AFTER)
		return false;
	if (!k2k_lease_lock_kept(leaser, before))
		return false;
	kept = make_idle(leaser, (uint32_t)before - 1);
	if (kept) {
		lock->times = 0;
		/* relaxed: under the lock of the one before, and of this one */
		k2k_store_relaxed(&leaser->own->kept, (uint64_t)leaser->lock << 32 | link);
	}
	k2k_lease_unlock_kept(leaser, before);
	return kept;
}

void k2k_lease_rest(const struct k2k_leaser *leaser, const struct k2k_shm_lease *record)
{
	uint32_t link = (uint32_t)(record - leaser->map->leases) + 1;
	uint64_t ours = (uint64_t)leaser->lock << 32 | link;
	/* relaxed, also the exchange: it leads only to a record that is under a lock */
	uint64_t before = k2k_load_relaxed(&leaser->own->kept);

	if (k2k_lease_stays(leaser->map, leaser->own, leaser->lock, record))
		return;
	if (before == 0 && k2k_cas_relaxed(&leaser->own->kept, &before, ours))
		return;
	if (!keep_instead(leaser, before, link))
		make_idle(leaser, link - 1);
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
	const struct k2k_map *map;
	struct k2k_liveness *liveness;
	const struct k2k_lease_request *request;
	uint32_t own_slot; /* NO_SLOT: of no broker */
	uint64_t own_held;
	struct k2k_bound bound; /* of the last look */
	uint64_t used, limit;
	/* room for copies of what the others hold and want, one of each broker slot */
	struct k2k_holding *list;
};
#define NO_SLOT UINT32_MAX

struct others {
	struct k2k_holding *list;
	uint32_t count;
};

static uint64_t wanted(const struct k2k_holding *h, enum k2k_resource resource)
{
	return h->asked[resource] - h->ended[resource];
}

/* As copy(), but only what is wanted of one resource. False: use look_slow(). */
static inline __attribute__((always_inline)) bool load_wanted(const struct k2k_shm_lease *record,
                                                              uint64_t whose, uint64_t generation,
                                                              enum k2k_resource resource,
                                                              uint64_t *wanted)
{
	uint64_t use = k2k_load_acquire(&record->use); /* observe[lease-use]: as in copy() */
	const struct k2k_shm_claim *claim = &record->claims[resource];
	uint64_t ended;

	*wanted = 0;
	if (k2k_unlikely(use & 1))
		return true;
	/* relaxed, both: between the two loads of `use` */
	if (k2k_likely(k2k_load_relaxed(&record->whose) == whose &&
	               k2k_load_relaxed(&record->gen) == generation)) {
		ended = k2k_load_acquire(&claim->ended); /* observe[lease-ended]: before asked */
		*wanted = k2k_load_acquire(&claim->asked) - ended; /* observe[lease-asked] */
	}
	k2k_fence_acquire();                          /* fence[lease-reset] with that of fill() */
	return k2k_load_relaxed(&record->use) == use; /* relaxed: ordered by the fence */
}

/* Takes from *room what this broker wants. As k2k_lease_take_others(). */
static inline __attribute__((always_inline)) bool take_other(const struct k2k_map *map,
                                                             const struct k2k_lease_row *row,
                                                             uint32_t broker,
                                                             enum k2k_resource resource,
                                                             uint64_t *room)
{
	/* observe[lease-link]: the record's use */
	uint32_t link = k2k_load_acquire(&row->words[broker]);
	uint64_t wanted;

	if (k2k_unlikely(link - 1 >= map->sizes.leases))
		return link == 0;
	if (k2k_unlikely(!load_wanted(&map->leases[link - 1], k2k_lease_whose_in(row, broker),
	                              row->generation, resource, &wanted) ||
	                 wanted > *room))
		return false;
	*room -= wanted;
	return true;
}

bool k2k_lease_take_others(const struct k2k_map *map, const struct k2k_lease_row *of, uint64_t bits,
                           uint32_t own_slot, enum k2k_resource resource, uint64_t *room)
{
	const struct k2k_lease_row row = *of;
	struct k2k_slots brokers;
	uint64_t left = *room;
	uint32_t broker;

	if (k2k_likely(map->slot_shift == 0)) {
		/* as k2k_slots_next(), with fewer instructions */
		for (bits &= k2k_slot_bits(map); bits; bits &= bits - 1)
			if (!take_other(map, &row, (uint32_t)__builtin_ctzll(bits), resource,
			                &left))
				return false;
	} else {
		k2k_slots_begin(&brokers, map, bits);
		while (k2k_slots_next(&brokers, &broker))
			if (broker != own_slot && !take_other(map, &row, broker, resource, &left))
				return false;
	}
	*room = left;
	return true;
}

/* What is booked, as of now; or as of a moment that a commit has seen (k2k_lease_commit()). */
static inline uint64_t load_booked(const struct attempt *a, const struct k2k_bound *bound)
{
	uint64_t booked;

	if (!a->request->booked)
		return 0;
	booked = a->request->booked(a->map, a->request, bound);
	k2k_fence_acquire(); /* fence[lease-moving] with that of k2k_lease_begin_move() */
	return booked;
}

/* Brings *bound up to date. *booked is what was booked at a moment when it was in force. */
static int bound_now(const struct attempt *a, struct k2k_bound *bound, uint64_t *booked)
{
	uint64_t version;
	int code;

	do {
		version = bound->version;
		*booked = load_booked(a, bound);
		code = a->request->bound(a->map, a->request, bound);
	} while (!code && bound->version != version);
	return code;
}

/*
 * Steps 1 and 2 of a look, without copies. True: own held + n + what all others want is within the
 * limit. False: nothing is known, use look_slow().
 */
static bool fits_fast(struct attempt *a)
{
	const struct k2k_lease_request *request = a->request;
	struct k2k_lease_key key = request->key;
	uint32_t reach = k2k_lease_reach(a->map, &key);
	uint64_t room, booked;

	if (request->bound(a->map, request, &a->bound) != 0 || a->bound.limit < a->own_held ||
	    a->bound.limit - a->own_held < request->amount)
		return false;
	room = a->bound.limit - a->own_held - request->amount;
	for (key.away = 0; key.away <= reach; key.away++) {
		struct k2k_lease_row row = k2k_lease_row(a->map, &key);

		if (!k2k_lease_take_row(a->map, &row, a->own_slot, request->resource, &room))
			return false;
	}
	booked = load_booked(a, &a->bound);
	a->limit = a->bound.limit;
	a->used = a->limit - k2k_sat_sub(room, booked);
	return booked <= room;
}

/* Own held + n + what the others want. Our own claim is n, so our record is not among them. */
static k2k_sum sum_wanted(const struct attempt *a, const struct others *others)
{
	k2k_sum sum = (k2k_sum)a->own_held + a->request->amount;

	for (uint32_t i = 0; i < others->count; i++)
		sum += wanted(&others->list[i], a->request->resource);
	return sum;
}

static k2k_sum sum_held(const struct attempt *a, const struct others *others)
{
	k2k_sum sum = a->own_held;

	for (uint32_t i = 0; i < others->count; i++)
		sum += others->list[i].held[a->request->resource];
	return sum;
}

static k2k_sum sum_of_turn(const struct attempt *a, const struct others *others)
{
	k2k_sum sum = (k2k_sum)a->own_held + a->request->amount;

	for (uint32_t i = 0; i < others->count; i++) {
		const struct k2k_holding *h = &others->list[i];

		sum += h->broker_slot < a->own_slot ? wanted(h, a->request->resource)
		                                    : h->held[a->request->resource];
	}
	return sum;
}

static int collect_others(const struct attempt *a, struct others *others)
{
	enum k2k_resource resource = a->request->resource;
	struct k2k_lease_walk walk;
	struct k2k_holding h;

	others->list = a->list;
	others->count = 0;
	k2k_lease_walk(&walk, a->map, &a->request->key);
	while (k2k_lease_next(&walk, &h)) {
		if (h.broker_slot == a->own_slot || !(wanted(&h, resource) || h.held[resource]))
			continue;
		/* a broker has one record of each key, so there is room, unless bytes lie */
		if (others->count == a->map->sizes.slots)
			return k2k_lease_corrupt(&a->request->key,
			                         "more records than broker slots");
		others->list[others->count++] = h;
	}
	return walk.code;
}

/* Leaves out the holders that are dead. The caller has read all counters before. */
static void leave_out_the_dead(const struct attempt *a, struct others *others)
{
	uint64_t incarnations[K2K_LIVENESS_AT_ONCE];
	bool alive[K2K_LIVENESS_AT_ONCE];
	uint32_t kept = 0, count;

	for (uint32_t from = 0; from < others->count; from += count) {
		const struct k2k_holding *part = &others->list[from];

		count = others->count - from;
		if (count > K2K_LIVENESS_AT_ONCE)
			count = K2K_LIVENESS_AT_ONCE;
		for (uint32_t i = 0; i < count; i++)
			incarnations[i] = part[i].incarnation;
		k2k_liveness_ask(a->liveness, incarnations, alive, count);
		for (uint32_t i = 0; i < count; i++)
			if (alive[i])
				others->list[kept++] = part[i];
	}
	others->count = kept;
}

/*
 * Is it full of what has been held since the copies, without pause? If a holder is inside a commit,
 * what it holds may be in `booked` already, and does not count.
 */
static bool is_full(const struct attempt *a, const struct others *others, uint64_t limit,
                    uint64_t booked)
{
	k2k_sum sum = (k2k_sum)a->own_held + a->request->amount + booked;

	for (uint32_t i = 0; i < others->count; i++) {
		const struct k2k_holding *h = &others->list[i];
		const struct k2k_shm_lease *record = &a->map->leases[h->index];
		bool moving;

		if (h->held[a->request->resource] == 0)
			continue;
		/*
		 * observe[lease-moving]: if a commit has ended that was booked in `booked`, its
		 * `ended` is seen below. fence[lease-moving]: if it was booked there and has not
		 * ended, it is seen here
		 */
		moving = k2k_load_acquire(&record->moving);
		/*
		 * observe[lease-ended]: nothing has been released; relaxed: the load of `use` is
		 * ordered by that acquire
		 */
		if (k2k_load_acquire(&record->claims[a->request->resource].ended) !=
		            h->ended[a->request->resource] ||
		    k2k_load_relaxed(&record->use) != h->use)
			return false;
		if (!moving)
			sum += h->held[a->request->resource];
	}
	return sum > limit;
}

static __attribute__((noinline)) int look_slow(struct attempt *a, enum outcome *outcome)
{
	const struct k2k_lease_request *request = a->request;
	struct k2k_bound later;
	struct others others;
	uint64_t booked;
	k2k_sum sum;
	int code;

	*outcome = FITS;
	code = request->bound(a->map, request, &a->bound);
	if (!code)
		code = collect_others(a, &others);
	/* after the copies and before the liveness checks: the moment that step 4 is about */
	later = a->bound;
	if (!code)
		code = bound_now(a, &later, &booked);
	if (code)
		return code;
	a->limit = a->bound.limit;
	sum = sum_wanted(a, &others) + booked;
	a->used = narrow(sum);
	if (sum <= a->limit && !request->exact_used)
		return 0;
	leave_out_the_dead(a, &others);
	/* loaded again, since it must contain what the dead have booked */
	sum = sum_wanted(a, &others) + load_booked(a, &later);
	a->used = narrow(sum);
	if (sum <= a->limit)
		return 0;
	sum = sum_held(a, &others) + booked;
	a->used = narrow(sum);
	if (sum + request->amount > later.limit) {
		a->limit = later.limit;
		*outcome = is_full(a, &others, later.limit, booked) ? FULL : LOOK_AGAIN;
	} else {
		*outcome = sum_of_turn(a, &others) + booked <= a->limit ? OUR_TURN : GIVE_WAY;
	}
	return 0;
}

static inline int look(struct attempt *a, enum outcome *outcome)
{
	*outcome = FITS;
	return !a->request->exact_used && fits_fast(a) ? 0 : look_slow(a, outcome);
}

/* Has it looked for KEEP_NS? *deadline begins as 0. */
static bool is_late(uint64_t *deadline)
{
	/* the clock is read each time, because a yield takes long on a busy machine */
	uint64_t now = k2k_clock_monotonic_ns();

	if (!*deadline)
		*deadline = now + KEEP_NS;
	return now >= *deadline;
}

/* Our claim is made. Grants it or withdraws it. As k2k_lease_acquire(). */
static int decide(struct attempt *a, struct k2k_shm_claim *claim)
{
	uint64_t n = a->request->amount, deadline = 0;
	enum outcome outcome = LOOK_AGAIN;
	int code;

	for (unsigned int i = 1;; i++) {
		code = look(a, &outcome);
		if (code || outcome == FITS || outcome == FULL || outcome == GIVE_WAY ||
		    is_late(&deadline))
			break;
		if (i % LOOKS == 0)
			k2k_clock_sleep_ns(PAUSE_NS);
		else
			sched_yield();
	}
	K2K_DELAY(summed);
	if (!code && outcome == FITS) {
		k2k_lease_grant(claim, n);
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

static inline void begin_attempt(struct attempt *a, const struct k2k_leaser *leaser,
                                 const struct k2k_lease_request *request)
{
	*a = (struct attempt){ .map = leaser->map,
		               .liveness = leaser->liveness,
		               .request = request,
		               .own_slot = leaser->broker->slot,
		               .list = leaser->others };
}

int k2k_lease_acquire(const struct k2k_leaser *leaser, const struct k2k_lease_request *request,
                      uint64_t *used, uint64_t *limit)
{
	struct k2k_lease_key key = request->key;
	struct k2k_shm_lease *record = NULL;
	struct attempt a;
	uint64_t word = 0;
	int found, code;

	begin_attempt(&a, leaser, request);
	key.broker_slot = leaser->broker->slot;
	found = find_own(leaser, &key, &record, &word);
	if (found && found != K2K_ENOTHELD)
		return found;
	/*
	 * relaxed: only we write our own record, under our lock. An IDLE record is not read: it
	 * holds nothing, and another broker may have taken it
	 */
	if (found == 0 && k2k_entry_state(word) == K2K_ENTRY_LIVE)
		a.own_held = k2k_load_relaxed(&record->claims[request->resource].held);
	code = look_before(&a);
	/* after the look, so that a refused acquire takes no record */
	if (!code)
		code = obtain(leaser, &key, found, word, &record);
	if (!code) {
		struct k2k_shm_claim *claim = &record->claims[request->resource];

		k2k_lease_claim(claim, request->amount);
		code = decide(&a, claim);
		if (code)
			k2k_lease_rest(leaser, record);
	}
	*used = a.used;
	*limit = a.limit;
	return code;
}

int k2k_lease_settle(const struct k2k_leaser *leaser, const struct k2k_lease_request *request,
                     struct k2k_shm_lease *record)
{
	K2K_UNCANCELLED;
	struct attempt a;
	int code;

	begin_attempt(&a, leaser, request);
	/* relaxed: as in k2k_lease_acquire() */
	a.own_held = k2k_load_relaxed(&record->claims[request->resource].held);
	code = decide(&a, &record->claims[request->resource]);
	if (code)
		k2k_lease_rest(leaser, record);
	return code;
}

/* Finds the counters of our LIVE record that holds as much. 0, K2K_ENOTHELD, K2K_ECORRUPT. */
static int find_held(const struct k2k_leaser *leaser, const struct k2k_lease_key *of,
                     enum k2k_resource resource, uint64_t amount, struct k2k_shm_lease **record)
{
	struct k2k_lease_key key = *of;
	uint64_t word;
	int code;

	key.broker_slot = leaser->broker->slot;
	code = find_own(leaser, &key, record, &word);
	if (code)
		return code;
	return k2k_entry_state(word) != K2K_ENTRY_LIVE ||
	                       k2k_lease_unnamed(*record, resource) < amount
	               ? K2K_ENOTHELD
	               : 0;
}

int k2k_lease_name(const struct k2k_leaser *leaser, const struct k2k_lease_key *key, int change)
{
	struct k2k_shm_lease *record;
	uint64_t held, named;
	int code = find_held(leaser, key, K2K_RESOURCE_KERNELS, 0, &record);

	if (code)
		return code;
	/* relaxed, all: only we write them, under our lock */
	held = k2k_load_relaxed(&record->claims[K2K_RESOURCE_KERNELS].held);
	named = k2k_load_relaxed(&record->named);
	if (change < 0 && named == 0)
		return K2K_ENOTHELD;
	if (change > 0 && named >= held) /* damaged: the caller has just taken one more */
		named = held - 1;
	k2k_store_relaxed(&record->named, change < 0 ? named - 1 : named + 1);
	return 0;
}

int k2k_lease_release(const struct k2k_leaser *leaser, const struct k2k_lease_key *key,
                      enum k2k_resource resource, uint64_t amount)
{
	struct k2k_shm_lease *record;
	int code = find_held(leaser, key, resource, amount, &record);

	if (code)
		return code;
	k2k_lease_give_back(&record->claims[resource], amount);
	k2k_lease_rest(leaser, record);
	return 0;
}

/*
 * Killed after     others see
 *   moving         the reservation is free, as the process is dead; nothing is booked
 *   booked         the booking; the reservation is free
 *   held, ended    the same
 * If it is stopped in between, then before the booking the reservation counts, and afterwards both
 * count: too much until it goes on. So nobody answers "full" because of it (is_full()).
 */
int k2k_lease_commit(const struct k2k_leaser *leaser, const struct k2k_lease_key *key,
                     enum k2k_resource resource, uint64_t amount, void (*book)(void *context),
                     void *context)
{
	struct k2k_shm_lease *record;
	int code = find_held(leaser, key, resource, amount, &record);

	if (code) {
		book(context);
		return code;
	}
	k2k_lease_begin_move(record);
	book(context);
	k2k_lease_end_move(record, resource, amount);
	k2k_lease_rest(leaser, record);
	return 0;
}

#define FEW 64

int k2k_lease_peek(const struct k2k_map *map, struct k2k_liveness *liveness,
                   const struct k2k_lease_request *request, uint64_t *used, uint64_t *limit)
{
	struct k2k_holding few[FEW], *many = NULL;
	struct attempt a = { .map = map,
		             .liveness = liveness,
		             .request = request,
		             .own_slot = NO_SLOT,
		             .list = few };
	enum outcome outcome = FITS;
	uint64_t deadline = 0;
	int code = 0;

	if (!fits_fast(&a)) {
		if (map->sizes.slots > FEW)
			a.list = many = malloc(sizeof(*many) * map->sizes.slots);
		if (!a.list)
			return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "leases",
			                      "no memory for what %u brokers have reserved",
			                      map->sizes.slots);
		for (;;) {
			code = look_slow(&a, &outcome);
			if (code || outcome != LOOK_AGAIN || is_late(&deadline))
				break;
			sched_yield();
		}
		free(many);
	}
	*used = a.used;
	*limit = a.limit;
	if (code)
		return code;
	return outcome == FULL ? K2K_LEASE_AT_LIMIT : outcome == LOOK_AGAIN ? K2K_LEASE_AGAIN : 0;
}
