/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * segment.h (F2) - shared-memory objects: builds, links, opens, checks and maps them.
 *
 * No other file opens or maps shared memory, except that lock.c opens the same objects again to
 * lock bytes of them.
 *
 * 1. An object's memory is reserved before it has a name: there is no SIGBUS later, and it is never
 *    resized.
 * 2. A name appears only for a complete object: it is built as an unnamed file (O_TMPFILE) and
 *    linked last. `live` is linked first, because its name is found through the UUID in `defs`.
 * 3. An attach never uses O_CREAT. It accepts only a regular file of a trusted owner, whose mode
 *    gives no more access than it was created with, and whose size is that of its header.
 * 4. A forked child does not inherit the mappings (MADV_DONTFORK).
 * 5. A descriptor stays open in the agent's table for as long as the object is used. So the
 *    object's locks and links can be queried even after chroot(2), after a change of user, or when
 *    the path leads elsewhere.
 *
 * All functions here run on the agent, except those that say "on any thread".
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
	struct k2k_agent *agent; /* its table holds fd */
	int fd;                  /* -1: none */
	dev_t device;
	ino_t inode;
	char path[K2K_PATH_MAX];
	/* a copy of the header that was checked: other processes may change `live` at any time */
	struct k2k_shm_header header;
};

/* one more user whose files are trusted, besides root and the caller */
struct k2k_trust {
	bool has_owner;
	uid_t owner;
};

/* These four run on any thread. The first returns 0 or K2K_EINVAL. */
int k2k_segment_check_name(const char *name);
void k2k_segment_defs_path(char path[K2K_PATH_MAX], const char *name);
void k2k_segment_live_path(char path[K2K_PATH_MAX], const char *name, const uint8_t uuid[16]);
void k2k_segment_uuid_text(char text[40], const uint8_t uuid[16]);

/*
 * Reserves an unnamed object and maps it; all its bytes are zero. If the process is killed before
 * k2k_segment_link(), the object disappears.
 */
int k2k_segment_build(struct k2k_segment *seg, struct k2k_agent *agent, const char *object,
                      size_t bytes, mode_t mode, bool has_group, gid_t group);
/* Links it to its name. K2K_EEXIST if the name is taken. */
int k2k_segment_link(struct k2k_segment *seg, const char *path);
/* Opens an object, checks it and maps it. `object` is "defs" or "live". */
int k2k_segment_open(struct k2k_segment *seg, struct k2k_agent *agent, const char *object,
                     const char *path, bool writable, const struct k2k_trust *trust);
/*
 * Reads the header of a regular file that belongs to the caller or to root and has this magic, and
 * checks nothing else. An error has no detail.
 */
int k2k_segment_peek(const char *path, uint64_t magic, struct k2k_shm_header *header);
/*
 * Opens an object without mapping it, only to lock its bytes or to ask about locks. K2K_ENOREGISTRY
 * if it does not exist, K2K_EIO if it can't be opened; an error has no detail.
 */
int k2k_segment_refer(struct k2k_segment *seg, struct k2k_agent *agent, const char *path);
void k2k_segment_close(struct k2k_segment *seg);
/*
 * On any thread. fstat(2) of the object, even if its path leads elsewhere by now. 0, or K2K_EIO
 * without a detail.
 */
int k2k_segment_stat(const struct k2k_segment *seg, struct stat *st);
/*
 * On any thread. 0, or K2K_EFENCED if the object was removed or replaced, so that no name links to
 * it any more. A path that can't be looked up or leads elsewhere is no proof of that: chroot,
 * another mount namespace or other rights have the same effect. It takes one system call if the
 * path leads to the object.
 */
int k2k_segment_check_identity(const struct k2k_segment *seg);

/* The boot id, as 16 bytes. */
int k2k_segment_boot_id(uint8_t boot_id[16]);

/* How much memory is free for shared memory; UINT64_MAX if there is no such limit. */
struct k2k_room {
	uint64_t shm_bytes;
	uint64_t memory_bytes;
	uint64_t cgroup_bytes;
};
int k2k_room_read(struct k2k_room *room);

#endif
