/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rate.h (F6) - the rate of one tenant: a total and a pair of words that limit messages exactly,
 * without a lock, by a window or by a bucket. A tenant that many brokers use at once may be open
 * (hot.h): whoever needs these words then first folds it, or adds up its shares.
 *
 *   admitted   a 64-bit total that only grows
 *   pair       window   {origin: 46 bits of 2^-16 s since boot, tag: low 18 bits of a version}
 *              ceiling  64 bits
 *
 * The pair is installed by one 16-byte compare-exchange. It is of the definition whose version its
 * tag names:
 *
 *   window of a period P   the origin is the second in which it began, the ceiling is `admitted` at
 *                          that time (its base): base + limit may be admitted before origin + P
 *   bucket of r in P, b    by the time t, ceiling + r (t - origin) / P may be admitted: the line
 *
 * An admission is one successful compare-exchange of `admitted`; a call that fails, or is killed,
 * leaves nothing behind. What moves the pair, by k2k_rate_step():
 *
 *   a window that has run out     begins anew, with the base `admitted`; one of a second with the
 *                                 clock's second, a longer one with the second of its first use
 *   a bucket with more than b     {t, admitted + b}: exactly b is free
 *   a bucket with a debt over b   {t, admitted - b}. Only k2k_message_record makes debts: it takes
 *                                 tokens without asking, and what it takes beyond the burst again
 *                                 is forgiven
 *   a tag of another version      converted, see below
 *
 * Why no window admits more than its limit, and no bucket more than b + r T in any interval T:
 *
 * 1. Within a version the origin only rises, so each pair is installed at most once; the tag tells
 *    versions apart. If the first word is the same before and after the second word and `admitted`
 *    were read, then both belong to it. (Unless a call stands still for 2^18 updates.)
 * 2. `admitted` is read before the compare-exchange that installs a base or a ceiling made of it,
 *    and only grows: a reader that sees a pair sees at least that `admitted`.
 * 3. Only a successful compare-exchange, or record, changes `admitted`.
 * 4. A window: a successful compare-exchange owns the interval [a, a + n) within [base, base +
 *    limit). Such intervals don't overlap. If the window rolled before that compare-exchange, the
 *    new base is at most a, so the interval lies within the new window's limit too.
 * 5. A bucket: a new line of one version lies below the one before, at all times from its origin on
 *    (a debt that is cut raises it, but leaves nothing free). A call i that finds the line not
 *    above a_i + b at its time t_i leaves at most b + r (t - t_i) above a_i, so for a later call j
 *    a_j + n_j - a_i <= b + r (t_j - t_i). These are the times of the verdicts: a call that stands
 *    still after it has read the clock counts later than that. That is one call a thread.
 * 6. The line is exact: the origin has the clock's grain, r (t - origin) is multiplied out in 128
 *    bits, and nothing is rounded but the clock. So who always asks is given all of r, and a
 *    refused call was refused by a full bucket's rule at its own time: the clock is read after
 *    `admitted`.
 *
 * The clocks. A window is decided by the coarse clock, so it is in force for at most a tick longer;
 * a refusal asks the precise one: who waits as long as told never comes too early. A bucket is
 * decided by the precise clock alone: by the coarse one a burst smaller than r times a tick could
 * neither be kept nor used up. So any burst may be set. A pair that is ahead of the clock by more
 * than K2K_RATE_SECONDS_AHEAD is corrupt.
 *
 * Changes of the definition. Whoever finds a tag that is not the version's converts the pair:
 *
 *   to a window, from a window   the pair stays: what was counted since it began
 *   to a window, from a bucket   begins now, with nothing used
 *   to a bucket                  begins now, with what was free, at most b: limit - used of a
 *                                window, b if that has run out; the tokens of a bucket. No debt
 *                                is kept.
 *   with the same rate           the pair stays
 *
 * It reads the set of limits of the version before, which the next change will overwrite: so that
 * change first converts the pair to the version in force (k2k_rate_settle()), and whoever still
 * reads the overwritten set fails to install what it makes of that.
 * A call that had loaded the old definition may still be counted by it. That is one call a thread.
 *
 * Shares. A window of a second may be this host's share of a rate over many hosts. Two words of
 * `defs` say until when shares hold, and whose they are (shares.c); the definition has both limits,
 * the share and what is in force alone. Each decision takes the share if CLOCK_BOOTTIME shows a
 * time before `shares_until_ns`, else the other one; nothing is kept of that. So:
 *
 *   7. A share ends by itself. The clock is read after `admitted`, by the process that decides, and
 *      goes on in a suspend: who was stopped before that decides by the limit that is in force now.
 *      Who was stopped after it may still count one call, as after a change of the definition; it
 *      fails if any other message was counted meanwhile.
 *   8. A window admits at most the larger of both limits: (4) with the limit of each call. A window
 *      that has used more than the limit that comes into force is full.
 *   9. The share of an earlier epoch is never in force by the time of a later one. That time is
 *      stored after the definitions were changed and their pairs converted: who sees it also sees
 *      another version, in the second look at it or in the tag of the pair, and looks again.
 *
 * Only the writer stores these two words, and a broker can't: `defs` is read-only there. The clock
 * has to go on while the machine is paused. That of a virtual machine may stand still: then its
 * shares hold for longer by the pause.
 *
 * `admitted` decides where a message is counted, not the verdict: a message that is counted between
 * another call's look and its install takes room in the window that begins, or is taken from the
 * bucket that the other found full, though its verdict names the time before.
 *
 * From second 2^30 - 1 on, 34 years after the machine booted, no pair can name its origin: messages
 * that need a new one are refused (K2K_EIO).
 *
 * Model: tests/model/rate.pml. The memory orders below are its assumptions.
 */
#ifndef K2K_RATE_H
#define K2K_RATE_H

#include "clock.h"
#include "delay.h"
#include "error.h"
#include "hot.h"

#define K2K_RATE_SECONDS_AHEAD 2

/* The rate of a definition. */
struct k2k_terms {
	uint64_t version;
	uint64_t rate;  /* in force */
	uint64_t burst; /* of a bucket */
	uint32_t mode;  /* K2K_MODE_RATE */
};

/* A snapshot of all three words. */
struct k2k_rate {
	uint64_t window;
	uint64_t ceiling;
	uint64_t admitted;
};

/* What a decision is made of: the definition, the words and the time, all in force together. */
struct k2k_rate_view {
	struct k2k_terms terms;
	struct k2k_terms before; /* that the pair is of; version 0: it is not known */
	struct k2k_rate found;   /* the words as they are */
	struct k2k_rate rate;    /* and as k2k_rate_step() brings them up to date */
	struct k2k_instant now;
	uint64_t time; /* in 2^-16 s, not before the origin */
	bool open;     /* found.admitted has the shares in it: no exchange can be based on it */
};

/* Once a handle. 0; K2K_EIO: this processor has no compare-exchange of 16 bytes. */
int k2k_rate_open(void);

/* ---- the words ------------------------------------------------------------------------- */

static inline uint64_t k2k_rate_pack(uint64_t origin, uint64_t version)
{
	return origin << K2K_RATE_TAG_BITS | (version & K2K_RATE_TAG_MASK);
}

/* For a window that began with this second. */
static inline uint64_t k2k_rate_pack_second(uint64_t second, uint64_t version)
{
	return k2k_rate_pack(second << K2K_RATE_FRACTION_BITS, version);
}

static inline uint64_t k2k_rate_origin(uint64_t window)
{
	return window >> K2K_RATE_TAG_BITS;
}

/* The second of the origin. */
static inline uint64_t k2k_rate_second(uint64_t window)
{
	return window >> (K2K_RATE_TAG_BITS + K2K_RATE_FRACTION_BITS);
}

static inline bool k2k_rate_is_of(uint64_t window, uint64_t version)
{
	return ((window ^ version) & K2K_RATE_TAG_MASK) == 0;
}

static inline uint64_t k2k_rate_time(const struct k2k_instant *now)
{
	return now->second << K2K_RATE_FRACTION_BITS |
	       (now->ns << K2K_RATE_FRACTION_BITS) / K2K_NS_PER_SEC;
}

/* The length of a mode's period in seconds. */
static inline uint64_t k2k_rate_period(uint32_t mode)
{
	static const uint32_t seconds[] = { 1, 60, 3600, 86400 };

	return seconds[(mode & K2K_MODE_PERIOD) >> K2K_MODE_PERIOD_SHIFT];
}

/* The limit that a window enforces. Not for K2K_UNLIMITED. */
static inline uint64_t k2k_rate_effective(uint64_t limit)
{
	return limit < K2K_RATE_MAX ? limit : K2K_RATE_MAX;
}

/* ---- shares ----------------------------------------------------------------------------- */

/* It must be read before the last look at the pair or at the version (9). */
static inline uint64_t k2k_rate_shares_until(const struct k2k_map *map)
{
	/* relaxed: the fence before that look is paired with publish[shares-until] */
	return k2k_load_relaxed(&map->defs->shares_until_ns);
}

/* Do shares hold now? */
static inline bool k2k_rate_shares_hold(const struct k2k_map *map, const struct k2k_clock *clock)
{
	uint64_t until = k2k_rate_shares_until(map);

	K2K_DELAY(until_seen);
	return until != 0 && k2k_clock_boot_ns(clock) < until;
}

/* ---- the short way: one look, no store, false if anything is unusual -------------------- */

/* Takes a consistent snapshot of the words (1). False: the pair changed during the look. */
static inline bool k2k_rate_try_look(struct k2k_shm_cell *cell, struct k2k_rate *rate)
{
	/* observe[rate-window]: an `admitted` at least as new as the ceiling's (2) */
	rate->window = k2k_load_acquire(&cell->window);
	K2K_DELAY(window_seen);
	/*
	 * observe[rate-window]: if it is a newer pair's, the load of `window` below sees that (1)
	 */
	rate->ceiling = k2k_load_acquire(&cell->ceiling);
	/*
	 * observe[rate-admitted]: if it contains messages of a later pair, the load of `window`
	 * below sees that pair or a later one (1)
	 */
	rate->admitted = k2k_load_acquire(&cell->admitted);
	k2k_fence_acquire(); /* the caller's copy of the limits comes before the second look */
	/* relaxed: ordered by the fence and the acquire loads before it */
	return k2k_load_relaxed(&cell->window) == rate->window;
}

/*
 * True if the pair is a window of this version that has not run out, and not ahead of the second.
 */
static inline bool k2k_rate_is_current(const struct k2k_rate *rate, uint64_t version, uint32_t mode,
                                       uint64_t second)
{
	return k2k_rate_is_of(rate->window, version) &&
	       second - k2k_rate_second(rate->window) < k2k_rate_period(mode);
}

static inline bool k2k_rate_has_room(const struct k2k_rate *rate, uint64_t limit, uint64_t n)
{
	uint64_t sum = rate->admitted - rate->ceiling + n;

	/*
	 * the second test: if it is open, the sum is larger; the third: a base above `admitted`,
	 * which is damage, lets the sum wrap around
	 */
	if (k2k_likely(sum <= limit && sum <= K2K_RATE_MAX && sum >= n))
		return true;
	return limit == K2K_UNLIMITED && !k2k_hot_is(rate->admitted);
}

/* Installs another pair, if that of the snapshot is still in force. */
static inline bool k2k_rate_exchange(struct k2k_shm_cell *cell, const struct k2k_rate *rate,
                                     uint64_t window, uint64_t ceiling)
{
	K2K_DELAY(rolling);
	/*
	 * publish[rate-window]: a reader that sees this pair sees an `admitted` that is not below
	 * the one that its ceiling is made of (2)
	 */
	return k2k_cas_pair_acq_rel(&cell->window, &cell->ceiling, rate->window, rate->ceiling,
	                            window, ceiling);
}

/*
 * What is free in a bucket whose pair is of this version; with `admits` it moves the origin of one
 * that is full. False: it is in debt, or has been used without a pause for so long that 64 bits are
 * not enough, or its origin is ahead of the time, or another process has moved it.
 */
static inline bool k2k_rate_try_free(struct k2k_shm_cell *cell, const struct k2k_rate *rate,
                                     const struct k2k_terms *terms, uint64_t time, bool admits,
                                     uint64_t *free)
{
	uint64_t since = time - k2k_rate_origin(rate->window), gained;
	int64_t above;

	if (k2k_unlikely(terms->rate == 0 || time < k2k_rate_origin(rate->window) ||
	                 time >= K2K_RATE_NEVER_USED ||
	                 __builtin_mul_overflow(since, terms->rate, &gained)))
		return false;
	gained >>= K2K_RATE_FRACTION_BITS;
	if (terms->mode & K2K_MODE_PERIOD)
		gained /= k2k_rate_period(terms->mode);
	above = (int64_t)(rate->ceiling - rate->admitted + gained);
	*free = (uint64_t)above;
	if (above < (int64_t)terms->burst || (above == (int64_t)terms->burst && since == 0))
		return above >= 0;
	*free = terms->burst;
	return !admits || k2k_rate_exchange(cell, rate, k2k_rate_pack(time, terms->version),
	                                    rate->admitted + terms->burst);
}

/* Counts n unless another message was counted since the snapshot. False: nothing changed. */
static inline bool k2k_rate_take(struct k2k_shm_cell *cell, const struct k2k_rate *rate, uint64_t n)
{
	uint64_t expected = rate->admitted;

	K2K_DELAY(counting);
	/*
	 * publish[rate-admitted]: the pair of the snapshot. observe[rate-admitted]: if it fails,
	 * what others counted.
	 */
	return k2k_cas_acq_rel(&cell->admitted, &expected, k2k_hot_sum(rate->admitted, n));
}

/*
 * Counts n whatever the limit is, by the pair of the last look or a later one. False: it is open.
 * Not an addition, which would not see that it is opened meanwhile.
 */
static inline bool k2k_rate_try_count(struct k2k_shm_cell *cell, uint64_t admitted, uint64_t n)
{
	while (k2k_likely(!k2k_hot_is(admitted)))
		/* publish[rate-admitted]: the pair of the last look; observe[rate-admitted] */
		if (k2k_likely(
			    k2k_cas_acq_rel(&cell->admitted, &admitted, k2k_hot_sum(admitted, n))))
			return true;
	return false;
}

/* ---- the long way ---------------------------------------------------------------------- */

/*
 * Looks at everything that a decision needs, and brings it up to date in view->rate; stores nothing
 * in shared memory: observers map it read-only. 0; K2K_ECORRUPT: the pair is ahead of the clock
 * (then view->found is filled).
 */
int k2k_rate_look(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock,
                  struct k2k_rate_view *view);

static inline bool k2k_rate_moves(const struct k2k_rate_view *view)
{
	return view->rate.window != view->found.window;
}

/*
 * Installs what the look has brought up to date, if the pair is still the one that it found. 0:
 * look again; K2K_EIO. Killed after it: the window has begun, and nothing is counted in it.
 */
int k2k_rate_install(struct k2k_shm_cell *cell, const struct k2k_rate_view *view);
/* Repeats both until the pair is up to date, and it is cold. 0, K2K_ECORRUPT, K2K_EIO. */
int k2k_rate_renew(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock,
                   struct k2k_rate_view *view);
/* Counts one message whatever the limit is. As k2k_rate_renew(). */
int k2k_rate_count(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock);

/* How much of a window, or of a burst, is used, and what the limit is. */
uint64_t k2k_rate_used(const struct k2k_rate_view *view);
uint64_t k2k_rate_limit(const struct k2k_rate_view *view);
bool k2k_rate_fits(const struct k2k_rate_view *view, uint64_t n);
/* The second in which the window began; of a bucket, in which the decision was made. */
uint64_t k2k_rate_named(const struct k2k_rate_view *view);
/* For n that does not fit: the time until it would, if nothing else is counted; K2K_NEVER_NS. */
uint64_t k2k_rate_wait_ns(const struct k2k_rate_view *view, uint64_t n);

/* ---- for the writer -------------------------------------------------------------------- */

/*
 * Makes the pair one of the version in force, so that the set of the version before may be
 * overwritten. Killed after it: nothing has changed but the form of the pair. A pair that is
 * damaged stays as it is.
 */
void k2k_rate_settle(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock);

enum k2k_rate_damage {
	K2K_RATE_SOUND,
	K2K_RATE_AHEAD, /* of the clock */
	K2K_RATE_ABOVE, /* the base of a window is above `admitted` */
	K2K_RATE_SPLIT, /* label, bit and link of an opening contradict each other or the clock */
};
enum k2k_rate_damage k2k_rate_verify(const struct k2k_map *map, uint32_t slot,
                                     const struct k2k_clock *clock, struct k2k_rate_view *view);
/*
 * Repairs a pair that is ahead of the clock, or a base above `admitted`, which are damage and
 * refuse every message. It installs a window that is used up, or an empty bucket: how much was used
 * before the damage is unknown, so none of it is admitted again. True if the pair was repaired. A
 * call that read the pair before the damage counts by that pair (4). An opening that can't be ends.
 */
bool k2k_rate_mend(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock);

/* ---- a tenant that many brokers use at once: rate_hot.c ---------------------------------- */

#define K2K_RATE_OPEN_ROOM 256 /* of a window that is opened */

/* Of the verdict of a message that was counted in a share. */
struct k2k_rate_drawn {
	uint64_t version;
	uint64_t second;
	uint64_t used; /* with what was drawn, as of the share's newest draw */
	uint64_t limit;
};

/* May the tenant be open? Only a window of a second, enforced, without budgets and thresholds. */
static inline bool k2k_rate_may_open(uint64_t select, uint32_t flags)
{
	return (K2K_SELECT_MODE(select) | (flags & K2K_DEF_HAS_BUDGETS)) == 0;
}

/*
 * The fast way, by the second that the coarse clock shows: spends the broker's credit; without
 * `admits` it only looks whether there is as much. False: not counted.
 */
bool k2k_rate_spend(const struct k2k_map *map, uint32_t slot, uint32_t broker, uint64_t second,
                    uint64_t n, bool admits, struct k2k_rate_drawn *drawn);
/*
 * Counts n in the broker's share, and draws for it if need be. False: not counted, and the tenant
 * was cold at an instant, or is damaged.
 */
bool k2k_rate_admit_open(const struct k2k_map *map, uint32_t slot, uint32_t broker,
                         const struct k2k_clock *clock, uint64_t n, struct k2k_rate_drawn *drawn);
/* After a lost race for the cell: opens the tenant, if its window has much room. */
void k2k_rate_open_window(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock);

#endif
