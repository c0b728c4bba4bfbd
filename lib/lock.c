/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

static pthread_mutex_t fork_guard = PTHREAD_MUTEX_INITIALIZER;

void k2k_lock_fork_guard(bool enter)
{
	if (enter)
		pthread_mutex_lock(&fork_guard);
	else
		pthread_mutex_unlock(&fork_guard);
}

static struct flock byte_lock(short type, uint64_t byte)
{
	struct flock lock;

	memset(&lock, 0, sizeof(lock));
	lock.l_type = type;
	lock.l_whence = SEEK_SET;
	lock.l_start = (off_t)byte;
	lock.l_len = 1;
	return lock;
}

static int reopen(const struct k2k_segment *seg, int flags)
{
	struct stat st;
	int fd;

	if (seg->path[0])
		fd = open(seg->path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	else {
		char self[64];

		snprintf(self, sizeof(self), "/proc/self/fd/%d", (int)seg->fd);
		fd = open(self, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_dev == seg->device && st.st_ino == seg->inode)
		return fd;
	close(fd);
	errno = ENOENT;
	return -1;
}

static int try_guarded(const struct k2k_segment *seg, uint64_t byte, struct k2k_lock *lock, void (*sign)(void *), void *context)
{
	struct flock want = byte_lock(F_WRLCK, byte);
	void *page;
	int fd, code = 0;

	fd = reopen(seg, O_RDWR);
	if (fd < 0) {
		if (errno == ENOENT)
			return k2k_fail(K2K_EFENCED, "name", NULL, "%s was removed or replaced", seg->path);
		return k2k_fail_errno(errno == EACCES ? K2K_EPERM : K2K_EIO, errno, "lock", "%s", seg->path);
	}
	if (fcntl(fd, F_OFD_SETLK, &want) != 0) {
		code = errno == EAGAIN || errno == EACCES
		               ? K2K_EBUSY
		               : k2k_fail_errno(K2K_EIO, errno, "lock", "can't lock a byte of %s", seg->path);
		close(fd);
		return code;
	}
	page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		code = k2k_fail_errno(K2K_ENOMEM, errno, "lock", "can't map a page");
	} else if (madvise(page, 4096, MADV_DONTFORK) != 0) {
		code = k2k_fail_errno(K2K_EIO, errno, "lock", "can't keep the lock from children");
		munmap(page, 4096);
	} else {
		lock->page = page;
		if (sign)
			sign(context);
	}
	close(fd);
	return code;
}

int k2k_lock_try_signed(const struct k2k_segment *seg, uint64_t byte, struct k2k_lock *lock, void (*sign)(void *), void *context)
{
	int code;

	lock->page = NULL;
	k2k_lock_fork_guard(true);
	code = try_guarded(seg, byte, lock, sign, context);
	k2k_lock_fork_guard(false);
	return code;
}

int k2k_lock_try(const struct k2k_segment *seg, uint64_t byte, struct k2k_lock *lock)
{
	return k2k_lock_try_signed(seg, byte, lock, NULL, NULL);
}

void k2k_lock_drop(struct k2k_lock *lock)
{
	if (lock->page)
		munmap(lock->page, 4096);
	lock->page = NULL;
}

/*
 * The descriptor may have been closed by the program, and its number may be
 * another file's by now: it is compared with the object each time (0.2 us).
 */
static int question_fd(struct k2k_segment *seg)
{
	struct stat st;
	int fd = k2k_load_relaxed(&seg->fd); /* relaxed: verified below, whatever it is */

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == seg->device && st.st_ino == seg->inode)
		return fd;
	fd = reopen(seg, seg->writable ? O_RDWR : O_RDONLY);
	if (fd >= 0)
		k2k_store_relaxed(&seg->fd, fd); /* relaxed: two threads may each open one; either will do */
	return fd;
}

bool k2k_lock_is_held(struct k2k_segment *seg, uint64_t byte)
{
	struct flock ask = byte_lock(F_RDLCK, byte);
	int fd = question_fd(seg);

	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &ask) != 0)
		return true;
	return ask.l_type != F_UNLCK;
}

/* Lines of fdinfo look like "lock:\t1: OFDLCK ADVISORY  WRITE -1 00:1b:42 1099511627776 1099511627776". */
static bool fdinfo_has(const char *path, const struct k2k_segment *seg, uint64_t byte, bool for_writing)
{
	FILE *file = fopen(path, "re");
	char line[256];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		unsigned int major, minor;
		unsigned long long inode, start, end;
		char end_text[32];      /* a number, or EOF */
		char type[16];

		if (strncmp(line, "lock:", 5) != 0)
			continue;
		if (sscanf(line, "lock:%*s%*s%*s%15s%*s%x:%x:%llu%llu%31s", type, &major, &minor, &inode, &start, end_text) != 6 ||
		    (for_writing && strcmp(type, "WRITE") != 0))
			continue;
		end = strcmp(end_text, "EOF") == 0 ? UINT64_MAX : strtoull(end_text, NULL, 10);
		found = inode == seg->inode && start <= byte && byte <= end;
	}
	fclose(file);
	return found;
}

uint64_t k2k_lock_find_holder(const struct k2k_segment *seg, uint64_t byte, bool for_writing, char command[16])
{
	DIR *proc = opendir("/proc");
	struct dirent *process;
	uint64_t holder = 0;

	command[0] = '\0';
	if (!proc)
		return 0;
	while (!holder && (process = readdir(proc))) {
		char path[320];
		DIR *fds;
		struct dirent *fd;

		if (!isdigit((unsigned char)process->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fdinfo", process->d_name);
		fds = opendir(path);
		if (!fds)
			continue;
		while (!holder && (fd = readdir(fds))) {
			snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%.20s", process->d_name, fd->d_name);
			if (isdigit((unsigned char)fd->d_name[0]) && fdinfo_has(path, seg, byte, for_writing))
				holder = strtoull(process->d_name, NULL, 10);
		}
		closedir(fds);
	}
	closedir(proc);
	if (holder) {
		char path[64];
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%llu/comm", (unsigned long long)holder);
		file = fopen(path, "re");
		if (file) {
			if (fgets(command, 16, file))
				command[strcspn(command, "\n")] = '\0';
			fclose(file);
		}
	}
	return holder;
}
