/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * view.h - which rows and columns of a table are printed, and in which order: --columns, --sort and
 * --filter
 *
 * Filters and order hold for every form of output. --columns chooses for tables and csv only:
 * programs that read JSON take the fields that they want.
 */
#ifndef K2K_TENANTCTL_VIEW_H
#define K2K_TENANTCTL_VIEW_H

#include "columns.h"
#include "ctl.h"

struct chosen_column {
	size_t field;
	char *name; /* as the user wrote it: heads the column in csv */
};

struct view {
	const struct table *table;
	struct chosen_column *chosen; /* by --columns */
	size_t chosen_count;          /* 0: the usual columns */
	bool sorted, falling;         /* by --sort */
	size_t sort;                  /* the field */
	struct filter *filters;       /* all of them must hold */
	size_t filter_count;
};

/* Reads the options as columns of `table` into ctl->view. False: wrong usage, and reported. */
bool view_read(struct ctl *ctl, const struct table *table);
void view_free(struct view *view);

/* `values` are one row of the view's table. */
bool view_passes(const struct view *view, const struct value *values);
/* Orders two rows by the --sort column: negative, 0 or positive. */
int view_compare(const struct view *view, const struct value *a, const struct value *b);

#endif
