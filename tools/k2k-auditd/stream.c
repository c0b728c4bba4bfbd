/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stream.h"
#include "report.h"
#include "scan.h"
#include "common/json.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json_util.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

struct stream {
	enum stream_kind kind;
	const char *socket, *state;
	int fd, lock_fd, state_error;
	struct position at;
};

const struct position *stream_position(const struct stream *stream)
{
	return &stream->at;
}

/* ---- the file with the position -------------------------------------------------- */

static void save(struct stream *stream)
{
	json_object *object;
	char fresh[PATH_MAX];
	int error = 0;

	if (!stream->state)
		return;
	object = json_new();
	position_put(&stream->at, object);
	snprintf(fresh, sizeof(fresh), "%s.new", stream->state);
	if (json_object_to_file_ext(fresh, object, JSON_C_TO_STRING_PLAIN) ||
	    rename(fresh, stream->state))
		error = errno ? errno : EIO;
	json_object_put(object);
	if (error && error != stream->state_error)
		report("%s: %s; after a restart, events will come twice", stream->state,
		       strerror(error));
	stream->state_error = error;
}

static int fail(char *why, size_t room, int status, const char *file, const char *text)
{
	snprintf(why, room, "%s: %s", file, text);
	return status;
}

static int load(struct stream *stream, char *why, size_t room)
{
	char name[PATH_MAX];
	json_object *object;
	struct stat st;

	if ((size_t)snprintf(name, sizeof(name), "%s.lock", stream->state) >= sizeof(name) - 8)
		return fail(why, room, 2, "--state", "the name is too long");
	stream->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (stream->lock_fd < 0)
		return fail(why, room, errno == EACCES ? 7 : 10, name, strerror(errno));
	if (flock(stream->lock_fd, LOCK_EX | LOCK_NB))
		return fail(why, room, 8, stream->state, "another k2k-auditd uses it");
	if (stat(stream->state, &st) && errno == ENOENT)
		return 0;
	object = json_object_from_file(stream->state);
	if (!position_get(&stream->at, object)) {
		json_object_put(object);
		return fail(why, room, 4, stream->state,
		            "not a state file of k2k-auditd; choose another name");
	}
	json_object_put(object);
	return 0;
}

int stream_open(struct stream **made, enum stream_kind kind, const char *socket, const char *state,
                char *why, size_t room)
{
	struct stream *stream = check_memory(calloc(1, sizeof(*stream)));
	int status = 0;

	*stream = (struct stream){
		.kind = kind, .socket = socket, .state = state, .fd = -1, .lock_fd = -1
	};
	position_begin(&stream->at, "");
	if (kind == STREAM_STDOUT)
		stream->fd = STDOUT_FILENO;
	else if (strlen(socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		status = fail(why, room, 2, socket, "the name is too long for a socket");
	if (!status && state)
		status = load(stream, why, room);
	*made = stream;
	if (status)
		stream_close(made);
	return status;
}

void stream_close(struct stream **stream)
{
	if ((*stream)->kind != STREAM_STDOUT && (*stream)->fd >= 0)
		close((*stream)->fd);
	if ((*stream)->lock_fd >= 0)
		close((*stream)->lock_fd);
	free(*stream);
	*stream = NULL;
}

/* ---- standard output ------------------------------------------------------------------- */

/*
 * Whole lines, at most PIPE_BUF bytes if there are several: a pipe takes so many at once or none,
 * so a signal never leaves half a line.
 */
static int write_lines(int fd, const char *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		struct pollfd poll_out = { .fd = fd, .events = POLLOUT };
		ssize_t n = write(fd, bytes + done, size - done);

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno == EAGAIN && poll(&poll_out, 1, -1) > 0)
			continue;
		else if (n < 0 && (errno != EINTR || !done))
			return -errno;
	}
	return 0;
}

/* As many lines as one write takes whole; at least one. Returns the offset behind them. */
static size_t compose_lines(FILE *out, const struct bodies *bodies)
{
	size_t to = bodies->taken, written = 0;

	while (to < bodies->size) {
		size_t size;
		const char *body = bodies_at(bodies, to, &size);

		if (written && written + size + 3 > PIPE_BUF)
			break;
		putc('{', out);
		fwrite(body, 1, size, out);
		fputs("}\n", out);
		written += size + 3;
		to += size + 1;
	}
	return to;
}

static int write_stdout(struct stream *stream, struct bodies *bodies)
{
	int code = 0;

	while (!code && !bodies_are_taken(bodies)) {
		char *lines;
		size_t size, to;
		FILE *out = text_open(&lines, &size);

		to = compose_lines(out, bodies);
		text_close(out);
		code = write_lines(stream->fd, lines, size);
		free(lines);
		if (!code)
			bodies->taken = to;
	}
	return code;
}

/* ---- sockets that take a datagram for each line ------------------------------------------ */

enum { BEGIN_MAX = 160 };

static int priority_of(const char *body, size_t size)
{
	static const char security[] = "\"level\":\"Security\"",
			  warning[] = "\"level\":\"Warning\"", kinds[] = "\"kind\":\"lost\"";

	/* names, which could imitate these, come after the level, and their quotes are escaped */
	if (memmem(body, size, security, sizeof(security) - 1))
		return LOG_CRIT;
	if (memmem(body, size, warning, sizeof(warning) - 1) ||
	    memmem(body, size, kinds, sizeof(kinds) - 1))
		return LOG_WARNING;
	return LOG_INFO;
}

/* What comes before the body in a datagram. */
static int begin_syslog(char begin[BEGIN_MAX], const char *body, size_t size)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	return snprintf(begin, BEGIN_MAX, "<%d>%.3s %2d %02d:%02d:%02d k2k-auditd[%ld]: {",
	                LOG_AUTHPRIV | priority_of(body, size), months + 3 * (tm.tm_mon % 12),
	                tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (long)getpid());
}

/* The journal's native form: fields that journalctl can search, without a library for it. */
static int begin_journal(char begin[BEGIN_MAX], const char *body, size_t size)
{
	static const char kind[] = "\"kind\":\"";
	const char *start = body + sizeof(kind) - 1,
		   *end = memchr(start, '"', size - (sizeof(kind) - 1));

	return snprintf(begin, BEGIN_MAX,
	                "SYSLOG_IDENTIFIER=k2k-auditd\nPRIORITY=%d\nK2K_KIND=%.*s\nMESSAGE={",
	                priority_of(body, size), end ? (int)(end - start) : 0, start);
}

static int connect_socket(struct stream *stream)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	strcpy(address.sun_path, stream->socket);
	stream->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (stream->fd < 0)
		return -errno;
	if (!connect(stream->fd, (struct sockaddr *)&address, sizeof(address)))
		return 0;
	error = errno;
	close(stream->fd);
	stream->fd = -1;
	return -error;
}

static int send_body(const struct stream *stream, const char *body, size_t size)
{
	bool syslog = stream->kind == STREAM_SYSLOG;
	char begin[BEGIN_MAX], end[] = "}\n";
	int length = (syslog ? begin_syslog : begin_journal)(begin, body, size);
	struct iovec parts[] = {
		{ begin, (size_t)length },
		{ (void *)(uintptr_t)body, size },
		{ end, syslog ? 1 : 2 },
	};
	const struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };

	return sendmsg(stream->fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int write_socket(struct stream *stream, struct bodies *bodies)
{
	int code = stream->fd < 0 ? connect_socket(stream) : 0;

	while (!code && !bodies_are_taken(bodies)) {
		size_t size;
		const char *body = bodies_at(bodies, bodies->taken, &size);

		code = send_body(stream, body, size);
		if (!code)
			bodies->taken += size + 1;
	}
	if (code && code != -EINTR && stream->fd >= 0) {
		close(stream->fd);
		stream->fd = -1;
	}
	return code;
}

/* ---- both ------------------------------------------------------------------------------------ */

int stream_write(struct stream *stream, struct bodies *bodies)
{
	size_t at = bodies->taken, size;
	int code = (stream->kind == STREAM_STDOUT ? write_stdout : write_socket)(stream, bodies);

	if (at == bodies->taken)
		return code;
	for (; at < bodies->taken; at += size + 1) {
		const char *body = bodies_at(bodies, at, &size);

		scan_advance(&stream->at, body, size);
	}
	save(stream);
	return code;
}

int stream_tick(const struct stream *stream)
{
	struct pollfd out = { .fd = stream->fd };

	return stream->kind == STREAM_STDOUT && poll(&out, 1, 0) > 0 &&
	                       (out.revents & (POLLERR | POLLHUP))
	               ? -EPIPE
	               : 0;
}
