/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scan.h"
#include "common/memory.h"

#include <errno.h>
#include <json-c/json_tokener.h>
#include <string.h>

static const char kind_begin[] = "\"kind\":\"";

static json_object *parse_members(const char *members, size_t size)
{
	struct json_tokener *tokener = check_memory(json_tokener_new());
	json_object *object;

	json_tokener_parse_ex(tokener, "{", 1);
	json_tokener_parse_ex(tokener, members, (int)size);
	object = json_tokener_parse_ex(tokener, "}", 1);
	json_tokener_free(tokener);
	return object;
}

void scan_advance(struct position *at, const char *members, size_t size)
{
	size_t begin = sizeof(kind_begin) - 1;
	const char *kind = members + begin,
		   *end = size > begin ? memchr(kind, '"', size - begin) : NULL;
	struct position found;
	json_object *object;
	uint64_t sequence, lost;
	uint32_t ring;

	if (!end || memcmp(members, kind_begin, begin))
		return;
	if (event_place(kind, (size_t)(end - kind), members + size, &ring, &sequence, &lost)) {
		position_pass(at, ring, sequence, lost);
		return;
	}
	if (strncmp(kind, "log.opened\"", 11) && strncmp(kind, "registry.attached\"", 18))
		return;
	object = parse_members(members, size);
	if (object && position_get(&found, object))
		*at = found;
	json_object_put(object);
}

void scan_advance_line(struct position *at, const char *text, const struct chain_line *line)
{
	const char *members = line->kind - (sizeof(kind_begin) - 1);

	scan_advance(at, members, (size_t)(text + line->body_size - members));
}

static void take_line(struct scan *scan, const struct chain_key *key, const char *text, size_t size)
{
	struct chain_opened opened;
	struct chain_line line;
	bool follows;

	scan->lines++;
	if (!chain_parse(text, size, &line)) {
		if (!scan->bad_line)
			scan->bad_line = scan->lines;
		return;
	}
	if (scan->lines == 1) {
		scan->first_seq = line.seq;
		scan->first_at_ns = line.at_ns;
		scan->named = chain_parse_opened(text, size, &line, &opened);
		if (scan->named) {
			memcpy(scan->mac, opened.prev, sizeof(scan->mac));
			memcpy(scan->key, opened.key, sizeof(scan->key));
			chain_free_opened(&opened);
		}
	}
	/* a forged line does not move the position: its event is read again */
	follows = chain_follows(key, scan->mac, text, &line) &&
	          (!scan->ours || line.seq == scan->seq + 1);
	if (follows)
		scan_advance_line(&scan->at, text, &line);
	else if (!scan->bad_line)
		scan->bad_line = scan->lines;
	if (scan->lines == 1)
		scan->first_at = scan->at;
	scan->ours = true;
	scan->seq = line.seq;
	memcpy(scan->mac, line.mac, sizeof(scan->mac));
}

int scan_file(const char *file, const struct chain_key *key, struct scan *scan)
{
	struct chain_reader reader;
	enum chain_read what;
	const char *text;
	size_t size;
	int error;

	memset(scan, 0, sizeof(*scan));
	position_begin(&scan->at, "");
	scan->first_at = scan->at;
	error = chain_reader_open(&reader, file);
	if (error)
		return error;
	while ((what = chain_reader_next(&reader, &text, &size)) == CHAIN_LINE) {
		take_line(scan, key, text, size);
		scan->size = reader.offset;
	}
	if (what == CHAIN_FAILED)
		error = errno;
	chain_reader_close(&reader);
	return error;
}

uint64_t scan_first(const char *file)
{
	struct chain_reader reader;
	struct chain_line line = { 0 };
	const char *text;
	size_t size;

	if (chain_reader_open(&reader, file))
		return 0;
	if (chain_reader_next(&reader, &text, &size) != CHAIN_LINE ||
	    !chain_parse(text, size, &line))
		line.seq = 0;
	chain_reader_close(&reader);
	return line.seq;
}
