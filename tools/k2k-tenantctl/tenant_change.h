/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tenant_change.h - changes of tenants, one after the other: what register, update and the budgets'
 * commands have in common
 *
 * For people each tenant is one line about what became different; JSON and csv have the tenants as
 * `show` has them. One that fails is told, and the others go on.
 */
#ifndef K2K_TENANTCTL_TENANT_CHANGE_H
#define K2K_TENANTCTL_TENANT_CHANGE_H

#include "tenant_limits.h"

struct change {
	/* Returns a K2K_E... code. */
	int (*call)(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change);
	const struct k2k_quota *quota;
	uint32_t mask; /* K2K_UPDATE_...: what of the quota was asked for */
	uint64_t engagement, budget_ns;
	bool if_missing;
	/* K2K_EEXIST is no failure; where it is not what was asked for, that is told */
	bool accept_existing;
};

/* Returns the exit code. */
int change_tenants(struct ctl *ctl, const k2k_tenant_id *ids, size_t count,
                   const struct change *change);

/*
 * Of a dry run, for each tenant that is there (or not): the action and its text; a code ends up as
 * a failure.
 */
struct would {
	const char *action;
	char text[300];
};
typedef int (*would_call)(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change,
                          struct would *would);
int change_dry_run(struct ctl *ctl, const k2k_tenant_id *ids, size_t count,
                   const struct change *change, would_call would_do);

#endif
