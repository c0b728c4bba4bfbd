/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pace.h"

#include <sys/random.h>

/* ns * 2^times, but not more than that. */
static uint64_t doubled(uint64_t ns, unsigned times, uint64_t most_ns)
{
	for (; times && ns < most_ns; times--)
		ns *= 2;
	return ns < most_ns ? ns : most_ns;
}

uint64_t pace_part(uint64_t ns)
{
	uint32_t random = 0;

	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
	return (uint64_t)((double)ns * (random / 4294967296.0));
}

uint64_t pace_pause(uint64_t ns)
{
	return ns + pace_part(ns / 5);
}

uint64_t pace_backoff(uint64_t base_ns, unsigned failures, uint64_t most_ns)
{
	return pace_part(doubled(base_ns, failures, most_ns));
}

uint64_t pace_patience(uint64_t timeout_ns, unsigned failures)
{
	if (timeout_ns >= PACE_CONNECT_MOST_NS)
		return timeout_ns;
	return doubled(timeout_ns, failures + 1, PACE_CONNECT_MOST_NS);
}
