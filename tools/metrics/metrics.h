/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A registry as metrics, in the text format 0.0.4 of Prometheus.
 *
 * Each metric has at most max_series tenants (of the budgets: pairs of tenant
 * and engagement) with a series of their own: those registered first. The rest
 * are summed under tenant="other". So a new tenant never pushes another one into
 * the sum; but one that is deregistered leaves the sum, or frees a place for
 * one of the sum. A counter must not fall by that: who asks again and again
 * keeps a struct metrics_past, in which what left the sum stays counted.
 */
#ifndef K2K_METRICS_H
#define K2K_METRICS_H

#include "snapshot.h"

#define METRICS_SERIES_DEFAULT 1000

/* What has been counted, in the order of the tables in metrics.c. Counters first. */
enum metrics_amount {
	AMOUNT_ADMITTED, AMOUNT_REJECTED_RATE, AMOUNT_REJECTED_BUDGET, AMOUNT_REJECTED_KERNELS, AMOUNT_REJECTED_MEMORY,
	AMOUNT_GPU_NS, AMOUNT_UNATTRIBUTED_NS,
	AMOUNT_COUNTERS,
	AMOUNT_KERNELS = AMOUNT_COUNTERS, AMOUNT_MEMORY, AMOUNT_LIMIT_RATE, AMOUNT_LIMIT_KERNELS, AMOUNT_LIMIT_MEMORY,
	AMOUNTS
};
struct metrics_amounts { uint64_t n[AMOUNTS]; };

struct metrics_past {
	char uuid[40];                  /* of the registry that the rest is about */
	struct metrics_amounts gone;    /* counters of those that were in the sum and no longer are */
	struct metrics_past_tenant *rest;       /* who is in the sum, by generation */
	size_t rest_count;
};

/*
 * snapshot null: the registry can't be read; that is all the text says then.
 * past may be null; begin with { 0 }. Returns 0 or K2K_ENOMEM. *text is to be
 * freed, and has *length bytes.
 */
int metrics_text(const char *registry, const struct snapshot *snapshot, uint64_t max_series, struct metrics_past *past,
                 char **text, size_t *length);
void metrics_forget(struct metrics_past *past);

#endif
