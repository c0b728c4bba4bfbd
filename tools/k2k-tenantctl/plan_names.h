/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plan_names.h - names of tenants in a plan, for apply and diff */
#ifndef K2K_TENANTCTL_PLAN_NAMES_H
#define K2K_TENANTCTL_PLAN_NAMES_H

#include "plan.h"

/* Checks that no two tenants have one name afterwards. Returns 0, or the exit code. */
int plan_check_names(struct ctl *ctl, const struct document *d, const struct plan *plan);
/*
 * Before the steps: takes away names that other tenants get, so that names can be swapped. Returns
 * a K2K_E... code, with the tenant's id.
 */
int plan_free_names(struct k2k_registry *reg, const struct document *d, const struct plan *plan,
                    k2k_tenant_id *id);

#endif
