/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * server.h - a Unix-domain socket, its connections and their inboxes, in one thread
 *
 *  1. The server never waits for a client: all sockets are non-blocking.
 *  2. If a client does not read its answers, and SERVER_OUT_ENOUGH bytes of them wait, the server
 *     stops reading from it. That, one block of input and the queue bound its memory.
 *  3. A kernel's messages wait in the queue of the connection that added it. If the queue is full,
 *     the sender gets QUEUE_FULL.
 *  4. When a client's input ends, all its lines are answered, its kernels removed and what it
 *     reserved cancelled; then what still waits is sent, and the connection closed.
 */
#ifndef K2K_BROKER_SERVER_H
#define K2K_BROKER_SERVER_H

#include "answer.h"
#include "peers.h"

#include <sys/types.h>

#define SERVER_CLIENTS_MAX 1000 /* at once; more wait until one disconnects */
#define SERVER_OUT_ENOUGH 65536

struct server;

struct server_options {
	/* a socket that listens already, or -1; with it only `queue` of the rest is used */
	int fd;
	const char *path;
	int has_mode, has_group; /* else the umask and the process decide */
	mode_t mode;
	gid_t group;
	size_t queue;
};

/*
 * Listens at the path. Replaces the socket of a dead broker; fails if a living one listens there.
 * The socket has its mode and group before anybody can connect. Returns null with the reason in
 * why[256], and the program's exit status.
 */
struct server *server_open(const struct server_options *options, char why[256], int *exit_code);

/*
 * Serves clients, and unless `peers` is null other brokers, until stop_fd is readable. Returns 0,
 * or -1 with errno.
 */
int server_run(struct server *server, struct answers *answers, struct peers *peers, int stop_fd);

/*
 * Closes all connections. Removes the socket's name if it is still this socket's, and not one that
 * the service manager passed.
 */
void server_close(struct server **server, struct answers *answers);

#endif
