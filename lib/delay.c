/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "delay.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

/*
 * Three of four passes of a point have no delay, because many short runs find more than a few long
 * ones. A fault that shows only after several grace periods needs long sleeps. But a read section
 * that sleeps delays the reuse of all records, so long sleeps are limited by time: a thread has
 * about two a second, at the point that it reaches next.
 */
enum {
	IN = 1024, /* of this many passes of a point, the next three numbers have a delay: */
	SPINS = 240,
	YIELDS = 4, /* with all processors busy, one lasts milliseconds */
	SLEEPS = 16,
	SPINS_MOST = 4096, /* the longest spin, in rounds */
};
#define SLEEP_MOST_NS UINT64_C(100000)
#define LONG_SLEEP_MOST_NS UINT64_C(20000000)
#define LONG_SLEEPS_APART_NS UINT64_C(1000000000)
#define LONG_SLEEPS_APART_CHOSEN_NS UINT64_C(100000000) /* with K2K_DELAYS_AT */

static k2k_u64 base, threads, epoch;

static _Thread_local struct {
	uint64_t state, epoch, long_sleep_at_ns;
} dice;

static uint64_t draw(void)
{
	/* relaxed, all here: any value is random enough */
	uint64_t now = k2k_load_relaxed(&epoch);

	if (dice.state == 0 || dice.epoch != now) {
		uint64_t seed = k2k_load_relaxed(&base);

		if (seed == 0)
			seed = k2k_clock_monotonic_ns() ^ (uint64_t)getpid() << 40;
		dice.state = k2k_mix64(seed + k2k_add_relaxed(&threads, 1) *
		                                      UINT64_C(0x9e3779b97f4a7c15)) |
		             1;
		dice.epoch = now;
	}
	dice.state ^= dice.state << 13;
	dice.state ^= dice.state >> 7;
	dice.state ^= dice.state << 17;
	return k2k_mix64(dice.state);
}

void k2k_delay_seed(uint64_t seed)
{
	/* relaxed, all: as above */
	k2k_store_relaxed(&base, seed);
	k2k_store_relaxed(&threads, 0);
	k2k_add_relaxed(&epoch, 1);
}

/* Null: no list is set, so every point has a delay now and then. */
static const char *chosen_points(void)
{
	static _Thread_local const char *points;
	static _Thread_local bool asked;

	if (!asked)
		points = getenv("K2K_DELAYS_AT");
	asked = true;
	return points;
}

static bool is_chosen(const char *points, const char *point)
{
	size_t length = strlen(point);

	for (const char *at = points; (at = strstr(at, point)); at += length)
		if ((at == points || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
			return true;
	return false;
}

void k2k_delay(const char *point)
{
	const char *points = chosen_points();
	uint64_t random, kind, now;

	if (points && !is_chosen(points, point))
		return;
	random = draw();
	kind = random % (points ? SPINS + YIELDS + SLEEPS : IN);
	random >>= 16;
	now = k2k_clock_monotonic_ns();
	if (now >= dice.long_sleep_at_ns) {
		dice.long_sleep_at_ns = now + random % (points ? LONG_SLEEPS_APART_CHOSEN_NS
		                                               : LONG_SLEEPS_APART_NS);
		k2k_clock_sleep_ns(draw() % LONG_SLEEP_MOST_NS);
		return;
	}
	if (kind < SLEEPS)
		k2k_clock_sleep_ns(random % SLEEP_MOST_NS);
	else if ((kind -= SLEEPS) < YIELDS)
		sched_yield();
	else if ((kind -= YIELDS) < SPINS)
		for (random %= SPINS_MOST; random > 0; random--)
			k2k_fence_compiler();
}
