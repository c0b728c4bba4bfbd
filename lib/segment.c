/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "lock.h"

#define RESERVE_STEP ((off_t)16 << 20) /* a signal interrupts at most one step, and undoes it */

int k2k_segment_check_name(const char *name)
{
	size_t length;

	if (!name)
		return k2k_fail_argument("name", "null");
	length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
	if (length == 0 || length > K2K_NAME_MAX || name[length] != '\0')
		return k2k_fail(K2K_EINVAL, "argument", "name",
		                "a registry's name has 1 to %d characters of A-Z a-z 0-9 _ -",
		                K2K_NAME_MAX);
	return 0;
}

void k2k_segment_defs_path(char path[K2K_PATH_MAX], const char *name)
{
	snprintf(path, K2K_PATH_MAX, K2K_SHM_DIR "/k2k.%s.defs", name);
}

void k2k_segment_uuid_text(char text[40], const uint8_t uuid[16])
{
	static const char hex[] = "0123456789abcdef";
	char *p = text;

	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[uuid[i] >> 4];
		*p++ = hex[uuid[i] & 15];
	}
	*p = '\0';
}

void k2k_segment_live_path(char path[K2K_PATH_MAX], const char *name, const uint8_t uuid[16])
{
	char text[40];

	k2k_segment_uuid_text(text, uuid);
	snprintf(path, K2K_PATH_MAX, K2K_SHM_DIR "/k2k.%s.live.%s", name, text);
}

int k2k_segment_boot_id(uint8_t boot_id[16])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	unsigned int byte;
	int digits = 0, c = 0, error;

	if (!file)
		return k2k_fail_errno(K2K_EIO, errno, "/proc", "can't read the boot id");
	memset(boot_id, 0, 16);
	while (digits < 32 && (c = fgetc(file)) != EOF) {
		if (c == '-')
			continue;
		if (c >= '0' && c <= '9')
			byte = (unsigned int)(c - '0');
		else if (c >= 'a' && c <= 'f')
			byte = (unsigned int)(c - 'a') + 10;
		else
			break;
		boot_id[digits / 2] = (uint8_t)(boot_id[digits / 2] << 4 | byte);
		digits++;
	}
	error = ferror(file) ? errno : 0;
	fclose(file);
	if (error)
		return k2k_fail_errno(K2K_EIO, error, "/proc", "can't read the boot id");
	if (digits != 32)
		return k2k_fail(K2K_EIO, "/proc", "boot_id",
		                "the boot id is not 32 hexadecimal digits");
	return 0;
}

/* Reports an error of creating or linking an object. */
static int create_failed(int error, const char *object, const char *what)
{
	switch (error) {
	case EACCES:
	case EPERM:
	case EROFS: return k2k_fail_errno(K2K_EPERM, error, object, "%s", what);
	case ENOSPC:
	case ENOMEM:
	case EDQUOT:
	case EFBIG: return k2k_fail_errno(K2K_ENOMEM, error, object, "%s", what);
	default: return k2k_fail_errno(K2K_EIO, error, object, "%s", what);
	}
}

static int map(struct k2k_segment *seg, const char *object, int fd)
{
	int protection = seg->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *base = mmap(NULL, seg->bytes, protection, MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return k2k_fail_errno(errno == EACCES ? K2K_EPERM : K2K_ENOMEM, errno, object,
		                      "can't map %zu bytes%s", seg->bytes,
		                      errno == EAGAIN ? " (RLIMIT_MEMLOCK, ulimit -l)" : "");
	if (madvise(base, seg->bytes, MADV_DONTFORK) != 0) {
		int error = errno;

		munmap(base, seg->bytes);
		return k2k_fail_errno(K2K_EIO, error, object,
		                      "can't hide the mapping from forked children");
	}
	seg->base = base;
	return 0;
}

static void remember(struct k2k_segment *seg, const struct stat *st, int fd)
{
	seg->device = st->st_dev;
	seg->inode = st->st_ino;
	seg->fd = fd;
}

/* Reserves in steps, and repeats a step after EINTR, which is not a failure. */
static int reserve(int fd, off_t bytes, const char *object)
{
	for (off_t done = 0; done < bytes;) {
		off_t step = bytes - done < RESERVE_STEP ? bytes - done : RESERVE_STEP;

		if (fallocate(fd, 0, done, step) == 0)
			done += step;
		else if (errno != EINTR)
			return create_failed(errno, object,
			                     "can't reserve its bytes in " K2K_SHM_DIR);
	}
	return 0;
}

/*
 * Some kernels don't charge reserved pages before they are written. Writing to each page here makes
 * a lack of memory an error now, instead of a SIGBUS later.
 */
static int touch(const struct k2k_segment *seg, const char *object)
{
	volatile unsigned char *p = seg->base;

#ifdef MADV_POPULATE_WRITE
	int error = 0;

	for (size_t done = 0; done < seg->bytes && !error;) {
		size_t step = seg->bytes - done < (size_t)RESERVE_STEP ? seg->bytes - done
		                                                       : (size_t)RESERVE_STEP;

		if (madvise(seg->base + done, step, MADV_POPULATE_WRITE) == 0)
			done += step;
		else if (errno != EINTR && errno != EAGAIN)
			error = errno;
	}
	if (error != EINVAL) /* EINVAL: a kernel before 5.14 */
		return error ? k2k_fail_errno(K2K_ENOMEM, error, object,
		                              "can't get memory for all of its %zu bytes",
		                              seg->bytes)
		             : 0;
#endif
	(void)object;
	for (size_t at = 0; at < seg->bytes; at += 4096)
		p[at] = 0;
	return 0;
}

int k2k_segment_build(struct k2k_segment *seg, struct k2k_agent *agent, const char *object,
                      size_t bytes, mode_t mode, bool has_group, gid_t group)
{
	struct stat st;
	int fd, code;

	k2k_assert_on_agent(agent);
	memset(seg, 0, sizeof(*seg));
	seg->agent = agent;
	seg->fd = -1;
	seg->bytes = bytes;
	seg->writable = true;
	fd = open(K2K_SHM_DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return create_failed(errno, object, "can't create in " K2K_SHM_DIR);
	if (has_group && fchown(fd, (uid_t)-1, group) != 0) {
		code = k2k_fail_errno(errno == EPERM ? K2K_EPERM : K2K_EIO, errno, object,
		                      "can't change its group to %u", (unsigned int)group);
		goto failed;
	}
	if (fchmod(fd, mode) != 0) {
		code = k2k_fail_errno(K2K_EIO, errno, object, "can't set its mode");
		goto failed;
	}
	code = reserve(fd, (off_t)bytes, object);
	if (code)
		goto failed;
	if (fstat(fd, &st) != 0) {
		code = k2k_fail_errno(K2K_EIO, errno, object, "can't query it");
		goto failed;
	}
	code = map(seg, object, fd);
	if (code)
		goto failed;
	code = touch(seg, object);
	if (code) {
		munmap(seg->base, seg->bytes);
		seg->base = NULL;
		goto failed;
	}
	remember(seg, &st, fd);
	return 0;
failed:
	close(fd);
	return code;
}

int k2k_segment_link(struct k2k_segment *seg, const char *path)
{
	char self[64];

	k2k_assert_on_agent(seg->agent);
	/* The second form is for older kernels: there the first needs CAP_DAC_READ_SEARCH. */
	snprintf(self, sizeof(self), "/proc/thread-self/fd/%d", seg->fd);
	if (linkat(seg->fd, "", AT_FDCWD, path, AT_EMPTY_PATH) != 0 &&
	    (errno == EEXIST || linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0))
		return errno == EEXIST
		               ? k2k_fail(K2K_EEXIST, "name", NULL,
		                          "%s already exists: open it, or destroy it first", path)
		               : create_failed(errno, path, "can't link it to its name");
	snprintf(seg->path, sizeof(seg->path), "%s", path);
	return 0;
}

static int open_failed(int error, const char *object, const char *path)
{
	struct stat st;

	/*
	 * The kernel may refuse a file because of its type before the type can be checked on a
	 * descriptor: for example a device on a file system that is mounted with nodev.
	 */
	if ((error == EACCES || error == EPERM) && lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		return k2k_fail(K2K_EOWNER, object, "type", "%s is not a regular file", path);
	switch (error) {
	case ENOENT: return k2k_fail_errno(K2K_ENOREGISTRY, error, object, "%s", path);
	case EACCES:
	case EPERM:
	case EROFS: return k2k_fail_errno(K2K_EPERM, error, object, "%s", path);
	case ELOOP:
	case EISDIR:
	case ENXIO:
	case ENODEV: return k2k_fail(K2K_EOWNER, object, "type", "%s is not a regular file", path);
	default:
		return k2k_fail_errno(error == ENOMEM ? K2K_ENOMEM : K2K_EIO, error, object, "%s",
		                      path);
	}
}

static int check_file(const char *object, const char *path, const struct stat *st,
                      const struct k2k_trust *trust)
{
	if (!S_ISREG(st->st_mode))
		return k2k_fail(K2K_EOWNER, object, "type", "%s is not a regular file", path);
	if (st->st_uid != 0 && st->st_uid != geteuid() &&
	    !(trust && trust->has_owner && st->st_uid == trust->owner))
		return k2k_fail_values(K2K_EOWNER, object, "owner", geteuid(), st->st_uid,
		                       "%s belongs to user %u: only files of root, of the calling "
		                       "user, and of the owner given at open are trusted",
		                       path, (unsigned int)st->st_uid);
	if (strcmp(object, "defs") == 0 && (st->st_mode & 022))
		return k2k_fail_values(K2K_EOWNER, object, "mode", 0, st->st_mode & 0777,
		                       "%s is writable by users other than its owner (mode %o): "
		                       "whoever wrote it can't be trusted",
		                       path, (unsigned int)(st->st_mode & 0777));
	if (st->st_size < (off_t)sizeof(struct k2k_shm_defs))
		return k2k_fail_values(K2K_ECORRUPT, object, "size", sizeof(struct k2k_shm_defs),
		                       (uint64_t)st->st_size, "%s was truncated to %lld bytes",
		                       path, (long long)st->st_size);
	return 0;
}

/*
 * Does a process of this boot hold the lock of an incarnation on either object? A container may
 * show another boot id than the creator saw, but a held lock proves that the kernel has not been
 * restarted since.
 */
static bool is_in_use(const struct k2k_segment *defs)
{
	struct k2k_segment live;
	char path[K2K_PATH_MAX];
	size_t stem = strlen(defs->path) - strlen("defs");
	char uuid[40];
	bool used;
	int code;

	if (k2k_lock_any_life(defs))
		return true;
	k2k_segment_uuid_text(uuid, defs->header.uuid);
	snprintf(path, sizeof(path), "%.*slive.%s", (int)stem, defs->path, uuid);
	code = k2k_segment_refer(&live, defs->agent, path);
	if (code)
		/*
		 * `live` can't be opened: it counts as in use, so that no administrator removes the
		 * registry because of this.
		 */
		return code != K2K_ENOREGISTRY;
	used = k2k_lock_any_life(&live);
	k2k_segment_close(&live);
	return used;
}

/*
 * Names the first field that differs. Fields that another version may have placed elsewhere are
 * checked only after those that identify the version.
 */
static int check_header(const struct k2k_segment *seg, const char *object, const struct stat *st)
{
	const struct k2k_shm_header *h = &seg->header;
	uint64_t magic = strcmp(object, "defs") == 0 ? K2K_DEFS_MAGIC : K2K_LIVE_MAGIC;
	uint8_t boot_id[16];
	int code;

	if (h->magic != magic && h->magic != __builtin_bswap64(magic))
		return k2k_fail_values(
			K2K_ECORRUPT, object, "magic", magic, h->magic,
			"%s is not recognisable as a registry; remove it by hand if unneeded",
			seg->path);
	if (h->byte_order != K2K_BYTE_ORDER)
		return k2k_fail_values(h->magic == magic ? K2K_ECORRUPT : K2K_ELAYOUT, object,
		                       "byte order", K2K_BYTE_ORDER, h->byte_order,
		                       "%s was created on a machine with another byte order",
		                       seg->path);
	if (h->layout_version != K2K_LAYOUT_VERSION)
		return k2k_fail_values(K2K_ELAYOUT, object, "layout version", K2K_LAYOUT_VERSION,
		                       h->layout_version,
		                       "%s has layout version %u, this library has %u", seg->path,
		                       h->layout_version, K2K_LAYOUT_VERSION);
	if (h->incompatible & ~K2K_INCOMPATIBLE)
		return k2k_fail_values(
			K2K_ELAYOUT, object, "features", K2K_INCOMPATIBLE, h->incompatible,
			"%s uses features that this library does not know: use a newer library",
			seg->path);
	if (h->header_bytes != sizeof(*h))
		return k2k_fail_values(
			K2K_ELAYOUT, object, "record size", sizeof(*h), h->header_bytes,
			"%s has a header of %u bytes: another version of the library created it",
			seg->path, h->header_bytes);
	if (h->fingerprint != k2k_layout_fingerprint())
		return k2k_fail_values(
			K2K_ELAYOUT, object, "fingerprint", k2k_layout_fingerprint(),
			h->fingerprint,
			"%s was created by a build of the library with another layout", seg->path);
	if (h->checksum != k2k_layout_checksum(h))
		return k2k_fail_values(K2K_ECORRUPT, object, "checksum", k2k_layout_checksum(h),
		                       h->checksum, "the header of %s is corrupt", seg->path);
	if (h->total_bytes != (uint64_t)st->st_size)
		return k2k_fail_values(K2K_ECORRUPT, object, "size", h->total_bytes,
		                       (uint64_t)st->st_size,
		                       "%s has %lld bytes, but its header says %llu", seg->path,
		                       (long long)st->st_size, (unsigned long long)h->total_bytes);
	/*
	 * The kernel fills a hole at its first use, and sends SIGBUS if there is no memory then.
	 * Swapped pages count as blocks, so they don't look like holes.
	 */
	if ((uint64_t)st->st_blocks * 512 < h->total_bytes)
		return k2k_fail_values(K2K_ECORRUPT, object, "blocks", h->total_bytes,
		                       (uint64_t)st->st_blocks * 512,
		                       "%s has holes, so its memory is not reserved", seg->path);
	if ((st->st_mode & 0777 & ~h->object_mode) != 0)
		return k2k_fail_values(
			K2K_EOWNER, object, "mode", h->object_mode, st->st_mode & 0777,
			"%s is accessible to more users than it was created for: restore its mode",
			seg->path);
	/* `live` needs no check of its boot id: that of the defs with the same UUID was checked */
	if (magic == K2K_DEFS_MAGIC) {
		code = k2k_segment_boot_id(boot_id);
		if (code)
			return code;
		if (memcmp(h->boot_id, boot_id, sizeof(boot_id)) != 0 && !is_in_use(seg))
			return k2k_fail(K2K_EBOOT, object, "boot id",
			                "%s has another boot id and no process uses it: it is left "
			                "from before the machine started, or was created outside a "
			                "container that shows its own boot id",
			                seg->path);
	}
	if (h->clock != K2K_CLOCK_MONOTONIC_COARSE_HOST)
		return k2k_fail_values(
			K2K_ELAYOUT, object, "clock", K2K_CLOCK_MONOTONIC_COARSE_HOST, h->clock,
			"%s uses a clock that this library does not know", seg->path);
	return 0;
}

int k2k_segment_open(struct k2k_segment *seg, struct k2k_agent *agent, const char *object,
                     const char *path, bool writable, const struct k2k_trust *trust)
{
	struct stat st;
	int fd, code;

	k2k_assert_on_agent(agent);
	memset(seg, 0, sizeof(*seg));
	seg->agent = agent;
	seg->fd = -1;
	seg->writable = writable;
	snprintf(seg->path, sizeof(seg->path), "%s", path);
	fd = open(path,
	          (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return open_failed(errno, object, path);
	if (fstat(fd, &st) != 0) {
		code = k2k_fail_errno(K2K_EIO, errno, object, "%s", path);
		goto failed;
	}
	code = check_file(object, path, &st, trust);
	if (code)
		goto failed;
	seg->bytes = (size_t)st.st_size;
	code = map(seg, object, fd);
	if (code)
		goto failed;
	memcpy(&seg->header, seg->base, sizeof(seg->header));
	remember(seg, &st, fd);
	code = check_header(seg, object, &st);
	if (code)
		k2k_segment_close(seg);
	return code;
failed:
	close(fd);
	return code;
}

int k2k_segment_peek(const char *path, uint64_t magic, struct k2k_shm_header *header)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	int code = K2K_EOWNER;

	if (fd < 0)
		return errno == ENOENT ? K2K_ENOREGISTRY : K2K_EPERM;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_uid == 0 || st.st_uid == geteuid()) &&
	    pread(fd, header, sizeof(*header), 0) == (ssize_t)sizeof(*header) &&
	    header->magic == magic)
		code = 0;
	close(fd);
	return code;
}

int k2k_segment_refer(struct k2k_segment *seg, struct k2k_agent *agent, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	k2k_assert_on_agent(agent);
	memset(seg, 0, sizeof(*seg));
	seg->agent = agent;
	seg->fd = -1;
	if (fd < 0)
		return errno == ENOENT ? K2K_ENOREGISTRY : K2K_EIO;
	if (fstat(fd, &st) != 0) {
		close(fd);
		return K2K_EIO;
	}
	snprintf(seg->path, sizeof(seg->path), "%s", path);
	remember(seg, &st, fd);
	return 0;
}

void k2k_segment_close(struct k2k_segment *seg)
{
	if (seg->base)
		munmap(seg->base, seg->bytes);
	if (seg->fd >= 0) {
		k2k_assert_on_agent(seg->agent);
		close(seg->fd);
	}
	seg->base = NULL;
	seg->fd = -1;
}

/* ---- was it removed? ------------------------------------------------------------ */

struct stat_question {
	const struct k2k_segment *seg;
	struct stat *st;
};

static int ask_stat(void *context)
{
	const struct stat_question *question = context;

	return fstat(question->seg->fd, question->st) == 0 ? 0 : K2K_EIO;
}

int k2k_segment_stat(const struct k2k_segment *seg, struct stat *st)
{
	struct stat_question question = { seg, st };

	return k2k_agent_run(seg->agent, ask_stat, &question);
}

int k2k_segment_check_identity(const struct k2k_segment *seg)
{
	struct stat st;

	if (stat(seg->path, &st) == 0 && st.st_dev == seg->device && st.st_ino == seg->inode)
		return 0;
	/* an object that can't be queried counts as present */
	if (k2k_segment_stat(seg, &st) != 0 || st.st_nlink > 0)
		return 0;
	return k2k_fail(K2K_EFENCED, "name", NULL,
	                "%s was removed or replaced: close the handle and open it again",
	                seg->path);
}
