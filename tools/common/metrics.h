/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * metrics.h - a registry as metrics, in Prometheus' text format 0.0.4
 *
 * At most max_series tenants have series of their own: the busiest (series.h). The same holds for
 * budgets: those of which most is used. The rest are summed as tenant="other". A caller that asks
 * repeatedly keeps a struct metrics_past, so that this sum never falls or jumps.
 */
#ifndef K2K_COMMON_METRICS_H
#define K2K_COMMON_METRICS_H

#include "series.h"

#define METRICS_SERIES_DEFAULT 1000

/*
 * A null snapshot: the registry can't be read, and the text says only that. `past` may be null;
 * begin with { 0 }. Returns 0 or K2K_ENOMEM. *text has *length bytes and is to be freed.
 */
int metrics_text(const char *registry, const struct snapshot *snapshot, uint64_t max_series,
                 struct metrics_past *past, char **text, size_t *length);

#endif
