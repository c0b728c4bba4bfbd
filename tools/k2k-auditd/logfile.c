/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "logfile.h"
#include "log_lines.h"
#include "log_rotate.h"
#include "report.h"
#include "scan.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNC_RETRY_NS UINT64_C(1000000000)

const struct position *logfile_position(const struct logfile *log)
{
	return &log->at;
}

/* Brings the lines to the disk, then the head: the head must never be ahead. */
static void sync_log(struct logfile *log)
{
	struct chain_head head = { log->seq, clock_wall_ns(), log->options.interval_ns, { 0 } };
	int error = 0;

	if (!log->dirty)
		return;
	memcpy(head.last, log->mac, sizeof(head.last));
	if (log->fd >= 0 && fdatasync(log->fd) && errno != EINVAL && errno != EROFS)
		error = errno;
	if (!error)
		error = chain_write_head(log->head_file, &log->options.key, &head);
	if (error && error != log->head_error)
		report("%s: %s; trying again", log->head_file, strerror(error));
	else if (!error && log->head_error)
		report("%s: written again", log->head_file);
	log->head_error = error;
	log->dirty = error != 0;
	log->due_ns = clock_monotonic_ns() + SYNC_RETRY_NS;
}

/* ---- has another process changed the file? --------------------------------------- */

/* The position goes back to line `last`, behind which lines are gone. */
static int rewind_to(struct logfile *log, const struct position *at, uint64_t last)
{
	if (last < log->seq)
		log_problem(log,
		            "lines %" PRIu64 " to %" PRIu64
		            " are gone; reading their events again from the rings, as far as "
		            "they are still there",
		            last + 1, log->seq);
	log->at = *at;
	return LOGFILE_REWOUND;
}

static int truncated(struct logfile *log, uint64_t size)
{
	struct scan scan;
	int error = scan_file(log->options.file, &log->options.key, &scan);

	log_problem(log, "another process truncated it from %" PRIu64 " to %" PRIu64 " bytes",
	            log->size, size);
	if (error || !scan.ours || ftruncate(log->fd, (off_t)scan.size)) {
		/* no line is left */
		struct position at = log->file_at;
		uint64_t last = log->file_seq ? log->file_seq - 1 : 0;

		if (ftruncate(log->fd, 0))
			report("%s: %s", log->options.file, strerror(errno));
		log_close_file(log, "cut");
		return rewind_to(log, &at, last);
	}
	log->size = scan.size;
	return rewind_to(log, &scan.at, scan.seq);
}

static int extended(struct logfile *log, uint64_t size)
{
	char last = '\n';
	int fd = open(log->options.file, O_RDONLY | O_CLOEXEC);

	log_problem(log, "another process wrote %" PRIu64 " bytes into it", size - log->size);
	if (fd >= 0) {
		if (pread(fd, &last, 1, (off_t)size - 1) != 1)
			last = 0;
		close(fd);
	}
	log->size = size;
	if (last != '\n' && write(log->fd, "\n", 1) == 1)
		log->size++;
	return 0;
}

/* Returns the same as logfile_write(). */
static int check_file(struct logfile *log)
{
	struct stat own, there;
	bool elsewhere;

	if (log->fd < 0)
		return 0;
	if (fstat(log->fd, &own))
		return -errno;
	if (own.st_nlink == 0) {
		struct position at = log->file_at;
		uint64_t last = log->file_seq - 1;

		log_problem(log, "another process removed it");
		log_close_file(log, "removed");
		return rewind_to(log, &at, last);
	}
	if (stat(log->options.file, &there))
		elsewhere = errno == ENOENT;
	else
		elsewhere = there.st_dev != log->device || there.st_ino != log->inode;
	if (elsewhere) {
		if (fdatasync(log->fd))
			report("%s: %s", log->options.file, strerror(errno));
		log_close_file(log, "moved");
		log->moved = true;
		return 0;
	}
	if ((uint64_t)own.st_size < log->size)
		return truncated(log, (uint64_t)own.st_size);
	return (uint64_t)own.st_size > log->size ? extended(log, (uint64_t)own.st_size) : 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

/*
 * Writes bodies until all are written or a new file is due. The first line of a file only says that
 * it was opened, so the next line goes beside it whatever the limits are.
 */
static int write_to_file(struct logfile *log, struct bodies *bodies)
{
	uint8_t mac[CHAIN_MAC_BYTES];
	uint64_t seq = log->seq;
	size_t to = bodies->taken, size = 0, written;
	char *lines;
	FILE *out = text_open(&lines, &written);
	int code;

	memcpy(mac, log->mac, sizeof(mac));
	while (to < bodies->size) {
		size_t body_size;
		const char *body = bodies_at(bodies, to, &body_size);

		if (log_rotation_is_due(log, size + body_size + LINE_FRAME))
			break;
		size += log_compose(out, &log->options.key, ++seq, mac, body, body_size);
		to += body_size + 1;
		if (log->lines <= 1)
			break;
	}
	text_close(out);
	code = log_append(log, lines, written);
	free(lines);
	if (!code)
		bodies->taken = to;
	return code;
}

static int write_bodies(struct logfile *log, struct bodies *bodies)
{
	int code = 0;

	while (!code && !bodies_are_taken(bodies)) {
		size_t size;

		bodies_at(bodies, bodies->taken, &size);
		if (log->fd >= 0 && log_rotation_is_due(log, size + LINE_FRAME))
			log_rotate(log);
		if (log->fd < 0)
			code = log_new_file(log);
		if (!code)
			code = write_to_file(log, bodies);
	}
	return code;
}

int logfile_write(struct logfile *log, struct bodies *bodies)
{
	int code = check_file(log);

	if (code == LOGFILE_REWOUND)
		return code;
	if (!code)
		code = write_bodies(log, &log->problems);
	if (!code)
		code = write_bodies(log, bodies);
	if (log->dirty && !log->options.interval_ns)
		sync_log(log);
	return code;
}

int logfile_tick(struct logfile *log)
{
	int code = check_file(log);

	if (code == LOGFILE_REWOUND)
		return code;
	if (!code && log->fd >= 0 && log_rotation_is_due(log, 0))
		log_rotate(log);
	if (!code && log->fd < 0)
		code = log_new_file(log);
	if (!code)
		code = write_bodies(log, &log->problems);
	if (log->dirty && clock_monotonic_ns() >= log->due_ns)
		sync_log(log);
	return code;
}

uint64_t logfile_due_ns(const struct logfile *log)
{
	uint64_t now = clock_monotonic_ns();

	return !log->dirty ? UINT64_MAX : log->due_ns > now ? log->due_ns - now : 0;
}

/* ---- the end --------------------------------------------------------------------------------- */

void logfile_close(struct logfile **handle, const char *reason)
{
	struct logfile *log = *handle;
	struct bodies bodies = { 0 };

	if (reason) {
		json_object *object = log_line_new("log.stopped");

		json_put_text(object, "why", reason);
		bodies_add(&bodies, object);
		logfile_write(log, &bodies);
		sync_log(log);
	}
	bodies_free(&bodies);
	bodies_free(&log->problems);
	if (log->fd >= 0)
		close(log->fd);
	if (log->lock_fd >= 0)
		close(log->lock_fd);
	free(log);
	*handle = NULL;
}
