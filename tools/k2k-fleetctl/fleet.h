/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet.h - what the commands of k2k-fleetctl share: the connection, and its tables */
#ifndef K2K_FLEETCTL_FLEET_H
#define K2K_FLEETCTL_FLEET_H

#include "k2k-tenantctl/columns.h"
#include "k2k-tenantctl/ctl.h"
#include "common/units.h"
#include "fleet/db.h"

/* Connects, and checks the schema. Returns 0, or the exit code of a failure it has reported. */
int fleet_open(struct ctl *ctl, struct db *db);
/* The same without a look at the schema. */
int fleet_connect(struct ctl *ctl, struct db *db);
/* Reports the last failure of `db`, and returns the exit code. */
int fleet_fail(struct ctl *ctl, const struct db *db);

/* Says so, if a failover may lose what the database has acknowledged. */
void fleet_note_standby(struct ctl *ctl, struct db *db);

enum { COLUMNS_MOST = 16 }; /* of a table here */
typedef void fill_values(const struct ctl *ctl, const PGresult *result, int row,
                         struct value *values);
/*
 * Runs a query, whose $1 is `parameter`, and prints each of its rows as `fill` makes it; its texts
 * are used until the next row. Returns the exit code.
 */
int list_rows(struct ctl *ctl, const char *sql, const char *parameter, const struct table *table,
              fill_values *fill);
/* The same of bounds, which need a synchronous standby to hold over a failover. */
int list_bounds(struct ctl *ctl, const char *sql, const char *parameter, const struct table *table,
                fill_values *fill);
/*
 * The first `count` columns of a row, as they are. Those that are null have no value; a sum that no
 * u64 can have becomes the highest one.
 */
void fill_row(const PGresult *result, int row, int count, struct value *values);
/*
 * The id of the first argument as a parameter; null without one. False: it is none, and that has
 * been reported.
 */
bool fleet_tenant(struct ctl *ctl, char text[UNITS_TEXT], const char **tenant);

int cmd_fleet_init(struct ctl *ctl);
int cmd_fleet_apply(struct ctl *ctl);
int cmd_fleet_diff(struct ctl *ctl);
int cmd_fleet_export(struct ctl *ctl);
int cmd_fleet_list(struct ctl *ctl);
int cmd_fleet_hosts(struct ctl *ctl);
int cmd_fleet_join(struct ctl *ctl);
int cmd_fleet_problems(struct ctl *ctl);
int cmd_fleet_usage(struct ctl *ctl);
int cmd_fleet_budgets(struct ctl *ctl);
int cmd_fleet_shares(struct ctl *ctl);
int cmd_fleet_forget(struct ctl *ctl);

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

enum {
	COL_FLEET_BUDGET_TENANT,
	COL_FLEET_BUDGET_GENERATION,
	COL_FLEET_BUDGET_ENGAGEMENT,
	COL_FLEET_BUDGET_TOTAL,
	COL_FLEET_BUDGET_DRAWN,
	COL_FLEET_BUDGET_USED,
	COL_FLEET_BUDGET_CHARGED,
	COL_FLEET_BUDGET_FREE,
	COL_FLEET_BUDGET_OVERDRAWN,
	COL_FLEET_BUDGET_WRITTEN_OFF,
	COL_FLEET_BUDGET_COUNT
};
extern const struct table fleet_budgets_table;

enum {
	COL_CHUNK_TENANT,
	COL_CHUNK_GENERATION,
	COL_CHUNK_ENGAGEMENT,
	COL_CHUNK_HOST,
	COL_CHUNK_STATE,
	COL_CHUNK_DRAWN,
	COL_CHUNK_USED,
	COL_CHUNK_CHARGED,
	COL_CHUNK_WRITTEN_OFF,
	COL_CHUNK_RUN,
	COL_CHUNK_COUNT
};
extern const struct table chunks_table;

enum {
	COL_FORGOTTEN_TENANT,
	COL_FORGOTTEN_ENGAGEMENT,
	COL_FORGOTTEN_RUN,
	COL_FORGOTTEN_DRAWN,
	COL_FORGOTTEN_REPORTED,
	COL_FORGOTTEN_WRITTEN_OFF,
	COL_FORGOTTEN_KIND,
	COL_FORGOTTEN_SHARE,
	COL_FORGOTTEN_COUNT
};
extern const struct table forgotten_table;

enum {
	COL_FLEET_LIMIT_TENANT,
	COL_FLEET_LIMIT_GENERATION,
	COL_FLEET_LIMIT_KIND,
	COL_FLEET_LIMIT_TOTAL,
	COL_FLEET_LIMIT_GRANTED,
	COL_FLEET_LIMIT_FREE,
	COL_FLEET_LIMIT_EXCESS,
	COL_FLEET_LIMIT_WRITTEN_OFF,
	COL_FLEET_LIMIT_ALONE,
	COL_FLEET_LIMIT_BOUND,
	COL_FLEET_LIMIT_ANY_SECOND,
	COL_FLEET_LIMIT_COUNT
};
extern const struct table fleet_limits_table;

enum {
	COL_SHARE_TENANT,
	COL_SHARE_GENERATION,
	COL_SHARE_KIND,
	COL_SHARE_HOST,
	COL_SHARE_STATE,
	COL_SHARE_AMOUNT,
	COL_SHARE_HELD,
	COL_SHARE_LEASE_AGE,
	COL_SHARE_LEASE,
	COL_SHARE_RUN,
	COL_SHARE_COUNT
};
extern const struct table shares_table;

#endif
