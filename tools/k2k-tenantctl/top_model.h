/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `top` shows, without a screen: the newest look at a registry, what
 * happened since the look before, and both as rows of short cells in an order.
 * All texts are ASCII. Any role: it only reads.
 */
#ifndef K2K_TENANTCTL_TOP_MODEL_H
#define K2K_TENANTCTL_TOP_MODEL_H

#include <stdbool.h>

#include "interval.h"

enum top_view { TOP_TENANTS, TOP_BROKERS, TOP_VIEWS };

enum top_form {
	FORM_ID,
	FORM_COUNT,
	FORM_RATE,
	FORM_SECONDS,
	FORM_PERCENT,
	FORM_SIZE,
	FORM_STATE,
	FORM_TEXT
};

struct top_column {
	int width;
	enum top_form form;
};
/*
 * The first is what a row is called. The others by weight: a narrow screen leaves out the last
 * ones.
 */
const struct top_column *top_columns(enum top_view view, size_t *count);
const char *top_heading(enum top_view view, size_t column);

/* How much of a limit is used, in percent; UINT64_MAX: unlimited. */
struct top_use {
	uint64_t rate, budget, kernels, memory;
}; /* budget: of the fullest */

struct top_order {
	size_t column;
	bool falling;
	size_t *rows, count; /* those that pass the filter, in this order */
};

#define TOP_FILTER 20 /* digits of the longest id */

struct top {
	struct snapshot now, before; /* before: empty until there are two */
	/* each: of the tenants of now; interval_ns 0 until there are two */
	struct change all, *each;
	struct top_use *use; /* the same */
	struct holdings held;
	struct top_order order[TOP_VIEWS];
	char filter[TOP_FILTER + 1]; /* digits somewhere in a tenant's id; "": all */
	/* no tenants without messages, rejections, GPU time and leases */
	bool busy_only;
	/* only tenants that were refused something in the interval */
	bool rejected_only;
	/* dead brokers, of which else there is a number where they are several */
	bool show_dead;
};

void top_begin(struct top *t);
/* Returns a K2K_E... code; on an error everything stays as it was. */
int top_look(struct top *t, struct k2k_registry *reg);
/* The next look begins anew, as the first did: for after a pause. */
void top_forget_before(struct top *t);
void top_end(struct top *t);

/*
 * Rows by the view's order, and through the filter. To be called when either was changed; top_look
 * does by itself.
 */
void top_arrange(struct top *t, enum top_view view);
/* Moves by one column, in its natural order: names rise, numbers fall. */
void top_sort_by(struct top *t, enum top_view view, size_t column);

uint64_t top_rejected(const struct change *c); /* by any limit; saturates */
size_t top_folded(const struct top *t);        /* dead brokers that are not shown */
/* The tenant in `now`: its row, or SIZE_MAX where it is not registered any more. */
size_t top_find(const struct top *t, uint64_t generation);

enum top_mark { MARK_NONE, MARK_WARN, MARK_ALARM };
#define TOP_TEXT 40
/* `row` is an element of the order's rows. */
enum top_mark top_cell(const struct top *t, enum top_view view, size_t row, size_t column,
                       char text[TOP_TEXT]);

/* What a tenant's cell is sorted by. */
uint64_t top_sort_number(const struct top *t, size_t row, size_t column);

/* What is known of the registry as a whole, by weight. Returns how many. */
#define TOP_FACTS 16
struct top_fact {
	const char *name;
	char text[80];
};
size_t top_facts(const struct top *t, struct top_fact facts[TOP_FACTS]);

#endif
