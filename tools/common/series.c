/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALVED_EVERY_NS 600e9
#define KEEPS_SERIES 1.1 /* factor for a tenant that has a series already */

struct metrics_past_tenant {
	uint64_t generation;
	uint64_t counters[AMOUNT_COUNTERS];
	double busy; /* requests; older ones count less */
	bool own;
};

/* ---- amounts ------------------------------------------------------------------ */

void amount_add(uint64_t *sum, uint64_t n)
{
	if (__builtin_add_overflow(*sum, n, sum))
		*sum = UINT64_MAX;
}

void amounts_of(struct metrics_amounts *a, const struct snapshot_tenant *t)
{
	const struct k2k_tenant_info *i = &t->info;

	*a = (struct metrics_amounts){ .n = {
					       [AMOUNT_ADMITTED] = i->admitted_total,
					       [AMOUNT_REJECTED_RATE] = i->rejected_total.rate,
					       [AMOUNT_REJECTED_BUDGET] = i->rejected_total.budget,
					       [AMOUNT_REJECTED_KERNELS] =
						       i->rejected_total.kernels,
					       [AMOUNT_REJECTED_MEMORY] =
						       i->rejected_total.gpu_memory,
					       [AMOUNT_REJECTED_SUSPENDED] =
						       i->suspended_rejected_total,
					       [AMOUNT_SHADOW_RATE] = i->shadow_rejected_total.rate,
					       [AMOUNT_SHADOW_BUDGET] =
						       i->shadow_rejected_total.budget,
					       [AMOUNT_SHADOW_KERNELS] =
						       i->shadow_rejected_total.kernels,
					       [AMOUNT_SHADOW_MEMORY] =
						       i->shadow_rejected_total.gpu_memory,
					       [AMOUNT_GPU_NS] = t->gpu_ns,
					       [AMOUNT_UNATTRIBUTED_NS] = i->unattributed_ns,
					       [AMOUNT_KERNELS] = i->kernels,
					       [AMOUNT_MEMORY] = i->gpu_memory_bytes,
					       [AMOUNT_RESERVED_NS] = t->reserved_ns,
					       [AMOUNT_NAMES] = t->names,
					       [AMOUNT_LIMIT_KERNELS] =
						       i->max_concurrent_kernels ==
								       K2K_UNLIMITED_KERNELS
							       ? UINT64_MAX
							       : i->max_concurrent_kernels,
					       [AMOUNT_LIMIT_MEMORY] = i->max_gpu_memory_bytes,
					       [AMOUNT_IN_SHADOW] = i->shadow,
					       [AMOUNT_SUSPENDED] = i->suspended,
				       } };
}

/* ---- the past ------------------------------------------------------------------- */

void metrics_forget(struct metrics_past *past)
{
	free(past->tenants);
	*past = (struct metrics_past){ 0 };
}

/* How much a counter has grown; 0 if it fell, because it is corrupt then. */
static uint64_t grown(uint64_t now, uint64_t was)
{
	return now > was ? now - was : 0;
}

/*
 * Both sides are sorted by generation, so one walk finds the tenants of both. Such a tenant keeps
 * its busyness, and the requests since are added.
 */
static void look(struct metrics_past_tenant *now, const struct metrics_past *past,
                 const struct snapshot *s)
{
	double kept = exp2(-(double)grown(s->taken_ns, past->taken_ns) / HALVED_EVERY_NS);
	size_t at = 0;

	for (size_t i = 0; i < s->tenant_count; i++) {
		const struct metrics_past_tenant *was = NULL;
		struct metrics_amounts a;

		amounts_of(&a, &s->tenants[i]);
		now[i].generation = s->tenants[i].info.generation;
		memcpy(now[i].counters, a.n, sizeof(now[i].counters));
		while (at < past->count && past->tenants[at].generation < now[i].generation)
			at++;
		if (at < past->count && past->tenants[at].generation == now[i].generation)
			was = &past->tenants[at];
		now[i].busy = was ? was->busy * kept : 0;
		now[i].own = was && was->own;
		for (enum metrics_amount n = AMOUNT_ADMITTED; n <= AMOUNT_SHADOW_MEMORY; n++)
			now[i].busy += (double)grown(a.n[n], was ? was->counters[n] : 0);
	}
}

/* After the choice: adds what the tenants of the sum counted since the last snapshot. */
static void add_to_sum(struct metrics_amounts *sum, const struct metrics_past_tenant *now,
                       size_t count, const struct metrics_past *past)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		const struct metrics_past_tenant *was = NULL;

		while (at < past->count && past->tenants[at].generation < now[i].generation)
			at++;
		if (at < past->count && past->tenants[at].generation == now[i].generation)
			was = &past->tenants[at];
		for (size_t n = 0; n < AMOUNT_COUNTERS && !now[i].own; n++)
			amount_add(&sum->n[n],
			           grown(now[i].counters[n], was ? was->counters[n] : 0));
	}
}

/* ---- the choice ------------------------------------------------------------------ */

struct rank {
	double first, second;
	size_t index;
};

static int compare_ranks(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? 1 : -1;
	if (x->second != y->second)
		return x->second < y->second ? 1 : -1;
	return (x->index > y->index) - (x->index < y->index); /* registered first */
}

static void choose(struct rank *ranks, size_t count, uint64_t most, bool *own)
{
	memset(own, 0, count * sizeof(*own));
	qsort(ranks, count, sizeof(*ranks), compare_ranks);
	for (size_t i = 0; i < count && i < most; i++)
		own[ranks[i].index] = true;
}

int series_choose(struct metrics_past *past, const struct snapshot *s, uint64_t most, bool *own)
{
	struct metrics_past_tenant *now = calloc(s->tenant_count + 1, sizeof(*now));
	struct rank *ranks = calloc(s->tenant_count + 1, sizeof(*ranks));

	if (!now || !ranks) {
		free(now);
		free(ranks);
		return K2K_ENOMEM;
	}
	if (strcmp(past->uuid, s->registry.uuid)) {
		metrics_forget(past);
		memcpy(past->uuid, s->registry.uuid, sizeof(past->uuid));
	}
	look(now, past, s);
	for (size_t i = 0; i < s->tenant_count; i++)
		ranks[i] = (struct rank){ now[i].busy * (now[i].own ? KEEPS_SERIES : 1),
			                  (double)s->tenants[i].gpu_ns, i };
	choose(ranks, s->tenant_count, most, own);
	for (size_t i = 0; i < s->tenant_count; i++)
		now[i].own = own[i];
	add_to_sum(&past->summed, now, s->tenant_count, past);
	free(ranks);
	free(past->tenants);
	past->tenants = now;
	past->count = s->tenant_count;
	past->taken_ns = s->taken_ns;
	return 0;
}

int series_choose_budgets(const struct snapshot *s, uint64_t most, bool *own)
{
	struct rank *ranks = calloc(s->budget_count + 1, sizeof(*ranks));

	if (!ranks)
		return K2K_ENOMEM;
	for (size_t i = 0; i < s->budget_count; i++) {
		const struct k2k_budget_info *b = &s->budgets[i];

		/* a budget of nothing is used up */
		ranks[i] = (struct rank){ b->budget_ns ? (double)b->used_ns / (double)b->budget_ns
			                               : 1,
			                  (double)b->used_ns, i };
	}
	choose(ranks, s->budget_count, most, own);
	free(ranks);
	return 0;
}
