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

#include "ctl.h"

enum kind {             /* in JSON           in csv    in a table   */
	    KIND_TEXT,  /* string, or null   text      text         */
	    KIND_ID,    /* decimal string    decimal   decimal      */
	    KIND_TOTAL, /* decimal string    decimal   decimal      */
	    KIND_NS,    /* decimal string    decimal   1h30m        */
	    KIND_BYTES, /* decimal string    decimal   2GiB         */
	    KIND_RATE,  /* decimal string    decimal   5000/s       */
	    KIND_TIME,  /* decimal string    decimal   date in UTC  */
	    KIND_COUNT, /* number            decimal   decimal      */
	    KIND_BOOL,  /* true, false       the same  yes, no      */
	    KIND_JSON,  /* as it is          -         -            */
};

enum {
	FIELD_LIMIT = 1 << 0, /* UINT64_MAX is null in JSON, "unlimited" elsewhere */
	FIELD_RIGHT = 1 << 1, /* a text whose column is aligned as those of numbers */
	/* UINT64_MAX is null in JSON, "-" in a table, empty in csv: there is none */
	FIELD_NONE = 1 << 3,
	/* of a list: left out on a terminal that is too narrow, the last first */
	FIELD_SPARE = 1 << 2,
};
/*
 * In a field's flags: the width of its column is at least this, so that all pages of a list have
 * the same.
 */
#define FIELD_WIDTH(width) ((unsigned int)(width) << 8)

struct field {
	const char *key;     /* null: in tables only */
	const char *heading; /* null: not in tables */
	enum kind kind;
	unsigned int flags;
};

struct value {
	uint64_t number;  /* all kinds but TEXT and JSON */
	const char *text; /* TEXT */
	/* JSON; may be changed and given again for the next row. Other forms leave it out */
	json_object *json;
	const char *color; /* of the table's cell, or null */
};
#define NUMBER(n) ((struct value){ .number = (n) })
#define TEXT(t) ((struct value){ .text = (t) })

/* Sets json_object `key` of `parent` from a field's value. */
void json_set(json_object *parent, const struct field *field, const struct value *value);

/* A listing: begin, a row for each item, end. */
struct list {
	struct ctl *ctl;
	const char *key; /* of the array in JSON */
	const struct field *fields;
	size_t field_count, rows;
	struct libscols_table *table;
	json_object *row;     /* one tree for all rows: each changes its values */
	struct place *places; /* of the fields in it */
};
/* `extra` fields stand beside the array, in JSON only. */
void list_begin(struct list *l, struct ctl *ctl, const char *key, const struct field *fields,
                size_t field_count, const struct field *extra, const struct value *extra_values,
                size_t extra_count);
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
