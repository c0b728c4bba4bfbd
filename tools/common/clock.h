/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * clock.h - clocks, in nanoseconds
 *
 * Inline, so that k2k-bench measures a clock and no call around it.
 */
#ifndef K2K_COMMON_CLOCK_H
#define K2K_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Since 1970. May step back. */
static inline uint64_t clock_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

/* Since some time before boot; never steps back. */
static inline uint64_t clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/*
 * These two are those of leases (k2k-fleetd/lease.c): the first goes on in a suspend, and may be
 * slewed; the second is never slewed, and stands still in a suspend.
 */
static inline uint64_t clock_boot_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}
static inline uint64_t clock_raw_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC_RAW);
}

static inline struct timespec clock_timespec(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / 1000000000), (long)(ns % 1000000000) };
}

/* Until this time of clock_monotonic_ns(); signals don't end it early. */
static inline void clock_sleep_until(uint64_t monotonic_ns)
{
	struct timespec until = clock_timespec(monotonic_ns);

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
		;
}

#endif
