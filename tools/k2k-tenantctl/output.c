/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"
#include "view.h"
#include "common/units.h"
#include "common/printable.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <libsmartcols/libsmartcols.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ---- one value ------------------------------------------------------------ */

static bool is_unlimited(const struct field *field, const struct value *value)
{
	return (field->flags & FIELD_LIMIT) && value->number == UINT64_MAX && !value->none;
}

static bool is_none(const struct field *field, const struct value *value)
{
	return value->none || ((field->flags & FIELD_NONE) && value->number == UINT64_MAX);
}

static void print_time(char *text, size_t room, uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(text, room, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(text, room, "%" PRIu64, ns);
}

#define CELL 320

static void print_for_program(char text[CELL], const struct field *field, const struct value *value)
{
	if (field->kind == KIND_TEXT && (field->flags & FIELD_EXACT))
		snprintf(text, CELL, "%s", value->text ? value->text : "");
	else if (field->kind == KIND_TEXT)
		printable_copy(text, CELL, value->text, SIZE_MAX);
	else if (is_unlimited(field, value))
		snprintf(text, CELL, "unlimited");
	else if (is_none(field, value))
		text[0] = 0;
	else if (field->kind == KIND_BOOL)
		snprintf(text, CELL, "%s", value->number ? "true" : "false");
	else if (field->kind == KIND_RATE)
		units_print_rate(text, value->number, value->period);
	else if (field->kind == KIND_SIGNED_NS)
		snprintf(text, CELL, "%" PRId64, (int64_t)value->number);
	else
		units_print_number(text, value->number);
}

static void print_for_people(char text[CELL], const struct field *field, const struct value *value)
{
	if (is_unlimited(field, value) || is_none(field, value)) {
		snprintf(text, CELL, "%s", is_none(field, value) ? "-" : "unlimited");
		return;
	}
	switch (field->kind) {
	case KIND_TEXT: printable_copy(text, CELL, value->text, SIZE_MAX); break;
	case KIND_NS: units_print_duration(text, value->number); break;
	case KIND_SIGNED_NS: units_print_signed_duration(text, (int64_t)value->number); break;
	case KIND_BYTES: units_print_short_size(text, value->number); break;
	case KIND_RATE: units_print_rate(text, value->number, value->period); break;
	case KIND_TIME: print_time(text, CELL, value->number); break;
	case KIND_BOOL: snprintf(text, CELL, "%s", value->number ? "yes" : "no"); break;
	default: print_for_program(text, field, value); break;
	}
}

/* ---- JSON ----------------------------------------------------------------- */

/* Where a field's value is in its JSON tree. */
struct place {
	json_object *parent, *value; /* value: the present one, or null */
	const char *key;             /* of the value in its parent */
};

static void json_add(json_object *parent, const char *key, json_object *value)
{
	if (json_object_object_add(parent, key, value))
		out_of_memory();
}

static struct place json_place(json_object *tree, const struct field *field)
{
	const char *key = field->key, *dot;
	char name[64];

	while ((dot = strchr(key, '.'))) {
		json_object *child;

		snprintf(name, sizeof(name), "%.*s", (int)(dot - key), key);
		if (!json_object_object_get_ex(tree, name, &child)) {
			child = json_new();
			json_add(tree, name, child);
		}
		tree = child;
		key = dot + 1;
	}
	json_add(tree, key, NULL);
	return (struct place){ tree, NULL, key };
}

static void attach(struct place *place, json_object *value)
{
	json_add(place->parent, place->key, value);
	place->value = value;
}

/*
 * A number that is printed as the text in its user data, which json_print_number() changes: json-c
 * would take several times as long to format it.
 */
static json_object *json_new_number(void)
{
	json_object *number = check_memory(json_object_new_int64(0));

	json_object_set_serializer(number, json_object_userdata_to_json_string,
	                           check_memory(calloc(1, UNITS_TEXT + sizeof("\"\""))),
	                           json_object_free_userdata);
	return number;
}

static void json_print_number(char *text, const struct field *field, const struct value *value)
{
	if (is_unlimited(field, value) || is_none(field, value)) {
		strcpy(text, "null");
	} else if (field->kind == KIND_BOOL) {
		strcpy(text, value->number ? "true" : "false");
	} else if (field->kind == KIND_COUNT) {
		units_print_number(text, value->number);
	} else if (field->kind == KIND_SIGNED_NS) {
		snprintf(text, UNITS_TEXT, "\"%" PRId64 "\"", (int64_t)value->number);
	} else {
		size_t length = units_print_number(text + 1, value->number);

		text[0] = text[length + 1] = '"';
		text[length + 2] = 0;
	}
}

static void put_value(struct place *place, const struct field *field, const struct value *value)
{
	char text[CELL];

	if (field->kind == KIND_JSON) {
		if (value->json != place->value)
			attach(place, json_object_get(value->json));
	} else if (field->kind == KIND_TEXT) {
		print_for_program(text, field, value);
		attach(place, value->text ? check_memory(json_object_new_string(text)) : NULL);
	} else {
		if (!place->value)
			attach(place, json_new_number());
		json_print_number(json_object_get_userdata(place->value), field, value);
	}
}

void json_set(json_object *parent, const struct field *field, const struct value *value)
{
	struct place place = json_place(parent, field);

	put_value(&place, field, value);
}

json_object *json_append_row(json_object *array, const struct field *fields,
                             const struct value *values, size_t count)
{
	json_object *row = json_new();

	for (size_t i = 0; i < count; i++)
		if (fields[i].key)
			json_set(row, &fields[i], &values[i]);
	json_append(array, row);
	return row;
}

static void json_print(json_object *object, size_t drop)
{
	size_t length;
	const char *text = json_object_to_json_string_length(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);

	if (!text)
		out_of_memory();
	fwrite(text, 1, length - drop, stdout);
}

static json_object *json_envelope(const struct ctl *ctl)
{
	json_object *envelope = json_new();

	json_put_text(envelope, "schema", CTL_SCHEMA);
	json_put_text(envelope, CTL_PLACE, ctl->registry);
	return envelope;
}

static json_object *json_failure(const struct ctl *ctl, size_t i)
{
	const struct failure *f = &ctl->failures[i];
	json_object *object = json_new();

	if (f->has_tenant)
		json_put_u64(object, "tenant", f->tenant);
	json_put_text(object, "name", k2k_errname(f->code));
	json_put_text(object, "message", f->message);
	return object;
}

/*
 * "error" is the first failure. "errors" lists all of them, if there are several or if several
 * tenants were named.
 */
static void json_print_errors(const struct ctl *ctl)
{
	json_object *object = json_failure(ctl, 0);

	fputs("\"error\":", stdout);
	json_print(object, 0);
	json_object_put(object);
	if (!ctl->failures[0].has_tenant && ctl->failure_count == 1)
		return;
	fputs(",\"errors\":[", stdout);
	for (size_t i = 0; i < ctl->failure_count; i++) {
		object = json_failure(ctl, i);
		fputs(i ? ",\n" : "\n", stdout);
		json_print(object, 0);
		json_object_put(object);
	}
	fputs("\n]", stdout);
}

void print_json_failure(struct ctl *ctl)
{
	if (ctl->format != FORMAT_JSON || ctl->json_done || !ctl->failure_count)
		return;
	fputs("{\"schema\":\"" CTL_SCHEMA "\",", stdout);
	json_print_errors(ctl);
	fputs("}\n", stdout);
	ctl->json_done = true;
}

/* ---- csv: RFC 4180, but with the line ends of this system ----------------- */

static void csv_cell(const char *text, bool first)
{
	if (!first)
		putchar(',');
	if (!strpbrk(text, ",\"\r\n") && *text != ' ') {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static bool in_csv(const struct field *field)
{
	return field->key && field->kind != KIND_JSON;
}

/* One column of a table or of csv. */
struct shown {
	struct field field; /* the key is what csv calls it */
	size_t value;       /* its place among the values of a row */
};

static void csv_header(const struct shown *shown, size_t count)
{
	for (size_t i = 0; i < count; i++)
		csv_cell(shown[i].field.key, i == 0);
	putchar('\n');
}

static void csv_row(const struct shown *shown, const struct value *values, size_t count)
{
	char text[1 + CELL];

	for (size_t i = 0; i < count; i++) {
		const struct value *v = &values[shown[i].value];
		bool formula = shown[i].field.kind == KIND_TEXT &&
		               printable_is_formula(v->text ? v->text : "");

		text[0] = '\'';
		print_for_program(text + formula, &shown[i].field, v);
		csv_cell(text, i == 0);
	}
	putchar('\n');
}

/* ---- tables --------------------------------------------------------------- */

/* Printed through a text, so that smartcols never cuts a cell to the width of a terminal. */
static void table_print(struct libscols_table *table)
{
	char *text = NULL;

	if (scols_print_table_to_string(table, &text))
		out_of_memory();
	if (text && *text) {
		fputs(text, stdout);
		if (text[strlen(text) - 1] != '\n')
			putchar('\n');
	}
	free(text);
	scols_unref_table(table);
}

static struct libscols_line *table_line(struct libscols_table *table)
{
	return check_memory(scols_table_new_line(table, NULL));
}

static void table_cell(struct libscols_line *line, size_t column, const char *text,
                       const char *color)
{
	if (scols_line_set_data(line, column, text))
		out_of_memory();
	if (color)
		scols_cell_set_color(scols_line_get_cell(line, column), color);
}

static size_t column_width(struct libscols_table *table, struct libscols_column *column,
                           size_t number)
{
	struct libscols_iter *all = check_memory(scols_new_iter(SCOLS_ITER_FORWARD));
	struct libscols_line *line;
	size_t width = strlen(scols_cell_get_data(scols_column_get_header(column)));

	while (!scols_table_next_line(table, all, &line)) {
		const char *text = scols_cell_get_data(scols_line_get_cell(line, number));

		if (text && strlen(text) > width)
			width = strlen(text);
	}
	scols_free_iter(all);
	return width;
}

/* Hides columns that do not fit: a table whose lines the terminal wraps can't be read. */
static void table_narrow(struct libscols_table *table, const struct shown *shown, size_t count)
{
	size_t total = 0, *widths;
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return;
	widths = check_memory(calloc(count + 1, sizeof(*widths)));
	for (size_t c = 0; c < count; c++) {
		widths[c] = column_width(table, scols_table_get_column(table, c), c);
		total += widths[c] + (c ? 1 : 0);
	}
	for (size_t c = count; c-- && total > size.ws_col;) {
		struct libscols_column *column = scols_table_get_column(table, c);

		if (!(shown[c].field.flags & FIELD_SPARE))
			continue;
		scols_column_set_flags(column, scols_column_get_flags(column) | SCOLS_FL_HIDDEN);
		total -= widths[c] + 1;
	}
	free(widths);
}

/* The headings that table_narrow() hid: "A, B". */
static void hidden_columns(struct libscols_table *table, char *text, size_t room)
{
	size_t length = 0;

	text[0] = 0;
	for (size_t c = 0; c < scols_table_get_ncols(table) && length < room; c++) {
		struct libscols_column *column = scols_table_get_column(table, c);

		if (scols_column_is_hidden(column))
			length += (size_t)snprintf(
				text + length, room - length, "%s%s", length ? ", " : "",
				scols_cell_get_data(scols_column_get_header(column)));
	}
}

static struct libscols_table *table_of(const struct ctl *ctl, const struct shown *shown,
                                       size_t count)
{
	struct libscols_table *table = check_memory(scols_new_table());

	scols_table_enable_noheadings(table, ctl->option[OPT_NO_HEADERS] != NULL);
	scols_table_enable_colors(table, ctl->color);
	/* all texts are printable by now, and smartcols would escape the \x of ours once more */
	scols_table_enable_noencoding(table, 1);
	for (size_t i = 0; i < count; i++) {
		const struct field *f = &shown[i].field;
		bool right = (f->kind != KIND_TEXT && f->kind != KIND_BOOL) ||
		             (f->flags & FIELD_RIGHT);
		struct libscols_column *column = check_memory(
			scols_table_new_column(table, f->heading, 0, right ? SCOLS_FL_RIGHT : 0));

		scols_cell_set_color(scols_column_get_header(column), "bold");
		if (f->flags / FIELD_WIDTH(1))
			scols_column_set_whint(column, f->flags / FIELD_WIDTH(1));
	}
	return table;
}

static void table_row(struct libscols_table *table, const struct shown *shown,
                      const struct value *values, size_t count)
{
	struct libscols_line *line = table_line(table);
	char text[CELL];

	for (size_t i = 0; i < count; i++) {
		const struct value *v = &values[shown[i].value];

		print_for_people(text, &shown[i].field, v);
		if (v->suffix)
			strcat(text, v->suffix);
		table_cell(line, i, text, v->color);
	}
}

struct libscols_table *block_begin(const struct ctl *ctl)
{
	struct libscols_table *block = check_memory(scols_new_table());

	scols_table_enable_colors(block, ctl->color);
	scols_table_enable_noheadings(block, 1);
	check_memory(scols_table_new_column(block, "name", 0, 0));
	check_memory(scols_table_new_column(block, "value", 0, 0));
	return block;
}

void block_line(struct libscols_table *block, const char *heading, const char *text)
{
	struct libscols_line *line = table_line(block);

	table_cell(line, 0, heading, "bold");
	table_cell(line, 1, text, NULL);
}

void block_fields(struct libscols_table *block, const struct field *fields,
                  const struct value *values, size_t count)
{
	char text[CELL];

	for (size_t i = 0; i < count; i++)
		if (fields[i].heading) {
			print_for_people(text, &fields[i], &values[i]);
			block_line(block, fields[i].heading, text);
		}
}

void block_end(struct libscols_table *block)
{
	table_print(block);
}

/* ---- listings and records ------------------------------------------------- */

static void show(struct list *l, size_t field)
{
	l->shown[l->shown_count++] = (struct shown){ l->table->fields[field], field };
}

/* The columns that --columns names, else the usual ones. */
static void choose_columns(struct list *l)
{
	const struct table *t = l->table;
	size_t chosen = l->view ? l->view->chosen_count : 0;
	bool csv = l->ctl->format == FORMAT_CSV;

	l->shown = check_memory(calloc(chosen + t->count, sizeof(*l->shown)));
	for (size_t i = 0; i < chosen; i++) {
		show(l, l->view->chosen[i].field);
		l->shown[i].field.key = l->view->chosen[i].name;
		l->shown[i].field.flags &= ~(unsigned int)FIELD_SPARE;
	}
	if (chosen)
		return;
	for (size_t i = 0; !csv && i < t->usual_count; i++)
		show(l, t->usual[i]);
	for (size_t i = 0; (csv || !t->usual) && i < t->count; i++)
		if (csv ? in_csv(&t->fields[i]) : t->fields[i].heading != NULL)
			show(l, i);
}

static void json_begin(struct list *l, const struct extra *extra)
{
	json_object *envelope = json_envelope(l->ctl);

	for (size_t i = 0; extra && i < extra->count; i++)
		json_set(envelope, &extra->fields[i], &extra->values[i]);
	json_print(envelope, 1);
	json_object_put(envelope);
	printf(",\"%s\":[", l->table->key);
	l->row = json_new();
	l->places = check_memory(calloc(l->table->count, sizeof(*l->places)));
	for (size_t i = 0; i < l->table->count; i++)
		if (l->table->fields[i].key)
			l->places[i] = json_place(l->row, &l->table->fields[i]);
}

void list_begin(struct list *l, struct ctl *ctl, const struct table *table,
                const struct extra *extra)
{
	*l = (struct list){ .ctl = ctl, .table = table };
	if (ctl->view && ctl->view->table == table)
		l->view = ctl->view;
	if (ctl->format == FORMAT_JSON) {
		json_begin(l, extra);
		return;
	}
	choose_columns(l);
	if (ctl->format == FORMAT_TABLE)
		l->lines = table_of(ctl, l->shown, l->shown_count);
	else if (!ctl->option[OPT_NO_HEADERS])
		csv_header(l->shown, l->shown_count);
}

static void print_row(struct list *l, const struct value *values)
{
	size_t rows = l->rows++;

	if (l->ctl->format == FORMAT_TABLE) {
		table_row(l->lines, l->shown, values, l->shown_count);
	} else if (l->ctl->format == FORMAT_CSV) {
		csv_row(l->shown, values, l->shown_count);
	} else {
		for (size_t i = 0; i < l->table->count; i++)
			if (l->table->fields[i].key)
				put_value(&l->places[i], &l->table->fields[i], &values[i]);
		fputs(rows ? ",\n" : "\n", stdout);
		json_print(l->row, 0);
	}
}

/* A row that waits for its place in the order. */
struct kept_row {
	struct value *values; /* own copies of the caller's texts and JSON */
	size_t number;
};

static void keep_row(struct list *l, const struct value *values)
{
	size_t count = l->table->count;
	struct value *copy = check_memory(calloc(count, sizeof(*copy)));

	memcpy(copy, values, count * sizeof(*copy));
	for (size_t i = 0; i < count; i++) {
		copy[i].json = NULL;
		if (values[i].text)
			copy[i].text = check_memory(strdup(values[i].text));
		if (values[i].json && json_object_deep_copy(values[i].json, &copy[i].json, NULL))
			out_of_memory();
	}
	if (l->kept_count == l->kept_room) {
		l->kept_room = 2 * l->kept_room + 64;
		l->kept = check_memory(realloc(l->kept, l->kept_room * sizeof(*l->kept)));
	}
	l->kept[l->kept_count] = (struct kept_row){ copy, l->kept_count };
	l->kept_count++;
}

void list_row(struct list *l, const struct value *values)
{
	if (l->view && !view_passes(l->view, values))
		return;
	if (l->view && l->view->sorted)
		keep_row(l, values);
	else
		print_row(l, values);
}

/* Rows that are equal stay in the order in which they came. */
static int compare_rows(const void *a, const void *b, void *view)
{
	const struct kept_row *x = a, *y = b;
	int order = view_compare(view, x->values, y->values);

	return order ? order : (x->number > y->number) - (x->number < y->number);
}

static void print_sorted(struct list *l)
{
	if (!l->kept)
		return;
	qsort_r(l->kept, l->kept_count, sizeof(*l->kept), compare_rows, l->ctl->view);
	for (size_t r = 0; r < l->kept_count; r++) {
		struct value *values = l->kept[r].values;

		print_row(l, values);
		for (size_t i = 0; i < l->table->count; i++) {
			free((char *)values[i].text);
			json_object_put(values[i].json);
		}
		free(values);
	}
	free(l->kept);
}

void list_end(struct list *l)
{
	print_sorted(l);
	if (l->ctl->format == FORMAT_TABLE) {
		char left_out[200];

		table_narrow(l->lines, l->shown, l->shown_count);
		hidden_columns(l->lines, left_out, sizeof(left_out));
		table_print(l->lines);
		if (left_out[0])
			note(l->ctl, "the terminal has no room for %s; -o csv has all", left_out);
		if (!l->rows && !l->ctl->failure_count)
			note(l->ctl, "no %s", l->table->key);
	} else if (l->ctl->format == FORMAT_JSON) {
		json_object_put(l->row);
		free(l->places);
		fputs(l->rows ? "\n]" : "]", stdout);
		if (l->ctl->failure_count) {
			putchar(',');
			json_print_errors(l->ctl);
		}
		fputs("}\n", stdout);
		l->ctl->json_done = true;
	}
	free(l->shown);
}

void list_page(struct list *l)
{
	if (l->ctl->format == FORMAT_TABLE && !scols_table_is_empty(l->lines)) {
		table_print(l->lines);
		l->lines = table_of(l->ctl, l->shown, l->shown_count);
		scols_table_enable_noheadings(l->lines, 1);
	}
	fflush(stdout);
}

json_object *line_begin(const struct ctl *ctl)
{
	return json_envelope(ctl);
}

void line_end(json_object *line)
{
	json_print(line, 0);
	putchar('\n');
	json_object_put(line);
}

void print_record(struct ctl *ctl, const struct field *fields, const struct value *values,
                  size_t count)
{
	if (ctl->format == FORMAT_TABLE) {
		struct libscols_table *block = block_begin(ctl);

		block_fields(block, fields, values, count);
		block_end(block);
	} else if (ctl->format == FORMAT_CSV) {
		const struct table table = { .fields = fields, .count = count };
		struct list l = { .ctl = ctl, .table = &table };

		choose_columns(&l);
		csv_header(l.shown, l.shown_count);
		csv_row(l.shown, values, l.shown_count);
		free(l.shown);
	} else {
		json_object *envelope = json_envelope(ctl);

		for (size_t i = 0; i < count; i++)
			if (fields[i].key)
				json_set(envelope, &fields[i], &values[i]);
		json_print(envelope, 0);
		putchar('\n');
		json_object_put(envelope);
		ctl->json_done = true;
	}
}

int close_output(int exit_code)
{
	struct pollfd out = { STDOUT_FILENO, 0, 0 };
	bool failed = ferror(stdout) != 0;
	bool no_reader = poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
	int error = 0;

	errno = 0;
	if (fclose(stdout)) {
		failed = true;
		error = errno;
	}
	if (!failed)
		return exit_code;
	/* A reader that has read enough (head, a pager) gets no message, only the exit code. */
	if (!no_reader && error != EPIPE)
		fprintf(stderr, CTL_NAME ": standard output: %s; the output is incomplete\n",
		        error ? strerror(error) : "a write failed");
	return EXIT_SYSTEM;
}
