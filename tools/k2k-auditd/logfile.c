/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log_parts.h"
#include "scan.h"
#include "common/clock.h"
#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
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

/* ---- lines of our own ------------------------------------------------------------------ */

json_object *log_line_of(const char *kind)
{
	json_object *object = json_new();

	json_put_text(object, "kind", kind);
	return object;
}

void log_problem(struct logfile *log, const char *format, ...)
{
	json_object *object = log_line_of("log.problem");
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say("%s: %s", log->options.file, text);
	json_put_text(object, "text", text);
	text_add_body(&log->problems, object);
}

/* ---- bytes to the file --------------------------------------------------------------------- */

void log_compose(struct text *out, const struct chain_key *key, uint64_t seq,
                 uint8_t mac[CHAIN_MAC_BYTES], const char *body, size_t size)
{
	size_t start = out->size;
	char begin[80], tail[CHAIN_TAIL];
	uint8_t fresh[CHAIN_MAC_BYTES];

	text_add(out, begin,
	         (size_t)snprintf(begin, sizeof(begin),
	                          "{\"seq\":\"%" PRIu64 "\",\"at_ns\":\"%" PRIu64 "\",", seq,
	                          clock_wall_ns()));
	text_add(out, body, size);
	chain_mac(key, mac, out->bytes + start, out->size - start, fresh);
	memcpy(mac, fresh, sizeof(fresh));
	chain_write_tail(tail, mac);
	text_add(out, tail, sizeof(tail) - 1);
	text_add(out, "\n", 1);
}

/* All of it, or the file is as long as before. 0 or -errno. */
static int write_whole(struct logfile *log, const char *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(log->fd, bytes + done, size - done);
		int error = n < 0 ? errno : ENOSPC;

		if (n > 0) {
			done += (size_t)n;
		} else if (n == 0 || error != EINTR) {
			/*
			 * what stays behind where that fails too is half a line at most: the next
			 * start cuts it
			 */
			if (done && ftruncate(log->fd, (off_t)log->size))
				say("%s: can't take back half a line: %s", log->options.file,
				    strerror(errno));
			return -error;
		}
	}
	return 0;
}

/* The lines in `out` as written: they tell where we are. */
static void note_lines(struct logfile *log, const struct text *out)
{
	const char *end = out->bytes + out->size;

	for (const char *at = out->bytes; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		struct chain_line line;

		if (chain_parse(at, (size_t)(stop - at), &line)) {
			scan_advance_line(&log->at, at, &line);
			log->seq = line.seq;
			memcpy(log->mac, line.mac, sizeof(log->mac));
			if (!log->lines++) {
				log->age_ns = 0;
				log->aged_at_ns = clock_monotonic_ns();
				log->file_seq = line.seq;
				log->file_at = log->at;
			}
		}
		at = stop + 1;
	}
	log->size += out->size;
	if (!log->dirty)
		log->due_ns = clock_monotonic_ns() + log->options.interval_ns;
	log->dirty = true;
}

int log_flush(struct logfile *log, struct text *out)
{
	int code = out->size ? write_whole(log, out->bytes, out->size) : 0;

	if (!code)
		note_lines(log, out);
	out->size = 0;
	return code;
}

/* To the disk: the lines, then the head. */
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
		say("%s: %s; trying again", log->head_file, strerror(error));
	else if (!error && log->head_error)
		say("%s: written again", log->head_file);
	log->head_error = error;
	log->dirty = error != 0;
	log->due_ns = clock_monotonic_ns() + SYNC_RETRY_NS;
}

/* ---- is the file still ours? ----------------------------------------------------------------- */

/* Back to the lines that are left: the newest of FILE and FILE.1. */
static int rewind_to(struct logfile *log, const struct position *at, uint64_t last)
{
	if (last < log->seq)
		log_problem(log,
		            "lines %" PRIu64 " to %" PRIu64
		            " are gone; reading again what the rings still hold of them",
		            last + 1, log->seq);
	log->at = *at;
	return LOGFILE_REWOUND;
}

static int cut_short(struct logfile *log, uint64_t size)
{
	struct scan scan;
	int error = scan_file(log->options.file, &log->options.key, &scan);

	log_problem(log, "somebody cut it from %" PRIu64 " to %" PRIu64 " bytes", log->size, size);
	if (error || !scan.ours || ftruncate(log->fd, (off_t)scan.size)) {
		/* nothing of it is left */
		struct position at = log->file_at;
		uint64_t last = log->file_seq ? log->file_seq - 1 : 0;

		if (ftruncate(log->fd, 0))
			say("%s: %s", log->options.file, strerror(errno));
		log_close_file(log, "cut");
		return rewind_to(log, &at, last);
	}
	log->size = scan.size;
	return rewind_to(log, &scan.at, scan.seq);
}

static int grown(struct logfile *log, uint64_t size)
{
	char last = '\n';
	int fd = open(log->options.file, O_RDONLY | O_CLOEXEC);

	log_problem(log, "somebody else wrote %" PRIu64 " bytes into it", size - log->size);
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

static int look(struct logfile *log)
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

		log_problem(log, "somebody removed it");
		log_close_file(log, "removed");
		return rewind_to(log, &at, last);
	}
	if (stat(log->options.file, &there))
		elsewhere = errno == ENOENT;
	else
		elsewhere = there.st_dev != log->device || there.st_ino != log->inode;
	if (elsewhere) {
		if (fdatasync(log->fd))
			say("%s: %s", log->options.file, strerror(errno));
		log_close_file(log, "moved");
		log->elsewhere = true;
		return 0;
	}
	if ((uint64_t)own.st_size < log->size)
		return cut_short(log, (uint64_t)own.st_size);
	return (uint64_t)own.st_size > log->size ? grown(log, (uint64_t)own.st_size) : 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static size_t body_size(const struct text *bodies, size_t at)
{
	return (size_t)((char *)memchr(bodies->bytes + at, '\n', bodies->size - at) -
	                (bodies->bytes + at));
}

/*
 * Writes bodies from *taken on until all are written or a new file is due. A file's first line has
 * another one beside it, whatever the limits.
 */
static int write_to_file(struct logfile *log, const struct text *bodies, size_t *taken)
{
	uint8_t mac[CHAIN_MAC_BYTES];
	struct text out = { 0 };
	uint64_t seq = log->seq;
	size_t to = *taken;
	int code;

	memcpy(mac, log->mac, sizeof(mac));
	while (to < bodies->size) {
		size_t size = body_size(bodies, to);

		if (log_rotation_is_due(log, out.size + size + LINE_FRAME))
			break;
		log_compose(&out, &log->options.key, ++seq, mac, bodies->bytes + to, size);
		to += size + 1;
		if (log->lines <= 1)
			break;
	}
	code = log_flush(log, &out);
	if (!code)
		*taken = to;
	text_free(&out);
	return code;
}

static int write_bodies(struct logfile *log, struct text *bodies)
{
	size_t taken = 0;
	int code = 0;

	while (!code && taken < bodies->size) {
		if (log->fd >= 0 && log_rotation_is_due(log, body_size(bodies, taken) + LINE_FRAME))
			log_rotate(log);
		if (log->fd < 0)
			code = log_new_file(log);
		if (!code)
			code = write_to_file(log, bodies, &taken);
	}
	text_take(bodies, taken);
	return code;
}

int logfile_write(struct logfile *log, struct text *bodies)
{
	int code = look(log);

	if (code == LOGFILE_REWOUND)
		return code;
	if (!code && log->problems.size)
		code = write_bodies(log, &log->problems);
	if (!code)
		code = write_bodies(log, bodies);
	if (log->dirty && !log->options.interval_ns)
		sync_log(log);
	return code;
}

int logfile_tick(struct logfile *log)
{
	int code = look(log);

	if (code == LOGFILE_REWOUND)
		return code;
	if (!code && log->fd >= 0 && log_rotation_is_due(log, 0))
		log_rotate(log);
	if (!code && log->fd < 0)
		code = log_new_file(log);
	if (!code && log->problems.size)
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
	struct text bodies = { 0 };

	if (reason) {
		json_object *object = log_line_of("log.stopped");

		json_put_text(object, "why", reason);
		text_add_body(&bodies, object);
		logfile_write(log, &bodies);
		sync_log(log);
	}
	text_free(&bodies);
	text_free(&log->problems);
	if (log->fd >= 0)
		close(log->fd);
	if (log->lock_fd >= 0)
		close(log->lock_fd);
	free(log);
	*handle = NULL;
}
