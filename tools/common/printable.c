/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "printable.h"

#include <string.h>

void printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			*text = '?';
}

char *printable_copy(char *to, size_t room, const char *from, size_t length)
{
	size_t i;

	for (i = 0; from && i + 1 < room && i < length && from[i]; i++)
		to[i] = from[i];
	to[i] = 0;
	printable(to);
	return to;
}

bool printable_is_formula(const char *text)
{
	return *text && strchr("=+-@\t\r", *text);
}
