/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "budget_use.h"

#include "delay.h"
#include "k2k/registry.h"
#include "ledger.h"
#include "period.h"

uint64_t k2k_budget_used(const struct k2k_budget_view *view, uint64_t wall_ns, uint64_t *rest_ns)
{
	uint64_t hour = k2k_period_hour(wall_ns), begin;
	struct k2k_period_copy copy;

	*rest_ns = K2K_NEVER_NS;
	if (!view->period)
		return k2k_ledger_corrected(view->cost);
	k2k_period_view(view->period, &view->cost->cost_ns, view->every, hour, &copy);
	begin = k2k_period_begin(copy.word);
	/* a clock that was set back may be before the begin */
	*rest_ns = k2k_sat_sub(k2k_period_end_ns(view->every, begin > hour ? begin : hour),
	                       wall_ns);
	return copy.used;
}

void k2k_budget_renew_now(const struct k2k_map *map, const struct k2k_clock *clock,
                          const struct k2k_hash_key *key)
{
	const k2k_u64 *select = &map->tenants[key->slot].select;
	struct k2k_budget_view view;
	uint64_t version;
	int code;

	do {
		/* observe[tenant-select]: the budgets of this version */
		version = K2K_SELECT_VERSION(k2k_load_acquire(select));
		code = k2k_budget_look(map, key, version, &view);
		/* a walk can miss a budget of a version that is over: see k2k_message_budget() */
		k2k_fence_acquire();
		/* relaxed: ordered by the fence */
	} while (K2K_SELECT_VERSION(k2k_load_relaxed(select)) != version);
	/* if the budget is damaged, the time is booked all the same */
	if (code == 0 && view.period)
		k2k_period_renew(view.period, &view.cost->cost_ns, view.every,
		                 k2k_period_hour(k2k_clock_wall_ns(clock)));
	K2K_DELAY(renewed);
}
