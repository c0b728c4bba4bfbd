/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tenants as one document: what apply, diff and load read, and what export and
 * save write.
 *
 *   version: 1
 *   tenants:
 *     - {id: 42, rate: 5k/s, kernels: 4, gpu_memory: 2GiB, budgets: {7: 1h}}
 *     - {id: 43, preset: unlimited}
 *
 * It is YAML, or the same as JSON. What an entry leaves out takes the preset's
 * value, `standard` where none is named; it has the budgets that it names and no
 * others. Of YAML it takes no anchors, aliases, merge keys and tags: every entry
 * says by itself what it is.
 *
 * `end: true` as the last key says that nothing was cut off behind it. `registry` and `uuid` say of
 * which registry it is an export. Several documents are read as one; no tenant may be in two of
 * them.
 *
 * A saved document (save, load) is JSON with more in it: of each tenant its
 * generation, when it was registered, its totals and its costs; of the registry
 * the newest generation; and at its end a checksum of all bytes before it.
 */
#ifndef K2K_TENANTCTL_DOCUMENT_H
#define K2K_TENANTCTL_DOCUMENT_H

#include <stdio.h>

#include "tenants.h"

#define DOCUMENT_VERSION 1

/* Of an engagement, in the order of these: a budget, or GPU time used. */
struct engagement_ns {
	uint64_t engagement, ns;
	size_t line, column;
};

struct entry {
	k2k_tenant_id id;
	uint64_t rate, gpu_memory_bytes;
	uint32_t kernels;
	size_t first_budget, budget_count;
	size_t source, line, column;
	/* of a saved document only */
	uint64_t generation, registered_at_ns, admitted_total, unattributed_ns;
	struct k2k_rejected rejected_total;
	size_t first_cost, cost_count;
};

struct engagements {
	struct engagement_ns *list;
	size_t count, room;
};

/* One of its files. */
struct source_file {
	char *name;                                /* printable */
	char registry[K2K_NAME_MAX + 1], uuid[40]; /* that it was exported from, or "" */
	bool ended;                                /* it has its end mark */
};

struct document {
	char *name; /* for people: of the file, or how many there are */
	struct source_file *sources;
	size_t source_count;
	struct entry *entries; /* by id */
	size_t count, room;
	struct engagements budgets, costs;
	/* of a saved document: the newest that its registry gave out */
	uint64_t generation;
};

enum document_kind { DOCUMENT_PLAIN, DOCUMENT_SAVED };

/*
 * Reads and checks all of the files; "-" is standard input. Returns 0 or the exit
 * code, with the failures told: at which line and column, counted from 1. Of what is wrong with
 * values all is told at once, up to DOCUMENT_FAULTS; what is no YAML ends it.
 */
#define DOCUMENT_FAULTS 20
int document_read(struct ctl *ctl, const char *const *paths, size_t count, enum document_kind kind,
                  struct document *document);
void document_free(struct document *document);

/* The whole of a file, "-" being standard input, with a 0 behind it. Returns 0 or the exit code. */
int read_file(struct ctl *ctl, const char *path, char **data, size_t *length);

/*
 * What both writers share: `{"id": "42", "rate": "5000/s", ...` as JSON, or the same as YAML; the
 * closing brace is the caller's.
 */
void document_write_limits(FILE *out, bool json, const struct tenants *tenants,
                           const struct tenant *t);

/* A checksum that finds damage, not malice: CRC-64 as xz has it; begin with 0. */
uint64_t crc64(uint64_t crc, const void *data, size_t length);
#define CHECKSUM_MARK ",\n\"checksum\": \"crc64:"

#endif
