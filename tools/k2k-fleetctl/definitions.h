/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* definitions.h - the definitions in the database, as a document and as tenants */
#ifndef K2K_FLEETCTL_DEFINITIONS_H
#define K2K_FLEETCTL_DEFINITIONS_H

#include "k2k-tenantctl/document.h"
#include "fleet.h"

struct definitions {
	uint64_t version; /* of the fleet; what is read may be newer, never older */
	PGresult *rows;   /* tenant, version, problems, doc; by tenant */
	struct document document;
	struct tenants tenants; /* the same */
};

/* Returns 0, or the exit code of a failure that it has reported. */
int definitions_load(struct ctl *ctl, struct db *db, struct definitions *definitions);
void definitions_free(struct definitions *definitions);

/* The entries of a document as tenants, of which only the limits are known. */
void definitions_as_tenants(const struct document *document, struct tenants *tenants);
/* One tenant in the form in which the database has it; the caller frees it. */
char *definitions_write(const struct tenants *tenants, const struct tenant *tenant);

#endif
