/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tenants with their budgets and GPU time, and the one form in which list, show and every change
 * print them.
 */
#ifndef K2K_TENANTCTL_TENANTS_H
#define K2K_TENANTCTL_TENANTS_H

#include <json-c/json_object.h>

#include "ctl.h"

struct tenant {
	struct k2k_tenant_info info;
	uint64_t gpu_ns_total;
	size_t first_budget, budget_count; /* in struct tenants' budgets */
};

struct tenants {
	struct tenant *rows; /* in the order of the ids asked for */
	size_t count;
	/* of them: 0 stands for what could not be told; each is told as a failure */
	size_t damaged;
	struct k2k_budget_info *budgets; /* by tenant, then engagement */
	size_t budget_count;
};

/*
 * Reads the tenants named. One that is not registered is left out, and told as a
 * failure unless `skip_missing` is set. Returns 0, or the exit code where there
 * is nothing to print.
 */
int tenants_load(struct ctl *ctl, struct k2k_registry *reg, const k2k_tenant_id *ids, size_t count,
                 bool skip_missing, struct tenants *tenants);
/* The same of all tenants, by id. One that is deregistered meanwhile is left out. */
int tenants_load_all(struct ctl *ctl, struct k2k_registry *reg, struct tenants *tenants);
void tenants_free(struct tenants *tenants);

/* As `list`: a line each. As `show`: a block each. JSON and csv are the same in both. */
void tenants_print(struct ctl *ctl, const struct tenants *tenants, bool blocks);

/* What apply did: how many, with the totals of what was deregistered. */
struct applied {
	size_t registered, updated, deregistered, unchanged;
	const struct k2k_tenant_totals *totals;
};
/* The tenants that apply changed, as `list` has them, and in JSON the rest beside them. */
void tenants_print_applied(struct ctl *ctl, const struct tenants *tenants,
                           const struct applied *applied);

/* Its limits alone, as the only row. Returns a K2K_E... code; *tenants is empty then. */
int tenants_load_limits(struct k2k_registry *reg, k2k_tenant_id id, struct tenants *tenants);
/*
 * What a change prints for programs when it is done: the tenants as `show` has them; `differences`
 * beside them unless it is null.
 */
void tenants_print_changed(struct ctl *ctl, const struct tenants *tenants,
                           json_object *differences);

/*
 * Deregisters each and waits for its totals, which *done of are in `totals` then.
 * Returns 0 or an exit code, each failure told. *reg may be another handle
 * afterwards, or null.
 */
int tenants_deregister(struct ctl *ctl, struct k2k_registry **reg, const k2k_tenant_id *ids,
                       size_t count, struct k2k_tenant_totals *totals, size_t *done);
/* The final totals of what was deregistered. */
void totals_print(struct ctl *ctl, const struct k2k_tenant_totals *totals, size_t count);

#endif
