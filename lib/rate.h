/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rate.h (F6) - the rate of one tenant: two words that limit messages a second exactly, without a
 * lock.
 *
 *   admitted   a 64-bit total that only grows
 *   window     {second: 30 bits, low 34 bits of `admitted` when that second began}
 *
 * Used in this second = admitted - base. An admission is one successful compare-exchange of
 * `admitted`; a call that fails, or is killed, leaves nothing behind. Why no window admits more
 * than the limit:
 *
 * 1. The second in `window` only rises, so each second is installed at most once, with one base.
 * 2. The base is read before the compare-exchange that installs it, and `admitted` only grows: a
 *    reader that sees a window sees at least its base in `admitted`.
 * 3. Only a successful compare-exchange, or record, changes `admitted`.
 * 4. In one window `admitted` grows by less than 2^34: one admission is at most 2^32, and a limit
 *    counts as at most 2^33.
 * 5. If `window` is unchanged after `admitted` was read, the value belongs to that second. With 4
 *    the 64-bit base that follows from both is exact, however long the caller stops here.
 * 6. A successful compare-exchange owns the interval [a, a + n) within [base, base + limit). Such
 *    intervals don't overlap.
 * 7. If the window rolled before that compare-exchange, the new base is at most a, so the interval
 *    lies within the new window's limit too.
 *
 * 4 does not hold for an unlimited tenant that admits 2^34 in one second (4 calls of 2^32), nor
 * after 2^34 records. Then `used` of that second is too low by a multiple of 2^34, and a limit set
 * within that second can admit too much in it, and once more in the next.
 *
 * The second. Every call reads the coarse clock once, and rolls the window if it is older. So a
 * window is in force during its own second, and for at most a tick longer. No thread caches the
 * second for others: a delay of that thread would be a delay of every message.
 *
 *  - A clock that is behind the window (read before a roll, or coarse while the process that rolled
 *    read the precise clock) does no harm: by 1, the window that is found counts. A window that is
 *    ahead of the clock by more than K2K_RATE_SECONDS_AHEAD is corrupt.
 *  - A call that is stopped between its look at the clock and its compare-exchange counts in the
 *    window that it found. If another call has rolled the window meanwhile, it counts in the new
 *    one (7). That is one call a thread.
 *  - A refusal always asks the precise clock. A caller that waits for the reported rest of the
 *    second finds the precise clock in the next second, whatever the coarse clock shows, and rolls
 *    the window: it never comes too early.
 *  - `admitted` decides in which second a message is counted, not the verdict. A message that is
 *    counted between another call's look and its roll names the old second in its verdict and takes
 *    room in the new one.
 *
 * From second 2^30 on, 34 years after the machine booted, a window can't name its second: no window
 * begins any more, and messages are refused (K2K_EIO).
 *
 * When a limit falls, a call that had loaded the old limit may still be counted under it, in the
 * window where it lands. That is one call a thread.
 *
 * Model: tests/model/rate.pml. The memory orders below are its assumptions.
 */
#ifndef K2K_RATE_H
#define K2K_RATE_H

#include "clock.h"
#include "delay.h"
#include "error.h"
#include "layout.h"

#define K2K_RATE_SECONDS_AHEAD 2

/* A snapshot of both words. */
struct k2k_rate {
	uint64_t window; /* the word */
	uint64_t second; /* the second that the snapshot is of */
	uint64_t admitted;
	uint64_t used; /* in that second */
};

static inline uint64_t k2k_rate_pack(uint64_t second, uint64_t admitted)
{
	assert(second <= K2K_WINDOW_SECOND_MAX);
	return second << K2K_WINDOW_BASE_BITS | (admitted & K2K_WINDOW_BASE_MASK);
}

/* The limit that is enforced (4). Not for K2K_UNLIMITED. */
static inline uint64_t k2k_rate_effective(uint64_t limit)
{
	return limit < K2K_RATE_MAX ? limit : K2K_RATE_MAX;
}

static inline bool k2k_rate_fits(const struct k2k_rate *rate, uint64_t limit, uint64_t n)
{
	/* no overflow below */
	assert(rate->used <= K2K_WINDOW_BASE_MASK && n <= K2K_ADMIT_MAX);
	return k2k_likely(rate->used + n <= k2k_rate_effective(limit)) || limit == K2K_UNLIMITED;
}

/* For a window that is ahead of the caller's second. 0 if the clock has caught up; K2K_ECORRUPT. */
int k2k_rate_ahead(const struct k2k_clock *clock, uint64_t second) __attribute__((cold));

/* Returns K2K_EIO: a window can't name this second. */
int k2k_rate_over(uint64_t second) __attribute__((cold));

/*
 * Repairs a window that is ahead of the clock, which is damage and refuses every message; only the
 * writer calls it. It installs a window of the current second that is used up: how much of the
 * second was used before the damage is unknown, so none of it is admitted again. True if the window
 * was repaired. A call that read the window before the damage counts within the limit of that
 * window (7).
 */
bool k2k_rate_mend(struct k2k_shm_cell *cell, const struct k2k_clock *clock, uint64_t limit);

/*
 * Takes a consistent snapshot of both words as of second `now`, and stores nothing in shared
 * memory: observers map it read-only. True if the window is of that second; without `roll` also if
 * it is older, and then nothing is used. False: call k2k_rate_catch_up() and look again.
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
	 * observe[rate-admitted]: if it contains messages of a later window, the load of `window`
	 * below sees that window or a later one (5)
	 */
	rate->admitted = k2k_load_acquire(&cell->admitted);
	rate->used = second == now ? (rate->admitted - rate->window) & K2K_WINDOW_BASE_MASK : 0;
	/* relaxed: ordered by the acquire load of `admitted` */
	return (roll ? second == now : second <= now) &&
	       k2k_load_relaxed(&cell->window) == rate->window;
}

/*
 * After a look as of second *now has failed: if the window is older, begins the window of *now
 * (only with `roll`); if it is newer, sets *now to its second. 0: look again. K2K_ECORRUPT,
 * K2K_EIO. Killed after the roll: the second has begun, and nothing is counted in it.
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
		 * publish[rate-window]: a reader that sees this window sees an `admitted` that is
		 * not below its base (2)
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

/* Repeats the look until it succeeds. 0, K2K_ECORRUPT or K2K_EIO. */
static inline int k2k_rate_look(struct k2k_shm_cell *cell, const struct k2k_clock *clock,
                                uint64_t now, bool roll, struct k2k_rate *rate)
{
	int code = 0;

	while (!code && !k2k_rate_try_look(cell, now, roll, rate))
		code = k2k_rate_catch_up(cell, clock, &now, roll, rate);
	return code;
}

/* True if the window of the snapshot is still in force: only then may a call be refused. */
static inline bool k2k_rate_unchanged(struct k2k_shm_cell *cell, const struct k2k_rate *rate)
{
	/* observe[rate-window]: only compared */
	return k2k_load_acquire(&cell->window) == rate->window;
}

/* Counts n unless another message was counted since the snapshot. False: nothing changed. */
static inline bool k2k_rate_take(struct k2k_shm_cell *cell, struct k2k_rate *rate, uint64_t n)
{
	uint64_t expected = rate->admitted;

	K2K_DELAY(counting);
	/*
	 * publish[rate-admitted]: the window of the snapshot. observe[rate-admitted]: if it fails,
	 * what others counted.
	 */
	return k2k_cas_acq_rel(&cell->admitted, &expected, rate->admitted + n);
}

/* Counts n whatever the limit is, in the window of the last look or a later one. */
static inline void k2k_rate_count(struct k2k_shm_cell *cell, uint64_t n)
{
	/* publish[rate-admitted]: the window of the last look; observe[rate-admitted] */
	k2k_add_acq_rel(&cell->admitted, n);
}

#endif
