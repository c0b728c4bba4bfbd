/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

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

/*
 * Opens the object again, so that the lock has an open file description of its own. An object that
 * has no name yet can't be opened again: its lock shares the segment's description.
 */
static int reopen(const struct k2k_segment *seg)
{
	struct stat st;
	int fd;

	if (!seg->path[0])
		return fcntl(seg->fd, F_DUPFD_CLOEXEC, 3);
	fd = open(seg->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_dev == seg->device && st.st_ino == seg->inode)
		return fd;
	close(fd);
	errno = ENOENT;
	return -1;
}

int k2k_lock_try(const struct k2k_segment *seg, uint64_t byte, struct k2k_lock *lock)
{
	struct flock want = byte_lock(F_WRLCK, byte);
	int fd, code;

	k2k_assert_on_agent(seg->agent);
	lock->fd = 0;
	fd = reopen(seg);
	if (fd < 0) {
		if (errno == ENOENT)
			return k2k_fail(K2K_EFENCED, "name", NULL,
			                "%s was removed or replaced meanwhile", seg->path);
		return k2k_fail_errno(errno == EACCES ? K2K_EPERM : K2K_EIO, errno, "lock", "%s",
		                      seg->path);
	}
	if (fcntl(fd, F_OFD_SETLK, &want) != 0) {
		code = errno == EAGAIN || errno == EACCES
		               ? K2K_EBUSY
		               : k2k_fail_errno(K2K_EIO, errno, "lock", "can't lock a byte of %s",
		                                seg->path);
		close(fd);
		return code;
	}
	lock->fd = fd;
	return 0;
}

/*
 * Unlocks before it closes: the segment's descriptor may share the description (see reopen), and
 * then closing alone would not unlock.
 */
void k2k_lock_drop(struct k2k_lock *lock)
{
	struct flock all = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (lock->fd) {
		fcntl(lock->fd, F_OFD_SETLK, &all);
		close(lock->fd);
	}
	lock->fd = 0;
}

/* ---- queries ----------------------------------------------------------------------- */

static bool ask(const struct k2k_segment *seg, struct flock question)
{
	if (fcntl(seg->fd, F_OFD_GETLK, &question) != 0)
		return true;
	return question.l_type != F_UNLCK;
}

bool k2k_lock_any_life(const struct k2k_segment *seg)
{
	struct flock question = byte_lock(F_RDLCK, K2K_LOCK_BYTE_LIFE_MIN);

	k2k_assert_on_agent(seg->agent);
	question.l_len = (off_t)(K2K_LOCK_BYTE_LIFE_MAX - K2K_LOCK_BYTE_LIFE_MIN);
	return ask(seg, question);
}

struct questions {
	const struct k2k_segment *seg;
	const uint64_t *bytes;
	bool *held;
	uint32_t count;
};

static int ask_all(void *context)
{
	const struct questions *q = context;

	for (uint32_t i = 0; i < q->count; i++)
		q->held[i] = ask(q->seg, byte_lock(F_RDLCK, q->bytes[i]));
	return 0;
}

void k2k_lock_are_held(const struct k2k_segment *seg, const uint64_t *bytes, bool *held,
                       uint32_t count)
{
	struct questions questions = { seg, bytes, held, count };

	k2k_agent_run(seg->agent, ask_all, &questions);
}

bool k2k_lock_is_held(const struct k2k_segment *seg, uint64_t byte)
{
	bool held;

	k2k_lock_are_held(seg, &byte, &held, 1);
	return held;
}

/* ---- which process holds it? ------------------------------------------------- */

/*
 * Lines of fdinfo look like
 * lock:	1: OFDLCK ADVISORY  WRITE -1 00:1b:42 1099511627776 1099511627776
 */
static bool fdinfo_has(const char *path, const struct k2k_segment *seg, uint64_t byte,
                       bool for_writing)
{
	FILE *file = fopen(path, "re");
	char line[256];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		unsigned int major, minor;
		unsigned long long inode, start, end;
		char end_text[32]; /* a number, or EOF */
		char type[16];

		if (strncmp(line, "lock:", 5) != 0)
			continue;
		if (sscanf(line, "lock:%*s%*s%*s%15s%*s%x:%x:%llu%llu%31s", type, &major, &minor,
		           &inode, &start, end_text) != 6 ||
		    (for_writing && strcmp(type, "WRITE") != 0))
			continue;
		end = strcmp(end_text, "EOF") == 0 ? UINT64_MAX : strtoull(end_text, NULL, 10);
		found = inode == seg->inode && start <= byte && byte <= end;
	}
	fclose(file);
	return found;
}

/* Searches each thread by itself, because an agent has a descriptor table of its own. */
static bool thread_has(const char *process, const char *thread, const struct k2k_segment *seg,
                       uint64_t byte, bool for_writing)
{
	char path[128];
	struct dirent *fd;
	bool found = false;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/fdinfo", process, thread);
	fds = opendir(path);
	if (!fds)
		return false;
	while (!found && (fd = readdir(fds))) {
		snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/fdinfo/%.20s", process, thread,
		         fd->d_name);
		found = isdigit((unsigned char)fd->d_name[0]) &&
		        fdinfo_has(path, seg, byte, for_writing);
	}
	closedir(fds);
	return found;
}

static bool process_has(const char *process, const struct k2k_segment *seg, uint64_t byte,
                        bool for_writing)
{
	char path[64];
	struct dirent *thread;
	bool found = false;
	DIR *threads;

	snprintf(path, sizeof(path), "/proc/%.20s/task", process);
	threads = opendir(path);
	if (!threads)
		return false;
	while (!found && (thread = readdir(threads)))
		found = isdigit((unsigned char)thread->d_name[0]) &&
		        thread_has(process, thread->d_name, seg, byte, for_writing);
	closedir(threads);
	return found;
}

static void read_comm(uint64_t pid, char command[16])
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%llu/comm", (unsigned long long)pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(command, 16, file))
		command[strcspn(command, "\n")] = '\0';
	fclose(file);
}

struct search {
	const struct k2k_segment *seg;
	uint64_t byte;
	bool for_writing;
	char *command;
	uint64_t holder;
};

static int find_holder(void *context)
{
	struct search *search = context;
	DIR *proc = opendir("/proc");
	struct dirent *process;

	if (!proc)
		return 0;
	while (!search->holder && (process = readdir(proc)))
		if (isdigit((unsigned char)process->d_name[0]) &&
		    process_has(process->d_name, search->seg, search->byte, search->for_writing))
			search->holder = strtoull(process->d_name, NULL, 10);
	closedir(proc);
	if (search->holder)
		read_comm(search->holder, search->command);
	return 0;
}

uint64_t k2k_lock_find_holder(const struct k2k_segment *seg, uint64_t byte, bool for_writing,
                              char command[16])
{
	struct search search = { seg, byte, for_writing, command, 0 };

	command[0] = '\0';
	k2k_agent_run(seg->agent, find_holder, &search);
	return search.holder;
}
