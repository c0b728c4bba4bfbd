/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log_lines.h"
#include "log_rotate.h"
#include "scan.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int give_up(char *why, size_t room, int status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int give_up(char *why, size_t room, int status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, room, format, args);
	va_end(args);
	return status;
}

static int status_of(int error)
{
	return error == EACCES || error == EPERM || error == EROFS ? 7
	       : error == ENOENT || error == ENOTDIR               ? 2
	                                                           : 10;
}

static int lock_file(struct logfile *log, char *why, size_t room)
{
	char name[PATH_MAX];

	if (strlen(log->options.file) > PATH_MAX - 64)
		return give_up(why, room, 2, "%.60s...: the name is too long", log->options.file);
	snprintf(name, sizeof(name), "%s.lock", log->options.file);
	log->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log->lock_fd < 0)
		return give_up(why, room, status_of(errno), "%s: %s", name, strerror(errno));
	if (flock(log->lock_fd, LOCK_EX | LOCK_NB))
		return give_up(why, room, 8, "%s: another k2k-auditd writes it", log->options.file);
	return 0;
}

/* True also if a kill left half of the first line. */
static bool starts_like_ours(const char *file)
{
	static const char start[] = "{\"seq\":\"";
	char bytes[sizeof(start) - 1];
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd < 0 ? 0 : read(fd, bytes, sizeof(bytes));

	if (fd >= 0)
		close(fd);
	return n <= 0 || !memcmp(bytes, start, (size_t)n);
}

/* Scans the newest lines: those of FILE, or of FILE.1 if a kill interrupted a rotation. */
static int scan_newest(struct logfile *log, struct scan *scan, bool *has_file, char *why,
                       size_t room)
{
	char name[PATH_MAX];
	struct stat st;
	int error;

	if (!starts_like_ours(log->options.file))
		return give_up(why, room, 4,
		               "%s: not an audit log; choose another name, or move that file",
		               log->options.file);
	*has_file = !stat(log->options.file, &st) && st.st_size > 0;
	log_rotated_name(log, *has_file ? 0 : 1, name);
	error = scan_file(name, &log->options.key, scan);
	if (error && (*has_file || error != ENOENT))
		return give_up(why, room, status_of(error), "%s: %s", name, strerror(error));
	return 0;
}

/* A log has one key: with two, no single key verifies it. */
static int check_key_name(const struct logfile *log, const struct scan *scan, char *why,
                          size_t room)
{
	char key[CHAIN_KEY_NAME];

	chain_key_name(&log->options.key, key);
	if (!scan->named || !strcmp(key, scan->key))
		return 0;
	return give_up(
		why, room, 2,
		"%s: written %s%s, and this is %s%s; a log with another key needs another name",
		log->options.file, scan->key[0] ? "with key " : "without a key", scan->key,
		key[0] ? "key " : "no key", key);
}

/* The head shows whether lines were cut off at the end. */
static void follow_head(struct logfile *log, const struct scan *scan)
{
	struct chain_head head;
	bool any = scan->ours;

	switch (chain_read_head(log->head_file, &log->options.key, &head)) {
	case CHAIN_HEAD_MISSING:
		if (any)
			log_problem(log,
			            "%s is missing: nothing shows whether lines were cut off at "
			            "the end",
			            log->head_file);
		return;
	case CHAIN_HEAD_UNREADABLE:
		log_problem(log, "%s: %s", log->head_file, strerror(errno));
		return;
	case CHAIN_HEAD_BAD:
		log_problem(log, "%s was changed, or written with another key", log->head_file);
		return;
	case CHAIN_HEAD_GOOD: break;
	}
	if (head.count == scan->seq && memcmp(head.last, scan->mac, sizeof(head.last)))
		log_problem(log, "its last line, %" PRIu64 ", is not the one that %s names",
		            scan->seq, log->head_file);
	if (head.count <= scan->seq)
		return;
	log_problem(log,
	            "lines %" PRIu64 " to %" PRIu64
	            " are gone; reading their events again from the rings, as far as they are "
	            "still there",
	            scan->seq + 1, head.count);
	log->seq = head.count;
	memcpy(log->mac, head.last, sizeof(log->mac));
}

static int continue_file(struct logfile *log, const struct scan *scan, char *why, size_t room)
{
	struct stat st;
	uint64_t now;

	log->fd = open(log->options.file, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (log->fd < 0 || fstat(log->fd, &st))
		return give_up(why, room, status_of(errno), "%s: %s", log->options.file,
		               strerror(errno));
	log->device = st.st_dev;
	log->inode = st.st_ino;
	log->size = scan->size;
	log->lines = scan->lines;
	log->file_seq = scan->first_seq;
	/* by the wall clock: the file may be older than this boot */
	now = clock_wall_ns();
	log->age_ns = now > scan->first_at_ns ? now - scan->first_at_ns : 0;
	log->aged_at_ns = clock_monotonic_ns();
	if ((uint64_t)st.st_size > scan->size) {
		log_problem(log, "cut off half a line of %" PRIu64 " bytes",
		            (uint64_t)st.st_size - scan->size);
		if (ftruncate(log->fd, (off_t)scan->size))
			return give_up(why, room, status_of(errno), "%s: %s", log->options.file,
			               strerror(errno));
	}
	return 0;
}

static int begin(struct logfile *log, char *why, size_t room)
{
	struct scan scan;
	bool has_file = false;
	int status = lock_file(log, why, room);

	if (!status)
		status = scan_newest(log, &scan, &has_file, why, room);
	if (!status)
		status = check_key_name(log, &scan, why, room);
	if (status)
		return status;
	log->at = scan.at;
	log->file_at = scan.first_at;
	log->seq = scan.seq;
	memcpy(log->mac, scan.mac, sizeof(log->mac));
	if (scan.bad_line)
		log_problem(log,
		            "line %" PRIu64 " of the %sfile does not follow from the one before "
		            "it: it was changed, or lines are missing",
		            scan.bad_line, has_file ? "" : "rotated ");
	follow_head(log, &scan);
	if (has_file && scan.lines)
		return continue_file(log, &scan, why, room);
	/* only half a line: a kill interrupted the first one */
	if (has_file && truncate(log->options.file, 0))
		return give_up(why, room, status_of(errno), "%s: %s", log->options.file,
		               strerror(errno));
	log->why = scan.ours ? "continued" : log->seq ? "missing" : "new";
	return 0;
}

int logfile_open(struct logfile **log, const struct log_options *options, char *why, size_t room)
{
	struct logfile *made = check_memory(calloc(1, sizeof(*made)));
	json_object *started = log_line_new("log.started");
	struct bodies bodies = { 0 };
	int status, code;

	made->fd = made->lock_fd = -1;
	made->options = *options;
	snprintf(made->head_file, sizeof(made->head_file), "%s.head", options->file);
	status = begin(made, why, room);
	if (!status) {
		json_put_text(started, "version", k2k_version());
		json_put_u64(started, "pid", (uint64_t)getpid());
		bodies_add(&bodies, json_object_get(started));
		code = logfile_write(made, &bodies);
		/* a full disk does not end the daemon: it waits for space */
		if (code < 0 && code != -ENOSPC && code != -EDQUOT)
			status = give_up(why, room, status_of(-code), "%s: %s", options->file,
			                 strerror(-code));
		else if (code < 0)
			bodies_add(&made->problems, json_object_get(started));
	}
	json_object_put(started);
	bodies_free(&bodies);
	*log = made;
	if (status)
		logfile_close(log, NULL);
	return status;
}
