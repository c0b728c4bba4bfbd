/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tenants.h - tenants with their budgets and GPU time, and the form in which list, show and every
 * change print them
 */
#ifndef K2K_TENANTCTL_TENANTS_H
#define K2K_TENANTCTL_TENANTS_H

#include <json-c/json_object.h>

#include "ctl.h"

/* Limits that are one for all hosts of a fleet. */
enum { FLEET_RATE = 1, FLEET_KERNELS = 2, FLEET_GPU_MEMORY = 4 };

struct tenant {
	struct k2k_tenant_info info;
	uint32_t fleet;                     /* in definitions of a fleet: FLEET_... */
	uint64_t gpu_ns_total, reserved_ns; /* of all engagements; they saturate */
	int64_t corrected_ns;               /* the same */
	size_t first_budget, budget_count;  /* in struct tenants' budgets */
};

struct tenants {
	struct tenant *rows; /* in the order of the ids given */
	size_t count;
	/*
	 * how many of them are corrupt: what can't be read is 0, and each is reported as a failure
	 */
	size_t damaged;
	struct k2k_budget_info *budgets; /* by tenant, then engagement */
	size_t budget_count;
};

/*
 * Reads these tenants. A tenant that is not registered is left out, and reported as a failure
 * unless `skip_missing`. Returns 0, or the exit code if there is nothing to print.
 */
int tenants_load(struct ctl *ctl, struct k2k_registry *reg, const k2k_tenant_id *ids, size_t count,
                 bool skip_missing, struct tenants *tenants);
/* The same for all tenants, by id. A tenant that is deregistered meanwhile is left out. */
int tenants_load_all(struct ctl *ctl, struct k2k_registry *reg, struct tenants *tenants);
void tenants_free(struct tenants *tenants);

/* One row per tenant, as in `list`, or one block, as in `show`. JSON and csv are always alike. */
void tenants_print(struct ctl *ctl, const struct tenants *tenants, bool blocks);

/* What `apply` did. */
struct applied {
	size_t registered, updated, deregistered, unchanged;
	const struct k2k_tenant_totals *totals; /* of the deregistered tenants */
};
/* The tenants that `apply` changed, as `list` prints them; in JSON, `applied` next to them. */
void tenants_print_applied(struct ctl *ctl, const struct tenants *tenants,
                           const struct applied *applied);

/* Only the limits of one tenant, as the only row. After a K2K_E... code, *tenants is empty. */
int tenants_load_limits(struct k2k_registry *reg, k2k_tenant_id id, struct tenants *tenants);
/*
 * What a change prints in JSON and csv: the tenants as `show` prints them, with `differences` next
 * to them unless it is null.
 */
void tenants_print_changed(struct ctl *ctl, const struct tenants *tenants,
                           json_object *differences);

/*
 * Deregisters these tenants and waits for their totals; *done of them are in `totals` afterwards.
 * Reports each failure, and returns 0 or an exit code. *reg may be another handle afterwards, or
 * null.
 */
int tenants_deregister(struct ctl *ctl, struct k2k_registry **reg, const k2k_tenant_id *ids,
                       size_t count, struct k2k_tenant_totals *totals, size_t *done);
/* Prints the totals of deregistered tenants. */
void totals_print(struct ctl *ctl, const struct k2k_tenant_totals *totals, size_t count);

#endif
