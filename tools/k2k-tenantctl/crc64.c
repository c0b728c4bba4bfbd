/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CRC-64/XZ: the reflected polynomial of ECMA-182, inverted before and after. "123456789" gives
 * 995dc9bbdf1939fa.
 *
 * It is written here because no library that the tools link has it. A hash of libsodium would need
 * a second version of the saved file, and version 1 would still need this function to be read.
 */
#include "document.h"

#define POLYNOMIAL UINT64_C(0xc96c5795d7870f42)

uint64_t crc64(uint64_t crc, const void *data, size_t length)
{
	static uint64_t table[256];
	const unsigned char *p = data;

	for (unsigned int i = 0; !table[1] && i < 256; i++) {
		/* entry 1 is filled last: if it is set, so are the others */
		unsigned int at = 255 - i == 1 ? 0 : 255 - i == 0 ? 1 : 255 - i;
		uint64_t value = at;

		for (int bit = 0; bit < 8; bit++)
			value = value & 1 ? value >> 1 ^ POLYNOMIAL : value >> 1;
		table[at] = value;
	}
	crc = ~crc;
	for (size_t i = 0; i < length; i++)
		crc = table[(crc ^ p[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}
