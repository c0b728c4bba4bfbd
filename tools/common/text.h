/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* text.h - text that grows: for k2k-broker and k2k-auditd */
#ifndef K2K_COMMON_TEXT_H
#define K2K_COMMON_TEXT_H

#include <stddef.h>

struct text {
	char *bytes;
	size_t size, room;
};
void text_add(struct text *text, const char *bytes, size_t size);
void text_take(struct text *text, size_t size); /* from its beginning */
void text_free(struct text *text);

#endif
