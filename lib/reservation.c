/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reservation.h"

#include "budget_use.h"
#include "k2k/registry.h"
#include "ledger.h"

/*
 * The budget that is in force. If its version is the one that *bound has already, nothing has
 * changed.
 */
static int budget_bound(const struct k2k_map *map, const struct k2k_lease_request *request,
                        struct k2k_bound *bound)
{
	const struct k2k_hash_key key = { request->key.generation, request->engagement,
		                          request->tenant };
	k2k_u64 *select = &map->tenants[request->tenant].select;
	/* observe[tenant-select]: the budgets of that version */
	uint64_t version = K2K_SELECT_VERSION(k2k_load_acquire(select));

	while (bound->version != version) {
		uint32_t index;
		int code = k2k_budget_find(map, &key, version, &index);

		if (code && code != K2K_HASH_ABSENT)
			return code;
		bound->index = code ? 0 : (uint64_t)index + 1;
		/* relaxed: published with the link */
		bound->limit = code ? K2K_UNLIMITED
		                    : k2k_load_relaxed(&map->budgets[index].budget_ns);
		bound->version = version;
		/*
		 * fence[tenant-select] with that of k2k_tenant_prepare(): a walk that missed a
		 * budget because it was unlinked after the next version sees that version here
		 */
		k2k_fence_acquire();
		/* relaxed: ordered by the fence */
		version = K2K_SELECT_VERSION(k2k_load_relaxed(select));
	}
	return 0;
}

/* What is used of the budget, in its period if it renews; of no budget: what is booked. */
static uint64_t used_of(const struct k2k_map *map, const struct k2k_lease_request *request,
                        const struct k2k_bound *bound, uint64_t *rest_ns)
{
	const struct k2k_hash_key key = { request->key.generation, request->engagement,
		                          request->tenant };
	struct k2k_budget_view view;

	*rest_ns = K2K_NEVER_NS;
	if (bound->index && k2k_budget_view(map, &key, (uint32_t)bound->index - 1, &view) == 0)
		return k2k_budget_used(
			&view, view.period ? k2k_clock_wall_exact_ns(request->clock) : 0, rest_ns);
	/* relaxed: a number; an acquire fence follows */
	return k2k_load_relaxed(&map->ledger[request->key.of].cost_ns);
}

static uint64_t budget_booked(const struct k2k_map *map, const struct k2k_lease_request *request,
                              const struct k2k_bound *bound)
{
	uint64_t rest_ns;

	return used_of(map, request, bound, &rest_ns);
}

uint64_t k2k_reservation_rest_ns(const struct k2k_map *map, const struct k2k_lease_request *request)
{
	struct k2k_bound bound = { 0 };
	uint64_t rest_ns = K2K_NEVER_NS;

	if (budget_bound(map, request, &bound) == 0)
		used_of(map, request, &bound, &rest_ns);
	return rest_ns;
}

int k2k_reservation_busy(const struct k2k_map *map, const struct k2k_lease_request *request)
{
	struct k2k_lease_walk walk;
	struct k2k_holding h;
	uint64_t pid = 0;

	k2k_lease_walk(&walk, map, &request->key);
	while (k2k_lease_next(&walk, &h))
		/* relaxed, both: for diagnostics */
		if (k2k_load_relaxed(&map->leases[h.index].moving))
			pid = k2k_load_relaxed(&map->slots[h.broker_slot].pid);
	return k2k_fail_pid(K2K_EBUSY, "leases", pid,
	                    "a commit of process %llu is in the way: is it stopped?",
	                    (unsigned long long)pid);
}

void k2k_reservation_request(const struct k2k_clock *clock, const struct k2k_hash_key *key,
                             uint32_t ledger, uint64_t amount, struct k2k_lease_request *request)
{
	*request = (struct k2k_lease_request){
		.key = k2k_lease_of_engagement(ledger, key->gen),
		.resource = K2K_RESOURCE_GPU_TIME,
		.amount = amount,
		.bound = budget_bound,
		.booked = budget_booked,
		.tenant = key->slot,
		.engagement = key->key,
		.clock = clock,
	};
}
