/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "text.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

void text_add(struct text *text, const char *bytes, size_t size)
{
	if (text->room - text->size < size) {
		text->room = 2 * (text->size + size);
		text->bytes = check_memory(realloc(text->bytes, text->room));
	}
	memcpy(text->bytes + text->size, bytes, size);
	text->size += size;
}

void text_take(struct text *text, size_t size)
{
	if (size == 0)
		return;
	text->size -= size;
	memmove(text->bytes, text->bytes + size, text->size);
}

void text_free(struct text *text)
{
	free(text->bytes);
	*text = (struct text){ 0 };
}
