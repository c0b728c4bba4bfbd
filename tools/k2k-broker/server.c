/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server.h"
#include "socket_path.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PARTS_MAX = 256 }; /* lines that one system call sends */

/* A line that is to be sent. */
struct piece {
	STAILQ_ENTRY(piece) next;
	char *text;
	size_t size;
};
STAILQ_HEAD(pieces, piece);

struct connection {
	struct broker_inbox inbox; /* first, so that an inbox is its connection */
	TAILQ_ENTRY(connection) next;
	int fd;
	int at_end;        /* its input ended */
	int deaf;          /* writing failed; what it asked for before is still done */
	int stopped;       /* lines wait until some of `out` is sent */
	int ready;         /* poll(2) returned an event */
	struct pieces out; /* the answers, in order */
	size_t out_bytes,
		sent;        /* bytes of `out` that wait; bytes of its first piece that are sent */
	struct pieces queue; /* messages; they move to `out` when it has room */
	size_t queued, queue_max;
	struct session session;
};

_Static_assert(CLIENTS_MAX > SERVER_CLIENTS_MAX, "there is always a client to forget");

struct server {
	int fd;
	int full; /* no descriptor is free: accept when one is closed, or a second later */
	struct sockaddr_un address;
	dev_t dev;
	ino_t ino;
	size_t queue, clients;
	TAILQ_HEAD(, connection) connections;
	struct pollfd polls[SERVER_CLIENTS_MAX + 3];
};

/* ---- the socket ----------------------------------------------------------------- */

/* The directory of the socket, locked; or -1 with errno. */
static int lock_directory(const char *path)
{
	char *copy = check_memory(strdup(path));
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	free(copy);
	if (fd >= 0 && socket_lock_directory(fd) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * Binds the name and sets group and mode. Nobody can connect before listen(), so nobody connects
 * with the rights that the umask or the wrong group would give.
 */
static int bind_with_rights(const struct server *server, const struct server_options *options)
{
	const char *path = server->address.sun_path;
	int error;

	if (bind(server->fd, (const struct sockaddr *)&server->address, sizeof server->address) !=
	    0)
		return -1;
	if ((!options->has_group || lchown(path, (uid_t)-1, options->group) == 0) &&
	    (!options->has_mode || chmod(path, options->mode) == 0))
		return 0;
	error = errno;
	unlink(path);
	errno = error;
	return -1;
}

static int listen_at(struct server *server, const struct server_options *options, char why[256],
                     int *exit_code)
{
	const char *path = server->address.sun_path;
	struct stat st;

	*exit_code = 10;
	if (lstat(path, &st) == 0) {
		int alive = S_ISSOCK(st.st_mode) ? socket_is_alive(&server->address, SOCK_STREAM)
		                                 : 0;

		if (!S_ISSOCK(st.st_mode)) {
			*exit_code = 4;
			snprintf(why, 256, "exists, and is not a socket");
			return -1;
		}
		if (alive > 0) {
			*exit_code = 8;
			snprintf(why, 256, "another process listens there");
			return -1;
		}
		if (alive < 0 || unlink(path) != 0)
			goto failed;
	}
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->fd < 0 || bind_with_rights(server, options) != 0)
		goto failed;
	if (lstat(path, &st) != 0 || listen(server->fd, SOMAXCONN) != 0) {
		int error = errno;

		unlink(path);
		errno = error;
		goto failed;
	}
	server->dev = st.st_dev;
	server->ino = st.st_ino;
	*exit_code = 0;
	return 0;

failed:
	if (errno == EACCES || errno == EPERM)
		*exit_code = 7;
	snprintf(why, 256, "%s", strerror(errno));
	return -1;
}

struct server *server_open(const struct server_options *options, char why[256], int *exit_code)
{
	struct server *server = check_memory(calloc(1, sizeof *server));
	const char *path = options->path;
	int lock, failed;

	server->fd = options->fd;
	server->queue = options->queue;
	TAILQ_INIT(&server->connections);
	if (server->fd >= 0)
		return server;
	server->address.sun_family = AF_UNIX;
	if (!path[0] || strlen(path) >= sizeof server->address.sun_path) {
		*exit_code = 2;
		snprintf(why, 256, "a socket's path has 1 to %zu bytes",
		         sizeof server->address.sun_path - 1);
		free(server);
		return NULL;
	}
	strcpy(server->address.sun_path, path);
	lock = lock_directory(path);
	if (lock < 0) {
		*exit_code = errno == EACCES ? 7 : errno == EWOULDBLOCK ? 8 : 10;
		snprintf(why, 256, "its directory can't be locked: %s", strerror(errno));
		free(server);
		return NULL;
	}
	failed = listen_at(server, options, why, exit_code);
	close(lock);
	if (failed) {
		if (server->fd >= 0)
			close(server->fd);
		free(server);
		return NULL;
	}
	return server;
}

/* ---- a connection ------------------------------------------------------------------ */

static struct piece *take_first(struct pieces *pieces)
{
	struct piece *piece = STAILQ_FIRST(pieces);

	if (piece)
		STAILQ_REMOVE_HEAD(pieces, next);
	return piece;
}

static void free_piece(struct piece *piece)
{
	free(piece->text);
	free(piece);
}

static void add_output(struct connection *connection, struct piece *piece)
{
	STAILQ_INSERT_TAIL(&connection->out, piece, next);
	connection->out_bytes += piece->size;
}

static void drop_output(struct connection *connection)
{
	struct piece *piece;

	while ((piece = take_first(&connection->out)) || (piece = take_first(&connection->queue)))
		free_piece(piece);
	connection->queued = connection->out_bytes = connection->sent = 0;
}

static void note_sent(struct connection *connection, size_t size)
{
	struct piece *piece;

	connection->out_bytes -= size;
	size += connection->sent;
	while ((piece = STAILQ_FIRST(&connection->out)) && size >= piece->size) {
		size -= piece->size;
		free_piece(take_first(&connection->out));
	}
	connection->sent = size;
}

static ssize_t send_some(struct connection *connection)
{
	struct iovec parts[PARTS_MAX];
	struct msghdr message = { .msg_iov = parts };
	size_t skip = connection->sent;
	struct piece *piece;

	STAILQ_FOREACH(piece, &connection->out, next)
	{
		if (message.msg_iovlen == PARTS_MAX)
			break;
		parts[message.msg_iovlen++] = (struct iovec){ piece->text + skip,
			                                      piece->size - skip };
		skip = 0;
	}
	return sendmsg(connection->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Sends what the socket takes: the answers first, then the queue. */
static void flush(struct connection *connection)
{
	while (!connection->deaf) {
		ssize_t n;

		while (connection->out_bytes < SERVER_OUT_ENOUGH / 16 && connection->queued) {
			add_output(connection, take_first(&connection->queue));
			connection->queued--;
		}
		if (connection->out_bytes == 0)
			return;
		n = send_some(connection);
		if (n >= 0)
			note_sent(connection, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (errno != EINTR)
			connection->deaf = 1;
	}
	drop_output(connection);
}

static int deliver(struct broker_inbox *inbox, const struct broker_message *message)
{
	struct connection *connection = (struct connection *)inbox;
	struct piece *piece;
	FILE *out;

	if (connection->queued >= connection->queue_max)
		flush(connection); /* the client may have read meanwhile */
	if (connection->deaf || connection->queued >= connection->queue_max)
		return -1;
	piece = check_memory(malloc(sizeof *piece));
	out = text_open(&piece->text, &piece->size);
	answer_write_message(out, message);
	text_close(out);
	STAILQ_INSERT_TAIL(&connection->queue, piece, next);
	connection->queued++;
	return 0;
}

static void read_some(struct connection *connection)
{
	size_t room;
	char *to = line_room(&connection->session.input, &room);
	ssize_t n = recv(connection->fd, to, room, MSG_DONTWAIT);

	if (n > 0)
		line_read(&connection->session.input, (size_t)n);
	else if (n == 0)
		connection->at_end = 1;
	else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		connection->at_end = connection->deaf = 1;
}

/* Answers one line. False if none is complete. */
static bool answer_one(struct connection *connection, struct answers *answers)
{
	struct piece *piece = check_memory(malloc(sizeof *piece));
	FILE *out = text_open(&piece->text, &piece->size);
	bool taken = answer_line(&connection->session, connection->at_end, answers,
	                         connection->deaf ? NULL : out);

	text_close(out);
	if (piece->size)
		add_output(connection, piece);
	else
		free_piece(piece);
	return taken;
}

static void work(struct connection *connection, struct answers *answers)
{
	if (connection->ready && !connection->at_end && !connection->stopped)
		read_some(connection);
	do
		connection->stopped = connection->out_bytes >= SERVER_OUT_ENOUGH;
	while (!connection->stopped && answer_one(connection, answers));
	if (connection->at_end && !connection->stopped)
		session_end(&connection->session, answers);
}

static int is_done(const struct connection *connection)
{
	return connection->at_end && !connection->stopped &&
	       (connection->deaf || (connection->out_bytes == 0 && connection->queued == 0));
}

static void close_connection(struct server *server, struct connection *connection,
                             struct answers *answers)
{
	session_end(&connection->session, answers);
	drop_output(connection);
	close(connection->fd);
	TAILQ_REMOVE(&server->connections, connection, next);
	free(connection);
	server->clients--;
	server->full = 0;
}

static void accept_some(struct server *server)
{
	while (server->clients < SERVER_CLIENTS_MAX) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct connection *connection;

		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0) {
			server->full = errno != EAGAIN && errno != EWOULDBLOCK;
			return;
		}
		connection = check_memory(calloc(1, sizeof *connection));
		connection->fd = fd;
		connection->queue_max = server->queue;
		connection->inbox.deliver = deliver;
		session_begin(&connection->session, &connection->inbox);
		STAILQ_INIT(&connection->out);
		STAILQ_INIT(&connection->queue);
		TAILQ_INSERT_TAIL(&server->connections, connection, next);
		server->clients++;
	}
}

/* ---- the loop ------------------------------------------------------------------------- */

int server_run(struct server *server, struct answers *answers, struct peers *peers, int stop_fd)
{
	for (;;) {
		struct connection *connection, *following;
		struct pollfd *polls = server->polls;
		int timeout = broker_tick(answers->broker), ready;
		nfds_t count = 3;

		polls[0] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
		polls[1] = (struct pollfd){ .fd = server->full || server->clients ==
			                                                  SERVER_CLIENTS_MAX
			                                  ? -1
			                                  : server->fd,
			                    .events = POLLIN };
		polls[2] = (struct pollfd){ .fd = peers ? peers_fd(peers) : -1, .events = POLLIN };
		TAILQ_FOREACH(connection, &server->connections, next)
		{
			short events = 0;

			if (connection->stopped && connection->out_bytes < SERVER_OUT_ENOUGH)
				/* lines wait, and there is room for their answers */
				timeout = 0;
			if (!connection->stopped && !connection->at_end)
				events |= POLLIN;
			if (connection->out_bytes || connection->queued)
				events |= POLLOUT;
			polls[count++] = (struct pollfd){ .fd = connection->fd, .events = events };
		}
		ready = poll(polls, count, timeout);
		if (ready < 0 && errno != EINTR)
			return -1;
		if (ready <= 0)
			server->full = 0;
		if (ready > 0 && polls[0].revents)
			return 0;
		count = 3;
		TAILQ_FOREACH(connection, &server->connections, next)
		{
			connection->ready = ready > 0 && polls[count].revents;
			count++;
		}
		TAILQ_FOREACH(connection, &server->connections, next)
		work(connection, answers);
		if (peers)
			peers_work(peers);
		for (connection = TAILQ_FIRST(&server->connections); connection;
		     connection = following) {
			following = TAILQ_NEXT(connection, next);
			flush(connection);
			if (is_done(connection))
				close_connection(server, connection, answers);
		}
		if (ready > 0 && polls[1].revents)
			accept_some(server);
	}
}

void server_close(struct server **server, struct answers *answers)
{
	struct connection *connection;
	struct stat st;

	while ((connection = TAILQ_FIRST(&(*server)->connections)))
		close_connection(*server, connection, answers);
	if ((*server)->address.sun_path[0] && lstat((*server)->address.sun_path, &st) == 0 &&
	    st.st_dev == (*server)->dev && st.st_ino == (*server)->ino)
		unlink((*server)->address.sun_path);
	close((*server)->fd);
	free(*server);
	*server = NULL;
}
