/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "savefile.h"
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as many as the kernel follows */

/* ---- where the path leads ------------------------------------------------------ */

/* The folder of `path`; *name is its last part. The caller frees it. */
static char *folder_of(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');

	*name = slash ? slash + 1 : path;
	if (!slash)
		return check_memory(strdup("."));
	return check_memory(strndup(path, slash == path ? 1 : (size_t)(slash - path)));
}

static bool in_proc(const char *path)
{
	const char *name;
	char *folder = folder_of(path, &name);
	struct statfs fs;
	bool is = statfs(folder, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;

	free(folder);
	return is;
}

/*
 * Follows the symbolic links of the last part of the path by their texts. Stops at a link in /proc:
 * the text of /proc/self/fd/1 need not be a path to the open file. Returns the path, which the
 * caller frees, or null with errno.
 */
static char *resolve(const char *path, bool *of_proc)
{
	char *at = check_memory(strdup(path));

	*of_proc = false;
	for (int links = 0; links < LINKS_MAX; links++) {
		struct stat st;
		char text[4096], *next, *folder;
		const char *name;
		ssize_t length;

		*of_proc = in_proc(at);
		if (*of_proc || lstat(at, &st) || !S_ISLNK(st.st_mode))
			return at;
		length = readlink(at, text, sizeof(text) - 1);
		if (length < 0)
			return at;
		text[length] = 0;
		folder = folder_of(at, &name);
		next = check_memory(malloc(strlen(folder) + (size_t)length + 2));
		sprintf(next, "%s%s%s", text[0] == '/' ? "" : folder, text[0] == '/' ? "" : "/",
		        text);
		free(folder);
		free(at);
		at = next;
	}
	free(at);
	errno = ELOOP;
	return NULL;
}

/* ---- writing --------------------------------------------------------------------- */

static int write_all(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t written = write(fd, text, length);

		if (written < 0 && errno != EINTR)
			return errno;
		if (written > 0) {
			text += written;
			length -= (size_t)written;
		}
	}
	return 0;
}

/* Pipes and most devices can't be synced. */
static int sync_it(int fd)
{
	return fsync(fd) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP ? 0 : errno;
}

static int write_and_sync(int fd, const char *text, size_t length)
{
	int error = write_all(fd, text, length);

	return error ? error : sync_it(fd);
}

static int sync_folder(const char *path)
{
	const char *name;
	char *folder = folder_of(path, &name);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	    error = fd < 0 ? errno : sync_it(fd);

	free(folder);
	if (fd >= 0)
		close(fd);
	return error;
}

/* Writes to a device, a FIFO or a file of /proc. */
static int write_stream(const char *path, const char *text, size_t length, int *spoilt)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC), error;

	if (fd < 0)
		return errno;
	*spoilt = 1;
	error = write_and_sync(fd, text, length);
	close(fd);
	return error;
}

/*
 * Overwrites a regular file that can't be replaced. Space is allocated first, so a full disk
 * changes only the file's length, which is restored.
 */
static int write_into(const char *path, const char *text, size_t length, int *spoilt)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC), error = 0;
	struct stat st;

	if (fd < 0)
		return errno;
	if (fstat(fd, &st))
		error = errno;
	else if (length && fallocate(fd, 0, 0, (off_t)length) && errno != EOPNOTSUPP)
		error = errno;
	if (error) {
		if (ftruncate(fd, st.st_size))
			*spoilt = 1;
	} else {
		*spoilt = 1;
		error = write_all(fd, text, length);
		if (!error && ftruncate(fd, (off_t)length))
			error = errno;
		if (!error)
			error = sync_it(fd);
	}
	close(fd);
	return error;
}

/* ---- replacing --------------------------------------------------------------------- */

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
#define ENDING (sizeof(ending) / sizeof(ending[0]))

static char *volatile named; /* the new file, while it has its temporary name */

static void remove_and_end(int number)
{
	if (named)
		unlink(named);
	signal(number, SIG_DFL);
	raise(number);
	_exit(128 + number); /* process 1 survives raise() */
}

/* Signals that are ignored (nohup) stay ignored. */
static void catch_ending(struct sigaction was[ENDING])
{
	struct sigaction action = { .sa_handler = remove_and_end, .sa_flags = SA_NODEFER };

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ENDING; i++) {
		sigaction(ending[i], NULL, &was[i]);
		if (was[i].sa_handler != SIG_IGN)
			sigaction(ending[i], &action, NULL);
	}
}

static void release_ending(const struct sigaction was[ENDING])
{
	for (size_t i = 0; i < ENDING; i++)
		sigaction(ending[i], &was[i], NULL);
}

static void hold_signals(sigset_t *was)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, was);
}

/*
 * The temporary name is in use: by another save, which keeps its file locked, or left over from one
 * that was killed, whose lock is gone. So whoever locks the file of that name may remove it.
 * Returns an errno, or 0: try again.
 */
static int clear_name(const char *name)
{
	int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat of_fd, of_name;
	int error = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if (flock(fd, LOCK_EX) || fstat(fd, &of_fd))
		error = errno;
	else if (lstat(name, &of_name) == 0 && of_name.st_dev == of_fd.st_dev &&
	         of_name.st_ino == of_fd.st_ino && unlink(name))
		error = errno;
	close(fd);
	return error;
}

/* Gives the nameless file a name. Returns an errno or 0. */
static int link_it(int fd, const char *name)
{
	char nameless[40];

	snprintf(nameless, sizeof(nameless), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, nameless, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	/* without /proc */
	if (errno == ENOENT && linkat(fd, "", AT_FDCWD, name, AT_EMPTY_PATH) == 0)
		return 0;
	return errno;
}

/* Gives the new file the owner, group and mode of `old`. Returns an errno: EPERM if it may not. */
static int copy_rights(int fd, const struct stat *old)
{
	struct stat st;

	if (fstat(fd, &st))
		return errno;
	if ((st.st_uid != old->st_uid || st.st_gid != old->st_gid) &&
	    fchown(fd, old->st_uid, old->st_gid))
		return errno;
	return fchmod(fd, old->st_mode & 07777) ? errno : 0;
}

/* Puts the complete file in its place; `old` is the present file, or null. */
static int put_in_place(int fd, const char *temporary, const char *path, const struct stat *old)
{
	int error = old ? EEXIST : link_it(fd, path);
	sigset_t was;

	if (error != EEXIST)
		return error;
	hold_signals(&was);
	while ((error = link_it(fd, temporary)) == EEXIST)
		if ((error = clear_name(temporary)))
			break;
	if (!error && rename(temporary, path)) {
		error = errno;
		unlink(temporary);
	}
	sigprocmask(SIG_SETMASK, &was, NULL);
	return error;
}

/* Replaces the file on a file system without nameless files. */
static int replace_named(char *temporary, const char *path, const struct stat *old,
                         const char *text, size_t length)
{
	struct sigaction was[ENDING];
	sigset_t mask;
	int fd, error = 0;

	catch_ending(was);
	hold_signals(&mask);
	while ((fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0 &&
	       errno == EEXIST)
		if ((error = clear_name(temporary)))
			break;
	if (fd < 0)
		error = error ? error : errno;
	else
		named = temporary;
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (fd >= 0) {
		if (flock(fd, LOCK_EX))
			error = errno;
		if (!error && old)
			error = copy_rights(fd, old);
		if (!error)
			error = write_and_sync(fd, text, length);
		if (!error && rename(temporary, path))
			error = errno;
		if (error)
			unlink(temporary);
		named = NULL;
		close(fd);
	}
	release_ending(was);
	return error;
}

static int replace(const char *path, const struct stat *old, const char *text, size_t length)
{
	const char *name;
	char *folder = folder_of(path, &name),
	     *temporary = check_memory(malloc(strlen(folder) + strlen(name) + 16));
	int fd = open(folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600), error;

	sprintf(temporary, "%s/.%s.k2k-save", folder, name);
	if (fd < 0) {
		error = errno;
		if (error == EOPNOTSUPP || error == EISDIR || error == EINVAL)
			error = replace_named(temporary, path, old, text, length);
	} else {
		error = flock(fd, LOCK_EX) ? errno : 0;
		if (!error && old)
			error = copy_rights(fd, old);
		if (!error)
			error = write_and_sync(fd, text, length);
		if (!error)
			error = put_in_place(fd, temporary, path, old);
		close(fd);
	}
	free(temporary);
	free(folder);
	return error ? error : sync_folder(path);
}

/* ---- all together --------------------------------------------------------------------- */

int savefile_write(const char *path, const char *text, size_t length, int *spoilt)
{
	struct stat st;
	bool of_proc, there;
	char *at;
	int error;

	*spoilt = 0;
	if (!strcmp(path, "-")) {
		*spoilt = 1;
		fflush(stdout);
		error = write_and_sync(STDOUT_FILENO, text, length);
		return error;
	}
	at = resolve(path, &of_proc);
	if (!at)
		return errno;
	there = stat(at, &st) == 0;
	if (!there && errno != ENOENT) {
		error = errno;
	} else if (there && S_ISDIR(st.st_mode)) {
		error = EISDIR;
	} else if (there && (of_proc || !S_ISREG(st.st_mode))) {
		error = write_stream(at, text, length, spoilt);
	} else {
		error = replace(at, there ? &st : NULL, text, length);
		/*
		 * a mount point can't be replaced; without the right to replace it, overwriting may
		 * work
		 */
		if (there &&
		    (error == EBUSY || error == EPERM || error == EACCES || error == EROFS))
			error = write_into(at, text, length, spoilt);
	}
	free(at);
	return error;
}
