/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is answered: bytes that are given out to many, as they are and compressed. */
#ifndef K2K_EXPORTER_BODY_H
#define K2K_EXPORTER_BODY_H

#include <microhttpd.h>
#include <stddef.h>

/*
 * Begin with { 0 }. Connections that are still sent one have it until they are done: libmicrohttpd
 * counts them.
 */
struct body {
	const char *type;
	char *bytes; /* belongs to plain; null: none is made */
	size_t size;
	struct MHD_Response *plain, *gzipped;
};

/*
 * With the headers of all answers, and one more if name is not null. Null without memory; MUST_FREE
 * bytes are freed then.
 */
struct MHD_Response *body_response(const char *bytes, size_t size, enum MHD_ResponseMemoryMode mode,
                                   const char *type, const char *name, const char *value);

/* Takes the bytes over. 0, or -1 with them freed. */
int body_set(struct body *body, char *bytes, size_t size, const char *type);
void body_forget(struct body *body);

/*
 * As the client of the connection takes it; null without memory. Compressed when somebody first
 * asks for it.
 */
struct MHD_Response *body_for(struct body *body, struct MHD_Connection *connection);

#endif
