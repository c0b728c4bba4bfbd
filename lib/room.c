/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * room.c (F2) - how much shared memory is available: in the file system, on the machine, in the
 * memory control group.
 */
#include "segment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "error.h"

static bool read_number(const char *path, uint64_t *value)
{
	FILE *file = fopen(path, "re");
	char text[64];
	bool ok = false;

	if (!file)
		return false;
	if (fgets(text, sizeof(text), file)) {
		char *end;

		errno = 0;
		*value = strtoull(text, &end, 10);
		ok = end != text && errno == 0;
	}
	fclose(file);
	return ok;
}

static uint64_t memory_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	unsigned long long kib;
	uint64_t bytes = UINT64_MAX;

	if (!file)
		return bytes;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
			bytes = (uint64_t)kib * 1024;
			break;
		}
	fclose(file);
	return bytes;
}

/*
 * Returns limit - usage of one control group; UINT64_MAX if the group has no limit, which is "max"
 * in version 2 and a number near 2^63 in version 1.
 */
static uint64_t below(const char *group, const char *limit_file, const char *usage_file)
{
	char path[512];
	uint64_t limit, usage;

	snprintf(path, sizeof(path), "%s/%s", group, limit_file);
	if (!read_number(path, &limit) || limit >= UINT64_C(1) << 62)
		return UINT64_MAX;
	snprintf(path, sizeof(path), "%s/%s", group, usage_file);
	if (!read_number(path, &usage))
		return UINT64_MAX;
	return k2k_sat_sub(limit, usage);
}

/* The smallest such rest of all groups from ours up to the root of the hierarchy. */
static uint64_t walk_up(const char *mount, char *group, const char *limit_file,
                        const char *usage_file)
{
	uint64_t least = UINT64_MAX;

	for (;;) {
		char path[448];
		uint64_t room;
		char *slash;

		snprintf(path, sizeof(path), "%s%s", mount, group);
		room = below(path, limit_file, usage_file);
		if (room < least)
			least = room;
		slash = strrchr(group, '/');
		if (!slash || group[0] == '\0')
			return least;
		*slash = '\0';
	}
}

static uint64_t cgroup_room(void)
{
	FILE *file = fopen("/proc/self/cgroup", "re");
	char line[384];
	uint64_t least = UINT64_MAX;

	if (!file)
		return least;
	while (fgets(line, sizeof(line), file)) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;
		uint64_t room = UINT64_MAX;

		if (!group)
			continue;
		*group++ = '\0';
		controllers++;
		group[strcspn(group, "\n")] = '\0';
		if (strcmp(controllers, "memory") == 0)
			room = walk_up("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
			               "memory.usage_in_bytes");
		else if (controllers[0] == '\0')
			room = walk_up("/sys/fs/cgroup", group, "memory.max", "memory.current");
		if (room < least)
			least = room;
	}
	fclose(file);
	return least;
}

int k2k_room_read(struct k2k_room *room)
{
	struct statvfs fs;

	if (statvfs(K2K_SHM_DIR, &fs) != 0)
		return k2k_fail_errno(K2K_EIO, errno, K2K_SHM_DIR, "can't ask for free space");
	/* a tmpfs without a size limit reports 0 blocks: then only memory limits it */
	room->shm_bytes = fs.f_blocks == 0 ? UINT64_MAX : (uint64_t)fs.f_bavail * fs.f_frsize;
	room->memory_bytes = memory_available();
	room->cgroup_bytes = cgroup_room();
	return 0;
}
