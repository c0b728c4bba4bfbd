/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * clock.h (F0) - the registry's one clock: whole seconds of CLOCK_MONOTONIC_COARSE as the initial
 * time namespace counts them, so that processes in different namespaces agree on the second. It
 * never steps back.
 *
 * Its resolution is a timer tick (1 to 10 ms): a second begins here up to a tick late. Every
 * message reads the clock (5 ns, in the vDSO). A second cached by a thread of the broker would be
 * late by as long as that thread does not run, and then more than the limit could pass in a moment.
 * If a tick matters, before a message is refused, the precise clock is read (k2k_clock_exact).
 */
#ifndef K2K_CLOCK_H
#define K2K_CLOCK_H

#include <time.h>

#include "base.h"

struct k2k_clock {
	int64_t offset_ns;                    /* what this time namespace adds */
	_Atomic(const k2k_u64 *) injected_ns; /* tests: read this instead */
};

struct k2k_instant {
	uint64_t second;
	uint64_t ns; /* within it */
};

/*
 * 0; K2K_EIO if this process's children will be in another time namespace than the process itself:
 * they would not agree on the second.
 */
int k2k_clock_open(struct k2k_clock *clock);

static inline struct k2k_instant k2k_clock_read(const struct k2k_clock *clock, clockid_t id)
{
	/* relaxed, here and below: set by tests, before the calls that they test */
	const k2k_u64 *injected_ns = k2k_load_relaxed(&clock->injected_ns);
	struct k2k_instant now;

	if (k2k_unlikely(injected_ns != NULL)) {
		/* relaxed: a number that publishes nothing else */
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
 * The precise time, which costs 10 ns and more. Never behind k2k_clock_now(), and ahead of it by
 * less than a tick.
 */
static inline struct k2k_instant k2k_clock_exact(const struct k2k_clock *clock)
{
	return k2k_clock_read(clock, CLOCK_MONOTONIC);
}

/*
 * How long until k2k_clock_now() shows another second, in ns. With an injected clock, which moves
 * when its test says so, at most a second.
 */
uint64_t k2k_clock_until_next_second(const struct k2k_clock *clock);

/* CLOCK_MONOTONIC of this process's time namespace, for deadlines and pauses. */
uint64_t k2k_clock_monotonic_ns(void);
/* Since 1970. */
uint64_t k2k_clock_realtime_ns(void);
/* Not a cancellation point. */
void k2k_clock_sleep_ns(uint64_t ns);

#endif
