/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "logfile.h"
#include "scan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNC_RETRY_NS UINT64_C(1000000000)
#define ROTATE_RETRY_NS UINT64_C(60000000000)
enum { LOG_MODE = 0640, LINE_FRAME = CHAIN_TAIL + 70 };     /* LINE_FRAME: what a line has around its body, at most */

struct logfile {
	struct log_options options;
	char head_file[PATH_MAX];
	int fd, lock_fd;             /* fd: -1 while there is no file to write to */
	const char *why;             /* there will be a new one, said in its first line */
	bool elsewhere;              /* the file before it is not ours to count any more */
	dev_t device;
	ino_t inode;

	uint64_t seq;                /* of the newest line */
	uint8_t mac[CHAIN_MAC_BYTES];        /* its */
	struct position at, file_at; /* file_at: when this file began */
	uint64_t file_seq;           /* of this file's first line */
	uint64_t file_at_ns, size, lines;

	struct text problems;        /* lines of our own that wait for the next write */
	bool dirty;
	uint64_t due_ns;             /* of the disk, where dirty */
	uint64_t rotate_ns;          /* not before: renaming failed */
	int head_error;              /* said already */
};

const struct position *logfile_position(const struct logfile *log)
{
	return &log->at;
}

/* ---- lines of our own ------------------------------------------------------------------ */

static void add_body(struct text *bodies, json_object *object)
{
	size_t size;
	const char *text = json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
	                                                     &size);

	must((void *)(uintptr_t)text);
	text_add(bodies, text + 1, size - 2);
	text_add(bodies, "\n", 1);
	json_object_put(object);
}

static json_object *line_of(const char *kind)
{
	json_object *object = must(json_object_new_object());

	put_text(object, "kind", kind);
	return object;
}

/* On standard error at once, and in the log with the next line. */
__attribute__((format(printf, 2, 3))) static void problem(struct logfile *log, const char *format, ...)
{
	json_object *object = line_of("log.problem");
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	say("%s: %s", log->options.file, text);
	put_text(object, "text", text);
	add_body(&log->problems, object);
}

static void rotated_name(const struct logfile *log, uint64_t number, char name[PATH_MAX])
{
	if (number == 0)
		snprintf(name, PATH_MAX, "%s", log->options.file);
	else
		snprintf(name, PATH_MAX, "%s.%" PRIu64, log->options.file, number);
}

/* ---- bytes to the file --------------------------------------------------------------------- */

static void compose(struct text *out, const struct chain_key *key, uint64_t seq, uint8_t mac[CHAIN_MAC_BYTES],
                    const char *body, size_t size)
{
	size_t start = out->size;
	char begin[80], tail[CHAIN_TAIL];
	uint8_t fresh[CHAIN_MAC_BYTES];

	text_add(out, begin, (size_t)snprintf(begin, sizeof(begin), "{\"seq\":\"%" PRIu64 "\",\"at_ns\":\"%" PRIu64 "\",", seq,
	                                      wall_ns()));
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
			/* what stays behind where that fails too is half a line at most: the next start cuts it */
			if (done && ftruncate(log->fd, (off_t)log->size))
				say("%s: can't take back half a line: %s", log->options.file, strerror(errno));
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
				log->file_at_ns = line.at_ns;
				log->file_seq = line.seq;
				log->file_at = log->at;
			}
		}
		at = stop + 1;
	}
	log->size += out->size;
	if (!log->dirty)
		log->due_ns = steady_ns() + log->options.interval_ns;
	log->dirty = true;
}

static int flush_lines(struct logfile *log, struct text *out)
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
	struct chain_head head = { log->seq, wall_ns(), log->options.interval_ns, { 0 } };
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
	log->due_ns = steady_ns() + SYNC_RETRY_NS;
}

static void close_file(struct logfile *log, const char *why)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
	log->why = why;
}

/* ---- a new file ----------------------------------------------------------------------------- */

/* The line that the oldest of the files kept begins with. */
static uint64_t oldest_kept(const struct logfile *log)
{
	uint64_t oldest = log->seq + 1;
	char name[PATH_MAX];

	for (uint64_t i = 1; i <= log->options.keep && !log->elsewhere; i++) {
		uint64_t first;

		rotated_name(log, i, name);
		first = scan_first(name);
		if (!first)
			break;
		oldest = first;
	}
	return oldest;
}

static void compose_opened(struct logfile *log, struct text *out)
{
	char mac[CHAIN_MAC_TEXT], key[CHAIN_KEY_NAME], path[PATH_MAX];
	json_object *object = line_of("log.opened");
	uint8_t fresh[CHAIN_MAC_BYTES];
	struct text body = { 0 };

	chain_mac_text(log->mac, mac);
	chain_key_name(&log->options.key, key);
	snprintf(path, sizeof(path), "%s", log->options.file);
	put_text(object, "why", log->why);
	put_text(object, "file", basename(path));
	put_text(object, "prev", mac);
	put_u64(object, "oldest", oldest_kept(log));
	put_text(object, "key", key[0] ? key : NULL);
	put_text(object, "registry", log->options.registry);
	position_put(&log->at, object);
	add_body(&body, object);
	memcpy(fresh, log->mac, sizeof(fresh));
	compose(out, &log->options.key, log->seq + 1, fresh, body.bytes, body.size - 1);
	text_free(&body);
}

/* What stands in our place and is not ours is kept, under another name. */
static int move_aside(struct logfile *log)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s.foreign-%" PRIu64, log->options.file, wall_ns());
	if (rename(log->options.file, name))
		return -errno;
	problem(log, "another file stood in its place; that is %s now", name);
	return 0;
}

static int create_file(struct logfile *log)
{
	struct stat st;

	for (int turn = 0; turn < 2; turn++) {
		int code;

		log->fd = open(log->options.file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
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

static int new_file(struct logfile *log)
{
	struct text out = { 0 };
	int code = create_file(log);

	if (code)
		return code;
	compose_opened(log, &out);
	code = flush_lines(log, &out);
	text_free(&out);
	if (code) {
		close(log->fd);
		log->fd = -1;
		return code;
	}
	log->elsewhere = false;
	return 0;
}

/*
 * Killed after step | there are
 *  removing the last | one file less than may be kept
 *  a renaming        | a gap in the numbers, which the next rotation fills first; the newest is FILE still
 *  FILE to FILE.1    | no FILE: the next start goes on behind FILE.1
 *  creating FILE     | an empty FILE: the same
 */
static int shift_files(struct logfile *log)
{
	char from[PATH_MAX], to[PATH_MAX];
	uint64_t gap = 1;

	for (uint64_t i = log->options.keep + 1; rotated_name(log, i, to), unlink(to) == 0; i++)
		;
	for (rotated_name(log, gap, to); gap < log->options.keep && access(to, F_OK) == 0; rotated_name(log, gap, to))
		gap++;
	for (uint64_t i = gap; i > 1; i--) {
		rotated_name(log, i, to);
		rotated_name(log, i - 1, from);
		if (rename(from, to) && errno != ENOENT)
			return -1;
	}
	rotated_name(log, 1, to);
	return log->options.keep ? rename(log->options.file, to) : unlink(log->options.file);
}

/* Where it can't, the file grows on. */
static void rotate(struct logfile *log)
{
	if (fdatasync(log->fd))
		say("%s: %s", log->options.file, strerror(errno));
	if (shift_files(log)) {
		problem(log, "can't be rotated: %s; going on in the same file", strerror(errno));
		log->rotate_ns = steady_ns() + ROTATE_RETRY_NS;
		return;
	}
	close_file(log, "rotated");
}

static bool rotation_is_due(const struct logfile *log, size_t more)
{
	uint64_t now = wall_ns();

	return log->lines > 1 && steady_ns() >= log->rotate_ns &&
	       (log->size + more > log->options.max_size ||
	        (now > log->file_at_ns && now - log->file_at_ns >= log->options.max_age_ns));
}

/* ---- is the file still ours? ------------------------------------------------------------------ */

/* Back to the lines that are left: the newest of FILE and FILE.1. */
static int rewind_to(struct logfile *log, const struct position *at, uint64_t last)
{
	if (last < log->seq)
		problem(log, "lines %" PRIu64 " to %" PRIu64 " are gone; reading again what the rings still hold of them",
		        last + 1, log->seq);
	log->at = *at;
	return LOGFILE_REWOUND;
}

static int cut_short(struct logfile *log, uint64_t size)
{
	struct scan scan;
	int error = scan_file(log->options.file, &log->options.key, &scan);

	problem(log, "somebody cut it from %" PRIu64 " to %" PRIu64 " bytes", log->size, size);
	if (error || !scan.ours || ftruncate(log->fd, (off_t)scan.size)) {
		/* nothing of it is left */
		struct position at = log->file_at;
		uint64_t last = log->file_seq ? log->file_seq - 1 : 0;

		if (ftruncate(log->fd, 0))
			say("%s: %s", log->options.file, strerror(errno));
		close_file(log, "cut");
		return rewind_to(log, &at, last);
	}
	log->size = scan.size;
	return rewind_to(log, &scan.at, scan.seq);
}

static int grown(struct logfile *log, uint64_t size)
{
	char last = '\n';
	int fd = open(log->options.file, O_RDONLY | O_CLOEXEC);

	problem(log, "somebody else wrote %" PRIu64 " bytes into it", size - log->size);
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

		problem(log, "somebody removed it");
		close_file(log, "removed");
		return rewind_to(log, &at, last);
	}
	elsewhere = stat(log->options.file, &there) || there.st_dev != log->device || there.st_ino != log->inode;
	if (elsewhere) {
		if (fdatasync(log->fd))
			say("%s: %s", log->options.file, strerror(errno));
		close_file(log, "moved");
		log->elsewhere = true;
		return 0;
	}
	if ((uint64_t)own.st_size < log->size)
		return cut_short(log, (uint64_t)own.st_size);
	return (uint64_t)own.st_size > log->size ? grown(log, (uint64_t)own.st_size) : 0;
}

/* ---- writing -------------------------------------------------------------------------------------- */

static size_t body_size(const struct text *bodies, size_t at)
{
	return (size_t)((char *)memchr(bodies->bytes + at, '\n', bodies->size - at) - (bodies->bytes + at));
}

/* Writes bodies from *taken on until all are written or a new file is due. A file's first line has another one beside it, whatever the limits. */
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

		if (rotation_is_due(log, out.size + size + LINE_FRAME))
			break;
		compose(&out, &log->options.key, ++seq, mac, bodies->bytes + to, size);
		to += size + 1;
		if (log->lines <= 1)
			break;
	}
	code = flush_lines(log, &out);
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
		if (log->fd >= 0 && rotation_is_due(log, body_size(bodies, taken) + LINE_FRAME))
			rotate(log);
		if (log->fd < 0)
			code = new_file(log);
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
	if (!code && log->fd >= 0 && rotation_is_due(log, 0))
		rotate(log);
	if (!code && log->fd < 0)
		code = new_file(log);
	if (!code && log->problems.size)
		code = write_bodies(log, &log->problems);
	if (log->dirty && steady_ns() >= log->due_ns)
		sync_log(log);
	return code;
}

uint64_t logfile_due_ns(const struct logfile *log)
{
	uint64_t now = steady_ns();

	return !log->dirty ? UINT64_MAX : log->due_ns > now ? log->due_ns - now : 0;
}

/* ---- beginning and end ------------------------------------------------------------------------------- */

static int give_up(char *why, size_t room, int status, const char *format, ...) __attribute__((format(printf, 4, 5)));

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
	return error == EACCES || error == EPERM || error == EROFS ? 7 : error == ENOENT || error == ENOTDIR ? 2 : 10;
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

/* Also where a kill left half of its first line. */
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

/* The newest lines: of FILE, or where a rotation was interrupted, of FILE.1. */
static int scan_newest(struct logfile *log, struct scan *scan, bool *has_file, char *why, size_t room)
{
	char name[PATH_MAX];
	struct stat st;
	int error;

	if (!starts_like_ours(log->options.file))
		return give_up(why, room, 4, "%s: not an audit log; another name is needed, or another place for that file",
		               log->options.file);
	*has_file = !stat(log->options.file, &st) && st.st_size > 0;
	rotated_name(log, *has_file ? 0 : 1, name);
	error = scan_file(name, &log->options.key, scan);
	if (error && (*has_file || error != ENOENT))
		return give_up(why, room, status_of(error), "%s: %s", name, strerror(error));
	return 0;
}

/* A log goes on with the key that it has; else it could not be verified as one. */
static int check_key_name(const struct logfile *log, const struct scan *scan, char *why, size_t room)
{
	char key[CHAIN_KEY_NAME];

	chain_key_name(&log->options.key, key);
	if (!scan->named || !strcmp(key, scan->key))
		return 0;
	return give_up(why, room, 2, "%s: it was made %s%s, and this is %s%s; a log with another key needs another name",
	               log->options.file, scan->key[0] ? "with key " : "without a key", scan->key,
	               key[0] ? "key " : "no key", key);
}

/* Compares with the head, which knows of lines that were cut off at the end. */
static void follow_head(struct logfile *log, const struct scan *scan)
{
	struct chain_head head;
	bool any = scan->ours;

	switch (chain_read_head(log->head_file, &log->options.key, &head)) {
	case CHAIN_HEAD_MISSING:
		if (any)
			problem(log, "%s is missing: whether lines were cut off at the end can't be told", log->head_file);
		return;
	case CHAIN_HEAD_UNREADABLE:
		problem(log, "%s: %s", log->head_file, strerror(errno));
		return;
	case CHAIN_HEAD_BAD:
		problem(log, "%s was changed, or made with another key", log->head_file);
		return;
	case CHAIN_HEAD_GOOD:
		break;
	}
	if (head.count == scan->seq && memcmp(head.last, scan->mac, sizeof(head.last)))
		problem(log, "its last line, %" PRIu64 ", is not the one that %s knows", scan->seq, log->head_file);
	if (head.count <= scan->seq)
		return;
	problem(log, "lines %" PRIu64 " to %" PRIu64 " are gone; reading again what the rings still hold of them",
	        scan->seq + 1, head.count);
	log->seq = head.count;
	memcpy(log->mac, head.last, sizeof(log->mac));
}

static int continue_file(struct logfile *log, const struct scan *scan, char *why, size_t room)
{
	struct stat st;

	log->fd = open(log->options.file, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (log->fd < 0 || fstat(log->fd, &st))
		return give_up(why, room, status_of(errno), "%s: %s", log->options.file, strerror(errno));
	log->device = st.st_dev;
	log->inode = st.st_ino;
	log->size = scan->size;
	log->lines = scan->lines;
	log->file_seq = scan->first_seq;
	log->file_at_ns = scan->first_at_ns;
	if ((uint64_t)st.st_size > scan->size) {
		problem(log, "cut off half a line of %" PRIu64 " bytes", (uint64_t)st.st_size - scan->size);
		if (ftruncate(log->fd, (off_t)scan->size))
			return give_up(why, room, status_of(errno), "%s: %s", log->options.file, strerror(errno));
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
		problem(log, "line %" PRIu64 " of the %sfile does not follow from the one before it: changed, or something is missing",
		        scan.bad_line, has_file ? "" : "rotated ");
	follow_head(log, &scan);
	if (has_file && scan.lines)
		return continue_file(log, &scan, why, room);
	/* half a line, and nothing else, is a first line that a kill cut short */
	if (has_file && truncate(log->options.file, 0))
		return give_up(why, room, status_of(errno), "%s: %s", log->options.file, strerror(errno));
	log->why = scan.ours ? "continued" : log->seq ? "missing" : "new";
	return 0;
}

int logfile_open(struct logfile **log, const struct log_options *options, char *why, size_t room)
{
	struct logfile *made = must(calloc(1, sizeof(*made)));
	struct text bodies = { 0 };
	json_object *started = line_of("log.started");
	int status, code;

	made->fd = made->lock_fd = -1;
	made->options = *options;
	snprintf(made->head_file, sizeof(made->head_file), "%s.head", options->file);
	status = begin(made, why, room);
	if (!status) {
		put_text(started, "version", k2k_version());
		put_u64(started, "pid", (uint64_t)getpid());
		add_body(&bodies, json_object_get(started));
		code = logfile_write(made, &bodies);
		/* a full disk is waited for like later on */
		if (code < 0 && code != -ENOSPC && code != -EDQUOT)
			status = give_up(why, room, status_of(-code), "%s: %s", options->file, strerror(-code));
		else if (code < 0)
			text_add(&made->problems, bodies.bytes, bodies.size);
	}
	json_object_put(started);
	text_free(&bodies);
	*log = made;
	if (status)
		logfile_close(log, NULL);
	return status;
}

void logfile_close(struct logfile **handle, const char *reason)
{
	struct logfile *log = *handle;
	struct text bodies = { 0 };

	if (reason) {
		json_object *object = line_of("log.stopped");

		put_text(object, "why", reason);
		add_body(&bodies, object);
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
