/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet.h - what the commands of k2k-fleetctl share: the connection, and its tables */
#ifndef K2K_FLEETCTL_FLEET_H
#define K2K_FLEETCTL_FLEET_H

#include "k2k-tenantctl/columns.h"
#include "k2k-tenantctl/ctl.h"
#include "fleet/db.h"

/* Connects, and checks the schema. Returns 0, or the exit code of a failure it has reported. */
int fleet_open(struct ctl *ctl, struct db *db);
/* The same without a look at the schema. */
int fleet_connect(struct ctl *ctl, struct db *db);
/* Reports the last failure of `db`, and returns the exit code. */
int fleet_fail(struct ctl *ctl, const struct db *db);

int cmd_fleet_init(struct ctl *ctl);
int cmd_fleet_apply(struct ctl *ctl);
int cmd_fleet_diff(struct ctl *ctl);
int cmd_fleet_export(struct ctl *ctl);
int cmd_fleet_list(struct ctl *ctl);
int cmd_fleet_hosts(struct ctl *ctl);
int cmd_fleet_join(struct ctl *ctl);
int cmd_fleet_problems(struct ctl *ctl);
int cmd_fleet_usage(struct ctl *ctl);

enum {
	COL_DEFINITION_TENANT,
	COL_DEFINITION_NAME,
	COL_DEFINITION_RATE,
	COL_DEFINITION_KERNELS,
	COL_DEFINITION_MEMORY,
	COL_DEFINITION_BUDGETS,
	COL_DEFINITION_VERSION,
	COL_DEFINITION_PROBLEMS,
	COL_DEFINITION_COUNT
};
extern const struct table definitions_table;

enum {
	COL_HOST_NAME,
	COL_HOST_ROLE,
	COL_HOST_REGISTRY,
	COL_HOST_VERSION,
	COL_HOST_BEHIND,
	COL_HOST_AGE,
	COL_HOST_PROBLEMS,
	COL_HOST_RUN,
	COL_HOST_EPOCH,
	COL_HOST_COUNT
};
extern const struct table hosts_table;

enum {
	COL_PROBLEM_HOST,
	COL_PROBLEM_TENANT,
	COL_PROBLEM_VERSION,
	COL_PROBLEM_CODE,
	COL_PROBLEM_MESSAGE,
	COL_PROBLEM_COUNT
};
extern const struct table problems_table;

enum {
	COL_BILL_TENANT,
	COL_BILL_GENERATION,
	COL_BILL_ENGAGEMENT,
	COL_BILL_GPU_TIME,
	COL_BILL_CORRECTED,
	COL_BILL_RUNS,
	COL_BILL_OPEN_ENDED,
	COL_BILL_COUNT
};
extern const struct table bill_table;

#endif
