/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rate_hot.c (F6) - when a window is opened, how much of it is left, and who spends it (hot.h).
 *
 * An opening has the second and the version of the pair that the fill finds. The pair may roll
 * while it is open, by a call that had looked before: then the spent messages count in the window
 * that has begun, as those do that were counted between another's look and its install (rate.h). No
 * window gets more than its limit: what was left was that of a window whose second had not passed.
 */
#include "rate.h"

/* The limit in force. False: it may not be open. */
static bool read_limit(const struct k2k_shm_tenant *tenant, uint64_t *select, uint64_t *limit)
{
	/* observe[tenant-select]: the set of limits that it selects, and the flags */
	*select = k2k_load_acquire(&tenant->select);
	/* relaxed: published with the version, or with LIVE */
	if (!k2k_rate_may_open(*select, k2k_load_relaxed(&tenant->flags)))
		return false;
	/* relaxed: whoever fills looks at `select` again */
	*limit = k2k_load_relaxed(&tenant->rate[K2K_SELECT_VERSION(*select) & 1]);
	return true;
}

static uint64_t enforced(uint64_t limit)
{
	return limit == K2K_UNLIMITED ? K2K_HOT_PLENTY : k2k_rate_effective(limit);
}

static uint64_t generation_of(const struct k2k_shm_tenant *tenant)
{
	/* relaxed: the caller has found it */
	return k2k_load_relaxed(&tenant->state_gen) >> K2K_STATE_BITS;
}

static void note(const struct k2k_shm_share *share, uint64_t select, uint64_t second,
                 uint64_t limit, struct k2k_rate_drawn *drawn)
{
	drawn->version = K2K_SELECT_VERSION(select);
	drawn->second = second;
	/* relaxed: a note */
	drawn->used = k2k_load_relaxed(&share->used);
	drawn->limit = limit;
}

static bool spend(const struct k2k_map *map, uint32_t slot, uint32_t broker, uint64_t select,
                  uint64_t n, bool admits, uint64_t *second, struct k2k_shm_share **share)
{
	/* relaxed: the share names its tenant */
	uint32_t source = k2k_load_relaxed(&map->cells[slot].source) - 1;

	if (k2k_unlikely(source >= map->sizes.sources))
		return false;
	*share = k2k_hot_share(map, source, broker);
	return k2k_hot_spend(*share, generation_of(&map->tenants[slot]), K2K_SELECT_VERSION(select),
	                     n, admits, second);
}

bool k2k_rate_spend(const struct k2k_map *map, uint32_t slot, uint32_t broker, uint64_t second,
                    uint64_t n, bool admits, struct k2k_rate_drawn *drawn)
{
	struct k2k_shm_share *share;
	uint64_t select, limit;

	if (!read_limit(&map->tenants[slot], &select, &limit) ||
	    !spend(map, slot, broker, select, n, admits, &second, &share))
		return false;
	note(share, select, second, limit, drawn);
	return true;
}

/* False: the pair is not of this second and version, or is damaged. */
static bool fill(const struct k2k_map *map, uint32_t slot, uint64_t label, uint64_t select,
                 uint64_t limit)
{
	struct k2k_shm_cell *cell = &map->cells[slot];
	uint64_t version = K2K_SELECT_VERSION(select), used;
	struct k2k_rate rate;

	if (!k2k_rate_try_look(cell, &rate) || !k2k_hot_is(rate.admitted) ||
	    rate.window != k2k_rate_pack_second(k2k_hot_second(label), version) ||
	    /* relaxed: ordered by the fence of the look; the limit was of this version */
	    k2k_load_relaxed(&map->tenants[slot].select) != select)
		return false;
	used = (rate.admitted & ~K2K_HOT) - rate.ceiling;
	k2k_hot_fill(map, slot, label, version, k2k_sat_sub(enforced(limit), used));
	return true;
}

/* Of the opening `label`. K2K_HOT_EMPTY: whoever wants to be counted must fold. */
static enum k2k_hot_draw draw(const struct k2k_map *map, uint32_t slot, uint32_t broker,
                              uint64_t label, uint64_t select, uint64_t limit, uint64_t n,
                              struct k2k_shm_share **share)
{
	enum k2k_hot_draw answer = k2k_hot_draw(
		map, slot, broker, label, K2K_SELECT_VERSION(select), enforced(limit), n, share);

	if (answer == K2K_HOT_UNFILLED)
		return fill(map, slot, label, select, limit) ? K2K_HOT_AGAIN : K2K_HOT_EMPTY;
	return answer;
}

bool k2k_rate_admit_open(const struct k2k_map *map, uint32_t slot, uint32_t broker,
                         const struct k2k_clock *clock, uint64_t n, struct k2k_rate_drawn *drawn)
{
	const struct k2k_shm_tenant *tenant = &map->tenants[slot];
	enum k2k_hot_draw answer = K2K_HOT_AGAIN;
	uint64_t select, limit, label, second;
	struct k2k_shm_share *share;

	while (answer == K2K_HOT_AGAIN && n <= K2K_HOT_CREDIT_MAX &&
	       read_limit(tenant, &select, &limit)) {
		/* observe[rate-admitted]: the link of its source */
		label = k2k_load_acquire(&map->cells[slot].opening);
		if (!(label & 1))
			return false;
		second = k2k_clock_exact(clock).second;
		if (k2k_hot_second(label) < second)
			break;
		second = k2k_hot_second(label);
		if (spend(map, slot, broker, select, n, true, &second, &share)) {
			answer = K2K_HOT_RAISED;
		} else {
			answer = draw(map, slot, broker, label, select, limit, n, &share);
			second = k2k_hot_second(label);
		}
	}
	if (answer != K2K_HOT_RAISED) {
		k2k_hot_fold(map, slot); /* if it is damaged, the cold way says so */
		return false;
	}
	note(share, select, second, limit, drawn);
	return true;
}

void k2k_rate_open_window(const struct k2k_map *map, uint32_t slot, const struct k2k_clock *clock)
{
	struct k2k_shm_cell *cell = &map->cells[slot];
	struct k2k_rate rate;
	uint64_t select, limit, second;

	if (!read_limit(&map->tenants[slot], &select, &limit) || !k2k_rate_try_look(cell, &rate) ||
	    k2k_hot_is(rate.admitted) || limit == 0 ||
	    !k2k_rate_has_room(&rate, limit, K2K_RATE_OPEN_ROOM))
		return;
	second = k2k_clock_exact(clock).second;
	if (rate.window == k2k_rate_pack_second(second, K2K_SELECT_VERSION(select)))
		k2k_hot_open(map, slot, rate.admitted, second);
}
