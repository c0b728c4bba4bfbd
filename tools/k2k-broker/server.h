/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * server.h - a Unix-domain socket, its connections and their inboxes, in one thread
 *
 *  1. Nothing here waits for a client: all sockets are non-blocking.
 *  2. A client that does not read its answers is not read from either, once
 *     SERVER_OUT_ENOUGH bytes of them wait. Its memory is bounded by that, by one
 *     block of input and by its queue.
 *  3. A kernel's messages wait in the queue of the connection that added it; where
 *     that is full the sender hears QUEUE_FULL.
 *  4. When a client's input ends, its lines are done and its kernels removed; then
 *     it is written what still waits, and closed.
 */
#ifndef K2K_BROKER_SERVER_H
#define K2K_BROKER_SERVER_H

#include "answer.h"

#include <sys/types.h>

#define SERVER_CLIENTS_MAX 1000 /* at once; more wait until one goes */
#define SERVER_OUT_ENOUGH 65536

struct server;

struct server_options {
	/* listening already, if not below 0; then the rest is not looked at, but queue */
	int fd;
	const char *path;
	int has_mode, has_group; /* else as the umask and the process say */
	mode_t mode;
	gid_t group;
	size_t queue;
};

/*
 * Listens at the path. The socket of a broker that died is replaced, that of one that lives is
 * refused. It has its rights before anybody can connect.
 * Returns null with the reason in why[256], and the tool's exit code.
 */
struct server *server_open(const struct server_options *options, char why[256], int *exit_code);

/* Serves until stop_fd is readable. 0, or -1 with errno. */
int server_run(struct server *server, struct broker *broker, struct answer_counts *counts,
               int stop_fd);

/* Closes all, removes the socket's name where it is still ours; one that was handed over stays. */
void server_close(struct server **server, struct broker *broker);

#endif
