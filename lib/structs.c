/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "structs.h"

#include <stdbool.h>
#include <string.h>

#define SIZE_MOST (1u << 20) /* no version will be larger, so a greater `size` is garbage */

#define NEWEST(size, ...) (size)
#define DEFINE_VERSIONS(type, ...)                                              \
	const struct k2k_versions k2k_versions_of_##type = { { __VA_ARGS__ } }; \
	_Static_assert(sizeof(struct type) == NEWEST(__VA_ARGS__, 0),           \
	               #type " has another size: see the head of structs.h");
K2K_STRUCTS(DEFINE_VERSIONS)

/* Every public struct that may grow begins like this. */
struct header {
	uint32_t size, flags;
};

static bool is_of_a_version(const struct k2k_versions *versions, uint32_t size)
{
	if (size > versions->sizes[0])
		return size <= SIZE_MOST;
	for (int i = 0; versions->sizes[i]; i++)
		if (size == versions->sizes[i])
			return true;
	return false;
}

int k2k_struct_check(const void *caller, const struct k2k_versions *versions, uint32_t known_flags,
                     const char *name)
{
	struct header header;

	if (!caller)
		return k2k_fail_argument(name, "null");
	memcpy(&header, caller, sizeof(header));
	if (!is_of_a_version(versions, header.size))
		return k2k_fail_argument(name, "size is not that of the struct: use sizeof");
	if (header.flags & ~known_flags)
		return k2k_fail_argument(name, "unknown flags");
	return 0;
}

static bool is_zero(const unsigned char *from, const unsigned char *end)
{
	while (from < end && *from == 0)
		from++;
	return from == end;
}

int k2k_struct_take(void *mine, const void *caller, const struct k2k_versions *versions,
                    uint32_t known_flags, const char *name)
{
	uint32_t known = versions->sizes[0], size;
	const unsigned char *bytes = caller;
	int code = k2k_struct_check(caller, versions, known_flags, name);

	if (code)
		return code;
	memcpy(&size, caller, sizeof(size));
	if (size > known && !is_zero(bytes + known, bytes + size))
		return k2k_fail_argument(name, "has fields of a later version of the library");
	memset(mine, 0, known);
	memcpy(mine, caller, size < known ? size : known);
	return 0;
}

void k2k_struct_give(void *caller, uint32_t size, const void *mine, size_t bytes)
{
	unsigned char *to = caller;

	memcpy(to, mine, size < bytes ? size : bytes);
	if (size > bytes)
		memset(to + bytes, 0, size - bytes);
	memcpy(to, &size, sizeof(size));
}
