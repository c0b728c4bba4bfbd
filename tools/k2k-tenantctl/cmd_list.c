/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list - all tenants: which of them, in which order, with which columns
 *
 * A column is one line in the table below, and one in column_number(). Filters and order hold for
 * each form of output; the choice of columns for tables and csv, since programs that read JSON take
 * what they want.
 */
#include "commands.h"
#include "interval.h"
#include "accounts.h"
#include "output.h"
#include "tenants.h"
#include "common/clock.h"
#include "common/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum column {
	COLUMN_ID,
	COLUMN_GENERATION,
	COLUMN_REGISTERED,
	COLUMN_RATE,
	COLUMN_KERNELS,
	COLUMN_GPU_MEMORY,
	COLUMN_BUDGETS,
	COLUMN_ADMITTED,
	COLUMN_REJECTED,
	COLUMN_BY_RATE,
	COLUMN_BY_BUDGET,
	COLUMN_BY_KERNELS,
	COLUMN_BY_MEMORY,
	COLUMN_GPU_TIME,
	COLUMN_UNATTRIBUTED,
	COLUMN_THIS_SECOND,
	COLUMN_KERNELS_HELD,
	COLUMN_MEMORY_HELD,
	COLUMNS
};

/* The names are words of --sort and --columns in command_table.c, too. */
static const struct field columns[COLUMNS] = {
	[COLUMN_ID] = { "id", "TENANT", KIND_ID, 0 },
	[COLUMN_GENERATION] = { "generation", "GENERATION", KIND_ID, 0 },
	[COLUMN_REGISTERED] = { "registered", "REGISTERED", KIND_TIME, 0 },
	[COLUMN_RATE] = { "rate", "RATE", KIND_RATE, FIELD_LIMIT },
	[COLUMN_KERNELS] = { "kernels", "KERNELS", KIND_COUNT, FIELD_LIMIT },
	[COLUMN_GPU_MEMORY] = { "gpu-memory", "GPU-MEMORY", KIND_BYTES, FIELD_LIMIT },
	[COLUMN_BUDGETS] = { "budgets", "BUDGETS", KIND_COUNT, 0 },
	[COLUMN_ADMITTED] = { "admitted", "ADMITTED", KIND_TOTAL, 0 },
	[COLUMN_REJECTED] = { "rejected", "REJECTED", KIND_TOTAL, 0 },
	[COLUMN_BY_RATE] = { "rejected-rate", "REJECTED-RATE", KIND_TOTAL, 0 },
	[COLUMN_BY_BUDGET] = { "rejected-budget", "REJECTED-BUDGET", KIND_TOTAL, 0 },
	[COLUMN_BY_KERNELS] = { "rejected-kernels", "REJECTED-KERNELS", KIND_TOTAL, 0 },
	[COLUMN_BY_MEMORY] = { "rejected-memory", "REJECTED-MEMORY", KIND_TOTAL, 0 },
	[COLUMN_GPU_TIME] = { "gpu-time", "GPU-TIME", KIND_NS, 0 },
	[COLUMN_UNATTRIBUTED] = { "unattributed", "UNATTRIBUTED", KIND_NS, 0 },
	[COLUMN_THIS_SECOND] = { "this-second", "THIS-SECOND", KIND_TOTAL, 0 },
	[COLUMN_KERNELS_HELD] = { "kernels-held", "KERNELS-HELD", KIND_COUNT, 0 },
	[COLUMN_MEMORY_HELD] = { "memory-held", "MEMORY-HELD", KIND_BYTES, 0 },
};

static uint64_t column_number(const struct tenant *t, enum column column)
{
	const struct k2k_tenant_info *i = &t->info;

	switch (column) {
	case COLUMN_ID: return i->id;
	case COLUMN_GENERATION: return i->generation;
	case COLUMN_REGISTERED: return i->registered_at_ns;
	case COLUMN_RATE: return i->max_messages_per_sec;
	case COLUMN_KERNELS:
		return i->max_concurrent_kernels == K2K_UNLIMITED_KERNELS
		               ? UINT64_MAX
		               : i->max_concurrent_kernels;
	case COLUMN_GPU_MEMORY: return i->max_gpu_memory_bytes;
	case COLUMN_BUDGETS: return t->budget_count;
	case COLUMN_ADMITTED: return i->admitted_total;
	case COLUMN_REJECTED: return tenant_rejected(i);
	case COLUMN_BY_RATE: return i->rejected_total.rate;
	case COLUMN_BY_BUDGET: return i->rejected_total.budget;
	case COLUMN_BY_KERNELS: return i->rejected_total.kernels;
	case COLUMN_BY_MEMORY: return i->rejected_total.gpu_memory;
	case COLUMN_GPU_TIME: return t->gpu_ns_total;
	case COLUMN_UNATTRIBUTED: return i->unattributed_ns;
	case COLUMN_THIS_SECOND: return i->messages_this_second;
	case COLUMN_KERNELS_HELD: return i->kernels;
	case COLUMN_MEMORY_HELD: return i->gpu_memory_bytes;
	case COLUMNS: break;
	}
	return 0;
}

/* ---- what is asked for ---------------------------------------------------------- */

enum comparison { LESS, LESS_OR_EQUAL, EQUAL, NOT_EQUAL, MORE_OR_EQUAL, MORE };

struct filter {
	enum column column;
	enum comparison comparison;
	uint64_t number;
};

struct view {
	enum column chosen[COLUMNS];
	size_t chosen_count; /* 0: the usual ones */
	enum column sort;
	bool falling;
	struct filter *filters; /* all of them have to hold; to be freed */
	size_t filter_count;
};

static bool column_called(struct ctl *ctl, const char *option, const char *name, size_t length,
                          enum column *column)
{
	char word[40];
	struct guess guess = { word, NULL, 0 };

	snprintf(word, sizeof(word), "%.*s",
	         (int)(length < sizeof(word) ? length : sizeof(word) - 1), name);
	for (size_t i = 0; i < COLUMNS; i++) {
		guess_offer(&guess, columns[i].key);
		if (strlen(columns[i].key) == length && !memcmp(columns[i].key, name, length)) {
			*column = (enum column)i;
			return true;
		}
	}
	if (guess.best)
		fail_usage(ctl, "%s '%s': no such column; did you mean '%s'?", option, word,
		           guess.best);
	else
		fail_usage(ctl, "%s '%s': no such column; 'list --help' has them", option, word);
	return false;
}

static bool parse_columns(struct ctl *ctl, const char *text, struct view *view)
{
	for (;; text++) {
		size_t length = strcspn(text, ",");

		if (view->chosen_count == COLUMNS) {
			fail_usage(ctl, "--columns: more than there are");
			return false;
		}
		if (!column_called(ctl, "--columns", text, length,
		                   &view->chosen[view->chosen_count]))
			return false;
		view->chosen_count++;
		text += length;
		if (!*text)
			return true;
	}
}

static bool parse_number(const struct field *column, const char *text, uint64_t *number,
                         struct units_fault *fault)
{
	if ((column->flags & FIELD_LIMIT) && !strcmp(text, "unlimited")) {
		*number = UINT64_MAX;
		return true;
	}
	switch (column->kind) {
	case KIND_BYTES: return !units_parse_size(text, number, fault);
	case KIND_NS: return !units_parse_duration(text, number, fault);
	case KIND_RATE: return !units_parse_rate(text, number, fault);
	case KIND_ID: return !units_parse_id(text, number, fault);
	default: return !units_parse_count(text, 0, UINT64_MAX, number, fault);
	}
}

/* "rejected>0" */
static bool parse_filter(struct ctl *ctl, const char *text, struct filter *filter)
{
	static const struct {
		const char *sign;
		enum comparison comparison;
	} signs[] = {
		{ "<=", LESS_OR_EQUAL }, { ">=", MORE_OR_EQUAL }, { "!=", NOT_EQUAL },
		{ "<", LESS },           { ">", MORE },           { "=", EQUAL },
	};
	size_t length = strcspn(text, "<>=!"), sign = 0, count = sizeof(signs) / sizeof(signs[0]);
	struct units_fault fault;
	const char *value;

	while (sign < count && strncmp(text + length, signs[sign].sign, strlen(signs[sign].sign)))
		sign++;
	if (sign == count) {
		fail_usage(ctl,
		           "--filter '%.100s': it is COLUMN, one of < <= = != >= >, and a number, "
		           "like 'rejected>0'",
		           text);
		return false;
	}
	if (!column_called(ctl, "--filter", text, length, &filter->column))
		return false;
	filter->comparison = signs[sign].comparison;
	value = text + length + strlen(signs[sign].sign);
	if (parse_number(&columns[filter->column], value, &filter->number, &fault))
		return true;
	fail_usage(ctl, "--filter '%.100s': %s at position %zu", text, fault.what,
	           fault.position + (size_t)(value - text));
	return false;
}

static bool parse_view(struct ctl *ctl, struct view *view)
{
	const char *sort = ctl->option[OPT_SORT];

	*view = (struct view){ .filters = check_memory(
				       calloc(ctl->filter_count + 1, sizeof(*view->filters))) };
	for (size_t i = 0; i < ctl->filter_count; i++)
		if (!parse_filter(ctl, ctl->filters[i], &view->filters[view->filter_count++]))
			return false;
	if (ctl->option[OPT_COLUMNS] && !parse_columns(ctl, ctl->option[OPT_COLUMNS], view))
		return false;
	if (!sort)
		return true;
	view->falling = *sort == '-';
	sort += view->falling;
	return column_called(ctl, "--sort", sort, strlen(sort), &view->sort);
}

/* ---- which, in which order --------------------------------------------------------- */

static bool passes(const struct view *view, const struct tenant *t)
{
	for (size_t i = 0; i < view->filter_count; i++) {
		const struct filter *f = &view->filters[i];
		uint64_t number = column_number(t, f->column);
		int order = (number > f->number) - (number < f->number);
		const bool holds[] = {
			[LESS] = order<0, [LESS_OR_EQUAL] = order <= 0, [EQUAL] = !order,
			               [NOT_EQUAL] = order != 0, [MORE_OR_EQUAL] = order >= 0,
			               [MORE] = order> 0,
		};

		if (!holds[f->comparison])
			return false;
	}
	return true;
}

/* Equal ones by id, rising. */
static int compare(const void *a, const void *b, void *context)
{
	const struct view *view = context;
	uint64_t x = column_number(a, view->sort), y = column_number(b, view->sort);
	const struct tenant *p = a, *q = b;

	if (x != y)
		return (x > y) == !view->falling ? 1 : -1;
	return (p->info.id > q->info.id) - (p->info.id < q->info.id);
}

static void arrange(struct tenants *tenants, struct view *view)
{
	size_t kept = 0;

	for (size_t i = 0; i < tenants->count; i++)
		if (passes(view, &tenants->rows[i]))
			tenants->rows[kept++] = tenants->rows[i];
	tenants->count = kept;
	qsort_r(tenants->rows, kept, sizeof(*tenants->rows), compare, view);
}

static void print_chosen(struct ctl *ctl, const struct tenants *tenants, const struct view *view)
{
	struct field fields[COLUMNS];
	struct value values[COLUMNS];
	struct list list;

	for (size_t c = 0; c < view->chosen_count; c++)
		fields[c] = columns[view->chosen[c]];
	list_begin(&list, ctl, "tenants", fields, view->chosen_count, NULL, NULL, 0);
	for (size_t i = 0; i < tenants->count; i++) {
		for (size_t c = 0; c < view->chosen_count; c++)
			values[c] = NUMBER(column_number(&tenants->rows[i], view->chosen[c]));
		list_row(&list, values);
	}
	list_end(&list);
}

static int list_once(struct ctl *ctl, struct k2k_registry *reg, struct view *view)
{
	struct tenants tenants;
	int exit_code = tenants_load_all(ctl, reg, &tenants);

	if (!exit_code) {
		arrange(&tenants, view);
		if (view->chosen_count && ctl->format != FORMAT_JSON)
			print_chosen(ctl, &tenants, view);
		else
			tenants_print(ctl, &tenants, false);
	}
	tenants_free(&tenants);
	return exit_code ? exit_code : ctl->failure_count ? EXIT_PARTLY : EXIT_DONE;
}

/* Each second anew: on a terminal in the place of the one before. */
static int watch(struct ctl *ctl, struct k2k_registry *reg, struct view *view)
{
	const uint64_t second = 1000000000;
	uint64_t next = clock_monotonic_ns();
	bool terminal = isatty(STDOUT_FILENO);
	int exit_code;

	for (;;) {
		uint64_t now = clock_monotonic_ns();

		next += ((now > next ? now - next : 0) / second + 1) * second;
		if (terminal)
			fputs("\033[H\033[2J", stdout);
		exit_code = list_once(ctl, reg, view);
		/* without a reader there is nothing left to do */
		if (exit_code || fflush(stdout) || ferror(stdout))
			return exit_code;
		clock_sleep_until(next);
	}
}

int cmd_list(struct ctl *ctl)
{
	struct k2k_registry *reg;
	struct view view;
	int exit_code;

	if (!parse_view(ctl, &view)) {
		exit_code = EXIT_USAGE;
	} else if (!(exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg))) {
		exit_code = ctl->option[OPT_WATCH] ? watch(ctl, reg, &view)
		                                   : list_once(ctl, reg, &view);
		k2k_registry_close(&reg);
	}
	free(view.filters);
	return exit_code;
}
