/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plan_carry_out.c - one step of a plan: the only part of it that changes the registry */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

static void quota_of(const struct entry *e, const struct limit_changes *changes,
                     struct k2k_budget *budgets, struct k2k_budget_terms *terms,
                     struct k2k_quota *quota)
{
	*quota = (struct k2k_quota){
		.size = sizeof(*quota),
		.max_gpu_memory_bytes = e->gpu_memory_bytes,
		.max_concurrent_kernels = e->kernels,
		.name = e->name[0] ? e->name : NULL,
		.shadow = e->shadow,
		.budgets = budgets,
		.budget_terms = terms,
	};
	rate_into_quota(e->rate, quota);
	memcpy(quota->alerts, e->alerts, sizeof(quota->alerts));
	for (size_t i = 0; i < changes->count; i++)
		if (changes->list[i].limit == LIMIT_BUDGET) {
			terms[quota->budget_count].renewal = changes->list[i].renewal_after;
			budgets[quota->budget_count++] = (struct k2k_budget){
				changes->list[i].engagement, changes->list[i].after
			};
		}
}

int plan_carry_out_as(struct k2k_registry *reg, const struct plan *plan, const struct document *d,
                      const struct step *s, uint64_t generation, uint64_t now_ns)
{
	struct limit_changes changes;
	struct k2k_budget *budgets;
	struct k2k_budget_terms *terms;
	struct k2k_quota quota;
	int code;

	plan_changes(plan, d, s, &changes);
	budgets = check_memory(calloc(changes.count + 1, sizeof(*budgets)));
	terms = check_memory(calloc(changes.count + 1, sizeof(*terms)));
	quota_of(s->entry, &changes, budgets, terms, &quota);
	if (s->action == UPDATE) {
		code = k2k_tenant_update(reg, s->entry->id, &quota, limits_mask(&changes));
	} else if (generation) {
		code = k2k_tenant_restore(reg, &(const struct k2k_tenant_image){
						       .size = sizeof(struct k2k_tenant_image),
						       .id = s->entry->id,
						       .generation = generation,
						       .registered_at_ns = now_ns,
						       .quota = &quota });
	} else {
		code = k2k_tenant_register(reg, s->entry->id, &quota);
	}
	free(budgets);
	free(terms);
	limits_free(&changes);
	return code;
}

int plan_carry_out(struct k2k_registry *reg, const struct plan *plan, const struct document *d,
                   const struct step *s)
{
	return plan_carry_out_as(reg, plan, d, s, 0, 0);
}
