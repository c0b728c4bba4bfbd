/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rate.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

typedef unsigned __int128 wide;

#define UNKNOWN 0 /* no definition has this version */

int k2k_rate_open(void)
{
#ifdef __x86_64__
	unsigned int a, b, c = 0, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_CMPXCHG16B))
		return k2k_fail(K2K_EIO, "processor", "cmpxchg16b",
		                "this processor has no cmpxchg16b, which rates need");
#endif
	return 0;
}

/* ---- the look ------------------------------------------------------------------------ */

static void read_set(const struct k2k_shm_tenant *tenant, uint64_t version, struct k2k_terms *terms)
{
	/* relaxed, both: between two looks at the word that says which set is whole */
	uint64_t burst = k2k_load_relaxed(&tenant->burst[version & 1]);

	terms->version = version;
	terms->rate = k2k_load_relaxed(&tenant->rate[version & 1]);
	terms->burst = K2K_BURST(burst);
	terms->mode = K2K_BURST_MODE(burst);
}

/* Of a share, takes the limit that is in force now. */
static void take_share(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock,
                       struct k2k_terms *terms)
{
	if (k2k_unlikely(terms->mode & K2K_MODE_SHARED) && !k2k_rate_shares_hold(map, clock))
		/* relaxed: as in read_set() */
		terms->rate = k2k_load_relaxed(&map->tenants_cold[slot].alone[terms->version & 1]);
}

/* False: something changed during the look. */
static bool try_view(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock,
                     struct k2k_rate_view *view, enum k2k_hot_state *state)
{
	const struct k2k_shm_tenant *tenant = &map->tenants[slot];
	struct k2k_shm_cell *cell = &map->cells[slot];
	/* observe[tenant-select]: the set of limits that it selects */
	uint64_t select = k2k_load_acquire(&tenant->select), version = K2K_SELECT_VERSION(select);

	read_set(tenant, version, &view->terms);
	if (!k2k_rate_try_look(cell, &view->found))
		return false;
	*state = K2K_HOT_COLD;
	if (k2k_hot_is(view->found.admitted))
		*state = k2k_hot_total(map, slot, &view->found.admitted);
	view->open = *state != K2K_HOT_COLD;
	view->now = k2k_clock_exact(clock);
	take_share(map, slot, clock, &view->terms);
	view->before.version = UNKNOWN;
	if (k2k_rate_is_of(view->found.window, version)) {
		view->before = view->terms;
	} else if (version > 1 && k2k_rate_is_of(view->found.window, version - 1)) {
		read_set(tenant, version - 1, &view->before);
		take_share(map, slot, clock, &view->before);
	}
	k2k_fence_acquire(); /* the copies come before the second looks */
	/*
	 * relaxed, both: ordered by the fence. If the set of the version before was being
	 * overwritten, the pair has been converted: fence[tenant-select] in k2k_tenant_prepare().
	 */
	return k2k_load_relaxed(&cell->window) == view->found.window &&
	       k2k_load_relaxed(&tenant->select) == select;
}

/* ---- arithmetic: no product below exceeds 2^97 ------------------------------------------ */

/* The period in the unit of the time. */
static wide length_of(const struct k2k_terms *terms)
{
	return (wide)k2k_rate_period(terms->mode) << K2K_RATE_FRACTION_BITS;
}

/* What a bucket has gained since the origin of `rate`: messages * length_of(). */
static wide gained(const struct k2k_terms *terms, const struct k2k_rate *rate, uint64_t time)
{
	uint64_t rate_of = terms->rate < K2K_RATE_MAX ? terms->rate : K2K_RATE_MAX;

	return (wide)rate_of * (time - k2k_rate_origin(rate->window));
}

/* Whole messages that the line allows now; negative for a debt. Damage may make it any number. */
static __int128 line_above(const struct k2k_terms *terms, const struct k2k_rate *rate,
                           uint64_t time)
{
	return (int64_t)(rate->ceiling - rate->admitted) +
	       (__int128)(gained(terms, rate, time) / length_of(terms));
}

static uint64_t free_of(const struct k2k_rate_view *view)
{
	__int128 above = line_above(&view->terms, &view->rate, view->time);

	if (above < 0 || view->terms.rate == 0)
		return 0;
	return above < (__int128)view->terms.burst ? (uint64_t)above : view->terms.burst;
}

static bool is_bucket(const struct k2k_terms *terms)
{
	return (terms->mode & K2K_MODE_BUCKET) != 0;
}

/* ---- the step ------------------------------------------------------------------------- */

static void begin(struct k2k_rate_view *view, uint64_t origin, uint64_t ceiling)
{
	view->rate.window = k2k_rate_pack(origin, view->terms.version);
	view->rate.ceiling = ceiling;
}

static void begin_window(struct k2k_rate_view *view)
{
	view->rate.window = k2k_rate_pack_second(view->time >> K2K_RATE_FRACTION_BITS,
	                                         view->terms.version);
	view->rate.ceiling = view->rate.admitted;
}

static bool has_run_out(const struct k2k_terms *terms, const struct k2k_rate_view *view)
{
	return (view->time >> K2K_RATE_FRACTION_BITS) - k2k_rate_second(view->rate.window) >=
	       k2k_rate_period(terms->mode);
}

static bool same_rate(const struct k2k_terms *a, const struct k2k_terms *b)
{
	return a->rate == b->rate && a->burst == b->burst && a->mode == b->mode;
}

/* What a bucket that replaces the definition before begins with. */
static uint64_t kept(const struct k2k_rate_view *view)
{
	const struct k2k_terms *before = &view->before;
	const struct k2k_rate *rate = &view->rate;
	uint64_t burst = view->terms.burst;
	__int128 left;

	if (before->version == UNKNOWN)
		left = (int64_t)(rate->ceiling - rate->admitted);
	else if (is_bucket(before))
		left = before->rate ? line_above(before, rate, view->time) : 0;
	else if (has_run_out(before, view) || before->rate == K2K_UNLIMITED)
		left = burst;
	else
		left = (__int128)k2k_rate_effective(before->rate) -
		       (rate->admitted - rate->ceiling);
	if (left < 0)
		return 0;
	return left < (__int128)burst ? (uint64_t)left : burst;
}

static void convert(struct k2k_rate_view *view)
{
	const struct k2k_rate *rate = &view->rate;
	uint64_t origin = k2k_rate_origin(rate->window);
	bool counts = view->before.version != UNKNOWN
	                      ? !is_bucket(&view->before)
	                      : (int64_t)(rate->admitted - rate->ceiling) >= 0;

	if (view->before.version != UNKNOWN && same_rate(&view->before, &view->terms))
		begin(view, origin, rate->ceiling);
	else if (is_bucket(&view->terms))
		begin(view, view->time, rate->admitted + kept(view));
	else if (counts)
		view->rate.window = k2k_rate_pack_second(k2k_rate_second(rate->window),
		                                         view->terms.version);
	else
		begin_window(view);
}

static void refill(struct k2k_rate_view *view)
{
	const struct k2k_terms *terms = &view->terms;
	const struct k2k_rate *rate = &view->rate;
	/* the room from the ceiling up to a full bucket, and down to the deepest debt */
	__int128 full = (int64_t)(rate->admitted + terms->burst - rate->ceiling);
	__int128 deep = (int64_t)(rate->admitted - terms->burst - rate->ceiling);
	__int128 grown = (__int128)gained(terms, rate, view->time), length;

	length = (__int128)length_of(terms);
	if (grown > full * length)
		begin(view, view->time, rate->admitted + terms->burst);
	else if (grown < deep * length && view->time > k2k_rate_origin(rate->window))
		begin(view, view->time, rate->admitted - terms->burst);
}

static int ahead(const struct k2k_rate_view *view)
{
	uint64_t second = k2k_rate_second(view->found.window);

	return k2k_fail_values(
		K2K_ECORRUPT, "cells", "window", view->now.second, second,
		"a tenant's window is of second %llu, but the clock is at second %llu",
		(unsigned long long)second, (unsigned long long)view->now.second);
}

static int step(struct k2k_rate_view *view)
{
	uint64_t origin = k2k_rate_origin(view->found.window);

	view->rate = view->found;
	view->time = k2k_rate_time(&view->now);
	if (origin == K2K_RATE_NEVER_USED) {
		begin_window(view);
		if (is_bucket(&view->terms))
			begin(view, view->time, view->rate.admitted + view->terms.burst);
		return 0;
	}
	if (k2k_unlikely(origin > view->time)) {
		if (k2k_rate_second(view->found.window) > view->now.second + K2K_RATE_SECONDS_AHEAD)
			return ahead(view);
		view->time = origin;
	}
	if (!k2k_rate_is_of(view->found.window, view->terms.version))
		convert(view);
	if (is_bucket(&view->terms))
		refill(view);
	else if (has_run_out(&view->terms, view))
		begin_window(view);
	return 0;
}

static int split(void)
{
	return k2k_fail(K2K_ECORRUPT, "cells", "opening",
	                "a tenant's rate is given out to shares that don't exist: run repair");
}

int k2k_rate_look(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock,
                  struct k2k_rate_view *view)
{
	enum k2k_hot_state state;

	while (k2k_unlikely(!try_view(map, slot, clock, view, &state)))
		;
	return k2k_unlikely(state == K2K_HOT_DAMAGED) ? split() : step(view);
}

int k2k_rate_install(struct k2k_shm_cell *cell, const struct k2k_rate_view *view)
{
	if (k2k_unlikely(view->time >= K2K_RATE_NEVER_USED))
		return k2k_fail_values(
			K2K_EIO, "clock", "second", K2K_WINDOW_SECOND_MAX, view->now.second,
			"the machine has been up for %llu s, but rates work only until %llu s: "
			"reboot it",
			(unsigned long long)view->now.second,
			(unsigned long long)K2K_WINDOW_SECOND_MAX);
	k2k_rate_exchange(cell, &view->found, view->rate.window, view->rate.ceiling);
	return 0;
}

int k2k_rate_renew(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock,
                   struct k2k_rate_view *view)
{
	int code = 0;

	while (!code) {
		code = k2k_rate_look(map, slot, clock, view);
		if (!code && view->open)
			code = k2k_hot_fold(map, slot) ? 0 : split();
		else if (!code && !k2k_rate_moves(view))
			break;
		else if (!code)
			code = k2k_rate_install(&map->cells[slot], view);
	}
	return code;
}

int k2k_rate_count(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock)
{
	struct k2k_rate_view view;
	int code;

	do {
		code = k2k_rate_renew(map, slot, clock, &view);
	} while (!code && !k2k_rate_try_count(&map->cells[slot], view.rate.admitted, 1));
	return code;
}

/* ---- answers ---------------------------------------------------------------------------- */

uint64_t k2k_rate_used(const struct k2k_rate_view *view)
{
	return is_bucket(&view->terms) ? view->terms.burst - free_of(view)
	                               : view->rate.admitted - view->rate.ceiling;
}

uint64_t k2k_rate_limit(const struct k2k_rate_view *view)
{
	return is_bucket(&view->terms) ? view->terms.burst : view->terms.rate;
}

bool k2k_rate_fits(const struct k2k_rate_view *view, uint64_t n)
{
	return is_bucket(&view->terms) ? n <= free_of(view)
	                               : k2k_rate_has_room(&view->rate, view->terms.rate, n);
}

uint64_t k2k_rate_named(const struct k2k_rate_view *view)
{
	return is_bucket(&view->terms) ? view->time >> K2K_RATE_FRACTION_BITS
	                               : k2k_rate_second(view->rate.window);
}

/* From now until the time in 2^-16 s, rounded up; saturates below K2K_NEVER_NS. */
static uint64_t ns_until(const struct k2k_rate_view *view, wide time)
{
	const wide unit = (wide)1 << K2K_RATE_FRACTION_BITS;
	wide at = (time * K2K_NS_PER_SEC + unit - 1) / unit;
	wide now = (wide)view->now.second * K2K_NS_PER_SEC + view->now.ns;

	if (at <= now)
		return 1;
	return at - now < K2K_NEVER_NS ? (uint64_t)(at - now) : K2K_NEVER_NS - 1;
}

uint64_t k2k_rate_wait_ns(const struct k2k_rate_view *view, uint64_t n)
{
	const struct k2k_terms *terms = &view->terms;
	uint64_t origin = k2k_rate_origin(view->rate.window);
	wide missing;

	if (n > k2k_rate_effective(k2k_rate_limit(view)) || terms->rate == 0)
		return K2K_NEVER_NS;
	if (!is_bucket(terms))
		return ns_until(view, origin + length_of(terms));
	/* positive: what fits has no time to wait for */
	missing = (wide)(uint64_t)(view->rate.admitted + n - view->rate.ceiling) * length_of(terms);
	return ns_until(view, origin + (missing + terms->rate - 1) / terms->rate);
}

/* ---- for the writer -------------------------------------------------------------------- */

void k2k_rate_settle(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock)
{
	struct k2k_rate_view view;

	while (k2k_rate_look(map, slot, clock, &view) == 0 &&
	       !k2k_rate_is_of(view.found.window, view.terms.version)) {
		if (view.open) {
			if (!k2k_hot_fold(map, slot))
				return;
			continue;
		}
		if (k2k_rate_origin(view.found.window) == K2K_RATE_NEVER_USED)
			begin(&view, K2K_RATE_NEVER_USED, view.found.ceiling);
		else if (view.time >= K2K_RATE_NEVER_USED)
			return;
		k2k_rate_exchange(&map->cells[slot], &view.found, view.rate.window,
		                  view.rate.ceiling);
	}
}

static uint64_t latest(const struct k2k_clock *clock)
{
	return k2k_clock_exact(clock).second + K2K_RATE_SECONDS_AHEAD;
}

/* A base above `admitted`. */
static bool is_above(const struct k2k_rate_view *view)
{
	return !is_bucket(&view->terms) &&
	       k2k_rate_is_of(view->found.window, view->terms.version) &&
	       k2k_rate_origin(view->found.window) != K2K_RATE_NEVER_USED &&
	       (int64_t)(view->found.admitted - view->found.ceiling) < 0;
}

enum k2k_rate_damage k2k_rate_verify(const struct k2k_map *map, uint32_t slot,
                                     const struct k2k_clock *clock, struct k2k_rate_view *view)
{
	if (!k2k_hot_is_sound(map, slot, latest(clock)))
		return K2K_RATE_SPLIT;
	if (k2k_rate_look(map, slot, clock, view) != 0)
		return K2K_RATE_AHEAD;
	return is_above(view) ? K2K_RATE_ABOVE : K2K_RATE_SOUND;
}

bool k2k_rate_mend(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock)
{
	bool mended = k2k_hot_mend(map, slot, latest(clock));
	struct k2k_rate_view view;

	if (k2k_rate_verify(map, slot, clock, &view) == K2K_RATE_SOUND)
		return mended;
	k2k_hot_fold(map, slot); /* nobody opens a damaged window */
	if (k2k_rate_verify(map, slot, clock, &view) == K2K_RATE_SOUND || view.open)
		return mended;
	view.time = k2k_rate_time(&view.now);
	begin_window(&view);
	if (is_bucket(&view.terms))
		begin(&view, view.time, view.found.admitted);
	else if (view.terms.mode & K2K_MODE_SHARED) /* used up by both limits */
		view.rate.ceiling -= K2K_RATE_MAX;
	else if (view.terms.rate != K2K_UNLIMITED)
		view.rate.ceiling -= k2k_rate_effective(view.terms.rate);
	return k2k_rate_exchange(&map->cells[slot], &view.found, view.rate.window,
	                         view.rate.ceiling);
}
