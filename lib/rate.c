/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rate.h"

int k2k_rate_ahead(const struct k2k_clock *clock, uint64_t second)
{
	uint64_t now = k2k_clock_now(clock).second;

	if (second <= now + K2K_RATE_SECONDS_AHEAD)
		return 0;
	return k2k_fail_values(K2K_ECORRUPT, "cells", "window", now, second,
	                       "a tenant's window is of second %llu, but it is second %llu", (unsigned long long)second,
	                       (unsigned long long)now);
}
