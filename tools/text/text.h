/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * text.h - text that grows, and memory that is there or ends the program: for k2k-broker and
 * k2k-auditd
 */
#ifndef K2K_TEXT_H
#define K2K_TEXT_H

#include <stddef.h>

struct text {
	char *bytes;
	size_t size, room;
};
void text_add(struct text *text, const char *bytes, size_t size);
void text_take(struct text *text, size_t size); /* from its beginning */
void text_free(struct text *text);

/* Null: says so and ends with exit status 10. */
void *must(void *memory);

#endif
