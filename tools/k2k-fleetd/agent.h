/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * agent.h - the agent of one registry in a fleet
 *
 * It keeps nothing of its own. What is to be comes from the database, what is from the registry,
 * and which registration is which definition from the database again:
 *
 *   killed after                      what others see, and what the next agent does
 *   a registration is planned         `planned`; finds no tenant of that generation, drops the plan
 *   the tenant is registered          the same row; finds the tenant, and reports it
 *   a tenant is suspended             suspended; goes on with the deregistration
 *   its totals are reported           the same
 *   it is deregistered                `open` without a tenant: becomes `open-ended`, because what
 *                                     was booked after the report may be missing
 *   the final totals are reported     `final`
 *   definitions are carried out       finds no difference
 */
#ifndef K2K_FLEETD_AGENT_H
#define K2K_FLEETD_AGENT_H

#include "k2k-tenantctl/document.h"
#include "fleet/db.h"

/* A definition as the database has it. */
struct definition {
	k2k_tenant_id tenant;
	uint64_t version, fleet_gen;
	bool deleted;
	char *doc; /* null if it was refused, or is deleted */
	/* why it is not in force; null: it is */
	const char *problem;
	char *message;
};

/* A registration of this run that belongs to the fleet. */
struct registration {
	uint64_t generation, fleet_gen;
	k2k_tenant_id tenant;
	uint64_t leaving_since_ns; /* 0: it is not being deregistered */
	/* it is deregistered, and the database does not know its last totals yet */
	bool gone;
	struct k2k_tenant_totals totals;
};

/* What this run has drawn of a budget or of a limit over the fleet, for one registration. */
enum chunk_kind {
	CHUNK_BUDGET,
	/* shares of limits */
	CHUNK_RATE,
	CHUNK_KERNELS,
	CHUNK_GPU_MEMORY,
	CHUNK_KINDS
};
enum chunk_state {
	CHUNK_HELD,
	CHUNK_LOWERING, /* the registry's budget or limit is to be lowered */
	CHUNK_LOWERED,  /* it is; when the grace period is over, the rest is returned */
};
struct chunk {
	enum chunk_kind kind;
	uint64_t generation, engagement; /* engagement: of a budget, else 0 */
	uint64_t base, drawn;            /* as the database has it; base: of a budget */
	bool closed;                     /* forgotten: it is to be settled */
	bool is_short;                   /* other hosts need what this one does not use */
	uint64_t least;                  /* it is worth to ask for */
	bool excess;                     /* of a share: more is granted than the limit */
	uint64_t fair;                   /* the same: the limit divided by the number of hosts */
	uint64_t alone;                  /* of a rate */
	enum chunk_state state;
	uint64_t budget; /* what the registry's own is to be */
	uint64_t lowered_at_ns;
	/*
	 * as the last look found it; used: with reservations and without the base; what is held; or
	 * messages in a second
	 */
	bool looked, there, wants;
	uint64_t in_force, used, rejected;
	uint64_t used_before, rejected_before; /* when it last might have returned something */
	uint64_t admitted, admitted_at_ns, measured[2]; /* of a rate */
	uint64_t ask, ask_after_ns, keep;
};

/* A time on two clocks: one goes on in a suspend, the other is never slewed. */
struct two_clocks {
	uint64_t boot_ns, raw_ns; /* CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW */
};

/* A host that has not renewed its lease: since when its token is the one that was seen. */
struct silent_host {
	char *name;
	char token[40];
	struct two_clocks since;
	uint64_t hold_ns; /* the lease with the margin */
};

/* What the database has acknowledged. in_doubt: it was sent anew since, and not answered. */
struct reported_tenant {
	uint64_t generation, admitted, unattributed_ns, in_doubt;
};
struct reported_usage {
	uint64_t generation, engagement, ns;
	int64_t corrected_ns;
	uint64_t in_doubt;
};

/* What metrics tell, since the agent started. */
struct counts {
	uint64_t database_errors, registry_errors;
	uint64_t reported_at_ns; /* of the wall clock; 0: never */
	uint64_t unreported;     /* rows, as of the last look */
	uint64_t drawn_ns, returned_ns;
	uint64_t leases_taken, leases_lost;
};

struct agent {
	const char *conninfo, *host;
	uint64_t poll_ns, report_ns, full_ns, drain_ns, chunk_ns, lease_ns;
	const char *metrics; /* the file of --metrics, or null */
	bool once;

	struct ctl ctl; /* for the code that is k2k-tenantctl's */
	struct k2k_registry *reg;
	struct k2k_registry_info info;

	struct db db;
	char id[40];                 /* of this process */
	uint64_t epoch;              /* 0: the database has not been greeted */
	uint64_t sequence, answered; /* statements of this process that have a number */
	uint64_t have, applied;      /* versions */
	bool anew;                   /* all definitions are to be fetched */
	bool greeted;                /* and what has to come first after that is to be done */
	bool replaced;               /* another agent speaks for this host */
	unsigned failures;           /* passes that failed, since the last good one */
	uint64_t patient_until_ns;   /* of CLOCK_MONOTONIC: the connection is new */
	bool in_batch;
	/* that were not answered: the database may carry them out after later ones */
	unsigned lost_greetings;

	struct definition *definitions; /* by tenant */
	size_t definition_count;
	struct registration *registrations; /* by generation */
	size_t registration_count, registration_room;
	struct reported_tenant *tenants; /* by generation */
	size_t tenant_count;
	struct reported_usage *usage; /* by generation, engagement */
	size_t usage_count;
	bool changed, leaving, problems_sent;

	struct chunk *chunks; /* by generation, engagement */
	size_t chunk_count;
	bool lowered; /* one of them is */

	struct silent_host *silent; /* by name */
	size_t silent_count;
	struct two_clocks greeted_at; /* or later */
	uint64_t shares_epoch;        /* all shares in the registry are those of this epoch */
	uint64_t lease_due_ns;        /* of CLOCK_MONOTONIC */

	struct counts counts;
	uint64_t metrics_due_ns;

	char said[700]; /* the last message, so that a lasting failure is reported once */
};

/* Reports on standard error, unless it is what was reported last. */
void say(struct agent *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- link.c: the database ---------------------------------------------------------------- */

/* Connects and greets, if it is not connected. Returns 0, or a K2K_E... code it has reported. */
int link_open(struct agent *a);
void link_close(struct agent *a);
/* Fetches new definitions; sets a->changed. */
int link_fetch(struct agent *a);
/* The database may lack what it has acknowledged: all is to be fetched and reported. */
void link_begin_anew(struct agent *a);
/* A call whose first two parameters are host and epoch. Null: it failed, which is reported. */
PGresult *link_call(struct agent *a, const char *sql, int count, const char *const *values);
/* The same, and the third is the number of the statement: a late one changes nothing. */
PGresult *link_next(struct agent *a, const char *sql, int count, const char *const *values);
struct definition *definition_find(struct agent *a, k2k_tenant_id tenant);
struct registration *registration_find(struct agent *a, uint64_t generation);
void registration_add(struct agent *a, struct registration registration);
void registration_remove(struct agent *a, uint64_t generation);
/* The registration has ended, with these totals or, if null, with none that are known. */
int link_finish(struct agent *a, uint64_t generation, const struct k2k_tenant_totals *totals);

/*
 * Whether this is still the host's agent. It is a commit, for which the database waits for its
 * synchronous standby: a primary that has been replaced does not answer.
 */
int link_check(struct agent *a);
/* A batch, in which no answer is waited for longer than --timeout. A failure is reported. */
int link_batch_begin(struct agent *a);
void link_batch_end(struct agent *a);

/* ---- chunks.c: budgets and limits over the fleet ------------------------------------------ */

int chunks_fetch(struct agent *a);
/* The database was greeted: nothing is known of statements before. */
void chunks_greeted(struct agent *a);
/* Replaces budgets and limits over the fleet by what the registry's own are to be. */
void chunks_into_document(struct agent *a, const struct tenants *now, struct document *d);
/* Draws what is needed, sets budgets and limits, and begins returns if it is time for them. */
int chunks_step(struct agent *a, bool may_return_budgets, bool may_return_shares);
struct chunk *chunk_find(struct agent *a, enum chunk_kind kind, uint64_t generation,
                         uint64_t engagement);
bool chunks_have_shares(const struct agent *a);

/* ---- chunk_kinds.c: what the registry has of them ----------------------------------------- */

extern const char *const chunk_kind_names[CHUNK_KINDS]; /* as in the database */

/* Sets what the struct says of the registry. */
int chunks_look(struct agent *a);
/* Sets the budget or the limit in the registry. */
int chunk_set(struct agent *a, const struct chunk *c);
/* So much of a share a host keeps that uses nothing. */
uint64_t chunk_floor(const struct chunk *c);
uint64_t chunk_sum(uint64_t a, uint64_t b); /* never UINT64_MAX, which would be no limit */

/* ---- lease.c: shares of rates ------------------------------------------------------------- */

/* Renews the lease, if there are shares of rates. Takes those of hosts whose lease has ended. */
int lease_renew(struct agent *a);
/* After a greeting, before anything else: renews it, and fetches what the host had drawn before. */
int lease_go_on(struct agent *a);
/* The database was greeted: what was seen of other hosts may be another database's. */
void lease_greeted(struct agent *a);
enum { CLOCK_NAME = 64 };
/* What the kernel takes the time from: "tsc"; "" if it does not say. */
const char *lease_clock(char name[CLOCK_NAME]);
/* Says so, if that stands still while the machine is paused. */
void lease_judge_clock(struct agent *a);

/* ---- converge.c, leave.c: the registry becomes what the definitions say ------------------ */

int converge(struct agent *a);
/*
 * Takes tenants out of the registry that the fleet has no more, as far as they are idle. Their last
 * totals are in a->registrations, for link_finish().
 */
int leave(struct agent *a);
void definition_fails(struct definition *d, int code, const char *message);

/* ---- report.c ---------------------------------------------------------------------------- */

/* Sends what has changed since the last report, at least that the host is there. */
int report(struct agent *a);
int report_problems(struct agent *a);
/* Counts what there is to report, for metrics. */
void report_count(struct agent *a);

/* ---- metrics.c --------------------------------------------------------------------------- */

/* Writes the file, if a second has passed since it was last written. */
void metrics_write(struct agent *a);
void metrics_remove(const struct agent *a);

#endif
