/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "message_budget.h"

#include "budget.h"
#include "budget_use.h"
#include "reservation.h"
#include "tenant.h"

static void ask_view(const struct k2k_clock *clock, const struct k2k_budget_view *view,
                     struct k2k_budget_answer *answer)
{
	answer->limit = view->limit_ns;
	answer->used = k2k_budget_used(view, k2k_clock_wall_ns(clock), &answer->rest_ns);
	/*
	 * A refusal holds only if the precise clock, read before the pair, shows no later period:
	 * who waits for rest_ns and tries again is in the next one.
	 */
	if (view->period && answer->used >= answer->limit)
		answer->used = k2k_budget_used(view, k2k_clock_wall_exact_ns(clock),
		                               &answer->rest_ns);
	answer->code = answer->used >= answer->limit ? K2K_EBUDGET : 0;
}

struct k2k_budget_answer k2k_message_budget(const struct k2k_registry *reg,
                                            const struct k2k_hash_key *key, uint64_t version)
{
	const struct k2k_map *map = &reg->map;
	struct k2k_budget_answer answer = { .limit = K2K_UNLIMITED, .rest_ns = K2K_NEVER_NS };
	struct k2k_budget_view view;

	answer.code = k2k_budget_look(map, key, version, &view);
	if (answer.code == K2K_HASH_ABSENT) {
		answer.code = 0;
	} else if (!answer.code) {
		ask_view(&reg->clock, &view, &answer);
		answer.ledger = (uint32_t)(view.cost - map->ledger);
	}
	/*
	 * A budget is unlinked right after the version is raised, so a walk can miss a budget of
	 * the old version. That walk sees the new version here: the fence keeps this load after the
	 * walk, and is paired with fence[tenant-select] in k2k_tenant_prepare().
	 */
	k2k_fence_acquire();
	/* relaxed: ordered by the fence */
	if (K2K_SELECT_VERSION(k2k_load_relaxed(&map->tenants[key->slot].select)) != version)
		answer.code = K2K_DECIDE_AGAIN;
	return answer;
}

struct k2k_budget_answer k2k_message_reserved(const struct k2k_registry *reg,
                                              const struct k2k_hash_key *key, uint64_t version,
                                              uint32_t ledger)
{
	struct k2k_liveness *liveness = (struct k2k_liveness *)&reg->liveness; /* a cache */
	struct k2k_lease_request request;
	struct k2k_budget_answer answer = { 0 };

	k2k_reservation_request(&reg->clock, key, ledger, 1, &request);
	answer.code = k2k_lease_peek(&reg->map, liveness, &request, &answer.used, &answer.limit);
	if (answer.code == K2K_LEASE_AT_LIMIT)
		answer.code = K2K_EBUDGET;
	else if (answer.code == K2K_LEASE_AGAIN)
		answer.code = k2k_reservation_busy(&reg->map, &request);
	/* it has answered for the budget that is in force now; the mode is that of `version` */
	k2k_fence_acquire();
	/* relaxed: ordered by the fence */
	if (K2K_SELECT_VERSION(k2k_load_relaxed(&reg->map.tenants[key->slot].select)) != version)
		answer.code = K2K_DECIDE_AGAIN;
	return answer;
}
