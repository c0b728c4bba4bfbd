/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One description of the data, three forms: a table for people, JSON and csv
 * for programs.
 *
 * A field's key is its JSON name; a dot makes an object inside an object. The
 * csv header shows the same keys. The heading is for tables, and may change.
 */
#ifndef K2K_TENANTCTL_OUTPUT_H
#define K2K_TENANTCTL_OUTPUT_H

#include <json-c/json_object.h>

#include "columns.h"
#include "ctl.h"

/* Sets json_object `key` of `parent` from a field's value. */
void json_set(json_object *parent, const struct field *field, const struct value *value);

/* Fields of the JSON object itself, next to the array. */
struct extra {
	const struct field *fields;
	const struct value *values;
	size_t count;
};

/* A listing: begin, a row for each item, end. */
struct list {
	struct ctl *ctl;
	const struct table *table;
	const struct view *view; /* of this table, or null */
	struct shown *shown;     /* the columns of the table or csv */
	size_t shown_count, rows;
	struct libscols_table *lines;
	json_object *row;      /* one tree for all rows: each row changes its values */
	struct place *places;  /* of the fields in it */
	struct kept_row *kept; /* rows to sort */
	size_t kept_count, kept_room;
};
/* `extra` may be null. */
void list_begin(struct list *l, struct ctl *ctl, const struct table *table,
                const struct extra *extra);
/* `values` has one value for each field of the table. */
void list_row(struct list *l, const struct value *values);
void list_end(struct list *l);
/* Not JSON: prints the rows there are, to go on without a header. For what comes in bits. */
void list_page(struct list *l);

/*
 * A JSON object on a line of its own, for what has no end: the envelope, to which members are
 * added.
 */
json_object *line_begin(const struct ctl *ctl);
void line_end(json_object *line);

/* A single thing: its fields stand in the JSON object itself; in a table one below the other. */
void print_record(struct ctl *ctl, const struct field *fields, const struct value *values,
                  size_t field_count);

/* One below the other, tables only: a block of lines, for what a row has no room for. */
struct libscols_table *block_begin(const struct ctl *ctl);
void block_line(struct libscols_table *block, const char *heading, const char *text);
void block_fields(struct libscols_table *block, const struct field *fields,
                  const struct value *values, size_t field_count);
void block_end(struct libscols_table *block);

/* With JSON asked for and nothing printed yet: the failures as the one object. */
void print_json_failure(struct ctl *ctl);
/* What can't be written is noticed here. Returns exit_code, or EXIT_SYSTEM. */
int close_output(int exit_code);

#endif
