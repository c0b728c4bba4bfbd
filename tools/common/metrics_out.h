/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics_out.h - for the files of metrics: how a number becomes a line of Prometheus' text format,
 * and what metrics_limits.c adds to metrics.c
 */
#ifndef K2K_COMMON_METRICS_OUT_H
#define K2K_COMMON_METRICS_OUT_H

#include <stdbool.h>
#include <stdio.h>

#include "snapshot.h"

struct metrics_out {
	FILE *text;
	const char *registry;
};

enum metrics_unit {
	METRICS_COUNT,
	METRICS_SECONDS,        /* the value is in ns */
	METRICS_SIGNED_SECONDS, /* the same, of an int64_t */
	METRICS_LIMIT,          /* UINT64_MAX is +Inf */
};

/* All names without "k2k_". */
void metrics_family(struct metrics_out *o, const char *name, const char *type, const char *help);
/* Further labels begin with a comma: the registry's label comes first. */
void metrics_series(struct metrics_out *o, const char *name, enum metrics_unit unit, uint64_t value,
                    const char *labels, ...) __attribute__((format(printf, 5, 6)));
/* A family of one series. */
void metrics_single(struct metrics_out *o, const char *name, const char *type,
                    enum metrics_unit unit, uint64_t value, const char *help);
/*
 * Each fills `to` with what can be a label's value, and returns it: untrusted bytes, of which some
 * become '?'; and a tenant's name, which is UTF-8 without control characters, as it is.
 */
const char *metrics_label(char *to, size_t room, const char *from, size_t size);
#define METRICS_NAME_ROOM (2 * K2K_TENANT_NAME_MAX + 1)
const char *metrics_name(char to[METRICS_NAME_ROOM], const char *name);

/* own[i]: the tenant has series of its own; the others are summed. */
void metrics_put_rates(struct metrics_out *o, const struct snapshot *s, const bool *own);
void metrics_put_corrections(struct metrics_out *o, const struct snapshot *s, const bool *own);

#endif
