/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * line.h - bytes into lines, a line into a request
 *
 * JSON is read by json-c. What it doesn't tell, the place of a key and
 * whether one stands twice, a second look at the line finds.
 */
#ifndef K2K_BROKER_LINE_H
#define K2K_BROKER_LINE_H

#include "broker.h"

#include <json-c/json_object.h>
#include <stddef.h>

#define LINE_MAX_BYTES 8192 /* without its end */

/* ---- bytes into lines ----------------------------------------------------------- */

struct line_input {
	uint64_t number;   /* of the line that line_next gave last, from 1 */
	size_t start, end; /* what is read and not yet taken */
	int skipping;      /* the rest of a line that was too long */
	char bytes[4 * LINE_MAX_BYTES];
};

/* Where to read to, and how much; never 0 after line_next has answered LINE_NONE. */
char *line_room(struct line_input *input, size_t *room);
void line_read(struct line_input *input, size_t size); /* so much was read */

enum line_kind { LINE_NONE, LINE_WHOLE, LINE_TOO_LONG };
/*
 * The next line that is not blank, without its end ("\n" or "\r\n"), valid until
 * line_room. At the end of the input what has no end counts as a line.
 */
enum line_kind line_next(struct line_input *input, int at_end, const char **line, size_t *size);

/* ---- a line into a request -------------------------------------------------------- */

struct line_error {
	size_t column; /* in bytes, from 1 */
	char text[160];
};

/* What a line says: a request, and the id by which its sender knows the answer. */
struct line_parsed {
	struct broker_request request; /* its strings live in the JSON */
	/* a string or a number, written back as it came; null: none */
	struct json_object *id;
	struct json_object *json;
};

/*
 * `kind` and what follows from line_next. 0, or -1 with *error: then there may be an id all the
 * same, of a line that is JSON and no request. In both cases line_forget() frees it.
 */
int line_parse(enum line_kind kind, const char *line, size_t size, struct line_parsed *parsed,
               struct line_error *error);
void line_forget(struct line_parsed *parsed);

#endif
