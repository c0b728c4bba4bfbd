/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definitions.h"

#include <errno.h>
#include <stdlib.h>

#include "budget.h"
#include "ledger.h"
#include "period.h"
#include "recover.h"
#include "watch.h"

_Static_assert((int)K2K_EVERY_HOUR == (int)K2K_RENEWAL_HOUR &&
                       (int)K2K_EVERY_DAY == (int)K2K_RENEWAL_DAY &&
                       (int)K2K_EVERY_WEEK == (int)K2K_RENEWAL_WEEK &&
                       (int)K2K_EVERY_MONTH == (int)K2K_RENEWAL_MONTH,
               "a budget's record has the public number");

static int by_engagement(const void *a, const void *b)
{
	const struct k2k_given_budget *x = a, *y = b;

	if (x->budget.engagement_id != y->budget.engagement_id)
		return x->budget.engagement_id < y->budget.engagement_id ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

int k2k_change_take_budgets(struct k2k_change *change, const struct k2k_quota *quota)
{
	uint32_t count = quota->budget_count;
	struct k2k_given_budget *list;

	if (count == 0)
		return 0;
	list = calloc(count, sizeof(*list));
	if (!list)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "budgets", "no memory for %u budgets",
		                      count);
	for (uint32_t i = 0; i < count; i++) {
		list[i].budget = quota->budgets[i];
		list[i].number = i;
		list[i].renewal = quota->budget_terms ? quota->budget_terms[i].renewal
		                                      : K2K_RENEWAL_KEEP;
		if (list[i].renewal > K2K_RENEWAL_MONTH) {
			free(list);
			return k2k_fail_argument("budget_terms", "an unknown renewal");
		}
	}
	qsort(list, count, sizeof(*list), by_engagement);
	change->budgets = list;
	for (uint32_t i = 0; i < count; i++)
		if (i + 1 == count ||
		    list[i].budget.engagement_id != list[i + 1].budget.engagement_id)
			list[change->budget_count++] = list[i];
	return 0;
}

/* ---- room -------------------------------------------------------------------- */

int k2k_change_full(struct k2k_change *change, const char *table, bool waiting)
{
	struct k2k_mended mended = { .verify = NULL };

	change->full = table;
	if (!waiting && k2k_recover_claims(change->reg, &mended) == 0)
		waiting = mended.engagements > 0; /* killed brokers had claimed some */
	if (!waiting)
		return k2k_fail(K2K_EFULL, table, NULL, "the table of %s is full", table);
	/* relaxed: under the writer's lock */
	change->wait_token = k2k_load_relaxed(&change->reg->map.defs->grace_token);
	return K2K_CHANGE_WAIT;
}

/*
 * True if records will become free: those of retired tenants, retired budgets, or costs that wait
 * for their second grace period.
 */
static bool something_comes_back(const struct k2k_registry *reg)
{
	struct k2k_list tenants = k2k_tenant_retired_list(&reg->map),
			budgets = k2k_budget_retired_list(&reg->map);
	uint32_t behind;

	return k2k_list_count(&tenants) > 0 || k2k_list_count(&budgets) > 0 ||
	       /* relaxed: under the writer's lock */
	       k2k_grace_passed(&reg->grace, &behind) <
	               k2k_load_relaxed(&reg->map.defs->grace_token);
}

static struct k2k_hash_key key_of(const struct k2k_change *change, uint64_t engagement)
{
	return (struct k2k_hash_key){ change->generation, engagement, change->slot };
}

int k2k_change_obtain_record(struct k2k_change *change, uint64_t engagement, uint32_t *record)
{
	struct k2k_registry *reg = change->reg;
	struct k2k_claimer claimer = { K2K_INCARNATION_WRITER, &reg->passed, &reg->ledger_full_at };
	struct k2k_hash_key key = key_of(change, engagement);
	int code = k2k_ledger_obtain(&reg->map, &claimer, &key, record);

	/* damage of other tenants' records must not refuse this change */
	if (code == K2K_ECORRUPT && k2k_mend_now(reg) == 0)
		code = k2k_ledger_obtain(&reg->map, &claimer, &key, record);
	return code;
}

/* ---- budgets ------------------------------------------------------------------- */

/*
 * Gives a new budget its period record: that of the budget that it replaces, if both renew, so that
 * its periods go on; else one whose first period begins now, with nothing used.
 */
static bool give_period(struct k2k_change *change, const struct k2k_shm_budget *before,
                        struct k2k_budget_record *terms)
{
	struct k2k_registry *reg = change->reg;
	uint32_t index;

	/* relaxed: only the writer, us, changes budgets */
	terms->period = before ? k2k_load_relaxed(&before->period) : 0;
	if (terms->period)
		return true;
	if (!k2k_budget_take_period(&reg->map, &index))
		return false;
	terms->period = index + 1;
	/* relaxed: what is booked until the budget is in force counts in its first period */
	k2k_period_reset(&reg->map.periods[index],
	                 k2k_load_relaxed(&reg->map.ledger[terms->ledger - 1].cost_ns),
	                 terms->every, k2k_period_hour(k2k_clock_wall_exact_ns(&reg->clock)));
	return true;
}

static int add_budget(struct k2k_change *change, uint64_t since, const struct k2k_budget *budget,
                      enum k2k_every every, const struct k2k_shm_budget *before)
{
	struct k2k_registry *reg = change->reg;
	/* asked before the tables are searched: the next attempt finds what is freed after this */
	bool waiting = something_comes_back(reg);
	struct k2k_hash_key key = key_of(change, budget->engagement_id);
	struct k2k_list free_list = k2k_budget_free_list(&reg->map);
	struct k2k_budget_record terms = { .budget_ns = budget->budget_ns, .every = every };
	uint32_t record;
	int code;

	/* first, so that a full table of budgets takes no ledger record */
	if (k2k_list_count(&free_list) == 0)
		return k2k_change_full(change, "budgets", waiting);
	code = k2k_change_obtain_record(change, budget->engagement_id, &record);
	if (code == K2K_EFULL)
		return k2k_change_full(change, "engagements", waiting);
	if (code)
		return code;
	terms.ledger = record + 1;
	if (every != K2K_EVERY_NONE && !give_period(change, before, &terms))
		return k2k_change_full(change, "budgets", waiting);
	return k2k_budget_add(&reg->map, &key, since, &terms);
}

/* How often a given budget renews. */
static enum k2k_every every_of(const struct k2k_given_budget *given,
                               const struct k2k_shm_budget *before)
{
	switch (given->renewal) {
	case K2K_RENEWAL_KEEP:
		/* relaxed: only the writer, us, changes budgets */
		return before ? k2k_load_relaxed(&before->every) : K2K_EVERY_NONE;
	case K2K_RENEWAL_NEVER: return K2K_EVERY_NONE;
	default: return given->renewal;
	}
}

/* Adds to *by the change in the number of the tenant's budgets. */
static int change_one(struct k2k_change *change, uint64_t version, struct k2k_given_budget *given,
                      int64_t *by)
{
	const struct k2k_map *map = &change->reg->map;
	const struct k2k_budget *budget = &given->budget;
	bool unset = budget->budget_ns == K2K_UNLIMITED;
	struct k2k_hash_key key = key_of(change, budget->engagement_id);
	const struct k2k_shm_budget *before;
	enum k2k_every every;
	uint32_t index;
	int code = k2k_budget_find(map, &key, version - 1, &index);

	if (code && code != K2K_HASH_ABSENT)
		return code;
	before = code == 0 ? &map->budgets[index] : NULL;
	every = every_of(given, before);
	/* relaxed, here and below: only the writer, us, changes budgets */
	if (before ? !unset && k2k_load_relaxed(&before->budget_ns) == budget->budget_ns &&
	                     k2k_load_relaxed(&before->every) == every
	           : unset)
		return 0;
	if (!unset) {
		code = add_budget(change, version, budget, every, before);
		if (code)
			return code;
		(*by)++;
	}
	if (before) {
		k2k_budget_end(map, index, version);
		given->ended = index + 1;
		given->keeps = !unset && every != K2K_EVERY_NONE &&
		               k2k_load_relaxed(&before->period) != 0;
		(*by)--;
	}
	given->every = unset ? K2K_EVERY_NONE : every;
	given->changed = true;
	change->changed |= K2K_UPDATE_BUDGETS;
	return 0;
}

static void set_budget_count(struct k2k_change *change, int64_t by, uint32_t flags)
{
	k2k_u32 *count = &change->reg->map.tenants_cold[change->slot].budget_count;

	/* relaxed, both: under the writer's lock */
	k2k_store_relaxed(count, (uint32_t)((int64_t)k2k_load_relaxed(count) + by));
	k2k_tenant_add_flags(&change->reg->map, change->slot, flags);
}

int k2k_change_budgets(struct k2k_change *change, uint64_t version)
{
	uint32_t flags = 0;
	int64_t by = 0;
	int code = 0;

	k2k_assert_writer(&change->reg->writer);
	for (uint32_t i = 0; !code && i < change->budget_count; i++) {
		code = change_one(change, version, &change->budgets[i], &by);
		if (change->budgets[i].every != K2K_EVERY_NONE)
			flags |= K2K_DEF_RENEWS;
	}
	if (by > 0)
		flags |= K2K_DEF_HAS_BUDGETS;
	if (!code && (by || flags))
		set_budget_count(change, by, flags);
	return code;
}

int k2k_change_retire_ended(struct k2k_change *change)
{
	const struct k2k_map *map = &change->reg->map;
	uint64_t token = k2k_grace_next(map);
	/* also for who grants elsewhere what a limit was lowered by: see k2k_tenant_update */
	bool stamped = change->lowered;
	int code = 0;

	for (uint32_t i = 0; !code && i < change->budget_count; i++)
		if (change->budgets[i].ended) {
			if (change->budgets[i].keeps)
				k2k_budget_keep_period(map, change->budgets[i].ended - 1);
			code = k2k_budget_retire(map, change->budgets[i].ended - 1, token);
			stamped = true;
		}
	if (stamped && !code)
		k2k_grace_publish(map, token);
	return code;
}

/* ---- thresholds ------------------------------------------------------------------ */

static void watch(const struct k2k_change *change, uint64_t engagement)
{
	struct k2k_hash_key key = key_of(change, engagement);

	k2k_watch_budget(change->reg, change->id, &key, 0);
}

/* New thresholds may be reached by budgets that nobody books any more. */
static void watch_all(const struct k2k_change *change)
{
	const struct k2k_map *map = &change->reg->map;

	for (uint32_t i = 0; i < map->sizes.budgets; i++) {
		const struct k2k_shm_entry *entry = &map->budgets[i].entry;

		/* relaxed, all: only the writer, us, changes budgets */
		if (k2k_entry_state(k2k_load_relaxed(&entry->state)) == K2K_ENTRY_LIVE &&
		    k2k_load_relaxed(&entry->gen) == change->generation)
			watch(change, k2k_load_relaxed(&entry->key));
	}
}

void k2k_change_watch_budgets(const struct k2k_change *change)
{
	k2k_assert_writer(&change->reg->writer);
	if (!k2k_watch_counts(&change->reg->map, change->slot) || change->image)
		return;
	/* relaxed: only the writer, us, changes it */
	if (change->operation == K2K_OP_UPDATE && change->changed & K2K_UPDATE_ALERTS &&
	    k2k_load_relaxed(&change->reg->map.tenants_cold[change->slot].budget_count)) {
		watch_all(change);
		return;
	}
	for (uint32_t i = 0; i < change->budget_count; i++)
		if (change->budgets[i].changed)
			watch(change, change->budgets[i].budget.engagement_id);
}
