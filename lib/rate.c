/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rate.h"

int k2k_rate_ahead(const struct k2k_clock *clock, uint64_t second)
{
	uint64_t now = k2k_clock_now(clock).second;

	if (second <= now + K2K_RATE_SECONDS_AHEAD)
		return 0;
	return k2k_fail_values(
		K2K_ECORRUPT, "cells", "window", now, second,
		"a tenant's window is of second %llu, but the clock is at second %llu",
		(unsigned long long)second, (unsigned long long)now);
}

int k2k_rate_over(uint64_t second)
{
	return k2k_fail_values(
		K2K_EIO, "clock", "second", K2K_WINDOW_SECOND_MAX, second,
		"the machine has been up for %llu s, but rates work only until %llu s: reboot it",
		(unsigned long long)second, (unsigned long long)K2K_WINDOW_SECOND_MAX);
}

bool k2k_rate_mend(struct k2k_shm_cell *cell, const struct k2k_clock *clock, uint64_t limit)
{
	uint64_t now = k2k_clock_now(clock).second;
	/* observe[rate-window]: an `admitted` at least as new */
	uint64_t window = k2k_load_acquire(&cell->window);
	uint64_t admitted, used;

	if (window >> K2K_WINDOW_BASE_BITS <= now + K2K_RATE_SECONDS_AHEAD)
		return false;
	admitted = k2k_load_acquire(&cell->admitted); /* observe[rate-admitted]: the newest */
	used = limit == K2K_UNLIMITED ? 0 : k2k_rate_effective(limit);
	/* publish[rate-window]: the `admitted` that its base is computed from */
	return k2k_cas_acq_rel(&cell->window, &window, k2k_rate_pack(now, admitted - used));
}
