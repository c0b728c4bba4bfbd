/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * output.h - one description of the data, three forms: tables for people, JSON and csv for programs
 */
#ifndef K2K_TENANTCTL_OUTPUT_H
#define K2K_TENANTCTL_OUTPUT_H

#include "columns.h"
#include "common/json.h"
#include "ctl.h"

/* Sets the member of `parent` that the field names. */
void json_set(json_object *parent, const struct field *field, const struct value *value);
/* Appends to `array` an object with these fields, and returns it. */
json_object *json_append_row(json_object *array, const struct field *fields,
                             const struct value *values, size_t count);

/* Fields of the JSON object itself, next to the array. */
struct extra {
	const struct field *fields;
	const struct value *values;
	size_t count;
};

/* A listing: list_begin(), list_row() for each item, list_end(). */
struct list {
	struct ctl *ctl;
	const struct table *table;
	const struct view *view; /* of this table, or null */
	struct shown *shown;     /* the columns of the table or csv */
	size_t shown_count, rows;
	struct libscols_table *lines;
	json_object *row;      /* one tree for all rows; each row changes its values */
	struct place *places;  /* where each field is in that tree */
	struct kept_row *kept; /* rows to sort */
	size_t kept_count, kept_room;
};
/* `extra` may be null. */
void list_begin(struct list *l, struct ctl *ctl, const struct table *table,
                const struct extra *extra);
/* `values` has one value for each field of the table. */
void list_row(struct list *l, const struct value *values);
void list_end(struct list *l);
/* Prints the rows so far; later rows follow without a header. Not for JSON. */
void list_page(struct list *l);

/* A JSON object on one line, for output without an end. The caller adds members. */
json_object *line_begin(const struct ctl *ctl);
void line_end(json_object *line);

/* Prints one item: its fields are members of the JSON object itself; a table has one per line. */
void print_record(struct ctl *ctl, const struct field *fields, const struct value *values,
                  size_t field_count);

/* A block of lines "name value", for tables: for items that are too wide for a row. */
struct libscols_table *block_begin(const struct ctl *ctl);
void block_line(struct libscols_table *block, const char *heading, const char *text);
void block_fields(struct libscols_table *block, const struct field *fields,
                  const struct value *values, size_t field_count);
void block_end(struct libscols_table *block);

/* Prints the failures as the JSON object, if JSON is asked for and nothing was printed yet. */
void print_json_failure(struct ctl *ctl);
/* Closes standard output. Returns exit_code, or EXIT_SYSTEM if something could not be written. */
int close_output(int exit_code);

#endif
