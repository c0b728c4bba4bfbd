/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sweep.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "visitor.h"

/*
 * Reads the UUID of the live object that `name` refers to. K2K_ENOREGISTRY: it refers to none. Any
 * other error: it is unknown whether it refers to one.
 */
static int referenced(const char *name, uint8_t uuid[16])
{
	char path[K2K_PATH_MAX];
	struct k2k_shm_header header;
	int code;

	k2k_segment_defs_path(path, name);
	code = k2k_segment_peek(path, K2K_DEFS_MAGIC, &header);
	/* if one bit of the UUID were wrong, a live object in use would look like garbage */
	if (!code && header.checksum != k2k_layout_checksum(&header))
		code = K2K_ECORRUPT;
	if (!code)
		memcpy(uuid, header.uuid, sizeof(header.uuid));
	return code;
}

static bool is_referenced(const char *name, const uint8_t uuid[16])
{
	uint8_t current[16];
	int code = referenced(name, current);

	return code == K2K_ENOREGISTRY ? false
	       : code                  ? true
	                               : memcmp(current, uuid, sizeof(current)) == 0;
}

static bool sweep_one(struct k2k_agent *agent, const char *name, const char *path)
{
	struct k2k_shm_header header;
	struct k2k_segment live;
	struct k2k_lock byte;
	char expected[K2K_PATH_MAX];
	bool removed = false;

	if (k2k_segment_peek(path, K2K_LIVE_MAGIC, &header) != 0)
		return false; /* not readable, or not a registry's */
	k2k_segment_live_path(expected, name, header.uuid);
	if (strcmp(expected, path) != 0 || is_referenced(name, header.uuid))
		return false;
	if (k2k_segment_refer(&live, agent, path) != 0)
		return false;
	if (k2k_lock_try(&live, K2K_LOCK_BYTE_CREATOR, &byte) == 0) {
		removed = !is_referenced(name, header.uuid) && unlink(path) == 0;
		k2k_lock_drop(&byte);
	}
	k2k_segment_close(&live);
	return removed;
}

void k2k_sweep(struct k2k_agent *agent, const char *name, uint64_t *removed)
{
	char prefix[K2K_PATH_MAX], path[K2K_PATH_MAX];
	size_t length;
	struct dirent *entry;
	DIR *dir = opendir(K2K_SHM_DIR);

	if (!dir)
		return;
	length = (size_t)snprintf(prefix, sizeof(prefix), "k2k.%s.live.", name);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, length) != 0 ||
		    strlen(entry->d_name) != length + 36)
			continue;
		snprintf(path, sizeof(path), K2K_SHM_DIR "/%.150s", entry->d_name);
		if (sweep_one(agent, name, path) && removed)
			(*removed)++;
	}
	closedir(dir);
}

/* ---- poisoned ---------------------------------------------------------------------- */

int k2k_sweep_unlink(const char *name, struct k2k_segment *defs)
{
	char live_path[K2K_PATH_MAX];

	k2k_segment_live_path(live_path, name, defs->header.uuid);
	if (unlink(defs->path) != 0 && errno != ENOENT)
		return k2k_fail_errno(errno == EACCES || errno == EPERM ? K2K_EPERM : K2K_EIO,
		                      errno, "defs", "can't remove %s", defs->path);
	if (unlink(live_path) != 0 && errno != ENOENT)
		return k2k_fail_errno(K2K_EIO, errno, "live", "can't remove %s", live_path);
	return 0;
}

int k2k_sweep_ours(const char *name, struct k2k_segment *defs)
{
	struct k2k_visitor visitor;
	int code = k2k_visitor_enter(&visitor, defs, 0);

	if (code)
		return K2K_EFENCED;
	code = k2k_segment_check_identity(defs);
	if (!code)
		code = k2k_sweep_unlink(name, defs);
	k2k_visitor_leave(&visitor);
	return code;
}

/* For a process that may not write. False: a living process holds the writer's lock. */
static bool destroyer_has_left(const struct k2k_segment *defs)
{
	struct k2k_map map = { .defs = (struct k2k_shm_defs *)(void *)defs->base };
	struct k2k_liveness admins = { .object = defs };

	return !k2k_writer_is_at_work(&map, &admins);
}

int k2k_sweep_poisoned(const char *name, struct k2k_segment *defs)
{
	int code;

	if (!defs->writable)
		return !destroyer_has_left(defs) ? K2K_EFENCED
		                                 : k2k_fail(K2K_ENOREGISTRY, "name", NULL,
		                                            "registry %s was being destroyed: any "
		                                            "administrator's command finishes that",
		                                            name);
	code = k2k_sweep_ours(name, defs);
	return code ? code
	            : k2k_fail(K2K_ENOREGISTRY, "name", NULL, "registry %s was being destroyed",
	                       name);
}

void k2k_sweep_poisoned_locked(const char *name, struct k2k_segment *defs)
{
	if (k2k_segment_check_identity(defs) == 0)
		k2k_sweep_unlink(name, defs);
}
