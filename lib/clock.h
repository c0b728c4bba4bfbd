/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * clock.h (F0) - the registry's one clock: whole seconds of CLOCK_MONOTONIC_COARSE as the initial
 * time namespace counts them, so that processes in different namespaces agree on the second. It
 * never steps back.
 *
 * Its grain is a timer tick (1 to 10 ms): a second begins here up to a tick late. Every message
 * reads it (5 ns, in the vDSO): a second that was kept for the messages by a thread of the broker
 * was late by as long as that thread did not run, and then more than the limit passed within a
 * moment. Where a tick matters, before anything is refused, the precise clock is asked
 * (k2k_clock_exact).
 */
#ifndef K2K_CLOCK_H
#define K2K_CLOCK_H

#include <time.h>

#include "base.h"

struct k2k_clock {
	int64_t offset_ns;                    /* what our time namespace adds */
	_Atomic(const k2k_u64 *) injected_ns; /* tests: read this instead */
};

struct k2k_instant {
	uint64_t second;
	uint64_t ns; /* within it */
};

/*
 * 0, or K2K_EIO where a later child would be in another time namespace: then threads and children
 * would not agree.
 */
int k2k_clock_open(struct k2k_clock *clock);

static inline struct k2k_instant k2k_clock_read(const struct k2k_clock *clock, clockid_t id)
{
	/* relaxed, here and below: set by tests, before what they test */
	const k2k_u64 *injected_ns = k2k_load_relaxed(&clock->injected_ns);
	struct k2k_instant now;

	if (k2k_unlikely(injected_ns != NULL)) {
		/* relaxed: a number that carries nothing else */
		uint64_t ns = k2k_load_relaxed(injected_ns);

		now.second = ns / K2K_NS_PER_SEC;
		now.ns = ns % K2K_NS_PER_SEC;
	} else {
		struct timespec ts;

		clock_gettime(id, &ts);
		now.second = (uint64_t)ts.tv_sec;
		now.ns = (uint64_t)ts.tv_nsec;
		if (k2k_unlikely(clock->offset_ns != 0)) {
			uint64_t ns = now.second * K2K_NS_PER_SEC + now.ns -
			              (uint64_t)clock->offset_ns;

			now.second = ns / K2K_NS_PER_SEC;
			now.ns = ns % K2K_NS_PER_SEC;
		}
	}
	return now;
}

static inline struct k2k_instant k2k_clock_now(const struct k2k_clock *clock)
{
	return k2k_clock_read(clock, CLOCK_MONOTONIC_COARSE);
}

/*
 * The same without the grain: 10 ns and more. Never behind k2k_clock_now(), and ahead of it by less
 * than a tick.
 */
static inline struct k2k_instant k2k_clock_exact(const struct k2k_clock *clock)
{
	return k2k_clock_read(clock, CLOCK_MONOTONIC);
}

/*
 * How long until k2k_clock_now() shows another second. An injected clock: a second at most, since
 * nobody knows.
 */
uint64_t k2k_clock_until_next_second(const struct k2k_clock *clock);

/* CLOCK_MONOTONIC of this process, for deadlines and pauses. */
uint64_t k2k_clock_monotonic_ns(void);
/* Since 1970. */
uint64_t k2k_clock_realtime_ns(void);
/* No cancellation point. */
void k2k_clock_sleep_ns(uint64_t ns);

#endif
