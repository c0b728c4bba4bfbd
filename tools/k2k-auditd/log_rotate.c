/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log_rotate.h"
#include "report.h"
#include "scan.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROTATE_RETRY_NS UINT64_C(60000000000)
enum { LOG_MODE = 0640 };

void log_rotated_name(const struct logfile *log, uint64_t number, char name[PATH_MAX])
{
	if (number == 0)
		snprintf(name, PATH_MAX, "%s", log->options.file);
	else
		snprintf(name, PATH_MAX, "%s.%" PRIu64, log->options.file, number);
}

/* ---- a new file ----------------------------------------------------------------------------- */

/* The number of the first line of the oldest file that is kept. */
static uint64_t oldest_kept(const struct logfile *log)
{
	uint64_t oldest = log->seq + 1;
	char name[PATH_MAX];

	for (uint64_t i = 1; i <= log->options.keep && !log->moved; i++) {
		uint64_t first;

		log_rotated_name(log, i, name);
		first = scan_first(name);
		if (!first)
			break;
		oldest = first;
	}
	return oldest;
}

static json_object *opened_line(const struct logfile *log)
{
	char mac[CHAIN_MAC_TEXT], key[CHAIN_KEY_NAME], path[PATH_MAX];
	json_object *object = log_line_new("log.opened");

	chain_mac_text(log->mac, mac);
	chain_key_name(&log->options.key, key);
	snprintf(path, sizeof(path), "%s", log->options.file);
	json_put_text(object, "why", log->why);
	json_put_text(object, "file", basename(path));
	json_put_text(object, "prev", mac);
	json_put_u64(object, "oldest", oldest_kept(log));
	json_put_text(object, "key", key[0] ? key : NULL);
	json_put_text(object, "registry", log->options.registry);
	position_put(&log->at, object);
	return object;
}

static int write_opened(struct logfile *log)
{
	struct bodies bodies = { 0 };
	uint8_t mac[CHAIN_MAC_BYTES];
	size_t body_size, size;
	const char *body;
	char *line;
	FILE *out = text_open(&line, &size);
	int code;

	bodies_add(&bodies, opened_line(log));
	body = bodies_at(&bodies, 0, &body_size);
	memcpy(mac, log->mac, sizeof(mac));
	log_compose(out, &log->options.key, log->seq + 1, mac, body, body_size);
	text_close(out);
	code = log_append(log, line, size);
	free(line);
	bodies_free(&bodies);
	return code;
}

/* FILE is not our log: keeps it under another name. */
static int move_aside(struct logfile *log)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s.foreign-%" PRIu64, log->options.file, clock_wall_ns());
	if (rename(log->options.file, name))
		return -errno;
	log_problem(log, "another file was in its place; that file is %s now", name);
	return 0;
}

static int create_file(struct logfile *log)
{
	struct stat st;

	for (int turn = 0; turn < 2; turn++) {
		int code;

		log->fd = open(log->options.file,
		               O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY |
		                       O_NONBLOCK,
		               LOG_MODE);
		if (log->fd < 0 && errno != ELOOP)
			return -errno;
		if (log->fd >= 0 && !fstat(log->fd, &st) && S_ISREG(st.st_mode) && !st.st_size)
			break;
		if (log->fd >= 0)
			close(log->fd);
		log->fd = -1;
		code = turn ? -EEXIST : move_aside(log);
		if (code)
			return code;
	}
	log->device = st.st_dev;
	log->inode = st.st_ino;
	log->size = log->lines = 0;
	return 0;
}

int log_new_file(struct logfile *log)
{
	int code = create_file(log);

	if (code)
		return code;
	code = write_opened(log);
	if (code) {
		close(log->fd);
		log->fd = -1;
		return code;
	}
	log->moved = false;
	return 0;
}

/*
 * Killed after         | there is
 *  removing the oldest | one file less than may be kept
 *  a renaming          | a gap in the numbers, which the next rotation fills first; FILE is still
 *                      | the newest
 *  FILE to FILE.1      | no FILE: the next start goes on behind FILE.1
 *  creating FILE       | an empty FILE: the same
 */
static int shift_files(struct logfile *log)
{
	char from[PATH_MAX], to[PATH_MAX];
	uint64_t gap = 1;

	for (uint64_t i = log->options.keep + 1; log_rotated_name(log, i, to), unlink(to) == 0; i++)
		;
	for (log_rotated_name(log, gap, to); gap < log->options.keep && access(to, F_OK) == 0;
	     log_rotated_name(log, gap, to))
		gap++;
	for (uint64_t i = gap; i > 1; i--) {
		log_rotated_name(log, i, to);
		log_rotated_name(log, i - 1, from);
		if (rename(from, to) && errno != ENOENT)
			return -1;
	}
	log_rotated_name(log, 1, to);
	return log->options.keep ? rename(log->options.file, to) : unlink(log->options.file);
}

void log_rotate(struct logfile *log)
{
	if (fdatasync(log->fd))
		report("%s: %s", log->options.file, strerror(errno));
	if (shift_files(log)) {
		log_problem(log, "can't be rotated: %s; continuing in the same file",
		            strerror(errno));
		log->rotate_ns = clock_monotonic_ns() + ROTATE_RETRY_NS;
		return;
	}
	log_close_file(log, "rotated");
}

bool log_rotation_is_due(const struct logfile *log, size_t more)
{
	uint64_t now = clock_monotonic_ns();

	return log->lines > 1 && now >= log->rotate_ns &&
	       (log->size + more > log->options.max_size ||
	        log->age_ns + (now - log->aged_at_ns) >= log->options.max_age_ns);
}
