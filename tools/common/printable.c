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

char *printable_escape(char *to, size_t room, const char *from, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	size_t used = 0;

	for (size_t i = 0; i < length && from[i]; i++) {
		unsigned char byte = (unsigned char)from[i];
		bool plain = byte >= 0x20 && byte < 0x7f;
		size_t needs = byte == '\\' ? 2 : plain ? 1 : 4;

		if (used + needs >= room)
			break;
		if (byte == '\\' || !plain)
			to[used++] = '\\';
		if (plain) {
			to[used++] = (char)byte;
		} else {
			to[used++] = 'x';
			to[used++] = digits[byte >> 4];
			to[used++] = digits[byte & 15];
		}
	}
	to[used] = 0;
	return to;
}

bool printable_is_formula(const char *text)
{
	return *text && strchr("=+-@\t\r", *text);
}
