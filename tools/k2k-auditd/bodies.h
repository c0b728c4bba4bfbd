/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bodies.h - lines on their way to a destination
 *
 * A body is what a line says: the members of one JSON object, without its braces, and a newline.
 * The destination adds what it needs around it. Bodies that can't be written now stay, and are
 * tried again.
 */
#ifndef K2K_AUDITD_BODIES_H
#define K2K_AUDITD_BODIES_H

#include <json-c/json_object.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Begin with { 0 }. */
struct bodies {
	char *bytes;
	size_t size, taken; /* taken: bytes that are written */
};

/* Writes the object as a body, and frees it. */
void body_write(FILE *out, json_object *object);

/* Adds one behind those that are left. */
void bodies_add(struct bodies *bodies, json_object *object);
/* Drops all, and begins anew: what is written to the stream until text_close(). */
FILE *bodies_begin(struct bodies *bodies);
void bodies_free(struct bodies *bodies);

bool bodies_are_taken(const struct bodies *bodies);
/* The body at this offset, and its size without the newline; the next is at offset + size + 1. */
const char *bodies_at(const struct bodies *bodies, size_t offset, size_t *size);

#endif
