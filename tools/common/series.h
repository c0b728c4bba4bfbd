/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which tenants have series of their own: the busiest.
 *
 * A tenant is as busy as it made requests (admitted or rejected), where a request counts for half
 * as much ten minutes later. Who makes none for long gives its place to who does; and one of the
 * sum must be a tenth busier than the one whose place it takes, so that two that are equally busy
 * don't change places with each scrape.
 *
 * The rest are summed as tenant="other". A counter must not fall, nor jump when a tenant enters the
 * sum: so the sum counts what was added while a tenant was in it, from one look to the next. What a
 * tenant had counted before anybody looked belongs to where it is seen first.
 */
#ifndef K2K_COMMON_SERIES_H
#define K2K_COMMON_SERIES_H

#include <stdbool.h>

#include "snapshot.h"

/* What has been counted, in the order of the tables in metrics.c. Counters first. */
enum metrics_amount {
	AMOUNT_ADMITTED,
	AMOUNT_REJECTED_RATE,
	AMOUNT_REJECTED_BUDGET,
	AMOUNT_REJECTED_KERNELS,
	AMOUNT_REJECTED_MEMORY,
	AMOUNT_GPU_NS,
	AMOUNT_UNATTRIBUTED_NS,
	AMOUNT_COUNTERS,
	AMOUNT_KERNELS = AMOUNT_COUNTERS,
	AMOUNT_MEMORY,
	AMOUNT_LIMIT_RATE,
	AMOUNT_LIMIT_KERNELS,
	AMOUNT_LIMIT_MEMORY,
	AMOUNTS
};
struct metrics_amounts {
	uint64_t n[AMOUNTS];
};

/* Saturates: unlimited and something is unlimited. */
void amount_add(uint64_t *sum, uint64_t n);
void amounts_of(struct metrics_amounts *amounts, const struct snapshot_tenant *tenant);

/* What is remembered from one look to the next; begin with { 0 }. */
struct metrics_past {
	char uuid[40]; /* of the registry that the rest is about */
	uint64_t taken_ns;
	struct metrics_amounts summed;       /* counters of tenant="other" */
	struct metrics_past_tenant *tenants; /* by generation */
	size_t count;
};
void metrics_forget(struct metrics_past *past);

/*
 * Sets own[i] for the `most` busiest of the snapshot's tenants, and takes the snapshot into the
 * past. Returns 0, or K2K_ENOMEM with nothing changed.
 */
int series_choose(struct metrics_past *past, const struct snapshot *snapshot, uint64_t most,
                  bool *own);

/* The same for budgets: those of which the largest share is used. */
int series_choose_budgets(const struct snapshot *snapshot, uint64_t most, bool *own);

#endif
