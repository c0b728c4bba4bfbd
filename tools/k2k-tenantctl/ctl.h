/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all files of k2k-tenantctl share: the command line as it was understood,
 * exit codes, and how a command says that something failed.
 *
 * A command is one function. It first turns all of its arguments into numbers,
 * then opens the registry, then does its work, then prints; so nothing is
 * changed where any argument is wrong, and output never stops half way because
 * of a late error.
 */
#ifndef K2K_TENANTCTL_CTL_H
#define K2K_TENANTCTL_CTL_H

#include "common/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <k2k/registry.h>

#define CTL_NAME "k2k-tenantctl"
#define CTL_SCHEMA "k2k-tenantctl/1"

/* What scripts may rely on. */
enum {
	EXIT_DONE = 0,
	EXIT_NO = 1,      /* exists, quota, diff, check: the answer is no */
	EXIT_USAGE = 2,   /* usage or validation; nothing was changed */
	EXIT_MISSING = 3, /* no such tenant or budget */
	EXIT_EXISTS = 4,
	EXIT_FULL = 5,
	EXIT_REGISTRY = 6, /* missing, of another layout or boot, fenced or damaged */
	EXIT_PERMISSION = 7,
	EXIT_BUSY = 8,    /* busy or timed out */
	EXIT_PARTLY = 9,  /* several were named and some failed */
	EXIT_SYSTEM = 10, /* I/O, memory */
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV };

/* Long options; command_table.c has their names, and the letters that some have. */
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
	OPT_MODE,
	OPT_GROUP,
	OPT_PLAN,
	OPT_REQUIRE_AUDIT,
	OPT_IF_MISSING,
	OPT_PRESET,
	OPT_RATE,
	OPT_KERNELS,
	OPT_GPU_MEMORY,
	OPT_BUDGET,
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
	OPT_END
};

struct failure {
	int code;        /* K2K_E... */
	bool has_tenant; /* of one of several that were named */
	k2k_tenant_id tenant;
	char *message;
};

struct ctl {
	const char *registry;
	enum format format;
	bool color, dry_run, yes, quiet;
	uint64_t timeout_ns;

	/* the last argument given to it, "" where it takes none, null where not given */
	const char *option[OPT_END];
	/* each --budget, --file and --filter in turn */
	const char **budgets, **files, **filters;
	size_t budget_count, file_count, filter_count;
	bool has_owner; /* --owner */
	uint32_t owner_uid;
	/* as which the registry was opened, or 0: for what to do about missing rights */
	enum k2k_role role;
	char **arguments; /* behind the command */
	size_t argument_count;

	const char *command; /* null until it is known */
	struct view
		*view; /* --columns, --sort and --filter; null: the command takes none of them */
	struct failure *failures;
	size_t failure_count, failure_room;
	bool json_done; /* the one JSON object is on standard output */
};

/* ---- messages.c: messages ---------------------------------------------------- */

/* `what` failed with a K2K_E... code: says why and what to do about it. Returns the exit code. */
int fail(struct ctl *ctl, int code, const char *what, ...) __attribute__((format(printf, 3, 4)));
/* The same for tenant `id`, which is one of several where `several` is set. */
int fail_tenant(struct ctl *ctl, int code, k2k_tenant_id id, bool several);
/* Wrong usage; the message is complete as it is. Returns EXIT_USAGE. */
int fail_usage(struct ctl *ctl, const char *message, ...) __attribute__((format(printf, 2, 3)));
/* The same with a code of its own. Returns the exit code. */
int fail_with(struct ctl *ctl, int code, const char *message, ...)
	__attribute__((format(printf, 3, 4)));
/* For people only, and not with -q. */
/* A question can be asked: somebody sits at a terminal. */
bool can_ask(void);
/* Asks it, and " [y/N] "; true for an answer of y or yes. */
bool ask(const char *question, ...) __attribute__((format(printf, 1, 2)));
void note(const struct ctl *ctl, const char *message, ...) __attribute__((format(printf, 2, 3)));

/* ---- open.c: opening --------------------------------------------------- */

void open_options(const struct ctl *ctl, struct k2k_open_options *options);
/* Returns 0 or the exit code, with the failure told. */
int open_registry(struct ctl *ctl, enum k2k_role role, struct k2k_registry **reg);

enum listing {
	LIST_TENANT_IDS,
	LIST_BUDGETS,
	LIST_USAGE,
	LIST_BROKERS,
	LIST_LEASES,
	LIST_FINDINGS,
	LIST_CUTS
};
/*
 * A whole list of the library, however it grows meanwhile; id 0 = of all
 * tenants. Returns a K2K_E... code. *list is to be freed.
 */
int fetch_list(struct k2k_registry *reg, enum listing what, k2k_tenant_id id, void **list,
               size_t *count);
/*
 * The same of the tenant that is the command's argument, or of all without one; opens the registry
 * for it. Returns 0 or the exit code, with the failure told.
 */
int fetch_filtered(struct ctl *ctl, enum listing what, void **list, size_t *count);

/* ---- arguments.c: texts into numbers -------------------------------------- *
 * Each but the first returns false with the failure told. `what` names the argument. */

bool good_registry_name(const char *name);
bool arg_id(struct ctl *ctl, const char *what, const char *text, uint64_t *id);
/* all arguments; *ids is to be freed */
bool arg_ids(struct ctl *ctl, k2k_tenant_id **ids, size_t *count);
bool arg_duration(struct ctl *ctl, const char *what, const char *text, uint64_t *ns);
/* a duration; without a unit seconds */
bool arg_seconds(struct ctl *ctl, const char *what, const char *text, uint64_t *ns);
bool arg_interval(struct ctl *ctl, const char *text, uint64_t *ns); /* of stat and top */
bool arg_count(struct ctl *ctl, const char *what, const char *text, uint64_t min, uint64_t max,
               uint64_t *count);
bool arg_mode(struct ctl *ctl, const char *what, const char *text, uint32_t *mode);
/*
 * --preset, --rate, --kernels, --gpu-memory and --budget into a quota, and K2K_UPDATE_... of those
 * given. budgets is to be freed.
 */
bool arg_quota(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask);
/* A tenant that a command would change: 0 is refused. */
bool arg_tenant_to_change(struct ctl *ctl, const char *text, k2k_tenant_id *id);
/* all arguments; *ids is to be freed */
bool arg_tenants_to_change(struct ctl *ctl, k2k_tenant_id **ids, size_t *count);
/*
 * The first argument as the tenant that a list is of; without one *id stays as it is. Tenant 0,
 * "all" to the library, is no tenant here.
 */
bool arg_tenant_filter(struct ctl *ctl, k2k_tenant_id *id, int *exit_code);

#endif
