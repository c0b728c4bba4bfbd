/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"
#include "common/clock.h"

#include <sys/resource.h>

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC_RAW);
}

uint64_t switches_count(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : (uint64_t)usage.ru_nivcsw;
}

double time_loop(struct loop *loop)
{
	if (!loop->calls)
		loop->calls = 1;
	for (int tries = 0;;) {
		uint64_t switches = switches_count(), start = now_ns(), took;

		loop->run(loop->state, loop->calls);
		took = now_ns() - start;
		if (took < options.sample_ns)
			loop->calls *= 2;
		else if (switches_count() == switches || ++tries >= TRIES)
			return (double)took / (double)loop->calls;
	}
}

int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Interpolates between two values. */
double quantile(const double *sorted, size_t count, double part)
{
	double at = part * (double)(count - 1);
	size_t i = (size_t)at;

	return i + 1 < count ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i])
	                     : sorted[i];
}

/* The smallest value that is not below this part of the values. */
double quantile_u64(const uint64_t *sorted, size_t count, double part)
{
	double at = part * (double)count;
	size_t i = (size_t)at;

	if ((double)i == at && i > 0)
		i--;
	return (double)sorted[i < count ? i : count - 1];
}
