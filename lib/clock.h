/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * clock.h (F0) - the registry's one clock: whole seconds of CLOCK_MONOTONIC_COARSE as the initial
 * time namespace counts them, so that processes in different namespaces agree on the second. It
 * never steps back.
 *
 * Its resolution is a timer tick (1 to 10 ms), so a second begins here up to a tick late. Every
 * message reads the clock (5 ns, in the vDSO). If a thread of the broker cached the second instead,
 * the cache would be stale for as long as that thread does not run, and then a tenant could send
 * more than its limit at once. Where a tick matters, which is before a message is refused, the
 * caller reads the precise clock (k2k_clock_exact).
 */
#ifndef K2K_CLOCK_H
#define K2K_CLOCK_H

#include <time.h>

#include "base.h"

struct k2k_clock {
	int64_t offset_ns;      /* what this time namespace adds to the clock */
	int64_t boot_offset_ns; /* and to CLOCK_BOOTTIME */
	/* the time to use instead, of a simulated registry or of a test */
	_Atomic(const k2k_u64 *) injected_ns;
	_Atomic(const k2k_u64 *) injected_wall_ns; /* the same for the wall clock */
};

struct k2k_instant {
	uint64_t second;
	uint64_t ns; /* within it */
};

/*
 * Returns 0; K2K_EIO if this process's children will be in another time namespace than the process
 * itself, because they would not agree on the second; K2K_EIO or K2K_ENOMEM if the files in /proc
 * exist but can't be read.
 */
int k2k_clock_open(struct k2k_clock *clock);
/* From now on the time is *monotonic_ns, which the program changes. */
void k2k_clock_simulate(struct k2k_clock *clock, const uint64_t *monotonic_ns,
                        const uint64_t *wall_ns);

/* For a clock that is injected, or has an offset. */
struct k2k_instant k2k_clock_read_other(const struct k2k_clock *clock, clockid_t id)
	__attribute__((cold));

static inline struct k2k_instant k2k_clock_read(const struct k2k_clock *clock, clockid_t id)
{
	/* relaxed: it is set before the calls that it is for */
	const k2k_u64 *injected_ns = k2k_load_relaxed(&clock->injected_ns);
	struct timespec ts;

	if (k2k_unlikely(((uint64_t)(uintptr_t)injected_ns | (uint64_t)clock->offset_ns) != 0))
		return k2k_clock_read_other(clock, id);
	clock_gettime(id, &ts);
	return (struct k2k_instant){ (uint64_t)ts.tv_sec, (uint64_t)ts.tv_nsec };
}

static inline struct k2k_instant k2k_clock_now(const struct k2k_clock *clock)
{
	return k2k_clock_read(clock, CLOCK_MONOTONIC_COARSE);
}

/*
 * The precise time, which takes 10 ns or more to read. It is never behind k2k_clock_now(), and
 * ahead of it by less than a tick.
 */
static inline struct k2k_instant k2k_clock_exact(const struct k2k_clock *clock)
{
	return k2k_clock_read(clock, CLOCK_MONOTONIC);
}

/*
 * The time in ns until k2k_clock_now() shows the next second: never more than a second and a tick.
 * An injected clock moves when its test moves it, so for it the result is only an upper bound.
 */
uint64_t k2k_clock_until_next_second(const struct k2k_clock *clock);

/*
 * The wall clock, in ns since 1970, to the tick or precisely. It may step back and forth: only the
 * periods of budgets depend on it.
 */
uint64_t k2k_clock_wall_ns(const struct k2k_clock *clock);
uint64_t k2k_clock_wall_exact_ns(const struct k2k_clock *clock);

/*
 * CLOCK_BOOTTIME as the initial time namespace counts it, precisely: it goes on while the machine
 * is suspended, so it is the clock of what must have ended by then (shares, rate.h). An injected
 * clock is never suspended.
 */
uint64_t k2k_clock_boot_ns(const struct k2k_clock *clock);

/* CLOCK_MONOTONIC of this process's time namespace, for deadlines and pauses. */
uint64_t k2k_clock_monotonic_ns(void);
/* Nanoseconds since 1970. */
uint64_t k2k_clock_realtime_ns(void);
/* Sleeps; a signal may end the sleep early. Not a cancellation point. */
void k2k_clock_sleep_ns(uint64_t ns);

#endif
