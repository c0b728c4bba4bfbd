/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend_periods.c (F6, on top of its peers) - sets right the periods of budgets that can't be true.
 *
 * Brokers renew meanwhile. They replace pairs by compare-exchange, and so does this file: what
 * changes meanwhile is left to the next look. A base above the account is lowered to it, so nothing
 * of the current period counts as used; its number and its begin stay, so the period does not begin
 * again. A damaged place of the history is emptied, with all older ones: they would have no end.
 */
#include "ledger.h"
#include "mend.h"
#include "period.h"
#include "tenant.h"

#define OBJECT "periods"

static void mend_now(struct k2k_mend *mend, uint32_t index, struct k2k_shm_period *period,
                     const k2k_u64 *cost)
{
	struct k2k_period_copy copy;
	uint64_t number, account, base;

	k2k_period_look(period, cost, &copy);
	number = k2k_period_number(copy.word);
	/* relaxed: a number; loaded after the pair, so it is not below a base that is true */
	account = k2k_sat_add_signed(k2k_load_relaxed(cost), copy.corrected);
	base = copy.base < account ? copy.base : account;
	if (number == 0 || number >= K2K_PERIOD_NUMBER_MAX)
		number = 1;
	if (number == k2k_period_number(copy.word) && base == copy.base)
		return;
	/* observe[period-pair], publish[period-pair]: a pair that is possible */
	if (k2k_cas_pair_acq_rel(&period->now.first, &period->now.second, copy.word, copy.base,
	                         k2k_period_word(number, k2k_period_made(copy.word),
	                                         k2k_period_begin(copy.word)),
	                         base))
		k2k_mend_report(mend, &mend->counts.words, "I8", OBJECT,
		                "record %u: its number or its base could not be true: what the "
		                "current period used counts from now on",
		                index);
}

static void mend_history(struct k2k_mend *mend, uint32_t index, struct k2k_shm_period *period)
{
	/* observe[period-pair]: the history before it */
	uint64_t word = k2k_load_acquire(&period->now.first), number = k2k_period_number(word);
	uint32_t damaged = k2k_period_damaged_place(period);
	bool empty = false;

	if (damaged == K2K_PERIOD_PLACES)
		return;
	for (uint64_t n = number; n > 1 && n + K2K_PERIODS_KEPT > number;) {
		struct k2k_pair *place = &period->closed[--n % K2K_PERIOD_PLACES];
		/* relaxed, both: compared by the exchange */
		uint64_t first = k2k_load_relaxed(&place->first),
			 second = k2k_load_relaxed(&place->second);

		empty = empty || n % K2K_PERIOD_PLACES == damaged;
		/* observe[period-pair]: else a process that renewed meanwhile uses the places */
		if (empty && k2k_load_acquire(&period->now.first) == word)
			/* observe[period-pair], publish[period-pair]: no period */
			k2k_cas_pair_acq_rel(&place->first, &place->second, first, second, 0, 0);
	}
	k2k_mend_report(mend, &mend->counts.words, "I8", OBJECT,
	                "record %u: a closed period could not be true: it and older ones were "
	                "removed",
	                index);
}

static void mend_reported(struct k2k_mend *mend, uint32_t index, struct k2k_shm_period *period)
{
	k2k_u64 *word = &period->alerts;

	/* observe[alert-word]: its period; usually it is possible, and nothing is stored */
	if (k2k_load_acquire(word) != 0)
		/* observe[period-pair]: the period in force */
		k2k_mend_alert(mend, OBJECT, index, word,
		               k2k_period_number(k2k_load_acquire(&period->now.first)));
}

void k2k_mend_periods(struct k2k_mend *mend)
{
	const struct k2k_map *map = mend->map;

	for (uint32_t i = 0; i < map->sizes.budgets; i++) {
		const struct k2k_shm_budget *budget = &map->budgets[i];
		/* relaxed, all: under the writer's lock */
		uint32_t record = k2k_load_relaxed(&budget->ledger) - 1,
			 index = k2k_load_relaxed(&budget->period) - 1;
		struct k2k_shm_period *period;

		if (k2k_entry_state(k2k_load_relaxed(&budget->entry.state)) != K2K_ENTRY_LIVE ||
		    index >= map->sizes.budgets || record >= map->sizes.engagements ||
		    !k2k_mend_registration(mend, k2k_load_relaxed(&budget->entry.gen)))
			continue;
		period = &map->periods[index];
		mend_now(mend, index, period, &map->ledger[record].cost_ns);
		mend_history(mend, index, period);
		mend_reported(mend, index, period);
		k2k_mend_reserved(mend, OBJECT, index, &period->reserved, sizeof(period->reserved));
	}
}
