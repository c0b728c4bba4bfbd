/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * line.h - splits bytes into lines, and parses a line into a request
 *
 * json-c parses the JSON. It reports neither where a key is nor whether a key occurs twice, so the
 * line is scanned once more for that.
 */
#ifndef K2K_BROKER_LINE_H
#define K2K_BROKER_LINE_H

#include "broker.h"

#include <json-c/json_object.h>
#include <stddef.h>

#define LINE_MAX_BYTES 8192 /* without the newline */

/* ---- bytes into lines ----------------------------------------------------------- */

struct line_input {
	uint64_t number;   /* of the last line that line_next() returned, from 1 */
	size_t start, end; /* bytes that are read and not taken yet */
	int skipping;      /* dropping the rest of a line that is too long */
	char bytes[4 * LINE_MAX_BYTES];
};

/* Where to read to, and how much; not 0 after line_next() returned LINE_NONE. */
char *line_room(struct line_input *input, size_t *room);
void line_read(struct line_input *input, size_t size); /* this many bytes were read */

enum line_kind { LINE_NONE, LINE_WHOLE, LINE_TOO_LONG };
/*
 * The next line that is not blank, without its end ("\n" or "\r\n"), valid until line_room(). At
 * the end of the input the rest counts as a line.
 */
enum line_kind line_next(struct line_input *input, int at_end, const char **line, size_t *size);

/* ---- a line into a request -------------------------------------------------------- */

struct line_error {
	size_t column; /* in bytes, from 1 */
	char text[160];
};

/* A request, and the id by which its sender recognises the answer. */
struct line_parsed {
	struct broker_request request; /* its strings are part of `json` */
	/* a string or a number, which is returned as it came; null: none */
	struct json_object *id;
	size_t column, id_column; /* of the first key of the kind of line; of the id's value */
	struct json_object *json;
};

/*
 * Takes what line_next() returned. Returns 0, or -1 with *error; a line that is JSON but not a
 * request may have an id all the same. Call line_forget() in both cases.
 */
int line_parse(enum line_kind kind, const char *line, size_t size, struct line_parsed *parsed,
               struct line_error *error);
void line_forget(struct line_parsed *parsed);

/* Fills *error. -1, for the caller to return. */
int line_wrong(struct line_error *error, size_t column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
