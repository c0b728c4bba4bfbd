/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tenant_change.h - changes of tenants, one after the other: what register, update, budget set and
 * budget unset have in common
 *
 * A table has one line per tenant about what changed; JSON and csv have the tenants as `show`
 * prints them. If the change of one tenant fails, that is reported, and the others are still
 * changed.
 */
#ifndef K2K_TENANTCTL_TENANT_CHANGE_H
#define K2K_TENANTCTL_TENANT_CHANGE_H

#include "rates.h"
#include "tenant_limits.h"

struct change {
	/* Returns a K2K_E... code. */
	int (*call)(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change);
	const struct k2k_quota *quota;
	uint32_t mask; /* K2K_UPDATE_...: which parts of the quota were asked for */
	struct rate_kept kept;
	uint64_t engagement, budget_ns;
	uint32_t renewal; /* of the budget: enum k2k_budget_renewal */
	bool if_missing;
	/* K2K_EEXIST is no failure; differences from what was asked for are reported */
	bool accept_existing;
};

/* Returns the exit code. */
int change_tenants(struct ctl *ctl, const k2k_tenant_id *ids, size_t count,
                   const struct change *change);

/* What a dry run would do with one tenant. A would_call returns a K2K_E... code if that fails. */
struct would {
	const char *action;
	char text[300];
};
typedef int (*would_call)(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change,
                          struct would *would);
int change_dry_run(struct ctl *ctl, const k2k_tenant_id *ids, size_t count,
                   const struct change *change, would_call would_do);

#endif
