/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_line.c - any bytes as the input of k2k-broker (libFuzzer).
 *
 * The first byte says in which portions the rest arrives. What is refused says where and why; what
 * is accepted, written out anew in one canonical way, is read as the same request; and lines are
 * the same lines in whatever portions they come.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "line.h"

enum { ID_SHOWN = 1000, CANONICAL_MAX = 16 * BROKER_NAME_MAX + ID_SHOWN + 512 };

__attribute__((noreturn)) static void broken(const char *what, const char *line, size_t size)
{
	fprintf(stderr, "== %s: %.*s\n", what, (int)size, line);
	abort();
}

struct writer {
	char text[CANONICAL_MAX];
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	w->used += (size_t)vsnprintf(w->text + w->used, sizeof w->text - w->used, format, ap);
	va_end(ap);
	if (w->used >= sizeof w->text)
		broken("a request longer than there can be", w->text, sizeof w->text);
}

/* Every byte that may be escaped is. */
static void put_string(struct writer *w, const char *key, const char *string)
{
	put(w, "\"%s\":\"", key);
	for (const unsigned char *p = (const unsigned char *)string; *p; p++)
		if (*p < 0x80)
			put(w, "\\u%04x", *p);
		else
			put(w, "%c", *p);
	put(w, "\"");
}

/* As it is written back; null: none, or too long to fit. */
static const char *id_of(const struct line_parsed *parsed)
{
	const char *id = parsed->id ? json_object_to_json_string_ext(parsed->id,
	                                                             JSON_C_TO_STRING_PLAIN)
	                            : NULL;

	return id && strlen(id) <= ID_SHOWN ? id : NULL;
}

static void put_request(struct writer *w, const struct line_parsed *parsed)
{
	const struct broker_request *r = &parsed->request;

	w->used = 0;
	put(w, "{");
	if (id_of(parsed))
		put(w, "\"id\":%s,", id_of(parsed));
	switch (r->operation) {
	case BROKER_ADD:
	case BROKER_REMOVE:
		put(w, "\"kernel\":\"%s\",", r->operation == BROKER_ADD ? "add" : "remove");
		put_string(w, "name", r->name);
		if (r->operation == BROKER_ADD)
			put(w,
			    ",\"tenant\":%" PRIu64 ",\"org\":%" PRIu64 ",\"engagement\":%" PRIu64,
			    r->tenant, r->tag.org_id, r->tag.engagement_id);
		break;
	case BROKER_SEND:
		put_string(w, "send", r->name);
		put(w, ",");
		put_string(w, "to", r->to);
		put(w,
		    ",\"org\":\"%" PRIu64 "\",\"engagement\":\"%" PRIu64 "\",\"gpu_ns\":\"%" PRIu64
		    "\"",
		    r->tag.org_id, r->tag.engagement_id, r->gpu_ns);
		break;
	case BROKER_RESERVE:
		put_string(w, "reserve", r->name);
		put(w,
		    ",\"tenant\":%" PRIu64 ",\"org\":%" PRIu64 ",\"engagement\":%" PRIu64
		    ",\"gpu_ns\":%" PRIu64,
		    r->tenant, r->tag.org_id, r->tag.engagement_id, r->gpu_ns);
		break;
	case BROKER_COMMIT:
		put_string(w, "commit", r->name);
		put(w, ",\"gpu_ns\":\"%" PRIu64 "\"", r->gpu_ns);
		break;
	case BROKER_CANCEL: put_string(w, "cancel", r->name); break;
	case BROKER_CLIENT: put_string(w, "client", r->name); break;
	case BROKER_STATS: put(w, "\"stats\":true"); break;
	}
	put(w, "}");
}

static int same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int same(const struct broker_request *a, const struct broker_request *b)
{
	return a->operation == b->operation && same_text(a->name, b->name) &&
	       same_text(a->to, b->to) && a->tenant == b->tenant &&
	       a->tag.org_id == b->tag.org_id && a->tag.engagement_id == b->tag.engagement_id &&
	       a->gpu_ns == b->gpu_ns;
}

static void parse(enum line_kind kind, const char *line, size_t size)
{
	static struct writer writer;
	struct line_parsed first, second;
	struct line_error error = { 0, "" };
	/* of exactly its size, so that a step too far is seen */
	char *copy = malloc(size ? size : 1);

	if (!copy)
		return;
	memcpy(copy, line, size);
	if (line_parse(kind, copy, size, &first, &error) != 0) {
		if (!error.text[0] || error.column < 1 ||
		    error.column > (kind == LINE_TOO_LONG ? LINE_MAX_BYTES : size) + 1)
			broken("refused, and does not say where", line, size);
		line_forget(&first);
		free(copy);
		return;
	}
	if (kind == LINE_TOO_LONG)
		broken("accepted, and too long", line, size);
	put_request(&writer, &first);
	if (line_parse(LINE_WHOLE, writer.text, writer.used, &second, &error) != 0)
		broken("written anew it is refused", writer.text, writer.used);
	if (!same(&first.request, &second.request) ||
	    (id_of(&first) && !same_text(id_of(&first), id_of(&second))))
		broken("written anew it reads otherwise", writer.text, writer.used);
	line_forget(&second);
	line_forget(&first);
	free(copy);
}

/* A number that all lines, in their order, lead to. */
static uint64_t run(const uint8_t *data, size_t size, size_t portion, int parsed)
{
	static struct line_input input;
	uint64_t digest = UINT64_C(0xcbf29ce484222325);
	enum line_kind kind;

	memset(&input, 0, sizeof input);
	for (size_t at = 0;;) {
		const char *line = NULL;
		size_t room, n = 0;
		char *to = line_room(&input, &room);

		if (room == 0)
			broken("no room to read to", "", 0);
		n = size - at < portion ? size - at : portion;
		n = n < room ? n : room;
		if (n)
			memcpy(to, data + at, n);
		at += n;
		line_read(&input, n);
		while ((kind = line_next(&input, at == size, &line, &n)) != LINE_NONE) {
			if (kind == LINE_TOO_LONG)
				n = 0;
			digest = (digest ^ kind ^ n << 8 ^ input.number << 32) *
			         UINT64_C(0x100000001b3);
			for (size_t i = 0; i < n; i++)
				digest = (digest ^ (unsigned char)line[i]) *
				         UINT64_C(0x100000001b3);
			if (parsed)
				parse(kind, line, n);
		}
		if (at == size)
			return digest;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return -1;
	if (run(data + 1, size - 1, (size_t)data[0] * data[0] + 1, 1) !=
	    run(data + 1, size - 1, SIZE_MAX, 0))
		broken("other lines where they come in other portions", (const char *)data + 1,
		       size - 1);
	return 0;
}
