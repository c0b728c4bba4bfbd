/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * segment.h (F2) - shared-memory objects: build, link, open, check, map.
 *
 * No other file opens or maps shared memory, except that lock.c opens the same objects once more to
 * lock bytes of them.
 *
 * 1. An object's memory is reserved before it has a name: there is no SIGBUS later, and it is never
 *    resized.
 * 2. A name appears only for a complete object: it is built as an unnamed file (O_TMPFILE) and
 *    linked last. `live` is linked first, because its name is found through the UUID in `defs`.
 * 3. An attach never uses O_CREAT. What it opens is a regular file of a trusted owner, with a mode
 *    that keeps other users out, of the size that its header says.
 * 4. A forked child does not inherit the mappings (MADV_DONTFORK).
 * 5. A descriptor stays open for as long as the object is used, in the agent's table. So the
 *    object's locks and links can be queried even after chroot(2), after a change of user, and if
 *    the path leads elsewhere by then.
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
	struct k2k_agent *agent; /* in the table of this agent */
	int fd;                  /* -1: none */
	dev_t device;
	ino_t inode;
	char path[K2K_PATH_MAX];
	/* the header as it was checked: other processes may change `live` at any time */
	struct k2k_shm_header header;
};

/* whose files are trusted, besides root's and the caller's own */
struct k2k_trust {
	bool has_owner;
	uid_t owner;
};

/* These four on any thread. 0 or K2K_EINVAL. */
int k2k_segment_check_name(const char *name);
void k2k_segment_defs_path(char path[K2K_PATH_MAX], const char *name);
void k2k_segment_live_path(char path[K2K_PATH_MAX], const char *name, const uint8_t uuid[16]);
void k2k_segment_uuid_text(char text[40], const uint8_t uuid[16]);

/*
 * Reserves an unnamed object and maps it; all bytes are zero. If the process is killed, the object
 * is gone.
 */
int k2k_segment_build(struct k2k_segment *seg, struct k2k_agent *agent, const char *object,
                      size_t bytes, mode_t mode, bool has_group, gid_t group);
/* Links it to its name. K2K_EEXIST if the name is taken. */
int k2k_segment_link(struct k2k_segment *seg, const char *path);
/* Opens, checks and maps. `object` is "defs" or "live". */
int k2k_segment_open(struct k2k_segment *seg, struct k2k_agent *agent, const char *object,
                     const char *path, bool writable, const struct k2k_trust *trust);
/*
 * Reads the header of a regular file that belongs to the caller or to root and has this magic.
 * Nothing else is checked. The error has no detail.
 */
int k2k_segment_peek(const char *path, uint64_t magic, struct k2k_shm_header *header);
/*
 * Opens an object only to lock its bytes, without a mapping. K2K_ENOREGISTRY if it does not exist,
 * K2K_EIO if that can't be found out; the error has no detail.
 */
int k2k_segment_refer(struct k2k_segment *seg, struct k2k_agent *agent, const char *path);
void k2k_segment_close(struct k2k_segment *seg);
/*
 * On any thread. fstat(2) of the object, even if its path leads elsewhere by now. 0, or K2K_EIO
 * without a detail.
 */
int k2k_segment_stat(const struct k2k_segment *seg, struct stat *st);
/*
 * On any thread. 0, or K2K_EFENCED if the object was removed or replaced: nothing links to it any
 * more. A path that can't be looked up, or leads elsewhere (chroot, another mount namespace, other
 * rights), proves nothing. One system call if the path leads to the object.
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
