/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * columns.h - the columns of the tables that commands list
 *
 * Each listing has one enum and one table of fields. Everything that names a column reads them: the
 * output (output.c), --columns, --sort and --filter (view.c), completion, help and the manual
 * pages. A new column needs a line in its enum, one in its table in columns.c, and a value in the
 * command that lists it.
 */
#ifndef K2K_TENANTCTL_COLUMNS_H
#define K2K_TENANTCTL_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kind {                 /* in JSON           in csv    in a table   */
	    KIND_TEXT,      /* string, or null   text      text         */
	    KIND_ID,        /* decimal string    decimal   decimal      */
	    KIND_TOTAL,     /* decimal string    decimal   decimal      */
	    KIND_NS,        /* decimal string    decimal   1h30m        */
	    KIND_SIGNED_NS, /* the same, signed              -1h30m */
	    KIND_BYTES,     /* decimal string    decimal   2GiB         */
	    KIND_RATE,      /* decimal string    5000/s    30/min       */
	    KIND_TIME,      /* decimal string    decimal   date in UTC  */
	    KIND_COUNT,     /* number            decimal   decimal      */
	    KIND_BOOL,      /* true, false       the same  yes, no      */
	    KIND_JSON,      /* as it is          -         -            */
};

enum {
	FIELD_LIMIT = 1 << 0, /* UINT64_MAX is null in JSON, "unlimited" elsewhere */
	FIELD_RIGHT = 1 << 1, /* align this text to the right, as numbers are */
	FIELD_SPARE = 1 << 2, /* may be left out if the terminal is too narrow, the last first */
	FIELD_NONE = 1 << 3, /* UINT64_MAX means none: null in JSON, "-" in a table, empty in csv */
	FIELD_SORT_NUMBER = 1 << 4, /* sort this text by the number that is given with it */
	/* UTF-8 that the library has checked: JSON and csv have it as it is, tables as ASCII */
	FIELD_EXACT = 1 << 5,
};
/* In a field's flags: the least width of its column, so that all pages of a list look alike. */
#define FIELD_WIDTH(width) ((unsigned int)(width) << 8)

struct field {
	/* The name in JSON and csv; a dot makes an object inside an object. Null: none. */
	const char *key;
	const char *heading; /* null: neither in tables nor known to --columns and --sort */
	enum kind kind;
	unsigned int flags;
};

/* One field's value in one row. */
struct value {
	uint64_t number;          /* all kinds but TEXT and JSON */
	const char *text;         /* TEXT */
	struct json_object *json; /* JSON; the caller may change it and pass it again */
	const char *color;        /* of the table's cell, or null */
	bool none;                /* there is no number: as if FIELD_NONE and UINT64_MAX */
	uint32_t period;          /* of a RATE: enum k2k_rate_period */
	const char *suffix;       /* in tables only: follows the number; or null */
};
#define NUMBER(n) ((struct value){ .number = (n) })
#define TEXT(t) ((struct value){ .text = (t) })

struct table {
	const char *key; /* of the array in JSON */
	const struct field *fields;
	size_t count;
	/* What a table shows unless --columns is given, in order; null: all with a heading */
	const unsigned char *usual;
	size_t usual_count;
};

/* A column's name on the command line: its heading in lower case. */
#define COLUMN_NAME 24
char *column_name(char name[COLUMN_NAME], const struct field *field);

enum {
	COL_TENANT_ID,
	COL_TENANT_GENERATION,
	COL_TENANT_REGISTERED,
	COL_TENANT_RATE,
	COL_TENANT_KERNELS,
	COL_TENANT_GPU_MEMORY,
	COL_TENANT_BUDGET_LIST,
	COL_TENANT_BUDGETS,
	COL_TENANT_ADMITTED,
	COL_TENANT_REJECTED,
	COL_TENANT_BY_RATE,
	COL_TENANT_BY_BUDGET,
	COL_TENANT_BY_KERNELS,
	COL_TENANT_BY_MEMORY,
	COL_TENANT_GPU_TIME,
	COL_TENANT_UNATTRIBUTED,
	COL_TENANT_RESERVED,
	COL_TENANT_THIS_SECOND,
	COL_TENANT_KERNELS_HELD,
	COL_TENANT_MEMORY_HELD,
	COL_TENANT_NAME,
	COL_TENANT_SHADOW,
	COL_TENANT_SUSPENDED,
	COL_TENANT_SHADOW_REJECTED,
	COL_TENANT_SHADOW_RATE,
	COL_TENANT_SHADOW_BUDGET,
	COL_TENANT_SHADOW_KERNELS,
	COL_TENANT_SHADOW_MEMORY,
	COL_TENANT_BY_SUSPENSION,
	COL_TENANT_RATE_NUMBER,
	COL_TENANT_RATE_PERIOD,
	COL_TENANT_RATE_POLICY,
	COL_TENANT_BURST,
	COL_TENANT_CORRECTED,
	COL_TENANT_ALERTS,
	COL_TENANT_ALERTED,
	COL_TENANT_ALERTED_RATE,
	COL_TENANT_ALERTED_KERNELS,
	COL_TENANT_ALERTED_MEMORY,
	COL_TENANT_ALONE,
	COL_TENANT_HOLDS,
	COL_TENANT_COUNT
};
extern const struct table tenants_table;

enum {
	COL_BROKER_SLOT,
	COL_BROKER_PID,
	COL_BROKER_COMMAND,
	COL_BROKER_STATE,
	COL_BROKER_INCARNATION,
	COL_BROKER_KERNELS,
	COL_BROKER_MEMORY,
	COL_BROKER_BEHIND,
	COL_BROKER_SINCE,
	COL_BROKER_COUNT
};
extern const struct table brokers_table;

enum {
	COL_LEASE_TENANT,
	COL_LEASE_SLOT,
	COL_LEASE_PID,
	COL_LEASE_KERNELS,
	COL_LEASE_MEMORY,
	COL_LEASE_ENGAGEMENT,
	COL_LEASE_RESERVED,
	COL_LEASE_NAMES,
	COL_LEASE_NAMES_SHOWN,
	COL_LEASE_COUNT
};
extern const struct table leases_table;

/* The directory of kernels. */
enum {
	COL_KERNEL_NAME,
	COL_KERNEL_TENANT,
	COL_KERNEL_STALE,
	COL_KERNEL_SLOT,
	COL_KERNEL_PID,
	COL_KERNEL_ORG,
	COL_KERNEL_ENGAGEMENT,
	COL_KERNEL_GENERATION,
	COL_KERNEL_INCARNATION,
	COL_KERNEL_ADDRESS,
	COL_KERNEL_COUNT
};
extern const struct table kernels_table;

enum {
	COL_BUDGET_TENANT,
	COL_BUDGET_ENGAGEMENT,
	COL_BUDGET_BUDGET,
	COL_BUDGET_USED,
	COL_BUDGET_RESERVED,
	COL_BUDGET_RENEWAL,
	COL_BUDGET_PERIOD,
	COL_BUDGET_BEGAN,
	COL_BUDGET_RENEWS,
	COL_BUDGET_CORRECTED,
	COL_BUDGET_ALERTED,
	COL_BUDGET_COUNT
};
extern const struct table budgets_table;

/* The closed periods of a budget. */
enum {
	COL_PERIOD_NUMBER,
	COL_PERIOD_BEGAN,
	COL_PERIOD_NEXT,
	COL_PERIOD_USED,
	COL_PERIOD_FINAL,
	COL_PERIOD_COUNT
};
extern const struct table periods_table;

enum {
	COL_USAGE_TENANT,
	COL_USAGE_ENGAGEMENT,
	COL_USAGE_GPU_TIME,
	COL_USAGE_CORRECTED,
	COL_USAGE_RESERVED,
	COL_USAGE_COUNT
};
extern const struct table usage_table;

enum {
	COL_REGISTRY_NAME,
	COL_REGISTRY_STATE,
	COL_REGISTRY_ERROR,
	COL_REGISTRY_OWNER,
	COL_REGISTRY_TENANTS,
	COL_REGISTRY_MAX_TENANTS,
	COL_REGISTRY_BROKERS,
	COL_REGISTRY_BYTES,
	COL_REGISTRY_CREATED,
	COL_REGISTRY_UUID,
	COL_REGISTRY_COUNT
};
extern const struct table registries_table;

/* The limits that `explain` lists. */
enum {
	COL_LIMIT_KIND,
	COL_LIMIT_ENGAGEMENT,
	COL_LIMIT_NAME,
	COL_LIMIT_REFUSES,
	COL_LIMIT_IN_SHADOW,
	COL_LIMIT_USED_TEXT,
	COL_LIMIT_MAX_TEXT,
	COL_LIMIT_USED,
	COL_LIMIT_MAX,
	COL_LIMIT_PERIOD,
	COL_LIMIT_POLICY,
	COL_LIMIT_RESERVED,
	COL_LIMIT_RENEWS,
	COL_LIMIT_REJECTED,
	COL_LIMIT_SHADOWED,
	COL_LIMIT_SINCE,
	COL_LIMIT_LAST,
	COL_LIMIT_BROKER,
	COL_LIMIT_SLOT,
	COL_LIMIT_PID,
	COL_LIMIT_COMMAND,
	COL_LIMIT_ADVICE,
	COL_LIMIT_COUNT
};
extern const struct table limits_table;

/* What `what-if` found of each limit. */
enum {
	COL_OUTCOME_TENANT,
	COL_OUTCOME_LIMIT,
	COL_OUTCOME_ENGAGEMENT,
	COL_OUTCOME_NAME,
	COL_OUTCOME_REQUESTS,
	COL_OUTCOME_REFUSED,
	COL_OUTCOME_FIRST,
	COL_OUTCOME_LAST,
	COL_OUTCOME_PEAK_TEXT,
	COL_OUTCOME_MAX_TEXT,
	COL_OUTCOME_PEAK,
	COL_OUTCOME_MAX,
	COL_OUTCOME_SHARE,
	COL_OUTCOME_COUNT
};
extern const struct table outcomes_table;

enum {
	COL_EVENT_TIME_NS,
	COL_EVENT_TIME,
	COL_EVENT_NAME,
	COL_EVENT_RING,
	COL_EVENT_SEQUENCE,
	COL_EVENT_LEVEL,
	COL_EVENT_TYPE,
	COL_EVENT_KIND,
	COL_EVENT_TENANT,
	COL_EVENT_TO,
	COL_EVENT_REPEATS,
	COL_EVENT_ORG,
	COL_EVENT_ENGAGEMENT,
	COL_EVENT_USED,
	COL_EVENT_LIMIT,
	COL_EVENT_SOURCE,
	COL_EVENT_DESTINATION,
	COL_EVENT_ACTOR_KIND,
	COL_EVENT_ACTOR,
	COL_EVENT_PID,
	COL_EVENT_COMMAND,
	COL_EVENT_WHAT,
	COL_EVENT_COUNT
};
extern const struct table events_table;

/* The kinds of events that `audit stats` counts. */
enum {
	COL_KIND_KIND,
	COL_KIND_TYPE,
	COL_KIND_LEVEL,
	COL_KIND_WRITTEN,
	COL_KIND_COALESCED,
	COL_KIND_LOST,
	COL_KIND_COUNT
};
extern const struct table kinds_table;

/* What `top` shows of a tenant: the columns of its screen, then the fields for programs. */
enum {
	COL_TOP_ID,
	COL_TOP_MESSAGES,
	COL_TOP_REJECTED,
	COL_TOP_GPU,
	COL_TOP_USE_RATE,
	COL_TOP_USE_BUDGET,
	COL_TOP_USE_KERNELS,
	COL_TOP_USE_MEMORY,
	COL_TOP_KERNELS,
	COL_TOP_MEMORY,
	COL_TOP_BY_RATE,
	COL_TOP_BY_BUDGET,
	COL_TOP_BY_KERNELS,
	COL_TOP_BY_MEMORY,
	COL_TOP_LIMIT,
	COL_TOP_STATE,
	COL_TOP_SHADOWED,
	COL_TOP_NAME,
	COL_TOP_SCREEN,
	COL_TOP_GENERATION = COL_TOP_SCREEN,
	COL_TOP_ADMITTED,
	COL_TOP_REJECTED_RATE,
	COL_TOP_REJECTED_BUDGET,
	COL_TOP_REJECTED_KERNELS,
	COL_TOP_REJECTED_MEMORY,
	COL_TOP_GPU_NS,
	COL_TOP_UNATTRIBUTED_NS,
	COL_TOP_KERNELS_HELD,
	COL_TOP_BYTES_HELD,
	COL_TOP_EXACT_NAME,
	COL_TOP_SUSPENDED,
	COL_TOP_IN_SHADOW,
	COL_TOP_RATE,
	COL_TOP_RATE_PERIOD,
	COL_TOP_RATE_POLICY,
	COL_TOP_BURST,
	COL_TOP_ALONE,
	COL_TOP_HOLDS,
	COL_TOP_REJECTED_SUSPENDED,
	COL_TOP_REJECTED_SHADOW,
	COL_TOP_PERCENT_RATE,
	COL_TOP_PERCENT_BUDGET,
	COL_TOP_PERCENT_KERNELS,
	COL_TOP_PERCENT_MEMORY,
	COL_TOP_COUNT
};
extern const struct table rates_table;

#endif
