/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ctl.h - what all files of k2k-tenantctl share: the parsed command line, exit codes, and how a
 * command reports a failure
 *
 * A command is one function. It first parses all of its arguments, then opens the registry, then
 * does its work, then prints. So nothing is changed if any argument is wrong, and no late error
 * cuts the output short.
 */
#ifndef K2K_TENANTCTL_CTL_H
#define K2K_TENANTCTL_CTL_H

#include "common/memory.h"
#include "common/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <k2k/registry.h>

/* k2k-fleetctl and k2k-fleetd are built from some of these files, under their own names. */
#ifndef CTL_NAME
#define CTL_NAME "k2k-tenantctl"
#define CTL_PLACE "registry" /* what `registry` below is called in JSON */
#endif
#define CTL_SCHEMA CTL_NAME "/1"

/* Scripts rely on these values. */
enum {
	EXIT_DONE = 0,
	EXIT_NO = 1,      /* the answer of exists, quota, diff or check is no */
	EXIT_USAGE = 2,   /* usage or validation; nothing was changed */
	EXIT_MISSING = 3, /* no such tenant or budget */
	EXIT_EXISTS = 4,
	EXIT_FULL = 5,
	EXIT_REGISTRY = 6, /* missing, of another layout or boot, fenced or corrupt */
	EXIT_PERMISSION = 7,
	EXIT_BUSY = 8,    /* busy or timed out */
	EXIT_PARTLY = 9,  /* some of several tenants failed */
	EXIT_SYSTEM = 10, /* I/O, memory */
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV };

/* Long options. command_table.c has their names and letters. */
enum option_id {
	OPT_REGISTRY,
	OPT_OWNER,
	OPT_OUTPUT,
	OPT_JSON,
	OPT_DRY_RUN,
	OPT_YES,
	OPT_QUIET,
	OPT_TIMEOUT,
	OPT_COLOR,
	OPT_HELP,
	OPT_VERSION,
	/* of single commands */
	OPT_MAX_TENANTS,
	OPT_MAX_ENGAGEMENTS,
	OPT_MAX_LEASES,
	OPT_MAX_BUDGETS,
	OPT_AUDIT_EVENTS,
	OPT_MAX_BROKERS,
	OPT_MAX_KERNELS,
	OPT_MODE,
	OPT_GROUP,
	OPT_PLAN,
	OPT_REQUIRE_AUDIT,
	OPT_STRICT,
	OPT_IF_MISSING,
	OPT_PRESET,
	OPT_RATE,
	OPT_BURST,
	OPT_POLICY,
	OPT_ALONE,
	OPT_KERNELS,
	OPT_GPU_MEMORY,
	OPT_BUDGET,
	OPT_NAME,
	OPT_SHADOW,
	OPT_ALERT,
	OPT_DRAIN,
	OPT_MAX_SERIES,
	OPT_ORG,
	OPT_ENGAGEMENT,
	OPT_COUNT,
	OPT_FILE,
	OPT_PRUNE,
	OPT_MAX_PRUNE,
	OPT_FOLLOW,
	OPT_SINCE,
	OPT_UNTIL,
	OPT_LINES,
	OPT_TENANT,
	OPT_TYPE,
	OPT_KEY,
	OPT_HEAD,
	OPT_ONCE,
	OPT_SORT,
	OPT_COLUMNS,
	OPT_FILTER,
	OPT_NO_HEADERS,
	OPT_WATCH,
	OPT_FORCE,
	OPT_BY,
	OPT_REASON,
	OPT_REQUEST,
	OPT_TRACE,
	OPT_LOG,
	/* of k2k-fleetctl */
	OPT_DATABASE,
	OPT_ROLE,
	OPT_HOSTS,
	OPT_END
};

struct failure {
	int code;        /* K2K_E... */
	bool has_tenant; /* the failure is about one of several tenants */
	k2k_tenant_id tenant;
	char *message;
};

#define NAMED_ID 24

struct ctl {
	const char *registry; /* of k2k-fleetctl: the name of the database */
	enum format format;
	bool color, dry_run, yes, quiet;
	bool fleet; /* its documents have budgets over the fleet */
	uint64_t timeout_ns;

	/* the option's last argument, "" if it takes none, null if the option is not given */
	const char *option[OPT_END];
	/* every --budget, --alert, --file and --filter, in order */
	const char **budgets, **alerts, **files, **filters;
	size_t budget_count, alert_count, file_count, filter_count;
	bool has_owner; /* --owner */
	uint32_t owner_uid;
	/* the role in which the registry was opened, or 0; advice on missing rights needs it */
	enum k2k_role role;
	char **arguments; /* after the command */
	size_t argument_count;
	char (*named)[NAMED_ID]; /* arguments that were @NAME, as ids */

	const char *command; /* null until it is known */
	struct view *view;   /* --columns, --sort and --filter; null if the command lists nothing */
	struct failure *failures;
	size_t failure_count, failure_room;
	bool json_done;   /* the one JSON object is on standard output */
	const char *text; /* while document_read_text() reads it */
};

/* ---- messages.c: messages ---------------------------------------------------- */

/* Reports that `what` failed with a K2K_E... code, why, and what to do. Returns the exit code. */
int fail(struct ctl *ctl, int code, const char *what, ...) __attribute__((format(printf, 3, 4)));
/* The same for tenant `id`; `several` says that it is one of several. */
int fail_tenant(struct ctl *ctl, int code, k2k_tenant_id id, bool several);
/* Reports wrong usage with this message as it is. Returns EXIT_USAGE. */
int fail_usage(struct ctl *ctl, const char *message, ...) __attribute__((format(printf, 2, 3)));
/* The same with another K2K_E... code. Returns the exit code. */
int fail_with(struct ctl *ctl, int code, const char *message, ...)
	__attribute__((format(printf, 3, 4)));
/* True if standard input and standard error are a terminal. */
bool can_ask(void);
/* Prints the question and " [y/N] ". True if the answer is y or yes. */
bool ask(const char *question, ...) __attribute__((format(printf, 1, 2)));
/* Prints a message that is no failure to standard error, unless -q is given. */
void note(const struct ctl *ctl, const char *message, ...) __attribute__((format(printf, 2, 3)));

/* ---- place.c: what the global options name ------------------------------------------------- */

/* Reads --registry and --owner. False after it has reported what is wrong. */
bool settle_place(struct ctl *ctl);

/* ---- open.c: the registry and its lists --------------------------------------------------- */

void open_options(const struct ctl *ctl, struct k2k_open_options *options);
/* Returns 0, or the exit code of a failure that it has reported. */
int open_registry(struct ctl *ctl, enum k2k_role role, struct k2k_registry **reg);

enum listing {
	LIST_TENANT_IDS,
	LIST_BUDGETS,
	LIST_USAGE,
	LIST_BROKERS,
	LIST_LEASES,
	LIST_KERNELS,
	LIST_FINDINGS,
	LIST_CUTS
};
/*
 * Fetches a complete list of the library even if it grows meanwhile; id 0 means all tenants.
 * Returns a K2K_E... code. The caller frees *list.
 */
int fetch_list(struct k2k_registry *reg, enum listing what, k2k_tenant_id id, void **list,
               size_t *count);
/*
 * Opens the registry and fetches the list of the tenant that is the command's argument, or of all
 * tenants if there is none. Returns 0, or the exit code of a failure that it has reported.
 */
int fetch_filtered(struct ctl *ctl, enum listing what, void **list, size_t *count);

/* ---- arguments.c: texts into numbers -------------------------------------- *
 * All but the first return false after they have reported what is wrong. `what` names the argument
 * in the message. */

bool good_registry_name(const char *name);

/* How a value is parsed, and what a message says about its form. */
struct form {
	int (*parse)(const char *text, uint64_t *value, struct units_fault *fault);
	const char *text;
};
extern const struct form a_kernel_count, a_size, a_duration, a_mode, an_id;

bool arg_id(struct ctl *ctl, const char *what, const char *text, uint64_t *id);
/* All arguments; the caller frees *ids. */
bool arg_ids(struct ctl *ctl, k2k_tenant_id **ids, size_t *count);
bool arg_duration(struct ctl *ctl, const char *what, const char *text, uint64_t *ns);
/* A budget: a duration, and how often it renews (enum k2k_budget_renewal). */
bool arg_renewing(struct ctl *ctl, const char *what, const char *text, uint64_t *ns,
                  uint32_t *renewal);
/* --rate: so many messages in a period (enum k2k_rate_period). */
#define RATE_FORM "a rate is like 5000/s, 5k/s, 30/min, 500/h, 10k/day, or unlimited"
bool arg_period_rate(struct ctl *ctl, const char *text, uint64_t *rate, uint32_t *period);
/* The limit alone of a share: by the second. */
bool arg_alone(struct ctl *ctl, const char *text, uint64_t *rate);
bool arg_correction(struct ctl *ctl, const char *what, const char *text, int64_t *ns);
/* A duration; a number without a unit means seconds. */
bool arg_seconds(struct ctl *ctl, const char *what, const char *text, uint64_t *ns);
bool arg_interval(struct ctl *ctl, const char *text, uint64_t *ns); /* for stat and top */
bool arg_count(struct ctl *ctl, const char *what, const char *text, uint64_t min, uint64_t max,
               uint64_t *count);
bool arg_mode(struct ctl *ctl, const char *what, const char *text, uint32_t *mode);
/*
 * The options of register and update as a quota; *mask says which were given (K2K_UPDATE_...), and
 * *kept which parts of the rate were not (rates.h). The caller frees quota->budgets.
 */
struct rate_kept;
bool arg_quota(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask, struct rate_kept *kept);
/* A tenant to change: 0 is refused. */
bool arg_tenant_to_change(struct ctl *ctl, const char *text, k2k_tenant_id *id);
/* All arguments as tenants to change; the caller frees *ids. */
bool arg_tenants_to_change(struct ctl *ctl, k2k_tenant_id **ids, size_t *count);
/*
 * The first argument as the tenant whose list is wanted; without an argument *id is unchanged.
 * Refuses tenant 0, which means "all tenants" to the library.
 */
bool arg_tenant_filter(struct ctl *ctl, k2k_tenant_id *id, int *exit_code);

#endif
