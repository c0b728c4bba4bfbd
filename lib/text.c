/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "text.h"

#include <stdint.h>
#include <string.h>

#include "base.h"

/* The length of the UTF-8 character at `at`; 0: there is none, or it must not be shown. */
static size_t character(const unsigned char *at, size_t left)
{
	static const struct {
		unsigned char mask, first;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 0x20 },
		      { 0xe0, 0xc0, 0xa0 },
		      { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };

	for (size_t more = 0; more < K2K_COUNT_OF(forms); more++) {
		uint32_t code = at[0] & (unsigned char)~forms[more].mask;

		if ((at[0] & forms[more].mask) != forms[more].first)
			continue;
		if (more >= left)
			return 0;
		for (size_t i = 1; i <= more; i++) {
			if ((at[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (at[i] & 0x3f);
		}
		/* an overlong form, a control character, a surrogate, or beyond Unicode */
		return code < forms[more].least || code == 0x7f ||
		                       (code >= 0xd800 && code < 0xe000) || code > 0x10ffff
		               ? 0
		               : more + 1;
	}
	return 0;
}

bool k2k_text_is_clean(const char *text, size_t bytes)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t done = 0, step = 1;

	for (; done < bytes && step; done += step)
		step = character(at + done, bytes - done);
	return done == bytes && step;
}

void k2k_text_copy(char *to, const char *from, size_t room)
{
	const unsigned char *at = (const unsigned char *)from;
	size_t length = strnlen(from, room - 1), done = 0;

	while (done < length) {
		size_t bytes = character(at + done, length - done);

		if (bytes)
			memcpy(to + done, from + done, bytes);
		else
			to[done] = '?';
		done += bytes ? bytes : 1;
	}
	to[done] = '\0';
}
