/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * clock.h (F0) - the registry's one clock: whole seconds of CLOCK_MONOTONIC_COARSE
 * as the initial time namespace counts them, so that processes in different
 * namespaces agree on the second. It never steps back.
 *
 * Its grain, a timer tick, only makes a window begin late.
 *
 * Reading it costs as much as two or three atomics. So a broker's helper thread
 * wakes when a second begins, and keeps it for the message path: `kept` is a
 * second that has begun, as a rule the newest. Nothing relies on its being the
 * newest: before anything is refused the clock itself is asked.
 */
#ifndef K2K_CLOCK_H
#define K2K_CLOCK_H

#include <time.h>

#include "base.h"

struct k2k_clock {
	k2k_u64 kept;                    /* a second that has begun; 0: nobody keeps it */
	int64_t offset_ns;               /* what our time namespace adds */
	_Atomic(const k2k_u64 *) injected_ns;    /* tests: read this instead */
};

struct k2k_instant {
	uint64_t second;
	uint64_t ns;                     /* within it */
};

/* 0, or K2K_EIO where a later child would be in another time namespace: then threads and children would not agree. */
int k2k_clock_open(struct k2k_clock *clock);

static inline struct k2k_instant k2k_clock_now(const struct k2k_clock *clock)
{
	const k2k_u64 *injected_ns = k2k_load_relaxed(&clock->injected_ns); /* relaxed, here and below: set by tests, before what they test */
	struct k2k_instant now;

	if (k2k_unlikely(injected_ns != NULL)) {
		uint64_t ns = k2k_load_relaxed(injected_ns); /* relaxed: a number that carries nothing else */

		now.second = ns / K2K_NS_PER_SEC;
		now.ns = ns % K2K_NS_PER_SEC;
	} else {
		struct timespec ts;

		clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
		now.second = (uint64_t)ts.tv_sec;
		now.ns = (uint64_t)ts.tv_nsec;
		if (k2k_unlikely(clock->offset_ns != 0)) {
			uint64_t ns = now.second * K2K_NS_PER_SEC + now.ns - (uint64_t)clock->offset_ns;

			now.second = ns / K2K_NS_PER_SEC;
			now.ns = ns % K2K_NS_PER_SEC;
		}
	}
	return now;
}

/* The second that is kept, or 0. */
static inline uint64_t k2k_clock_kept(const struct k2k_clock *clock)
{
	const k2k_u64 *injected_ns = k2k_load_relaxed(&clock->injected_ns); /* relaxed, all: numbers that carry nothing else */

	if (k2k_unlikely(injected_ns != NULL))
		return k2k_load_relaxed(injected_ns) / K2K_NS_PER_SEC;
	return k2k_load_relaxed(&clock->kept);
}

/* A second that has begun, as cheaply as can be. */
static inline uint64_t k2k_clock_second(const struct k2k_clock *clock)
{
	uint64_t second = k2k_clock_kept(clock);

	return k2k_likely(second != 0) ? second : k2k_clock_now(clock).second;
}

/* Keeps the second that it is. Returns when the next one will have begun, in CLOCK_MONOTONIC of this process. */
uint64_t k2k_clock_keep(struct k2k_clock *clock);

/* CLOCK_MONOTONIC of this process, for deadlines and pauses. */
uint64_t k2k_clock_monotonic_ns(void);
/* Since 1970. */
uint64_t k2k_clock_realtime_ns(void);
void k2k_clock_sleep_ns(uint64_t ns);

#endif
