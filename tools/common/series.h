/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * series.h - which tenants have metric series of their own: the busiest
 *
 * How busy a tenant is depends on its requests, whether they were admitted, rejected, or would have
 * been but for a shadow; a request counts half as much ten minutes later. A tenant without requests
 * loses its series to one that has some. A tenant without a series must be a tenth busier than the
 * one that it replaces, so that two equally busy tenants don't alternate with each scrape.
 *
 * All other tenants are summed as tenant="other". A counter must neither fall nor jump when a
 * tenant enters or leaves the sum, so the sum grows by what its tenants counted between two
 * snapshots. What a tenant counted before its first snapshot goes where that snapshot puts the
 * tenant.
 */
#ifndef K2K_COMMON_SERIES_H
#define K2K_COMMON_SERIES_H

#include <stdbool.h>

#include "snapshot.h"

/* The numbers of a tenant, in the order of the table in metrics.c; counters come first. */
enum metrics_amount {
	AMOUNT_ADMITTED,
	AMOUNT_REJECTED_RATE,
	AMOUNT_REJECTED_BUDGET,
	AMOUNT_REJECTED_KERNELS,
	AMOUNT_REJECTED_MEMORY,
	AMOUNT_REJECTED_SUSPENDED,
	AMOUNT_SHADOW_RATE,
	AMOUNT_SHADOW_BUDGET,
	AMOUNT_SHADOW_KERNELS,
	AMOUNT_SHADOW_MEMORY,
	AMOUNT_GPU_NS,
	AMOUNT_UNATTRIBUTED_NS,
	AMOUNT_COUNTERS,
	AMOUNT_KERNELS = AMOUNT_COUNTERS,
	AMOUNT_MEMORY,
	AMOUNT_RESERVED_NS,
	AMOUNT_NAMES,
	AMOUNT_LIMIT_KERNELS,
	AMOUNT_LIMIT_MEMORY,
	AMOUNT_IN_SHADOW,
	AMOUNT_SUSPENDED,
	AMOUNTS
};
struct metrics_amounts {
	uint64_t n[AMOUNTS];
};

/* Saturates, because unlimited (UINT64_MAX) plus anything is unlimited. */
void amount_add(uint64_t *sum, uint64_t n);
void amounts_of(struct metrics_amounts *amounts, const struct snapshot_tenant *tenant);

/* What is remembered between two snapshots; begin with { 0 }. */
struct metrics_past {
	char uuid[40]; /* of the registry */
	uint64_t taken_ns;
	struct metrics_amounts summed;       /* counters of tenant="other" */
	struct metrics_past_tenant *tenants; /* by generation */
	size_t count;
};
void metrics_forget(struct metrics_past *past);

/*
 * Sets own[i] for the `most` busiest tenants of the snapshot, and adds the snapshot to the past.
 * Returns 0, or K2K_ENOMEM with nothing changed.
 */
int series_choose(struct metrics_past *past, const struct snapshot *snapshot, uint64_t most,
                  bool *own);

/* Sets own[i] for the `most` budgets of which the largest share is used. */
int series_choose_budgets(const struct snapshot *snapshot, uint64_t most, bool *own);

#endif
