/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "period.h"

#include <string.h>

#include "delay.h"

#define HOURS_A_DAY 24
#define DAYS_A_WEEK 7
/* 1970-01-01 was a Thursday: three days after a Monday */
#define MONDAY 3

/* ---- the calendar ------------------------------------------------------------------ */

static bool is_leap(uint64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static uint64_t leaps_until(uint64_t year)
{
	return year / 4 - year / 100 + year / 400;
}

/* Days from 1970 to the year's first day. */
static uint64_t days_to_year(uint64_t year)
{
	return 365 * (year - 1970) + leaps_until(year - 1) - leaps_until(1969);
}

/* The first day of the month that `day` is in, and its length. */
static uint64_t month_of(uint64_t day, uint64_t *days)
{
	static const uint8_t lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	uint64_t year = 1970 + day / 366, first;

	while (days_to_year(year + 1) <= day)
		year++;
	first = days_to_year(year);
	for (int month = 0;; month++) {
		*days = lengths[month] + (month == 1 && is_leap(year) ? 1u : 0u);
		if (month == 11 || first + *days > day)
			return first;
		first += *days;
	}
}

static uint64_t bounds(enum k2k_every every, uint64_t hour, uint64_t *end)
{
	uint64_t day = hour / HOURS_A_DAY, days = 1, into;

	switch (every) {
	case K2K_EVERY_HOUR: *end = hour + 1; return hour;
	case K2K_EVERY_WEEK:
		into = (day + MONDAY) % DAYS_A_WEEK;
		/* the first week of all began in 1969 */
		days = into > day ? DAYS_A_WEEK - MONDAY : DAYS_A_WEEK;
		day = k2k_sat_sub(day, into);
		break;
	case K2K_EVERY_MONTH: day = month_of(day, &days); break;
	default: break;
	}
	*end = (day + days) * HOURS_A_DAY;
	return day * HOURS_A_DAY;
}

uint64_t k2k_period_start(enum k2k_every every, uint64_t hour)
{
	uint64_t end;

	return bounds(every, hour, &end);
}

uint64_t k2k_period_end(enum k2k_every every, uint64_t hour)
{
	uint64_t end;

	bounds(every, hour, &end);
	return end;
}

uint64_t k2k_period_hour(uint64_t ns)
{
	uint64_t hour = ns / K2K_PERIOD_HOUR_NS;

	return hour < K2K_PERIOD_BEGIN_MAX ? hour : K2K_PERIOD_BEGIN_MAX;
}

/* ---- copies ------------------------------------------------------------------------ */

static void copy_pair(const struct k2k_pair *pair, struct k2k_period_copy *copy)
{
	do {
		/* observe[period-pair]: cost and sum in force; the base is of this pair or later */
		copy->word = k2k_load_acquire(&pair->first);
		K2K_DELAY(half_copied);
		/* relaxed: between the two looks at the first word */
		copy->base = k2k_load_relaxed(&pair->second);
		k2k_fence_acquire(); /* the copy comes before the second look */
	} while (k2k_load_relaxed(&pair->first) != copy->word); /* relaxed: ordered by the fence */
}

static const k2k_u64 *sum_of(const struct k2k_shm_period *period, uint64_t word)
{
	return &period->corrected[k2k_period_made(word) & 1];
}

/* The pair, the sum in force and the account; untorn only if the first word stays the same. */
static uint64_t try_look(const struct k2k_shm_period *period, const k2k_u64 *cost,
                         struct k2k_period_copy *copy)
{
	copy_pair(&period->now, copy);
	/* relaxed, both: numbers that are not older than the pair, which was acquired */
	copy->corrected = (int64_t)k2k_load_relaxed(sum_of(period, copy->word));
	return k2k_sat_add_signed(k2k_load_relaxed(cost), copy->corrected);
}

void k2k_period_look(const struct k2k_shm_period *period, const k2k_u64 *cost,
                     struct k2k_period_copy *copy)
{
	copy->pending = false;
	do {
		uint64_t account = try_look(period, cost, copy);

		copy->used = k2k_sat_sub(account, copy->base);
		/* observe[cost-booked]: the second look sees the period of what is in the cost */
		k2k_fence_acquire();
	} while (k2k_load_relaxed(&period->now.first) != copy->word); /* relaxed: by the fence */
}

/* The period that begins after `copy` if somebody books at `hour`. */
static void follow(const struct k2k_period_copy *copy, enum k2k_every every, uint64_t hour,
                   struct k2k_period_copy *next)
{
	next->word = k2k_period_word(k2k_period_number(copy->word) + 1, k2k_period_made(copy->word),
	                             k2k_period_start(every, hour));
	next->base = k2k_sat_add(copy->base, copy->used);
	next->corrected = copy->corrected;
	next->used = 0;
	next->pending = false;
}

void k2k_period_view(const struct k2k_shm_period *period, const k2k_u64 *cost, enum k2k_every every,
                     uint64_t hour, struct k2k_period_copy *copy)
{
	struct k2k_period_copy now;

	k2k_period_look(period, cost, &now);
	if (k2k_period_is_over(now.word, every, hour))
		follow(&now, every, hour, copy);
	else
		*copy = now;
}

/* The closed periods before *now. False: the period has changed meanwhile. */
static bool try_list(const struct k2k_shm_period *period, const struct k2k_period_copy *now,
                     struct k2k_period_copy *list, uint32_t *count)
{
	uint64_t number = k2k_period_number(now->word);

	*count = 0;
	for (uint64_t n = number > K2K_PERIODS_KEPT ? number - K2K_PERIODS_KEPT : 1; n < number;
	     n++) {
		struct k2k_period_copy *copy = &list[*count];

		copy_pair(&period->closed[n % K2K_PERIOD_PLACES], copy);
		copy->corrected = 0;
		copy->pending = false;
		if (k2k_period_number(copy->word) == n)
			(*count)++;
		else
			*count = 0; /* what is older than a gap has no end */
	}
	k2k_fence_acquire(); /* the copies come before the second look */
	/* relaxed: ordered by the fence */
	return k2k_load_relaxed(&period->now.first) == now->word;
}

void k2k_period_list(const struct k2k_shm_period *period, const k2k_u64 *cost, enum k2k_every every,
                     uint64_t hour, struct k2k_period_copy list[K2K_PERIODS_KEPT + 1],
                     uint32_t *count)
{
	struct k2k_period_copy now;

	do
		k2k_period_look(period, cost, &now);
	while (!try_list(period, &now, list, count));
	list[*count] = now;
	for (uint32_t i = 0; i < *count; i++)
		list[i].used = k2k_sat_sub(list[i + 1].base, list[i].base);
	if (!k2k_period_is_over(now.word, every, hour))
		return;
	if (*count == K2K_PERIODS_KEPT)
		memmove(list, list + 1, K2K_PERIODS_KEPT * sizeof(*list));
	else
		(*count)++;
	list[*count - 1].pending = true;
	follow(&now, every, hour, &list[*count]);
}

uint32_t k2k_period_damaged_place(const struct k2k_shm_period *period)
{
	struct k2k_period_copy next, copy;
	bool ended = false;

	copy_pair(&period->now, &next);
	/* the current period's own place may hold it already, or what is too old to be read */
	for (uint64_t n = k2k_period_number(next.word), i = 0; i < K2K_PERIODS_KEPT && n > 1; i++) {
		uint32_t place = (uint32_t)(--n % K2K_PERIOD_PLACES);

		copy_pair(&period->closed[place], &copy);
		if (copy.word == 0 && copy.base == 0) {
			ended = true;
			continue;
		}
		if (ended || k2k_period_number(copy.word) != n || copy.base > next.base)
			return place;
		next = copy;
	}
	return K2K_PERIOD_PLACES;
}

/* ---- changes ----------------------------------------------------------------------- */

/* Stores a pair that is about to be closed in its place of the history, unless it is there. */
static void keep(struct k2k_shm_period *period, const struct k2k_period_copy *copy)
{
	uint64_t number = k2k_period_number(copy->word);
	struct k2k_pair *place = &period->closed[number % K2K_PERIOD_PLACES];
	struct k2k_period_copy there;

	do {
		copy_pair(place, &there);
		if (k2k_period_number(there.word) >= number)
			return;
		/* observe[period-pair], publish[period-pair]: a closed pair, for readers of it */
	} while (!k2k_cas_pair_acq_rel(&place->first, &place->second, there.word, there.base,
	                               copy->word, copy->base));
}

/* False: the pair has changed meanwhile. */
static bool try_renew(struct k2k_shm_period *period, const struct k2k_period_copy *copy,
                      uint64_t account, uint64_t start)
{
	uint64_t number = k2k_period_number(copy->word);

	keep(period, copy);
	K2K_DELAY(period_kept);
	/* publish[period-pair]: the cost that was read, and the history; observe[period-pair] */
	return k2k_cas_pair_acq_rel(&period->now.first, &period->now.second, copy->word, copy->base,
	                            k2k_period_word(number + 1, k2k_period_made(copy->word), start),
	                            account);
}

void k2k_period_renew(struct k2k_shm_period *period, const k2k_u64 *cost, enum k2k_every every,
                      uint64_t hour)
{
	uint64_t start = k2k_period_start(every, hour), account;
	struct k2k_period_copy copy;

	do {
		account = try_look(period, cost, &copy);
		if (k2k_period_begin(copy.word) >= start ||
		    k2k_period_number(copy.word) >= K2K_PERIOD_NUMBER_MAX)
			return;
	} while (!try_renew(period, &copy, account, start));
}

void k2k_period_force(struct k2k_shm_period *period, const k2k_u64 *cost, enum k2k_every every,
                      uint64_t hour)
{
	struct k2k_period_copy copy;
	uint64_t account;

	do {
		account = try_look(period, cost, &copy);
		if (k2k_period_number(copy.word) >= K2K_PERIOD_NUMBER_MAX)
			return;
	} while (!try_renew(period, &copy, account, k2k_period_start(every, hour)));
}

void k2k_period_prepare(struct k2k_shm_period *period, const k2k_u64 *cost, int64_t ns,
                        struct k2k_period_copy *copy)
{
	k2k_period_look(period, cost, copy);
	if (ns < 0 && (uint64_t) - (ns + 1) >= copy->used)
		ns = -(int64_t)(copy->used < INT64_MAX ? copy->used : INT64_MAX);
	copy->corrected = k2k_sat_sum(copy->corrected, ns);
	/* relaxed: not in force before the exchange, which publishes it */
	k2k_store_relaxed(&period->corrected[(k2k_period_made(copy->word) + 1) & 1],
	                  (uint64_t)copy->corrected);
}

bool k2k_period_commit(struct k2k_shm_period *period, const struct k2k_period_copy *copy)
{
	/* publish[period-pair]: the sum that is in force now; observe[period-pair] */
	return k2k_cas_pair_acq_rel(&period->now.first, &period->now.second, copy->word, copy->base,
	                            k2k_period_word(k2k_period_number(copy->word),
	                                            k2k_period_made(copy->word) + 1,
	                                            k2k_period_begin(copy->word)),
	                            copy->base);
}

void k2k_period_reset(struct k2k_shm_period *period, uint64_t base, enum k2k_every every,
                      uint64_t hour)
{
	/* relaxed, all: published with the budget that leads here */
	k2k_store_relaxed(&period->now.first, k2k_period_word(1, 0, k2k_period_start(every, hour)));
	k2k_store_relaxed(&period->now.second, base);
	k2k_store_relaxed(&period->corrected[0], 0);
	k2k_store_relaxed(&period->corrected[1], 0);
	for (int i = 0; i < K2K_PERIOD_PLACES; i++) {
		k2k_store_relaxed(&period->closed[i].first, 0);
		k2k_store_relaxed(&period->closed[i].second, 0);
	}
	k2k_store_relaxed(&period->alerts, 0);
}

void k2k_period_restore(struct k2k_shm_period *period, const struct k2k_period_copy *list,
                        uint32_t count)
{
	uint64_t sum = (uint64_t)list[count].corrected;

	/* relaxed, all: published with the budget that leads here */
	for (uint32_t i = 0; i < count; i++) {
		struct k2k_pair *place =
			&period->closed[k2k_period_number(list[i].word) % K2K_PERIOD_PLACES];

		k2k_store_relaxed(&place->first, list[i].word);
		k2k_store_relaxed(&place->second, list[i].base);
	}
	k2k_store_relaxed(&period->corrected[k2k_period_made(list[count].word) & 1], sum);
	k2k_store_relaxed(&period->now.first, list[count].word);
	k2k_store_relaxed(&period->now.second, list[count].base);
}
