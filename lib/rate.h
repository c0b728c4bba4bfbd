/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rate.h (F6) - the rate words: exact, without a lock, without a loser to clean up after.
 *
 *   admitted   a 64-bit total that only grows
 *   window     {second: 30 bits, low 34 bits of `admitted` when that second began}
 *
 * Used in this second = admitted - base. An admission is one successful
 * compare-exchange of `admitted`; a call that fails, or is killed, leaves
 * nothing behind. Why it never admits more than the limit in one window:
 *
 * 1. The second only rises, so each second is installed at most once, with one base.
 * 2. The base was read before its compare-exchange, and `admitted` only grows:
 *    whoever reads that window sees at least the base in `admitted`.
 * 3. Only a successful compare-exchange, or record, changes `admitted`.
 * 4. In one window it grows by less than 2^34: one admission is at most 2^32, a
 *    limit counts as at most 2^33.
 * 5. `window` unchanged after `admitted` was read: the value belongs to that
 *    second. With 4 the 64-bit base is then exact, and no later stop changes it.
 * 6. A successful compare-exchange owns the interval [a, a + n) within
 *    [base, base + limit). Such intervals don't overlap.
 * 7. If the window rolled before it, the new base is at most a: so the interval
 *    lies within the new window's limit too.
 *
 * Where 4 could fail: an unlimited tenant that admits 2^34 in one second (4
 * calls of 2^32), or 2^34 records. Then `used` of that second is too low by a
 * multiple of 2^34, and a limit set within that second can admit too much in it,
 * and once more in the next.
 *
 * The second. Every call reads the coarse clock once, and rolls the window if it is older: so a
 * window is in force in its own second only, and for a tick more. No thread keeps the second for
 * others, whose delay would be everybody's.
 *
 *  - A clock that is behind the window (read before a roll, or coarse where the roller read the
 *    precise clock) does no harm: the window that is found counts, by 1. More than
 *    K2K_RATE_SECONDS_AHEAD is damage.
 *  - A call that is stopped between its look at the clock and its compare-exchange counts in the
 *    window that it found, if nobody has rolled it meanwhile, in the new one's room otherwise (7):
 *    one call a thread.
 *  - "No" is said after a look at the precise clock alone. Who is told to wait for the rest of the
 *    second, and does, finds the precise clock in the next one, whatever the coarse one shows, and
 *    rolls the window: never too early.
 *  - Which second a message is counted in is decided by `admitted`, not by the verdict: one that is
 *    taken between a roller's look and its compare-exchange names the old second in its verdict,
 *    and takes room in the new.
 *
 * From second 2^30 on, 34 years after the machine booted, a window can't name its second: no window
 * begins any more, and messages are refused (K2K_EIO).
 *
 * A limit that falls: a call that had loaded the old one may still be counted
 * under it, in the window where it lands; one call a thread.
 *
 * Model: tests/model/rate.pml. The orders below are its assumptions.
 */
#ifndef K2K_RATE_H
#define K2K_RATE_H

#include "clock.h"
#include "delay.h"
#include "error.h"
#include "layout.h"

#define K2K_RATE_SECONDS_AHEAD 2

/* What one look found. */
struct k2k_rate {
	uint64_t window; /* the word */
	uint64_t second; /* of that window; of the look if the window is over */
	uint64_t admitted;
	uint64_t used; /* in that second */
};

static inline uint64_t k2k_rate_pack(uint64_t second, uint64_t admitted)
{
	return second << K2K_WINDOW_BASE_BITS | (admitted & K2K_WINDOW_BASE_MASK);
}

/* A limit as it counts, unless it is K2K_UNLIMITED (4). */
static inline uint64_t k2k_rate_effective(uint64_t limit)
{
	return limit < K2K_RATE_MAX ? limit : K2K_RATE_MAX;
}

static inline bool k2k_rate_fits(const struct k2k_rate *rate, uint64_t limit, uint64_t n)
{
	/* no overflow: used < 2^34, n <= 2^32 */
	return k2k_likely(rate->used + n <= k2k_rate_effective(limit)) || limit == K2K_UNLIMITED;
}

/*
 * The window is ahead of the second that was known here. 0: the clock has come as far;
 * K2K_ECORRUPT.
 */
int k2k_rate_ahead(const struct k2k_clock *clock, uint64_t second) __attribute__((cold));

/* K2K_EIO: the second is one that a window can't name. */
int k2k_rate_over(uint64_t second) __attribute__((cold));

/*
 * The writer's, of a window that is ahead of the clock: damage, in which nobody is admitted. This
 * second begins anew, as one that is used up: how much of it was used before nobody knows, and so
 * it is never admitted twice (3). True: it was so. Who looked at the window before the damage and
 * counts only now, counts within the limit of that window (7).
 */
bool k2k_rate_mend(struct k2k_shm_cell *cell, const struct k2k_clock *clock, uint64_t limit);

/*
 * Takes a consistent snapshot of both words as of second `now`; stores nothing. True: the window is
 * of that second or, without `roll`, older, which counts as unused. False: catch up, and look again.
 */
static inline bool k2k_rate_try_look(struct k2k_shm_cell *cell, uint64_t now, bool roll,
                                     struct k2k_rate *rate)
{
	uint64_t second;

	/* observe[rate-window]: an `admitted` at least as new as the base (2) */
	rate->window = k2k_load_acquire(&cell->window);
	second = rate->window >> K2K_WINDOW_BASE_BITS;
	rate->second = now;
	K2K_DELAY(window_seen);
	/*
	 * observe[rate-admitted]: if a later window's base is in it, the look at window below is no
	 * older (5)
	 */
	rate->admitted = k2k_load_acquire(&cell->admitted);
	rate->used = second == now ? (rate->admitted - rate->window) & K2K_WINDOW_BASE_MASK : 0;
	/* relaxed: ordered by the acquire of `admitted` before it */
	return (roll ? second == now : second <= now) &&
	       k2k_load_relaxed(&cell->window) == rate->window;
}

/*
 * After a look as of second *now that failed: with `roll`, begins the window if it is of an earlier
 * second; if it is of a later one, that becomes *now. 0: look again. K2K_ECORRUPT, K2K_EIO.
 * Killed after the roll: the second has begun, nothing is counted in it.
 */
static inline int k2k_rate_catch_up(struct k2k_shm_cell *cell, const struct k2k_clock *clock,
                                    uint64_t *now, bool roll, const struct k2k_rate *rate)
{
	uint64_t expected = rate->window, second = expected >> K2K_WINDOW_BASE_BITS;

	if (second < *now && roll) {
		if (k2k_unlikely(*now > K2K_WINDOW_SECOND_MAX))
			return k2k_rate_over(*now);
		K2K_DELAY(rolling);
		/*
		 * publish[rate-window]: the base is an `admitted` that everybody sees who sees this
		 * window (2)
		 */
		k2k_cas_acq_rel(&cell->window, &expected, k2k_rate_pack(*now, rate->admitted));
	} else if (second > *now) {
		if (k2k_unlikely(second > *now + K2K_RATE_SECONDS_AHEAD)) {
			int code = k2k_rate_ahead(clock, second);

			if (code)
				return code;
		}
		*now = second;
	}
	return 0;
}

/* Looks until a look succeeds. 0, K2K_ECORRUPT or K2K_EIO. */
static inline int k2k_rate_look(struct k2k_shm_cell *cell, const struct k2k_clock *clock,
                                uint64_t now, bool roll, struct k2k_rate *rate)
{
	int code = 0;

	while (!code && !k2k_rate_try_look(cell, now, roll, rate))
		code = k2k_rate_catch_up(cell, clock, &now, roll, rate);
	return code;
}

/* Is the window that was looked at still in force? A rejection holds only then. */
static inline bool k2k_rate_unchanged(struct k2k_shm_cell *cell, const struct k2k_rate *rate)
{
	/* observe[rate-window]: compared only */
	return k2k_load_acquire(&cell->window) == rate->window;
}

/*
 * Counts n where nothing was counted since the look: true. Else false, nothing changed: look again.
 */
static inline bool k2k_rate_take(struct k2k_shm_cell *cell, struct k2k_rate *rate, uint64_t n)
{
	uint64_t expected = rate->admitted;

	K2K_DELAY(counting);
	/*
	 * publish[rate-admitted]: the window that was looked at; observe[rate-admitted]: where it
	 * fails, what others counted
	 */
	return k2k_cas_acq_rel(&cell->admitted, &expected, rate->admitted + n);
}

/* Counts n whatever the limit, in the window that was looked at or a later one. */
static inline void k2k_rate_count(struct k2k_shm_cell *cell, uint64_t n)
{
	/* publish[rate-admitted]: the window that was looked at; observe[rate-admitted] */
	k2k_add_acq_rel(&cell->admitted, n);
}

#endif
