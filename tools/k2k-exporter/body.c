/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "body.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 8, NOT_WORTH_IT = 256 };

static bool add_header(struct MHD_Response *response, const char *name, const char *value)
{
	return MHD_add_response_header(response, name, value) == MHD_YES;
}

struct MHD_Response *body_response(const char *bytes, size_t size, enum MHD_ResponseMemoryMode mode,
                                   const char *type, const char *name, const char *value)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		size, (void *)(uintptr_t)bytes, mode);

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free((void *)(uintptr_t)bytes);
		return NULL;
	}
	if (add_header(response, "Content-Type", type) &&
	    add_header(response, "X-Content-Type-Options", "nosniff") &&
	    add_header(response, "Cache-Control", "no-store") &&
	    add_header(response, "Referrer-Policy", "no-referrer") &&
	    (!name || add_header(response, name, value)))
		return response;
	MHD_destroy_response(response);
	return NULL;
}

/* ---- gzip ----------------------------------------------------------------------- */

/*
 * Returns null without memory. The fastest level is enough: metrics are repetitive and shrink to a
 * tenth.
 */
static char *compressed(const char *bytes, size_t size, size_t *made)
{
	z_stream stream = { 0 };
	size_t room;
	char *to;
	int code;

	if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
	                 Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	room = deflateBound(&stream, size);
	to = size <= UINT32_MAX && room <= UINT32_MAX ? malloc(room) : NULL;
	stream.next_in = (Bytef *)(uintptr_t)bytes;
	stream.avail_in = (uInt)size;
	stream.next_out = (Bytef *)to;
	stream.avail_out = (uInt)room;
	code = to ? deflate(&stream, Z_FINISH) : Z_MEM_ERROR;
	*made = stream.total_out;
	deflateEnd(&stream);
	if (code == Z_STREAM_END)
		return to;
	free(to);
	return NULL;
}

/* Whether an item of the list accepts gzip: "gzip" and "gzip;q=0.5" do, "gzip;q=0" does not. */
static bool names_gzip(const char *item, size_t size)
{
	size_t name = 0, q;

	while (name < size && !strchr("; \t", item[name]))
		name++;
	if (!(name == 4 && !strncasecmp(item, "gzip", 4)) &&
	    !(name == 6 && !strncasecmp(item, "x-gzip", 6)) && !(name == 1 && item[0] == '*'))
		return false;
	for (q = name; q < size && strchr("; \t", item[q]); q++)
		;
	if (q + 2 > size || strncasecmp(item + q, "q=", 2))
		return q == size;
	/* 0, 0.0, 0.000 */
	for (q += 2; q < size && strchr("0. \t", item[q]); q++)
		;
	return q < size;
}

static bool takes_gzip(const char *accepted)
{
	while (accepted && *accepted) {
		size_t size;

		accepted += strspn(accepted, ", \t");
		size = strcspn(accepted, ",");
		if (names_gzip(accepted, size))
			return true;
		accepted += size;
	}
	return false;
}

/* ---- bodies ----------------------------------------------------------------------- */

void body_forget(struct body *body)
{
	if (body->plain)
		MHD_destroy_response(body->plain);
	if (body->gzipped)
		MHD_destroy_response(body->gzipped);
	*body = (struct body){ 0 };
}

int body_set(struct body *body, char *bytes, size_t size, const char *type)
{
	body_forget(body);
	body->plain = body_response(bytes, size, MHD_RESPMEM_MUST_FREE, type, "Vary",
	                            "Accept-Encoding");
	if (!body->plain)
		return -1;
	body->bytes = bytes;
	body->size = size;
	body->type = type;
	return 0;
}

struct MHD_Response *body_for(struct body *body, struct MHD_Connection *connection)
{
	char *bytes;
	size_t size;

	if (body->size < NOT_WORTH_IT ||
	    !takes_gzip(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
	                                            MHD_HTTP_HEADER_ACCEPT_ENCODING)))
		return body->plain;
	if (body->gzipped)
		return body->gzipped;
	bytes = compressed(body->bytes, body->size, &size);
	if (!bytes)
		return body->plain;
	body->gzipped = body_response(bytes, size, MHD_RESPMEM_MUST_FREE, body->type, "Vary",
	                              "Accept-Encoding");
	if (body->gzipped && !add_header(body->gzipped, "Content-Encoding", "gzip")) {
		MHD_destroy_response(body->gzipped);
		body->gzipped = NULL;
	}
	return body->gzipped ? body->gzipped : body->plain;
}
