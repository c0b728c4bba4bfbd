/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * alert.h (F5) - thresholds of limits: which one a use has reached, and who reports it.
 *
 * A tenant has up to four thresholds, percentages of its limits. What was reported is one word for
 * each limit:
 *
 *   {sequence: 32 bits | level: 32 bits}
 *
 * The level is the highest threshold that was reached, 0 to 100. The sequence is a number that
 * rises: of a rate the second in which its window began, or of a bucket the second of the decision;
 * of a budget that renews the number of its period; of another budget the version of its tenant's
 * definition from which on it is in force; of leases the second of the look.
 *
 * 1. k2k_alert_raise() only makes the word larger, as a number: so it never goes to an older
 *    sequence, and within one the level only rises. Each value is stored once, by one
 *    compare-exchange, and whoever made it reports the thresholds between the level before and the
 *    new one. These intervals do not overlap, so each threshold is reported at most once in a
 *    sequence, by one process, however many reach it at once.
 * 2. Nobody misses it: who counts looks at the use after it has counted, so the one whose count
 *    reaches a threshold sees a use that is not below it. It raises the word, or finds it raised.
 * 3. The thresholds that were reached are those up to the highest one, so its number says all that
 *    a mask would, and stays true when thresholds are changed. A threshold that is added below the
 *    level is not reported in that sequence.
 * 4. k2k_alert_follow(), for what is looked at and not counted, also lowers the level: so the same
 *    threshold is reported again only after the use was below it. Each look that changes the word
 *    has a later second than the one before: at most one event a threshold and second, and a look
 *    by a process that was stopped is dropped.
 *
 * Killed between the compare-exchange and the event: the event is missing, and nobody repeats it.
 * The word shows that the threshold was reached: readers and metrics show the word.
 *
 * Model: tests/model/alert.pml.
 */
#ifndef K2K_ALERT_H
#define K2K_ALERT_H

#include "base.h"
#include "layout.h"

#define K2K_ALERT_PERCENT_MAX 100
/* how long a rate's is shown: a window of a second is over before anybody looks */
#define K2K_ALERT_SHOWN_SECONDS 60

/* Are these thresholds: percentages up to 100, ascending, and then zeroes? */
bool k2k_alert_is_list(uint32_t alerts);
/* The highest threshold that the use has reached; 0: none, or nothing limits it. */
uint32_t k2k_alert_level(uint32_t alerts, uint64_t used, uint64_t limit);

static inline uint32_t k2k_alert_percent(uint32_t alerts, int place)
{
	return alerts >> (8 * place) & 0xff;
}

static inline uint64_t k2k_alert_word(uint64_t sequence, uint32_t level)
{
	return sequence << 32 | level;
}

static inline uint32_t k2k_alert_sequence(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline uint32_t k2k_alert_level_of(uint64_t word)
{
	return (uint32_t)word;
}

/*
 * True: this call has made the word {sequence, level}, and reports the thresholds above *before up
 * to the level. False: they were reported, or the sequence is over.
 */
bool k2k_alert_raise(k2k_u64 *word, uint64_t sequence, uint32_t level, uint32_t *before);
/* The same, but the level may fall, and the second must be a later one. */
bool k2k_alert_follow(k2k_u64 *word, uint64_t second, uint32_t level, uint32_t *before);

/* For check and repair: can the word be one of a sequence up to `newest`? */
bool k2k_alert_is_possible(uint64_t word, uint64_t newest);

#endif
