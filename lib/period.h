/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * period.h (F6) - the periods of a budget that renews.
 *
 * A budget's account is its engagement's cost plus the corrections that count in its periods. A
 * period is {number, begin} and a base: the account when it began. Its use is the next period's
 * base minus its own; the current one's is the account minus its base. So no use is lost or counted
 * twice: the uses of all periods are the account minus the first base.
 *
 * 1. Whoever books GPU time first begins the period, before it adds. So a booking never counts in
 *    a period that is older than the clock that the call has read.
 * 2. Period and base are one 16-byte pair, replaced by one compare-exchange. Each replacement
 *    changes the first word to one that it never had, so a copy is untorn if that word is the same
 *    after it. A period begins once: the number rises by one, and the begin rises, whatever the
 *    wall clock does; only k2k_period_force() may lower the begin.
 * 3. A closed pair is in the history before the next one is in force. A place of the history is
 *    replaced only by a later number, so anybody may store it, also a process that was stopped
 *    meanwhile. There are 13 places: the last 12 closed periods are always there.
 * 4. The base is read after the pair that it follows, so it is not below that pair's base.
 * 5. There are two sums of corrections. The low bit of "corrections made" in the first word says
 *    which one is in force, so a correction takes effect by one compare-exchange of the pair. A
 *    renewal that has read the sum before fails. The number has 16 bits: the same word could come
 *    again after 65536 corrections within one period, while a process is stopped between two
 *    loads.
 *
 * renew, killed after:   others see                              what is left
 *   history stored       the pair before; the place is its own   the next one renews
 *   pair exchanged       the next period                         -
 *
 * correct, killed after: others see                              recovery (correct.c)
 *   other sum stored     nothing                                 nothing has happened
 *   pair exchanged       the correction, in the period           stores the engagement's sum
 *
 * Model: tests/model/period.pml. It is sequentially consistent; here k2k_cas_pair() is, and
 *     period-pair    the exchange: release: what the process had read (cost, sum in force) and the
 *                    history, which it stored before. A copy: acquire: a reader that sees the pair
 *                    sees a cost that is not lower than that in its base, and the sum in force
 *     cost-booked    a booking: release: the period that it counts in, which its process has begun
 *                    or found. A copy: acquire: a reader whose second look finds the same pair has
 *                    no cost that was booked in a later one
 */
#ifndef K2K_PERIOD_H
#define K2K_PERIOD_H

#include "layout.h"

/* ---- the calendar, in UTC; hours since 1970 ---------------------------------------- */

#define K2K_PERIOD_HOUR_NS (3600 * K2K_NS_PER_SEC)

/* The begin of the period that `hour` is in, and of the next one. */
uint64_t k2k_period_start(enum k2k_every every, uint64_t hour);
uint64_t k2k_period_end(enum k2k_every every, uint64_t hour);
/* The end in ns since 1970. */
static inline uint64_t k2k_period_end_ns(enum k2k_every every, uint64_t hour)
{
	return k2k_period_end(every, hour) * K2K_PERIOD_HOUR_NS;
}
/* The hour of a time in ns since 1970; at most what a word can hold. */
uint64_t k2k_period_hour(uint64_t ns);

/* ---- the words --------------------------------------------------------------------- */

static inline uint64_t k2k_period_word(uint64_t number, uint64_t made, uint64_t begin)
{
	return number << 40 | (made & 0xffff) << 24 | begin;
}

static inline uint64_t k2k_period_number(uint64_t word)
{
	return word >> 40;
}

/* How many corrections were made, modulo 2^16. */
static inline uint32_t k2k_period_made(uint64_t word)
{
	return (uint32_t)(word >> 24) & 0xffff;
}

/* In hours since 1970. */
static inline uint64_t k2k_period_begin(uint64_t word)
{
	return word & K2K_PERIOD_BEGIN_MAX;
}

/* ---- copies ------------------------------------------------------------------------ */

struct k2k_period_copy {
	uint64_t word, base;
	int64_t corrected; /* in force */
	uint64_t used;     /* of the current period; 0 in a copy of the history */
	/* its end has passed, but nobody has booked since: a call under way may still add to it */
	bool pending;
};

/* An untorn copy of the period and its use. `cost` is that of the engagement's ledger record. */
void k2k_period_look(const struct k2k_shm_period *period, const k2k_u64 *cost,
                     struct k2k_period_copy *copy);
/*
 * The same as if somebody had booked at `hour`: if a later period has begun since, that one, with
 * nothing used. Nothing is stored.
 */
void k2k_period_view(const struct k2k_shm_period *period, const k2k_u64 *cost, enum k2k_every every,
                     uint64_t hour, struct k2k_period_copy *copy);
/*
 * The closed periods that are kept, from the oldest on, and the current one after them, as in
 * k2k_period_view(); *count is without the current one. The use of a closed one is the next one's
 * base minus its own.
 */
void k2k_period_list(const struct k2k_shm_period *period, const k2k_u64 *cost, enum k2k_every every,
                     uint64_t hour, struct k2k_period_copy list[K2K_PERIODS_KEPT + 1],
                     uint32_t *count);

/*
 * For check and repair: the newest place of the history that can't be true, or K2K_PERIOD_PLACES.
 * While another process renews, the answer may be wrong.
 */
uint32_t k2k_period_damaged_place(const struct k2k_shm_period *period);

/* Has a later period begun than the one in force? */
static inline bool k2k_period_is_over(uint64_t word, enum k2k_every every, uint64_t hour)
{
	return k2k_period_start(every, hour) > k2k_period_begin(word);
}

/* ---- changes ----------------------------------------------------------------------- */

/* Begins the period that `hour` is in, unless it, or a later one, has begun. */
void k2k_period_renew(struct k2k_shm_period *period, const k2k_u64 *cost, enum k2k_every every,
                      uint64_t hour);
/* Closes the current period and begins that of `hour`, even if it has begun already. */
void k2k_period_force(struct k2k_shm_period *period, const k2k_u64 *cost, enum k2k_every every,
                      uint64_t hour);

/*
 * For the writer: a correction that counts in the period of *copy, which it fills. `ns` is raised
 * to what leaves a use of 0. k2k_period_commit() puts it in force; false: the period has changed
 * meanwhile, so prepare it again.
 */
void k2k_period_prepare(struct k2k_shm_period *period, const k2k_u64 *cost, int64_t ns,
                        struct k2k_period_copy *copy);
bool k2k_period_commit(struct k2k_shm_period *period, const struct k2k_period_copy *copy);

/* For the writer, before any other process can find the record: period 1 begins, with use 0. */
void k2k_period_reset(struct k2k_shm_period *period, uint64_t base, enum k2k_every every,
                      uint64_t hour);
/*
 * The same with periods from elsewhere: `list` has `count` closed ones, at most K2K_PERIODS_KEPT,
 * and then the current one, with words and bases.
 */
void k2k_period_restore(struct k2k_shm_period *period, const struct k2k_period_copy *list,
                        uint32_t count);

#endif
