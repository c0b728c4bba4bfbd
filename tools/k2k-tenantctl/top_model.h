/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * top_model.h - what `top` shows, without a screen: the latest snapshot of a registry, what
 * happened since the one before, and both as sorted rows of short cells
 *
 * All texts are ASCII. It only reads, so any role will do.
 */
#ifndef K2K_TENANTCTL_TOP_MODEL_H
#define K2K_TENANTCTL_TOP_MODEL_H

#include <stdbool.h>

#include "interval.h"

enum top_view { TOP_TENANTS, TOP_BROKERS, TOP_KERNELS, TOP_VIEWS };

enum top_form {
	FORM_ID,
	FORM_COUNT,
	FORM_RATE,
	FORM_SECONDS,
	FORM_PERCENT,
	FORM_SIZE,
	FORM_STATE,
	FORM_TEXT,
	FORM_LIMIT
};

struct top_column {
	int width;
	enum top_form form;
};
/* The first column names the row. A narrow screen leaves out the last ones. */
const struct top_column *top_columns(enum top_view view, size_t *count);
const char *top_heading(enum top_view view, size_t column);

/* How much of each limit is used, in percent; UINT64_MAX: unlimited. */
struct top_use {
	uint64_t rate, budget, kernels, memory; /* budget: the one that is used most */
	uint32_t budget_alerted; /* the highest threshold that one of the budgets has reached */
};

struct top_order {
	size_t column;
	bool falling;
	size_t *rows, count; /* the rows that pass the filter, in order */
};

#define TOP_FILTER 20 /* digits of the longest id */

struct top {
	struct snapshot now, before; /* before: empty until there are two snapshots */
	/* each: for the tenants of `now`; interval_ns is 0 until there are two snapshots */
	struct change all, *each;
	struct top_use *use; /* for the tenants of `now` */
	struct holdings held;
	struct top_order order[TOP_VIEWS];
	char filter[TOP_FILTER + 1]; /* digits that a shown tenant's id contains; "": all */
	/* hide tenants without messages, rejections, GPU time and leases */
	bool busy_only;
	/* hide tenants that nothing refused in the interval */
	bool rejected_only;
	/* list dead brokers; otherwise several of them are shown as a number */
	bool show_dead;
};

void top_begin(struct top *t);
/* Takes a snapshot. Returns a K2K_E... code; after an error everything is unchanged. */
int top_refresh(struct top *t, struct k2k_registry *reg);
/* Makes the next snapshot the first one again, after a pause. */
void top_forget_before(struct top *t);
void top_end(struct top *t);

/* Sorts and filters the rows. The caller calls it after a change of either; top_refresh() does. */
void top_arrange(struct top *t, enum top_view view);
/* Sorts by another column, in its natural order: names rise, numbers fall. */
void top_sort_by(struct top *t, enum top_view view, size_t column);

uint64_t top_rejected(const struct change *c); /* by a limit or a suspension; saturates */
size_t top_folded(const struct top *t);        /* dead brokers that are not shown */
/* The tenant's row in `now`, or SIZE_MAX if it is no longer registered. */
size_t top_find(const struct top *t, uint64_t generation);

enum top_mark { MARK_NONE, MARK_WARN, MARK_ALARM };
#define TOP_TEXT 40
/* Prints one cell; `row` is an element of the order's rows. */
enum top_mark top_cell(const struct top *t, enum top_view view, size_t row, size_t column,
                       char text[TOP_TEXT]);

/* What a tenant's cell is sorted by. */
uint64_t top_sort_number(const struct top *t, size_t row, size_t column);

/* Facts about the whole registry, the most important ones first. Returns how many. */
#define TOP_FACTS 19
struct top_fact {
	const char *name;
	char text[80];
};
size_t top_facts(const struct top *t, struct top_fact facts[TOP_FACTS]);

#endif
