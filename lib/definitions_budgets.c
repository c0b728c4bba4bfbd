/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definitions.h"

#include <errno.h>
#include <stdlib.h>

#include "budget.h"
#include "ledger.h"
#include "recover.h"

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

static int add_budget(struct k2k_change *change, uint64_t since, const struct k2k_budget *budget)
{
	struct k2k_registry *reg = change->reg;
	/* asked before the tables are searched: the next attempt finds what is freed after this */
	bool waiting = something_comes_back(reg);
	struct k2k_hash_key key = key_of(change, budget->engagement_id);
	struct k2k_list free_list = k2k_budget_free_list(&reg->map);
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
	return k2k_budget_add(&reg->map, &key, since, budget->budget_ns, record);
}

/* Adds to *by the change in the number of the tenant's budgets. */
static int change_one(struct k2k_change *change, uint64_t version, struct k2k_given_budget *given,
                      int64_t *by)
{
	const struct k2k_map *map = &change->reg->map;
	const struct k2k_budget *budget = &given->budget;
	bool unset = budget->budget_ns == K2K_UNLIMITED;
	struct k2k_hash_key key = key_of(change, budget->engagement_id);
	uint32_t index;
	int code = k2k_budget_find(map, &key, version - 1, &index);
	bool found = code == 0;

	if (code && code != K2K_HASH_ABSENT)
		return code;
	/* relaxed: only the writer, us, changes budgets */
	if (found ? !unset && k2k_load_relaxed(&map->budgets[index].budget_ns) == budget->budget_ns
	          : unset)
		return 0;
	if (!unset) {
		code = add_budget(change, version, budget);
		if (code)
			return code;
		(*by)++;
	}
	if (found) {
		k2k_budget_end(map, index, version);
		given->ended = index + 1;
		(*by)--;
	}
	given->changed = true;
	change->changed |= K2K_UPDATE_BUDGETS;
	return 0;
}

static void set_budget_count(struct k2k_change *change, int64_t by)
{
	struct k2k_shm_tenant *tenant = &change->reg->map.tenants[change->slot];
	k2k_u32 *count = &change->reg->map.tenants_cold[change->slot].budget_count;

	/* relaxed, all: under the writer's lock; the version, or LIVE, publishes the flag */
	k2k_store_relaxed(count, (uint32_t)((int64_t)k2k_load_relaxed(count) + by));
	if (by > 0)
		k2k_store_relaxed(&tenant->flags,
		                  k2k_load_relaxed(&tenant->flags) | K2K_DEF_HAS_BUDGETS);
}

int k2k_change_budgets(struct k2k_change *change, uint64_t version)
{
	int64_t by = 0;
	int code = 0;

	k2k_assert_writer(&change->reg->writer);
	for (uint32_t i = 0; !code && i < change->budget_count; i++)
		code = change_one(change, version, &change->budgets[i], &by);
	if (!code && by)
		set_budget_count(change, by);
	return code;
}

int k2k_change_retire_ended(struct k2k_change *change)
{
	const struct k2k_map *map = &change->reg->map;
	uint64_t token = k2k_grace_next(map);
	bool stamped = false;
	int code = 0;

	for (uint32_t i = 0; !code && i < change->budget_count; i++)
		if (change->budgets[i].ended) {
			code = k2k_budget_retire(map, change->budgets[i].ended - 1, token);
			stamped = true;
		}
	if (stamped && !code)
		k2k_grace_publish(map, token);
	return code;
}
