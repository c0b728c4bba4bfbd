/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view.h"
#include "suggest.h"
#include "common/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum comparison { LESS, LESS_OR_EQUAL, EQUAL, NOT_EQUAL, MORE_OR_EQUAL, MORE };

struct filter {
	size_t field;
	enum comparison comparison;
	uint64_t number;
	uint32_t period;  /* of a rate */
	const char *text; /* for columns of texts */
};

/* ---- columns by name ---------------------------------------------------------------- */

static bool fail_column(struct ctl *ctl, const struct table *table, const char *option,
                        const char *word)
{
	struct guess guess = { word, NULL, 0 };
	struct word_list known = { .last = "and" };
	char(*names)[COLUMN_NAME] = check_memory(calloc(table->count, sizeof(*names)));

	for (size_t i = 0; i < table->count; i++)
		known.total += table->fields[i].heading != NULL;
	for (size_t i = 0; i < table->count; i++) {
		if (!table->fields[i].heading)
			continue;
		word_list_add(&known, column_name(names[i], &table->fields[i]));
		guess_offer(&guess, names[i]);
	}
	fail_usage(ctl, "%s '%s': no such column; there are %s%s%s%s", option, word, known.text,
	           guess.best ? "; did you mean '" : "", guess.best ? guess.best : "",
	           guess.best ? "'?" : "");
	free(names);
	return false;
}

/* A column answers to its heading in any case, and to its key in csv. */
static bool find_column(struct ctl *ctl, const struct table *table, const char *option,
                        const char *word, size_t *field)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct field *f = &table->fields[i];

		if (f->heading &&
		    (!strcasecmp(f->heading, word) || (f->key && !strcmp(f->key, word)))) {
			*field = i;
			return true;
		}
	}
	return fail_column(ctl, table, option, word);
}

/* ---- reading the options -------------------------------------------------------------- */

static bool read_columns(struct ctl *ctl, struct view *view, const char *text)
{
	for (;; text++) {
		size_t length = strcspn(text, ",");
		struct chosen_column *c;

		view->chosen = check_memory(
			realloc(view->chosen, (view->chosen_count + 1) * sizeof(*view->chosen)));
		c = &view->chosen[view->chosen_count++];
		c->name = check_memory(strndup(text, length));
		if (!find_column(ctl, view->table, "--columns", c->name, &c->field))
			return false;
		text += length;
		if (!*text)
			return true;
	}
}

static bool parse_bool(const char *text, uint64_t *value, struct units_fault *fault)
{
	static const char *const words[] = { "no", "yes", "false", "true", "0", "1" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(text, words[i])) {
			*value = i & 1;
			return true;
		}
	}
	*fault = (struct units_fault){ 1, "not yes or no" };
	return false;
}

static bool parse_value(const struct field *field, const char *text, struct filter *filter,
                        struct units_fault *fault)
{
	int64_t ns;

	filter->text = text;
	if (field->kind == KIND_TEXT)
		return true;
	if ((field->flags & FIELD_LIMIT) && !strcmp(text, "unlimited")) {
		filter->number = UINT64_MAX;
		return true;
	}
	switch (field->kind) {
	case KIND_BYTES: return !units_parse_size(text, &filter->number, fault);
	case KIND_NS: return !units_parse_duration(text, &filter->number, fault);
	case KIND_BOOL: return parse_bool(text, &filter->number, fault);
	case KIND_SIGNED_NS:
		if (units_parse_signed_duration(text, &ns, fault))
			return false;
		filter->number = (uint64_t)ns;
		return true;
	case KIND_RATE: return !units_parse_rate(text, &filter->number, &filter->period, fault);
	case KIND_ID: return !units_parse_id(text, &filter->number, fault);
	default: return !units_parse_count(text, 0, UINT64_MAX, &filter->number, fault);
	}
}

/* "rejected>0" */
static bool read_filter(struct ctl *ctl, const struct table *table, const char *text,
                        struct filter *filter)
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
	char *name;
	bool found;

	while (sign < count && strncmp(text + length, signs[sign].sign, strlen(signs[sign].sign)))
		sign++;
	if (sign == count) {
		fail_usage(ctl,
		           "--filter '%.100s': write a COLUMN, one of < <= = != >= >, and a value, "
		           "like 'rejected>0'",
		           text);
		return false;
	}
	name = check_memory(strndup(text, length));
	found = find_column(ctl, table, "--filter", name, &filter->field);
	free(name);
	if (!found)
		return false;
	filter->comparison = signs[sign].comparison;
	value = text + length + strlen(signs[sign].sign);
	if (parse_value(&table->fields[filter->field], value, filter, &fault))
		return true;
	fail_usage(ctl, "--filter '%.100s': %s at position %zu", text, fault.what,
	           fault.position + (size_t)(value - text));
	return false;
}

bool view_read(struct ctl *ctl, const struct table *table)
{
	const char *columns = ctl->option[OPT_COLUMNS], *sort = ctl->option[OPT_SORT];
	struct view *view = check_memory(calloc(1, sizeof(*view)));

	ctl->view = view;
	view->table = table;
	view->filters = check_memory(calloc(ctl->filter_count + 1, sizeof(*view->filters)));
	for (size_t i = 0; i < ctl->filter_count; i++)
		if (!read_filter(ctl, table, ctl->filters[i], &view->filters[view->filter_count++]))
			return false;
	if (columns && !read_columns(ctl, view, columns))
		return false;
	if (!sort)
		return true;
	view->sorted = true;
	view->falling = *sort == '-';
	return find_column(ctl, table, "--sort", sort + view->falling, &view->sort);
}

void view_free(struct view *view)
{
	if (!view)
		return;
	for (size_t i = 0; i < view->chosen_count; i++)
		free(view->chosen[i].name);
	free(view->chosen);
	free(view->filters);
	free(view);
}

/* ---- rows ------------------------------------------------------------------------------ */

/* Texts in the order of version numbers, so that 9 is before 10. A missing text comes first. */
static int compare_texts(const char *a, const char *b)
{
	return strverscmp(a ? a : "", b ? b : "");
}

static bool holds(enum comparison comparison, int order)
{
	switch (comparison) {
	case LESS: return order < 0;
	case LESS_OR_EQUAL: return order <= 0;
	case EQUAL: return order == 0;
	case NOT_EQUAL: return order != 0;
	case MORE_OR_EQUAL: return order >= 0;
	case MORE: return order > 0;
	}
	return false;
}

/* By how many a day they let pass at most. */
static int compare_rates(uint64_t a, uint32_t a_period, uint64_t b, uint32_t b_period)
{
	static const uint32_t in_a_day[] = { 86400, 1440, 24, 1 };
	unsigned __int128 x, y;

	if (a == UINT64_MAX || b == UINT64_MAX)
		return (a == UINT64_MAX) - (b == UINT64_MAX);
	x = (unsigned __int128)a * in_a_day[a_period];
	y = (unsigned __int128)b * in_a_day[b_period];
	return (x > y) - (x < y);
}

/* Signed numbers in the order of unsigned ones. */
static int compare_numbers(const struct field *field, uint64_t a, uint64_t b)
{
	uint64_t flip = field->kind == KIND_SIGNED_NS ? UINT64_C(1) << 63 : 0;

	return ((a ^ flip) > (b ^ flip)) - ((a ^ flip) < (b ^ flip));
}

static bool passes(const struct filter *f, const struct field *field, const struct value *v)
{
	if (field->kind == KIND_TEXT)
		return holds(f->comparison, compare_texts(v->text, f->text));
	if (field->kind == KIND_RATE)
		return holds(f->comparison,
		             compare_rates(v->number, v->period, f->number, f->period));
	/* "-" differs from every number, and is neither less nor more */
	if (v->none || ((field->flags & FIELD_NONE) && v->number == UINT64_MAX))
		return f->comparison == NOT_EQUAL;
	return holds(f->comparison, compare_numbers(field, v->number, f->number));
}

bool view_passes(const struct view *view, const struct value *values)
{
	for (size_t i = 0; i < view->filter_count; i++) {
		const struct filter *f = &view->filters[i];

		if (!passes(f, &view->table->fields[f->field], &values[f->field]))
			return false;
	}
	return true;
}

int view_compare(const struct view *view, const struct value *a, const struct value *b)
{
	const struct field *f = &view->table->fields[view->sort];
	const struct value *x = &a[view->sort], *y = &b[view->sort];
	int order = f->kind == KIND_RATE ? compare_rates(x->number, x->period, y->number, y->period)
	            : f->kind == KIND_TEXT && !(f->flags & FIELD_SORT_NUMBER)
	                    ? compare_texts(x->text, y->text)
	                    : compare_numbers(f, x->number, y->number);

	return view->falling ? -order : order;
}
