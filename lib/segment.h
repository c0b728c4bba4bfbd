/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * segment.h (F2) - shared-memory objects: build, name, open, check, map.
 *
 * The only file that opens or maps shared memory (lock.c opens the same objects
 * once more, to lock bytes of them).
 *
 * 1. An object's memory is reserved before it has a name: no SIGBUS later, no
 *    resize ever.
 * 2. A name appears only for a complete object: built as an unnamed file
 *    (O_TMPFILE), linked last. `live` first, since its name is found through the
 *    UUID in `defs`.
 * 3. Never O_CREAT on attach; what was opened is a regular file of an owner we
 *    trust, of a mode that keeps strangers out, and of the size its header says.
 * 4. Mappings are not inherited by a forked child (MADV_DONTFORK).
 * 5. A descriptor stays open for as long as the object is used, in the table of the agent: so the
 *    object can be asked about its locks and its links after chroot(2), after a change of user,
 *    and where the path leads elsewhere by now.
 *
 * All functions here run on the agent, except those that say otherwise.
 */
#ifndef K2K_SEGMENT_H
#define K2K_SEGMENT_H

#include <sys/stat.h>
#include <sys/types.h>

#include "agent.h"
#include "layout.h"

#define K2K_SHM_DIR "/dev/shm"
#define K2K_PATH_MAX 192

struct k2k_segment {
	unsigned char *base;
	size_t bytes;
	bool writable;
	struct k2k_agent *agent; /* in whose table fd is */
	int fd;                  /* -1: none */
	dev_t device;
	ino_t inode;
	char path[K2K_PATH_MAX];
	/* as it was checked: `live` may change under us at any time */
	struct k2k_shm_header header;
};

/* Whose files are trusted, besides root's and one's own. */
struct k2k_trust {
	bool has_owner;
	uid_t owner;
};

/* Anywhere, these four. 0 or K2K_EINVAL. */
int k2k_segment_check_name(const char *name);
void k2k_segment_defs_path(char path[K2K_PATH_MAX], const char *name);
void k2k_segment_live_path(char path[K2K_PATH_MAX], const char *name, const uint8_t uuid[16]);
void k2k_segment_uuid_text(char text[40], const uint8_t uuid[16]);

/* Reserves an unnamed object and maps it: all bytes zero. Killed: it's gone. */
int k2k_segment_build(struct k2k_segment *seg, struct k2k_agent *agent, const char *object,
                      size_t bytes, mode_t mode, bool has_group, gid_t group);
/* Gives it its name. K2K_EEXIST where there is one. */
int k2k_segment_link(struct k2k_segment *seg, const char *path);
/* Opens, checks and maps. `object` is "defs" or "live". */
int k2k_segment_open(struct k2k_segment *seg, struct k2k_agent *agent, const char *object,
                     const char *path, bool writable, const struct k2k_trust *trust);
/*
 * The header alone of a regular file that belongs to us or root and has this magic; no other check,
 * and no detail of what fails.
 */
int k2k_segment_peek(const char *path, uint64_t magic, struct k2k_shm_header *header);
/*
 * Opens to lock bytes only: no mapping. K2K_ENOREGISTRY if there is none, K2K_EIO if that can't be
 * told; no detail.
 */
int k2k_segment_refer(struct k2k_segment *seg, struct k2k_agent *agent, const char *path);
void k2k_segment_close(struct k2k_segment *seg);
/*
 * Anywhere. fstat(2) of the object, wherever its path leads by now. 0, or K2K_EIO without a detail.
 */
int k2k_segment_stat(const struct k2k_segment *seg, struct stat *st);
/*
 * Anywhere. 0, or K2K_EFENCED if the object is gone: nothing links to it any more, because it was
 * removed or replaced. A path that can't be looked at, or leads elsewhere (chroot, another mount
 * namespace, other rights), is no proof of that. One system call if the path leads to it.
 */
int k2k_segment_check_identity(const struct k2k_segment *seg);

/* Boot id of this boot, as 16 bytes. */
int k2k_segment_boot_id(uint8_t boot_id[16]);

/* What is free for shared memory. UINT64_MAX where there is no such limit. */
struct k2k_room {
	uint64_t shm_bytes;
	uint64_t memory_bytes;
	uint64_t cgroup_bytes;
};
int k2k_room_read(struct k2k_room *room);

#endif
