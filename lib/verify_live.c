/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify_live.c (F6, on top of its peers) - verifies what brokers write: ledger, leases, cells,
 * slots.
 *
 * Loads without a label are relaxed: see verify.h.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "lease_records.h"
#include "ledger.h"
#include "period.h"
#include "rate.h"
#include "tenant.h"
#include "verify.h"

/* ---- the ledger -------------------------------------------------------------------------- */

/* Sweeps end at the high-water mark, so they would miss a record in use above it. */
static void check_mark(struct k2k_verify *verify, const struct k2k_pool *pool, const char *object,
                       uint32_t index)
{
	/* observe[entry-state]: loaded before the mark, which is raised before the state changes */
	uint64_t word = k2k_load_acquire(&k2k_pool_at(pool, index)->state);

	if (k2k_entry_state(word) != K2K_ENTRY_FREE && index >= k2k_pool_high(pool))
		k2k_verify_report(verify, "I5", object,
		                  "record %u is in use, but lies above the high-water mark", index);
}

static void check_corrected(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_shm_cost *cost = &verify->map->ledger[index];
	uint64_t corrected = k2k_load_relaxed(&cost->corrected_ns);

	/* loaded after the sum: the cost only grows */
	if (k2k_entry_state(k2k_load_relaxed(&cost->entry.state)) == K2K_ENTRY_LIVE &&
	    (int64_t)corrected < 0 && -corrected > k2k_load_relaxed(&cost->cost_ns))
		k2k_verify_report(verify, "I5", "engagements",
		                  "record %u: more was corrected than was ever booked", index);
}

static void check_reported(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_cost *cost = &map->ledger[index];
	uint64_t word = k2k_load_acquire(&cost->alerts); /* observe[alert-word]: its version */
	uint32_t slot = k2k_load_relaxed(&cost->entry.slot);

	if (k2k_entry_state(k2k_load_relaxed(&cost->entry.state)) == K2K_ENTRY_LIVE &&
	    k2k_verify_has_tenant(map, slot, k2k_load_relaxed(&cost->entry.gen)))
		k2k_verify_alert(verify, "engagements", index, word,
		                 K2K_SELECT_VERSION(k2k_load_relaxed(&map->tenants[slot].select)));
}

static void check_costs(struct k2k_verify *verify)
{
	const struct k2k_map *map = verify->map;
	struct k2k_hash ledger = k2k_ledger_hash(map);

	k2k_verify_hash(verify, &ledger, "engagements", false);
	for (uint32_t i = 0; i < map->sizes.engagements; i++) {
		const struct k2k_shm_cost *cost = &map->ledger[i];
		uint32_t slot = k2k_load_relaxed(&cost->entry.slot);

		check_mark(verify, &ledger.pool, "engagements", i);
		if (k2k_entry_state(k2k_load_relaxed(&cost->entry.state)) == K2K_ENTRY_LIVE &&
		    slot < map->sizes.tenants && !k2k_load_relaxed(&map->cells[slot].has_costs) &&
		    k2k_verify_has_tenant(map, slot, k2k_load_relaxed(&cost->entry.gen)))
			k2k_verify_report(
				verify, "I5", "engagements",
				"record %u belongs to a tenant whose flag says that it has none",
				i);
		check_corrected(verify, i);
		check_reported(verify, i);
		k2k_verify_reserved(verify, "engagements", i, cost->reserved,
		                    sizeof(cost->reserved));
	}
	k2k_verify_reserved(verify, "engagements", 0, map->live->reserved0,
	                    sizeof(map->live->reserved0));
}

/* ---- periods ----------------------------------------------------------------------------- */

/*
 * A place of the history holds its period, or nothing if no older one is kept either; no base is
 * above the next one's.
 */
static void check_history(struct k2k_verify *verify, uint32_t index,
                          const struct k2k_shm_period *period)
{
	uint32_t damaged = k2k_period_damaged_place(period);

	if (damaged < K2K_PERIOD_PLACES)
		k2k_verify_report(verify, "I8", "periods",
		                  "record %u: place %u of its history can't be true", index,
		                  damaged);
}

static void check_period(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_budget *budget = &map->budgets[index];
	uint32_t record = k2k_load_relaxed(&budget->ledger) - 1,
		 place = k2k_load_relaxed(&budget->period) - 1;
	const struct k2k_shm_period *period;
	struct k2k_period_copy copy;
	uint64_t number, reported;

	if (k2k_entry_state(k2k_load_relaxed(&budget->entry.state)) != K2K_ENTRY_LIVE ||
	    place >= map->sizes.budgets || record >= map->sizes.engagements ||
	    !k2k_verify_has_tenant(map, k2k_load_relaxed(&budget->entry.slot),
	                           k2k_load_relaxed(&budget->entry.gen)))
		return;
	period = &map->periods[place];
	/* observe[alert-word]: its period */
	reported = k2k_load_acquire(&period->alerts);
	k2k_period_look(period, &map->ledger[record].cost_ns, &copy);
	number = k2k_period_number(copy.word);
	if (number == 0 || number >= K2K_PERIOD_NUMBER_MAX ||
	    copy.base > k2k_sat_add_signed(k2k_load_relaxed(&map->ledger[record].cost_ns),
	                                   copy.corrected))
		k2k_verify_report(verify, "I8", "periods",
		                  "record %u: its number or its base can't be true", place);
	else
		check_history(verify, place, period);
	k2k_verify_alert(verify, "periods", place, reported, number);
	k2k_verify_reserved(verify, "periods", place, &period->reserved, sizeof(period->reserved));
}

/* ---- leases ------------------------------------------------------------------------------ */

/*
 * True if `place` is the broker's own slot, or if the slot's owner word is damaged. In that case no
 * living process owns the slot by that word, and the broker goes on using it.
 */
static bool is_in_place(const struct k2k_verify *verify, uint32_t place, uint64_t incarnation)
{
	uint64_t owner = k2k_load_relaxed(&verify->map->slots[place].owner);

	if (owner == incarnation || k2k_liveness_alive(verify->liveness, owner))
		return owner == incarnation;
	for (uint32_t i = 0; i < verify->map->sizes.slots; i++)
		if (k2k_load_relaxed(&verify->map->slots[i].owner) == incarnation)
			return false;
	return true;
}

/*
 * Does the record of a lease belong to a registered tenant? That of a reservation also belongs to a
 * ledger record.
 */
static bool has_tenant(const struct k2k_verify *verify, const struct k2k_lease_key *key)
{
	const struct k2k_map *map = verify->map;
	uint32_t slot = key->of;

	if (key->reservation) {
		unsigned int state;

		if (slot >= map->sizes.engagements ||
		    k2k_load_relaxed(&map->ledger[slot].entry.gen) != key->generation)
			return false;
		state = k2k_entry_state(k2k_load_relaxed(&map->ledger[slot].entry.state));
		if (state != K2K_ENTRY_LIVE && state != K2K_ENTRY_CLAIMED)
			return false;
		slot = k2k_load_relaxed(&map->ledger[slot].entry.slot);
	}
	return k2k_verify_has_tenant(map, slot, key->generation);
}

/* Does a row that readers look at lead to the record? */
static bool is_led_to(const struct k2k_map *map, const struct k2k_lease_key *key, uint32_t index)
{
	return key->away <= k2k_lease_reach(map, key) &&
	       k2k_load_relaxed(k2k_lease_link(map, key)) == index + 1 &&
	       (k2k_load_relaxed(k2k_lease_brokers(map, key)) &
	        k2k_slot_bit(map, key->broker_slot));
}

/*
 * A row must lead to a living broker's lease. A dead broker's lease counts nothing, and neither
 * does an idle one.
 */
static void check_living_lease(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_lease *lease = &map->leases[index];
	struct k2k_lease_key key = k2k_lease_key_of(k2k_load_relaxed(&lease->whose),
	                                            k2k_load_relaxed(&lease->gen));

	/* a repair has set the record aside until its token has passed */
	if (k2k_load_relaxed(&lease->incarnation) != 0 &&
	    k2k_load_relaxed(&lease->incarnation) <= k2k_load_relaxed(&map->defs->grace_token))
		return;
	if (k2k_load_relaxed(&lease->use) & 1)
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u is live but marked as being filled", index);
	if (!has_tenant(verify, &key)) {
		k2k_verify_report(verify, "I2", "leases", "record %u belongs to no tenant", index);
		return;
	}
	if (key.broker_slot >= map->sizes.slots) {
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u names a broker slot that does not exist", index);
		return;
	}
	if (!is_led_to(map, &key, index))
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u is live, but %s %u has no link to it", index,
		                  key.reservation ? "ledger record" : "tenant slot", key.of);
	if (k2k_load_relaxed(&lease->moving) > 1 ||
	    (!key.reservation && k2k_load_relaxed(&lease->moving)))
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u: the mark of a commit is wrong", index);
	if (!is_in_place(verify, key.broker_slot, k2k_entry_above(k2k_load_relaxed(&lease->state))))
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u does not belong to the broker in slot %u", index,
		                  key.broker_slot);
	if (k2k_load_relaxed(&lease->incarnation) !=
	    k2k_entry_above(k2k_load_relaxed(&lease->state)))
		k2k_verify_report(verify, "I4", "leases",
		                  "record %u has the counters of another owner", index);
}

static void check_lease(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_shm_lease *lease = &verify->map->leases[index];
	uint64_t word = k2k_load_relaxed(&lease->state);

	switch (k2k_entry_state(word)) {
	case K2K_ENTRY_FREE:
		if (k2k_entry_above(word))
			k2k_verify_report(verify, "I4", "leases",
			                  "record %u is free but has an owner", index);
		break;
	case K2K_ENTRY_LIVE:
		if (k2k_liveness_alive(verify->liveness, k2k_entry_above(word)))
			check_living_lease(verify, index);
		k2k_verify_claim(verify, "leases", index, word);
		break;
	case K2K_ENTRY_CLAIMED: k2k_verify_claim(verify, "leases", index, word); break;
	default:
		for (int r = 0; r < K2K_RESOURCES; r++)
			if (k2k_load_relaxed(&lease->claims[r].held) ||
			    k2k_load_relaxed(&lease->claims[r].asked) !=
			            k2k_load_relaxed(&lease->claims[r].ended))
				k2k_verify_report(verify, "I4", "leases",
				                  "record %u is idle, but holds something", index);
		k2k_verify_claim(verify, "leases", index, word);
	}
}

/* `name` and `number` say which row it is. */
static void check_row(struct k2k_verify *verify, uint32_t row, const k2k_u64 *brokers,
                      const char *name, uint32_t number)
{
	const struct k2k_map *map = verify->map;

	if (k2k_load_relaxed(brokers) & ~k2k_slot_bits(map))
		k2k_verify_report(verify, "I4", "leases",
		                  "%s %u: its leases name brokers that have no slot", name, number);
	for (uint32_t i = 0; i < map->sizes.slots; i++)
		if (k2k_load_relaxed(k2k_map_lease_link(map, row, i)) > map->sizes.leases)
			k2k_verify_report(verify, "I4", "leases",
			                  "%s %u: the link of broker slot %u points outside "
			                  "the table",
			                  name, number, i);
}

static void check_reserve_row(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_reserve_row *row = &map->reserve_rows[index];

	check_row(verify, map->sizes.tenants + index, &row->brokers, "reservation row", index);
	if (k2k_load_relaxed(&row->reach) > K2K_RESERVE_REACH)
		k2k_verify_report(verify, "I4", "leases",
		                  "reservation row %u reaches farther than any can", index);
	k2k_verify_reserved(verify, "leases", index, &row->reserved, sizeof(row->reserved));
}

static void check_leases(struct k2k_verify *verify)
{
	struct k2k_pool pool = k2k_lease_pool(verify->map);

	for (uint32_t i = 0; i < verify->map->sizes.tenants; i++)
		check_row(verify, i, &verify->map->cells[i].lease_brokers, "tenant slot", i);
	for (uint32_t i = 0; i <= verify->map->reserve_mask; i++)
		check_reserve_row(verify, i);
	for (uint32_t i = 0; i < pool.capacity; i++) {
		check_mark(verify, &pool, "leases", i);
		check_lease(verify, i);
	}
	k2k_verify_reserved(verify, "leases", 0, &verify->map->live->lease_pool.freed,
	                    sizeof(verify->map->live->lease_pool.freed));
	k2k_verify_reserved(verify, "leases", 0, &verify->map->live->lease_pool.writer_hint,
	                    sizeof(verify->map->live->lease_pool.writer_hint));
	k2k_verify_reserved(verify, "leases", 0, verify->map->live->reserved1,
	                    sizeof(verify->map->live->reserved1));
}

/* ---- cells -------------------------------------------------------------------------------- */

static void check_holding(struct k2k_verify *verify, const struct k2k_lease_key *key,
                          const struct k2k_holding *h)
{
	/*
	 * relaxed: only compared. A free record holds nothing, whatever its last owner left in it.
	 */
	if (k2k_entry_state(k2k_load_relaxed(&verify->map->leases[h->index].state)) ==
	    K2K_ENTRY_FREE)
		return;
	for (int r = 0; r < K2K_RESOURCES; r++) {
		uint64_t wanted = h->asked[r] - h->ended[r];

		if (h->held[r] > wanted)
			k2k_verify_report(verify, "I4", "leases",
			                  "broker slot %u holds %" PRIu64
			                  " of %s %u, but asked for %" PRIu64,
			                  h->broker_slot, h->held[r],
			                  key->reservation ? "ledger record" : "tenant slot",
			                  key->of, wanted);
	}
}

static void check_holdings(struct k2k_verify *verify, const struct k2k_lease_key *key)
{
	struct k2k_lease_walk walk;
	struct k2k_holding holding;

	k2k_lease_walk(&walk, verify->map, key);
	while (k2k_lease_next(&walk, &holding))
		check_holding(verify, key, &holding);
	if (walk.code)
		k2k_verify_report(verify, "I4", "leases", "%s %u: %.100s",
		                  key->reservation ? "ledger record" : "slot", key->of,
		                  k2k_error_detail()->text);
}

static void check_reservations(struct k2k_verify *verify)
{
	const struct k2k_map *map = verify->map;

	for (uint32_t i = 0; i < map->sizes.engagements; i++) {
		const struct k2k_shm_entry *entry = &map->ledger[i].entry;
		struct k2k_lease_key key = k2k_lease_of_engagement(i,
		                                                   k2k_load_relaxed(&entry->gen));

		if (k2k_entry_state(k2k_load_relaxed(&entry->state)) == K2K_ENTRY_LIVE &&
		    k2k_lease_any_reserved(map, i))
			check_holdings(verify, &key);
	}
}

/* What was reported of a tenant's rate and leases names a second that has begun. */
static void check_alerts(struct k2k_verify *verify, uint32_t slot)
{
	struct k2k_shm_cell_cold *cold = &verify->map->cells_cold[slot];
	const k2k_u64 *words[] = { &cold->alert_rate, &cold->alert_kernels,
		                   &cold->alert_gpu_memory };

	for (size_t i = 0; i < K2K_COUNT_OF(words); i++) {
		/* observe[alert-word]: the clock of its writer */
		uint64_t word = k2k_load_acquire(words[i]);

		k2k_verify_alert(verify, "cells", slot, word,
		                 k2k_clock_exact(verify->clock).second + K2K_RATE_SECONDS_AHEAD);
	}
}

static void check_cell(struct k2k_verify *verify, uint32_t slot)
{
	const struct k2k_map *map = verify->map;
	uint64_t word = k2k_load_relaxed(&map->tenants[slot].state_gen);
	struct k2k_lease_key key = k2k_lease_of_tenant(slot, k2k_tenant_generation(word));
	enum k2k_tenant_state state = k2k_tenant_state(word);
	struct k2k_rate_view view;

	k2k_verify_reserved(verify, "cells", slot, map->cells[slot].reserved,
	                    sizeof(map->cells[slot].reserved));
	k2k_verify_reserved(verify, "cells", slot, map->cells_cold[slot].reserved,
	                    sizeof(map->cells_cold[slot].reserved));
	if (state != K2K_TENANT_LIVE && state != K2K_TENANT_RETIRED)
		return;
	if (k2k_load_relaxed(&map->cells[slot].sought) > 1)
		k2k_verify_report(verify, "layout", "cells",
		                  "slot %u: the flag of sources is neither 0 nor 1", slot);
	if (k2k_load_relaxed(&map->cells[slot].has_costs) > 1)
		k2k_verify_report(verify, "layout", "cells",
		                  "slot %u: the flag of costs is neither 0 nor 1", slot);
	if (state != K2K_TENANT_LIVE)
		return;
	check_alerts(verify, slot);
	switch (k2k_rate_verify(map, slot, verify->clock, &view)) {
	case K2K_RATE_AHEAD:
		k2k_verify_report(verify, "I3", "cells",
		                  "slot %u: its rate window is second %" PRIu64
		                  ", which is in the future",
		                  slot, k2k_rate_second(view.found.window));
		break;
	case K2K_RATE_ABOVE:
		k2k_verify_report(verify, "I3", "cells",
		                  "slot %u: its rate window began with message %" PRIu64
		                  ", which has not come",
		                  slot, view.found.ceiling);
		break;
	case K2K_RATE_SPLIT:
		k2k_verify_report(verify, "I3", "cells",
		                  "slot %u: label, bit and source of its opening contradict each "
		                  "other, or the clock",
		                  slot);
		break;
	case K2K_RATE_SOUND: break;
	}
	check_holdings(verify, &key);
}

/* ---- broker slots ---------------------------------------------------------------------------- */

static void check_slot(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_slot *slot = &map->slots[index];
	/* observe[grace-ack]: loaded first, so that the token below is newer */
	uint64_t ack = k2k_load_acquire(&slot->ack);
	/* observe[slot-owner]: only compared, so an old value does no harm */
	uint64_t owner = k2k_load_acquire(&slot->owner);
	/* observe[grace-token]: only compared */
	uint64_t token = k2k_load_acquire(&map->defs->grace_token);
	uint32_t state = k2k_load_relaxed(&slot->state);

	if (ack > token)
		k2k_verify_report(verify, "I2", "brokers",
		                  "slot %u has acknowledged grace period %" PRIu64
		                  ", which has not begun",
		                  index, ack);
	if (owner != 0 && (owner < K2K_LOCK_BYTE_LIFE_MIN || owner >= K2K_LOCK_BYTE_LIFE_MAX))
		k2k_verify_report(verify, "I6", "brokers",
		                  "slot %u has owner %" PRIu64 ", which can't exist", index, owner);
	if (state > K2K_SLOT_ACTIVE)
		k2k_verify_report(verify, "layout", "brokers", "slot %u has the unknown state %u",
		                  index, state);
	else if (state == K2K_SLOT_UNUSED && k2k_liveness_alive(verify->liveness, owner))
		k2k_verify_report(
			verify, "I2", "brokers",
			"slot %u belongs to a living broker, but no grace period waits for it",
			index);
	k2k_verify_reserved(verify, "brokers", index, slot->reserved0, sizeof(slot->reserved0));
	k2k_verify_reserved(verify, "brokers", index, slot->reserved1, sizeof(slot->reserved1));
	if (k2k_load_relaxed(&slot->death_reported) != 0 &&
	    (k2k_load_relaxed(&slot->death_reported) < K2K_LOCK_BYTE_LIFE_MIN ||
	     k2k_load_relaxed(&slot->death_reported) >= K2K_LOCK_BYTE_LIFE_MAX))
		k2k_verify_report(verify, "layout", "brokers",
		                  "slot %u: the incarnation whose death was reported can't exist",
		                  index);
	k2k_verify_reserved(verify, "brokers", index, slot->reserved2, sizeof(slot->reserved2));
	k2k_verify_reserved(verify, "brokers", index, slot->reserved3, sizeof(slot->reserved3));
}

/* ---- sources and shares ---------------------------------------------------------------------- */

static void check_source(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_source *source = &map->sources[index];
	uint32_t slot;

	switch (k2k_hot_owner_of(map, index, &slot)) {
	case K2K_HOT_UNSEEN:
		k2k_verify_report(verify, "layout", "cells",
		                  "slot %u has a source of shares, but not the flag", slot);
		break;
	case K2K_HOT_LOST:
		k2k_verify_report(verify, "I2", "cells", "source %u belongs to no tenant", index);
		break;
	case K2K_HOT_OWNED:
	case K2K_HOT_FREE: break;
	}
	k2k_verify_reserved(verify, "cells", index, source->reserved, sizeof(source->reserved));
	for (uint32_t i = 0; i < map->sizes.slots; i++) {
		const struct k2k_shm_share *share = k2k_hot_share(map, index, i);

		k2k_verify_reserved(verify, "cells", index, share->reserved,
		                    sizeof(share->reserved));
	}
}

void k2k_verify_live(struct k2k_verify *verify)
{
	for (uint32_t i = 0; i < verify->map->sizes.sources; i++)
		check_source(verify, i);
	check_costs(verify);
	for (uint32_t i = 0; i < verify->map->sizes.budgets; i++)
		check_period(verify, i);
	check_leases(verify);
	check_reservations(verify);
	for (uint32_t i = 0; i < verify->map->sizes.tenants; i++)
		check_cell(verify, i);
	for (uint32_t i = 0; i < verify->map->sizes.slots; i++)
		check_slot(verify, i);
}
