/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"
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
	return (field->flags & FIELD_LIMIT) && value->number == UINT64_MAX;
}

static bool is_none(const struct field *field, const struct value *value)
{
	return (field->flags & FIELD_NONE) && value->number == UINT64_MAX;
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
	if (field->kind == KIND_TEXT)
		printable_copy(text, CELL, value->text, SIZE_MAX);
	else if (is_unlimited(field, value))
		snprintf(text, CELL, "unlimited");
	else if (is_none(field, value))
		text[0] = 0;
	else if (field->kind == KIND_BOOL)
		snprintf(text, CELL, "%s", value->number ? "true" : "false");
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
	case KIND_NS: units_print_duration(text, value->number); break;
	case KIND_BYTES: units_print_short_size(text, value->number); break;
	case KIND_RATE: units_print_rate(text, value->number); break;
	case KIND_TIME: print_time(text, CELL, value->number); break;
	case KIND_BOOL: snprintf(text, CELL, "%s", value->number ? "yes" : "no"); break;
	default: print_for_program(text, field, value); break;
	}
}

/* ---- JSON ----------------------------------------------------------------- */

/* Where a field's value hangs in its tree. */
struct place {
	json_object *parent, *value; /* the value that is there, or null */
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
			child = check_memory(json_object_new_object());
			json_add(tree, name, child);
		}
		tree = child;
		key = dot + 1;
	}
	json_add(tree, key, NULL);
	return (struct place){ tree, NULL, key };
}

static void json_hang(struct place *place, json_object *value)
{
	json_add(place->parent, place->key, value);
	place->value = value;
}

/*
 * Written as the text that hangs at it, which is ours to change: json-c takes several times as long
 * to format a number.
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
	} else {
		size_t length = units_print_number(text + 1, value->number);

		text[0] = text[length + 1] = '"';
		text[length + 2] = 0;
	}
}

static void json_put(struct place *place, const struct field *field, const struct value *value)
{
	char text[CELL];

	if (field->kind == KIND_JSON) {
		if (value->json != place->value)
			json_hang(place, json_object_get(value->json));
	} else if (field->kind == KIND_TEXT) {
		printable_copy(text, sizeof(text), value->text, SIZE_MAX);
		json_hang(place, value->text ? check_memory(json_object_new_string(text)) : NULL);
	} else {
		if (!place->value)
			json_hang(place, json_new_number());
		json_print_number(json_object_get_userdata(place->value), field, value);
	}
}

void json_set(json_object *parent, const struct field *field, const struct value *value)
{
	struct place place = json_place(parent, field);

	json_put(&place, field, value);
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
	json_object *envelope = check_memory(json_object_new_object());

	json_add(envelope, "schema", check_memory(json_object_new_string(CTL_SCHEMA)));
	json_add(envelope, "registry", check_memory(json_object_new_string(ctl->registry)));
	return envelope;
}

static json_object *json_failure(const struct ctl *ctl, size_t i)
{
	const struct failure *f = &ctl->failures[i];
	const struct field fields[] = {
		{ "tenant", NULL, KIND_ID, 0 },
		{ "name", NULL, KIND_TEXT, 0 },
	};
	const struct value values[] = { NUMBER(f->tenant), TEXT(k2k_errname(f->code)) };
	json_object *object = check_memory(json_object_new_object());

	for (size_t j = f->has_tenant ? 0 : 1; j < 2; j++)
		json_set(object, &fields[j], &values[j]);
	json_add(object, "message", check_memory(json_object_new_string(f->message)));
	return object;
}

/*
 * "error" is the first failure; "errors" are all, where there are several, or several tenants were
 * named.
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

static void csv_header(const struct field *fields, size_t count)
{
	bool first = true;

	for (size_t i = 0; i < count; i++)
		if (in_csv(&fields[i])) {
			csv_cell(fields[i].key, first);
			first = false;
		}
	putchar('\n');
}

static void csv_row(const struct field *fields, const struct value *values, size_t count)
{
	bool first = true;
	char text[1 + CELL];

	for (size_t i = 0; i < count; i++)
		if (in_csv(&fields[i])) {
			bool stranger = fields[i].kind == KIND_TEXT &&
			                printable_is_formula(values[i].text ? values[i].text : "");

			text[0] = '\'';
			print_for_program(text + stranger, &fields[i], &values[i]);
			csv_cell(text, first);
			first = false;
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

/* A table whose lines are broken by the terminal can't be read: rather less of it. */
static void table_narrow(struct libscols_table *table, const struct field *fields, size_t count)
{
	size_t columns = scols_table_get_ncols(table), total = 0, *widths;
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return;
	widths = check_memory(calloc(columns + 1, sizeof(*widths)));
	for (size_t c = 0; c < columns; c++) {
		widths[c] = column_width(table, scols_table_get_column(table, c), c);
		total += widths[c] + (c ? 1 : 0);
	}
	for (size_t i = count, c = columns; i-- && total > size.ws_col;) {
		struct libscols_column *column;

		if (!fields[i].heading)
			continue;
		column = scols_table_get_column(table, --c);
		if (!(fields[i].flags & FIELD_SPARE))
			continue;
		scols_column_set_flags(column, scols_column_get_flags(column) | SCOLS_FL_HIDDEN);
		total -= widths[c] + 1;
	}
	free(widths);
}

/* What table_narrow left out: "A, B". */
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

static struct libscols_table *table_of(const struct ctl *ctl, const struct field *fields,
                                       size_t count)
{
	struct libscols_table *table = check_memory(scols_new_table());

	scols_table_enable_noheadings(table, ctl->option[OPT_NO_HEADERS] != NULL);
	scols_table_enable_colors(table, ctl->color);
	for (size_t i = 0; i < count; i++) {
		struct libscols_column *column;
		bool right = (fields[i].kind != KIND_TEXT && fields[i].kind != KIND_BOOL) ||
		             (fields[i].flags & FIELD_RIGHT);

		if (!fields[i].heading)
			continue;
		column = check_memory(scols_table_new_column(table, fields[i].heading, 0,
		                                             right ? SCOLS_FL_RIGHT : 0));
		scols_cell_set_color(scols_column_get_header(column), "bold");
		if (fields[i].flags / FIELD_WIDTH(1))
			scols_column_set_whint(column, fields[i].flags / FIELD_WIDTH(1));
	}
	return table;
}

static void table_row(struct libscols_table *table, const struct field *fields,
                      const struct value *values, size_t count)
{
	struct libscols_line *line = table_line(table);
	size_t column = 0;
	char text[CELL];

	for (size_t i = 0; i < count; i++)
		if (fields[i].heading) {
			print_for_people(text, &fields[i], &values[i]);
			table_cell(line, column++, text, values[i].color);
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

void list_begin(struct list *l, struct ctl *ctl, const char *key, const struct field *fields,
                size_t field_count, const struct field *extra, const struct value *extra_values,
                size_t extra_count)
{
	*l = (struct list){ ctl, key, fields, field_count, 0, NULL, NULL, NULL };
	if (ctl->format == FORMAT_TABLE) {
		l->table = table_of(ctl, fields, field_count);
	} else if (ctl->format == FORMAT_CSV) {
		if (!ctl->option[OPT_NO_HEADERS])
			csv_header(fields, field_count);
	} else {
		json_object *envelope = json_envelope(ctl);

		for (size_t i = 0; i < extra_count; i++)
			json_set(envelope, &extra[i], &extra_values[i]);
		json_print(envelope, 1);
		json_object_put(envelope);
		printf(",\"%s\":[", key);
		l->row = check_memory(json_object_new_object());
		l->places = check_memory(calloc(field_count, sizeof(*l->places)));
		for (size_t i = 0; i < field_count; i++)
			if (fields[i].key)
				l->places[i] = json_place(l->row, &fields[i]);
	}
}

void list_row(struct list *l, const struct value *values)
{
	size_t rows = l->rows++;

	if (l->ctl->format == FORMAT_TABLE) {
		table_row(l->table, l->fields, values, l->field_count);
	} else if (l->ctl->format == FORMAT_CSV) {
		csv_row(l->fields, values, l->field_count);
	} else {
		for (size_t i = 0; i < l->field_count; i++)
			if (l->fields[i].key)
				json_put(&l->places[i], &l->fields[i], &values[i]);
		fputs(rows ? ",\n" : "\n", stdout);
		json_print(l->row, 0);
	}
}

void list_end(struct list *l)
{
	if (l->ctl->format == FORMAT_TABLE) {
		char left_out[200];

		table_narrow(l->table, l->fields, l->field_count);
		hidden_columns(l->table, left_out, sizeof(left_out));
		table_print(l->table);
		if (left_out[0])
			note(l->ctl, "the terminal has no room for %s; -o csv has all", left_out);
		if (!l->rows && !l->ctl->failure_count)
			note(l->ctl, "no %s", l->key);
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
}

void list_page(struct list *l)
{
	if (l->ctl->format == FORMAT_TABLE && !scols_table_is_empty(l->table)) {
		table_print(l->table);
		l->table = table_of(l->ctl, l->fields, l->field_count);
		scols_table_enable_noheadings(l->table, 1);
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
		csv_header(fields, count);
		csv_row(fields, values, count);
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
	/* A reader that has had enough (head, a pager) is told by the exit code alone. */
	if (!no_reader && error != EPIPE)
		fprintf(stderr, CTL_NAME ": standard output: %s; the output is incomplete\n",
		        error ? strerror(error) : "a write failed");
	return EXIT_SYSTEM;
}
