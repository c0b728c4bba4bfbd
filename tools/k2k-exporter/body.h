/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* body.h - an answer that many clients get, plain or compressed */
#ifndef K2K_EXPORTER_BODY_H
#define K2K_EXPORTER_BODY_H

#include <microhttpd.h>
#include <stddef.h>

/*
 * Begin with { 0 }. libmicrohttpd counts references, so an answer that is still being sent outlives
 * body_forget().
 */
struct body {
	const char *type;
	char *bytes; /* owned by `plain`; null: there is no answer yet */
	size_t size;
	struct MHD_Response *plain, *gzipped;
};

/*
 * Adds the headers of all answers, and one more if `name` is not null. Returns null without memory;
 * then MUST_FREE bytes are freed.
 */
struct MHD_Response *body_response(const char *bytes, size_t size, enum MHD_ResponseMemoryMode mode,
                                   const char *type, const char *name, const char *value);

/* Takes over the bytes. Returns 0, or -1 with the bytes freed. */
int body_set(struct body *body, char *bytes, size_t size, const char *type);
void body_forget(struct body *body);

/*
 * The answer in a form that the client accepts; null without memory. It is compressed when the
 * first client asks for that.
 */
struct MHD_Response *body_for(struct body *body, struct MHD_Connection *connection);

#endif
