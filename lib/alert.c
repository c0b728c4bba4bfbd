/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alert.h"

#include "k2k/registry.h"

bool k2k_alert_is_list(uint32_t alerts)
{
	uint32_t before = 0;

	for (int i = 0; i < K2K_ALERTS; i++) {
		uint32_t percent = k2k_alert_percent(alerts, i);

		if (percent > K2K_ALERT_PERCENT_MAX ||
		    (percent && (percent <= before || (i && !before))))
			return false;
		before = percent;
	}
	return true;
}

uint32_t k2k_alert_level(uint32_t alerts, uint64_t used, uint64_t limit)
{
	uint32_t level = 0;

	if (limit == 0 || limit == K2K_UNLIMITED)
		return 0;
	for (int i = 0; i < K2K_ALERTS; i++) {
		uint32_t percent = k2k_alert_percent(alerts, i);

		if (percent > level &&
		    (unsigned __int128)used * 100 >= (unsigned __int128)limit * percent)
			level = percent;
	}
	return level;
}

bool k2k_alert_raise(k2k_u64 *word, uint64_t sequence, uint32_t level, uint32_t *before)
{
	/* relaxed: the exchange decides */
	uint64_t wanted = k2k_alert_word(sequence, level), was = k2k_load_relaxed(word);

	do {
		if (was >= wanted)
			return false;
		/* publish[alert-word]: the sequence that the caller saw; observe[alert-word] */
	} while (!k2k_cas_acq_rel(word, &was, wanted));
	*before = k2k_alert_sequence(was) == (uint32_t)sequence ? k2k_alert_level_of(was) : 0;
	return true;
}

bool k2k_alert_follow(k2k_u64 *word, uint64_t second, uint32_t level, uint32_t *before)
{
	/* relaxed: the exchange decides */
	uint64_t was = k2k_load_relaxed(word);

	do {
		if (k2k_alert_level_of(was) == level || k2k_alert_sequence(was) >= (uint32_t)second)
			return false;
		/* publish[alert-word]: the clock that the caller has seen; observe[alert-word] */
	} while (!k2k_cas_acq_rel(word, &was, k2k_alert_word(second, level)));
	*before = k2k_alert_level_of(was);
	return true;
}

bool k2k_alert_is_possible(uint64_t word, uint64_t newest)
{
	return k2k_alert_level_of(word) <= K2K_ALERT_PERCENT_MAX &&
	       (newest > UINT32_MAX || k2k_alert_sequence(word) <= newest);
}
