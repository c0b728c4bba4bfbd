/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A registry as metrics, in the text format 0.0.4 of Prometheus.
 *
 * Each metric has at most max_series tenants (of the budgets: pairs of tenant and engagement) with
 * a series of their own: the busiest (of the budgets: those nearest to their end), see series.h.
 * The rest are summed under tenant="other". Who asks again and again keeps a struct metrics_past,
 * so that this sum never falls or jumps.
 */
#ifndef K2K_COMMON_METRICS_H
#define K2K_COMMON_METRICS_H

#include "series.h"

#define METRICS_SERIES_DEFAULT 1000

/*
 * snapshot null: the registry can't be read; that is all the text says then.
 * past may be null; begin with { 0 }. Returns 0 or K2K_ENOMEM. *text is to be
 * freed, and has *length bytes.
 */
int metrics_text(const char *registry, const struct snapshot *snapshot, uint64_t max_series,
                 struct metrics_past *past, char **text, size_t *length);

#endif
