/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* scale.h - what the files of fleet-scale share */
#ifndef K2K_FLEET_SCALE_H
#define K2K_FLEET_SCALE_H

#include "fleet/db.h"

#include <stdatomic.h>

/* ---- registry.c: a registry without shared memory, which is used by one thread ------------- */

struct scale_tenant {
	uint64_t generation; /* 0: it is not registered */
	uint64_t rate, admitted;
	uint64_t budget_ns; /* of engagement 1; UINT64_MAX: none */
};

/* Tenants and engagements have the numbers from 1 on. */
struct scale_registry {
	char uuid[40];
	size_t tenant_count, engagements;
	uint64_t generation;
	struct scale_tenant *tenants;
	uint64_t *gpu_ns; /* by tenant, engagement */
};

void registry_make(struct scale_registry *r, size_t tenants, size_t engagements);
/* Books something for so many of 10,000 of the tenants, at random. */
void registry_use(struct scale_registry *r, unsigned share, unsigned *seed);
/* So many of 10,000 of the budgets are used up. */
void registry_use_up(struct scale_registry *r, unsigned share, unsigned *seed);
/* The definition of a tenant as k2k-fleetctl writes it. */
void definition_print(FILE *out, uint64_t tenant, uint64_t rate, const char *budget);

/* ---- statements.c: what is asked of the database ------------------------------------------- */

/* Durations: 16 of them between a power of two and the next, of microseconds. */
enum { DURATIONS = 16 * 32, KINDS = 24 };
struct durations {
	_Atomic uint64_t count[DURATIONS];
};
struct kind {
	char name[32];
	_Atomic uint64_t rows; /* in the answers */
	struct durations took;
};
struct statements {
	struct kind kinds[KINDS];
	_Atomic size_t count; /* of kinds that have a name */
	_Atomic uint64_t failures;
};
extern struct statements statements;

void statements_reset(void);
void durations_reset(struct durations *d);
void durations_add(struct durations *d, uint64_t ns);
uint64_t durations_count(const struct durations *d);
/* In ms: what so many of 1,000 are at most. */
double durations_quantile(const struct durations *d, unsigned of_1000);

/* ---- agents.c ------------------------------------------------------------------------------ */

struct agents_options {
	size_t hosts, tenants, engagements;
	size_t joining; /* so many at once */
};
/* What hosts do; it may change at any time. */
struct load {
	_Atomic unsigned used;    /* before each report: so many of 10,000 tenants are used */
	_Atomic unsigned used_up; /* and so many of 10,000 budgets are used up */
};
extern struct load load;

void agents_start(const struct agents_options *options);
/* How long it took from `since_ns` on until all hosts had joined. */
double agents_wait_joined(uint64_t since_ns);
/* From now on the time is kept when each host has this version in force and has reported it. */
void agents_expect(uint64_t version);
/* Waits for it, and adds the durations since then. Returns how many hosts have it. */
size_t agents_wait_expected(uint64_t since_ns, uint64_t most_ns, struct durations *took);
/* All connections end at once. */
void agents_disconnect(void);
void agents_stop(void);

/* ---- figures.c ----------------------------------------------------------------------------- */

/* Opens a connection for figures. */
void figures_open(const char *device);
void figures_close(void);
struct db *figures_db(void);
/* The one number of a statement's answer. */
double figures_number(const char *sql);
/* A phase: prints the statements of what happens between. `name` must stay. */
void phase_begin(const char *name);
void phase_end(void);
/* Prints what each phase cost, sizes of tables, and the memory of the server. */
void figures_print(void);

_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
