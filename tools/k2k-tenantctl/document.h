/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * document.h - tenants as one document: apply, diff and load read it, export and save write it
 *
 *   version: 1
 *   tenants:
 *     - {id: 42, name: vision-team, rate: 5k/s, kernels: 4, gpu_memory: 2GiB, budgets: {7: 1h}}
 *     - {id: 43, preset: unlimited}
 *
 * A rate counts in each second, minute, hour or day (30/min). With `burst: 200` it is a bucket, and
 * `policy` (window, bucket) may say so too. With `alone: 10/s` it is this host's share of a rate
 * over many hosts, and `alone` what is in force while no shares hold; a loaded registry begins so.
 *
 * It is YAML, or the same as JSON. A limit that an entry leaves out takes the value of its preset,
 * `standard` unless it names one; a tenant has the budgets and the name of its entry and no others,
 * and is in shadow only if its entry says so. Whether it is suspended, no document says. Anchors,
 * aliases, merge keys and tags of YAML are refused: every entry is complete by itself.
 *
 * `end: true` as the last key shows that nothing after it was cut off. `registry` and `uuid` name
 * the registry of which the document is an export. Several files are read as one document; no
 * tenant may be in two of them.
 *
 * A saved document (save, load) is JSON with more members: for each tenant its generation, time of
 * registration, totals and costs; for the registry its newest generation; and at the end a checksum
 * of all bytes before it.
 */
#ifndef K2K_TENANTCTL_DOCUMENT_H
#define K2K_TENANTCTL_DOCUMENT_H

#include <stdio.h>

#include "rates.h"
#include "tenants.h"

#define DOCUMENT_VERSION 1

/* A budget or a cost: GPU time of an engagement. Lists are in the order of engagements. */
struct engagement_ns {
	uint64_t engagement, ns;
	uint32_t renewal; /* of a budget: enum k2k_budget_renewal, or UNITS_FLEET */
	size_t line, column;
};

struct entry {
	k2k_tenant_id id;
	struct rate rate;
	uint32_t alone_period; /* of the number of `alone`; must be a second */
	uint64_t gpu_memory_bytes;
	uint32_t kernels;
	uint32_t fleet;                     /* of all hosts together: FLEET_... */
	char name[K2K_TENANT_NAME_MAX + 1]; /* "": none */
	bool shadow;
	uint8_t alerts[K2K_ALERTS_MAX];
	size_t first_budget, budget_count;
	size_t source, line, column;
	/* only in a saved document */
	uint64_t generation, registered_at_ns, admitted_total, unattributed_ns;
	struct k2k_rejected rejected_total, shadow_rejected_total;
	uint64_t suspended_rejected_total;
	bool suspended;
	size_t first_cost, cost_count;
	size_t first_correction, correction_count; /* their ns are signed */
	size_t first_period, period_count;         /* ns is an index into the document's images */
};

struct engagements {
	struct engagement_ns *list;
	size_t count, room;
};

/* One file of the document. */
struct source_file {
	char *name;                                /* printable */
	char registry[K2K_NAME_MAX + 1], uuid[40]; /* of which it is an export, or "" */
	bool ended;                                /* it has its end mark */
};

struct document {
	char *name; /* for messages: the name of the file, or the number of files */
	struct source_file *sources;
	size_t source_count;
	struct entry *entries; /* by id */
	size_t count, room;
	struct engagements budgets, costs, corrections, periods;
	struct k2k_budget_image *images;
	size_t image_count, image_room;
	/* in a saved document: the newest generation that its registry has used */
	uint64_t generation;
};

enum document_kind { DOCUMENT_PLAIN, DOCUMENT_SAVED };

/*
 * Reads and checks all of the files; "-" is standard input. Returns 0, or the exit code after it
 * has reported the faults with line and column, counted from 1. Up to DOCUMENT_FAULTS wrong values
 * are reported at once; a syntax error ends the file.
 */
#define DOCUMENT_FAULTS 20
int document_read(struct ctl *ctl, const char *const *paths, size_t count, enum document_kind kind,
                  struct document *document);
/* The same for a text in memory, which `name` stands for in messages. */
int document_read_text(struct ctl *ctl, const char *name, const char *text,
                       struct document *document);
void document_free(struct document *document);

/* Whether `save` may have written it. */
bool document_looks_saved(const char *data);
/* The file must end with the checksum of all bytes before it. Returns 0 or the exit code. */
int document_verify(struct ctl *ctl, const char *name, const char *data, size_t length);
/* Reads a whole file, or standard input if it is "-", and adds a 0. Returns 0 or the exit code. */
int read_file(struct ctl *ctl, const char *path, char **data, size_t *length);

/*
 * For export and save: writes `{"id": "42", "rate": "5000/s", ...` as JSON, or the same as YAML.
 * The caller writes the closing brace.
 */
void document_write_limits(FILE *out, bool json, const struct tenants *tenants,
                           const struct tenant *t);

/*
 * The periods of a budget in a saved document: "NUMBER BEGAN_AT_NS USED_NS CORRECTED_NS" of the
 * current one, then "BEGAN_AT_NS USED_NS" of each closed one that is kept, from the oldest on.
 */
void periods_print(FILE *out, const struct k2k_budget_info *budget,
                   const struct k2k_budget_use *closed, size_t count);
#define FLEET_TEXT 96
/*
 * Cuts "/fleet" off the text, which is allowed if `fleet`; then *over is true. False after a fault.
 */
bool fleet_cut(const char *text, bool fleet, char left[FLEET_TEXT], bool *over,
               struct units_fault *fault);
/* What is wrong with the limits over the fleet; null: nothing. `fleet`: it is in their document. */
const char *fleet_fault(const struct entry *entry, bool fleet);
/*
 * A budget's amount and renewal. `fleet`: it may be one over the fleet, "10h/fleet", whose renewal
 * is UNITS_FLEET.
 */
int budget_parse(const char *text, bool fleet, struct engagement_ns *budget,
                 struct units_fault *fault);
/* Drops unlimited budgets: in the library, no budget means unlimited. */
void budgets_drop_unlimited(struct engagements *list, size_t first, size_t *count);
/* False: the text is no such list. */
bool periods_parse(const char *text, struct k2k_budget_image *image);
/* Adds an image to the document, and returns its index. */
size_t images_add(struct document *document, uint64_t engagement);
void images_free(struct document *document);
/* A number with an optional minus, as the bits of an int64_t. */
int signed_parse(const char *text, uint64_t *value, struct units_fault *fault);

/* A checksum against accidents, not against malice: CRC-64 of xz. Begin with 0. */
uint64_t crc64(uint64_t crc, const void *data, size_t length);
#define CHECKSUM_MARK ",\n\"checksum\": \"crc64:"

#endif
